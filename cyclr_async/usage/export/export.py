"""Exports, derived from a store: CSV, JSON Lines and Parquet, with the same bytes for the same store every time."""

from __future__ import annotations

import contextlib
import csv
import importlib
import io
import itertools
import json
import os
import re
import tempfile
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any, BinaryIO, Final, Literal, TypeAlias

import attrs

from cyclr_async.errors import ConfigurationError, InvalidArgumentError, StoreError
from cyclr_async.usage.export.atomic_file import replacing, spooling
from cyclr_async.usage.store.paths import shown
from cyclr_async.usage.store.reader import UsageReader
from cyclr_async.usage.store.rows import COLUMNS, UsageRow
from cyclr_async.wire.text import scrub

__all__ = ["COLUMNS", "ExportResult", "Format", "export_usage", "formula_safe", "text_safe", "write_csv", "write_jsonl"]

Format: TypeAlias = Literal["csv", "jsonl", "parquet"]

_SUFFIXES: Final[dict[str, Format]] = {
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
_FORMULA_START: Final = frozenset("=+-@|%\t\r\0")
# After each of these a cell may begin: the list separators of the world's spreadsheets, and every end of a line.
_SEPARATORS: Final = frozenset(",;\t|\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029")
# Most texts: a letter or a digit first, and nothing after which a cell could begin.
_HARMLESS: Final = re.compile(f"(?:[A-Za-z0-9][^{''.join(sorted(_SEPARATORS))}]*)?")
_PARTNER_TEXTS: Final = frozenset({"account_id", "account_name", "audit_info"})
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


@attrs.frozen
class ExportResult:
    """What :func:`export_usage` wrote.

    Attributes:
        path: the file.
        format: ``"csv"``, ``"jsonl"`` or ``"parquet"``.
        rows: how many rows it holds.
    """

    path: Path
    format: Format
    rows: int


def formula_safe(text: str) -> str:
    """Put ``'`` before whatever a spreadsheet could take for a formula in a text.

    That is the text itself, and what follows a comma, a semicolon, a tab, a bar or the end of a line in it: a
    spreadsheet whose list separator is another than the file's begins a cell there. Looked at is the first character
    that shows, after NFKC folding, so that neither blanks, nor quotation marks, nor byte order marks, nor zero-width
    characters, nor full-width signs can carry a formula past the check.
    """
    if _HARMLESS.fullmatch(text):
        return text
    starts = [0, *(index + 1 for index, char in enumerate(text) if char in _SEPARATORS), len(text)]
    pieces = itertools.pairwise(starts)
    return "".join(f"'{text[a:b]}" if _starts_formula(text, a) else text[a:b] for a, b in pieces)


def _starts_formula(text: str, start: int) -> bool:
    for char in itertools.islice(text, start, None):
        if any(folded in _FORMULA_START for folded in unicodedata.normalize("NFKC", char)):
            return True
        if not _is_blank(char):
            return False
    return False


def _is_blank(char: str) -> bool:
    # A quotation mark counts: where it encloses the cell, it is not part of it.
    return (
        char == '"' or char.isspace() or unicodedata.category(char) in {"Cc", "Cf", "Cn", "Mn", "Me", "Zs", "Zl", "Zp"}
    )


def text_safe(text: str) -> str:
    """Put ``'`` before a text that holds a digit: whatever the language, no spreadsheet makes a number or a date of it.

    Excel and LibreOffice read ``0123`` as 123, ``12e42`` as 1.2E+43 and ``1-2`` as a day, quoted or not. Both show the
    ``'``: there is no sign in a CSV file that says "text" and is not seen.
    """
    return f"'{text}" if any(char.isnumeric() for char in unicodedata.normalize("NFKC", text)) else text


def write_csv(
    rows: Iterable[UsageRow], stream: IO[str], *, raw: bool = False, excel: bool = False, text: bool = False
) -> int:
    r"""Write rows as CSV: a header, minimal quoting, lines ended by CR LF.

    Args:
        rows: what :meth:`UsageReader.rows` yields.
        stream: a text stream opened with ``newline=""``; UTF-8.
        raw: leave texts as they are. For machines only: a spreadsheet runs what an account name tells it to.
        excel: begin with a byte order mark, by which Excel knows UTF-8.
        text: put ``'`` before every account id, account name and audit info that holds a digit, so that a spreadsheet
            makes neither a number nor a date of ``0123``, ``12e42`` or ``1-2``.

    Returns:
        how many rows were written, the header not counted.

    Raises:
        InvalidArgumentError: both ``raw`` and ``text``.
    """
    if raw and text:
        raise InvalidArgumentError("raw leaves texts as they are, and text does not: choose one")
    if excel:
        stream.write("\ufeff")
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    written = 0
    for row in rows:
        writer.writerow([_cell(name, getattr(row, name), raw=raw, text=text) for name in COLUMNS])
        written += 1
    return written


def _cell(name: str, value: object, *, raw: bool, text: bool) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str) or raw:
        return value
    safe = formula_safe(value)
    return text_safe(safe) if text and name in _PARTNER_TEXTS and safe[:1] != "'" else safe


def write_jsonl(rows: Iterable[UsageRow], stream: IO[str]) -> int:
    r"""Write rows as JSON Lines: one object per line, its members in the order of :data:`COLUMNS`; UTF-8, LF.

    Args:
        rows: what :meth:`UsageReader.rows` yields.
        stream: a text stream opened with ``newline="\n"``.

    Returns:
        how many rows were written.
    """
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    written = 0
    for row in rows:
        stream.write(encode({name: getattr(row, name) for name in COLUMNS}) + "\n")
        written += 1
    return written


