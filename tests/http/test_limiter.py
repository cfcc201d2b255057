"""Slots, rate and pause: exact, fair, and safe to cancel at every await."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable

import pytest

from cyclr_async.http.limiter import AdaptiveLimit, AnswerTimes, Limiter, RateReservation
from tests.support.clock import FakeClock, settle

Prepare = Callable[[Limiter], None]


def limiter(limit: int = 1, rate: float | None = None, clock: FakeClock | None = None) -> Limiter:
    return Limiter(limit, rate, clock or FakeClock())


async def test_slots_are_taken_at_once_while_there_are_any() -> None:
    slots = limiter(2)
    assert slots.limit == 2
    assert slots.try_acquire()
    await asyncio.wait_for(slots.acquire(), 1)
    assert slots.in_flight == 2
    slots.release()
    assert slots.try_acquire()
    assert slots.in_flight == 2
    assert not slots.try_acquire()
    assert slots.in_flight == 2
    slots.release()
    assert slots.in_flight == 1
    assert slots.try_acquire()


async def test_waiters_are_served_in_the_order_in_which_they_asked() -> None:
    slots = limiter(3)
    served: list[int] = []

    async def caller(number: int) -> None:
        await slots.acquire()
        served.append(number)
        await asyncio.sleep(0)
        slots.release()

    await asyncio.gather(*(caller(number) for number in range(200)))
    assert served == list(range(200))
    assert (slots.in_flight, slots.queued) == (0, 0)


async def test_nobody_overtakes_the_queue() -> None:
    slots = limiter(1)
    await slots.acquire()
    first = asyncio.create_task(slots.acquire())
    await settle()
    assert slots.queued == 1
    slots.release()  # the slot belongs to the waiter now, although it has not run yet
    assert not slots.try_acquire()
    second = asyncio.create_task(slots.acquire())
    await settle()
    assert first.done()
    assert not second.done()
    assert (slots.in_flight, slots.queued) == (1, 1)
    slots.release()
    await second
    slots.release()


async def test_a_cancelled_waiter_leaves_the_queue() -> None:
    slots = limiter(1)
    await slots.acquire()
    waiters = [asyncio.create_task(slots.acquire()) for _ in range(3)]
    await settle()
    waiters[1].cancel()
    await settle()
    assert waiters[1].cancelled()
    assert slots.queued == 2
    slots.release()
    await waiters[0]
    slots.release()
    await waiters[2]
    slots.release()
    assert (slots.in_flight, slots.queued) == (0, 0)


async def test_a_slot_that_arrives_together_with_a_cancellation_goes_to_the_next() -> None:
    slots = limiter(1)
    await slots.acquire()
    first, second = (asyncio.create_task(slots.acquire()) for _ in range(2))
    await settle()
    slots.release()
    first.cancel()
    await asyncio.wait_for(second, 1)
    assert first.cancelled()
    assert (slots.in_flight, slots.queued) == (1, 0)
    slots.release()
    assert slots.in_flight == 0


async def test_a_slot_freed_right_after_a_cancellation_skips_the_cancelled() -> None:
    slots = limiter(1)
    await slots.acquire()
    first, second = (asyncio.create_task(slots.acquire()) for _ in range(2))
    await settle()
    first.cancel()
    slots.release()  # the cancelled waiter has not run yet
    await asyncio.wait_for(second, 1)
    await settle()
    assert first.cancelled()
    assert (slots.in_flight, slots.queued) == (1, 0)
    slots.release()
    assert slots.in_flight == 0


async def test_all_waiters_cancelled_and_a_slot_freed_in_one_turn() -> None:
    slots = limiter(1)
    await slots.acquire()
    waiters = [asyncio.create_task(slots.acquire()) for _ in range(50)]
    await settle()
    for waiter in waiters:
        waiter.cancel()
    assert slots.queued == 0
    slots.release()
    results = await asyncio.gather(*waiters, return_exceptions=True)
    assert {type(result) for result in results} == {asyncio.CancelledError}
    assert (slots.in_flight, slots.queued) == (0, 0)
    assert slots.try_acquire()


async def test_a_waiter_that_is_closed_instead_of_cancelled_leaves_nothing_behind() -> None:
    slots = limiter(1)
    await slots.acquire()
    waiting = slots.acquire()
    waiting.send(None)
    assert slots.queued == 1
    waiting.close()
    slots.release()
    assert (slots.in_flight, slots.queued) == (0, 0)


def paused(slots: Limiter) -> None:
    slots.pause(0.5)


def nothing(slots: Limiter) -> None:
    return


@pytest.mark.parametrize("prepare", [nothing, paused])
@pytest.mark.parametrize("rate", [None, 10.0])
@pytest.mark.parametrize("late_pause", [False, True])
@pytest.mark.parametrize("point", range(14))
async def test_cancelled_at_any_await_it_holds_nothing(
    prepare: Prepare, rate: float | None, late_pause: bool, point: int
) -> None:
    clock = FakeClock()
    slots = limiter(1, rate, clock)
    await slots.acquire()
    prepare(slots)
    task, other = (asyncio.create_task(slots.acquire()) for _ in range(2))
    steps: dict[int, Callable[[], None]] = {2: slots.release}
    if late_pause:
        steps[3] = lambda: slots.pause(0.3)
    for step in range(point):
        steps.pop(step, lambda: None)()
        if step % 4 == 3:
            await clock.advance(0.1, turns=1)
        else:
            await asyncio.sleep(0)
    if 2 in steps:
        slots.release()  # in the same turn as the cancellation
    had_it = task.done()
    task.cancel()
    await clock.advance(2.0)
    assert task.cancelled() is not had_it
    if had_it:
        slots.release()
        await clock.advance(2.0)
    assert other.done()
    assert (slots.in_flight, slots.queued) == (1, 0)
    slots.release()
    assert slots.in_flight == 0


@pytest.mark.parametrize("seed", range(12))
async def test_a_storm_of_cancellations_leaves_every_slot_free(seed: int) -> None:
    dice = random.Random(seed)
    slots = limiter(dice.choice([1, 3, 20]))
    most = 0

    async def caller() -> None:
        nonlocal most
        await slots.acquire()
        most = max(most, slots.in_flight)
        try:
            for _ in range(dice.randrange(4)):
                await asyncio.sleep(0)
        finally:
            slots.release()

    tasks = [asyncio.create_task(caller()) for _ in range(1000)]
    doomed = set(dice.sample(range(1000), 500))
    while any(not task.done() for task in tasks):
        await asyncio.sleep(0)
        for number in dice.sample(sorted(doomed), min(len(doomed), dice.randrange(40))):
            doomed.discard(number)
            tasks[number].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(result) for result in results} <= {type(None), asyncio.CancelledError}
    assert sum(result is None for result in results) >= 500
    assert most <= slots.limit
    assert (slots.in_flight, slots.queued) == (0, 0)
    assert all(slots.try_acquire() for _ in range(slots.limit))


@pytest.mark.parametrize("rate", [0.5, 7.0, 10.0, 333.0, 5000.0])
def test_the_rate_is_exact(rate: float) -> None:
    bucket = RateReservation(rate)
    now, sent = 5000.0, []
    for _ in range(10_000):
        now += bucket.reserve(now)
        sent.append(now)
    assert sent[0] == 5000.0
    assert (len(sent) - 1) / (sent[-1] - sent[0]) == pytest.approx(rate, rel=1e-6)
    assert min(later - earlier for earlier, later in itertools.pairwise(sent)) >= 0.999 / rate


def test_the_first_request_leaves_at_once_also_right_after_the_machine_was_started() -> None:
    assert RateReservation(10.0).reserve(0.0) == 0.0


def test_time_not_used_is_not_saved_up() -> None:
    bucket = RateReservation(10.0)
    assert bucket.reserve(100.0) == 0.0
    assert bucket.reserve(1000.0) == 0.0
    assert bucket.reserve(1000.0) == pytest.approx(0.1)
    assert bucket.reserve(1000.0) == pytest.approx(0.2)
    assert bucket.reserve(1000.25) == pytest.approx(0.05)


async def test_callers_leave_at_the_rate_and_in_order() -> None:
    clock = FakeClock()
    slots = limiter(5, 20.0, clock)
    left: list[tuple[int, float]] = []

    async def caller(number: int) -> None:
        await slots.acquire()
        left.append((number, clock.now() - 1000.0))
        slots.release()

    tasks = [asyncio.create_task(caller(number)) for number in range(200)]
    await clock.advance(60.0)
    await asyncio.gather(*tasks)
    assert [number for number, _ in left] == list(range(200))
    assert left[-1][1] == pytest.approx(199 / 20.0, rel=0.01)
    assert slots.in_flight == 0
    assert not slots.try_acquire()  # with a rate there is no way past it
    assert slots.in_flight == 0


async def test_no_slot_is_held_while_waiting_for_the_rate() -> None:
    clock = FakeClock()
    slots = limiter(1, 1.0, clock)
    await slots.acquire()
    slots.release()
    waiting = asyncio.create_task(slots.acquire())
    await settle()
    assert (slots.in_flight, slots.queued) == (0, 1)
    waiting.cancel()
    await settle()
    assert waiting.cancelled()
    assert (slots.in_flight, slots.queued) == (0, 0)


class Departures:
    """Callers of a limiter, with the moment at which each left, in the order in which they left."""

    def __init__(self, slots: Limiter, clock: FakeClock) -> None:
        self.slots = slots
        self.clock = clock
        self.left: list[tuple[int, float]] = []
        self.tasks: list[asyncio.Task[None]] = []

    def add(self, *, hold: float = 0.0) -> asyncio.Task[None]:
        task = asyncio.create_task(self._call(len(self.tasks), hold))
        self.tasks.append(task)
        return task

    async def _call(self, number: int, hold: float) -> None:
        await self.slots.acquire()
        self.left.append((number, self.clock.now() - 1000.0))
        try:
            if hold:
                await self.clock.sleep(hold)
        finally:
            self.slots.release()


async def test_a_turn_that_is_given_up_goes_to_the_next_in_line() -> None:
    clock = FakeClock()
    callers = Departures(limiter(5, 1.0, clock), clock)
    tasks = [callers.add() for _ in range(5)]
    await clock.advance(0.5)
    tasks[1].cancel()  # watches the clock for all
    tasks[3].cancel()
    await clock.advance(5.0)
    assert callers.left == [(0, 0.0), (2, 1.0), (4, 2.0)]


async def test_a_turn_that_nobody_takes_over_is_free_again() -> None:
    clock = FakeClock()
    callers = Departures(limiter(5, 1.0, clock), clock)
    callers.add()
    given_up = callers.add()
    await clock.advance(0.5)
    given_up.cancel()
    await clock.advance(0.25)
    assert callers.slots.turn_in() == 0.25
    callers.add()
    await clock.advance(1.0)
    assert callers.left == [(0, 0.0), (2, 1.0)]
    given_up = callers.add()
    await clock.advance(0.1)
    given_up.cancel()
    await clock.advance(5.0)
    assert callers.slots.turn_in() == 0.0
    callers.add()
    callers.add()
    await clock.advance(1.0)
    assert [at for _, at in callers.left[2:]] == pytest.approx([6.85, 7.85])


async def test_a_caller_can_know_its_turn_without_taking_one() -> None:
    clock = FakeClock()
    slots = limiter(2, 10.0, clock)
    assert slots.turn_in() == 0.0
    callers = Departures(slots, clock)
    for ahead in range(1, 5):
        callers.add()
        await settle()
        assert slots.turn_in() == pytest.approx(0.1 * ahead)
    await clock.advance(0.05)
    assert slots.turn_in() == pytest.approx(0.35)
    slots.pause(1.0)
    assert slots.turn_in() == pytest.approx(1.3)
    await clock.advance(2.0)
    assert slots.turn_in() == 0.0
    unlimited = limiter(2, None, clock)
    assert unlimited.turn_in() == 0.0
    unlimited.pause(1.0)
    assert unlimited.turn_in() == 1.0


async def test_a_turn_waits_for_a_slot_and_nobody_leaves_in_a_crowd_when_slots_come_free() -> None:
    clock = FakeClock()
    callers = Departures(limiter(3, 10.0, clock), clock)
    for _ in range(9):
        callers.add(hold=2.0)
    await clock.advance(10.0)
    assert [number for number, _ in callers.left] == list(range(9))
    assert [at for _, at in callers.left] == pytest.approx([0.0, 0.1, 0.2, 2.0, 2.1, 2.2, 4.0, 4.1, 4.2])


class LateClock(FakeClock):
    """Its sleepers wake up late, by a random part of ``by`` seconds."""

    def __init__(self, dice: random.Random, by: float) -> None:
        super().__init__()
        self._chance = dice
        self._by = by

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds + self._by * self._chance.random() if seconds > 0 else seconds)


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_happens_the_rate_is_kept_and_the_order_too(seed: int) -> None:
    """Slow answers, late timers, cancellations and pauses: between any n departures lie n intervals, less one half."""
    dice = random.Random(seed)
    interval = dice.choice([0.02, 0.05, 0.2])
    clock = LateClock(dice, by=dice.choice([0.0, interval / 2, 3 * interval]))
    callers = Departures(limiter(dice.choice([1, 3, 50]), 1 / interval, clock), clock)
    for _ in range(300):
        match dice.randrange(6):
            case 0:
                dice.choice([callers.add(), *callers.tasks]).cancel()
            case 1 if dice.random() < 0.1:
                callers.slots.pause(dice.random())
            case _:
                callers.add(hold=dice.choice([0.0, 0.0, interval, 8 * interval]))
        await clock.advance(dice.random() * interval * dice.choice([0.1, 1.5]), turns=dice.choice([1, 12]))
    await clock.advance(600.0)
    assert all(task.done() for task in callers.tasks)
    numbers = [number for number, _ in callers.left]
    assert numbers == sorted(numbers)
    assert len(numbers) > 100
    times = [at for _, at in callers.left]
    for apart in (1, 2, 10, 50):
        assert min(b - a for a, b in zip(times, times[apart:], strict=False)) >= (apart - 0.5) * interval - 1e-6
    assert (callers.slots.in_flight, callers.slots.queued) == (0, 0)


@pytest.mark.parametrize("rate", [20.0, 300.0, 2000.0])
async def test_late_timers_do_not_lower_the_rate(rate: float) -> None:
    clock = LateClock(random.Random(5), by=0.004)
    callers = Departures(limiter(50, rate, clock), clock)
    for _ in range(200):
        callers.add()
    await clock.advance(60.0)
    assert callers.left[-1][1] <= 199 / rate / 0.95
    assert callers.left[-1][1] >= 199 / rate - 0.005


async def test_under_overload_with_deadlines_every_turn_is_used() -> None:
    """20 a second may leave, 30 a second ask, each for a second at most: whoever cannot make it does not line up."""
    clock = FakeClock()
    callers = Departures(limiter(10, 20.0, clock), clock)
    refused = 0
    for _ in range(30 * 20):
        if callers.slots.turn_in() < 1.0:
            callers.add(hold=0.03)
        else:
            refused += 1
        await clock.advance(1 / 30)
    await clock.advance(2.0)
    assert len(callers.left) == len(callers.tasks) == 30 * 20 - refused
    assert len(callers.left) >= 0.95 * 20 * callers.left[-1][1]
    assert refused >= 0.9 * 10 * 19


async def test_order_outlives_a_pause_that_begins_when_slots_were_handed_over_already() -> None:
    clock = FakeClock()
    slots = limiter(3, None, clock)
    for _ in range(3):
        await slots.acquire()
    callers = Departures(slots, clock)
    for _ in range(6):
        callers.add()
    await settle()
    for _ in range(3):
        slots.release()
    slots.pause(1.0)  # none of the three has run since
    callers.add()
    await settle()
    assert callers.left == []
    assert (slots.in_flight, slots.queued) == (0, 7)
    callers.add()
    await clock.advance(2.0)
    assert callers.left == [(number, 1.0) for number in range(8)]


async def test_one_of_those_is_cancelled_when_the_pause_begins() -> None:
    clock = FakeClock()
    slots = limiter(3, None, clock)
    for _ in range(3):
        await slots.acquire()
    callers = Departures(slots, clock)
    for _ in range(6):
        callers.add()
    await settle()
    for _ in range(3):
        slots.release()
    slots.pause(1.0)
    callers.tasks[1].cancel()
    await clock.advance(2.0)
    assert sorted(number for number, _ in callers.left) == [0, 2, 3, 4, 5]
    assert {at for _, at in callers.left} == {1.0}
    assert (slots.in_flight, slots.queued) == (0, 0)


def test_what_most_answers_take_is_learned_by_operation() -> None:
    times = AnswerTimes()
    assert times.usual("a") == 0.0
    times.add("a", 0.2)
    assert times.usual("a") == pytest.approx(0.4)
    for _ in range(50):
        times.add("a", 0.2)
    assert times.usual("a") == pytest.approx(0.2, abs=0.001)
    times.add("b", 30.0)
    assert times.usual("a") == pytest.approx(0.2, abs=0.001)
    for number in range(200):
        times.add("a", 0.1 + 0.1 * (number % 2))
    assert 0.2 < times.usual("a") < 0.3


async def test_nothing_leaves_during_a_pause() -> None:
    clock = FakeClock()
    slots = limiter(2, None, clock)
    assert slots.pause_left() == 0.0
    slots.pause(2.0)
    assert slots.pause_left() == 2.0
    assert not slots.try_acquire()
    tasks = [asyncio.create_task(slots.acquire()) for _ in range(2)]
    await clock.advance(1.999)
    assert not any(task.done() for task in tasks)
    assert slots.in_flight == 0
    assert slots.pause_left() == pytest.approx(0.001)
    await clock.advance(0.001)
    assert all(task.done() for task in tasks)
    assert slots.in_flight == 2
    assert slots.pause_left() == 0.0
    slots.release()
    assert slots.try_acquire()


async def test_a_pause_only_grows() -> None:
    clock = FakeClock()
    slots = limiter(1, None, clock)
    slots.pause(5.0)
    slots.pause(1.0)
    assert slots.pause_left() == 5.0
    slots.pause(0.0)
    assert slots.pause_left() == 5.0
    slots.pause(9.0)
    assert slots.pause_left() == 9.0
    waiting = asyncio.create_task(slots.acquire())
    await clock.advance(8.0)
    slots.pause(3.0)
    await clock.advance(2.0)
    assert not waiting.done()
    await clock.advance(1.0)
    assert waiting.done()


async def test_an_ended_pause_is_forgotten_and_a_new_one_holds_again() -> None:
    clock = FakeClock()
    slots = limiter(1, None, clock)
    slots.pause(1.0)
    await clock.advance(1.0)
    assert slots.pause_left() == 0.0
    assert slots.try_acquire()
    slots.release()
    slots.pause(1.0)
    assert not slots.try_acquire()


async def test_no_slot_is_held_through_a_pause_that_began_while_waiting() -> None:
    clock = FakeClock()
    slots = limiter(1, None, clock)
    await slots.acquire()
    waiters = [asyncio.create_task(slots.acquire()) for _ in range(3)]
    await settle()
    slots.pause(2.0)
    slots.release()
    await settle(30)
    assert slots.in_flight == 0
    assert slots.queued == 3
    assert clock.sleeping == 1
    await clock.advance(2.0)
    assert [waiter.done() for waiter in waiters] == [True, False, False]
    for number in range(1, 3):
        slots.release()
        await settle()
        assert [waiter.done() for waiter in waiters].count(True) == number + 1
    assert all(waiter.done() for waiter in waiters)
    assert slots.in_flight == 1


async def test_a_pause_that_begins_during_the_wait_for_the_rate_is_kept_too() -> None:
    clock = FakeClock()
    slots = limiter(2, 1.0, clock)
    await slots.acquire()
    waiting = asyncio.create_task(slots.acquire())
    await settle()
    slots.pause(5.0)
    await clock.advance(1.5)
    assert not waiting.done()
    assert slots.in_flight == 1
    await clock.advance(3.4)
    assert not waiting.done()
    await clock.advance(0.2)
    assert waiting.done()
    assert slots.in_flight == 2


def test_the_adaptive_limit_doubles_until_the_first_overload_and_then_creeps() -> None:
    limit = AdaptiveLimit(8, 64)
    assert limit.limit == 8
    grown = []
    for _ in range(8 + 16 + 32):
        limit.succeeded()
        grown.append(limit.limit)
    assert grown == [8] * 7 + [16] * 16 + [32] * 32 + [64]
    limit.succeeded()
    assert limit.limit == 64
    limit.overloaded(100.0)
    assert limit.limit == 44
    for _ in range(43):
        limit.succeeded()
    assert limit.limit == 44
    limit.succeeded()
    assert limit.limit == 45


def test_one_burst_of_overload_counts_once_a_second() -> None:
    limit = AdaptiveLimit(100, 100)
    assert limit.limit == 100
    limit.overloaded(0.0)
    limit.overloaded(0.999)
    assert limit.limit == 70
    limit.overloaded(1.0)
    assert limit.limit == 49
    limit.overloaded(1.9)
    assert limit.limit == 49


def test_overload_begins_the_count_of_successes_again() -> None:
    limit = AdaptiveLimit(4, 64)
    for _ in range(3):
        limit.succeeded()
    limit.overloaded(0.0)
    assert limit.limit == 2
    limit.succeeded()
    assert limit.limit == 2
    limit.overloaded(0.5)
    limit.succeeded()
    assert limit.limit == 2
    limit.succeeded()
    assert limit.limit == 3


def test_the_adaptive_limit_stays_between_one_and_its_ceiling() -> None:
    limit = AdaptiveLimit(3, 5)
    for second in range(20):
        limit.overloaded(float(second))
    assert limit.limit == 1
    for _ in range(100):
        limit.succeeded()
    assert limit.limit == 5
    assert AdaptiveLimit(0, 5).limit == 1
    assert AdaptiveLimit(50, 5).limit == 5
    doubling = AdaptiveLimit(3, 5)
    for _ in range(3):
        doubling.succeeded()
    assert doubling.limit == 5


def test_after_an_outage_it_begins_with_one_and_doubles_again() -> None:
    limit = AdaptiveLimit(8, 64)
    limit.overloaded(0.0)
    for _ in range(3):
        limit.succeeded()
    limit.restart()
    assert limit.limit == 1
    seen = []
    for _ in range(7):
        limit.succeeded()
        seen.append(limit.limit)
    assert seen == [2, 2, 4, 4, 4, 4, 8]
