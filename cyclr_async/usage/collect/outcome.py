"""What became of one account of a bulk run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import attrs

from cyclr_async.errors import CyclrError, InvalidArgumentError

if TYPE_CHECKING:
    from cyclr_async.partner import Account, AccountUsage

__all__ = ["UsageOutcome"]


def _now() -> datetime:
    return datetime.now(UTC)


@attrs.frozen(kw_only=True)
class UsageOutcome:
    """The result of asking for the usage of one account: a usage or an error, never both and never neither.

    Args:
        account_id: the account that was asked for.
        usage: what the server answered, or None.
        error: why there is no usage, or None.
        account: the account itself, when it is known from the account list.
        attempts: HTTP attempts made for this account, 0 or more.
        collected_at: when the answer arrived; aware.

    Raises:
        InvalidArgumentError: both or neither of ``usage`` and ``error``, or a naive ``collected_at``.
    """

    account_id: str
    usage: AccountUsage | None = None
    error: CyclrError | None = None
    account: Account | None = None
    attempts: int = 0
    collected_at: datetime = attrs.field(factory=_now)

    def __attrs_post_init__(self) -> None:
        if (self.usage is None) == (self.error is None):
            raise InvalidArgumentError("an outcome carries either a usage or an error")
        # The store compares times as texts in UTC, and what time a naive one means depends on the machine.
        if self.collected_at.tzinfo is None:
            raise InvalidArgumentError("collected_at must carry a time zone")

    @property
    def ok(self) -> bool:
        """Whether the usage was collected."""
        return self.usage is not None
