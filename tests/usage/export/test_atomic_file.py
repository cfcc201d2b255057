"""What a write does to what was there before."""

from __future__ import annotations

import csv
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from cyclr_async.errors import InvalidArgumentError, StoreError
from cyclr_async.usage import export_usage
from cyclr_async.usage.export.atomic_file import check_target, replacing, spooling
from cyclr_async.usage.store.rows import RunScope
from cyclr_async.usage.store.store import UsageStore
from tests.support.usage_make import good

ROOT = os.geteuid() == 0


def write(target: str | Path, data: bytes = b"new") -> None:
    with replacing(target) as stream:
        stream.write(data)


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_a_regular_file_is_replaced_and_keeps_its_mode(tmp_path: Path) -> None:
    target = tmp_path / "a.csv"
    write(target)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    target.chmod(0o644)
    inode = target.stat().st_ino
    with target.open("rb") as reader:
        write(target, b"newer")
        assert reader.read() == b"new"
    assert (target.read_bytes(), stat.S_IMODE(target.stat().st_mode)) == (b"newer", 0o644)
    assert target.stat().st_ino != inode
    assert names(tmp_path) == ["a.csv"]


@pytest.mark.skipif(not ROOT, reason="only root gives files away")
def test_the_owner_stays(tmp_path: Path) -> None:
    target = tmp_path / "a.csv"
    target.write_text("old")
    os.chown(target, 4711, 4712)
    target.chmod(0o640)
    write(target)
    found = target.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (4711, 4712, 0o640)


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path, exists: bool) -> None:
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "a.csv", tmp_path / "link.csv"
    if exists:
        target.write_text("old")
    (tmp_path / "hop").symlink_to("real/a.csv")
    link.symlink_to("hop")
    write(link)
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert names(tmp_path / "real") == ["a.csv"]


def test_a_hard_link_keeps_the_old_content(tmp_path: Path) -> None:
    target, other = tmp_path / "a.csv", tmp_path / "b.csv"
    target.write_text("old")
    other.hardlink_to(target)
    write(target)
    assert (target.read_text(), other.read_text()) == ("new", "old")


@pytest.mark.skipif(not ROOT, reason="only root makes devices")
def test_a_device_stays_a_device(tmp_path: Path) -> None:
    device = tmp_path / "null"
    os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    write(device)
    check_target(device)
    assert stat.S_ISCHR(device.stat().st_mode)
    assert names(tmp_path) == ["null"]


def test_a_full_device_is_an_error() -> None:
    with pytest.raises(OSError, match="No space left"):
        write("/dev/full")
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)


@pytest.mark.parametrize("by_link", [False, True])
def test_a_fifo_is_written_to(tmp_path: Path, by_link: bool) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    target = fifo
    if by_link:
        target = tmp_path / "link"
        target.symlink_to(fifo)
    seen: list[bytes] = []
    reader = threading.Thread(target=lambda: seen.append(fifo.read_bytes()))
    reader.start()
    check_target(target)
    write(target)
    reader.join(10)
    assert seen == [b"new"]
    assert stat.S_ISFIFO(fifo.stat().st_mode)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    for target in (tmp_path, f"{tmp_path}/"):
        with pytest.raises(IsADirectoryError):
            check_target(target)
        with pytest.raises(IsADirectoryError):
            write(target)
    for target in (tmp_path / "no" / "a.csv", tmp_path / "a.csv" / "b.csv"):
        with pytest.raises(FileNotFoundError):
            check_target(target)
        with pytest.raises(FileNotFoundError):
            write(target)
    assert names(tmp_path) == []


def test_a_circle_of_links_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic link"):
        write(tmp_path / "a")
    assert names(tmp_path) == ["a", "b"]


def test_what_is_protected_stays() -> None:
    # Root may write everywhere, so root becomes nobody first.
    code = (
        "import os, sys\nfrom cyclr_async.usage.export.atomic_file import check_target, replacing\n"
        "if os.geteuid() == 0:\n    os.setgid(65534); os.setuid(65534)\n"
        "for act in (check_target, lambda target: replacing(target).__enter__()):\n"
        "    for target in sys.argv[1:]:\n"
        "        try:\n            act(target)\n"
        "        except PermissionError as error:\n            print(error.strerror)\n"
    )
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to others
        folder = Path(name)
        folder.chmod(0o777)
        closed, protected = folder / "closed" / "a.csv", folder / "protected"
        closed.parent.mkdir()
        for target, mode in ((protected, 0o444), (closed, 0o666)):
            target.write_text("old")
            target.chmod(mode)
        closed.parent.chmod(0o555)
        done = subprocess.run(
            [sys.executable, "-c", code, protected, closed], capture_output=True, text=True, check=False, timeout=30
        )
        left = (protected.read_text(), closed.read_text(), names(closed.parent), names(folder))
        closed.parent.chmod(0o755)
    assert done.stdout.splitlines() == [
        "is write-protected",
        "the folder cannot be written to",
        "is write-protected",
        "Permission denied",
    ], done.stderr
    assert left == ("old", "old", ["a.csv"], ["closed", "protected"])


