"""Bulk work over an engine: batches of accounts go to worker processes, and what became of them comes back.

The engine is any :class:`concurrent.futures.Executor`: the process pool of the standard library, or that of Dask's
client. It carries, and decides nothing: which account is due, what is stored, and when a run ends is decided here, in
the one process that has the store. An engine that runs a batch twice, because a worker died or seemed to, changes
nothing: a batch has one number, and one reply to it is taken.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
import secrets
from collections.abc import Awaitable, Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import attrs

from cyclr_async._version import __version__
from cyclr_async.auth.providers import PartnerIdentity
from cyclr_async.checks import shown
from cyclr_async.errors import BulkInterruptedError, ConfigurationError, CyclrError, InvalidArgumentError
from cyclr_async.http.classify import Concern, classify
from cyclr_async.usage.collect.api import UsageApi
from cyclr_async.usage.collect.remote import Answers, BatchReply, BatchTask, collect_batch, names_of
from cyclr_async.usage.collect.work_items import WorkItem

if TYPE_CHECKING:
    from cyclr_async.session import AsyncPartnerSession

__all__ = ["Engine", "FanOut", "Origin", "from_environment"]

_logger: Final = logging.getLogger("cyclr_async.usage")

_GIVEN_OUT: Final = 4
"""How often a batch is given out at most. An engine repeats what its workers died of by itself, and gives up after some
deaths (Dask: three, counted for every batch that waited at that worker); this is for the unlucky batch, while one that
no worker can run must not go round for ever."""
_LONGEST_WORDS: Final = 200
"""Characters of the engine's own words in a message."""


def from_environment() -> AsyncPartnerSession:
    """Return a session made from the ``CYCLR_*`` variables of the process that calls this."""
    from cyclr_async.session import AsyncPartnerSession  # noqa: PLC0415 - usage is below the session

    return AsyncPartnerSession.from_env()


def _is_executor(_: object, __: object, value: Any) -> None:
    if not isinstance(value, Executor):
        raise InvalidArgumentError(
            f"FanOut.executor must be a concurrent.futures.Executor, not {type(value).__name__}: a "
            "ProcessPoolExecutor, or client.get_executor(pure=False, retries=3) of Dask"
        )


def _is_factory(_: object, __: object, value: object) -> None:
    if not callable(value):
        raise InvalidArgumentError(
            f"FanOut.session must be a function that makes the session of a worker, not {type(value).__name__}"
        )
    problem = ""
    try:
        pickle.dumps(value)
    except Exception as error:  # noqa: BLE001 - pickle raises whatever the object raises
        problem = f"{type(error).__name__}: {error}"
    # Outside of the handler, since the cause of that error could hold the object.
    if problem:
        raise InvalidArgumentError(
            "FanOut.session must be a function of a module, which a worker can import, and carry no credentials: it "
            f"cannot be sent to one ({problem}). Let it read them there: AsyncPartnerSession.from_env"
        )


