"""The one thread that owns the write connection of a store."""

from __future__ import annotations

import json
import logging
import queue
import sqlite3
import threading
import time
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

import attrs

from cyclr_async.errors import StoreError

from .findings import (
    EMPTY_LIST,
    FINDING_COLUMNS,
    FINDINGS_KEPT,
    NEGATIVE_COUNT,
    Finding,
    fallen,
    figures,
    finding_of,
    negative,
)
from .periods import Period
from .rows import Counts, ItemRow, instant, short_instant
from .schema import store_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

__all__ = ["RunWriter", "WriterThread"]

_T = TypeVar("_T")
_STATES: Final = ("ok", "missing", "forbidden", "failed")
_log = logging.getLogger("cyclr_async.usage.store")

_PUT_OBSERVATION: Final = "INSERT INTO observation VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_EARLIER: Final = """
    SELECT task_count, cycle_count, observed_at FROM observation
    WHERE account_id = ? AND period_from = ? AND observed_at <= ? ORDER BY observed_at DESC, run_id DESC LIMIT 1
"""
_PUT_FINDING: Final = "INSERT INTO finding (run_id, account_id, kind, detail, found_at) VALUES (?, ?, ?, ?, ?)"
_DROP_FINDING: Final = "DELETE FROM finding WHERE run_id = ? AND account_id IS ? AND kind = ?"
# An account is known when the list named it or its usage was seen; an id that somebody merely asked for is not.
_KNOWN_ACCOUNTS: Final = """
    SELECT count(*) FROM (
        SELECT account_id FROM item WHERE account IS NOT NULL UNION SELECT account_id FROM observation
    )
