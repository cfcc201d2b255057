"""The account list of the v1.0 API for a bulk run: page by page, at flat memory, and whatever moves between the pages.

Accounts are created and deleted while their list is read, and there is no cursor. An account that is deleted moves all
behind it one place forward: the first of the next page becomes the last of a page that was read, and nobody sees it. So
the pages are read once forwards and once backwards. What is deleted is missed on the way forward only, what is created
before others on the way back only, and what comes twice is registered once. Which account was where is not kept, a
digest of each page tells what is worth a second look. As long as rows of a page have moved, it is read once more.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Final

import attrs

from cyclr_async.errors import BulkInterruptedError, CyclrError, DecodeError, DesynchronizedError, NotFoundError
from cyclr_async.http.classify import Concern, asked_to_wait, classify, is_foreign, is_wrong_address
from cyclr_async.http.clock import Clock
from cyclr_async.usage.collect.api import BadRecordHook
from cyclr_async.usage.store.api_rows import Listed
from cyclr_async.v1.account import Account
from cyclr_async.wire.converter import structure_list
from cyclr_async.wire.strict_json import loads

__all__ = ["AccountPages", "RawPage"]

_logger: Final = logging.getLogger("cyclr_async.usage")

_READINGS: Final = 5
"""How often the list is read at most: twice when nothing moves. Each time more, what rows that move both ways can hide
becomes a hundredth of what it was, at one request for each hundred accounts."""
_WAITS: Final = (1.0, 5.0, 10.0, 20.0, 40.0, 60.0)
"""Seconds before a page is asked for again that the session's own repeats did not bring; the last one repeats."""
_LONGEST_WAIT: Final = 900.0
"""Seconds that a ``Retry-After`` can delay it, as for the accounts."""
_AT_ONCE: Final = 8
"""Accounts that are asked for their sub-accounts at the same time, beside the workers that ask for usages."""
_DEEPEST: Final = 16
"""Levels of sub-accounts: where there seem to be more, an account is its own descendant."""


@attrs.frozen
class RawPage:
    """A page as it came.

    Attributes:
        body: not decoded, because most pages need no second look.
        total: how many pages there are, or None when the server does not say.
    """

    body: bytes
    total: int | None


PageOf = Callable[[str | None, int], Awaitable[RawPage]]
"""Asks for a page, counted from 1, of the accounts of the partner (None) or of the sub-accounts of an account."""


@attrs.define
class _Seen:
    """What is remembered of a page: digests, by which a list of a million accounts takes some megabytes."""

    body: bytes
    ids: bytes


