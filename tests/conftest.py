"""What holds for every test: an async test leaves no task running, and nothing is compiled twice."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import sys
from collections.abc import AsyncIterator

import pytest

# Images and shells that switch bytecode off make each of the processes that tests start, and each worker, compile the
# package again: a minute of a run. What is written is ignored by Git, and next time the tests start in half the time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def pytest_xdist_auto_num_workers() -> int:
    """Return the number of workers for ``-n logical``: half as many again as there are CPUs.

    A third of the time of the tests is spent waiting, for sockets, processes and disks.
    """
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cpus + cpus // 2


@pytest.fixture
async def no_task_left() -> AsyncIterator[None]:
    """Fail when a task that began during the test is still running a second after it."""
    before = asyncio.all_tasks()
    yield
    loop = asyncio.get_running_loop()
    until = loop.time() + 1.0
    while left := [task for task in asyncio.all_tasks() - before - {asyncio.current_task()} if not task.done()]:
        assert loop.time() < until, f"left running: {sorted(task.get_name() for task in left)}"
        await asyncio.sleep(0.005)


@pytest.fixture(autouse=True)
def watch_tasks(request: pytest.FixtureRequest) -> None:
    if inspect.iscoroutinefunction(getattr(request.node, "obj", None)):
        request.getfixturevalue("no_task_left")


def pytest_collection_finish() -> None:
    # The thousands of tests and all modules stay until the end. Without them a look for garbage takes a millisecond,
    # with them a quarter of a second, and tests look for it often: by chance, or to find what leaks.
    gc.collect()
    gc.freeze()
