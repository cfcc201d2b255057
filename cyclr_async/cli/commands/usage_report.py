"""``cyclr usage report``: a month or any days, from the store."""

from __future__ import annotations

import heapq
import sys
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import attrs
import click

from cyclr_async.cli.month_page import write_report_page
from cyclr_async.cli.months import (
    PERCENT,
    chosen_period,
    prices_option,
    read_prices,
    rose,
    takes_period,
)
from cyclr_async.cli.options import Command, Options, current
from cyclr_async.cli.output import Output, chosen_format
from cyclr_async.cli.terminal import echo, speaks_utf8
from cyclr_async.usage import (
    Gap,
    GroupTotal,
    PriceBook,
    Statement,
    StatementLine,
    StatementTotals,
    charge_of,
    read_statement,
    sparkline,
)
from cyclr_async.usage.months.grouping import group_lines, parents_of, top_parent
from cyclr_async.wire.text import escape_terminal

__all__ = ["report"]

_COLUMNS: Final = (
    *(field.name for field in attrs.fields(StatementLine)),
    "change",
    "change_percent",
    "gap",
    "gap_detail",
    "included_tasks",
    "over_tasks",
    "charge",
    "currency",
    "plan_name",
)
_GROUP_COLUMNS: Final = (
    "key",
    "accounts",
    "task_count",
    "cycle_count",
    "provisional",
    "compared",
    "compared_task_count",
    "previous_task_count",
    "change",
    "change_percent",
)
_SHOWN: Final = 50
"""Accounts of a table: more does nobody read in a terminal, and the other formats have all of them."""


@click.command(
    cls=Command,
    examples=(
        "cyclr usage report --month 2026-10 --compare",
        "cyclr usage report --last-month --prices prices.toml --over-allowance",
        "cyclr usage report --month 2026-10 --out october.xlsx",
        "cyclr usage report --month 2026-10 --html report.html",
    ),
)
@takes_period
@click.option("--compare", is_flag=True, help="Show the period before and the change.")
@click.option("--rise", type=PERCENT, metavar="PERCENT", help="Only accounts that rose by so much, such as 50%.")
@click.option("--over-allowance", is_flag=True, help="Only accounts with more tasks than included; needs --prices.")
@click.option("--by", type=click.Choice(("plan", "customer", "parent")), help="Sums instead of accounts.")
@click.option("--trend", type=click.IntRange(0, 60), default=0, metavar="N", help="Show the last N months.")
@click.option("--top", type=click.IntRange(1), metavar="N", help="Rows of a table, most tasks first. [50]")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write a page instead.")
@click.option("--charts", type=click.Path(path_type=Path), metavar="FOLDER", help="With --html: charts as SVG files.")
@prices_option(required=False)
@click.pass_context
def report(
    ctx: click.Context,
    /,
    store: Path,
    month: str | None,
    last_month: bool,
    first: date | None,
    last: date | None,
    zone: str,
    prices: Path | None,
    html: Path | None,
    charts: Path | None,
    by: str | None,
    **filters: Any,
) -> None:
    """Show the usage of a month: who used how much, what changed, and who is missing.

    Everything comes from the store; a month that is closed shows the figures that were frozen.
    """
    options = current(ctx)
    period = chosen_period(month, last_month, first, last, zone)
    book = read_prices(prices, period)
    chosen = _Filters(**filters)
    if chosen.over_allowance and book is None:
        raise click.UsageError("--over-allowance needs --prices: the API does not say what a plan includes")
    if charts is not None and html is None:
        raise click.UsageError("--charts belongs to --html")
    if html is not None:
        if by is not None or chosen.rise is not None or chosen.over_allowance or options.out is not None:
            raise click.UsageError("--html shows everything: leave --by, --rise, --over-allowance and --out out")
        write_report_page(options, store, period, book, html, charts)
        return
    statement = read_statement(store, period, trend=chosen.trend)
    if by is not None:
        _write_groups(options, statement, by, chosen, book)
    else:
        _write_lines(options, statement, chosen, book)
    _tell(options, statement, statement.totals())


@attrs.frozen(kw_only=True)
class _Filters:
    compare: bool
    rise: Decimal | None
    over_allowance: bool
    trend: int
    top: int | None

    def takes(self, entry: StatementLine | Gap, book: PriceBook | None) -> bool:
        if isinstance(entry, Gap):
            return self.rise is None and not self.over_allowance
        if self.rise is not None and not rose(entry.previous_task_count, entry.task_count, self.rise):
            return False
        if not self.over_allowance or book is None:
            return True
        charge = charge_of(entry, book)
        return charge is not None and charge.over_tasks > 0


