"""How a collection is going: a bar where somebody looks, a line now and then where nobody does."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Protocol

from cyclr_async.cli.options import Options
from cyclr_async.cli.terminal import echo, is_terminal

if TYPE_CHECKING:
    from cyclr_async.usage.collect.progress import Progress

__all__ = ["LINE_SECONDS", "Run", "progress_line", "showing"]

LINE_SECONDS: Final = 10.0
_BAR_SECONDS: Final = 0.1


class Run(Protocol):
    """What can be watched."""

    @property
    def progress(self) -> Progress:
        """How far it is."""
        ...


def progress_line(progress: Progress) -> str:
    """Return one line: how many of how many, rate, failures, what is left."""
    total = f"{progress.asked:,}" + ("" if progress.listing_complete else "+")
    failed = progress.failed + progress.missing + progress.forbidden
    parts = [f"{progress.done:,} of {total}", f"{progress.rate:,.0f}/s", f"{failed:,} failed"]
    if progress.paused:
        parts.append("paused: the service is out")
    elif progress.eta is not None:
        parts.append(f"ETA {clock_time(progress.eta)}")
    return "  ".join(parts)


def clock_time(seconds: float) -> str:
    """Return ``1:05`` or ``2:03:04``."""
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@asynccontextmanager
async def showing(
    run: Run, options: Options, *, rows_on_terminal: bool = False, line_seconds: float = LINE_SECONDS
) -> AsyncIterator[None]:
    """Show on standard error how the run goes while the block lasts.

    Args:
        run: what is watched.
        options: the shared options; ``quiet`` and ``no_progress`` show nothing.
        rows_on_terminal: True when rows scroll by on the same terminal, where a bar would be torn apart.
        line_seconds: between two lines where there is no bar.
    """
    if options.quiet or options.no_progress:
        yield
        return
    if is_terminal(sys.stderr) and not rows_on_terminal:
        from cyclr_async.cli.progress_bar import progress_bar  # noqa: PLC0415 - rich, which help and pipes do without

        with progress_bar(run, options) as draw:
            ticker = asyncio.create_task(_every(_BAR_SECONDS, draw), name="cyclr-progress")
            try:
                yield
            finally:
                await _stop(ticker)
                draw()
        return
    ticker = asyncio.create_task(
        _every(line_seconds, lambda: echo(options, progress_line(run.progress))), name="cyclr-progress"
    )
    try:
        yield
    finally:
        await _stop(ticker)


async def _every(seconds: float, act: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(seconds)
        act()


async def _stop(ticker: asyncio.Task[None]) -> None:
    ticker.cancel()
    await asyncio.wait([ticker])
