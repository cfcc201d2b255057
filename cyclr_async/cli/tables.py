"""Tables that never cut a figure or an id: what is there to look nice goes first, and at last the table itself."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, TextIO

from rich import box
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from cyclr_async.cli.options import Options
from cyclr_async.cli.terminal import columns_of, width_of

__all__ = ["Column", "blocks", "console", "lay_out", "show"]

_READABLE: Final = 8
"""Columns that a text keeps at least: a name folded into less is harder to read than one line per field."""


class Column(NamedTuple):
    """A column.

    Attributes:
        name: its heading; it may be broken after an underscore.
        folds: True for texts, which may go on in the next line; figures, times and ids never do, nor do words with a
            digit within a text.
        right: whether it is set to the right.
        ornament: True for a column that says nothing new, such as a bar; it is left out where room is short.
        style: of rich, for its cells.
    """

    name: str
    folds: bool = False
    right: bool = False
    ornament: bool = False
    style: str = ""


def lay_out(
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    width: int,
    *,
    unicode: bool,
    title: str | None = None,
    header_style: str = "bold",
) -> RenderableType:
    """Return a table that fits, or else one block of lines per row.

    Given up in this order: the frame, bars, the width of texts, the columns side by side.

    Args:
        columns: what the cells mean.
        rows: the cells, harmless for a terminal already.
        width: of the terminal, in columns.
        unicode: whether the frame may be drawn with box characters.
        title: a line above.
        header_style: of rich, for the headings.

    Returns:
        For :func:`show`.
    """
    plain = [index for index, column in enumerate(columns) if not column.ornament]
    for kept in (list(range(len(columns))), plain):
        some = [columns[index] for index in kept]
        cells = [[row[index] for index in kept] for row in rows]
        widths, least = _widths(some, cells)
        sizes = _Sizes(widths, least, [column.folds for column in some], width)
        for frame, room in ((3, 1), (2, -2), (1, -1)):  # columns of frame per column, and at the edges
            found = sizes.fit(frame, room, folded=frame < 3 and kept == plain)
            if found is not None:
                return _table(some, cells, found, frame, unicode=unicode, title=title, header_style=header_style)
    cells = [[row[index] for index in plain] for row in rows]
    lines = blocks([columns[index].name for index in plain], cells, width)
    return "\n".join(lines if title is None else ["", title, "", *lines])


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise  # noqa: PLE0704 - called where the error is handled; rich would end the process with code 1


def console(stream: TextIO, options: Options, *, width: int | None = None) -> Console:
    """Return a rich console that interprets nothing in the texts it is given.

    Args:
        stream: where it writes.
        options: the shared options.
        width: in columns; None follows the terminal as it changes.
    """
    if width is None and not (stream.isatty() and "COLUMNS" not in os.environ):
        width = width_of(stream)
    return _Console(
        file=stream,
        no_color=True if options.no_color or "NO_COLOR" in os.environ else None,
        width=width,
        # With both given rich believes them; a dumb terminal is 80 columns wide for it otherwise.
        height=None if width is None else columns_of("LINES") or 25,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=False,
    )


def show(out: Console, part: RenderableType) -> None:
    """Print what :func:`lay_out` returned, or a text for people: no line is cut, and none broken within a word."""
    # A word that is longer than the line would be cut in two; then the terminal has to break the line.
    long = isinstance(part, Text) and any(cell_len(word) > out.width for word in part.plain.split())
    out.print(part, crop=False, soft_wrap=long or isinstance(part, str))


def blocks(names: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Return rows as lines of ``name  value``, with an empty line between two rows.

    A value that does not fit beside its name stands below it, whole: the terminal may break the line, and whoever
    copies it gets it in one piece.
    """
    widest = max((len(name) for name in names), default=0)
    lines: list[str] = []
    for number, row in enumerate(rows):
        if number:
            lines.append("")
        for name, value in zip(names, row, strict=True):
            if not value:
                lines.append(name)
                continue
            pieces = value.split("\n")
            longest = max(map(cell_len, pieces))
            if widest + 2 + longest <= width:
                lines.append(f"{name:<{widest}}  {pieces[0]}")
                lines.extend(f"{'':<{widest}}  {piece}" for piece in pieces[1:])
            else:
                lines.append(name)
                lines.extend(piece if longest + 2 > width else f"  {piece}" for piece in pieces)
    return lines


class _Sizes(NamedTuple):
    widths: list[int]
    least: list[int]
    folds: list[bool]
    available: int

    def fit(self, frame: int, edges: int, *, folded: bool) -> list[int] | None:
        """Return the widths of the columns, or None where they do not fit."""
        room = self.available - frame * len(self.widths) - edges
        if sum(self.widths) <= room:
            return self.widths
        if not folded or sum(self.least) > room:
            return None
        found = list(self.least)
        spare = room - sum(found)
        while spare:
            # Texts before headings, the narrowest first: short ones stay whole, long ones share what is left.
            wanting = [index for index, wanted in enumerate(self.widths) if found[index] < wanted]
            texts = [index for index in wanting if self.folds[index]]
            chosen = min(texts or wanting, key=found.__getitem__)
            found[chosen] += 1
            spare -= 1
        return found


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> tuple[list[int], list[int]]:
    """Return the width that every column would like to have, and the least with which nothing is lost."""
    widths, least = [], []
    for index, column in enumerate(columns):
        widest = max((cell_len(line) for row in rows for line in row[index].split("\n")), default=0)
        widths.append(max(widest, len(column.name)))
        heading = max(map(len, _parts(column.name)))
        folded = max(min(widest, _READABLE), max((cell_len(figure) for figure in _figures(rows, index)), default=0))
        least.append(max(folded if column.folds else widest, heading))
    return widths, least


def _figures(rows: Sequence[Sequence[str]], index: int) -> Iterator[str]:
    """Yield the words of a column that hold a digit: an id in a message, or one that stands for a missing name."""
    for row in rows:
        yield from (word for word in row[index].split() if any(map(str.isdigit, word)))


def _parts(name: str) -> list[str]:
    *first, last = name.split("_")
    return [*(f"{part}_" for part in first), last]


def _heading(name: str, width: int) -> str:
    lines = [""]
    for part in _parts(name):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def _table(
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    widths: Sequence[int],
    frame: int,
    *,
    unicode: bool,
    title: str | None,
    header_style: str,
) -> RenderableType:
    table = Table(
        title=None if title is None else Text(f"\n{title}", style="bold"),
        title_justify="left",
        title_style="",
        header_style=header_style,
        box=(box.SIMPLE_HEAD if unicode else box.ASCII2) if frame == 3 else None,
        pad_edge=frame == 3,
        show_edge=not unicode,  # above and below only blanks, which the title brings
        collapse_padding=frame == 1,
    )
    for column, width in zip(columns, widths, strict=True):
        table.add_column(
            Text(_heading(column.name, width)),
            justify="right" if column.right else "left",
            overflow="fold",
            width=width,
            style=column.style,
        )
    for row in rows:
        table.add_row(*(Text(text) for text in row))
    return table
