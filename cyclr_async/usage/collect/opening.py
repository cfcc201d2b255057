"""Before a collection begins: whose data it is, which accounts it is about, and which run of its store goes on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterable, Awaitable, Callable, Collection, Iterable, Iterator
from datetime import date, timedelta
from os import PathLike
from typing import Any, Final, TypeAlias

import attrs

from cyclr_async.auth.providers import PartnerIdentity
from cyclr_async.errors import (
    BulkInterruptedError,
    ConfigurationError,
    CyclrError,
    InvalidArgumentError,
    SessionClosedError,
    StoreError,
    WrongEventLoopError,
)
from cyclr_async.http.classify import Concern, classify, is_wrong_address
from cyclr_async.http.clock import Clock
from cyclr_async.usage.collect.api import UsageApi
from cyclr_async.usage.store.rows import LAZY_IDS, RunScope, ids_digest
from cyclr_async.usage.store.runs import as_max_age
from cyclr_async.usage.store.store import UsageStore

__all__ = ["Identify", "StorePlan", "check_store_options"]

_logger: Final = logging.getLogger("cyclr_async.usage")

_WAIT: Final = 5.0
"""Seconds before the partner is asked for again during an outage; grows to the next value."""
_LONGEST_WAIT: Final = 60.0
"""As long as the breaker of a running collection waits between two probes."""
Identify: TypeAlias = Callable[[], Awaitable[PartnerIdentity]]
_PROGRAM: Final = (ConfigurationError, WrongEventLoopError, InvalidArgumentError)
"""What the caller has to mend: no outage, and nothing that a store could be resumed after."""


def check_store_options(store: object, resume: object, max_age: object) -> timedelta:
    """Check what concerns the store of a collection, and return ``max_age`` as a timedelta.

    Raises:
        InvalidArgumentError: ``resume`` is not True, False or None, or is given without a path to open; ``max_age``
            is not a time.
    """
    if resume is not None and not isinstance(resume, bool):
        raise InvalidArgumentError(f"resume must be True, False or None; got {resume!r}")
    if resume is not None and (store is None or isinstance(store, UsageStore)):
        raise InvalidArgumentError("resume says how the file of a store is opened: give store= as a path with it")
    return as_max_age(max_age)


@attrs.frozen(kw_only=True)
class StorePlan:
    """What a collection wants of its store.

    Attributes:
        store: a path, or a store that the caller has opened.
        api: that is asked.
        partner: the partner as the caller names it, or None.
        identify: tells whose data the session sees; may ask the service.
        from_date: of the collection.
        source: the caller's ids; None when every account is meant.
        resume: as for :meth:`UsageStore.open`.
        max_age: as for :meth:`UsageStore.open`.
        clock: of the session.
        max_outage: seconds for which the service may be out when it is asked who the partner is.
    """

    store: UsageStore | str | PathLike[str]
    api: UsageApi[Any]
    partner: str | None
    identify: Identify
    from_date: date | None
    source: object
    resume: bool | None
    max_age: timedelta
    clock: Clock
    max_outage: float

    async def open(self) -> UsageStore:
        """Return the store with the run of this collection.

        Raises:
            StoreError: it belongs to another partner, host or period, its run is about other accounts, or it cannot
                be opened.
            BulkInterruptedError: the service could not be asked who the partner is.
            ConfigurationError: nobody names the partner.
        """
        if isinstance(self.store, UsageStore):
            await self._check_given(self.store)
            return self.store
        ids = await self._ids()
        partner = await self._partner()
        scope = RunScope(self.api.base_url, partner.name, self.from_date, ids, self.api.name)
        return await UsageStore.open(
            self.store, scope, resume=self.resume, max_age=self.max_age, clock=self.clock, aliases=partner.aliases
        )

    async def _check_given(self, store: UsageStore) -> None:
        if store.scope.api != self.api.name:
            raise StoreError(
                f"run {store.run_id} of the store {store.path} asks the {store.scope.api} API, and this "
                f"collection the {self.api.name} API: use the same for both"
            )
        if store.scope.from_date != self.from_date:
            raise StoreError(
                f"run {store.run_id} of the store {store.path} has the from_date {store.scope.from_date}, and this "
                f"collection {self.from_date}: use the same for both"
            )
        if store.scope_given and self.partner is None:
            # The caller has named the partner when the store was opened; asking the service would overrule that.
            partner = PartnerIdentity(store.scope.partner)
        else:
            partner = await self._partner()
        await store.claim(self.api.base_url, partner)
        await store.bind(await self._ids())

    async def _ids(self) -> str:
        """Return what tells these accounts from others; ids that come one by one cannot be known beforehand."""
        source = self.source
        if not isinstance(source, (Iterable, AsyncIterable)):
            return self.api.everybody
        if isinstance(source, Collection) and not isinstance(source, Iterator):  # an iterator could be read only once
            return await asyncio.to_thread(ids_digest, source)  # a second for a million
        return LAZY_IDS

    async def _partner(self) -> PartnerIdentity:
        """Return whose data this is. An outage is waited out like one of the collection itself."""
        began, wait = self.clock.now(), _WAIT
        while True:
            try:
                return await self.identify()
            except CyclrError as error:
                if isinstance(error, _PROGRAM):
                    raise
                passing = classify(error) is Concern.SERVICE
                passing = passing and not is_wrong_address(error)  # nothing has answered yet, so waiting is no help
                failure = self._failure(error, passing=passing)
                left = began + self.max_outage - self.clock.now()
                if not passing or left <= 0:
                    raise failure from error
            _logger.warning("the service cannot say whose data this is, so it is asked again: %s", failure.message)
            await self.clock.sleep(min(wait, left))  # the last time at the very limit
            wait = min(2 * wait, _LONGEST_WAIT)

    def _failure(self, error: CyclrError, *, passing: bool) -> BulkInterruptedError:
        """Return what ends the collection; the failure is about the service or the credentials, never an account."""
        refused = classify(error) is Concern.CREDENTIALS
        reason = "authentication" if refused else "outage" if passing else "interrupted"
        if is_wrong_address(error):
            reason = "systemic"
        elif isinstance(error, SessionClosedError):
            reason = "closed"
        what = "the credentials were refused" if refused else "the service could not be asked whose data this is"
        return BulkInterruptedError(
            f"{what}: {error.message}",
            reason=reason,
            resumable=True,
            request_id=error.request_id,
            attempts=error.attempts,
            sent=error.sent,
        )
