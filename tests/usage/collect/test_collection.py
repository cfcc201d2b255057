"""What a bulk run yields: every account once, from any source, in bounded memory."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import date
from typing import Any

import pytest

from cyclr_async import InvalidArgumentError, NotFoundError
from cyclr_async.errors import BulkInterruptedError, ConfigurationError, ForbiddenError
from cyclr_async.usage.collect.collection import Collection
from cyclr_async.usage.collect.outcome import UsageOutcome
from cyclr_async.usage.collect.progress import Progress
from tests.support.usage_make import account
from tests.support.usage_server import PartnerServer, account_ids, all_of, consistent, http, usage_of


async def test_every_account_of_the_list_once_with_what_the_list_says_of_it() -> None:
    ids = account_ids(1200)
    async with PartnerServer(ids) as server, server.session() as session:
        run = session.accounts.collect_usage()
        outcomes = await all_of(run)
    assert Counter(outcome.account_id for outcome in outcomes) == Counter(ids)
    assert all(one.usage is not None and one.usage.task_count == usage_of(one.account_id) for one in outcomes)
    assert all(one.account is not None and one.account.id == one.account_id for one in outcomes)
    assert {one.account.audit_info for one in outcomes if one.account} == {"listed"}
    assert run.progress.ok == run.progress.asked == 1200
    assert run.progress.listing_complete
    assert set(server.hits.values()) == {1}
    assert server.lists == 1


@pytest.mark.parametrize("count", [0, 1, 7, 3000])
@pytest.mark.parametrize("kind", ["list", "generator", "async", "listed"])
async def test_ids_from_every_kind_of_source(kind: str, count: int) -> None:
    ids = account_ids(count)

    async def slowly() -> AsyncIterator[str]:
        for number, one in enumerate(ids):
            if number % 100 == 0:
                await asyncio.sleep(0)
            yield one

    async with PartnerServer(ids) as server, server.session() as session:
        source: Any = {"list": ids, "generator": iter(ids), "async": slowly(), "listed": None}[kind]
        run = session.accounts.collect_usage(source)
        outcomes = await all_of(run)
    assert sorted(outcome.account_id for outcome in outcomes) == ids
    assert (run.progress.asked, run.progress.ok, run.progress.eta) == (count, count, run.progress.eta)
    assert server.requests == count


async def test_ids_are_pulled_as_they_are_needed() -> None:
    pulled = 0

    def endless() -> Iterator[str]:
        nonlocal pulled
        while True:
            pulled += 1
            yield f"{pulled:032x}"

    async with PartnerServer() as server, server.session() as session:
        async with session.accounts.collect_usage(endless(), concurrency=4) as run:
            for number in range(1, 101):
                await anext(run)
                assert pulled <= number + 40
        assert server.requests <= 100 + 4 * 4


async def test_a_slow_consumer_holds_the_workers_back() -> None:
    async with (
        PartnerServer() as server,
        server.session() as session,
        session.accounts.collect_usage(account_ids(1000), concurrency=3) as run,
    ):
        await anext(run)
        await asyncio.sleep(0.1)
        waiting = server.requests
        assert waiting <= 1 + 6 + 3
        await asyncio.sleep(0.05)
        assert server.requests == waiting
        assert len([one async for one in run]) == 999


async def test_a_source_that_waits_for_outcomes_gets_them() -> None:
    """Nothing waits for a batch to fill: a source that yields a few and waits for them is served."""
    done = asyncio.Event()

    async def by_threes() -> AsyncIterator[str]:
        for start in range(0, 12, 3):
            done.clear()
            for one in account_ids(3, start):
                yield one
            await done.wait()

    async with PartnerServer() as server, server.session() as session, asyncio.timeout(5):
        seen = 0
        async with session.accounts.collect_usage(by_threes()) as run:
            async for _ in run:
                seen += 1
                if seen % 3 == 0:
                    done.set()
    assert seen == 12


async def test_never_more_calls_under_way_than_asked_for() -> None:
    async with PartnerServer(delay=0.002) as server, server.session() as session:
        await all_of(session.accounts.collect_usage(account_ids(400), concurrency=5))
        assert server.most_active == 5
        server.most_active = 0
        await all_of(session.accounts.collect_usage(account_ids(600)))
        assert 8 < server.most_active <= 32


async def test_missing_and_forbidden_are_outcomes() -> None:
    ids = account_ids(300)
    special = {ids[40]: http(404, {"Message": "none"}), ids[41]: http(403, {"Message": "no"})}
    async with PartnerServer(reply=lambda one, _: special.get(one)) as server, server.session() as session:
        run = session.accounts.collect_usage(ids)
        outcomes = {one.account_id: one for one in await all_of(run)}
    assert isinstance(outcomes[ids[40]].error, NotFoundError)
    assert isinstance(outcomes[ids[41]].error, ForbiddenError)
    progress = run.progress
    assert (progress.ok, progress.missing, progress.forbidden, progress.failed) == (298, 1, 1, 0)
    assert set(server.hits.values()) == {1}


async def test_invalid_ids_in_the_middle_are_outcomes() -> None:
    good = account_ids(20)
    bad: list[object] = ["", "../details", "a b", "x" * 5000, None, 7, "\ud800", "%2e%2e"]
    mixed: list[object] = [*good[:10], *bad, *good[10:]]
    async with PartnerServer() as server, server.session() as session:
        run = session.accounts.collect_usage(mixed)  # type: ignore[arg-type]
        outcomes = await all_of(run)
    failed = [one for one in outcomes if not one.ok]
    assert sorted(one.account_id for one in outcomes if one.ok) == good
    assert sorted(one.account_id for one in failed) == sorted(str(one) for one in bad)
    assert all(isinstance(one.error, InvalidArgumentError) and one.attempts == 0 for one in failed)
    assert (run.progress.asked, run.progress.ok, run.progress.failed) == (28, 20, 8)
    assert server.requests == 20


async def test_an_id_given_twice_is_asked_twice_and_counted_twice() -> None:
    one = account_ids(1)[0]
    async with PartnerServer() as server, server.session() as session:
        run = session.accounts.collect_usage([one, one])
        assert len(await all_of(run)) == 2
    assert (run.progress.asked, run.progress.ok) == (2, 2)


async def test_accounts_are_taken_as_they_are() -> None:
    ids = account_ids(5)
    given = [account(one, name=f"mine {one[-1]}") for one in ids]
    async with PartnerServer() as server, server.session() as session:
        outcomes = await all_of(session.accounts.collect_usage(given))
    assert {one.account_id: one.account.name for one in outcomes if one.account} == {one.id: one.name for one in given}


async def test_the_error_of_a_source_reaches_the_consumer_as_it_is() -> None:
    def failing() -> Iterator[str]:
        yield from account_ids(3)
        raise LookupError("no more rows")

    async with PartnerServer() as server, server.session() as session:
        run = session.accounts.collect_usage(failing())
        with pytest.raises(LookupError, match="no more rows"):
            await all_of(run)
        assert consistent(run.progress)


async def test_progress_is_told_and_a_broken_listener_does_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    told: list[Progress] = []

    def listen(progress: Progress) -> None:
        told.append(progress)
        raise RuntimeError("listener")

    async with PartnerServer(delay=0.01) as server, server.session() as session:
        run = session.accounts.collect_usage(account_ids(300), concurrency=8, on_progress=listen)
        assert len(await all_of(run)) == 300
    assert told[-1] == run.progress
    assert told[-1].done == 300
    assert told[-1].rate > 0
    assert all(consistent(one) for one in told)
    assert [one.done for one in told] == sorted(one.done for one in told)
    assert len(told) <= 3 + run.progress.elapsed / 0.25
    assert "on_progress raised" in caplog.text


async def test_what_cannot_be_a_run_is_refused_at_once() -> None:
    async with PartnerServer() as server, server.session() as session:
        collect = session.accounts.collect_usage
        for wrong in ("abc", b"abc", 5):
            with pytest.raises(InvalidArgumentError):
                collect(wrong)  # type: ignore[arg-type]
        with pytest.raises(InvalidArgumentError):
            collect([], concurrency=0)
        with pytest.raises(InvalidArgumentError):
            collect([], passes=-1)
        run = collect([], from_date=date(2026, 10, 1))
        with pytest.raises(ConfigurationError, match="inside its block"):
            await anext(run)
        assert await all_of(run) == []
        with pytest.raises(ConfigurationError, match="once"):
            await run.__aenter__()


async def test_the_period_is_asked_for() -> None:
    one = account_ids(1)[0]
    async with PartnerServer() as server, server.session() as session:
        await all_of(session.accounts.collect_usage([one], from_date=date(2026, 10, 1)))
    assert server.targets == [f"/api/partner/accounts/{one}/billing?fromDate=2026-10-01"]


async def test_one_account_of_the_list_that_cannot_be_read_does_not_lose_the_others() -> None:
    ids = account_ids(500)
    rows: list[str | dict[str, object]] = [*ids[:250], {"Id": 5, "Name": []}, *ids[250:]]
    async with PartnerServer(rows) as server, server.session() as session:
        run = session.accounts.collect_usage()
        outcomes: list[UsageOutcome] = []
        problem = r"1 accounts of the list could not be read.*\$\[250\]"
        with pytest.raises(BulkInterruptedError, match=problem) as caught:
            await all_of(run, outcomes)
    assert sorted(one.account_id for one in outcomes) == ids
    assert not caught.value.resumable
    assert not run.progress.listing_complete


async def test_several_consumers_share_a_run() -> None:
    ids = account_ids(200)
    seen: list[str] = []

    async def consume(run: Collection) -> None:
        async for outcome in run:
            seen.append(outcome.account_id)

    async with (
        PartnerServer() as server,
        server.session() as session,
        session.accounts.collect_usage(ids, concurrency=4) as run,
    ):
        async with asyncio.timeout(10):
            await asyncio.gather(*(consume(run) for _ in range(5)))
    assert sorted(seen) == ids
