"""How many instructions a call costs, counted by valgrind's callgrind: the one figure that repeats on a busy machine.

``python -m benchmarks.instructions`` counts, compares with ``instructions.json`` and fails when a call became more than
2 % dearer; ``--record`` writes the file. Each client runs two sizes in processes of their own and the difference is
divided by the extra calls, so that start-up cancels out. Nothing enters the kernel's network: see ``fakeloop``.

Counts of other versions of Python or aiohttp cannot be compared. Then the ratio to bare aiohttp in the same run is,
with 10 % of room, because other versions move bare aiohttp too.
"""

import argparse
import asyncio
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from benchmarks.bodies import account_id
from benchmarks.processes import ROOT
from benchmarks.worker import make_contender

__all__ = ["count", "main", "measure", "verdict"]

RECORD: Final = Path(__file__).with_suffix(".json")
CLIENTS: Final = ("bare", "cyclr", "cyclr_bulk")
TOLERANCE: Final = 1.02
ELSEWHERE: Final = 1.10
"""The same with other versions than the record's."""
_SMALL: Final = 300
_LARGE: Final = 1300
_WORKERS: Final = 10


async def _calls(name: str, calls: int) -> None:
    contender = make_contender(name)
    await contender.open("http://127.0.0.1:80/api/partner", _WORKERS)
    try:
        read = await contender.run((account_id(index) for index in range(calls)), None)
    finally:
        await contender.close()
    if read != calls:
        raise SystemExit(f"{calls - read} of {calls} calls of {name} failed")


def _run(name: str, calls: int) -> None:
    """The measured process: nothing but ``calls`` calls."""
    from benchmarks.fakeloop import FakeLoop  # noqa: PLC0415  the counting process needs no event loop

    with asyncio.Runner(loop_factory=FakeLoop) as runner:
        runner.run(_calls(name, calls))


def _total(name: str, calls: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        profile = Path(folder, "callgrind.out")
        done = subprocess.run(
            [
                "valgrind",
                "--tool=callgrind",
                f"--callgrind-out-file={profile}",
                sys.executable,
                "-m",
                "benchmarks.instructions",
                "--run",
                name,
                "--calls",
                str(calls),
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            timeout=600,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"callgrind of {name} failed:\n{done.stderr.decode(errors='replace')[-2000:]}")
        for line in profile.read_text().splitlines():
            if line.startswith(("summary:", "totals:")):
                return int(line.split()[1])
    raise SystemExit("callgrind wrote no total")


def count(names: tuple[str, ...] = CLIENTS) -> dict[str, int]:
    """Instructions per call of each client."""
    jobs = [(name, size) for name in names for size in (_SMALL, _LARGE)]
    for name in names:
        _warm(name)
    with ThreadPoolExecutor(max(1, (os.cpu_count() or 1))) as pool:
        totals = dict(zip(jobs, pool.map(lambda job: _total(*job), jobs), strict=True))
    return {name: round((totals[name, _LARGE] - totals[name, _SMALL]) / (_LARGE - _SMALL)) for name in names}


def _warm(name: str) -> None:
    # Compiles what is not compiled yet; a count with the compiler in it would not repeat.
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.instructions", "--run", name, "--calls", "20"],
        cwd=ROOT,
        capture_output=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr.decode(errors='replace')[-2000:]}")


def environment() -> dict[str, str]:
    """What a count depends on besides this package."""
    packages = ("aiohttp", "attrs", "cattrs", "frozenlist", "multidict", "propcache", "yarl")
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()} ({platform.python_compiler()})",
        "machine": platform.machine(),
        **{name: importlib.metadata.version(name) for name in packages},
    }


def verdict(now: dict[str, Any], recorded: dict[str, Any]) -> tuple[bool, list[str]]:
    """Compare two measurements: whether the new one passes, and what to say about it."""
    same = now["environment"] == recorded["environment"]
    bound = TOLERANCE if same else ELSEWHERE
    lines = []
    passed = True
    if not same:
        lines.append("recorded with other versions: the ratio to bare aiohttp is compared, not the count")
    for name, counted in now["instructions"].items():
        ratio = counted / now["instructions"]["bare"]
        before = recorded["instructions"].get(name)
        text = f"{name:<12}{counted:>10,} instructions per call, x{ratio:.3f} of bare aiohttp"
        if before is None:
            lines.append(text + ", not recorded yet")
            continue
        change = counted / before if same else ratio / (before / recorded["instructions"]["bare"])
        lines.append(f"{text}, {change - 1:+.2%} against the record")
        # Bare aiohttp is the base, not ours to keep in bounds.
        if name != "bare" and change > bound:
            passed = False
            lines.append(f"{name} became more than {bound - 1:.0%} dearer: find out why, or --record it on purpose")
    return passed, lines


def measure() -> dict[str, Any] | None:
    """Count now; None where there is no valgrind."""
    if shutil.which("valgrind") is None:
        return None
    return {"environment": environment(), "instructions": count()}


def main() -> int:
    """Count, compare, and say so; 1 when a call became dearer than the record allows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="write the counts down instead of comparing them")
    parser.add_argument("--run", metavar="CLIENT", help=argparse.SUPPRESS)
    parser.add_argument("--calls", type=int, default=_SMALL, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        _run(arguments.run, arguments.calls)
        return 0
    now = measure()
    if now is None:
        print("SKIPPED: valgrind is not installed, so instructions cannot be counted")
        return 0
    if arguments.record:
        RECORD.write_text(json.dumps(now, indent=2) + "\n")
        print(f"recorded: {now['instructions']}")
        return 0
    if not RECORD.exists():
        print(f"nothing is recorded yet: run with --record. Now: {now['instructions']}")
        return 1
    passed, lines = verdict(now, json.loads(RECORD.read_text()))
    print("\n".join(lines))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
