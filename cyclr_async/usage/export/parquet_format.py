"""Parquet, written by DuckDB, which the extra ``parquet`` brings."""

from __future__ import annotations

import importlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, Final

from cyclr_async.errors import ConfigurationError
from cyclr_async.usage.export.atomic_file import spooling
from cyclr_async.usage.export.jsonl_format import write_jsonl
from cyclr_async.usage.store.rows import COLUMNS, UsageRow

__all__ = ["write"]

_TYPES: Final = {
    "run_id": "BIGINT",
    # With a zone: without one, a session in another zone would read them as its local time.
    "period_from": "TIMESTAMPTZ",
    "period_to": "TIMESTAMPTZ",
    "task_count": "BIGINT",
    "cycle_count": "BIGINT",
    "price_plan_id": "BIGINT",
    "observed_at": "TIMESTAMPTZ",
    "provisional": "BOOLEAN",
    "attempts": "BIGINT",
}


def write(rows: Iterable[UsageRow], stream: BinaryIO) -> int:
    """Write rows to a file; what the registry calls.

    Raises:
        ConfigurationError: the extra is not installed.
        OSError: DuckDB cannot write it.
    """
    duckdb = _duckdb()
    with spooling(stream) as path:  # DuckDB writes to a path only
        descriptor, name = tempfile.mkstemp(prefix=".usage-", suffix=".jsonl", dir=path.parent)
        try:
            # By way of JSON Lines, which DuckDB reads as a whole: its Python interface would take the rows one by one.
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as lines:
                written = write_jsonl(rows, lines)
            _convert(duckdb, name, path)
        finally:
            Path(name).unlink(missing_ok=True)
    return written


def _convert(duckdb: Any, source: str, target: Path) -> None:
    columns = ", ".join(f"'{column}': '{_TYPES.get(column, 'VARCHAR')}'" for column in COLUMNS)
    # One thread and the order of insertion: the same rows make the same bytes. No extension is fetched from the
    # network, whatever the machine is set to.
    options = {"threads": 1, "autoinstall_known_extensions": False, "autoload_known_extensions": False}
    try:
        with duckdb.connect(":memory:", config=options) as connection:
            connection.execute(
                f"COPY (SELECT * FROM read_json({_quoted(source)}, format = 'newline_delimited', "  # noqa: S608
                f"columns = {{{columns}}})) TO {_quoted(str(target))} (FORMAT parquet, COMPRESSION zstd)"
            )
    except duckdb.Error as error:
        failure = OSError(f"{type(error).__name__} from DuckDB")
    else:
        return
    # Raised out here: DuckDB's message quotes rows, and an error raised above would carry it as its context.
    raise failure


def _duckdb() -> Any:  # an optional package, possibly without types
    try:
        return importlib.import_module("duckdb")
    except ModuleNotFoundError:
        failure = ConfigurationError("Parquet needs the extra: pip install 'cyclr-async[parquet]'")
    raise failure


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
