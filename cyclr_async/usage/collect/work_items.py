"""What a run hands out to its workers."""

from __future__ import annotations

from collections import deque
from typing import Any

import attrs

from cyclr_async.errors import InvalidArgumentError
from cyclr_async.partner import Account
from cyclr_async.usage.store.api_rows import Listed

__all__ = ["RetryQueue", "WorkItem", "id_of", "refusal_of", "work_item_of"]


@attrs.define
class WorkItem:
    """An account to ask for.

    Attributes:
        account_id: its id.
        account: the account as listed, when known.
        attempts: HTTP attempts made so far.
        tries: attempts of this pass that count against the account; being told to slow down counts a quarter.
        begun: refusals that the run had seen when the last request for it began.
        refused: why it cannot be an account at all, or None.
        parent_account_id: whose sub-account it is, when known.
    """

    account_id: str
    account: Any = None
    attempts: int = 0
    tries: float = 0
    begun: int = 0
    refused: InvalidArgumentError | None = None
    parent_account_id: str | None = None


def id_of(entry: Any) -> Any:
    """Return the id of an account, or what was given instead of one."""
    return entry if isinstance(entry, str) else getattr(entry, "id", entry)


def work_item_of(entry: Any) -> WorkItem:
    """Return the item for an id or an account."""
    if isinstance(entry, str):
        return WorkItem(entry)
    if isinstance(entry, Listed):
        return WorkItem(entry.id, entry.account, parent_account_id=entry.parent_account_id)
    return WorkItem(entry.id, entry)


def refusal_of(entry: object, account_type: type = Account) -> InvalidArgumentError | None:
    """Return what is wrong with something that no store could keep as an id; other bad ids are refused when asked."""
    if isinstance(entry, (account_type, Listed)):
        entry = id_of(entry)
    if isinstance(entry, str):
        return None if entry else InvalidArgumentError("an account id must not be empty")
    wrong = type(entry).__name__
    if wrong == account_type.__name__:
        wrong = "one of another API"  # whose id is not one of this API
    return InvalidArgumentError(f"an account id must be a str or an {account_type.__name__}, not {wrong}")


class RetryQueue:
    """Hands out the items of a later pass."""

    def __init__(self, items: deque[WorkItem]) -> None:
        self._items = items

    @property
    def exhausted(self) -> bool:
        """True when there is nothing left to hand out."""
        return not self._items

    def poll(self) -> WorkItem | None:
        """Return the next item if one is at hand."""
        return self._items.popleft() if self._items else None

    def give_back(self, items: list[WorkItem]) -> None:
        """Take back items that were not asked for; they are the next."""
        self._items.extendleft(reversed(items))  # extendleft() turns the order round

    async def next(self) -> WorkItem | None:
        """Return the next item; None when there are no more."""
        return self.poll()
