"""Usage at a glance, drawn: totals, top accounts, price plans, and what was not collected."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Final, TextIO

from rich.console import Console, RenderableType
from rich.text import Text

from cyclr_async.cli.options import Options
from cyclr_async.cli.summary import observed_lines
from cyclr_async.cli.tables import Column, console, lay_out, show
from cyclr_async.cli.terminal import speaks_utf8, width_of
from cyclr_async.usage import Summary
from cyclr_async.usage.summary_text import bar, comparison_lines, finding_lines
from cyclr_async.wire.text import escape_terminal

__all__ = ["draw_summary", "print_summary"]

_BAR: Final = 24
"""Characters: two accounts can still be told apart, and names keep most of an 80-column line."""
_NARROW: Final = 100
"""Columns below which the bars get half of that."""


def print_summary(
    summary: Summary, options: Options, *, stream: TextIO | None = None, plans: Mapping[str, str] | None = None
) -> None:
    """Print totals, top accounts with bars, accounts per plan, the comparison and the failures.

    Args:
        summary: of the run.
        options: the shared options.
        stream: where to; standard output when None.
        plans: names of price plans by their id, as far as known.
    """
    stream = sys.stdout if stream is None else stream
    out = console(stream, options, width=width_of(stream))
    draw_summary(out, summary, unicode=speaks_utf8(stream), plans=plans or {})


def draw_summary(out: Console, summary: Summary, *, unicode: bool, plans: Mapping[str, str]) -> None:
    """Draw it on a rich console."""
    for part in _parts(summary, unicode=unicode, plans=plans, width=out.width):
        show(out, part)


def _parts(summary: Summary, *, unicode: bool, plans: Mapping[str, str], width: int) -> list[RenderableType]:
    counts = summary.counts
    whole = "bold green" if counts.ok == counts.asked else "bold yellow"
    parts: list[RenderableType] = [
        Text.assemble(
            "\n",
            (f"{summary.task_count:,} tasks", "bold"),
            " in ",
            (f"{counts.ok:,} of {counts.asked:,} accounts", whole),
        )
    ]
    if summary.period_from_min is not None:
        provisional = (
            f"; {summary.provisional:,} provisional: the figures may still rise" if summary.provisional else ""
        )
        parts.append(Text(f"periods {summary.period_from_min} to {summary.period_to_max}{provisional}", style="dim"))
    parts += [Text(line) for line in comparison_lines(summary)]
    if summary.findings:
        parts.append(Text("\nFindings: look at these before the figures are billed", style="bold red"))
        parts += [Text(line) for line in finding_lines(summary)]
    parts += [
        Text(line, style="dim" if number == 0 else "bold yellow") for number, line in enumerate(observed_lines(summary))
    ]
    if summary.top:
        parts.append(_top(summary, unicode=unicode, plans=plans, width=width))
    if summary.trees:
        parts.append(_trees(summary, unicode=unicode, width=width))
    if _has_plans(summary):
        parts.append(_plans(summary, unicode=unicode, plans=plans, width=width))
    if summary.failures:
        parts.append(_failures(summary, unicode=unicode, width=width))
    return parts


def _plan(plan: int | None, plans: Mapping[str, str]) -> str:
    if plan is None:
        return "(none)"
    return escape_terminal(plans.get(str(plan), f"plan {plan}"))


def _has_plans(summary: Summary) -> bool:
    """Tell whether there is a price plan at all: v1.0 knows none, and a table of nothing says nothing."""
    return any(plan.price_plan_id is not None for plan in summary.plans)


def _top(summary: Summary, *, unicode: bool, plans: Mapping[str, str], width: int) -> RenderableType:
    planned = _has_plans(summary)
    columns = [
        Column("account", folds=True),
        *([Column("plan", folds=True)] if planned else []),
        Column("tasks", right=True, style="bold"),
        Column("change", right=True),
        Column("", ornament=True, style="cyan"),
    ]
    most = summary.top[0].task_count
    length = _BAR if width >= _NARROW else _BAR // 2
    rows = [
        (
            escape_terminal(row.account_name or row.account_id),
            *([_plan(row.price_plan_id, plans)] if planned else []),
            f"{row.task_count:,}",
            "" if row.previous_task_count is None else f"{row.task_count - row.previous_task_count:+,}",
            bar(row.task_count, most, length, ascii=not unicode),
        )
        for row in summary.top
    ]
    return _laid_out(f"Top {len(summary.top)} accounts", columns, rows, width, unicode=unicode)


def _trees(summary: Summary, *, unicode: bool, width: int) -> RenderableType:
    columns = (
        Column("customer", folds=True),
        Column("accounts", right=True),
        Column("missing", right=True, style="red"),
        Column("tasks", right=True, style="bold"),
        Column("own", right=True),
    )
    rows = [
        (
            escape_terminal(tree.account_name or tree.root_account_id),
            f"{tree.accounts:,}",
            f"{tree.accounts - tree.collected:,}" if tree.accounts > tree.collected else "",
            f"{tree.task_count:,}",
            f"{tree.own_task_count:,}",
        )
        for tree in summary.trees
    ]
    title = f"Customers with sub-accounts ({len(rows)} of {summary.tree_count:,})"
    return _laid_out(title, columns, rows, width, unicode=unicode)


def _plans(summary: Summary, *, unicode: bool, plans: Mapping[str, str], width: int) -> RenderableType:
    columns = (
        Column("plan", folds=True),
        Column("accounts", right=True),
        Column("tasks", right=True),
        Column("", ornament=True, style="magenta"),
    )
    most = max(plan.accounts for plan in summary.plans)
    rows = [
        (
            _plan(plan.price_plan_id, plans),
            f"{plan.accounts:,}",
            f"{plan.task_count:,}",
            bar(plan.accounts, most, _BAR // 2, ascii=not unicode),
        )
        for plan in summary.plans
    ]
    return _laid_out("Price plans", columns, rows, width, unicode=unicode)


def _failures(summary: Summary, *, unicode: bool, width: int) -> RenderableType:
    columns = (
        Column("accounts", right=True, style="red"),
        Column("state"),
        Column("why", folds=True),
        Column("such as"),
    )
    rows = [
        (
            f"{group.accounts:,}",
            group.state,
            escape_terminal(group.reason or group.error),
            "\n".join(escape_terminal(example) for example in group.examples[:3]),
        )
        for group in summary.failures
    ]
    return _laid_out("Not collected", columns, rows, width, unicode=unicode)


def _laid_out(
    title: str, columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int, *, unicode: bool
) -> RenderableType:
    if not unicode:  # written out before it is measured
        rows = [[text.encode("ascii", "backslashreplace").decode() for text in row] for row in rows]
    return lay_out(columns, rows, width, unicode=unicode, title=title, header_style="dim")
