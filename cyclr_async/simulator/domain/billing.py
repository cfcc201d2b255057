"""Billing periods that follow each other, and usage that grows with time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final, TypeAlias

import attrs

from cyclr_async.simulator.domain.clock import add_months

__all__ = [
    "FixedPeriod",
    "FixedUsage",
    "Schedule",
    "Span",
    "Work",
    "cycles_between",
    "fixed_period",
    "naive",
    "period_end",
    "tasks_until",
    "usage_between",
]

_DAY: Final = 86_400
_WEEK: Final = (10, 12, 13, 11, 10, 3, 1)
"""How much of a week's work falls on each of its days."""
_WEEK_WORK: Final = sum(_WEEK) * _DAY
_BEFORE: Final = tuple(sum(_WEEK[:day]) * _DAY for day in range(7))


def naive(moment: datetime) -> str:
    """Return the moment as the API writes dates of its database: whole seconds of UTC, without a zone."""
    return moment.isoformat(timespec="seconds")[:19]


_DAY_LONG: Final = timedelta(days=1)


def period_end(start: datetime) -> datetime:
    """Return the ``ToDate`` of the month that starts then: a month later, less a day, as in the API document.

    The month itself goes on for that day, until the next one begins.
    """
    return add_months(start, 1) - _DAY_LONG


@attrs.frozen(slots=True)
class Schedule:
    """When an account is billed.

    Attributes:
        created: no usage exists before.
        last: the bill before ``next``.
        next: the next bill, or None when none is planned.
        repeats: True when bills follow monthly after ``next``. A date that already lay in the past when it was written
            stays as it was written.
        before: the schedule by which the bills before ``last`` were made, or None when there were none.
    """

    created: datetime
    last: datetime
    next: datetime | None
    repeats: bool = True
    before: Schedule | None = None

    def at(self, now: datetime) -> tuple[datetime, datetime | None]:
        """Return the last and the next bill date as seen at that moment."""
        if now < self.last and self.before is not None:
            last, following = self.before.at(now)
            return last, self.last if following is None else min(following, self.last)
        if self.next is None or not self.repeats or now < self.next:
            return self.last, self.next
        months = (now.year - self.next.year) * 12 + now.month - self.next.month
        bill = add_months(self.next, months)
        return (add_months(self.next, months - 1), bill) if bill > now else (bill, add_months(self.next, months + 1))

    def moved(self, last: datetime, date: datetime | None, *, repeats: bool) -> Schedule:
        """Return the schedule with another next bill.

        Args:
            last: the bill before it.
            date: the next bill, or None for none.
            repeats: as the attribute.
        """
        # As long as no bill came since the last change there is nothing new to remember.
        before = self.before if last == self.last else self
        return Schedule(self.created, last, date, repeats, before)

    def bill_on(self, day: datetime) -> datetime | None:
        """Return the bill of that day, whatever its time of day, or None when there is none."""
        if self.next is not None and day.date() >= self.next.date():
            months = (day.year - self.next.year) * 12 + day.month - self.next.month
            bill = add_months(self.next, months) if self.repeats else self.next
            if bill.date() == day.date():
                return bill
        if self.last.date() == day.date():
            return self.last
        earlier = None if self.before is None else self.before.bill_on(day)
        return earlier if earlier is not None and earlier < self.last else None

    def after(self, bill: datetime) -> datetime | None:
        """Return the bill that follows a bill, or None when none is planned."""
        if bill < self.last and self.before is not None:
            following = self.before.after(bill)
            return self.last if following is None else min(following, self.last)
        if self.next is None or bill < self.next:
            return self.next
        if not self.repeats:
            return None
        return add_months(self.next, (bill.year - self.next.year) * 12 + bill.month - self.next.month + 1)


