"""``cyclr usage reopen``: open a closed month again; the closing stays."""

from __future__ import annotations

from pathlib import Path

import click

from cyclr_async.cli.months import CLOSING_COLUMNS, closing_record, takes_store, user_name
from cyclr_async.cli.options import Command, current
from cyclr_async.cli.output import Output
from cyclr_async.cli.terminal import echo
from cyclr_async.usage import StatementPeriod, reopen_period

__all__ = ["reopen"]


@click.command(
    cls=Command,
    examples=(
        "cyclr usage reopen 2026-10 --reason 'wrong plan of ACME'",
        "cyclr usage reopen 2026-10 --by jo --reason 'an account was missing' -o json",
    ),
)
@click.argument("month")
@takes_store
@click.option("--zone", metavar="NAME", default="UTC", help="Time zone of the days, as Europe/London. [UTC]")
@click.option("--by", metavar="NAME", help="Who opens it; the name of the user by default.")
@click.option("--reason", metavar="TEXT", required=True, help="Why; kept with the closing.")
@click.pass_context
def reopen(ctx: click.Context, month: str, store: Path, zone: str, by: str | None, reason: str) -> None:
    """Open a closed month again, such as 2026-10; who closed it, what was frozen, and why it was opened stay."""
    options = current(ctx)
    who = by or user_name()
    if who is None:
        raise click.UsageError("the system knows no name of this user: say who opens the month with --by NAME")
    found = reopen_period(store, StatementPeriod.month(month, zone), by=who, reason=reason)
    with Output(options, CLOSING_COLUMNS, many=False) as output:
        output.write(closing_record(found))
    echo(options, f"{found.period} is open again")
