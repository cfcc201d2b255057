"""Who may write to a store: one process, however the files beside it are treated."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from cyclr_async.errors import CyclrError, InvalidArgumentError, StoreError
from cyclr_async.usage import RunScope, UsageReader, UsageStore, export_usage
from tests.support.usage_make import At, good

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX")
linux = pytest.mark.skipif(sys.platform != "linux", reason="locks of an open file")

HOLDER = """
import asyncio, os, sys
from cyclr_async.usage import RunScope, UsageStore
from tests.support.usage_make import At, good

async def main():
    store = await UsageStore.open(sys.argv[1], RunScope("https://x/api/partner", "p"), resume=None, clock=At())
    await store.record(good("held"))
    await store.flush()
    {also}
    print("open", flush=True)
    sys.stdin.read()

asyncio.run(main())
"""


def names_in(folder: Path) -> list[bytes]:
    return sorted(os.fsencode(entry.name) for entry in folder.iterdir())


def script(code: str, path: Path) -> subprocess.Popen[bytes]:
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    return subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env
    )


@contextmanager
def held(path: Path, also: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """Another process that has the store open and waits."""
    with script(HOLDER.replace("{also}", also), path) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"open\n"
            yield process
        finally:
            process.kill()


async def accounts_in(path: Path) -> list[str]:
    with UsageReader(path) as reader:
        return [row.account_id for row in reader.rows() if row.state == "ok"]


@linux
async def test_without_its_companion_the_store_is_locked_all_the_same(path: Path, scope: RunScope) -> None:
    with held(path) as other:
        companion = path.with_name("usage.db.lock")
        for content in (None, "", '{"pid": 1, "host": "elsewhere"}', "[]"):
            companion.unlink(missing_ok=True)
            if content is not None:
                companion.write_text(content)
            with pytest.raises(StoreError, match=rf"in use by process {other.pid}:"):
                await UsageStore.open(path, scope, resume=None, clock=At())
    async with await UsageStore.open(path, None, resume=True, clock=At()) as store:  # a dead holder never blocks
        await store.record(good("more"))
    assert await accounts_in(path) == ["held", "more"]


@linux
async def test_another_name_of_the_same_file_is_the_same_store(path: Path, scope: RunScope) -> None:
    async with await UsageStore.open(path, scope, clock=At()) as store:
        hard, soft = path.with_name("hard.db"), path.with_name("soft.db")
        hard.hardlink_to(path)
        soft.symlink_to(path)
        for name in (hard, soft):
            with pytest.raises(StoreError, match=f"in use by process {os.getpid()}"):
                await UsageStore.open(name, scope, resume=None, clock=At())
        await store.record(good("a"))


async def test_the_refusal_says_who_and_since_when(path: Path, scope: RunScope) -> None:
    with held(path) as other, pytest.raises(StoreError, match=rf"process {other.pid} on '.+' since 20\d\d-.+Z: wait"):
        await UsageStore.open(path, scope, resume=None, clock=At())


@posix
async def test_a_companion_that_is_a_link_is_not_followed(path: Path, scope: RunScope) -> None:
    target = path.with_name("precious.txt")
    target.write_text("precious")
    path.with_name("usage.db.lock").symlink_to(target)
    with pytest.raises(StoreError, match="cannot lock"):
        await UsageStore.open(path, scope, clock=At())
    assert target.read_text() == "precious"


async def test_a_companion_that_was_removed_is_made_again(path: Path, scope: RunScope) -> None:
    companion = path.with_name("usage.db.lock")
    async with await UsageStore.open(path, scope, clock=At()) as store:
        companion.unlink()
        await store.record(good("a"))
        await store.flush()
        assert str(os.getpid()) in companion.read_text()
    assert not companion.exists()
    assert await accounts_in(path) == ["a"]


@posix
@pytest.mark.parametrize("how", ["moved", "moved and replaced", "replaced", "removed"])
async def test_a_store_that_is_not_in_its_place_is_noticed_at_the_next_commit(
    path: Path, scope: RunScope, how: str
) -> None:
    elsewhere, copy = path.with_name("elsewhere.db"), path.with_name("copy.db")
    await (await UsageStore.open(path, scope, clock=At())).close()
    shutil.copy(path, copy)
    store = await UsageStore.open(path, scope, resume=True, clock=At())
    await store.record(good("early"))
    await store.flush()
    if how.startswith("moved"):
        path.rename(elsewhere)  # noqa: ASYNC240
    if "replaced" in how:
        copy.replace(path)
    if how == "removed":
        path.unlink()  # noqa: ASYNC240
    await store.record(good("late"))
    words = "everything recorded so far is in the moved file.*elsewhere.db" if how.startswith("moved") else "is lost"
    with pytest.raises(StoreError, match=words):
        await store.flush()
    with pytest.raises(StoreError):
        await store.record(good("too late"))
    await store.close()
    if how.startswith("moved"):
        assert await accounts_in(elsewhere) == ["early", "late"]
    if "replaced" in how:
        # The write-ahead log of the file that is gone is not taken for its own.
        assert await accounts_in(path) == []
        async with await UsageStore.open(path, scope, resume=True, clock=At()) as store:
            await store.record(good("new"))
        assert await accounts_in(path) == ["new"]
        with closing(sqlite3.connect(path)) as other:
            assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@posix
async def test_a_move_after_the_last_commit_is_told_when_the_store_is_closed(path: Path, scope: RunScope) -> None:
    store = await UsageStore.open(path, scope, clock=At())
    await store.record(good("a"))
    await store.finish("complete")
    path.rename(path.with_name("elsewhere.db"))  # noqa: ASYNC240
    with pytest.raises(StoreError, match=r"elsewhere\.db"):
        await store.close()


@posix
async def test_nobody_enters_by_a_replaced_file_while_the_first_is_written(path: Path, scope: RunScope) -> None:
    with held(path) as other:
        path.rename(path.with_name("elsewhere.db"))  # noqa: ASYNC240
        with pytest.raises(StoreError, match=f"in use by process {other.pid} "):
            await UsageStore.open(path, scope, resume=None, clock=At())


@posix
@pytest.mark.parametrize("exit_of_child", ["os._exit(0)", "raise SystemExit", "asyncio.run(store.close())"])
def test_the_end_of_a_forked_child_touches_nothing(path: Path, exit_of_child: str) -> None:
    code = f"""
