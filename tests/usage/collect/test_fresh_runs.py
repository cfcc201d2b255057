"""Which run a collection goes on with: a fresh one about the same accounts, over simulated months."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cyclr_async import AsyncPartnerSession
from cyclr_async.errors import (
    BulkInterruptedError,
    ForbiddenError,
    InvalidArgumentError,
    NotFoundError,
    StoreError,
)
from cyclr_async.simulator import Fault, Simulator
from cyclr_async.usage import Counts, RunScope, Summary, UsageReader, UsageStore, render, summarize
from cyclr_async.usage.collect.collection import Collection
from cyclr_async.usage.collect.outcome import UsageOutcome
from tests.support.clock import VirtualClock
from tests.support.usage_make import At, bad, good
from tests.support.usage_server import PartnerServer, account_ids, all_of, http, stored

DAY = timedelta(days=1)


def failing(account_id: str) -> Fault:
    return Fault.status(400, operation="accounts.usage", account_id=account_id)


class Months:
    """A simulated partner, and collections at moments of its own time."""

    def __init__(self, sim: Simulator, path: Path) -> None:
        self.sim = sim
        self.path = path
        self.clock = At(sim.clock.now())

    async def collect(self, ids: Any = None, **options: Any) -> tuple[list[UsageOutcome], Collection]:
        self.clock.moment = self.sim.clock.now()
        async with self.sim.session(clock=self.clock) as session:
            run = session.accounts.collect_usage(ids, store=self.path, **options)
            return await all_of(run), run

    def summary(self) -> Summary:
        with UsageReader(self.path) as reader:
            return summarize(reader, now=self.clock.moment)

    def statuses(self) -> list[str]:
        with UsageReader(self.path) as reader:
            return [run.status for run in reader.runs()]


@pytest.fixture
async def months(path: Path) -> AsyncIterator[Months]:
    async with Simulator(accounts=20, frozen=True) as sim:
        yield Months(sim, path)


async def test_a_month_later_the_same_command_collects_everybody_anew(months: Months) -> None:
    sim = months.sim
    ids = sim.account_ids()
    sim.faults.add(failing(ids[3]))
    _, first = await months.collect()
    assert (first.progress.ok, first.progress.failed) == (19, 1)
    began = sim.clock.now()

    sim.clock.advance(30 * DAY)
    async with sim.session() as session:
        joined = await session.accounts.create(name="Joined")
    outcomes, second = await months.collect()
    assert {one.account_id for one in outcomes} == {*ids, joined}
    assert (second.progress.asked, second.progress.ok, second.progress.failed) == (21, 20, 1)
    assert all(one.collected_at == sim.clock.now() for one in outcomes)
    assert months.statuses() == ["partial", "abandoned"]
    assert second.store is not None
    assert [(run.run_id, run.age(sim.clock.now())) for run in second.store.opening.abandoned] == [(1, 30 * DAY)]
    found = months.summary()
    assert (found.observed_min, found.oldest_age) == (sim.clock.now().isoformat().replace("+00:00", "Z"), 0.0)

    # What the first run had is still there, under its own number and its own time.
    with UsageReader(months.path) as reader:
        rows = list(reader.rows(1))
    assert {row.observed_at for row in rows if row.state == "ok"} == {began.isoformat().replace("+00:00", "Z")}


async def test_an_hour_later_only_the_failed_account_is_asked_again(months: Months) -> None:
    sim = months.sim
    ids = sim.account_ids()
    sim.faults.add(failing(ids[3]))
    await months.collect()
    sim.clock.advance(3600)
    outcomes, run = await months.collect()
    assert [one.account_id for one in outcomes] == [ids[3]]
    assert (run.progress.ok, run.progress.failed, run.progress.asked) == (19, 1, 20)
    assert (run.progress.oldest_age, run.progress.oldest_at) == (3600.0, sim.clock.now() - timedelta(hours=1))
    assert months.statuses() == ["partial"]
    assert "the oldest figure is 1 h old" in "\n".join(render(months.summary()))


async def test_an_account_that_always_fails_freezes_nothing(months: Months) -> None:
    """Thirty nights: a run that was begun in one night is not continued in the next."""
    sim = months.sim
    ids = sim.account_ids()
    sim.faults.add(failing(ids[0]))
    for _ in range(30):
        outcomes, run = await months.collect()
        assert {one.account_id for one in outcomes} == set(ids)
        assert run.progress.oldest_age == 0
        assert months.summary().observed_min == months.summary().observed_max
        sim.clock.advance(DAY)
    assert months.statuses() == ["partial", *["abandoned"] * 29]


@pytest.mark.parametrize(
    ("max_age", "later", "continued"),
    [
        (DAY, DAY - timedelta(seconds=1), True),
        (DAY, DAY, False),
        (3600, timedelta(minutes=59), True),
        (3600.0, timedelta(minutes=61), False),
        (timedelta(days=60), 40 * DAY, True),
        (timedelta.max, 400 * DAY, True),
        (0.5, timedelta(seconds=1), False),
        (0, timedelta(0), False),
    ],
)
async def test_how_old_a_run_may_be(path: Path, max_age: timedelta | float, later: timedelta, continued: bool) -> None:
    ids = account_ids(5)
    clock = At()
    async with (
        PartnerServer(ids, lambda one, _: http(400, {}) if one == ids[0] else None) as server,
        server.session(clock=clock) as session,
    ):
        await all_of(session.accounts.collect_usage(store=path))
        clock.moment += later
        outcomes = await all_of(session.accounts.collect_usage(store=path, max_age=max_age))
    assert len(outcomes) == (1 if continued else 5)


@pytest.mark.parametrize("wrong", [-1, -0.001, -DAY, float("nan"), float("inf"), "24h", None, True])
async def test_what_is_no_age(path: Path, wrong: Any, scope: RunScope) -> None:
    async with AsyncPartnerSession("token") as session:
        with pytest.raises(InvalidArgumentError, match="max_age"):
            session.accounts.collect_usage(store=path, max_age=wrong)
    with pytest.raises(InvalidArgumentError, match="max_age"):
        await UsageStore.open(path, scope, max_age=wrong)
    assert not path.exists()  # noqa: ASYNC240


async def test_resume_by_name(months: Months) -> None:
    sim = months.sim
    ids = sim.account_ids()
    with pytest.raises(StoreError, match="no store"):
        await months.collect(resume=True)
    sim.faults.add(failing(ids[0]))
    await months.collect()
    outcomes, _ = await months.collect(resume=True)
    assert [one.account_id for one in outcomes] == [ids[0]]
    sim.clock.advance(3 * DAY)
    with pytest.raises(StoreError, match=r"run 1 .* is 3 days old, .* continued for 24 h at most.*begin a new run"):
        await months.collect(resume=True)
    assert months.statuses() == ["partial"]  # a refusal closes nothing
    outcomes, _ = await months.collect(resume=True, max_age=4 * DAY)
    assert [one.account_id for one in outcomes] == [ids[0]]
    with pytest.raises(StoreError, match=r"collects usage since the last bill, not usage since .* of 3 given accounts"):
        await months.collect(ids[:3], resume=True, max_age=4 * DAY)


async def test_a_fresh_start_although_a_run_could_go_on(months: Months) -> None:
    sim = months.sim
    sim.faults.add(failing(sim.account_ids()[0]))
    await months.collect()
    outcomes, _ = await months.collect(resume=False)
    assert len(outcomes) == 20
    assert months.statuses() == ["partial", "abandoned"]
    with UsageReader(months.path) as reader:
        assert reader.run(1).counts == Counts(20, 19, failed=1)  # closed with what it has


async def test_resume_needs_a_file(path: Path) -> None:
    async with PartnerServer() as server, server.session() as session:
        for resume in (True, False):
            with pytest.raises(InvalidArgumentError, match="store="):
                session.accounts.collect_usage([], resume=resume)
        with pytest.raises(InvalidArgumentError, match="resume"):
            session.accounts.collect_usage([], store=path, resume="yes")  # type: ignore[arg-type]


async def test_a_clock_that_went_back_does_not_make_old_figures_new(path: Path, scope: RunScope) -> None:
    ahead = At(datetime(2027, 6, 1, tzinfo=UTC))
    async with await UsageStore.open(path, scope, clock=ahead) as store:
        await store.record(good("a", seen=ahead.moment))
    async with await UsageStore.open(path, scope, clock=At(ahead.moment - timedelta(hours=1))) as store:
        assert store.run_id == 1
    async with await UsageStore.open(path, scope, clock=At(ahead.moment - 30 * DAY)) as store:
        assert store.run_id == 2


async def test_one_old_figure_makes_a_run_old(path: Path, scope: RunScope) -> None:
    now = At(datetime(2026, 12, 20, tzinfo=UTC))
    async with await UsageStore.open(path, scope, clock=now) as store:
        await store.record(good("a", seen=now.moment))
        await store.record(good("b", seen=now.moment - 2 * DAY))
    with pytest.raises(StoreError, match="2 days old"):
        await UsageStore.open(path, scope, resume=True, clock=now)
    async with await UsageStore.open(path, scope, clock=now) as store:
        assert (store.run_id, store.opening.continued) == (2, False)


# Which figures of a fresh run are asked for once more.


@pytest.mark.parametrize("from_date", [date(2026, 11, 1), None])
async def test_what_was_provisional_and_has_closed_since_is_asked_again(path: Path, from_date: date | None) -> None:
    """The document's period ends a day before the next begins; both ends count."""
    closed, ending, open_still, broken = ids = account_ids(4)
    ends = {closed: "2026-11-20T00:00:00", ending: "2026-11-30T12:00:00", open_still: "2026-12-15T00:00:00"}
    tasks = 100

    def reply(account: str, _: int) -> bytes:
        if account == broken:
            return http(400, {})
        period = {"FromDate": "2026-11-01T00:00:00", "ToDate": ends[account]}
        return http(200, {"TaskCount": tasks, "CycleCount": 1, "CurrentPricePlanId": 2, **period})

    clock = At(datetime(2026, 11, 30, 9, tzinfo=UTC))
    async with PartnerServer(ids, reply) as server, server.session(clock=clock) as session:

        async def collect() -> set[str]:
            server.hits.clear()
            run = session.accounts.collect_usage(store=path, from_date=from_date, max_age=3 * DAY)
            await all_of(run)
            assert (run.progress.ok, run.progress.failed, run.progress.asked) == (3, 1, 4)
            return set(server.hits)

        assert await collect() == set(ids)
        assert await collect() == {broken}
        clock.moment = datetime(2026, 11, 30, 13, tzinfo=UTC)  # past the end as the answer has it
        tasks = 120
        assert await collect() == {broken, ending}
        assert await collect() == {broken}
        clock.moment = datetime(2026, 12, 1, 13, tzinfo=UTC)  # past the day after it, when the next period begins
        tasks = 130
        assert await collect() == {broken, ending}
        assert await collect() == {broken}
    with UsageReader(path) as reader:
        assert {row.account_id: row.task_count for row in reader.rows()} == {
            closed: 100,
            ending: 130,
            open_still: 100,
            broken: None,
        }
        assert [row.task_count for row in reader.history(ending)] == [100, 120, 130]
        assert len(reader.runs()) == 1


