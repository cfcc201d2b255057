"""One request to v1.0, read as leniently as the real server reads it, and pages of answers."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import attrs

from cyclr_async.simulator.domain import lenient_fields as lenient
from cyclr_async.simulator.domain.lenient_fields import INVALID, RefusedError, dump
from cyclr_async.simulator.replies import Reply
from cyclr_async.simulator.v1.dates import query_moment
from cyclr_async.simulator.v1.lenient import read_json
from cyclr_async.wire.unset import UNSET, Unset

if TYPE_CHECKING:
    from cyclr_async.simulator.domain.partner_state import AccountRecord
    from cyclr_async.simulator.domain.simulator_state import SimulatorState
    from cyclr_async.simulator.v1.holdings import Holdings

__all__ = ["GUID", "Body", "Call", "Handler", "Query", "invalid", "page_reply", "paged", "read_body", "whole"]

GUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_WHOLE: Final = re.compile(r"\s*([+-]?\d{1,18})\s*", re.ASCII)
_FLAGS: Final = {"true": True, "false": False}
_PIECE: Final = 250
"""So many rows of a large page are written at a time."""


def invalid() -> RefusedError:
    """Return the refusal of what cannot be converted."""
    return RefusedError(400, INVALID)


def whole(value: object) -> int | None:
    """Return a whole number, also from a text; None when it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        found = _WHOLE.fullmatch(value)
        return None if found is None else int(found[1])
    if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 62:
        return int(value)
    return value if isinstance(value, int) and abs(value) < 1 << 62 else None


class Body:
    """A JSON object; names count without case, the last of several equal ones.

    Args:
        raw: as it was sent.
    """

    __slots__ = ("_fields", "raw")

    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw: dict[str, Any] = raw
        self._fields = {name.lower(): value for name, value in raw.items()}

    def value(self, name: str) -> Any:
        """Return what was sent under a name; UNSET when nothing was."""
        return self._fields.get(name.lower(), UNSET)

    def text(self, name: str) -> str | Unset | None:
        """Return a text; numbers and booleans become text, anything else is ignored."""
        return lenient.text(self._fields, name.lower())

    def word(self, name: str) -> str:
        """Return a text without what surrounds it; empty when there is none."""
        return (self.text(name) or "").strip()

    def required(self, name: str) -> str:
        """Return a text that must be there.

        Raises:
            RefusedError: 400 ``… is required``.
        """
        found = self.text(name)
        if not found or not found.strip():
            raise RefusedError(400, f"{name} is required")
        return found

    def number(self, name: str) -> int | Unset | None:
        """Return a whole number, also from a text; what cannot be converted is ignored."""
        value = self.value(name)
        if value is None or value is UNSET:
            return value
        found = whole(value)
        return UNSET if found is None else found

    def flag(self, name: str) -> bool | Unset:
        """Return a boolean, also from a text or a number; what cannot be converted is ignored."""
        value = self.value(name)
        if isinstance(value, str):
            return _FLAGS.get(value.strip().lower(), UNSET)
        return bool(value) if isinstance(value, (bool, int)) else UNSET

    def member(self, name: str, names: Sequence[str]) -> str | Unset | None:
        """Return one of the names, given in any case or by its number.

        Raises:
            RefusedError: 400 when it is none of them.
        """
        value = self.value(name)
        if value is None or value is UNSET:
            return value
        index = whole(value)
        if index is not None and 0 <= index < len(names):
            return names[index]
        found = next((known for known in names if isinstance(value, str) and known.lower() == value.lower()), None)
        if found is None:
            raise invalid()
        return found

    def texts(self, name: str) -> tuple[str, ...] | Unset:
        """Return an array of texts; what is none is left out, and null is an empty array."""
        value = self.value(name)
        if value is UNSET:
            return UNSET  # type: ignore[no-any-return]
        items: list[Any] = value if isinstance(value, list) else [] if value is None else [value]
        return tuple(lenient.whole(item) for item in items if isinstance(item, str))

    def objects(self, name: str) -> list[Body]:
        """Return an array of objects, or one object alone as an array of one; empty when there is none."""
        value = self.value(name)
        items = value if isinstance(value, list) else [value]
        return [Body(item) for item in items if isinstance(item, dict)]


