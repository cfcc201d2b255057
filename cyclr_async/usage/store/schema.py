"""The tables of a usage store, and how a connection to them is made. ``docs/usage-store.md`` describes them."""

from __future__ import annotations

import logging
import os
import sqlite3
from contextlib import closing, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from cyclr_async.errors import CyclrError, StoreError
from cyclr_async.usage.months.periods import look_back_text, month_after_text, period_end_text
from cyclr_async.usage.store.integrity import (
    SEALS,
    SEALS_OF_APIS,
    add_checksum,
    advice,
    check_answers,
    check_structure,
    damaged,
    is_large,
)
from cyclr_async.usage.store.month_tables import MONTH_TABLES
from cyclr_async.usage.store.paths import shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = [
    "APPLICATION_ID",
    "SCHEMA_VERSION",
    "be_careful",
    "connect",
    "connect_readonly",
    "is_newer",
    "migrate",
    "shape_is_right",
    "store_errors",
]

APPLICATION_ID: Final = 0x4359_5553  # "CYUS"
SCHEMA_VERSION: Final = 3
_MINIMUM_SQLITE: Final = (3, 37, 0)  # STRICT tables

_log = logging.getLogger("cyclr_async.usage.store")

_VERSION_1: Final = (
    """
    CREATE TABLE run (
        run_id INTEGER PRIMARY KEY AUTOINCREMENT,
        base_url TEXT NOT NULL,
        partner TEXT NOT NULL,
        from_date TEXT,
        status TEXT NOT NULL CHECK (status IN ('running', 'interrupted', 'partial', 'complete', 'abandoned')),
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        finished_at TEXT,
        listing_complete INTEGER NOT NULL DEFAULT 0,
        asked INTEGER NOT NULL DEFAULT 0,
        ok INTEGER NOT NULL DEFAULT 0,
        missing INTEGER NOT NULL DEFAULT 0,
        forbidden INTEGER NOT NULL DEFAULT 0,
        failed INTEGER NOT NULL DEFAULT 0
    ) STRICT
    """,
    """
    CREATE TABLE item (
        run_id INTEGER NOT NULL REFERENCES run,
        account_id TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('pending', 'ok', 'missing', 'forbidden', 'failed')),
        due INTEGER NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        updated_at TEXT,
        period_from TEXT,
        observed_at TEXT,
        error TEXT,
        reason TEXT,
        account_name TEXT,
        account_plan_id INTEGER,
        account_audit_info TEXT,
        account TEXT,
        PRIMARY KEY (run_id, account_id)
    ) STRICT, WITHOUT ROWID
    """,
    # What is left to ask, so that resuming a finished million costs nothing.
    "CREATE INDEX item_due ON item (run_id, account_id) WHERE due = 1",
    # Clustered by account and period: the previous period of an account lies beside the present one.
    """
    CREATE TABLE observation (
        account_id TEXT NOT NULL,
        period_from TEXT NOT NULL,
        observed_at TEXT NOT NULL,
        run_id INTEGER NOT NULL REFERENCES run,
        period_to TEXT NOT NULL,
        task_count INTEGER NOT NULL,
        cycle_count INTEGER NOT NULL,
        price_plan_id INTEGER,
        audit_info TEXT,
        payload TEXT NOT NULL,
        PRIMARY KEY (account_id, period_from, observed_at, run_id)
    ) STRICT, WITHOUT ROWID
    """,
)

