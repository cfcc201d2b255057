"""What the streams can show, and notes for people on standard error."""

from __future__ import annotations

import codecs
import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any, Final, TextIO, cast

from cyclr_async.cli.options import Options
from cyclr_async.wire.text import escape_terminal

__all__ = [
    "columns_of",
    "data_stream",
    "echo",
    "encodable",
    "forget",
    "is_terminal",
    "prepared_streams",
    "print_error",
    "speaks_utf8",
    "warn",
    "width_of",
]

_WIDE: Final = 1_000_000
"""Columns where nobody looks at a line at once, so that nothing is cut off."""
_WIDEST: Final = 10_000
"""A terminal said to be wider than this is a typing error in COLUMNS."""


class _Notes:
    """Standard error that may break: a full disk or a closed pipe behind it must not end an hour of work."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with self._broken_means_silent():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._broken_means_silent():
            self._stream.flush()

    @contextlib.contextmanager
    def _broken_means_silent(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError):  # ValueError: the stream was closed
            forget(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def prepared_streams() -> Iterator[None]:
    """Make the standard streams such that nothing about them can end the program.

    What a stream cannot encode is escaped, and never replaced by a question mark. A descriptor that was closed
    (``>&-``) is opened on nothing: otherwise the next file that is opened, the store perhaps, would get its number and
    whatever is written there.
    """
    _fill_descriptors()
    for name in ("COLUMNS", "LINES"):
        # click and rich read them too, and 0 or a number of other digits breaks their layout.
        if name in os.environ and columns_of(name) is None:
            del os.environ[name]
    before = sys.stderr
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace", newline="\n")
    sys.stderr = cast("TextIO", _Notes(before))
    try:
        yield
    finally:
        sys.stderr = before


def _fill_descriptors() -> None:
    # Opened for the wrong direction where data would be lost: reading and writing then fails and is told.
    for number, flags in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, flags)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - for as long as the process lives
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - for as long as the process lives


def forget(stream: TextIO) -> None:
    """Let what a broken stream still holds go nowhere: Python would flush it at the end, and complain."""
    try:
        number = stream.fileno()
    except (OSError, ValueError):
        return  # not a file of the system
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)


def data_stream() -> TextIO:
    """Return standard output for data, which is UTF-8 whatever the locale and ``PYTHONIOENCODING`` say."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None and not speaks_utf8(sys.stdout):
        reconfigure(encoding="utf-8", errors="backslashreplace")
    return sys.stdout


def is_terminal(stream: TextIO) -> bool:
    """Tell whether somebody is looking."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def speaks_utf8(stream: TextIO) -> bool:
    """Tell whether box and block characters can be written."""
    try:
        return codecs.lookup(getattr(stream, "encoding", None) or "ascii").name == "utf-8"
    except LookupError:
        return False


def encodable(text: str, stream: TextIO) -> str:
    r"""Write out what a stream cannot encode as ``\xNN`` or ``\uNNNN``, before it is measured for a layout."""
    if text.isascii() or speaks_utf8(stream):
        return text
    encoding = getattr(stream, "encoding", None) or "ascii"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def width_of(stream: TextIO) -> int:
    """Return the columns of a line: what ``COLUMNS`` says, what the terminal says, or very many where there is none."""
    found = columns_of("COLUMNS")
    if found is not None:
        return found
    if not stream.isatty():
        return _WIDE
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def columns_of(name: str) -> int | None:
    """Return what a variable such as ``COLUMNS`` says, or None where that cannot be."""
    text = os.environ.get(name, "").strip()
    valid = text.isascii() and text.isdigit() and 0 < len(text) <= len(str(_WIDEST)) and 0 < int(text) <= _WIDEST
    return int(text) if valid else None


def echo(options: Options, text: str) -> None:
    """Write a line for people to standard error, unless ``--quiet``."""
    if not options.quiet:
        _line(text)


def warn(text: str) -> None:
    """Write a warning to standard error."""
    _line(f"warning: {text}")


def print_error(text: str) -> None:
    """Write an error to standard error."""
    _line(f"error: {text}")


def _line(text: str) -> None:
    sys.stderr.write("\n".join(escape_terminal(line) for line in text.split("\n")) + "\n")
    sys.stderr.flush()