class Query:
    """The query of a request; names count without case.

    Args:
        text: without the question mark.

    Raises:
        RefusedError: 400 when it holds more than a hundred parameters.
    """

    __slots__ = ("_values",)

    def __init__(self, text: str) -> None:
        try:
            pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=100) if text else []
        except ValueError:
            raise invalid() from None
        self._values = {name.lower(): value for name, value in reversed(pairs)}

    def text(self, name: str) -> str:
        """Return a value without what surrounds it; empty when it is not given."""
        return self._values.get(name.lower(), "").strip()

    def number(self, name: str) -> int | None:
        """Return a whole number, or None when it is not given; 400 when it is none."""
        text = self.text(name)
        found = whole(text)
        if text and (found is None or abs(found) >= 1 << 31):
            raise invalid()
        return found

    def flag(self, name: str, *, usual: bool) -> bool:
        """Return a boolean; 400 when it is none."""
        text = self.text(name).lower()
        if text and text not in _FLAGS:
            raise invalid()
        return _FLAGS.get(text, usual)

    def moment(self, name: str) -> datetime | None:
        """Return a date, or None when it is not given; 400 when it is none."""
        text = self.text(name)
        try:
            return query_moment(text) if text else None
        except (ValueError, OverflowError):
            raise invalid() from None


def read_body(body: bytes, content_type: str) -> Any:
    """Return the JSON value of a body; an empty object when there is no body.

    Raises:
        RefusedError: 415 for another media type, 400 for what is no JSON.
    """
    if not body.strip():
        return {}
    media = content_type.partition(";")[0].strip().lower()
    if media not in ("", "application/json", "text/json"):
        raise RefusedError(415, f"The request entity's media type '{media}' is not supported for this resource.")
    try:
        return read_json(body.decode("utf-8-sig"))
    except ValueError:
        raise invalid() from None


@attrs.define(slots=True)
class Call:
    """One request to an operation.

    Attributes:
        world: what it is about.
        keys: of the path, decoded and converted.
        query: of the URL.
        sent: the value of the body; an empty object when there was none.
        account: of ``X-Cyclr-Account``, or None for operations that need none; for changing, unless it is a GET.
    """

    world: SimulatorState
    keys: dict[str, Any]
    query: Query
    sent: Any
    account: AccountRecord | None

    @property
    def body(self) -> Body:
        """The body as an object; 400 when it is none."""
        if not isinstance(self.sent, dict):
            raise invalid()
        return Body(self.sent)

    @property
    def holdings(self) -> Holdings:
        """What the account of the header holds."""
        assert self.account is not None  # operations of level A only
        return self.account.holdings


Handler = Callable[[Call], object]
"""Returns a :class:`Reply`, or a value that is sent as JSON; None is an empty body."""


def paged(call: Call, total: int, rows: Callable[[int], dict[str, Any]], *, usual_order: bool = True) -> Reply:
    """Return one page of rows and ``Total-Pages``.

    Args:
        call: ``page``, ``pageSize`` and ``sortOrderAsc`` are read from its query.
        total: how many rows there are.
        rows: returns the row at a position.
        usual_order: False when the positions are in the order that was asked for already.
    """
    query = call.query
    page, size = query.number("page"), query.number("pageSize")
    # Below 1 neither means anything; nothing is known of a refusal.
    page = max(1, page or 1)
    size = size if size is not None and size > 0 else call.world.settings.page_size
    first = (page - 1) * size
    positions: Iterable[int] = range(first, min(first + size, total))
    if usual_order and not query.flag("sortOrderAsc", usual=True):
        positions = (total - 1 - position for position in positions)
    return page_reply((rows(position) for position in positions), math.ceil(total / size), large=size > _PIECE)


def page_reply(rows: Iterable[dict[str, Any]], pages: int, *, large: bool = False) -> Reply:
    """Return an array with ``Total-Pages``, piece by piece when it may be large."""
    headers = {"Total-Pages": str(pages)}
    return Reply(200, _pieces(rows) if large else dump(list(rows)), headers=headers)


def _pieces(rows: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    piece: list[dict[str, Any]] = []
    start = b"["
    for row in rows:
        piece.append(row)
        if len(piece) == _PIECE:
            yield start + dump(piece)[1:-1]
            start, piece = b",", []
    yield (start + dump(piece)[1:-1] if piece else start if start == b"[" else b"") + b"]"
