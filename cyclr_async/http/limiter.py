"""How many calls are under way, how fast they leave, and when none may leave: fair, and safe to cancel anywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from cyclr_async.http.clock import Clock
from cyclr_async.http.wait_queue import WaitQueue

__all__ = ["AdaptiveLimit", "AnswerTimes", "Limiter", "RateReservation", "Turns"]

_TIMER_LATENESS: Final = 0.005
"""Seconds by which a timer of a busy event loop is late as a matter of course; above 100 turns a second this is more
than half a turn, and a limiter that did not make up for it would stay below its rate."""


class Turns(Protocol):
    """Where the turns of a rate come from: this process alone (:class:`RateReservation`), or a rate shared with others.

    Attributes:
        interval: seconds between two turns of this process.
    """

    interval: float

    def peek(self, now: float) -> float:
        """Return the seconds until the next free turn, without taking it."""
        ...

    async def take(self, now: float, since: float, *, more: bool) -> float:
        """Take the next free turn and return when it comes; the moment may have passed just before.

        Args:
            now: the time.
            since: when the caller began to wait.
            more: whether others wait behind it.
        """
        ...

    def usable(self, turn: float, now: float) -> bool:
        """Tell whether a turn may still be used after something else has held its caller up."""
        ...

    def used(self, now: float) -> None:
        """Note that a turn is used at this moment."""
        ...

    def give_back(self) -> None:
        """Give the turn back that was taken last and will not be used."""
        ...


class RateReservation:
    """A reservation rate limiter: turns are spaced evenly and taken in order, with one sleep each.

    A turn that is used a little late does not move those after it, else every late timer would lower the rate. Time in
    which nobody asked is not saved up. Between any two requests, ``n`` turns apart, lie at least ``n`` intervals less
    the tolerance.

    Args:
        rate: requests per second.
        begins: when the first turn is.
    """

    __slots__ = ("_next", "interval", "tolerance")

    def __init__(self, rate: float, begins: float = 0.0) -> None:
        self.interval: float = 1.0 / rate
        # Half a turn, so that two requests never leave as one; but never below what any timer is late by.
        self.tolerance: float = max(self.interval / 2, _TIMER_LATENESS)
        """Seconds by which a turn may be used late without moving the next one."""
        self._next = begins

    def peek(self, now: float) -> float:
        """Return the seconds until the next free turn, without taking it."""
        return max(self._next - now, 0.0)

    def reserve(self, now: float, since: float | None = None) -> float:
        """Take the next free turn and return the seconds until it comes.

        Args:
            now: the time.
            since: when the caller began to wait, if that was earlier: it may have a turn that has just passed.
        """
        # From the moment in which it asked: the time a busy event loop took to get here is not the caller's.
        at = max(self._next, now if since is None else since)
        self._next = at + self.interval
        return max(at - now, 0.0)

    async def take(self, now: float, since: float, *, more: bool) -> float:  # noqa: ARG002 - see Turns
        """Take the next free turn and return when it comes; see :class:`Turns`."""
        return now + self.reserve(now, since)

    def usable(self, turn: float, now: float) -> bool:  # noqa: ARG002 - see Turns
        """Tell whether a turn may still be used: always, since :meth:`used` moves the others behind it."""
        return True

    def used(self, now: float) -> None:
        """Note that a reserved turn is used at this moment: one that comes too late moves those after it."""
        self._next = max(self._next, now + self.interval - self.tolerance)

    def give_back(self) -> None:
        """Give the turn back that was reserved last and will not be used."""
        # Only ever the last one: turns in the middle belong to callers that are waiting for them.
        self._next -= self.interval


class Limiter:
    """Slots for calls under way, an optional rate, and a pause that holds everybody.

    Callers leave in the order in which they asked, whatever they wait for, and hold a slot only when they leave. There
    is no background task. A slot is handed over by whoever releases one. Where the rate or a pause decides, the first
    in line watches the clock for all; the turn it has reserved belongs to the line: when it gives up, the next takes
    over both.

    Args:
        limit: slots.
        rate: requests per second, or None.
        clock: time.
        turns: where the turns of the rate come from instead, when other processes use it as well.
        tell: told of every pause that begins here.
    """

    __slots__ = (
        "_clock",
        "_limit",
        "_line",
        "_paused_until",
        "_rate",
        "_tell",
        "_tickets",
        "_turn",
        "_waiting",
        "_watching",
        "in_flight",
        "rate",
    )

    def __init__(
        self,
        limit: int,
        rate: float | None,
        clock: Clock,
        *,
        turns: Turns | None = None,
        tell: Callable[[float], object] | None = None,
    ) -> None:
        self._limit = limit
        self._rate: Turns | None = RateReservation(rate) if turns is None and rate is not None else turns
        self._tell = tell
        self._clock = clock
        # True is a slot, False is the task to watch the clock.
        self._line = WaitQueue(self._take_back)
        self._waiting = self._line.waiters  # looked at for every call
        self._watching = False
        self._turn: float | None = None
        self._tickets = 0
        self._paused_until = 0.0
        self.rate: float | None = rate
        self.in_flight: int = 0

    @property
    def shared(self) -> bool:
        """Whether other processes use the same rate."""
        return self._tell is not None

    @property
    def limit(self) -> int:
        """How many slots there are."""
        return self._limit

    @property
    def queued(self) -> int:
        """How many callers wait for a slot, for the rate or for the end of a pause."""
        # Who was cancelled and has not run since is still in line, and waits no more.
        return sum(not waiter.done() for waiter in self._waiting) + self._watching

    def pause(self, seconds: float) -> None:
        """Let nothing leave for this long, also from other processes where the rate is shared.

        A pause only ever grows: nobody can lift it early.
        """
        self.hold(seconds)
        if self._tell is not None:
            self._tell(seconds)

    def hold(self, seconds: float) -> None:
        """Let nothing leave from here for this long, as another process was told to."""
        # The longest wins: several answers ask for a pause at about the same time, and each knows only its own.
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

    def turn_in(self) -> float:
        """Return the seconds until the turn of a caller that asked now, as far as the rate and a pause decide."""
        pause = self.pause_left()
        if self._rate is None:
            return pause
        now = self._clock.now()
        ahead = len(self._waiting) + self._watching
        first = self._rate.peek(now) if self._turn is None else self._turn - now
        return max(first, pause) + ahead * self._rate.interval

    def try_acquire(self) -> bool:
        """Take a slot if one is free at this instant, without waiting."""
        if self._paused_until or self._rate is not None or self._waiting or self.in_flight >= self._limit:
            return False
        self.in_flight += 1
        return True

    async def acquire(self) -> None:
        """Wait for a slot, for the rate, and for the end of a pause; the slot is held on return and only then."""
        self._tickets += 1
        ticket, since = self._tickets, self._clock.now()
        while await self._line.wait(ticket, self._call_next):
            if self.pause_left() == 0:
                return
            # A pause began after the slot was handed over: back to the old place in line, without the slot.
            self.in_flight -= 1
        try:
            await self._watch_clock(since)
        except BaseException:
            self._stop_watching()
            raise
        self._watching = False
        self.in_flight += 1
        self._call_next()

    def release(self) -> None:
        """Give the slot back, or hand it to the caller that has waited longest."""
        self.in_flight -= 1
        if self._waiting:
            self._call_next()

    def _call_next(self) -> None:
        """Hand out the free slots, or have the first in line watch the clock when time is what it waits for."""
        while self._waiting and not self._watching and self.in_flight < self._limit:
            if self._rate is not None or self.pause_left() > 0:
                self._watching = self._line.wake_one(False)
            elif self._line.wake_one(True):
                self.in_flight += 1

    async def _watch_clock(self, since: float) -> None:
        """Wait for the end of a pause and for the turn. Nobody else takes a slot meanwhile, so the free one stays."""
        while True:
            while (left := self.pause_left()) > 0:
                await self._clock.sleep(left)
            if self._rate is None:
                return
            now = self._clock.now()
            if self._turn is None or not self._rate.usable(self._turn, now):
                self._turn = await self._rate.take(now, since, more=bool(self._waiting))
                now = self._clock.now()  # it may have taken a trip to where the rate is kept
            if self._turn > now:
                await self._clock.sleep(self._turn - now)
            # A turn of a shared rate that has gone by meanwhile is not made up for: others use theirs.
            if self.pause_left() == 0 and self._rate.usable(self._turn, now := self._clock.now()):
                self._turn = None
                self._rate.used(now)
                return

    def _take_back(self, has_slot: bool) -> None:
        """Take what a caller was woken with and did not live to use."""
        # Not simply for the next in line, as a wait queue would have it: that one may have to wait for the time.
        if has_slot:
            self.release()
        else:
            self._stop_watching()

    def _stop_watching(self) -> None:
        """Let the next in line watch the clock, and have the turn that was reserved."""
        self._watching = False
        self._call_next()
        if not self._watching and self._turn is not None and self._rate is not None:
            self._turn = None
            self._rate.give_back()


class AnswerTimes:
    """How long answers take, by operation: whoever has less time left than that would spend a turn in vain.

    Mean and deviation are smoothed as TCP does for its round trips (RFC 6298): the newest answer counts an eighth of
    the mean and a quarter of the deviation.
    """

    __slots__ = ("_by_operation",)

    def __init__(self) -> None:
        self._by_operation: dict[str, tuple[float, float]] = {}

    def add(self, operation: str, seconds: float) -> None:
        """Learn how long an answer took."""
        known = self._by_operation.get(operation)
        if known is None:
            self._by_operation[operation] = seconds, seconds / 2
        else:
            mean, deviation = known
            off = abs(seconds - mean)
            self._by_operation[operation] = mean + (seconds - mean) / 8, deviation + (off - deviation) / 4

    def usual(self, operation: str) -> float:
        """Return the seconds that most answers stay below; 0 when none was seen."""
        mean, deviation = self._by_operation.get(operation, (0.0, 0.0))
        return mean + 2 * deviation


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
        self.limit: int = max(1, min(start, ceiling))

    def succeeded(self) -> bool:
        """Count one success; True when the limit has grown."""
        if self.limit >= self._ceiling:
            return False
        self._successes += 1
        # A round is as many successes as calls are under way, so that the growth does not depend on their speed.
        if self._successes < self.limit:
            return False
        self._successes = 0
        self.limit = min(self._ceiling, self.limit * 2 if self._slow_start else self.limit + 1)
        return True

    def overloaded(self, now: float) -> None:
        """Count one sign of overload: a 429 or 503, or a time-out."""
        self._slow_start = False
        self._successes = 0
        # The calls under way when it began will fail too; they are one sign of overload and not fifty.
        if now - self._decreased_at >= _DECREASE_INTERVAL:
            self._decreased_at = now
            self.limit = max(1, int(self.limit * _DECREASE))

    def restart(self) -> None:
        """Begin again from one, as after an outage."""
        self._slow_start = True
        self._successes = 0
        self.limit = 1
