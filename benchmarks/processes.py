"""The processes of a benchmark: started, asked by lines of JSON, and ended by closing their standard input."""

import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from benchmarks.pinning import server_core

__all__ = ["ROOT", "Child", "ChildError", "Server", "environment", "run_module"]

ROOT: Final = Path(__file__).resolve().parent.parent


class ChildError(Exception):
    """A child process ended, or did not answer in time."""


class Child:
    """A Python module as a process that answers one line of JSON to each line of JSON."""

    def __init__(self, module: str, *arguments: str, timeout: float = 300.0) -> None:
        self._timeout = timeout
        # A file, not a pipe: nobody reads it while the child works, and a full pipe would stop the child.
        self._words = tempfile.TemporaryFile()  # noqa: SIM115  closed in close()
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            env=environment(),
        )
        self.pid: int = self._process.pid
        self.hello = self._read()

    def ask(self, **command: Any) -> dict[str, Any]:
        """Send a command and wait for its answer."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise ChildError(self._epitaph()) from None
        return self._read()

    def close(self) -> None:
        """End the process and reap it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._words.close()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        watchdog = threading.Timer(self._timeout, self._process.kill)
        watchdog.start()
        try:
            line = self._process.stdout.readline()
        finally:
            watchdog.cancel()
        if not line:
            raise ChildError(self._epitaph())
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _epitaph(self) -> str:
        code = self._process.wait()
        self._words.seek(0)
        words = self._words.read().decode(errors="replace").strip().splitlines()
        return words[-1] if words else f"ended with status {code}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class Server(Child):
    """The load server in its own process.

    ``figures`` says what it did since the last time: requests, requests per second, and the share of its core it used.
    """

    def __init__(self, *, delay: float = 0.0, accounts: int = 100) -> None:
        super().__init__("benchmarks.loadserver", "--delay", str(delay), "--accounts", str(accounts))
        self.base_url = f"http://127.0.0.1:{self.hello['port']}/api/partner"

    def figures(self, **change: Any) -> dict[str, float]:
        """What the server did since the previous call; ``delay=`` and ``accounts=`` change what it serves."""
        raw = self.ask(**change)
        wall = raw["wall_s"] or 1.0
        return {"requests": raw["requests"], "rate": raw["requests"] / wall, "cpu_share": raw["cpu_s"] / wall}


def run_module(module: str, *arguments: str, timeout: float = 900.0) -> dict[str, Any]:
    """Run a Python module as a process of its own and return the JSON object it prints."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        capture_output=True,
        timeout=timeout,
        check=False,
        env=environment(),
    )
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines()
        raise ChildError(words[-1] if words else f"{module} ended with status {done.returncode}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def environment() -> dict[str, str]:
    """The environment of every process that is measured."""
    # A proxy or a debug mode of the caller's shell must not change what is measured. Nor may imports compile each time.
    drop = {
        "PYTHONASYNCIODEBUG",
        "PYTHONDEVMODE",
        "PYTHONWARNINGS",
        "PYTHONPROFILEIMPORTTIME",
        "PYTHONDONTWRITEBYTECODE",
    }
    return {
        name: value for name, value in os.environ.items() if name not in drop and not name.lower().endswith("_proxy")
    }


def pinned() -> bool:
    """Whether client and server each have a core of their own."""
    return server_core() is not None
