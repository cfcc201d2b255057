"""How many calls are under way, how fast they leave, and when none may leave: fair, and safe to cancel anywhere."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from cyclr_async.http.clock import Clock

__all__ = ["AdaptiveLimit", "Gcra", "Limiter"]


class Gcra:
    """A reservation rate limiter: requests are spaced evenly and served in order, with one sleep each.

    A reservation whose owner gives up is lost: the rate stays at or below the limit.

    Args:
        rate: requests per second.
    """

    __slots__ = ("_interval", "_next")

    def __init__(self, rate: float) -> None:
        self._interval = 1.0 / rate
        self._next = 0.0

    def reserve(self, now: float) -> float:
        """Take the next free moment and return the seconds until it comes."""
        at = max(self._next, now)
        self._next = at + self._interval
        return at - now


class Limiter:
    """Slots for calls under way, an optional rate, and a pause that holds everybody.

    Waiters get a slot in the order in which they asked. There is no background task: a slot is handed over by whoever
    releases one, and a waiter that is cancelled passes on what it had just been given.

    Args:
        limit: slots.
        rate: requests per second, or None.
        clock: time.
    """

    __slots__ = ("_clock", "_limit", "_paused_until", "_rate", "_waiters", "in_flight")

    def __init__(self, limit: int, rate: float | None, clock: Clock) -> None:
        self._limit = limit
        self._rate = Gcra(rate) if rate is not None else None
        self._clock = clock
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._paused_until = 0.0
        self.in_flight = 0

    @property
    def limit(self) -> int:
        """How many slots there are."""
        return self._limit

    @property
    def queued(self) -> int:
        """How many callers wait for a slot."""
        return sum(not waiter.done() for waiter in self._waiters)

    def pause(self, seconds: float) -> None:
        """Let nothing leave for this long. A pause only ever grows: nobody can lift it early."""
        self._paused_until = max(self._paused_until, self._clock.now() + seconds)

    def pause_left(self) -> float:
        """Return the seconds for which nothing may leave, 0 when not paused."""
        if not self._paused_until:
            return 0.0
        left = self._paused_until - self._clock.now()
        if left > 0:
            return left
        self._paused_until = 0.0
        return 0.0

    def try_acquire(self) -> bool:
        """Take a slot if one is free at this instant, without waiting."""
        if self._paused_until or self._rate is not None or self._waiters or self.in_flight >= self._limit:
            return False
        self.in_flight += 1
        return True

    async def acquire(self) -> None:
        """Wait for a slot, for the rate, and for the end of a pause; the slot is held on return and only then."""
        while True:
            while (left := self.pause_left()) > 0:
                await self._clock.sleep(left)
            await self._slot()
            try:
                if self._rate is not None and (wait := self._rate.reserve(self._clock.now())) > 0:
                    await self._clock.sleep(wait)
            except BaseException:
                self.release()
                raise
            if self.pause_left() == 0:
                return
            # A pause began while this caller waited: no slot is held through it.
            self.release()

    def release(self) -> None:
        """Give the slot back, or hand it to the caller that has waited longest."""
        self.in_flight -= 1
        if self._waiters:
            self._hand_over()

    async def _slot(self) -> None:
        if self.in_flight < self._limit and not self._waiters:
            self.in_flight += 1
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled():
                # The slot arrived together with the cancellation: the next in line gets it.
                self.release()
            elif waiter in self._waiters:
                # It may be gone already: whoever released a slot meanwhile has passed over it.
                self._waiters.remove(waiter)
            raise

    def _hand_over(self) -> None:
        while self._waiters and self.in_flight < self._limit:
            waiter = self._waiters.popleft()
            if not waiter.done():
                self.in_flight += 1
                waiter.set_result(None)


_DECREASE: Final = 0.7
"""The share of the limit that is kept when the server shows overload."""
_DECREASE_INTERVAL: Final = 1.0
"""Seconds for which one burst of overload counts once."""


class AdaptiveLimit:
    """How many calls a bulk run should have under way: grows while all is well, shrinks when the server shows overload.

    Doubles with every full round of successes until the first overload, then grows by one a round (additive increase);
    an overload multiplies it by 0.7, at most once a second (multiplicative decrease).

    Args:
        start: the first limit.
        ceiling: the highest limit.
    """

    __slots__ = ("_ceiling", "_decreased_at", "_slow_start", "_successes", "limit")

    def __init__(self, start: int, ceiling: int) -> None:
        self._ceiling = ceiling
        self._slow_start = True
        self._successes = 0
        self._decreased_at = float("-inf")
        self.limit = max(1, min(start, ceiling))

    def succeeded(self) -> bool:
        """Count one success; True when the limit has grown."""
        if self.limit >= self._ceiling:
            return False
        self._successes += 1
        if self._successes < self.limit:
            return False
        self._successes = 0
        self.limit = min(self._ceiling, self.limit * 2 if self._slow_start else self.limit + 1)
        return True

    def overloaded(self, now: float) -> None:
        """Count one sign of overload: a 429 or 503, or a time-out."""
        self._slow_start = False
        self._successes = 0
        if now - self._decreased_at >= _DECREASE_INTERVAL:
            self._decreased_at = now
            self.limit = max(1, int(self.limit * _DECREASE))

    def restart(self) -> None:
        """Begin again from one, as after an outage."""
        self._slow_start = True
        self._successes = 0
        self.limit = 1
