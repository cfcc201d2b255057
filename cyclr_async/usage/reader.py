"""Reading a usage store: runs, rows, failures and history, streamed in the order of their keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

import attrs

from cyclr_async.errors import StoreError

from .integrity import check_history, check_run, check_runs
from .paths import store_path
from .rows import RunInfo, UsageRow, short_instant
from .runs import read_runs
from .schema import connect_readonly, store_errors

if TYPE_CHECKING:
    import os
    import sqlite3
    from collections.abc import Callable, Iterator
    from types import TracebackType

__all__ = ["Comparable", "PeriodTotal", "UsageReader"]

_ROWS: Final = """
    SELECT i.run_id, i.account_id, i.account_name, i.state, o.period_from, o.period_to, o.task_count, o.cycle_count,
        coalesce(o.price_plan_id, i.account_plan_id), coalesce(o.audit_info, i.account_audit_info), o.observed_at,
        o.observed_at < o.period_to, i.attempts, i.error, i.reason
    FROM item AS i LEFT JOIN observation AS o
        ON o.account_id = i.account_id AND o.period_from = i.period_from AND o.observed_at = i.observed_at
        AND o.run_id = i.run_id
    WHERE i.run_id = ? {also}
    ORDER BY i.account_id
"""
_OBSERVATIONS: Final = """
    SELECT o.run_id, o.account_id, i.account_name, 'ok', o.period_from, o.period_to, o.task_count, o.cycle_count,
        coalesce(o.price_plan_id, i.account_plan_id), coalesce(o.audit_info, i.account_audit_info), o.observed_at,
        o.observed_at < o.period_to, i.attempts, NULL, NULL
    FROM observation AS o JOIN item AS i ON i.run_id = o.run_id AND i.account_id = o.account_id
    {where}
    ORDER BY o.account_id, o.period_from, o.observed_at, o.run_id
"""
# The previous period of an account lies just before its present one in the primary key: one step back.
_COMPARABLE: Final = """
    SELECT o.account_id, i.account_name, coalesce(o.price_plan_id, i.account_plan_id), o.task_count, o.cycle_count,
        o.period_from, o.period_to, o.observed_at, p.task_count, p.period_from, p.observed_at < p.period_to
    FROM item AS i CROSS JOIN observation AS o
        ON o.account_id = i.account_id AND o.period_from = i.period_from AND o.observed_at = i.observed_at
        AND o.run_id = i.run_id
    LEFT JOIN observation AS p ON (p.account_id, p.period_from, p.observed_at, p.run_id) = (
        SELECT account_id, period_from, observed_at, run_id FROM observation
        WHERE account_id = o.account_id AND period_from < o.period_from
        ORDER BY period_from DESC, observed_at DESC, run_id DESC LIMIT 1)
    WHERE i.run_id = ?
    ORDER BY i.account_id
