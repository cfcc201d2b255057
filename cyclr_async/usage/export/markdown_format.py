"""Markdown: a table as GitHub and most other programs draw it; no text can leave its cell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import BinaryIO, Final

from cyclr_async.usage.store.rows import COLUMNS, UsageRow
from cyclr_async.wire.text import escape_terminal

__all__ = ["RecordWriter", "write"]

# What begins a mark-up, an HTML tag, an entity or a link; an account name must do none of it.
_MARKS: Final = re.compile(r"([\\`*_{}\[\]()<>#+!|~&:@-])")


class RecordWriter:
    """Writes records as a table.

    Figures are set to the right: which columns hold some is seen in the first record, before the heading is written.

    Args:
        stream: where to; it is left open.
        columns: the heading.
    """

    def __init__(self, stream: BinaryIO, columns: Sequence[str]) -> None:
        self._stream = stream
        self._columns = tuple(columns)
        self._begun = False

    def _begin(self, values: Sequence[object]) -> None:
        self._begun = True
        marks = ["---:" if type(value) in {int, Decimal} else "---" for value in values]
        self._line(self._columns)
        self._line(marks)

    def _line(self, cells: Iterable[str]) -> None:
        self._stream.write(f"| {' | '.join(cells)} |\n".encode())

    def write(self, values: Iterable[object]) -> None:
        """Write one record, its values in the order of the columns."""
        found = list(values)
        if not self._begun:
            self._begin(found)
        self._line(_cell(value) for value in found)

    def end(self) -> None:
        """Complete the table."""
        if not self._begun:
            self._begin([""] * len(self._columns))

    def discard(self) -> None:
        """Leave nothing behind, after an error; there is nothing."""


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, int):
        return str(value)
    return _MARKS.sub(r"\\\1", escape_terminal(str(value)))


def write(rows: Iterable[UsageRow], stream: BinaryIO) -> int:
    """Write rows to a file; what the registry calls."""
    writer = RecordWriter(stream, COLUMNS)
    written = 0
    for row in rows:
        writer.write([getattr(row, name) for name in COLUMNS])
        written += 1
    writer.end()
    return written
