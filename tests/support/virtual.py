"""A clock that jumps to the next alarm whenever nothing else is going on: an outage of hours takes milliseconds."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from collections.abc import Callable
from types import TracebackType
from typing import Self

__all__ = ["VirtualClock"]

_TICK = 0.0005
_QUIET_TICKS = 3


class VirtualClock:
    """Time that stands still while requests are under way, and jumps while everybody sleeps.

    Use it with ``async with``, and set :attr:`busy` to what tells whether requests are under way.

    Args:
        seed: of the dice.
    """

    def __init__(self, seed: int = 1) -> None:
        self.busy: Callable[[], bool] = lambda: False
        self.slept: list[float] = []
        self._now = 1000.0
        self._dice = random.Random(seed)
        self._alarms: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()
        self._driver: asyncio.Task[None] | None = None

    def now(self) -> float:
        return self._now

    def wall(self) -> float:
        return 1_795_000_000.0 + self._now

    def random(self) -> float:
        return self._dice.random()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        alarm: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._alarms, (self._now + max(seconds, 0.0), next(self._numbers), alarm))
        await alarm

    def advance(self, seconds: float) -> None:
        """Let time pass without waking anybody; the driver does that."""
        self._now += seconds

    async def __aenter__(self) -> Self:
        self._driver = asyncio.get_running_loop().create_task(self._drive(), name="virtual-clock")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._driver is not None
        self._driver.cancel()
        await asyncio.wait([self._driver])

    async def _drive(self) -> None:
        quiet = 0
        while True:
            await asyncio.sleep(_TICK)
            quiet = 0 if self.busy() else quiet + 1
            if quiet >= _QUIET_TICKS and self._alarms:
                self._jump()
                quiet = 0

    def _jump(self) -> None:
        self._now = max(self._now, self._alarms[0][0])
        while self._alarms and self._alarms[0][0] <= self._now:
            alarm = heapq.heappop(self._alarms)[2]
            if not alarm.done():
                alarm.set_result(None)
