"""Data on standard output or in a file: table, JSON, JSON Lines, CSV, with the same field names in each."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self, TextIO

import click

from cyclr_async.cli.options import FORMATS, Options
from cyclr_async.cli.terminal import data_stream
from cyclr_async.errors import CyclrError
from cyclr_async.usage.export.atomic_file import replacing
from cyclr_async.usage.export.csv_format import formula_safe
from cyclr_async.usage.export.registry import EXPORTERS, format_of_suffix
from cyclr_async.wire.text import escape_terminal, json_term, scrub

__all__ = ["Destination", "Output", "chosen_format", "json_text", "plain", "stream_broke"]

_BINARY: Final = ("xlsx", "parquet")
"""Formats that a terminal or a pipe of text cannot take."""
_SUFFIXES: Final = {".json": "json", ".txt": "table"}
"""Of what is no format of an export; those of the others are in the registry of exporters."""


def chosen_format(options: Options) -> str:
    """Return the format: ``-o``, else the suffix of ``--out``, else table on a terminal and jsonl in a pipe.

    Raises:
        click.UsageError: the suffix names no format, or a format that is no text has no file.
    """
    if options.output is not None:
        if options.output in _BINARY and options.out is None:
            raise click.UsageError(f"{options.output} is no text: name a file with --out")
        return options.output
    if options.out is None:
        return "table" if sys.stdout.isatty() else "jsonl"
    path = Path(options.out)
    found = _SUFFIXES.get(path.suffix.lower()) or format_of_suffix(path)
    if found is None:
        raise click.UsageError(f"the suffix of {options.out!r} names no format: add -o {'|'.join(FORMATS)}")
    return found


def plain(value: Any) -> Any:
    """Return what JSON can hold: times as ISO-8601 in UTC, amounts as texts of all their digits, secrets masked."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no number for it, and a question in SQL can have it as its answer
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, Decimal):
        return format(value, "f")  # a price of 0.0000001, and not 1E-7
    if isinstance(value, datetime):
        text = value.astimezone(UTC).replace(tzinfo=None).isoformat()
        return f"{text}Z"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return scrub(str(value))


def json_text(value: object) -> str:
    """Return JSON in one line in which nothing can act on a terminal; readable letters stay as they are."""
    return json_term(json.dumps(plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":")))


class _Form(Protocol):
    def write(self, record: Mapping[str, Any]) -> None: ...

    def end(self) -> None: ...


class _JsonLines:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, record: Mapping[str, Any]) -> None:
        self._stream.write(json_text(record) + "\n")
        self._stream.flush()  # a reader sees each row when it is there

    def end(self) -> None:
        self._stream.flush()


class _Json:
    def __init__(self, stream: TextIO, *, many: bool) -> None:
        self._stream = stream
        self._many = many
        self._separator = "[\n" if many else ""

    def write(self, record: Mapping[str, Any]) -> None:
        self._stream.write(self._separator + json_text(record))
        self._separator = ",\n"

    def end(self) -> None:
        if self._many:
            self._stream.write("[]" if self._separator == "[\n" else "\n]")
        self._stream.write("\n")


class _Csv:
    def __init__(self, stream: TextIO, columns: Sequence[str]) -> None:
        self._safe = formula_safe
        self._terminal = stream.isatty()
        self._columns = columns
        self._writer = csv.writer(stream, lineterminator="\r\n")
        self._writer.writerow(columns)

    def write(self, record: Mapping[str, Any]) -> None:
        self._writer.writerow([self._cell(record.get(name)) for name in self._columns])

    def _cell(self, found: Any) -> Any:
        value = plain(found)
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(found, Decimal):
            return value  # a fall by 8.9 % begins with a sign as a formula does, and is none: it stays a figure
        if isinstance(value, (dict, list)):
            value = json_text(value)
        if not isinstance(value, str):
            return value
        return self._safe(escape_terminal(value) if self._terminal else value)

    def end(self) -> None:
        pass


class _Exported:
    """A format of the registry of exporters, which writes bytes.

    Args:
        stream: text, with the binary stream below.
        form: the format.
        columns: the fields.
    """

    def __init__(self, stream: TextIO, form: str, columns: Sequence[str]) -> None:
        self._columns = columns
        stream.flush()
        self._writer = EXPORTERS[form].record_writer(stream.buffer, columns)

    def write(self, record: Mapping[str, Any]) -> None:
        self._writer.write([self._value(record.get(name)) for name in self._columns])

    def _value(self, value: Any) -> Any:
        # Amounts stay figures, which these formats know; everything else is what the other formats show.
        found = value if isinstance(value, Decimal) else plain(value)
        return json_text(found) if isinstance(found, (dict, list)) else found

    def end(self) -> None:
        self._writer.end()

    def discard(self) -> None:
        self._writer.discard()


