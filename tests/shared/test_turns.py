"""Turns of a shared rate in a time that the test moves: growth, lateness, and the way back after a loss."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from cyclr_async import SharedState, SharedStateError
from cyclr_async.shared.backend import LostError, Record, Reservation, Tenure
from cyclr_async.shared.link import Link
from cyclr_async.shared.turns import SharedTurns
from tests.support.clock import FakeClock, settle


class Place:
    """A place in the time of the test: what others reserve is added by hand, and it can be lost."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.next = 0.0
        self.processes = 1
        self.lost = False
        self.asked: list[int] = []
        self.trips = 0

    async def open(self) -> None:
        return

    async def reserve(self, name: str, *, member: str, interval: float, turns: int, slack: float) -> Reservation:
        self.asked.append(turns)
        if self.lost:
            raise LostError("gone")
        first = max(self.next, self.clock.now() - slack)
        self.next = first + turns * interval
        return Reservation(first - self.clock.now(), turns, self.processes)

    async def pause(self, name: str, seconds: float) -> None:
        raise NotImplementedError

    async def watch(self, name: str, heard: Callable[[float], None]) -> None:
        raise NotImplementedError

    async def load(self, name: str) -> Record | None:
        raise NotImplementedError

    def exclusive(self, name: str) -> AbstractAsyncContextManager[Tenure]:
        raise NotImplementedError

    async def close(self) -> None:
        return


def turns_of(rate: float, on_loss: Any = "local") -> tuple[SharedTurns, Place, FakeClock, Link]:
    clock = FakeClock()
    link = Link(SharedState.file("never-opened", on_loss=on_loss), clock, None)
    place = Place(clock)
    link.backend = place
    return SharedTurns(link, "rate", rate, clock), place, clock, link


async def leave(turns: SharedTurns, clock: FakeClock, *, more: bool = False) -> float:
    """Wait for a turn as the limiter does, and return when it was used."""
    at = await turns.take(clock.now(), clock.now(), more=more)
    clock.shift(max(at - clock.now(), 0.0))
    turns.used(clock.now())
    return clock.now()


async def test_batches_grow_where_turns_are_waited_for_and_never_beyond_a_tenth_of_a_second() -> None:
    turns, place, clock, _ = turns_of(100)
    for _ in range(60):
        await leave(turns, clock)
        if len(place.asked) != place.trips:  # after each trip another process reserves as much as it may
            place.trips = len(place.asked)
            place.next += 0.1
    assert place.asked[0] == 1
    assert max(place.asked) == place.asked[-1] == 10


async def test_turns_that_went_by_are_dropped_and_new_ones_reserved() -> None:
    turns, place, clock, _ = turns_of(100)
    place.next = clock.now() + 1.0
    for _ in range(3):
        await leave(turns, clock)
        place.next = max(place.next, clock.now() + 0.5)
    assert place.asked == [1, 4]
    trips = len(place.asked)
    clock.shift(3.0)  # this process stood still, with turns in hand
    place.next = clock.now() + 0.25  # the others did not
    assert await leave(turns, clock) == pytest.approx(place.next - place.asked[-1] / 100)
    assert len(place.asked) == trips + 1
    # Two of the four were used, and so many are reserved again.
    assert place.asked[-1] == 3 - 1


async def test_a_lost_place_leaves_the_fair_share_and_its_return_brings_no_burst() -> None:
    turns, place, clock, link = turns_of(80)
    place.processes = 8
    for _ in range(3):
        await leave(turns, clock)
    place.lost = True
    clock.shift(5.0)
    alone = [await leave(turns, clock) for _ in range(30)]
    assert link.lost == "gone"
    gaps = [after - before for before, after in itertools.pairwise(alone)]
    assert min(gaps) >= 1 / 10 - 1e-6  # a share of ten a second, one of eight processes
    assert max(gaps) <= 1 / 10 + 1e-6
    place.lost = False
    clock.shift(1.1)
    await leave(turns, clock)
    await settle()  # the place is asked beside the calls
    assert link.lost != "gone"
    back = clock.now()
    after = [await leave(turns, clock) for _ in range(15)]
    # The place would give this process 80 a second, since the others have not noticed yet.
    assert sum(at < back + 1.0 for at in after) <= 11
    clock.shift(2.0)
    assert link.processes == 8
    late = [await leave(turns, clock) for _ in range(20)]
    assert late[-1] - late[0] < 0.5
    await turns.close()


async def test_a_lost_place_ends_calls_where_that_is_wanted() -> None:
    turns, place, clock, link = turns_of(80, on_loss="fail")
    place.lost = True
    with pytest.raises(SharedStateError, match=r"was lost: gone; nothing was sent"):
        await leave(turns, clock)
    place.lost = False
    clock.shift(1.1)
    with pytest.raises(SharedStateError):
        await leave(turns, clock)  # the place is asked beside it
    await settle()
    assert link.lost is None
    await leave(turns, clock)
    await turns.close()


async def test_a_turn_that_is_given_back_is_the_next() -> None:
    turns, place, clock, _ = turns_of(10)
    place.next = clock.now() + 1
    first = await turns.take(clock.now(), clock.now(), more=False)
    turns.give_back()
    assert turns.peek(clock.now()) == pytest.approx(first - clock.now())
    assert await turns.take(clock.now(), clock.now(), more=False) == pytest.approx(first)


async def test_a_cancelled_caller_leaves_the_trip_to_the_next() -> None:
    turns, place, clock, _ = turns_of(10)
    waiting = asyncio.create_task(turns.take(clock.now(), clock.now(), more=False))
    await asyncio.sleep(0)
    waiting.cancel()
    await settle()
    assert waiting.cancelled()
    await turns.take(clock.now(), clock.now(), more=False)
    assert place.asked == [1]
