"""Shared state in a file of this host: SQLite for turns and tokens, a lock of the kernel for who may fetch a token."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import sqlite3
import stat
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

from cyclr_async.file_lock import try_lock
from cyclr_async.shared.backend import (
    HORIZON,
    MEMBER_LIFE,
    SOUGHT,
    LockBusyError,
    LostError,
    Record,
    Reservation,
)
from cyclr_async.wire.text import escape_terminal

__all__ = ["FileBackend", "mounted_as"]

_MARK: Final = 0x43594352
"""The application id of SQLite ("CYCR"), so that a path that leads to another database is noticed and left alone."""
_BUSY: Final = 1.0
"""Seconds for which a lock of SQLite is waited for. A reservation holds it for microseconds, so whoever holds it this
long has been stopped, and would hold everybody up."""
_BUSY_STEP: Final = 0.001
_LOCK_STEP: Final = 0.02
"""Seconds between two looks at the lock for a token, at most: what others lose when its holder dies."""
_WATCH_STEP: Final = 0.1
"""Seconds between two looks for a pause, each 10 microseconds: as late as a pause of another process may arrive."""
_MEMBER_STEP: Final = 1.0
"""Seconds after which a process says again that it is there, and counts the others."""
_NETWORK: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "ceph", "glusterfs", "lustre", "gfs2", "ocfs2", "beegfs"}
    | {"9p", "fuse.sshfs", "fuse.s3fs", "fuse.glusterfs", "fuse.ceph", "fuse.gcsfuse", "fuse.davfs", "davfs", "pvfs2"}
)
"""File systems of which SQLite's shared memory and the kernel's locks reach one host only, as the kernel names them."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS turn (
    name TEXT PRIMARY KEY, next REAL NOT NULL DEFAULT 0, paused REAL NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS member (
    name TEXT, member TEXT, seen REAL NOT NULL, PRIMARY KEY (name, member)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS token (
    name TEXT PRIMARY KEY, value BLOB NOT NULL, written REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS boot (id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
"""
# One statement, and so one transaction. The GCRA: the next free turn is the latest of what is reserved, what has just
# passed, and the end of a pause; whoever takes turns moves it behind them.
_RESERVE: Final = """
INSERT INTO turn (name, next) VALUES (?1, ?2 - ?3 + ?4)
ON CONFLICT DO UPDATE SET next = max(CASE WHEN next > ?2 + ?5 THEN 0 ELSE next END, ?2 - ?3, paused) + ?4
RETURNING next, paused
"""
_PAUSE: Final = """
INSERT INTO turn (name, paused) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET paused = max(paused, ?2)
"""


def _boot() -> str:
    """Return what changes when the machine starts again: the clock below begins anew then."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        # Elsewhere the moment of the start, to the minute: both clocks are read at slightly different times, and
        # somebody may set one of them. A wrong guess costs a tenth of a second of turns.
        return f"about {round((time.time() - time.monotonic()) / 60)}"


def _mounts() -> str:
    """Return what is mounted where, "" on systems that do not say."""
    try:
        return Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


def mounted_as(path: Path, mounts: str) -> str:
    """Return the type of the file system that a folder is on, "" where that cannot be told."""
    found, longest = "", -1
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        point = before.split(" ")[4].encode().decode("unicode_escape", errors="replace")
        if len(point) > longest and path.is_relative_to(point):
            found, longest = after.split(" ")[0], len(point)
    return found


class FileBackend:
    """A file of this host. What the event loop does with it takes microseconds; what waits for the disk has a thread.

    Args:
        path: absolute; a folder stands for a file in it.
    """

    def __init__(self, path: str) -> None:
        self.trips: int = 0
        self._given = Path(path)
        self._path = self._given
        self._database: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._members: dict[str, tuple[float, int]] = {}

    async def open(self) -> None:
        """Make the file if it is not there, and look whether it can be used.

        Raises:
            LostError: it cannot.
        """
        if self._database is None:
            self._database = await asyncio.to_thread(self._opened)

    async def reserve(self, name: str, *, member: str, interval: float, turns: int, slack: float) -> Reservation:
        """Reserve turns; see :class:`~cyclr_async.shared.backend.Backend`."""
        self.trips += 1
        # The monotonic clock is one for all processes of a host, and nobody sets it.
        now = time.monotonic()
        if not turns:
            rows = await self._execute("SELECT paused FROM turn WHERE name = ?", (name,))
            return Reservation(rows[0][0] - now if rows else 0.0, 0, await self._counted(name, member, now))
        span = turns * interval
        ((following, _),) = await self._execute(_RESERVE, (name, now, slack, span, HORIZON + span))
        return Reservation(following - span - time.monotonic(), turns, await self._counted(name, member, now))

    async def pause(self, name: str, seconds: float) -> None:
        """Let no turn be before so many seconds from now."""
        self.trips += 1
        await self._execute(_PAUSE, (name, time.monotonic() + seconds))

    async def watch(self, name: str, heard: Callable[[float], None]) -> None:
        """Look for a pause ten times a second."""
        until = 0.0
        while True:
            await asyncio.sleep(_WATCH_STEP)
            try:
                rows = await self._execute("SELECT paused FROM turn WHERE name = ?", (name,))
            except LostError:
                continue  # whoever reserves a turn finds out, and says so
            if rows and rows[0][0] > until:
                until = rows[0][0]
                heard(until - time.monotonic())

    async def load(self, name: str) -> Record | None:
        """Return what is stored under a name."""
        self.trips += 1
        rows = await self._execute("SELECT value, written FROM token WHERE name = ?", (name,))
        # By the wall clock, unlike turns: a token outlives a restart of the machine.
        return Record(rows[0][0], max(time.time() - rows[0][1], 0.0)) if rows else None

    @contextlib.asynccontextmanager
    async def exclusive(self, name: str) -> AsyncIterator[_FileTenure]:
        """Hold the lock of a name: a file beside the other one, locked by the kernel, which frees it at any death."""
        await self.open()
        lock = self._path.with_name(f"{self._path.name}.{name[:16]}.lock")
        until = time.monotonic() + SOUGHT
        while (descriptor := self._locked(lock)) is None:
            if time.monotonic() > until:
                raise LockBusyError
            await asyncio.sleep(_LOCK_STEP * random.uniform(0.5, 1.0))  # noqa: S311 - so that they do not look as one
        try:
            yield _FileTenure(self, name, await self.load(name))
        finally:
            os.close(descriptor)

    async def write(self, name: str, value: bytes) -> None:
        """Store a record so that it is still there after the power has failed."""
        self.trips += 1
        await self.open()
        await asyncio.to_thread(self._written, name, value)

    async def close(self) -> None:
        """Close the file."""
        self._forget()

    def _locked(self, path: Path) -> int | None:
        """Return the descriptor of a file that is locked now, None when another process has it."""
        try:
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
            descriptor = os.open(path, flags, 0o600)
        except OSError as error:
            raise LostError(f"its lock cannot be opened: {error.strerror}") from None
        try:
            if try_lock(descriptor):
                held, there = os.fstat(descriptor), path.stat()
                # Else somebody removed it between our open and our lock, and the next one makes another.
                if (held.st_dev, held.st_ino) == (there.st_dev, there.st_ino):
                    return descriptor
        except OSError:
            pass  # the file is gone: the next look makes it anew
        os.close(descriptor)
        return None

    async def _execute(self, statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        deadline = 0.0
        while True:
            if self._database is None:
                await self.open()
            assert self._database is not None
            try:
                return self._database.execute(statement, values).fetchall()
            except sqlite3.OperationalError as error:
                # Nobody may make the event loop wait, so SQLite is told not to, and asked again.
                if error.sqlite_errorcode & 0xFF not in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
                    self._fail(error)
                now = time.monotonic()
                deadline = deadline or now + _BUSY
                if now > deadline:
                    raise LostError(
                        f"another process has locked it for more than {_BUSY:g} s: was it stopped?"
                    ) from None
            except sqlite3.Error as error:
                self._fail(error)
            await asyncio.sleep(_BUSY_STEP * random.uniform(0.5, 1.5))  # noqa: S311 - so that they do not ask as one

    def _fail(self, error: sqlite3.Error) -> None:
        """Close the file, to be opened anew the next time, and raise."""
        self._forget()
        raise LostError(f"SQLite says: {error}") from None

    def _forget(self) -> None:
        database, self._database = self._database, None
        self._members.clear()
        if database is not None:
            database.close()

    async def _counted(self, name: str, member: str, now: float) -> int:
        """Say that this process is there, and return how many are; once a second."""
        known = self._members.get(name)
        if known is not None and now - known[0] < _MEMBER_STEP:
            return known[1]
        self._look_at_place()
        await self._execute("INSERT OR REPLACE INTO member (name, member, seen) VALUES (?, ?, ?)", (name, member, now))
        await self._execute("DELETE FROM member WHERE seen < ?", (now - MEMBER_LIFE,))
        ((count,),) = await self._execute("SELECT count(*) FROM member WHERE name = ?", (name,))
        self._members[name] = now, count
        return int(count)

    def _look_at_place(self) -> None:
        """Notice when the file was removed or replaced: processes that start now share another one."""
        try:
            there = self._path.stat()
            same = (there.st_dev, there.st_ino) == self._identity
        except OSError:
            same = False
        if not same:
            self._forget()
            raise LostError("it was removed or replaced while it was in use")

    def _opened(self) -> sqlite3.Connection:
        path = self._prepared()
        # One process at a time: while SQLite turns a new file into one with a log, another that opens it sees neither.
        lock = path.with_name(f"{path.name}.lock")
        until = time.monotonic() + _BUSY
        while (descriptor := self._locked(lock)) is None:
            if time.monotonic() > until:
                raise LostError(f"another process has been opening it for more than {_BUSY:g} s: was it stopped?")
            time.sleep(_LOCK_STEP)
        try:
            database = self._connected(path)
        except sqlite3.Error as error:
            raise LostError(f"it cannot be used as a database: {error}") from None
        finally:
            os.close(descriptor)
        self._path = path
        found = path.stat()
        self._identity = found.st_dev, found.st_ino
        return database

    def _prepared(self) -> Path:
        """Make the file, and return where it is."""
        shown = escape_terminal(str(self._given))
        try:
            path = self._given.resolve()
            if path.is_dir():
                path /= "cyclr-shared.sqlite"
            kind = mounted_as(path.parent, _mounts())
            if kind in _NETWORK:
                raise LostError(
                    f"{shown} is on a network file system ({kind}), where locks do not reach other hosts: use a folder "
                    "of this host, or SharedState.redis for several"
                )
            # Before SQLite does, which would make it readable for others; its companions get the same mode.
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
            try:
                self._check_file(descriptor, shown)
            finally:
                os.close(descriptor)
        except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
            reason = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
            raise LostError(f"{shown} cannot be made: {reason}") from None
        return path

    @staticmethod
    def _check_file(descriptor: int, shown: str) -> None:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise LostError(f"{shown} is no regular file")
        if hasattr(os, "geteuid") and found.st_mode & 0o077:
            # Whoever may write it could stop everybody, and whoever may read it could guess at the seal.
            if found.st_uid != os.geteuid():
                raise LostError(f"{shown} belongs to another user and is open to others: use a path of your own")
            os.fchmod(descriptor, 0o600)

    def _connected(self, path: Path) -> sqlite3.Connection:
        # In another thread than the one it is used in; never in two at a time.
        database = sqlite3.connect(path, timeout=_BUSY, isolation_level=None, check_same_thread=False)
        try:
            (mark,) = database.execute("PRAGMA application_id").fetchone()
            (tables,) = database.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            foreign = mark != _MARK and tables
            (mode,) = ("",) if foreign else database.execute("PRAGMA journal_mode = WAL").fetchone()
            _check_database(path, mode)
            # Turns are worth nothing after a power failure, so they never wait for the disk. Tokens do: see _written.
            database.execute("PRAGMA synchronous = OFF")
            if mark != _MARK:
                database.execute(f"PRAGMA application_id = {_MARK}")
            database.executescript(_SCHEMA)
            boot = _boot()
            database.execute("BEGIN IMMEDIATE")
            if database.execute("SELECT 1 FROM boot WHERE id = ?", (boot,)).fetchone() is None:
                # The clock of the turns began anew with the machine: what was reserved before lies far in its future.
                for table in ("boot", "turn", "member"):
                    database.execute(f"DELETE FROM {table}")  # noqa: S608 - the names are written above
                database.execute("INSERT INTO boot (id) VALUES (?)", (boot,))
            database.execute("COMMIT")
            database.execute("PRAGMA busy_timeout = 0")
        except BaseException:
            database.close()
            raise
        return database

    def _written(self, name: str, value: bytes) -> None:
        try:
            database = sqlite3.connect(self._path, timeout=_BUSY, isolation_level=None)
            try:
                # A refresh token that is back after a power failure would be sent a second time.
                database.execute("PRAGMA synchronous = FULL")
                database.execute(
                    "INSERT OR REPLACE INTO token (name, value, written) VALUES (?, ?, ?)", (name, value, time.time())
                )
            finally:
                database.close()
        except sqlite3.Error as error:
            raise LostError(f"SQLite says: {error}") from None


def _check_database(path: Path, mode: str) -> None:
    """Refuse a database by its journal mode, "" for one that is somebody else's."""
    if not mode:
        raise LostError(f"{escape_terminal(str(path))} is another database: use a path of its own")
    if mode != "wal":
        raise LostError(
            f"{escape_terminal(str(path))} is on a file system without shared memory, where processes would have to "
            "wait for the disk: use a folder of this host, or SharedState.redis"
        )


class _FileTenure:
    """The lock of a name while it is held. The kernel takes it from nobody that lives, so there is nothing to fence."""

    def __init__(self, backend: FileBackend, name: str, record: Record | None) -> None:
        self._backend = backend
        self._name = name
        self.record: Record | None = record

    async def put(self, value: bytes) -> bool:
        """Replace the record."""
        await self._backend.write(self._name, value)
        return True
