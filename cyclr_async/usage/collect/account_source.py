"""Where the accounts of a run come from: ids, the partner's account list as it streams in, or a store."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from cyclr_async.errors import BulkInterruptedError, CyclrError, DecodeError
from cyclr_async.http.classify import Concern, asked_to_wait, classify, is_wrong_address
from cyclr_async.http.clock import Clock
from cyclr_async.http.wait_queue import WaitQueue
from cyclr_async.partner import Account
from cyclr_async.usage.collect.api import BadRecordHook, Lister
from cyclr_async.usage.collect.work_items import WorkItem, id_of, refusal_of, work_item_of
from cyclr_async.usage.store.rows import stored_id
from cyclr_async.usage.store.store import UsageStore

__all__ = ["AccountSource", "BadRecordHook", "Lister", "Source"]

_logger: Final = logging.getLogger("cyclr_async.usage")

Source = Iterable[Any] | AsyncIterable[Any]
"""Ids, or accounts of the API that is asked."""

_LIST_AHEAD: Final = 5_000
"""Accounts of the list read ahead of the workers. Read more slowly than it is sent, it could be cut off."""
_STORE_AHEAD: Final = 500
"""The same when a store takes what does not fit."""
_BATCH: Final = 500
"""Accounts that are registered in one transaction: enough that the commit costs little beside the rows."""
_PAGE: Final = 500
"""Accounts read back from the store at once: one hop to its thread for many."""
_RELIST: Final = (1.0, 5.0, 20.0)
"""Seconds before the account list is asked for again after it broke off within."""
_UNTIL_LISTED: Final = (1.0, 5.0, 10.0, 20.0, 40.0, 60.0)
"""The same when it did not begin at all, which is an outage; the last one repeats."""
_LONGEST_WAIT: Final = 900.0
"""Seconds that a ``Retry-After`` can delay it, as for the accounts."""
_REMEMBERED: Final = 50_000
"""Listed ids that are remembered without a store, to leave them out when the list is read again: some 6 MB. A longer
list that breaks off is not read again, because that would ask for accounts twice; with a store any list is."""


def _passes(error: CyclrError) -> bool:
    # A list that cannot be decoded is worth another try, whatever the place.
    return classify(error) is Concern.SERVICE or isinstance(error, DecodeError)


class AccountSource:
    """Hands out items one by one. Filled by :meth:`fill`, which runs as a task of its own.

    With a store every account is registered there first. The account list is read at its own speed, because a list
    read more slowly than it is sent could be cut off: what does not fit into the read-ahead is taken from the store
    afterwards, or, without a store, holds the list back. Ids of the caller are pulled as they are needed.

    Args:
        source: ids or accounts, or a function that asks for the account list.
        store: the store of the run, or None.
        clock: time.
        ahead: how many ids of the caller are pulled ahead of the workers, 2 or more.
        registered: accounts that the store holds from before; then all that is not collected is taken from it, those
            that were not asked yet first.
        taken_over: told how many accounts came with a usage of a superseded run, and when its oldest was observed.
        max_outage: seconds for which an account list that does not begin is asked for again.
        account_type: the account model of the API.
    """

    def __init__(
        self,
        source: Source | Lister,
        store: UsageStore | None,
        clock: Clock,
        *,
        ahead: int,
        registered: int = 0,
        taken_over: Callable[[int, datetime], object] = lambda _usages, _oldest: None,
        max_outage: float = 0.0,
        account_type: type[Any] = Account,
    ) -> None:
        self._source = source
        self._account_type = account_type
        self._store = store
        self._clock = clock
        self._on_taken_over = taken_over
        self._listing = not isinstance(source, (Iterable, AsyncIterable))
        if self._listing:
            # The list sets the pace and not the workers, so the caller's figure for ids of its own does not apply.
            ahead = _LIST_AHEAD if store is None else _STORE_AHEAD
        self._ahead = ahead
        # Half of what is read ahead, so that one batch can arrive while the other is worked off.
        self._batch = min(_BATCH, max(1, ahead // 2))
        self._max_outage = max_outage
        self._ready: deque[WorkItem] = deque()
        self._taken: set[str] = set()
        self._collected_meanwhile: set[str] | None = None
        self._left_in_store = registered > 0
        self._asked_before = False
        self._listed: set[str] | None = None if store is not None else set()
        self._relisted: set[str] = set()
        self._arrived_count = 0
        self._incoming: deque[Any] = deque()
        self._arrived = asyncio.Event()
        self._drained = asyncio.Event()
        self._consumers = WaitQueue()
        self._filler = WaitQueue()
        self._ended = False
        self._problems = 0
        self._problem: DecodeError | None = None
        self._broken: CyclrError | None = None
        self.asked: int = registered
        self.listing_complete: bool = False
        self.list_missing: bool = False
        """Whether the account list was empty although the store knows accounts."""

    @property
    def exhausted(self) -> bool:
        """True when there is nothing left to hand out, and there will not be."""
        return self._ended and not self._ready

    def poll(self) -> WorkItem | None:
        """Return the next item if one is at hand."""
        if not self._ready:
            return None
        item = self._ready.popleft()
        if self._filler.waiters and self._is_low:
            self._filler.wake_one()
        return item

    async def next(self) -> WorkItem | None:
        """Return the next item, waiting for it; None when there are no more."""
        while True:
            item = self.poll()
            if item is not None:
                return item
            if self._ended:
                return None
            await self._consumers.wait()

    async def arrival(self) -> None:
        """Wait until there may be an item at hand, or the end; or until :meth:`wake`."""
        if not self._ready and not self._ended:
            await self._consumers.wait()

    def wake(self) -> None:
        """Let everybody who waits for an item look again at what else has changed."""
        self._consumers.wake_all()

    def give_back(self, items: list[WorkItem]) -> None:
        """Take back items that were not asked for; they are the next."""
        self._ready.extendleft(reversed(items))  # extendleft() turns the order round
        self._wake_some(len(items))

    def collected(self, item: WorkItem) -> None:
        """Forget an item whose usage the store has; the others are remembered, so that none is asked twice."""
        if self._store is not None:
            name = stored_id(item.account_id)
            self._taken.discard(name)
            if self._collected_meanwhile is not None:
                self._collected_meanwhile.add(name)

    async def fill(self) -> None:
        """Read the source to its end, and then what the store holds besides.

        Raises:
            Exception: what the caller's source raised, or that the account list was refused.
        """
        store = self._store
        try:
            if callable(self._source) and self._listing:
                if store is None or not store.listing_complete:
                    await self._list(self._source)
            else:
                if store is not None and self._left_in_store:
                    await self._read_store(store)  # not settled ones first
                assert isinstance(self._source, (Iterable, AsyncIterable))
                await self._pull(self._source)
            if self._listing and store is not None and await self._is_suspiciously_empty(store):
                self.list_missing = True  # the list is read again when the run is continued
            elif self._broken is None and not self._problems:
                self.listing_complete = True
                if store is not None:
                    await store.finish_listing()
            if store is not None and self._left_in_store:
                await self._read_store(store)
            if store is not None and self._asked_before:
                # What a former run settled without a usage comes last: accounts that do not exist, mostly, and a run
                # that began with them could find nobody who answers.
                await self._read_store(store, settled=True)
        finally:
            self._ended = True
            self._consumers.wake_all()

    async def _is_suspiciously_empty(self, store: UsageStore) -> bool:
        """Whether the list was read to its end and names nobody, while the store knows accounts of this partner.

        An empty list cannot be told from credentials that see nothing. The run would otherwise be complete, and bill
        nobody.
        """
        if store.listing_complete or self._arrived_count or self._broken is not None or self._problems:
            return False
        return await store.note_empty_list(datetime.fromtimestamp(self._clock.wall(), UTC))

    def at_end(self) -> None:
        """Look at a run that reached its end.

        Raises:
            BulkInterruptedError: the account list was not read completely, so accounts may be missing.
        """
        if self._broken is not None:
            failure = BulkInterruptedError(
                f"the account list broke off, so accounts may be missing: {self._broken.message}",
                request_id=self._broken.request_id,
                attempts=self._broken.attempts,
                sent="yes",
            )
            raise failure from self._broken
        if self._problem is not None:
            raise BulkInterruptedError(
                f"{self._problems} accounts of the list could not be read, so they are missing; the first: "
                f"{self._problem.message}",
                sent="yes",
            ) from self._problem

    async def _list(self, lister: Lister) -> None:
        """Read the account list. It is asked for again when it breaks off, if that cannot double anything.

        Raises:
            CyclrError: it was refused, or something other than the API answered.
        """
        breaks = failures = 0
        since: float | None = None
        while True:
            self._problems, self._problem = 0, None
            before = self._arrived_count
            try:
                await self._pull(lister(on_bad_record=self._bad))
            except CyclrError as error:
                self._broken = failure = error
            else:
                self._broken = None
                return
            if not _passes(failure):
                raise failure
            # Once accounts have come from there, the address is right, and what answers now stands in for it for a
            # while.
            if is_wrong_address(failure) and not self.asked:
                raise BulkInterruptedError(
                    f"the account list cannot be had, and nothing else has answered: {failure.message}",
                    reason="systemic",
                    sent="yes",
                ) from failure
            now = self._clock.now()
            if self._arrived_count > before:
                breaks, failures, since = breaks + 1, 0, None
                if breaks > len(_RELIST) or (self._store is None and self._listed is None):
                    return
                wait = _RELIST[breaks - 1]
            else:
                since = now if since is None else since
                left = since + self._max_outage - now
                if left <= 0:
                    return
                wait = min(_UNTIL_LISTED[min(failures, len(_UNTIL_LISTED) - 1)], left)
                # Not bounded by what is left of the outage: asking earlier than the service allows would only be
                # refused.
                wait = max(wait, min(asked_to_wait(failure) or 0.0, _LONGEST_WAIT))
                failures += 1
            self._relisted = set(self._listed or ())
            _logger.warning("the account list broke off after %d accounts: it is asked for again", self.asked)
            await self._clock.sleep(wait)

    def _bad(self, _index: int, error: DecodeError, /) -> None:
        self._problems += 1
        self._problem = self._problem or error

    async def _pull(self, source: Source) -> None:
        await (self._follow(source) if isinstance(source, AsyncIterable) else self._read_plain(source))

    async def _read_plain(self, source: Iterable[Any]) -> None:
        batch: list[Any] = []
        try:
            for entry in source:
                batch.append(entry)
                if len(batch) >= self._batch:
                    full, batch = batch, []
                    await self._take(full)
        except Exception:
            if batch:  # what the source gave before it raised is asked for
                await self._take(batch)
            raise
        if batch:
            await self._take(batch)

    async def _follow(self, source: AsyncIterable[Any]) -> None:
        """Register what arrives in batches of what is there, so that nothing waits for a batch to fill."""
        # A task of its own, since the source is read at its own speed while its entries wait for the store.
        reader = asyncio.get_running_loop().create_task(self._read(source), name="cyclr-async-source")
        reader.add_done_callback(lambda _: self._arrived.set())
        try:
            while self._incoming or not reader.done():
                await self._arrived.wait()
                self._arrived.clear()
                while self._incoming:
                    batch = list(self._incoming)
                    self._incoming.clear()
                    self._drained.set()
                    await self._take(batch)
            reader.result()
        finally:
            if not reader.done():
                reader.cancel()
                await asyncio.wait([reader])

    async def _read(self, source: AsyncIterable[Any]) -> None:
        try:
            async for entry in source:
                await self._arrive(entry)
        finally:
            # At once and not by the garbage collector: its connection is dropped with it.
            if isinstance(source, AsyncGenerator):
                await source.aclose()

    async def _arrive(self, entry: Any) -> None:
        self._incoming.append(entry)
        self._arrived.set()
        if len(self._incoming) >= self._batch:
            self._drained.clear()
            await self._drained.wait()

    async def _take(self, batch: list[Any]) -> None:
        self._arrived_count += len(batch)
        if self._listing and self._store is None:
            batch = self._not_listed_before(batch)
        refused = [refusal_of(entry, self._account_type) for entry in batch]
        good = [entry for entry, error in zip(batch, refused, strict=True) if error is None]
        if len(good) < len(batch):
            bad = [
                WorkItem(str(id_of(entry)), refused=error)
                for entry, error in zip(batch, refused, strict=True)
                if error is not None
            ]
            self.asked += len(bad)
            self._hand_out(bad)
        if self._store is not None:
            good = await self._registered(self._store, good)
        else:
            self.asked += len(good)
        if len(self._ready) + len(good) > self._ahead:
            if self._store is not None and self._listing:
                self._left_in_store = True
                return
            await self._until_low()
        self._hand_out([work_item_of(entry) for entry in good])

    def _not_listed_before(self, batch: list[Any]) -> list[Any]:
        ids = [id_of(entry) for entry in batch]
        if self._listed is not None:
            self._listed.update(ids)
            if len(self._listed) > _REMEMBERED:
                self._listed = None  # too many to remember, so none is
        if not self._relisted:
            return batch
        return [entry for entry, name in zip(batch, ids, strict=True) if name not in self._relisted]

    async def _registered(self, store: UsageStore, batch: Sequence[Any]) -> list[Any]:
        """Register accounts and return those that are new. What was known of the others only the store can tell."""
        found = await store.register(batch)
        self.asked += found.added
        if found.oldest is not None:
            self._on_taken_over(found.taken_over, datetime.fromisoformat(found.oldest))
        to_ask = {stored_id(id_of(entry)): entry for entry in batch}
        new = [entry for name, entry in to_ask.items() if name in found.to_ask]
        self._left_in_store = self._left_in_store or len(new) < len(batch)
        return new

    async def _read_store(self, store: UsageStore, *, settled: bool = False) -> None:
        """Hand out what the store holds without a usage: what was never asked, or else what was ``settled`` before."""
        self._left_in_store = False
        after: str | None = None
        while True:
            # An account that is collected while the page is on its way would otherwise look as if it were due.
            self._collected_meanwhile = meanwhile = set[str]()
            page = await store.pending(after=after, limit=_PAGE)
            self._collected_meanwhile = None
            if not page:
                return
            after = page[-1].account_id
            done = self._taken | meanwhile
            due = [p for p in page if p.account_id not in done]
            chosen = [p for p in due if bool(p.attempts) is settled]
            self._asked_before = self._asked_before or len(chosen) < len(due)
            self._hand_out([WorkItem(p.account_id, p.account, parent_account_id=p.parent_account_id) for p in chosen])
            await self._until_low()

    @property
    def _is_low(self) -> bool:
        """Whether more is to be read: at half, so that the next batch is there before the last item is taken."""
        return len(self._ready) <= self._ahead // 2

    async def _until_low(self) -> None:
        while not self._is_low:
            await self._filler.wait()

    def _hand_out(self, items: list[WorkItem]) -> None:
        if self._store is not None:
            self._taken.update(stored_id(item.account_id) for item in items if item.refused is None)
        self._ready.extend(items)
        self._wake_some(len(items))

    def _wake_some(self, count: int) -> None:
        while count > 0 and self._consumers.wake_one():
            count -= 1
