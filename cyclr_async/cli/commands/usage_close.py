"""``cyclr usage close``: freeze the figures of a month."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cyclr_async.cli.months import CLOSING_COLUMNS, closing_record, takes_store, user_name
from cyclr_async.cli.options import Command, current
from cyclr_async.cli.output import Output
from cyclr_async.cli.terminal import echo
from cyclr_async.usage import StatementPeriod, close_period

if TYPE_CHECKING:
    from cyclr_async.usage import Accepted

__all__ = ["close"]


@click.command(
    cls=Command,
    examples=("cyclr usage close 2026-10", "cyclr usage close 2026-10 --accept-missing --note 'ACME left'"),
)
@click.argument("month")
@takes_store
@click.option("--zone", metavar="NAME", default="UTC", help="Time zone of the days, as Europe/London. [UTC]")
@click.option("--by", metavar="NAME", help="Who closes it; the name of the user by default.")
@click.option("--note", metavar="TEXT", help="What is to be remembered with it.")
@click.option("--accept-missing", is_flag=True, help="Close it without some figures; recorded.")
@click.option("--accept-provisional", is_flag=True, help="Close it with figures that may still rise; recorded.")
@click.pass_context
def close(
    ctx: click.Context,
    month: str,
    store: Path,
    zone: str,
    by: str | None,
    note: str | None,
    accept_missing: bool,
    accept_provisional: bool,
) -> None:
    """Freeze the figures of a month, such as 2026-10, with who did it, when, and from what.

    What is observed later never changes it: `cyclr usage differences` shows that.
    """
    options = current(ctx)
    who = by or user_name()
    if who is None:
        raise click.UsageError("the system knows no name of this user: say who closes the month with --by NAME")
    accept: set[Accepted] = set()
    if accept_missing:
        accept.add("missing")
    if accept_provisional:
        accept.add("provisional")
    made = close_period(store, StatementPeriod.month(month, zone), by=who, accept=accept, note=note)
    with Output(options, CLOSING_COLUMNS, many=False) as output:
        output.write(closing_record(made))
    echo(options, f"{made.period} is closed: {made.accounts:,} accounts, {made.task_count:,} tasks")
