"""The simulator's months: every task is counted in exactly one of them, and a session lives through them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyclr_async import AsyncPartnerSession, ClientCredentials
from cyclr_async.partner import AccountUsage
from cyclr_async.simulator import Simulator
from cyclr_async.simulator.domain.billing import Schedule, Span, Work, tasks_until, usage_between
from cyclr_async.simulator.domain.clock import add_months
from cyclr_async.usage.months.periods import Period, why_not_comparable
from tests.support.sizes import examples

DAY = timedelta(days=1)
PER_DAY = 97


async def account(sim: Simulator, session: AsyncPartnerSession, **more: Any) -> str:
    """A new account that does a known amount of work."""
    account_id = await session.accounts.create(name="ACME", **more)
    sim.account(account_id).tasks_per_day = PER_DAY
    return account_id


async def final(sim: Simulator, session: AsyncPartnerSession, account_id: str) -> AccountUsage:
    """The usage since the last bill, one second before the next one; the clock then stands at that bill."""
    next_bill = sim.account(account_id).schedule.at(sim.clock.now())[1]
    assert next_bill is not None
    sim.clock.set(next_bill - timedelta(seconds=1))
    usage = await session.accounts.usage(account_id)
    sim.clock.set(next_bill)
    return usage


@pytest.mark.parametrize("start", ["2026-12-09T16:23:08", "2027-01-31T00:00:00", "2027-11-30T12:00:00"])
async def test_a_year_of_months_adds_up_to_what_was_done(start: str) -> None:
    begin = datetime.fromisoformat(start).replace(tzinfo=UTC)
    async with Simulator(accounts=0, now=begin, frozen=True) as sim, sim.session() as session:
        account_id = await account(sim, session)
        months = [await final(sim, session, account_id) for _ in range(13)]
        end = sim.clock.now()
        done = tasks_until(PER_DAY, begin, end)
        # One second before its bill a month may lack the tasks of that second, and no more.
        sim.clock.set(end)
        settled = [await session.accounts.usage(account_id, from_date=month.from_date.date()) for month in months]
        assert sum(month.task_count for month in settled) == done > 390 * PER_DAY
        assert all(0 <= now.task_count - then.task_count <= 1 for then, now in zip(months, settled, strict=True))
        periods = [Period(month.from_date, month.to_date) for month in settled]
        assert periods == [Period(month.from_date, month.to_date) for month in months]
        assert periods[0].start == begin
        assert periods[-1].end == end
        for previous, current in pairwise(periods):
            assert previous.end == current.start == previous.documented_end + DAY
            assert why_not_comparable(current, previous) is None
        sim.clock.advance(timedelta(days=400))
        again = [await session.accounts.usage(account_id, from_date=month.from_date.date()) for month in months]
        assert again == settled, "a closed month does not change"


async def test_the_last_day_is_counted() -> None:
    begin = datetime(2026, 12, 9, 16, 23, 8, tzinfo=UTC)
    async with Simulator(accounts=0, now=begin, frozen=True) as sim, sim.session() as session:
        account_id = await account(sim, session)
        counts = []
        for moment in ("2027-01-08T16:23:08", "2027-01-09T04:23:08", "2027-01-09T16:23:08", "2027-02-01T00:00:00"):
            sim.clock.set(datetime.fromisoformat(moment))
            counts.append((await session.accounts.usage(account_id, from_date=date(2026, 12, 9))).task_count)
        assert counts[0] < counts[1] < counts[2] == counts[3]
        following = await session.accounts.usage(account_id)
        assert following.from_date == datetime(2027, 1, 9, 16, 23, 8, tzinfo=UTC)
        assert counts[3] + following.task_count == tasks_until(PER_DAY, begin, sim.clock.now())


async def test_a_moved_bill_day_loses_and_doubles_nothing() -> None:
    begin = datetime(2026, 12, 9, 16, 23, 8, tzinfo=UTC)
    async with Simulator(accounts=0, now=begin, frozen=True) as sim, sim.session() as session:
        account_id = await account(sim, session)
        await final(sim, session, account_id)
        moved = datetime(2027, 1, 20, 8, 0, tzinfo=UTC)
        await session.accounts.update(account_id, next_bill_date=moved)
        for _ in range(2):
            await final(sim, session, account_id)
        await session.accounts.update(account_id, next_bill_date=datetime(2027, 3, 31, tzinfo=UTC))
        for _ in range(2):
            await final(sim, session, account_id)
        starts = [date(2026, 12, 9), date(2027, 1, 9), date(2027, 1, 20), date(2027, 2, 20), date(2027, 3, 31)]
        months = [await session.accounts.usage(account_id, from_date=day) for day in starts]
        assert [f"{month.from_date:%m-%d %H:%M:%S} {month.to_date:%m-%d %H:%M:%S}" for month in months] == [
            "12-09 16:23:08 01-08 16:23:08",
            "01-09 16:23:08 01-19 08:00:00",
            "01-20 08:00:00 02-19 08:00:00",
            "02-20 08:00:00 03-30 00:00:00",
            "03-31 00:00:00 04-29 00:00:00",
        ]
        assert sum(month.task_count for month in months) == tasks_until(PER_DAY, begin, sim.clock.now())
        periods = [Period(month.from_date, month.to_date) for month in months]
        assert [period.is_month for period in periods] == [True, False, True, False, True]
        for previous, current in pairwise(periods):
            assert previous.end == current.start
            assert why_not_comparable(current, previous) == "other_length"


async def test_an_account_made_in_the_middle_of_a_month() -> None:
    begin = datetime(2026, 11, 17, 9, 0, tzinfo=UTC)
    async with Simulator(accounts=0, now=begin, frozen=True) as sim, sim.session() as session:
        account_id = await account(sim, session, next_bill_date=datetime(2026, 12, 1, tzinfo=UTC))
        first, second = await final(sim, session, account_id), await final(sim, session, account_id)
        assert (first.from_date, first.to_date) == (begin, datetime(2026, 11, 30, tzinfo=UTC))
        assert (second.from_date, second.to_date) == (
            datetime(2026, 12, 1, tzinfo=UTC),
            datetime(2026, 12, 31, tzinfo=UTC),
        )


MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(MOMENTS, st.lists(st.tuples(st.integers(1, 100), st.integers(0, 3_000_000)), max_size=8))
@settings(max_examples=examples(60, 150))
def test_every_moment_is_in_one_period_however_bills_move(created: datetime, changes: list[tuple[int, int]]) -> None:
    created = created.replace(microsecond=0)
    schedule = Schedule(created, created, add_months(created, 1))
    now = created
    for days, seconds in changes:
        now += timedelta(days=days)
        bill = now + timedelta(seconds=seconds + 1)
        schedule = schedule.moved(schedule.at(now)[0], bill, repeats=True)
        now = bill
    now += timedelta(days=100)
    work, bill, total, spans = Work(PER_DAY, 3), created, 0, []
    while bill <= now:
        following = schedule.after(bill)
        assert following is not None
        span = Span.find(schedule, bill, None)
        assert (span.start, span.end) == (bill, following)
        assert schedule.at(following - timedelta(seconds=1))[0] == bill
        total += usage_between(work, schedule, span, now)[0]
        spans.append(span)
        bill = following
    assert spans[-1].start <= now < spans[-1].end
    assert total == tasks_until(PER_DAY, created, now)


async def usages(session: AsyncPartnerSession, account_id: str, *days: date | None) -> list[tuple[int, int]]:
    found = [await session.accounts.usage(account_id, from_date=day) for day in days]
    return [(usage.task_count, usage.cycle_count) for usage in found]


async def test_usage_is_set_for_one_period() -> None:
    begin = datetime(2026, 10, 9, 16, 23, 8, tzinfo=UTC)
    async with Simulator(accounts=0, now=begin, frozen=True) as sim, sim.session() as session:
        account_id = await account(sim, session)
        sim.clock.set(datetime(2026, 12, 20, tzinfo=UTC))
        october, november = date(2026, 10, 9), date(2026, 11, 9)
        before = await usages(session, account_id, october, november, None)
        sim.set_usage(account_id, 1623, 10, period=date(2026, 11, 9))
        assert await usages(session, account_id, october, november, None) == [before[0], (1623, 10), before[2]]
        # The last day of the period, which its ToDate leaves out, is a day of it; a moment after the bill is not.
        sim.set_usage(account_id, 5, period=datetime(2026, 12, 9, 16, 23, 7))  # noqa: DTZ001 - naive means UTC
        assert await usages(session, account_id, october, november, None) == [before[0], (5, 0), before[2]]
        sim.set_usage(account_id, 6, period=datetime(2026, 12, 9, 16, 23, 8, tzinfo=UTC))
        assert await usages(session, account_id, october, november, None) == [before[0], (5, 0), (6, 0)]
        sim.set_usage(account_id, -1, -2)
        assert await usages(session, account_id, october, november, None) == [(-1, -2)] * 3
        sim.set_usage(account_id, 7, period=october)
        assert await usages(session, account_id, october, november) == [(7, 0), (-1, -2)]


async def test_a_day_means_the_period_asked_for_by_any_from_date() -> None:
    begin = datetime(2026, 9, 9, 16, 23, 8, tzinfo=UTC)
    async with Simulator(accounts=0, now=begin, frozen=True) as sim, sim.session() as session:
        account_id = await account(sim, session)
        sim.clock.set(datetime(2026, 12, 20, tzinfo=UTC))
        first = date(2026, 10, 1)
        before = await usages(session, account_id, date(2026, 9, 1), date(2026, 11, 1))
        sim.set_usage(account_id, 100, 1, period=first)
        assert await usages(session, account_id, first, date(2026, 9, 9)) == [(100, 1), (100, 1)]
        assert await usages(session, account_id, date(2026, 9, 1), date(2026, 11, 1)) == before


@pytest.mark.parametrize(
    "period",
    [
        (date(2026, 10, 1), date(2026, 11, 1)),
        (date(2026, 10, 1), date(2026, 10, 31)),
        (datetime(2026, 10, 1, 16, 23, 8, tzinfo=UTC), datetime(2026, 10, 31, 16, 23, 8, tzinfo=UTC)),
    ],
)
async def test_exactly_one_period_is_set(period: tuple[date, date]) -> None:
    begin = datetime(2026, 9, 9, 16, 23, 8, tzinfo=UTC)
    async with Simulator(accounts=0, now=begin, frozen=True) as sim, sim.session() as session:
        account_id = await account(sim, session)
        sim.clock.set(datetime(2026, 12, 20, tzinfo=UTC))
        others = (date(2026, 9, 9), date(2026, 10, 9), date(2026, 10, 2))
        before = await usages(session, account_id, *others)
        sim.set_usage(account_id, 100, 1, period=period)
        assert await usages(session, account_id, date(2026, 10, 1), *others) == [(100, 1), *before]


def test_a_period_that_is_none_is_refused() -> None:
    sim = Simulator(accounts=1)
    (account_id,) = sim.account_ids()
    wrong: Any
    for wrong in ("2026-10-01", (date(2026, 10, 1),), ("2026-10-01", "2026-11-01"), 5, [date(2026, 10, 1)] * 2):
        with pytest.raises(TypeError, match="a period is a date"):
            sim.set_usage(account_id, 1, period=wrong)
    with pytest.raises(ValueError, match="ends after it begins"):
        sim.set_usage(account_id, 1, period=(date(2026, 10, 2), date(2026, 10, 1)))
    with pytest.raises(KeyError):
        sim.set_usage("nobody", 1, period=date(2026, 10, 2))


async def test_usage_of_a_period_is_set_over_http(client: Any, sim: Simulator) -> None:
    account_id = sim.account_ids(1)[0]
    path, usage = f"/_simulator/accounts/{account_id}", f"/accounts/{account_id}/billing"
    current = (await client.get(usage)).json
    other = (await client.get(f"{usage}?fromDate=2020-01-01")).json
    for count, period in enumerate(
        [current["FromDate"][:10], f"{current['FromDate']}Z", [current["FromDate"][:10], current["ToDate"][:10]]], 1
    ):
        answer = await client.put(path, {"tasks": -count, "cycles": count, "period": period})
        assert (answer.status, answer.json) == (200, {"tasks": -count, "cycles": count, "period": period})
        found = (await client.get(usage)).json
        assert (found["TaskCount"], found["CycleCount"]) == (-count, count)
    assert (await client.get(f"{usage}?fromDate=2020-01-01")).json == other
    wrong: list[Any] = [5, "tomorrow", ["2026-10-01"], ["2026-10-02", "2026-10-01"], {}, [1, 2]]
    for bad in wrong:
        assert (await client.put(path, {"tasks": 1, "period": bad})).status == 400
    assert (await client.get(usage)).json["TaskCount"] == -3


async def test_months_pass_for_the_session_too() -> None:
    async with Simulator(accounts=3) as sim, sim.session() as session:
        (first, *_) = sim.account_ids()
        for month in range(1, 8):
            usage = await session.accounts.usage(first)
            assert usage.from_date <= sim.clock.now() < usage.to_date + DAY
            assert session.stats().token_refreshes == month
            sim.clock.advance(timedelta(days=31))
        sim.clock.set(datetime(2026, 1, 1, tzinfo=UTC))
        await session.accounts.usage(first)
        sim.reset()
        await session.accounts.usage(first)


async def test_what_is_collected_is_dated_in_simulated_time() -> None:
    async with Simulator(accounts=3, frozen=True) as sim, sim.session() as session:
        sim.clock.set(datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC))
        async with session.accounts.collect_usage() as run:
            seen = {outcome.collected_at async for outcome in run}
        assert seen == {sim.clock.now()}


async def test_a_session_made_elsewhere_can_share_the_clock() -> None:
    async with Simulator(accounts=1) as sim:
        auth = ClientCredentials(sim.client_id, sim.client_secret)
        async with AsyncPartnerSession(
            auth, base_url=sim.base_url, token_url=sim.token_url, clock=sim.session_clock
        ) as session:
            for _ in range(3):
                await session.accounts.list()
                sim.clock.advance(timedelta(days=31))


async def test_a_frozen_clock_does_not_stop_the_limits_of_a_session() -> None:
    async with Simulator(accounts=1, frozen=True) as sim, sim.session() as session:
        sim.faults.add("latency:300ms:op=details")
        with pytest.raises(TimeoutError):
            await session.details(timeout=0.05)
