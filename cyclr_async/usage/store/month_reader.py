"""Reading the figures of some months in the order of accounts: the statements' way into the store."""

from __future__ import annotations

import heapq
import zlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cyclr_async.usage.months.figures import AccountFacts, Figure
from cyclr_async.usage.months.period_texts import meant_end
from cyclr_async.usage.store.api_rows import PARTNER_API, rows_of
from cyclr_async.usage.store.integrity import (
    FACT_SUMMED,
    ITEM_SUMMED,
    OBSERVATION_SUMMED,
    checksum,
    damaged,
    form_of,
    schema_version,
)
from cyclr_async.usage.store.month_tables import FIGURE_SUMMED, IS_LONG
from cyclr_async.usage.store.paths import shown

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["ItemState", "MonthReader"]

# Of several observations of a period only the last is a figure. It is looked for in the database: a store that collects
# every night has thirty.
_LATEST: Final = """
    NOT EXISTS (
        SELECT 1 FROM observation AS n {index} WHERE substr(n.period_from, 1, 7) = substr(o.period_from, 1, 7)
            AND n.account_id = o.account_id AND n.period_from = o.period_from
            AND (n.observed_at, n.run_id) > (o.observed_at, o.run_id))
"""
_OVERLAPPED: Final = """
    EXISTS (SELECT 1 FROM observation AS n {index} WHERE substr(n.period_from, 1, 7) = '{following}'
        AND n.account_id = o.account_id AND n.period_from < o.period_to)
"""
_LONG: Final = "EXISTS (SELECT 1 FROM observation AS n WHERE n.account_id = o.account_id AND {is_long})"
_FIGURES: Final = """
    SELECT {columns}
    FROM observation AS o {index} {join}
    WHERE substr(o.period_from, 1, 7) = ? AND o.period_from >= ? AND o.period_from < ? AND {latest}
    ORDER BY o.account_id, o.period_from
"""
# In the order in which _figure() takes them apart; what FIGURE_SUMMED names comes first.
_COLUMNS: Final = (*FIGURE_SUMMED, "observed_at", "run_id")
_SUMMED: Final = len(FIGURE_SUMMED)
_NOTHING_MORE: Final = (None, None)
"""The last fields of a figure whose account is not looked at."""


class ItemState(NamedTuple):
    """What a run says of an account.

    Attributes:
        state: ``pending``, ``ok``, ``missing``, ``forbidden`` or ``failed``.
        error: what it failed with.
        reason: the same in words.
        facts: what the account list said.
    """

    state: str
    error: str | None
    reason: str | None
    facts: AccountFacts


