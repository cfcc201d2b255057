"""Statements over stores that are written out by hand: what counts, what is compared, who is missing and why."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyclr_async.errors import InvalidArgumentError, StoreError
from cyclr_async.usage import Gap, StatementLine, StatementPeriod, UsageReader, read_history, read_statement
from cyclr_async.usage.months.period_texts import comparable, end_of
from cyclr_async.usage.months.periods import Period, add_months, period_end_text, why_not_comparable
from cyclr_async.usage.store.schema import connect
from tests.support.usage_months import PARTNER, StoreMaker, stored

VERSION_2 = Path(__file__).parent.parent / "store" / "data" / "version_2.sqlite"
NOW = datetime(2027, 3, 1, tzinfo=UTC)


def lines(path: Path, period: StatementPeriod | str, now: datetime = NOW) -> dict[str, StatementLine]:
    return {line.account_id: line for line in read_statement(path, period, now=now).lines()}


def gaps(path: Path, period: StatementPeriod | str, now: datetime = NOW) -> dict[str, str]:
    return {gap.account_id: gap.reason for gap in read_statement(path, period, now=now).gaps()}


def month_less_a_day(start: str) -> str:
    """The ToDate of a whole month."""
    begin = datetime.fromisoformat(start).replace(tzinfo=UTC)
    return (add_months(begin, 1) - timedelta(days=1)).replace(tzinfo=None).isoformat()


def test_two_months_of_three_accounts(path: Path) -> None:
    with StoreMaker(path) as store:
        store.run("2026-10-11")
        for account, tasks in (("a", 100), ("b", 40), ("c", 7)):
            store.list(account, name=f"Name {account}", plan=2, audit=f"ref {account}")
            store.usage(account, "2026-09-09T16:23:08", "2026-10-08T16:23:08", tasks)
        store.run("2026-11-11")
        for account, tasks in (("a", 150), ("b", 40), ("d", 5)):
            store.list(account, name=f"Name {account}", plan=2)
            store.usage(account, "2026-10-09T16:23:08", "2026-11-08T16:23:08", tasks, cycles=3, plan=9)
    statement = read_statement(path, "2026-10", now=NOW)
    a, b, c, d = statement.entries()
    assert statement.partner == PARTNER
    assert isinstance(a, StatementLine)
    assert isinstance(b, StatementLine)
    assert isinstance(d, StatementLine)
    assert a == StatementLine(
        account_id="a",
        account_name="Name a",
        api_id=None,
        parent_account_id=None,
        audit_info=None,
        task_audit_info=None,
        price_plan_id=9,
        period_from="2026-10-09T16:23:08Z",
        period_to="2026-11-08T16:23:08Z",
        period_end="2026-11-09T16:23:08Z",
        periods=1,
        task_count=150,
        cycle_count=3,
        observed_at="2026-11-11T00:00:00Z",
        provisional=False,
        run_id=2,
        new=False,
        previous_task_count=100,
        previous_cycle_count=1,
        previous_period_from="2026-09-09T16:23:08Z",
        previous_period_to="2026-10-08T16:23:08Z",
        previous_provisional=False,
    )
    assert (a.change, a.change_percent) == (50, Decimal("50.0"))
    assert (b.change, b.change_percent) == (0, Decimal("0.0"))
    assert a.age(datetime(2026, 11, 12, tzinfo=UTC)) == timedelta(days=1)
    assert (d.new, d.not_compared, d.change, d.change_percent) == (True, "no_earlier", None, None)
    assert c == Gap(
        account_id="c",
        account_name="Name c",
        api_id=None,
        parent_account_id=None,
        audit_info="ref c",
        price_plan_id=2,
        reason="gone",
        detail="the account list does not name it any more",
        run_id=2,
        previous_task_count=7,
        previous_period_from="2026-09-09T16:23:08Z",
        previous_period_to="2026-10-08T16:23:08Z",
    )
    totals = statement.totals()
    assert (totals.accounts, totals.task_count, totals.cycle_count, totals.provisional) == (3, 195, 9, 0)
    assert (totals.compared, totals.compared_task_count, totals.previous_task_count) == (2, 190, 140)
    assert (totals.change, totals.change_percent) == (50, Decimal("35.7"))
    assert (totals.new_accounts, totals.gone_accounts, totals.gaps, totals.missing) == (1, 1, {"gone": 1}, 0)
    assert (totals.observed_min, totals.observed_max) == ("2026-11-11T00:00:00Z", "2026-11-11T00:00:00Z")
    assert [(plan.key, plan.accounts, plan.task_count, plan.change) for plan in totals.plans] == [("9", 3, 195, 50)]


def test_every_reason_for_a_gap(path: Path) -> None:
    accounts = ("gone", "missing", "forbidden", "failed", "pending", "unasked", "moved", "there")
    with StoreMaker(path) as store:
        store.run("2026-10-02")
        for account in accounts:
            store.list(account, name=account.upper())
            store.usage(account, "2026-09-01", "2026-09-30", 10)
        store.run("2026-11-02")
        for account in accounts[1:]:
            if account != "unasked":
                store.list(account, name=account.upper())
        store.refused("missing", "missing", "NotFoundError(404)", "no such account")
        store.refused("forbidden", "forbidden", "ForbiddenError(403)", "no")
        store.refused("failed", "failed")
        store.usage("moved", "2026-11-01", "2026-11-30", 2)
        store.usage("there", "2026-10-01", "2026-10-31", 2)
        store.run("2026-11-03", ids="1:ff", complete=True)
        store.list("extra").refused("extra", "failed")
    expected = {account: account for account in ("missing", "forbidden", "failed", "pending")}
    expected |= {"gone": "gone", "unasked": "gone", "moved": "other_period"}
    assert gaps(path, "2026-10") == expected
    with StoreMaker(path) as store:
        # A run about one account is asked on a day of the month, and says nothing of the others.
        store.run("2026-12-03", from_date="2026-11-01", ids="1:ff", complete=True)
        store.list("extra").refused("extra", "failed", "TimeoutError", "too late")
    found = gaps(path, "2026-11")
    # The run of 2 November asked for the periods under way, which may have been those of November: who was refused then
    # is missing there too, for all that is known.
    refused = {account: account for account in ("missing", "forbidden", "failed", "pending")}
    assert found == {**refused, "there": "other_period", "extra": "failed"}
    details = {gap.account_id: gap.detail for gap in read_statement(path, "2026-11", now=NOW).gaps()}
    assert details["extra"] == "the call failed: TimeoutError: too late"
    assert gaps(path, "2026-12") == {"moved": "not_collected"}
    # On the day before, no period of November can have begun for whom the one of October is not over.
    assert gaps(path, "2026-11", datetime(2026, 10, 31, tzinfo=UTC))["there"] == "not_begun"


def test_the_last_observation_counts_and_says_whether_it_may_rise(path: Path) -> None:
    with StoreMaker(path) as store:
        store.run("2026-10-20")
        store.list("a").usage("a", "2026-10-01", "2026-10-31", 5)
        store.run("2026-10-31T23:59:59")
        store.list("a").usage("a", "2026-10-01", "2026-10-31", 8)
    assert (lines(path, "2026-10")["a"].task_count, lines(path, "2026-10")["a"].provisional) == (8, True)
    with StoreMaker(path) as store:
        store.run("2026-11-01")
        store.list("a").usage("a", "2026-10-01", "2026-10-31", 6)
    line = lines(path, "2026-10")["a"]
    assert (line.task_count, line.provisional, line.run_id) == (6, False, 3)


# account's periods (start, ToDate, tasks); month; begins of the figures that count there; tasks; compared with; why not
MONTH_TABLE = [
    # bills of the 31st, through the short months of a common year and of a leap year
    ([("2026-01-31", "2026-02-27", 3), ("2026-02-28", "2026-03-30", 4)], "2026-02", 4, 3, None),
    ([("2028-01-31", "2028-02-28", 3), ("2028-02-29", "2028-03-30", 4)], "2028-02", 4, 3, None),
    ([("2026-02-28", "2026-03-30", 4), ("2026-03-31", "2026-04-29", 5)], "2026-03", 5, 4, None),
    ([("2028-02-29", "2028-03-30", 4), ("2028-03-31", "2028-04-29", 5)], "2028-03", 5, 4, None),
    # of the 30th and the 29th
    ([("2026-01-30", "2026-02-27", 3), ("2026-02-28", "2026-03-29", 4)], "2026-02", 4, 3, None),
    ([("2026-01-29", "2026-02-27", 3), ("2026-02-28", "2026-03-28", 4)], "2026-02", 4, 3, None),
    ([("2028-01-29", "2028-02-28", 3), ("2028-02-29", "2028-03-28", 4)], "2028-02", 4, 3, None),
    # a period of 30 days from the end of January: February has none, March is compared with it
    ([("2026-01-30", "2026-03-01", 3), ("2026-03-01", "2026-03-31", 4)], "2026-03", 4, 3, None),
    # over the end of a year
    ([("2026-12-15", "2027-01-14", 3), ("2027-01-15", "2027-02-14", 4)], "2027-01", 4, 3, None),
    # the bill day moved from the 5th to the 20th: a part of a month, then whole ones
    (
        [("2026-09-05", "2026-10-04", 30), ("2026-10-05", "2026-10-19", 14), ("2026-10-20", "2026-11-19", 29)],
        "2026-10",
        43,
        None,
        "other_length",
    ),
    # and the month after that has one that is compared with the last of them
    (
        [("2026-10-05", "2026-10-19", 14), ("2026-10-20", "2026-11-19", 29), ("2026-11-20", "2026-12-19", 31)],
        "2026-11",
        31,
        29,
        None,
    ),
    # created in the middle of a month: the first period begins on that day
    ([("2026-10-17T09:30:00", "2026-11-16T09:30:00", 9)], "2026-10", 9, None, "no_earlier"),
    # months without collection lie between
    ([("2026-07-01", "2026-07-31", 9), ("2026-10-01", "2026-10-31", 8)], "2026-10", 8, None, "not_adjacent"),
    # asked from another day: it overlaps, and the two that cover most count
    (
        [("2026-09-01", "2026-09-30", 5), ("2026-09-15", "2026-10-14", 7), ("2026-10-01", "2026-10-31", 6)],
        "2026-10",
        6,
        5,
        None,
    ),
    # the time of day of the bill moved between two months
    (
        [("2026-09-09T16:23:08", "2026-10-08T16:23:08", 3), ("2026-10-09T07:00:00", "2026-11-08T07:00:00", 4)],
        "2026-10",
        4,
        3,
        None,
    ),
]


@pytest.mark.parametrize(("periods", "month", "tasks", "before", "why"), MONTH_TABLE)
def test_months_by_hand(
    path: Path, periods: list[tuple[str, str, int]], month: str, tasks: int, before: int | None, why: str | None
) -> None:
    with StoreMaker(path) as store:
        store.run("2029-01-01")
        store.list("a", name="A")
        for number, (start, end, count) in enumerate(periods):
            store.usage("a", start, end, count, seen=f"2029-01-01T00:00:{number:02}")
    line = lines(path, month, datetime(2029, 2, 1, tzinfo=UTC))["a"]
    assert (line.task_count, line.previous_task_count, line.not_compared) == (tasks, before, why)


def test_deleted_in_the_middle_of_a_month(path: Path) -> None:
    with StoreMaker(path) as store:
        store.run("2026-10-20")
        store.list("a").usage("a", "2026-10-05", "2026-11-04", 5)
        store.list("b").usage("b", "2026-10-05", "2026-11-04", 5)
        store.run("2026-11-20")
        store.list("b").usage("b", "2026-10-05", "2026-11-04", 6, seen="2026-11-20")
        store.usage("b", "2026-11-05", "2026-12-04", 6, seen="2026-11-20T01:00:00")
    line = lines(path, "2026-10")["a"]
    # What was seen of it last is its figure, and it can never be confirmed: that is said, and not hidden.
    assert (line.task_count, line.provisional) == (5, True)
    assert gaps(path, "2026-11") == {"a": "gone"}


def test_a_quarter_adds_up_and_is_compared_with_the_quarter_before(path: Path) -> None:
    with StoreMaker(path) as store:
        store.run("2027-01-05")
        store.list("whole").list("part")
        for number, month in enumerate(("2026-04", "2026-05", "2026-06", "2026-07", "2026-08", "2026-09")):
            start = f"{month}-09T16:23:08"
            store.usage("whole", start, month_less_a_day(start), 10**number, seen=f"2027-01-05T00:00:{number:02}")
            if number != 4:
                store.usage("part", start, month_less_a_day(start), 1, seen=f"2027-01-05T00:01:{number:02}")
    quarter = StatementPeriod(date(2026, 7, 1), date(2026, 10, 1))
    found = lines(path, quarter)
    assert (quarter.label, quarter.months, quarter.previous.label) == ("2026-07 to 2026-09", 3, "2026-04 to 2026-06")
    whole, part = found["whole"], found["part"]
    assert (whole.periods, whole.task_count, whole.previous_task_count) == (3, 111_000, 111)
    assert whole.previous_period_from == "2026-04-09T16:23:08Z"
    assert (part.periods, part.task_count, part.not_compared) == (2, 2, "not_adjacent")


def test_days_that_are_no_month(path: Path) -> None:
    with StoreMaker(path) as store:
        store.run("2026-12-05")
        for account, day in (("a", "05"), ("b", "20")):
            store.list(account)
            store.usage(account, f"2026-09-{day}", month_less_a_day(f"2026-09-{day}")[:10], 4, seen="2026-12-05")
        store.usage("a", "2026-10-05", "2026-11-04", 6, seen="2026-12-05T01:00:00")
    week = StatementPeriod(date(2026, 10, 4), date(2026, 10, 11))
    assert {name: line.change for name, line in lines(path, week).items()} == {"a": 2}
    # b is billed on the 20th: nothing of it is missing in this week, and in that of the 20th it is.
    assert gaps(path, week) == {}
    assert gaps(path, StatementPeriod(date(2026, 10, 18), date(2026, 10, 25))) == {"b": "not_collected"}
    assert (week.label, week.months, week.previous.label) == (
        "2026-10-04 to 2026-10-10",
        None,
        "2026-09-04 to 2026-09-10",
    )


# zone; first moment of March 2026 and of April 2026 there, in UTC; written out by hand
ZONES = [
    ("UTC", "2026-03-01T00:00:00", "2026-04-01T00:00:00"),
    ("Europe/London", "2026-03-01T00:00:00", "2026-03-31T23:00:00"),
    ("America/New_York", "2026-03-01T05:00:00", "2026-04-01T04:00:00"),
    ("Australia/Sydney", "2026-02-28T13:00:00", "2026-03-31T13:00:00"),
    ("Asia/Kathmandu", "2026-02-28T18:15:00", "2026-03-31T18:15:00"),
    ("Pacific/Kiritimati", "2026-02-28T10:00:00", "2026-03-31T10:00:00"),
]


@pytest.mark.parametrize(("zone", "first", "end"), ZONES)
def test_a_month_in_a_time_zone(path: Path, zone: str, first: str, end: str) -> None:
    moments = {"before": -1, "first": 0}
    with StoreMaker(path) as store:
        store.run("2026-07-01")
        for edge, text in (("start", first), ("end", end)):
            for name, seconds in moments.items():
                begin = datetime.fromisoformat(text) + timedelta(seconds=seconds)
                account = f"{edge}-{name}"
                store.list(account)
                store.usage(account, begin.isoformat(), month_less_a_day(begin.isoformat()), 1)
    month = StatementPeriod.month("2026-03", zone)
    assert set(lines(path, month)) == {"start-first", "end-before"}
    assert (stored(first)[:19], stored(end)[:19]) == (
        month.begins.isoformat()[:19],
        month.ends.isoformat()[:19],
    )


def test_a_month_that_begins_where_clocks_go_forward_at_midnight() -> None:
    # In Asuncion 2023-10-01 has no midnight: the day begins at 01:00, which is 04:00 in UTC.
    month = StatementPeriod.month("2023-10", "America/Asuncion")
    assert month.begins == datetime(2023, 10, 1, 4, tzinfo=UTC)


def test_the_trend(path: Path) -> None:
    with StoreMaker(path) as store:
        store.run("2027-01-01")
        for account in ("a", "b", "gone"):
            store.list(account)
        for number, month in enumerate(("2026-08", "2026-09", "2026-10")):
            for account in ("a", "b", "gone"):
                if (account, month) not in {("a", "2026-09"), ("gone", "2026-10")}:
                    end = month_less_a_day(f"{month}-01")[:10]
                    store.usage(account, f"{month}-01", end, number + 1, seen=f"2027-01-01T00:0{number}:00")
    statement = read_statement(path, "2026-10", trend=4, now=NOW)
    assert {line.account_id: line.trend for line in statement.lines()} == {
        "a": (None, 1, None, 3),
        "b": (None, 1, 2, 3),
    }
    found = [(month.month, month.accounts, month.task_count) for month in statement.totals().trend]
    assert found == [("2026-07", 0, 0), ("2026-08", 3, 3), ("2026-09", 2, 4), ("2026-10", 2, 6)]


def test_a_changed_figure_is_never_reported(path: Path) -> None:
    with StoreMaker(path) as store:
        store.run("2026-11-11")
        store.list("a").usage("a", "2026-10-09", "2026-11-08", 5)
        store.connection.execute("UPDATE observation SET task_count = 6")
    with pytest.raises(StoreError, match="what was observed of account 'a' has changed"):
        lines(path, "2026-10")


def test_a_changed_account_is_never_reported(path: Path) -> None:
    with StoreMaker(path) as store:
        store.run("2026-11-11")
        store.list("a").usage("a", "2026-10-09", "2026-11-08", 5)
        store.connection.execute("UPDATE item SET account_plan_id = 6")
    with pytest.raises(StoreError, match="what it says of account 'a' has changed"):
        lines(path, "2026-10")


def test_a_store_of_an_earlier_version_says_the_same_before_and_after_it_was_written_to(path: Path) -> None:
    shutil.copy(VERSION_2, path)
    months = ("2026-09", "2026-10", "2026-11")
    before = [list(read_statement(path, month, now=NOW).entries()) for month in months]
    assert sum(map(len, before)) > 5
    histories = [read_history(path, entry.account_id) for found in before for entry in found]
    connect(path).close()
    with closing(sqlite3.connect(path)) as store:
        assert store.execute("SELECT count(*) FROM observation WHERE figure_sum IS NULL").fetchone() == (9,)
    assert [
        list(read_statement(path, month, now=NOW).entries()) for month in ("2026-09", "2026-10", "2026-11")
    ] == before
    assert [read_history(path, entry.account_id) for found in before for entry in found] == histories
    with closing(sqlite3.connect(path)) as store:
        store.execute("UPDATE observation SET task_count = task_count + 1")
        store.commit()
    with pytest.raises(StoreError, match="has changed"):
        lines(path, "2026-10")


def test_what_the_v1_api_says(path: Path) -> None:
    with StoreMaker(path) as store:
        store.run("2026-11-11", api="v1")
        store.list("parent", plan=None).list("child", plan=None, parent="parent", task_audit="cost centre 7")
        for account in ("parent", "child"):
            store.usage(account, "2026-10-09", "2026-11-08", 5, cycles=None)
    found = lines(path, "2026-10")
    child = found["child"]
    assert (child.api_id, child.parent_account_id, child.task_audit_info) == ("child", "parent", "cost centre 7")
    assert (child.cycle_count, child.price_plan_id) == (None, None)
    totals = read_statement(path, "2026-10", now=NOW).totals()
    assert [(one.key, one.task_count) for one in totals.parents] == [("parent", 5), (None, 5)]
    assert totals.cycle_count == 0
    history = read_history(path, "child")
    assert history is not None
    assert (history.parent_account_id, history.periods[0].cycle_count) == ("parent", None)


def test_months_of_the_v1_api_end_with_its_answer_and_are_months(path: Path) -> None:
    """That API names the moment of its answer as the end of the period."""
    with StoreMaker(path) as store:
        for seen, start in (("2026-10-20", "2026-09-25"), ("2026-10-24", "2026-09-25"), ("2026-11-20", "2026-10-25")):
            store.run(f"{seen}T03:00:00", api="v1")
            end = f"{seen}T02:59:58"
            store.list("a", plan=None).usage("a", f"{start}T08:00:00", end, int(seen[5:7]), cycles=None)
    line = lines(path, "2026-10")["a"]
    assert (line.task_count, line.previous_task_count, line.not_compared) == (11, 10, None)
    assert (line.provisional, line.previous_provisional) == (True, True)
    assert (line.period_to, line.period_end) == ("2026-11-20T02:59:58Z", "2026-11-25T08:00:00Z")
    assert line.previous_period_to == "2026-10-24T02:59:58Z"
    assert gaps(path, "2026-11") == {"a": "other_period"}
    assert gaps(path, "2026-11", datetime(2026, 11, 24, tzinfo=UTC)) == {"a": "not_begun"}
    history = read_history(path, "a")
    assert history is not None
    assert [(one.task_count, one.change, one.period_end) for one in history.periods] == [
        (10, None, "2026-10-25T08:00:00Z"),
        (11, 1, "2026-11-25T08:00:00Z"),
    ]
    assert [one.provisional for one in history.periods[0].observations] == [True, True]


def test_what_is_no_period(path: Path) -> None:
    with StoreMaker(path) as store:
        store.run("2026-11-11")
    for wrong in ("2026-13", "2026", "october", "2026-1", "0000-01", "2026-1\u0660"):
        with pytest.raises(InvalidArgumentError, match="is no month"):
            read_statement(path, wrong)
    with pytest.raises(InvalidArgumentError, match="ends after it starts"):
        StatementPeriod(date(2026, 10, 2), date(2026, 10, 2))
    with pytest.raises(InvalidArgumentError, match="within a hundred years"):
        StatementPeriod(date(1500, 10, 2), date(2026, 10, 2))
    with pytest.raises(InvalidArgumentError, match="unknown time zone"):
        StatementPeriod.month("2026-10", "Mars/Olympus")
    with pytest.raises(InvalidArgumentError, match="is a date"):
        StatementPeriod(NOW, date(2026, 10, 2))
    with pytest.raises(InvalidArgumentError, match="trend is a number"):
        read_statement(path, "2026-10", trend=61)
    with pytest.raises(InvalidArgumentError, match="a period is"):
        read_statement(path, 7)  # type: ignore[arg-type]
    assert list(read_statement(path, "2026-10").entries()) == []


def test_last_month_is_that_of_the_zone() -> None:
    moment = datetime(2026, 11, 1, 3, tzinfo=UTC)
    assert StatementPeriod.last_month(moment).label == "2026-10"
    assert StatementPeriod.last_month(moment, "America/New_York").label == "2026-09"
    assert StatementPeriod.last_month(datetime(2027, 1, 31, tzinfo=UTC)).label == "2026-12"


DAYS = st.dates(date(2026, 1, 1), date(2028, 12, 28))
TIMES = st.sampled_from(["00:00:00", "16:23:08", "23:59:59"])
ENDS = st.one_of(st.just(-1), st.just(-2), st.integers(-10, 70))


@st.composite
def stored_periods(draw: st.DrawFn) -> tuple[str, str]:
    """A period as the API may name it: a month by either reading, or of any length."""
    begin = datetime.fromisoformat(f"{draw(DAYS)}T{draw(TIMES)}").replace(tzinfo=UTC)
    length = draw(ENDS)
    end = add_months(begin, 1) - timedelta(days=1) if length == -1 else begin + timedelta(days=abs(length))
    end = begin + timedelta(days=30) if length == -2 else end
    if draw(st.booleans()):
        end = end.replace(hour=23, minute=59, second=59)
    return stored(begin.isoformat()[:19]), stored(end.isoformat()[:19])


@given(stored_periods(), stored_periods())
def test_texts_and_periods_say_the_same(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert end_of(*one) == period_end_text(*one)
    earlier, later = sorted((one, other))
    if earlier[0] < later[0]:
        assert comparable(*later, *earlier) == why_not_comparable(Period.of(*later), Period.of(*earlier))


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from("abc"), st.lists(stored_periods(), max_size=5, unique_by=lambda p: p[0]), max_size=3
    )
)
def test_the_months_of_statements_are_those_of_the_reader(
    tmp_path_factory: pytest.TempPathFactory, found: dict[str, list[tuple[str, str]]]
) -> None:
    path = tmp_path_factory.mktemp("months") / "usage.db"
    months = set()
    with StoreMaker(path) as store:
        store.run("2029-06-01")
        for account, periods in found.items():
            store.list(account)
            for number, (start, end) in enumerate(periods):
                seen = f"2029-06-01T00:00:{number:02}"
                store.usage(account, start[:19], end[:19], 3**number, seen=seen)
                months.add(start[:7])
    with UsageReader(path) as reader:
        expected = {total.month: (total.accounts, total.task_count) for total in reader.periods()}
    totals = {month: read_statement(path, month, trend=2, now=NOW).totals() for month in months}
    assert {month: (one.accounts, one.task_count) for month, one in totals.items() if one.accounts} == expected
    for month in months:
        # Totals that are counted without making the lines are those of the lines.
        made = read_statement(path, month, now=NOW)
        for _ in made.entries():
            pass
        assert read_statement(path, month, now=NOW).totals() == made.totals()
    for month, one in totals.items():
        assert one.trend[-1].task_count == expected.get(month, (0, 0))[1]
