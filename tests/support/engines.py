"""Engines for bulk work: threads that a test looks into, process pools, and a real Dask cluster on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import multiprocessing
import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

from cyclr_async import AsyncPartnerSession
from tests.support.usage_server import stored

__all__ = [
    "DaskCluster",
    "FastClock",
    "Threads",
    "acted_on",
    "children_of",
    "dask_client",
    "fast_session",
    "killed_at",
    "pool",
    "shared_clock",
    "workers_of",
]

_ROOT = Path(__file__).parent.parent.parent


class FastClock:
    """Time that passes as fast as it is slept, in whatever thread: an outage of an hour takes a moment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slept = 0.0

    def now(self) -> float:
        return time.monotonic() + self._slept

    def wall(self) -> float:
        return time.time() + self._slept

    def random(self) -> float:
        return 0.5

    async def sleep(self, seconds: float) -> None:
        with self._lock:
            until = self.now() + max(0.0, seconds)
        await asyncio.sleep(0.001)
        # To that moment and not by those seconds: of many that sleep at the same time, each has slept no longer.
        with self._lock:
            self._slept += max(0.0, until - self.now())


shared_clock = FastClock()
"""Of the sessions that :func:`fast_session` makes, and of the coordinator's where a test gives it to that."""


def fast_session() -> AsyncPartnerSession:
    """The session of a worker in which no second is waited for."""
    return AsyncPartnerSession.from_env(clock=shared_clock)


class Threads(Executor):
    """An engine of threads. What it is given and what it brings back is kept as pickles, as an engine would send it.

    Args:
        change: makes something else of a result; called with how many batches came before it.
        submitted: called before a batch is begun, with how many came before it.
    """

    def __init__(
        self,
        change: Callable[[int, Any], Any] = lambda _number, result: result,
        submitted: Callable[[int], object] = lambda _number: None,
        *,
        workers: int = 4,
    ) -> None:
        self._threads = ThreadPoolExecutor(workers)
        self._change = change
        self._submitted = submitted
        self.tasks: list[Any] = []
        self.pickles: list[bytes] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        number = len(self.tasks)
        self.tasks.append(args[0])
        sent = pickle.dumps((fn, args, kwargs))
        self.pickles.append(sent)
        self._submitted(number)

        def run() -> Any:
            function, given, named = pickle.loads(sent)
            back = pickle.dumps(function(*given, **named))
            self.pickles.append(back)
            return self._change(number, pickle.loads(back))

        return self._threads.submit(run)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._threads.shutdown(wait, cancel_futures=cancel_futures)


def pool(workers: int = 2) -> ProcessPoolExecutor:
    """Processes that are started anew: this one has threads, which do not survive a fork."""
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def children_of(pid: int) -> list[int]:
    """The processes below one, whatever the depth."""
    import psutil  # noqa: PLC0415 - of the test group; workers import this module too

    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


class DaskCluster:
    """A scheduler and workers as a user starts them, each a process of its own; ``with`` ends them.

    Args:
        folder: for its files and logs.
        workers: processes.
        threads: of each worker.
        environment: variables of the workers besides those of this process.
    """

    def __init__(
        self, folder: Path, *, workers: int = 2, threads: int = 2, environment: dict[str, str] | None = None
    ) -> None:
        self._folder = folder
        self._count = workers
        self._threads = threads
        self._environment = {**os.environ, "PYTHONPATH": str(_ROOT), **(environment or {})}
        # Quick to notice that something is gone, or a test would wait for half a minute.
        self._environment["DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT"] = "3s"
        self.scheduler: subprocess.Popen[bytes]
        self.workers: list[subprocess.Popen[bytes]] = []
        self.address = ""

    def __enter__(self) -> Self:
        place = self._folder / "scheduler.json"
        self.scheduler = self._start(
            "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(place)
        )
        try:
            for number in range(self._count):
                self.workers.append(
                    self._start(
                        "worker",
                        "--scheduler-file",
                        str(place),
                        "--nthreads",
                        str(self._threads),
                        "--no-dashboard",
                        "--memory-limit",
                        "0",
                        "--host",
                        "127.0.0.1",
                        "--local-directory",
                        str(self._folder),
                        "--name",
                        f"worker-{number}",
                    )
                )
            self.address = self._address(place)
        except BaseException:
            self.stop()
            raise
        return self

    def _address(self, place: Path) -> str:
        import json  # noqa: PLC0415 - as above

        until = time.monotonic() + 60
        while not place.exists() or not place.stat().st_size:
            if self.scheduler.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the scheduler did not start: {self.logs()[-2000:]}")
            time.sleep(0.05)
        address: str = json.loads(place.read_text())["address"]
        return address

    def _start(self, kind: str, *arguments: str) -> subprocess.Popen[bytes]:
        log = self._folder / f"{kind}-{len(self.workers)}.log"
        with log.open("wb") as stream:
            return subprocess.Popen(
                [sys.executable, "-m", "distributed.cli.dask_" + kind, *arguments],
                stdout=stream,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=_ROOT,
                env=self._environment,
            )

    def logs(self) -> str:
        """Everything that its processes have written."""
        return "".join(log.read_text(errors="replace") for log in sorted(self._folder.glob("*.log")))

    def kill_a_worker(self, number: int) -> None:
        """Kill the process that does the work below one of the nannies, which starts another."""
        for pid in children_of(self.workers[number % len(self.workers)].pid)[-1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def stop(self) -> None:
        for process in (*self.workers, self.scheduler):
            below = children_of(process.pid)
            process.kill()
            process.wait()
            for pid in below:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def __exit__(self, *_: object) -> None:
        self.stop()


async def acted_on(run: Any, acts: Mapping[int, Callable[[], object]]) -> int:
    """Run a collection, doing something when so many outcomes have come; returns how many there were."""
    seen = 0
    async with run:
        async for outcome in run:
            assert outcome.ok, outcome.error
            seen += 1
            if seen in acts:
                acts[seen]()
    return seen


async def killed_at(goal: int, store: Path, *command: str) -> list[int]:
    """Kill a collecting process when its store holds so many accounts; returns the workers that it leaves behind."""
    process = await asyncio.create_subprocess_exec(*command, cwd=_ROOT)
    until = time.monotonic() + 60
    try:
        while _collected(store) < goal:
            assert process.returncode is None
            assert time.monotonic() < until
            await asyncio.sleep(0.02)
        orphans = [worker.pid for worker in workers_of(process.pid)]
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    return orphans


def _collected(store: Path) -> int:
    try:
        return len(stored(store))
    except sqlite3.OperationalError:
        return 0  # the process is just making its tables


def workers_of(pid: int) -> list[Any]:
    """The processes of a pool, without that which watches the resources of all."""
    import psutil  # noqa: PLC0415 - as above

    children = psutil.Process(pid).children()
    return [child for child in children if any("spawn_main" in word for word in child.cmdline())]


@contextlib.contextmanager
def dask_client(cluster: DaskCluster) -> Iterator[Any]:
    """A client whose workers are there."""
    # By name, so that types are checked the same whether this extra is installed or not.
    client = importlib.import_module("distributed").Client(cluster.address, timeout=30)
    try:
        client.wait_for_workers(len(cluster.workers), timeout=60)
        yield client
    finally:
        client.close(timeout=1)
