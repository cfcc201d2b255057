"""Accounts from a seed: the same every time, a million without a store, usage that grows."""

from __future__ import annotations

import json
import time
import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyclr_async.simulator import Simulator
from cyclr_async.simulator.domain.billing import Schedule, period_end, tasks_until
from cyclr_async.simulator.domain.clock import START, SimulatedClock, add_months
from cyclr_async.simulator.domain.population import Population

MOMENTS = st.datetimes(
    datetime.fromisoformat("1990-01-01"), datetime.fromisoformat("2100-01-01"), timezones=st.just(UTC)
)


@given(st.integers(-(1 << 63), 1 << 63), st.integers(0, (1 << 64) - 1))
def test_ids_lead_back_to_their_number(seed: int, index: int) -> None:
    population = Population(seed, START)
    account_id = population.id_of(index)
    assert len(account_id) == 32
    assert population.index_of(account_id) == index
    assert population.index_of(account_id[::-1]) != index or account_id == account_id[::-1]


@given(st.text(max_size=40))
def test_other_texts_are_no_ids(text: str) -> None:
    assert Population(7, START).index_of(text) is None


async def test_the_same_seed_gives_the_same_bytes() -> None:
    bodies = []
    for seed in (7, 7, 8):
        async with Simulator(accounts=300, seed=seed, frozen=True) as sim, sim.session() as session:
            accounts = [account async for account in session.accounts.iter()]
            usage = [(await session.accounts.usage(account.id)).to_dict() for account in accounts[:20]]
            bodies.append(json.dumps([[account.to_dict() for account in accounts], usage], sort_keys=True))
    assert bodies[0] == bodies[1] != bodies[2]
    assert len(bodies[0]) > 60_000


async def test_a_seed_does_not_change_with_versions() -> None:
    """Users write expectations about these accounts."""
    sim = Simulator(accounts=3, seed=7, frozen=True)
    found = [sim.account(account_id).listed(sim.clock.now()) for account_id in sim.account_ids()]
    assert [account["Id"] for account in found] == [
        "4ffef4c185e30dd48dd6cbad89515ed6",
        "e3f30bcdd400876b08e1f20b5faf6e04",
        "09fbc3d2dc26d65e1465330cb2c40e43",
    ]
    assert [account["AuditInfo"] for account in found] == ["crm-000001", "crm-000002", "crm-000003"]


async def test_accounts_are_varied() -> None:
    sim = Simulator(accounts=2000)
    records = [sim.account(account_id) for account_id in sim.account_ids()]
    assert len({record.name for record in records}) == 2000
    assert any(not record.name.isascii() for record in records)
    assert any("," in record.name for record in records)
    assert any('"' in record.name for record in records)
    assert {record.price_plan_id for record in records} == {2, 3, 4}
    assert {record.description for record in records} >= {None, ""}
    tasks = sorted((record.tasks_per_day for record in records), reverse=True)
    assert sum(tasks[:100]) > sum(tasks[100:]), "few customers do most of the work"
    assert tasks[-1] == 0


async def test_a_million_accounts_start_at_once_and_are_found_at_once() -> None:
    tracemalloc.start()
    # Of the processor: what it costs, whatever else the machine does.
    begin = time.process_time()
    async with Simulator(accounts=1_000_000) as sim, sim.session() as session:
        assert time.process_time() - begin < 1.0
        last = sim._world.state.id_of(999_999)
        begin = time.process_time()
        assert (await session.accounts.usage(last)).audit_info in (None, "crm-1000000")
        assert time.process_time() - begin < 0.5
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
        tracemalloc.stop()
        seen = 0
        async for _ in session.accounts.iter():
            seen += 1
            if seen == 3000:
                break
        account_id = await session.accounts.create(name="one more")
        assert sim.account_count == 1_000_001
        assert sim.account(account_id).name == "one more"


async def test_a_long_list_is_whole(client: Any) -> None:
    async with Simulator(accounts=1777) as sim, sim.session() as session:
        assert [account.id for account in await session.accounts.list()] == sim.account_ids()