class MonthReader:
    """The figures of one stretch of time, each account's together.

    Args:
        connection: of a store, in a transaction: everything is read as of one moment.
        path: of the store, for messages.
        first: from when on periods begin that are read; a stored time.
        end: before when they begin.
        facts_from: from when on figures come with what the account list says.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, first: str, end: str, *, facts_from: str) -> None:
        self._connection = connection
        self._path = path
        self._first, self._end, self._facts_from = first, end, facts_from
        # A store that no collection has opened yet is of an earlier version, and lacks what later ones have.
        version = schema_version(connection)
        self._indexed, self._has_sums = version >= 3, version >= 2
        self._index = "INDEXED BY observation_month" if self._indexed else ""
        self._sums = [
            "o.figure_sum" if self._indexed else "NULL",
            "o.observed_copy" if self._has_sums else "o.observed_at",
        ]
        self._item = ", ".join(f"i.{name}" for name in ITEM_SUMMED) + (", i.checksum" if self._has_sums else ", NULL")
        api = "api" if self._indexed else f"'{PARTNER_API}'"
        runs = connection.execute(f"SELECT run_id, {api} FROM run")  # noqa: S608 - our own names
        self._api_ids = {run_id for run_id, name in runs if rows_of(name).has_api_id}
        # Most stores know of nobody's parent: then nothing is looked up for a million accounts.
        self._has_facts = self._indexed and self._exists("SELECT 1 FROM account_fact")
        self._has_long = self._exists(f"SELECT 1 FROM observation WHERE {IS_LONG}")  # noqa: S608

    def figures(self) -> Iterator[Figure]:
        """Yield the figure of every period that begins in the stretch, ordered by account and period."""
        months = _months(self._first[:7], self._end[:7])
        there = [month for month in months if self._has_month(month)]
        streams = [
            self._month(month, following)
            for month, following in zip(months, [*months[1:], ""], strict=True)
            if month in there
        ]
        return streams[0] if len(streams) == 1 else heapq.merge(*streams)

    def _has_month(self, month: str) -> bool:
        query = f"SELECT 1 FROM observation {self._index} WHERE substr(period_from, 1, 7) = ?"  # noqa: S608
        return self._exists(query, month)

    def _exists(self, query: str, *values: object) -> bool:
        return self._connection.execute(f"{query} LIMIT 1", values).fetchone() is not None

    def _month(self, month: str, following: str) -> Iterator[Figure]:
        following = following or _months(month, "9999")[1]
        doubts = []
        if self._has_month(following):
            doubts.append(_OVERLAPPED.format(index=self._index, following=following))
        if self._has_long:
            doubts.append(_LONG.format(is_long=_of("n", IS_LONG)))
        with_facts = self._end > self._facts_from and month >= self._facts_from[:7]
        columns = [f"o.{name}" for name in _COLUMNS]
        columns += [" OR ".join(doubts) or "0", *self._sums]
        join = ""
        if with_facts:
            columns.append(self._item)
            join = "LEFT JOIN item AS i ON i.run_id = o.run_id AND i.account_id = o.account_id"
        query = _FIGURES.format(
            columns=", ".join(columns), index=self._index, join=join, latest=_LATEST.format(index=self._index)
        )
        cursor = self._connection.execute(query, (month, self._first, self._end))
        cursor.arraysize = 500  # fetchone() would be a call for each of a million rows
        last = ""
        while rows := cursor.fetchmany():
            figures = self._figures_with_facts(rows) if with_facts else self._plain_figures(rows)
            for figure in figures:
                account_id = figure[0]
                if account_id < last:
                    raise damaged(self._path, f"its observations are out of order after account {shown(last)!r}")
                last = account_id
                yield _as_meant(figure) if figure[8] in self._api_ids else figure

    # The two below run for every account of a month, so what is a call elsewhere is worked out in line.
    def _plain_figures(self, rows: Sequence[tuple[Any, ...]]) -> Iterator[Figure]:
        form, crc, new, checked = form_of(_SUMMED), zlib.crc32, tuple.__new__, self._has_sums
        for row in rows:
            if checked and (row[10] != crc((form % row[:_SUMMED]).encode()) or row[11] != row[7]):
                self._check_whole(row)
            yield new(Figure, row[:10] + _NOTHING_MORE)

    def _figures_with_facts(self, rows: Sequence[tuple[Any, ...]]) -> Iterator[Figure]:
        form, crc, new, checked = form_of(_SUMMED), zlib.crc32, tuple.__new__, self._has_sums
        item_form = form_of(len(ITEM_SUMMED))
        simple = checked and not self._has_facts and not self._api_ids
        for row in rows:
            if checked and (row[10] != crc((form % row[:_SUMMED]).encode()) or row[11] != row[7]):
                self._check_whole(row)
            item = row[12:]
            if simple and item[-1] == crc((item_form % item[:-1]).encode()):
                facts = new(AccountFacts, (item[4], item[5], item[6], None, None, None))
            else:
                facts = self._facts(row[8], row[0], item)
            yield new(Figure, (*row[:10], facts, None))

    def _figure(self, row: Sequence[Any]) -> Figure:
        if self._has_sums and (row[10] != checksum(*row[:_SUMMED]) or row[11] != row[7]):
            self._check_whole(row)
        figure = Figure._make((*row[:10], None, None))
        return _as_meant(figure) if row[8] in self._api_ids else figure

    def _check_whole(self, row: Sequence[Any]) -> None:
        """Check an observation that was written before figures had a checksum of their own by that of the whole row.

        Raises:
            StoreError: it has one and it is wrong, or the row is not that of the index.
        """
        found = None
        if row[10] is None:
            columns = ", ".join((*OBSERVATION_SUMMED, "checksum", "observed_copy"))
            query = f"""
                SELECT {columns} FROM observation
                WHERE (account_id, period_from, observed_at, run_id) = (?, ?, ?, ?)
            """  # noqa: S608 - our own names
            key = row[0], row[1], row[7], row[8]
            found = self._connection.execute(query, key).fetchone()
        if found is None or tuple(found[: len(FIGURE_SUMMED)]) != tuple(row[: len(FIGURE_SUMMED)]):
            sound = False
        else:
            sound = found[-2] == checksum(*found[:-2]) and found[-1] == row[7]
        if not sound:
            raise damaged(self._path, f"what was observed of account {shown(str(row[0]))!r} has changed")

    def _facts(self, run_id: int, account_id: str, item: Sequence[Any]) -> AccountFacts:
        api_id = account_id if run_id in self._api_ids else None
        if item[0] is None:  # the usage is there, and the account is not: a repair may have left it so
            return AccountFacts(api_id=api_id)
        if self._has_sums and item[-1] != checksum(*item[:-1]):
            raise damaged(self._path, f"what it says of account {shown(account_id)!r} has changed")
        parent, task_audit_info = self._lasting(run_id, account_id) if self._has_facts else (None, None)
        return AccountFacts(item[4], item[5], item[6], task_audit_info, api_id, parent)

    def _lasting(self, run_id: int, account_id: str) -> tuple[str | None, str | None]:
        """Return the parent and the task audit info of an account, as a run knows them."""
        query = f"""
            SELECT checksum, {", ".join(FACT_SUMMED)} FROM account_fact WHERE account_id = ? AND run_id <= ?
            ORDER BY run_id DESC LIMIT 1
        """  # noqa: S608 - our own names
        row = self._connection.execute(query, (account_id, run_id)).fetchone()
        if row is None:
            return None, None
        if row[0] != checksum(*row[1:]):
            raise damaged(self._path, f"what it says of account {shown(account_id)!r} has changed")
        return row[3], row[4]

    def facts(self, run_id: int, account_id: str) -> AccountFacts:
        """Return what the account list of a run said of an account."""
        query = f"SELECT {self._item} FROM item AS i WHERE i.run_id = ? AND i.account_id = ?"  # noqa: S608
        row = self._connection.execute(query, (run_id, account_id)).fetchone()
        return AccountFacts() if row is None else self._facts(run_id, account_id, row)

    def newest_facts(self, account_id: str) -> AccountFacts | None:
        """Return what the newest run that knows an account says of it; None when none does."""
        for (run_id,) in self._connection.execute("SELECT run_id FROM run ORDER BY run_id DESC"):
            item = self.item(run_id, account_id)
            if item is not None:
                return item.facts
        return None

    def history(self, account_id: str) -> list[Figure]:
        """Return the figure of every period of an account, whenever it began, in order."""
        found: dict[str, Figure] = {}
        for figure in self.observations(account_id):
            found[figure.period_from] = figure  # the last observation comes last
        return list(found.values())

    def observations(self, account_id: str) -> Iterator[Figure]:
        """Yield every observation of an account, ordered by period and time."""
        query = f"""
            SELECT {self._plain_columns()} FROM observation AS o WHERE o.account_id = ?
            ORDER BY o.period_from, o.observed_at, o.run_id
        """  # noqa: S608 - our own names
        for row in self._connection.execute(query, (account_id,)):
            yield self._figure(row)

    def nearest(self, account_id: str, before: str) -> Figure | None:
        """Return the figure of an account's last period that began before a moment, or None."""
        query = f"""
            SELECT {self._plain_columns()} FROM observation AS o WHERE o.account_id = ? AND o.period_from < ?
            ORDER BY o.period_from DESC, o.observed_at DESC, o.run_id DESC LIMIT 1
        """  # noqa: S608 - our own names
        row = self._connection.execute(query, (account_id, before)).fetchone()
        return None if row is None else self._figure(row)

    def _plain_columns(self) -> str:
        return ", ".join([*(f"o.{name}" for name in _COLUMNS), "0", *self._sums])

    def runs_of(self, first: str, end: str, first_day: str, end_day: str) -> list[tuple[int, bool]]:
        """Return the runs that are about periods that begin in a stretch, newest first.

        Those that observed one; that asked for one of its days; or that asked, within it, for the period under way.

        Args:
            first: the stretch, by stored times.
            end: its end, exclusive.
            first_day: the same by days.
            end_day: its end, exclusive.

        Returns:
            the number of each, and whether its account list is complete: whom it does not name was not there.
        """
        observed: set[int] = set()
        for month in _months(first[:7], end[:7]):
            query = f"""
                SELECT DISTINCT run_id FROM observation {self._index}
                WHERE substr(period_from, 1, 7) = ? AND period_from >= ? AND period_from < ?
            """  # noqa: S608 - our own names
            observed |= {row[0] for row in self._connection.execute(query, (month, first, end))}
        ids = "ids" if self._has_sums else "NULL"
        # Both are about every account; a tree has the sub-accounts besides.
        complete = f"{ids} IN ('all', 'tree') AND listing_complete"
        query = f"SELECT run_id, from_date, created_at, {complete} FROM run ORDER BY run_id DESC"  # noqa: S608
        found = []
        for run_id, from_date, created_at, listed in self._connection.execute(query):
            asked = first <= created_at < end if from_date is None else first_day <= from_date < end_day
            if asked or run_id in observed:
                found.append((run_id, bool(listed)))
        return found

    def refused(self, run_ids: Sequence[int]) -> Iterator[str]:
        """Yield the accounts that some of these runs has no usage of, in order; an account may come several times."""
        query = "SELECT account_id FROM item {index} WHERE run_id = ? AND due = 1{turn} ORDER BY account_id"
        streams = []
        for run_id in run_ids:
            if self._has_sums:
                # One stream for each turn, as the index has them: nothing needs sorting.
                text = query.format(index="INDEXED BY item_due", turn=" AND turn = ?")
                streams += [self._connection.execute(text, (run_id, turn)) for turn in (1, 2, 3)]
            else:
                streams.append(self._connection.execute(query.format(index="", turn=""), (run_id,)))
        for (account_id,) in heapq.merge(*streams):
            yield account_id

    def item(self, run_id: int, account_id: str) -> ItemState | None:
        """Return what a run says of an account; None when it does not know it."""
        query = f"SELECT i.state, {self._item} FROM item AS i WHERE i.run_id = ? AND i.account_id = ?"  # noqa: S608
        row = self._connection.execute(query, (run_id, account_id)).fetchone()
        if row is None:
            return None
        return ItemState(row[0], row[3], row[4], self._facts(run_id, account_id, row[1:]))


def _as_meant(figure: Figure) -> Figure:
    """Return a figure of the v1.0 API with the end of its period that is meant."""
    end = meant_end(figure.period_from, figure.period_to, figure.observed_at)
    return figure if end == figure.period_to else figure._replace(period_to=end, said_to=figure.period_to)


def _of(table: str, condition: str) -> str:
    return condition.replace("period_", f"{table}.period_")


def _months(first: str, last: str) -> list[str]:
    """Return the calendar months from one to another; of ``9999`` only the next one."""
    year, month = int(first[:4]), int(first[5:7])
    found = [first]
    while found[-1] < last and (len(last) == 7 or len(found) < 2):
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
        found.append(f"{year:04}-{month:02}")
    return found
