"""One figure of an account, which of its figures count, and which are compared."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from cyclr_async.usage.months.period_texts import comparable, end_of
from cyclr_async.usage.months.periods import NotComparable, Period, counted_once

__all__ = ["AccountFacts", "Figure", "choose", "compare", "most_cycles"]


class AccountFacts(NamedTuple):
    """What an account list said of an account."""

    name: str | None = None
    price_plan_id: int | None = None
    audit_info: str | None = None
    task_audit_info: str | None = None
    api_id: str | None = None
    parent_account_id: str | None = None


class Figure(NamedTuple):
    """The last observation of a period of an account, as it is stored.

    A tuple, because millions of them are made and merged: they sort by account and beginning.

    Attributes:
        account_id: the account.
        period_from: when the period began; unique for an account.
        period_to: its end as the API means it; see :func:`~cyclr_async.usage.months.period_texts.meant_end`.
        task_count: tasks.
        cycle_count: the maximum of cycles; None over the v1.0 API, which counts none.
        price_plan_id: from the usage.
        audit_info: from the usage.
        observed_at: when the answer came.
        run_id: the run.
        doubtful: not 0 when the period may overlap others that were not read with it.
        facts: what the account list of the run said; None where it was not read.
        said_to: its end as the API says it, where that is another.
    """

    account_id: str
    period_from: str
    period_to: str
    task_count: int
    cycle_count: int | None
    price_plan_id: int | None
    audit_info: str | None
    observed_at: str
    run_id: int
    doubtful: int = 0
    facts: AccountFacts | None = None
    said_to: str | None = None

    @property
    def shown_to(self) -> str:
        """The end of the period as the API says it."""
        return self.period_to if self.said_to is None else self.said_to

    @property
    def provisional(self) -> bool:
        """Whether it was observed before its period was over."""
        return self.observed_at < end_of(self.period_from, self.period_to)

    @property
    def period(self) -> Period:
        """The period."""
        return Period.of(self.period_from, self.period_to)


def most_cycles(figures: Sequence[Figure]) -> int | None:
    """Return the maximum of cycles of several figures; None when none of them has one."""
    return max((figure.cycle_count for figure in figures if figure.cycle_count is not None), default=None)


def choose(figures: Sequence[Figure]) -> list[Figure]:
    """Return those of an account's figures that count: of periods that overlap, not all do.

    Args:
        figures: of all its periods, in order.
    """
    return [figures[index] for index in counted_once([(figure.period, figure.observed_at) for figure in figures])]


def compare(current: Sequence[Figure], earlier: Sequence[Figure]) -> tuple[Sequence[Figure], NotComparable | None]:
    """Find the figures of the adjacent earlier period of the same length.

    Args:
        current: one figure, or several that follow each other.
        earlier: figures of periods that began before, in order.

    Returns:
        those to compare with, in order, or else why nothing is compared.
    """
    if not earlier:
        return (), "no_earlier"
    first = current[0]
    if len(current) > 1:
        return _compare_several(current, earlier)
    why: NotComparable | None = None
    for figure in reversed(earlier):
        refused = comparable(first.period_from, first.period_to, figure.period_from, figure.period_to)
        if refused is None:
            return (figure,), None
        why = why or refused  # that of the nearest
    return (), why


def _compare_several(
    current: Sequence[Figure], earlier: Sequence[Figure]
) -> tuple[Sequence[Figure], NotComparable | None]:
    if any(_refused(after, before) is not None for before, after in itertools.pairwise(current)):
        return (), "not_adjacent"
    wanted = _length(current)
    found: list[Figure] = []
    following = first = current[0]
    for figure in reversed(earlier):
        why = _refused(following, figure)
        if why is not None:
            return (), why if following is first else "other_length"
        found.insert(0, figure)
        following = figure
        if _length(found) == wanted:
            return found, None
    return (), "other_length"


def _refused(after: Figure, before: Figure) -> NotComparable | None:
    """Return why two periods do not follow each other directly; their lengths may differ."""
    why = comparable(after.period_from, after.period_to, before.period_from, before.period_to)
    return None if why == "other_length" else why


def _length(figures: Sequence[Figure]) -> tuple[int, timedelta]:
    """Return how many whole months they are, and how long what is left is: a part never makes up for a month."""
    periods = [figure.period for figure in figures]
    rest = [period.end - period.start for period in periods if not period.is_month]
    return sum(period.is_month for period in periods), sum(rest, timedelta())
