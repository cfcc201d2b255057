"""Adding up a statement while it is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

import attrs

from cyclr_async.usage.months.figures import Figure
from cyclr_async.usage.months.statement import Gap, GroupTotal, MonthTotal, StatementLine, StatementTotals
from cyclr_async.usage.store.rows import short_utc_text

if TYPE_CHECKING:
    from cyclr_async.usage.months.periods import NotComparable
    from cyclr_async.usage.months.statement import GapReason

__all__ = ["GroupTally", "Tally"]

_Key = TypeVar("_Key", bound="int | str | None")


@attrs.define
class GroupTally:
    """The sums of some lines."""

    accounts: int = 0
    task_count: int = 0
    cycle_count: int = 0
    provisional: int = 0
    compared: int = 0
    compared_task_count: int = 0
    previous_task_count: int = 0

    def add(self, line: StatementLine) -> None:
        """Add a line."""
        self.accounts += 1
        self.task_count += line.task_count
        self.cycle_count += line.cycle_count or 0
        self.provisional += line.provisional
        previous = line.previous_task_count
        if previous is not None:
            self.compared += 1
            self.compared_task_count += line.task_count
            self.previous_task_count += previous

    def total(self, key: str | None) -> GroupTotal:
        """Return the sums under a name."""
        return GroupTotal(
            key,
            self.accounts,
            self.task_count,
            self.cycle_count,
            self.provisional,
            self.compared,
            self.compared_task_count,
            self.previous_task_count,
        )


@attrs.define
class _Month:
    label: str
    accounts: int = 0
    task_count: int = 0


def _group(groups: dict[_Key, GroupTally], key: _Key) -> GroupTally:
    group = groups.get(key)
    if group is None:
        group = groups[key] = GroupTally()
    return group


class Tally:
    """The totals of a statement; its memory grows with the plans and the parents, and not with the accounts.

    Args:
        months: the labels of the trend.
    """

    def __init__(self, months: Sequence[str]) -> None:
        self._plans: dict[int | None, GroupTally] = {}
        self._parents: dict[str | None, GroupTally] = {}
        self._new = 0
        self._not_compared: dict[NotComparable, int] = {}
        self._gaps: dict[GapReason, int] = {}
        self._observed: tuple[str, str] | None = None
        self._months = [_Month(month) for month in months]

    def add(self, entry: StatementLine | Gap) -> None:
        """Count an account."""
        if isinstance(entry, Gap):
            self._gaps[entry.reason] = self._gaps.get(entry.reason, 0) + 1
            return
        _group(self._plans, entry.price_plan_id).add(entry)
        _group(self._parents, entry.parent_account_id).add(entry)
        self._new += entry.new
        why = entry.not_compared
        if why is not None and why != "no_earlier":
            self._not_compared[why] = self._not_compared.get(why, 0) + 1
        self._note_time(entry.observed_at)
        if entry.trend:
            self.add_trend(entry.trend)

    def add_plain(self, earlier: Figure, figure: Figure) -> None:
        """Count an account by its figure and that of the period before, as the line that they would make."""
        facts = figure.facts
        assert facts is not None
        plan = facts.price_plan_id if figure.price_plan_id is None else figure.price_plan_id
        provisional, before = figure.provisional, earlier.task_count
        tasks, cycles = figure.task_count, figure.cycle_count or 0
        for group in (_group(self._plans, plan), _group(self._parents, facts.parent_account_id)):
            group.accounts += 1
            group.task_count += tasks
            group.cycle_count += cycles
            group.provisional += provisional
            group.compared += 1
            group.compared_task_count += tasks
            group.previous_task_count += before
        self._note_time(short_utc_text(figure.observed_at))

    def _note_time(self, seen: str) -> None:
        if self._observed is None:
            self._observed = seen, seen
        elif not self._observed[0] <= seen <= self._observed[1]:
            self._observed = min(self._observed[0], seen), max(self._observed[1], seen)

    def add_trend(self, trend: Sequence[int | None]) -> None:
        """Count the months of an account, whether it has a line or not."""
        for month, tasks in zip(self._months, trend, strict=True):
            if tasks is not None:
                month.accounts += 1
                month.task_count += tasks

    def totals(self) -> StatementTotals:
        """Return what was counted."""
        # Every line is in one of the plans, so what all lines come to is added up from there.
        everything = GroupTally()
        for field in attrs.fields_dict(GroupTally):
            setattr(everything, field, sum(getattr(group, field) for group in self._plans.values()))
        plans = [group.total(None if plan is None else str(plan)) for plan, group in self._plans.items()]
        parents = [group.total(parent) for parent, group in self._parents.items()]
        first, last = self._observed or (None, None)
        return StatementTotals(
            accounts=everything.accounts,
            task_count=everything.task_count,
            cycle_count=everything.cycle_count,
            provisional=everything.provisional,
            compared=everything.compared,
            compared_task_count=everything.compared_task_count,
            previous_task_count=everything.previous_task_count,
            new_accounts=self._new,
            gone_accounts=self._gaps.get("gone", 0),
            not_compared=dict(sorted(self._not_compared.items())),
            gaps=dict(sorted(self._gaps.items())),
            observed_min=first,
            observed_max=last,
            plans=_by_tasks(plans),
            parents=_by_tasks(parents),
            trend=tuple(MonthTotal(month.label, month.accounts, month.task_count) for month in self._months),
        )


def _by_tasks(groups: list[GroupTotal]) -> tuple[GroupTotal, ...]:
    # Groups without a key come last among equals: None cannot be compared with texts.
    return tuple(sorted(groups, key=lambda group: (-group.task_count, group.key is None, group.key or "")))
