"""The page of a month, with the prices and the closing that belong to it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cyclr_async.cli.options import Options
from cyclr_async.cli.terminal import echo
from cyclr_async.usage import (
    PageAllowance,
    PriceBook,
    StatementLine,
    StatementPeriod,
    charge_of,
    read_statement,
    write_page,
)
from cyclr_async.wire.text import escape_terminal

__all__ = ["write_report_page"]

_TREND: Final = 13
"""Months: a year and the month that it is compared with, as the reports of the service's own console."""


def write_report_page(
    options: Options, store: Path, period: StatementPeriod, book: PriceBook | None, target: Path, charts: Path | None
) -> None:
    """Write the page of a period.

    Args:
        options: the shared options.
        store: the file.
        period: what it is about.
        book: the prices; None for a page without allowances.
        target: the file to write.
        charts: a folder for the charts as files, or None.
    """
    statement = read_statement(store, period, trend=_TREND)

    def allowance(line: StatementLine) -> PageAllowance | None:
        charge = None if book is None else charge_of(line, book)
        return None if charge is None else PageAllowance(charge.included_tasks, charge.amount)

    closed = statement.closing
    numbered = {} if book is None else {plan: price for plan, price in book.plans.items() if plan != "default"}
    written = write_page(
        statement,
        target,
        plans={int(plan): price.name for plan, price in numbered.items() if price.name is not None},
        allowance=None if book is None else allowance,
        currency=None if book is None else book.currency,
        closed=None if closed is None else f"closed on {closed.closed_at:%Y-%m-%d} by {closed.closed_by}",
        charts=charts,
    )
    told = "" if written.listed == written.accounts else f", {written.listed:,} of them listed"
    echo(options, escape_terminal(f"{written.path}: {written.accounts:,} accounts{told}, {written.size:,} bytes"))
