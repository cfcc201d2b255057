"""What runs in a worker process: a batch of accounts, settled over the one session that this process has.

Nothing here decides about the run. An account that answers, or is refused, is reported; one that may answer later is
reported as such; and where it looks as if everybody were refused, or the service were out, the batch is handed back
with what has not been asked. The coordinator has the breaker, the guard, the store and the last word.
"""

from __future__ import annotations

import asyncio
import atexit
import hashlib
import logging
import os
import pickle
import threading
from contextlib import suppress
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import attrs

from cyclr_async._version import __version__
from cyclr_async.auth.providers import PartnerIdentity
from cyclr_async.errors import ConfigurationError, CyclrError
from cyclr_async.http.limiter import AdaptiveLimit
from cyclr_async.http.wait_queue import WaitQueue
from cyclr_async.usage.collect.breaker import Breaker
from cyclr_async.usage.collect.failure_guard import FailureRateGuard
from cyclr_async.usage.collect.fetcher import AccountFetcher
from cyclr_async.usage.collect.work_items import WorkItem
from cyclr_async.usage.store.api_rows import V1_API

if TYPE_CHECKING:
    from cyclr_async.session import AsyncPartnerSession
    from cyclr_async.usage.collect.collection import BulkRun

__all__ = ["Answers", "BatchReply", "BatchTask", "collect_batch", "names_of"]

_logger: Final = logging.getLogger("cyclr_async.usage")

_START: Final = 8
"""Calls under way at first, as in a run of one process."""
_OUTAGE: Final = 60.0
"""Seconds for which a worker waits through an outage by itself. Long enough that a restart of the service costs no
batch, short enough that the coordinator, which knows how long the run may wait, soon hears of it."""
_CLOSE_SECONDS: Final = 2.0
"""For which the end of the process waits for the session to be closed; calls under way then are lost anyway."""


@attrs.frozen(kw_only=True)
class BatchTask:
    """What is sent to a worker: which accounts to ask, and what its session must be. No credential is among it.

    Attributes:
        version: of this package at the coordinator.
        run: a random name of the collection, so that no engine takes two tasks for the same.
        number: of the batch within the run.
        session: the factory of the session, pickled: once for the run and not once for each task.
        api: that is asked.
        base_url: of that API.
        partner: digests of the names of the coordinator's partner, see :func:`names_of`; the first is the usual one.
        said: whether the coordinator was told the name, instead of asking the service.
        from_date: of the collection.
        concurrency: calls under way at most.
        max_outage: of the run, in seconds.
        may_defer: whether what may answer later is handed back instead of being settled as failed.
        ids: the accounts.
    """

    version: str
    run: str
    number: int
    session: bytes
    api: str
    base_url: str
    partner: tuple[str, ...]
    said: bool
    from_date: date | None
    concurrency: int
    max_outage: float
    may_defer: bool
    ids: tuple[str, ...]


@attrs.frozen(kw_only=True)
class BatchReply:
    """What comes back: who answers, and the answers as bytes, which no engine needs to look into.

    Attributes:
        version: of this package in the worker.
        run: of the task.
        number: of the task.
        base_url: of the API that was asked.
        partner: whose data the worker sees, as its session names it.
        same_partner: whether that is the coordinator's partner.
        answers: :class:`Answers`, pickled.
    """

    version: str
    run: str
    number: int
    base_url: str
    partner: str
    same_partner: bool
    answers: bytes


@attrs.define
class Answers:
    """What became of the accounts of a batch, each named by its place in it. What is in no list was not asked.

    Attributes:
        usages: place, attempts, time of the answer, usage.
        errors: place, attempts, time of the answer, what ended it.
        deferred: place and attempts of what may answer later.
        stopped: what ended the batch early, or None.
    """

    usages: list[tuple[int, int, float, Any]] = attrs.field(factory=list)
    errors: list[tuple[int, int, float, CyclrError]] = attrs.field(factory=list)
    deferred: list[tuple[int, int]] = attrs.field(factory=list)
    stopped: CyclrError | None = None