@attrs.frozen(slots=True)
class Span:
    """A period that usage is asked for.

    Attributes:
        start: ``FromDate``.
        end: when the next period begins; it is not part of this one.
    """

    start: datetime
    end: datetime

    @property
    def to_date(self) -> datetime:
        """``ToDate``: a day before the next period begins, although that day is counted, as in the API document."""
        return max(self.start, self.end - _DAY_LONG)

    @classmethod
    def find(cls, schedule: Schedule, now: datetime, day: datetime | None) -> Span:
        """Return the period from the last bill, or the one that begins on a day.

        Every moment belongs to exactly one of the periods between bills, however long they are. A period from another
        day lasts a calendar month.

        Args:
            schedule: of the account.
            now: the present moment.
            day: the ``fromDate``, or None.

        Raises:
            ValueError: the period would end after the year 9999.
        """
        last = schedule.at(now)[0]
        bill = last if day is None else schedule.bill_on(day)
        if bill is None:
            assert day is not None
            start = last.replace(year=day.year, month=day.month, day=day.day)
            return cls(start, add_months(start, 1))
        following = schedule.after(bill)
        return cls(bill, add_months(bill, 1) if following is None or following <= bill else following)


FixedPeriod: TypeAlias = date | tuple[date, date]
"""A day or moment of the period that is meant, or its beginning and its end."""


@attrs.frozen(slots=True)
class FixedUsage:
    """Figures that a test has set for one period.

    Attributes:
        tasks: of the period, from its first moment on.
        cycles: of the period.
        period: which period; days, or moments in UTC.
    """

    tasks: int
    cycles: int
    period: FixedPeriod

    def holds_for(self, span: Span) -> bool:
        """Whether these are the figures of that period."""
        if isinstance(self.period, tuple):
            begin, end = self.period
            return _same(begin, span.start) and (_same(end, span.end) or _same(end, span.to_date))
        if isinstance(self.period, datetime):
            return span.start <= self.period < span.end
        return span.start.date() <= self.period < span.end.date()


def _same(given: date, moment: datetime) -> bool:
    return given == (moment if isinstance(given, datetime) else moment.date())


def fixed_period(given: object) -> FixedPeriod:
    """Return a period as a test names it, with its moments in UTC; naive means UTC.

    Raises:
        TypeError: it is neither a date nor two of them.
        ValueError: it ends before it begins.
    """
    if isinstance(given, tuple) and len(given) == 2:
        begin, end = _checked(given[0]), _checked(given[1])
        if end.isoformat()[:10] < begin.isoformat()[:10]:
            raise ValueError("a period ends after it begins")
        return begin, end
    return _checked(given)


def _checked(given: object) -> date:
    if isinstance(given, datetime):
        return given.replace(tzinfo=UTC) if given.tzinfo is None else given.astimezone(UTC)
    if isinstance(given, date):
        return given
    raise TypeError("a period is a date or datetime within it, or a tuple of its beginning and its end")


def _work(seconds: int) -> int:
    weeks, rest = divmod(seconds, 7 * _DAY)
    day, rest = divmod(rest, _DAY)
    return weeks * _WEEK_WORK + _BEFORE[day] + _WEEK[day] * rest


def tasks_until(tasks_per_day: int, created: datetime, moment: datetime) -> int:
    """Return the tasks done from creation to that moment, 0 before. Integers only: the same on every machine."""
    age = moment - created
    if age.days < 0:
        return 0
    return tasks_per_day * 7 * _work(age.days * _DAY + age.seconds) // _WEEK_WORK


def cycles_between(cycles: int, created: datetime, start: datetime, end: datetime) -> int:
    """Return the highest number of cycles that ran at once: it rises a little with each 90 days of the account."""
    if end <= created or end <= start or not cycles:
        return 0
    return cycles + min(12, (end - created).days // 90)


@attrs.frozen(slots=True)
class Work:
    """How much an account does.

    Attributes:
        tasks_per_day: on average over a week.
        cycles: that ran at once when it was created.
        fixed: tasks and cycles to be answered whatever the period, or None.
        periods: figures of single periods; the last that fits counts, and before ``fixed``.
    """

    tasks_per_day: int
    cycles: int
    fixed: tuple[int, int] | None = None
    periods: tuple[FixedUsage, ...] = ()


def usage_between(work: Work, schedule: Schedule, span: Span, now: datetime) -> tuple[int, int]:
    """Return tasks and cycles of a period, as far as it has passed."""
    for fixed in reversed(work.periods):
        if fixed.holds_for(span):
            return fixed.tasks, fixed.cycles
    if work.fixed is not None:
        return work.fixed
    seen, created = min(span.end, now), schedule.created
    if seen <= span.start or seen <= created:
        return 0, 0
    tasks = tasks_until(work.tasks_per_day, created, seen) - tasks_until(work.tasks_per_day, created, span.start)
    return tasks, cycles_between(work.cycles, created, span.start, seen)
