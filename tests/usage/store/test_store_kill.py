"""kill -9 at random moments. More kills by hand: ``python tests/usage/store/test_store_kill.py 60``."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import pytest

WORKER = """
import asyncio, sys
from datetime import timedelta
from tests.support.usage_make import good
from cyclr_async.usage import RunScope, UsageStore

async def main(path, total):
    async with await UsageStore.open(path, RunScope("https://x/api/partner", "p"), max_age=timedelta.max) as store:
        if not store.listing_complete:
            await store.add_accounts([f"{number:06}" for number in range(total)])
            await store.finish_listing()
        recorded = 0
        print("start", flush=True)
        while page := await store.pending(after=None, limit=2000):
            for one in page:
                await store.record(good(one.account_id))
                print("r", one.account_id, flush=True)
                recorded += 1
                if recorded % 1500 == 0:
                    await store.flush()
                    print("committed", one.account_id, flush=True)
        await store.finish("complete")
        print("done", flush=True)

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


def kill_and_resume(path: Path, kills: int, total: int, seed: int) -> dict[str, int]:
    """Kill a collecting process over and over, then let it end; return what was lost, doubled and read again."""
    rnd = random.Random(seed)
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    acknowledged: set[str] = set()
    killed, most_again, recorded, again = 0, 0, 0, 0
    done = False
    while not done:
        before = _collected(path)
        with subprocess.Popen(
            [sys.executable, "-c", WORKER, str(path), str(total)], stdout=subprocess.PIPE, env=env
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"start\n"
            if killed < kills:
                time.sleep(rnd.uniform(0, 0.12))
                process.send_signal(signal.SIGKILL)
                killed += 1
            output = process.stdout.read().decode().splitlines(keepends=True)
        asked = []
        for line in output:
            word, _, account_id = line.rstrip("\n").partition(" ")
            if not line.endswith("\n"):
                break  # the pipe was cut in the middle of a line
            done |= word == "done"
            if word == "r":
                asked.append(account_id)
            elif word == "committed":
                acknowledged.update(asked)
        after = _collected(path)
        assert acknowledged <= after, "an acknowledged outcome is missing"
        assert before <= after
        recorded += len(asked)
        lost_now = len(set(asked) - after)
        most_again = max(most_again, lost_now)
        again += lost_now
    with closing(sqlite3.connect(path)) as store:
        integrity = store.execute("PRAGMA integrity_check").fetchone()[0]
        observations, accounts = store.execute(
            "SELECT count(*), count(DISTINCT account_id) FROM observation"
        ).fetchone()
        asked_count, ok = store.execute("SELECT asked, ok FROM run").fetchone()
    assert integrity == "ok"
    assert (asked_count, ok) == (total, total)
    return {
        "kills": killed,
        "lost": total - accounts,
        "duplicated": observations - accounts,
        "again_at_most": most_again,
        "again": again,
    }


def _collected(path: Path) -> set[str]:
    if not path.exists():
        return set()
    with closing(sqlite3.connect(path)) as store:
        if store.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'item'").fetchone() == (0,):
            return set()
        return {row[0] for row in store.execute("SELECT account_id FROM item WHERE state = 'ok'")}


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_five_kills_lose_nothing_and_double_nothing(path: Path) -> None:
    found = kill_and_resume(path, kills=5, total=15_000, seed=1)
    assert found["kills"] == 5
    assert (found["lost"], found["duplicated"]) == (0, 0)
    assert found["again_at_most"] <= 500


if __name__ == "__main__":
    kills_wanted = int(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        print(kill_and_resume(Path(folder, "usage.db"), kills_wanted, total=2_500 * kills_wanted, seed=7))
