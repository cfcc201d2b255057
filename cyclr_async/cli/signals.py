"""Coroutines under signals: the first one ends them in good order, the second at once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from cyclr_async.cli.exit_codes import Exit, InterruptedBySignal

__all__ = ["run_async"]

T = TypeVar("T")


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine; SIGINT and SIGTERM cancel it, and a second one ends the process.

    Raises:
        InterruptedBySignal: a signal came; the coroutine has ended.
    """
    try:
        return asyncio.run(_supervised(work))
    except KeyboardInterrupt:
        raise InterruptedBySignal from None
    finally:
        work.close()  # Ctrl-C before its first step: Python would warn that it was never awaited


async def _supervised(work: Coroutine[Any, Any, T]) -> T:
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    signalled = False

    def interrupt(*_: object) -> None:
        nonlocal signalled
        if signalled:
            with contextlib.suppress(OSError, ValueError):
                if sys.stderr.isatty():
                    os.write(sys.stderr.fileno(), b"\x1b[?25h\r\n")  # the progress bar had hidden the cursor
            os._exit(Exit.INTERRUPTED)
        signalled = True
        loop.call_soon_threadsafe(task.cancel)

    # Not loop.add_signal_handler: while a full pipe holds up a write, the loop runs no handler.
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return await work
    except asyncio.CancelledError:
        if signalled:
            raise InterruptedBySignal from None
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