"""


@attrs.frozen
class Comparable:
    """A collected account of a run beside the last figures of its previous period in the store, if there are any."""

    account_id: str
    account_name: str | None
    price_plan_id: int | None
    task_count: int
    cycle_count: int
    period_from: str
    period_to: str
    observed_at: str
    previous_task_count: int | None
    previous_period_from: str | None
    previous_provisional: bool | None


@attrs.frozen
class PeriodTotal:
    """The usage of all periods that begin in one calendar month (UTC), by the last observation of each.

    Attributes:
        month: such as ``"2026-10"``.
        accounts: how many accounts have a period that begins in it.
        task_count: their tasks.
        cycle_count: their cycles: the sum of the maxima that the API reports.
        provisional: how many were last observed before their period closed.
    """

    month: str
    accounts: int
    task_count: int
    cycle_count: int
    provisional: int


class UsageReader:
    """A store open for reading, as a context manager; a collection may be writing to it meanwhile.

    Everything but :meth:`periods` streams from the file at flat memory. The methods block: from a coroutine, call
    them in a thread.

    Args:
        path: of the store.

    Raises:
        StoreError: there is no store, or it is damaged or made by a newer release.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = store_path(path)
        self._checked: dict[int | None, int] = {}
        self._connection: sqlite3.Connection | None = connect_readonly(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; harmless when it is closed."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def runs(self) -> list[RunInfo]:
        """Return every run of the store, newest first."""
        with store_errors(self.path, "reading it"):
            check_runs(self._open(), self.path)
            return list(read_runs(self._open()))

    def run(self, run_id: int | None = None) -> RunInfo:
        """Return one run.

        Args:
            run_id: its number, or None for the newest.

        Raises:
            StoreError: there is no such run.
        """
        runs = self.runs()
        for run in runs:
            if run_id is None or run.run_id == run_id:
                return run
        wanted = "no run" if run_id is None else f"no run {run_id}"
        known = ", ".join(str(run.run_id) for run in runs[:10]) or "none"
        raise StoreError(f"the store {self.path} has {wanted}; its runs are: {known}")

    def rows(self, run_id: int | None = None, *, all_observations: bool = False) -> Iterator[UsageRow]:
        """Yield one row per account of a run, or one per observation.

        Args:
            run_id: the run, or None for the newest; with ``all_observations`` None means every run.
            all_observations: yield every observation, ordered by account, period and time, instead of the last one
                of each account of the run.

        Yields:
            rows ordered by account id (by code point).

        Raises:
            StoreError: there is no such run, or the store is damaged.
        """
        if not all_observations:
            yield from self._rows(_ROWS.format(also=""), (self._checked_run(run_id),))
            return
        self._check_history()
        if run_id is None:
            yield from self._rows(_OBSERVATIONS.format(where=""), ())
        else:
            yield from self._rows(_OBSERVATIONS.format(where="WHERE o.run_id = ?"), (self._checked_run(run_id),))

    def failures(self, run_id: int | None = None) -> Iterator[UsageRow]:
        """Yield the accounts of a run that were asked for and have no usage, ordered by account id."""
        also = "AND i.due = 1 AND i.state IN ('missing', 'forbidden', 'failed')"
        yield from self._rows(_ROWS.format(also=also), (self._checked_run(run_id),))

    def history(self, account_id: str) -> Iterator[UsageRow]:
        """Yield every observation of one account, ordered by period and time."""
        self._check_history()
        yield from self._rows(_OBSERVATIONS.format(where="WHERE o.account_id = ?"), (account_id,))

    def comparable(self, run_id: int | None = None) -> Iterator[Comparable]:
        """Yield the collected accounts of a run beside their previous period, ordered by account id."""
        self._check_history()
        for row in self._stream(_COMPARABLE, (self._checked_run(run_id),)):
            values: list[Any] = [*row]
            values[-1] = None if values[-1] is None else bool(values[-1])
            yield Comparable(*values)

    def periods(self) -> list[PeriodTotal]:
        """Return the totals by month, oldest first; reads the whole history, about a second per million."""
        self._check_history()
        totals: dict[str, list[int]] = {}
        query = """
            SELECT account_id, period_from, task_count, cycle_count, observed_at < period_to FROM observation
            ORDER BY account_id, period_from, observed_at, run_id
        """
        last: tuple[str, str, int, int, int] | None = None
        for row in self._stream(query, ()):
            if last is not None and last[:2] != row[:2]:
                _add(totals, last)
            last = row
        if last is not None:
            _add(totals, last)
        return [PeriodTotal(month, *figures) for month, figures in sorted(totals.items())]

    def _checked_run(self, run_id: int | None) -> int:
        """Return the number of a run whose rows are what was written."""
        found = self.run(run_id).run_id
        self._once(found, lambda connection: check_run(connection, self.path, found))
        return found

    def _check_history(self) -> None:
        self._once(None, lambda connection: check_history(connection, self.path))

    def _once(self, what: int | None, check: Callable[[sqlite3.Connection], None]) -> None:
        """Check the same thing once, until somebody writes."""
        with store_errors(self.path, "checking it"):
            connection = self._open()
            (version,) = connection.execute("PRAGMA data_version").fetchone()
            if self._checked.get(what) != version:
                check(connection)
                self._checked[what] = version

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreError(f"the store {self.path} is closed")
        return self._connection

    def _rows(self, query: str, values: tuple[object, ...]) -> Iterator[UsageRow]:
        for row in self._stream(query, values):
            run_id, account_id, name, state, start, end, tasks, cycles, plan, audit, seen, provisional, *rest = row
            yield UsageRow(
                run_id,
                account_id,
                name,
                state,
                None if start is None else short_instant(start),
                None if end is None else short_instant(end),
                tasks,
                cycles,
                plan,
                audit,
                None if seen is None else short_instant(seen),
                None if provisional is None else bool(provisional),
                *rest,
            )

    def _stream(self, query: str, values: tuple[object, ...]) -> Iterator[tuple[Any, ...]]:
        with store_errors(self.path, "reading it"):
            cursor = self._open().execute(query, values)
            cursor.arraysize = 1000
            while rows := cursor.fetchmany():
                yield from rows


def _add(totals: dict[str, list[int]], row: tuple[str, str, int, int, int]) -> None:
    _, period_from, tasks, cycles, provisional = row
    figures = totals.setdefault(period_from[:7], [0, 0, 0, 0])
    for index, value in enumerate((1, tasks, cycles, provisional)):
        figures[index] += value
