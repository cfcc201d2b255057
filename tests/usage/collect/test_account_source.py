"""Accounts from their source to the workers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import attrs
import pytest

from cyclr_async.errors import InvalidArgumentError, TruncatedResponseError
from cyclr_async.partner import Account
from cyclr_async.usage.collect.account_source import AccountSource, BadRecordHook
from cyclr_async.usage.collect.work_items import RetryQueue, WorkItem
from cyclr_async.usage.store.rows import RunScope
from cyclr_async.usage.store.store import UsageStore
from tests.support.clock import VirtualClock
from tests.support.usage_make import At, account, good
from tests.support.usage_server import account_ids


async def take_all(feed: AccountSource) -> list[WorkItem]:
    filling = asyncio.ensure_future(feed.fill())
    items = []
    while (item := await feed.next()) is not None:
        items.append(item)
    await filling
    assert feed.exhausted
    return items


def numbered(count: int, pulled: list[str]) -> Iterator[str]:
    for one in account_ids(count):
        pulled.append(one)
        yield one


@pytest.mark.parametrize("ahead", [2, 3, 32])
async def test_no_more_is_pulled_than_ahead(ahead: int) -> None:
    pulled: list[str] = []
    feed = AccountSource(numbered(500, pulled), None, VirtualClock(), ahead=ahead)
    filling = asyncio.ensure_future(feed.fill())
    for taken in range(1, 201):
        item = await feed.next()
        assert item is not None
        for _ in range(5):
            await asyncio.sleep(0)
        assert len(pulled) <= taken + 2 * ahead + 1
    filling.cancel()
    await asyncio.wait([filling])
    assert len(pulled) < 200 + 2 * ahead + 2


async def test_a_list_is_held_back_without_a_store() -> None:
    listed = 0

    async def lister(*, on_bad_record: BadRecordHook) -> AsyncIterator[Account]:
        nonlocal listed
        for one in account_ids(12_000):
            listed += 1
            yield account(one)

    feed = AccountSource(lister, None, VirtualClock(), ahead=32)
    filling = asyncio.ensure_future(feed.fill())
    assert await feed.next() is not None
    for _ in range(200):
        await asyncio.sleep(0)
    assert 5_000 <= listed <= 6_500
    rest = 0
    while await feed.next() is not None:
        rest += 1
    await filling
    assert (rest, listed, feed.asked, feed.listing_complete) == (11_999, 12_000, 12_000, True)


async def test_a_list_is_read_at_its_own_speed_into_a_store(path: Path, scope: RunScope) -> None:
    ids = account_ids(4_000)

    async def lister(*, on_bad_record: BadRecordHook) -> AsyncIterator[Account]:
        for one in ids:
            yield account(one)

    async with await UsageStore.open(path, scope) as store:
        feed = AccountSource(lister, store, VirtualClock(), ahead=32)
        filling = asyncio.ensure_future(feed.fill())
        async with asyncio.timeout(20):
            while not feed.listing_complete:  # noqa: ASYNC110  nobody takes anything meanwhile
                await asyncio.sleep(0.01)
        assert (await store.counts()).asked == feed.asked == 4_000
        assert len(feed._ready) <= 2_000, "memory does not grow with the list"
        taken = []
        while (item := await feed.next()) is not None:
            taken.append(item)
        await filling
    assert sorted(item.account_id for item in taken) == ids
    assert all(item.account is not None for item in taken)


async def test_collected_while_a_page_of_the_store_is_on_its_way(path: Path, scope: RunScope) -> None:
    """An account must not be handed out twice because the page was read before its usage was written."""
    ids = account_ids(3_000)

    async def lister(*, on_bad_record: BadRecordHook) -> AsyncIterator[Account]:
        for one in ids:
            yield account(one)

    async with await UsageStore.open(path, scope) as store:
        feed = AccountSource(lister, store, VirtualClock(), ahead=32)
        handed: list[str] = []

        async def work() -> None:
            while (item := await feed.next()) is not None:
                handed.append(item.account_id)
                await asyncio.sleep(0)
                await store.record(good(item.account_id))
                feed.collected(item)

        await asyncio.gather(feed.fill(), *(work() for _ in range(8)))
        counts = await store.counts()
    assert sorted(handed) == ids
    assert (counts.ok, counts.pending) == (3_000, 0)


async def test_what_a_former_run_left_comes_first_and_nothing_twice(path: Path, scope: RunScope) -> None:
    ids = account_ids(100)
    async with await UsageStore.open(path, scope, clock=At()) as store:
        await store.add_accounts(ids)
        for one in ids[:40]:
            await store.record(good(one))
        await store.finish("interrupted")
    async with await UsageStore.open(path, scope, resume=True, clock=At()) as store:
        new = account_ids(50, start=80)
        items = await take_all(AccountSource(new, store, VirtualClock(), ahead=16, registered=100))
        taken = [item.account_id for item in items]
        assert taken[:60] == ids[40:]
        assert sorted(taken) == sorted({*ids[40:], *new})


async def test_a_list_that_is_complete_in_the_store_is_not_asked_for_again(path: Path, scope: RunScope) -> None:
    def lister(*, on_bad_record: BadRecordHook) -> AsyncIterator[Account]:
        raise AssertionError("listed again")

    async with await UsageStore.open(path, scope) as store:
        await store.add_accounts(account_ids(10))
        await store.finish_listing()
        items = await take_all(AccountSource(lister, store, VirtualClock(), ahead=16, registered=10))
    assert [item.account_id for item in items] == account_ids(10)


async def test_what_cannot_be_an_id_is_handed_out_as_refused() -> None:
    source: list[object] = ["a", "", None, 5]
    items = await take_all(AccountSource(source, None, VirtualClock(), ahead=16))
    refused = [item for item in items if item.refused is not None]
    assert [item.account_id for item in items if item.refused is None] == ["a"]
    assert [item.account_id for item in refused] == ["", "None", "5"]
    assert all(isinstance(item.refused, InvalidArgumentError) for item in refused)


async def test_waiting_workers_are_told_of_the_end() -> None:
    gate = asyncio.Event()

    async def slow() -> AsyncIterator[str]:
        yield "a"
        await gate.wait()

    feed = AccountSource(slow(), None, VirtualClock(), ahead=4)
    filling = asyncio.ensure_future(feed.fill())
    waiting = [asyncio.ensure_future(feed.next()) for _ in range(5)]
    await asyncio.sleep(0.01)
    assert sum(one.done() for one in waiting) == 1
    gate.set()
    taken = await asyncio.gather(*waiting)
    await filling
    assert [item.account_id for item in taken if item is not None] == ["a"]


async def test_later_passes_hand_out_what_was_put_off() -> None:
    again = RetryQueue(deque([WorkItem("a"), WorkItem("b")]))
    assert not again.exhausted
    assert [await again.next(), await again.next(), await again.next()] == [WorkItem("a"), WorkItem("b"), None]
    assert again.exhausted


@pytest.mark.parametrize(("count", "lists"), [(49_000, 2), (51_000, 1)])
async def test_a_long_list_without_a_store_is_not_read_twice(count: int, lists: int) -> None:
    """What was handed out is remembered only as far as memory allows."""
    asked = 0
    same = account("a")

    async def lister(*, on_bad_record: BadRecordHook) -> AsyncIterator[Account]:
        nonlocal asked
        asked += 1
        for number in range(count):
            yield attrs.evolve(same, id=str(number))
        if asked == 1:
            raise TruncatedResponseError("cut off")

    async with VirtualClock() as clock:
        feed = AccountSource(lister, None, clock, ahead=32)
        items = await take_all(feed)
    assert (asked, len(items), feed.asked) == (lists, count, count)
    assert feed.listing_complete is (lists == 2)
