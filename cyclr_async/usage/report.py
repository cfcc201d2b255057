"""Usage at a glance: what a run collected, compared with the previous period. Data first, plain lines second."""

from __future__ import annotations

import heapq
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import attrs

from .rows import Counts, RunInfo, short_instant
from .text import duration, term

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .reader import Comparable, UsageReader

__all__ = ["Comparison", "FailureGroup", "PlanTotal", "Summary", "bar", "render", "summarize"]

_EIGHTHS: Final = " ▏▎▍▌▋▊▉"
_EXAMPLES: Final = 5


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
class Comparison:
    """This run's accounts against the previous period of each in the store.

    Attributes:
        accounts: how many accounts have a previous period.
        new_accounts: how many have none.
        task_count: tasks of the compared accounts, now.
        previous_task_count: tasks of the same accounts in their previous periods.
        previous_from_min: when the earliest of those periods began.
        previous_from_max: when the latest of them began.
        previous_provisional: how many of those figures were observed before their period closed.
    """

    accounts: int
    new_accounts: int
    task_count: int
    previous_task_count: int
    previous_from_min: str
    previous_from_max: str
    previous_provisional: int

    @property
    def change(self) -> int:
        """More tasks than before, negative for fewer."""
        return self.task_count - self.previous_task_count

    @property
    def ratio(self) -> float | None:
        """The change as a part of the previous tasks, or None when there were none."""
        return self.change / self.previous_task_count if self.previous_task_count else None


