"""Excel workbooks, written by XlsxWriter of the extra ``excel``: figures are numbers, everything else is text."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, BinaryIO, Final

from cyclr_async.errors import ConfigurationError
from cyclr_async.usage.store.rows import COLUMNS, UsageRow
from cyclr_async.wire.text import scrub

__all__ = ["RecordWriter", "write"]

_ROWS: Final = 1_048_576
"""Of a sheet in Excel, the heading included."""
_TEXT: Final = 32_767
"""Characters that a cell holds; Excel calls a file with more damaged."""
_DIGITS: Final = 15
"""Of a number in Excel; one with more would be changed, so it is written as text."""
_MADE: Final = datetime(2000, 1, 1)  # noqa: DTZ001 - a fixed date in the properties: the same rows make the same bytes
_WIDEST: Final = 60


class RecordWriter:
    """Writes records to a workbook, row by row at flat memory.

    Args:
        stream: where to; it is left open.
        columns: the heading.
        rows: of a sheet, the heading included; what is more goes on in the next sheet.

    Raises:
        ConfigurationError: the extra is not installed.
    """

    def __init__(self, stream: BinaryIO, columns: Sequence[str], *, rows: int = _ROWS) -> None:
        options = {
            "constant_memory": True,
            # Whatever a name looks like, it stays what it is: no formula, no link, no number.
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
            "nan_inf_to_errors": False,
        }
        self._book: Any = _xlsxwriter().Workbook(stream, options)
        self._book.set_properties({"created": _MADE})
        self._bold = self._book.add_format({"bold": True})
        # "@" is Excel's format for text: an id that somebody edits there stays a text too.
        self._as_text = self._book.add_format({"num_format": "@"})
        self._columns = tuple(columns)
        self._rows = rows
        self._sheets = 0
        self._begin()

    def _begin(self) -> None:
        self._sheets += 1
        self._sheet = self._book.add_worksheet("usage" if self._sheets == 1 else f"usage {self._sheets}")
        self._sheet.freeze_panes(1, 0)
        for index, name in enumerate(self._columns):
            self._sheet.set_column(index, index, min(_WIDEST, max(12, len(name) + 2)))
            self._sheet.write_string(0, index, name, self._bold)
        self._row = 1

    def write(self, values: Iterable[object]) -> None:
        """Write one record, its values in the order of the columns."""
        if self._row == self._rows:
            self._begin()
        for index, value in enumerate(values):
            self._cell(index, value)
        self._row += 1

    def _cell(self, index: int, value: object) -> None:
        if value is None:
            return
        if isinstance(value, bool):
            self._sheet.write_boolean(self._row, index, value)
        elif isinstance(value, (int, Decimal)) and _fits(value):
            # The one place where a figure becomes a float: Excel knows no other number, and 15 digits survive it.
            self._sheet.write_number(self._row, index, value if isinstance(value, int) else float(value))
        else:
            # Longer texts are cut, and say so: the other formats have them whole.
            text = scrub(format(value, "f") if isinstance(value, Decimal) else str(value))
            text = text if len(text) <= _TEXT else f"{text[: _TEXT - 1]}…"
            self._sheet.write_string(self._row, index, text, self._as_text)

    def end(self) -> None:
        """Complete the workbook."""
        self._book.close()

    def discard(self) -> None:
        """Leave nothing behind, after an error: a workbook keeps its rows in temporary files until it is closed."""
        self._book.close()


def _fits(number: int | Decimal) -> bool:
    return len(Decimal(number).as_tuple().digits) <= _DIGITS


def write(rows: Iterable[UsageRow], stream: BinaryIO) -> int:
    """Write rows to a file; what the registry calls.

    Raises:
        ConfigurationError: the extra is not installed.
    """
    writer = RecordWriter(stream, COLUMNS)
    written = 0
    for row in rows:
        writer.write(getattr(row, name) for name in COLUMNS)
        written += 1
    writer.end()
    return written


def _xlsxwriter() -> Any:  # an optional package, without types
    try:
        return importlib.import_module("xlsxwriter")
    except ModuleNotFoundError:
        failure = ConfigurationError("Excel files need the extra: pip install 'cyclr-async[excel]'")
    raise failure
