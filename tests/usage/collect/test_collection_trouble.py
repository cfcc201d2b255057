"""A bulk run while the service is unwell. Time is virtual: hours pass in milliseconds."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest

from cyclr_async import AsyncPartnerSession, ClientCredentials
from cyclr_async.errors import (
    BulkInterruptedError,
    NotFoundError,
    RateLimitedError,
    ServerError,
    TruncatedResponseError,
)
from cyclr_async.usage.collect.outcome import UsageOutcome
from cyclr_async.usage.collect.progress import Progress
from tests.support.clock import VirtualClock
from tests.support.sizes import crossed, sized
from tests.support.usage_server import DROP, PartnerServer, account_ids, all_of, http, stored, usage_of, virtual

BUSY = http(429, {"Message": "slow down"}, "Retry-After: 30")
FAILED = http(500, {"Message": "failed"})
HTML = http(200)
NOT_FOUND = http(404, {"Message": "none"})
FORBIDDEN = http(403, {"Message": "no"})
UNAUTHORIZED = http(401, {"Message": "who"})


class Outage:
    """Everything fails from a given request on, for some seconds."""

    def __init__(self, after: int, seconds: float, answer: bytes) -> None:
        self.clock: VirtualClock
        self.after = after
        self.seconds = seconds
        self.answer = answer
        self.began: float | None = None
        self.seen = self.sent_into_it = 0

    def __call__(self, _account: str, _nth: int) -> bytes | None:
        self.seen += 1
        if self.began is None and self.seen > self.after:
            self.began = self.clock.now()
        if self.began is None or self.clock.now() >= self.began + self.seconds:
            return None
        self.sent_into_it += 1
        return self.answer


@crossed(answer={"500": FAILED, "closed": DROP, "html": HTML, "503": http(503)}, delay=[0.0, 0.004], after=[0, 200])
async def test_an_outage_of_ten_minutes_is_waited_for(answer: bytes, delay: float, after: int) -> None:
    ids = account_ids(400)
    outage = Outage(after, 600.0, answer)
    told: list[Progress] = []
    async with virtual(outage, delay=delay) as (_, session, outage.clock):
        run = session.accounts.collect_usage(ids, on_progress=told.append)
        outcomes = await all_of(run)
    assert sorted(one.account_id for one in outcomes) == ids
    assert all(one.ok for one in outcomes)
    assert 20 <= outage.sent_into_it <= 60
    assert run.progress.elapsed >= 600
    assert any(one.paused for one in told)
    assert not run.progress.paused


async def test_an_outage_that_lasts_too_long_ends_the_run_and_no_account_is_marked_failed(path: Path) -> None:
    ids = account_ids(800)
    outage = Outage(300, 7200.0, FAILED)
    outcomes: list[UsageOutcome] = []
    async with virtual(outage) as (_, session, outage.clock):
        run = session.accounts.collect_usage(ids, store=path, max_outage=1800)
        with pytest.raises(BulkInterruptedError, match="out for") as caught:
            await all_of(run, outcomes)
        assert (caught.value.reason, caught.value.resumable) == ("outage", True)
        assert all(one.ok for one in outcomes)
        assert run.progress.failed == 0
        assert 1700 <= outage.clock.now() - (outage.began or 0) <= 1800
        collected = stored(path)
        assert len(collected) >= 270
        outage.clock.advance(7200)
        rest = await all_of(session.accounts.collect_usage(ids, store=path))
        assert {one.account_id for one in rest} == set(ids) - collected
    assert stored(path) == set(ids)


async def test_without_a_store_such_an_end_is_not_resumable() -> None:
    outage = Outage(0, 1e9, DROP)
    async with virtual(outage) as (_, session, outage.clock):
        with pytest.raises(BulkInterruptedError) as caught:
            await all_of(session.accounts.collect_usage(account_ids(50), max_outage=100))
    assert (caught.value.reason, caught.value.resumable) == ("outage", False)


async def test_every_account_is_collected_through_5_percent_of_mixed_faults() -> None:
    ids = account_ids(1500)
    dice = random.Random(3)
    faults = [FAILED, DROP, HTML, http(502), http(503, {}, "Retry-After: 1"), BUSY, http(504)]
    injected: Counter[bytes] = Counter()

    def reply(_account: str, _nth: int) -> bytes | None:
        if dice.random() >= 0.05:
            return None
        fault = dice.choice(faults)
        injected[fault] += 1
        return fault

    async with virtual(reply, ids) as (server, session, _):
        run = session.accounts.collect_usage()
        outcomes = await all_of(run)
    assert sorted(one.account_id for one in outcomes if one.ok) == ids
    assert all(one.usage and one.usage.task_count == usage_of(one.account_id) for one in outcomes)
    assert len(injected) == len(faults)
    assert sum(one.attempts for one in outcomes) == server.requests == 1500 + injected.total()


async def test_being_told_to_slow_down_pauses_everybody_and_loses_nothing() -> None:
    ids = account_ids(400)
    moments: list[float] = []
    limited: list[float] = []
    clocks: list[VirtualClock] = []

    def reply(account: str, nth: int) -> bytes | None:
        moments.append(clocks[0].now())
        if account == ids[150] and nth <= 3:
            limited.append(clocks[0].now())
            return BUSY
        return None

    async with virtual(reply) as (server, session, clock):
        clocks.append(clock)
        run = session.accounts.collect_usage(ids)
        outcomes = await all_of(run)
    assert sorted(one.account_id for one in outcomes if one.ok) == ids
    assert len(limited) == 3
    for moment in limited:
        assert not [at for at in moments if moment < at < moment + 30]
    assert server.requests == 403


async def test_limited_for_good_ends_as_a_failure_of_the_account() -> None:
    ids = account_ids(60)
    async with virtual(lambda one, _: BUSY if one == ids[30] else None) as (_, session, _clock):
        outcomes = await all_of(session.accounts.collect_usage(ids))
    failed = [one for one in outcomes if not one.ok]
    assert [one.account_id for one in failed] == [ids[30]]
    assert isinstance(failed[0].error, RateLimitedError)
    assert len(outcomes) == 60


@pytest.mark.parametrize("passes", [0, 1, 2])
async def test_accounts_that_fail_alone_are_put_off_and_fail_at_the_end(passes: int) -> None:
    ids = account_ids(500)
    bad = {*ids[10:13], *ids[200:204]}
    recovering = ids[300]

    def reply(account: str, nth: int) -> bytes | None:
        return FAILED if account in bad or (account == recovering and nth <= 5) else None

    async with virtual(reply) as (server, session, clock):
        run = session.accounts.collect_usage(ids, passes=passes)
        outcomes = await all_of(run)
    failed = {one.account_id: one for one in outcomes if not one.ok}
    assert set(failed) == (bad if passes else bad | {recovering})
    assert all(isinstance(one.error, ServerError) for one in failed.values())
    assert all(5 * (passes + 1) <= one.attempts <= 8 * (passes + 1) for one in failed.values())
    assert {one.attempts for one in outcomes if one.ok} <= {1, 6, 7}
    assert len(outcomes) == len({one.account_id for one in outcomes}) == 500
    assert server.requests <= 493 + 7 * 8 * (passes + 1) + 20
    assert clock.now() < 1000 + 300, "taken for an outage"
    if passes:
        # put off means that it does not hold up the others
        assert {one.account_id for one in outcomes[-8:]} == bad | {recovering}
    assert run.progress.failed == len(failed)


async def test_many_accounts_that_fail_are_not_taken_for_an_outage_also_when_only_they_are_left(path: Path) -> None:
    ids = account_ids(120)
    bad = set(ids[::4])
    async with virtual(lambda one, _: FAILED if one in bad else None) as (_, session, clock):
        first = session.accounts.collect_usage(ids, store=path)
        outcomes = await all_of(first)
        assert {one.account_id for one in outcomes if not one.ok} == bad
        again = session.accounts.collect_usage(ids, store=path)
        outcomes = await all_of(again)
        assert {one.account_id for one in outcomes} == bad
        assert (again.progress.ok, again.progress.failed, again.progress.pending) == (90, 30, 0)
        assert clock.now() < 1000 + 1800, "taken for an outage"


async def test_a_later_pass_ends_when_fewer_workers_are_wanted_than_accounts_are_left() -> None:
    """Overload has cut the limit to one call under way, and several accounts wait for the next pass."""
    ids = account_ids(16)
    bad = set(ids[:12])
    async with virtual(lambda one, nth: FAILED if one in bad and nth <= 7 else None) as (_, session, _clock):
        run = session.accounts.collect_usage(ids, concurrency=16)
        outcomes = await all_of(run)
    assert sorted(one.account_id for one in outcomes if one.ok) == ids


@pytest.mark.parametrize("answer", [NOT_FOUND, FORBIDDEN], ids=["404", "403"])
async def test_denied_everywhere_stops_the_run_instead_of_writing_everybody_off(answer: bytes, path: Path) -> None:
    ids = account_ids(1000)
    outcomes: list[UsageOutcome] = []
    async with virtual(lambda _account, _nth: answer) as (server, session, _):
        with pytest.raises(BulkInterruptedError, match="in a row were refused") as caught:
            await all_of(session.accounts.collect_usage(ids, store=path), outcomes)
        assert (caught.value.reason, caught.value.resumable) == ("systemic", True)
        assert len(outcomes) < 50
        assert server.requests <= 50 + 32
        server.reply = lambda _account, _nth: None
        rest = await all_of(session.accounts.collect_usage(ids, store=path))
        assert sorted(one.account_id for one in rest if one.ok) == ids


@pytest.mark.parametrize("answer", [NOT_FOUND, FORBIDDEN, http(404, ""), UNAUTHORIZED], ids=["404", "403", "?", "401"])
@sized("middle", 250, 1000)
async def test_denied_from_the_middle_on_stops_the_run_as_well(answer: bytes, middle: int, path: Path) -> None:
    ids = account_ids(3 * middle)
    outcomes: list[UsageOutcome] = []
    async with virtual() as (server, session, _clock):
        server.reply = lambda _account, _nth: answer if server.requests > middle else None
        with pytest.raises(BulkInterruptedError, match="had answered before") as caught:
            await all_of(session.accounts.collect_usage(ids, store=path), outcomes)
        assert caught.value.reason == ("authentication" if answer == UNAUTHORIZED else "systemic")
        assert sum(one.ok for one in outcomes) == len(outcomes) == middle
        server.reply = lambda _account, _nth: None
        rest = await all_of(session.accounts.collect_usage(ids, store=path))
    assert sorted(one.account_id for one in [*outcomes, *rest]) == ids


async def test_a_token_that_is_refused_ends_the_run_after_three_accounts(path: Path) -> None:
    async with virtual(lambda _account, _nth: UNAUTHORIZED) as (server, session, _):
        with pytest.raises(BulkInterruptedError) as caught:
            await all_of(session.accounts.collect_usage(account_ids(1000), store=path))
    assert (caught.value.reason, caught.value.resumable) == ("authentication", True)
    assert server.requests <= 3 + 32


async def test_wrong_credentials_end_the_run_at_once(path: Path) -> None:
    refused = http(400, {"error": "invalid_client"})
    async with PartnerServer() as server:
        server.always = refused
        token_url = server.base_url.replace("/api/partner", "/oauth/token")
        auth = ClientCredentials("id", "wrong")
        for source in (account_ids(500), None):
            async with AsyncPartnerSession(auth, base_url=server.base_url, token_url=token_url) as session:
                with pytest.raises(BulkInterruptedError, match="credentials were refused") as caught:
                    await all_of(session.accounts.collect_usage(source, store=path))
            assert (caught.value.reason, caught.value.resumable) == ("authentication", True)
    assert set(server.targets) == {"/oauth/token"}


@crossed(cuts=[[0], [1], [400], [900, 100, 999]], unframed={"chunked": False, "no length": True})
async def test_a_list_that_breaks_off_is_read_again_into_a_store(cuts: list[int], unframed: bool, path: Path) -> None:
    ids = account_ids(1000)
    async with virtual(listed=ids) as (server, session, _):
        server.unframed = unframed
        server.cuts = list(cuts)
        run = session.accounts.collect_usage(store=path)
        outcomes = await all_of(run)
    assert sorted(one.account_id for one in outcomes if one.ok) == ids
    assert server.lists == 1 + len(cuts)
    assert server.requests == 1000
    assert run.progress.listing_complete


async def test_a_list_that_always_breaks_off_never_looks_complete(path: Path) -> None:
    ids = account_ids(1000)
    outcomes: list[UsageOutcome] = []
    async with virtual(listed=ids) as (server, session, _):
        server.cuts = [100, 300, 200, 250]
        run = session.accounts.collect_usage(store=path)
        with pytest.raises(BulkInterruptedError, match="the account list broke off") as caught:
            await all_of(run, outcomes)
        assert caught.value.resumable
        assert isinstance(caught.value.__cause__, TruncatedResponseError)
        # The last account before the break is not complete without the comma and the brace that would follow it.
        assert sorted(one.account_id for one in outcomes if one.ok) == ids[:299]
        assert not run.progress.listing_complete
        rest = await all_of(session.accounts.collect_usage(store=path))
        assert sorted(one.account_id for one in rest if one.ok) == ids[299:]
    assert stored(path) == set(ids)


@crossed(cuts=[[0], [1], [600], [900, 100, 999]], unframed={"no length": True, "chunked": False})
async def test_a_list_that_breaks_off_is_read_again_without_a_store(cuts: list[int], unframed: bool) -> None:
    ids = account_ids(1000)
    async with virtual(listed=ids) as (server, session, _):
        server.unframed = unframed
        server.cuts = list(cuts)
        run = session.accounts.collect_usage()
        outcomes = await all_of(run)
    assert sorted(one.account_id for one in outcomes if one.ok) == ids
    assert set(server.hits.values()) == {1}
    assert server.lists == 1 + len(cuts)
    assert run.progress.listing_complete


async def test_without_a_store_what_was_listed_is_collected_before_the_run_says_that_it_is_not_all() -> None:
    ids = account_ids(1000)
    outcomes: list[UsageOutcome] = []
    async with virtual(listed=ids) as (server, session, _):
        server.cuts = [600] * 4
        with pytest.raises(BulkInterruptedError, match="the account list broke off") as caught:
            await all_of(session.accounts.collect_usage(), outcomes)
    assert not caught.value.resumable
    assert sorted(one.account_id for one in outcomes if one.ok) == ids[:599]


@pytest.mark.parametrize("seconds", [50.0, 3000.0])
async def test_an_account_list_that_does_not_begin_is_waited_for_as_long_as_an_outage(seconds: float) -> None:
    ids = account_ids(20)
    async with virtual(listed=ids) as (server, session, clock):
        server.always = http(503, {}, "Retry-After: 5")

        async def recover() -> None:
            await clock.sleep(seconds)
            server.always = None

        recovering = asyncio.ensure_future(recover())
        outcomes = await all_of(session.accounts.collect_usage(max_outage=3000))
        await recovering
        assert sorted(one.account_id for one in outcomes if one.ok) == ids


async def test_an_account_list_that_never_begins_ends_the_run_at_the_limit(path: Path) -> None:
    async with virtual(lambda _account, _nth: None, partner="partner") as (server, session, clock):
        server.always = FAILED
        with pytest.raises(BulkInterruptedError, match="accounts may be missing") as caught:
            await all_of(session.accounts.collect_usage(store=path, max_outage=100))
        assert caught.value.resumable
        assert 1100 <= clock.now() < 1110


async def test_a_refused_list_is_the_error_itself() -> None:
    async with PartnerServer() as server, server.session() as session:
        server.always = NOT_FOUND
        with pytest.raises(NotFoundError):
            await all_of(session.accounts.collect_usage())
    assert len(server.targets) == 1


async def test_nothing_but_429_ends_the_run_like_an_outage() -> None:
    ids = account_ids(30)
    async with virtual(lambda _account, _nth: http(429, {}, "Retry-After: 7")) as (_, session, clock):
        run = session.accounts.collect_usage(ids, max_outage=60)
        began = clock.now()
        with pytest.raises(BulkInterruptedError, match="nothing but 429") as caught:
            await all_of(run)
        assert caught.value.reason == "outage"
        assert 60 <= clock.now() - began < 120
        assert (run.progress.pending, run.progress.failed) == (run.progress.asked, 0)


async def test_429_between_answers_is_no_outage() -> None:
    ids = account_ids(12)

    def answer(_account: str, nth: int) -> bytes | None:
        return http(429, {}, "Retry-After: 7") if nth < 3 else None

    async with virtual(answer) as (_, session, _clock):
        outcomes = await all_of(session.accounts.collect_usage(ids, max_outage=3600))
        assert all(one.ok for one in outcomes)
        assert len(outcomes) == len(ids)
