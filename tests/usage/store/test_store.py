from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from cyclr_async.errors import ForbiddenError, InvalidArgumentError, NotFoundError, StoreError
from cyclr_async.usage import Counts, RunScope, UsageOutcome, UsageReader, UsageStore
from cyclr_async.usage.store.run_writer import RunWriter
from tests.support.usage_make import SEEN, At, account, bad, good


async def test_counts_follow_every_change_of_state(path: Path, scope: RunScope) -> None:
    async with await UsageStore.open(path, scope) as store:
        assert await store.add_accounts([account("a"), "b", "c", "d", "e"]) == 5
        assert await store.add_accounts(["a", "f"]) == 1
        await store.record(good("a"))
        await store.record(bad("b", NotFoundError("no such account", status=404)))
        await store.record(bad("c", ForbiddenError("not allowed", status=403)))
        await store.record(bad("d"))
        assert await store.counts() == Counts(6, 1, 1, 1, 1)
        await store.record(good("d"))
        await store.record(bad("a"))
        counts = await store.counts()
        assert (counts, counts.pending) == (Counts(6, 2, 1, 1, 0), 2)
    with UsageReader(path) as reader:
        assert reader.run().counts == counts


async def test_resume_asks_only_for_what_is_missing(path: Path, scope: RunScope) -> None:
    async with await UsageStore.open(path, scope, clock=At()) as store:
        await store.add_accounts([account(f"{number:03}", "Näme") for number in range(100)])
        await store.finish_listing()
        for number in range(0, 100, 2):
            await store.record(good(f"{number:03}"))
        await store.record(bad("001"))
        await store.finish("interrupted")
        first = store.run_id
    async with await UsageStore.open(path, None, resume=True, clock=At()) as store:
        assert (store.run_id, store.scope, store.listing_complete) == (first, scope, True)
        found = []
        after = None
        while page := await store.pending(after=after, limit=7):
            found += page
            after = page[-1].account_id
        never = [f"{number:03}" for number in range(3, 100, 2)]
        assert [one.account_id for one in found] == [*never, "001"]
        assert (found[-1].attempts, found[0].attempts) == (3, 0)
        assert found[-1].account == account("001", "Näme")
        for one in found:
            await store.record(good(one.account_id))
        await store.finish("complete")
    with pytest.raises(StoreError, match="nothing to resume"):
        await UsageStore.open(path, scope, resume=True)


async def test_second_run_of_the_same_command(path: Path, scope: RunScope) -> None:
    async with await UsageStore.open(path, scope, resume=None) as store:
        await store.add_accounts(["a"])
        first = store.run_id
    async with await UsageStore.open(path, scope) as store:
        assert (store.run_id, store.opening.continued, store.opening.abandoned) == (first, True, ())
    async with await UsageStore.open(path, scope, resume=False) as store:
        assert store.run_id == first + 1
        assert [(run.run_id, run.counts.asked) for run in store.opening.abandoned] == [(first, 1)]
        await store.finish("complete")
    async with await UsageStore.open(path, scope) as store:
        assert store.run_id == first + 2
        await store.finish("abandoned")
    async with await UsageStore.open(path, scope) as store:
        assert store.run_id == first + 3
    with UsageReader(path) as reader:
        assert [run.status for run in reader.runs()] == ["running", "abandoned", "complete", "abandoned"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"partner": "partner-2"}, "another partner"),
        ({"base_url": "https://eu.example.com/api/partner"}, "eu.example.com"),
        ({"from_date": date(2026, 11, 1)}, "2026-11-01"),
        ({"from_date": None}, "since the last bill"),
    ],
)
async def test_resume_refuses_another_scope(path: Path, scope: RunScope, change: dict[str, Any], words: str) -> None:
    await (await UsageStore.open(path, scope)).close()
    with pytest.raises(StoreError, match=words):
        await UsageStore.open(path, attrs.evolve(scope, **change), resume=True)
    await (await UsageStore.open(path, scope, resume=True)).close()  # the refusal left no lock behind


async def test_a_store_is_open_once(path: Path, scope: RunScope) -> None:
    async with await UsageStore.open(path, scope):
        with pytest.raises(StoreError, match=f"process {os.getpid()} on "):
            await UsageStore.open(path, scope, resume=True)
    code = (
        "import asyncio,sys\nfrom cyclr_async.usage import UsageStore\n"
        "async def main():\n"
        "    async with await UsageStore.open(sys.argv[1], None, resume=True):\n"
        "        print('open', flush=True); sys.stdin.read()\n"
        "asyncio.run(main())"
    )
    with subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(StoreError, match=f"process {other.pid} on "):
            await UsageStore.open(path, scope, resume=True)
        other.kill()
    await (await UsageStore.open(path, scope, resume=True)).close()
    assert [entry.name for entry in path.parent.iterdir()] == ["usage.db"]


