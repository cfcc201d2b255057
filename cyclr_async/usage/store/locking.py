"""One process at a time: locks that the kernel holds, and so releases at any death of the holder.

Two files are locked. The companion ``<store>.lock`` guards the *name*: whoever puts another file in the place of the
store still finds it locked, and it says who holds it. One byte of the store guards the *file*, under whatever name,
and whatever becomes of the companion.

The byte lies in the page that SQLite sets aside for locks and never reads or writes; SQLite's own locks take its first
512 bytes. A lock of the whole file would not do: where the system makes one kind of lock out of another (network file
systems, BSD, macOS) it would shut SQLite out.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import socket
import struct
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NoReturn, TypeAlias

from cyclr_async.errors import StoreError
from cyclr_async.file_lock import LOCK_BYTE, try_lock
from cyclr_async.usage.store.paths import shown

__all__ = ["StoreLock"]

_log = logging.getLogger("cyclr_async.usage.store")

_CLOEXEC: Final = getattr(os, "O_CLOEXEC", 0)  # Windows has other means, which os.open uses by itself
_NOFOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)  # the companion is written: not to where a link may lead
_NONBLOCK: Final = getattr(os, "O_NONBLOCK", 0)  # were it a FIFO, os.open would wait for a writer

_DESCRIPTORS: Final = Path("/proc/self/fd" if sys.platform == "linux" else "/dev/fd")

_Identity: TypeAlias = tuple[int, int]


if sys.platform == "win32":

    def _lock_store(descriptor: int) -> bool:
        return try_lock(descriptor)

    def _process_of(_descriptor: int) -> int | None:
        return None

    def _alive(_pid: int) -> bool:
        return True  # to ask with a signal would end the process
else:
    import fcntl

    def _alive(pid: int) -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except (OSError, OverflowError):
            return True
        return True

    if sys.platform == "linux":
        _FLOCK: Final = struct.Struct("hhqqi0q")  # struct flock of the C library: type, whence, start, length, pid
        # Locks that belong to the open file and not to the process: SQLite cannot lose them by closing a descriptor.
        _UNSUPPORTED: Final = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK}

        def _lock_store(descriptor: int) -> bool:
            try:
                fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, LOCK_BYTE, 1, 0))
            except OSError as error:
                if error.errno in _UNSUPPORTED:
                    _log.debug("the file system of the store knows no such lock; only its companion is locked")
                    return True
                if error.errno in {errno.EAGAIN, errno.EACCES}:
                    return False
                raise
            return True

        def _sign(descriptor: int, kind: int = fcntl.F_WRLCK) -> None:
            """Lock the byte beside it for the process, which keeps nobody out and tells others our process id.

            SQLite takes all locks of the process off the file when it lets go of its own: sign again afterwards.
            """
            with contextlib.suppress(OSError):
                fcntl.fcntl(descriptor, fcntl.F_SETLK, _FLOCK.pack(kind, os.SEEK_SET, LOCK_BYTE + 1, 1, 0))

        def _process_of(descriptor: int) -> int | None:
            identity = _identity(os.fstat(descriptor))
            if any(identity == _identity(os.fstat(other)) for other in _open - {descriptor, *_kept}):
                return os.getpid()
            asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, LOCK_BYTE + 1, 1, 0)
            kind, *_, pid = _FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
            return pid if kind != fcntl.F_UNLCK and pid > 0 else None
    else:

        def _lock_store(_descriptor: int) -> bool:
            return True  # no lock that belongs to an open file, as far as Python knows: the companion must do

        def _process_of(_descriptor: int) -> int | None:
            return None


# Descriptors of this process: those that hold locks, and those kept open because to close them would do harm.
_open: set[int] = set()
_kept: dict[int, _Identity] = {}


def _after_fork_in_child() -> None:
    """A child does not hold its parent's locks: else they would outlive the parent."""
    for descriptor in _open:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _open.clear()
    _kept.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def _close(descriptor: int) -> None:
    _open.discard(descriptor)
    os.close(descriptor)


def _close_store(descriptor: int) -> None:
    """Close a descriptor of a store unless SQLite has the file open in this process.

    POSIX takes all of a process's locks off a file when the process closes any descriptor of it: a reader in another
    thread would lose those that keep its snapshot. Such a descriptor is closed the next time.
    """
    _kept[descriptor] = _identity(os.fstat(descriptor))
    for old, identity in list(_kept.items()):
        if not _in_use(identity):
            del _kept[old]
            _close(old)


def _in_use(identity: _Identity) -> bool:
    if sys.platform == "win32":
        return False  # locks are kept by handle there
    try:
        numbers = [int(entry.name) for entry in _DESCRIPTORS.iterdir()]
    except OSError:
        numbers = []
    if len(numbers) <= 3:
        return True  # not known: a system that lists only the standard streams, or none
    for number in numbers:
        if number not in _open:
            with contextlib.suppress(OSError):
                if _identity(os.fstat(number)) == identity:
                    return True
    return False


def _identity(found: os.stat_result) -> _Identity:
    return found.st_dev, found.st_ino


def _identity_at(path: Path) -> _Identity | None:
    """Return what the path names, None for nothing.

    Raises:
        OSError: it cannot be seen.
    """
    try:
        return _identity(path.stat())
    except (FileNotFoundError, NotADirectoryError):
        return None


