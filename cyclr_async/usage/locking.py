"""One process at a time: an exclusive lock beside the store, held by the kernel and so released by any death."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from typing import TYPE_CHECKING

from cyclr_async.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["StoreLock"]

if sys.platform == "win32":
    import msvcrt

    # Windows locks are mandatory: the byte that is locked lies far behind the text, which others must be able to read.
    _LOCK_OFFSET = 1 << 30

    def _try_lock(descriptor: int) -> bool:
        os.lseek(descriptor, _LOCK_OFFSET, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


class StoreLock:
    """An exclusive lock on a store, as a file ``<store>.lock`` that says who holds it.

    Args:
        store: the path of the store.
    """

    def __init__(self, store: Path) -> None:
        self._path = store.with_name(store.name + ".lock")
        self._store = store
        self._descriptor: int | None = None
        self._mutex = threading.Lock()

    def acquire(self) -> None:
        """Take the lock at once or fail.

        Raises:
            StoreError: another process, or another store in this process, holds it.
        """
        while True:
            try:
                descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            except OSError as error:
                raise StoreError(f"cannot lock the store {self._store}: {error.strerror}") from None
            if not _try_lock(descriptor):
                holder = self._holder(descriptor)
                os.close(descriptor)
                raise StoreError(
                    f"the store {self._store} is in use by {holder}: wait until it ends, or use another store"
                )
            if self._is_current(descriptor):
                break
            os.close(descriptor)  # the former holder removed the file between our open and our lock
        text = json.dumps({"pid": os.getpid(), "host": socket.gethostname()})
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, text.encode())
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back; harmless when it is not held."""
        with self._mutex:
            descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        if sys.platform != "win32":  # an open file cannot be removed there; an unlocked one means nothing
            self._path.unlink(missing_ok=True)
        os.close(descriptor)

    def _is_current(self, descriptor: int) -> bool:
        try:
            named = self._path.stat()
        except FileNotFoundError:
            return False
        opened = os.fstat(descriptor)
        return (named.st_ino, named.st_dev) == (opened.st_ino, opened.st_dev)

    def _holder(self, descriptor: int) -> str:
        os.lseek(descriptor, 0, os.SEEK_SET)
        try:
            data = json.loads(os.read(descriptor, 4096))
            return f"process {int(data['pid'])} on {str(data['host'])!r}"
        except (ValueError, KeyError, TypeError, OSError):
            return "another process"
