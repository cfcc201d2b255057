"""What a bulk run with a store costs in memory, by the number of accounts.

``python -m benchmarks.bulk_memory 10000 100000 1000000`` collects from the load server, which runs in its own process,
in a fresh process per size, and prints one line of JSON per size: peak over an idle session, peak, accounts per second,
CPU per account, seconds until the first outcome, and what the store holds in the end. ``--api v1`` is over the v1.0
API.
"""

import argparse
import asyncio
import json
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.bodies import TOKEN
from benchmarks.measure import cpu_seconds, peak_mib, reset_peak, rss_mib
from benchmarks.pinning import client_core, pin
from benchmarks.processes import Server, run_module
from cyclr_async import AsyncPartnerSession

__all__ = ["collect", "main", "measure", "session_of"]


def session_of(base_url: str) -> AsyncPartnerSession:
    """A session for both APIs of the load server."""
    v1_url = base_url.replace("/api/partner", "/v1.0")
    return AsyncPartnerSession(TOKEN, base_url=base_url, v1_url=v1_url, partner="benchmark")


async def collect(base_url: str, accounts: int, store: Path, api: str = "partner") -> dict[str, Any]:
    """Collect every account the server lists, and say what that took."""
    async with session_of(base_url) as session:
        resource = session.v1.accounts if api == "v1" else session.accounts
        async with resource.collect_usage(["0" * 31 + "1"]) as run:
            assert [outcome.ok async for outcome in run] == [True]
        idle = rss_mib()
        reset_peak()
        begun, cpu = time.perf_counter(), cpu_seconds()
        first = 0.0
        seen = 0
        async with resource.collect_usage(store=store) as run:
            async for outcome in run:
                first = first or time.perf_counter() - begun
                seen += outcome.ok
        wall, cpu = time.perf_counter() - begun, cpu_seconds() - cpu
    return {
        "api": api,
        "accounts": accounts,
        "cpu_us_per_account": round(1e6 * cpu / max(seen, 1), 1),
        "ok": seen,
        "idle_mib": round(idle, 1),
        "peak_mib": round(peak_mib(), 1),
        "added_mib": round(peak_mib() - idle, 1),
        "per_second": round(seen / wall),
        "first_outcome_ms": round(1000 * first, 1),
        "wall_s": round(wall, 1),
    }


def measure(accounts: int, api: str = "partner") -> dict[str, Any]:
    """Measure one size in a process of its own, and check the store."""
    with tempfile.TemporaryDirectory() as folder, Server(accounts=accounts) as server:
        store = Path(folder, "usage.sqlite")
        worker = "--worker", server.base_url, str(accounts), str(store), api
        answer = run_module("benchmarks.bulk_memory", *worker, timeout=3600.0)
        with closing(sqlite3.connect(store)) as connection:
            rows = connection.execute("SELECT count(*), count(DISTINCT account_id) FROM observation").fetchone()
        answer["observations"], answer["accounts_in_store"] = rows
        answer["store_mib"] = round(store.stat().st_size / 1024 / 1024, 1)
    return answer


def main() -> None:
    """Print one line of JSON per size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("accounts", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--worker", nargs=4, metavar=("BASE_URL", "ACCOUNTS", "STORE", "API"), help=argparse.SUPPRESS)
    parser.add_argument("--api", choices=("partner", "v1"), default="partner")
    arguments = parser.parse_args()
    if arguments.worker:
        base_url, accounts, store, api = arguments.worker
        pin(client_core())
        print(json.dumps(asyncio.run(collect(base_url, int(accounts), Path(store), api))))
        return
    for accounts in arguments.accounts:
        print(json.dumps(measure(accounts, arguments.api)))
        sys.stdout.flush()


if __name__ == "__main__":
    main()
