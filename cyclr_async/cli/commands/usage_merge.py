"""``cyclr usage merge``: several stores into one."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import attrs
import click

from cyclr_async.cli.months import takes_store
from cyclr_async.cli.options import Command, current
from cyclr_async.cli.output import Output
from cyclr_async.cli.param_types import STORE
from cyclr_async.usage import MergeResult, merge_stores

__all__ = ["merge"]

_COLUMNS: Final = tuple(field.name for field in attrs.fields(MergeResult))


@click.command(
    cls=Command, examples=("cyclr usage merge other.sqlite", "cyclr usage merge 2025.sqlite --store all.sqlite")
)
@click.argument("others", nargs=-1, required=True, type=STORE)
@takes_store
@click.pass_context
def merge(ctx: click.Context, others: tuple[Path, ...], store: Path) -> None:
    """Put everything that other stores of the partner hold into one.

    The others stay as they are; the one is replaced only by a whole and checked store.
    """
    result = merge_stores(store, others)
    with Output(current(ctx), _COLUMNS, many=False) as output:
        output.write(attrs.asdict(result) | {"path": str(result.path)})
