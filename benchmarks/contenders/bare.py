"""The base of every ratio: aiohttp's ``get`` and ``read``, session headers, a pool as large as the concurrency."""

import aiohttp
from typing_extensions import override

from benchmarks.bodies import TOKEN
from benchmarks.contenders.base import SingleCalls

__all__ = ["Bare", "make"]


class Bare(SingleCalls):
    """Bytes in, bytes out: no status check, no decoding, no retry."""

    @override
    async def open(self, base_url: str, concurrency: int) -> None:
        self.concurrency = concurrency
        self.base_url = base_url
        headers = {"Authorization": f"Bearer {TOKEN}", "Accept": "application/json", "User-Agent": "benchmark"}
        self.session = aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=concurrency))

    @override
    async def call(self, account_id: str) -> object:
        async with self.session.get(f"{self.base_url}/accounts/{account_id}/billing") as response:
            return await response.read()

    @override
    async def close(self) -> None:
        await self.session.close()


def make() -> SingleCalls:
    """The contender of this module."""
    return Bare()
