"""Accounts that are refused, and everything that only looks like it: deleted accounts, wrong addresses, proxies."""

from __future__ import annotations

import math
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from cyclr_async.errors import (
    BulkInterruptedError,
    ForbiddenError,
    InvalidArgumentError,
    NotFoundError,
    ResponseError,
    ServerError,
    UnauthorizedError,
    UnexpectedRedirectError,
)
from cyclr_async.usage import UsageReader
from cyclr_async.usage.collect.outcome import UsageOutcome
from tests.support.sizes import crossed, few_of, sized
from tests.support.usage_server import PartnerServer, account_ids, all_of, http, raw, states, stored, usage_of, virtual

EMPTY = raw(404, "", "")
MESSAGE = http(404, {"Message": "none"})
FORBIDDEN = http(403, {"Message": "no"})
UNAUTHORIZED = http(401, {"Message": "who"})
OWN = {"empty": EMPTY, "message": MESSAGE, "403": FORBIDDEN, "401": UNAUTHORIZED, "410": raw(410, "", "")}
NO_ROUTE = "No HTTP resource was found that matches the request URI 'https://x/'."
FOREIGN = {
    "page": raw(404, "<html>not here</html>"),
    "iis": http(404, {"Message": NO_ROUTE, "MessageDetail": "No type was found that matches the controller."}),
    "text": raw(404, "404 page not found", "text/plain"),
    "page without type": raw(404, "<html>", ""),
    "403 page": raw(403, "<html>403 - Forbidden: Access is denied.</html>"),
    "410 page": raw(410, "<html>gone</html>"),
    "405": http(405, {"Message": "The requested resource does not support http method 'GET'."}),
    "302": raw(302, "", "", "Location: https://login.example.com/"),
    "301": raw(301, "<html>", "text/html", "Location: /elsewhere"),
    "407": raw(407, "", ""),
}


# --- Accounts that do not exist ---------------------------------------------------------------------------------------


@crossed(answer=OWN, first=[0, 5, 70, 140], concurrency=[1, 32])
async def test_sixty_refused_in_a_row_stop_no_run(answer: bytes, first: int, concurrency: int) -> None:
    if answer == UNAUTHORIZED and not first:
        pytest.skip("a token that nobody has taken yet is not tried sixty times")
    ids = account_ids(200)
    refused = set(ids[first : first + 60])
    async with virtual(lambda one, _: answer if one in refused else None) as (_, session, clock):
        run = session.accounts.collect_usage(ids, concurrency=concurrency)
        outcomes = await all_of(run)
        assert clock.now() < 1100
    assert sorted(one.account_id for one in outcomes if one.ok) == sorted(set(ids) - refused)
    assert {one.account_id for one in outcomes if not one.ok} == refused
    assert len(outcomes) == 200
    assert run.progress.pending == 0


@sized("count", 70, 1000)
async def test_a_list_that_begins_with_deleted_accounts_is_looked_at_farther_on(count: int, path: Path) -> None:
    """As one that is sorted by age can. Those that were skipped to find somebody who answers are asked as well."""
    ids = account_ids(count + 1000)
    deleted = set(ids[:count])
    async with virtual(lambda one, _: EMPTY if one in deleted else None) as (server, session, _):
        run = session.accounts.collect_usage(ids, store=path)
        outcomes = await all_of(run)
    assert states(path) == {"ok": 1000, "missing": count}
    assert len(outcomes) == len(ids)
    assert server.requests <= len(ids) + count / 50 + 2


