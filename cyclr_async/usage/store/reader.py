"""Reading a usage store: runs, rows, failures and history, streamed in the order of their keys."""

from __future__ import annotations

import itertools
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Self

import attrs

from cyclr_async.errors import StoreError
from cyclr_async.usage.months.periods import NotComparable, Period, counted_once, why_not_comparable
from cyclr_async.usage.store.api_rows import PARTNER_API
from cyclr_async.usage.store.findings import FINDING_COLUMNS, Finding, finding_of
from cyclr_async.usage.store.integrity import check_history, check_run, check_runs, schema_version
from cyclr_async.usage.store.paths import store_path
from cyclr_async.usage.store.rows import RunInfo, UsageRow, usage_row
from cyclr_async.usage.store.runs import read_runs
from cyclr_async.usage.store.schema import connect_readonly, store_errors
from cyclr_async.usage.store.trees import TREES, TreeTotal, alone, tree_totals

if TYPE_CHECKING:
    import os
    import sqlite3
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

__all__ = ["Comparable", "PeriodTotal", "UsageReader"]

# Both in the order of usage_row(), which makes the row: what a row says of these columns is decided there and not here.
_ROWS: Final = """
    SELECT i.run_id, i.account_id, i.state, i.attempts, i.error, i.reason,
        i.account_name, i.account_plan_id, i.account_audit_info,
        o.period_from, o.period_to, o.observed_at, o.task_count, o.cycle_count, o.price_plan_id, o.audit_info, {api}
    FROM item AS i LEFT JOIN observation AS o
        ON o.account_id = i.account_id AND o.period_from = i.period_from AND o.observed_at = i.observed_at
        AND o.run_id = i.run_id
    {facts}
    WHERE i.run_id = ? {also}
    ORDER BY i.account_id
"""
_OBSERVATIONS: Final = """
    SELECT o.run_id, o.account_id, 'ok', i.attempts, NULL, NULL,
        i.account_name, i.account_plan_id, i.account_audit_info,
        o.period_from, o.period_to, o.observed_at, o.task_count, o.cycle_count, o.price_plan_id, o.audit_info, {api}
    FROM observation AS o JOIN item AS i ON i.run_id = o.run_id AND i.account_id = o.account_id
    {facts}
    {where}
    ORDER BY o.account_id, o.period_from, o.observed_at, o.run_id
"""
# Of a store of an earlier schema version, which readers leave as it is, only the first three are known.
_NO_APIS: Final = {"api": f"'{PARTNER_API}', NULL, NULL", "facts": ""}
_APIS: Final = {
    "api": "r.api, f.parent_account_id, f.task_audit_info",
    # The last change up to the run.
    "facts": """
    JOIN run AS r ON r.run_id = i.run_id
    LEFT JOIN account_fact AS f ON f.account_id = i.account_id AND f.run_id = (
        SELECT max(run_id) FROM account_fact AS last WHERE last.account_id = i.account_id AND last.run_id <= i.run_id)
    """,
}
# Earlier observations of an account lie just before the present one in the primary key: few are looked at.
_COMPARABLE: Final = """
    SELECT o.account_id, i.account_name, coalesce(o.price_plan_id, i.account_plan_id), o.task_count, o.cycle_count,
        o.period_from, o.period_to, o.observed_at, p.period_from, p.observed_at, p.run_id, p.period_to, p.task_count
    FROM item AS i CROSS JOIN observation AS o
        ON o.account_id = i.account_id AND o.period_from = i.period_from AND o.observed_at = i.observed_at
        AND o.run_id = i.run_id
    LEFT JOIN observation AS p ON p.account_id = o.account_id AND p.period_from < o.period_from
        AND p.period_from >= period_look_back(o.period_from, o.period_to)
    WHERE i.run_id = ?
    ORDER BY i.account_id
"""
# Only for an account without one in reach: whether it is new, or months lie between.
_NEAREST: Final = """
    SELECT period_from, period_to FROM observation WHERE account_id = ? AND period_from < ?
    ORDER BY period_from DESC, observed_at DESC, run_id DESC LIMIT 1
"""


@attrs.frozen
class Comparable:
    """A collected account of a run beside its figures of the period just before, if the two may be compared.

    Attributes:
        account_id: the account.
        account_name: when it was listed.
        price_plan_id: from the usage, else from the account list.
        task_count: tasks of the period.
        cycle_count: the maximum of cycles; None over the v1.0 API, which counts none.
        period_from: when the period began; this and all times here are ISO-8601 texts in UTC.
        period_to: its end as the API says it.
        observed_at: when the answer came.
        provisional: whether the period was not over then.
        previous_task_count: tasks of the period before, by its last observation; None when nothing is compared.
        previous_period_from: when that period began.
        previous_period_to: its end as the API says it.
        previous_provisional: whether that observation came before its period was over.
        not_compared: why nothing is compared, or None.
    """

    account_id: str
    account_name: str | None
    price_plan_id: int | None
    task_count: int
    cycle_count: int | None
    period_from: str
    period_to: str
    observed_at: str
    provisional: bool
    previous_task_count: int | None = None
    previous_period_from: str | None = None
    previous_period_to: str | None = None
    previous_provisional: bool | None = None
    not_compared: NotComparable | None = None


