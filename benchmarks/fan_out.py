"""A collection in one process, over a process pool and over Dask, side by side: speed, CPU and memory per account.

``python -m benchmarks.fan_out --accounts 50000 --rounds 3`` prints one line of JSON per way and round. The load server
and everything else share the cores of this machine, so CPU per account is the firmer figure; ``server_share`` says how
much of a core the server took. ``--memory`` compares the coordinator's peak over 10,000 and 100,000 accounts instead.
"""

import argparse
import asyncio
import contextlib
import importlib
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks.measure import peak_mib, reset_peak, rss_mib
from benchmarks.processes import Server, run_module
from cyclr_async import AsyncPartnerSession
from cyclr_async.usage import FanOut
from tests.support.engines import DaskCluster

__all__ = ["main", "measure"]

_WAYS: Final = ("single", "pool", "dask-250", "dask-1000")
_WORKERS: Final = 2
_WARM: Final = 2_000
"""Accounts before the measured ones: workers start, sessions are made, code is loaded."""


@contextlib.contextmanager
def _engine(way: str, folder: Path) -> Iterator[tuple[Executor | None, list[int]]]:
    """The engine, and the processes that are its own."""
    if way == "single":
        yield None, []
    elif way == "pool":
        with ProcessPoolExecutor(_WORKERS, mp_context=multiprocessing.get_context("spawn")) as pool:
            yield pool, []
    else:
        with DaskCluster(folder, workers=_WORKERS, threads=2) as cluster:
            client = importlib.import_module("distributed").Client(cluster.address)
            client.wait_for_workers(_WORKERS)
            yield client.get_executor(pure=False, retries=3), [cluster.scheduler.pid]
            client.close(timeout=2)


def _fan_out(way: str, engine: Executor | None) -> FanOut | None:
    if engine is None:
        return None
    batch = int(way.partition("-")[2] or 250)
    return FanOut(executor=engine, batch=batch, in_flight=4 if way == "pool" else 8)


def _cpu(pids: list[int]) -> float:
    total = 0.0
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = psutil.Process(pid).cpu_times()
            total += times.user + times.system
    return total


async def _collect(way: str, accounts: int, concurrency: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name, Server(accounts=accounts, delay=0.02) as server:
        folder = Path(name)
        os.environ |= {"CYCLR_ACCESS_TOKEN": "token", "CYCLR_BASE_URL": server.base_url, "CYCLR_PARTNER": "benchmark"}
        os.environ["CYCLR_CONNECTIONS"] = str(concurrency)
        # Half the calls each, so that the server sees as many at the same time either way.
        each = concurrency if way == "single" else concurrency // _WORKERS
        with _engine(way, folder) as (engine, others):
            async with AsyncPartnerSession.from_env() as session:
                ids = [f"{number:032x}" for number in range(_WARM)]
                async with session.accounts.collect_usage(ids, concurrency=each, fan_out=_fan_out(way, engine)) as run:
                    assert sum([outcome.ok async for outcome in run]) == _WARM
                mine = psutil.Process()
                workers = [child.pid for child in mine.children(recursive=True) if child.pid != server.pid]
                server.figures()
                idle = rss_mib()
                reset_peak()
                begun, own, all_of_them = time.perf_counter(), _cpu([mine.pid]), _cpu([mine.pid, *workers])
                seen = 0
                collection = session.accounts.collect_usage(
                    store=folder / "usage.sqlite", concurrency=each, fan_out=_fan_out(way, engine)
                )
                async with collection as run:
                    async for outcome in run:
                        seen += outcome.ok
                wall = time.perf_counter() - begun
                own, all_of_them = _cpu([mine.pid]) - own, _cpu([mine.pid, *workers]) - all_of_them
                figures = server.figures()
    assert seen == accounts
    return {
        "way": way,
        "accounts": accounts,
        "per_second": round(accounts / wall),
        "cpu_us": round(1e6 * all_of_them / accounts, 1),
        "coordinator_us": round(1e6 * own / accounts, 1),
        "coordinator_mib": round(peak_mib(), 1),
        "added_mib": round(peak_mib() - idle, 1),
        "server_share": round(figures["cpu_share"], 2),
        "asked": int(figures["requests"]),
        "engine_processes": len(others),
    }


def measure(way: str, accounts: int, concurrency: int = 128) -> dict[str, Any]:
    """Measure one way in a process of its own."""
    return run_module(
        "benchmarks.fan_out", "--one", way, "--accounts", str(accounts), "--concurrency", str(concurrency)
    )


def main() -> None:
    """Measure, and print a line of JSON for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=50_000)
    parser.add_argument("--concurrency", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ways", nargs="+", choices=_WAYS, default=list(_WAYS))
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--one", choices=_WAYS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(asyncio.run(_collect(arguments.one, arguments.accounts, arguments.concurrency))))
        return
    if arguments.memory:
        for way in arguments.ways:
            for accounts in (10_000, 100_000):
                print(json.dumps(measure(way, accounts, arguments.concurrency)), flush=True)
        return
    found: dict[str, list[float]] = {way: [] for way in arguments.ways}
    for _ in range(arguments.rounds):
        for way in arguments.ways:  # by turns, so that a busy minute of the machine does not fall on one of them
            result = measure(way, arguments.accounts, arguments.concurrency)
            found[way].append(result["cpu_us"])
            print(json.dumps(result), flush=True)
    single = statistics.median(found.get("single") or [float("nan")])
    ratios = {way: round(statistics.median(values) / single, 2) for way, values in found.items()}
    print(json.dumps({"cpu_over_single": ratios}))


if __name__ == "__main__":
    main()
    sys.stdout.flush()
