"""Answers about stored periods by their texts, as :mod:`periods` gives them, at the speed of a million accounts.

Accounts are billed at different seconds, so no cache of periods helps a statement. But what a period is depends on its
days only, when it begins and ends at the same time of day, as nearly all do: and of days a month has few.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

from cyclr_async.usage.months.periods import (
    NotComparable,
    Period,
    month_after_text,
    period_end_text,
    why_not_comparable,
)

__all__ = ["comparable", "end_of", "meant_end"]

_NEAR: Final = timedelta(hours=1)
"""As far as the clock of the service and the one here may be apart."""
# Any time of day does: it is that of both ends.
_NOON: Final = "T12:00:00Z"


@lru_cache(maxsize=8192)
def _end_day(start: str, documented_end: str) -> str:
    return Period.of(start + _NOON, documented_end + _NOON).end.date().isoformat()


@lru_cache(maxsize=16384)
def _why(start: str, end: str, earlier_start: str, earlier_end: str) -> NotComparable | None:
    earlier = Period.of(earlier_start + _NOON, earlier_end + _NOON)
    return why_not_comparable(Period.of(start + _NOON, end + _NOON), earlier)


def end_of(period_from: str, period_to: str) -> str:
    """Return the real, exclusive end of a stored period, in the form of stored times."""
    if period_from[10:] == period_to[10:] and period_to < "9999":  # near the last year ends are clamped to a moment
        return _end_day(period_from[:10], period_to[:10]) + period_from[10:]
    end = period_end_text(period_from, period_to)
    assert end is not None
    return end


def comparable(period_from: str, period_to: str, earlier_from: str, earlier_to: str) -> NotComparable | None:
    """Return why two stored periods must not be compared, or None if they may; the second one began earlier."""
    if period_from[10:] == period_to[10:] and earlier_from[10:] == earlier_to[10:] and period_to < "9999":
        day, earlier_day = period_from[:10], earlier_from[:10]
        # Within one day the times decide, and they are not looked at here.
        if day != earlier_day:
            return _why(day, period_to[:10], earlier_day, earlier_to[:10])
    return why_not_comparable(Period.of(period_from, period_to), Period.of(earlier_from, earlier_to))


def meant_end(period_from: str, period_to: str, observed_at: str) -> str:
    """Return the ``ToDate`` that is meant by an answer of the v1.0 API.

    That API names the moment of its answer as the end. The period goes on all the same, until the next bill: so it is a
    month that was not over, and can be compared with other months. An end at any other time is what it is.
    """
    month = month_after_text(period_from)
    said, seen = datetime.fromisoformat(period_to), datetime.fromisoformat(observed_at)
    if period_to >= month or abs(said - seen) >= _NEAR:
        return period_to
    day_before = datetime.fromisoformat(month) - timedelta(days=1)
    return day_before.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
