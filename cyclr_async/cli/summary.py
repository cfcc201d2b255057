"""Usage at a glance: what stands at the end of a collection."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from cyclr_async.usage import Summary, UsageReader, summarize
from cyclr_async.usage.summary_text import comparison_lines, finding_lines
from cyclr_async.wire.text import duration

__all__ = ["observed_lines", "read_summary", "summary_lines"]


def read_summary(store: Path, run_id: int | None, *, top: int = 10, now: datetime | None = None) -> Summary:
    """Sum up a run of a store; it is closed again. The age of the figures is told as of ``now``."""
    with UsageReader(store) as reader:
        return summarize(reader, run_id, top=top, now=now)


def summary_lines(summary: Summary) -> list[str]:
    """Return the few lines that go to standard error when the rows went elsewhere."""
    counts = summary.counts
    lines = [f"{counts.ok:,} of {counts.asked:,} accounts collected: {summary.task_count:,} tasks"]
    lines += comparison_lines(summary)
    lines += [f"finding: {line}" for line in finding_lines(summary)]
    lines += observed_lines(summary)
    for group in summary.failures:
        examples = ", ".join(group.examples)
        lines.append(f"{group.accounts:,} {group.state}: {group.reason or group.error} ({examples})")
    return lines


def observed_lines(summary: Summary) -> list[str]:
    """Say how old the figures are, and what they cannot mean."""
    age = summary.oldest_age
    lines = [] if age is None else [f"oldest figure observed {summary.observed_min}, {duration(age)} ago"]
    return [*lines, *(f"note: {warning}" for warning in summary.warnings)]
