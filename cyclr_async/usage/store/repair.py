"""Repairing a damaged store: what is sound of it goes into a new file that takes its place."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import sqlite3
import sys
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Final

import attrs

from cyclr_async.errors import StoreError
from cyclr_async.usage.store.integrity import (
    check_history,
    check_run,
    check_runs,
    check_structure,
)
from cyclr_async.usage.store.locking import StoreLock
from cyclr_async.usage.store.paths import shown, store_path
from cyclr_async.usage.store.runs import read_runs
from cyclr_async.usage.store.salvage import TABLES, UNREADABLE, RepairedRun, Salvage
from cyclr_async.usage.store.schema import (
    be_careful,
    connect,
    connect_readonly,
    is_newer,
    migrate,
    shape_is_right,
    store_errors,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["RepairResult", "RepairedRun", "repair_store"]

_log = logging.getLogger("cyclr_async.usage.store")

_PAGE: Final = 4096  # bytes, as every store has been made
_FIRST_PAGES: Final = 16  # at least; all tables begin among them


@attrs.frozen
class RepairResult:
    """What :func:`repair_store` did.

    Attributes:
        path: the store, which now holds what was sound.
        kept: where the damaged file is; None when the store was sound, and nothing was changed.
        runs: its runs, newest first.
        observations: how many observations were saved.
        observations_lost: how many were not; None when that is not known.
    """

    path: Path
    kept: Path | None
    runs: tuple[RepairedRun, ...]
    observations: int
    observations_lost: int | None

    @property
    def complete(self) -> bool:
        """Whether nothing was lost."""
        return self.observations_lost == 0 and all((run.lost, run.due, run.rebuilt) == (0, 0, 0) for run in self.runs)


def repair_store(store: str | os.PathLike[str]) -> RepairResult:
    """Replace a store by a new one that holds what is sound of it; blocks.

    Accounts, usages and runs whose checksums, or answers kept beside them, agree are copied. An account whose usage was
    lost becomes pending. A run that lost anything becomes ``partial``, and its account list is read again, so that the
    next collection asks for what is missing, as long as the run is fresh. The damaged file is kept beside, as
    ``<store>.damaged``.

    Args:
        store: the path of the store; nobody may be writing to it.

    Returns:
        what was saved and what was lost.

    Raises:
        StoreError: there is no store, it is in use, nothing of it can be read, or there is no room; it is untouched.
        InvalidArgumentError: the path cannot be that of a store.
    """
    path = store_path(store)
    if not path.exists():
        raise StoreError(f"there is no store at {shown(path)}")
    lock = StoreLock(path)
    lock.acquire()
    fresh = path.with_name(f".{path.name[:100]}.repair-{secrets.token_hex(6)}")
    try:
        sound = _if_sound(path)
        if sound is not None:
            return sound
        with store_errors(path, "repairing it"):
            runs, saved, lost = _salvage(path, fresh)
        if sys.platform == "win32":
            lock.release()  # a file that is open cannot be replaced there
        kept = _exchange(path, fresh)
    except OSError as error:
        failure = StoreError(f"the store {shown(path)} cannot be repaired: {error.strerror or type(error).__name__}")
    else:
        return RepairResult(path, kept, runs, saved, lost)
    finally:
        _remove(fresh)
        lock.release()
    raise failure


def _if_sound(path: Path) -> RepairResult | None:
    """Return the result for a store that needs no repair."""
    try:
        with store_errors(path, "checking it"), closing(connect_readonly(path)) as old:
            _check(old, path)
            runs = tuple(RepairedRun(run.run_id, run.counts.asked, 0, 0) for run in read_runs(old))
            (observations,) = old.execute("SELECT count(*) FROM observation").fetchone()
            return RepairResult(path, None, runs, observations, 0)
    except StoreError as error:
        _log.info("%s", error)
    return None


def _check(connection: sqlite3.Connection, path: Path) -> None:
    """Check everything there is.

    Raises:
        StoreError: something is wrong.
    """
    check_structure(connection, path)
    check_runs(connection, path)
    for run in read_runs(connection):
        check_run(connection, path, run.run_id)
    check_history(connection, path)


def _salvage(path: Path, fresh: Path) -> tuple[tuple[RepairedRun, ...], int, int | None]:
    with _opened(path) as old, closing(connect(fresh)) as new:
        repair = Salvage(old, new)
        repair.copy()
        if not repair.runs:
            raise StoreError(f"nothing of the store {shown(path)} can be read: begin with a new one")
        _check(new, fresh)
        new.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        new.execute("PRAGMA journal_mode = DELETE")  # so that the file is complete by itself
        return repair.result()


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a damaged file for reading; where its table of contents is damaged, a copy with a new one."""
    with closing(_connect(path)) as old:
        right = False
        with suppress(*UNREADABLE):
            if is_newer(old):
                raise StoreError(f"the store {shown(path)} was made by a later release: repair it with that")
            right = shape_is_right(old)
        if right:
            yield old
            return
    copy = path.with_name(f".{path.name[:100]}.copy-{secrets.token_hex(6)}")
    try:
        shutil.copyfile(path, copy)
        _give_new_head(copy)
        with closing(_connect(copy)) as old:
            yield old
    finally:
        _remove(copy)


