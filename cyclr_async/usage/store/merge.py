"""Bringing several stores of one partner together, such as those of two machines, or of a year that was put away."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any, Final

import attrs

from cyclr_async.errors import InvalidArgumentError, StoreError
from cyclr_async.usage.store.integrity import check_history, check_run, check_runs, damaged, schema_version
from cyclr_async.usage.store.locking import StoreLock
from cyclr_async.usage.store.month_tables import (
    CLOSED_GAP_COLUMNS,
    CLOSED_LINE_COLUMNS,
    FIGURE_SUMMED,
    closing_sum,
)
from cyclr_async.usage.store.paths import shown, store_path
from cyclr_async.usage.store.rows import RunInfo
from cyclr_async.usage.store.runs import check_owner, read_runs
from cyclr_async.usage.store.schema import connect, connect_readonly, store_errors

__all__ = ["MergeResult", "merge_stores"]

_CLOSING_COLUMNS: Final = (
    "period_start, period_end, zone, closed_at, closed_by, accepted, note, accounts, task_count, cycle_count, gaps, "
    "runs, checksum, reopened_at, reopened_by, reopen_reason"
)


@attrs.frozen
class MergeResult:
    """What :func:`merge_stores` did.

    Attributes:
        path: of the store that holds everything now.
        runs: how many runs it has.
        added: how many of them came from the other stores.
        observations: how many observations it has.
        closings: how many closings it has.
    """

    path: Path
    runs: int
    added: int
    observations: int
    closings: int


def merge_stores(target: str | os.PathLike[str], others: Iterable[str | os.PathLike[str]]) -> MergeResult:
    """Put everything that other stores hold into one; blocks. The others stay as they are.

    A new store is made, with the runs of all in the order of time, and takes the place of the target when it is
    complete and was checked: before that nothing has changed. A run that two stores hold alike is taken once; one that
    went on in one of them is taken from both, and a figure is still counted once. Unfinished runs are not continued in
    the merged store.

    Args:
        target: the path of the store; nobody may be writing to it.
        others: stores of the same partner and host.

    Returns:
        what the store holds now.

    Raises:
        StoreError: a store is missing, in use, damaged, or of another partner or host; two of them closed one month; or
            there is no room. The target is as it was.
        InvalidArgumentError: a store is named twice, or none is named.
    """
    path = store_path(target)
    paths = [path, *(store_path(other) for other in others)]
    if len(paths) < 2 or len(set(paths)) < len(paths):
        raise InvalidArgumentError("name the stores to merge, each once, and another than the one they go into")
    for one in paths:
        if not one.exists():
            raise StoreError(f"there is no store at {shown(one)}")
    fresh = path.with_name(f".{path.name[:100]}.merge-{secrets.token_hex(6)}")
    with ExitStack() as stack:
        stack.callback(_remove, fresh)
        for one in paths:  # the others too: a collection would go on writing to what has been taken over
            lock = StoreLock(one)
            lock.acquire()
            stack.callback(lock.release)
        sources = [_Source(one, stack) for one in paths]
        for source in sources[1:]:
            _check_partner(sources[0], source)
        with store_errors(path, "merging into it"):
            result = _write(fresh, path, sources)
            for source in sources:
                source.close()
            shutil.copymode(path, fresh)
            if sys.platform == "win32":
                stack.pop_all().close()  # a file that is open cannot be replaced there
            for ending in ("-wal", "-shm"):  # of the old file: SQLite would take them for the new one's
                with suppress(FileNotFoundError):
                    path.with_name(path.name + ending).unlink()
            fresh.replace(path)
    return result


class _Source:
    """A store that is read; one of an earlier version is read from a copy that was brought to this one."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self.path = path
        self.connection = connect_readonly(path)
        stack.callback(self.close)
        with store_errors(path, "reading it"):
            self._check()
            if schema_version(self.connection) < 3:
                self._read_copy(stack)
            self.runs = list(read_runs(self.connection))

    def _check(self) -> None:
        check_runs(self.connection, self.path)
        for run in read_runs(self.connection):
            check_run(self.connection, self.path, run.run_id)
        check_history(self.connection, self.path)

    def _read_copy(self, stack: ExitStack) -> None:
        copy = self.path.with_name(f".{self.path.name[:100]}.copy-{secrets.token_hex(6)}")
        stack.callback(_remove, copy)
        with closing(sqlite3.connect(copy)) as other:
            self.connection.backup(other)
        self.connection.close()
        self.connection = connect(copy)

    def close(self) -> None:
        self.connection.close()


