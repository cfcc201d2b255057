"""What a run hands out to its workers."""

from __future__ import annotations

from collections import deque

import attrs

from cyclr_async.errors import InvalidArgumentError
from cyclr_async.partner import Account

__all__ = ["RetryQueue", "WorkItem", "refusal_of", "work_item_of"]


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
    """

    account_id: str
    account: Account | None = None
    attempts: int = 0
    tries: float = 0
    begun: int = 0
    refused: InvalidArgumentError | None = None


def work_item_of(entry: str | Account) -> WorkItem:
    """Return the item for an id or an account."""
    return WorkItem(entry.id, entry) if isinstance(entry, Account) else WorkItem(entry)


def refusal_of(entry: object) -> InvalidArgumentError | None:
    """Return what is wrong with something that no store could keep as an id; other bad ids are refused when asked."""
    if isinstance(entry, Account):
        entry = entry.id
    if isinstance(entry, str):
        return None if entry else InvalidArgumentError("an account id must not be empty")
    return InvalidArgumentError(f"an account id must be a str or an Account, not {type(entry).__name__}")


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
