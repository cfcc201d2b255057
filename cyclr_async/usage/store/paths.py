"""Where a store may be: a regular file of this machine, under any name that the system allows."""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from cyclr_async.errors import InvalidArgumentError, StoreError
from cyclr_async.wire.text import escape_terminal

__all__ = ["shown", "store_path"]

# Names by which SQLite means a database that is nowhere; taken for a file name they would litter the folder.
_IN_MEMORY: Final = re.compile(r":memory:|file:.*(?::memory:|mode=memory).*")


def store_path(path: str | os.PathLike[str]) -> Path:
    """Return the absolute path of a store, links followed; the file itself need not exist.

    Raises:
        InvalidArgumentError: no file can have this name, or it is one of SQLite's names for a database in memory.
        StoreError: what is there is no regular file, or it cannot be looked at.
    """
    try:
        text = os.fsdecode(path)
    except TypeError:
        raise InvalidArgumentError(f"the path of a store is a str or a Path, not {type(path).__name__}") from None
    if not text:
        raise InvalidArgumentError("the path of the store is empty")
    if "\0" in text:
        raise InvalidArgumentError(f"the path of the store, {escape_terminal(text)!r}, holds a NUL character")
    if _IN_MEMORY.fullmatch(text):
        raise InvalidArgumentError(f"{text!r} keeps nothing: give the path of a file, or leave the store out")
    mode = stat.S_IFREG  # of what is not there yet
    try:
        found = Path(text).resolve()
        with suppress(FileNotFoundError):
            mode = found.stat().st_mode
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: a loop of links, before Python 3.13
        reason = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
        failure = StoreError(f"the store {shown(text)} cannot be reached: {reason}")
    else:
        if stat.S_ISREG(mode):
            return found
        kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        failure = StoreError(f"{shown(found)} is {kind}: a store is a regular file")
    raise failure


def shown(path: str | os.PathLike[str]) -> str:
    """Return a path as it stands in a message: one line, printable, whatever bytes the name is made of."""
    return escape_terminal(os.fspath(path))
