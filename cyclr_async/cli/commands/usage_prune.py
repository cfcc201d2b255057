"""``cyclr usage prune``: a smaller store with the same figures."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Final

import attrs
import click

from cyclr_async.cli.exit_codes import Exit
from cyclr_async.cli.months import takes_store
from cyclr_async.cli.options import Command, current
from cyclr_async.cli.output import Output
from cyclr_async.cli.param_types import DURATION
from cyclr_async.cli.terminal import echo
from cyclr_async.usage import PruneResult, prune_store
from cyclr_async.wire.text import escape_terminal

__all__ = ["prune"]

_COLUMNS: Final = tuple(field.name for field in attrs.fields(PruneResult))


@click.command(cls=Command, examples=("cyclr usage prune --dry-run", "cyclr usage prune --older-than 30d --yes"))
@takes_store
@click.option(
    "--older-than", type=DURATION, default="90d", show_default=True, metavar="TIME", help="Keep what is newer."
)
@click.option("--dry-run", is_flag=True, help="Only count.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def prune(ctx: click.Context, store: Path, older_than: timedelta, dry_run: bool, yes: bool) -> None:
    """Make a store smaller: remove observations that later ones of the same period have superseded.

    No figure changes, and what a month was closed from stays.
    """
    options = current(ctx)
    if not dry_run and not yes:
        found = prune_store(store, older_than=older_than, dry_run=True)
        question = escape_terminal(
            f"Remove {found.removed:,} superseded observations from {store}, and keep {found.kept:,}?"
        )
        if not sys.stdin.isatty():
            raise click.UsageError(f"{question} Nobody is here to ask: add --yes")
        if not click.confirm(question, err=True):
            echo(options, "nothing was changed")
            ctx.exit(Exit.FAILED)
    result = prune_store(store, older_than=older_than, dry_run=dry_run)
    with Output(options, _COLUMNS, many=False) as output:
        output.write(attrs.asdict(result) | {"path": str(result.path)})
