"""Price plans."""

from __future__ import annotations

from cyclr_async.http.request import Request, Safety
from cyclr_async.http.resource import ListReader, Resource
from cyclr_async.partner.price_plan import PricePlan

__all__ = ["PricePlans"]


class PricePlans(Resource):
    """The price plans that accounts of the partner can have."""

    __slots__ = ()

    async def list(self, *, timeout: float | None = None) -> list[PricePlan]:
        """Return the available price plans.

        Args:
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Raises:
            ResponseTooLargeError: more than ``Limits.list_items`` or ``Limits.list_bytes``.
            CyclrError: see :mod:`cyclr_async.errors`.

        Source: *Get Price Plans*, ``GET priceplans``.
        """
        call: Request[list[PricePlan]] = Request(
            name="priceplans.list",
            method="GET",
            url=self._url("priceplans"),
            safety=Safety.SAFE,
            reader=lambda: ListReader(PricePlan, "priceplans.list", self._sender.limits),
        )
        return await self._sender.send(call, timeout)