def _check_partner(first: _Source, other: _Source) -> None:
    if first.runs and other.runs:
        check_owner(other.runs[0].scope, first.runs[0].scope, (), other.path)


def _same_run(run: RunInfo) -> tuple[object, ...]:
    """Return what a run and its unchanged copy have in common."""
    return (run.created_at, run.updated_at, run.scope, run.status, run.counts, run.oldest_at)


def _write(fresh: Path, path: Path, sources: Sequence[_Source]) -> MergeResult:
    # In the order of time, because the newest run of a store is the one with the highest number.
    found = [(run.created_at, index, run.run_id, run) for index, source in enumerate(sources) for run in source.runs]
    found.sort(key=lambda entry: entry[:3])
    taken: dict[tuple[object, ...], int] = {}
    numbers: list[dict[int, int]] = [{} for _ in sources]
    kept: list[dict[int, int]] = [{} for _ in sources]  # without those that an earlier store has too
    for _, index, run_id, run in found:
        same = _same_run(run)
        number = taken.get(same)
        if number is None:
            number = taken[same] = len(taken) + 1
            kept[index][run_id] = number
        numbers[index][run_id] = number
    with closing(connect(fresh)) as new:
        new.execute("BEGIN IMMEDIATE")
        for source, mapped, own in zip(sources, numbers, kept, strict=True):
            _copy_runs(new, source, own, mapped)
            _copy_rows(new, source, own)
        for source, mapped in zip(sources, numbers, strict=True):
            _copy_closings(new, source, mapped)
        new.execute("COMMIT")
        check_runs(new, path)
        for number in taken.values():
            check_run(new, path, number)
        check_history(new, path)
        (observations,) = new.execute("SELECT count(*) FROM observation").fetchone()
        (closings,) = new.execute("SELECT count(*) FROM closing").fetchone()
        new.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        new.execute("PRAGMA journal_mode = DELETE")  # so that the file is complete by itself
    return MergeResult(path, len(taken), len(taken) - len(kept[0]), observations, closings)


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    query = "SELECT name FROM pragma_table_xinfo(?)"
    return [name for (name,) in connection.execute(query, (table,))]


def _copy_runs(new: sqlite3.Connection, source: _Source, own: dict[int, int], mapped: dict[int, int]) -> None:
    columns = [name for name in _columns(new, "run") if name not in {"run_id", "seal"}]
    for run_id, number in own.items():
        query = f"SELECT {', '.join(columns)} FROM run WHERE run_id = ?"  # noqa: S608 - our own names, as below
        row = dict(zip(columns, source.connection.execute(query, (run_id,)).fetchone(), strict=True))
        row["supersedes"] = mapped.get(row["supersedes"])
        if row["status"] not in {"complete", "abandoned"}:
            row["status"] = "abandoned"  # it may go on in the store that it came from, and not in two
        _insert(new, "run", ["run_id", *columns], [(number, *row.values())])


def _copy_rows(new: sqlite3.Connection, source: _Source, own: dict[int, int]) -> None:
    """Copy what belongs to runs. Checksums that cover the number of the run are made anew."""
    for table in ("item", "observation", "finding", "account_fact"):
        columns = [name for name in _columns(new, table) if name != "finding_id"]
        order = "rowid" if table == "finding" else "account_id"
        query = f"SELECT {', '.join(columns)} FROM {table} ORDER BY {order}"  # noqa: S608
        run_at = columns.index("run_id")
        rows = (
            (*row[:run_at], own[row[run_at]], *row[run_at + 1 :])
            for row in _stream(source.connection, query)
            if row[run_at] in own
        )
        _insert(new, table, columns, rows)
    new.execute("UPDATE account_fact SET checksum = checksum(account_id, run_id, parent_account_id, task_audit_info)")
    new.execute(
        f"UPDATE observation SET figure_sum = checksum({', '.join(FIGURE_SUMMED)}) WHERE figure_sum IS NULL"  # noqa: S608
    )


