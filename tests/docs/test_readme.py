"""What the README shows works."""

import contextlib
import io
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

import cyclr_async
from cyclr_async import AsyncPartnerSession, ClientCredentials, CyclrError, Region
from cyclr_async.simulator import Simulator

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_example_runs_as_it_stands() -> None:
    (example,) = [block for block in BLOCKS if "asyncio.run(main())" in block]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", example], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert re.search(
        r"^redirect the browser to http://127\.0\.0\.1:\d+/account/signinwithtoken\?token=\*\*\*$",
        done.stdout,
        re.MULTILINE,
    )
    assert len(re.findall(r"^.+ \d+ tasks$", done.stdout, re.MULTILINE)) == 4  # three of the partner's and the new one


def test_the_one_line_that_changes() -> None:
    (line,) = [block for block in BLOCKS if block.startswith("async with AsyncPartnerSession(")]
    expression = line.removeprefix("async with ").removesuffix(" as session:\n")
    session = eval(
        expression,
        {"AsyncPartnerSession": AsyncPartnerSession, "ClientCredentials": ClientCredentials, "Region": Region},
    )
    assert str(session.root) == "https://eu.cyclr.com/api/partner"


async def test_collection_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = [block for block in BLOCKS if "collect_usage(" in block]
    monkeypatch.chdir(tmp_path)
    async with Simulator(accounts=5, seed=7) as cyclr, cyclr.session() as session:
        source = "async def run_block(session, date):\n" + "".join(f"    {line}\n" for line in block.splitlines())
        scope: dict[str, object] = {}
        exec(compile(source, "README.md", "exec"), scope)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            await scope["run_block"](session, date)  # type: ignore[operator]
    assert len(printed.getvalue().splitlines()) == 5
    assert (tmp_path / "usage.sqlite").exists()


def test_every_error_named_is_public() -> None:
    table = README[README.index("### Errors") : README.index("### Test your own code")]
    named = set(re.findall(r"`(\w+Error)`", table))
    assert len(named) > 15
    for name in named:
        assert issubclass(getattr(cyclr_async, name), CyclrError)


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert len(links) > 5
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_both_commands_are_one_line() -> None:
    for name in ("job", "tests"):
        found = re.search(rf"<!-- command: {name} -->\n```sh\n(.*?)```", README, re.DOTALL)
        assert found is not None
        assert found.group(1).count("\n") == 1