def names_of(partner: PartnerIdentity, run: str) -> tuple[str, ...]:
    """Return digests of the names of a partner, by which two processes find out whether they mean the same.

    Digests and not the names: one of them can be derived from an access token, and nothing of that is sent anywhere.

    Args:
        partner: whose names.
        run: mixed in, so that a digest says nothing outside of its run.
    """
    names = (partner.name, *partner.aliases)
    return tuple(hashlib.blake2b(f"{run}\0{name}".encode(), digest_size=16).hexdigest() for name in names)


def collect_batch(task: BatchTask) -> BatchReply:
    """Settle a batch. Called by the engine in a worker, in any of its threads; blocks until the batch is done."""
    return _process().run(task)


class _Worker:
    """What a worker process has: an event loop in a thread of its own, and a session for the run that it works for."""

    def __init__(self) -> None:
        self.pid: int = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._held: dict[str, _Held] = {}
        self._making = asyncio.Lock()
        # A daemon, so that a worker that is told to end need not wait for a loop that nobody uses.
        thread = threading.Thread(target=self._loop.run_forever, name="cyclr-async-worker", daemon=True)
        thread.start()
        atexit.register(self._end)

    def run(self, task: BatchTask) -> BatchReply:
        """Settle a batch on the loop, and wait for it in the engine's thread."""
        return asyncio.run_coroutine_threadsafe(self._settle(task), self._loop).result()

    async def _settle(self, task: BatchTask) -> BatchReply:
        if task.version != __version__:
            # Not one request: what the same words mean in another release is not known.
            return _reply(task, "", "", same=False, answers=Answers())
        try:
            held = await self._held_for(task)
        except CyclrError as error:
            # Where a session cannot be made, nothing is known of its place, so that of the task stands for it.
            return _reply(task, task.base_url, "", same=True, answers=Answers(stopped=error))
        held.users += 1
        try:
            same = _same(held.identity, held.said, task)
            answers = Answers()
            if same and held.run.api.base_url == task.base_url:
                answers = await _Batch(held.run, held.session, task).settle()
            return _reply(task, held.run.api.base_url, held.identity.name, same=same, answers=answers)
        finally:
            held.users -= 1

    async def _held_for(self, task: BatchTask) -> _Held:
        """Return the session of a run, made now by the first of its batches."""
        async with self._making:
            if task.run in self._held:
                return self._held[task.run]
            # Whoever begins a run anew may have changed the environment since: no session outlives its run for long.
            for name in [name for name, other in self._held.items() if not other.users]:
                await self._held.pop(name).session.close()
            held = self._held[task.run] = await _made(task)
            return held

    def _end(self) -> None:
        """Close the sessions when the process ends by itself; a fork inherits none of this."""
        if self.pid != os.getpid():
            return
        with suppress(TimeoutError, RuntimeError):
            asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(_CLOSE_SECONDS)

    async def _close(self) -> None:
        for held in self._held.values():
            await held.session.close()
        self._held.clear()


@attrs.define
class _Held:
    """A session with what a batch needs of it.

    Attributes:
        session: of this process.
        run: a collection that is never begun: it knows the API.
        identity: whose data the session sees.
        said: whether the caller of the factory named the partner.
        users: batches that use it now.
    """

    session: AsyncPartnerSession
    run: BulkRun[Any]
    identity: PartnerIdentity
    said: bool
    users: int = 0


async def _made(task: BatchTask) -> _Held:
    """Make the session of a run.

    Raises:
        CyclrError: it cannot be made, or the service cannot be asked whose data it sees.
    """
    try:
        session: AsyncPartnerSession = pickle.loads(task.session)()  # noqa: S301 - from the coordinator, as all of the task
    except CyclrError as error:
        raise ConfigurationError(f"a worker cannot make its session: {error.message}") from error
    except Exception as error:
        # Its name only: the text of an error of somebody else's may hold what the factory was about to use.
        raise ConfigurationError(
            f"a worker cannot make its session: the factory of FanOut raised {type(error).__name__}"
        ) from error
    try:
        if task.api == V1_API:
            run: BulkRun[Any] = session.v1.accounts.collect_usage((), max_outage=task.max_outage)
        else:
            run = session.accounts.collect_usage((), from_date=task.from_date, max_outage=task.max_outage)
        identity = await run.origin.identify()
    except BaseException:
        await session.close()
        raise
    _logger.info("worker process %d has its session for %s", os.getpid(), run.api.base_url)
    return _Held(session, run, identity, run.origin.partner is not None)


