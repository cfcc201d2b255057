"""The soak by hand: ``python -m benchmarks.soak [calls] [seconds]``, a million calls by default.

A server in a process of its own spoils one answer in twenty; printed is what became of the calls, by the count of both
sides, and the memory of the client at 10 % and at the end.
"""

from __future__ import annotations

import asyncio
import sys

from tests.faults import soak

__all__ = ["main"]


async def main(total: int, seconds: float) -> None:
    report = await soak.run(total, seconds=seconds)
    print(f"calls      {report.asked} of {total} in {report.seconds:.0f} s, {report.asked / report.seconds:.0f}/s")
    print(f"requests   {report.requests}, of which {report.retries} repeated; {report.injected} answers spoilt")
    print(f"outcomes   {report.done} done, {report.unknown} writes unknown, {len(report.failed)} failed")
    for line in report.failed[:5]:
        print(f"           {line}")
    print(f"lost       {report.lost}")
    print(f"duplicated {report.duplicated}")
    print(f"wrong      {report.wrong}")
    print(f"leaked     {report.leaked_sockets} sockets, {report.leaked_tasks} tasks")
    for count, size in report.rss:
        print(f"RSS        {size:.1f} MiB after {count} calls")
    print(f"growth     {report.growth:+.1f} MiB")


if __name__ == "__main__":
    calls, seconds = [*sys.argv[1:], *("1000000", "3600")[len(sys.argv) - 1 :]][:2]
    asyncio.run(main(int(calls), float(seconds)))
