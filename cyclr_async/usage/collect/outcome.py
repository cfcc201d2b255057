"""What became of one account of a bulk run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar, Generic, TypeVar

import attrs

from cyclr_async.errors import CyclrError, InvalidArgumentError
from cyclr_async.partner import Account, AccountUsage
from cyclr_async.usage.store.api_rows import PARTNER_API, V1_API
from cyclr_async.v1 import account as v1

__all__ = ["Outcome", "UsageOutcome", "V1UsageOutcome"]

AccountT = TypeVar("AccountT")
UsageT = TypeVar("UsageT")


def _now() -> datetime:
    return datetime.now(UTC)


@attrs.frozen(kw_only=True)
class Outcome(Generic[AccountT, UsageT]):
    """What the outcomes of every API have in common. The models are those of the API.

    Attributes:
        api: the API that was asked.
    """

    api: ClassVar[str]

    account_id: str
    usage: UsageT | None = None
    error: CyclrError | None = None
    account: AccountT | None = None
    attempts: int = 0
    collected_at: datetime = attrs.field(factory=_now)
    parent_account_id: str | None = None

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


@attrs.frozen(kw_only=True)
class UsageOutcome(Outcome[Account, AccountUsage]):
    """The result of asking for the usage of one account: a usage or an error, never both and never neither.

    Args:
        account_id: the account that was asked for.
        usage: what the server answered, or None.
        error: why there is no usage, or None.
        account: the account itself, when it is known from the account list.
        attempts: HTTP attempts made for this account, 0 or more.
        collected_at: when the answer arrived; aware.
        parent_account_id: None: the partner API says nothing of sub-accounts.

    Raises:
        InvalidArgumentError: both or neither of ``usage`` and ``error``, or a naive ``collected_at``.
    """

    api: ClassVar[str] = PARTNER_API


@attrs.frozen(kw_only=True)
class V1UsageOutcome(Outcome[v1.Account, v1.AccountUsage]):
    """The result of asking for the usage of one account over the v1.0 API, as :class:`UsageOutcome` otherwise.

    Args:
        account_id: the API id of the account that was asked for.
        usage: what the server answered, or None.
        error: why there is no usage, or None.
        account: the account itself, when it is known from the account list.
        attempts: HTTP attempts made for this account, 0 or more.
        collected_at: when the answer arrived; aware.
        parent_account_id: whose sub-account it is, when it is known from the account list.

    Raises:
        InvalidArgumentError: both or neither of ``usage`` and ``error``, or a naive ``collected_at``.
    """

    api: ClassVar[str] = V1_API
