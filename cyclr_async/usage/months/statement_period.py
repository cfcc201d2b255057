"""The time that a statement is about: a calendar month, or any days in a row, in a time zone."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import attrs

from cyclr_async.errors import InvalidArgumentError
from cyclr_async.usage.months.periods import add_months

__all__ = ["StatementPeriod", "zone_of"]

_MONTH: Final = re.compile(r"(\d{4})-(\d{2})", re.ASCII)
# The comparison looks a period back and the trend a year, and a zone moves a day over midnight: both must stay in what
# a calendar can hold.
_FIRST_YEAR: Final = 1000
_LAST_YEAR: Final = 9998
_LONGEST_DAYS: Final = 36_600
"""A hundred years; a longer period is a slip of the keyboard, and its comparison would begin before the calendar."""


def zone_of(name: str | tzinfo) -> tzinfo:
    """Return a time zone by its IANA name.

    Raises:
        InvalidArgumentError: this machine knows no such zone.
    """
    if isinstance(name, tzinfo):
        return name
    if name.upper() == "UTC":
        return UTC  # without the database of zones, which some machines do not have
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidArgumentError(
            f"unknown time zone {name!r}: give an IANA name such as Europe/London (on Windows, install tzdata)"
        ) from None


@attrs.frozen
class StatementPeriod:
    """Which days a statement is about: an account's period belongs to it when it *begins* on one of them.

    Accounts are billed on different days, so no calendar month holds whole periods of all of them. By its beginning
    every period belongs to exactly one month, and is billed once.

    Args:
        start: the first day.
        end: the day after the last.
        zone: in which those days begin; an IANA name or a tzinfo. UTC is that of the API.

    Raises:
        InvalidArgumentError: it does not end after it starts, is longer than a hundred years, or lies outside of the
            years 1000 to 9998.
    """

    start: date
    end: date
    zone: tzinfo = attrs.field(default=UTC, converter=zone_of)

    def __attrs_post_init__(self) -> None:
        for name in ("start", "end"):
            value = getattr(self, name)
            if not isinstance(value, date) or isinstance(value, datetime):
                raise InvalidArgumentError(f"{name} is a date, such as date(2026, 10, 1); got {value!r}")
        if not _FIRST_YEAR <= self.start.year <= self.end.year <= _LAST_YEAR:
            raise InvalidArgumentError(f"a period lies in the years {_FIRST_YEAR} to {_LAST_YEAR}; got {self.label}")
        if not 0 < (self.end - self.start).days <= _LONGEST_DAYS:
            raise InvalidArgumentError(
                f"a period ends after it starts, and within a hundred years; got {self.start} up to and without "
                f"{self.end}"
            )

    @classmethod
    def month(cls, month: str, zone: str | tzinfo = UTC) -> Self:
        """Return a calendar month.

        Args:
            month: such as ``"2026-10"``.
            zone: of its days.

        Raises:
            InvalidArgumentError: it is no month.
        """
        found = _MONTH.fullmatch(month)
        if found is None or not 1 <= int(found[2]) <= 12 or not _FIRST_YEAR <= int(found[1]) < _LAST_YEAR:
            raise InvalidArgumentError(f"{month!r} is no month: write it as YYYY-MM, such as 2026-10")
        first = date(int(found[1]), int(found[2]), 1)
        return cls(first, _months_later(first, 1), zone)

    @classmethod
    def last_month(cls, now: datetime, zone: str | tzinfo = UTC) -> Self:
        """Return the calendar month before the one that holds a moment, in the zone.

        Args:
            now: aware.
            zone: of its days.
        """
        today = now.astimezone(zone_of(zone)).date()
        end = today.replace(day=1)
        return cls(_months_later(end, -1), end, zone)

    @property
    def months(self) -> int | None:
        """How many whole calendar months it has; None when it does not begin and end with one."""
        if self.start.day != 1 or self.end.day != 1:
            return None
        return (self.end.year - self.start.year) * 12 + self.end.month - self.start.month

    @property
    def label(self) -> str:
        """Its name: ``"2026-10"``, ``"2026-07 to 2026-09"``, or the first and the last day."""
        if self.months == 1:
            return f"{self.start:%Y-%m}"
        last = self.end - timedelta(days=1)
        if self.months is not None:
            return f"{self.start.isoformat()[:7]} to {last.isoformat()[:7]}"
        return f"{self.start} to {last}"

    @property
    def begins(self) -> datetime:
        """The moment at which it begins; aware, in UTC."""
        return _midnight(self.start, self.zone)

    @property
    def ends(self) -> datetime:
        """The moment at which it is over, exclusive; aware, in UTC. Periods that began in it end later."""
        return _midnight(self.end, self.zone)

    @property
    def previous(self) -> Self:
        """The days on which the periods just before began: a month earlier, or as many months as it is long.

        Of whole months these are as many whole months, directly before.
        """
        back = 1
        while _months_later(self.start, back) < self.end:
            back += 1
        return attrs.evolve(self, start=_months_later(self.start, -back), end=_months_later(self.end, -back))

    def earlier_months(self, count: int) -> list[StatementPeriod]:
        """Return so many calendar months up to the one that holds its last day, oldest first.

        Args:
            count: 0 or more.
        """
        last = (self.end - timedelta(days=1)).replace(day=1)
        firsts = [_months_later(last, index) for index in range(-count + 1, 1)]
        return [StatementPeriod(first, _months_later(first, 1), self.zone) for first in firsts]

    def __str__(self) -> str:
        return self.label


def _months_later(day: date, months: int) -> date:
    return add_months(datetime(day.year, day.month, day.day, tzinfo=UTC), months).date()


def _midnight(day: date, zone: tzinfo) -> datetime:
    """Return when a day begins.

    Where the clocks go forward at midnight the day has no 00:00; its first moment is then the one just after the gap,
    which is what converting the missing time with the offset before it gives.
    """
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
