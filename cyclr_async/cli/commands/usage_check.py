"""``cyclr usage check``: for cron; the exit code says what has to be looked at."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import click

from cyclr_async.cli.exit_codes import Exit
from cyclr_async.cli.months import PERCENT, chosen_period, prices_option, read_prices, rose, takes_period
from cyclr_async.cli.notify import NotifyError, checked_url, post_json
from cyclr_async.cli.options import Command, current
from cyclr_async.cli.output import Output
from cyclr_async.cli.terminal import echo, print_error
from cyclr_async.usage import Gap, PriceBook, Statement, StatementLine, charge_of, read_statement
from cyclr_async.wire.text import escape_terminal

__all__ = ["check"]

_COLUMNS: Final = (
    "kind",
    "account_id",
    "account_name",
    "task_count",
    "previous_task_count",
    "change_percent",
    "included_tasks",
    "over_tasks",
    "detail",
)
_BITS: Final = {"rose": 1, "missing": 2, "over_allowance": 4}
_FOUND: Final = 32
"""Added to the bits, so that no result of a check looks like one of the exit codes that every command has."""
_EXAMPLES: Final = 10
"""Accounts that a summary names: enough to see what it is about, in a message that people read on a phone."""
_SETTLED: Final = frozenset({"gone", "after_closing"})
"""Gaps that nobody can do anything about: a check that reports them every night is soon read by nobody."""


@click.command(
    cls=Command,
    examples=(
        "cyclr usage check --last-month --rise 50%",
        "cyclr usage check --prices prices.toml --notify https://hooks.example.com/usage",
    ),
)
@takes_period
@click.option("--rise", type=PERCENT, default="50%", show_default=True, metavar="PERCENT", help="What is a rise.")
@click.option(
    "--at-least", type=click.IntRange(0), default=100, show_default=True, metavar="N", help="Tasks of a rise."
)
@prices_option(required=False)
@click.option("--notify", metavar="URL", help="Post a JSON summary there when something was found; https.")
@click.option("--notify-always", is_flag=True, help="Post it also when nothing was found.")
@click.pass_context
def check(
    ctx: click.Context,
    /,
    store: Path,
    month: str | None,
    last_month: bool,
    first: date | None,
    last: date | None,
    zone: str,
    rise: Decimal,
    at_least: int,
    prices: Path | None,
    notify: str | None,
    notify_always: bool,
) -> None:
    """Look for accounts that rose, that have no figure, or that passed what is included.

    The exit code is 0 when there is nothing, else 32 and 1 for a rise, 2 for missing figures, 4 for a passed
    allowance: 37 is a rise and a passed allowance.
    """
    options = current(ctx)
    if notify is not None:
        checked_url(notify)  # before minutes of reading, and not after
    period = chosen_period(month, last_month, first, last, zone)
    book = read_prices(prices, period)
    statement = read_statement(store, period)
    counts = dict.fromkeys(_BITS, 0)
    examples: list[dict[str, Any]] = []
    with Output(options, _COLUMNS) as output:
        for found in _findings(statement, book, rise, at_least):
            counts[found["kind"]] += 1
            if len(examples) < _EXAMPLES:
                examples.append(found)
            output.write(found)
    code = sum(_BITS[kind] for kind, count in counts.items() if count)
    code = code and code + _FOUND
    said = _summary(statement, counts, code)
    echo(options, escape_terminal(said["text"]))
    if notify is not None and (code or notify_always):
        try:
            post_json(notify, {**said, "examples": [_plain(example) for example in examples]})
        except NotifyError as error:
            # What was found matters more than that nobody could be told: the code stays that of the check.
            print_error(str(error))
            code = code or Exit.FAILED
    ctx.exit(code)


def _findings(statement: Statement, book: PriceBook | None, rise: Decimal, at_least: int) -> Iterator[dict[str, Any]]:
    known = False
    for entry in statement.entries():
        known = True
        said: dict[str, Any] = {"account_id": entry.account_id, "account_name": entry.account_name}
        said["previous_task_count"] = entry.previous_task_count
        if isinstance(entry, Gap):
            if entry.reason not in _SETTLED:
                yield said | {"kind": "missing", "detail": f"{entry.reason}: {entry.detail}"}
            continue
        yield from _of_line(entry, said, book, rise, at_least)
    if not known:
        # A job that collected nothing for two months must not look like a month in which nothing happened.
        yield {"kind": "missing", "detail": f"the store has no figure of {statement.period}, and none before"}


def _of_line(
    line: StatementLine, said: dict[str, Any], book: PriceBook | None, rise: Decimal, at_least: int
) -> Iterator[dict[str, Any]]:
    said |= {"task_count": line.task_count, "change_percent": line.change_percent}
    change = line.change
    # A small account doubles every other month: a rise of few tasks is no news.
    if change is not None and change >= at_least and rose(line.previous_task_count, line.task_count, rise):
        yield said | {"kind": "rose", "detail": f"{change:+,} tasks"}
    charge = None if book is None else charge_of(line, book)
    if charge is not None and charge.included_tasks and charge.over_tasks:
        allowance = {"included_tasks": charge.included_tasks, "over_tasks": charge.over_tasks}
        yield said | allowance | {"kind": "over_allowance", "detail": f"{charge.over_tasks:,} tasks over"}


def _summary(statement: Statement, counts: dict[str, int], code: int) -> dict[str, Any]:
    totals = statement.totals()
    partner = f"{statement.partner}, " if statement.partner else ""
    text = (
        f"{partner}{statement.period}: {counts['rose']:,} accounts rose, {counts['missing']:,} have no figure, "
        f"{counts['over_allowance']:,} are over their allowance"
    )
    return {
        "text": text,  # by this name chats take what they show
        "partner": statement.partner,
        "period": statement.period.label,
        "checked_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "accounts": totals.accounts,
        "task_count": totals.task_count,
        "provisional": totals.provisional,
        **counts,
        "exit_code": code,
    }


def _plain(found: dict[str, Any]) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, Decimal) else value for name, value in found.items()}
