"""Leaving a run early, however: nothing is left behind, nothing that was fetched is lost, the rest can be resumed."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
from collections.abc import AsyncIterator, Collection
from pathlib import Path

import pytest

from cyclr_async import AsyncPartnerSession, Timeouts
from cyclr_async.errors import BulkInterruptedError, StoreError
from tests.support.leaks import no_leaks
from tests.support.sizes import sized
from tests.support.usage_server import PartnerServer, account_ids, all_of, stored


async def test_a_break_ends_the_workers_at_once() -> None:
    async with PartnerServer(delay=0.005) as server, server.session() as session, no_leaks():
        before = asyncio.all_tasks()
        async with session.accounts.collect_usage(account_ids(10_000)) as run:
            async for _ in run:
                if run.progress.ok >= 50:
                    break
        assert asyncio.all_tasks() == before
        asked = server.requests
        await asyncio.sleep(0.03)
        assert server.requests == asked
        assert run.progress.in_flight == 0
        await session.close()


async def test_drain_hands_out_what_had_finished() -> None:
    async with PartnerServer() as server, server.session() as session:
        async with session.accounts.collect_usage(account_ids(1000), concurrency=4) as run:
            first = await anext(run)
            await asyncio.sleep(0.1)
        left = run.drain()
        assert run.drain() == []
    assert 0 < len(left) <= 8 + 4
    assert run.progress.ok == 1 + len(left)
    assert first.account_id not in {one.account_id for one in left}
    assert server.requests == run.progress.ok


async def test_an_exception_in_the_consumer_passes_through_and_the_store_has_what_was_yielded(path: Path) -> None:
    ids = account_ids(600)
    seen: set[str] = set()
    async with PartnerServer() as server, server.session() as session:

        async def consume() -> None:
            async with session.accounts.collect_usage(ids, store=path) as run:
                async for outcome in run:
                    seen.add(outcome.account_id)
                    if len(seen) == 200:
                        raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await consume()
        kept = stored(path)
        assert seen <= kept
        asked = server.requests
        again: set[str] = set()
        async with session.accounts.collect_usage(ids, store=path) as run:
            async for outcome in run:
                again.add(outcome.account_id)
        assert again == set(ids) - kept
        assert server.requests - asked == len(again)
        assert run.progress.ok == run.progress.asked == 600
    assert stored(path) == set(ids)


async def test_an_async_source_is_closed_at_once() -> None:
    closed = False

    async def ids() -> AsyncIterator[str]:
        nonlocal closed
        try:
            for one in account_ids(10_000):
                yield one
        finally:
            closed = True

    async with PartnerServer() as server, server.session() as session:
        async with session.accounts.collect_usage(ids(), concurrency=2) as run:
            await anext(run)
            await asyncio.sleep(0.05)
            assert not closed
        assert closed


async def test_waiting_for_an_outcome_can_be_given_up() -> None:
    async with (
        PartnerServer(delay=0.1) as server,
        server.session() as session,
        session.accounts.collect_usage(account_ids(3)) as run,
    ):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(run), 0.02)
        assert len([one async for one in run]) == 3


async def _cancelled(seed: int, *, store: Path | None) -> tuple[int, int]:
    """Cancel a run from outside at a random moment; returns how many were yielded and how many are stored."""
    rnd = random.Random(seed)
    ids = account_ids(400)
    seen: set[str] = set()
    source = ids if rnd.random() < 0.5 else None

    async with PartnerServer(ids, delay=rnd.choice([0.0, 0.002])) as server, server.session() as session, no_leaks():
        collection = session.accounts.collect_usage(source, store=store, concurrency=rnd.choice([1, 4, 32]))

        async def consume() -> None:
            async with collection as run:
                async for outcome in run:
                    seen.add(outcome.account_id)
                    if rnd.random() < 0.02:
                        await asyncio.sleep(0.001)

        task = asyncio.get_running_loop().create_task(consume())
        # A moment is a place in the work, as a time would be another place on every machine. The last ones are after
        # the last request: while the store is closed, or when all is over.
        asked, turns = rnd.randrange(len(ids) + 1), rnd.choice([0, 1, rnd.randrange(300)])
        while server.requests < asked and not task.done():  # noqa: ASYNC110  a turn is the unit here
            await asyncio.sleep(0)
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        for _ in range(rnd.randrange(3)):
            await asyncio.sleep(0)
            task.cancel()  # an impatient caller
        with contextlib.suppress(asyncio.CancelledError):
            await task
        left = {one.account_id for one in collection.drain()}
        assert not left & seen
        await session.close()
    if store is None:
        return len(seen), 0
    kept = await _stored_in_the_end(store)
    assert seen | left <= kept
    return len(seen), len(kept)


async def _stored_in_the_end(path: Path) -> set[str]:
    """A twice cancelled run closes its store in the background."""
    async with asyncio.timeout(5):
        while path.with_name(path.name + ".lock").exists():  # noqa: ASYNC110  another thread removes it
            await asyncio.sleep(0.005)
    return stored(path)


@sized("moments", 12, 50)
async def test_cancelled_from_outside_at_many_moments(moments: int, tmp_path: Path) -> None:
    found = []
    for seed in range(moments):
        store = tmp_path / f"{seed}.db" if seed % 2 else None
        found.append(await _cancelled(seed, store=store))
    gc.collect()
    assert any(0 < seen < 400 for seen, _ in found), "no run was cancelled in its middle"


async def test_cancelled_and_resumed_until_it_is_complete(path: Path) -> None:
    ids = account_ids(6000)
    rnd = random.Random(5)
    rounds = 0
    async with PartnerServer(ids) as server, server.session() as session:
        finished = False
        while not finished:
            rounds += 1

            async def consume() -> None:
                async with session.accounts.collect_usage(store=path) as run:
                    async for _ in run:
                        pass
                    assert run.progress.ok == run.progress.asked == 6000

            task = asyncio.get_running_loop().create_task(consume())
            done, _ = await asyncio.wait([task], timeout=rnd.uniform(0.02, 0.25) if rounds < 12 else 60)
            finished = bool(done)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await task
    assert rounds > 2
    assert stored(path) == set(ids)
    # Per round: what was under way, and the account list.
    assert server.requests <= 6000 + rounds * (32 + 1)


async def test_two_runs_on_one_store_are_refused(path: Path) -> None:
    async with PartnerServer() as server, server.session() as session:
        first = session.accounts.collect_usage(account_ids(10), store=path)
        second = session.accounts.collect_usage(account_ids(10), store=path)
        async with first:
            with pytest.raises(StoreError, match="in use"):
                await second.__aenter__()
        assert len(await all_of(second)) + len(stored(path)) >= 10


@pytest.mark.parametrize("keep", [True, False], ids=["store", "none"])
@pytest.mark.parametrize("source", ["ids", "list"])
@pytest.mark.parametrize("turns", [(1, 2, 5, 6, 11), pytest.param(range(12), marks=pytest.mark.stress)], ids=len)
async def test_closing_the_session_ends_the_run_as_interrupted(
    keep: bool, source: str, turns: Collection[int], path: Path
) -> None:
    """At many moments: in a call, between two, while the list arrives, while the consumer is slow."""
    ids = account_ids(200)
    ended = 0
    for turn in turns:
        store = path.with_name(f"{turn}.db") if keep else None
        async with PartnerServer(ids, delay=0.001 * (turn % 3)) as server:
            session = server.session(timeouts=Timeouts(close=0.0 if turn % 2 else 0.02))
            run = session.accounts.collect_usage(ids if source == "ids" else None, store=store)

            async def close(session: AsyncPartnerSession = session, turn: int = turn) -> None:
                for _ in range(turn * 14):
                    await asyncio.sleep(0)
                await session.close()

            closing = asyncio.ensure_future(close())
            (error,) = await asyncio.gather(all_of(run), return_exceptions=True)
            await closing
            if isinstance(error, BaseException):
                ended += 1
                assert isinstance(error, BulkInterruptedError), error
                assert (error.reason, error.resumable) == ("closed", keep)
                assert run.progress.failed == run.progress.missing == 0
            async with server.session() as again:
                await all_of(again.accounts.collect_usage(ids, store=store))
            if store is not None:
                assert stored(store) == set(ids)
    assert ended >= len(turns) * 3 // 4


async def test_a_session_that_was_closed_before_says_the_same(path: Path) -> None:
    async with PartnerServer() as server:
        session = server.session()
        await session.close()
        with pytest.raises(BulkInterruptedError, match="the session is closed") as caught:
            await all_of(session.accounts.collect_usage(account_ids(3), store=path))
        assert (caught.value.reason, caught.value.resumable) == ("closed", True)
