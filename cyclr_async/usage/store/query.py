"""Questions in SQL, asked of documented views, and of nothing else: nothing can be written, attached or loaded."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import re
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import attrs

from cyclr_async.errors import ConfigurationError, InvalidArgumentError, StoreError
from cyclr_async.usage.export.parquet_format import type_of
from cyclr_async.usage.store.integrity import check_history, check_runs, schema_version
from cyclr_async.usage.store.paths import store_path
from cyclr_async.usage.store.schema import connect_readonly, store_errors
from cyclr_async.usage.store.views import VIEWS
from cyclr_async.wire.text import scrub

__all__ = ["Engine", "QueryResult", "query_store"]

Engine: TypeAlias = Literal["auto", "sqlite", "duckdb"]
"""What answers: DuckDB where the extra ``parquet`` has brought it, else SQLite; or the one that is named."""

_ALLOWED: Final = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, 33})
"""What a question may do; 33 is SQLITE_RECURSIVE, which the module of Python has no name for."""
# Functions by which a question would reach out of the store.
_FORBIDDEN: Final = frozenset({"load_extension", "fts3_tokenizer", "readfile", "writefile", "edit"})
_BATCH: Final = 1000


@attrs.frozen
class QueryResult:
    """The answer to a question.

    Attributes:
        columns: their names.
        rows: the rows, read while they are taken.
        engine: which one answers.
    """

    columns: tuple[str, ...]
    rows: Iterator[tuple[Any, ...]]
    engine: str


@contextmanager
def query_store(store: str | os.PathLike[str], sql: str, *, engine: Engine = "auto") -> Iterator[QueryResult]:
    """Ask a store in SQL.

    Args:
        store: the path of the store.
        sql: one statement that reads, over the views that ``docs/usage-store.md`` lists.
        engine: what answers. DuckDB takes a copy of the views that the question names.

    Yields:
        the answer; read its rows within the block.

    Raises:
        StoreError: there is no store, it is damaged, of an earlier version, or the question fails.
        InvalidArgumentError: the question is empty, is no text that can be sent, or would do anything but read.
        ConfigurationError: DuckDB was asked for and is not installed.
    """
    if not sql.strip().rstrip(";"):
        raise InvalidArgumentError("the question is empty: write a SELECT over " + ", ".join(VIEWS))
    if scrub(sql) != sql:
        # An argument of a command whose bytes are no UTF-8 arrives as half characters, which no engine takes.
        raise InvalidArgumentError("the question holds bytes that are no UTF-8: write it anew")
    path = store_path(store)
    chosen = engine
    if engine == "auto":
        chosen = "sqlite" if importlib.util.find_spec("duckdb") is None else "duckdb"
    with closing(_views(path)) as connection:
        if chosen == "sqlite":
            connection.set_authorizer(_authorize)
            with _questions("SQLite", sqlite3.Error):
                cursor = connection.execute(sql)
                columns = tuple(column[0] for column in cursor.description or ())
                if not columns:
                    raise InvalidArgumentError("a question reads: begin it with SELECT or WITH")
                yield QueryResult(columns, _rows(cursor), "sqlite")
            return
        duckdb = _duckdb()
        with tempfile.TemporaryDirectory(prefix=".usage-query-") as folder, duckdb.connect(":memory:") as copy:
            for name in VIEWS:
                if re.search(rf"\b{name}\b", sql, re.IGNORECASE):
                    _load(connection, copy, name, Path(folder))
            # From here on a question reaches nothing but these tables: no file, no network, no other setting.
            copy.execute("SET enable_external_access = false")
            copy.execute("SET lock_configuration = true")
            with _questions("DuckDB", duckdb.Error):
                _refuse_changes(duckdb, copy, sql)
                answer = copy.execute(sql)
                columns = tuple(column[0] for column in answer.description or ())
                yield QueryResult(columns, _rows(answer), "duckdb")


def _refuse_changes(duckdb: Any, copy: Any, sql: str) -> None:
    """Refuse what is not one question: DuckDB would change its copy, and somebody would take it for the store."""
    kinds = [statement.type for statement in copy.extract_statements(sql)]
    # PIVOT is a question too: it becomes several statements, of which the first looks for the columns.
    reading = {getattr(duckdb.StatementType, name) for name in ("SELECT", "EXPLAIN", "MULTI")}
    if len(kinds) != 1:
        raise StoreError(f"DuckDB refuses the question: it is one statement, and this is {len(kinds)}")
    if kinds[0] not in reading:
        raise StoreError("DuckDB refuses the question: a question reads, so begin it with SELECT or WITH")


def _views(path: Path) -> sqlite3.Connection:
    with store_errors(path, "reading it"):
        connection = connect_readonly(path)
        try:
            _refuse_old(connection, path)
            check_runs(connection, path)
            check_history(connection, path)
            connection.execute("PRAGMA query_only = OFF")
            # The text of the store itself is not trusted; these views are ours, and use a function of ours.
            connection.execute("PRAGMA trusted_schema = ON")
            for name, text in VIEWS.items():
                connection.execute(f"CREATE TEMP VIEW {name} AS {text}")
            connection.execute("PRAGMA query_only = ON")
        except BaseException:
            connection.close()
            raise
    return connection


def _refuse_old(connection: sqlite3.Connection, path: Path) -> None:
    if schema_version(connection) < 3:
        raise StoreError(f"the store {path} was made by an earlier release: collect into it once, and it can be asked")


def _authorize(action: int, _first: str | None, second: str | None, *_: object) -> int:
    if action == sqlite3.SQLITE_FUNCTION and str(second).lower() in _FORBIDDEN:
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY


@contextmanager
def _questions(engine: str, error_type: type[Exception]) -> Iterator[None]:
    """Turn what an engine raises about a question into an error that shows its words: they are about the question."""
    try:
        yield
    except error_type as error:
        failure = StoreError(f"{engine} refuses the question: {error}. The views are {', '.join(VIEWS)}")
    else:
        return
    raise failure


def _rows(cursor: Any) -> Iterator[tuple[Any, ...]]:
    while rows := cursor.fetchmany(_BATCH):
        yield from rows


def _load(connection: sqlite3.Connection, copy: Any, name: str, folder: Path) -> None:
    """Copy a view into a table of DuckDB, by way of a file, which it reads faster than rows one by one."""
    cursor = connection.execute(f"SELECT * FROM {name}")  # noqa: S608 - one of our own names
    columns = [column[0] for column in cursor.description]
    file = folder / f"{name}.jsonl"
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    with file.open("w", encoding="utf-8", newline="\n") as lines:
        for row in _rows(cursor):
            lines.write(encode(dict(zip(columns, row, strict=True))) + "\n")
    typed = ", ".join(f"'{column}': '{_column_type(column)}'" for column in columns)
    copy.execute(
        f"CREATE TABLE {name} AS SELECT * FROM "  # noqa: S608 - our own names
        f"read_json({_quoted(str(file))}, format = 'newline_delimited', columns = {{{typed}}})"
    )


def _column_type(column: str) -> str:
    whole: Sequence[str] = ("asked", "ok", "missing", "forbidden", "failed", "gaps", "closing_id", "listing_complete")
    if column in whole or column == "provisional":
        return "BIGINT"  # as SQLite has them
    return "VARCHAR" if column in {"period_start", "period_end"} else type_of(column)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _duckdb() -> Any:  # an optional package, possibly without types
    try:
        return importlib.import_module("duckdb")
    except ModuleNotFoundError:
        failure = ConfigurationError("DuckDB comes with the extra: pip install 'cyclr-async[parquet]'")
    raise failure
