"""The request core of openai-python, a Stainless SDK as shipped: ``client.get(path, cast_to=Model)``."""

import importlib
from typing import Any

from typing_extensions import override

from benchmarks.bodies import TOKEN
from benchmarks.contenders.base import SingleCalls
from benchmarks.contenders.usage_model import usage_model

__all__ = ["make"]


class _Stainless(SingleCalls):
    def __init__(self) -> None:
        self.openai: Any = importlib.import_module("openai")
        self.model = usage_model(self.openai.BaseModel)

    @override
    async def open(self, base_url: str, concurrency: int) -> None:
        # Its own transport with its own limits (1,000 connections): as shipped.
        self.concurrency = concurrency
        self.client = self.openai.AsyncOpenAI(api_key=TOKEN, base_url=base_url)

    @override
    async def call(self, account_id: str) -> object:
        return await self.client.get(f"/accounts/{account_id}/billing", cast_to=self.model)

    @override
    async def close(self) -> None:
        await self.client.close()


def make() -> SingleCalls:
    """The contender of this module."""
    return _Stainless()
