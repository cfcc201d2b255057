"""Nothing may be left behind: tasks and sockets are counted before and after."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator
from pathlib import Path

__all__ = ["no_leaks", "open_sockets"]

_FD_FOLDER = Path("/proc/self/fd")


def open_sockets() -> int | None:
    """How many sockets this process has open, or None where the system does not tell."""
    if not _FD_FOLDER.is_dir():
        return None
    count = 0
    for entry in _FD_FOLDER.iterdir():
        with contextlib.suppress(OSError):
            count += str(entry.readlink()).startswith("socket:")
    return count


@contextlib.asynccontextmanager
async def no_leaks(grace: float = 2.0) -> AsyncIterator[None]:
    """Fail when the block leaves a task running or a socket open for longer than ``grace`` seconds."""
    tasks_before = asyncio.all_tasks()
    sockets_before = open_sockets()
    yield
    loop = asyncio.get_running_loop()
    until = loop.time() + grace
    while True:
        left = {task for task in asyncio.all_tasks() - tasks_before - {asyncio.current_task()} if not task.done()}
        sockets = open_sockets()
        extra = 0 if sockets is None or sockets_before is None else sockets - sockets_before
        if not left and extra <= 0:
            return
        if loop.time() >= until:
            break
        gc.collect()
        await asyncio.sleep(0.01)
    raise AssertionError(f"left behind: {extra} sockets and tasks {sorted(task.get_name() for task in left)}")
