"""A collection over a real Dask cluster on loopback: workers, the scheduler and the coordinator are killed."""

from __future__ import annotations

import logging
import random
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from cyclr_async import AsyncPartnerSession
from cyclr_async.errors import BulkInterruptedError
from cyclr_async.usage import FanOut, UsageReader
from tests.support.canary import BEARER, CLIENT_SECRET, MARK
from tests.support.engines import DaskCluster, acted_on, dask_client, killed_at
from tests.support.sizes import sized
from tests.support.usage_server import PartnerServer, account_ids, all_of, http, stored

pytestmark = [
    pytest.mark.dask,
    pytest.mark.skipif(find_spec("distributed") is None, reason="needs the extra: pip install 'cyclr-async[dask]'"),
    pytest.mark.timeout(600),  # for the full size: twenty workers start again, each in a second or two
    # Its own affair: what Dask and tornado leave open, or find deprecated, when a cluster is killed under them.
    pytest.mark.filterwarnings("default"),
]

COORDINATOR = """
import asyncio, sys
from distributed import Client
from cyclr_async import AsyncPartnerSession
from cyclr_async.usage import FanOut

async def main(store, address, batch):
    with Client(address) as client:
        engine = client.get_executor(pure=False, retries=3)
        async with AsyncPartnerSession.from_env() as session:
            fan_out = FanOut(executor=engine, batch=int(batch), in_flight=8)
            async with session.accounts.collect_usage(store=store, fan_out=fan_out) as run:
                async for outcome in run:
                    assert outcome.ok, outcome.error

if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Keep what a client logs about lost connections from the tests that come later."""
    before = logging.getLogger("distributed").level
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("distributed").setLevel(before)


def variables(server: PartnerServer) -> dict[str, str]:
    return {
        "CYCLR_CLIENT_ID": "client",
        "CYCLR_CLIENT_SECRET": CLIENT_SECRET,
        "CYCLR_BASE_URL": server.base_url,
        "CYCLR_TOKEN_URL": server.token_url,
    }


def session_of(server: PartnerServer, monkeypatch: pytest.MonkeyPatch) -> Any:
    server.token = lambda: http(200, {"access_token": BEARER, "expires_in": 3600})
    for name, value in variables(server).items():
        monkeypatch.setenv(name, value)
    return AsyncPartnerSession.from_env()


@sized("accounts", 5_000, 50_000)
async def test_every_account_comes_once_and_no_secret_is_in_the_logs(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch, accounts: int
) -> None:
    ids = account_ids(accounts)
    async with PartnerServer(ids) as server, session_of(server, monkeypatch) as session:
        debug = {"DASK_LOGGING__DISTRIBUTED": "debug"}
        with DaskCluster(tmp_path, environment=debug) as cluster, dask_client(cluster) as client:
            fan_out = FanOut(executor=client.get_executor(pure=False, retries=3))
            outcomes = await all_of(session.accounts.collect_usage(store=path, fan_out=fan_out))
            logs = cluster.logs()
    assert sorted(one.account_id for one in outcomes) == ids
    assert stored(path) == set(ids)
    assert set(server.hits.values()) == {1}
    assert "collect_batch" in logs or "distributed" in logs
    assert MARK not in logs


@sized("kills", 2, 20)
async def test_workers_that_are_killed_have_their_batches_asked_again(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch, kills: int
) -> None:
    ids = account_ids(4_000 if kills < 10 else 50_000)
    dice = random.Random(14)
    async with PartnerServer(ids, delay=0.02) as server, session_of(server, monkeypatch) as session:
        with DaskCluster(tmp_path) as cluster, dask_client(cluster) as client:
            fan_out = FanOut(executor=client.get_executor(pure=False, retries=3), batch=100, in_flight=8)
            run = session.accounts.collect_usage(store=path, fan_out=fan_out)
            moments = dice.sample(range(100, len(ids) * 3 // 4), kills)
            seen = await acted_on(run, {at: lambda: cluster.kill_a_worker(dice.randrange(2)) for at in moments})
    assert seen == len(ids)
    assert stored(path) == set(ids)
    asked_again = server.requests - len(ids)
    assert asked_again <= kills * 2 * 100 + 100  # two threads of a worker, a batch each


async def test_a_scheduler_that_is_killed_is_an_error_and_the_run_goes_on_without_it(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = account_ids(4_000)
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT", "3s")
    async with PartnerServer(ids, delay=0.02) as server, session_of(server, monkeypatch) as session:
        with DaskCluster(tmp_path) as cluster, dask_client(cluster) as client:
            fan_out = FanOut(executor=client.get_executor(pure=False, retries=3), batch=100, in_flight=8)
            run = session.accounts.collect_usage(store=path, fan_out=fan_out)
            with pytest.raises(BulkInterruptedError, match="the engine of the workers") as caught:
                await acted_on(run, {500: cluster.scheduler.kill})
        assert (caught.value.reason, caught.value.resumable) == ("workers", True)
        with UsageReader(path) as reader:
            assert reader.run().status == "interrupted"
        kept = stored(path)
        assert 500 <= len(kept) < len(ids)
        await all_of(session.accounts.collect_usage(store=path))
    assert stored(path) == set(ids)
    assert server.requests - len(ids) <= 8 * 100 + 200  # what was given out, of which some workers went on


@sized("accounts", 6_000, 50_000)
async def test_a_coordinator_that_is_killed_is_resumed(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch, accounts: int
) -> None:
    # Whoever wants no more than a share of the accounts asked again chooses batches for that: eight of these are 4 %.
    ids, batch = account_ids(accounts), accounts // 200
    async with PartnerServer(ids, delay=0.01) as server, session_of(server, monkeypatch) as session:
        with DaskCluster(tmp_path) as cluster:
            await killed_at(
                accounts // 5, path, sys.executable, "-c", COORDINATOR, str(path), cluster.address, str(batch)
            )
            with dask_client(cluster) as client:
                fan_out = FanOut(executor=client.get_executor(pure=False, retries=3), batch=batch, in_flight=8)
                outcomes = await all_of(session.accounts.collect_usage(store=path, fan_out=fan_out))
    assert stored(path) == set(ids)
    assert len(outcomes) <= len(ids) - accounts // 5
    assert server.requests - len(ids) <= 0.05 * len(ids)
