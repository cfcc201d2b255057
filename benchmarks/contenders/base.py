"""What a contender is, and the worker pool that drives those that offer single calls."""

import abc
import asyncio
import time
from collections.abc import Iterable, Iterator

from typing_extensions import override

__all__ = ["Contender", "SingleCalls"]


class Contender(abc.ABC):
    """A client under measurement."""

    @abc.abstractmethod
    async def open(self, base_url: str, concurrency: int) -> None:
        """Make the client ready for ``concurrency`` calls at a time."""

    @abc.abstractmethod
    async def run(self, ids: Iterable[str], latencies: list[float] | None) -> int:
        """Read the usage of every account; returns how many were read, and appends the seconds each call took."""

    @abc.abstractmethod
    async def close(self) -> None:
        """Give back every socket."""


class SingleCalls(Contender):
    """A contender that is measured call by call, by a fixed pool of workers."""

    concurrency = 1

    @abc.abstractmethod
    async def call(self, account_id: str) -> object:
        """Read the usage of one account."""

    @override
    async def run(self, ids: Iterable[str], latencies: list[float] | None) -> int:
        pending = iter(ids)
        counts = await asyncio.gather(*(self._work(pending, latencies) for _ in range(self.concurrency)))
        return sum(counts)

    async def _work(self, pending: Iterator[str], latencies: list[float] | None) -> int:
        done = 0
        call = self.call
        clock = time.perf_counter
        for account_id in pending:
            started = clock()
            await call(account_id)
            if latencies is not None:
                latencies.append(clock() - started)
            done += 1
        return done
