"""This package's bulk collection, with every default on and stdlib JSON."""

import sys
from collections.abc import Iterable

from typing_extensions import override

from benchmarks.bodies import TOKEN
from benchmarks.contenders.base import Contender

__all__ = ["make"]


class _CyclrBulk(Contender):
    @override
    async def open(self, base_url: str, concurrency: int) -> None:
        from cyclr_async import AsyncPartnerSession, Limits, StaticToken  # noqa: PLC0415  after orjson is hidden

        self.concurrency = concurrency
        self.session = AsyncPartnerSession(
            StaticToken(TOKEN), base_url=base_url, limits=Limits(connections=concurrency)
        )
        await self.session.__aenter__()

    @override
    async def run(self, ids: Iterable[str], latencies: list[float] | None) -> int:
        read = 0
        async with self.session.accounts.collect_usage(account_ids=ids, concurrency=self.concurrency) as run:
            async for outcome in run:
                read += outcome.ok
        return read

    @override
    async def close(self) -> None:
        await self.session.close()


def make() -> Contender:
    """The contender of this module; without orjson, so that what is measured is the default installation."""
    sys.modules.setdefault("orjson", None)  # type: ignore[arg-type]  # None makes the import fail, as documented
    return _CyclrBulk()
