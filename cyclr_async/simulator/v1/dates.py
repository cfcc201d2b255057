"""Dates of v1.0: how it writes them, and what it reads in queries."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

__all__ = ["moment_text", "query_moment"]

_NEVER: Final = "0001-01-01T00:00:00"
_AMERICAN: Final = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})", re.ASCII)


def moment_text(moment: datetime | None) -> str:
    """Return a moment as Json.NET writes it: UTC with ``Z``, no more digits than needed; None is the year 1."""
    if moment is None:
        return _NEVER
    fraction = f".{moment.microsecond:06d}".rstrip("0") if moment.microsecond else ""
    return f"{moment.isoformat(timespec='seconds')[:19]}{fraction}Z"


def query_moment(text: str) -> datetime:
    """Read a date of a query: ISO, or month/day/year; without a zone it is UTC.

    Raises:
        ValueError: it is neither.
    """
    american = _AMERICAN.fullmatch(text.strip())
    if american is not None:
        month, day, year = map(int, american.groups())
        return datetime(year, month, day, tzinfo=UTC)
    found = datetime.fromisoformat(text.strip())
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
