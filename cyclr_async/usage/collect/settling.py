"""Settling accounts, one by one or many at once: what is kept, what is put off, and what needs a witness first."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

from cyclr_async.usage.collect.account_source import AccountSource
from cyclr_async.usage.collect.failure_guard import Refusal
from cyclr_async.usage.collect.fetcher import AccountFetcher
from cyclr_async.usage.collect.work_items import RetryQueue, WorkItem

__all__ = ["Settler"]

_FURTHER: Final = 16
"""Accounts that are asked one by one, farther and farther ahead, when many in a row were refused before anybody has
answered: a list that is sorted by age can begin with accounts that were deleted."""
_FARTHEST: Final = 256
"""The longest step between two of these, which doubles from 1: together they look at some 2,300 accounts."""


class Settler:
    """Has accounts asked, and decides what their refusals mean before anything is kept of those.

    Args:
        asker: asks for one account until it is settled.
        keep: records an outcome; returns what is to be waited for until that is done, or None.

    Attributes:
        asker: as given.
        deferred: accounts for a later pass.
        disputed: whether refusals are under suspicion, so that no account is to be asked; to be looked at for every
            account without a call.
        undisputed: set while they are not.
    """

    def __init__(self, asker: AccountFetcher[Any], keep: Callable[[WorkItem, Any], Awaitable[None] | None]) -> None:
        self.asker: AccountFetcher[Any] = asker
        self.keep: Callable[[WorkItem, Any], Awaitable[None] | None] = keep
        self.deferred: deque[WorkItem] = deque()
        self.disputed: bool = False
        self.undisputed: asyncio.Event = asyncio.Event()
        self.undisputed.set()

    async def settle(self, item: WorkItem, *, may_defer: bool) -> bool:
        """Ask for an account and keep what becomes of it; True when it answered."""
        guard = self.asker.guard
        outcome = await self.asker.fetch(item, may_defer=may_defer)
        if outcome is None:
            self.deferred.append(item)
            return False
        if outcome.error is not None and guard.concerns(outcome.error):
            guard.hold(item, outcome)
            return False
        recording = self.keep(item, outcome)
        if recording is not None:
            await recording
        answered = outcome.error is None
        if answered and guard.held:
            await self.keep_all(guard.released(item.begun))
        return answered

    async def record(self, item: WorkItem, outcome: Any) -> None:
        """Record an outcome, and wait until that is done."""
        recording = self.keep(item, outcome)
        if recording is not None:
            await recording

    async def decide_if_suspicious(self, items: AccountSource | RetryQueue, *, may_defer: bool) -> None:
        """Find out what refusals mean, if there are so many in a row that they may be meant for everybody.

        Raises:
            BulkInterruptedError: they are.
        """
        guard = self.asker.guard
        if guard.held and guard.suspicious and not self.disputed:
            await self.decide(items, may_defer=may_defer)

    async def decide(self, items: AccountSource | RetryQueue, *, may_defer: bool) -> None:
        """Find out whether refusals in a row are the accounts' own, while the other workers wait.

        Raises:
            BulkInterruptedError: they are not.
        """
        asker = self.asker
        self.undisputed.clear()
        self.disputed = True
        vouched = await asker.witness()
        if vouched is not None:
            await self.keep_all(asker.guard.vouched(vouched))
        else:
            witness = bool(await asker.known_good())
            if witness or not await self._look_ahead(items, may_defer=may_defer):
                # The others go on waiting, so that not one more request is sent; they end with this one.
                raise asker.guard.interruption(at_end=False, witness=witness)
        self.disputed = False
        self.undisputed.set()

    async def _look_ahead(self, items: AccountSource | RetryQueue, *, may_defer: bool) -> bool:
        """Ask accounts farther ahead, until one answers; True when one did, or when there is nothing left to ask."""
        skipped: list[WorkItem] = []
        step = 1
        try:
            for _ in range(_FURTHER):
                ahead = [item for _ in range(step) if (item := items.poll() or await items.next()) is not None]
                skipped += ahead
                if not skipped:
                    return True  # the end of the run decides
                if await self.settle(skipped.pop(), may_defer=may_defer):
                    return True
                step = min(2 * step, _FARTHEST)
        finally:
            items.give_back(skipped)
        return not self.asker.guard.suspicious

    async def decide_rest(self) -> None:
        """Decide about the accounts that are still held back when all have been asked.

        Raises:
            BulkInterruptedError: nobody has answered, or those that had do not any more.
        """
        guard = self.asker.guard
        if not guard.held:
            return
        witness = bool(await self.asker.known_good())
        if not witness and not guard.is_an_answer():
            raise guard.interruption(at_end=True, witness=False)
        if witness and guard.needs_witness() and await self.asker.witness() is None:
            raise guard.interruption(at_end=True, witness=True)
        await self.keep_all(guard.released(guard.refusals))

    async def keep_all(self, refusals: list[Refusal]) -> None:
        """Record refusals that are believed."""
        for item, outcome in refusals:
            await self.record(item, outcome)
