"""Between the accounts of a run and the engine of its workers: what goes out in a batch, and what comes back of it."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from cyclr_async.errors import BulkInterruptedError, CyclrError
from cyclr_async.http.clock import Clock
from cyclr_async.usage.collect.account_source import AccountSource
from cyclr_async.usage.collect.api import UsageApi
from cyclr_async.usage.collect.fan_out import Engine
from cyclr_async.usage.collect.outcome_queue import OutcomeQueue
from cyclr_async.usage.collect.remote import Answers
from cyclr_async.usage.collect.settling import Settler
from cyclr_async.usage.collect.work_items import WorkItem
from cyclr_async.usage.store.rows import moment

__all__ = ["BatchLanes"]

_TROUBLES: Final = 3
"""Times the batches under way that may come back with an outage, while this process gets answers and no worker one."""


class BatchLanes:
    """Gives the accounts of a run to workers, in batches, and keeps what becomes of them.

    Args:
        engine: carries the batches.
        lanes: how many are under way at most.
        api: that is asked.
        settler: decides about refusals, and asks for accounts in this process.
        feed: the accounts.
        results: takes the outcomes.
        clock: of the session.
    """

    def __init__(
        self,
        engine: Engine,
        lanes: int,
        *,
        api: UsageApi[Any],
        settler: Settler,
        feed: AccountSource,
        results: OutcomeQueue[Any],
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._lanes = lanes
        self._api = api
        self._settler = settler
        self._feed = feed
        self._results = results
        self._clock = clock
        self._gathering = asyncio.Lock()
        self._troubles = 0

    async def give_out(self, *, may_defer: bool) -> None:
        """Give out one batch after the other, and keep what becomes of them; several of these run at the same time.

        Args:
            may_defer: whether what may answer later is put off to a later pass.

        Raises:
            CyclrError: what ends the run.
        """
        while True:
            if self._settler.disputed:
                await self._settler.undisputed.wait()
            items = await self._gather()
            if not items:
                return
            if self._settler.disputed:
                self._feed.give_back(items)
            elif self._settler.asker.breaker.is_open or items[0].refused is not None:
                # While the service is out, or seems to be, this process alone asks whether it is back.
                await self._ask_here(items, may_defer=may_defer)
            else:
                await self._hand_over(items, may_defer=may_defer)
            if self._results.full:
                await self._results.until_room()

    async def _gather(self) -> list[WorkItem]:
        """Return the accounts of the next batch; none at the end.

        A batch is full, or all there is while no other is under way: then a source that is slow has its accounts asked
        at once, and one that is fast has full batches, for what the engine does for each.
        """
        items: list[WorkItem] = []
        async with self._gathering:
            while len(items) < self._engine.size:
                item = self._feed.poll()
                if item is None:
                    if self._feed.exhausted or (items and not self._engine.under_way):
                        break
                    await self._feed.arrival()
                elif item.refused is not None and items:
                    self._feed.give_back([item])  # it is settled here, and no worker hears of it
                    break
                else:
                    items.append(item)
                    if item.refused is not None:
                        break
        return items

    async def _ask_here(self, items: list[WorkItem], *, may_defer: bool) -> None:
        """Settle the first of some accounts in this process, and give the others back."""
        self._feed.give_back(items[1:])
        await self._settler.settle(items[0], may_defer=may_defer)
        await self._settler.decide_if_suspicious(self._feed, may_defer=may_defer)

    async def _hand_over(self, items: list[WorkItem], *, may_defer: bool) -> None:
        """Have a worker settle a batch, and keep what became of its accounts."""
        # An answer vouches for what was refused before it was asked, so before its batch was given out.
        begun, sent_at = self._settler.asker.guard.refusals, self._clock.wall()
        try:
            answers = await self._engine.settle(items, may_defer=may_defer)
        finally:
            self._feed.wake()  # whoever gathers need not wait for a full batch when no other is under way
        left = await self._keep_answers(items, answers, begun, sent_at)
        self._feed.give_back(left)
        if answers.usages:
            self._troubles = 0
        if answers.stopped is not None:
            self._troubles += 1
            if self._troubles > _TROUBLES * self._lanes:
                raise BulkInterruptedError(
                    "the workers get no answer, while this process does: look at their network and their settings. "
                    f"The last that one of them met: {answers.stopped.message}",
                    reason="workers",
                    sent="maybe",
                )
            item = self._feed.poll()
            if item is not None:
                # This process finds out what it is, and waits, ends or goes on as in a run without workers.
                await self._ask_here([item], may_defer=may_defer)
        await self._settler.decide_if_suspicious(self._feed, may_defer=may_defer)

    async def _keep_answers(
        self, items: list[WorkItem], answers: Answers, begun: int, sent_at: float
    ) -> list[WorkItem]:
        """Record the answers of a batch, and return the accounts that were not asked."""
        guard, got_at = self._settler.asker.guard, self._clock.wall()
        left = dict(enumerate(items))
        for place, attempts in answers.deferred:
            item = left.pop(place)
            item.attempts += attempts
            self._settler.deferred.append(item)
        for place, attempts, observed, found in (*answers.errors, *answers.usages):
            item = left.pop(place)
            item.attempts += attempts
            failed = isinstance(found, CyclrError)
            outcome = self._api.outcome(
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
                self._settler.asker.remember(item)
            await self._settler.record(item, outcome)
            if self._results.full:
                await self._results.until_room()
        if answers.usages:
            self._settler.asker.breaker.ok(probe=False)
            if guard.held:
                await self._settler.keep_all(guard.released(begun))
        return list(left.values())
