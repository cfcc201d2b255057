"""Records as a table, or as one block of lines for a command that has one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TextIO

from cyclr_async.cli.options import Options
from cyclr_async.cli.output import json_text, plain
from cyclr_async.cli.tables import Column, blocks, console, lay_out, show
from cyclr_async.cli.terminal import encodable, speaks_utf8, width_of
from cyclr_async.wire.text import escape_terminal

__all__ = ["TableForm", "cell"]

_TEXTS: Final = frozenset(
    ("name", "description", "account_name", "error", "reason", "base_url", "value", "source", "setting", "cycle_noun")
)
"""Columns that a table may fold; every other holds ids, figures, times or states, which stay in one piece."""


class TableForm:
    """Collects records, and draws them at the end, when the widths are known."""

    def __init__(self, stream: TextIO, columns: Sequence[str], options: Options, *, many: bool) -> None:
        self._stream = stream
        self._columns = columns
        self._options = options
        self._many = many
        self._rows: list[list[Any]] = []

    def write(self, record: Mapping[str, Any]) -> None:
        """Take a record."""
        self._rows.append([plain(record.get(name)) for name in self._columns])

    def end(self) -> None:
        """Draw the table."""
        width = width_of(self._stream)
        # Written out before it is measured: an escape is wider than what it stands for.
        rows = [[encodable(cell(value), self._stream) for value in row] for row in self._rows]
        if not self._many:
            lines = blocks(self._columns, rows[:1], width)
            self._stream.write("".join(f"{line}\n" for line in lines))
            return
        columns = []
        for index, name in enumerate(self._columns):
            values = [row[index] for row in self._rows if row[index] is not None]
            # bool is an int in Python, and no figure.
            numbers = bool(values) and all(type(value) in {int, float} for value in values)
            columns.append(Column(name, folds=name in _TEXTS and not numbers, right=numbers))
        table = lay_out(columns, rows, width, unicode=speaks_utf8(self._stream))
        show(console(self._stream, self._options, width=width), table)


def cell(value: Any) -> str:
    """Return a value as it stands in a table: harmless, and empty for null."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    return escape_terminal(json_text(value) if isinstance(value, (dict, list)) else str(value))
