"""The one thread that owns the write connection of a store."""

from __future__ import annotations

import logging
import os
import queue
import sqlite3
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

import attrs

from cyclr_async.errors import StoreError
from cyclr_async.usage.store.paths import shown
from cyclr_async.usage.store.run_writer import RunWriter
from cyclr_async.usage.store.schema import store_errors

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


__all__ = ["WriterThread"]

_T = TypeVar("_T")
_log = logging.getLogger("cyclr_async.usage.store")


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
        self._ended.set_running_or_notify_cancel()  # so that a waiter who is cancelled cannot cancel it for others
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
                ended = f"the writer of the store {shown(self._path)} ended unexpectedly"
                self.failure = self.failure or StoreError(ended)
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
                if command is None:  # the sign of stop()
                    self._guard("committing", RunWriter.end)
                    return
                self._execute(command)
            if not self._connection.in_transaction:
                deadline = None
            elif deadline is None:
                deadline = time.monotonic() + self._commit_seconds

    def _execute(self, command: _Command) -> None:
        if not command.future.set_running_or_notify_cancel():
            return  # cancelled before it began; once begun it cannot be
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
        # Rows of a half-done command must not be committed with those before it.
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