def _copy_closings(new: sqlite3.Connection, source: _Source, mapped: dict[int, int]) -> None:
    """Copy what was closed. Runs have other numbers here: checksums are made anew, of what agrees with the old ones."""
    query = f"SELECT closing_id, {_CLOSING_COLUMNS} FROM closing ORDER BY closing_id"  # noqa: S608
    names = [name.strip() for name in _CLOSING_COLUMNS.split(",")]
    summed = names[: names.index("checksum")]
    for closing_id, *values in source.connection.execute(query).fetchall():
        row = dict(zip(names, values, strict=True))
        if row["checksum"] != closing_sum(*(row[name] for name in summed)):
            raise damaged(source.path, f"what it says of the closing of {shown(str(row['period_start']))} has changed")
        row["runs"] = json.dumps(sorted(mapped[run_id] for run_id in json.loads(row["runs"])), separators=(",", ":"))
        row["checksum"] = closing_sum(*(row[name] for name in summed))
        if _has_closing(new, row):
            continue  # both stores come from one in which the month was closed
        try:
            _insert(new, "closing", list(row), [tuple(row.values())])
        except sqlite3.IntegrityError:
            raise StoreError(
                f"{shown(source.path)} and another store have both closed {row['period_start']}: open it again in one "
                "of them (cyclr usage reopen)"
            ) from None
        (number,) = new.execute("SELECT last_insert_rowid()").fetchone()
        _copy_closed(new, source, closing_id, number, mapped)
        kept = new.execute(
            "SELECT (SELECT count(*) FROM closed_line WHERE closing_id = ?1), "
            "(SELECT count(*) FROM closed_gap WHERE closing_id = ?1)",
            (number,),
        ).fetchone()
        if kept != (row["accounts"], row["gaps"]):
            raise damaged(source.path, f"the closing of {shown(str(row['period_start']))} has lost accounts")


def _has_closing(new: sqlite3.Connection, row: dict[str, Any]) -> bool:
    """Whether a closing is there already; one that was opened again in the other store only is so here too."""
    opened = {name: row[name] for name in row if name.startswith("reopen")}
    names = [name for name in row if name not in {"runs", "checksum", *opened}]
    same = " AND ".join(f"{name} IS ?" for name in names)
    query = f"SELECT closing_id, reopened_at FROM closing WHERE {same}"  # noqa: S608
    found = new.execute(query, [row[name] for name in names]).fetchone()
    if found is None:
        return False
    if found[1] is None and opened["reopened_at"] is not None:
        # Else the copy in which nobody opened it would put it into force again, beside what was closed after that.
        setting = ", ".join(f"{name} = ?" for name in opened)
        new.execute(f"UPDATE closing SET {setting} WHERE closing_id = ?", [*opened.values(), found[0]])  # noqa: S608
    return True


def _copy_closed(
    new: sqlite3.Connection, source: _Source, closing_id: int, number: int, mapped: dict[int, int]
) -> None:
    def lines() -> Iterator[tuple[object, ...]]:
        query = f"SELECT {', '.join(CLOSED_LINE_COLUMNS)}, checksum FROM closed_line WHERE closing_id = ?"  # noqa: S608
        for *row, checksum in _stream(source.connection, query, closing_id):
            if checksum != closing_sum(*row):
                raise damaged(source.path, f"what was closed of account {shown(str(row[0]))!r} has changed")
            *values, run_id = row
            kept = (*values, mapped.get(run_id, run_id))
            yield number, *kept, closing_sum(*kept)

    def gaps() -> Iterator[tuple[object, ...]]:
        query = f"SELECT {', '.join(CLOSED_GAP_COLUMNS)} FROM closed_gap WHERE closing_id = ?"  # noqa: S608
        for *values, run_id in _stream(source.connection, query, closing_id):
            yield number, *values, mapped.get(run_id)

    _insert(new, "closed_line", ["closing_id", *CLOSED_LINE_COLUMNS, "checksum"], lines())
    _insert(new, "closed_gap", ["closing_id", *CLOSED_GAP_COLUMNS], gaps())


def _stream(connection: sqlite3.Connection, query: str, *values: object) -> Iterator[tuple[Any, ...]]:
    cursor = connection.execute(query, values)
    cursor.arraysize = 500  # fetchone() would be a call for each of a million rows
    while rows := cursor.fetchmany():
        yield from rows


def _insert(new: sqlite3.Connection, table: str, columns: Sequence[str], rows: Iterable[tuple[object, ...]]) -> None:
    marks = ", ".join("?" * len(columns))
    new.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)  # noqa: S608


def _remove(path: Path) -> None:
    for ending in ("", "-wal", "-shm", "-journal", ".lock"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
