"""What must not go by in silence: negative counts, counts that fall, an account list that is suddenly empty."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from cyclr_async import AsyncPartnerSession
from cyclr_async.simulator import Fault, Simulator
from cyclr_async.usage import Finding, RunScope, Summary, UsageReader, UsageStore, render, summarize
from cyclr_async.usage.collect.collection import Collection
from cyclr_async.usage.store.schema import SCHEMA_VERSION
from tests.support.store_v1 import version_1
from tests.support.usage_make import SEEN, good
from tests.support.usage_server import PartnerServer, all_of, http

OCTOBER, DAY = date(2026, 10, 1), timedelta(days=1)


async def collected(session: AsyncPartnerSession, path: Path | None, from_date: date | None = None) -> Collection:
    run = session.accounts.collect_usage(store=path, from_date=from_date)
    await all_of(run)
    return run


def summary_of(path: Path, run_id: int | None = None) -> Summary:
    with UsageReader(path) as reader:
        found = summarize(reader, run_id)
        assert tuple(reader.findings(found.run.run_id)) == found.findings
        assert reader.finding_counts().get(found.run.run_id, 0) == found.finding_count == len(found.findings)
    return found


def kinds(found: tuple[Finding, ...]) -> list[tuple[str, str | None]]:
    return [(finding.kind, finding.account_id) for finding in found]


@pytest.mark.parametrize(("tasks", "cycles"), [(-5, 3), (5, -3), (-1, -1)])
@pytest.mark.parametrize("kept", [True, False])
async def test_a_negative_count_is_kept_and_found(path: Path, tasks: int, cycles: int, kept: bool) -> None:
    async with Simulator(accounts=3, frozen=True) as sim, sim.session() as session:
        _, account_id, _ = sim.account_ids()
        sim.set_usage(account_id, tasks, cycles)
        run = await collected(session, path if kept else None)
        assert kinds(run.findings) == [("negative_count", account_id)]
        assert run.progress.findings == 1
        (finding,) = run.findings
        assert (finding.detail["task_count"], finding.detail["cycle_count"]) == (tasks, cycles)
        assert finding.found_at == sim.clock.now()
    if kept:
        found = summary_of(path)
        assert (found.run.status, found.counts.ok) == ("complete", 3)
        assert kinds(found.findings) == [("negative_count", account_id)]
        with UsageReader(path) as reader:
            assert [row.task_count for row in reader.rows() if row.account_id == account_id] == [tasks]
        assert any(f"account {account_id}" in line and "negative" in line for line in render(found))


@pytest.mark.parametrize(("first", "second"), [((100, 5), (99, 5)), ((100, 5), (100, 4)), ((0, 0), (-1, 0))])
async def test_a_count_that_fell_in_a_closed_period(
    path: Path, first: tuple[int, int], second: tuple[int, int]
) -> None:
    async with Simulator(accounts=2, frozen=True) as sim, sim.session() as session:
        account_id, other = sim.account_ids()
        sim.set_usage(account_id, *first, period=OCTOBER)
        sim.set_usage(other, *second)
        assert (await collected(session, path, OCTOBER)).findings == () or second[0] < 0
        sim.clock.advance(31 * 86_400)
        sim.set_usage(account_id, *second, period=OCTOBER)
        run = await collected(session, path, OCTOBER)
    fell = [finding for finding in run.findings if finding.kind == "count_fell"]
    assert kinds(tuple(fell)) == [("count_fell", account_id)]
    detail = fell[0].detail
    assert (detail["task_count"], detail["cycle_count"]) == second
    assert (detail["previous_task_count"], detail["previous_cycle_count"]) == first
    assert detail["closed"]
    assert detail["period_from"].startswith("2026-10-01T")
    found = summary_of(path)
    assert fell[0] in found.findings
    assert any("closed period fell" in line and account_id in line for line in render(found))
    assert kinds(summary_of(path, 1).findings) == [] or second[0] < 0, "the run before knows nothing of it"


async def test_a_count_that_fell_while_the_period_was_open(path: Path) -> None:
    async with Simulator(accounts=1, frozen=True) as sim, sim.session() as session:
        (account_id,) = sim.account_ids()
        for tasks in (100, 100, 120, 50, 50):
            sim.set_usage(account_id, tasks)
            run = await collected(session, path)
            assert [finding.detail["closed"] for finding in run.findings] == ([False] if tasks == 50 else [])
            if run.findings:
                break
            sim.clock.advance(60)
        sim.clock.advance(60)
        assert (await collected(session, path)).findings == (), "said once, by the answer that fell"


async def test_a_count_that_grows_from_month_to_month_or_falls_between_them_is_none(path: Path) -> None:
    async with Simulator(accounts=20, frozen=True) as sim, sim.session() as session:
        for _ in range(6):
            assert (await collected(session, path)).findings == ()
            sim.clock.advance(timedelta(days=11))


async def test_an_empty_list_where_accounts_are_known(path: Path) -> None:
    async with Simulator(accounts=4, frozen=True) as sim, sim.session() as session:
        await collected(session, path)
        sim.clock.advance(timedelta(days=31))
        sim.faults.add(Fault.wrong_json("[]", operation="accounts.list", times=1))
        run = await collected(session, path)
        assert kinds(run.findings) == [("empty_list", None)]
        assert not run.progress.listing_complete
        empty = summary_of(path)
        assert (empty.run.run_id, empty.run.status, empty.counts.asked) == (2, "partial", 0)
        assert empty.findings[0].detail == {"known_accounts": 4}
        assert "the store knows 4 accounts" in "\n".join(render(empty))
        # The same again goes on with that run, reads the list, and heals it.
        healed = await collected(session, path)
        assert (healed.findings, healed.progress.ok) == ((), 4)
        found = summary_of(path)
        assert (found.run.run_id, found.run.status, found.counts.ok, found.findings) == (2, "complete", 4, ())


async def test_an_empty_list_in_a_run_that_goes_on(path: Path) -> None:
    refuse = True
    async with (
        PartnerServer(
            [f"{number:032x}" for number in range(3)], lambda account, _: http(400) if refuse else None
        ) as server,
        server.session() as session,
    ):
        server.cuts = [2, 2, 2, 2, 2]
        run = session.accounts.collect_usage(store=path)
        async with run:
            async for _ in run:
                break
        refuse, server.cuts, server.listed = False, [], []
        run = await collected(session, path)
        assert kinds(run.findings) == [("empty_list", None)]
    found = summary_of(path)
    assert found.run.status == "partial"
    assert found.counts.ok == found.counts.asked > 0, "what was registered before is asked for all the same"


@pytest.mark.parametrize("kept", [True, False])
async def test_an_empty_list_of_a_new_partner_is_none(path: Path, kept: bool) -> None:
    async with Simulator(accounts=0) as sim, sim.session() as session:
        for _ in range(2):
            run = await collected(session, path if kept else None)
            assert (run.findings, run.progress.listing_complete) == ((), True)
    if kept:
        assert summary_of(path).run.status == "complete"


async def test_no_ids_are_no_empty_list(path: Path) -> None:
    async with Simulator(accounts=2) as sim, sim.session() as session:
        await collected(session, path)
        run = session.accounts.collect_usage([], store=path)
        assert await all_of(run) == []
        assert run.findings == ()


async def test_a_better_answer_in_the_same_run_settles_a_negative_count(path: Path, scope: RunScope) -> None:
    async with await UsageStore.open(path, scope) as store:
        for number, tasks in enumerate((-5, -5, 7)):
            await store.record(good("a", tasks, seen=SEEN + timedelta(seconds=number)))
            assert (await store.findings())[0] == (tasks < 0)
        await store.record(good("b", -1))
        await store.finish("complete")
    assert kinds(summary_of(path).findings) == [("negative_count", "b")]


async def test_a_store_of_the_first_schema_is_read_and_taken_over(path: Path, scope: RunScope) -> None:
    version_1(path, scope.base_url, scope.partner, ["a", "b"])
    assert summary_of(path).findings == ()
    async with await UsageStore.open(path, scope) as store:
        later = datetime(2027, 1, 1, tzinfo=UTC)
        await store.record(good("a", 6, start="2026-11-15T00:00:00", end="2026-12-14T00:00:00", seen=later))
        await store.finish("complete")
    assert kinds(summary_of(path).findings) == [("count_fell", "a")]
    assert summary_of(path, 1).task_count == 7
    with closing(sqlite3.connect(path)) as new:
        assert new.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
