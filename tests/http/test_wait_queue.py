"""The wait queue: order, and no wake-up that is lost, wherever a waiter is cancelled."""

from __future__ import annotations

import asyncio
import itertools
import random

import pytest

from cyclr_async.http.wait_queue import WaitQueue


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def waiting(queue: WaitQueue, woken: list[str], *names: str) -> list[asyncio.Task[None]]:
    async def wait(name: str) -> None:
        await queue.wait()
        woken.append(name)

    return [asyncio.ensure_future(wait(name)) for name in names]


async def ended(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_the_first_to_come_is_the_first_to_go() -> None:
    queue, woken = WaitQueue(), list[str]()
    tasks = waiting(queue, woken, "a", "b", "c")
    await turns()
    assert len(queue) == 3
    assert queue.wake_one()
    await turns()
    assert woken == ["a"]
    queue.wake_all()
    await turns()
    assert woken == ["a", "b", "c"]
    assert not queue.wake_one()
    await ended(tasks)


@pytest.mark.parametrize("victim", range(4))
@pytest.mark.parametrize("after_turns", range(4))
@pytest.mark.parametrize("woken_first", [True, False])
async def test_a_cancelled_waiter_passes_its_wake_up_on(victim: int, after_turns: int, woken_first: bool) -> None:
    """Two wake-ups for four waiters, one of which is cancelled before, with or after them."""
    queue, woken = WaitQueue(), list[str]()
    tasks = waiting(queue, woken, "a", "b", "c", "d")
    await turns()
    if woken_first:
        assert queue.wake_one()
        assert queue.wake_one()
        await turns(after_turns)
        tasks[victim].cancel()
    else:
        tasks[victim].cancel()
        await turns(after_turns)
        assert queue.wake_one()
        assert queue.wake_one()
    await turns()
    assert len(woken) == 2
    assert len(queue) == 4 - 2 - tasks[victim].cancelled()
    assert woken == sorted(woken)
    await ended(tasks)


async def test_a_wake_up_goes_past_everybody_who_is_cancelled_with_it() -> None:
    queue, woken = WaitQueue(), list[str]()
    tasks = waiting(queue, woken, "a", "b", "c")
    await turns()
    queue.wake_one()
    tasks[0].cancel()
    tasks[1].cancel()
    await turns(5)
    assert woken == ["c"]
    await ended(tasks)


async def test_a_wake_up_that_times_out_is_passed_on() -> None:
    queue, woken = WaitQueue(), list[str]()

    async def late() -> None:
        async with asyncio.timeout(0):
            await queue.wait()

    first = asyncio.ensure_future(late())
    await asyncio.sleep(0)
    tasks = waiting(queue, woken, "b")
    await asyncio.sleep(0)
    queue.wake_one()
    with pytest.raises(TimeoutError):
        await first
    queue.wake_one()
    await turns()
    assert woken == ["b"]
    await ended(tasks)


async def test_a_closed_coroutine_leaves_the_line() -> None:
    queue = WaitQueue()
    coroutine = queue.wait()
    coroutine.send(None)
    assert len(queue) == 1
    coroutine.close()
    assert len(queue) == 0


async def test_nobody_waits_for_ever_whatever_is_cancelled() -> None:
    """Tokens handed from hand to hand: as many are taken as were given, whoever is cancelled at whatever turn."""
    for seed in range(200):
        dice = random.Random(seed)
        queue, tokens, taken = WaitQueue(), [0], itertools.count()

        async def take(
            queue: WaitQueue = queue, tokens: list[int] = tokens, taken: itertools.count[int] = taken
        ) -> None:
            while not tokens[0]:
                await queue.wait()
            tokens[0] -= 1
            next(taken)

        tasks = [asyncio.ensure_future(take()) for _ in range(8)]
        given = 0
        for _ in range(12):
            if given < 4 and dice.random() < 0.5:
                tokens[0] += 1
                given += 1
                queue.wake_one()
            if dice.random() < 0.4:
                dice.choice(tasks[4:]).cancel()
            await turns(dice.randrange(2))
        while given < 4:
            tokens[0] += 1
            given += 1
            queue.wake_one()
        await turns(20)
        assert next(taken) == 4, seed  # four are never cancelled, so every token is taken
        assert tokens == [0], seed
        await ended(tasks)
        assert len(queue) == 0


async def test_a_thousand_cancelled_waiters_leave_nothing() -> None:
    queue, woken = WaitQueue(), list[str]()
    tasks = waiting(queue, woken, *map(str, range(1000)))
    await turns()
    await ended(tasks)
    assert len(queue) == 0
    assert not woken


async def test_who_comes_back_has_its_old_place() -> None:
    queue, woken = WaitQueue(), list[tuple[int, bool]]()

    async def wait(place: int) -> None:
        woken.append((place, await queue.wait(place)))

    tasks = [asyncio.ensure_future(wait(place)) for place in (3, 5, 1, 4, 2)]
    await turns()
    for brings in (True, False, True, False, True):
        assert queue.wake_one(brings)
    await turns()
    assert woken == [(1, True), (2, False), (3, True), (4, False), (5, True)]
    await asyncio.gather(*tasks)


@pytest.mark.parametrize("brings", [True, False])
async def test_what_nobody_lived_to_use_is_given_back(brings: bool) -> None:
    returned: list[bool] = []
    queue = WaitQueue(returned.append)
    first, second = (asyncio.ensure_future(queue.wait()) for _ in range(2))
    await turns()
    queue.wake_one(brings)
    first.cancel()
    await turns()
    assert returned == [brings]
    assert not second.done()  # what becomes of it is up to the owner
    second.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    assert returned == [brings]  # one that was not woken gives nothing back


async def test_who_joins_can_be_woken_by_it() -> None:
    queue = WaitQueue()
    assert await queue.wait(joined=lambda: queue.wake_one(False)) is False
    assert len(queue) == 0
