"""Parquet, written by DuckDB, which the extra ``parquet`` brings."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, Final

from cyclr_async.errors import ConfigurationError
from cyclr_async.usage.export.atomic_file import spooling
from cyclr_async.usage.store.rows import COLUMNS, UsageRow

__all__ = ["RecordWriter", "type_of", "write"]

_TYPES: Final = {
    "attempts": "BIGINT",
    "run_id": "BIGINT",
    "price_plan_id": "BIGINT",
    "quantity": "BIGINT",
    "tier": "BIGINT",
    "periods": "BIGINT",
    "accounts": "BIGINT",
    "change": "BIGINT",
    "compared": "BIGINT",
    "provisional": "BOOLEAN",
    "new": "BOOLEAN",
    "counted": "BOOLEAN",
    # Exact: what an invoice shows has at most four digits after the point. A unit price may have twenty: it is a text.
    "amount": "DECIMAL(38, 4)",
    "charge": "DECIMAL(38, 4)",
    "total": "DECIMAL(38, 4)",
    "change_percent": "DECIMAL(38, 1)",
}
_ENDINGS: Final = {
    "_count": "BIGINT",
    "_tasks": "BIGINT",
    # With a zone: without one, a session in another zone would read them as its local time.
    "_from": "TIMESTAMPTZ",
    "_to": "TIMESTAMPTZ",
    "_end": "TIMESTAMPTZ",
    "_at": "TIMESTAMPTZ",
}
"""The types of columns by the end of their names, which mean the same in every export; of all others it is text."""


def type_of(column: str) -> str:
    """Return the type of a column in DuckDB and Parquet, by its name."""
    by_ending = (found for ending, found in _ENDINGS.items() if column.endswith(ending))
    return _TYPES.get(column) or next(by_ending, "VARCHAR")


def _text(value: object) -> str:
    # A price of 0.0000001, and not 1E-7, in a column of texts.
    return format(value, "f") if isinstance(value, Decimal) else str(value)


class _GivenUpError(Exception):
    """What was written is not wanted any more."""


class RecordWriter:
    """Writes records; what they hold is kept in a file beside until the end, because DuckDB takes them as a whole.

    Args:
        stream: where to; it is left open.
        columns: their names, which decide about their types, unless a value does not fit.

    Raises:
        ConfigurationError: the extra is not installed.
    """

    def __init__(self, stream: BinaryIO, columns: Sequence[str]) -> None:
        self._duckdb = _duckdb()
        self._columns = tuple(columns)
        self._types = [type_of(name) for name in columns]
        self._typed = [(index, kind) for index, kind in enumerate(self._types) if kind != "VARCHAR"]
        self._stack = contextlib.ExitStack()
        self._path = self._stack.enter_context(spooling(stream))  # DuckDB writes to a path only
        descriptor, self._name = tempfile.mkstemp(prefix=".usage-", suffix=".jsonl", dir=self._path.parent)
        self._stack.callback(Path(self._name).unlink, missing_ok=True)
        self._lines = self._stack.enter_context(os.fdopen(descriptor, "w", encoding="utf-8", newline="\n"))
        self._encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_text).encode

    def write(self, values: Iterable[object]) -> None:
        """Write one record, its values in the order of the columns."""
        found = list(values)
        for index, kind in self._typed:
            value = found[index]
            if value is not None and not _fits(value, kind):
                self._retype(index, value)
        self._lines.write(self._encode(dict(zip(self._columns, found, strict=True))) + "\n")

    def _retype(self, index: int, value: object) -> None:
        """Give a column another type than its name says: the answer to a question may name an average as it likes.

        DuckDB would round it to the type, or refuse the file.
        """
        number = isinstance(value, float) and self._types[index] in {"BIGINT", "DOUBLE"}
        self._types[index] = "DOUBLE" if number else "VARCHAR"
        self._typed = [(at, kind) for at, kind in enumerate(self._types) if kind != "VARCHAR"]

    def end(self) -> None:
        """Write the file.

        Raises:
            OSError: DuckDB cannot write it.
        """
        with self._stack:
            self._lines.close()
            _convert(self._duckdb, self._name, self._path, dict(zip(self._columns, self._types, strict=True)))

    def discard(self) -> None:
        """Leave nothing behind, after an error."""
        with contextlib.suppress(_GivenUpError), self._stack:
            raise _GivenUpError  # without an error, the file would be taken for a complete one


def write(rows: Iterable[UsageRow], stream: BinaryIO) -> int:
    """Write rows to a file; what the registry calls.

    Raises:
        ConfigurationError: the extra is not installed.
        OSError: DuckDB cannot write it.
    """
    writer = RecordWriter(stream, COLUMNS)
    written = 0
    try:
        for row in rows:
            writer.write([getattr(row, name) for name in COLUMNS])
            written += 1
    except BaseException:
        writer.discard()
        raise
    writer.end()
    return written


def _fits(value: object, kind: str) -> bool:
    """Whether a value is one of a column's type, and none that would be rounded to it."""
    if kind == "BIGINT":
        return isinstance(value, int) and -(2**63) <= value < 2**63
    if kind == "BOOLEAN":
        return value in {0, 1}  # as SQLite has them, too
    if kind == "DOUBLE":
        return isinstance(value, (float, int))
    if kind.startswith("DECIMAL"):
        amount = Decimal(value) if isinstance(value, int) else value
        if not isinstance(amount, Decimal) or not amount.is_finite():
            return False
        places = int(kind[-2])
        exponent = amount.as_tuple().exponent
        return isinstance(exponent, int) and -exponent <= places and amount.adjusted() < 38 - places
    try:
        datetime.fromisoformat(str(value))
    except ValueError:
        return False
    return True


def _convert(duckdb: Any, source: str, target: Path, types: Mapping[str, str]) -> None:
    columns = ", ".join(f"{_quoted(name)}: '{kind}'" for name, kind in types.items())
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
