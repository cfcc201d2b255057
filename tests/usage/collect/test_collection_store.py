"""A bulk run and its store: whose it is, what is in it, what happens when it cannot be written, and kills."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest

from benchmarks.kill_resume import kill_and_resume
from cyclr_async.errors import BulkInterruptedError, StoreError
from cyclr_async.usage import RunScope, UsageReader, UsageStore
from cyclr_async.usage.collect.outcome import UsageOutcome
from tests.support.usage_server import PartnerServer, account_ids, all_of, http, stored


async def test_every_account_is_in_the_store_once_with_what_the_list_says(path: Path) -> None:
    ids = account_ids(2500)
    async with PartnerServer(ids) as server, server.session() as session:
        run = session.accounts.collect_usage(store=path)
        outcomes = await all_of(run)
    assert Counter(one.account_id for one in outcomes) == Counter(ids)
    assert server.requests == 2500
    assert all(one.account is not None for one in outcomes)
    assert stored(path) == set(ids)
    with UsageReader(path) as reader:
        (info,) = reader.runs()
        rows = list(reader.rows())
    assert (info.status, info.counts.asked, info.counts.ok, info.listing_complete) == ("complete", 2500, 2500, True)
    assert [row.account_id for row in rows] == ids
    assert {row.account_name for row in rows} == {f"Account {one[-6:]}" for one in ids}


async def test_ids_given_twice_are_asked_once_with_a_store(path: Path) -> None:
    ids = account_ids(300)
    async with PartnerServer() as server, server.session() as session:
        run = session.accounts.collect_usage([*ids, *ids[:150], ids[0], ids[0]], store=path)
        outcomes = await all_of(run)
    assert Counter(one.account_id for one in outcomes) == Counter(ids)
    assert set(server.hits.values()) == {1}
    assert run.progress.asked == 300


async def test_invalid_ids_with_a_store_are_outcomes(path: Path) -> None:
    good = account_ids(20)
    mixed: list[object] = [*good[:10], "", None, "a/b", 7, *good[10:]]
    async with PartnerServer() as server, server.session() as session:
        run = session.accounts.collect_usage(mixed, store=path)  # type: ignore[arg-type]
        outcomes = await all_of(run)
    assert sorted(one.account_id for one in outcomes if one.ok) == good
    assert sorted(one.account_id for one in outcomes if not one.ok) == ["", "7", "None", "a/b"]
    assert (run.progress.asked, run.progress.ok, run.progress.failed) == (24, 20, 4)
    with UsageReader(path) as reader:
        assert [row.account_id for row in reader.failures()] == ["a/b"]
        assert reader.run().status == "partial"


async def test_a_failed_account_is_asked_again_by_the_next_run_and_nobody_else(path: Path) -> None:
    ids = account_ids(50)
    refused = {ids[7]: http(404, {}), ids[8]: http(400, {})}
    async with PartnerServer(reply=lambda one, _: refused.get(one)) as server, server.session() as session:
        await all_of(session.accounts.collect_usage(ids, store=path))
        with UsageReader(path) as reader:
            assert reader.run().status == "partial"
        del refused[ids[8]]
        server.hits.clear()
        run = session.accounts.collect_usage(ids, store=path)
        outcomes = await all_of(run)
        assert set(server.hits) == {ids[7], ids[8]}
        assert {one.account_id: one.ok for one in outcomes} == {ids[7]: False, ids[8]: True}
        assert (run.progress.ok, run.progress.missing, run.progress.pending) == (49, 1, 0)
    with UsageReader(path) as reader:
        assert [info.status for info in reader.runs()] == ["complete"]


async def test_other_ids_than_before_are_a_run_of_their_own(path: Path) -> None:
    first, second = account_ids(400), account_ids(100, start=350)
    async with PartnerServer() as server, server.session() as session:
        async with session.accounts.collect_usage(first, store=path) as run:
            async for _ in run:
                if run.progress.ok >= 100:
                    break
        again = session.accounts.collect_usage(second, store=path)
        outcomes = await all_of(again)
    assert {one.account_id for one in outcomes} == set(second)
    assert (again.progress.asked, again.progress.ok) == (100, 100)
    with UsageReader(path) as reader:
        newest, oldest = reader.runs()
        assert {row.account_id for row in reader.rows()} == set(second)
    assert (newest.status, oldest.status) == ("complete", "interrupted")


async def test_a_finished_run_is_followed_by_a_new_one_in_the_same_store(path: Path) -> None:
    ids = account_ids(30)
    async with PartnerServer(ids) as server, server.session() as session:
        for month in (9, 10):
            outcomes = await all_of(session.accounts.collect_usage(store=path, from_date=date(2026, month, 1)))
            assert len(outcomes) == 30
    with UsageReader(path) as reader:
        assert [info.scope.from_date for info in reader.runs()] == [date(2026, 10, 1), date(2026, 9, 1)]


async def test_an_open_store_is_used_and_stays_open(path: Path) -> None:
    ids = account_ids(30)
    async with PartnerServer() as server, server.session() as session:
        scope = RunScope(server.base_url, "partner.example.com")
        async with await UsageStore.open(path, scope) as store:
            await all_of(session.accounts.collect_usage(ids, store=store))
            assert (await store.counts()).ok == 30
    assert stored(path) == set(ids)


async def test_the_store_of_another_partner_or_host_is_refused(path: Path) -> None:
    async with PartnerServer() as server, PartnerServer() as other:
        async with server.session() as session:
            await all_of(session.accounts.collect_usage(account_ids(3), store=path))
        async with other.session() as session:
            with pytest.raises(StoreError, match="one store per host"):
                await session.accounts.collect_usage([], store=path).__aenter__()
        server.details = {"Domain": "other.example.com"}
        async with server.session() as session:
            with pytest.raises(StoreError, match=r"another partner, 'partner\.example\.com', and this is 'other\."):
                await session.accounts.collect_usage([], store=path).__aenter__()
        assert other.requests == 0


async def test_an_unfinished_run_of_another_period_is_left_alone(path: Path) -> None:
    ids = account_ids(200)
    async with PartnerServer() as server, server.session() as session:
        async with session.accounts.collect_usage(ids, store=path, from_date=date(2026, 9, 1)) as run:
            await anext(run)
        await all_of(session.accounts.collect_usage(ids, store=path, from_date=date(2026, 10, 1)))
    with UsageReader(path) as reader:
        assert [info.status for info in reader.runs()] == ["complete", "interrupted"]


async def test_a_store_in_use_by_another_process_is_refused(path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from cyclr_async.usage.store.locking import StoreLock\n"
        "lock = StoreLock(Path(sys.argv[1]).resolve()); lock.acquire(); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(  # noqa: ASYNC220  short, and only its first line is waited for
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        async with PartnerServer() as server, server.session() as session:
            with pytest.raises(StoreError, match=f"process {process.pid}"):
                await session.accounts.collect_usage([], store=path).__aenter__()
        process.communicate()


def full(store: UsageStore) -> None:
    """Let the file of the store grow no more."""
    store._writer.submit(lambda run: run._connection.execute("PRAGMA max_page_count = 1"))


async def test_a_full_disk_ends_the_run_resumable_and_loses_nothing_committed(path: Path) -> None:
    ids = account_ids(3000)
    outcomes: list[UsageOutcome] = []
    async with PartnerServer() as server, server.session() as session:
        run = session.accounts.collect_usage(ids, store=path)

        async def consume() -> None:
            async with run:
                async for outcome in run:
                    outcomes.append(outcome)
                    if len(outcomes) == 1000:
                        assert run._store is not None
                        full(run._store)

        with pytest.raises(BulkInterruptedError, match="the store failed") as caught:
            await consume()
        assert (caught.value.reason, caught.value.resumable) == ("store", True)
        kept = stored(path)
        assert 500 <= len(kept) < 3000
        assert len(outcomes) <= len(kept) + 500 + 32
        asked = server.requests
        rest = await all_of(session.accounts.collect_usage(ids, store=path))
        assert {one.account_id for one in rest} == set(ids) - kept
        assert server.requests - asked == 3000 - len(kept)
    assert stored(path) == set(ids)


async def test_leaving_early_tells_of_a_store_that_could_not_keep_what_was_seen(path: Path) -> None:
    async with PartnerServer() as server, server.session() as session:
        run = session.accounts.collect_usage(account_ids(5000), store=path)

        async def consume() -> None:
            async with run:
                await anext(run)
                assert run._store is not None
                full(run._store)
                await asyncio.sleep(0.05)

        with pytest.raises(BulkInterruptedError, match="the store failed"):
            await consume()


@pytest.mark.stress
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_five_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    tally = kill_and_resume(12_000, 5, tmp_path, seed=3, longest=0.4)
    assert tally.kills == 5
    assert (tally.lost, tally.doubled, tally.damaged) == (0, 0, "")
    # A batch, what was under way, and the account list.
    assert tally.asked_again_at_most <= 500 + 32 + 1
    with closing(sqlite3.connect(tmp_path / "usage.sqlite")) as store:
        assert store.execute("SELECT status, asked, ok FROM run").fetchall() == [("complete", 12_000, 12_000)]
