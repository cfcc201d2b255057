"""The usage store: one SQLite file that is the checkpoint of a run and the history over months."""

from __future__ import annotations

import asyncio
import atexit
import json
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import attrs

from cyclr_async.auth.providers import partner_name
from cyclr_async.errors import CyclrError, InvalidArgumentError, StoreError
from cyclr_async.http.clock import SystemClock
from cyclr_async.usage.store import rows
from cyclr_async.usage.store.api_rows import rows_of
from cyclr_async.usage.store.integrity import check_history, check_run, check_runs, damaged, is_large
from cyclr_async.usage.store.locking import StoreLock
from cyclr_async.usage.store.paths import shown, store_path
from cyclr_async.usage.store.rows import ALL_IDS, TREE_IDS, Counts, FinalStatus, PendingAccount, RunScope, moment
from cyclr_async.usage.store.run_writer import Registered, RunWriter
from cyclr_async.usage.store.runs import MAX_AGE, Opening, as_max_age, choose_run, rekey
from cyclr_async.usage.store.schema import connect, store_errors
from cyclr_async.usage.store.writer import WriterThread

if TYPE_CHECKING:
    import os
    import sqlite3
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future
    from datetime import datetime, timedelta
    from pathlib import Path
    from types import TracebackType

    from cyclr_async.auth.providers import PartnerIdentity
    from cyclr_async.http.clock import Clock
    from cyclr_async.partner import Account
    from cyclr_async.usage.collect.outcome import UsageOutcome, V1UsageOutcome
    from cyclr_async.usage.store.api_rows import Listed
    from cyclr_async.usage.store.findings import Finding
    from cyclr_async.v1 import Account as V1Account

__all__ = ["Counts", "PendingAccount", "RunScope", "UsageStore", "rekey_store"]

_T = TypeVar("_T")
_CLOSE_SECONDS: Final = 5.0