async def test_refuses_what_is_not_a_store(path: Path, scope: RunScope) -> None:
    path.write_bytes(b"not a database, by far" * 100)  # noqa: ASYNC240
    with pytest.raises(StoreError, match="damaged or not a SQLite file"):
        await UsageStore.open(path, scope)
    path.unlink()  # noqa: ASYNC240
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE t (x)")
    with pytest.raises(StoreError, match="another program"):
        await UsageStore.open(path, scope)
    path.unlink()  # noqa: ASYNC240
    await (await UsageStore.open(path, scope)).close()
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="schema version 99"):
        await UsageStore.open(path, scope)
    with pytest.raises(StoreError, match="no store"):
        await UsageStore.open(path.with_name("none.db"), scope, resume=True)


async def test_damaged_pages_end_in_a_store_error(path: Path, scope: RunScope) -> None:
    async with await UsageStore.open(path, scope) as store:
        await store.add_accounts([f"{number:05}" for number in range(5000)])
    with path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * (path.stat().st_size - 4096 * 3))  # noqa: ASYNC240
    with pytest.raises(StoreError, match="damaged"):
        async with await UsageStore.open(path, scope, resume=True) as store:
            await store.pending(after=None, limit=10_000)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
async def test_only_the_owner_can_read_it(path: Path, scope: RunScope) -> None:
    async with await UsageStore.open(path, scope) as store:
        await store.add_accounts(["a"])
        await store.flush()
        modes = {entry.name: entry.stat().st_mode & 0o777 for entry in path.parent.iterdir()}
    assert modes == dict.fromkeys(["usage.db", "usage.db-wal", "usage.db-shm", "usage.db.lock"], 0o600)


async def test_full_disk_keeps_what_was_committed(path: Path, scope: RunScope) -> None:
    code = (
        "import asyncio,resource,signal,sys\n"
        "from tests.support.usage_make import At, good\n"
        "from cyclr_async.errors import StoreError\n"
        "from cyclr_async.usage import UsageStore\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, resource.RLIM_INFINITY))\n"
        "async def main():\n"
        "    store = await UsageStore.open(sys.argv[1], None, resume=True, batch_size=50, clock=At())\n"
        "    done = 0\n"
        "    try:\n"
        "        for number in range(20000):\n"
        "            await store.record(good(f'{number:06}'))\n"
        "            if number % 50 == 49:\n"
        "                await store.flush(); done = number + 1\n"
        "    except StoreError as error:\n"
        "        print(done, error)\n"
        "    await store.close()\n"
        "asyncio.run(main())"
    )
    await (await UsageStore.open(path, scope, clock=At())).close()
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    result = subprocess.run(  # noqa: ASYNC221
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60, env=env, check=True
    )
    done = int(result.stdout.split()[0])
    assert done > 0
    assert "make room and resume" in result.stdout
    async with await UsageStore.open(path, scope, resume=True, clock=At()) as store:
        assert (await store.counts()).ok >= done
        await store.record(good("after"))
    _check_integrity(path)


async def test_surrogates_and_giants_do_not_break_it(path: Path, scope: RunScope) -> None:
    async with await UsageStore.open(path, scope) as store:
        await store.record(good("ok", listed=account("ok", "a\x00b\u202e=1")))
        await store.record(bad("x\ud800", ForbiddenError("no \udfff", status=403)))
        usage = good("big").usage
        assert usage is not None
        usage = attrs.evolve(usage, task_count=2**63)
        await store.record(UsageOutcome(account_id="big", usage=usage, collected_at=SEEN))
        await store.record(good("max", 2**63 - 1))
        assert await store.counts() == Counts(4, 2, 0, 1, 1)
    with UsageReader(path) as reader:
        assert [(row.account_id, row.account_name, row.error) for row in reader.rows()] == [
            ("big", None, "OutOfRange"),
            ("max", None, None),
            ("ok", "a\x00b\u202e=1", None),
            ("x\\ud800", None, "ForbiddenError(403)"),
        ]


