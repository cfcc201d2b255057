"""``cyclr usage repair``."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import attrs
import click

from cyclr_async.cli.collecting import DEFAULT_STORE
from cyclr_async.cli.exit_codes import Exit
from cyclr_async.cli.options import Command, Options, current
from cyclr_async.cli.output import Output
from cyclr_async.cli.param_types import STORE
from cyclr_async.cli.terminal import echo
from cyclr_async.usage import repair_store
from cyclr_async.wire.text import escape_terminal

__all__ = ["repair"]

_REPAIR_COLUMNS: Final = ("run_id", "accounts", "lost", "due", "rebuilt")


@click.command(cls=Command, examples=("cyclr usage repair", "cyclr usage repair --store october.sqlite"))
@click.option("--store", type=STORE, metavar="FILE", help="The store. [./cyclr-usage.sqlite]")
@click.pass_context
def repair(ctx: click.Context, store: Path | None) -> None:
    """Save what is sound of a damaged store; the old file is kept beside it.

    What was lost is asked for by the next collection, if it continues the run.
    """
    ctx.exit(_repaired(current(ctx), store or DEFAULT_STORE))


def _repaired(options: Options, store: Path) -> Exit:
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
