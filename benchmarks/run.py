"""All benchmarks: ``python -m benchmarks.run`` measures and writes ``docs/performance.md`` and its plots.

``--quick`` does a little of everything in less than a minute, to see that it still works; it writes nothing and
asserts no timing. ``--only`` measures some parts; with ``--results FILE`` they are merged into what was measured
before, so that a long run can be made in pieces. Contenders whose packages are missing are named and left out.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.decode import decode_report
from benchmarks.features import features_report
from benchmarks.instructions import measure
from benchmarks.ladder import ladder
from benchmarks.processes import ROOT, pinned
from benchmarks.report import write_report
from benchmarks.scale import scale_report
from benchmarks.startup import startup_report

__all__ = ["main"]

_PACKAGES: Final = (
    "cyclr-async",
    "aiohttp",
    "attrs",
    "cattrs",
    "yarl",
    "orjson",
    "msgspec",
    "pydantic",
    "httpx",
    "httpx2",
    "openai",
    "requests",
)
_DELAYS: Final = (0.02, 0.03, 0.05)
#: The slow ones take most of the time and say little about latency.
_LATENCY_NAMES: Final = ("raw", "bare", "cyclr", "cyclr_bulk", "httpx2_pydantic", "stainless")

Say = Callable[[str], None]


def _ladder(say: Say, quick: bool) -> Any:
    return ladder(say, concurrencies=(1, 50), rounds=1, seconds=0.05) if quick else ladder(say, rounds=11)


def _latency(say: Say, quick: bool) -> Any:
    if quick:
        return ladder(say, concurrencies=(10, 100), rounds=1, seconds=0.1, delay=0.02, names=("raw", "bare", "cyclr"))
    return [row for delay in _DELAYS for row in ladder(say, rounds=5, seconds=0.7, delay=delay, names=_LATENCY_NAMES)]


def _decode(say: Say, quick: bool) -> Any:
    return decode_report(say, accounts=2_000, rounds=1) if quick else decode_report(say)


def _startup(say: Say, quick: bool) -> Any:
    return startup_report(say, rounds=1, sessions=10) if quick else startup_report(say)


def _features(say: Say, quick: bool) -> Any:
    return features_report(say, pairs=2 if quick else 40)


def _scale(say: Say, quick: bool) -> Any:
    return scale_report(say, sizes=(500, 2_000)) if quick else scale_report(say)


def _instructions(say: Say, quick: bool) -> Any:
    if quick:
        say("instructions: not in the quick run; use python -m benchmarks.instructions")
        return None
    counted = measure()
    say("SKIPPED: valgrind is not installed" if counted is None else f"instructions: {counted['instructions']}")
    return counted


PARTS: Final[dict[str, Callable[[Say, bool], Any]]] = {
    "ladder": _ladder,
    "latency": _latency,
    "decode": _decode,
    "startup": _startup,
    "features": _features,
    "scale": _scale,
    "instructions": _instructions,
}


def _machine() -> dict[str, Any]:
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        cpu = names[0] if names else cpu
    versions = {"Python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": cpu,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "pinned": pinned(),
        "versions": versions,
    }


def main() -> int:
    """Measure, and write the page unless the run is quick."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a little of everything, nothing written")
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help=f"some of: {', '.join(PARTS)}")
    parser.add_argument("--results", type=Path, help="a JSON file to merge the results into")
    parser.add_argument("--render", action="store_true", help="write the page from --results, measure nothing")
    arguments = parser.parse_args()
    if arguments.render and not arguments.results:
        parser.error("--render needs --results")

    def say(text: str) -> None:
        print(text, flush=True)

    results: dict[str, Any] = {}
    if arguments.results and arguments.results.exists():
        results = json.loads(arguments.results.read_text())
    started = time.monotonic()
    for name in [] if arguments.render else arguments.only or PARTS:
        say(f"== {name} ({time.monotonic() - started:.0f} s)")
        results[name] = PARTS[name](say, arguments.quick)
        results["machine"] = _machine()
        if arguments.results:
            arguments.results.write_text(json.dumps(results, indent=1) + "\n")
    say(f"== done in {time.monotonic() - started:.0f} s")
    if not arguments.quick:
        write_report(results, ROOT / "docs" / "performance.md")
        say("wrote docs/performance.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
