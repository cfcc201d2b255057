"""The progress bar of a collection, on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable

from rich.progress import BarColumn, Progress, TextColumn

from cyclr_async.cli.options import Options
from cyclr_async.cli.progress import Run, progress_line
from cyclr_async.cli.tables import console

__all__ = ["progress_bar"]


class progress_bar:  # noqa: N801 - used like a function
    """A bar that is drawn anew whenever its block's function is called."""

    def __init__(self, run: Run, options: Options) -> None:
        self._run = run
        self._bar = Progress(
            BarColumn(bar_width=32),
            TextColumn("{task.description}"),
            console=console(sys.stderr, options),
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._bar.add_task("", total=None)

    def __enter__(self) -> Callable[[], None]:
        self._bar.start()
        return self._draw

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def _draw(self) -> None:
        progress = self._run.progress
        self._bar.update(
            self._task,
            description=progress_line(progress),
            completed=progress.done,
            total=progress.asked if progress.listing_complete else None,
        )
        self._bar.refresh()