@attrs.frozen
class PeriodTotal:
    """The usage of all periods that begin in one calendar month (UTC).

    Each period of an account counts once, by its last observation. Of periods of one account that overlap, because
    they were asked for from different days, only those count that together cover most time without overlap.

    Attributes:
        month: such as ``"2026-10"``.
        accounts: how many accounts have a period that begins in it.
        task_count: their tasks.
        cycle_count: their cycles: the sum over accounts of the maxima that the API reports; the v1.0 API reports none,
            and its accounts add 0.
        provisional: how many accounts were last observed before such a period was over.
    """

    month: str
    accounts: int
    task_count: int
    cycle_count: int
    provisional: int


class UsageReader:
    """A store open for reading, as a context manager; a collection may be writing to it meanwhile.

    Everything streams from the file at flat memory. The methods block: from a coroutine, call
    them in a thread.

    Args:
        path: of the store.

    Raises:
        StoreError: there is no store, or it is damaged or made by a newer release.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: Path = store_path(path)
        # Checking reads the whole run, and one report asks for it several times.
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
            yield from self._rows(_ROWS, (self._checked_run(run_id),), also="")
            return
        self._check_history()
        if run_id is None:
            yield from self._rows(_OBSERVATIONS, (), where="")
        else:
            yield from self._rows(_OBSERVATIONS, (self._checked_run(run_id),), where="WHERE o.run_id = ?")

    def failures(self, run_id: int | None = None) -> Iterator[UsageRow]:
        """Yield the accounts of a run that were asked for and have no usage, ordered by account id."""
        also = "AND i.due = 1 AND i.state IN ('missing', 'forbidden', 'failed')"
        yield from self._rows(_ROWS, (self._checked_run(run_id),), also=also)

    def history(self, account_id: str) -> Iterator[UsageRow]:
        """Yield every observation of one account, ordered by period and time."""
        self._check_history()
        yield from self._rows(_OBSERVATIONS, (account_id,), where="WHERE o.account_id = ?")

    def comparable(self, run_id: int | None = None) -> Iterator[Comparable]:
        """Yield the collected accounts of a run, each beside the period just before, ordered by account id.

        Compared are only periods of one account that follow each other and are of the same length; what the store
        knows of the period before may come from any run. Everything else says why it is not compared.
        """
        self._check_history()
        rows = self._stream(_COMPARABLE, (self._checked_run(run_id),))
        for _, group in itertools.groupby(rows, key=lambda row: row[0]):
            first, *others = group
            current = Period.of(first[5], first[6])
            earlier: dict[str, tuple[Any, ...]] = {}
            for found in (row[8:] for row in (first, *others) if row[8] is not None):
                kept = earlier.get(found[0])
                if kept is None or found[:3] > kept[:3]:  # the last observation of each period
                    earlier[found[0]] = found
            yield self._compared(first[:8], current, earlier)

    def _compared(self, row: tuple[Any, ...], current: Period, earlier: dict[str, tuple[Any, ...]]) -> Comparable:
        provisional = current.provisional(datetime.fromisoformat(row[7]))
        why: NotComparable | None = "no_earlier"
        for start in sorted(earlier, reverse=True):
            _, observed_at, _, period_to, task_count = earlier[start]
            period = Period.of(start, period_to)
            refused = why_not_comparable(current, period)
            if refused is None:
                seen_early = period.provisional(datetime.fromisoformat(observed_at))
                return Comparable(*[*row, provisional, task_count, start, period_to, seen_early])
            why = refused if why == "no_earlier" else why  # that of the nearest
        if not earlier:
            nearest = next(self._stream(_NEAREST, (row[0], row[5])), None)
            why = why_not_comparable(current, None if nearest is None else Period.of(*nearest))
        return Comparable(*[*row, provisional, None, None, None, None, why])

    def trees(self, run_id: int | None = None) -> Iterator[TreeTotal]:
        """Yield what each customer has used together with all sub-accounts, ordered by the id of the topmost account.

        An account that is nobody's sub-account, and has none, is a tree of its own. Accounts are known as sub-accounts
        when they were collected as such: ``session.v1.accounts.collect_usage(subaccounts=True)``.

        Args:
            run_id: the run, or None for the newest.

        Raises:
            StoreError: there is no such run, or the store is damaged.
        """
        run = self._checked_run(run_id)
        if schema_version(self._open()) >= 3:
            yield from tree_totals(self._stream(TREES, {"run": run}))
            return
        for row in self._rows(_ROWS, (run,), also=""):  # nobody is known to be a sub-account
            yield from tree_totals([alone(row)])

    def knows_subaccounts(self, run_id: int | None = None) -> bool:
        """Whether the store knows of a sub-account, up to a run: otherwise :meth:`trees` has nothing to add."""
        if schema_version(self._open()) < 3:
            return False
        query = "SELECT 1 FROM account_fact WHERE parent_account_id IS NOT NULL AND run_id <= ? LIMIT 1"
        return next(self._stream(query, (self.run(run_id).run_id,)), None) is not None

    def findings(self, run_id: int | None = None) -> Iterator[Finding]:
        """Yield what somebody has to look at before the figures of a run are billed, in the order it was found.

        Args:
            run_id: the run, or None for the newest.

        Raises:
            StoreError: there is no such run, or the store is damaged.
        """
        query = f"SELECT {FINDING_COLUMNS} FROM finding WHERE run_id = ? ORDER BY finding_id"  # noqa: S608 - no values
        if self._knows("finding"):
            yield from map(finding_of, self._stream(query, (self.run(run_id).run_id,)))

    def finding_counts(self) -> dict[int, int]:
        """Return how many findings each run has, by its number; runs without any are left out."""
        query = "SELECT run_id, count(*) FROM finding GROUP BY run_id"
        return dict(self._stream(query, ())) if self._knows("finding") else {}

    def _knows(self, table: str) -> bool:
        """Whether there is a table; a store of an earlier release lacks some until something is collected into it."""
        return bool(next(self._stream("SELECT count(*) FROM sqlite_schema WHERE name = ?", (table,)))[0])

    def periods(self) -> list[PeriodTotal]:
        """Return the totals by month, oldest first; reads the whole history, a few seconds per million."""
        self._check_history()
        totals: dict[str, list[int]] = {}
        query = """
            SELECT account_id, period_from, period_to, task_count, cycle_count, observed_at FROM observation
            ORDER BY account_id, period_from, observed_at, run_id
        """
        for _, observations in itertools.groupby(self._stream(query, ()), key=lambda row: row[0]):
            latest = {row[1]: row for row in observations}
            _add(totals, list(latest.values()))
        return [PeriodTotal(month, *figures) for month, figures in sorted(totals.items())]

    def first_known(self, run_id: int | None = None) -> str | None:
        """Return the earliest day or moment at which an account is known to have existed; None when none is.

        Known are the last bill dates in the account list of a run, and every period in the store that has usage.
        """
        listed = (
            "SELECT min(json_extract(account, '$.LastBillDate')) FROM item WHERE run_id = ? AND account IS NOT NULL"
        )
        used = "SELECT min(period_from) FROM observation WHERE task_count > 0 OR cycle_count > 0"
        found = [*self._stream(listed, (self.run(run_id).run_id,)), *self._stream(used, ())]
        return min((text for (text,) in found if isinstance(text, str)), default=None)

    def _checked_run(self, run_id: int | None) -> int:
        """Return the number of a run whose rows are what was written."""
        found = self.run(run_id).run_id
        self._once(found, lambda connection: check_run(connection, self.path, found))
        return found

    def _check_history(self) -> None:
        self._once(None, lambda connection: check_history(connection, self.path))

    # What is checked is remembered by the version of the data, which SQLite changes when another connection commits.
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

    def _rows(self, query: str, values: tuple[object, ...], **parts: str) -> Iterator[UsageRow]:
        known = _APIS if schema_version(self._open()) >= 3 else _NO_APIS
        return itertools.starmap(usage_row, self._stream(query.format(**known, **parts), values))

    def _stream(self, query: str, values: tuple[object, ...] | Mapping[str, object]) -> Iterator[tuple[Any, ...]]:
        with store_errors(self.path, "reading it"):
            cursor = self._open().execute(query, values)
            cursor.arraysize = 1000  # rows of one call: fetchone() would be a call for each of a million rows
            while rows := cursor.fetchmany():
                yield from rows


def _add(totals: dict[str, list[int]], observations: list[tuple[Any, ...]]) -> None:
    """Add one account: accounts, tasks, cycles and provisional accounts of each month."""
    periods = [Period.of(row[1], row[2]) for row in observations]
    own: dict[str, list[int]] = {}
    for index in counted_once([(period, row[5]) for period, row in zip(periods, observations, strict=True)]):
        _, period_from, _, tasks, cycles, observed_at = observations[index]
        figures = own.setdefault(period_from[:7], [1, 0, cycles or 0, 0])
        figures[1] += tasks
        figures[2] = max(figures[2], cycles or 0)  # of one account they are maxima, and no sum
        figures[3] |= periods[index].provisional(datetime.fromisoformat(observed_at))
    for month, figures in own.items():
        total = totals.setdefault(month, [0, 0, 0, 0])
        for position, value in enumerate(figures):
            total[position] += value
