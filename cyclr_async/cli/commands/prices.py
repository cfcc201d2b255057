"""``cyclr prices check``: whether a price book can be used, and what stands in it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from cyclr_async.cli.options import Command, current
from cyclr_async.cli.output import Output
from cyclr_async.cli.terminal import echo
from cyclr_async.usage import load_price_book
from cyclr_async.wire.text import escape_terminal

__all__ = ["check"]

_COLUMNS: Final = (
    "plan",
    "name",
    "fee",
    "included_tasks",
    "unit_price",
    "tiers",
    "tier_mode",
    "included_cycles",
    "cycle_price",
    "minimum",
    "currency",
)
_TABLE: Final = ("plan", "name", "fee", "included_tasks", "unit_price", "minimum", "currency")


@click.command(cls=Command, examples=("cyclr prices check prices.toml", "cyclr prices check prices.toml -o json"))
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), default=Path("prices.toml"))
@click.pass_context
def check(ctx: click.Context, file: Path) -> None:
    """Check a price book; what is wrong is said with line and key, and all of it at once."""
    options = current(ctx)
    book = load_price_book(file)
    with Output(options, _COLUMNS, table=_TABLE) as output:
        for plan, price in book.plans.items():
            single = price.tiers[0].price if len(price.tiers) == 1 else None
            output.write(
                {
                    "plan": plan,
                    "name": price.name,
                    "fee": price.fee,
                    "included_tasks": price.included_tasks,
                    "unit_price": single,
                    "tiers": [{"up_to": tier.up_to, "price": tier.price} for tier in price.tiers],
                    "tier_mode": price.tier_mode,
                    "included_cycles": price.included_cycles,
                    "cycle_price": price.cycle_price,
                    "minimum": price.minimum,
                    "currency": book.currency,
                }
            )
    agreed = f"{len(book.accounts):,} accounts and {len(book.audit_infos):,} audit infos have agreements of their own"
    echo(options, escape_terminal(f"{file}: {len(book.plans):,} plans in {book.currency}; {agreed}"))