@pytest.mark.parametrize(
    ("answer", "spread"),
    [(EMPTY, "every fourth"), (MESSAGE, "one block"), (EMPTY, "at random"), (FORBIDDEN, "one block")],
)
@sized("count", 800, 4000)
async def test_a_list_of_which_a_quarter_is_deleted_ends_by_itself(
    answer: bytes, spread: str, count: int, path: Path
) -> None:
    ids = account_ids(count)
    quarter = count // 4
    dice = random.Random(2)
    refused = {
        "every fourth": lambda: set(ids[::4]),
        "one block": lambda: set(ids[count * 3 // 8 :][:quarter]),
        "at random": lambda: set(dice.sample(ids, quarter)),
    }[spread]()
    async with virtual(lambda one, _: answer if one in refused else None) as (server, session, _):
        run = session.accounts.collect_usage(ids, store=path)
        outcomes = await all_of(run)
    assert stored(path) == set(ids) - refused  # and each of them once
    assert all(one.usage and one.usage.task_count == usage_of(one.account_id) for one in outcomes if one.ok)
    assert states(path) == {"ok": count - quarter, "forbidden" if answer == FORBIDDEN else "missing": quarter}
    assert len(outcomes) == len({one.account_id for one in outcomes}) == count
    assert server.requests <= count + quarter / 50 + 1, "a witness for every fifty in a row, and one at the end"
    with UsageReader(path) as reader:
        assert reader.run().status == "complete"


@few_of("count", [1_000, 2_000, 20_000], few=1)
@pytest.mark.parametrize("answer", [EMPTY, MESSAGE], ids=["empty", "message"])
async def test_a_run_broken_off_at_90_percent_with_some_missing_is_resumed_to_its_end(
    count: int, answer: bytes, path: Path
) -> None:
    ids = account_ids(count)
    # One in a hundred in the long list; in the short one as many as would once have stopped it.
    missing = set(ids[:: max(20, count // 200)]) if count < 20_000 else set(ids[::100])
    async with virtual(lambda one, _: answer if one in missing else None, ids) as (server, session, _):
        seen = 0
        async with session.accounts.collect_usage(store=path) as run:
            async for _outcome in run:
                seen += 1
                if seen >= 0.9 * count:
                    break
        before = stored(path)
        server.hits.clear()
        run = session.accounts.collect_usage(store=path)
        rest = await all_of(run)
    assert stored(path) == set(ids) - missing
    assert {one.account_id for one in rest if one.ok} == set(ids) - missing - before
    asked_again = [one for one in server.hits if one in before]
    assert len(asked_again) <= 3, "witnesses"
    assert run.progress.missing == len(missing)
    assert run.progress.pending == 0
    assert states(path)["missing"] == len(missing)


async def test_what_was_settled_is_not_asked_again_first(path: Path) -> None:
    ids = account_ids(300)
    missing = set(ids[50:150])
    async with (
        PartnerServer(ids, lambda one, _: MESSAGE if one in missing else None) as server,
        server.session() as session,
    ):
        async with session.accounts.collect_usage(store=path, concurrency=1) as run:
            async for _ in run:
                if run.progress.done >= 200:
                    break
        with closing(sqlite3.connect(path)) as store:
            states = dict(store.execute("SELECT account_id, state FROM item"))
        new = {one for one, state in states.items() if state == "pending"}
        assert len(new) > 50
        assert {one for one, state in states.items() if state == "missing"} == missing
        server.hits.clear()
        await all_of(session.accounts.collect_usage(store=path, concurrency=1))
    asked = list(server.hits)
    assert set(asked[: len(new)]) == new
    assert set(asked[len(new) :]) - {ids[-1]} == missing  # and the one that answered last, as a witness


@crossed(answer={"empty": EMPTY, "message": MESSAGE, "403": FORBIDDEN, "401": UNAUTHORIZED}, count=[2, 30, 120])
async def test_when_everybody_is_refused_the_run_ends_and_nobody_is_booked(
    answer: bytes, count: int, path: Path
) -> None:
    ids = account_ids(count)
    outcomes: list[UsageOutcome] = []
    async with virtual(lambda _one, _: answer) as (server, session, _):
        for _ in range(2):
            run = session.accounts.collect_usage(ids, store=path)
            with pytest.raises(BulkInterruptedError, match="stay pending") as caught:
                await all_of(run, outcomes)
            assert caught.value.reason == ("authentication" if answer == UNAUTHORIZED else "systemic")
            assert caught.value.resumable
            assert outcomes == []
            assert run.progress.pending == run.progress.asked
        assert server.requests <= 2 * (50 + 8 + 16)
        server.reply = lambda _account, _nth: None
        healed = await all_of(session.accounts.collect_usage(ids, store=path))
    assert sorted(one.account_id for one in healed if one.ok) == ids


@pytest.mark.parametrize("answer", [EMPTY, MESSAGE, FORBIDDEN], ids=["empty", "message", "403"])
async def test_the_one_account_asked_for_that_does_not_exist_is_an_answer(answer: bytes) -> None:
    async with virtual(lambda _one, _: answer) as (_, session, _clock):
        (only,) = await all_of(session.accounts.collect_usage(account_ids(1)))
    assert isinstance(only.error, (NotFoundError, ForbiddenError))


async def test_accounts_that_are_refused_with_a_good_token_are_failures_of_their_own() -> None:
    ids = account_ids(400)
    refused = set(ids[50:100]) | set(ids[::7])
    async with virtual(lambda one, _: UNAUTHORIZED if one in refused else None) as (_, session, _clock):
        run = session.accounts.collect_usage(ids)
        outcomes = await all_of(run)
    assert {one.account_id for one in outcomes if isinstance(one.error, UnauthorizedError)} == refused
    assert run.progress.failed == len(refused)
    assert run.progress.ok == 400 - len(refused)


async def test_a_witness_that_was_deleted_is_no_proof() -> None:
    """The account that answered last is deleted itself, before fifty in a row are refused."""
    ids = account_ids(100)

    def reply(one: str, nth: int) -> bytes | None:
        return MESSAGE if one in ids[10:70] or (one == ids[9] and nth > 1) else None

    async with virtual(reply) as (server, session, _):
        run = session.accounts.collect_usage(ids, concurrency=1)
        await all_of(run)
    assert (run.progress.ok, run.progress.missing) == (40, 60)
    assert server.hits[ids[9]] == 2


async def test_a_witness_that_fails_is_asked_again() -> None:
    ids = account_ids(100)

    def reply(one: str, nth: int) -> bytes | None:
        if one in ids[10:70]:
            return MESSAGE
        return http(500, {}) if one in ids[:10] and 1 < nth < 4 else None

    async with virtual(reply) as (_, session, _clock):
        run = session.accounts.collect_usage(ids, concurrency=1)
        await all_of(run)
    assert (run.progress.ok, run.progress.missing, run.progress.failed) == (40, 60, 0)


async def test_an_empty_404_at_the_very_end_is_believed_only_while_others_answer(path: Path) -> None:
    """A proxy loses its backend when ten accounts are left: its empty 404s would look like accounts that are gone."""
    ids = account_ids(100)
    async with virtual() as (server, session, _):
        server.reply = lambda _account, _nth: EMPTY if server.requests > 90 else None
        run = session.accounts.collect_usage(ids, store=path)
        with pytest.raises(BulkInterruptedError, match="had answered before"):
            await all_of(run)
        assert (run.progress.ok, run.progress.missing, run.progress.pending) == (90, 0, 10)
        server.reply = lambda _account, _nth: None
        await all_of(session.accounts.collect_usage(ids, store=path))
    assert stored(path) == set(ids)


# --- Answers that are not the API's -----------------------------------------------------------------------------------


@crossed(answer=FOREIGN, count=[1, 2, 60])
async def test_nothing_but_foreign_answers_ends_the_run_at_once_and_books_nobody(
    answer: bytes, count: int, path: Path
) -> None:
    ids = account_ids(count)
    outcomes: list[UsageOutcome] = []
    async with virtual(lambda _one, _: answer) as (server, session, clock):
        run = session.accounts.collect_usage(ids, store=path)
        with pytest.raises(BulkInterruptedError, match="base URL") as caught:
            await all_of(run, outcomes)
        assert (caught.value.resumable, outcomes) == (True, [])
        assert clock.now() < 1100, "not waited for: nothing has ever answered"
        assert set(states(path)) == {"pending"}
        server.reply = lambda _account, _nth: None
        await all_of(session.accounts.collect_usage(ids, store=path))
    assert stored(path) == set(ids)


@pytest.mark.parametrize("answer", FOREIGN.values(), ids=FOREIGN)
async def test_foreign_answers_for_a_while_are_an_outage(answer: bytes) -> None:
    ids = account_ids(300)
    until = math.inf
    async with virtual() as (server, session, clock):

        def reply(_account: str, _nth: int) -> bytes | None:
            nonlocal until
            if server.requests == 100:
                until = clock.now() + 300
            return answer if server.requests >= 100 and clock.now() < until else None

        server.reply = reply
        run = session.accounts.collect_usage(ids)
        outcomes = await all_of(run)
        assert clock.now() >= until
    assert sorted(one.account_id for one in outcomes if one.ok) == ids


@pytest.mark.parametrize("answer", FOREIGN.values(), ids=FOREIGN)
async def test_foreign_answers_that_last_end_the_run_as_an_outage(answer: bytes, path: Path) -> None:
    ids = account_ids(300)
    async with virtual() as (server, session, _):
        server.reply = lambda _account, _nth: answer if server.requests >= 100 else None
        run = session.accounts.collect_usage(ids, store=path, max_outage=120)
        with pytest.raises(BulkInterruptedError) as caught:
            await all_of(run)
        assert (caught.value.reason, caught.value.resumable) == ("outage", True)
        assert set(states(path)) == {"ok", "pending"}
        assert states(path)["ok"] == 99
        server.reply = lambda _account, _nth: None
        await all_of(session.accounts.collect_usage(ids, store=path))
    assert stored(path) == set(ids)


@pytest.mark.parametrize("answer", [FOREIGN["page"], FOREIGN["302"], FOREIGN["iis"]], ids=["page", "302", "iis"])
async def test_a_foreign_answer_for_one_account_alone_is_a_failure_and_not_a_missing_account(answer: bytes) -> None:
    ids = account_ids(60)
    async with virtual(lambda one, _: answer if one == ids[30] else None) as (_, session, _clock):
        run = session.accounts.collect_usage(ids)
        outcomes = await all_of(run)
    (failed,) = [one for one in outcomes if not one.ok]
    assert isinstance(failed.error, (NotFoundError, UnexpectedRedirectError))
    assert (run.progress.ok, run.progress.missing, run.progress.failed) == (59, 0, 1)


@pytest.mark.parametrize("answer", [FOREIGN["page"], FOREIGN["302"], FOREIGN["iis"]], ids=["page", "302", "iis"])
async def test_an_account_list_at_a_wrong_address_ends_the_run_at_once(answer: bytes, path: Path) -> None:
    async with virtual(partner="partner") as (server, session, clock):
        server.always = answer
        with pytest.raises(BulkInterruptedError, match="account list cannot be had") as caught:
            await all_of(session.accounts.collect_usage(store=path))
        assert isinstance(caught.value.__cause__, ResponseError)
        assert caught.value.resumable
        assert len(server.targets) == 1
        assert clock.now() == 1000


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (FOREIGN["page"], "not an answer of the API"),
        (FOREIGN["iis"], "not an answer of the API"),
        (FOREIGN["text"], "not an answer of the API"),
        (EMPTY, "no such account"),
        (MESSAGE, "none"),
    ],
)
async def test_a_single_call_says_whose_404_it_is(answer: bytes, words: str) -> None:
    async with PartnerServer(reply=lambda _one, _: answer) as server, server.session() as session:
        with pytest.raises(NotFoundError, match=words) as caught:
            await session.accounts.usage("a")
        assert caught.value.status == 404
        assert ("not an answer of the API" in caught.value.message) is (words == "not an answer of the API")


# --- Busy, and limits -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("asked", "waited"), [("30", 30.0), ("9999", 900.0)])
async def test_a_retry_after_pauses_every_worker(status: int, asked: str, waited: float) -> None:
    ids = account_ids(400)
    moments: list[float] = []
    told: list[float] = []
    clock_of: list[Callable[[], float]] = []

    def reply(account: str, nth: int) -> bytes | None:
        moments.append(clock_of[0]())
        if account == ids[150] and nth <= 2:
            told.append(clock_of[0]())
            return http(status, {"Message": "busy"}, f"Retry-After: {asked}")
        return None

    async with virtual(reply) as (_, session, clock):
        clock_of.append(clock.now)
        outcomes = await all_of(session.accounts.collect_usage(ids))
    assert sorted(one.account_id for one in outcomes if one.ok) == ids
    assert len(told) == 2
    for moment in told:
        assert not [at for at in moments if moment < at < moment + waited]
    assert max(moments) < 1000 + 2 * 1.3 * waited + 60


async def test_a_503_that_names_its_end_does_not_make_an_account_fail() -> None:
    ids = account_ids(30)

    def reply(account: str, nth: int) -> bytes | None:
        return http(503, {}, "Retry-After: 2") if account == ids[3] and nth <= 15 else None

    async with virtual(reply) as (_, session, _clock):
        outcomes = await all_of(session.accounts.collect_usage(ids, passes=0))
    assert all(one.ok for one in outcomes)


@pytest.mark.parametrize("limit", [5.0, 30.0, 60.0])
async def test_an_outage_that_is_over_just_before_the_limit_is_survived(limit: float) -> None:
    ids = account_ids(60)
    async with virtual() as (server, session, clock):
        ends = clock.now() + limit - 0.01
        server.reply = lambda _account, _nth: http(500, {}) if clock.now() < ends else None
        outcomes = await all_of(session.accounts.collect_usage(ids, max_outage=limit))
    assert sorted(one.account_id for one in outcomes if one.ok) == ids


async def test_no_outage_at_all_is_borne_with_0() -> None:
    async with virtual(lambda _account, _nth: http(500, {})) as (_, session, clock):
        with pytest.raises(BulkInterruptedError) as caught:
            await all_of(session.accounts.collect_usage(account_ids(100), max_outage=0))
        assert caught.value.reason == "outage"
        assert clock.now() < 1010


@pytest.mark.parametrize("limit", [-1, math.nan, None, "60", True, -math.inf])
async def test_a_limit_that_makes_no_sense_is_refused(limit: object) -> None:
    async with PartnerServer() as server, server.session() as session:
        with pytest.raises(InvalidArgumentError, match="max_outage"):
            session.accounts.collect_usage([], max_outage=limit)  # type: ignore[arg-type]
        assert await all_of(session.accounts.collect_usage([], max_outage=math.inf)) == []


async def test_5xx_of_one_account_among_deleted_ones() -> None:
    """Both kinds of trouble at once: neither hides the other."""
    ids = account_ids(300)
    deleted, failing = set(ids[40:140]), set(ids[200:206])

    def reply(one: str, _nth: int) -> bytes | None:
        return EMPTY if one in deleted else http(500, {}) if one in failing else None

    async with virtual(reply) as (_, session, _clock):
        run = session.accounts.collect_usage(ids)
        outcomes = await all_of(run)
    assert {one.account_id for one in outcomes if isinstance(one.error, ServerError)} == failing
    assert (run.progress.ok, run.progress.missing, run.progress.failed) == (194, 100, 6)
