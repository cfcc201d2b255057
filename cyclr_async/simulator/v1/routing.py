"""From a path of v1.0 to an operation and its keys. Literal parts come before keys, and case does not count."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import unquote

import attrs

from cyclr_async.simulator.domain.lenient_fields import RefusedError
from cyclr_async.simulator.v1.call import GUID, invalid
from cyclr_async.simulator.v1.operations import OPERATIONS, PREFIX, Operation

__all__ = ["Found", "find_operation", "is_v1"]

_INT: Final = re.compile(r"[+-]?\d{1,10}", re.ASCII)


@attrs.frozen(slots=True)
class Found:
    """An operation and the parts of the path that are its keys, decoded but not yet converted."""

    operation: Operation
    parts: tuple[str, ...]

    def keys(self) -> dict[str, Any]:
        """Return the keys by name, each converted to its kind.

        Raises:
            RefusedError: 400 when one is not of its kind.
        """
        return {
            name: _convert(kind, part)
            for (name, kind), part in zip(_KEYS[self.operation.path], self.parts, strict=True)
        }


@attrs.define(slots=True)
class _Node:
    literals: dict[str, _Node] = attrs.field(factory=dict)
    key: _Node | None = None
    operations: dict[str, Operation] = attrs.field(factory=dict)


def _convert(kind: str, part: str) -> Any:
    if kind in ("int", "either") and _INT.fullmatch(part) and abs(int(part)) < 1 << 31:
        return int(part)
    if kind in ("guid", "either") and GUID.fullmatch(part):
        return part.lower()
    if kind == "text":
        return part
    raise invalid()


def _tree() -> _Node:
    root = _Node()
    for operation in OPERATIONS:
        node = root
        for part in operation.path.strip("/").split("/"):
            if part.startswith("{"):
                node.key = node.key or _Node()
                node = node.key
            else:
                node = node.literals.setdefault(part, _Node())
        node.operations[operation.method] = operation
    return root


def _keys(path: str) -> tuple[tuple[str, str], ...]:
    found = re.findall(r"\{(\w+)(?::(\w+))?\}", path)
    return tuple((name, kind or "text") for name, kind in found)


_ROOT: Final = _tree()
_KEYS: Final = {operation.path: _keys(operation.path) for operation in OPERATIONS}


def is_v1(path: str) -> bool:
    """Whether a path is of v1.0."""
    return path[: len(PREFIX)].lower() == PREFIX and path[len(PREFIX) : len(PREFIX) + 1] in ("", "/")


def find_operation(method: str, path: str) -> Found:
    """Return the operation at a path.

    Raises:
        RefusedError: 404 when there is none, 405 when there is one for other methods only.
    """
    parts = path[len(PREFIX) + 1 :].rstrip("/").split("/")
    places: list[tuple[_Node, tuple[str, ...]]] = [(_ROOT, ())]
    for part in parts:
        literal = part.lower()
        following = []
        for node, keys in places:
            if literal in node.literals:
                following.append((node.literals[literal], keys))
            if node.key is not None and part:
                following.append((node.key, (*keys, unquote(part) if "%" in part else part)))
        places = following
    allowed: list[str] = []
    for node, keys in places:
        operation = node.operations.get(method)
        if operation is not None:
            return Found(operation, keys)
        allowed += node.operations
    if not allowed:
        raise RefusedError(404, f"No HTTP resource was found that matches the request URI '{path[:200]}'.")
    words = f"The requested resource does not support http method '{method[:20]}'."
    raise RefusedError(405, words, {"Allow": ", ".join(dict.fromkeys(allowed))})