async def test_a_closed_period_that_cannot_be_asked_again_is_a_failure_and_no_old_figure(path: Path) -> None:
    (one,) = account_ids(1)
    other = "f" * 32
    clock = At(datetime(2026, 11, 30, 9, tzinfo=UTC))
    down = False

    def reply(account: str, _: int) -> bytes:
        if down or account == other:
            return http(400, {})
        period = {"FromDate": "2026-10-30T12:00:00", "ToDate": "2026-11-30T12:00:00"}
        return http(200, {"TaskCount": 7, "CycleCount": 1, "CurrentPricePlanId": 2, **period})

    async with PartnerServer([one, other], reply) as server, server.session(clock=clock) as session:
        await all_of(session.accounts.collect_usage(store=path))
        clock.moment += timedelta(hours=5)
        down = True
        run = session.accounts.collect_usage(store=path)
        await all_of(run)
    assert (run.progress.ok, run.progress.failed, run.progress.pending) == (0, 2, 0)
    with UsageReader(path) as reader:
        assert reader.run().counts == Counts(2, 0, failed=2)
        assert [row.task_count for row in reader.rows()] == [None, None]
        assert [row.task_count for row in reader.history(one)] == [7]
        assert reader.run().oldest_at is None


# The order of asking.


async def test_those_never_asked_come_first_and_the_refused_last(path: Path, scope: RunScope) -> None:
    clock = At()
    async with await UsageStore.open(path, scope, clock=clock) as store:
        await store.add_accounts(["a", "b", "c", "d", "e", "f", "g"])
        await store.record(bad("a", NotFoundError("gone", status=404)))
        await store.record(bad("b", ForbiddenError("no", status=403)))
        await store.record(bad("c"))
        await store.record(good("d"))
        await store.record(bad("f"))
    async with await UsageStore.open(path, scope, clock=clock) as store:
        found: list[str] = []
        after = None
        while page := await store.pending(after=after, limit=1):
            after = page[0].account_id
            found.append(after)
            await store.record(bad(after))  # what becomes of it does not move it to the front again
        assert found == ["e", "g", "c", "f", "a", "b"]


