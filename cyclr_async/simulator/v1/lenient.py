"""JSON as Json.NET reads it: single quotes, names without quotes, comments and trailing commas besides."""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final, NoReturn

from cyclr_async.simulator.domain.lenient_fields import whole

__all__ = ["read_json"]

_DEEPEST: Final = 128
"""Json.NET gives up below that many levels."""
_SKIP: Final = re.compile(r"(?:\s+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_NAME: Final = re.compile(r"[^\s\"':,{}\[\]/]+")
_SCALAR: Final = re.compile(r"[^\s\"',:{}\[\]/]+")
_STRING: Final = {
    "'": re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL),
    '"': re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL),
}
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_PLAIN: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "'": "'", '"': '"', "\\": "\\", "/": "/"}
_WORDS: Final = {"true": True, "false": False, "null": None, "undefined": None}


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(digits: str) -> float:
    found = float(digits)
    if math.isinf(found):  # cannot be sent back as JSON
        raise ValueError("a number is too large")
    return found


def _clean(value: Any) -> Any:
    """Return the value with halves of characters replaced, which an escape can hold and no answer can."""
    if isinstance(value, str):
        return whole(value)
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return {whole(name): _clean(item) for name, item in value.items()} if isinstance(value, dict) else value


def read_json(text: str) -> Any:
    """Return the value of a JSON text, strict or lenient.

    Raises:
        ValueError: it is neither.
    """
    try:
        value = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
        return _clean(value) if "\\u" in text else value
    except RecursionError:
        raise ValueError("too deep") from None
    except ValueError:
        return _Reader(text).read()


class _Reader:
    def __init__(self, text: str) -> None:
        self.text, self.place = text, 0

    def read(self) -> Any:
        value = self._value(0)
        self._skip()
        if self.place != len(self.text):
            raise ValueError(f"something is left at {self.place}")
        return value

    def _skip(self) -> str:
        """Go to the next character that means something, and return it; empty at the end."""
        found = _SKIP.match(self.text, self.place)
        assert found is not None  # it matches nothing as well
        self.place = found.end()
        return self.text[self.place : self.place + 1]

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str]:
        found = pattern.match(self.text, self.place)
        if found is None:
            raise ValueError(f"not JSON at {self.place}")
        self.place = found.end()
        return found

    def _value(self, depth: int) -> Any:
        if depth > _DEEPEST:
            raise ValueError("too deep")
        first = self._skip()
        if first == "{":
            return self._members(depth)
        if first == "[":
            return self._items(depth)
        if first in _STRING and first:
            return _unescape(self._take(_STRING[first])[1])
        word = self._take(_SCALAR)[0]
        if word in _WORDS:
            return _WORDS[word]
        return json.loads(word, parse_constant=_no_constant, parse_float=_finite)

    def _separator(self, end: str) -> bool:
        """Go past a comma or the end; return whether it was the end. A comma before the end changes nothing."""
        found = self._skip()
        if found == ",":
            self.place += 1
            found = self._skip()
            if found != end:
                return False
        if found != end:
            raise ValueError(f"no {end} at {self.place}")
        self.place += 1
        return True

    def _members(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        self.place += 1
        if self._skip() == "}":
            self.place += 1
            return found
        while True:
            quote = self._skip()
            name = _unescape(self._take(_STRING[quote])[1]) if quote in _STRING else self._take(_NAME)[0]
            if self._skip() != ":":
                raise ValueError(f"no colon at {self.place}")
            self.place += 1
            found[name] = self._value(depth + 1)
            if self._separator("}"):
                return found

    def _items(self, depth: int) -> list[Any]:
        found: list[Any] = []
        self.place += 1
        if self._skip() == "]":
            self.place += 1
            return found
        while True:
            found.append(self._value(depth + 1))
            if self._separator("]"):
                return found


def _unescape(text: str) -> str:
    def replace(escape: re.Match[str]) -> str:
        if escape[1] is not None:
            return chr(int(escape[1], 16))
        if escape[2] not in _PLAIN:
            raise ValueError("unknown escape")
        return _PLAIN[escape[2]]

    found = _ESCAPE.sub(replace, text) if "\\" in text else text
    return whole(found)