import asyncio, os, sys, time
from cyclr_async.errors import StoreError
from cyclr_async.usage import RunScope, UsageStore
from tests.support.usage_make import At, good

async def opened():
    store = await UsageStore.open(sys.argv[1], RunScope("https://x/api/partner", "p"), batch_seconds=30, clock=At())
    await store.record(good("a"))
    await store.add_accounts(["b", "c"])  # a transaction is open when the process is forked
    return store

loop = asyncio.new_event_loop()
store = loop.run_until_complete(opened())
child = os.fork()
if child == 0:
    asyncio.set_event_loop(None)
    try:
        asyncio.run(store.flush())
    except StoreError as error:
        assert "forked" in str(error), error
    else:
        os._exit(9)
    {exit_of_child}
    sys.exit(0)
started = time.monotonic()
print(os.waitpid(child, 0)[1], flush=True)
assert time.monotonic() - started < 3, "the child hung"
try:
    loop.run_until_complete(UsageStore.open(sys.argv[1], None, resume=True, clock=At()))
except StoreError as error:
    print(error)
loop.run_until_complete(store.record(good("d")))
loop.run_until_complete(store.close())
"""
    with script(code, path) as process:
        output = process.communicate(timeout=20)[0].decode().splitlines()
    assert process.returncode == 0
    assert output[0] == "0"
    assert f"in use by process {process.pid}" in output[1]  # the child did not give up its parent's lock
    with UsageReader(path) as reader:
        assert [(row.account_id, row.state) for row in reader.rows()] == [
            ("a", "ok"),
            ("b", "pending"),
            ("c", "pending"),
            ("d", "ok"),
        ]
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@posix
@pytest.mark.parametrize(
    "start",
    [
        "child = os.fork()\n    if child == 0:\n        os.close(1); __import__('time').sleep(30); os._exit(0)",
        "import subprocess; subprocess.Popen(['sleep', '30'], close_fds=False, stdin=-3, stdout=-3)",
    ],
    ids=["forked", "started"],
)
async def test_a_child_does_not_hold_the_lock_of_a_parent_that_was_killed(path: Path, start: str) -> None:
    with held(path, start) as other:
        other.kill()
        other.wait()
        for left in reversed(range(200)):  # the child gives the lock up when it first runs, which may take a moment
            try:
                store = await UsageStore.open(path, None, resume=True, clock=At())
            except StoreError:
                assert left, "the child still holds the lock"
                await asyncio.sleep(0.01)
            else:
                break
        async with store:
            await store.record(good("b"))
    assert await accounts_in(path) == ["b", "held"]


@posix
async def test_a_dead_holder_whose_child_holds_on_is_named_as_such(path: Path) -> None:
    # A library that forks without telling Python: the child keeps every descriptor.
    also = "import ctypes\n    if ctypes.CDLL(None).fork() == 0:\n        os.close(1); sys.stdin.read(); os._exit(0)"
    with held(path, also) as other:
        assert other.stdin is not None
        other.kill()
        other.wait()
        with pytest.raises(StoreError, match=rf"process {other.pid} on .*has ended and left a child.*fuser"):
            await UsageStore.open(path, None, resume=True, clock=At())
        other.stdin.close()  # the child ends
        for _ in range(200):
            try:
                await (await UsageStore.open(path, None, resume=True, clock=At())).close()
                break
            except StoreError:
                time.sleep(0.01)  # noqa: ASYNC251
        else:
            pytest.fail("the lock of a dead process blocks")


@linux
async def test_a_reader_of_this_process_keeps_its_locks_when_a_writer_comes_and_goes(
    path: Path, scope: RunScope
) -> None:
    """POSIX drops all locks of a process on a file when it closes any descriptor of the file."""

    def locks() -> int:
        number = str(path.stat().st_ino)
        lines = Path("/proc/locks").read_text().splitlines()
        return sum("POSIX" in line and f":{number} " in line and f" {os.getpid()} " in line for line in lines)

    async with await UsageStore.open(path, scope, clock=At()) as store:
        await store.record(good("a"))
    with UsageReader(path) as reader:
        rows = reader.rows()
        next(rows)
        before = locks()
        assert before > 0
        store = await UsageStore.open(path, scope, resume=True, clock=At())
        with pytest.raises(StoreError, match="in use"):
            await UsageStore.open(path, scope, resume=True, clock=At())
        await store.close()
        assert locks() == before
        del rows
    descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(3):
        await (await UsageStore.open(path, scope, resume=True, clock=At())).close()
    assert len(os.listdir("/proc/self/fd")) <= descriptors  # noqa: PTH208  what was kept open is closed by now


@pytest.mark.parametrize("name", [":memory:", "", "a\0b.db", "file::memory:?cache=shared", "file:x?mode=memory"])
async def test_names_that_are_no_file_are_refused(
    tmp_path: Path, scope: RunScope, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidArgumentError, match=r"store|file"):
        await UsageStore.open(name, scope, clock=At())
    with pytest.raises(InvalidArgumentError):
        UsageReader(name)
    with pytest.raises(InvalidArgumentError):
        export_usage(name, "x.csv")
    assert names_in(tmp_path) == []


@posix
@pytest.mark.parametrize("kind", ["folder", "fifo", "device", "loop", "no such folder", "below a file", "too long"])
async def test_what_is_not_a_regular_file_is_refused(tmp_path: Path, scope: RunScope, kind: str) -> None:
    path = tmp_path / "thing"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path = Path(os.devnull)
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "no such folder":
        path = tmp_path / "none" / "usage.db"
    elif kind == "below a file":
        (tmp_path / "file").write_text("")
        path = tmp_path / "file" / "usage.db"
    else:
        path = tmp_path / ("x" * 300)
    before = names_in(tmp_path)
    with pytest.raises(StoreError):
        await UsageStore.open(path, scope, clock=At())
    with pytest.raises(StoreError):
        UsageReader(path)
    assert names_in(tmp_path) == before


@posix
@pytest.mark.parametrize(
    "name",
    [
        b"caf\xe9.db",
        b"a?mode=memory&b.db",
        b"x#y%20z.db",
        b"file:q.db",
        b"new\nline.db",
        "漢字.db".encode(),
        b"'quo\"te.db",
    ],
)
async def test_any_other_name_is_a_file_of_that_name(tmp_path: Path, scope: RunScope, name: bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    async with await UsageStore.open(path, scope, clock=At()) as store:
        await store.record(good("a"))
        with pytest.raises(StoreError, match="in use") as caught:
            await UsageStore.open(path, scope, resume=None, clock=At())
        str(caught.value).encode("utf-8")  # a message can always be written down
        assert "\n" not in str(caught.value)
    assert names_in(tmp_path) == [name]
    assert await accounts_in(path) == ["a"]
    assert export_usage(path, tmp_path / "out.csv").rows == 1


async def test_two_slashes_are_no_host(path: Path, scope: RunScope) -> None:
    doubled = "/" + str(path) if sys.platform != "win32" else str(path)
    await (await UsageStore.open(doubled, scope, clock=At())).close()
    assert await accounts_in(Path(doubled)) == []


async def test_what_is_no_path_is_refused(scope: RunScope) -> None:
    with pytest.raises(InvalidArgumentError, match="int"):
        await UsageStore.open(5, scope, clock=At())  # type: ignore[arg-type]
    with pytest.raises(CyclrError):
        UsageReader(None)  # type: ignore[arg-type]


def test_one_of_many_processes_gets_the_store(path: Path) -> None:
    code = (
        "import asyncio,sys\nfrom cyclr_async.errors import StoreError\n"
        "from cyclr_async.usage import RunScope, UsageStore\n"
        "sys.stdin.read(1)\n"
        "async def main():\n"
        "    try:\n"
        "        store = await UsageStore.open(sys.argv[1], RunScope('https://x', 'p'), resume=None)\n"
        "    except StoreError as error:\n"
        "        print('refused' if 'in use' in str(error) else error, flush=True)\n"
        "    else:\n"
        "        print('open', flush=True); sys.stdin.read(); await store.close()\n"
        "asyncio.run(main())"
    )
    processes = [script(code, path) for _ in range(4)]
    answers: list[bytes] = []
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"x")
        process.stdin.flush()
    threads = [threading.Thread(target=lambda one=one: answers.append(one.stdout.readline())) for one in processes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    for process in processes:
        process.communicate(timeout=20)
    assert sorted(answers) == [b"open\n"] + [b"refused\n"] * 3
