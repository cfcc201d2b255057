"""aiohttp as it is first written: per-call headers and timeout, a semaphore, ``gather`` over every account at once."""

import asyncio
import time
from collections.abc import Iterable
from datetime import UTC, datetime

import aiohttp
from typing_extensions import override

from benchmarks.bodies import TOKEN
from benchmarks.contenders.base import Contender

__all__ = ["make"]


class _Naive(Contender):
    @override
    async def open(self, base_url: str, concurrency: int) -> None:
        self.base_url = base_url
        self.slots = asyncio.Semaphore(concurrency)
        self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=concurrency))

    @override
    async def run(self, ids: Iterable[str], latencies: list[float] | None) -> int:
        return len(await asyncio.gather(*(self.one(account_id, latencies) for account_id in ids)))

    async def one(self, account_id: str, latencies: list[float] | None) -> dict[str, object]:
        async with self.slots:
            started = time.perf_counter()
            async with self.session.get(
                f"{self.base_url}/accounts/{account_id}/billing",
                headers={"Authorization": f"Bearer {TOKEN}", "Accept": "application/json"},
                timeout=aiohttp.ClientTimeout(total=30),
            ) as response:
                response.raise_for_status()
                data: dict[str, object] = await response.json()
            for name in ("FromDate", "ToDate"):
                data[name] = datetime.fromisoformat(str(data[name])).replace(tzinfo=UTC)
            if latencies is not None:
                latencies.append(time.perf_counter() - started)
            return data

    @override
    async def close(self) -> None:
        await self.session.close()


def make() -> Contender:
    """The contender of this module."""
    return _Naive()