def _is_count(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if type(value) is not int or value < 1:
        raise InvalidArgumentError(f"FanOut.{attribute.name} must be a whole number, 1 or more; got {shown(value)}")


@attrs.frozen(kw_only=True)
class FanOut:
    """How a collection is spread over worker processes.

    Attributes:
        executor: carries the batches: a :class:`~concurrent.futures.ProcessPoolExecutor`, Dask's
            ``client.get_executor(pure=False, retries=3)``, or another. It stays the caller's, who shuts it down.
        session: makes the session of a worker process, once for a run, in that process: a function that can be
            imported there. It is sent by its name, so that credentials stay where they are; by default it reads the
            worker's own ``CYCLR_*`` variables. Of what is given to it with ``functools.partial`` everything is sent.
        batch: accounts of a batch, 1 or more. A worker that dies has them asked again; a thousand make the engine's own
            work small beside theirs.
        in_flight: batches that are given out at the same time, 1 or more: two for each thread of a worker keep all
            of them busy.

    Raises:
        InvalidArgumentError: an argument cannot be valid, or ``session`` cannot be sent to a worker.
    """

    executor: Executor = attrs.field(validator=_is_executor)
    session: Callable[[], AsyncPartnerSession] = attrs.field(default=from_environment, validator=_is_factory)
    batch: int = attrs.field(default=500, validator=_is_count)
    in_flight: int = attrs.field(default=8, validator=_is_count)


@attrs.frozen
class Origin:
    """Whose data a collection is about.

    Attributes:
        identify: asks, where nobody has said it.
        partner: as the caller named it, or None.
    """

    identify: Callable[[], Awaitable[PartnerIdentity]]
    partner: str | None


class Engine:
    """Gives batches out and takes the replies, as long as the engine and its workers are what they should be.

    Args:
        fan_out: of the caller.
        api: that is asked.
        partner: whose data this is.
        said: whether the caller named the partner.
        from_date: of the collection.
        concurrency: calls under way for each batch.
        max_outage: of the run, in seconds.

    Attributes:
        under_way: accounts that are given out.
    """

    def __init__(
        self,
        fan_out: FanOut,
        api: UsageApi[Any],
        partner: PartnerIdentity,
        *,
        said: bool,
        from_date: date | None,
        concurrency: int,
        max_outage: float,
    ) -> None:
        self._executor = fan_out.executor
        self.size: int = fan_out.batch
        self._session = pickle.dumps(fan_out.session)
        self._run = secrets.token_hex(8)
        self._api = api
        self._partner = partner
        self._names = names_of(partner, self._run)
        self._said = said
        self._from_date = from_date
        self._concurrency = concurrency
        self._max_outage = max_outage
        self._number = 0
        self.under_way: int = 0

    async def settle(self, items: list[WorkItem], *, may_defer: bool) -> Answers:
        """Have a batch settled by some worker.

        Args:
            items: the accounts.
            may_defer: whether what may answer later is handed back.

        Raises:
            BulkInterruptedError: the engine or its workers cannot go on, or a worker is not of this run.
            CyclrError: what concerns the whole run.
        """
        self._number += 1
        task = BatchTask(
            version=__version__,
            run=self._run,
            number=self._number,
            session=self._session,
            api=self._api.name,
            base_url=self._api.base_url,
            partner=self._names,
            said=self._said,
            from_date=self._from_date,
            concurrency=self._concurrency,
            max_outage=self._max_outage,
            may_defer=may_defer,
            ids=tuple(item.account_id for item in items),
        )
        self.under_way += len(items)
        try:
            return self._checked(await self._reply(task), task)
        finally:
            self.under_way -= len(items)

    async def _reply(self, task: BatchTask) -> object:
        """Return what the engine brings back."""
        given = 0
        while True:
            given += 1
            waiter = asyncio.wrap_future(self._submitted(task))
            try:
                # Not awaited itself: where the engine cancels a batch, as Dask does when its scheduler is gone, that
                # would look as if this task had been cancelled, and a task group passes over it without a word.
                await asyncio.wait([waiter])
            except asyncio.CancelledError:
                waiter.cancel()  # and with it the batch, if it has not begun
                raise
            if waiter.cancelled():
                raise _gone("has cancelled a batch: its scheduler is gone, or somebody has shut it down")
            failure = waiter.exception()
            if failure is None:
                return waiter.result()
            if isinstance(failure, BrokenExecutor):
                raise _gone("has lost a worker, and with it its pool", failure) from failure
            if not isinstance(failure, Exception) or given >= _GIVEN_OUT:
                raise _gone(f"could not settle batch {task.number}, which was given out {given} times", failure) from (
                    failure
                )
            _logger.warning(
                "batch %d of %d accounts came to nothing and is given out again (%s)",
                task.number,
                len(task.ids),
                type(failure).__name__,
            )

    def _submitted(self, task: BatchTask) -> Future[BatchReply]:
        try:
            return self._executor.submit(collect_batch, task)
        except Exception as error:  # a pool that is broken or shut down, a client without a scheduler
            raise _gone("takes no more work", error) from error

    def _checked(self, reply: object, task: BatchTask) -> Answers:
        """Return the answers of a reply to this task, by a worker of this run.

        Raises:
            BulkInterruptedError: it is none.
            CyclrError: what concerns the whole run.
        """
        if not isinstance(reply, BatchReply):
            raise _gone(f"returned {type(reply).__name__} for a batch: is it an executor that runs what it is given?")
        if reply.version != __version__:
            raise _foreign(f"has cyclr-async {reply.version}, and this process {__version__}: install the same on all")
        if (reply.run, reply.number) != (task.run, task.number):
            # An engine that keeps results by the arguments of a call, such as Dask's with pure=True.
            raise _gone("returned the reply to another batch; with Dask use client.get_executor(pure=False)")
        if reply.base_url != task.base_url:
            raise _foreign(f"asks {reply.base_url}, and this process {task.base_url}: give both the same settings")
        if not reply.same_partner:
            raise _foreign(
                f"sees the data of {shown(reply.partner)}, and this process those of {shown(self._partner.name)}: give "
                "both the same credentials, and the same name of the partner (partner=, CYCLR_PARTNER)"
            )
        answers: Answers = pickle.loads(reply.answers)  # noqa: S301 - from a worker, whose replies the engine unpickles too
        stopped = answers.stopped
        if stopped is not None and not _is_trouble(stopped):
            raise _as_of_worker(stopped)
        return answers


def _is_trouble(error: CyclrError) -> bool:
    """Whether what stopped a batch is for the coordinator to find out about: it may pass, or not be about everybody."""
    if isinstance(error, BulkInterruptedError):
        return error.reason in {"outage", "systemic"}
    return classify(error) is Concern.SERVICE


def _as_of_worker(error: CyclrError) -> BulkInterruptedError:
    """Return what ends the run because of what a worker met: what the others meet as well, or soon will."""
    if isinstance(error, BulkInterruptedError):
        reason = error.reason
    else:
        reason = "authentication" if classify(error) is Concern.CREDENTIALS else "workers"
    words = error.message if isinstance(error, ConfigurationError) else f"a worker cannot go on: {error.message}"
    return BulkInterruptedError(
        words, reason=reason, request_id=error.request_id, attempts=error.attempts, sent=error.sent
    )


def _foreign(what: str) -> BulkInterruptedError:
    return BulkInterruptedError(
        f"a worker {what}. The run was stopped; of that worker nothing was kept", reason="workers", sent="maybe"
    )


def _gone(what: str, error: BaseException | None = None) -> BulkInterruptedError:
    words = "" if error is None else f" ({type(error).__name__}: {str(error)[:_LONGEST_WORDS]})"
    return BulkInterruptedError(
        f"the engine of the workers {what}{words}. The accounts that were given out stay pending",
        reason="workers",
        sent="maybe",
    )