# Runs of other accounts.


async def test_two_lists_of_ids_are_two_runs_in_one_store(path: Path) -> None:
    one, two = account_ids(10), account_ids(10, start=5)
    broken = {one[0], two[-1]}
    async with (
        PartnerServer(account_ids(20), lambda a, _: http(400, {}) if a in broken else None) as server,
        server.session() as session,
    ):
        for ids in (one, two, None):
            await all_of(session.accounts.collect_usage(ids, store=path))
        broken.clear()
        for ids, left in ((one, one[0]), (two, two[-1])):
            run = session.accounts.collect_usage(ids, store=path)
            assert [outcome.account_id for outcome in await all_of(run)] == [left]
            assert (run.progress.asked, run.progress.ok) == (10, 10)
        run = session.accounts.collect_usage(store=path)
        assert {outcome.account_id for outcome in await all_of(run)} == {one[0], two[-1]}
        assert (run.progress.asked, run.progress.ok) == (20, 20)
    with UsageReader(path) as reader:
        assert [(run.status, run.counts.asked) for run in reader.runs()] == [("complete", 20), *[("complete", 10)] * 2]


@pytest.mark.parametrize("again", ["reversed", "doubled", "set", "tuple", "dict", "accounts"])
async def test_the_same_ids_are_the_same_run_however_they_are_given(path: Path, again: str) -> None:
    ids = account_ids(6)
    async with (
        PartnerServer(ids, lambda one, n: http(400, {}) if one == ids[2] and n == 1 else None) as server,
        server.session() as session,
    ):
        await all_of(session.accounts.collect_usage(ids, store=path))
        forms: dict[str, Any] = {
            "reversed": ids[::-1],
            "doubled": [*ids, *ids],
            "set": set(ids),
            "tuple": tuple(ids),
            "dict": dict.fromkeys(ids),
            "accounts": await session.accounts.list(),
        }
        run = session.accounts.collect_usage(forms[again], store=path)
        assert [one.account_id for one in await all_of(run)] == [ids[2]]
        assert (run.progress.asked, run.progress.ok) == (6, 6)


