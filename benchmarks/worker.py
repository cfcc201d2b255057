"""One contender in a process of its own, on the client core: ``python -m benchmarks.worker NAME BASE_URL CONCURRENCY``.

Each line on standard input asks for one round, ``{"requests": n}``; each answer is what the round cost.
``"latencies": false`` does not time single calls, whose list would grow with the round.
"""

import argparse
import asyncio
import importlib
import json
import sys
import time
from typing import Any

from benchmarks.bodies import account_id
from benchmarks.contenders.base import Contender
from benchmarks.contenders.peers import PEERS
from benchmarks.measure import cpu_seconds, peak_mib, percentile, reset_peak, rss_mib
from benchmarks.pinning import client_core, pin

__all__ = ["main", "make_contender"]

_UVLOOP = "_uvloop"
"""The end of the name of a contender that runs on uvloop."""


def make_contender(name: str) -> Contender:
    """The contender ``name``, not opened yet; how it is called on uvloop makes no other one of it."""
    name = name.removesuffix(_UVLOOP)
    if name in PEERS:
        return PEERS[name]()
    contender: Contender = importlib.import_module(f"benchmarks.contenders.{name}").make()
    return contender


async def _round(contender: Contender, requests: int, timed: bool) -> dict[str, Any]:
    latencies: list[float] = []
    ids = (account_id(index) for index in range(requests))
    reset_peak()
    resident = rss_mib()
    cpu, wall = cpu_seconds(), time.perf_counter()
    read = await contender.run(ids, latencies if timed else None)
    cpu, wall = cpu_seconds() - cpu, time.perf_counter() - wall
    if read != requests:
        raise RuntimeError(f"{requests - read} of {requests} calls failed")
    return {
        "requests": requests,
        "wall_s": wall,
        "cpu_s": cpu,
        "p50_s": percentile(latencies, 0.5) if latencies else None,
        "p99_s": percentile(latencies, 0.99) if latencies else None,
        "peak_mib": peak_mib(),
        "grown_mib": peak_mib() - resident,
    }


async def _serve(name: str, base_url: str, concurrency: int) -> None:
    contender = make_contender(name)
    await contender.open(base_url, concurrency)
    try:
        await contender.run((account_id(index) for index in range(max(4 * concurrency, 100))), None)
        print(json.dumps({"name": name}), flush=True)
        # The loop has nothing to do between rounds, so a blocking read is the quietest way to wait.
        for line in sys.stdin:
            command = json.loads(line)
            print(json.dumps(await _round(contender, command["requests"], command.get("latencies", True))), flush=True)
    finally:
        await contender.close()


def main() -> None:
    """Serve rounds until standard input closes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("base_url")
    parser.add_argument("concurrency", type=int)
    arguments = parser.parse_args()
    pin(client_core())
    # By name, because it is in no group that the tests need.
    loop = importlib.import_module("uvloop").new_event_loop if arguments.name.endswith(_UVLOOP) else None
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(_serve(arguments.name, arguments.base_url, arguments.concurrency))


if __name__ == "__main__":
    main()
