"""Usage at a glance: what stands at the end of a collection."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from cyclr_async.cli.options import Options
from cyclr_async.cli.terminal import console, speaks_utf8
from cyclr_async.usage.text import duration, term

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from cyclr_async.usage.report import Summary

__all__ = ["glance_lines", "print_glance", "read_summary"]

_BAR: Final = 24
_NARROW: Final = 100


def read_summary(store: Path, run_id: int | None, *, top: int = 10, now: datetime | None = None) -> Summary:
    """Sum up a run of a store; it is closed again. The age of the figures is told as of ``now``."""
    from cyclr_async.usage import UsageReader, summarize  # noqa: PLC0415 - help must start without SQLite

    with UsageReader(store) as reader:
        return summarize(reader, run_id, top=top, now=now)


def glance_lines(summary: Summary) -> list[str]:
    """Return the few lines that go to standard error when the rows went elsewhere."""
    counts = summary.counts
    from cyclr_async.usage.report import comparison_lines, finding_lines  # noqa: PLC0415 - help must start fast

    lines = [f"{counts.ok:,} of {counts.asked:,} accounts collected: {summary.task_count:,} tasks"]
    lines += comparison_lines(summary)
    lines += [f"finding: {line}" for line in finding_lines(summary)]
    lines += _observed(summary)
    for group in summary.failures:
        examples = ", ".join(group.examples)
        lines.append(f"{group.accounts:,} {group.state}: {group.reason or group.error} ({examples})")
    return lines


def _observed(summary: Summary) -> list[str]:
    """Say how old the figures are, and what they cannot mean."""
    age = summary.oldest_age
    lines = [] if age is None else [f"oldest figure observed {summary.observed_min}, {duration(age)} ago"]
    return [*lines, *(f"note: {warning}" for warning in summary.warnings)]


def print_glance(
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
    draw_glance(console(stream, options), summary, unicode=speaks_utf8(stream), plans=plans or {})


def draw_glance(out: Console, summary: Summary, *, unicode: bool, plans: Mapping[str, str]) -> None:
    """Draw it on a rich console."""
    for part in _parts(summary, unicode=unicode, plans=plans, width=out.width):
        out.print(part)


def _parts(summary: Summary, *, unicode: bool, plans: Mapping[str, str], width: int) -> list[RenderableType]:
    from rich.text import Text  # noqa: PLC0415 - help must start without rich

    from cyclr_async.usage.report import comparison_lines, finding_lines  # noqa: PLC0415

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
        Text(line, style="dim" if number == 0 else "bold yellow") for number, line in enumerate(_observed(summary))
    ]
    if summary.top:
        parts.append(_top(summary, unicode=unicode, plans=plans, wide=width >= _NARROW))
    if summary.plans:
        parts.append(_plans(summary, unicode=unicode, plans=plans))
    if summary.failures:
        parts.append(_failures(summary, unicode=unicode))
    return parts


def _plan(plan: int | None, plans: Mapping[str, str]) -> str:
    if plan is None:
        return "(none)"
    return term(plans.get(str(plan), f"plan {plan}"))


def _table(title: str, columns: tuple[tuple[str, str], ...], *, unicode: bool) -> Table:
    from rich import box  # noqa: PLC0415 - help must start without rich
    from rich.table import Table as MadeTable  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    made = MadeTable(
        title=Text(title, style="bold"),
        title_justify="left",
        title_style="",
        header_style="dim",
        box=box.SIMPLE_HEAD if unicode else box.ASCII2,
    )
    for name, justify in columns:
        made.add_column(Text(name), justify=justify, overflow="ellipsis" if unicode else "crop", no_wrap=True)  # type: ignore[arg-type]
    return made


def _top(summary: Summary, *, unicode: bool, plans: Mapping[str, str], wide: bool) -> RenderableType:
    from rich.text import Text  # noqa: PLC0415

    from cyclr_async.usage.report import bar  # noqa: PLC0415

    columns = (("account", "left"), ("plan", "left"), ("tasks", "right"), ("change", "right"), ("", "left"))
    table = _table(f"Top {len(summary.top)} accounts", columns, unicode=unicode)
    most = summary.top[0].task_count
    for row in summary.top:
        before = row.previous_task_count
        table.add_row(
            Text(term(row.account_name or row.account_id)),
            Text(_plan(row.price_plan_id, plans)),
            Text(f"{row.task_count:,}", style="bold"),
            Text("" if before is None else f"{row.task_count - before:+,}"),
            Text(bar(row.task_count, most, _BAR if wide else _BAR // 2, ascii=not unicode), style="cyan"),
        )
    return table


def _plans(summary: Summary, *, unicode: bool, plans: Mapping[str, str]) -> RenderableType:
    from rich.text import Text  # noqa: PLC0415

    from cyclr_async.usage.report import bar  # noqa: PLC0415

    table = _table(
        "Price plans", (("plan", "left"), ("accounts", "right"), ("tasks", "right"), ("", "left")), unicode=unicode
    )
    most = max(plan.accounts for plan in summary.plans)
    for plan in summary.plans:
        table.add_row(
            Text(_plan(plan.price_plan_id, plans)),
            Text(f"{plan.accounts:,}"),
            Text(f"{plan.task_count:,}"),
            Text(bar(plan.accounts, most, _BAR // 2, ascii=not unicode), style="magenta"),
        )
    return table


def _failures(summary: Summary, *, unicode: bool) -> RenderableType:
    from rich.text import Text  # noqa: PLC0415

    columns = (("accounts", "right"), ("state", "left"), ("why", "left"), ("such as", "left"))
    table = _table("Not collected", columns, unicode=unicode)
    for column in table.columns[2:]:
        column.no_wrap = False
        column.overflow = "fold"
    for group in summary.failures:
        examples = ", ".join(group.examples[:3])
        table.add_row(
            Text(f"{group.accounts:,}", style="red"),
            Text(group.state),
            Text(term(group.reason or group.error)),
            Text(term(examples)),
        )
    return table
