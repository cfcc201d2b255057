"""``cyclr usage export``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import attrs
import click

from cyclr_async.cli.collecting import DEFAULT_STORE
from cyclr_async.cli.options import Command, Options, current
from cyclr_async.cli.output import Output, chosen_format
from cyclr_async.cli.param_types import STORE
from cyclr_async.cli.terminal import data_stream, echo
from cyclr_async.usage import COLUMNS, UsageReader, export_usage, write_csv
from cyclr_async.usage.export.registry import EXPORTERS

__all__ = ["export"]

_ROW_TABLE: Final = ("account_id", "account_name", "state", "task_count", "cycle_count", "period_from", "period_to")


@click.command(
    cls=Command,
    examples=("cyclr usage export --out october.csv", "cyclr usage export --out usage.parquet --all-observations"),
)
@click.option("--store", type=STORE, metavar="FILE", help="The store. [./cyclr-usage.sqlite]")
@click.option("--run", "run_id", type=click.IntRange(1), metavar="N", help="The run; the newest one by default.")
@click.option("--all-observations", is_flag=True, help="Every observation, not only the last of each account.")
@click.option("--raw", is_flag=True, help="CSV: do not guard texts against being run as formulas.")
@click.option("--excel", is_flag=True, help="CSV: begin with a byte order mark, for Excel.")
@click.option("--text", is_flag=True, help="CSV: ' before ids, names and audit texts with a digit: no number, no date.")
@click.pass_context
def export(
    ctx: click.Context,
    store: Path | None,
    run_id: int | None,
    all_observations: bool,
    raw: bool,
    excel: bool,
    text: bool,
) -> None:
    """Write what a store holds as CSV, JSON Lines, JSON, Markdown, Excel or Parquet."""
    options = {"all_observations": all_observations, "raw": raw, "excel": excel, "text": text}
    _exported(current(ctx), store or DEFAULT_STORE, run_id, **options)


def _exported(
    options: Options, store: Path, run_id: int | None, *, all_observations: bool, raw: bool, excel: bool, text: bool
) -> None:
    """Write the rows of a store to ``--out`` or standard output."""
    form = chosen_format(options)
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
        # By the exporter: the forms of other commands know nothing of the options of CSV.
        if form == "csv" and options.out is None and options.fields is None and not sys.stdout.isatty():
            write_csv(rows, data_stream(), raw=raw, excel=excel, text=text)
            sys.stdout.flush()
            return
        if raw or excel or text:
            raise click.UsageError("--raw, --excel and --text need --out FILE or a pipe, and all fields")
        with Output(options, COLUMNS, table=_ROW_TABLE) as output:
            for row in rows:
                output.write(attrs.asdict(row))
