"""``cyclr usage history``: the months of one account."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import attrs
import click

from cyclr_async.cli.exit_codes import Exit
from cyclr_async.cli.months import takes_store
from cyclr_async.cli.options import Command, current
from cyclr_async.cli.output import Output
from cyclr_async.cli.terminal import echo, print_error
from cyclr_async.usage import AccountPeriod, PeriodObservation, read_history
from cyclr_async.wire.text import escape_terminal

__all__ = ["history"]

_COLUMNS: Final = tuple(field.name for field in attrs.fields(AccountPeriod))
_OBSERVATION_COLUMNS: Final = (
    "period_from",
    "period_to",
    *(field.name for field in attrs.fields(PeriodObservation)),
)
_TABLE: Final = (
    "period_from",
    "period_to",
    "task_count",
    "change",
    "cycle_count",
    "provisional",
    "counted",
    "observed_at",
)


@click.command(
    cls=Command,
    examples=("cyclr usage history 0a1b2c3d", "cyclr usage history 0a1b2c3d --all-observations -o csv"),
)
@click.argument("account_id")
@takes_store
@click.option("--all-observations", is_flag=True, help="Every answer about a period, not only the one that counts.")
@click.pass_context
def history(ctx: click.Context, account_id: str, store: Path, all_observations: bool) -> None:
    """Show what a store knows of one account, period by period."""
    options = current(ctx)
    found = read_history(store, account_id)
    if found is None:
        print_error(f"the store {store} does not know the account {escape_terminal(account_id)!r}: check the id")
        ctx.exit(Exit.FAILED)
    name = found.account_name or "no name"
    echo(options, escape_terminal(f"{found.account_id} ({name}): {len(found.periods)} periods"))
    if all_observations:
        with Output(options, _OBSERVATION_COLUMNS) as output:
            for period in found.periods:
                dates = {"period_from": period.period_from, "period_to": period.period_to}
                for observation in period.observations:
                    output.write(dates | attrs.asdict(observation))
        return
    with Output(options, _COLUMNS, table=_TABLE) as output:
        for period in found.periods:
            output.write(attrs.asdict(period))
