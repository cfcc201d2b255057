"""``--field`` and ``--raw-field`` of ``cyclr api``: values from the command line as JSON, or as a query."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import click

from cyclr_async.cli.text_input import read_text
from cyclr_async.secret import HiddenStr

__all__ = ["as_object", "as_query"]

_NAME: Final = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_WORDS: Final = {"true": True, "false": False, "null": None}
# No exponents: an id such as 12e5 is text. 18 digits fit into the 64 bits that most servers have for a number.
_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d{0,17})(\.\d+)?", re.ASCII)


def as_object(fields: Iterable[tuple[str, bool]]) -> dict[str, Any]:
    """Return the JSON object that the fields describe.

    Args:
        fields: each as it was given, and whether its value has a type or is text whatever it looks like.
            ``a[b]=1`` is a field within an object, ``a[]=1`` one more element of a list, and ``a[][b]=1`` a field of
            its last object, or of a new one when that has it already.

    Raises:
        click.UsageError: one cannot be understood, or contradicts another.
    """
    made: dict[str, Any] = {}
    for given, typed in fields:
        name, equals, text = given.partition("=")
        found = _NAME.fullmatch(name)
        empty = not equals and name.endswith("[]")
        if found is None or not (equals or empty):
            # The value is not shown: it may be a secret, with the name forgotten.
            raise click.UsageError("a field is written as name=value, name[part]=value or name[]=value")
        parts = [found[1], *re.findall(r"\[([^\]]*)\]", found[2])]
        if empty:
            parts.pop()
        value: Any = [] if empty else _typed(text, name) if typed else text
        if not _put(made, parts, value):
            raise click.UsageError(f"field {name!r} contradicts a field before it, or comes twice")
    return made


def as_query(fields: dict[str, Any]) -> dict[str, str | float | list[str | float]]:
    """Return the fields as query parameters; a list stands for a parameter that comes several times.

    Raises:
        click.UsageError: one has no form in a query.
    """
    query: dict[str, str | float | list[str | float]] = {}
    for name, value in fields.items():
        values = value if isinstance(value, list) else [value]
        if any(item is None or isinstance(item, (dict, list)) for item in values):
            raise click.UsageError(f"field {name!r}: a query holds texts, numbers, true and false, and lists of these")
        texts = [str(item).lower() if isinstance(item, bool) else item for item in values]
        query[name] = texts if isinstance(value, list) else texts[0]
    return query


def _typed(text: str, name: str) -> Any:
    if text.startswith("@"):
        # A key that was written by an editor or by echo ends with a line feed that is no part of it.
        return HiddenStr(re.sub(r"\r?\n\Z", "", read_text(text[1:], f"field {name!r}")))
    if text in _WORDS:
        return _WORDS[text]
    number = _NUMBER.fullmatch(text)
    if number is None:
        return text
    return float(text) if number[1] else int(text)


def _put(node: Any, parts: list[str], value: Any) -> bool:
    """Put a value where its name says; False where something else is there."""
    part, *rest = parts
    if isinstance(node, list):
        if part:
            return False
        if not rest:
            node.append(value)
            return True
        last = node[-1] if node else None
        if not rest[0] or (last is not None and not isinstance(last, dict)):
            return False  # lists of lists, and objects among other values, are what --input is for
        if last is None or (len(rest) == 1 and rest[0] in last):
            node.append({})
        return _put(node[-1], rest, value)
    if not isinstance(node, dict) or not part:
        return False
    if not rest:
        if part in node:
            return False
        node[part] = value
        return True
    return _put(node.setdefault(part, {} if rest[0] else []), rest, value)
