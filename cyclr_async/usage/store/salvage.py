"""Copying what is sound of a damaged store into a new one, row by row; nothing doubtful is copied."""

from __future__ import annotations

import logging
import sqlite3
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import attrs

from cyclr_async.usage.store.api_rows import PARTNER_API
from cyclr_async.usage.store.integrity import (
    BETWEEN,
    FACT_SUMMED,
    ITEM_SUMMED,
    OBSERVATION_SUMMED,
    checksum,
    payload_agrees,
    seal_agrees,
    sealed_columns,
    sealed_text,
)
from cyclr_async.usage.store.month_tables import FIGURE_SUMMED
from cyclr_async.usage.store.rows import utc_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["TABLES", "UNREADABLE", "RepairedRun", "Salvage"]

_log = logging.getLogger("cyclr_async.usage.store")

# How often a damaged stretch of a table is entered once more, between the sound rows on its two sides: enough for some
# hundred damaged pages, and an end where most of the file is noise.
_ATTEMPTS: Final = 2000
_KEY_BYTES: Final = 24  # of a key, by which the middle of a stretch is found
_FIRST_PAGES: Final = 16  # at least; all tables begin among them
TABLES: Final = ("run", "item", "observation", "account_fact")
# What SQLite raises on a damaged page; a ValueError where its message quotes bytes that are no text.
UNREADABLE: Final = (sqlite3.Error, ValueError)
_AFTER_ALL: Final = b"\xff" * _KEY_BYTES  # no text begins so
_STATES: Final = frozenset({"pending", "ok", "missing", "forbidden", "failed"})


@attrs.frozen
class RepairedRun:
    """What became of one run.

    Attributes:
        run_id: its number.
        accounts: how many accounts it still has.
        lost: how many it had and has no more; None when that is not known either.
        due: how many of its accounts had a usage that was lost, and are to be asked for again.
        rebuilt: how many accounts lost all but their usage: their names come back with the account list.
    """

    run_id: int
    accounts: int
    lost: int | None
    due: int
    rebuilt: int = 0