async def test_the_list_of_a_run_is_not_read_for_the_run_of_ids(path: Path) -> None:
    ids = account_ids(4)
    async with (
        PartnerServer(ids, lambda one, _: http(400, {}) if one == ids[0] else None) as server,
        server.session() as session,
    ):
        await all_of(session.accounts.collect_usage(ids[:2], store=path))
        async with await UsageStore.open(path, None, resume=True) as store:
            run = session.accounts.collect_usage(store=store)
            assert [one.account_id for one in await all_of(run)] == [ids[0]]
        assert (run.progress.asked, server.lists) == (2, 0)
        with pytest.raises(StoreError, match="other accounts"):
            async with await UsageStore.open(path, None, resume=True) as store:
                await all_of(session.accounts.collect_usage(ids, store=store))


async def test_a_run_of_ids_that_were_not_all_registered_needs_them_again(path: Path) -> None:
    ids = account_ids(3000)
    async with PartnerServer() as server, server.session() as session:
        async with session.accounts.collect_usage(ids, store=path) as run:
            await anext(run)
        with pytest.raises(StoreError, match="the same ids again"):
            async with await UsageStore.open(path, None, resume=True) as store:
                await all_of(session.accounts.collect_usage(store=store))
        await all_of(session.accounts.collect_usage(ids, store=path))
    assert stored(path) == set(ids)


async def test_an_open_store_of_another_period_is_refused(path: Path) -> None:
    async with PartnerServer() as server, server.session() as session:
        scope = RunScope(server.base_url, "partner.example.com", date(2026, 9, 1))
        async with await UsageStore.open(path, scope) as store:
            with pytest.raises(StoreError, match="from_date 2026-09-01"):
                await all_of(session.accounts.collect_usage([], store=store, from_date=date(2026, 10, 1)))
    assert server.requests == 0


# Ids that come one by one.


def one_by_one(ids: list[str], pulled: list[str] | None = None) -> Iterator[str]:
    for one in ids:
        if pulled is not None:
            pulled.append(one)
        yield one


async def async_ids(ids: list[str]) -> AsyncIterator[str]:
    for one in ids:
        yield one


