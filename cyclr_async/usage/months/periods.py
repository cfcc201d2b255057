"""What a billing period is: when it really ends, what follows it, and which figures may be compared or added up.

The API names a period by ``FromDate`` and ``ToDate``, and its document leaves open what ``ToDate`` means. Its example
runs from 2016-12-09T16:23:08 to 2017-01-08T16:23:08, while bill dates step by a calendar month (2017-02-09 to
2017-03-09). Two readings fit: a month less a day, and 30 days. Everything that depends on the difference is decided
here, so that no report and no export counts the day in between twice or not at all:

* A month ends where the next bill is due, one calendar month after it began; the day of the month is clamped to the
  end of a shorter month. Bills of the 29th to 31st come back to their day in longer months.
* Any other period (``from_date`` or a moved bill day made it shorter or longer) ends a day after its ``ToDate``.
* Where both readings are possible a period is over only when it is over by both, and a next one that begins at either
  end follows it.
* Periods join by days: the time of day is that of the bill, and is the server's.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, Literal, TypeAlias

import attrs

__all__ = [
    "NotComparable",
    "Period",
    "add_months",
    "counted_once",
    "look_back_text",
    "month_after_text",
    "period_end_text",
    "why_not_comparable",
]

NotComparable: TypeAlias = Literal["no_earlier", "overlapping", "not_adjacent", "other_length"]
"""Why a figure is not compared: the store has no earlier one, it overlaps, months lie between, it is of another
length (a part of a month never equals a whole one)."""

_DAY: Final = timedelta(days=1)
_THIRTY_DAYS: Final = timedelta(days=30)
_LAST: Final = datetime.max.replace(tzinfo=UTC)
_SLACK: Final = timedelta(days=3)
"""How far the ends of a month by the two readings, or with and without clamping, are apart at most: a bill of
28 February is followed by one of 28 to 31 March."""
# calendar.monthrange would check its arguments each time, and this is asked for every account of a report.
_MONTH_DAYS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def _days_of(year: int, month: int) -> int:
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return _MONTH_DAYS[month - 1] + leap


def _plus(moment: datetime, by: timedelta) -> datetime:
    try:
        return moment + by
    except OverflowError:
        return _LAST


def add_months(moment: datetime, months: int) -> datetime:
    """Return the same day of the month ``months`` later, or the last day of that month when it is shorter.

    Args:
        moment: aware.
        months: may be negative.

    Returns:
        the moment; the last one that can be written when it would lie after the year 9999.

    Raises:
        ValueError: it would lie before the year 1.
    """
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    if year > 9999:
        return _LAST
    day = moment.day
    return moment.replace(year, month + 1, day if day < 29 else min(day, _days_of(year, month + 1)))


@attrs.frozen
class Period:
    """A period of an account as the API names it.

    Args:
        start: ``FromDate``; aware, in UTC.
        documented_end: ``ToDate``; aware, in UTC.

    Attributes:
        end: when it is really over, exclusive: at this moment no task can be counted in it any more.
        is_month: whether it is a whole month; 28, 29, 30 and 31 days are the same length then.
    """

    start: datetime
    documented_end: datetime
    end: datetime = attrs.field(init=False, eq=False)
    is_month: bool = attrs.field(init=False, eq=False)
    _first_next: datetime = attrs.field(init=False, eq=False, repr=False)
    """The earliest moment at which a period that follows this one can begin."""
    _calendar_only: bool = attrs.field(init=False, eq=False, repr=False)
    """Whether ``ToDate`` can only be read as a month less a day."""

    def __attrs_post_init__(self) -> None:
        start, documented = self.start, self.documented_end
        month = add_months(start, 1)
        if start.day < 28 and documented == month - _DAY:
            # Nearly every period: a month less a day whose day needs no clamping. Said once more by _bounds(), in more
            # time than a report over a million accounts has.
            calendar_only = documented - start != _THIRTY_DAYS
            end, is_month, first_next = month, True, month if calendar_only else documented
        else:
            end, is_month, first_next, calendar_only = _bounds(start, documented, month)
        set_ = object.__setattr__  # the way to fill a frozen class
        set_(self, "end", end)
        set_(self, "is_month", is_month)
        set_(self, "_first_next", first_next)
        set_(self, "_calendar_only", calendar_only)

    @classmethod
    def of(cls, period_from: str, period_to: str) -> Period:
        """Return the period of two ISO-8601 texts in UTC that end in ``Z``, as a store and a row hold them.

        Raises:
            ValueError: a text is no time.
        """
        return _period(period_from, period_to)

    def provisional(self, observed_at: datetime) -> bool:
        """Whether figures observed then may still rise: the period was not over."""
        return observed_at < self.end

    def same_length(self, other: Period) -> bool:
        """Whether both are whole months, or both last equally long and neither is a month."""
        if self.is_month or other.is_month:
            return self.is_month and other.is_month
        return self.end - self.start == other.end - other.start

    def follows(self, previous: Period) -> bool:
        """Whether this period begins on the day on which ``previous`` ends, by one of the two readings of ``ToDate``.

        Days are compared and not moments, because a period is asked for by its day: the server adds the time of day of
        the bill, and that can be moved between two months.
        """
        day, end = self.start.date(), previous.end.date()
        if day == end:
            return True
        # Of periods that read only as a month less a day, none begins at the ToDate of another: that is a day early.
        return not self._calendar_only and previous._first_next.date() <= day < end

    def overlaps(self, other: Period) -> bool:
        """Whether some time belongs to both, so that their figures must not be added up."""
        if self.start >= other.end or other.start >= self.end:
            return False
        return not (self.follows(other) or other.follows(self))

    @property
    def weight(self) -> timedelta:
        """How much time it covers; every month as much as another, so that February is worth no less."""
        return _THIRTY_DAYS if self.is_month else max(self.end - self.start, timedelta(seconds=1))

    @property
    def look_back(self) -> datetime:
        """The earliest start that a period of the same length just before this one can have; at least a month ago."""
        span = max(timedelta(days=31), self.end - self.start) + _SLACK
        try:
            return self.start - span
        except OverflowError:
            return datetime.min.replace(tzinfo=UTC)


def _unclamped(start: datetime, month: datetime) -> datetime:
    """Return the latest day of the next month on which the bill after ``start`` can be due.

    A bill on the last day of a month may be one of the 29th to 31st that was clamped.
    """
    if start.day < _days_of(start.year, start.month) or month is _LAST:
        return month
    return month.replace(day=_days_of(month.year, month.month))


def _bounds(start: datetime, documented: datetime, month: datetime) -> tuple[datetime, bool, datetime, bool]:
    """Return the attributes of a period of any kind: end, whether it is a month, and the two private ones."""
    latest, thirty, day_after = _unclamped(start, month), _plus(start, _THIRTY_DAYS), _plus(documented, _DAY)
    if documented < start:
        return month, False, month, False  # it means nothing: nothing is called over before a month has passed
    if not month - _DAY <= documented <= max(latest, thirty):
        return day_after, False, documented, False
    end = day_after if month <= day_after <= latest else max(month, documented)
    calendar_only = day_after == end and documented != thirty
    return end, True, end if calendar_only else min(documented, month), calendar_only


# The periods of one account are looked at several times in a row, and many accounts may be billed at one time.
@lru_cache(maxsize=1024)
def _period(period_from: str, period_to: str) -> Period:
    return Period(datetime.fromisoformat(period_from), datetime.fromisoformat(period_to))


def _text(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def period_end_text(period_from: str | None, period_to: str | None) -> str | None:
    """Return the real, exclusive end of a stored period in the form of stored times; None without a period.

    It is the SQL function ``period_end`` of every connection to a store.
    """
    if period_from is None or period_to is None:
        return None
    return _text(Period.of(period_from, period_to).end)


def look_back_text(period_from: str, period_to: str) -> str:
    """Return :attr:`Period.look_back` of a stored period; the SQL function ``period_look_back``."""
    return _text(Period.of(period_from, period_to).look_back)


def month_after_text(period_from: str) -> str:
    """Return a month after the start of a stored period; the SQL function ``month_after``."""
    return _text(add_months(datetime.fromisoformat(period_from), 1))


def why_not_comparable(current: Period, earlier: Period | None) -> NotComparable | None:
    """Return why the figures of a period must not be compared with those of an earlier one, or None if they may.

    Args:
        current: the period of the newer figures.
        earlier: a period that began before it, or None when there is none.
    """
    if earlier is None:
        return "no_earlier"
    if current.overlaps(earlier):
        return "overlapping"
    if not current.follows(earlier):
        return "not_adjacent"
    return None if current.same_length(earlier) else "other_length"


@attrs.frozen
class _Chain:
    """Periods that follow each other without overlap; the links lead from the last one back."""

    covered: timedelta = timedelta()
    seen: str = ""
    links: tuple[int, object] | None = None

    def better(self, other: _Chain) -> bool:
        return (self.covered, self.seen) > (other.covered, other.seen)


def counted_once(found: Sequence[tuple[Period, str]]) -> list[int]:
    """Choose among the observed periods of one account those whose figures may be added up.

    No two of them overlap. They cover as much time as possible, and among several ways to do that it is the one that
    was observed last.

    Args:
        found: periods with different starts, and when each was observed last (ISO-8601 text).

    Returns:
        their indexes, in order of time.
    """
    if len(found) == 1:
        return [0]
    # Weighted interval scheduling: the best chain of all periods that end by a moment, extended period by period.
    order = sorted(range(len(found)), key=lambda index: (found[index][0].end, found[index][0].start))
    ends: list[datetime] = []
    chains: list[_Chain] = []
    best = [_Chain()]
    for index in order:
        period, seen = found[index]
        clear = bisect_right(ends, period.start)
        before = best[clear]
        for near in range(clear, len(ends)):
            if ends[near] - period.start > _SLACK:
                break
            if period.follows(found[order[near]][0]) and chains[near].better(before):
                before = chains[near]
        chain = _Chain(before.covered + period.weight, max(before.seen, seen), (index, before.links))
        ends.append(period.end)
        chains.append(chain)
        best.append(chain if chain.better(best[-1]) else best[-1])
    chosen: list[int] = []
    links = best[-1].links
    while links is not None:
        chosen.append(links[0])
        links = links[1]  # type: ignore[assignment]
    return chosen[::-1]
