"""Time and chance, injected so that tests decide both."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Protocol

from cyclr_async.errors import ConfigurationError

__all__ = ["Clock", "SystemClock", "checked_clock"]


class Clock(Protocol):
    """What the pipeline needs of the outside world besides the network."""

    def now(self) -> float:
        """Return monotonic seconds."""
        ...

    def wall(self) -> float:
        """Return seconds since the epoch."""
        ...

    def random(self) -> float:
        """Return a number from 0 up to 1, excluded."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The real clock and the real dice."""

    # Functions as they are: asked several times per call, a method around each would cost more than the answer.
    now: Callable[[], float] = staticmethod(time.monotonic)
    wall: Callable[[], float] = staticmethod(time.time)
    random: Callable[[], float] = staticmethod(random.random)  # jitter, not a secret

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


def checked_clock(clock: Clock) -> Clock:
    """Return a clock that has everything.

    Raises:
        ConfigurationError: it has not.
    """
    missing = [name for name in ("now", "wall", "random", "sleep") if not callable(getattr(clock, name, None))]
    if missing:
        raise ConfigurationError(
            f"clock must have the methods now, wall, random and sleep; {', '.join(missing)} is missing"
        )
    return clock
