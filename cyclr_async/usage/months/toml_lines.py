"""Where in a TOML file a key stands, so that an error can say the line: the parser of Python does not keep it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

__all__ = ["Place", "lines_of"]

Place: TypeAlias = tuple[str | int, ...]
"""The keys that lead to a value; of an array the number of the element, from 0."""

_HEADER: Final = re.compile(r"\s*(\[\[?)(.*?)\]\]?\s*(?:#.*)?$")
_KEY: Final = re.compile(r"""\s*((?:"(?:[^"\\]|\\.)*"|'[^']*'|[\w.\s-])+?)\s*=""")
_LONGEST_VALUE: Final = 1000
"""Lines of one value; what is longer is left to end where the next header begins."""


def lines_of(text: str) -> dict[Place, int]:
    """Return the line, from 1, of every key and every table of a document that the parser takes.

    The document is cut into statements: a header, or a key with its value. Which keys they name is asked of the parser
    itself, statement by statement, so that quoted and dotted keys need no second reading of TOML here.
    """
    found: dict[Place, int] = {}
    table: Place = ()
    counts: dict[Place, int] = {}
    # Not splitlines(): to TOML a form feed, U+0085 or U+2028 in a name is a letter, and no line ends with it.
    lines = text.replace("\r\n", "\n").split("\n")
    number = 0
    while number < len(lines):
        line = lines[number]
        header = _HEADER.match(line)
        if header is not None and not _KEY.match(line):
            table = _table_of(header[1], header[2], counts)
            found.setdefault(table, number + 1)
            number += 1
        elif _KEY.match(line):
            value, length = _statement(lines, number)
            _note(found, table, value, number + 1)
            number += length
        else:
            number += 1
    return found


def _table_of(brackets: str, name: str, counts: dict[Place, int]) -> Place:
    place: Place = ()
    inner: Any = _parsed(f"[{name}]") or {}
    while isinstance(inner, Mapping) and inner:
        ((key, inner),) = inner.items()
        place = (*place, key)
        if place in counts and (inner or brackets == "["):
            place = (*place, counts[place])  # a table inside of the newest element of an array of tables
    if brackets == "[[":
        counts[place] = counts.get(place, -1) + 1
        place = (*place, counts[place])
    return place


def _statement(lines: list[str], first: int) -> tuple[Mapping[str, Any], int]:
    """Return what a statement says, and how many lines it has."""
    for length in range(1, min(_LONGEST_VALUE, len(lines) - first) + 1):
        value = _parsed("\n".join(lines[first : first + length]))
        if value is not None:
            return value, length
    return {}, 1


def _parsed(text: str) -> Mapping[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _note(found: dict[Place, int], place: Place, value: Any, line: int) -> None:
    """Note a value and all that is in it: inside of one statement everything counts as standing in its first line."""
    if place:
        found.setdefault(place, line)
    pairs = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        _note(found, (*place, key), inner, line)