def _same(identity: PartnerIdentity, said: bool, task: BatchTask) -> bool:
    """Tell whether the partner of this process is that of the coordinator.

    Two names of the service's own must be equal. Where one side was told a name, and the other was not, the names
    differ though the partner does not; then the client id decides.
    """
    mine = names_of(identity, task.run)
    if mine[0] == task.partner[0] or mine[0] in task.partner[1:] or task.partner[0] in mine[1:]:
        return True
    return said != task.said and bool(set(mine[1:]) & set(task.partner[1:]))


def _reply(task: BatchTask, base_url: str, partner: str, *, same: bool, answers: Answers) -> BatchReply:
    return BatchReply(
        version=__version__,
        run=task.run,
        number=task.number,
        base_url=base_url,
        partner=partner,
        same_partner=same,
        answers=pickle.dumps(answers, pickle.HIGHEST_PROTOCOL),
    )


class _Batch:
    """Settles the accounts of one batch, with a number of calls under way that the server bears."""

    def __init__(self, run: BulkRun[Any], session: AsyncPartnerSession, task: BatchTask) -> None:
        clock = session.clock
        self._task = task
        self._idle = WaitQueue()
        self._fetcher: AccountFetcher[Any] = AccountFetcher(
            run.api,
            clock,
            AdaptiveLimit(_START, task.concurrency),
            Breaker(clock, min(_OUTAGE, task.max_outage), lambda _: None),
            self._idle.wake_all,
        )
        # Of this batch: refusals in a row say as much here as they do in the run, and nobody should be asked for
        # nothing until the coordinator notices.
        self._guard = FailureRateGuard()
        self._places = iter(range(len(task.ids)))
        self._left = len(task.ids)
        self._answers = Answers()
        self._stopped = False

    async def settle(self) -> Answers:
        """Return what became of the accounts."""
        async with asyncio.TaskGroup() as group:
            for index in range(min(self._task.concurrency, len(self._task.ids))):
                group.create_task(self._work(index))
        return self._answers

    async def _work(self, index: int) -> None:
        while not self._stopped:
            while index >= self._fetcher.adaptive.limit:
                if self._stopped or not self._left:
                    return
                await self._idle.wait()
            place = next(self._places, None)
            if place is None:
                break
            self._left -= 1
            try:
                await self._settle(place)
            except CyclrError as error:
                # The first says why; the others fail of the same.
                self._answers.stopped = self._answers.stopped or error
                self._stopped = True
        self._idle.wake_all()

    async def _settle(self, place: int) -> None:
        item = WorkItem(self._task.ids[place])
        outcome = await self._fetcher.fetch(item, may_defer=self._task.may_defer)
        if outcome is None:
            self._answers.deferred.append((place, item.attempts))
            return
        observed = outcome.collected_at.timestamp()
        if outcome.error is None:
            self._answers.usages.append((place, item.attempts, observed, outcome.usage))
            if self._guard.held:
                self._guard.held.clear()  # something answers, so this is not about everybody
            return
        self._answers.errors.append((place, item.attempts, observed, outcome.error))
        if self._guard.concerns(outcome.error):
            self._guard.hold(item, outcome)
            self._stopped = self._stopped or self._guard.suspicious


_lock: Final = threading.Lock()
_workers: Final[list[_Worker]] = []
"""The one of this process. A list, so that it can be replaced after a fork without a global statement."""


def _process() -> _Worker:
    with _lock:
        # A worker that was forked off has inherited a loop whose thread did not come along.
        if not _workers or _workers[-1].pid != os.getpid():
            _workers[:] = [_Worker()]
        return _workers[-1]
