"""Whether a store still holds what was written to it: checksums of rows, copies of what a run is, and counts.

SQLite notices a page that makes no sense, and takes a page whose figures have changed for what it is. So every account
and every observation carries a CRC of its columns, a run carries a copy of its own, and the rows of a run are counted
against its counters. Together with the order of the keys this finds what is changed, missing, or there twice.

What may change without the row being written anew is not in a checksum: the run and the state of an account are
compared with its observation and with the counters, and where another program may have good reason to change something
(the times, what a run is), the database itself changes the copy, by a trigger. A flipped bit runs no trigger.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from cyclr_async.errors import StoreError
from cyclr_async.usage.store.month_tables import FIGURE_SUMMED
from cyclr_async.usage.store.paths import shown
from cyclr_async.usage.store.rows import utc_text
from cyclr_async.wire.dates import parse_datetime
from cyclr_async.wire.text import scrub

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = [
    "BETWEEN",
    "FACT_SUMMED",
    "ITEM_SUMMED",
    "OBSERVATION_SUMMED",
    "RUN_SEALED",
    "SEALS",
    "SEALS_OF_APIS",
    "add_checksum",
    "advice",
    "check_answers",
    "check_history",
    "check_run",
    "check_runs",
    "check_structure",
    "checksum",
    "damaged",
    "form_of",
    "is_large",
    "payload_agrees",
    "schema_version",
    "seal_agrees",
    "sealed",
    "sealed_columns",
    "sealed_text",
]

ITEM_SUMMED: Final = (
    "account_id",
    "attempts",
    "error",
    "reason",
    "account_name",
    "account_plan_id",
    "account_audit_info",
    "account",
)
"""The columns of an account that its checksum is made of, in order."""

OBSERVATION_SUMMED: Final = (
    "account_id",
    "period_from",
    "period_to",
    "task_count",
    "cycle_count",
    "price_plan_id",
    "audit_info",
    "payload",
)
"""The columns of an observation that its checksum is made of, in order; its time has a copy of its own."""

FACT_SUMMED: Final = ("account_id", "run_id", "parent_account_id", "task_audit_info")
"""The columns of what is known of an account beyond a run that its checksum is made of, in order."""

_RUN_SEALED_2: Final = (
    "run_id",
    "base_url",
    "partner",
    "from_date",
    "status",
    "created_at",
    "updated_at",
    "finished_at",
    "listing_complete",
    "asked",
    "ok",
    "missing",
    "forbidden",
    "failed",
    "observations",
    "ids",
    "oldest_at",
    "supersedes",
)
RUN_SEALED: Final = (*_RUN_SEALED_2, "api", "facts")
"""The columns of a run that its second copy is made of, in order. Each schema version only adds some."""
# Control characters, which separate unambiguously because the texts beside them are ids, times and JSON.
BETWEEN, _NULL = "\x1f", "\x1e"
_STATES: Final = ("pending", "ok", "missing", "forbidden", "failed")
# Above this the whole file is not checked at every opening: some 8 seconds per gigabyte, and more where the file is not
# in memory. The rows of the run that goes on, and of what is read, are checked in any case.
_LARGEST_CHECKED: Final = 4 << 30


def _listed(columns: Sequence[str], table: str = "") -> str:
    return ", ".join(f"{table}{column}" for column in columns)


def _copy_of(columns: Sequence[str]) -> str:
    """Return the SQL of the second copy of a run."""
    # A text that one bit has turned into bytes shows as such.
    return f" || char({ord(BETWEEN)}) || ".join(
        f"coalesce(iif(typeof(run.{column}) = 'blob', hex(run.{column}), run.{column}), char({ord(_NULL)}))"
        for column in columns
    )


def _sealing(columns: Sequence[str]) -> tuple[str, ...]:
    """Return the statements that give every run its second copy, and let the database itself keep it.

    Runs are few, and change in many statements.
    """
    copy = _copy_of(columns)
    return (
        f"UPDATE run SET seal = {copy}",  # noqa: S608 - constants, as below
        f"""
        CREATE TRIGGER run_inserted AFTER INSERT ON run BEGIN
            UPDATE run SET seal = {copy} WHERE run_id = NEW.run_id;
        END
        """,  # noqa: S608
        f"""
        CREATE TRIGGER run_updated AFTER UPDATE OF {", ".join(columns)} ON run BEGIN
            UPDATE run SET seal = {copy} WHERE run_id = NEW.run_id;
        END
        """,  # noqa: S608
    )


SEALS: Final = (
    "ALTER TABLE item ADD COLUMN checksum INTEGER",
    "ALTER TABLE observation ADD COLUMN checksum INTEGER",
    "ALTER TABLE observation ADD COLUMN observed_copy TEXT",
    """
    CREATE TRIGGER observation_updated AFTER UPDATE OF observed_at ON observation BEGIN
        UPDATE observation SET observed_copy = NEW.observed_at
        WHERE (account_id, period_from, observed_at, run_id)
            = (NEW.account_id, NEW.period_from, NEW.observed_at, NEW.run_id);
    END
    """,
    # Rows from before get theirs now, once what can be compared was compared: from here on, none is without.
    f"UPDATE item SET checksum = checksum({', '.join(ITEM_SUMMED)})",  # noqa: S608 - constants
    f"UPDATE observation SET checksum = checksum({', '.join(OBSERVATION_SUMMED)}), observed_copy = observed_at",  # noqa: S608
    # How many observations a run has made. Wherever they are moved, the sum over all runs stays.
    "ALTER TABLE run ADD COLUMN observations INTEGER NOT NULL DEFAULT 0",
    """
    UPDATE run SET observations = found.number
    FROM (SELECT run_id, count(*) AS number FROM observation GROUP BY run_id) AS found WHERE found.run_id = run.run_id
    """,
    "ALTER TABLE run ADD COLUMN seal TEXT",
    *_sealing(_RUN_SEALED_2),
)
"""The statements of schema version 2 that belong to this module."""

SEALS_OF_APIS: Final = ("DROP TRIGGER run_inserted", "DROP TRIGGER run_updated", *_sealing(RUN_SEALED))
"""The statements of schema version 3 that belong to this module: a run says more, and so does its copy."""

_RUN: Final = (
    "SELECT asked, asked - ok - missing - forbidden - failed, ok, missing, forbidden, failed FROM run WHERE run_id = ?"
)
_WRONG_RUNS: Final = "SELECT run_id FROM run WHERE seal IS NOT {copy}"
_FACTS: Final = f"SELECT checksum, {_listed(FACT_SUMMED)} FROM account_fact ORDER BY account_id, run_id"  # noqa: S608
_ROWS: Final = f"""
    SELECT i.state, i.due, {{item_sum}}, {{observation_sum}}, {_listed(ITEM_SUMMED, "i.")},
        {_listed(OBSERVATION_SUMMED, "o.")}
    FROM item AS i LEFT JOIN observation AS o
        ON o.account_id = i.account_id AND o.period_from = i.period_from AND o.observed_at = i.observed_at
        AND o.run_id = i.run_id
    WHERE i.run_id = ? ORDER BY i.account_id