"""
_PUT_ACCOUNT: Final = """
    INSERT INTO item (run_id, account_id, state, due, account_name, account_plan_id, account_audit_info, account)
    VALUES (?, ?, 'pending', 1, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
_SET_ACCOUNT: Final = """
    UPDATE item SET account_name = ?, account_plan_id = ?, account_audit_info = ?, account = ?
    WHERE run_id = ? AND account_id = ? AND account IS NOT ? AND ? IS NOT NULL
"""
_SET_OK: Final = """
    UPDATE item SET state = 'ok', due = 0, attempts = attempts + ?, updated_at = ?, period_from = ?,
        observed_at = ?, error = NULL, reason = NULL
    WHERE run_id = ? AND account_id = ? AND (observed_at IS NULL OR observed_at <= ?)
"""
_SET_FAILURE: Final = """
    UPDATE item SET state = ?, attempts = attempts + ?, updated_at = ?, error = ?, reason = ?
    WHERE run_id = ? AND account_id = ? AND state <> 'ok'
"""
# Told which index to use: left to itself SQLite walks the primary key, past every account that is done.
_DUE: Final = """
    SELECT account_id, account, attempts FROM item INDEXED BY item_due
    WHERE run_id = ? AND due = 1 AND account_id > ? ORDER BY account_id LIMIT ?
"""


class RunWriter:
    """Every statement that changes a run; used by the writer thread only."""

    def __init__(self, connection: sqlite3.Connection, run_id: int, counts: Counts) -> None:
        self._connection = connection
        self._run_id = run_id
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

    def _save_counts(self) -> None:
        self._connection.execute(
            "UPDATE run SET asked = ?, ok = ?, missing = ?, forbidden = ?, failed = ?, updated_at = ? WHERE run_id = ?",
            (*self._counts.values(), instant(datetime.now(UTC)), self._run_id),
        )

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
            self._examine(row.observation, again=before == "ok")
            execute(_PUT_OBSERVATION, row.observation)
            at = row.updated_at
            execute(_SET_OK, (row.attempts, at, row.observation[1], at, *where, at))
        elif before != "ok":
            execute(_SET_FAILURE, (row.state, row.attempts, row.updated_at, row.error, row.reason, *where))
        else:
            return  # a usage is never given up for a later failure
        if before != "pending":
            self._counts[before] -= 1
        self._counts[row.state] += 1

    def _examine(self, observation: tuple[Any, ...], *, again: bool) -> None:
        """Note what is wrong with an answer; ``again`` when the run has one of this account already."""
        account_id, period_from, observed_at, _, period_to, tasks, cycles, *_ = observation
        if again:  # what was wrong with the answer before need not be wrong with this one
            self._connection.execute(_DROP_FINDING, (self._run_id, account_id, NEGATIVE_COUNT))
        earlier = self._connection.execute(_EARLIER, (account_id, period_from, observed_at)).fetchone()
        fell = earlier is not None and (tasks < earlier[0] or cycles < earlier[1])
        if not fell and tasks >= 0 and cycles >= 0:
            return  # as nearly always: nothing below is worked out for it
        seen, said = datetime.fromisoformat(observed_at), figures(period_from, period_to, tasks, cycles)
        found = [negative(account_id, said, seen)]
        if fell:
            closed = not Period.of(period_from, period_to).provisional(seen)
            before = (earlier[0], earlier[1], short_instant(earlier[2]))
            found.append(fallen(account_id, said, seen, before, closed=closed))
        for finding in found:
            if finding is not None:
                self._note(finding)

    def _note(self, finding: Finding) -> None:
        self._connection.execute(_DROP_FINDING, (self._run_id, finding.account_id, finding.kind))
        detail = json.dumps(finding.detail, separators=(",", ":"))
        values = (self._run_id, finding.account_id, finding.kind, detail, instant(finding.found_at))
        self._connection.execute(_PUT_FINDING, values)

    def empty_list(self, found_at: datetime) -> bool:
        """Note that the account list is empty, unless the store knows no account either; return whether it was."""
        known = self._connection.execute(_KNOWN_ACCOUNTS).fetchone()[0]
        if known:
            self.begin()
            self._note(Finding(EMPTY_LIST, None, {"known_accounts": known}, found_at))
            self.commit()
        return bool(known)

    def findings(self) -> tuple[int, list[Finding]]:
        """Return how many findings the run has, and the first of them."""
        where = (self._run_id,)
        count = self._connection.execute("SELECT count(*) FROM finding WHERE run_id = ?", where).fetchone()[0]
        query = f"SELECT {FINDING_COLUMNS} FROM finding WHERE run_id = ? ORDER BY finding_id LIMIT {FINDINGS_KEPT}"  # noqa: S608
        return count, [finding_of(row) for row in self._connection.execute(query, where)] if count else []

    def finish_listing(self) -> None:
        """Note that every account of the run is registered."""
        self.begin()
        self._connection.execute(_DROP_FINDING, (self._run_id, None, EMPTY_LIST))
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
        self._queue: queue.SimpleQueue[_Command | None] = queue.SimpleQueue()
        self._mutex = threading.Lock()
        self._stopped = False
        self.failure: StoreError | None = None
        self._ended: Future[None] = Future()
        self._ended.set_running_or_notify_cancel()
        self._thread = threading.Thread(target=self._main, name="cyclr-usage-store", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[RunWriter], _T]) -> Future[_T]:
        """Queue a command; its future ends on the writer thread."""
        future: Future[_T] = Future()
        with self._mutex:
            if self._stopped:
                raise StoreError(f"the store {self._path} is closed")
            self._queue.put(_Command(work, future))  # type: ignore[arg-type]
        return future

    def stop(self) -> Future[None]:
        """Ask the thread to end after what is queued; the future ends when the file is closed."""
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
                self.failure = self.failure or StoreError(f"the writer of the store {self._path} ended unexpectedly")
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
                    self._guard("committing", RunWriter.commit)
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
            self.failure = StoreError(f"the writer of the store {self._path} ended with {type(error).__name__}")
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
            self.failure = StoreError(f"the store {self._path} failed: {type(error).__name__} while {doing}")
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
            if self.failure is None:
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            _log.warning("the write-ahead log stays beside the store: %s", type(error).__name__)
        finally:
            self._connection.close()
            self._on_end()
            self._ended.set_result(None)
