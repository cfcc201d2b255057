"""The kernel's lock on an open file: taken at once or not at all, and released at any death of its holder."""

from __future__ import annotations

import sys
from typing import Final

__all__ = ["LOCK_BYTE", "try_lock", "unlock"]

LOCK_BYTE: Final = 0x4000_0000 + 2048
"""The byte that stands for a file where the system locks bytes only. It lies in the page that SQLite never uses, behind
the 512 bytes that its own locks take, in the part that is there for every page size from 4096 on."""


if sys.platform == "win32":
    import msvcrt
    import os

    def try_lock(descriptor: int) -> bool:
        """Lock an open file for this descriptor; False when another holds it."""
        # Locks are mandatory there: the byte lies far behind any text, which others must be able to read.
        os.lseek(descriptor, LOCK_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def unlock(descriptor: int) -> None:
        """Give the lock back."""
        os.lseek(descriptor, LOCK_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def try_lock(descriptor: int) -> bool:
        """Lock an open file for this descriptor; False when another holds it."""
        try:
            # Of the open file and not of the process: it survives that another part closes the same file.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def unlock(descriptor: int) -> None:
        """Give the lock back."""
        fcntl.flock(descriptor, fcntl.LOCK_UN)
