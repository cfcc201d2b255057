"""``cyclr usage differences``: what was observed since a month was closed and is another figure."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import attrs
import click

from cyclr_async.cli.exit_codes import Exit
from cyclr_async.cli.months import takes_store
from cyclr_async.cli.options import Command, current
from cyclr_async.cli.output import Output
from cyclr_async.cli.terminal import echo
from cyclr_async.usage import Difference, StatementPeriod, read_differences

__all__ = ["differences"]

_COLUMNS: Final = (*(field.name for field in attrs.fields(Difference)), "change")
_TABLE: Final = ("account_id", "account_name", "kind", "closed_task_count", "task_count", "change", "observed_at")


@click.command(
    cls=Command, examples=("cyclr usage differences 2026-10", "cyclr usage differences 2026-10 --out late.xlsx")
)
@click.argument("month")
@takes_store
@click.option("--zone", metavar="NAME", default="UTC", help="Time zone of the days, as Europe/London. [UTC]")
@click.pass_context
def differences(ctx: click.Context, month: str, store: Path, zone: str) -> None:
    """Show the accounts whose closed month, such as 2026-10, would be another today; the month stays as it is.

    Exit code 3 says that there are some: they are billed or credited with a later month.
    """
    options = current(ctx)
    number = tasks = 0
    with Output(options, _COLUMNS, table=_TABLE) as output:
        for found in read_differences(store, StatementPeriod.month(month, zone)):
            number += 1
            tasks += found.change
            output.write(attrs.asdict(found) | {"change": found.change})
    echo(options, f"{number:,} accounts differ from what was closed, by {tasks:+,} tasks")
    if number:
        ctx.exit(Exit.PARTIAL)
