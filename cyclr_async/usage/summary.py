"""Usage at a glance: what a run collected, compared with the period just before. The words are in ``summary_text``."""

from __future__ import annotations

import heapq
import itertools
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import attrs

from cyclr_async.usage.store.api_rows import V1_API
from cyclr_async.usage.store.findings import FINDINGS_KEPT
from cyclr_async.usage.store.rows import ALL_IDS, Counts, RunInfo, short_utc_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cyclr_async.usage.months.periods import NotComparable
    from cyclr_async.usage.store.findings import Finding
    from cyclr_async.usage.store.reader import Comparable, UsageReader
    from cyclr_async.usage.store.trees import TreeTotal

__all__ = [
    "Comparison",
    "FailureGroup",
    "NotCompared",
    "PlanTotal",
    "Summary",
    "summarize",
]

# Enough to look into one and to see whether they have something in common.
_EXAMPLES: Final = 5
"""Accounts that are named of each group; the store has them all."""
_WHY: Final[dict[NotComparable, str]] = {
    "no_earlier": "no earlier figures",
    "overlapping": "the earlier figures are of a period that overlaps this one",
    "not_adjacent": "the earlier figures are not of the period just before",
    "other_length": "the period before is of another length, and a part of a month is not compared with a whole one",
}


@attrs.frozen
class PlanTotal:
    """Accounts and tasks of one price plan; ``price_plan_id`` is None where none is known."""

    price_plan_id: int | None
    accounts: int
    task_count: int


@attrs.frozen
class FailureGroup:
    """Accounts that failed in the same way, with up to five of their ids."""

    state: str
    error: str
    reason: str
    accounts: int
    examples: tuple[str, ...]


@attrs.frozen
class NotCompared:
    """Accounts whose earlier figures must not be compared with this run's, with up to five of their ids.

    Attributes:
        why: ``"overlapping"``, ``"not_adjacent"`` or ``"other_length"``.
        accounts: how many.
        examples: some of them.
    """

    why: NotComparable
    accounts: int
    examples: tuple[str, ...]

    @property
    def reason(self) -> str:
        """Why, in words."""
        return _WHY[self.why]


@attrs.frozen
class Comparison:
    """This run's accounts against the period just before, account by account.

    Compared are only periods that follow each other directly and are of the same length. Accounts with earlier
    figures of other periods are in :attr:`Summary.not_compared`. Times are ISO-8601 texts in UTC; the accounts of a
    run may be billed on different days, so the periods of each side are named by the first and the last of them.

    Attributes:
        accounts: how many accounts are compared.
        new_accounts: how many have no earlier figures at all.
        task_count: tasks of the compared accounts, now.
        previous_task_count: tasks of the same accounts in the period before.
        previous_from_min: when the earliest of the periods before began.
        previous_from_max: when the latest of them began.
        previous_provisional: how many of those figures were observed before their period was over.
        previous_to_max: the latest end among them, as the API says it.
        provisional: how many of this run's figures were observed before their period was over.
        period_from_min: when the earliest of the compared periods of this run began.
        period_from_max: when the latest of them began.
        period_to_max: the latest end among them, as the API says it.
    """

    accounts: int
    new_accounts: int
    task_count: int
    previous_task_count: int
    previous_from_min: str
    previous_from_max: str
    previous_provisional: int
    previous_to_max: str
    provisional: int
    period_from_min: str
    period_from_max: str
    period_to_max: str

    @property
    def periods(self) -> str:
        """Both periods by their dates, such as ``2026-11-09 to 2026-12-08 against 2026-10-09 to 2026-11-08``."""
        now = _named(self.period_from_min, self.period_from_max, self.period_to_max)
        return f"{now} against {_named(self.previous_from_min, self.previous_from_max, self.previous_to_max)}"

    @property
    def change(self) -> int:
        """More tasks than before, negative for fewer."""
        return self.task_count - self.previous_task_count

    @property
    def ratio(self) -> float | None:
        """The change as a part of the previous tasks, or None when there were none."""
        # Not infinite, and not 100 %: growth from nothing has no rate, and a reader would take any number for one.
        return self.change / self.previous_task_count if self.previous_task_count else None


@attrs.frozen
class Summary:
    """What a run collected. Times are ISO-8601 texts in UTC, None when nothing was collected.

    ``cycle_count`` sums what the API reports per account as a maximum; the v1.0 API reports none, and adds 0.
    ``top`` holds the accounts with most tasks,
    most first; each carries its own previous figure. ``comparison`` is None when no account can be compared.
    ``findings`` holds what somebody has to look at before the figures are billed, the first thousand of
    ``finding_count``.
    ``oldest_age`` is how many seconds before the summary was made the
    oldest figure was observed. ``warnings`` are sentences about what the figures cannot mean. ``trees`` holds the
    customers with sub-accounts that have most tasks together, most first, and ``tree_count`` how many such there are.
    """

    run: RunInfo
    counts: Counts
    task_count: int
    cycle_count: int
    provisional: int
    observed_min: str | None
    observed_max: str | None
    period_from_min: str | None
    period_to_max: str | None
    top: tuple[Comparable, ...]
    plans: tuple[PlanTotal, ...]
    comparison: Comparison | None
    failures: tuple[FailureGroup, ...]
    not_compared: tuple[NotCompared, ...] = ()
    findings: tuple[Finding, ...] = ()
    finding_count: int = 0
    oldest_age: float | None = None
    warnings: tuple[str, ...] = ()
    trees: tuple[TreeTotal, ...] = ()
    tree_count: int = 0


