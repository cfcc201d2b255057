"""Clocks that a test moves, or that jump while nothing happens, and a token endpoint that follows a script."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from cyclr_async.auth.providers import AccessToken

__all__ = ["FakeClock", "ScriptedEndpoint", "VirtualClock", "settle"]

# What is done in threads, such as the writes of a store, is no request under way, and gets 1.5 ms to end in.
_TICK = 0.0005
_QUIET_TICKS = 3


async def settle(turns: int = 12) -> None:
    """Let everything that can run do so."""
    for _ in range(turns):
        await asyncio.sleep(0)


class _Clock:
    """Time that somebody else moves; sleepers wake in order of their time, then of their arrival."""

    def __init__(self, *, start: float = 1000.0, wall: float = 1_790_000_000.0) -> None:
        self.time = start
        self.wall_time = wall
        self._serial = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self.time

    def wall(self) -> float:
        return self.wall_time

    @property
    def sleeping(self) -> int:
        """How many sleep at this moment."""
        return sum(not future.done() for _, _, future in self._sleepers)

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.time + max(seconds, 0.0), next(self._serial), future))
        await future

    def shift(self, seconds: float) -> None:
        """Move both clocks without waking anybody."""
        self.time += seconds
        self.wall_time += seconds

    def _wake_next(self) -> bool:
        """Go to the time of the next sleeper and wake it; tell whether it was still asleep."""
        when, _, future = heapq.heappop(self._sleepers)
        self.shift(max(0.0, when - self.time))
        if future.done():
            return False
        future.set_result(None)
        return True


class FakeClock(_Clock):
    """Time that only :meth:`advance` moves."""

    def __init__(self, *, start: float = 1000.0, wall: float = 1_790_000_000.0, dice: float = 0.0) -> None:
        super().__init__(start=start, wall=wall)
        self.dice = dice

    def random(self) -> float:
        return self.dice

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
        else:
            await super().sleep(seconds)

    async def advance(self, seconds: float, *, turns: int = 12) -> None:
        """Move both clocks and wake, one after the other, whoever should wake meanwhile."""
        target = self.time + seconds
        await settle(turns)
        while self._sleepers and self._sleepers[0][0] <= target:
            if self._wake_next():
                await settle(turns)
        self.shift(target - self.time)
        await settle(turns)


class VirtualClock(_Clock):
    """Time that stands still while requests are under way, and jumps to the next alarm while everybody sleeps.

    An outage of hours takes milliseconds. Use it with ``async with``, and set :attr:`busy` to what tells whether
    requests are under way.

    Args:
        seed: of the dice.
    """

    def __init__(self, seed: int = 1) -> None:
        super().__init__(wall=1_795_001_000.0)
        self.busy: Callable[[], bool] = lambda: False
        self._dice = random.Random(seed)
        self._driver: asyncio.Task[None] | None = None

    def random(self) -> float:
        return self._dice.random()

    def advance(self, seconds: float) -> None:
        """Let time pass without waking anybody; the driver does that."""
        self.shift(seconds)

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
            if quiet >= _QUIET_TICKS and self._sleepers:
                self._wake_next()
                # Those who wake at the same moment wake together.
                while self._sleepers and self._sleepers[0][0] <= self.time:
                    self._wake_next()
                quiet = 0


class ScriptedEndpoint:
    """The exchange of a token endpoint: every form that arrives is kept, and answered by the script, then by default.

    Attributes:
        forms: what was posted, with the flag that says whether it may be repeated.
        script: tokens to return and errors to raise, first come first; afterwards numbered tokens.
        gate: when given, no answer leaves before it is set.
    """

    def __init__(self, *script: AccessToken | Exception, gate: asyncio.Event | None = None) -> None:
        self.forms: list[tuple[dict[str, str], bool]] = []
        self.script = list(script)
        self.gate = gate

    async def __call__(self, form: Mapping[str, str], repeatable: bool) -> AccessToken:
        self.forms.append(({name: str(value) for name, value in form.items()}, repeatable))
        if self.gate is not None:
            await self.gate.wait()
        if not self.script:
            serial = len(self.forms)
            return AccessToken(f"access-{serial}", expires_in=1000, refresh_token=f"refresh-{serial}")
        answer = self.script.pop(0)
        if isinstance(answer, AccessToken):
            return answer
        raise answer

    @property
    def grants(self) -> list[str]:
        """The grant types asked for, in order."""
        return [form["grant_type"] for form, _ in self.forms]
