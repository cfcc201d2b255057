"""The page of a month: what the statement says, in the terms of the page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cyclr_async.cli.options import Options
from cyclr_async.cli.terminal import echo
from cyclr_async.usage import (
    Gap,
    PageAccount,
    PageMonth,
    PageReason,
    PageReport,
    PriceBook,
    ReportPage,
    Statement,
    StatementLine,
    StatementPeriod,
    charge_of,
    read_statement,
)
from cyclr_async.wire.text import escape_terminal

__all__ = ["report_of", "write_report_page"]

_TREND: Final = 13
"""Months: a year and the month that it is compared with, as the reports of the service's own console."""
_REASONS: Final = {
    "gone": PageReason("Gone", "The newest account list of the period does not name it any more.", ""),
    "missing": PageReason("Not found", "The API knows no such account.", "See whether it was deleted on purpose."),
    "forbidden": PageReason("Refused", "The API refused to tell its usage.", "Check the rights of the credentials."),
    "failed": PageReason("Failed", "The call failed.", "Collect again: cyclr usage resume."),
    "pending": PageReason("Not asked yet", "The collection did not get to it.", "Go on with it: cyclr usage resume."),
    "not_collected": PageReason("Not collected", "No collection of the period is about it.", "Collect the period."),
    "not_begun": PageReason("Not begun", "Its period before is not over, so none can have begun.", ""),
    "other_period": PageReason(
        "Another period", "It was collected, and its period begins on a day outside.", "Look at its bill day."
    ),
    "overlapping": PageReason(
        "Overlapping", "Its period overlaps others of the account.", "Look at its history: cyclr usage history."
    ),
    "after_closing": PageReason(
        "After the close",
        "Its figure came when the month was closed already.",
        "Bill the difference: cyclr usage differences.",
    ),
    "not_adjacent": PageReason("Not adjacent", "Its earlier figures are not of the period just before.", ""),
    "other_length": PageReason(
        "Another length", "The period before is of another length; a part of a month is not compared with a whole.", ""
    ),
}
_METHOD: Final = (
    "A period belongs to the month in which it begins, in {zone}.",
    "The figure of an account is that of its last observation; of periods that overlap, those count that cover most.",
    "Compared are periods of one account that follow each other and are equally long; all whole months are.",
)


def report_of(statement: Statement, book: PriceBook | None) -> PageReport:
    """Return what the page shows of a statement that was opened with ``trend``."""
    period = statement.period
    closed = statement.closing
    return PageReport(
        period=f"{period.start:%B %Y}" if period.months == 1 else period.label,
        span=f"{period.start} to {period.end - timedelta(days=1)}",
        partner=statement.partner or "",
        made_at=statement.now,
        accounts=_accounts(statement, book),
        months=lambda: _months(statement),
        previous_period=period.previous.label,
        reasons=_REASONS,
        currency=None if book is None else book.currency,
        closed=None if closed is None else f"closed on {closed.closed_at:%Y-%m-%d} by {closed.closed_by}",
        method=tuple(sentence.format(zone=period.zone) for sentence in _METHOD),
    )


def write_report_page(
    options: Options, store: Path, period: StatementPeriod, book: PriceBook | None, target: Path
) -> None:
    """Write the page of a period."""
    statement = read_statement(store, period, trend=_TREND)
    written = ReportPage(report_of(statement, book)).write(target)
    told = "" if written.listed == written.accounts else f", {written.listed:,} of them listed"
    echo(options, escape_terminal(f"{written.path}: {written.accounts:,} accounts{told}, {written.size:,} bytes"))


def _accounts(statement: Statement, book: PriceBook | None) -> Iterator[PageAccount]:
    for entry in statement.entries():
        yield _gap(entry) if isinstance(entry, Gap) else _line(entry, book)


def _line(line: StatementLine, book: PriceBook | None) -> PageAccount:
    charge = None if book is None else charge_of(line, book)
    price = None if book is None else book.price_of(line.account_id, line.price_plan_id, line.audit_info)
    plan = None if line.price_plan_id is None else f"Plan {line.price_plan_id}"
    return PageAccount(
        account_id=line.account_id,
        name=line.account_name,
        plan=plan if price is None or price.name is None else price.name,
        parent=line.parent_account_id,
        tasks=line.task_count,
        previous=line.previous_task_count,
        provisional=line.provisional,
        reason=None if line.new else line.not_compared,
        presence="new" if line.new else "there",
        included=None if charge is None else charge.included_tasks,
        charge=None if charge is None else charge.amount,
        observed_at=datetime.fromisoformat(line.observed_at),
        history=line.trend,
    )


def _gap(gap: Gap) -> PageAccount:
    return PageAccount(
        account_id=gap.account_id,
        name=gap.account_name,
        plan=None if gap.price_plan_id is None else f"Plan {gap.price_plan_id}",
        parent=gap.parent_account_id,
        reason=gap.reason,
        presence="gone" if gap.reason == "gone" else "there",
        history=(None,) * _TREND,
    )


def _months(statement: Statement) -> list[PageMonth]:
    totals = statement.totals()
    return [
        PageMonth(
            label=f"{datetime.fromisoformat(f'{month.month}-01'):%b %Y}",
            tasks=month.task_count if month.accounts else None,
            accounts=month.accounts,
        )
        for month in totals.trend
    ]
