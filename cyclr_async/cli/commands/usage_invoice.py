"""``cyclr usage invoice``: what every customer owes for a month."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Final

import attrs
import click

from cyclr_async.cli.exit_codes import Exit
from cyclr_async.cli.months import chosen_period, prices_option, takes_period
from cyclr_async.cli.options import Command, current
from cyclr_async.cli.output import Output
from cyclr_async.cli.terminal import echo, warn
from cyclr_async.usage import InvoiceLine, invoices, load_price_book, read_statement
from cyclr_async.usage.months.price_book import EXACT

__all__ = ["invoice"]

_COLUMNS: Final = (*(field.name for field in attrs.fields(InvoiceLine)), "currency")
_TABLE: Final = ("customer", "account_id", "account_name", "kind", "quantity", "unit_price", "amount", "why")
_TOTALS: Final = ("customer", "total", "currency", "accounts", "provisional", "incomplete")


@click.command(
    cls=Command,
    examples=(
        "cyclr usage invoice --month 2026-10 --prices prices.toml",
        "cyclr usage invoice --last-month --prices prices.toml --out october.xlsx",
        "cyclr usage invoice --month 2026-10 --prices prices.toml --totals -o csv",
    ),
)
@takes_period
@prices_option(required=True)
@click.option("--totals", is_flag=True, help="One row for each customer, instead of one for each line.")
@click.pass_context
def invoice(
    ctx: click.Context,
    /,
    store: Path,
    month: str | None,
    last_month: bool,
    first: date | None,
    last: date | None,
    zone: str,
    prices: Path,
    totals: bool,
) -> None:
    """Write invoice lines: what was included, what is over, at which tier, and why.

    Exit code 3 says that some accounts have no figure or no price: their lines say so.
    """
    options = current(ctx)
    book = load_price_book(prices)
    statement = read_statement(store, chosen_period(month, last_month, first, last, zone))
    customers = unclear = open_ = 0
    owed = Decimal(0)
    with Output(options, _TOTALS if totals else _COLUMNS, table=None if totals else _TABLE) as output:
        for found in invoices(statement, book):
            customers += 1
            owed = EXACT.add(owed, found.total)  # what decimals do by themselves ends at 28 digits
            open_ += found.provisional
            unclear += found.incomplete
            if totals:
                accounts = len({line.account_id for line in found.lines})
                output.write(attrs.asdict(found, recurse=False) | {"accounts": accounts})
                continue
            for line in found.lines:
                output.write(attrs.asdict(line) | {"currency": found.currency})
    echo(options, f"{statement.period}: {customers:,} customers, {owed:,} {book.currency}")
    if statement.closing is None:
        warn(f"{statement.period} is not closed: its figures can still change (cyclr usage close)")
    if open_:
        warn(f"{open_:,} customers have figures that may still rise")
    if unclear:
        warn(f"{unclear:,} customers have accounts without a figure or a price: look at the lines missing and unpriced")
        ctx.exit(Exit.PARTIAL)
