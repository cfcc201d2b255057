"""The one way in which a file is written: whole or not at all, and nothing destroyed that is no regular file."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

if sys.platform != "win32":
    import fcntl

__all__ = ["check_target", "replacing", "spooling"]

_DESCRIPTOR: Final = re.compile(r"/dev/fd/(\d+)|/proc/(?:self|thread-self|(\d+))/fd/(\d+)")
_STANDARD: Final = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
_LINKS: Final = 40
"""Links that are followed, as many as Linux follows."""
_ABANDONED: Final = 60.0
"""Seconds after which an unlocked temporary file is taken for that of a killed process; a live one locks at once."""


@contextlib.contextmanager
def replacing(target: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file to be written, which takes the place of the old one when the block ends well.

    A regular file is written beside its place, synced to the disk, and renamed: an error or a kill leaves the old file
    as it was, and readers see the old or the new one whole. Mode, and owner and group as far as the system allows, stay
    those of the old file; a new one gets mode 0600. A symbolic link stays, and what it leads to is replaced. Of a file
    with several hard links only the name given is replaced: the others keep the old content.

    What is no regular file (a device such as ``/dev/null``, a FIFO) is written to as it is, and so are
    ``/dev/stdout`` and ``/dev/fd/N``, where the position of the open descriptor counts.

    Args:
        target: the path.

    Yields:
        A binary stream; closed at the end.

    Raises:
        OSError: the target is a folder, is write-protected, or cannot be written; a regular file is as it was.
    """
    number = _descriptor(os.path.abspath(target))  # noqa: PTH100 - links must stay in it
    if number is not None:
        with os.fdopen(os.dup(number), "wb") as stream:
            yield stream
        return
    place = Path(os.path.realpath(target))  # not resolve(), which fails for some links that lead nowhere yet
    old = _checked(place)
    if old is not None and not stat.S_ISREG(old.st_mode):
        # Without O_CREAT, which Linux refuses for FIFOs of others in /tmp, and without becoming its terminal.
        with os.fdopen(os.open(place, os.O_WRONLY | getattr(os, "O_NOCTTY", 0)), "wb") as stream:
            yield stream
        return
    with _beside(place, old) as stream:
        yield stream


@contextlib.contextmanager
def spooling(stream: BinaryIO) -> Iterator[Path]:
    """Give a program that wants a path one to write to, and copy what it wrote into a stream at the end.

    Args:
        stream: of :func:`replacing`; the copy is kept beside a regular file, which has room for it.
    """
    beside = os.path.dirname(stream.name) if isinstance(stream.name, str) else None  # noqa: PTH120
    regular = beside is not None and stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    with tempfile.TemporaryDirectory(prefix=".cyclr-", dir=beside if regular else None) as folder:
        place = Path(folder) / "part"
        yield place
        with place.open("rb") as source:
            while piece := source.read(1 << 20):
                stream.write(piece)


def check_target(target: str | os.PathLike[str]) -> None:
    """Fail now with what :func:`replacing` would fail with after hours of work.

    Raises:
        OSError: the target is a folder, is write-protected, or its folder is missing or cannot be written.
    """
    if _descriptor(os.path.abspath(target)) is not None:  # noqa: PTH100
        return
    place = Path(os.path.realpath(target))
    old = _checked(place)
    if old is None or stat.S_ISREG(old.st_mode):
        parent = place.parent
        os.stat(parent)  # noqa: PTH116 - for its error
        if not os.access(parent, os.W_OK | os.X_OK):
            raise PermissionError(13, "the folder cannot be written to", str(parent))


def _checked(place: Path) -> os.stat_result | None:
    """Return what is there, or None; refuse what must not be overwritten."""
    try:
        old = place.stat()
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(old.st_mode):
        raise IsADirectoryError(21, "is a folder", str(place))
    if not os.access(place, os.W_OK):
        # A rename asks the folder only: it would get round the protection of the file.
        raise PermissionError(13, "is write-protected", str(place))
    return old


def _descriptor(path: str) -> int | None:
    """Return N when a path is, or leads by links to, the open descriptor N of this process."""
    for _ in range(_LINKS):
        if path in _STANDARD:
            return _STANDARD[path]
        match = _DESCRIPTOR.fullmatch(path)
        if match is not None and (match[2] is None or int(match[2]) == os.getpid()):
            return int(match[1] or match[3])
        try:
            led = os.readlink(path)  # noqa: PTH115
        except OSError:
            return None
        path = os.path.normpath(os.path.join(os.path.dirname(path), led))  # noqa: PTH118, PTH120
    return None


@contextlib.contextmanager
def _beside(place: Path, old: os.stat_result | None) -> Iterator[BinaryIO]:
    # Named by a checksum: the name itself, with more added, could be longer than a name may be.
    stem = f".cyclr-{zlib.crc32(os.fsencode(place.name)):08x}.tmp-"
    _sweep(place.parent, stem)
    temporary = place.with_name(stem + secrets.token_hex(6))
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        os.close(descriptor)
        with temporary.open("r+b") as stream:
            _try_lock(stream.fileno())
            yield stream
            stream.flush()
            if old is not None:
                _dress(temporary, old)
            os.fsync(stream.fileno())
            if sys.platform != "win32":
                temporary.replace(place)  # while it is locked, so that nobody takes it for abandoned
        if sys.platform == "win32":
            temporary.replace(place)  # an open file cannot be renamed there
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if sys.platform != "win32":
        _sync_folder(place.parent)


def _dress(temporary: Path, old: os.stat_result) -> None:
    """Give the new file mode, owner and group of the old one."""
    mode = stat.S_IMODE(old.st_mode)
    if sys.platform != "win32":
        new = temporary.stat()
        if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
            try:
                os.chown(temporary, old.st_uid, old.st_gid)
            except OSError:
                mode &= 0o777  # not setuid for another owner
                with contextlib.suppress(OSError):  # only root gives files away; a group of its own it may set
                    os.chown(temporary, -1, old.st_gid)
    temporary.chmod(mode)


def _sync_folder(folder: Path) -> None:
    """Put the new name on the disk; some file systems cannot, and then the rename has to do."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _sweep(folder: Path, stem: str) -> None:
    """Remove what killed processes left of earlier attempts at the same file."""
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            if not entry.name.startswith(stem) or not entry.is_file(follow_symlinks=False):
                continue
            if time.time() - entry.stat(follow_symlinks=False).st_mtime < _ABANDONED:
                continue
            with contextlib.suppress(OSError), Path(entry.path).open("r+b") as stream:
                if _try_lock(stream.fileno()):
                    os.unlink(entry.path)  # noqa: PTH108


def _try_lock(descriptor: int) -> bool:
    if sys.platform == "win32":
        return True  # an open file cannot be removed there anyway
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