def export_usage(
    source: UsageReader | str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    format: Format | None = None,  # the word that users know  # noqa: A002
    run_id: int | None = None,
    all_observations: bool = False,
    raw: bool = False,
    excel: bool = False,
    text: bool = False,
) -> ExportResult:
    """Write a store's usage to a file, whole or not at all.

    The rows go to a temporary file beside the target, which replaces it only when it is complete and on the disk: a
    failure or a kill leaves the old file as it was. A new file gets mode 0600, an existing one keeps its mode and, as
    far as the system allows, its owner; a symbolic link stays and what it leads to is replaced; other names of the same
    file (hard links) keep the old content. Devices, FIFOs and open descriptors (``/dev/stdout``) are written to as they
    are.

    Args:
        source: the store, or a reader of it.
        target: the file to write.
        format: ``"csv"``, ``"jsonl"`` or ``"parquet"``, or None to take it from the suffix of ``target``.
        run_id: the run, or None for the newest (for every run with ``all_observations``).
        all_observations: one row per observation instead of one per account.
        raw: CSV only: do not guard against formulas.
        excel: CSV only: begin with a byte order mark.
        text: CSV only: put ``'`` before partner texts that a spreadsheet could turn into numbers or dates; see
            :func:`write_csv`.

    Returns:
        what was written.

    Raises:
        InvalidArgumentError: the format is unknown, or an option does not fit it.
        ConfigurationError: Parquet was asked for and the extra is not installed.
        StoreError: the store cannot be read, or the file cannot be written; the old file is untouched.
    """
    path = Path(target).absolute()  # not resolved: a link stays a link
    chosen = _format(path, format)
    if chosen != "csv" and (raw or excel or text):
        raise InvalidArgumentError("raw, excel and text are options of CSV")
    if chosen == "parquet" and scrub(str(path)) != str(path):
        raise InvalidArgumentError(f"{shown(path)} is not UTF-8, and DuckDB writes to no other names")
    if path.is_dir():
        raise InvalidArgumentError(f"{path} is a folder: name a file in it")
    with contextlib.ExitStack() as stack:
        reader = source if isinstance(source, UsageReader) else stack.enter_context(UsageReader(source))
        rows = reader.rows(run_id, all_observations=all_observations)
        try:
            with replacing(path) as stream:
                written = _writer(chosen, raw=raw, excel=excel, text=text)(rows, stream)
        except OSError as error:
            reason = error.strerror or type(error).__name__
        else:
            return ExportResult(path, chosen, written)
    raise StoreError(f"cannot write {path}: {reason}; what was there before is untouched")


_Writer: TypeAlias = Callable[[Iterable[UsageRow], BinaryIO], int]


def _writer(chosen: Format, *, raw: bool, excel: bool, text: bool) -> _Writer:
    if chosen == "parquet":
        duckdb = _duckdb()

        def write_parquet(rows: Iterable[UsageRow], stream: BinaryIO) -> int:
            with spooling(stream) as part:
                return _write_parquet(duckdb, rows, part)

        return write_parquet

    def write(rows: Iterable[UsageRow], stream: BinaryIO) -> int:
        lines = io.TextIOWrapper(stream, encoding="utf-8", newline="" if chosen == "csv" else "\n")
        if chosen == "csv":
            written = write_csv(rows, lines, raw=raw, excel=excel, text=text)
        else:
            written = write_jsonl(rows, lines)
        lines.flush()
        lines.detach()  # the stream is closed by whoever opened it
        return written

    return write


def _format(path: Path, asked: str | None) -> Format:
    if asked is not None:
        for known in _SUFFIXES.values():
            if asked == known:
                return known
        raise InvalidArgumentError(f"unknown format {asked!r}: csv, jsonl or parquet")
    found = _SUFFIXES.get(path.suffix.lower())
    if found is None:
        raise InvalidArgumentError(f"the suffix of {path.name!r} names no format: .csv, .jsonl or .parquet")
    return found


def _duckdb() -> Any:  # an optional package, possibly without types
    try:
        return importlib.import_module("duckdb")
    except ModuleNotFoundError:
        failure = ConfigurationError("Parquet needs the extra: pip install 'cyclr-async[parquet]'")
    raise failure


def _write_parquet(duckdb: Any, rows: Iterable[UsageRow], path: Path) -> int:
    descriptor, name = tempfile.mkstemp(prefix=".usage-", suffix=".jsonl", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as stream:
            written = write_jsonl(rows, stream)
        columns = ", ".join(f"'{column}': '{_TYPES.get(column, 'VARCHAR')}'" for column in COLUMNS)
        # One thread and the order of insertion: the same rows make the same bytes.
        options = {"threads": 1, "autoinstall_known_extensions": False, "autoload_known_extensions": False}
        with duckdb.connect(":memory:", config=options) as connection:
            connection.execute(
                f"COPY (SELECT * FROM read_json({_quoted(name)}, format = 'newline_delimited', "  # noqa: S608
                f"columns = {{{columns}}})) TO {_quoted(str(path))} (FORMAT parquet, COMPRESSION zstd)"
            )
    except duckdb.Error as error:
        failure = OSError(f"{type(error).__name__} from DuckDB")
    else:
        return written
    finally:
        Path(name).unlink(missing_ok=True)
    raise failure


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