class StoreLock:
    """An exclusive lock on a store; it says who holds it in a file ``<store>.lock``.

    Not inherited: a child of the process, forked or started, does not hold it.

    Args:
        store: the path of the store, absolute.
    """

    def __init__(self, store: Path) -> None:
        self._path = store.with_name(store.name + ".lock")
        self._store = store
        self._descriptor: int | None = None
        self._companion: int | None = None
        self._pid = os.getpid()
        self._mutex = threading.Lock()

    def acquire(self) -> None:
        """Take the lock at once or fail; creates the store's file when there is none.

        Raises:
            StoreError: another process, or another store in this process, holds it.
        """
        try:
            self._companion = self._take_companion()
            before = self._text(self._companion)
            self._descriptor = self._take_store(before)
            self._say_who(self._companion)
            if sys.platform == "linux":
                _sign(self._descriptor)
        except OSError as error:
            self.release()
            failure = StoreError(f"cannot lock the store {shown(self._store)}: {error.strerror}")
        except BaseException:
            self.release()
            raise
        else:
            return
        raise failure

    def check(self) -> None:
        """Make sure that the path still names the file that was opened, and that the lock holds.

        Raises:
            StoreError: the file was moved, replaced or removed; the message says where what was written is now.
        """
        if self._companion is None or self._descriptor is None:
            return
        try:
            opened = os.fstat(self._descriptor)
            now = _identity_at(self._store)
            if now != _identity(opened):
                self._refuse_moved(opened, now)
            if _identity_at(self._path) != _identity(os.fstat(self._companion)):
                # Removed by somebody; where the byte of the store is not locked, others could have come in meanwhile.
                old, self._companion = self._companion, None
                _close(old)
                self._companion = self._take_companion()
                self._say_who(self._companion)
            if sys.platform == "linux":
                _sign(self._descriptor)
        except OSError as error:
            # The folder cannot be looked into any more, which says nothing about the file: SQLite has it open.
            _log.debug("the place of the store cannot be checked: %s", error.strerror)

    def release(self) -> None:
        """Give the lock back; harmless when it is not held, or held by the process that this one was forked from."""
        if self._pid != os.getpid():
            return
        with self._mutex:
            companion, self._companion = self._companion, None
            descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            self._unlock_store(descriptor)
        if companion is not None:
            if sys.platform != "win32":  # an open file cannot be removed there; an unlocked one means nothing
                self._path.unlink(missing_ok=True)
            _close(companion)

    def _unlock_store(self, descriptor: int) -> None:
        if sys.platform == "linux":
            free = _FLOCK.pack(fcntl.F_UNLCK, os.SEEK_SET, LOCK_BYTE, 1, 0)
            with contextlib.suppress(OSError):
                fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, free)  # at once: the descriptor may have to stay open
            _sign(descriptor, fcntl.F_UNLCK)
        _close_store(descriptor)

    def _take_store(self, text: dict[str, object]) -> int:
        descriptor = self._open_file(self._store)
        try:
            locked = _lock_store(descriptor)
            holder = None if locked else _process_of(descriptor)
        except BaseException:
            _close_store(descriptor)
            raise
        if not locked:
            _close_store(descriptor)
            self._refuse(text, holder)
        return descriptor

    def _take_companion(self) -> int:
        while True:
            descriptor = self._open_file(self._path)
            try:
                locked = try_lock(descriptor)
                text = self._text(descriptor)
                if locked and _identity_at(self._path) == _identity(os.fstat(descriptor)):
                    return descriptor
            except BaseException:
                _close(descriptor)
                raise
            _close(descriptor)
            if not locked:
                self._refuse(text, None)
            # The former holder removed the file between our open and our lock.

    def _open_file(self, path: Path) -> int:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _NOFOLLOW | _NONBLOCK | _CLOEXEC, 0o600)
        _open.add(descriptor)
        return descriptor

    def _say_who(self, descriptor: int) -> None:
        since = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        text = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since})
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, text.encode())

    def _text(self, descriptor: int) -> dict[str, object]:
        try:
            os.lseek(descriptor, 0, os.SEEK_SET)
            found = json.loads(os.read(descriptor, 4096))
        except (ValueError, OSError):
            return {}
        return found if isinstance(found, dict) else {}

    def _refuse(self, text: dict[str, object], pid: int | None) -> NoReturn:
        """Say who holds the lock, as far as the kernel (``pid``) and the companion (``text``) know."""
        advice = "wait until it ends, or use another store"
        written = text.get("pid")
        if pid is not None and pid != written:  # the companion was removed, or is of an earlier holder
            holder = f"process {pid}"
        elif not isinstance(written, int):
            holder = "another process"
        else:
            host, since = text.get("host"), text.get("since")
            holder = f"process {written} on {shown(str(host))!r}" + (f" since {shown(str(since))}" if since else "")
            if host == socket.gethostname() and not _alive(written):
                holder += ", which has ended and left a child process that still has the store open"
                advice = f"end that process (fuser {shown(self._path)} finds it)"
        raise StoreError(f"the store {shown(self._store)} is in use by {holder}: {advice}")

    def _refuse_moved(self, opened: os.stat_result, now: _Identity | None) -> NoReturn:
        if opened.st_nlink == 0:
            what = "removed" if now is None else "replaced by another file"
            raise StoreError(
                f"the store {shown(self._store)} was {what} while it was in use, and what was written to it is lost "
                "with it: begin again, or restore a copy"
            )
        what = "moved" if now is None else "moved, and another file put in its place,"
        raise StoreError(
            f"the store {shown(self._store)} was {what} while it was in use: everything recorded so far is in the "
            f"moved file{self._moved_to(opened)}, and nothing more is written. Move it back, or resume with the "
            "store at its new place"
        )

    def _moved_to(self, opened: os.stat_result) -> str:
        try:
            place = (_DESCRIPTORS / str(self._descriptor)).readlink()
            if _identity_at(place) == _identity(opened):
                return f" {shown(place)}"
        except (OSError, ValueError):
            pass  # not Linux, or moved out of sight
        return ""
