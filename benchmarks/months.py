"""Measures statements and histories over a store of ``benchmarks.month_store``: ``python -m benchmarks.months FILE``.

Each measurement runs in a process of its own, so that its peak of memory is its own.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

_CODE = """
import resource, sys, time
from cyclr_async.usage import close_period, read_history, read_statement
what, store, month = sys.argv[1:]
begun, cpu = time.perf_counter(), time.process_time()
if what == "report":
    said = f"{read_statement(store, month).totals().accounts:,} accounts"
elif what == "trend of 3 months":
    said = f"{read_statement(store, month, trend=3).totals().accounts:,} accounts"
elif what == "history":
    account = next(read_statement(store, month).lines()).account_id
    read_history(store, account)  # what is loaded only once is no part of it
    begun, cpu = time.perf_counter(), time.process_time()
    for _ in range(20):
        found = read_history(store, account)
    print(f"one of 20: {(time.perf_counter() - begun) * 50:.1f} ms, ", end="")
    said = f"{len(found.periods)} periods"
wall, cpu = time.perf_counter() - begun, time.process_time() - cpu
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(f"{said}: {wall:.2f} s, CPU {cpu:.2f} s, peak {peak:.0f} MiB")
"""


def main() -> None:
    """Measure, and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--month", default="2025-03")
    given = parser.parse_args()
    for what in ("report", "trend of 3 months", "history"):
        command = [sys.executable, "-c", _CODE, what, str(given.file), given.month]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ})
        sys.stdout.write(f"{what}: {done.stdout}")


if __name__ == "__main__":
    main()
