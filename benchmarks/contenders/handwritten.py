"""aiohttp, ``json.loads`` and structuring written by hand: what a careful user would write for this one call."""

import json
from datetime import UTC, datetime

import attrs
from typing_extensions import override

from benchmarks.contenders.bare import Bare
from benchmarks.contenders.base import SingleCalls

__all__ = ["make"]


@attrs.frozen
class _Usage:
    task_count: int
    cycle_count: int
    from_date: datetime
    to_date: datetime
    current_price_plan_id: int | None
    audit_info: str | None


class _HandWritten(Bare):
    @override
    async def call(self, account_id: str) -> object:
        async with self.session.get(f"{self.base_url}/accounts/{account_id}/billing") as response:
            response.raise_for_status()
            data = json.loads(await response.read())
        return _Usage(
            data["TaskCount"],
            data["CycleCount"],
            datetime.fromisoformat(data["FromDate"]).replace(tzinfo=UTC),
            datetime.fromisoformat(data["ToDate"]).replace(tzinfo=UTC),
            data["CurrentPricePlanId"],
            data["AuditInfo"],
        )


def make() -> SingleCalls:
    """The contender of this module."""
    return _HandWritten()
