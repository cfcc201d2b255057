"""The one thread that owns the write connection of a store."""

from __future__ import annotations

import logging
import os
import queue
import sqlite3
import threading
import time
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeVar

import attrs

from cyclr_async.errors import StoreError

from .integrity import add_checksum
from .paths import shown
from .rows import Counts, ItemRow, instant
from .schema import store_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

__all__ = ["RunWriter", "WriterThread"]

_T = TypeVar("_T")
_STATES: Final = ("ok", "missing", "forbidden", "failed")
_log = logging.getLogger("cyclr_async.usage.store")

# The checksums cover the columns that integrity.py names, in its order.
_PUT_OBSERVATION: Final = """
    INSERT INTO observation (account_id, period_from, observed_at, run_id, period_to, task_count, cycle_count,
        price_plan_id, audit_info, payload, checksum)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, checksum(?1, ?2, ?3, ?5, ?6, ?7, ?8, ?9, ?10))
    ON CONFLICT DO NOTHING
"""
_PUT_ACCOUNT: Final = """
    INSERT INTO item (run_id, account_id, state, due, account_name, account_plan_id, account_audit_info, account,
        checksum)
    VALUES (?1, ?2, 'pending', 1, ?3, ?4, ?5, ?6, checksum(?2, 0, NULL, NULL, ?3, ?4, ?5, ?6)) ON CONFLICT DO NOTHING
"""
_SET_ACCOUNT: Final = """
    UPDATE item SET account_name = ?1, account_plan_id = ?2, account_audit_info = ?3, account = ?4,
        checksum = checksum(account_id, attempts, error, reason, ?1, ?2, ?3, ?4)
    WHERE run_id = ?5 AND account_id = ?6 AND account IS NOT ?7 AND ?8 IS NOT NULL
"""
_SET_OK: Final = """
    UPDATE item SET state = 'ok', due = 0, attempts = attempts + ?1, updated_at = ?2, period_from = ?3,
        observed_at = ?4, error = NULL, reason = NULL,
        checksum = checksum(account_id, attempts + ?1, NULL, NULL, account_name, account_plan_id, account_audit_info,
            account)
    WHERE run_id = ?5 AND account_id = ?6 AND (observed_at IS NULL OR observed_at <= ?7)
"""
_SET_FAILURE: Final = """
    UPDATE item SET state = ?1, attempts = attempts + ?2, updated_at = ?3, error = ?4, reason = ?5,
        checksum = checksum(account_id, attempts + ?2, ?4, ?5, account_name, account_plan_id, account_audit_info,
            account)
    WHERE run_id = ?6 AND account_id = ?7 AND state <> 'ok'
"""
# Told which index to use: left to itself SQLite walks the primary key, past every account that is done.
_DUE: Final = """
    SELECT account_id, account, attempts FROM item INDEXED BY item_due
    WHERE run_id = ? AND due = 1 AND account_id > ? ORDER BY account_id LIMIT ?
"""


