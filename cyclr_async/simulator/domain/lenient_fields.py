"""Reading requests as leniently as the real server: keys in any case, numbers as text, what cannot be is ignored."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from json.encoder import JSONEncoder
from typing import Any, Final, NoReturn
from urllib.parse import parse_qsl

from cyclr_async.wire.unset import UNSET, Unset

__all__ = ["RefusedError", "body_fields", "dump", "dump_text", "from_date", "message", "moment", "number", "text"]

dump_text: Final[Callable[[object], str]] = JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class RefusedError(Exception):
    """The request is answered with an error.

    Args:
        status: the HTTP status.
        text: of ``Message``; None for an empty body.
        headers: more headers of the answer.
    """

    def __init__(self, status: int, text: str | None = None, headers: dict[str, str] | None = None) -> None:
        super().__init__(status, text)
        self.status = status
        self.body: bytes = b"" if text is None else message(text)
        self.headers = headers


INVALID: Final = "The request is invalid."


def dump(value: object) -> bytes:
    """Return compact UTF-8 JSON."""
    return dump_text(value).encode()


def message(words: str) -> bytes:
    """Return the error envelope of the API."""
    return dump({"Message": whole(words)})


def whole(words: str) -> str:
    """Return the text with lone surrogates replaced, since they cannot be sent."""
    return words if words.isascii() else words.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _constant(name: str) -> NoReturn:
    raise ValueError(name)


def body_fields(body: bytes, content_type: str) -> dict[str, Any]:
    """Return the fields of a JSON object by their names in lower case; the last of several equal names counts.

    Raises:
        RefusedError: 415 for another media type, 400 for anything but a JSON object.
    """
    media = content_type.partition(";")[0].strip().lower()
    if media not in ("", "application/json", "text/json"):
        raise RefusedError(415, f"The request entity's media type '{media}' is not supported for this resource.")
    try:
        data = json.loads(body.decode("utf-8-sig"), parse_constant=_constant)
    except (ValueError, RecursionError):
        raise RefusedError(400, INVALID) from None
    if not isinstance(data, dict):
        raise RefusedError(400, INVALID)
    return {key.lower(): value for key, value in data.items()}


def text(fields: dict[str, Any], name: str) -> str | Unset | None:
    """Return a text; numbers and booleans become text, arrays and objects are ignored."""
    value = fields.get(name, UNSET)
    if value is None or value is UNSET:
        return value
    if isinstance(value, str):
        return whole(value)
    if isinstance(value, bool):
        return str(value)
    return _digits(value) if isinstance(value, (int, float)) else UNSET


def _digits(value: float) -> str | Unset:
    try:
        return str(value)
    except ValueError:  # more digits than Python converts
        return UNSET


def number(fields: dict[str, Any], name: str) -> int | Unset | None:
    """Return a whole number, also from a text; anything else is ignored."""
    value = fields.get(name, UNSET)
    if value is None or value is UNSET:
        return value
    if isinstance(value, str):
        stripped = value.strip()
        return int(stripped) if stripped.isascii() and stripped.isdecimal() and len(stripped) < 19 else UNSET
    if isinstance(value, bool):
        return UNSET
    return int(value) if isinstance(value, int) or (isinstance(value, float) and value.is_integer()) else UNSET


def moment(fields: dict[str, Any], name: str) -> datetime | Unset | None:
    """Return a date with time, in UTC and whole seconds; without a zone it is UTC; anything else is ignored."""
    value = fields.get(name, UNSET)
    if value is None or value is UNSET:
        return value
    if not isinstance(value, str):
        return UNSET
    try:
        found = datetime.fromisoformat(value.strip())
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return UNSET
    return found.replace(microsecond=0)


def from_date(query: str) -> datetime | None:
    """Return the day given as ``fromDate``, without a zone; None when there is none, or an empty one.

    Raises:
        RefusedError: 400 when it is no date.
    """
    if not query:
        return None
    if len(query) == 19 and query.startswith("fromDate="):
        given = query[9:]
    else:
        try:
            pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=100)
        except ValueError:
            raise RefusedError(400, INVALID) from None
        given = next((value for key, value in pairs if key.lower() == "fromdate"), "").strip()
    if not given:
        return None
    try:
        found = datetime.fromisoformat(given)
        if found.tzinfo is not None:
            found = found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise RefusedError(400, INVALID) from None
    day: date = found.date()
    return datetime(day.year, day.month, day.day)  # noqa: DTZ001 - a day; the account's bill gives the time and zone
