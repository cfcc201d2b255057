"""Reading a store: exports, the state of its runs, and what can be saved of a damaged one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import attrs
import click

from cyclr_async.cli.exits import Exit
from cyclr_async.cli.options import Options
from cyclr_async.cli.output import Output, chosen_format
from cyclr_async.cli.terminal import say
from cyclr_async.usage import COLUMNS, UsageReader, export_usage, repair_store, term, write_csv

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
)
_REPAIR_COLUMNS: Final = ("run_id", "accounts", "lost", "due", "rebuilt")
_RUN_TABLE: Final = ("run_id", "status", "from_date", "asked", "ok", "missing", "forbidden", "failed", "pending")
_ROW_TABLE: Final = ("account_id", "account_name", "state", "task_count", "cycle_count", "period_from", "period_to")


def export_store(
    options: Options, store: Path, run_id: int | None, *, all_observations: bool, raw: bool, excel: bool, text: bool
) -> None:
    """Write the rows of a store to ``--out`` or standard output."""
    parquet = options.output is None and options.out is not None and Path(options.out).suffix.lower() == ".parquet"
    form = "parquet" if parquet else chosen_format(options)
    if form != "csv" and (raw or excel or text):
        raise click.UsageError("--raw, --excel and --text are options of CSV")
    if raw and text:
        raise click.UsageError("--raw leaves texts as they are, and --text does not: choose one")
    with UsageReader(store) as reader:
        if options.out is not None and form in {"csv", "jsonl", "parquet"} and options.fields is None:
            written = export_usage(
                reader,
                options.out,
                format=form,  # type: ignore[arg-type]
                run_id=run_id,
                all_observations=all_observations,
                raw=raw,
                excel=excel,
                text=text,
            )
            say(options, f"{written.rows:,} rows in {written.path}")
            return
        rows = reader.rows(run_id, all_observations=all_observations)
        if form == "csv" and options.out is None and options.fields is None and not sys.stdout.isatty():
            write_csv(rows, sys.stdout, raw=raw, excel=excel, text=text)
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
        say(options, f"the store is sound, with {result.observations:,} observations: nothing was changed")
    else:
        say(options, f"{result.observations:,} observations saved, {lost} lost")
        say(options, f"the damaged file is kept: {term(str(result.kept))}")
    return Exit.DONE if result.complete else Exit.PARTIAL


def list_runs(options: Options, store: Path) -> None:
    """Write one record per run, newest first."""
    with UsageReader(store) as reader:
        runs = reader.runs()
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
                    "resumable": run.resumable,
                }
            )
    if any(run.resumable for run in runs):
        say(options, f"to go on with the unfinished run: cyclr usage resume --store {store}")
