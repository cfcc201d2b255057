"""How long the report page takes to make and to open, and what it weighs: ``python -m benchmarks.report_page``.

The store is made as :mod:`benchmarks.month_store` does, the page is written by a process of its own, whose memory is
measured, and opened from the disk by Debian's Chromium, each time in a browser that has never seen it. It counts as
open when the list of accounts is there, sorted and ready to be filtered.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from benchmarks.month_store import make
from benchmarks.processes import ROOT

__all__ = ["main"]

_MONTHS: Final = 14
"""The thirteen of the trend, and one before, so that the first of them has something to be compared with."""
_MONTH: Final = "2025-12"
_OPTIONS: Final = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
_TYPE: Final = (
    "(() => { const field = document.getElementById('find'); field.value = '%s';"
    " field.dispatchEvent(new Event('input')); })()"
)
_WRITE: Final = """
import json, sys, time
from datetime import UTC, datetime
from decimal import Decimal
from cyclr_async.usage import PageAllowance, read_statement, write_page

def peak():
    # Not getrusage(), whose peak begins with that of the process that started this one.
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024

def allowance(line):
    over = max(0, line.task_count - 5000)
    return PageAllowance(5000, Decimal(over) * Decimal("0.01") if over else None)

store, page, month = sys.argv[1:]
before = peak()
begun = time.perf_counter()
statement = read_statement(store, month, trend=13, now=datetime(2026, 2, 1, tzinfo=UTC))
result = write_page(statement, page, allowance=allowance, currency="EUR")
took = time.perf_counter() - begun
print(json.dumps({"seconds": took, "peak": peak(), "before": before, "size": result.size,
                  "accounts": result.accounts, "listed": result.listed}))
"""


def written(store: Path, page: Path) -> dict[str, Any]:
    """Write the page in a process of its own, and return how long it took and its peak of memory in MiB."""
    command = [sys.executable, "-c", _WRITE, str(store), str(page), _MONTH]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def opened(page: Path, rounds: int) -> dict[str, float] | None:
    """Open the page from the disk, and return the medians in seconds; None where there is no browser.

    ``ready`` is the time from the beginning of the navigation until the list is there, ``find`` that of a search over
    all accounts, ``sort`` that of sorting all of them by name, the slowest column, for the first time.
    """
    program = shutil.which("chromium")
    if program is None or importlib.util.find_spec("playwright") is None:
        return None
    times: dict[str, list[float]] = {"ready": [], "find": [], "sort": []}
    with importlib.import_module("playwright.sync_api").sync_playwright() as playwright:
        for _ in range(rounds):
            browser = playwright.chromium.launch(executable_path=program, args=_OPTIONS)
            tab = browser.new_page()
            tab.add_init_script(
                "new MutationObserver(() => { window.readyAt ??= performance.now(); })"
                ".observe(document, { attributes: true, attributeFilter: ['data-ready'], subtree: true });"
            )
            tab.goto(page.as_uri())
            tab.wait_for_selector("html[data-ready]", state="attached")
            times["ready"].append(tab.evaluate("readyAt") / 1000)
            for name, action in (
                ("find", _TYPE % "unit 77"),
                ("sort", "document.querySelector('th[data-column=name] button').click()"),
            ):
                script = f"(() => {{ const begun = performance.now(); {action}; return performance.now() - begun; }})()"
                times[name].append(tab.evaluate(script) / 1000)
                tab.evaluate(_TYPE % "")
            browser.close()
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    """Measure, and print a line for each thing measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store, page = Path(folder, "usage.sqlite"), Path(folder, "report.html")
        make(store, given.accounts, _MONTHS)
        made = written(store, page)
        times = opened(page, given.rounds)
    say = sys.stdout.write
    say(f"{made['accounts']:,} accounts, {made['listed']:,} listed, {_MONTHS} months in the store\n")
    say(f"written in {made['seconds']:.1f} s, {made['peak']:.0f} MiB at most, {made['before']:.0f} before it began\n")
    say(f"weighs {made['size'] / 1e6:.2f} MB\n")
    if times is None:
        say("NOT MEASURED, opening it: there is no chromium, or Playwright is missing (pip install --group browser)\n")
    else:
        say(f"open after {times['ready']:.2f} s; searching takes {times['find']:.2f} s, ")
        say(f"sorting by name {times['sort']:.2f} s\n")


if __name__ == "__main__":
    main()
