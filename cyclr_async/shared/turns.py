"""The rate that several processes have in common: turns reserved in the time of the place, a few with each trip."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from cyclr_async.http.clock import Clock
from cyclr_async.http.limiter import RateReservation
from cyclr_async.shared.backend import Backend, LostError, Reservation
from cyclr_async.shared.link import Link

__all__ = ["SharedPause", "SharedTurns"]

_LEASE: Final = 0.1
"""Seconds of the whole rate that one process reserves at a time, at most: more would save trips, and let one process
hoard turns that others wait for."""
_LATE: Final = 0.1
"""Seconds by which a turn in hand may be used late. Below the limit turns are not waited for, and one that is reserved
is used when a call comes along; later than this it is dropped, so that no process saves turns up."""
_IN_LINE: Final = 0.02
"""Seconds from which a wait shows that turns are waited for, and not that two processes happened to ask at once."""
_LATE_IN_LINE: Final = 0.03
"""The same where turns are waited for: a process that stood still would else catch up with all it has missed, on top of
what the others are doing. It bounds what any second can hold, at 3 % more than the rate."""


class SharedPause:
    """Tells the others when this process is told to pause, and this one when another is.

    Args:
        link: to the place.
        name: of the rate.
    """

    def __init__(self, link: Link, name: str) -> None:
        self._link = link
        self._name = name
        self._telling: set[asyncio.Task[None]] = set()
        self._watching: asyncio.Task[None] | None = None

    def tell(self, seconds: float) -> None:
        """Let the others pause as well. Nobody waits for that: the call that was refused goes on by its own."""
        task = asyncio.get_running_loop().create_task(self._tell(seconds), name="cyclr-async-shared-pause")
        self._telling.add(task)  # the loop itself would let it be collected
        task.add_done_callback(self._telling.discard)

    async def _tell(self, seconds: float) -> None:
        async def pause(backend: Backend) -> None:
            await backend.pause(self._name, seconds)

        # Lost is lost: the link has said so, and the others will meet the same answer of the server.
        with contextlib.suppress(LostError):
            await self._link.ask(pause)

    def listen(self, hold: Callable[[float], None]) -> None:
        """Begin to hear of the pauses of others."""
        if self._watching is None:
            self._watching = asyncio.get_running_loop().create_task(
                self._link.backend.watch(self._name, hold), name="cyclr-async-shared-watch"
            )

    async def close(self) -> None:
        """Stop both."""
        tasks = [*self._telling, *([] if self._watching is None else [self._watching])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


class SharedTurns:
    """Turns of a rate that processes share: what :class:`~cyclr_async.http.limiter.Limiter` asks instead of its own.

    Turns are reserved in batches, which grow with what is used and never exceed a tenth of a second of the whole rate.
    While the place is lost, the process spaces its calls by its fair share.

    Args:
        link: to the place.
        name: of the rate.
        rate: requests per second, of all processes together.
        clock: time and chance.
    """

    def __init__(self, link: Link, name: str, rate: float, clock: Clock) -> None:
        self._link = link
        self._name = name
        self._rate = rate
        self._clock = clock
        self._interval = 1.0 / rate
        self._most = max(1, int(_LEASE * rate + 1e-9))
        self.interval: float = self._interval
        """Seconds between two turns of this process, as it looks at the moment."""
        self._next = 0.0
        self._left = 0
        self._size = 1
        self._granted = 0
        self._dropped = 0
        self._reserved: tuple[float, int] | None = None
        self._fair: RateReservation | None = None
        self._slack = RateReservation(rate).tolerance
        self._task: asyncio.Task[None] | None = None
        self._taken = float("-inf")
        self._contended = False

    def peek(self, now: float) -> float:
        """Return the seconds until the next turn, as far as they are known, without taking it."""
        if self._left:
            return max(self._next - now, 0.0)
        return self._fair.peek(now) if self._fair is not None and self._link.lost is not None else 0.0

    async def take(self, now: float, since: float, *, more: bool) -> float:
        """Take the next turn, and return when it is; the time may be a little ago.

        Args:
            now: the time.
            since: when the caller began to wait.
            more: whether others wait behind it.

        Raises:
            SharedStateError: the place is lost, and calls are to fail then.
        """
        while (turn := self._from_hand(now)) is None:
            if self._link.lost is not None:
                if self._link.due():
                    self._fetch(since)  # beside the calls: a place that is frozen would hold them up every second
                return self._alone(now, since)
            # The trip belongs to the session: a caller that is cancelled leaves it, and what it brings, to the next.
            await asyncio.shield(self._fetch(since))
            now = self._clock.now()
        if more and not self._left and self._link.lost is None:
            self._fetch(since)  # while the last one is waited for, so that no trip comes between
        return self._shared(turn, now)

    def usable(self, turn: float, now: float) -> bool:
        """Tell whether a turn may still be used: one from before a pause has gone by."""
        return now - turn <= (_LATE_IN_LINE if self._contended else _LATE)

    def used(self, now: float) -> None:
        """Note that a turn was used."""
        if self._fair is not None:
            self._fair.used(now)

    def give_back(self) -> None:
        """Give the turn back that was taken last and not used."""
        # Only to the own hand, since others may have reserved behind it; and not when that holds another batch already.
        if abs(self._next - self._interval - self._taken) < self._interval / 2:
            self._next -= self._interval
            self._left += 1

    async def close(self) -> None:
        """End a trip under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _from_hand(self, now: float) -> float | None:
        while self._left:
            turn = self._next
            self._next += self._interval
            self._left -= 1
            if self.usable(turn, now):
                self._taken = turn
                return turn
            self._dropped += 1
        return None

    def _shared(self, turn: float, now: float) -> float:
        """Keep to the fair share besides, for as long as others may not have noticed that the place is back."""
        if self._fair is None:
            return turn
        if not self._link.returning:
            self._fair = None
            return turn
        return max(turn, now + self._fair.reserve(now))

    def _alone(self, now: float, since: float) -> float:
        """Return a turn of the fair share, while the place is lost."""
        failure = self._link.failure()
        if failure is not None:
            raise failure
        if self._fair is None:
            share = self._rate / self._link.processes
            # Begun at a random place within the first interval: all processes lose the place at the same moment.
            self._fair = RateReservation(share, now + self._clock.random() / share)
            self.interval = self._fair.interval
        return now + self._fair.reserve(now, since)

    def _fetch(self, since: float) -> asyncio.Task[None]:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._reserve(since), name="cyclr-async-shared-turns")
            self._task.add_done_callback(self._done)
        return self._task

    def _done(self, _: asyncio.Task[None]) -> None:
        self._task = None

    async def _reserve(self, since: float) -> None:
        turns = 1 if self._link.returning or self._link.lost is not None else self._grown()
        slack = min(max(self._clock.now() - since, 0.0), self._slack)

        async def reserve(backend: Backend) -> Reservation:
            return await backend.reserve(
                self._name, member=self._link.member, interval=self._interval, turns=turns, slack=slack
            )

        try:
            found = await self._link.ask(reserve)
        except LostError:
            return  # the link knows, and whoever waits looks there
        self._link.counted(found.processes)
        # From the moment of the answer: the trip makes a turn later than reserved, never earlier.
        first = self._clock.now() + found.wait
        self._learn(first, found)
        self._next, self._left = first, found.turns

    def _grown(self) -> int:
        """Return how many turns to reserve: as many as the last ones show that there is use for."""
        if self._dropped:
            self._size = max(1, self._granted - self._dropped)
        elif self._granted:
            # Many more where turns are waited for, since all of them will be used. Below the limit one by one: what is
            # reserved and not used is lost for the others.
            self._size = min(self._most, self._size * 4 if self._contended else self._size + 1)
        self._granted = self._dropped = 0
        return self._size

    def _learn(self, first: float, found: Reservation) -> None:
        """Learn from a reservation how often this process has a turn."""
        before, self._reserved = self._reserved, (first, found.turns)
        self._granted += found.turns
        longest = self._interval * max(found.processes, 1)
        # Below the limit the first turn is at once, or when the batch of another process is over.
        self._contended = found.wait > max(self._interval, _IN_LINE)
        if not self._contended or before is None:
            self.interval = self._interval
        else:
            self.interval = min(max((first - before[0]) / max(before[1], 1), self._interval), longest)
