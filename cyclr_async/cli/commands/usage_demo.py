"""``cyclr usage demo``: a store to try the commands with."""

from __future__ import annotations

import shlex
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from cyclr_async.cli.demo import PRICES, fill
from cyclr_async.cli.exit_codes import Exit
from cyclr_async.cli.options import Command, current
from cyclr_async.cli.output import Output
from cyclr_async.cli.param_types import STORE
from cyclr_async.cli.signals import run_async
from cyclr_async.cli.terminal import echo, print_error
from cyclr_async.wire.text import escape_terminal

__all__ = ["demo"]

_COLUMNS: Final = ("store", "prices", "months", "accounts")


@click.command(cls=Command, examples=("cyclr usage demo", "cyclr usage demo --store demo.sqlite --months 14"))
@click.option("--store", type=STORE, default=Path("demo.sqlite"), show_default=True, metavar="FILE", help="Made anew.")
@click.option("--months", type=click.IntRange(3, 60), default=6, show_default=True, metavar="N", help="Whole months.")
@click.option("--accounts", type=click.IntRange(12, 2000), default=40, show_default=True, metavar="N", help="Accounts.")
@click.pass_context
def demo(ctx: click.Context, store: Path, months: int, accounts: int) -> None:
    """Fill a new store with months of invented usage, to try every other command with.

    It grows, has seasons, an account that runs away, one that left and one that is new. A price book is written beside.
    """
    options = current(ctx)
    prices = store.with_suffix(".toml")
    for path in (store, prices):
        if path.exists():
            print_error(f"{escape_terminal(str(path))} exists: name another file with --store, or remove it")
            ctx.exit(Exit.FAILED)
    try:
        made = run_async(fill(store, months=months, accounts=accounts, now=datetime.now(UTC)))
    except BaseException:
        # Half a demo would look like a store with gaps; and it would be in the way of the next attempt.
        for ending in ("", "-wal", "-shm", ".lock"):
            with suppress(OSError):
                store.with_name(store.name + ending).unlink(missing_ok=True)
        raise
    prices.write_text(PRICES, encoding="utf-8")
    with Output(options, _COLUMNS, many=False) as output:
        output.write(
            {"store": str(store), "prices": str(prices), "months": list(made.months), "accounts": made.accounts}
        )
    named = f"--store {shlex.quote(str(store))}"
    echo(options, "now try:")
    echo(options, f"  cyclr usage report --last-month --compare --trend 6 {named}")
    echo(options, f"  cyclr usage report --last-month --prices {shlex.quote(str(prices))} --html report.html {named}")
    echo(options, f"  cyclr usage check --last-month {named}")
    echo(options, f"  cyclr usage close {made.months[-2]} {named}")
