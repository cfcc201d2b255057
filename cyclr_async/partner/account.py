"""An account of the partner."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from cyclr_async.wire.extra import EMPTY, as_extra
from cyclr_async.wire.model import Model

__all__ = ["Account"]


@attrs.frozen(kw_only=True, slots=True, weakref_slot=False)
class Account(Model):
    """One element of the answer of *List Accounts* (``GET accounts``).

    The time zone given when an account is created is not part of this answer.

    Attributes:
        id: the account id; 32 hexadecimal digits in the document, to be treated as opaque.
        name: the display name.
        description: free text; may be empty.
        price_plan_id: the price plan as the integer the API sends; :meth:`PricePlan.matches` compares it.
        last_bill_date: UTC; the document shows whole seconds without a zone.
        next_bill_date: UTC, likewise.
        audit_info: free text of the partner, repeated by *Get Account Usage*.
        extra: fields of the answer that the document does not describe.
    """

    id: str
    name: str
    # Optional from here on: what a list of a million accounts is read for is the id, and no account may fall out of it
    # for a text that is missing.
    description: str | None = None
    # An integer here and a text in the list of plans: that is how the document shows them.
    price_plan_id: int | None = None
    last_bill_date: datetime | None = None
    next_bill_date: datetime | None = None
    audit_info: str | None = None
    extra: Mapping[str, Any] = attrs.field(default=EMPTY, converter=as_extra, repr=False, hash=False)