@attrs.define
class _Tally:
    tasks: int = 0
    cycles: int = 0
    provisional: int = 0
    observed: list[str] = attrs.field(factory=list)
    starts: list[str] = attrs.field(factory=list)
    ends: list[str] = attrs.field(factory=list)
    accounts: int = 0
    compared: int = 0
    compared_tasks: int = 0
    compared_provisional: int = 0
    compared_starts: list[str] = attrs.field(factory=list)
    compared_ends: list[str] = attrs.field(factory=list)
    previous_tasks: int = 0
    previous_starts: list[str] = attrs.field(factory=list)
    previous_ends: list[str] = attrs.field(factory=list)
    previous_provisional: int = 0
    new: int = 0
    refused: dict[NotComparable, tuple[int, tuple[str, ...]]] = attrs.field(factory=dict)
    plans: dict[int | None, list[int]] = attrs.field(factory=dict)

    def add(self, row: Comparable) -> None:
        self.accounts += 1
        self.tasks += row.task_count
        self.cycles += row.cycle_count or 0
        self.provisional += row.provisional
        self.observed = _span(self.observed, row.observed_at)
        self.starts = _span(self.starts, row.period_from)
        self.ends = _span(self.ends, row.period_to)
        plan = self.plans.setdefault(row.price_plan_id, [0, 0])
        plan[0] += 1
        plan[1] += row.task_count
        self._compare(row)

    def _compare(self, row: Comparable) -> None:
        if row.not_compared == "no_earlier":
            self.new += 1  # a new account is no reason for doubt, so it is no refused comparison
        elif row.not_compared is not None:
            count, examples = self.refused.get(row.not_compared, (0, ()))
            examples = examples if len(examples) == _EXAMPLES else (*examples, row.account_id)
            self.refused[row.not_compared] = count + 1, examples
        elif row.previous_task_count is not None and row.previous_period_from and row.previous_period_to:
            self.compared += 1
            self.compared_tasks += row.task_count
            self.compared_provisional += row.provisional
            self.compared_starts = _span(self.compared_starts, row.period_from)
            self.compared_ends = _span(self.compared_ends, row.period_to)
            self.previous_tasks += row.previous_task_count
            self.previous_starts = _span(self.previous_starts, row.previous_period_from)
            self.previous_ends = _span(self.previous_ends, row.previous_period_to)
            self.previous_provisional += bool(row.previous_provisional)

    def comparison(self) -> Comparison | None:
        if not self.compared:
            return None
        return Comparison(
            accounts=self.compared,
            new_accounts=self.new,
            task_count=self.compared_tasks,
            previous_task_count=self.previous_tasks,
            previous_from_min=short_utc_text(self.previous_starts[0]),
            previous_from_max=short_utc_text(self.previous_starts[1]),
            previous_provisional=self.previous_provisional,
            previous_to_max=short_utc_text(self.previous_ends[1]),
            provisional=self.compared_provisional,
            period_from_min=short_utc_text(self.compared_starts[0]),
            period_from_max=short_utc_text(self.compared_starts[1]),
            period_to_max=short_utc_text(self.compared_ends[1]),
        )

    def not_compared(self) -> tuple[NotCompared, ...]:
        # Sorted, so that the same store gives the same report.
        return tuple(NotCompared(why, count, examples) for why, (count, examples) in sorted(self.refused.items()))


def _named(first: str, last: str, end: str) -> str:
    """Name the periods of many accounts by their dates."""
    if first[:10] == last[:10]:
        return f"{first[:10]} to {end[:10]}"
    return f"periods that began {first[:10]} to {last[:10]}"


def _span(span: list[str], value: str) -> list[str]:
    # Two texts and not all of them: a run has millions.
    return [min(span[0], value), max(span[1], value)] if span else [value, value]