class AccountPages:
    """Lists every account. An account can come twice, with a store: it knows which it has.

    Args:
        page_of: asks for a page.
        clock: time.
        max_outage: seconds for which a page is asked for again while the service is out.
        subaccounts: list the sub-accounts of each account too.
        once: leave out accounts that came before, which takes memory for each id.
    """

    def __init__(self, page_of: PageOf, clock: Clock, *, max_outage: float, subaccounts: bool, once: bool) -> None:
        self._page_of = page_of
        self._clock = clock
        self._max_outage = max_outage
        self._subaccounts = subaccounts
        self._ids: set[str] | None = set() if once else None
        self._begun = False

    async def __call__(self, *, on_bad_record: BadRecordHook) -> AsyncGenerator[Listed, None]:
        """Yield the accounts as their pages arrive, each one followed by its sub-accounts at some distance.

        Raises:
            CyclrError: a page cannot be had.
        """
        self._begun = False
        async with aclosing(self._pages(None, on_bad_record)) as pages:
            async for accounts in pages:
                self._begun = True
                level: Sequence[Listed] = self._fresh(accounts)
                for _ in range(_DEEPEST if self._subaccounts else 1):
                    for account in level:
                        yield account
                    level = self._fresh(await self._children(level, on_bad_record)) if self._subaccounts else ()
                    if not level:
                        break

    def _fresh(self, accounts: Sequence[Listed]) -> Sequence[Listed]:
        if self._ids is None:
            return accounts
        known, fresh = self._ids, []
        for account in accounts:
            if account.id not in known:
                known.add(account.id)
                fresh.append(account)
        return fresh

    async def _children(self, parents: Sequence[Listed], on_bad_record: BadRecordHook) -> list[Listed]:
        """Return the sub-accounts of some accounts."""
        found: list[Listed] = []
        left = iter(parents)

        async def ask() -> None:
            for parent in left:  # shared by all: each takes the next
                try:
                    async with aclosing(self._pages(parent.id, on_bad_record)) as pages:
                        async for accounts in pages:
                            for account in accounts:
                                account.parent_account_id = parent.id
                            found.extend(accounts)
                except NotFoundError as error:
                    if is_foreign(error):
                        raise
                    # Deleted since it was listed: then it has no sub-accounts, and its usage says the same.

        failure: CyclrError | None = None
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(_AT_ONCE, len(parents))):
                    group.create_task(ask())
        except* CyclrError as caught:
            failure = _first(caught)
        if failure is not None:
            raise failure
        return found

    async def _pages(self, parent: str | None, on_bad_record: BadRecordHook) -> AsyncGenerator[list[Listed], None]:
        """Yield the pages of a list that are worth a look, until nothing moves in it any more."""
        seen: list[_Seen] = []
        for reading in range(_READINGS):
            moved = False
            places = self._forwards(parent, seen) if reading % 2 == 0 else self._backwards(parent, len(seen) - 1)
            async with aclosing(places) as pages:
                async for place, page in pages:
                    before = seen[place] if place < len(seen) else None
                    digest = _digest(page.body)
                    if before is not None and before.body == digest:
                        continue
                    accounts, ids = _decoded(page, place, on_bad_record if reading == 0 else None)
                    now = _Seen(digest, ids)
                    if before is None:
                        seen.append(now)
                    else:
                        seen[place] = now
                    # A page may say the same accounts in other words, such as a bill date that has passed.
                    if accounts and (before is None or before.ids != ids):
                        moved = True
                        yield accounts
            if reading > 0 and not moved:
                return

    async def _forwards(self, parent: str | None, seen: Sequence[_Seen]) -> AsyncGenerator[tuple[int, RawPage], None]:
        """Yield the pages to the end of the list, each with its place, counted from 0."""
        place = 0
        while True:
            page = await self._page(parent, place + 1)
            if _is_empty(page):
                return
            if page.total is None and place and seen[place - 1].body == _digest(page.body):
                raise DesynchronizedError(
                    f"v1.accounts.list: page {place + 1} is the page before it, so the list has no end",
                    sent="yes",
                    status=200,
                )
            yield place, page
            place += 1
            if page.total is not None and place >= page.total:
                return

    async def _backwards(self, parent: str | None, end: int) -> AsyncGenerator[tuple[int, RawPage], None]:
        """Yield the pages before a place, the last first; not the one at it, for there is nothing behind that."""
        for place in range(end - 1, -1, -1):
            yield place, await self._page(parent, place + 1)

    async def _page(self, parent: str | None, number: int) -> RawPage:
        """Return a page. An outage is waited out here, for a list that begins anew would ask for all pages again.

        Before the first page there is nothing to lose, and whoever asked for the list waits.

        Raises:
            BulkInterruptedError: the outage has lasted too long.
        """
        since: float | None = None
        failures = 0
        while True:
            try:
                return await self._page_of(parent, number)
            except CyclrError as error:
                if not self._begun or classify(error) is not Concern.SERVICE or is_wrong_address(error):
                    raise
                now = self._clock.now()
                since = now if since is None else since
                left = since + self._max_outage - now
                if left <= 0:
                    raise BulkInterruptedError(
                        f"the account list cannot be read further, the service has been out for {now - since:.0f} s: "
                        f"the run was stopped, and its accounts stay pending. The last fault: {error.message}",
                        reason="outage",
                    ) from error
                wait = max(_WAITS[min(failures, len(_WAITS) - 1)], min(asked_to_wait(error) or 0.0, _LONGEST_WAIT))
                failures += 1
                _logger.warning("page %d of the account list failed and is asked for again: %s", number, error.message)
            await self._clock.sleep(min(wait, left))


def _is_empty(page: RawPage) -> bool:
    return page.body.strip() == b"[]"


def _decoded(page: RawPage, place: int, on_bad_record: BadRecordHook | None) -> tuple[list[Listed], bytes]:
    """Return the accounts of a page, and a digest of their ids.

    One that cannot be read does not lose the others.
    """
    rows = loads(page.body)
    try:
        accounts = structure_list(rows, Account)
    except DecodeError:
        if not isinstance(rows, list):
            raise
        good, accounts = [], []
        for index, row in enumerate(rows):
            try:
                accounts += structure_list([row], Account)
                good.append(row)
            except DecodeError as error:
                if on_bad_record is not None:
                    on_bad_record(place * len(rows) + index, error)
        rows = good
    ids = "\0".join(account.id for account in accounts)
    listed = [Listed(account, None, row) for account, row in zip(accounts, rows, strict=True)]
    return listed, _digest(ids.encode("utf-8", "surrogatepass"))


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def _first(group: BaseExceptionGroup[CyclrError]) -> CyclrError:
    first: BaseException = group
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    assert isinstance(first, CyclrError)
    return first