@pytest.mark.parametrize("form", [one_by_one, async_ids])
async def test_a_lazy_run_counts_what_was_pulled_this_time_and_asks_for_the_rest(path: Path, form: Any) -> None:
    ids = account_ids(40)
    refused = {ids[5]: http(404, {}), ids[6]: http(400, {}), ids[7]: http(403, {})}
    async with PartnerServer(reply=lambda one, _: refused.get(one)) as server, server.session() as session:
        await all_of(session.accounts.collect_usage(form(ids), store=path))
        server.hits.clear()
        del refused[ids[6]]
        second = [*ids[:10], *account_ids(5, start=100)]
        run = session.accounts.collect_usage(form(second), store=path)
        outcomes = await all_of(run)
        # Those 37 figures are of this day: only what had none is asked for, the refused ones last.
        assert set(server.hits) == {*ids[5:8], *second[10:]}
        assert list(server.hits)[-2:] == [ids[5], ids[7]] or list(server.hits)[-2:] == [ids[7], ids[5]]
        assert (run.progress.asked, run.progress.ok, run.progress.missing, run.progress.forbidden) == (15, 13, 1, 1)
        assert len(outcomes) == 8
    with UsageReader(path) as reader:
        newest, oldest = reader.runs()
        assert (newest.status, newest.counts) == ("complete", Counts(15, 13, missing=1, forbidden=1))
        assert (oldest.status, oldest.counts) == ("abandoned", Counts(31, 30, failed=1))
        assert {row.account_id for row in reader.rows()} == set(second)
    assert stored(path) == {*ids, *second} - {ids[5], ids[7]}  # and each of them once


async def test_a_lazy_run_takes_over_no_old_figure(path: Path) -> None:
    ids = account_ids(30)
    clock = At(datetime(2026, 12, 1, tzinfo=UTC))
    broken = {ids[0]}
    async with (
        PartnerServer(reply=lambda one, _: http(400, {}) if one in broken else None) as server,
        server.session(clock=clock) as session,
    ):

        async def collect(**options: Any) -> int:
            server.hits.clear()
            run = session.accounts.collect_usage(one_by_one(ids), store=path, **options)
            await all_of(run)
            assert run.progress.oldest_age is not None
            assert run.progress.oldest_age < 86_400
            return len(server.hits)

        assert await collect() == 30
        clock.moment += timedelta(hours=20)
        assert await collect() == 1
        clock.moment += timedelta(hours=5)  # the run before is fresh, what it had taken over is not any more
        assert await collect() == 30
        assert await collect() == 1
        assert await collect(resume=False) == 30
        assert await collect(max_age=0.001) == 1  # of the same moment
        clock.moment += DAY
        with pytest.raises(StoreError, match="old"):
            await collect(resume=True)


async def test_a_lazy_run_after_many_kills_takes_over_from_all_of_them(path: Path) -> None:
    """The second start is killed before it meets what the first had; the third still knows it."""
    ids = account_ids(400)
    async with PartnerServer() as server, server.session() as session:
        for leave_at in (300, 3):
            async with session.accounts.collect_usage(one_by_one(ids), store=path) as run:
                async for _ in run:
                    if run.progress.ok >= leave_at:
                        break
            ids = [*account_ids(20, start=1000), *ids]
        known = len(stored(path))
        asked = server.requests
        run = session.accounts.collect_usage(one_by_one(ids), store=path)
        await all_of(run)
        assert (run.progress.asked, run.progress.ok) == (len(set(ids)), len(set(ids)))
        assert server.requests - asked == len(set(ids)) - known
    assert stored(path) == set(ids)


async def test_pulling_stays_lazy_over_figures_that_are_taken_over(path: Path) -> None:
    ids = account_ids(3000)
    async with PartnerServer() as server, server.session() as session:
        await all_of(session.accounts.collect_usage([*ids, "bad/id"], store=path))  # another kind of run: no source
        async with session.accounts.collect_usage(one_by_one(ids), store=path, concurrency=2) as run:
            async for _ in run:
                if run.progress.ok >= 1000:
                    break
        pulled: list[str] = []
        async with session.accounts.collect_usage(one_by_one(ids, pulled), store=path, concurrency=2) as run:
            await anext(run)
            assert 1000 <= len(pulled) < 1100


