"""This package, one call at a time, with every default on and stdlib JSON."""

import sys

from typing_extensions import override

from benchmarks.bodies import TOKEN
from benchmarks.contenders.base import SingleCalls

__all__ = ["Cyclr", "make"]


class Cyclr(SingleCalls):
    """``session.accounts.usage`` as a web service calls it."""

    @override
    async def open(self, base_url: str, concurrency: int) -> None:
        from cyclr_async import AsyncPartnerSession, Limits, StaticToken  # noqa: PLC0415  after orjson is hidden

        self.concurrency = concurrency
        self.session = AsyncPartnerSession(
            StaticToken(TOKEN), base_url=base_url, limits=Limits(connections=concurrency)
        )
        await self.session.__aenter__()
        self.usage = self.session.accounts.usage

    @override
    async def call(self, account_id: str) -> object:
        return await self.usage(account_id)

    @override
    async def close(self) -> None:
        await self.session.close()


def make() -> SingleCalls:
    """The contender of this module; without orjson, so that what is measured is the default installation."""
    sys.modules.setdefault("orjson", None)  # type: ignore[arg-type]  # None makes the import fail, as documented
    return Cyclr()
