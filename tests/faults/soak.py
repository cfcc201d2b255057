"""The soak: many calls against a server that spoils some of its answers, and a count of what became of each."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cyclr_async import AsyncPartnerSession, CyclrError, Limits, OutcomeUnknownError, RetryPolicy, Timeouts
from tests.faults.soakserver import created_id
from tests.support.answers import account_id, task_count
from tests.support.leaks import open_sockets

__all__ = ["Report", "resident", "run", "serving"]

_ROOT = Path(__file__).resolve().parents[2]
_WRITES = 20
"""Every so manyeth call creates an account."""


def resident() -> float:
    """The memory this process holds, in MiB."""
    with contextlib.suppress(OSError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * 4096 / 2**20
    return 0.0


@dataclass
class Report:
    """What became of the calls, by the client's and by the server's count."""

    asked: int = 0
    done: int = 0
    unknown: int = 0
    failed: list[str] = field(default_factory=list)
    wrong: int = 0
    lost: int = 0
    duplicated: int = 0
    seconds: float = 0.0
    retries: int = 0
    requests: int = 0
    injected: int = 0
    leaked_sockets: int = 0
    leaked_tasks: int = 0
    rss: list[tuple[int, float]] = field(default_factory=list)

    @property
    def growth(self) -> float:
        """MiB between 10 % and the end."""
        return self.rss[-1][1] - self.rss[0][1] if self.rss else 0.0


class _Book:
    """Every call is numbered, and its outcome noted once."""

    def __init__(self, total: int, report: Report, until: float) -> None:
        self.total = total
        self.report = report
        self.outcomes = bytearray(total)
        self.until = until
        self.step = max(total // 10, 1)

    def numbers(self) -> Iterator[int]:
        """Numbers of calls, shared by all workers, until there are enough or time is up."""
        for number in range(self.total):
            if number % 256 == 0 and time.monotonic() > self.until:
                return
            self.report.asked += 1
            yield number

    def note(self, number: int, outcome: str) -> None:
        if self.outcomes[number]:
            self.report.duplicated += 1
        self.outcomes[number] = ord(outcome)
        report = self.report
        if (number + 1) % self.step == 0:
            report.rss.append((number + 1, resident()))

    def compare(self, truth: dict[str, Any]) -> None:
        """Set what the client believes against what the server did."""
        report = self.report
        created = set(truth["created"])
        report.duplicated += len(truth["created_twice"])
        for number in range(report.asked):
            outcome = chr(self.outcomes[number])
            write = number % _WRITES == 0
            # Lost: no outcome at all; a write called done that was not; one that was and is not called possible.
            report.lost += outcome == "\0"
            report.lost += write and outcome == "d" and number not in created
            report.lost += write and outcome == "f" and number in created
        report.requests = truth["requests"]
        report.injected = sum(truth["injected"].values())


async def run(total: int, *, share: float = 0.05, workers: int = 50, seed: int = 7, seconds: float = 3600.0) -> Report:
    """Make the calls and count.

    Args:
        total: calls.
        share: of the answers that are spoilt.
        workers: calls under way at once.
        seed: for the server's choice of faults.
        seconds: after which no new call begins.
    """
    report = Report()
    began = time.monotonic()
    book = _Book(total, report, began + seconds)
    sockets, tasks = open_sockets(), len(asyncio.all_tasks())
    async with serving(share, seed) as (port, finish):
        policy = RetryPolicy(attempts=8, base=0.01, throttled_base=0.01, cap=0.2, budget=0)
        times = Timeouts(connect=5, read=10, attempt=20, deadline=120)
        root = f"http://127.0.0.1:{port}/api/partner"
        async with AsyncPartnerSession(
            "soak", base_url=root, retry=policy, timeouts=times, limits=Limits(connections=workers)
        ) as session:
            numbers = book.numbers()
            await asyncio.gather(*(_work(session, numbers, book) for _ in range(workers)))
            report.retries = session.stats().retries
        report.seconds = time.monotonic() - began
        book.compare(await finish())
    await asyncio.sleep(0.05)
    report.leaked_sockets = (open_sockets() or 0) - (sockets or 0)
    report.leaked_tasks = len(asyncio.all_tasks()) - tasks
    return report


async def _work(session: AsyncPartnerSession, numbers: Iterator[int], book: _Book) -> None:
    report = book.report
    for number in numbers:
        try:
            if number % _WRITES == 0:
                name = f"soak-{number}"
                right = await session.accounts.create(name=name) == created_id(name)
            else:
                account = account_id(number)
                usage = await session.accounts.usage(account)
                right = usage.task_count == task_count(account) and usage.audit_info == account
        except OutcomeUnknownError:
            report.unknown += 1
            book.note(number, "u")
        except CyclrError as error:
            report.failed.append(repr(error))
            book.note(number, "f")
        else:
            report.done += 1
            report.wrong += not right
            book.note(number, "d")


@contextlib.asynccontextmanager
async def serving(share: float, seed: int) -> AsyncIterator[tuple[int, Any]]:
    """Run the server in its own process; yield its port and what to await for its report."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.faults.soakserver",
        str(share),
        str(seed),
        stdin=pipe,
        stdout=pipe,
        cwd=_ROOT,
        limit=2**26,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        port = int(await process.stdout.readline())

        async def finish() -> dict[str, Any]:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.close()
            truth: dict[str, Any] = json.loads(await process.stdout.readline())
            return truth

        yield port, finish
    finally:
        process.stdin.close()
        try:
            async with asyncio.timeout(5):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