class UsageStore:
    """A run in a store, open for writing. Made by :meth:`open`; use it with ``async with``.

    Nothing here blocks the event loop: every statement runs on the one writer thread. Outcomes are committed in
    batches: a kill loses at most ``batch_size`` recorded outcomes, none of them older than ``batch_seconds``, and
    resuming asks for those again. A :class:`StoreError` raised after :meth:`open` leaves a store that can be resumed
    with everything committed so far.

    Attributes:
        path: the file.
        scope: what the run collects.
        run_id: the number of the run in this store.
        listing_complete: whether every account of the run is registered, so that the list need not be read again.
        scope_given: whether the caller said what is collected; otherwise it came from the run that is resumed.
        opening: which run was chosen, as it was then, and which unfinished ones were closed for it.
    """

    def __init__(
        self,
        path: Path,
        opening: Opening,
        writer: WriterThread,
        loop: asyncio.AbstractEventLoop,
        *,
        scope_given: bool,
        batch_size: int,
        batch_seconds: float,
    ) -> None:
        run = opening.run
        self.path = path
        self.scope: RunScope = run.scope
        self.run_id: int = run.run_id
        self.listing_complete: bool = run.listing_complete
        self.opening = opening
        self.scope_given = scope_given
        self._rows = rows_of(run.scope.api)
        self._writer = writer
        self._loop = loop
        self._batch_size = batch_size
        self._batch_seconds = batch_seconds
        self._buffer: list[rows.ItemRow] = []
        self._uncommitted = 0
        self._room = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._ended: Future[None] | None = None
        self._failure_reported = False
        # The writer is a thread that ends with the program: what waits for its commit then would be lost.
        atexit.register(self._end_of_program)

    @classmethod
    async def open(
        cls,
        path: str | os.PathLike[str],
        scope: RunScope | None,
        *,
        resume: bool | None = None,
        max_age: timedelta | float = MAX_AGE,
        clock: Clock | None = None,
        aliases: Sequence[str] = (),
        batch_size: int = 500,
        batch_seconds: float = 1.0,
    ) -> Self:
        """Open or create the store at ``path`` and continue or begin a run in it.

        An unfinished run is continued while it began, and its oldest figure was observed, less than ``max_age`` ago.
        Figures that were observed before the end of their period, when that end has passed since, are then asked for
        again. An unfinished run of the same scope that is not continued is closed as ``abandoned``, with all it has.

        Args:
            path: of the file; created with mode 0600 when it does not exist.
            scope: what is collected, or None to take it from the run that is resumed.
            resume: True continues the newest unfinished run; None continues an unfinished run of the same scope if
                there is a fresh one and begins a new run otherwise; False always begins a new run.
            max_age: how old a run may be that is continued: a timedelta or seconds, 0 or more; with 0 none is.
            clock: tells the time by which runs and their figures age; the system's when None.
            aliases: further names of the scope's partner; a store that knows it by one of them takes the new name.
            batch_size: outcomes that may wait for a commit, 1 or more.
            batch_seconds: the longest time that an outcome waits for its commit, above 0.

        Returns:
            the open store.

        Raises:
            StoreError: it is in use, damaged, of another partner, host or period, or there is nothing fresh to resume.
            InvalidArgumentError: an argument is out of range.
        """
        if batch_size < 1 or batch_seconds <= 0:
            raise InvalidArgumentError("batch_size is at least 1 and batch_seconds above 0")
        if scope is None and not resume:
            raise InvalidArgumentError("a new run needs a scope")
        age = as_max_age(max_age)
        loop = asyncio.get_running_loop()
        wall = (clock or SystemClock()).wall

        def choose(connection: sqlite3.Connection, where: Path) -> Opening:
            return choose_run(connection, where, scope, resume, age, now=moment(wall()), aliases=aliases)

        def write(connection: sqlite3.Connection, opening: Opening, check: Callable[[], None]) -> RunWriter:
            run = opening.run
            return RunWriter(
                connection,
                run.run_id,
                run.counts,
                oldest_at=run.oldest_at,
                sources=opening.sources,
                max_age=age,
                now=lambda: moment(wall()),
                check=check,
            )

        must_exist = bool(resume)
        # In a thread, since opening checks the runs and, up to a size, the history of the file.
        started = loop.run_in_executor(None, _open_run, path, must_exist, choose, write, batch_seconds)
        try:
            writer, opening, where = await asyncio.shield(started)
        except asyncio.CancelledError:
            # Milliseconds: whoever opens the store again after the cancellation should not find it in use.
            closed = loop.create_task(_discard(started), name="cyclr-usage-store-discard")
            await asyncio.wait([closed], timeout=_CLOSE_SECONDS)
            raise
        return cls(
            where,
            opening,
            writer,
            loop,
            scope_given=scope is not None,
            batch_size=batch_size,
            batch_seconds=batch_seconds,
        )

    async def claim(self, base_url: str, partner: PartnerIdentity) -> None:
        """Check that the store is of this host and partner.

        Args:
            base_url: of the session.
            partner: whose data the session sees.

        Raises:
            StoreError: it belongs to another partner or host, cannot be written, or is closed.
        """
        refusal = await self._call(lambda run: run.claim(self.path, base_url, partner))
        if refusal is not None:
            raise _again(refusal)
        self.scope = attrs.evolve(self.scope, partner=partner.name)

    async def bind(self, ids: str) -> None:
        """Note which accounts the run is about, see :class:`RunScope`, or check them when it is known already.

        Args:
            ids: ``"all"`` also goes with a run of given ids: it then goes on with those that are registered.

        Raises:
            StoreError: the run is about other accounts, or not all of its ids were registered, or the store cannot be
                written, or is closed.
        """
        known = self.scope.ids
        # A run of release 0.1, or one that was begun with add_accounts(): the first who says it decides.
        if known is None:
            await self._call(lambda run: run.bind(ids))
            self.scope = attrs.evolve(self.scope, ids=ids)
        elif known != ids:
            if ids not in {ALL_IDS, TREE_IDS}:
                raise StoreError(
                    f"run {self.run_id} of the store {shown(self.path)} is about other accounts than these: collect "
                    "them in a run of their own"
                )
            if not self.listing_complete:
                raise StoreError(
                    f"run {self.run_id} of the store {shown(self.path)} was interrupted before all of its account ids "
                    "were registered: give it the same ids again (the same command as before)"
                )

    async def add_accounts(self, accounts: Sequence[Account | str]) -> int:
        """Register accounts as pending in this run; those already registered keep their state.

        Args:
            accounts: accounts as listed, or ids. What the list says of an account is kept beside its usage.

        Returns:
            how many were not registered before.

        Raises:
            StoreError: the store cannot be written, or is closed.
        """
        return (await self.register(accounts)).added

    async def register(self, accounts: Sequence[Account | V1Account | Listed | str]) -> Registered:
        """Register accounts as :meth:`add_accounts` does, and tell which of them are new and to be asked for.

        Args:
            accounts: accounts of the run's API as listed (:class:`Listed` for a sub-account), or ids.

        Returns:
            what became of them.

        Raises:
            StoreError: the store cannot be written, or is closed.
        """
        values = [
            (rows.stored_id(account), *rows.UNLISTED)
            if isinstance(account, str)
            else (rows.stored_id(account.id), *rows.account_columns(account, self._rows))
            for account in accounts
        ]
        if not values:
            return Registered(0, frozenset())
        return await self._call(lambda run: run.add(values))

    async def finish_listing(self) -> None:
        """Note that every account of the run is registered, so that a resumed run need not list again.

        Raises:
            StoreError: the store cannot be written, or is closed.
        """
        await self._call(RunWriter.finish_listing)
        self.listing_complete = True

    async def note_empty_list(self, found_at: datetime) -> bool:
        """Note as a finding that the account list is empty, unless the store knows no account either.

        Args:
            found_at: when the list came; aware.

        Returns:
            whether it is a finding.

        Raises:
            StoreError: the store cannot be written, or is closed.
        """
        return await self._call(lambda run: run.empty_list(found_at))

    async def findings(self) -> tuple[int, list[Finding]]:
        """Return how many findings the run has so far, and the first thousand of them.

        Raises:
            StoreError: the store cannot be read, or is closed.
        """
        self._hand_over()
        return await self._call(RunWriter.findings)

    async def pending(self, *, after: str | None, limit: int) -> list[PendingAccount]:
        """Return accounts that have no usage in this run yet, whatever the reason.

        Those never asked for come first; in a run that is continued then those that failed, and last those that were
        refused (403, 404). Within each of these they are ordered by id.

        Args:
            after: the last id of the previous page, or None for the first page.
            limit: the most accounts to return, 1 or more.

        Returns:
            up to ``limit`` accounts; fewer means that there are no more.

        Raises:
            StoreError: the store cannot be read, or is closed.
        """
        self._hand_over()
        cursor = None if after is None else rows.stored_id(after)
        found = await self._call(lambda run: run.pending(cursor, limit))
        return [
            PendingAccount(name, self._account(name, text), attempts, parent) for name, text, attempts, parent in found
        ]

    def _account(self, account_id: str, text: str | None) -> Any:
        try:
            return None if text is None else self._rows.account_of(json.loads(text))
        except (CyclrError, ValueError, TypeError):
            failure = damaged(self.path, f"what was listed of account {shown(account_id)!r} cannot be read")
        raise failure

    async def record(self, outcome: UsageOutcome | V1UsageOutcome, *, registered: bool = False) -> None:
        """Take over an outcome; waits only while ``batch_size`` outcomes are not committed.

        A cancelled call has taken the outcome over all the same.

        Args:
            outcome: what became of an account. A usage is never overwritten by a later failure, and every usage is
                kept with the time it was observed.
            registered: the account was registered with everything that the outcome knows of it, so that this need not
                be worked out and compared once more.

        Raises:
            StoreError: the store cannot be written (the disk is full, say), or is closed.
        """
        self._check()
        self._buffer.append(rows.item_row(outcome, self.run_id, registered=registered))
        self._uncommitted += 1
        # Half a batch is written while the other half fills: the limit on what a kill loses stays batch_size.
        if len(self._buffer) >= max(1, self._batch_size // 2):
            self._hand_over()
        elif self._timer is None:
            self._timer = self._loop.call_later(self._batch_seconds / 2, self._hand_over)
        # This is what holds the workers back when the disk is slower than the service.
        while self._uncommitted > self._batch_size and self._writer.failure is None:
            self._room.clear()
            await self._room.wait()
        self._check()

    async def flush(self) -> None:
        """Wait until everything recorded so far is committed.

        Raises:
            StoreError: the store cannot be written, or is closed.
        """
        self._hand_over()
        await self._call(RunWriter.commit)

    async def counts(self) -> Counts:
        """Return how far the run is, everything recorded so far included. Costs the same however long the run.

        Raises:
            StoreError: the store cannot be written, or is closed.
        """
        self._hand_over()
        return await self._call(lambda run: run.counts)

    async def finish(self, status: FinalStatus) -> None:
        """Note how the run ended; ``"interrupted"`` and ``"partial"`` runs can be resumed.

        Raises:
            StoreError: the store cannot be written, or is closed.
        """
        self._hand_over()
        await self._call(lambda run: run.finish(status))

    async def close(self) -> None:
        """Commit what was recorded, close the file and give up the lock. May be called again, and concurrently.

        A cancelled call closes all the same, in the background. In a process that was forked while the store was open
        nothing is written and nothing given up: the store is its parent's.

        Raises:
            StoreError: something recorded could not be written and nobody was told yet, or the file is still not
                closed after 5 seconds.
        """
        if self._ended is None:
            self._ended = self._stop()
        ended = asyncio.wrap_future(self._ended)
        done, _ = await asyncio.wait([ended], timeout=_CLOSE_SECONDS)
        if not done:
            raise StoreError(f"the store {shown(self.path)} is still being written after {_CLOSE_SECONDS:.0f} s")
        if self._writer.failure is not None and not self._failure_reported:
            self._failure_reported = True
            raise _again(self._writer.failure)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await self.close()
        except StoreError as failure:
            if error is None:
                raise
            error.add_note(f"and the store: {failure}")

    def _stop(self) -> Future[None]:
        if not self._writer.is_foreign:
            self._hand_over()
        atexit.unregister(self._end_of_program)  # which would keep the store in memory until the program ends
        return self._writer.stop()

    def _end_of_program(self) -> None:
        # The thread is a daemon, so that a forgotten store cannot keep a program from ending.
        if self._writer.is_foreign:
            return  # a forked child ends: the store, its thread and its lock are the parent's
        if self._ended is None:
            self._ended = self._stop()
        self._ended.result(_CLOSE_SECONDS)

    def _check(self) -> None:
        self._writer.refuse_foreign()
        if self._writer.failure is not None:
            self._failure_reported = True
            raise _again(self._writer.failure)
        if self._ended is not None:
            raise StoreError(f"the store {shown(self.path)} is closed")

    async def _call(self, work: Callable[[RunWriter], _T]) -> _T:
        self._check()
        try:
            return await asyncio.wrap_future(self._writer.submit(work))
        except StoreError as failure:
            self._failure_reported = True
            error = _again(failure)
        # A new object, raised out here: one that is raised twice would collect the tracebacks of both.
        raise error

    def _hand_over(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._buffer:
            return
        batch, self._buffer = self._buffer, []
        written = self._writer.submit(lambda run: run.put(batch))
        # The callback runs on the writer thread, hence the way back through the loop.
        written.add_done_callback(lambda _: self._tell_written(len(batch)))

    def _tell_written(self, size: int) -> None:
        try:
            self._loop.call_soon_threadsafe(self._written, size)
        except RuntimeError:
            return  # the loop is gone, and with it everyone who could be waiting

    def _written(self, size: int) -> None:
        self._uncommitted -= size
        self._room.set()


def _open_run(
    given: str | os.PathLike[str],
    must_exist: bool,
    choose: Callable[[sqlite3.Connection, Path], Opening],
    write: Callable[[sqlite3.Connection, Opening, Callable[[], None]], RunWriter],
    commit_seconds: float,
) -> tuple[WriterThread, Opening, Path]:
    path = store_path(given)
    if must_exist and not path.exists():
        raise StoreError(f"there is no store at {shown(path)} to resume")
    lock = StoreLock(path)
    lock.acquire()
    try:
        connection = connect(path)
        try:
            with store_errors(path, "opening the run"):
                check_runs(connection, path)
                if not is_large(connection):
                    check_history(connection, path)  # now, and not in the report after an hour of collecting
                opening = choose(connection, path)
                if opening.continued:
                    check_run(connection, path, opening.run.run_id)
            lock.check()
        except BaseException:
            connection.close()
            raise
    except BaseException:
        lock.release()
        raise
    statements = write(connection, opening, lock.check)
    writer = WriterThread(connection, statements, path, commit_seconds=commit_seconds, on_end=lock.release)
    return writer, opening, path


def rekey_store(path: Path, partner: str) -> int:
    """Give a store the name of its partner anew; blocks.

    Args:
        path: of the store.
        partner: the new name.

    Returns:
        how many runs had another name.

    Raises:
        StoreError: there is no store, it is in use, or it cannot be written.
        ConfigurationError: the name cannot be one.
    """
    partner = partner_name(partner)
    path = store_path(path)
    if not path.exists():
        raise StoreError(f"there is no store at {shown(path)}")
    lock = StoreLock(path)
    lock.acquire()
    try:
        with store_errors(path, "giving it a new name"), closing(connect(path)) as connection:
            return rekey(connection, partner)
    finally:
        lock.release()


async def _discard(started: asyncio.Future[tuple[WriterThread, Opening, Path]]) -> None:
    """Close a store whose opener was cancelled."""
    await asyncio.wait([started])
    if not started.cancelled() and started.exception() is None:
        await asyncio.wrap_future(started.result()[0].stop())


def _again(failure: StoreError) -> StoreError:
    """A new exception of the same message: one instance raised in many tasks would collect all their tracebacks."""
    return StoreError(failure.message)
