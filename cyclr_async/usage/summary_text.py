"""A summary in words: plain lines that are safe to print, wherever their texts come from."""

from __future__ import annotations

from typing import Final

from cyclr_async.usage.store.reader import Comparable
from cyclr_async.usage.summary import Summary
from cyclr_async.wire.text import duration, escape_terminal

__all__ = ["bar", "comparison_lines", "finding_lines", "render", "tree_lines"]

_EIGHTHS: Final = " ▏▎▍▌▋▊▉"
"""Block elements by which a bar ends, an eighth of a column each, so that close figures look different."""
_FINDINGS_SHOWN: Final = 20
"""So that a page of findings does not push the figures off the screen."""


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
    # Cut at the end, so that lines of a report have no blanks there that a diff would show.
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
        *comparison_lines(summary),
    ]
    if summary.findings:
        lines += ["", "Findings", *(f"  {line}" for line in finding_lines(summary))]
    if summary.top:
        lines += ["", "Top accounts", *_top(summary.top, width, ascii_only=ascii)]
    if summary.trees:
        lines += ["", "Customers with sub-accounts", *tree_lines(summary)]
    if summary.plans:
        lines += ["", "Price plans"]
        for plan in summary.plans:
            name = "unknown" if plan.price_plan_id is None else str(plan.price_plan_id)
            lines.append(f"  {name:<12} {plan.accounts:>12,} accounts {plan.task_count:>16,} tasks")
    if summary.failures:
        lines += ["", "Not collected"]
        for group in summary.failures:
            examples = ", ".join(escape_terminal(example) for example in group.examples)
            lines.append(
                # The reason is the server's text, so it is escaped like a name.
                f"  {group.accounts:,} {group.state}: {escape_terminal(group.reason or group.error)} ({examples})"
            )
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
        lines.append(f"{summary.provisional:,} provisional: observed before the period was over, and may still rise")
    return lines


def comparison_lines(summary: Summary) -> list[str]:
    """Say how the run compares with the period before, and what is not compared and why; safe to print."""
    lines = []
    found = summary.comparison
    if found is not None:
        ratio = "" if found.ratio is None else f" ({found.ratio:+.1%})"
        lines.append(
            f"change {found.change:+,}{ratio} against the period before: {found.task_count:,} tasks against "
            f"{found.previous_task_count:,} in {found.accounts:,} accounts, {found.new_accounts:,} accounts new"
        )
        lines.append(f"compared: {found.periods}")
        if found.provisional or found.previous_provisional:
            lines.append(
                f"of these figures {found.provisional:,} and {found.previous_provisional:,} are provisional: "
                "their periods were not over"
            )
    # Said in words: a missing comparison could otherwise be taken for no change.
    elif summary.counts.ok and not summary.not_compared:
        lines.append("no earlier period in the store to compare with")
    for group in summary.not_compared:
        examples = ", ".join(escape_terminal(example) for example in group.examples)
        lines.append(f"{group.accounts:,} accounts are not compared: {group.reason} ({examples})")
    return lines


def tree_lines(summary: Summary) -> list[str]:
    """Say what the customers with sub-accounts come to, each with all of its accounts; safe to print."""
    lines = []
    for tree in summary.trees:
        missing = tree.accounts - tree.collected
        lines.append(
            f"  {escape_terminal(tree.account_name or tree.root_account_id)}: {tree.task_count:,} tasks in "
            f"{tree.collected:,} accounts, {tree.own_task_count:,} of them its own"
            + (f"; {missing:,} accounts are missing from it" if missing else "")
        )
    if summary.tree_count > len(summary.trees):
        lines.append(f"  and {summary.tree_count - len(summary.trees):,} more; UsageReader.trees() has them all")
    return lines


def finding_lines(summary: Summary) -> list[str]:
    """Say what has to be looked at before the figures are billed; safe to print."""
    lines = [escape_terminal(finding.message) for finding in summary.findings[:_FINDINGS_SHOWN]]
    if summary.finding_count > len(lines):
        lines.append(f"and {summary.finding_count - len(lines):,} more findings; UsageReader.findings() has them all")
    return lines


def _top(rows: tuple[Comparable, ...], width: int, *, ascii_only: bool) -> list[str]:
    # Escaped before it is measured and cut: a sequence cut in two could do what the whole one cannot.
    names = [escape_terminal(row.account_name or row.account_id) for row in rows]
    # A third of the line at most, so that a long name leaves room for the bars; whoever needs it whole has the
    # export.
    column = max(8, min(max(map(len, names)), width // 3))
    lines = []
    for name, row in zip(names, rows, strict=True):
        shown = name if len(name) <= column else name[: column - 1] + ("~" if ascii_only else "…")
        # Against the first, which has most: the bars compare accounts with each other and not with a total.
        drawn = bar(row.task_count, rows[0].task_count, max(0, width - column - 18), ascii=ascii_only)
        lines.append(f"  {shown:<{column}} {row.task_count:>13,} {drawn}".rstrip())
    return lines
