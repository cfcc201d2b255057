"""A price plan of the partner."""

from collections.abc import Mapping
from typing import Any

import attrs

from cyclr_async.wire.extra import EMPTY, as_extra
from cyclr_async.wire.model import Model

__all__ = ["PricePlan"]


@attrs.frozen(kw_only=True, slots=True, weakref_slot=False)
class PricePlan(Model):
    """One element of the answer of *Get Price Plans* (``GET priceplans``).

    Attributes:
        id: the id as the text the API sends here, such as ``"2"``; accounts refer to it with an integer.
        name: the display name.
        extra: fields of the answer that the document does not describe.
    """

    id: str
    name: str
    extra: Mapping[str, Any] = attrs.field(default=EMPTY, converter=as_extra, repr=False, hash=False)

    def matches(self, price_plan_id: int | str | None) -> bool:
        """Return whether an account's or a usage's ``price_plan_id`` means this plan.

        Args:
            price_plan_id: the integer of an account, the text of a plan, or None for no plan. Texts must be equal
                character by character, and an integer equals its usual decimal form only: 2 matches ``"2"``, neither
                ``"02"`` nor ``" 2"``; booleans match nothing.
        """
        # Not compared as numbers: an id is a name, and no plan may be taken for another because of a zero before it.
        if price_plan_id is None or isinstance(price_plan_id, bool):
            return False
        return self.id == str(price_plan_id)
