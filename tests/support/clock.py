"""A clock that stands still until a test moves it, and a token endpoint that follows a script."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Mapping

from cyclr_async.auth.providers import AccessToken

__all__ = ["FakeClock", "ScriptedEndpoint", "settle"]


async def settle(turns: int = 12) -> None:
    """Let everything that can run do so."""
    for _ in range(turns):
        await asyncio.sleep(0)


class FakeClock:
    """Time that only :meth:`advance` moves; sleepers wake in order of their time, then of their arrival."""

    def __init__(self, *, start: float = 1000.0, wall: float = 1_790_000_000.0, dice: float = 0.0) -> None:
        self.time = start
        self.wall_time = wall
        self.dice = dice
        self._serial = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self.time

    def wall(self) -> float:
        return self.wall_time

    def random(self) -> float:
        return self.dice

    @property
    def sleeping(self) -> int:
        """How many sleep at this moment."""
        return sum(not future.done() for _, _, future in self._sleepers)

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.time + seconds, next(self._serial), future))
        await future

    def shift(self, seconds: float) -> None:
        """Move both clocks without waking anybody."""
        self.time += seconds
        self.wall_time += seconds

    async def advance(self, seconds: float, *, turns: int = 12) -> None:
        """Move both clocks and wake, one after the other, whoever should wake meanwhile."""
        target = self.time + seconds
        await settle(turns)
        while self._sleepers and self._sleepers[0][0] <= target:
            when, _, future = heapq.heappop(self._sleepers)
            self.shift(max(0.0, when - self.time))
            if not future.done():
                future.set_result(None)
                await settle(turns)
        self.shift(target - self.time)
        await settle(turns)


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