def _connect(path: Path) -> sqlite3.Connection:
    old = sqlite3.connect(path, isolation_level=None, timeout=5.0)
    be_careful(old)
    # A text that is damaged fails its checksum, and does not end the reading.
    old.text_factory = lambda data: data.decode("utf-8", "replace")
    return old


def _give_new_head(copy: Path) -> None:
    """Put a first page into a file that says where the tables begin: at the same pages in every store."""
    template = copy.with_name(f"{copy.name}.new")
    try:
        with (
            closing(sqlite3.connect(":memory:", isolation_level=None)) as model,
            closing(sqlite3.connect(template, isolation_level=None)) as made,
        ):
            migrate(model, 0)
            _make_bare(model, made)
        head = bytearray(template.read_bytes()[:_PAGE])
    finally:
        _remove(template)
    pages = max(copy.stat().st_size // _PAGE, _FIRST_PAGES)
    head[28:32] = pages.to_bytes(4, "big")  # the size of the file, in pages
    head[32:40] = bytes(8)  # no list of free pages
    with copy.open("r+b") as file:
        file.write(head)
        file.truncate(pages * _PAGE)


def _make_bare(model: sqlite3.Connection, made: sqlite3.Connection) -> None:
    """Make the tables of a store with nothing but their columns and keys, so that they are told in one page."""
    made.execute("PRAGMA writable_schema = ON")
    for table in TABLES:
        columns = model.execute("SELECT name, pk FROM pragma_table_xinfo(?)", (table,)).fetchall()
        keys = [name for name, _ in sorted((found for found in columns if found[1]), key=lambda found: int(found[1]))]
        names = [f"{name} INTEGER" if name == "run_id" else name for name, _ in columns]
        ending = "" if table == "run" else " WITHOUT ROWID"  # run_id of a run is its row id
        made.execute(f"CREATE TABLE {table} ({', '.join(names)}, PRIMARY KEY ({', '.join(keys)})){ending}")
        (root,) = model.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
        made.execute("UPDATE sqlite_schema SET rootpage = ? WHERE name = ?", (root, table))


def _remove(path: Path) -> None:
    for ending in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def _exchange(path: Path, fresh: Path) -> Path:
    """Put the new file in the place of the old one, and keep the old one beside it."""
    kept = path.with_name(f"{path.name}.damaged")
    number = 1
    while kept.exists():
        number += 1
        kept = path.with_name(f"{path.name}.damaged-{number}")
    shutil.copymode(path, fresh)
    descriptor = os.open(fresh, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(path, kept)  # at no moment is there no store
    except OSError:
        path.rename(kept)
    for ending in ("-wal", "-shm", "-journal"):  # of the old file: SQLite would take them for the new one's
        with suppress(FileNotFoundError):
            path.with_name(path.name + ending).rename(kept.with_name(kept.name + ending))
    fresh.replace(path)
    if sys.platform != "win32":
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return kept