"""  # noqa: S608 - constants
_HISTORY: Final = f"""
    SELECT run_id, observed_at, {{copy}}, {{sum}}, {_listed(OBSERVATION_SUMMED)} FROM observation
    ORDER BY account_id, period_from, observed_at, run_id
"""  # noqa: S608 - constants
_PAYLOADS: Final = """
    SELECT o.account_id, o.period_from, o.period_to, o.task_count, o.cycle_count, o.price_plan_id, o.audit_info,
        o.payload
    FROM observation AS o WHERE {where}
"""


def sealed_columns(seal: object) -> tuple[str, ...] | None:
    """Return the columns that a copy of a run is made of, told by their number; None when it is no copy."""
    number = str(seal).count(BETWEEN) + 1
    return next((columns for columns in (_RUN_SEALED_2, RUN_SEALED) if len(columns) == number), None)


def seal_agrees(run: Mapping[str, object], seal: object) -> bool:
    """Whether a run and its copy say the same."""
    columns = sealed_columns(seal)
    return columns is not None and seal == BETWEEN.join(sealed_text(run.get(name)) for name in columns)


def sealed_text(value: object) -> str:
    """Return a column of a run as it stands in the copy."""
    return _NULL if value is None else str(value)


# The fastest way from columns to one text: half the time of a join, for millions of rows.
_FORMS: Final = {
    len(columns): f"%s{BETWEEN}" * len(columns)
    for columns in (ITEM_SUMMED, OBSERVATION_SUMMED, FIGURE_SUMMED, FACT_SUMMED)
}


def form_of(columns: int) -> str:
    """Return the form by which so many columns become the text that a checksum is of."""
    return _FORMS[columns]


def checksum(*values: object) -> int:
    """Return the CRC of the columns of a row: of their texts, each with a control character behind it."""
    return zlib.crc32((_FORMS[len(values)] % values).encode())


def add_checksum(connection: sqlite3.Connection) -> None:
    """Make ``checksum`` known to the SQL of a connection that writes."""
    connection.create_function("checksum", -1, checksum, deterministic=True)


def damaged(path: Path, what: str) -> StoreError:
    """Return the error for a store that does not hold what was written to it."""
    return StoreError(f"the store {shown(path)} is damaged: {what}. {advice(path)}")


def advice(path: Path) -> str:
    """Return what to do about a damaged store."""
    return (
        f"Restore a copy of it, or save what is sound: cyclr usage repair --store {shown(path)} (in Python "
        "cyclr_async.usage.repair_store) keeps the old file beside, and the next collection asks for the rest"
    )


def schema_version(connection: sqlite3.Connection) -> int:
    """Return the schema version of a store: readers leave an old one as it is."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def sealed(connection: sqlite3.Connection) -> bool:
    """Whether the store has checksums: from schema version 2 on."""
    return schema_version(connection) >= 2