class Salvage:
    """One pass from the old file to the new one."""

    def __init__(self, old: sqlite3.Connection, new: sqlite3.Connection) -> None:
        self._old = old
        self._new = new
        self._attempts = _ATTEMPTS
        self._from_before = old.execute("PRAGMA user_version").fetchone() == (1,)  # without checksums
        self._due: dict[int, int] = {}
        self._rebuilt: dict[int, int] = {}
        # Accounts, observations and facts of the sound runs.
        self._expected: dict[int, tuple[int, int | None, int]] = {}
        self.runs: set[int] = set()

    def copy(self) -> None:
        """Copy everything that is sound, in one transaction."""
        self._new.execute("BEGIN IMMEDIATE")
        self._copy_runs()
        self._copy_observations()
        self._make_missing_runs()
        self._copy_facts()
        for run_id in sorted(self.runs):
            self._copy_items(run_id)
        self._copy_others()
        for run_id in self.runs:
            self._settle(run_id)
        self._new.execute("COMMIT")

    def result(self) -> tuple[tuple[RepairedRun, ...], int, int | None]:
        """Return what was saved and lost."""
        runs = []
        for run_id in sorted(self.runs, reverse=True):
            (accounts,) = self._one("SELECT count(*) FROM item WHERE run_id = ?", run_id)
            expected = self._expected.get(run_id)
            lost = None if expected is None else max(0, expected[0] - accounts)
            runs.append(RepairedRun(run_id, accounts, lost, self._due[run_id], self._rebuilt[run_id]))
        (saved,) = self._one("SELECT count(*) FROM observation")
        made = [observations for _, observations, _ in self._expected.values()]
        known = len(made) == len(self.runs) and None not in made
        return tuple(runs), saved, max(0, sum(made) - saved) if known else None  # type: ignore[arg-type]

    def _one(self, query: str, *values: object) -> Any:
        return self._new.execute(query, values).fetchone()

    def _columns(self, table: str) -> list[str]:
        """Return the columns that both files have."""
        query = "SELECT name FROM pragma_table_xinfo(?)"
        there = {name for (name,) in self._old.execute(query, (table,))}
        return [name for (name,) in self._new.execute(query, (table,)) if name in there]

    def _copy_runs(self) -> None:
        columns = self._columns("run")
        sealed = "seal" in columns
        for row in self._readable("run", columns, "run_id"):
            found = dict(zip(columns, row, strict=True))
            seal = found.pop("seal", None)
            sound = not sealed or seal_agrees(found, seal)
            values = found if sound else _trusted(found, seal)
            if values is not None:
                # Under a new table of contents a run of an earlier schema version has columns that it never had.
                values = {name: value for name, value in values.items() if value is not None}
            if values is None or not self._insert("run", values):
                continue
            self.runs.add(values["run_id"])
            if sound:
                expected = values["asked"], values.get("observations"), values.get("facts") or 0
                self._expected[values["run_id"]] = expected

    def _copy_observations(self) -> None:
        columns = self._columns("observation")
        for row in self._stretches("observation", columns, "", ()):
            values = dict(zip(columns, row, strict=True))
            summed = [values[name] for name in OBSERVATION_SUMMED]
            found, at = values.get("checksum"), values["observed_at"]
            if found is not None:
                sound = found == checksum(*summed) and at == values["observed_copy"]
            else:
                sound = _has_its_payload(values)
            if sound:
                figures = checksum(*(values[name] for name in FIGURE_SUMMED))
                sums = {"checksum": checksum(*summed), "figure_sum": figures, "observed_copy": at}
                self._insert("observation", values | sums)

    def _make_missing_runs(self) -> None:
        """Keep the observations of a run that could not be read, for the history: only its partner must be known."""
        known = self._one("SELECT base_url, partner FROM run ORDER BY run_id DESC LIMIT 1")
        query = "SELECT run_id, min(observed_at), max(observed_at) FROM observation GROUP BY run_id"
        for run_id, first, last in self._new.execute(query).fetchall():
            if run_id in self.runs:
                continue
            if known is None or not isinstance(run_id, int):
                self._new.execute("DELETE FROM observation WHERE run_id = ?", (run_id,))
                continue
            base_url, partner = known
            values = {"run_id": run_id, "base_url": base_url, "partner": partner, "status": "abandoned"}
            if self._insert("run", values | {"created_at": first, "updated_at": last, "finished_at": last}):
                self.runs.add(run_id)

    def _copy_facts(self) -> None:
        """Copy what is known of accounts beyond a run; what is lost comes back with the account list."""
        columns = self._columns("account_fact")
        if not columns:
            return  # of an earlier schema version
        for row in self._stretches("account_fact", columns, "", ()):
            values = dict(zip(columns, row, strict=True))
            if (
                values["checksum"] == checksum(*(values[name] for name in FACT_SUMMED))
                and values["run_id"] in self.runs
            ):
                self._insert("account_fact", values)

    def _copy_items(self, run_id: int) -> None:
        columns = self._columns("item")
        usages = "SELECT 1 FROM observation WHERE (account_id, period_from, observed_at, run_id) = (?, ?, ?, ?)"
        due = 0
        for row in self._stretches("item", columns, "run_id = ? AND", (run_id,)):
            values = dict(zip(columns, row, strict=True))
            summed = [values[name] for name in ITEM_SUMMED]
            found = values.get("checksum")
            if found != checksum(*summed) and (found is not None or not self._from_before):
                continue
            usage = values["account_id"], values["period_from"], values["observed_at"], run_id
            has_usage = self._one(usages, *usage) is not None
            if values["state"] not in _STATES or (values["state"] == "ok") != has_usage:
                values |= {"state": "pending", "period_from": None, "observed_at": None}
            values |= {"run_id": run_id, "due": int(values["state"] != "ok"), "checksum": checksum(*summed)}
            if (
                self._insert("item", values)
                and values["state"] == "pending"
                and row[columns.index("state")] != "pending"
            ):
                due += 1
        self._due[run_id] = due
        self._make_missing_items(run_id)

    def _make_missing_items(self, run_id: int) -> None:
        """Put accounts back whose row is lost and whose usage is not."""
        query = """
            SELECT account_id, period_from, max(observed_at) FROM observation AS o
            WHERE run_id = ? AND NOT EXISTS (
                SELECT 1 FROM item WHERE item.run_id = o.run_id AND item.account_id = o.account_id)
            GROUP BY account_id
        """
        found = self._new.execute(query, (run_id,)).fetchall()
        self._rebuilt[run_id] = len(found)
        for account_id, period_from, observed_at in found:
            values = {"run_id": run_id, "account_id": account_id, "state": "ok", "due": 0, "updated_at": observed_at}
            values |= {"period_from": period_from, "observed_at": observed_at}
            self._insert("item", values | {"checksum": checksum(account_id, 0, *[None] * (len(ITEM_SUMMED) - 2))})

    def _copy_others(self) -> None:
        """Copy what other tables there are, row by row as far as they can be read."""
        tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        for (table,) in self._new.execute(tables).fetchall():
            columns = self._columns(table)
            if table not in TABLES and columns:
                for row in self._readable(table, columns, "rowid"):
                    self._insert(table, dict(zip(columns, row, strict=True)))

    def _settle(self, run_id: int) -> None:
        """Count a run anew; one that lost something is unfinished."""
        states = dict(self._new.execute("SELECT state, count(*) FROM item WHERE run_id = ? GROUP BY state", (run_id,)))
        (observations,) = self._one("SELECT count(*) FROM observation WHERE run_id = ?", run_id)
        (facts,) = self._one("SELECT count(*) FROM account_fact WHERE run_id = ?", run_id)
        counts = [sum(states.values()), *(states.get(name, 0) for name in ("ok", "missing", "forbidden", "failed"))]
        self._new.execute(
            "UPDATE run SET asked = ?, ok = ?, missing = ?, forbidden = ?, failed = ?, observations = ?, "
            "facts = ? WHERE run_id = ?",
            (*counts, observations, facts, run_id),
        )
        if "oldest_at" in self._columns("run"):
            oldest = "UPDATE run SET oldest_at = (SELECT min(observed_at) FROM item WHERE run_id = ?) WHERE run_id = ?"
            self._new.execute(oldest, (run_id, run_id))
        expected = self._expected.get(run_id)
        fewer = expected is None or counts[0] < expected[0] or facts < expected[2]
        if fewer or self._due[run_id] or self._rebuilt[run_id]:
            self._new.execute(
                "UPDATE run SET listing_complete = 0, status = iif(status = 'abandoned', status, 'partial') "
                "WHERE run_id = ?",
                (run_id,),
            )

    def _insert(self, table: str, values: dict[str, Any]) -> bool:
        """Insert a row unless it is there already, or holds what the table does not take."""
        names = ", ".join(values)
        marks = ", ".join("?" * len(values))
        try:
            cursor = self._new.execute(
                f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})",  # noqa: S608 - names of our own tables
                tuple(values.values()),
            )
        except (sqlite3.Error, OverflowError, ValueError):
            return False
        return cursor.rowcount == 1

    def _readable(self, table: str, columns: Sequence[str], key: str) -> Iterator[tuple[Any, ...]]:
        """Yield the rows before the first damaged page and after the last; some of them twice."""
        for direction in ("ASC", "DESC"):
            try:
                yield from self._old.execute(
                    f"SELECT {', '.join(columns)} FROM {table} ORDER BY {key} {direction}"  # noqa: S608 - our own names
                )
            except UNREADABLE as error:
                _log.debug("reading %s stopped: %s", table, error)
            else:
                return

    def _stretches(
        self, table: str, columns: Sequence[str], where: str, values: tuple[object, ...]
    ) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a table with text keys, from both sides of every damaged stretch; some of them twice."""
        stretches = deque([(b"", _AFTER_ALL)])
        query = (
            f"SELECT CAST(account_id AS BLOB), {', '.join(columns)} FROM {table} WHERE {where} "  # noqa: S608
            "account_id >= CAST(? AS TEXT) AND account_id <= CAST(? AS TEXT) ORDER BY account_id "
        )
        while stretches:
            low, high = stretches.popleft()
            for direction in ("ASC", "DESC"):
                try:
                    for key, *row in self._old.execute(query + direction, (*values, low, high)):
                        yield tuple(row)
                        low, high = (key, high) if direction == "ASC" else (low, key)
                except UNREADABLE as error:
                    _log.debug("reading %s stopped: %s", table, error)
                else:
                    break
            else:
                middle = _between(low, high)
                self._attempts -= 1
                if middle is not None and self._attempts > 0:
                    # The widest first: in a stretch that is one damaged page there is nothing to find.
                    stretches += [(low, middle), (middle, high)]


def _trusted(values: dict[str, Any], seal: object) -> dict[str, Any] | None:
    """Return what the two copies of a run agree on, or None without its number and its partner."""
    columns = sealed_columns(seal)
    if columns is None:
        return None
    second = dict(zip(columns, str(seal).split(BETWEEN), strict=True))
    sure = {name: values.get(name) for name in columns if sealed_text(values.get(name)) == second[name]}
    if not {"run_id", "base_url", "partner"} <= sure.keys():
        return None
    now = utc_text(datetime.now(UTC))
    # Without its day or its age it must not be continued.
    status = "partial" if {"from_date", "created_at"} <= sure.keys() else "abandoned"
    kept = {name: sure.get(name) for name in ("run_id", "base_url", "partner", "from_date", "finished_at")}
    kept["api"] = sure.get("api", PARTNER_API)
    return kept | {
        "status": status,
        "created_at": sure.get("created_at", now),
        "updated_at": sure.get("updated_at", now),
    }


def _has_its_payload(values: dict[str, Any]) -> bool:
    names = ("period_from", "period_to", "task_count", "cycle_count", "price_plan_id", "audit_info", "payload")
    try:
        return payload_agrees(*(values[name] for name in names))
    except (ValueError, LookupError, TypeError, AttributeError):
        return False


def _between(low: bytes, high: bytes) -> bytes | None:
    """Return a key in the middle of two, or None when there is none."""
    first, last = (int.from_bytes(key[:_KEY_BYTES].ljust(_KEY_BYTES, b"\0"), "big") for key in (low, high))
    middle = (first + last) // 2
    return None if middle in {first, last} else middle.to_bytes(_KEY_BYTES, "big")
