"""Time limits of many calls at the price of one timer.

``asyncio.timeout`` arms and cancels a timer of the event loop for every call, and a socket read timeout two more;
together they cost an eighth of a call. Here the limits of all calls are kept in buckets of ten milliseconds, and one
timer looks at the earliest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

__all__ = ["Attempt", "Timeout", "TimerWheel"]

_TICKS: Final = 100
"""Buckets per second: a limit is enforced at most a hundredth of a second late."""


class TimerWheel:
    """Knows every time limit in force in one event loop."""

    __slots__ = ("_buckets", "_next", "_time", "_timer", "loop")

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        """The event loop, once there has been a limit."""
        self._time: Callable[[], float] | None = None
        self._buckets: dict[int, set[Timeout]] = {}
        self._next = 0
        self._timer: asyncio.TimerHandle | None = None

    def limit(self, seconds: float) -> Timeout:
        """Return a context manager that raises TimeoutError when its body takes longer than this."""
        return Timeout(self, seconds)

    def add(self, scope: Timeout, seconds: float) -> int:
        """Put a limit in force, so many seconds from now, and return its bucket."""
        time = self._time
        if time is None:
            self.loop = asyncio.get_running_loop()
            time = self._time = self.loop.time
        # Rounded up: a limit may be enforced late, never early.
        bucket = int((time() + seconds) * _TICKS) + 1
        members = self._buckets.get(bucket)
        if members is None:
            self._buckets[bucket] = {scope}
            if self._timer is None or bucket < self._next:
                self._arm(bucket)
        else:
            members.add(scope)
        return bucket

    def discard(self, scope: Timeout, bucket: int) -> None:
        """Take a limit out of force."""
        members = self._buckets.get(bucket)
        if members is not None:
            members.discard(scope)
            # The bucket that the timer waits for stays: else every call that is alone would arm a timer of its own.
            if not members and bucket != self._next:
                del self._buckets[bucket]

    def _arm(self, bucket: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next = bucket
        assert self.loop is not None
        self._timer = self.loop.call_at(bucket / _TICKS, self._look)

    def _look(self) -> None:
        self._timer = None
        assert self.loop is not None
        # The bucket that the timer was armed for is due whatever rounding says (891755 / 100 * 100 is below 891755): a
        # clock that stands still meanwhile would bring the timer back in every turn.
        now = max(int(self.loop.time() * _TICKS), self._next)
        # A copy, since what expires may put new limits in force.
        for bucket in [bucket for bucket in self._buckets if bucket <= now]:
            for scope in self._buckets.pop(bucket):
                scope.expire()
        if self._buckets:
            self._arm(min(self._buckets))

    def close(self) -> None:
        """Forget the timer, so that nothing is left in the event loop, unless somebody still waits under a limit."""
        if self._timer is not None and not any(self._buckets.values()):
            self._timer.cancel()
            self._timer = None


class Timeout:
    """A time limit around some code, with the semantics of ``asyncio.timeout``: a cancellation from outside wins."""

    __slots__ = ("_bucket", "_cancelling", "_seconds", "_task", "_watch", "expired")

    def __init__(self, watch: TimerWheel, seconds: float) -> None:
        self._watch = watch
        self._seconds = seconds
        self._bucket = -1
        self.expired: bool = False

    def __enter__(self) -> Self:
        watch = self._watch
        # First, because it finds the loop out; asyncio would ask for it a second time.
        self._bucket = watch.add(self, self._seconds)
        task = asyncio.current_task(watch.loop)
        if task is None:
            watch.discard(self, self._bucket)
            raise RuntimeError("a time limit needs a task")
        self._task = task
        # Cancellations from outside are counted, to be told apart from our own when the body ends.
        self._cancelling = task.cancelling()
        return self

    def reschedule(self, seconds: float) -> None:
        """Begin the limit anew, from now."""
        if not self.expired:
            self._watch.discard(self, self._bucket)
            self._bucket = self._watch.add(self, seconds)

    def expire(self) -> None:
        """Interrupt the body."""
        self.expired = True
        self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self.expired:
            self._watch.discard(self, self._bucket)
        # Whoever cancelled the task from outside wins, also in the moment in which the limit expired.
        elif self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error


class Attempt(Timeout):
    """The time limit of one HTTP attempt, and what is known of it while it runs.

    Args:
        watch: the time limits in force.
        seconds: until the first sign of life.
        read: seconds between two signs of life.
        ends: when the attempt ends at the latest, on the clock of ``now``.
        now: monotonic seconds.
        connect_by: when the connection must be there at the latest, if that is earlier.
    """

    __slots__ = ("_ends", "_hurried", "_now", "_read", "connected", "status")

    def __init__(
        self,
        watch: TimerWheel,
        seconds: float,
        *,
        read: float,
        ends: float,
        now: Callable[[], float],
        connect_by: float | None = None,
    ) -> None:
        # Not through the base class: one is made for every call, and that call alone costs as much as all of these.
        self._watch = watch
        self._seconds = seconds if connect_by is None else max(min(seconds, connect_by - now()), 0.0)
        self._bucket = -1
        self.expired = False
        self._hurried = connect_by is not None
        self._read = read
        self._ends = ends
        self._now = now
        self.connected: bool = False
        """True once a connection was handed over, the moment before the first byte is written."""
        self.status: int | None = None
        """The HTTP status once the headers of the answer were read: proof that the request arrived."""

    def sending(self) -> None:
        """Note that a connection was handed over."""
        # Before the first byte, not after: what is not known to be unsent counts as sent.
        self.connected = True
        if self._hurried:
            self.touch()

    def touch(self) -> None:
        """Note a sign of life: from here the server may be silent for the read limit again."""
        self.reschedule(self.patience())

    def patience(self) -> float:
        """Return for how many seconds from now the server may be silent."""
        return max(min(self._read, self._ends - self._now()), 0.0)
