"""What a shared state costs and keeps: ``python -m benchmarks.shared`` prints the figures of docs/workers.md.

Several real processes use one rate over nothing, a file or Redis, which is started on a free port of this machine when
``redis-server`` is installed. ``--quick`` takes seconds. The same functions drive the tests of ``tests/shared``.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Self

import attrs

from benchmarks.bodies import account_id
from benchmarks.processes import ROOT, Server, environment

__all__ = ["Figures", "RedisServer", "Workers", "figures", "main", "most_in_a_second"]

_REDIS: Final = shutil.which("redis-server") or shutil.which("valkey-server")
_NOTHING: Final[dict[str, Any]] = {
    "what": "turns",
    "shared": None,
    "rate": None,
    "alone": None,
    "seconds": 0.0,
    "waiters": 16,
    "calls_per_second": None,
    "waves": 0,
    "calls": 0,
    "account_id": None,
    "timeout": None,
    "pace": 0.0,
    "grant": "client_credentials",
}


class RedisServer:
    """A server of Redis or Valkey on a free loopback port, that keeps nothing."""

    def __init__(self, folder: Path) -> None:
        if _REDIS is None:
            raise RuntimeError("neither redis-server nor valkey-server is installed")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def installed() -> bool:
        """Tell whether there is one on this machine."""
        return _REDIS is not None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, empty."""
        assert _REDIS is not None
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(
            [_REDIS, *arguments, "--dir", str(self._folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 0.5) as link:
                link.sendall(b"PING\r\n")
                if link.recv(16).startswith(b"+PONG"):
                    return
            time.sleep(0.02)
        raise RuntimeError("redis-server did not start within 10 s")

    def signal(self, number: int) -> None:
        """Send it a signal, such as SIGSTOP."""
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self) -> None:
        """Kill it."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(10)

    def command(self, *words: str) -> bytes:
        """Send a command and return the raw answer, as far as it comes in one piece."""
        with socket.create_connection(("127.0.0.1", self.port), 2.0) as link:
            link.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w.encode()) for w in words))
            link.settimeout(0.5)
            answer = b""
            with contextlib.suppress(TimeoutError):
                while piece := link.recv(1 << 20):
                    answer += piece
        return answer

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Workers:
    """Processes that do the same job at the same time.

    Args:
        count: how many.
        job: what each does; see :mod:`benchmarks.shared_worker`.
    """

    def __init__(self, count: int, **job: Any) -> None:
        text = json.dumps({**_NOTHING, **job}).encode() + b"\n"
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115  closed in close()
        self.processes = [
            subprocess.Popen(
                [sys.executable, "-m", "benchmarks.shared_worker"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.errors,
                env=environment(),
            )
            for _ in range(count)
        ]
        for process in self.processes:
            self._say(process, text)

    @staticmethod
    def _say(process: "subprocess.Popen[bytes]", text: bytes) -> None:
        assert process.stdin is not None
        process.stdin.write(text)
        process.stdin.flush()

    def ready(self) -> None:
        """Wait until all could begin."""
        for process in self.processes:
            assert process.stdout is not None
            if not process.stdout.readline():
                raise RuntimeError(self.words())

    def go(self) -> None:
        """Let all begin in the same moment."""
        at = json.dumps({"at": time.monotonic() + 0.2}).encode() + b"\n"
        for process in self.processes:
            self._say(process, at)

    def results(self, timeout: float = 110.0) -> list[dict[str, Any]]:
        """Wait for the results; a process that was killed has none."""
        found = []
        watchdog = threading.Timer(timeout, self.kill)
        watchdog.start()
        try:
            for process in self.processes:
                assert process.stdout is not None
                line = process.stdout.readline()
                if line:
                    found.append(json.loads(line))
                elif process.wait(10) != -signal.SIGKILL:
                    raise RuntimeError(self.words())
        finally:
            watchdog.cancel()
        return found

    def run(self, while_running: Callable[[], object] | None = None) -> list[dict[str, Any]]:
        """Begin, do something meanwhile, and return the results."""
        self.ready()
        self.go()
        if while_running is not None:
            while_running()
        return self.results()

    def kill(self) -> None:
        """Kill all."""
        for process in self.processes:
            process.kill()

    def words(self) -> str:
        """Return what they said on their standard error."""
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")[-4000:]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        for process in self.processes:
            process.wait(10)
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                with contextlib.suppress(OSError):
                    pipe.close()
        self.errors.close()


def most_in_a_second(times: Sequence[float], window: float = 1.0) -> int:
    """Return the most events within any second."""
    ordered = sorted(times)
    most = first = 0
    for last, at in enumerate(ordered):
        while ordered[first] <= at - window:
            first += 1
        most = max(most, last - first + 1)
    return most


@attrs.frozen(kw_only=True)
class Figures:
    """What a rate looked like from outside.

    Attributes:
        mean: per second, of all processes together, from the first turn to the last.
        most: in any second.
        fairness: turns of the slowest process, in parts of those of the fastest.
        trips: how often the place was asked, for each turn.
        cpu: microseconds for each turn, of all processes.
    """

    mean: float
    most: int
    fairness: float
    trips: float
    cpu: float


def figures(results: Sequence[dict[str, Any]]) -> Figures:
    """Sum up what the processes of one run said."""
    taken = sorted(at for result in results for at in result["taken"])
    counts = [len(result["taken"]) for result in results]
    return Figures(
        mean=(len(taken) - 1) / (taken[-1] - taken[0]),
        most=most_in_a_second(taken),
        fairness=min(counts) / max(counts),
        trips=sum(result["trips"] for result in results) / len(taken),
        cpu=sum(result["cpu"] for result in results) / len(taken) * 1e6,
    )


@contextlib.contextmanager
def _places(kinds: Sequence[str]) -> Iterator[dict[str, str | None]]:
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        places: dict[str, str | None] = {}
        for kind in kinds:
            if kind == "redis" and RedisServer.installed():
                places[kind] = stack.enter_context(RedisServer(Path(folder))).url
            elif kind == "redis":
                print("SKIPPED: redis-server is not installed")
            else:
                places[kind] = os.path.join(folder, "shared") if kind == "file" else None  # noqa: PTH118
        yield places


def main() -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two processes for a second")
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--kinds", nargs="+", default=["none", "split", "file", "redis"])
    parser.add_argument("--only-calls", action="store_true", help="the CPU of whole calls, without the turns alone")
    given = parser.parse_args()
    count, seconds = (2, 1.0) if given.quick else (given.processes, given.seconds)
    print(f"{count} processes, 16 waiters each, {seconds:g} s; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"{'':24}{'mean':>9}{'most/s':>8}{'fair':>6}{'trips':>8}{'CPU us':>8}")
    with _places(given.kinds) as places:
        for rate, paced in () if given.only_calls else ((50, None), (1000, None), (5000, 640)):
            for kind, place in places.items():
                job: dict[str, Any] = {"shared": place, "rate": rate, "seconds": seconds}
                if kind == "split":
                    job["alone"] = rate / count
                if paced:
                    job["calls_per_second"] = paced / count
                with Workers(count, **job) as workers:
                    found = figures(workers.run())
                what = f"{kind}, {rate}/s" + (f", asked {paced}/s" if paced else "")
                print(
                    f"{what:24}{found.mean:9.1f}{found.most:8}{found.fairness:6.2f}{found.trips:8.3f}{found.cpu:8.0f}",
                    flush=True,
                )
        _cpu_of_calls(places, count, seconds)
    return 0


def _cpu_of_calls(places: dict[str, str | None], count: int, seconds: float) -> None:
    """Print what a whole call costs, the rate split by hand and shared; rounds in turns, since the machine changes."""
    rate, rounds = 1000, 1 if seconds < 2 else 3
    kinds = [kind for kind in places if kind != "none"]
    cost: dict[str, list[float]] = {kind: [] for kind in kinds}
    with Server() as server:
        for _ in range(rounds):
            for kind in kinds:
                job = {
                    "what": "calls",
                    "shared": places[kind],
                    "rate": rate,
                    "alone": rate / count if kind == "split" else None,
                    "seconds": seconds / 2,
                    "grant": "static",
                    "account_id": account_id(1),
                    "base_url": server.base_url,
                    "token_url": None,
                }
                with Workers(count, **job) as workers:
                    results = workers.run()
                cost[kind].append(sum(one["cpu"] for one in results) / sum(one["calls"] for one in results) * 1e6)
    base = statistics.median(cost[kinds[0]])
    for kind, costs in cost.items():
        middle = statistics.median(costs)
        print(
            f"a call, {rate}/s, {kind}: {middle:.0f} us of CPU ({min(costs):.0f}-{max(costs):.0f}), {middle / base:.3f}"
        )


if __name__ == "__main__":
    sys.exit(main())
