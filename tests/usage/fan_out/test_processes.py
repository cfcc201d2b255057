"""A collection over a process pool: every account once, a worker that is killed, and a coordinator that is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cyclr_async.errors import BulkInterruptedError
from cyclr_async.usage import FanOut, UsageReader
from tests.support.engines import acted_on, killed_at, pool, workers_of
from tests.support.sizes import sized
from tests.support.usage_server import PartnerServer, account_ids, all_of, stored

pytestmark = pytest.mark.timeout(600)  # for the full size: twenty pools are started, each in a second or two

COORDINATOR = """
import asyncio, sys
from cyclr_async import AsyncPartnerSession
from cyclr_async.usage import FanOut
from tests.support.engines import acted_on, killed_at, pool, workers_of

async def main(store):
    with pool() as engine:
        async with AsyncPartnerSession.from_env() as session:
            fan_out = FanOut(executor=engine, batch=50, in_flight=4)
            async with session.accounts.collect_usage(store=store, fan_out=fan_out) as run:
                print("started", flush=True)
                async for outcome in run:
                    assert outcome.ok, outcome.error

if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
"""


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> Any:
    def of(server: PartnerServer) -> None:
        monkeypatch.setenv("CYCLR_ACCESS_TOKEN", "token")
        monkeypatch.setenv("CYCLR_BASE_URL", server.base_url)
        monkeypatch.setenv("CYCLR_TOKEN_URL", server.token_url)

    return of


@sized("accounts", 3_000, 50_000)
async def test_every_account_is_asked_once(variables: Any, path: Path, accounts: int) -> None:
    ids = account_ids(accounts)
    async with PartnerServer(ids) as server, server.session() as session:
        variables(server)
        with pool() as engine:
            fan_out = FanOut(executor=engine, batch=250, in_flight=4)
            outcomes = await all_of(session.accounts.collect_usage(store=path, fan_out=fan_out))
    assert sorted(one.account_id for one in outcomes) == ids
    assert stored(path) == set(ids)
    assert set(server.hits.values()) == {1}
    assert 3 <= server.identified <= 4  # the store, the engine, and each process that was given something


@sized("kills", 1, 20)
async def test_a_worker_that_is_killed_ends_the_run_and_the_next_one_goes_on(
    variables: Any, path: Path, kills: int
) -> None:
    ids = account_ids(1_500 * (kills + 1))
    again = 0
    async with PartnerServer(ids, delay=0.002) as server, server.session() as session:
        variables(server)
        for kill in range(kills):
            before = server.requests
            kept = len(stored(path))
            with pool() as engine:
                fan_out = FanOut(executor=engine, batch=50, in_flight=4)
                run = session.accounts.collect_usage(store=path, fan_out=fan_out)
                with pytest.raises(BulkInterruptedError, match=r"has lost a worker|takes no more work") as caught:
                    await acted_on(run, {100 + 37 * kill % 700: partial(kill_a_worker, kill % 2)})
            assert (caught.value.reason, caught.value.resumable) == ("workers", True)
            with UsageReader(path) as reader:
                assert reader.run().status == "interrupted"
            again += server.requests - before - (len(stored(path)) - kept)
        with pool() as engine:
            fan_out = FanOut(executor=engine, batch=50, in_flight=4)
            await all_of(session.accounts.collect_usage(store=path, fan_out=fan_out))
    assert stored(path) == set(ids)
    # For each kill no more than what was given out: two batches that were begun, and two that waited.
    assert again <= kills * 4 * 50


def kill_a_worker(number: int) -> None:
    workers = sorted(child.pid for child in workers_of(os.getpid()))
    os.kill(workers[number], signal.SIGKILL)


@sized("kills", 1, 10)
async def test_a_coordinator_that_is_killed_is_resumed(variables: Any, path: Path, kills: int) -> None:
    ids = account_ids(3_000 * (kills + 1))
    async with PartnerServer(ids, delay=0.001) as server, server.session() as session:
        variables(server)
        for kill in range(kills):
            goal = len(stored(path)) + 300 + 11 * kill
            orphans = await killed_at(goal, path, sys.executable, "-c", COORDINATOR, str(path))
            with UsageReader(path) as reader:
                assert reader.run().status == "running"  # it was killed in the middle, and had not ended before
            # The workers of a pool outlive its owner: what they have begun they finish, and nobody hears of it.
            quiet = server.requests
            while True:
                await asyncio.sleep(0.3)
                if server.requests == quiet:
                    break
                quiet = server.requests
            for orphan in orphans:
                os.kill(orphan, signal.SIGKILL)
        await all_of(session.accounts.collect_usage(store=path))
    assert stored(path) == set(ids)
    asked_again = server.requests - len(ids)
    assert asked_again <= kills * (4 * 50 + 500)  # what was under way, and what waited for its commit
