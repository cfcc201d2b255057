"""httpx and pydantic: its async client, a pool as large as the concurrency, a validated model."""

import importlib
from typing import Any

from typing_extensions import override

from benchmarks.bodies import TOKEN
from benchmarks.contenders.base import SingleCalls
from benchmarks.contenders.usage_model import usage_model

__all__ = ["Httpx", "make"]


class Httpx(SingleCalls):
    """``module`` is httpx, or its continuation httpx2: the interface is the same."""

    def __init__(self, module: str) -> None:
        self.httpx: Any = importlib.import_module(module)
        self.model = usage_model()

    @override
    async def open(self, base_url: str, concurrency: int) -> None:
        self.concurrency = concurrency
        self.base_url = base_url
        limits = self.httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
        headers = {"Authorization": f"Bearer {TOKEN}", "Accept": "application/json", "User-Agent": "benchmark"}
        self.client = self.httpx.AsyncClient(headers=headers, limits=limits, timeout=30, trust_env=False)

    @override
    async def call(self, account_id: str) -> object:
        response = await self.client.get(f"{self.base_url}/accounts/{account_id}/billing")
        response.raise_for_status()
        return self.model.model_validate_json(response.content)

    @override
    async def close(self) -> None:
        await self.client.aclose()


def make() -> SingleCalls:
    """The contender of this module."""
    return Httpx("httpx")