@given(MOMENTS, st.integers(0, 600))
def test_months_are_counted_as_they_are_added(start: datetime, months: int) -> None:
    later = add_months(start, months)
    schedule = Schedule(start, start, start)
    assert schedule.at(later) == (later, add_months(start, months + 1))
    assert schedule.at(later + timedelta(days=27)) == (later, add_months(start, months + 1))
    if months:
        assert schedule.at(later - timedelta(microseconds=1)) == (add_months(start, months - 1), later)


@given(MOMENTS, st.integers(0, 10_000), st.integers(0, 400), st.integers(0, 400))
def test_tasks_only_ever_grow(created: datetime, per_day: int, days: int, more: int) -> None:
    first = tasks_until(per_day, created, created + timedelta(days=days, seconds=more))
    second = tasks_until(per_day, created, created + timedelta(days=days + more))
    assert (first <= second) if more else True
    assert tasks_until(per_day, created, created + timedelta(days=7 * 50)) == 7 * 50 * per_day
    assert tasks_until(per_day, created, created - timedelta(seconds=1)) == 0


def test_periods_are_those_of_the_document() -> None:
    assert period_end(datetime(2016, 12, 9, 16, 23, 8, tzinfo=UTC)) == datetime(2017, 1, 8, 16, 23, 8, tzinfo=UTC)
    february = datetime(2017, 2, 9, 16, 23, 8, tzinfo=UTC)
    schedule = Schedule(february, february, add_months(february, 1))
    assert schedule.at(february)[1] == datetime(2017, 3, 9, 16, 23, 8, tzinfo=UTC)
    assert schedule.at(datetime(2018, 1, 1, tzinfo=UTC)) == (
        datetime(2017, 12, 9, 16, 23, 8, tzinfo=UTC),
        datetime(2018, 1, 9, 16, 23, 8, tzinfo=UTC),
    )
    assert add_months(datetime(2024, 1, 31, tzinfo=UTC), 1) == datetime(2024, 2, 29, tzinfo=UTC)


async def test_usage_grows_with_time_and_bills_move_on(client: Any, sim: Simulator) -> None:
    record = max((sim.account(account_id) for account_id in sim.account_ids()), key=lambda found: found.tasks_per_day)
    path = f"/accounts/{record.id}/billing"
    before = (await client.get(path)).json
    sim.clock.advance(3600 * 5)
    after = (await client.get(path)).json
    same_period = after["FromDate"] == before["FromDate"]
    assert same_period
    assert after["TaskCount"] > before["TaskCount"]
    closed = (await client.get(f"{path}?fromDate={before['FromDate'][:10]}")).json
    assert closed["TaskCount"] == after["TaskCount"]
    sim.clock.advance(timedelta(days=31))
    await client.sign_in()
    later = (await client.get(path)).json
    assert later["FromDate"] > before["FromDate"]
    final = (await client.get(f"{path}?fromDate={before['FromDate'][:10]}")).json
    assert final["TaskCount"] > after["TaskCount"]
    sim.clock.advance(timedelta(days=40))
    await client.sign_in()
    assert (await client.get(f"{path}?fromDate={before['FromDate'][:10]}")).json == final
    sim.clock.set(START)
    await client.sign_in()
    assert (await client.get(path)).json == before


def test_the_clock_moves_as_told() -> None:
    clock = SimulatedClock(frozen=True)
    assert clock.advance(1.5) == START + timedelta(seconds=1.5) == clock.now()
    assert clock.advance(timedelta(days=1)) == clock.now()
    assert clock.set(datetime.fromisoformat("2027-01-01")) == datetime(2027, 1, 1, tzinfo=UTC) == clock.now()
    for bad in (-1, float("nan"), float("inf"), timedelta(days=-1), 1e12, 300_000_000_000):
        with pytest.raises(ValueError, match=r"clock advances|simulated year"):
            clock.advance(bad)
    with pytest.raises(ValueError, match="simulated year"):
        clock.set(datetime(9999, 1, 1, tzinfo=UTC))
    ticking = SimulatedClock()
    first = ticking.now()
    time.sleep(0.01)
    assert ticking.now() - first >= timedelta(seconds=0.01)


@pytest.mark.parametrize(
    "settings", [{"accounts": -1}, {"accounts": True}, {"accounts": 1.5}, {"log_size": -1}, {"token_lifetime": 0}]
)
def test_bad_settings(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be a whole number"):
        Simulator(**settings)
