"""The history of one account: its periods in order, each by the figure that counts, with every observation of it."""

from __future__ import annotations

import os
from contextlib import closing
from itertools import groupby
from operator import attrgetter
from typing import Final

import attrs

from cyclr_async.usage.months.figures import AccountFacts, Figure, choose, compare
from cyclr_async.usage.months.period_texts import end_of
from cyclr_async.usage.store.integrity import check_history, check_runs, sealed
from cyclr_async.usage.store.month_reader import MonthReader
from cyclr_async.usage.store.paths import store_path
from cyclr_async.usage.store.rows import short_utc_text
from cyclr_async.usage.store.schema import connect_readonly, store_errors

__all__ = ["AccountHistory", "AccountPeriod", "PeriodObservation", "read_history"]

_EVER: Final = "0001-01-01T00:00:00.000000Z"  # no stretch of time: only single accounts are read


@attrs.frozen
class PeriodObservation:
    """One answer about a period. Times are ISO-8601 texts in UTC.

    Attributes:
        observed_at: when it came.
        run_id: the run.
        task_count: tasks, as it said them.
        cycle_count: the maximum of cycles, as it said it; None over the v1.0 API.
        provisional: whether the period was not over then.
    """

    observed_at: str
    run_id: int
    task_count: int
    cycle_count: int | None
    provisional: bool


@attrs.frozen
class AccountPeriod:
    """A period of an account.

    Attributes:
        period_from: when it began.
        period_to: its end as the API says it.
        period_end: when it is really over, exclusive.
        task_count: tasks, by the last observation.
        cycle_count: the maximum of cycles, by the last observation; None over the v1.0 API.
        price_plan_id: by the last observation.
        observed_at: when that was.
        provisional: whether it may still rise.
        counted: whether it counts; False when it overlaps others, which count instead.
        change: more tasks than the period before, when the two may be compared, else None.
        observations: every answer about it, oldest first.
    """

    period_from: str
    period_to: str
    period_end: str
    task_count: int
    cycle_count: int | None
    price_plan_id: int | None
    observed_at: str
    provisional: bool
    counted: bool
    change: int | None
    observations: tuple[PeriodObservation, ...]


@attrs.frozen
class AccountHistory:
    """What a store knows of one account.

    Attributes:
        account_id: the account.
        account_name: when it was last listed.
        api_id: its id in the v1.0 API, where known.
        parent_account_id: the account that it is a sub-account of, where known.
        audit_info: the partner's own reference.
        price_plan_id: the last one known.
        periods: oldest first.
    """

    account_id: str
    account_name: str | None
    api_id: str | None
    parent_account_id: str | None
    audit_info: str | None
    price_plan_id: int | None
    periods: tuple[AccountPeriod, ...]


def read_history(store: str | os.PathLike[str], account_id: str) -> AccountHistory | None:
    """Read the history of one account; its cost does not depend on how many others the store has.

    Args:
        store: the path of the store.
        account_id: the account, as the store has it.

    Returns:
        the history; None when the store does not know the account.

    Raises:
        StoreError: there is no store, it is damaged, or a newer release made it.
    """
    path = store_path(store)
    with store_errors(path, "reading a history"), closing(connect_readonly(path)) as connection:
        connection.execute("BEGIN")  # periods and facts of one moment
        check_runs(connection, path)
        if not sealed(connection):
            check_history(connection, path)
        reader = MonthReader(connection, path, _EVER, _EVER, facts_from=_EVER)
        observed = list(reader.observations(account_id))
        facts = reader.newest_facts(account_id)
    if not observed and facts is None:
        return None
    groups = [list(group) for _, group in groupby(observed, key=attrgetter("period_from"))]
    figures = [group[-1] for group in groups]
    counted = {figure.period_from for figure in choose(figures)}
    periods = tuple(_period(group, figures[:index], counted) for index, group in enumerate(groups))
    facts = facts or AccountFacts()
    last = figures[-1] if figures else None
    plan = None if last is None else last.price_plan_id
    audit = None if last is None else last.audit_info
    return AccountHistory(
        account_id=account_id,
        account_name=facts.name,
        api_id=facts.api_id,
        parent_account_id=facts.parent_account_id,
        audit_info=facts.audit_info if audit is None else audit,
        price_plan_id=facts.price_plan_id if plan is None else plan,
        periods=periods,
    )


def _period(observed: list[Figure], earlier: list[Figure], counted: set[str]) -> AccountPeriod:
    figure = observed[-1]
    before, _ = compare([figure], earlier)
    return AccountPeriod(
        period_from=short_utc_text(figure.period_from),
        period_to=short_utc_text(figure.shown_to),
        period_end=short_utc_text(end_of(figure.period_from, figure.period_to)),
        task_count=figure.task_count,
        cycle_count=figure.cycle_count,
        price_plan_id=figure.price_plan_id,
        observed_at=short_utc_text(figure.observed_at),
        provisional=figure.provisional,
        counted=figure.period_from in counted,
        change=figure.task_count - before[0].task_count if before else None,
        observations=tuple(
            PeriodObservation(
                short_utc_text(one.observed_at), one.run_id, one.task_count, one.cycle_count, one.provisional
            )
            for one in observed
        ),
    )
