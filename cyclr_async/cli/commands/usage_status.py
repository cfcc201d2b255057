"""``cyclr usage status``."""

from __future__ import annotations

import itertools
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import attrs
import click

from cyclr_async.cli.collecting import DEFAULT_STORE
from cyclr_async.cli.options import Command, Options, current
from cyclr_async.cli.output import Output
from cyclr_async.cli.param_types import STORE
from cyclr_async.cli.terminal import echo
from cyclr_async.usage import Finding, UsageReader
from cyclr_async.usage.store.findings import FINDINGS_KEPT
from cyclr_async.usage.store.runs import MAX_AGE
from cyclr_async.wire.text import duration, escape_terminal

__all__ = ["status"]

_RUN_COLUMNS: Final = (
    "run_id",
    "status",
    "from_date",
    "asked",
    "ok",
    "missing",
    "forbidden",
    "failed",
    "pending",
    "created_at",
    "updated_at",
    "finished_at",
    "listing_complete",
    "resumable",
    "base_url",
    "partner",
    "ids",
    "oldest_observed_at",
    "oldest_age_seconds",
    "findings",
    "finding_list",
    "api",
)
_RUN_TABLE: Final = (
    "run_id",
    "status",
    "from_date",
    "asked",
    "ok",
    "missing",
    "forbidden",
    "failed",
    "pending",
    "findings",
    "oldest",
)
_FINDINGS_SHOWN: Final = 20


@click.command(cls=Command, examples=("cyclr usage status", "cyclr usage status --store october.sqlite -o json"))
@click.option("--store", type=STORE, metavar="FILE", help="The store. [./cyclr-usage.sqlite]")
@click.pass_context
def status(ctx: click.Context, store: Path | None) -> None:
    """Show the runs of a store and how far each is."""
    _list_runs(current(ctx), store or DEFAULT_STORE)


def _list_runs(options: Options, store: Path) -> None:
    """Write one record per run, newest first."""
    with UsageReader(store) as reader:
        runs = reader.runs()
        counts_of = reader.finding_counts()
        found = {run_id: list(itertools.islice(reader.findings(run_id), FINDINGS_KEPT)) for run_id in counts_of}
    now = datetime.now(UTC)  # one moment for all rows, or two runs of the same age could differ
    with Output(options, _RUN_COLUMNS, table=_RUN_TABLE) as output:
        for run in runs:
            counts = run.counts
            output.write(
                {
                    **attrs.asdict(run, recurse=False),
                    **attrs.asdict(counts),
                    "pending": counts.pending,
                    "from_date": run.scope.from_date,
                    "base_url": run.scope.base_url,
                    "resumable": run.resumable and run.age(now) < MAX_AGE,
                    "partner": run.scope.partner,
                    "ids": run.scope.ids,
                    "api": run.scope.api,
                    "oldest_observed_at": run.oldest_at,
                    "oldest_age_seconds": None
                    if run.oldest_at is None
                    else round((now - run.oldest_at).total_seconds()),
                    "oldest": None if run.oldest_at is None else f"{duration(now - run.oldest_at)} old",
                    "findings": counts_of.get(run.run_id, 0),
                    "finding_list": [_finding(finding) for finding in found.get(run.run_id, ())],
                }
            )
    for run in runs:
        for finding in found.get(run.run_id, ())[:_FINDINGS_SHOWN]:
            echo(options, escape_terminal(f"finding of run {run.run_id}: {finding.message}"))
    for run in runs:
        if run.resumable and run.age(now) < MAX_AGE:
            echo(options, f"to go on with the unfinished run: cyclr usage resume --store {shlex.quote(str(store))}")
            return
    unfinished = next((run for run in runs if run.resumable), None)
    if unfinished is not None:
        echo(
            options,
            f"run {unfinished.run_id} is unfinished and {duration(unfinished.age(now))} old: the next collection "
            "begins a new run",
        )


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind,
        "account_id": finding.account_id,
        "detail": dict(finding.detail),
        "found_at": finding.found_at,
        "message": finding.message,
    }
