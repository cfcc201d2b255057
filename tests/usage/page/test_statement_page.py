"""From a store to the page: what a statement says is what the page shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import get_args

import pytest

from cyclr_async.errors import InvalidArgumentError
from cyclr_async.usage import (
    Gap,
    PageAccount,
    PageAllowance,
    PageReport,
    ReportPage,
    Statement,
    StatementLine,
    StatementPeriod,
    page_report,
    read_statement,
    write_page,
)
from cyclr_async.usage.months import statement as months_statement
from cyclr_async.usage.months.periods import NotComparable
from tests.support.usage_months import PARTNER, StoreMaker
from tests.usage.page.test_page import data_of, read

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)


@pytest.fixture
def store(path: Path) -> Path:
    """Three months of five accounts: one that is gone, one that failed, one provisional, and a sub-account."""
    with StoreMaker(path) as maker:
        for month, end, seen in (("2026-08", "2026-08-31", "2026-09-02"), ("2026-09", "2026-09-30", "2026-10-02")):
            maker.run(f"{seen}T06:00:00")
            for index, account_id in enumerate(("a", "b", "c", "gone")):
                maker.list(
                    account_id,
                    name=f"Account {account_id}",
                    plan=index % 2 + 1,
                    parent="a" if account_id == "c" else None,
                )
                maker.usage(account_id, f"{month}-01", end, 100 * (index + 1) + (month == "2026-09"))
        maker.run("2026-11-02T06:00:00")
        for index, account_id in enumerate(("a", "b", "c", "new")):
            maker.list(
                account_id, name=f"Account {account_id}", plan=index % 2 + 1, parent="a" if account_id == "c" else None
            )
        maker.usage("a", "2026-10-01", "2026-10-31", 1200)
        maker.refused("b", "failed")
        maker.usage("c", "2026-10-15", "2026-11-14", 50)
        maker.usage("new", "2026-10-01", "2026-10-31", 7)
    return path


@pytest.fixture
def october(store: Path) -> Statement:
    return read_statement(store, "2026-10", trend=13, now=NOW)


def allowance(line: StatementLine) -> PageAllowance | None:
    if line.account_id == "new":
        return None
    over = max(0, line.task_count - 1000)
    return PageAllowance(1000, Decimal(over) * Decimal("0.01") if over else None)


def test_every_entry_is_an_account_of_the_page(october: Statement) -> None:
    report = page_report(october, plans={1: "Starter"}, allowance=allowance, currency="EUR")
    entries = {entry.account_id: entry for entry in october.entries()}
    accounts = {account.account_id: account for account in report.accounts}
    assert list(accounts) == list(entries)
    for account_id, entry in entries.items():
        account = accounts[account_id]
        assert account.name == entry.account_name
        assert account.parent == entry.parent_account_id
        assert account.previous == entry.previous_task_count
        if isinstance(entry, Gap):
            assert account.tasks is None
            assert account.reason == f"gap {entry.reason}"
        else:
            assert (account.tasks, account.provisional, account.history) == (
                entry.task_count,
                entry.provisional,
                entry.trend,
            )
    assert [accounts[name].plan for name in ("a", "b", "c")] == ["Starter", "plan 2", "Starter"]
    assert (accounts["a"].included, accounts["a"].charge) == (1000, Decimal("2.00"))
    assert accounts["new"].included is None
    assert (accounts["gone"].presence, accounts["new"].presence, accounts["a"].presence) == ("gone", "new", "there")


def test_the_page_says_what_the_statement_says(october: Statement, tmp_path: Path) -> None:
    written = write_page(
        october, tmp_path / "report.html", allowance=allowance, currency="EUR", charts=tmp_path / "charts"
    )
    totals = october.totals()
    assert written.accounts == totals.accounts + sum(totals.gaps.values()) == 5
    text = written.path.read_text("utf-8")
    assert f'<span class="figure">{totals.task_count:,}</span>' in text
    assert "Usage, October 2026" in text
    assert PARTNER in text
    assert "begin from 2026-10-01 to 2026-10-31" in text
    assert "Not final." in text
    assert "Account b" in text
    assert "EUR 2.00" in text
    assert "made 2026-11-20 09:00 UTC" in text or "Made 2026-11-20 09:00 UTC" in text
    charts = sorted(path.name for path in (tmp_path / "charts").iterdir())
    assert charts == ["allowance.svg", "changes.svg", "distribution.svg", "plans.svg", "top.svg", "trend.svg"]


def test_the_trend_is_that_of_the_statement(october: Statement) -> None:
    page = ReportPage(page_report(october))
    trend = next(chart for chart in page.charts() if chart.name == "trend")
    totals = october.totals()
    assert [row[0] for row in trend.rows] == ["Aug 2026", "Sep 2026", "Oct 2026"]
    assert [row[1] for row in trend.rows] == [f"{month.task_count:,}" for month in totals.trend][-3:]
    # Months before the first collection are left out of the chart.
    assert len(trend.rows) == 3
    assert trend.rows[-1][3] == str(totals.provisional) == "1"
    data = data_of(read(page))
    assert data["months"][-3:] == [row[0] for row in trend.rows]
    assert len(data["months"]) == 13
    row = next(found for found in data["rows"] if found[0] == "a")
    assert row[12] == [None] * 10 + [100, 101, 1200]


def test_without_a_trend_there_is_none(store: Path, tmp_path: Path) -> None:
    statement = read_statement(store, "2026-10", now=NOW)
    page = ReportPage(page_report(statement))
    assert "trend" not in [chart.name for chart in page.charts()]
    body = page.write(tmp_path / "a.html").path.read_text("utf-8").partition("<main>")[2].partition("<script")[0]
    assert "trend" not in body


def test_every_reason_has_words() -> None:
    """A reason that the statement knows and the page does not would be shown by its bare name."""
    reasons = page_report_of_nothing().reasons
    assert {f"gap {reason}" for reason in get_args(months_statement.GapReason)} | {
        f"not compared {why}" for why in get_args(NotComparable)
    } == set(reasons)
    for reason in reasons.values():
        assert reason.title
        assert reason.meaning.endswith(".")


def page_report_of_nothing() -> PageReport:
    statement = Statement(Path("none"), StatementPeriod.month("2026-10"), None, 0, NOW)
    return page_report(statement)


@pytest.mark.parametrize(
    ("start", "end", "name", "before"),
    [
        ("2026-10-01", "2026-11-01", "October 2026", "September 2026"),
        ("2026-07-01", "2026-10-01", "July 2026 to September 2026", "April 2026 to June 2026"),
        ("2026-10-05", "2026-10-08", "2026-10-05 to 2026-10-07", "2026-09-05 to 2026-09-07"),
    ],
)
def test_periods_have_names(start: str, end: str, name: str, before: str) -> None:
    period = StatementPeriod(datetime.fromisoformat(start).date(), datetime.fromisoformat(end).date())
    report = page_report(Statement(Path("none"), period, None, 0, NOW))
    assert (report.period, report.previous_period) == (name, before)
    assert "UTC" not in report.span
    assert report.partner == "no partner known"


def test_the_zone_of_the_days_is_named() -> None:
    report = page_report(Statement(Path("none"), StatementPeriod.month("2026-10", "Europe/London"), "p", 0, NOW))
    assert report.span.endswith("to 2026-10-31 (Europe/London)")


def test_charges_have_a_currency(october: Statement, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="currency"):
        write_page(october, tmp_path / "a.html", allowance=allowance)
    assert list(tmp_path.glob("*.html")) == []


class Counting(Statement):
    """A statement that counts how often it is read."""

    reads = 0

    def entries(self) -> Iterator[StatementLine | Gap]:
        type(self).reads += 1
        return super().entries()


def test_the_store_is_read_once(store: Path) -> None:
    statement = Counting(store, StatementPeriod.month("2026-10"), None, 13, NOW)
    b"".join(ReportPage(page_report(statement)).parts())
    assert Counting.reads == 1


def test_a_period_without_anything_makes_a_page(store: Path, tmp_path: Path) -> None:
    statement = read_statement(store, "2020-01", trend=13, now=NOW)
    text = write_page(statement, tmp_path / "a.html").path.read_text("utf-8")
    assert re.search(r'<span class="figure">0</span>', text)
    assert isinstance(next(iter(page_report(statement).accounts), None), PageAccount | None)
