"""``cyclr usage closings``: which months were closed, by whom, and which were opened again."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from cyclr_async.cli.months import CLOSING_COLUMNS, closing_record, takes_store
from cyclr_async.cli.options import Command, current
from cyclr_async.cli.output import Output
from cyclr_async.usage import read_closings

__all__ = ["closings"]

_TABLE: Final = ("period", "closed_at", "closed_by", "accounts", "task_count", "gaps", "accepted", "reopened_at")


@click.command(cls=Command, examples=("cyclr usage closings", "cyclr usage closings -o json"))
@takes_store
@click.pass_context
def closings(ctx: click.Context, store: Path) -> None:
    """Show which months were closed, newest first, those that were opened again too."""
    with Output(current(ctx), CLOSING_COLUMNS, table=_TABLE) as output:
        for found in read_closings(store):
            output.write(closing_record(found))