def stream_broke(error: BaseException | None) -> bool:
    """Tell whether an error is about where data goes: one of the connection to the API is an OSError as well."""
    return isinstance(error, OSError) and not isinstance(error, CyclrError)


class Destination:
    """Where data goes: standard output, or the file of ``--out``, which is replaced only by something whole.

    Args:
        out: the file, or None.
        raw: whether standard output is to be UTF-8 whatever the locale says; a table follows the locale.
    """

    def __init__(self, out: str | None, *, raw: bool) -> None:
        self._target = None if out is None else Path(out)
        self._raw = raw
        self._file = ExitStack()

    def open(self) -> TextIO:
        """Return what to write to."""
        if self._target is None:
            self._stream = data_stream() if self._raw else sys.stdout
            return self._stream
        try:
            stream = self._file.enter_context(replacing(self._target))
        except OSError as error:
            raise self.refusal(error) from None
        self._stream = io.TextIOWrapper(stream, encoding="utf-8", newline="")
        return self._stream

    def refusal(self, error: OSError) -> OSError | click.FileError:
        """Return the error of a write by the name of the file; that of standard output is itself."""
        if self._target is None:
            return error
        return click.FileError(str(self._target), error.strerror or "cannot be written")

    def close(self, end: Callable[[], None], error: BaseException | None, *, always: bool) -> None:
        """Write the end and keep what was written; after an error the old file stays.

        Args:
            end: writes what comes last.
            error: that ended the command, or None.
            always: whether the end is written to standard output also after an error, so that it can be parsed.
        """
        if self._target is None:
            if not stream_broke(error) and (always or error is None):
                end()
                self._stream.flush()
            return
        if error is not None:
            self._file.__exit__(type(error), error, error.__traceback__)  # what was there before stays
            return
        try:
            with self._file:
                end()
                self._stream.flush()
        except OSError as problem:
            raise self.refusal(problem) from None


class Output:
    """Where a command writes its records, as a context manager.

    A file is replaced only when everything was written; standard output is always left complete, so that what was
    written before an error can be parsed.

    Args:
        options: the shared options.
        columns: the fields, in order; stable names in snake_case.
        many: False for a command that has exactly one record.
        table: the columns of a table, when a table shows fewer.
    """

    def __init__(
        self, options: Options, columns: Sequence[str], *, many: bool = True, table: Sequence[str] | None = None
    ) -> None:
        self.format: str = chosen_format(options)
        self._options = options
        self._columns = self._selected(columns, table)
        self._many = many
        self._destination = Destination(options.out, raw=self.format != "table")

    def _selected(self, columns: Sequence[str], table: Sequence[str] | None) -> tuple[str, ...]:
        if self._options.fields is None:
            return tuple(table if table is not None and self.format == "table" else columns)
        wanted = tuple(name.strip() for name in self._options.fields.split(",") if name.strip())
        unknown = [name for name in wanted if name not in columns]
        if unknown or not wanted:
            raise click.UsageError(f"unknown fields: {', '.join(unknown) or 'none'}; there are {', '.join(columns)}")
        return wanted

    def __enter__(self) -> Self:
        self._stream = self._destination.open()
        self._form = self._made()
        return self

    def _made(self) -> _Form:
        if self.format == "jsonl":
            return _JsonLines(self._stream)
        if self.format == "json":
            return _Json(self._stream, many=self._many)
        if self.format == "csv":
            return _Csv(self._stream, self._columns)
        if self.format in EXPORTERS:
            return _Exported(self._stream, self.format, self._columns)
        from cyclr_async.cli.output_table import TableForm  # noqa: PLC0415 - rich, which help and pipes do without

        return TableForm(self._stream, self._columns, self._options, many=self._many)

    def write(self, record: Mapping[str, Any]) -> None:
        """Write one record; fields that are not columns are left out."""
        try:
            self._form.write({name: record.get(name) for name in self._columns})
        except OSError as error:
            raise self._destination.refusal(error) from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None and isinstance(self._form, _Exported):
            self._form.discard()  # it has files of its own until its end
        self._destination.close(self._form.end, error, always=self._many)
