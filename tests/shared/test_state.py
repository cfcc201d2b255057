"""What ``shared=`` accepts, where it cannot work, and what a place that is not there costs."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cyclr_async import (
    AsyncPartnerSession,
    ClientCredentials,
    ConfigurationError,
    Limits,
    SharedState,
    SharedStateError,
    StaticToken,
)
from cyclr_async.secret import SecretUrl
from cyclr_async.shared import file as file_module
from cyclr_async.shared.state import SharedState as Same
from cyclr_async.simulator import Simulator
from tests.support.canary import assert_no_canary
from tests.support.ports import ClosedPort


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ("some/file", str(Path("some/file").absolute())),
        (Path("/run/x"), "/run/x"),
        ("~/x", str(Path("~/x").expanduser())),
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("REDISS://user:canary-pw@host", "rediss://***@host"),
        (SecretUrl("unix:///run/redis.sock"), "***"),
    ],
)
def test_paths_and_urls(value: Any, place: str) -> None:
    assert SharedState.of(value).place.lower() == place.lower()
    assert_no_canary(SharedState.of(value))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("http://localhost", "unknown scheme 'http': use redis://"),
        ("memcached://x", "unknown scheme"),
        ("redis://", "no URL of Redis"),
        ("redis://x:port", "no URL of Redis"),
        (" ", "path of the file is empty"),
        ("a\0b", "NUL"),
        (7, "not an object of type int"),
    ],
)
def test_what_cannot_be_shared_by(value: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        AsyncPartnerSession("bearer", shared=value)


def test_a_wrong_setting_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="on_loss must be"):
        SharedState.file("x", on_loss="panic")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="prefix must be"):
        SharedState.redis("redis://x", prefix="a{b")
    with pytest.raises(ConfigurationError, match=r"client of redis\.asyncio, not an object of type int"):
        SharedState.redis(7)
    assert SharedState is Same


def test_the_setting_of_the_environment() -> None:
    session = AsyncPartnerSession.from_env(
        {"CYCLR_ACCESS_TOKEN": "bearer", "CYCLR_SHARED": "redis://:canary-pw@localhost:1/0"}
    )
    assert_no_canary(session)
    with pytest.raises(ConfigurationError, match="CYCLR_SHARED") as caught:
        AsyncPartnerSession.from_env({"CYCLR_ACCESS_TOKEN": "bearer", "CYCLR_SHARED": "redis://canary-pw@:1:2"})
    assert_no_canary(caught.value)


def test_without_the_extra_redis_is_said_to_be_missing(tmp_path: Path) -> None:
    """And a file needs nothing, and a session without ``shared=`` imports neither."""
    (tmp_path / "redis.py").mkdir()
    script = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('redis', 'cryptography'):\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        "import importlib.util\n"
        "importlib.util.find_spec = lambda name, _=None: None\n"
        "from cyclr_async import *\n"
        "AsyncPartnerSession('bearer')\n"
        "assert not [name for name in sys.modules if name.startswith(('cyclr_async.shared.', 'sqlite3', 'redis')) "
        "and name != 'cyclr_async.shared.state'], sys.modules\n"
        "AsyncPartnerSession('bearer', shared='x')\n"
        "try:\n"
        "    AsyncPartnerSession('bearer', shared='redis://localhost')\n"
        "except ConfigurationError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert "pip install 'cyclr-async[redis]'" in done.stdout, done.stderr


async def test_redis_absent_from_the_start_is_an_error_before_the_first_request() -> None:
    with ClosedPort() as closed, Simulator(accounts=1).in_thread() as sim:
        port = closed.base_url.split(":")[2].split("/")[0]
        url = f"redis://:canary-pw@127.0.0.1:{port}/0"
        for on_loss in ("local", "fail"):
            shared = SharedState.redis(url, on_loss=on_loss)
            async with sim.session(shared=shared) as session:
                for _ in range(2):  # it is asked anew: the server may have been started meanwhile
                    with pytest.raises(SharedStateError, match=r"cannot be used.*nothing was sent") as caught:
                        await session.details()
                    assert_no_canary(caught.value)
                    assert (caught.value.sent, caught.value.attempts) == ("never", 0)
        assert sim.requests.total == 0


async def asked(sim: Simulator, path: object) -> str:
    """The refusal of a place, "" when it is accepted."""
    async with sim.session(shared=SharedState.file(path)) as session:  # type: ignore[arg-type]
        try:
            await session.details()
        except SharedStateError as error:
            return str(error)
    return ""


async def test_files_that_cannot_be_used_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Simulator(accounts=1).in_thread() as sim:
        with sqlite3.connect(tmp_path / "other.sqlite") as other:
            other.execute("CREATE TABLE mine (x)")
        other.close()
        (tmp_path / "text").write_text("no database, and longer than a header of a hundred bytes" * 10)
        os.mkfifo(tmp_path / "pipe")
        assert "is another database" in await asked(sim, tmp_path / "other.sqlite")
        assert "not a database" in await asked(sim, tmp_path / "text")
        assert "no regular file" in await asked(sim, tmp_path / "pipe")
        assert "No such file" in await asked(sim, tmp_path / "missing" / "x")
        assert sim.requests.total == 0
        assert await asked(sim, tmp_path) == ""  # a folder stands for a file in it
        assert (tmp_path / "cyclr-shared.sqlite").exists()
        with sqlite3.connect(tmp_path / "other.sqlite") as other:
            assert other.execute("SELECT name FROM sqlite_schema").fetchall() == [("mine",)]
        other.close()


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_all_files_are_for_their_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "shared"
    path.touch(0o644)
    before = os.umask(0)
    try:
        with Simulator(accounts=1).in_thread() as sim:
            async with sim.session(shared=path, limits=Limits(requests_per_second=100)) as session:
                await session.details()
                files = files_in(tmp_path)
                assert len(files) >= 4  # the log and its index, and the locks
                assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    finally:
        os.umask(before)


@pytest.mark.parametrize(
    ("mounts", "kind"),
    [
        ("1 0 0:1 / / rw - ext4 /dev/x rw\n2 1 0:2 / /srv/data rw shared:1 - nfs4 host:/x rw", "nfs4"),
        ("1 0 0:1 / / rw - cifs //x rw\n2 1 0:2 / /srv rw - ext4 /dev/y rw", "ext4"),
        ("2 1 0:2 / /srv\\040x rw - nfs4 host:/x rw\n1 0 0:1 / / rw - ext4 /dev/x rw", "ext4"),
    ],
)
def test_the_file_system_of_a_folder(mounts: str, kind: str) -> None:
    assert file_module.mounted_as(Path("/srv/data/app"), mounts) == kind


async def test_a_lock_of_a_child_does_not_outlive_the_parents_session(tmp_path: Path) -> None:
    """A session is made before the fork and first used after it: what it shares is opened by whoever uses it."""
    session = AsyncPartnerSession(ClientCredentials("id", "secret"), shared=tmp_path / "x")
    assert files_in(tmp_path) == []
    await session.close()
    assert files_in(tmp_path) == []


async def test_a_fixed_token_shares_the_rate_only(tmp_path: Path) -> None:
    with Simulator(accounts=1).in_thread() as sim:
        async with sim.session() as one:
            await one.details()
        async with sim.session(auth=StaticToken("nonsense"), shared=tmp_path / "x") as session:
            with pytest.raises(Exception, match=r"401|denied"):
                await session.details()
            assert session.stats().shared == "held"