def is_large(connection: sqlite3.Connection) -> bool:
    """Whether to check the whole file would take too long."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    return bool(pages * size > _LARGEST_CHECKED)


def check_structure(connection: sqlite3.Connection, path: Path) -> None:
    """Check pages, keys and types of the whole file. About 3 seconds per gigabyte.

    Raises:
        StoreError: something is wrong.
    """
    # Not quick_check: that leaves out whether the index of what is due is right, which costs next to nothing here.
    (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        raise damaged(path, str(found).splitlines()[-1])


def check_runs(connection: sqlite3.Connection, path: Path) -> None:
    """Compare each run with its own copy.

    Raises:
        StoreError: they differ.
    """
    if sealed(connection):
        copy = _copy_of(RUN_SEALED if schema_version(connection) >= 3 else _RUN_SEALED_2)
        for (run_id,) in connection.execute(_WRONG_RUNS.format(copy=copy)):
            raise damaged(path, f"what it says of run {run_id} has changed")


def check_run(connection: sqlite3.Connection, path: Path, run_id: int) -> None:
    """Check every account of a run with its usage, and count them. About 3 seconds per million.

    Raises:
        StoreError: something is changed, missing or there twice; the message names the account where it is known.
    """
    with _snapshot(connection):
        counts = connection.execute(_RUN, (run_id,)).fetchone()
        if counts is None:
            raise damaged(path, f"run {run_id} is missing")
        found = dict.fromkeys(_STATES, 0)
        known = sealed(connection)
        last = ""
        split = 4 + len(ITEM_SUMMED)
        query = _ROWS.format(
            item_sum="i.checksum" if known else "NULL", observation_sum="o.checksum" if known else "NULL"
        )
        for row in connection.execute(query, (run_id,)):
            state, due, item_sum, observation_sum = row[:4]
            item, observation = row[4:split], row[split:]
            account_id, observed = item[0], observation[0] is not None
            if not isinstance(account_id, str) or account_id <= last:
                raise damaged(path, f"its accounts are out of order after {shown(last)!r}")
            last = account_id
            if known and (checksum(*item) != item_sum or (observed and checksum(*observation) != observation_sum)):
                raise damaged(path, f"what it says of account {shown(account_id)!r} has changed")
            if state not in found or due not in {0, 1}:
                raise damaged(path, f"the state of account {shown(account_id)!r} makes no sense")
            if (state == "ok") != observed:
                raise damaged(path, f"the usage of account {shown(account_id)!r} is missing or not its own")
            if state == "pending" and not due:
                raise damaged(path, f"account {shown(account_id)!r} would never be asked for")
            found[state] += 1
        if counts != (sum(found.values()), *found.values()):
            raise damaged(path, f"run {run_id} has {sum(found.values())} accounts, and its counters say {counts[0]}")
        if not known:
            check_answers(connection, path, run_id)
        _check_facts(connection, path)


def _check_facts(connection: sqlite3.Connection, path: Path) -> None:
    """Check what is known of accounts beyond a run, and count it. Few accounts have any."""
    if schema_version(connection) < 3:
        return
    number = 0
    for row_sum, *row in connection.execute(_FACTS):
        if checksum(*row) != row_sum:
            raise damaged(path, f"what it knows of account {shown(str(row[0]))!r} has changed")
        number += 1
    (expected,) = connection.execute("SELECT coalesce(sum(facts), 0) FROM run").fetchone()
    if number != expected:
        raise damaged(path, f"it knows {number} facts of accounts, and {expected} were written")


def check_history(connection: sqlite3.Connection, path: Path) -> None:
    """Check every observation of every run, and count them. About 2 seconds per million.

    Raises:
        StoreError: something is changed, missing or there twice; the message names the account where it is known.
    """
    with _snapshot(connection):
        last: tuple[object, ...] = ("", "", "", 0)
        number = 0
        known = sealed(connection)
        query = _HISTORY.format(copy="observed_copy", sum="checksum") if known else _HISTORY.format(copy="0", sum="0")
        for run_id, at, at_copy, row_sum, *row in connection.execute(query):
            place = (row[0], row[1], at, run_id)
            if not all(isinstance(part, str) for part in place[:3]) or place <= last:
                raise damaged(path, f"its observations are out of order after account {shown(str(last[0]))!r}")
            last = place
            number += 1
            if known and (at != at_copy or checksum(*row) != row_sum):
                raise damaged(path, f"what was observed of account {shown(row[0])!r} has changed")
        if known:
            (expected,) = connection.execute("SELECT coalesce(sum(observations), 0) FROM run").fetchone()
            if number != expected:
                raise damaged(path, f"it holds {number} observations, and {expected} were written")
        else:
            check_answers(connection, path)
        _check_facts(connection, path)


def payload_agrees(
    period_from: object, period_to: object, tasks: object, cycles: object, plan: object, audit: object, payload: str
) -> bool:
    """Whether the columns of an observation say what the answer said that they were taken from.

    Raises:
        ValueError: the payload is no answer.
        LookupError: it lacks something.
    """
    if payload == "{}":
        return True  # nothing was kept to compare with
    data = json.loads(payload)
    text = data.get("AuditInfo")
    return (tasks, cycles, plan, audit, period_from, period_to) == (
        data["TaskCount"],
        data["CycleCount"],
        data.get("CurrentPricePlanId"),
        None if text is None else scrub(text),
        utc_text(parse_datetime(data["FromDate"])),
        utc_text(parse_datetime(data["ToDate"])),
    )


def check_answers(connection: sqlite3.Connection, path: Path, run_id: int | None = None) -> None:
    """Compare the columns of observations with the answers kept beside: in a store of version 1, without checksums.

    Raises:
        StoreError: they differ; the message names the account.
    """
    where, values = ("true", ()) if run_id is None else ("o.run_id = ?", (run_id,))
    for account_id, *columns in connection.execute(_PAYLOADS.format(where=where), values):
        try:
            agrees = payload_agrees(*columns)
        except (ValueError, LookupError, TypeError, AttributeError):
            agrees = False
        if not agrees:
            raise damaged(path, f"the columns of account {shown(str(account_id))!r} and the answer kept beside differ")


@contextmanager
def _snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """Read everything as of one moment: a collection may be writing meanwhile."""
    begun = not connection.in_transaction
    if begun:
        connection.execute("BEGIN")
    try:
        yield
    finally:
        if begun:
            with suppress(sqlite3.Error):  # an error of the file may have ended the transaction
                connection.execute("ROLLBACK")
