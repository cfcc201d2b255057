"""Event loops whose time passes only while nobody has anything to do, so that a busy machine changes no figure."""

from __future__ import annotations

import asyncio
import functools
import selectors
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, ParamSpec

from cyclr_async.http.clock import SystemClock
from tests.support.clock import VirtualClock
from tests.support.leaks import no_leaks

# VirtualClock had its place here once.
__all__ = ["LoopClock", "VirtualClock", "VirtualTimeLoop", "in_virtual_time"]

_P = ParamSpec("_P")

# A kernel under load may deliver what was sent over loopback a moment later; only after this is it quiet. Real seconds,
# once per alarm: with a thousand alarms a test still takes but a second.
_QUIET = 0.001

# When the clocks of loops began, in seconds since the epoch.
_BOOT = time.time() - time.monotonic()


class LoopClock(SystemClock):
    """The clock of the running event loop: the machine's on an ordinary loop, virtual on a :class:`VirtualTimeLoop`."""

    now = staticmethod(lambda: asyncio.get_running_loop().time())
    wall = staticmethod(lambda: _BOOT + asyncio.get_running_loop().time())


class _Selector(selectors.DefaultSelector):
    """Waits for sockets as ever, but not for time."""

    loop: VirtualTimeLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        found = super().select(0) or super().select(_QUIET)
        # What a thread does takes real time, of which the loop hears only when it is done.
        if not found and not self.loop.threads:
            self.loop.advance(timeout)
        return found


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Real sockets, and time that jumps to the next alarm as soon as nothing is left to read, write or run.

    Within a turn no time passes, however slow the machine is: so limits, delays and rates can be asserted as exact
    figures, and an hour of waiting takes milliseconds. The session needs a :class:`LoopClock` with it.

    Attributes:
        threads: how many functions are at work in threads; time stands still meanwhile.
    """

    def __init__(self) -> None:
        selector = _Selector()
        selector.loop = self
        self.threads = 0
        self._at = time.monotonic()
        super().__init__(selector)

    def time(self) -> float:
        return self._at

    def advance(self, seconds: float) -> None:
        """Let time pass without running anything: what a function does that holds the loop."""
        self._at += seconds

    def run_in_executor(self, executor: Executor | None, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        future = super().run_in_executor(executor, func, *args)
        self.threads += 1
        future.add_done_callback(self._thread_ended)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        # A thread joins those of the executor. From Python 3.12 on the loop gives it 300 s, which would pass at once.
        self.threads += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self.threads -= 1

    def _thread_ended(self, _future: asyncio.Future[Any]) -> None:
        self.threads -= 1


def in_virtual_time(test: Callable[_P, Coroutine[Any, Any, None]]) -> Callable[_P, None]:
    """Run an async test on a :class:`VirtualTimeLoop`; it may leave neither a task nor a socket behind."""

    @functools.wraps(test)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> None:
        async def watched() -> None:
            async with no_leaks():
                await test(*args, **kwargs)

        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(watched())

    return run
