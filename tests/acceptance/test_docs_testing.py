"""The pages about testing are executed: each file they show is written to a folder, and run there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from cyclr_async.simulator import OPERATIONS, Fault, Simulator

DOCS = Path(__file__).parents[2] / "docs"
TESTING = (DOCS / "testing.md").read_text(encoding="utf-8")
SIMULATOR = (DOCS / "simulator.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", TESTING, re.DOTALL))
QUIET = ("-W", "error", "-W", "ignore:Using `httpx`")


def python(folder: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CYCLR_", "PYTEST_"))}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


COUNTS = {
    "test_bill.py": 3,
    "test_service.py": 4,
    "test_async.py": 2,
    "test_months.py": 2,
    "test_with_aioresponses.py": 1,
}


def test_files_of_the_testing_page(tmp_path: Path) -> None:
    """All in one run, as a reader would have them in one folder; a start of pytest each would take four seconds."""
    for file, source in FILES.items():
        (tmp_path / file).write_text(source, encoding="utf-8")
    plugins = ("-p", "cyclr_async.simulator.pytest_plugin", "-p", "pytest_asyncio.plugin")
    loop = ("-o", "asyncio_default_fixture_loop_scope=function")
    out = python(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rA", *QUIET, *plugins, *loop)
    assert {name: out.count(f"PASSED {name}::") for name in FILES if name.startswith("test_")} == COUNTS


def test_every_python_block_is_a_file_that_is_run() -> None:
    assert TESTING.count("```python") == len(FILES) == 7
    assert {"bill.py", "service.py"} < set(FILES)


def test_example_of_the_simulator_page(tmp_path: Path) -> None:
    requests, months = re.findall(r"```python\n(.*?)```", SIMULATOR, re.DOTALL)
    (tmp_path / "example.py").write_text(requests, encoding="utf-8")
    assert re.fullmatch(r"2026-11-24 09:00:\d\d\+00:00 4 requests\n", python(tmp_path, "-W", "error", "example.py"))
    (tmp_path / "months.py").write_text(months, encoding="utf-8")
    assert python(tmp_path, "-W", "error", "months.py").splitlines() == [
        "2026-11-09 2026-10-09 2026-11-08 100",
        "2026-12-10 2026-10-09 2026-11-08 100",
        "2027-01-10 2026-10-09 2026-11-08 100",
    ]


def test_faults_of_the_simulator_page() -> None:
    rows = re.findall(r"^\| `(Fault\.[^`]*)` \| `([^`]*)` \|", SIMULATOR, re.MULTILINE)
    assert len(rows) == 11
    for call, text in rows:
        shown = eval(call, {"Fault": Fault, "body": '{"unexpected":[1,2,3]}'})
        read = Fault.parse(text)
        assert read.kind == shown.kind
        assert call.startswith("Fault.html") or read == shown
    # In the table of v1.0 a name that begins with a point goes on where the last whole name of its row ended.
    shown, group = set(), ""
    for name in re.findall(r"`(\.?[a-z0-9_]+(?:\.[a-z_]+){0,2})`", SIMULATOR):
        group = group if name.startswith(".") else name.rpartition(".")[0]
        shown.add(group + name if name.startswith(".") else name)
    assert set(OPERATIONS) - shown == set()
    assert {name for name in shown if name.startswith("v1.")} - set(OPERATIONS) == set()


def test_names_of_the_simulator_page() -> None:
    shown = SIMULATOR[SIMULATOR.index("It has `base_url`") : SIMULATOR.index("**From a seed.**")]
    names = re.findall(r"`(\w+)", shown)
    assert len(names) > 20
    assert not [name for name in names if not hasattr(Simulator, name)]


def test_each_behaviour_says_what_it_rests_on() -> None:
    table = SIMULATOR[SIMULATOR.index("| Behaviour | Basis |") : SIMULATOR.index("## Speed")]
    rows = [line for line in table.splitlines()[2:] if line.startswith("|")]
    assert len(rows) > 35
    for row in rows:
        basis = row.rsplit("|", 2)[1]
        assert re.search(r"documented|observed|inferred|assumed|third part", basis), row
