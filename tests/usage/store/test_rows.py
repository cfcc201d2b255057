"""Rows: one that is streamed while a run goes on is the one that an export has afterwards, field by field."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import attrs
import pytest

from cyclr_async.errors import CyclrError, ForbiddenError, NotFoundError, ServerError
from cyclr_async.partner import Account, AccountUsage
from cyclr_async.usage import COLUMNS, RunScope, UsageOutcome, UsageReader, UsageStore
from cyclr_async.usage.store.rows import row_of_outcome
from tests.support.usage_make import OCTOBER, SEEN, account, bad, good

HUGE = 2**70
LONE = "caf\udce9"


def usage(account_id: str, listed: Account | None = None, **fields: object) -> UsageOutcome:
    data = {"TaskCount": 7, "CycleCount": 2, "FromDate": OCTOBER, "ToDate": "2026-10-31T00:00:00"} | fields
    return UsageOutcome(
        account_id=account_id, usage=AccountUsage.from_dict(data), attempts=2, collected_at=SEEN, account=listed
    )


def refused(kind: type[NotFoundError | ForbiddenError | ServerError], status: int, message: str) -> CyclrError:
    return kind(message, status=status)


PLAIN = AccountUsage.from_dict({"TaskCount": 7, "CycleCount": 2, "FromDate": OCTOBER, "ToDate": OCTOBER})

OUTCOMES = {
    "plain": good("a"),
    "listed": good("a", listed=account("a")),
    "plan of the list": good("a", plan=None, listed=account("a", plan=9)),
    "no plan at all": good("a", plan=None, listed=account("a", plan=None)),
    "plan 0": usage("a", account("a", plan=9), CurrentPricePlanId=0),
    "audit of the usage": usage("a", account("a"), AuditInfo="own"),
    "empty audit": usage("a", account("a"), AuditInfo=""),
    "provisional": good("a", seen=SEEN - timedelta(days=20)),
    "at the very end": good("a", seen=SEEN.replace(day=1, hour=0)),
    "with a fraction": usage("a", FromDate="2026-10-01T00:00:00.25", ToDate="2026-10-31T00:00:00.25"),
    "observed with a fraction": good("a", seen=SEEN.replace(microsecond=1)),
    "no account": bad("a", refused(NotFoundError, 404, "no such account")),
    "forbidden": bad("a", refused(ForbiddenError, 403, "not yours")),
    "failed": bad("a", refused(ServerError, 500, "it failed"), attempts=0),
    "a long reason": bad("a", refused(ServerError, 500, "long" * 1000)),
    "a reason that is no Unicode": bad("a", refused(ServerError, 500, LONE)),
    "failed and listed": attrs.evolve(bad("a"), account=account("a", plan=4)),
    "too many tasks": attrs.evolve(usage("a", account("a")), usage=attrs.evolve(PLAIN, task_count=HUGE)),
    "a plan beyond the store": good("a", plan=None, listed=attrs.evolve(account("a"), price_plan_id=HUGE)),
    "a negative count": good("a", -3),
    "an id that is no Unicode": good(LONE, listed=account(LONE, LONE)),
    "an id of other letters": good("Größe 漢字 \x1b", listed=account("Größe 漢字 \x1b", "=1+1\r\n")),
}


@pytest.mark.parametrize("outcome", OUTCOMES.values(), ids=OUTCOMES)
async def test_a_streamed_row_is_the_exported_row(path: Path, scope: RunScope, outcome: UsageOutcome) -> None:
    async with await UsageStore.open(path, scope) as store:
        await store.record(outcome)
        run_id = store.run_id
        await store.finish("complete")
    streamed = row_of_outcome(outcome, run_id)
    with UsageReader(path) as reader:
        (exported,) = reader.rows()
        for name in COLUMNS:
            found, wanted = getattr(streamed, name), getattr(exported, name)
            assert (name, found, type(found)) == (name, wanted, type(wanted))
        if exported.state == "ok":
            # Every column of an observation is in both kinds of export.
            assert list(reader.rows(all_observations=True)) == [exported]
            assert list(reader.history(exported.account_id)) == [exported]
        else:
            assert list(reader.failures()) == [exported]


def test_the_cases_are_of_every_state() -> None:
    states = {row_of_outcome(outcome, 1).state for outcome in OUTCOMES.values()}
    assert states == {"ok", "missing", "forbidden", "failed"}
    assert {row_of_outcome(outcome, 1).provisional for outcome in OUTCOMES.values()} == {True, False, None}
