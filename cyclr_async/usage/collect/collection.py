"""Bulk collection: a fixed number of workers over a feed of accounts, with results as they finish."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable
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
from cyclr_async.usage.collect.breaker import Breaker
from cyclr_async.usage.collect.failure_guard import Refusal
from cyclr_async.usage.collect.fan_out import Engine, FanOut, Origin
from cyclr_async.usage.collect.fetcher import AccountFetcher
from cyclr_async.usage.collect.interruption import interruption_of
from cyclr_async.usage.collect.opening import StorePlan
from cyclr_async.usage.collect.outcome import Outcome, UsageOutcome, V1UsageOutcome
from cyclr_async.usage.collect.outcome_queue import OutcomeQueue
from cyclr_async.usage.collect.progress import Progress, ProgressHook
from cyclr_async.usage.collect.remote import Answers
from cyclr_async.usage.collect.work_items import RetryQueue, WorkItem
from cyclr_async.usage.store.findings import FINDINGS_KEPT, Finding, figures, negative
from cyclr_async.usage.store.rows import ALL_IDS, TREE_IDS, FinalStatus, moment, state_of, utc_text
from cyclr_async.usage.store.store import UsageStore

__all__ = ["BulkRun", "Collection", "V1Collection", "check_ids"]

_logger: Final = logging.getLogger("cyclr_async.usage")

_START: Final = 8
"""Calls under way at first; doubles while all is well."""
_PROGRESS_SECONDS: Final = 0.25
"""Between two calls of the progress hook: four a second look smooth, and cost nothing beside thousands of answers."""
_FURTHER: Final = 16
"""Accounts that are asked one by one, farther and farther ahead, when many in a row were refused before anybody has
answered: a list that is sorted by age can begin with accounts that were deleted."""
_FARTHEST: Final = 256
"""The longest step between two of these, which doubles from 1: together they look at some 2,300 accounts."""
_TROUBLES: Final = 3
"""Times the batches under way that may come back with an outage, while this process gets answers and no worker one."""


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
        self.origin: Origin = origin
        self._from_date = from_date
        self._fan_out = fan_out
        self._engine: Engine | None = None
        self._gathering = asyncio.Lock()
        self._troubles = 0
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
        self._undisputed = asyncio.Event()
        self._undisputed.set()
        self._disputed = False  # the same, to be looked at for every account without a call
        self._store: UsageStore | None = None
        # An empty one until the block is entered, so that the progress can be asked for at any time.
        self._feed = AccountSource((), None, clock, ahead=2, registered=0)
        self._deferred: deque[WorkItem] = deque()
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
                    for _ in range(self._fan_out.in_flight):
                        group.create_task(self._give_out(self._engine, self._feed, may_defer=self._passes > 0))
                else:
                    for index in range(self._concurrency):
                        group.create_task(self._work(index, self._feed, later_pass=self._passes > 0))
            if not self._feed.exhausted:
                # A task group passes over a task that was cancelled, and would take a part for the whole.
                raise BulkInterruptedError("the collection ended before every account was asked", sent="maybe")
            for number in range(self._passes):
                again, self._deferred = self._deferred, deque()
                if not again:
                    break
                async with asyncio.TaskGroup() as group:
                    for index in range(min(self._concurrency, len(again))):
                        group.create_task(self._work(index, RetryQueue(again), later_pass=number < self._passes - 1))
            await self._decide_rest()
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
        while True:
            while index >= self._asker.adaptive.limit:
                if items.exhausted:
                    return
                await self._idle_workers.wait()
            if self._disputed:
                await self._undisputed.wait()
            item = items.poll() or await items.next()
            if item is None:
                self._idle_workers.wake_all()
                return
            if self._disputed:
                items.give_back([item])  # refusals came under suspicion while this worker waited for its item
                continue
            await self._settle(item, may_defer=later_pass)
            guard = self._asker.guard
            if guard.held and guard.suspicious and not self._disputed:  # in line: this runs for every account
                await self._decide(items, may_defer=later_pass)
            if self._results.full:
                await self._results.until_room()

    async def _settle(self, item: WorkItem, *, may_defer: bool) -> bool:
        """Ask for an account and keep what becomes of it; True when it answered."""
        guard = self._asker.guard
        outcome = await self._asker.fetch(item, may_defer=may_defer)
        if outcome is None:
            self._deferred.append(item)
            return False
        if outcome.error is not None and guard.concerns(outcome.error):
            guard.hold(item, outcome)
            return False
        await self._keep(item, outcome)
        answered = outcome.error is None
        if answered and guard.held:
            await self._keep_all(guard.released(item.begun))
        return answered

    async def _give_out(self, engine: Engine, feed: AccountSource, *, may_defer: bool) -> None:
        """Give out one batch after the other, and keep what becomes of them."""
        while True:
            if self._disputed:
                await self._undisputed.wait()
            items = await self._gather(engine, feed)
            if not items:
                return
            if self._disputed:
                feed.give_back(items)
            elif self._asker.breaker.is_open or items[0].refused is not None:
                # While the service is out, or seems to be, this process alone asks whether it is back.
                await self._ask_here(items, feed, may_defer=may_defer)
            else:
                await self._hand_over(items, engine, feed, may_defer=may_defer)
            if self._results.full:
                await self._results.until_room()

    async def _gather(self, engine: Engine, feed: AccountSource) -> list[WorkItem]:
        """Return the accounts of the next batch; none at the end.

        A batch is full, or all there is while no other is under way: then a source that is slow has its accounts asked
        at once, and one that is fast has full batches, for what the engine does for each.
        """
        items: list[WorkItem] = []
        async with self._gathering:
            while len(items) < engine.size:
                item = feed.poll()
                if item is None:
                    if feed.exhausted or (items and not engine.under_way):
                        break
                    await feed.arrival()
                elif item.refused is not None and items:
                    feed.give_back([item])  # it is settled here, and no worker hears of it
                    break
                else:
                    items.append(item)
                    if item.refused is not None:
                        break
        return items

    async def _ask_here(self, items: list[WorkItem], feed: AccountSource, *, may_defer: bool) -> None:
        """Settle the first of some accounts in this process, and give the others back."""
        feed.give_back(items[1:])
        await self._settle(items[0], may_defer=may_defer)
        await self._decide_if_suspicious(feed, may_defer=may_defer)

    async def _hand_over(self, items: list[WorkItem], engine: Engine, feed: AccountSource, *, may_defer: bool) -> None:
        """Have a worker settle a batch, and keep what became of its accounts."""
        # An answer vouches for what was refused before it was asked, so before its batch was given out.
        begun, sent_at = self._asker.guard.refusals, self._clock.wall()
        try:
            answers = await engine.settle(items, may_defer=may_defer)
        finally:
            feed.wake()  # whoever gathers need not wait for a full batch when no other is under way
        left = await self._keep_answers(items, answers, begun, sent_at)
        feed.give_back(left)
        if answers.usages:
            self._troubles = 0
        if answers.stopped is not None:
            self._troubles += 1
            if self._fan_out is not None and self._troubles > _TROUBLES * self._fan_out.in_flight:
                raise BulkInterruptedError(
                    "the workers get no answer, while this process does: look at their network and their settings. "
                    f"The last that one of them met: {answers.stopped.message}",
                    reason="workers",
                    sent="maybe",
                )
            item = feed.poll()
            if item is not None:
                # This process finds out what it is, and waits, ends or goes on as in a run without workers.
                await self._ask_here([item], feed, may_defer=may_defer)
        await self._decide_if_suspicious(feed, may_defer=may_defer)

    async def _keep_answers(
        self, items: list[WorkItem], answers: Answers, begun: int, sent_at: float
    ) -> list[WorkItem]:
        """Record the answers of a batch, and return the accounts that were not asked."""
        guard, got_at = self._asker.guard, self._clock.wall()
        left = dict(enumerate(items))
        for place, attempts in answers.deferred:
            item = left.pop(place)
            item.attempts += attempts
            self._deferred.append(item)
        for place, attempts, observed, found in (*answers.errors, *answers.usages):
            item = left.pop(place)
            item.attempts += attempts
            failed = isinstance(found, CyclrError)
            outcome = self.api.outcome(
                account_id=item.account_id,
                usage=None if failed else found,
                error=found if failed else None,
                account=item.account,
                parent_account_id=item.parent_account_id,
                attempts=item.attempts,
                # By the clock of a worker, which may be wrong, but not by more than the batch took: how old a figure
                # is decides whether it is billed.
                collected_at=moment(min(max(observed, sent_at), max(got_at, sent_at))),
            )
            if failed and guard.concerns(found):
                guard.hold(item, outcome)
                continue
            if not failed:
                self._asker.remember(item)
            await self._keep(item, outcome)
            if self._results.full:
                await self._results.until_room()
        if answers.usages:
            self._asker.breaker.ok(probe=False)
            if guard.held:
                await self._keep_all(guard.released(begun))
        return list(left.values())

    async def _decide_if_suspicious(self, items: AccountSource | RetryQueue, *, may_defer: bool) -> None:
        guard = self._asker.guard
        if guard.held and guard.suspicious and not self._disputed:
            await self._decide(items, may_defer=may_defer)

    async def _decide(self, items: AccountSource | RetryQueue, *, may_defer: bool) -> None:
        """Find out whether refusals in a row are the accounts' own, while the other workers wait.

        Raises:
            BulkInterruptedError: they are not.
        """
        asker = self._asker
        self._undisputed.clear()
        self._disputed = True
        vouched = await asker.witness()
        if vouched is not None:
            await self._keep_all(asker.guard.vouched(vouched))
        else:
            witness = bool(await asker.known_good())
            if witness or not await self._look_ahead(items, may_defer=may_defer):
                # The others go on waiting, so that not one more request is sent; they end with this one.
                raise asker.guard.interruption(at_end=False, witness=witness)
        self._disputed = False
        self._undisputed.set()

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
                if await self._settle(skipped.pop(), may_defer=may_defer):
                    return True
                step = min(2 * step, _FARTHEST)
        finally:
            items.give_back(skipped)
        return not self._asker.guard.suspicious

    async def _decide_rest(self) -> None:
        """Decide about the accounts that are still held back when all have been asked.

        Raises:
            BulkInterruptedError: nobody has answered, or those that had do not any more.
        """
        guard = self._asker.guard
        if not guard.held:
            return
        witness = bool(await self._asker.known_good())
        if not witness and not guard.is_an_answer():
            raise guard.interruption(at_end=True, witness=False)
        if witness and guard.needs_witness() and await self._asker.witness() is None:
            raise guard.interruption(at_end=True, witness=True)
        await self._keep_all(guard.released(guard.refusals))

    async def _keep_all(self, refusals: list[Refusal]) -> None:
        for item, outcome in refusals:
            await self._keep(item, outcome)

    async def _keep(self, item: WorkItem, outcome: Any) -> None:
        """Record an outcome: in the store, in the counts, and for the consumer."""
        if self._store is not None and item.refused is None:
            await self._store.record(outcome, registered=True)  # by the account source, before it was asked for
        # Only now: what the consumer has seen, the store has.
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
        found = self.api.rows.figures(outcome.usage)
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
