"""``cyclr plans``."""

from __future__ import annotations

import click

from cyclr_async.cli.connect import connected
from cyclr_async.cli.options import Command, Options, current
from cyclr_async.cli.output import Output
from cyclr_async.cli.signals import run_async

__all__ = ["plans"]


@click.command(cls=Command, examples=("cyclr plans --simulate", "cyclr plans -o csv"))
@click.pass_context
def plans(ctx: click.Context) -> None:
    """List the price plans."""
    run_async(_plans(current(ctx)))


async def _plans(options: Options) -> None:
    with Output(options, ("id", "name")) as output:
        async with connected(options) as session:
            for plan in await session.priceplans.list(timeout=options.timeout):
                output.write({"id": plan.id, "name": plan.name})
