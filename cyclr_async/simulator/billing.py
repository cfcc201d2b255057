"""Billing periods that follow each other, and usage that grows with time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import attrs

from cyclr_async.simulator.clock import add_months

__all__ = [
    "Schedule",
    "Work",
    "cycles_between",
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


def period_end(start: datetime) -> datetime:
    """Return the end of the monthly period that starts then: a month later, less a day, as in the API document."""
    return add_months(start, 1) - timedelta(days=1)


@attrs.frozen(slots=True)
class Schedule:
    """When an account is billed.

    Attributes:
        created: no usage exists before.
        last: the bill before ``next``.
        next: the next bill, or None when none is planned.
        repeats: True when bills follow monthly after ``next``. A date that already lay in the past when it was written
            stays as it was written.
    """

    created: datetime
    last: datetime
    next: datetime | None
    repeats: bool = True

    def at(self, now: datetime) -> tuple[datetime, datetime | None]:
        """Return the last and the next bill date as seen at that moment."""
        if self.next is None or not self.repeats or now < self.next:
            return self.last, self.next
        months = (now.year - self.next.year) * 12 + now.month - self.next.month
        bill = add_months(self.next, months)
        return (add_months(self.next, months - 1), bill) if bill > now else (bill, add_months(self.next, months + 1))


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
    """

    tasks_per_day: int
    cycles: int
    fixed: tuple[int, int] | None = None


def usage_between(work: Work, schedule: Schedule, start: datetime, end: datetime, now: datetime) -> tuple[int, int]:
    """Return tasks and cycles of a period, as far as it has passed."""
    if work.fixed is not None:
        return work.fixed
    seen, created = min(end, now), schedule.created
    if seen <= start or seen <= created:
        return 0, 0
    tasks = tasks_until(work.tasks_per_day, created, seen) - tasks_until(work.tasks_per_day, created, start)
    return tasks, cycles_between(work.cycles, created, start, seen)
