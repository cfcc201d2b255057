"""Where the accounts of a run come from: ids, the partner's account list as it streams in, or a store."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, Iterable
from typing import Final

import attrs

from cyclr_async.models import Account
from cyclr_async.usage.store import UsageStore

__all__ = ["Feed", "Item", "Source"]

Source = Iterable[str | Account] | AsyncIterable[str | Account]

_READ_AHEAD: Final = 20_000
"""Accounts read ahead of the workers. A list read more slowly than it is sent could be cut off by the server."""
_PAGE: Final = 5_000
_BATCH: Final = 500


@attrs.define
class Item:
    """An account to ask for.

    Attributes:
        account_id: its id.
        account: the account as listed, when known.
        attempts: HTTP attempts made so far.
        tries: attempts of this pass that count against the account; being told to slow down counts a quarter.
    """

    account_id: str
    account: Account | None = None
    attempts: int = 0
    tries: float = 0


def _item(entry: str | Account) -> Item:
    return Item(entry.id, entry) if isinstance(entry, Account) else Item(entry)


class Feed:
    """Hands out items one by one. Filled by :meth:`fill`, which runs as a task of its own.

    With a store every account is registered there first, and what does not fit into the read-ahead is taken from the
    store afterwards: the source is always read at its own speed, in flat memory. Without a store a full read-ahead
    holds the source back.

    Args:
        source: ids or accounts.
        store: the store of the run, or None.
        registered: accounts that the store holds from before; then all that is not settled is taken from it.
    """

    def __init__(self, source: Source, store: UsageStore | None, *, registered: int = 0) -> None:
        self._source = source
        self._store = store
        self._ready: deque[Item] = deque()
        self._taken: set[str] = set()
        self._overflow = registered > 0
        self._consumers: deque[asyncio.Future[None]] = deque()
        self._room: asyncio.Future[None] | None = None
        self._ended = False
        self.asked = registered
        self.listing_complete = False

    @property
    def exhausted(self) -> bool:
        """True when there is nothing left to hand out, and there will not be."""
        return self._ended and not self._ready

    def poll(self) -> Item | None:
        """Return the next item if one is at hand."""
        if not self._ready:
            return None
        if self._room is not None and len(self._ready) <= _READ_AHEAD // 2:
            _wake(self._room)
        return self._ready.popleft()

    async def next(self) -> Item | None:
        """Return the next item, waiting for it; None when there are no more."""
        while True:
            item = self.poll()
            if item is not None:
                return item
            if self._ended:
                return None
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._consumers.append(waiter)
            await waiter

    def collected(self, item: Item) -> None:
        """Forget an item whose usage the store has; the others are remembered, so that none is asked twice."""
        self._taken.discard(item.account_id)

    async def fill(self) -> None:
        """Read the source to its end, and then what the store holds besides."""
        try:
            if self._store is None or not self._store.listing_complete:
                await self._read_source()
            self.listing_complete = True
            if self._store is not None:
                await self._store.finish_listing()
                if self._overflow:
                    await self._read_store(self._store)
        finally:
            self._ended = True
            self._wake_all()

    async def _read_source(self) -> None:
        batch: list[str | Account] = []
        if isinstance(self._source, AsyncIterable):
            async for entry in self._source:
                batch.append(entry)
                if len(batch) >= (_BATCH if self.asked else 1):
                    await self._take(batch)
                    batch = []
        else:
            for entry in self._source:
                batch.append(entry)
                if len(batch) >= _BATCH:
                    await self._take(batch)
                    batch = []
                    await asyncio.sleep(0)
        if batch:
            await self._take(batch)

    async def _take(self, batch: list[str | Account]) -> None:
        if self._store is None:
            self.asked += len(batch)
            if len(self._ready) + len(batch) > _READ_AHEAD:
                await self._until_low()
        else:
            new = await self._store.add_accounts(batch)
            self.asked += new
            if self._overflow or new < len(batch) or len(self._ready) + new > _READ_AHEAD:
                # The store knows these; they are read from it at the end.
                self._overflow = True
                return
        self._hand_out([_item(entry) for entry in batch])

    async def _read_store(self, store: UsageStore) -> None:
        after: str | None = None
        while page := await store.pending(after=after, limit=_PAGE):
            after = page[-1].account_id
            self._hand_out([Item(p.account_id, p.account) for p in page if p.account_id not in self._taken])
            if len(self._ready) > _READ_AHEAD - _PAGE:
                await self._until_low()

    async def _until_low(self) -> None:
        self._room = asyncio.get_running_loop().create_future()
        try:
            await self._room
        finally:
            self._room = None

    def _hand_out(self, items: list[Item]) -> None:
        if self._store is not None:
            self._taken.update(item.account_id for item in items)
        self._ready.extend(items)
        self._wake_some(len(items))

    def _wake_some(self, count: int) -> None:
        while self._consumers and count > 0:
            _wake(self._consumers.popleft())
            count -= 1

    def _wake_all(self) -> None:
        self._wake_some(len(self._consumers))


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
