"""Closing months: what is frozen stays, what comes later is a difference, and every hand that touched it is known."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from cyclr_async.errors import InvalidArgumentError, StoreError
from cyclr_async.usage import (
    ClosedGap,
    Difference,
    NotClosableError,
    StatementPeriod,
    close_period,
    closed_gaps,
    closed_lines,
    find_closing,
    invoices,
    parse_price_book,
    read_closings,
    read_differences,
    read_statement,
    reopen_period,
    repair_store,
)
from cyclr_async.usage.store.locking import StoreLock
from tests.support.usage_months import StoreMaker

NOW = datetime(2026, 12, 5, 9, 30, tzinfo=UTC)
LATER = datetime(2026, 12, 20, tzinfo=UTC)


def november(path: Path) -> None:
    """Two accounts, both final, with the month before."""
    with StoreMaker(path) as store:
        store.run("2026-11-02")
        for account, tasks in (("a", 100), ("b", 50), ("gone", 3)):
            store.list(account, name=account.upper()).usage(account, "2026-10-01", "2026-10-31", tasks)
        store.run("2026-12-02")
        for account, tasks in (("a", 120), ("b", 40)):
            store.list(account, name=account.upper()).usage(account, "2026-11-01", "2026-11-30", tasks)


def test_a_month_is_frozen_with_who_and_when_and_from_what(path: Path) -> None:
    november(path)
    closed = close_period(path, "2026-11", by="Kim", note="ticket 7", now=NOW)
    assert closed == find_closing(path, "2026-11")
    assert read_closings(path) == [closed]
    assert (closed.closed_at, closed.closed_by, closed.note, closed.accepted) == (NOW, "Kim", "ticket 7", ())
    assert (closed.accounts, closed.task_count, closed.cycle_count, closed.gaps) == (2, 160, 2, 1)
    assert (closed.runs, closed.in_force) == ((2,), True)
    frozen = list(closed_lines(path, closed))
    assert [(line.account_id, line.task_count, line.observed_at, line.run_id) for line in frozen] == [
        ("a", 120, "2026-12-02T00:00:00Z", 2),
        ("b", 40, "2026-12-02T00:00:00Z", 2),
    ]
    assert list(closed_gaps(path, closed)) == [
        ClosedGap("gone", "GONE", "gone", "the account list does not name it any more", 2)
    ]
    assert list(read_differences(path, "2026-11")) == []


def test_what_comes_later_is_a_difference_and_never_a_changed_month(path: Path) -> None:
    november(path)
    closed = close_period(path, "2026-11", by="Kim", now=NOW)
    before = list(read_statement(path, "2026-11", now=NOW).entries())
    with StoreMaker(path) as store:
        store.run("2026-12-15")
        store.list("a").usage("a", "2026-11-01", "2026-11-30", 125)  # rose after all
        store.list("b").usage("b", "2026-11-01", "2026-11-30", 40)  # confirmed
        store.list("late").usage("late", "2026-11-11", "2026-12-10", 9)  # nobody had seen it
        store.list("gone", name="GONE").usage("gone", "2026-11-01", "2026-11-30", 2)
    assert list(read_differences(path, "2026-11")) == [
        Difference("a", None, "changed", 120, 125, 1, 1, "2026-12-02T00:00:00Z", "2026-12-15T00:00:00Z", 3),
        Difference("gone", "GONE", "appeared", None, 2, None, 1, None, "2026-12-15T00:00:00Z", 3),
        Difference("late", None, "appeared", None, 9, None, 1, None, "2026-12-15T00:00:00Z", 3),
    ]
    assert [difference.change for difference in read_differences(path, "2026-11")] == [5, 2, 9]
    statement = read_statement(path, "2026-11", now=LATER)
    assert statement.closing == closed
    after = list(statement.entries())
    assert [entry for entry in after if entry.account_id != "late"] == before
    book = parse_price_book('currency = "EUR"\n[plans.default]\nunit_price = 1\n')
    billed = list(invoices(statement, book))
    assert [(one.customer, one.total, one.incomplete) for one in billed] == [
        ("a", Decimal(120), False),
        ("b", Decimal(40), False),
        ("gone", Decimal(0), False),
    ]
    (late,) = [gap for gap in statement.gaps() if gap.account_id == "late"]
    assert (late.reason, late.detail) == ("after_closing", "its figure came when the month was closed already")
    totals = statement.totals()
    assert (totals.accounts, totals.task_count, totals.previous_task_count) == (2, 160, 150)
    open_ = read_statement(path, "2026-11", now=LATER, as_closed=False).totals()
    assert (open_.accounts, open_.task_count) == (4, 176)
    assert list(closed_lines(path, closed)) == list(closed_lines(path, closed))


def test_gaps_of_a_closed_month_stay_those_that_were_frozen(path: Path) -> None:
    november(path)
    with StoreMaker(path) as store:
        store.run("2026-12-03", from_date="2026-11-01")
        store.list("bad", name="BAD").refused("bad", "failed")
        store.list("a", name="A").list("b", name="B")
    close_period(path, "2026-11", by="Kim", accept={"missing"}, now=NOW)
    statement = read_statement(path, "2026-11", now=NOW)
    before = list(statement.entries())
    assert [(gap.account_id, gap.reason) for gap in statement.gaps()] == [("bad", "failed"), ("gone", "gone")]
    with StoreMaker(path) as store:
        store.run("2026-12-15", from_date="2026-11-01")
        # It answers by now, for another time: nothing says any more that it belongs to November.
        store.list("bad", name="BAD").usage("bad", "2026-12-10", "2027-01-09", 5)
        store.list("newcomer").refused("newcomer", "forbidden")  # nobody knew of it when November was closed
    statement = read_statement(path, "2026-11", now=LATER)
    assert list(statement.entries()) == before
    assert statement.totals().gaps == {"failed": 1, "gone": 1}
    assert list(read_differences(path, "2026-11")) == []


def test_a_figure_that_no_longer_counts_is_a_difference_too(path: Path) -> None:
    november(path)
    close_period(path, "2026-11", by="Kim", now=NOW)
    with StoreMaker(path) as store:
        store.run("2027-01-15")
        # Asked from other days: together they cover more time than the closed period did.
        store.list("a").usage("a", "2026-10-15", "2026-11-14", 60)
        store.usage("a", "2026-09-15", "2026-10-14", 60, seen="2027-01-15T00:00:01")
        store.usage("a", "2026-12-15", "2027-01-14", 60, seen="2027-01-15T00:00:01")
        store.usage("a", "2026-11-15", "2026-12-14", 61, seen="2027-01-15T00:00:02")
    (found,) = read_differences(path, "2026-11")
    assert (found.kind, found.closed_task_count, found.task_count) == ("changed", 120, 61)
    line = next(read_statement(path, "2026-11", now=LATER).lines())
    assert (line.task_count, line.period_from) == (120, "2026-11-01T00:00:00Z")


def test_nothing_is_closed_while_figures_are_provisional_or_missing(path: Path) -> None:
    november(path)
    with StoreMaker(path) as store:
        store.run("2026-12-03")
        store.list("open").usage("open", "2026-11-20", "2026-12-19", 9)
        store.list("bad").refused("bad", "failed")
    with pytest.raises(NotClosableError) as caught:
        close_period(path, "2026-11", by="Kim", now=NOW)
    assert (caught.value.provisional, caught.value.gaps) == (1, {"failed": 1})
    assert "1 figures may still rise" in str(caught.value)
    assert "1 accounts have no figure (1 failed)" in str(caught.value)
    with pytest.raises(NotClosableError, match="may still rise"):
        close_period(path, "2026-11", by="Kim", accept={"missing"}, now=NOW)
    with pytest.raises(NotClosableError, match="have no figure"):
        close_period(path, "2026-11", by="Kim", accept={"provisional"}, now=NOW)
    assert read_closings(path) == []
    with closing(sqlite3.connect(path)) as store_file:
        assert store_file.execute("SELECT count(*) FROM closed_line").fetchone() == (0,)
    closed = close_period(path, "2026-11", by="Kim", accept={"missing", "provisional"}, now=NOW)
    assert closed.accepted == ("missing", "provisional")
    assert [line.provisional for line in closed_lines(path, closed)] == [False, False, True]
    assert [gap.reason for gap in closed_gaps(path, closed)] == ["failed", "gone"]


def test_a_month_without_figures_is_not_closed(path: Path) -> None:
    november(path)
    with pytest.raises(NotClosableError, match="the store has no figures of it"):
        close_period(path, "2025-01", by="Kim", now=NOW)


def test_a_month_that_has_not_begun_is_not_closed(path: Path) -> None:
    november(path)
    with pytest.raises(InvalidArgumentError, match="2027-01 has not begun"):
        close_period(path, "2027-01", by="Kim", accept={"missing", "provisional"}, now=NOW)
    assert read_closings(path) == []
    # In the zone where its first day has begun already.
    begun = StatementPeriod.month("2027-01", "Pacific/Auckland")
    with pytest.raises(NotClosableError):
        close_period(path, begun, by="Kim", now=datetime(2026, 12, 31, 12, tzinfo=UTC))


def test_opening_again_leaves_a_trace(path: Path) -> None:
    november(path)
    first = close_period(path, "2026-11", by="Kim", now=NOW)
    with pytest.raises(StoreError, match="2026-11 is closed already, since 2026-12-05 by Kim"):
        close_period(path, "2026-11", by="Alex", now=LATER)
    opened = reopen_period(path, "2026-11", by="Alex", reason="wrong plan", now=LATER)
    assert (opened.closing_id, opened.reopened_by, opened.reopen_reason, opened.reopened_at, opened.in_force) == (
        first.closing_id,
        "Alex",
        "wrong plan",
        LATER,
        False,
    )
    assert find_closing(path, "2026-11") is None
    with pytest.raises(StoreError, match="is not closed"):
        reopen_period(path, "2026-11", by="Alex", reason="again", now=LATER)
    with StoreMaker(path) as store:
        store.run("2026-12-20")
        store.list("a", name="A").usage("a", "2026-11-01", "2026-11-30", 200)
    second = close_period(path, "2026-11", by="Kim", now=LATER)
    assert read_closings(path) == [second, opened]
    assert (second.task_count, opened.task_count) == (240, 160)
    assert [line.task_count for line in closed_lines(path, opened)] == [120, 40]
    (found,) = read_differences(path, "2026-11", closing=opened)
    assert (found.account_id, found.change) == ("a", 80)


def test_periods_that_overlap_are_not_closed_twice(path: Path) -> None:
    november(path)
    close_period(path, "2026-11", by="Kim", now=NOW)
    quarter = StatementPeriod(date(2026, 10, 1), date(2027, 1, 1))
    with pytest.raises(StoreError, match="2026-10 to 2026-12 overlaps 2026-11, which is closed"):
        close_period(path, quarter, by="Kim", accept={"missing", "provisional"}, now=NOW)
    with pytest.raises(StoreError, match="overlaps"):
        close_period(path, StatementPeriod.month("2026-10", "America/New_York"), by="Kim", accept={"missing"}, now=NOW)
    # The same moments under another name of the zone are the same month.
    assert find_closing(path, StatementPeriod.month("2026-11", "Etc/UTC")) is not None


def test_arguments_and_stores_that_cannot_be(path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store"):
        close_period(path, "2026-11", by="Kim")
    assert not path.exists()
    november(path)
    for wrong in ("", "  ", "x" * 501):
        with pytest.raises(InvalidArgumentError, match="by"):
            close_period(path, "2026-11", by=wrong, now=NOW)
    with pytest.raises(InvalidArgumentError, match="reason must say something"):
        reopen_period(path, "2026-11", by="Kim", reason="", now=NOW)
    with pytest.raises(StoreError, match="is not closed"):
        list(read_differences(path, "2026-11"))
    lock = StoreLock(path)
    lock.acquire()
    try:
        with pytest.raises(StoreError, match="in use"):
            close_period(path, "2026-11", by="Kim", now=NOW)
    finally:
        lock.release()


def _everything_closed(path: Path) -> Iterator[object]:
    for found in read_closings(path):
        yield from closed_lines(path, found)
        yield from closed_gaps(path, found)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE closed_line SET task_count = 121 WHERE account_id = 'a'",
        "DELETE FROM closed_line WHERE account_id = 'a'",
        "DELETE FROM closed_gap",
        "UPDATE closing SET task_count = 161",
        "UPDATE closing SET closed_by = 'Somebody else'",
    ],
)
def test_a_changed_closing_is_never_shown(path: Path, change: str) -> None:
    november(path)
    close_period(path, "2026-11", by="Kim", now=NOW)
    assert len(list(_everything_closed(path))) == 3
    with closing(sqlite3.connect(path)) as store:
        store.execute(change)
        store.commit()
    with pytest.raises(StoreError, match="damaged"):
        list(read_statement(path, "2026-11").lines())
    with pytest.raises(StoreError, match="damaged"):
        list(_everything_closed(path))


def test_a_repaired_store_keeps_its_closings(path: Path) -> None:
    november(path)
    closed = close_period(path, "2026-11", by="Kim", now=NOW)
    frozen = list(closed_lines(path, closed))
    gaps = list(closed_gaps(path, closed))
    with closing(sqlite3.connect(path)) as store:
        store.execute("UPDATE item SET account_name = 'X' WHERE account_id = 'a' AND run_id = 1")
        store.commit()
    assert repair_store(path).kept is not None
    assert find_closing(path, "2026-11") == closed
    assert list(closed_lines(path, closed)) == frozen
    assert list(closed_gaps(path, closed)) == gaps