COLLECT = """
import asyncio, sys
from cyclr_async import AsyncPartnerSession

async def ids():
    for number in range(3000):
        yield f"{number:032x}"

async def main(base_url, store):
    async with AsyncPartnerSession("token", base_url=base_url) as session:
        async with session.accounts.collect_usage(ids(), store=store) as run:
            count = 0
            async for outcome in run:
                count += 1
                if count == 1500:
                    print("half", flush=True)
                    await asyncio.sleep(60)

asyncio.run(main(sys.argv[1], sys.argv[2]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
async def test_an_async_generator_that_was_killed_goes_on(path: Path) -> None:
    ids = account_ids(3000)
    async with PartnerServer() as server:
        process = await _started(server.base_url, path)
        assert process.stdout is not None
        assert await process.stdout.readline() == b"half\n"
        process.send_signal(signal.SIGKILL)
        await process.wait()
        asked, kept = server.requests, len(stored(path))
        assert kept >= 1000
        async with server.session() as session:
            run = session.accounts.collect_usage(async_ids(ids), store=path)
            await all_of(run)
        assert (run.progress.asked, run.progress.ok) == (3000, 3000)
        assert server.requests - asked == 3000 - kept
    assert stored(path) == set(ids)
    with closing(sqlite3.connect(path)) as store:
        assert store.execute("SELECT sum(asked), sum(ok) FROM run WHERE run_id = 2").fetchone() == (3000, 3000)
        assert store.execute("SELECT count(*) FROM item WHERE state = 'ok'").fetchone() == (3000,)


async def _started(base_url: str, path: Path) -> Any:
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", COLLECT, base_url, str(path), stdout=subprocess.PIPE, env=env
    )


# A day that has not come, and one before everything.


@pytest.mark.parametrize("days", [1, 2, 365, 2000])
async def test_a_day_in_the_future_is_refused_before_anything_is_sent(path: Path, days: int) -> None:
    clock = At(datetime(2026, 11, 30, 23, 59, tzinfo=UTC))
    async with PartnerServer(account_ids(2)) as server, server.session(clock=clock) as session:
        day = clock.moment.date() + timedelta(days=days)
        with pytest.raises(InvalidArgumentError, match=r"from_date .* is in the future: today is 2026-11-30 \(UTC\)"):
            await session.accounts.usage("a", from_date=day)
        with pytest.raises(InvalidArgumentError, match="is in the future"):
            session.accounts.collect_usage(store=path, from_date=day)
        assert server.targets == []
        assert not path.exists()  # noqa: ASYNC240
        await session.accounts.usage("a", from_date=clock.moment.date())
        clock.moment += days * DAY
        await session.accounts.usage("a", from_date=day)  # it has come


async def test_a_day_before_everything_is_said(months: Months) -> None:
    await months.collect(from_date=date(2001, 1, 1))
    found = months.summary()
    (said,) = found.warnings
    assert "every account answered 0 tasks and 0 cycles for the period from 2001-01-01" in said
    with UsageReader(months.path) as reader:
        assert f"not known to have existed before {str(reader.first_known())[:10]}" in said
    assert any(said in line for line in render(found))
    assert months.statuses() == ["complete"]
    await months.collect(from_date=date(2026, 11, 1))
    assert months.summary().warnings == ()


async def test_periods_that_begin_later_than_asked_are_said(path: Path) -> None:
    ids = account_ids(3)
    async with PartnerServer(ids) as server, server.session() as session:
        await all_of(session.accounts.collect_usage(store=path, from_date=date(2016, 12, 8)))
        with UsageReader(path) as reader:
            (said,) = summarize(reader).warnings
        assert said.startswith("no account has a period that begins on 2016-12-08 or before")
        assert "2016-12-09T16:23:08Z" in said
        await all_of(session.accounts.collect_usage(store=path, from_date=date(2016, 12, 9)))
        with UsageReader(path) as reader:
            assert summarize(reader).warnings == ()


async def test_a_service_that_is_out_at_the_beginning_is_waited_for(path: Path) -> None:
    ids = account_ids(3)
    clock = VirtualClock()
    async with clock, PartnerServer(ids) as server, server.session(clock=clock) as session:
        server.always = http(503)
        with pytest.raises(BulkInterruptedError, match="whose data this is") as caught:
            await all_of(session.accounts.collect_usage(store=path, max_outage=300))
        assert (caught.value.reason, caught.value.resumable) == ("outage", True)
        assert 300 <= clock.now() - 1000 < 330  # seconds, and the tries at the limit
        server.always = None
        assert len(await all_of(session.accounts.collect_usage(store=path))) == 3
