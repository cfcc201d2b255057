"""From a statement to the page: what its lines and gaps mean in words, and the one call that does it all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

import attrs

from cyclr_async.errors import InvalidArgumentError
from cyclr_async.usage.months.periods import NotComparable
from cyclr_async.usage.months.read import Statement
from cyclr_async.usage.months.statement import Gap, GapReason, StatementLine
from cyclr_async.usage.months.statement_period import StatementPeriod
from cyclr_async.usage.page.data import PageAccount, PageMonth, PageReason, PageReport
from cyclr_async.usage.page.page import LISTED_ACCOUNTS, PageResult, ReportPage

__all__ = ["PageAllowance", "page_report", "write_page"]

_MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)  # in English wherever the page is made, as the rest of it is
_GAPS: Final[dict[GapReason, PageReason]] = {
    "gone": PageReason(
        "Gone",
        "The account had a figure in the period before, and the account list no longer names it.",
        "Nothing of it can be asked for any more; what it used before is in the period before.",
        settled=True,
    ),
    "missing": PageReason(
        "Not found",
        "The service answered that there is no such account.",
        "Take it out of the ids that you collect, or correct its id.",
    ),
    "forbidden": PageReason(
        "Forbidden",
        "The service refused to tell its usage to these credentials.",
        "Ask for access to it, then collect it again; its usage is not in the totals.",
    ),
    "failed": PageReason(
        "Failed",
        "It was asked for, and the answer was an error.",
        "Collect the failed accounts again before you bill; their usage is not in the totals.",
    ),
    "pending": PageReason(
        "Not asked yet",
        "A run knows the account and was stopped before it asked for it.",
        "Resume the run before you bill; its usage is not in the totals.",
    ),
    "not_collected": PageReason(
        "Not collected",
        "The account had a figure in the period before, and no run of this period is about it.",
        "Collect it for this period before you bill.",
    ),
    "not_begun": PageReason(
        "Not begun",
        "Its period before is not over yet, so none can have begun.",
        "There is nothing to bill yet; it will have a figure later.",
        settled=True,
    ),
    "other_period": PageReason(
        "Of another period",
        "It was collected, and its period begins on a day outside of this one.",
        "It is billed with the period in which its own begins.",
        settled=True,
    ),
    "overlapping": PageReason(
        "Counted elsewhere",
        "Its only period that begins here overlaps others of the same account, which count instead.",
        "Nothing is to be done: it would be billed twice.",
        settled=True,
    ),
    "after_closing": PageReason(
        "After the close",
        "Its figure came when the month was closed already.",
        "It is in the differences of the month, to be billed with a later one.",
        settled=True,
    ),
}
_NOT_COMPARED: Final[dict[NotComparable, PageReason]] = {
    "no_earlier": PageReason("No earlier figure", "The store has no figure of an earlier period to compare with."),
    "overlapping": PageReason("Periods overlap", "Its earlier figure is of a period that overlaps this one."),
    "not_adjacent": PageReason("Not adjacent", "Its earlier figure is not of the period just before."),
    "other_length": PageReason(
        "Of another length",
        "Its period before is of another length, and a part of a month is not compared with a whole one.",
    ),
}
_METHOD: Final = (
    "Tasks are counted by the service. This page adds them up and compares them; it measures nothing itself.",
    (
        "The billing period of an account belongs to this report when it begins on one of its days: every period is in "
        "exactly one month, and is billed once."
    ),
    (
        "The figure of an account is that of the last observation of its period. Observed before the period was over, "
        "it is provisional, and may still rise."
    ),
    (
        "The change compares an account with its adjacent earlier period of the same length. Accounts that cannot be "
        "compared are in the totals, and not in the change."
    ),
    "The usage of a sub-account is no part of its parent's.",
)
_TREND: Final = "Months of the trend count every account that had a figure then, those that are gone by now as well."
_PRICED: Final = (
    "The allowance and the charge of an account are those of the price book, for the account alone; an invoice may add "
    "up several accounts of a customer."
)


@attrs.frozen
class PageAllowance:
    """What is included for an account, and what it is charged.

    Attributes:
        included: tasks; None when nothing is agreed.
        charge: for its usage altogether, fees included; None when nothing is charged.
    """

    included: int | None
    charge: Decimal | None = None


def page_report(
    statement: Statement,
    *,
    plans: Mapping[int, str] | None = None,
    allowance: Callable[[StatementLine], PageAllowance | None] | None = None,
    currency: str | None = None,
    closed: str | None = None,
) -> PageReport:
    """Say what a page about a statement shows. The store is read when the page is made, once.

    Args:
        statement: of :func:`read_statement`; opened with ``trend=13``, the page has a year and the month before it.
        plans: names of price plans by their number; a plan that is not named is shown by its number.
        allowance: returns what is included for an account and what it is charged, or None; without it, the page says
            nothing of allowances.
        currency: of the charges, as an ISO 4217 code such as ``"EUR"``.
        closed: who closed the period and when, as in ``"closed on 2026-11-03 by the books"``; None while it is open.

    Returns:
        the report, for :class:`ReportPage`.
    """
    period = statement.period
    names = plans or {}
    zone = str(period.zone)
    last_day = period.end - timedelta(days=1)
    return PageReport(
        period=_named(period),
        span=f"billing periods that begin from {period.start} to {last_day}{'' if zone == 'UTC' else f' ({zone})'}",
        partner=statement.partner or "no partner known",
        made_at=statement.now,
        accounts=_accounts(statement, names, allowance),
        months=lambda: _months(statement),
        previous_period=_named(period.previous),
        reasons={
            **{f"gap {key}": reason for key, reason in _GAPS.items()},
            **{f"not compared {why}": reason for why, reason in _NOT_COMPARED.items()},
        },
        currency=currency,
        closed=closed,
        method=[*_METHOD, *[_TREND][: statement.trend], *([] if allowance is None else [_PRICED])],
    )


def write_page(
    statement: Statement,
    target: str | os.PathLike[str],
    *,
    plans: Mapping[int, str] | None = None,
    allowance: Callable[[StatementLine], PageAllowance | None] | None = None,
    currency: str | None = None,
    closed: str | None = None,
    accounts: int = LISTED_ACCOUNTS,
    charts: str | os.PathLike[str] | None = None,
) -> PageResult:
    """Write a statement as a page: one HTML file that needs nothing else, to be opened, mailed and printed.

    It blocks while it reads the store: from a coroutine, call it in a thread.

    Args:
        statement: of :func:`read_statement`, best with ``trend=13``.
        target: the file, such as ``"report.html"``.
        plans: see :func:`page_report`, as for the three that follow.
        allowance: what is included for an account.
        currency: of the charges.
        closed: who closed the period and when.
        accounts: how many accounts the page lists at most; see :class:`ReportPage`.
        charts: a folder that also gets every chart as an SVG file.

    Returns:
        what was written.

    Raises:
        InvalidArgumentError: ``target`` is a folder, ``accounts`` is out of range, or ``allowance`` is given without a
            ``currency``.
        StoreError: the store is damaged, or a file cannot be written.
    """
    if allowance is not None and currency is None:
        raise InvalidArgumentError("charges need a currency: give currency=, an ISO 4217 code such as 'EUR'")
    report = page_report(statement, plans=plans, allowance=allowance, currency=currency, closed=closed)
    page = ReportPage(report, accounts=accounts)
    result = page.write(target)
    if charts is not None:
        page.write_charts(charts)
    return result


def _accounts(
    statement: Statement,
    plans: Mapping[int, str],
    allowance: Callable[[StatementLine], PageAllowance | None] | None,
) -> Iterator[PageAccount]:
    for entry in statement.entries():
        number = entry.price_plan_id
        plan = None if number is None else plans.get(number, f"plan {number}")
        if isinstance(entry, Gap):
            yield PageAccount(
                entry.account_id,
                entry.account_name,
                plan,
                entry.parent_account_id,
                previous=entry.previous_task_count,
                reason=f"gap {entry.reason}",
                presence="gone" if entry.reason == "gone" else "there",
            )
        else:
            yield _account(entry, plan, None if allowance is None else allowance(entry))


def _account(line: StatementLine, plan: str | None, agreed: PageAllowance | None) -> PageAccount:
    return PageAccount(
        line.account_id,
        line.account_name,
        plan,
        line.parent_account_id,
        line.task_count,
        line.previous_task_count,
        line.provisional,
        None if line.not_compared is None else f"not compared {line.not_compared}",
        "new" if line.new else "there",
        None if agreed is None else agreed.included,
        None if agreed is None else agreed.charge,
        datetime.fromisoformat(line.observed_at),
        line.trend,
    )


def _months(statement: Statement) -> list[PageMonth]:
    totals = statement.totals()
    found = []
    for month in totals.trend:
        # A statement knows of its own month only how many figures are provisional.
        own = month.month == statement.period.label
        tasks = month.task_count if month.accounts else None
        found.append(PageMonth(_short_month(month.month), tasks, month.accounts, totals.provisional if own else 0))
    return found


def _short_month(month: str) -> str:
    year, number = month.split("-")
    return f"{_MONTHS[int(number) - 1][:3]} {year}"


def _named(period: StatementPeriod) -> str:
    if period.months is None:
        return period.label
    first = _long_month(period.start)
    return first if period.months == 1 else f"{first} to {_long_month(period.end - timedelta(days=1))}"


def _long_month(day: date) -> str:
    return f"{_MONTHS[day.month - 1]} {day.year}"