@attrs.frozen
class Summary:
    """What a run collected. Times are ISO-8601 texts in UTC, None when nothing was collected.

    ``cycle_count`` sums what the API reports per account as a maximum. ``top`` holds the accounts with most tasks,
    most first; each carries its own previous figure. ``oldest_age`` is how many seconds before the summary was made the
    oldest figure was observed. ``warnings`` are sentences about what the figures cannot mean.
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
    oldest_age: float | None = None
    warnings: tuple[str, ...] = ()


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
    previous_tasks: int = 0
    previous_starts: list[str] = attrs.field(factory=list)
    previous_provisional: int = 0
    plans: dict[int | None, list[int]] = attrs.field(factory=dict)

    def add(self, row: Comparable) -> None:
        self.accounts += 1
        self.tasks += row.task_count
        self.cycles += row.cycle_count
        self.provisional += row.observed_at < row.period_to
        self.observed = _span(self.observed, row.observed_at)
        self.starts = _span(self.starts, row.period_from)
        self.ends = _span(self.ends, row.period_to)
        plan = self.plans.setdefault(row.price_plan_id, [0, 0])
        plan[0] += 1
        plan[1] += row.task_count
        if row.previous_task_count is not None and row.previous_period_from is not None:
            self.compared += 1
            self.compared_tasks += row.task_count
            self.previous_tasks += row.previous_task_count
            self.previous_starts = _span(self.previous_starts, row.previous_period_from)
            self.previous_provisional += bool(row.previous_provisional)

    def comparison(self) -> Comparison | None:
        if not self.compared:
            return None
        return Comparison(
            accounts=self.compared,
            new_accounts=self.accounts - self.compared,
            task_count=self.compared_tasks,
            previous_task_count=self.previous_tasks,
            previous_from_min=short_instant(self.previous_starts[0]),
            previous_from_max=short_instant(self.previous_starts[1]),
            previous_provisional=self.previous_provisional,
        )


def _span(span: list[str], value: str) -> list[str]:
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
    run = reader.run(run_id)
    tally = _Tally()

    def counted() -> Iterator[Comparable]:
        for row in reader.comparable(run.run_id):
            tally.add(row)
            yield row

    # Equal counts are ordered by id, which is the order in which the rows come.
    most = heapq.nlargest(max(2, top), counted(), key=lambda row: row.task_count)[:top]
    plans = [PlanTotal(plan, *figures) for plan, figures in tally.plans.items()]
    plans.sort(key=lambda plan: (-plan.task_count, plan.price_plan_id is None, plan.price_plan_id or 0))
    return Summary(
        run=run,
        counts=run.counts,
        task_count=tally.tasks,
        cycle_count=tally.cycles,
        provisional=tally.provisional,
        observed_min=short_instant(tally.observed[0]) if tally.observed else None,
        observed_max=short_instant(tally.observed[1]) if tally.observed else None,
        period_from_min=short_instant(tally.starts[0]) if tally.starts else None,
        period_to_max=short_instant(tally.ends[1]) if tally.ends else None,
        top=tuple(most),
        plans=tuple(plans),
        comparison=tally.comparison(),
        failures=_failures(reader, run.run_id),
        oldest_age=_age(tally.observed[0], now) if tally.observed else None,
        warnings=_warnings(reader, run, tally),
    )


def _age(observed: str, now: datetime | None) -> float:
    return ((now or datetime.now(UTC)) - datetime.fromisoformat(observed)).total_seconds()


def _warnings(reader: UsageReader, run: RunInfo, tally: _Tally) -> tuple[str, ...]:
    """Say when a ``from_date`` lies before everything that is known: then the figures are not those of that day."""
    day = run.scope.from_date
    if day is None or not tally.accounts:
        return ()
    said = []
    # The answer's period has the time of day of the bill, so its day is compared and not its moment.
    if tally.starts[0][:10] > day.isoformat():
        said.append(
            f"no account has a period that begins on {day} or before, as asked: the first begins "
            f"{short_instant(tally.starts[0])}"
        )
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
    for row in reader.failures(run_id):
        kind = row.state, row.error or ""
        count, reason, examples = groups.get(kind, (0, row.reason or "", ()))
        if len(examples) < _EXAMPLES:
            examples = (*examples, row.account_id)
        groups[kind] = count + 1, reason, examples
    found = [FailureGroup(state, error, reason, n, ids) for (state, error), (n, reason, ids) in groups.items()]
    return tuple(sorted(found, key=lambda group: (-group.accounts, group.state, group.error)))


def bar(value: float, maximum: float, width: int, *, ascii: bool = False) -> str:  # the word users know  # noqa: A002
    """Return a bar for ``value`` on a scale to ``maximum``.

    Args:
        value: 0 or more.
        maximum: what fills the whole width; 0 or less gives an empty bar.
        width: in columns, 0 or more.
        ascii: use ``#`` instead of block characters.

    Returns:
        at most ``width`` characters, without trailing blanks.
    """
    part = min(1.0, max(0.0, value / maximum)) if maximum > 0 else 0.0
    if ascii:
        return "#" * round(part * width)
    full, eighths = divmod(round(part * width * 8), 8)
    return ("█" * full + _EIGHTHS[eighths]).rstrip()


def render(summary: Summary, *, width: int = 80, ascii: bool = False) -> list[str]:  # noqa: A002
    """Write a summary as plain lines, safe to print.

    Args:
        summary: what :func:`summarize` returned.
        width: of the terminal, in columns; 40 or more.
        ascii: use ASCII characters only for the bars.

    Returns:
        lines without line ends.
    """
    counts = summary.counts
    lines = [
        (
            f"Run {summary.run.run_id} ({summary.run.status}): {summary.task_count:,} tasks, "
            f"{counts.ok:,} of {counts.asked:,} accounts"
        ),
        *_times(summary),
        *_change(summary.comparison),
    ]
    if summary.top:
        lines += ["", "Top accounts", *_top(summary.top, width, ascii_only=ascii)]
    if summary.plans:
        lines += ["", "Price plans"]
        for plan in summary.plans:
            name = "unknown" if plan.price_plan_id is None else str(plan.price_plan_id)
            lines.append(f"  {name:<12} {plan.accounts:>12,} accounts {plan.task_count:>16,} tasks")
    if summary.failures:
        lines += ["", "Not collected"]
        for group in summary.failures:
            examples = ", ".join(term(example) for example in group.examples)
            lines.append(f"  {group.accounts:,} {group.state}: {term(group.reason or group.error)} ({examples})")
    if counts.pending:
        lines += ["", f"{counts.pending:,} accounts are still pending: resume the run to collect them"]
    return lines


def _times(summary: Summary) -> list[str]:
    if summary.observed_min is None:
        return []
    age = "" if summary.oldest_age is None else f"; the oldest figure is {duration(summary.oldest_age)} old"
    lines = [
        f"Periods from {summary.period_from_min} to {summary.period_to_max}",
        f"Observed {summary.observed_min} to {summary.observed_max}{age}",
        *(f"Note: {warning}" for warning in summary.warnings),
    ]
    if summary.provisional:
        lines.append(f"{summary.provisional:,} provisional: observed before the period closed, and may still rise")
    return lines


def _change(comparison: Comparison | None) -> list[str]:
    if comparison is None:
        return ["No previous period in the store to compare with"]
    ratio = "" if comparison.ratio is None else f" ({comparison.ratio:+.1%})"
    return [
        (
            f"Previous period: {comparison.previous_task_count:,} tasks, change {comparison.change:+,}{ratio}, "
            f"{comparison.accounts:,} accounts compared, {comparison.new_accounts:,} new"
        )
    ]


def _top(rows: tuple[Comparable, ...], width: int, *, ascii_only: bool) -> list[str]:
    names = [term(row.account_name or row.account_id) for row in rows]
    column = max(8, min(max(map(len, names)), width // 3))
    lines = []
    for name, row in zip(names, rows, strict=True):
        shown = name if len(name) <= column else name[: column - 1] + ("~" if ascii_only else "…")
        drawn = bar(row.task_count, rows[0].task_count, max(0, width - column - 18), ascii=ascii_only)
        lines.append(f"  {shown:<{column}} {row.task_count:>13,} {drawn}".rstrip())
    return lines
