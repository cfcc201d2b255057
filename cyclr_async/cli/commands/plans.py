"""``cyclr plans``."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import click

from cyclr_async.cli.options import Command, current
from cyclr_async.cli.records import Session, write_list

__all__ = ["plans"]


@click.command(cls=Command, examples=("cyclr plans --simulate", "cyclr plans -o csv"))
@click.pass_context
def plans(ctx: click.Context) -> None:
    """List the price plans."""
    options = current(ctx)

    async def found(session: Session) -> AsyncGenerator[Any, None]:
        for plan in await session.priceplans.list(timeout=options.timeout):
            yield plan

    write_list(options, found, ("id", "name"))