def summarize(reader: UsageReader, run_id: int | None = None, *, top: int = 10, now: datetime | None = None) -> Summary:
    """Sum up a run, in one pass at flat memory.

    Args:
        reader: an open store.
        run_id: the run, or None for the newest.
        top: how many of the accounts with most tasks to keep, 0 or more.
        now: the moment against which the age of the figures is told; the system's when None.

    Returns:
        the summary.

    Raises:
        StoreError: there is no such run, or the store is damaged.
    """
    # First, so that a run that does not exist is an error and no empty summary.
    run = reader.run(run_id)
    tally = _Tally()

    # The rows pass by once, and both the sums and the largest are taken from them: a second pass would be a second
    # query over millions of rows.
    def counted() -> Iterator[Comparable]:
        for row in reader.comparable(run.run_id):
            tally.add(row)
            yield row

    # Equal counts are ordered by id, which is the order in which the rows come.
    most = heapq.nlargest(max(2, top), counted(), key=lambda row: row.task_count)[:top]
    plans = [PlanTotal(plan, *figures) for plan, figures in tally.plans.items()]
    # Accounts without a known plan come last among equals: None cannot be compared with numbers.
    trees, tree_count = _trees(reader, run.run_id, top)
    plans.sort(key=lambda plan: (-plan.task_count, plan.price_plan_id is None, plan.price_plan_id or 0))
    return Summary(
        run=run,
        counts=run.counts,
        task_count=tally.tasks,
        cycle_count=tally.cycles,
        provisional=tally.provisional,
        observed_min=short_utc_text(tally.observed[0]) if tally.observed else None,
        observed_max=short_utc_text(tally.observed[1]) if tally.observed else None,
        period_from_min=short_utc_text(tally.starts[0]) if tally.starts else None,
        period_to_max=short_utc_text(tally.ends[1]) if tally.ends else None,
        top=tuple(most),
        plans=tuple(plans),
        comparison=tally.comparison(),
        failures=_failures(reader, run.run_id),
        not_compared=tally.not_compared(),
        # As many as a run keeps in memory; finding_count says how many there are.
        findings=tuple(itertools.islice(reader.findings(run.run_id), FINDINGS_KEPT)),
        finding_count=reader.finding_counts().get(run.run_id, 0),
        oldest_age=_age(tally.observed[0], now) if tally.observed else None,
        warnings=_warnings(reader, run, tally),
        trees=trees,
        tree_count=tree_count,
    )


def _trees(reader: UsageReader, run_id: int, top: int) -> tuple[tuple[TreeTotal, ...], int]:
    """Return the largest of the customers with sub-accounts, and how many such there are."""
    if not reader.knows_subaccounts(run_id):
        return (), 0
    number = itertools.count()

    def counted() -> Iterator[TreeTotal]:
        for tree in reader.trees(run_id):
            if tree.accounts > 1 or not tree.has_root:
                next(number)
                yield tree

    most = heapq.nlargest(max(2, top), counted(), key=lambda tree: tree.task_count)[:top]
    return tuple(most), next(number)


def _age(observed: str, now: datetime | None) -> float:
    # The caller may say when it is, because the simulator has a time of its own.
    return ((now or datetime.now(UTC)) - datetime.fromisoformat(observed)).total_seconds()


def _warnings(reader: UsageReader, run: RunInfo, tally: _Tally) -> tuple[str, ...]:
    """Say what the figures cannot mean.

    A ``from_date`` that lies before everything that is known does not give the figures of that day.
    """
    said = []
    if run.scope.api == V1_API and run.scope.ids == ALL_IDS:
        said.append(
            "sub-accounts were not asked for, and their tasks are in no figure of another account: if there are any, "
            "collect with subaccounts=True (--subaccounts)"
        )
    day = run.scope.from_date
    if day is None or not tally.accounts:
        return tuple(said)
    # The answer's period has the time of day of the bill, so its day is compared and not its moment.
    if tally.starts[0][:10] > day.isoformat():
        said.append(
            f"no account has a period that begins on {day} or before, as asked: the first begins "
            f"{short_utc_text(tally.starts[0])}"
        )
    # Zeros are what idle accounts answer, too: only that all of them do, and the age of the accounts, give it away.
    if not tally.tasks and not tally.cycles:
        known = reader.first_known(run.run_id)
        early = (
            ""
            if known is None or known[:10] <= day.isoformat()
            else (f": the partner's first account is not known to have existed before {known[:10]}")
        )
        said.append(f"every account answered 0 tasks and 0 cycles for the period from {day}{early}")
    return tuple(said)


def _failures(reader: UsageReader, run_id: int) -> tuple[FailureGroup, ...]:
    groups: dict[tuple[str, str], tuple[int, str, tuple[str, ...]]] = {}
    # By the kind of error and not by its words, which can differ from account to account.
    for row in reader.failures(run_id):
        kind = row.state, row.error or ""
        count, reason, examples = groups.get(kind, (0, row.reason or "", ()))
        if len(examples) < _EXAMPLES:
            examples = (*examples, row.account_id)
        groups[kind] = count + 1, reason, examples
    found = [FailureGroup(state, error, reason, n, ids) for (state, error), (n, reason, ids) in groups.items()]
    # The order must not depend on that of the rows: two reports of one run are compared as files.
    return tuple(sorted(found, key=lambda group: (-group.accounts, group.state, group.error)))
