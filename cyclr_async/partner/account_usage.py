"""What an account used in a period."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from cyclr_async.wire.extra import EMPTY, as_extra
from cyclr_async.wire.model import Model

__all__ = ["AccountUsage"]


@attrs.frozen(kw_only=True, slots=True, weakref_slot=False)
class AccountUsage(Model):
    """The answer of *Get Account Usage* (``GET accounts/{AccountId}/billing``).

    Attributes:
        task_count: the number of tasks in the period.
        cycle_count: the maximum number of cycles in the period; a maximum, so it must not be added up.
        from_date: the start of the period, UTC; it carries the time of day of the bill date.
        to_date: the end of the period as the API names it, UTC: a day before the next one begins. That day belongs to
            this period all the same.
        current_price_plan_id: the price plan of the account now, which need not be the one during the period.
        audit_info: free text of the partner, as on the account.
        extra: fields of the answer that the document does not describe.
    """

    task_count: int
    # These four are what is billed by: an answer without one of them is refused, since 0 would be a figure.
    cycle_count: int
    from_date: datetime
    to_date: datetime
    # May be left out, because no figure depends on it; and so may the next, which is the partner's own text.
    current_price_plan_id: int | None = None
    audit_info: str | None = None
    extra: Mapping[str, Any] = attrs.field(default=EMPTY, converter=as_extra, repr=False, hash=False)
