"""The pytest plugin as users have it: in a pytest run of its own, in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

OURS = ("-p", "cyclr_async.simulator.pytest_plugin")
SCOPE = ("-o", "asyncio_default_fixture_loop_scope=function")


def run(folder: Path, source: str, *options: str, autoload: bool = False) -> str:
    """Run a test file. Other people's plugins are left out, since they cost seconds, unless ``autoload``."""
    (folder / "test_it.py").write_text(textwrap.dedent(source), encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-W",
        "error",
        "--strict-markers",
        "-p",
        "no:cacheprovider",
        *options,
    ]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    if autoload:
        del environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"]
    else:
        command += OURS
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False, env=environment)
    return done.stdout + done.stderr


def test_sync_tests(tmp_path: Path) -> None:
    out = run(
        tmp_path,
        """
        import os, subprocess, sys, urllib.error, urllib.request, asyncio
        import pytest
        from cyclr_async import AsyncPartnerSession

        def test_url(cyclr_url):
            with pytest.raises(urllib.error.HTTPError) as failure:
                urllib.request.urlopen(cyclr_url + "/api/partner/details")
            assert failure.value.code == 401
            failure.value.close()

        @pytest.mark.cyclr(accounts=3, seed=1)
        def test_environment(cyclr_environment, cyclr_simulator):
            assert os.environ["CYCLR_BASE_URL"] == cyclr_simulator.base_url
            async def work():
                async with AsyncPartnerSession.from_env() as session:
                    return await session.accounts.list()
            assert len(asyncio.run(work())) == 3

        def test_afterwards():
            assert "CYCLR_BASE_URL" not in os.environ
        """,
    )
    assert "3 passed" in out, out


ASYNC = """
import pytest
from cyclr_async.simulator import Fault
from cyclr_async import RateLimitedError, RetryPolicy

pytestmark = {mark}

@pytest.fixture(scope="session")
def anyio_backend():
    return "asyncio"

@pytest.mark.cyclr(accounts=3, rate=1000)
async def test_one(cyclr_session, cyclr_simulator):
    accounts = await cyclr_session.accounts.list()
    assert [account.id for account in accounts] == cyclr_simulator.account_ids()
    assert cyclr_simulator.rate_limit == 1000

async def test_two(cyclr_session, cyclr_faults):
    cyclr_faults.add("500:x1:op=details")
    async with cyclr_session as session:
        assert (await session.details()).domain == "partner.example.com"
    assert cyclr_faults.items()[0][2] == 1

class TestThree:
    @pytest.mark.parametrize("count", [1, 2])
    async def test_three(self, cyclr_session, cyclr_simulator, count):
        for _ in range(count):
            await cyclr_session.accounts.create(name="x")
        assert cyclr_simulator.account_count == 50 + count

async def test_never_used(cyclr_session):
    assert not cyclr_session.closed
"""


@pytest.mark.parametrize(
    ("mark", "options"),
    [
        ("pytest.mark.asyncio", ("-p", "pytest_asyncio.plugin", *SCOPE)),
        ("pytest.mark.anyio", ("-p", "anyio.pytest_plugin")),
        ("[]", ("-p", "pytest_asyncio.plugin", "-o", "asyncio_mode=auto", *SCOPE)),
    ],
)
def test_async_tests(tmp_path: Path, mark: str, options: tuple[str, ...]) -> None:
    out = run(tmp_path, ASYNC.replace("{mark}", mark), *options)
    assert "5 passed" in out, out


def test_bad_marker(tmp_path: Path) -> None:
    out = run(
        tmp_path,
        """
        import pytest

        @pytest.mark.cyclr(color="red")
        def test_color(cyclr_url): ...

        @pytest.mark.cyclr(3)
        def test_position(cyclr_url): ...

        @pytest.mark.cyclr(accounts=-1)
        def test_value(cyclr_url): ...
        """,
    )
    assert "3 errors" in out, out
    assert "color" in out
    assert "named settings" in out
    assert "accounts must be a whole number" in out


def test_a_run_without_the_fixtures_imports_nothing_heavy(tmp_path: Path) -> None:
    out = run(
        tmp_path,
        """
        import sys

        def test_nothing():
            assert "cyclr_async.simulator.pytest_plugin" in sys.modules
            heavy = {"aiohttp", "attrs", "attr", "cattrs", "yarl", "cyclr_async.simulator.server"}
            assert not heavy & set(sys.modules)
        """,
    )
    assert "1 passed" in out, out


def test_it_is_found_without_being_named(tmp_path: Path) -> None:
    assert "@pytest.mark.cyclr(" in run(tmp_path, "", "--markers", *SCOPE, autoload=True)


def test_fixtures_are_listed(tmp_path: Path) -> None:
    listed = run(tmp_path, "", "--fixtures")
    for name in ("cyclr_simulator", "cyclr_session", "cyclr_url", "cyclr_faults", "cyclr_environment"):
        assert name in listed


@pytest.mark.cyclr(accounts=2)
async def test_in_this_run_too(cyclr_session, cyclr_simulator) -> None:  # type: ignore[no-untyped-def]
    assert len(await cyclr_session.accounts.list()) == 2
    assert cyclr_simulator.requests.count(operation="accounts.list") == 1
