"""Closed periods, as the store has them: who closed what and when, and the figures that were frozen."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import attrs

from cyclr_async.usage.months.statement import StatementLine
from cyclr_async.usage.months.statement_period import StatementPeriod
from cyclr_async.usage.store.integrity import damaged, schema_version
from cyclr_async.usage.store.month_tables import CLOSED_GAP_COLUMNS, CLOSED_LINE_COLUMNS, closing_sum
from cyclr_async.usage.store.paths import shown, store_path
from cyclr_async.usage.store.schema import connect_readonly, store_errors

if TYPE_CHECKING:
    import sqlite3

__all__ = [
    "Accepted",
    "ClosedGap",
    "Closing",
    "closed_gaps",
    "closed_lines",
    "closings_in",
    "find_closing",
    "gaps_in",
    "in_force",
    "lines_in",
    "read_closings",
]

Accepted: TypeAlias = Literal["missing", "provisional"]
"""What somebody accepts when closing: accounts without a figure, or figures that may still rise."""

_COLUMNS: Final = (
    "closing_id, period_start, period_end, zone, closed_at, closed_by, accepted, note, accounts, task_count, "
    "cycle_count, gaps, runs, checksum, reopened_at, reopened_by, reopen_reason"
)
_GAP_COLUMNS: Final = ", ".join(CLOSED_GAP_COLUMNS)
_LINE_COLUMNS: Final = ", ".join(CLOSED_LINE_COLUMNS)


@attrs.frozen
class Closing:
    """A period that somebody closed. Times are aware, in UTC.

    Attributes:
        closing_id: its number.
        period: what was closed.
        closed_at: when.
        closed_by: by whom.
        accepted: what was accepted: ``missing``, ``provisional``, both or nothing.
        note: what was noted then.
        accounts: how many figures were frozen.
        task_count: their tasks.
        cycle_count: the sum of their maxima of cycles.
        gaps: how many accounts had no figure.
        runs: the runs whose observations were frozen.
        reopened_at: when it was opened again; None while it is in force.
        reopened_by: by whom.
        reopen_reason: why.
    """

    closing_id: int
    period: StatementPeriod
    closed_at: datetime
    closed_by: str
    accepted: tuple[Accepted, ...]
    note: str | None
    accounts: int
    task_count: int
    cycle_count: int
    gaps: int
    runs: tuple[int, ...]
    reopened_at: datetime | None = None
    reopened_by: str | None = None
    reopen_reason: str | None = None

    @property
    def in_force(self) -> bool:
        """Whether the period is closed by it still."""
        return self.reopened_at is None


@attrs.frozen
class ClosedGap:
    """An account that had no figure when its month was closed.

    Attributes:
        account_id: the account.
        account_name: when it was last listed.
        reason: why; see :data:`GapReason`.
        detail: the same in words.
        run_id: the run that said so.
    """

    account_id: str
    account_name: str | None
    reason: str
    detail: str
    run_id: int | None


def read_closings(store: str | os.PathLike[str]) -> list[Closing]:
    """Return every closing of a store, newest first, those that were opened again too.

    Raises:
        StoreError: there is no store, or it is damaged.
    """
    path = store_path(store)
    with store_errors(path, "reading its closings"), closing(connect_readonly(path)) as connection:
        return list(closings_in(connection, path))


def find_closing(store: str | os.PathLike[str], period: StatementPeriod | str) -> Closing | None:
    """Return the closing of a period that is in force; None when it is not closed.

    Raises:
        StoreError: there is no store, or it is damaged.
    """
    wanted = StatementPeriod.month(period) if isinstance(period, str) else period
    return next((found for found in read_closings(store) if found.in_force and _same(found.period, wanted)), None)


def closed_lines(store: str | os.PathLike[str], found: Closing) -> Iterator[StatementLine]:
    """Yield the figures that were frozen, ordered by account id. They carry no comparison.

    Args:
        store: the path of the store.
        found: the closing.

    Raises:
        StoreError: the frozen figures are not those that were written.
    """
    path = store_path(store)
    with store_errors(path, "reading a closed period"), closing(connect_readonly(path)) as connection:
        yield from lines_in(connection, path, found)


def closed_gaps(store: str | os.PathLike[str], found: Closing) -> Iterator[ClosedGap]:
    """Yield the accounts that had no figure when a period was closed, ordered by account id.

    Args:
        store: the path of the store.
        found: the closing.

    Raises:
        StoreError: there is no store, or it is damaged, or has fewer than were frozen.
    """
    path = store_path(store)
    with store_errors(path, "reading a closed period"), closing(connect_readonly(path)) as connection:
        yield from gaps_in(connection, path, found)


def lines_in(connection: sqlite3.Connection, path: Path, found: Closing) -> Iterator[StatementLine]:
    """Yield the frozen figures over an open connection; see :func:`closed_lines`."""
    query = f"SELECT {_LINE_COLUMNS}, checksum FROM closed_line WHERE closing_id = ? ORDER BY account_id"  # noqa: S608
    accounts = tasks = 0
    cursor = connection.execute(query, (found.closing_id,))
    cursor.arraysize = 500  # fetchone() would be a call for each of a million rows
    while rows := cursor.fetchmany():
        for *values, total in rows:
            if total != closing_sum(*values):
                raise damaged(path, f"what was closed of account {shown(str(values[0]))!r} has changed")
            line = dict(zip(CLOSED_LINE_COLUMNS, values, strict=True))
            accounts += 1
            tasks += line["task_count"]
            yield StatementLine(**{**line, "provisional": bool(line["provisional"]), "new": False})
    if (accounts, tasks) != (found.accounts, found.task_count):
        raise damaged(path, f"the closing of {found.period} has lost figures")


def gaps_in(connection: sqlite3.Connection, path: Path, found: Closing) -> Iterator[ClosedGap]:
    """Yield the frozen gaps over an open connection."""
    gaps = 0
    query = f"SELECT {_GAP_COLUMNS} FROM closed_gap WHERE closing_id = ? ORDER BY account_id"  # noqa: S608 - constants
    for row in connection.execute(query, (found.closing_id,)):
        gaps += 1
        yield ClosedGap(*row)
    if gaps != found.gaps:
        raise damaged(path, f"the closing of {found.period} has lost accounts without a figure")


def closings_in(connection: sqlite3.Connection, path: Path) -> Iterator[Closing]:
    """Yield the closings of a store over an open connection, newest first."""
    if schema_version(connection) < 3:
        return  # of an earlier release, which closed nothing
    for row in connection.execute(f"SELECT {_COLUMNS} FROM closing ORDER BY closing_id DESC").fetchall():  # noqa: S608
        yield _closing_of(row, path)


def in_force(connection: sqlite3.Connection, path: Path, period: StatementPeriod) -> Closing | None:
    """Return the closing of exactly this period that is in force, or None."""
    return next((one for one in closings_in(connection, path) if one.in_force and _same(one.period, period)), None)


def _same(one: StatementPeriod, other: StatementPeriod) -> bool:
    # By its moments: a zone can be written in several ways.
    return (one.begins, one.ends) == (other.begins, other.ends)


def _closing_of(row: tuple[Any, ...], path: Path) -> Closing:
    closing_id, start, end, zone, closed_at, by, accepted, note, *counted, runs, total, at, who, why = row
    if total != closing_sum(start, end, zone, closed_at, by, accepted, note, *counted, runs):
        raise damaged(path, f"what it says of the closing of {shown(str(start))} has changed")
    accounts, tasks, cycles, gaps = counted
    return Closing(
        closing_id=closing_id,
        period=StatementPeriod(date.fromisoformat(start), date.fromisoformat(end), zone),
        closed_at=datetime.fromisoformat(closed_at),
        closed_by=by,
        accepted=tuple(accepted.split()),
        note=note,
        accounts=accounts,
        task_count=tasks,
        cycle_count=cycles,
        gaps=gaps,
        runs=tuple(json.loads(runs)),
        reopened_at=None if at is None else datetime.fromisoformat(at),
        reopened_by=who,
        reopen_reason=why,
    )
