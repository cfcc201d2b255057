"""What a period is, written out by hand; every date is in UTC, where no day is longer than another."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyclr_async.usage.months.periods import (
    Period,
    _bounds,
    add_months,
    counted_once,
    period_end_text,
    why_not_comparable,
)

SECOND = timedelta(seconds=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def period(start: str, end: str) -> Period:
    return Period(at(start), at(end))


MONTHS = [
    # start, ToDate, real end: a month less a day
    ("2016-12-09T16:23:08", "2017-01-08T16:23:08", "2017-01-09T16:23:08"),
    ("2026-11-09T16:23:08", "2026-12-08T16:23:08", "2026-12-09T16:23:08"),
    ("2026-02-09T16:23:08", "2026-03-08T16:23:08", "2026-03-09T16:23:08"),
    ("2028-02-09T16:23:08", "2028-03-08T16:23:08", "2028-03-09T16:23:08"),
    # 30 days: in a month of 30 the ToDate is the end, in February the end is what is later
    ("2026-11-09T16:23:08", "2026-12-09T16:23:08", "2026-12-09T16:23:08"),
    ("2026-02-09T16:23:08", "2026-03-11T16:23:08", "2026-03-11T16:23:08"),
    ("2028-02-09T16:23:08", "2028-03-10T16:23:08", "2028-03-10T16:23:08"),
    # the end itself, and its last second
    ("2026-10-01", "2026-11-01", "2026-11-01"),
    ("2026-10-01", "2026-10-31T23:59:59", "2026-11-01"),
    ("2026-10-01", "2026-10-31", "2026-11-01"),
    # bills of the 31st
    ("2025-12-31", "2026-01-30", "2026-01-31"),
    ("2026-01-31", "2026-02-27", "2026-02-28"),
    ("2026-02-28", "2026-03-30", "2026-03-31"),
    ("2026-03-31", "2026-04-29", "2026-04-30"),
    ("2026-04-30", "2026-05-30", "2026-05-31"),
    ("2028-01-31", "2028-02-28", "2028-02-29"),
    ("2028-02-29", "2028-03-30", "2028-03-31"),
    # of the 30th and of the 29th
    ("2026-01-30", "2026-02-27", "2026-02-28"),
    ("2026-02-28", "2026-03-29", "2026-03-30"),
    ("2026-01-29", "2026-02-27", "2026-02-28"),
    ("2026-02-28", "2026-03-28", "2026-03-29"),
    ("2028-01-29", "2028-02-28", "2028-02-29"),
    ("2028-02-29", "2028-03-28", "2028-03-29"),
    # of the 28th
    ("2026-02-28", "2026-03-27", "2026-03-28"),
    ("2100-02-28", "2100-03-27", "2100-03-28"),
    ("2026-12-31T23:59:59", "2027-01-30T23:59:59", "2027-01-31T23:59:59"),
]
OTHERS = [
    # moved bill day, from_date, an account made in the middle of the month: a day after the ToDate
    ("2026-11-09", "2026-11-19", "2026-11-20"),
    ("2026-11-09", "2026-12-24", "2026-12-25"),
    ("2026-11-09", "2026-12-07", "2026-12-08"),
    ("2026-11-09", "2026-12-10", "2026-12-11"),
    ("2026-11-09", "2026-11-09", "2026-11-10"),
    ("2026-11-01", "2027-01-01", "2027-01-02"),
]


@pytest.mark.parametrize(("start", "to", "end"), MONTHS + OTHERS)
def test_when_a_period_is_over(start: str, to: str, end: str) -> None:
    found = period(start, to)
    assert (found.end, found.is_month) == (at(end), (start, to, end) in MONTHS)
    assert found.provisional(at(end) - SECOND)
    assert not found.provisional(at(end))
    stored = f"{at(start):%Y-%m-%dT%H:%M:%S}.000000Z", f"{at(to):%Y-%m-%dT%H:%M:%S}.000000Z"
    assert period_end_text(*stored) == f"{at(end):%Y-%m-%dT%H:%M:%S}.000000Z"


def test_the_day_after_the_documented_end_belongs_to_the_period() -> None:
    found = period("2016-12-09T16:23:08", "2017-01-08T16:23:08")
    to = found.documented_end
    seen = [to - SECOND, to, to + timedelta(days=1) - SECOND, to + timedelta(days=1)]
    assert [found.provisional(moment) for moment in seen] == [True, True, True, False]


def test_what_means_nothing_is_never_over_early() -> None:
    backwards = period("2026-11-09", "2026-10-01")
    assert (backwards.end, backwards.is_month) == (at("2026-12-09"), False)
    assert period("9999-12-15", "9999-12-31").end == datetime.max.replace(tzinfo=UTC)
    assert period("0001-01-01", "0001-01-01").end == at("0001-01-02")
    assert period("0001-01-01", "0001-01-01").look_back == datetime.min.replace(tzinfo=UTC)
    assert period_end_text(None, None) is None


def test_month_arithmetic_clamps() -> None:
    days = {
        ("2026-01-31", 1): "2026-02-28",
        ("2028-01-31", 1): "2028-02-29",
        ("2026-01-29", 1): "2026-02-28",
        ("2026-08-31", 1): "2026-09-30",
        ("2026-12-09", 1): "2027-01-09",
        ("2026-03-31", -1): "2026-02-28",
        ("2028-02-29", 12): "2029-02-28",
        ("2100-01-31", 1): "2100-02-28",
        ("2000-01-31", 1): "2000-02-29",
    }
    assert {case: add_months(at(case[0]), case[1]) for case in days} == {case: at(day) for case, day in days.items()}


COMPARED = [
    # previous, current, why not
    (("2026-10-09", "2026-11-08"), ("2026-11-09", "2026-12-08"), None),
    (("2016-12-09T16:23:08", "2017-01-08T16:23:08"), ("2017-01-09T16:23:08", "2017-02-08T16:23:08"), None),
    (("2026-10-01", "2026-11-01"), ("2026-11-01", "2026-12-01"), None),
    (("2026-10-09", "2026-11-08"), ("2026-11-08", "2026-12-08"), None),  # 30 days after 30 days
    (("2026-11-09", "2026-12-09"), ("2026-12-09", "2027-01-08"), None),  # 30 days, bills by the calendar
    (("2026-02-09", "2026-03-11"), ("2026-03-09", "2026-04-08"), None),
    (("2026-02-09", "2026-03-11"), ("2026-03-11", "2026-04-10"), None),
    (("2026-01-31", "2026-02-27"), ("2026-02-28", "2026-03-30"), None),  # 28 days and 31 days
    (("2026-02-28", "2026-03-30"), ("2026-03-31", "2026-04-29"), None),
    (("2026-11-01", "2026-11-10"), ("2026-11-11", "2026-11-20"), None),  # ten days each
    # the time of day of the bill was moved
    (("2026-10-01T16:23:08", "2026-10-31T16:23:08"), ("2026-11-01T08:00:00", "2026-11-30T08:00:00"), None),
    (("2026-10-01T08:00:00", "2026-10-31T08:00:00"), ("2026-11-01T16:23:08", "2026-11-30T16:23:08"), None),
    (("2026-11-01", "2026-11-30"), ("2026-11-02", "2026-12-01"), "overlapping"),
    (("2026-10-15", "2026-11-14"), ("2026-11-01", "2026-11-30"), "overlapping"),
    (("2026-10-02", "2026-11-01"), ("2026-11-01", "2026-11-30"), "overlapping"),  # a day counted twice
    (("2026-06-01", "2026-06-30"), ("2026-10-01", "2026-10-31"), "not_adjacent"),
    (("2026-10-09", "2026-11-08"), ("2026-11-10", "2026-12-09"), "not_adjacent"),  # a day is missing
    (("2026-09-09", "2026-10-08"), ("2026-11-09", "2026-12-08"), "not_adjacent"),
    (("2026-10-09", "2026-11-08"), ("2026-11-09", "2026-11-19"), "other_length"),
    (("2026-11-09", "2026-11-19"), ("2026-11-20", "2026-12-19"), "other_length"),
    (("2026-11-01", "2026-11-10"), ("2026-11-11", "2026-11-25"), "other_length"),
    (("2026-09-01", "2026-10-31"), ("2026-11-01", "2026-11-30"), "other_length"),
]


@pytest.mark.parametrize(("previous", "current", "why"), COMPARED)
def test_what_may_be_compared(previous: tuple[str, str], current: tuple[str, str], why: str | None) -> None:
    before, now = period(*previous), period(*current)
    assert why_not_comparable(now, before) == why
    assert before.start >= now.look_back or why in {"not_adjacent", "other_length"}


def test_without_an_earlier_figure_there_is_nothing_to_compare() -> None:
    assert why_not_comparable(period("2026-10-09", "2026-11-08"), None) == "no_earlier"


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.integers(1, 40),
)
def test_the_months_of_any_bill_day_join_without_gap_and_overlap(first: datetime, count: int) -> None:
    bills = [add_months(first, number) for number in range(count + 2)]
    periods = [Period(start, following - timedelta(days=1)) for start, following in pairwise(bills)]
    assert all(found.is_month for found in periods)
    assert [found.end for found in periods] == bills[1:]
    for previous, current in pairwise(periods):
        assert why_not_comparable(current, previous) is None
    assert counted_once([(found, "") for found in periods]) == list(range(len(periods)))


def chosen(*found: tuple[str, str, str]) -> list[str]:
    periods = [(period(start, to), seen) for start, to, seen in found]
    return [found[index][0] for index in counted_once(periods)]


def test_overlapping_observations_count_once() -> None:
    first, second = ("2026-11-01", "2026-11-30", "a"), ("2026-11-02", "2026-12-01", "b")
    bill = ("2026-11-09", "2026-12-08", "c")
    assert chosen(first, second, bill) == ["2026-11-09"]
    assert chosen(("2026-11-01", "2026-11-30", "z"), second, bill) == ["2026-11-01"]
    part = ("2026-11-20", "2026-11-29", "z")
    assert chosen(first, part) == ["2026-11-01"]


def test_what_covers_most_time_counts() -> None:
    bills = [("2026-10-09", "2026-11-08", "a"), ("2026-11-09", "2026-12-08", "a"), ("2026-12-09", "2027-01-08", "a")]
    across = [("2026-11-01", "2026-11-30", "z"), ("2026-12-01", "2026-12-31", "z")]
    assert chosen(*sorted([*bills, *across])) == [start for start, _, _ in bills]
    moved = [("2026-10-09", "2026-11-08", "a"), ("2026-11-09", "2026-11-19", "b"), ("2026-11-20", "2026-12-19", "c")]
    assert chosen(*moved) == [start for start, _, _ in moved]


def test_both_readings_are_counted_whole() -> None:
    thirty = [("2026-10-09", "2026-11-08", "a"), ("2026-11-08", "2026-12-08", "a"), ("2026-12-08", "2027-01-07", "a")]
    assert len(chosen(*thirty)) == 3
    billed = [("2026-01-09", "2026-02-08", "a"), ("2026-02-09", "2026-03-11", "a"), ("2026-03-09", "2026-04-08", "a")]
    assert len(chosen(*billed)) == 3


def test_a_moved_time_of_day_costs_no_month() -> None:
    found = ("2026-10-01T16:23:08", "2026-10-31T16:23:08", "a"), ("2026-11-01T08:00:00", "2026-11-30T08:00:00", "b")
    assert len(chosen(*found)) == 2


def test_a_year_of_days_is_quick() -> None:
    begin = at("2026-01-01")
    days = [Period(begin + timedelta(days=day), add_months(begin + timedelta(days=day), 1)) for day in range(700)]
    found = counted_once([(one, "") for one in days])
    assert 22 <= len(found) <= 24
    for index, following in pairwise(found):
        assert not days[following].overlaps(days[index])


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.timedeltas(timedelta(days=25), timedelta(days=35)) | st.integers(25, 35).map(lambda days: timedelta(days=days)),
)
def test_no_period_is_over_before_any_reading_says_so(start: datetime, length: timedelta) -> None:
    found = Period(start, start + length)
    assert found.end >= found.documented_end
    assert found.end - found.documented_end <= timedelta(days=1)
    assert not found.is_month or found.end >= add_months(start, 1)
    said = found.end, found.is_month, found._first_next, found._calendar_only
    assert said == _bounds(start, start + length, add_months(start, 1)), "the short way says the same"
