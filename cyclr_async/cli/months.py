"""What the commands about months have in common: which store, which period, which price book."""

from __future__ import annotations

import getpass
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs
import click

from cyclr_async.cli.collecting import DEFAULT_STORE
from cyclr_async.cli.param_types import DAY, STORE, ParamType
from cyclr_async.usage import Closing, PriceBook, StatementPeriod, load_price_book

__all__ = [
    "CLOSING_COLUMNS",
    "PERCENT",
    "chosen_period",
    "closing_record",
    "prices_option",
    "read_prices",
    "rose",
    "takes_period",
    "takes_store",
    "user_name",
]

F = TypeVar("F", bound=Callable[..., Any])


class _Percent(ParamType):
    name = "percent"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        if isinstance(value, Decimal):
            return value
        found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)\s*%?", str(value).strip(), re.ASCII)
        if found is None:
            self.fail(f"{value!r} is no percentage: write it as 50% or 12.5%", param, ctx)
        return Decimal(found[1])


PERCENT: Final = _Percent()
_LONGEST_MONTH: Final = 31
CLOSING_COLUMNS: Final = (
    "closing_id",
    "period",
    "period_start",
    "period_end",
    "zone",
    "closed_at",
    "closed_by",
    "accepted",
    "note",
    "accounts",
    "task_count",
    "cycle_count",
    "gaps",
    "runs",
    "reopened_at",
    "reopened_by",
    "reopen_reason",
)


def takes_store(function: F) -> F:
    """Give a command the option ``--store``."""
    option = click.option(
        "--store", type=STORE, default=DEFAULT_STORE, metavar="FILE", help="The store. [./cyclr-usage.sqlite]"
    )
    return option(function)


def takes_period(function: F) -> F:
    """Give a command the options that name a period; :func:`chosen_period` says which is meant."""
    for option in (
        click.option("--zone", metavar="NAME", default="UTC", help="Time zone of the days, as Europe/London. [UTC]"),
        click.option("--to", "last", type=DAY, metavar="DAY", help="The last day, included."),
        click.option("--from", "first", type=DAY, metavar="DAY", help="The first day, of any period."),
        click.option("--last-month", is_flag=True, help="The calendar month before this one; the default."),
        click.option("--month", metavar="YYYY-MM", help="A calendar month, such as 2026-10."),
    ):
        function = option(function)
    return takes_store(function)


def prices_option(*, required: bool) -> Callable[[F], F]:
    """Give a command the option ``--prices``."""
    return click.option(
        "--prices",
        type=click.Path(dir_okay=False, path_type=Path),
        required=required,
        metavar="FILE",
        help="The price book, such as prices.toml.",
    )


def chosen_period(
    month: str | None, last_month: bool, first: date | None, last: date | None, zone: str
) -> StatementPeriod:
    """Return the period that the options name.

    Raises:
        click.UsageError: they name more than one, or half of one.
        InvalidArgumentError: what they name is none.
    """
    named = [month is not None, last_month, first is not None or last is not None]
    if sum(named) > 1:
        raise click.UsageError("give one of --month, --last-month, or --from with --to")
    if month is not None:
        return StatementPeriod.month(month, zone)
    if (first is None) != (last is None):
        raise click.UsageError("--from and --to belong together")
    if first is None or last is None:
        return StatementPeriod.last_month(datetime.now(UTC), zone)
    if last < first or last == date.max:
        raise click.UsageError(f"--to {last} lies before --from {first}, or where the calendar ends")
    return StatementPeriod(first, last + timedelta(days=1), zone)


def read_prices(path: Path | None, period: StatementPeriod) -> PriceBook | None:
    """Read the price book that was named, if one was.

    Raises:
        click.UsageError: in the period several months of an account can begin, and a price book is about one.
        PriceBookError: it cannot be used.
    """
    if path is None:
        return None
    if (period.end - period.start).days > _LONGEST_MONTH:
        raise click.UsageError(
            f"--prices are those of a month, and {period} is longer: one fee and what is included once would be set "
            "against the tasks of several; name each month with --month"
        )
    return load_price_book(path)


def rose(before: int | None, now: int, percent: Decimal) -> bool:
    """Whether tasks rose by so many percent or more; from nothing to something is a rise of any percentage."""
    if before is None or now <= before:
        return False
    # Whole numbers on both sides: nothing is divided, so nothing is rounded.
    numerator, denominator = percent.as_integer_ratio()
    return (now - before) * 100 * denominator >= before * numerator


def user_name() -> str | None:
    """Return the name under which this process runs, where the system knows one."""
    with suppress(OSError, KeyError, ImportError):  # which of them depends on the system and the version of Python
        return getpass.getuser()
    return None


def closing_record(found: Closing) -> dict[str, object]:
    """Return a closing as it is written."""
    period = found.period
    return attrs.asdict(found, recurse=False) | {
        "period": period.label,
        "period_start": period.start,
        "period_end": period.end,
        "zone": str(period.zone),
        "accepted": list(found.accepted),
        "runs": list(found.runs),
    }
