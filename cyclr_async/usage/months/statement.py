"""The statement of a month: per account the figure that counts, what it is compared with, and who has none and why.

What is billed, frozen, exported and shown on a page is read through here, so that all of them say the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final, Literal, TypeAlias

import attrs

from cyclr_async.usage.months.periods import NotComparable

__all__ = ["Gap", "GapReason", "GroupTotal", "MonthTotal", "StatementLine", "StatementTotals", "percent_of"]

GapReason: TypeAlias = Literal[
    "gone",
    "missing",
    "forbidden",
    "failed",
    "pending",
    "not_collected",
    "not_begun",
    "other_period",
    "overlapping",
    "after_closing",
]
"""Why an account has no figure in a month:

* ``gone``: it had one in the period before, and the newest complete account list of the month does not name it.
* ``missing``: the API answered 404.
* ``forbidden``: the API answered 403.
* ``failed``: asked for, and any other error came.
* ``pending``: a run knows it, and has not asked for it yet.
* ``not_collected``: it had a figure in the period before, and no run of the month is about it.
* ``not_begun``: its period before is not over, so that none can have begun.
* ``other_period``: it was collected, and its period begins in another month.
* ``overlapping``: its only period that begins in the month overlaps others, which count instead.
* ``after_closing``: its figure came when the month was closed already; see :func:`read_differences`.
"""

_CONTEXT: Final = Context(prec=60)
_TENTH: Final = Decimal("0.1")


def percent_of(part: int, whole: int) -> Decimal | None:
    """Return a part in percent of a whole, to one decimal, halves to even; None when the whole is 0."""
    if whole == 0:
        return None
    # A context of its own: that of the caller may have few digits, or none of our rounding.
    return _CONTEXT.divide(Decimal(100 * part), Decimal(whole)).quantize(_TENTH, ROUND_HALF_EVEN, _CONTEXT)


@attrs.frozen(slots=True, weakref_slot=False)
class StatementLine:
    """One account with a figure in the period of a statement. Times are ISO-8601 texts in UTC.

    The figure is that of the last observation of the account's period, or, when several of its periods begin within
    the statement's (a quarter, or a month in which the bill day was moved), the sum of theirs. Periods that overlap
    are counted once, as :func:`UsageReader.periods` does.

    Attributes:
        account_id: the account, as the API that was collected from names it.
        account_name: when it was listed.
        api_id: its id in the v1.0 API, where it was collected over that.
        parent_account_id: the account that it is a sub-account of, where the account list said it. Its figure is no
            part of its parent's.
        audit_info: the partner's own reference, from the usage, else from the account list.
        task_audit_info: the partner's reference for tasks, which the v1.0 API names.
        price_plan_id: from the usage, else from the account list; the plan of the day on which it was observed.
        period_from: when the account's period began (the first of several).
        period_to: its end as the API says it (of the last of several).
        period_end: when it is really over, exclusive; see :mod:`cyclr_async.usage.months.periods`.
        periods: how many periods of the account are summed; 1 as a rule.
        task_count: tasks.
        cycle_count: the maximum of cycles; None over the v1.0 API, which counts none.
        observed_at: when the figure was observed; of several the oldest.
        provisional: whether it may still rise: one was observed before its period was over.
        run_id: the run that observed it (the last of several).
        new: whether the store has no earlier figure of the account at all.
        previous_task_count: tasks of the adjacent earlier period of the same length; None when nothing is compared.
        previous_cycle_count: its maximum of cycles.
        previous_period_from: when it began.
        previous_period_to: its end as the API says it.
        previous_provisional: whether it was last observed before it was over.
        not_compared: why nothing is compared, or None.
        trend: tasks of the calendar months that :func:`read_statement` was asked for with ``trend``, oldest first,
            the statement's own included; None for a month without a figure.
    """

    account_id: str
    account_name: str | None
    api_id: str | None
    parent_account_id: str | None
    audit_info: str | None
    task_audit_info: str | None
    price_plan_id: int | None
    period_from: str
    period_to: str
    period_end: str
    periods: int
    task_count: int
    cycle_count: int | None
    observed_at: str
    provisional: bool
    run_id: int
    new: bool
    previous_task_count: int | None = None
    previous_cycle_count: int | None = None
    previous_period_from: str | None = None
    previous_period_to: str | None = None
    previous_provisional: bool | None = None
    not_compared: NotComparable | None = None
    trend: tuple[int | None, ...] = ()

    @property
    def change(self) -> int | None:
        """More tasks than in the period before, negative for fewer; None when nothing is compared."""
        return None if self.previous_task_count is None else self.task_count - self.previous_task_count

    @property
    def change_percent(self) -> Decimal | None:
        """The change in percent of the period before, to one decimal; None without one, or when it had no tasks."""
        if self.previous_task_count is None:
            return None
        return percent_of(self.task_count - self.previous_task_count, self.previous_task_count)

    def age(self, now: datetime) -> timedelta:
        """Return how old the figure is at a moment.

        Args:
            now: aware.
        """
        return now - datetime.fromisoformat(self.observed_at)


@attrs.frozen(slots=True, weakref_slot=False)
class Gap:
    """An account that belongs to the period of a statement and has no figure in it.

    Attributes:
        account_id: the account.
        account_name: when it was last listed.
        api_id: its id in the v1.0 API, where known.
        parent_account_id: the account that it is a sub-account of, where known.
        audit_info: the partner's own reference, from the account list, else the last usage.
        price_plan_id: the last one known.
        reason: why; see :data:`GapReason`.
        detail: the same in words, with the error that came.
        run_id: the run that says so; None when no run of the period is about the account.
        previous_task_count: tasks of its last figure in the period before; None without one.
        previous_period_from: when that one's period began.
        previous_period_to: its end as the API says it.
    """

    account_id: str
    account_name: str | None
    api_id: str | None
    parent_account_id: str | None
    audit_info: str | None
    price_plan_id: int | None
    reason: GapReason
    detail: str
    run_id: int | None = None
    previous_task_count: int | None = None
    previous_period_from: str | None = None
    previous_period_to: str | None = None


@attrs.frozen
class GroupTotal:
    """The lines of one price plan, or of one parent account.

    Attributes:
        key: the number of the plan as a text, or the id of the parent; None for lines without one.
        accounts: how many lines.
        task_count: their tasks.
        cycle_count: the sum of their maxima of cycles.
        provisional: how many of them may still rise.
        compared: how many of them are compared with the period before.
        compared_task_count: tasks of those, now.
        previous_task_count: tasks of those, before.
    """

    key: str | None
    accounts: int
    task_count: int
    cycle_count: int
    provisional: int
    compared: int
    compared_task_count: int
    previous_task_count: int

    @property
    def change(self) -> int:
        """More tasks than before over the accounts that are compared."""
        return self.compared_task_count - self.previous_task_count

    @property
    def change_percent(self) -> Decimal | None:
        """The change in percent, to one decimal; None when there were no tasks before."""
        return percent_of(self.change, self.previous_task_count)


@attrs.frozen
class MonthTotal:
    """One calendar month of a trend.

    Attributes:
        month: such as ``"2026-10"``.
        accounts: how many accounts have a period that begins in it.
        task_count: their tasks, each period by its last observation.
    """

    month: str
    accounts: int
    task_count: int


@attrs.frozen
class StatementTotals:
    """What the lines and gaps of a statement come to. Times are ISO-8601 texts in UTC, None without lines.

    Attributes:
        accounts: how many lines.
        task_count: their tasks.
        cycle_count: the sum of their maxima of cycles.
        provisional: how many of them may still rise.
        compared: how many of them are compared with the period before.
        compared_task_count: tasks of those, now.
        previous_task_count: tasks of those, before.
        new_accounts: how many lines are of accounts without any earlier figure.
        gone_accounts: how many gaps are of accounts that are gone.
        not_compared: how many lines have earlier figures that must not be compared, by why.
        gaps: how many gaps there are, by reason; ``gone`` among them.
        observed_min: when the oldest figure was observed.
        observed_max: when the newest was.
        plans: per price plan, most tasks first.
        parents: per parent account, most tasks first: what its sub-accounts come to, without its own figure. The
            group without a key holds the accounts without a parent.
        trend: totals of the months that were asked for with ``trend``, oldest first.
    """

    accounts: int
    task_count: int
    cycle_count: int
    provisional: int
    compared: int
    compared_task_count: int
    previous_task_count: int
    new_accounts: int
    gone_accounts: int
    not_compared: Mapping[NotComparable, int]
    gaps: Mapping[GapReason, int]
    observed_min: str | None
    observed_max: str | None
    plans: tuple[GroupTotal, ...]
    parents: tuple[GroupTotal, ...]
    trend: tuple[MonthTotal, ...] = ()

    @property
    def change(self) -> int:
        """More tasks than in the period before, over the accounts that are compared."""
        return self.compared_task_count - self.previous_task_count

    @property
    def change_percent(self) -> Decimal | None:
        """The change in percent, to one decimal; None when there were no tasks before."""
        return percent_of(self.change, self.previous_task_count)

    @property
    def missing(self) -> int:
        """How many accounts should have a figure and have none: every gap but those of accounts that are gone."""
        return sum(self.gaps.values()) - self.gone_accounts