@pytest.mark.parametrize("path", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
@pytest.mark.parametrize("kind", ["pipe", "file"])
def test_an_open_descriptor_is_written_on(tmp_path: Path, path: str, kind: str) -> None:
    (tmp_path / "link").symlink_to("/dev/stdout")
    code = (
        "import sys\nfrom cyclr_async.usage.export.atomic_file import check_target, replacing\n"
        "check_target(sys.argv[1])\n"
        "with replacing(sys.argv[1]) as stream:\n    stream.write(b'new')\n"
    )
    log = tmp_path / "log"
    log.write_text("before ")
    with log.open("ab") as stream:
        done = subprocess.run(
            [sys.executable, "-c", code, path],
            stdout=subprocess.PIPE if kind == "pipe" else stream,
            check=True,
            cwd=tmp_path,
            timeout=30,
        )
    assert (done.stdout if kind == "pipe" else log.read_bytes()) == (b"new" if kind == "pipe" else b"before new")
    assert names(tmp_path) == ["link", "log"]


def test_an_error_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    target = tmp_path / "a.csv"
    target.write_text("old")
    for problem in (KeyboardInterrupt, ValueError, SystemExit):
        with pytest.raises(problem), replacing(target) as stream:
            raise problem(stream.write(b"half"))
    assert (target.read_text(), names(tmp_path)) == ("old", ["a.csv"])


def test_what_a_killed_process_left_is_removed_and_what_a_live_one_writes_is_not(tmp_path: Path) -> None:
    code = (
        "import os, sys, time\nfrom cyclr_async.usage.export.atomic_file import replacing\n"
        "with replacing(sys.argv[1]) as stream:\n    print('there', flush=True)\n    time.sleep(60)\n"
    )
    target = tmp_path / "a.csv"
    target.write_text("old")
    other = tmp_path / ".cyclr-00000000.tmp-0"
    other.write_text("of another name")
    found = []
    for dies in (True, False):
        with subprocess.Popen([sys.executable, "-c", code, str(target)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            (left,) = [entry for entry in tmp_path.iterdir() if entry not in {target, other}]
            os.utime(left, (time.time() - 3600,) * 2)
            if dies:
                writer.send_signal(signal.SIGKILL)
                writer.wait()
                assert target.read_text() == "old"
            write(target)
            found.append(left.exists())
            writer.kill()
            left.unlink(missing_ok=True)
    assert found == [False, True]
    assert other.exists()


def test_a_long_name_has_room(tmp_path: Path) -> None:
    target = tmp_path / ("é" * 125 + ".csv")
    write(target)
    assert names(tmp_path) == [target.name]


def test_a_program_that_wants_a_path(tmp_path: Path) -> None:
    with replacing(tmp_path / "a.bin") as stream, spooling(stream) as part:
        assert part.parent.parent == tmp_path
        part.write_bytes(b"x" * 3_000_000)
    assert (tmp_path / "a.bin").stat().st_size == 3_000_000
    with replacing("/dev/null") as stream, spooling(stream) as part:
        assert not str(part).startswith("/dev")
        part.write_bytes(b"x")
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
async def test_every_export_goes_this_way(tmp_path: Path, scope: RunScope, form: str) -> None:
    path = tmp_path / "usage.db"
    async with await UsageStore.open(path, scope) as store:
        await store.record(good("a"))
    expected = tmp_path / "expected"
    export_usage(path, expected, format=form)
    link = tmp_path / "link"
    link.symlink_to("real")
    assert export_usage(path, link, format=form).path == link
    assert link.is_symlink()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    seen: list[bytes] = []
    reader = threading.Thread(target=lambda: seen.append(fifo.read_bytes()))
    reader.start()
    export_usage(path, fifo, format=form)
    reader.join(10)
    assert seen == [(tmp_path / "real").read_bytes()] == [expected.read_bytes()]
    if form == "csv":
        assert len(list(csv.reader(seen[0].decode().splitlines()))) == 2
    with pytest.raises(StoreError, match="No space"):
        export_usage(path, "/dev/full", format=form)
    with pytest.raises(InvalidArgumentError, match="folder"):
        export_usage(path, tmp_path, format=form)
    assert names(tmp_path) == ["expected", "fifo", "link", "real", "usage.db"]
