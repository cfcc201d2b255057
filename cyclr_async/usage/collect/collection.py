"""Bulk collection: a fixed number of workers over a feed of accounts, with results as they finish."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Iterable
from datetime import date, datetime
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

from cyclr_async.errors import (
    BulkInterruptedError,
    ConfigurationError,
    CyclrError,
    InvalidArgumentError,
    StoreError,
)
from cyclr_async.http.clock import Clock
from cyclr_async.http.limiter import AdaptiveLimit
from cyclr_async.http.wait_queue import WaitQueue
from cyclr_async.usage.collect.account_source import AccountSource, Source
from cyclr_async.usage.collect.api import Lister, UsageApi
from cyclr_async.usage.collect.batches import BatchLanes
from cyclr_async.usage.collect.breaker import Breaker
from cyclr_async.usage.collect.fan_out import Engine, FanOut, Origin
from cyclr_async.usage.collect.fetcher import AccountFetcher
from cyclr_async.usage.collect.interruption import interruption_of
from cyclr_async.usage.collect.opening import StorePlan
from cyclr_async.usage.collect.outcome import Outcome, UsageOutcome, V1UsageOutcome
from cyclr_async.usage.collect.outcome_queue import OutcomeQueue
from cyclr_async.usage.collect.progress import Progress, ProgressHook
from cyclr_async.usage.collect.settling import Settler
from cyclr_async.usage.collect.work_items import RetryQueue, WorkItem
from cyclr_async.usage.store.findings import FINDINGS_KEPT, Finding, figures, negative
from cyclr_async.usage.store.rows import ALL_IDS, TREE_IDS, FinalStatus, state_of, utc_text
from cyclr_async.usage.store.store import UsageStore

__all__ = ["BulkRun", "Collection", "V1Collection", "check_ids"]

_logger: Final = logging.getLogger("cyclr_async.usage")

_START: Final = 8
"""Calls under way at first; doubles while all is well."""
_PROGRESS_SECONDS: Final = 0.25
"""Between two calls of the progress hook: four a second look smooth, and cost nothing beside thousands of answers."""


OutcomeT = TypeVar("OutcomeT", bound=Outcome[Any, Any])


class BulkRun(Generic[OutcomeT]):
    """A collection under way: ``async with`` runs it, ``async for`` yields an outcome per account.

    Leaving the block ends the workers at once. With a store everything that was yielded is in it, and what is missing
    can be collected by running the same again.

    Attributes:
        api: that is asked, as the engine knows it.
        origin: tells whose data this is.
    """

    def __init__(
        self,
        api: UsageApi[OutcomeT],
        account_ids: Source | None,
        *,
        origin: Origin,
        clock: Clock,
        concurrency: int,
        plan: StorePlan | None,
        on_progress: ProgressHook | None,
        max_outage: float,
        passes: int,
        from_date: date | None = None,
        fan_out: FanOut | None = None,
    ) -> None:
        self._source: Source | Lister = api.accounts if account_ids is None else account_ids
        self.api: UsageApi[OutcomeT] = api
        self._figures = api.rows.figures  # looked up once: it takes every answer apart
        self.origin: Origin = origin
        self._from_date = from_date
        self._fan_out = fan_out
        self._engine: Engine | None = None
        self._clock = clock
        self._concurrency = concurrency
        self._idle_workers = WaitQueue()
        self._asker = AccountFetcher(
            api,
            clock,
            AdaptiveLimit(_START, concurrency),
            Breaker(clock, max_outage, self._outage),
            self._idle_workers.wake_all,
        )
        self._plan = plan
        self._on_progress = on_progress
        self._max_outage = max_outage
        self._passes = passes
        self._settler = Settler(self._asker, self._keep)
        self._store: UsageStore | None = None
        # An empty one until the block is entered, so that the progress can be asked for at any time.
        self._feed = AccountSource((), None, clock, ahead=2, registered=0)
        # Twice the workers: each can settle one more account while the consumer is busy with the last. With batches,
        # one of them: the next is on its way meanwhile.
        room = 2 * concurrency if fan_out is None else max(2 * concurrency, fan_out.batch)
        self._results: OutcomeQueue[OutcomeT] = OutcomeQueue(room)
        self._main: asyncio.Task[None] | None = None
        self._counts = dict.fromkeys(("ok", "missing", "forbidden", "failed"), 0)
        self._before = 0
        self._findings: list[Finding] = []
        self._finding_count = 0
        self._oldest_at: datetime | None = None
        self._started = self._ended_at = self._ended_wall = 0.0
        self._told_at = float("-inf")

    async def __aenter__(self) -> Self:
        if self._main is not None:
            raise ConfigurationError("a collection runs once: call collect_usage() again")
        if self._plan is not None:
            self._store = await self._plan.open()
            given = self._store.scope.ids not in {None, ALL_IDS, TREE_IDS}
            if given and not isinstance(self._source, (Iterable, AsyncIterable)):
                self._source = ()  # the caller opened a run of given ids, and all of them are registered in it
        registered = await self._resumed()
        if self._fan_out is not None:
            self._engine = await self._engine_of(self._fan_out)
        # Ids of the caller are pulled as they are needed, which with batches is two of them.
        ahead = self._concurrency if self._fan_out is None else 2 * self._fan_out.batch
        self._feed = AccountSource(
            self._source,
            self._store,
            self._clock,
            ahead=max(2, ahead),
            registered=registered,
            taken_over=self._taken_over,
            max_outage=self._max_outage,
            account_type=self.api.account_type,
        )
        self._started = self._clock.now()
        self._main = asyncio.get_running_loop().create_task(self._run(), name="cyclr-async-collect")
        return self

    async def _resumed(self) -> int:
        """Return how many accounts the store knows from before."""
        if self._store is None:
            return 0
        try:
            counts = await self._store.counts()
        except BaseException:
            if self._owns_store:
                await self._store.close()  # nobody else will: the block was not entered
            raise
        self._counts["ok"] = self._before = counts.ok
        self._asker.store = self._store if counts.ok else None
        self._oldest_at = self._store.opening.run.oldest_at
        return counts.asked

    async def _engine_of(self, fan_out: FanOut) -> Engine:
        """Return what gives batches to workers, who have to see the data of the same partner as this process."""
        try:
            partner = await self.origin.identify()
        except BaseException:
            if self._store is not None and self._owns_store:
                await self._store.close()  # nobody else will: the block was not entered
            raise
        return Engine(
            fan_out,
            self.api,
            partner,
            said=self.origin.partner is not None,
            from_date=self._from_date,
            concurrency=self._concurrency,
            max_outage=self._max_outage,
        )

    def _lanes_of(self, engine: Engine, lanes: int) -> BatchLanes:
        return BatchLanes(
            engine,
            lanes,
            api=self.api,
            settler=self._settler,
            feed=self._feed,
            results=self._results,
            clock=self._clock,
        )

    @property
    def _owns_store(self) -> bool:
        return self._plan is not None and self._store is not self._plan.store

    def _taken_over(self, usages: int, oldest: datetime) -> None:
        """Count usages that a superseded run had collected."""
        self._counts["ok"] += usages
        self._before += usages
        self._asker.store = self._store
        self._oldest_at = min(oldest, self._oldest_at or oldest)

    def __aiter__(self) -> AsyncIterator[OutcomeT]:
        return self

    async def __anext__(self) -> OutcomeT:
        if self._main is None:
            raise ConfigurationError("a collection runs inside its block: async with ... as run, then async for")
        outcome = self._results.poll() or await self._results.take()
        if outcome is None:
            raise StopAsyncIteration
        return outcome

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if self._main is not None and not self._main.done():
                self._main.cancel()
                await asyncio.wait([self._main])
        finally:
            if self._store is not None and self._owns_store:
                await self._store.__aexit__(kind, error, traceback)
        failure = self._results.failure
        if error is None and isinstance(failure, BulkInterruptedError) and failure.reason == "store":
            # The consumer left early and believes that what it has seen is kept.
            self._results.failure = None
            raise failure

    def drain(self) -> list[OutcomeT]:
        """Return the outcomes that had finished and were not yielded, after an early end."""
        return self._results.drain()

    @property
    def store(self) -> UsageStore | None:
        """The store of the run, within the block; None without one."""
        return self._store

    @property
    def progress(self) -> Progress:
        """How far the run is."""
        wall = self._ended_wall or self._clock.wall()
        elapsed = max((self._ended_at or self._clock.now()) - self._started, 1e-9)
        counts = self._counts
        settled = sum(counts.values()) - self._before
        rate = settled / elapsed
        left = self._feed.asked - self._before - settled
        known = self._feed.listing_complete
        return Progress(
            asked=self._feed.asked,
            **counts,
            in_flight=self._asker.in_flight + (0 if self._engine is None else self._engine.under_way),
            paused=self._asker.breaker.is_open,
            elapsed=elapsed,
            rate=rate,
            eta=left / rate if known and rate else None,
            listing_complete=known,
            findings=self._finding_count,
            oldest_at=self._oldest_at,
            oldest_age=None if self._oldest_at is None else wall - self._oldest_at.timestamp(),
        )

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What somebody has to look at before these figures are billed: the first thousand.

        Negative counts are known when they come. What only the history in the store can tell, such as a count that
        fell, is added when the run ends; see :class:`Finding`.
        """
        return tuple(self._findings)

    async def _run(self) -> None:
        """Run filler and workers, then the deferred passes; whatever ends the run ends all of them."""
        failure: BaseException | None = None
        status: FinalStatus = "interrupted"
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._feed.fill())
                if self._engine is not None and self._fan_out is not None:
                    lanes = self._lanes_of(self._engine, self._fan_out.in_flight)
                    for _ in range(self._fan_out.in_flight):
                        group.create_task(lanes.give_out(may_defer=self._passes > 0))
                else:
                    for index in range(self._concurrency):
                        group.create_task(self._work(index, self._feed, later_pass=self._passes > 0))
            if not self._feed.exhausted:
                # A task group passes over a task that was cancelled, and would take a part for the whole.
                raise BulkInterruptedError("the collection ended before every account was asked", sent="maybe")
            for number in range(self._passes):
                again, self._settler.deferred = self._settler.deferred, deque()
                if not again:
                    break
                async with asyncio.TaskGroup() as group:
                    for index in range(min(self._concurrency, len(again))):
                        group.create_task(self._work(index, RetryQueue(again), later_pass=number < self._passes - 1))
            await self._settler.decide_rest()
            self._feed.at_end()
            counts = self._counts
            settled = counts["ok"] == self._feed.asked - counts["missing"] - counts["forbidden"]
            # An empty list where accounts are known leaves the run open: it is read again when the run is continued.
            status = "complete" if settled and not self._feed.list_missing else "partial"
        except BaseExceptionGroup as caught:
            failure = _first(caught)
        except CyclrError as caught:
            failure = caught
        finally:
            self._ended_at, self._ended_wall = self._clock.now(), self._clock.wall()
            try:
                failure = await self._finish(status, failure)
            finally:
                self._results.end(failure)
                self._tell(always=True)

    async def _finish(self, status: FinalStatus, failure: BaseException | None) -> BaseException | None:
        if self._store is not None and not isinstance(failure, StoreError):
            try:
                # Shielded: leaving the block cancels this task, and the run must be marked as ended all the same.
                self._finding_count, self._findings = await asyncio.shield(self._store.findings())
                await asyncio.shield(self._store.finish(status))
            except StoreError as error:
                failure = failure or error
        return interruption_of(failure, resumable=self._store is not None)

    async def _work(self, index: int, items: AccountSource | RetryQueue, *, later_pass: bool) -> None:
        settler = self._settler
        while True:
            while index >= self._asker.adaptive.limit:
                if items.exhausted:
                    return
                await self._idle_workers.wait()
            if settler.disputed:
                await settler.undisputed.wait()
            item = items.poll() or await items.next()
            if item is None:
                self._idle_workers.wake_all()
                return
            if settler.disputed:
                items.give_back([item])  # refusals came under suspicion while this worker waited for its item
                continue
            await settler.settle(item, may_defer=later_pass)
            guard = self._asker.guard
            if guard.held and guard.suspicious and not settler.disputed:  # in line: this runs for every account
                await settler.decide(items, may_defer=later_pass)
            if self._results.full:
                await self._results.until_room()

    def _keep(self, item: WorkItem, outcome: Any) -> Awaitable[None] | None:
        """Record an outcome: in the store, in the counts, and for the consumer."""
        # A coroutine only where there is something to wait for: this is the way of every account.
        if self._store is not None and item.refused is None:
            return self._record(self._store, item, outcome)
        self._kept(item, outcome)
        return None

    async def _record(self, store: UsageStore, item: WorkItem, outcome: Any) -> None:
        await store.record(outcome, registered=True)  # by the account source, before it was asked for
        # Only now: what the consumer has seen, the store has.
        self._kept(item, outcome)

    def _kept(self, item: WorkItem, outcome: Any) -> None:
        self._count(item, outcome)
        self._results.add(outcome)

    def _outage(self, begins: bool) -> None:
        if begins:
            _logger.warning("the service is out: the collection pauses and asks now and then whether it is back")
        else:
            _logger.warning("the service is back: the collection goes on")
            self._asker.adaptive.restart()
        self._tell(always=True)

    def _count(self, item: WorkItem, outcome: Outcome[Any, Any]) -> None:
        self._counts["ok" if outcome.error is None else state_of(outcome.error)] += 1
        if outcome.error is None:
            self._oldest_at = self._oldest_at or outcome.collected_at
            self._feed.collected(item)
            self._examine(outcome)
        self._tell()

    def _examine(self, outcome: Outcome[Any, Any]) -> None:
        found = self._figures(outcome.usage)
        if found.task_count >= 0 and (found.cycle_count or 0) >= 0:
            return
        begin, end = ("" if moment is None else utc_text(moment) for moment in (found.period_from, found.period_to))
        said = figures(begin, end, found.task_count, found.cycle_count)
        finding = negative(outcome.account_id, said, outcome.collected_at)
        if finding is not None:
            self._finding_count += 1
            if len(self._findings) < FINDINGS_KEPT:
                self._findings.append(finding)

    def _tell(self, *, always: bool = False) -> None:
        if self._on_progress is None:
            return
        now = self._clock.now()
        if always or now - self._told_at >= _PROGRESS_SECONDS:
            self._told_at = now
            try:
                self._on_progress(self.progress)
            except Exception:
                _logger.exception("on_progress raised; the collection goes on")


class Collection(BulkRun[UsageOutcome]):
    """A collection over the partner API: ``async with`` runs it, ``async for`` yields a :class:`UsageOutcome` each.

    Leaving the block ends the workers at once. With a store everything that was yielded is in it, and what is missing
    can be collected by running the same again.

    Made by :meth:`Accounts.collect_usage`.
    """


class V1Collection(BulkRun[V1UsageOutcome]):
    """A collection over the v1.0 API, as :class:`Collection` otherwise; it yields :class:`V1UsageOutcome`.

    Made by ``session.v1.accounts.collect_usage()``.
    """


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the error that ended the run: the first of a group, however nested."""
    first: BaseException = group
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first


def check_ids(account_ids: object) -> None:
    """Refuse what is not a collection of ids."""
    if isinstance(account_ids, (str, bytes)) or not (
        isinstance(account_ids, Iterable) or hasattr(account_ids, "__aiter__")
    ):
        raise InvalidArgumentError(
            "account_ids must be an iterable or async iterable of account ids, not one text: use [account_id] for one"
        )
