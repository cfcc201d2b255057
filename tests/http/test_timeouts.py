"""Time limits of many calls behind one timer, with the semantics of asyncio.timeout."""

from __future__ import annotations

import asyncio
import random

import pytest

from cyclr_async.http.timeouts import TimerWheel
from tests.support.virtual import VirtualTimeLoop, in_virtual_time

TICK = 0.0101
"""Of the wheel: so much later than asked for a limit may end, and a rounding error."""


@in_virtual_time
async def test_a_body_that_is_quick_enough_is_left_alone() -> None:
    watch = TimerWheel()
    with watch.limit(0.05) as scope:
        await asyncio.sleep(0)
    await asyncio.sleep(0.1)
    assert not scope.expired
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    watch.close()


@pytest.mark.parametrize("seconds", [0.0, 0.005, 0.03, 0.1])
@in_virtual_time
async def test_a_body_that_takes_longer_is_interrupted_on_time_and_never_before(seconds: float) -> None:
    watch = TimerWheel()
    begun = asyncio.get_running_loop().time()
    with pytest.raises(TimeoutError), watch.limit(seconds) as scope:
        await asyncio.sleep(5)
    took = asyncio.get_running_loop().time() - begun
    assert scope.expired
    assert seconds <= took <= seconds + TICK
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    watch.close()


@in_virtual_time
async def test_many_limits_expire_each_at_its_own_time() -> None:
    watch = TimerWheel()
    dice = random.Random(7)

    async def limited(seconds: float) -> float:
        begun = asyncio.get_running_loop().time()
        with pytest.raises(TimeoutError), watch.limit(seconds):
            await asyncio.sleep(5)
        return asyncio.get_running_loop().time() - begun - seconds

    late = await asyncio.gather(*(limited(dice.uniform(0.0, 0.3)) for _ in range(500)))
    assert min(late) >= 0.0
    assert max(late) <= TICK
    watch.close()


@in_virtual_time
async def test_an_earlier_limit_that_begins_later_is_not_missed() -> None:
    watch = TimerWheel()
    with watch.limit(5.0):
        begun = asyncio.get_running_loop().time()
        with pytest.raises(TimeoutError), watch.limit(0.03):
            await asyncio.sleep(5)
        assert asyncio.get_running_loop().time() - begun <= 0.03 + TICK
    watch.close()


@in_virtual_time
async def test_a_limit_that_is_extended_begins_anew() -> None:
    watch = TimerWheel()

    async def extended() -> None:
        with watch.limit(0.25) as scope:
            for _ in range(4):
                await asyncio.sleep(0.1)
                scope.reschedule(0.25)
            await asyncio.sleep(5)

    begun = asyncio.get_running_loop().time()
    with pytest.raises(TimeoutError):
        await extended()
    assert 0.65 - TICK <= asyncio.get_running_loop().time() - begun <= 0.65 + TICK
    watch.close()


@in_virtual_time
async def test_a_limit_can_be_shortened() -> None:
    watch = TimerWheel()

    async def shortened() -> None:
        with watch.limit(5.0) as scope:
            scope.reschedule(0.02)
            await asyncio.sleep(5)

    begun = asyncio.get_running_loop().time()
    with pytest.raises(TimeoutError):
        await shortened()
    assert asyncio.get_running_loop().time() - begun <= 0.02 + TICK
    watch.close()


@in_virtual_time
async def test_a_cancellation_from_outside_wins_over_an_expiry_at_the_same_moment() -> None:
    for _ in range(20):
        watch = TimerWheel()

        async def limited(watch: TimerWheel = watch) -> None:
            with watch.limit(0.0):
                await asyncio.sleep(5)

        task = asyncio.create_task(limited())
        loop = asyncio.get_running_loop()
        await asyncio.sleep(0)
        loop.call_later(0.005, task.cancel)
        loop.call_later(0.01, task.cancel)
        with pytest.raises((asyncio.CancelledError, TimeoutError)) as caught:
            await task
        assert task.cancelled() is (caught.type is asyncio.CancelledError)
        watch.close()


@in_virtual_time
async def test_expired_and_cancelled_in_one_turn_ends_cancelled() -> None:
    watch = TimerWheel()

    async def limited() -> None:
        with watch.limit(5.0) as scope:
            asyncio.get_running_loop().call_soon(scope.expire)
            asyncio.get_running_loop().call_soon(task.cancel)
            await asyncio.sleep(5)

    task = asyncio.create_task(limited())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
    watch.close()


@in_virtual_time
async def test_the_limit_of_a_caller_around_ours_is_its_own() -> None:
    watch = TimerWheel()
    inner = watch.limit(5.0)

    async def limited() -> None:
        with inner:
            await asyncio.sleep(5)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(limited(), 0.02)
    assert not inner.expired
    async with asyncio.timeout(5.0) as outer:
        with pytest.raises(TimeoutError), watch.limit(0.02):
            await asyncio.sleep(5)
        await asyncio.sleep(0)
    assert not outer.expired()
    watch.close()


@in_virtual_time
async def test_an_error_of_the_body_is_passed_on_and_the_limit_is_lifted() -> None:
    watch = TimerWheel()
    with pytest.raises(KeyError), watch.limit(0.02):
        raise KeyError
    await asyncio.sleep(0.06)
    watch.close()


@in_virtual_time
async def test_a_thousand_tasks_of_whom_some_finish_some_expire_and_some_are_cancelled() -> None:
    watch = TimerWheel()
    dice = random.Random(11)

    async def limited(work: float) -> str:
        with watch.limit(0.8) as scope:
            await asyncio.sleep(work)
            if work > 0.05:
                scope.reschedule(0.8)
                await asyncio.sleep(0.02)
        return "done"

    plans = [dice.choice([0.0, 0.03, 0.06, 5.0]) for _ in range(1000)]
    tasks = [asyncio.create_task(limited(work)) for work in plans]
    doomed = set(dice.sample(range(1000), 300))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    cancelled = {number for number in doomed if tasks[number].cancel()}
    results = await asyncio.gather(*tasks, return_exceptions=True)
    for number, (work, result) in enumerate(zip(plans, results, strict=True)):
        if number in cancelled:
            assert isinstance(result, asyncio.CancelledError)
        else:
            assert type(result) is (TimeoutError if work == 5.0 else str)
    watch.close()


def test_outside_a_task_there_is_no_limit() -> None:
    loop = asyncio.new_event_loop()
    watch = TimerWheel()
    errors: list[BaseException] = []

    def enter() -> None:
        try:
            with watch.limit(1.0):
                pass
        except RuntimeError as error:
            errors.append(error)

    loop.call_soon(enter)
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    assert [str(error) for error in errors] == ["a time limit needs a task"]


@pytest.mark.timeout(20)
@in_virtual_time
async def test_a_limit_whose_time_cannot_be_rounded_ends_though_the_clock_stands_still() -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    watch = TimerWheel()
    first = int(loop.time() * 100) + 100
    tick = next(tick for tick in range(first, first + 1_000_000) if int(tick / 100 * 100) < tick)
    # Half a tick before, so that it falls into this one.
    with pytest.raises(TimeoutError), watch.limit(tick / 100 - 0.005 - loop.time()):
        await asyncio.sleep(100_000)
    assert loop.time() == tick / 100
    watch.close()