async def test_every_observation_is_kept(path: Path, scope: RunScope) -> None:
    early = At(datetime(2026, 10, 31, 23, tzinfo=UTC))
    async with await UsageStore.open(path, scope, clock=early) as store:
        await store.record(good("a", 5, seen=early.moment))
        await store.record(good("b", 5, seen=early.moment, end="2026-12-01T00:00:00"))
        await store.finish("interrupted")
    async with await UsageStore.open(path, scope, clock=At(early.moment + timedelta(hours=2))) as store:
        # The period of a has closed since, so its figure is none of this run any more.
        assert [one.account_id for one in await store.pending(after=None, limit=9)] == ["a"]
        assert await store.counts() == Counts(2, 1)
        await store.record(bad("a"))
        assert await store.counts() == Counts(2, 1, failed=1)
        await store.record(good("a", 9))
        assert await store.pending(after=None, limit=9) == []
        await store.record(bad("a"))
        assert await store.counts() == Counts(2, 2)
    with UsageReader(path) as reader:
        assert [(row.task_count, row.provisional) for row in reader.history("a")] == [(5, True), (9, False)]
        assert [row.task_count for row in reader.rows()] == [9, 5]


async def test_resuming_a_finished_store_skips_over_what_is_done(path: Path, scope: RunScope) -> None:
    async with await UsageStore.open(path, scope) as store:
        for number in range(3000):
            await store.record(good(f"{number:06}"))
        await store.add_accounts(["zzz"])
    with closing(sqlite3.connect(path)) as other:
        steps = 0

        def count() -> None:
            nonlocal steps
            steps += 1

        other.set_progress_handler(count, 100)
        run = RunWriter(other, 1, Counts())
        assert [row[0] for row in run.pending(None, 500)] == ["zzz"]
    assert steps <= 2


async def test_back_pressure_and_cancellation_lose_nothing(path: Path, scope: RunScope) -> None:
    async with await UsageStore.open(path, scope, batch_size=2) as store:
        tasks = [asyncio.create_task(store.record(good(f"{number}"))) for number in range(200)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert any(isinstance(one, asyncio.CancelledError) for one in ended)
        assert await store.counts() == Counts(200, 200)


async def test_outcomes_are_committed_by_time(path: Path, scope: RunScope) -> None:
    async with await UsageStore.open(path, scope, batch_seconds=0.05) as store:
        await store.record(good("a"))
        await store.add_accounts(["b"])
        async with asyncio.timeout(5):
            while _committed(path) != (1, 2):  # noqa: ASYNC110
                await asyncio.sleep(0.02)


async def test_close_is_idempotent_and_survives_cancellation(path: Path, scope: RunScope) -> None:
    store = await UsageStore.open(path, scope)
    await store.record(good("a"))
    closing_task = asyncio.create_task(store.close())
    await asyncio.sleep(0)
    closing_task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing_task
    await asyncio.gather(store.close(), store.close())
    with pytest.raises(StoreError, match="closed"):
        await store.record(good("b"))
    with pytest.raises(StoreError, match="closed"):
        await store.counts()
    assert _committed(path) == (1, 1)


async def test_a_cancelled_open_leaves_no_lock(path: Path, scope: RunScope) -> None:
    task = asyncio.create_task(UsageStore.open(path, scope))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(5):
        while True:
            try:
                await (await UsageStore.open(path, scope, resume=None)).close()
                break
            except StoreError:
                await asyncio.sleep(0.02)


def test_a_forgotten_store_is_written_at_the_end_of_the_program(path: Path) -> None:
    code = (
        "import asyncio,sys\n"
        "from tests.support.usage_make import good\n"
        "from cyclr_async.usage import UsageStore, RunScope\n"
        "async def main():\n"
        "    store = await UsageStore.open(sys.argv[1], RunScope('https://x', 'p'))\n"
        "    await store.record(good('a'))\n"
        "asyncio.run(main())"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    subprocess.run([sys.executable, "-c", code, str(path)], timeout=30, env=env, check=True)
    assert _committed(path) == (1, 1)


def test_an_outcome_is_one_thing_or_the_other() -> None:
    with pytest.raises(InvalidArgumentError):
        UsageOutcome(account_id="a")
    with pytest.raises(InvalidArgumentError):
        UsageOutcome(account_id="a", usage=good("a").usage, error=bad("a").error)
    with pytest.raises(InvalidArgumentError):
        UsageOutcome(account_id="a", error=bad("a").error, collected_at=SEEN.replace(tzinfo=None))


def _committed(path: Path) -> tuple[int, int]:
    with closing(sqlite3.connect(path)) as other:
        ok, asked = other.execute("SELECT (SELECT count(*) FROM observation), (SELECT count(*) FROM item)").fetchone()
    return ok, asked


def _check_integrity(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)