class RunWriter:
    """Every statement that changes a run; used by the writer thread only.

    Args:
        connection: the write connection.
        run_id: the run.
        counts: what it holds already.
        check: makes sure that the file is still where it was opened; called after every commit.
    """

    def __init__(
        self, connection: sqlite3.Connection, run_id: int, counts: Counts, check: Callable[[], None] = lambda: None
    ) -> None:
        self._connection = connection
        self._run_id = run_id
        self._check = check
        self._observed = 0  # observations written and not yet counted in the run
        add_checksum(connection)
        self._counts = {"asked": counts.asked, **{state: getattr(counts, state) for state in _STATES}}

    @property
    def counts(self) -> Counts:
        """What has been written so far, committed or not."""
        return Counts(**self._counts)

    def begin(self) -> None:
        """Start a transaction unless one is open."""
        if not self._connection.in_transaction:
            self._connection.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Make everything so far durable, the counters with it."""
        if self._connection.in_transaction:
            self._save_counts()
            self._connection.execute("COMMIT")
            # Afterwards: a file that was moved still takes what was recorded, and its owner learns where it is.
            self._check()

    def end(self) -> None:
        """Commit what is left, and see for the last time that the file is in its place."""
        self.commit()
        self._check()

    def _save_counts(self) -> None:
        self._connection.execute(
            "UPDATE run SET asked = ?, ok = ?, missing = ?, forbidden = ?, failed = ?, updated_at = ?, "
            "observations = observations + ? WHERE run_id = ?",
            (*self._counts.values(), instant(datetime.now(UTC)), self._observed, self._run_id),
        )
        self._observed = 0

    def add(self, accounts: Sequence[tuple[object, ...]]) -> int:
        """Register accounts; return how many were not known."""
        self.begin()
        rows = [(self._run_id, *account) for account in accounts]
        new = max(0, self._connection.executemany(_PUT_ACCOUNT, rows).rowcount)
        if new < len(rows):
            self._connection.executemany(_SET_ACCOUNT, [_known(self._run_id, *account) for account in accounts])
        self._counts["asked"] += new
        return new

    def put(self, rows: Iterable[ItemRow]) -> None:
        """Write a batch of outcomes and commit it."""
        self.begin()
        for row in rows:
            self._put(row)
        self.commit()

    def _put(self, row: ItemRow) -> None:
        execute, where = self._connection.execute, (self._run_id, row.account_id)
        found = execute("SELECT state FROM item WHERE run_id = ? AND account_id = ?", where).fetchone()
        if found is None:
            self.add([(row.account_id, *(row.account or (None, None, None, None)))])
        elif row.account is not None:
            execute(_SET_ACCOUNT, _known(*where, *row.account))
        before = "pending" if found is None else found[0]
        if row.observation is not None:
            self._observed += execute(_PUT_OBSERVATION, row.observation).rowcount
            at = row.updated_at
            execute(_SET_OK, (row.attempts, at, row.observation[1], at, *where, at))
        elif before != "ok":
            execute(_SET_FAILURE, (row.state, row.attempts, row.updated_at, row.error, row.reason, *where))
        else:
            return  # a usage is never given up for a later failure
        if before != "pending":
            self._counts[before] -= 1
        self._counts[row.state] += 1

    def finish_listing(self) -> None:
        """Note that every account of the run is registered."""
        self.begin()
        self._connection.execute("UPDATE run SET listing_complete = 1 WHERE run_id = ?", (self._run_id,))
        self.commit()

    def finish(self, status: str) -> None:
        """Note how the run ended."""
        self.begin()
        now = instant(datetime.now(UTC))
        self._connection.execute(
            "UPDATE run SET status = ?, finished_at = ? WHERE run_id = ?", (status, now, self._run_id)
        )
        self.commit()

    def pending(self, after: str | None, limit: int) -> list[tuple[str, str | None, int]]:
        """Return id, account JSON and attempts of accounts still to ask, ordered by id."""
        # No id is empty, so that the first page is the one after the empty id.
        return self._connection.execute(_DUE, (self._run_id, after or "", limit)).fetchall()


def _known(run_id: object, account_id: object, *account: object) -> tuple[object, ...]:
    """Return the parameters of ``_SET_ACCOUNT``."""
    return (*account, run_id, account_id, account[-1], account[-1])


@attrs.frozen
class _Command:
    work: Callable[[RunWriter], object]
    future: Future[object]


class WriterThread:
    """Runs commands one after another on a thread of its own, and commits what they left open after a while.

    After a failure nothing more is written: every later command ends with the same :class:`StoreError`.

    Args:
        connection: the write connection; the thread closes it.
        run: the statements.
        path: of the store, for messages.
        commit_seconds: the longest time that a written row waits for its commit.
        on_end: called when the connection is closed.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        run: RunWriter,
        path: Path,
        *,
        commit_seconds: float,
        on_end: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._run = run
        self._path = path
        self._commit_seconds = commit_seconds
        self._on_end = on_end
        self._pid = os.getpid()
        self._queue: queue.SimpleQueue[_Command | None] = queue.SimpleQueue()
        self._mutex = threading.Lock()
        self._stopped = False
        self.failure: StoreError | None = None
        self._ended: Future[None] = Future()
        self._ended.set_running_or_notify_cancel()
        self._thread = threading.Thread(target=self._main, name="cyclr-usage-store", daemon=True)
        self._thread.start()

    @property
    def is_foreign(self) -> bool:
        """Whether this process was forked from the one that has the thread.

        A copy of the connection is never closed here: SQLite would roll back the parent's transaction in the memory
        that both share. It is not collected either, for the frame of the thread that is gone keeps it.
        """
        return self._pid != os.getpid()

    def refuse_foreign(self) -> None:
        """Raise :class:`StoreError` in a forked process, where no thread would ever answer."""
        if self.is_foreign:
            raise StoreError(
                f"the store {shown(self._path)} was opened by process {self._pid}, from which this one was forked: "
                "open the store in the process that writes to it"
            )

    def submit(self, work: Callable[[RunWriter], _T]) -> Future[_T]:
        """Queue a command; its future ends on the writer thread."""
        self.refuse_foreign()  # before the mutex: another thread may have held it when the process was forked
        future: Future[_T] = Future()
        with self._mutex:
            if self._stopped:
                raise StoreError(f"the store {shown(self._path)} is closed")
            self._queue.put(_Command(work, future))  # type: ignore[arg-type]
        return future

    def stop(self) -> Future[None]:
        """Ask the thread to end after what is queued; the future ends when the file is closed."""
        if self.is_foreign:
            nothing: Future[None] = Future()
            nothing.set_result(None)
            return nothing
        with self._mutex:
            if not self._stopped:
                self._stopped = True
                self._queue.put(None)
        return self._ended

    def _main(self) -> None:
        try:
            self._serve()
        finally:
            self._refuse_rest()
            self._end()

    def _refuse_rest(self) -> None:
        """Nobody waits for ever, not even for a thread that died of something unforeseen."""
        with self._mutex:
            self._stopped = True
        while not self._queue.empty():
            command = self._queue.get()
            if command is not None and command.future.set_running_or_notify_cancel():
                self.failure = self.failure or StoreError(
                    f"the writer of the store {shown(self._path)} ended unexpectedly"
                )
                command.future.set_exception(self.failure)

    def _serve(self) -> None:
        deadline: float | None = None
        while True:
            try:
                wait = None if deadline is None else max(0.0, deadline - time.monotonic())
                command = self._queue.get(timeout=wait)
            except queue.Empty:
                self._guard("committing", RunWriter.commit)
            else:
                if command is None:
                    self._guard("committing", RunWriter.end)
                    return
                self._execute(command)
            if not self._connection.in_transaction:
                deadline = None
            elif deadline is None:
                deadline = time.monotonic() + self._commit_seconds

    def _execute(self, command: _Command) -> None:
        if not command.future.set_running_or_notify_cancel():
            return
        try:
            result = self._guard("writing", command.work)
        except BaseException as error:
            self.failure = StoreError(f"the writer of the store {shown(self._path)} ended with {type(error).__name__}")
            command.future.set_exception(self.failure)
            raise
        if self.failure is None:
            command.future.set_result(result)
        else:
            command.future.set_exception(self.failure)

    def _guard(self, doing: str, work: Callable[[RunWriter], _T]) -> _T | None:
        """Do the work unless the writer failed before; keep the first failure."""
        if self.failure is not None:
            return None
        try:
            with store_errors(self._path, doing):
                return work(self._run)
        except StoreError as error:
            self.failure = error
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            self.failure = StoreError(f"the store {shown(self._path)} failed: {type(error).__name__} while {doing}")
            _log.exception("writing to the store failed")
        self._roll_back()
        return None

    def _roll_back(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            _log.warning("the transaction could not be rolled back: %s", type(error).__name__)

    def _end(self) -> None:
        try:
            # After a failure too: the write-ahead log of a file that was moved stays behind under the old name, where
            # SQLite would take it for the log of whatever file is there next.
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            _log.warning("the write-ahead log stays beside the store: %s", type(error).__name__)
        finally:
            self._connection.close()
            self._on_end()
            self._ended.set_result(None)