# Every new store is made as version 1 and led through the same statements as an old one, so that both are alike.
_VERSION_2: Final = (
    # Which accounts a run is about, see RunScope.ids; NULL in runs of version 1, where nobody noted it ...
    "ALTER TABLE run ADD COLUMN ids TEXT",
    # ... but only a run that had read the whole account list has this mark.
    "UPDATE run SET ids = 'all' WHERE listing_complete = 1",
    # When the oldest figure was observed: how old a run is must be known without reading a million accounts.
    "ALTER TABLE run ADD COLUMN oldest_at TEXT",
    "UPDATE run SET oldest_at = (SELECT min(observed_at) FROM item WHERE item.run_id = run.run_id)",
    # The run whose figures this one takes over as it meets the same accounts.
    "ALTER TABLE run ADD COLUMN supersedes INTEGER REFERENCES run",
    # In which order a continued run asks: 1 never asked before, 2 failed before, 3 refused (403, 404) before.
    "ALTER TABLE item ADD COLUMN turn INTEGER NOT NULL DEFAULT 1",
    "DROP INDEX item_due",
    "CREATE INDEX item_due ON item (run_id, turn, account_id) WHERE due = 1",
    # What somebody has to look at before the figures of a run are billed; account_id is NULL for the run itself.
    """
    CREATE TABLE finding (
        finding_id INTEGER PRIMARY KEY,
        run_id INTEGER NOT NULL REFERENCES run,
        account_id TEXT,
        kind TEXT NOT NULL,
        detail TEXT NOT NULL,
        found_at TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX finding_of ON finding (run_id, account_id, kind)",
    # Last, so that they cover the columns above.
    *SEALS,
)
# From here on a run says over which API it was collected. None of these statements touches a row of an account or an
# observation: a store of some gigabytes needs no room for a copy, only for the index by month.
_VERSION_3: Final = (
    # The v1.0 API counts no cycles. ALTER TABLE cannot take a NOT NULL away, and SQLite's documentation names this way
    # for it: the text of the table changes, and nothing of what is stored. Only this part of the text is replaced,
    # because other programs may have added columns of their own.
    "PRAGMA writable_schema = ON",
    """
    UPDATE sqlite_schema SET sql = replace(sql, 'cycle_count INTEGER NOT NULL', 'cycle_count INTEGER')
    WHERE type = 'table' AND name = 'observation'
    """,
    "PRAGMA writable_schema = RESET",  # which also has the text read anew
    "ALTER TABLE run ADD COLUMN api TEXT NOT NULL DEFAULT 'partner' CHECK (api IN ('partner', 'v1'))",
    # What is known of an account beyond a run, one row for each change: it says in every month the same, and most
    # accounts have none. A run knows what the last row up to it says.
    """
    CREATE TABLE account_fact (
        account_id TEXT NOT NULL,
        run_id INTEGER NOT NULL REFERENCES run,
        parent_account_id TEXT,
        task_audit_info TEXT,
        checksum INTEGER NOT NULL,
        PRIMARY KEY (account_id, run_id)
    ) STRICT, WITHOUT ROWID
    """,
    # How many of these rows a run has made, so that a lost one is noticed.
    "ALTER TABLE run ADD COLUMN facts INTEGER NOT NULL DEFAULT 0",
    *SEALS_OF_APIS,
    *MONTH_TABLES,
)
_MIGRATIONS: Final = (_VERSION_1, _VERSION_2, _VERSION_3)
"""Statement by statement, what leads from each version to the next; the first makes an empty file a store."""

# A store holds texts of some kilobytes. A damaged length must not make SQLite ask for a gigabyte of memory.
_LONGEST_VALUE: Final = 64 << 20
_FULL: Final = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")
_DAMAGED: Final = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
# A name of a column that is not there any more, a text that is not UTF-8, a value that is too long: with statements
# that have worked before, only a changed file explains it.
_NONSENSE: Final = frozenset(
    {"SQLITE_ERROR", "SQLITE_TOOBIG", "SQLITE_MISMATCH", "OperationalError", "DatabaseError", "DataError"}
)


@contextmanager
def store_errors(path: Path, doing: str) -> Iterator[None]:
    """Turn what SQLite raises, or what comes of a damaged value, into :class:`StoreError` that says what to do."""
    try:
        yield
    except CyclrError:
        raise
    except sqlite3.Error as error:
        failure = _explain(error, path, doing)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        failure = damaged(path, f"{type(error).__name__} while {doing}")
    else:
        return
    raise failure


def _explain(error: sqlite3.Error, path: Path, doing: str) -> StoreError:
    where = shown(path)
    name = getattr(error, "sqlite_errorname", "") or type(error).__name__
    if name.startswith(_DAMAGED):
        return StoreError(
            f"{where} is not a usable store ({name} while {doing}): it is damaged or not a SQLite file. "
            f"{advice(path)}; or choose another path"
        )
    if name.startswith(_FULL):
        return StoreError(
            f"the store {where} cannot be written ({name} while {doing}): the disk may be full or the place read-only. "
            "What was committed is kept; make room and resume"
        )
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreError(f"the store {where} is locked by another program ({name} while {doing}): close it and resume")
    if name in _NONSENSE:
        return StoreError(f"the store {where} failed ({name} while {doing}) and may be damaged. {advice(path)}")
    return StoreError(f"the store {where} failed ({name} while {doing})")


def connect(path: Path) -> sqlite3.Connection:
    """Open the store for writing, and create its tables when the file is new or empty.

    Raises:
        StoreError: not a store, damaged, made by a newer version, or not writable.
    """
    if sqlite3.sqlite_version_info < _MINIMUM_SQLITE:
        raise StoreError(f"the store needs SQLite 3.37 or later, and this Python has {sqlite3.sqlite_version}")
    try:
        # Created here and not by SQLite, because its files take over the mode of the first. An existing file is not
        # opened: to close it again would take SQLite's locks off it, if it is read elsewhere in this process.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        pass
    except OSError as error:
        raise StoreError(f"cannot open the store {shown(path)}: {error.strerror}") from None
    with store_errors(path, "opening it"):
        connection = sqlite3.connect(path, isolation_level=None, timeout=5.0, check_same_thread=False)
        try:
            _prepare(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    be_careful(connection)
    fresh = _is_empty(connection)
    if not fresh:
        _check_identity(connection, path)
        if not is_large(connection):
            check_structure(connection, path)  # before anything is written: that would damage more
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        _log.warning("the file system of the store offers no shared memory; using a rollback journal instead of WAL")
        connection.execute("PRAGMA journal_mode = DELETE")
    _add_functions(connection)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA cache_size = -500")
    connection.execute("PRAGMA journal_size_limit = 16777216")
    connection.execute("PRAGMA wal_autocheckpoint = 1000")
    version = 0 if fresh else connection.execute("PRAGMA user_version").fetchone()[0]
    if version < SCHEMA_VERSION:
        if not fresh:
            check_answers(connection, path)  # what it says now will be sealed
        migrate(connection, version)
        if not fresh:
            _log.info("the store %s was brought from schema version %d to %d", shown(path), version, SCHEMA_VERSION)


def be_careful(connection: sqlite3.Connection) -> None:
    """Let SQLite look twice at pages it reads, and run nothing that a file brings along."""
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)


def migrate(connection: sqlite3.Connection, version: int, until: int = SCHEMA_VERSION) -> None:
    """Lead the tables from a version to another, in one transaction: killed on the way, nothing has changed."""
    add_checksum(connection)
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statements in _MIGRATIONS[version:until]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {until}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _add_functions(connection: sqlite3.Connection) -> None:
    """Make the functions of periods known to SQL: what a period is is said in one place."""
    connection.create_function("period_end", 2, period_end_text, deterministic=True)
    connection.create_function("month_after", 1, month_after_text, deterministic=True)
    connection.create_function("period_look_back", 2, look_back_text, deterministic=True)


def _is_empty(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0)


def _check_identity(connection: sqlite3.Connection, path: Path) -> None:
    if _is_empty(connection):
        raise StoreError(f"{shown(path)} is empty: nothing has been collected into it")
    identity = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if identity != APPLICATION_ID:
        raise StoreError(f"{shown(path)} is a SQLite file of another program: choose another path")
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"the store {shown(path)} has schema version {version} and this release knows {SCHEMA_VERSION}: "
            "use the release that made it, or a later one"
        )
    if not shape_is_right(connection):
        raise damaged(path, "its tables are not those that were made")


def shape_is_right(connection: sqlite3.Connection) -> bool:
    """Whether a store has the tables, indexes and triggers of its version; it may have others besides."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return 1 <= version <= SCHEMA_VERSION and _has_shape(connection, version)


def is_newer(connection: sqlite3.Connection) -> bool:
    """Whether a later release made the store; its version alone does not tell, for one bit makes another of it."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    identity = connection.execute("PRAGMA application_id").fetchone()
    same = _shape(connection) == _expected_shape(SCHEMA_VERSION)
    return bool(version > SCHEMA_VERSION and identity == (APPLICATION_ID,) and not same)


def _has_shape(connection: sqlite3.Connection, version: int) -> bool:
    found, expected = _shape(connection), _expected_shape(version)
    for name, wanted in expected.items():
        there = found.get(name)
        if isinstance(wanted, tuple) and isinstance(there, tuple):
            columns, traits = there
            there = columns[: len(wanted[0])], traits  # a program that reads it may have added columns of its own
        if there != wanted:
            return False
    return True


def _shape(connection: sqlite3.Connection) -> dict[str, object]:
    """Return what the tables, indexes and triggers of a store are, by name."""
    shape: dict[str, object] = {}
    for kind, name, sql in connection.execute("SELECT type, name, sql FROM sqlite_schema").fetchall():
        shape[name] = " ".join(str(sql).split())
        if kind == "table":  # the text of a changed table is SQLite's, and may differ between its versions
            columns = connection.execute("SELECT * FROM pragma_table_xinfo(?)", (name,)).fetchall()
            traits = connection.execute("SELECT wr, strict FROM pragma_table_list WHERE name = ?", (name,)).fetchall()
            shape[name] = (columns, traits)
    return shape


@cache
def _expected_shape(version: int) -> dict[str, object]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection, 0, version)
        return _shape(connection)


def connect_readonly(path: Path) -> sqlite3.Connection:
    """Open the store for reading only; a writer may be at work meanwhile.

    Raises:
        StoreError: there is no such file, or it is not a usable store.
    """
    if not path.is_file():
        raise StoreError(f"there is no store at {shown(path)}")
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        options = "mode=rw"  # a connection that may not write could not clean up the write-ahead log at its end
    elif path.with_name(path.name + "-wal").exists():
        options = "mode=ro"
    else:
        options = "mode=ro&immutable=1"  # on read-only media: no room for shared memory, and no writer
    with store_errors(path, "opening it"):
        connection = sqlite3.connect(
            f"{_uri(path)}?{options}",
            uri=True,
            isolation_level=None,
            timeout=5.0,
            check_same_thread=False,
        )
        try:
            be_careful(connection)
            connection.execute("PRAGMA query_only = ON")
            _add_functions(connection)
            _check_identity(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def _uri(path: Path) -> str:
    """Return ``file://`` with an empty host and the bytes of the path, whatever they are."""
    text = path.as_posix()
    return "file://" + quote(os.fsencode(text if text.startswith("/") else f"/{text}"))
