"""The time of the simulator, which tests can move, and the same time as a session needs it."""

from __future__ import annotations

import asyncio
import random
import time
from datetime import UTC, datetime, timedelta
from typing import Final

__all__ = ["START", "SessionClock", "SimulatedClock", "add_months"]

START: Final = datetime(2026, 11, 24, 9, 0, 0, tzinfo=UTC)
"""The instant at which a simulator starts when no other is given, so that the same seed gives the same answers."""

_DAYS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def add_months(moment: datetime, months: int) -> datetime:
    """Return the same day of the month ``months`` later, or the last day of that month when it is shorter.

    Raises:
        ValueError: the year would leave 1 to 9999.
    """
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    day = moment.day
    if day > 28:
        leap = month == 1 and (year % 4 == 0 and (year % 100 != 0 or year % 400 == 0))
        day = min(day, _DAYS[month] + leap)
    return moment.replace(year, month + 1, day)


class SimulatedClock:
    """A clock that ticks with real time and can be moved forward or set.

    Args:
        start: the instant it shows first; naive means UTC.
        frozen: True stops the ticking, so that time moves only when it is told to.
    """

    __slots__ = ("_forward", "_frozen", "_moved", "_origin", "_start")

    def __init__(self, start: datetime = START, *, frozen: bool = False) -> None:
        self._start = _aware(start)
        self._frozen = frozen
        self._origin = time.monotonic()
        self._moved = 0.0
        self._forward = 0.0

    @property
    def forward(self) -> float:
        """Seconds by which it was moved forward since it was made; moving it back takes nothing away."""
        return self._forward

    @property
    def start(self) -> datetime:
        """The instant it was made with or last set to."""
        return self._start

    def elapsed(self) -> float:
        """Seconds since the start, real ones and those it was advanced by."""
        return self._moved if self._frozen else time.monotonic() - self._origin + self._moved

    def now(self) -> datetime:
        """The current simulated instant, aware, in UTC."""
        return self._start + timedelta(seconds=self.elapsed())

    def advance(self, by: float | timedelta) -> datetime:
        """Move the clock forward.

        Args:
            by: seconds or a timedelta, not negative.

        Returns:
            The new instant.

        Raises:
            ValueError: ``by`` is negative, not finite, or leads past the year 9000.
        """
        seconds = by.total_seconds() if isinstance(by, timedelta) else float(by)
        if not 0 <= seconds <= 400_000_000_000:
            raise ValueError(
                "the clock advances by 0 seconds or more, and not past the year 9000; use set() to go back"
            )
        try:
            moment = self.now() + timedelta(seconds=seconds)
        except OverflowError:
            moment = datetime.max.replace(tzinfo=UTC)
        self._check(moment)
        self._moved += seconds
        self._forward += seconds
        return moment

    def set(self, moment: datetime) -> datetime:
        """Set the clock; naive means UTC.

        Raises:
            ValueError: the year is outside 1970 to 9000.
        """
        moment = _aware(moment)
        self._check(moment)
        self._forward += max(0.0, (moment - self.now()).total_seconds())
        self._start, self._moved, self._origin = moment, 0.0, time.monotonic()
        return moment

    @staticmethod
    def _check(moment: datetime) -> None:
        if not 1970 <= moment.year <= 9000:
            raise ValueError("the simulated year must lie between 1970 and 9000")


class SessionClock:
    """The clock of a session on a simulator: months that pass there pass for the session too.

    Its tokens expire when those of the simulator do, and what it collects is dated in simulated time. Waiting is real:
    a pause of a second takes a second, unless the simulated clock is moved meanwhile, and also while it is frozen.

    Args:
        simulated: the clock of the simulator.
    """

    __slots__ = ("_simulated",)

    def __init__(self, simulated: SimulatedClock) -> None:
        self._simulated = simulated

    def now(self) -> float:
        """Return monotonic seconds: real ones, and those by which the simulated clock was moved forward.

        They go on while the simulated clock is frozen or moved back: limits on real waiting are kept all the same.
        """
        return time.monotonic() + self._simulated.forward

    def wall(self) -> float:
        """Return the simulated instant, in seconds since the epoch."""
        return self._simulated.now().timestamp()

    def random(self) -> float:
        """Return a number from 0 up to 1, excluded."""
        return random.random()  # noqa: S311 - jitter and no secret

    async def sleep(self, seconds: float) -> None:
        """Wait in real time.

        Args:
            seconds: how long, 0 or more.
        """
        await asyncio.sleep(seconds)
