"""Closing a month: its figures are frozen, with who did it, when, and from which observations.

What is observed later never changes a closed month. It becomes a difference, which is read with
:func:`read_differences` and billed or credited in a later month. Opening a month again leaves the closing in the store.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from cyclr_async.errors import InvalidArgumentError, StoreError
from cyclr_async.usage.months.closings import Accepted, Closing, closings_in, in_force
from cyclr_async.usage.months.read import entries_in, read_statement
from cyclr_async.usage.months.statement import Gap, GapReason, StatementLine
from cyclr_async.usage.months.statement_period import StatementPeriod
from cyclr_async.usage.store.locking import StoreLock
from cyclr_async.usage.store.month_tables import CLOSED_GAP_COLUMNS, CLOSED_LINE_COLUMNS, closing_sum
from cyclr_async.usage.store.paths import shown, store_path
from cyclr_async.usage.store.rows import utc_text
from cyclr_async.usage.store.schema import connect, store_errors
from cyclr_async.wire.text import scrub

if TYPE_CHECKING:
    import sqlite3

__all__ = ["NotClosableError", "close_period", "reopen_period"]

_LONGEST_TEXT: Final = 500
_PUT_LINE: Final = (
    f"INSERT INTO closed_line (closing_id, {', '.join(CLOSED_LINE_COLUMNS)}, checksum) "  # noqa: S608 - constants
    f"VALUES (?, {', '.join('?' * len(CLOSED_LINE_COLUMNS))}, ?)"
)
_PUT_GAP: Final = (
    f"INSERT INTO closed_gap (closing_id, {', '.join(CLOSED_GAP_COLUMNS)}) "  # noqa: S608 - constants
    f"VALUES (?, {', '.join('?' * len(CLOSED_GAP_COLUMNS))})"
)


class NotClosableError(StoreError):
    """A month cannot be closed yet; nothing was changed.

    Attributes:
        provisional: how many figures may still rise.
        gaps: how many accounts have no figure, by reason; those that are gone are no hindrance.
    """

    def __init__(self, message: str, provisional: int, gaps: Mapping[GapReason, int]) -> None:
        super().__init__(message)
        self.provisional = provisional
        self.gaps: dict[GapReason, int] = dict(gaps)


def close_period(
    store: str | os.PathLike[str],
    period: StatementPeriod | str,
    *,
    by: str,
    accept: frozenset[Accepted] | set[Accepted] = frozenset(),
    note: str | None = None,
    now: datetime | None = None,
) -> Closing:
    """Freeze the figures of a period; blocks.

    Args:
        store: the path of the store; nobody may be writing to it.
        period: what to close; a text such as ``"2026-10"`` is a calendar month in UTC.
        by: who does it, up to 500 characters.
        accept: what is accepted and recorded: ``"missing"``, accounts without a figure; ``"provisional"``, figures
            that may still rise.
        note: what is to be remembered with it.
        now: the moment, aware; the system's when None.

    Returns:
        the closing.

    Raises:
        NotClosableError: figures are provisional or missing, and that is not accepted; the message says how many.
        StoreError: the period is closed already or overlaps one that is; there is no store, it is in use or damaged.
        InvalidArgumentError: the period is none, has not begun, or ``by`` is empty.
    """
    if isinstance(period, str):
        period = StatementPeriod.month(period)
    by, note = _said(by, "by"), None if note is None else _said(note, "note")
    moment = datetime.now(UTC) if now is None else now.astimezone(UTC)
    if moment < period.begins:
        # With --accept-missing a slip of the keyboard would freeze a month of nothing but gaps.
        raise InvalidArgumentError(f"{period} has not begun: there is nothing to close")
    path = _existing(store)
    lock = StoreLock(path)
    lock.acquire()
    try:
        with store_errors(path, "closing a period"), closing(connect(path)) as connection:
            for found in closings_in(connection, path):
                if found.in_force and found.period.begins < period.ends and period.begins < found.period.ends:
                    what = (
                        "is closed already" if found.period == period else f"overlaps {found.period}, which is closed"
                    )
                    raise StoreError(
                        f"{period} {what}, since {found.closed_at:%Y-%m-%d} by {found.closed_by}: open that again "
                        "first (cyclr usage reopen)"
                    )
            connection.execute("BEGIN IMMEDIATE")
            try:
                made = _freeze(connection, path, period, by, tuple(sorted(accept)), note, moment)
                lock.check()
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            return made
    finally:
        lock.release()


def _freeze(
    connection: sqlite3.Connection,
    path: Path,
    period: StatementPeriod,
    by: str,
    accept: tuple[Accepted, ...],
    note: str | None,
    moment: datetime,
) -> Closing:
    statement = read_statement(path, period, now=moment, as_closed=False)
    place = period.start.isoformat(), period.end.isoformat(), _zone_name(period)
    # The figures are written first and counted meanwhile, in one pass: whether they may stay is decided at the end.
    connection.execute(
        "INSERT INTO closing (period_start, period_end, zone, closed_at, closed_by, accepted, note, accounts, "
        "task_count, cycle_count, gaps, runs, checksum) VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0, 0, 0, '[]', 0)",
        (*place, utc_text(moment), by, " ".join(accept), note),
    )
    (closing_id,) = connection.execute("SELECT last_insert_rowid()").fetchone()
    runs: set[int] = set()
    # Read over the connection that writes: a reader of its own would wait for the writer where there is no WAL.
    for entry in entries_in(connection, statement):
        if isinstance(entry, Gap):
            gap = closing_id, entry.account_id, entry.account_name, entry.reason, entry.detail, entry.run_id
            connection.execute(_PUT_GAP, gap)
        else:
            runs.add(entry.run_id)
            values = _frozen(entry)
            connection.execute(_PUT_LINE, (closing_id, *values, closing_sum(*values)))
    totals = statement.totals()
    _refuse(period, totals.provisional, totals.gaps, accept, accounts=totals.accounts)
    counted = totals.accounts, totals.task_count, totals.cycle_count, sum(totals.gaps.values())
    listed = json.dumps(sorted(runs), separators=(",", ":"))
    said = (*place, utc_text(moment), by, " ".join(accept), note, *counted, listed)
    connection.execute(
        "UPDATE closing SET accounts = ?, task_count = ?, cycle_count = ?, gaps = ?, runs = ?, checksum = ? "
        "WHERE closing_id = ?",
        (*counted, listed, closing_sum(*said), closing_id),
    )
    return Closing(closing_id, period, moment, by, accept, note, *counted, tuple(sorted(runs)))


def _frozen(line: StatementLine) -> tuple[object, ...]:
    """Return what is kept of a line, as the table has it."""
    return tuple(
        int(value) if isinstance(value := getattr(line, name), bool) else value for name in CLOSED_LINE_COLUMNS
    )


def _refuse(
    period: StatementPeriod,
    provisional: int,
    gaps: Mapping[GapReason, int],
    accept: tuple[Accepted, ...],
    *,
    accounts: int,
) -> None:
    missing: dict[GapReason, int] = {reason: count for reason, count in gaps.items() if reason != "gone"}
    if not accounts and not gaps:
        raise NotClosableError(f"{period} cannot be closed: the store has no figures of it", 0, {})
    problems = []
    if provisional and "provisional" not in accept:
        problems.append(f"{provisional:,} figures may still rise: collect once more when their periods are over")
    if missing and "missing" not in accept:
        named = ", ".join(f"{count:,} {reason}" for reason, count in missing.items())
        problems.append(f"{sum(missing.values()):,} accounts have no figure ({named}): collect them")
    if problems:
        raise NotClosableError(
            f"{period} cannot be closed yet: {'; '.join(problems)}; or accept it, which is recorded "
            "(--accept-missing, --accept-provisional)",
            provisional,
            missing,
        )


def reopen_period(
    store: str | os.PathLike[str],
    period: StatementPeriod | str,
    *,
    by: str,
    reason: str,
    now: datetime | None = None,
) -> Closing:
    """Open a closed period again; blocks. The closing and its figures stay in the store, with who opened it and why.

    Args:
        store: the path of the store; nobody may be writing to it.
        period: what is closed.
        by: who does it, up to 500 characters.
        reason: why, up to 500 characters.
        now: the moment, aware; the system's when None.

    Returns:
        the closing that was in force.

    Raises:
        StoreError: the period is not closed; there is no store, it is in use or damaged.
        InvalidArgumentError: the period is none, or ``by`` or ``reason`` is empty.
    """
    if isinstance(period, str):
        period = StatementPeriod.month(period)
    by, reason = _said(by, "by"), _said(reason, "reason")
    moment = datetime.now(UTC) if now is None else now.astimezone(UTC)
    path = _existing(store)
    lock = StoreLock(path)
    lock.acquire()
    try:
        with store_errors(path, "opening a period again"), closing(connect(path)) as connection:
            found = in_force(connection, path, period)
            if found is None:
                raise StoreError(f"{period} is not closed in the store {shown(path)}: there is nothing to open again")
            connection.execute(
                "UPDATE closing SET reopened_at = ?, reopened_by = ?, reopen_reason = ? WHERE closing_id = ?",
                (utc_text(moment), by, reason, found.closing_id),
            )
            return attrs.evolve(found, reopened_at=moment, reopened_by=by, reopen_reason=reason)
    finally:
        lock.release()


def _existing(store: str | os.PathLike[str]) -> Path:
    path = store_path(store)
    if not path.exists():  # opening it for writing would make one
        raise StoreError(f"there is no store at {shown(path)}")
    return path


def _zone_name(period: StatementPeriod) -> str:
    name = getattr(period.zone, "key", None) or str(period.zone)
    try:
        StatementPeriod(period.start, period.end, name)
    except InvalidArgumentError:
        raise InvalidArgumentError(f"a period is closed in a zone with an IANA name, not in {name}") from None
    return str(name)


def _said(text: str, name: str) -> str:
    if not isinstance(text, str) or not text.strip():
        raise InvalidArgumentError(f"{name} must say something: it is kept with the closing")
    if len(text) > _LONGEST_TEXT:
        raise InvalidArgumentError(f"{name} has {len(text)} characters, and {_LONGEST_TEXT} are kept")
    return scrub(text.strip())
