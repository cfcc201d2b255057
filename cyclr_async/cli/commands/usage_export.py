"""Reading a store: exports, the state of its runs, and what can be saved of a damaged one."""

from __future__ import annotations

import itertools
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import attrs
import click

from cyclr_async.cli.exit_codes import Exit
from cyclr_async.cli.options import Options
from cyclr_async.cli.output import Output, chosen_format
from cyclr_async.cli.terminal import data_stream, echo
from cyclr_async.usage import COLUMNS, Finding, UsageReader, export_usage, repair_store, write_csv
from cyclr_async.usage.export.registry import EXPORTERS
from cyclr_async.usage.store.findings import FINDINGS_KEPT
from cyclr_async.usage.store.runs import MAX_AGE
from cyclr_async.wire.text import duration, escape_terminal

__all__ = ["export_store", "list_runs", "repair_damaged"]

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
)
_REPAIR_COLUMNS: Final = ("run_id", "accounts", "lost", "due", "rebuilt")
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
_ROW_TABLE: Final = ("account_id", "account_name", "state", "task_count", "cycle_count", "period_from", "period_to")


def export_store(
    options: Options, store: Path, run_id: int | None, *, all_observations: bool, raw: bool, excel: bool, text: bool
) -> None:
    """Write the rows of a store to ``--out`` or standard output."""
    form = chosen_format(options, exports=True)
    if form != "csv" and (raw or excel or text):
        raise click.UsageError("--raw, --excel and --text are options of CSV")
    if raw and text:
        raise click.UsageError("--raw leaves texts as they are, and --text does not: choose one")
    with UsageReader(store) as reader:
        if options.out is not None and form in EXPORTERS and options.fields is None:
            written = export_usage(
                reader,
                options.out,
                format=form,
                run_id=run_id,
                all_observations=all_observations,
                raw=raw,
                excel=excel,
                text=text,
            )
            echo(options, f"{written.rows:,} rows in {written.path}")
            return
        rows = reader.rows(run_id, all_observations=all_observations)
        if form == "csv" and options.out is None and options.fields is None and not sys.stdout.isatty():
            write_csv(rows, data_stream(), raw=raw, excel=excel, text=text)
            sys.stdout.flush()
            return
        if raw or excel or text:
            raise click.UsageError("--raw, --excel and --text need --out FILE or a pipe, and all fields")
        with Output(options, COLUMNS, table=_ROW_TABLE) as output:
            for row in rows:
                output.write(attrs.asdict(row))


def repair_damaged(options: Options, store: Path) -> Exit:
    """Repair a store and write one record per run; the exit code tells whether anything was lost."""
    result = repair_store(store)
    with Output(options, _REPAIR_COLUMNS) as output:
        for run in result.runs:
            output.write(attrs.asdict(run))
    lost = "an unknown number" if result.observations_lost is None else f"{result.observations_lost:,}"
    if result.kept is None:
        echo(options, f"the store is sound, with {result.observations:,} observations: nothing was changed")
    else:
        echo(options, f"{result.observations:,} observations saved, {lost} lost")
        echo(options, f"the damaged file is kept: {escape_terminal(str(result.kept))}")
    return Exit.DONE if result.complete else Exit.PARTIAL


def list_runs(options: Options, store: Path) -> None:
    """Write one record per run, newest first."""
    with UsageReader(store) as reader:
        runs = reader.runs()
        counts_of = reader.finding_counts()
        found = {run_id: list(itertools.islice(reader.findings(run_id), FINDINGS_KEPT)) for run_id in counts_of}
    now = datetime.now(UTC)
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
