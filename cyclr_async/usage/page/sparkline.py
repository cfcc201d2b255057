"""A row of months in the height of a line: as Unicode in a terminal, as levels in the table of the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

__all__ = ["LEVELS", "levels", "sparkline"]

LEVELS: Final = 8
"""As many heights as Unicode has lower block elements."""
_BLOCKS: Final = " ▁▂▃▄▅▆▇█"
_ASCII: Final = " .:-=+*#@"


def _level(value: int, highest: int) -> int:
    # Rounded up, so that little is not nothing.
    return -(-LEVELS * value // highest) if value > 0 else 0


def levels(values: Sequence[int | None]) -> str:
    """Return a digit for each value, 0 to 8 on a scale from nothing to the highest of them, and ``-`` for None."""
    highest = max((value for value in values if value is not None), default=0)
    return "".join("-" if value is None else str(_level(value, highest)) for value in values)


def sparkline(values: Sequence[int | None], *, ascii: bool = False) -> str:  # the word users know  # noqa: A002
    """Draw values as a row of bars, one character each, for a table in a terminal.

    Args:
        values: 0 or more each, oldest first; None where there is none, which leaves a blank. The scale begins at
            nothing, so that a bar of half the height stands for half as much.
        ascii: use ASCII characters only.

    Returns:
        as many characters as there are values.
    """
    shapes = _ASCII if ascii else _BLOCKS
    highest = max((value for value in values if value is not None), default=0)
    # A zero is a value: the lowest bar stands for it, and a blank for what is not known.
    return "".join(" " if value is None else shapes[max(1, _level(value, highest))] for value in values)