def _write_lines(options: Options, statement: Statement, chosen: _Filters, book: PriceBook | None) -> None:
    form = chosen_format(options)
    shown = (entry for entry in statement.entries() if chosen.takes(entry, book))
    if form != "table":
        with Output(options, _COLUMNS) as output:
            for entry in shown:
                output.write(_record(entry, book))
        return
    # A table knows its widths only when it has all its rows: some are kept, and the rest is counted.
    limit = chosen.top or _SHOWN
    counted = _Counted(shown)
    most = heapq.nlargest(limit, iter(counted), key=_order)
    ascii_only = not speaks_utf8(sys.stdout)
    with Output(options, (*_COLUMNS, "state"), table=_table_columns(chosen, book)) as output:
        for entry in most:
            record = _record(entry, book) | {"state": _state(entry)}
            if options.fields is None and chosen.trend and isinstance(entry, StatementLine):
                record["trend"] = sparkline([None if v is None else max(0, v) for v in entry.trend], ascii=ascii_only)
            output.write(record)
    if counted.number > len(most):
        echo(options, f"{counted.number - len(most):,} more: --top N shows more, -o jsonl or --out FILE all of them")


class _Counted:
    def __init__(self, entries: Iterator[StatementLine | Gap]) -> None:
        self._entries = entries
        self.number = 0

    def __iter__(self) -> Iterator[StatementLine | Gap]:
        for entry in self._entries:
            self.number += 1
            yield entry


def _order(entry: StatementLine | Gap) -> tuple[bool, int]:
    # Who has no figure comes after everybody who has one, and among those by what was used before.
    if isinstance(entry, StatementLine):
        return True, entry.task_count
    return False, entry.previous_task_count or 0


def _state(entry: StatementLine | Gap) -> str:
    if isinstance(entry, Gap):
        return entry.reason
    return "provisional" if entry.provisional else "new" if entry.new else "final"


def _table_columns(chosen: _Filters, book: PriceBook | None) -> tuple[str, ...]:
    columns = ["account_id", "account_name", "price_plan_id", "task_count"]
    if chosen.compare or chosen.rise is not None:
        columns += ["previous_task_count", "change", "change_percent"]
    if book is not None:
        columns += ["plan_name", "included_tasks", "over_tasks", "charge"]
    columns += ["trend"] if chosen.trend else []
    return (*columns, "state")


def _record(entry: StatementLine | Gap, book: PriceBook | None) -> dict[str, Any]:
    if isinstance(entry, Gap):
        record = attrs.asdict(entry)
        record["gap"] = record.pop("reason")
        record["gap_detail"] = record.pop("detail")
        return record
    record = attrs.asdict(entry) | {"change": entry.change, "change_percent": entry.change_percent}
    charge = None if book is None else charge_of(entry, book)
    if book is not None and charge is not None:
        record |= {"included_tasks": charge.included_tasks, "over_tasks": charge.over_tasks}
        price = book.price_of(entry.account_id, entry.price_plan_id, entry.audit_info)
        # The API says numbers; what a plan is called stands in the price book.
        name = None if price is None else price.name
        record |= {"charge": charge.amount, "currency": book.currency, "plan_name": name}
    return record


def _write_groups(options: Options, statement: Statement, by: str, chosen: _Filters, book: PriceBook | None) -> None:
    with Output(options, _GROUP_COLUMNS) as output:
        for group in _groups(statement, by, chosen, book):
            output.write(attrs.asdict(group) | {"change": group.change, "change_percent": group.change_percent})


def _groups(statement: Statement, by: str, chosen: _Filters, book: PriceBook | None) -> Iterable[GroupTotal]:
    if by == "plan" and chosen.rise is None and not chosen.over_allowance:
        return statement.totals().plans  # which are counted anyway, in half the time
    parents = parents_of(statement) if by == "parent" else {}

    def key(entry: StatementLine | Gap) -> str | None:
        if by == "plan":
            return None if entry.price_plan_id is None else str(entry.price_plan_id)
        return entry.audit_info if by == "customer" else top_parent(entry.account_id, parents)

    return group_lines((key(entry), entry) for entry in statement.entries() if chosen.takes(entry, book))


def _tell(options: Options, statement: Statement, totals: StatementTotals) -> None:
    """Say on standard error what it all comes to, and what has to be looked at."""
    echo(options, f"{statement.period}: {totals.accounts:,} accounts, {totals.task_count:,} tasks")
    if totals.compared:
        percent = "" if totals.change_percent is None else f", {totals.change_percent:+}%"
        echo(options, f"{totals.compared:,} compared with the period before: {totals.change:+,} tasks{percent}")
    if totals.provisional:
        echo(options, f"{totals.provisional:,} figures are provisional: their periods were not over")
    if totals.missing:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in totals.gaps.items() if reason != "gone")
        echo(options, f"{totals.missing:,} accounts have no figure: {reasons}")
    if totals.new_accounts or totals.gone_accounts:
        echo(options, f"{totals.new_accounts:,} accounts are new, {totals.gone_accounts:,} are gone")
    closed = statement.closing
    if closed is not None:
        echo(options, escape_terminal(f"closed on {closed.closed_at:%Y-%m-%d} by {closed.closed_by}"))
