"""The recipes of CONTRIBUTING.md work: each is carried out as it stands in a copy of the package, and tried."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import cyclr_async

TEXT = Path(__file__).parents[2] / "CONTRIBUTING.md"
pytestmark = pytest.mark.skipif(not TEXT.is_file(), reason="only in a checkout")


def carry_out(section: str, root: Path) -> None:
    """Make the edits of a recipe: the rows of its table, and its blocks of code that are files."""
    rows = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \| `([^`]+)` \|$", section, re.MULTILINE)
    assert rows
    for name, anchor, added in rows:
        path = root / name
        lines = path.read_text(encoding="utf-8").splitlines()
        places = [number for number, line in enumerate(lines) if anchor in line]
        assert len(places) == 1, f"{name} has {len(places)} lines with {anchor}"
        above = lines[places[0]]
        # Below a line that opens a bracket an entry is indented as its neighbours, otherwise as that line.
        model = lines[places[0] + 1] if above.endswith(("{", "[", "(")) else above
        indent = model[: len(model) - len(model.lstrip())]
        lines.insert(places[0] + 1, indent + added)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name, source in re.findall(r"```python\n# (\S+\.py)\n(.*?)```", section, re.DOTALL):
        assert not (root / name).exists()
        (root / name).write_text(source, encoding="utf-8")


def sections() -> dict[str, str]:
    parts = re.split(r"<!-- recipe: (\w+) -->", TEXT.read_text(encoding="utf-8"))
    return {name: part.partition("\n### ")[0] for name, part in zip(parts[1::2], parts[2::2], strict=True)}


SCRIPTS = {
    "endpoint": """
import asyncio
from cyclr_async import Notice, Notices
from cyclr_async.simulator import Simulator

async def main():
    async with Simulator(accounts=1) as cyclr, cyclr.session() as session:
        assert type(session.notices) is Notices
        assert await session.notices.list() == [Notice(id="1", text="Hello")]
        cyclr.faults.add("404:op=notices.list")
        try:
            await session.notices.list()
        except LookupError:
            raise AssertionError
        except Exception as error:
            assert type(error).__name__ == "NotFoundError", error
        else:
            raise AssertionError

asyncio.run(main())
""",
    "fault": """
import asyncio
from cyclr_async import DecodeError
from cyclr_async.simulator import Fault, Simulator

async def main():
    async with Simulator(accounts=1) as cyclr, cyclr.session(retry=None) as session:
        assert Fault.parse("empty") == Fault.from_dict({"kind": "empty"})
        number = cyclr.faults.add("empty:op=details")
        try:
            await session.details()
        except DecodeError:
            assert cyclr.faults.hits(number) >= 1
        else:
            raise AssertionError
        assert len(await session.accounts.list()) == 1

asyncio.run(main())
""",
    "exporter": """
import asyncio
from cyclr_async.simulator import Simulator
from cyclr_async.usage import COLUMNS, export_usage

async def main():
    async with Simulator(accounts=3) as cyclr, cyclr.session() as session:
        async with session.accounts.collect_usage(store="usage.sqlite") as run:
            async for outcome in run:
                assert outcome.ok

asyncio.run(main())
result = export_usage("usage.sqlite", "usage.tsv")
assert (result.format, result.rows) == ("tsv", 3), result
header, *rows = [line.split("\\t") for line in open("usage.tsv", encoding="utf-8").read().splitlines()]
assert header == list(COLUMNS), header
assert [len(row) for row in rows] == [len(COLUMNS)] * 3
""",
    "command": """
import contextlib, io, json
from cyclr_async.cli import main

printed = io.StringIO()
with contextlib.redirect_stdout(printed):
    try:
        code = main(["greet", "--simulate", "-o", "json"])
    except SystemExit as stop:
        code = stop.code
assert not code, code
assert json.loads(printed.getvalue())["domain"], printed.getvalue()
""",
}


def test_every_recipe_is_tried() -> None:
    assert sections().keys() == SCRIPTS.keys()


@pytest.mark.parametrize("recipe", SCRIPTS)
def test_a_recipe_works_as_it_stands(recipe: str, tmp_path: Path) -> None:
    package = Path(cyclr_async.__file__).parent
    shutil.copytree(package, tmp_path / "cyclr_async", ignore=shutil.ignore_patterns("__pycache__"))
    carry_out(sections()[recipe], tmp_path)
    script = f"import cyclr_async\nassert cyclr_async.__file__.startswith({str(tmp_path)!r})\n{SCRIPTS[recipe]}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CYCLR_")}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
