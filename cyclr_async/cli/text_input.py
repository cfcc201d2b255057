"""Text that a user hands over, from files, standard input and other programs: UTF-8, with or without a mark."""

from __future__ import annotations

import codecs
import sys
from pathlib import Path
from typing import Any

import click

__all__ = ["decoded", "read_text"]

_MARKS = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def decoded(data: bytes) -> str:
    """Return UTF-8 as text, without the byte order mark that Windows programs put before it.

    Raises:
        ValueError: it is no UTF-8; the message says what it is, as far as that can be told, and shows nothing of it.
    """
    problem = ""
    # NUL stands in no text file; between letters it is how UTF-16 looks without its mark.
    if data.startswith(_MARKS) or b"\0" in data:
        problem = "is UTF-16 or UTF-32, or no text: save it as UTF-8"
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        problem = problem or "is not UTF-8"
    else:
        if not problem:
            return text
    raise ValueError(problem)  # outside of the handler, because the first error holds the text


def read_text(path: str, what: str, *, line: bool = False) -> str:
    """Read a file, or standard input for ``-``.

    Args:
        path: of the file, or ``-``.
        what: the option, for messages.
        line: True to read no more than the first line of standard input.

    Raises:
        click.UsageError: it cannot be read, or is no UTF-8.
    """
    shown = f"{what}: standard input" if path == "-" else f"{what} {path!r}"
    try:
        data = _standard_input(line=line) if path == "-" else Path(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: NUL in a path, or a stream that was closed
        reason = getattr(error, "strerror", None) or "it is closed"
        raise click.UsageError(f"{shown} cannot be read: {reason}") from None
    try:
        return data if isinstance(data, str) else decoded(data)
    except ValueError as error:
        problem = str(error)
    raise click.UsageError(f"{shown} {problem}")


def _standard_input(*, line: bool) -> bytes | str:
    if sys.stdin is None:
        raise ValueError("closed")
    # The bytes, because the locale has no say in what they mean; a stand-in without bytes has a text.
    stream: Any = getattr(sys.stdin, "buffer", sys.stdin)
    found: bytes | str = stream.readline() if line else stream.read()
    if isinstance(found, bytes) and line and found.startswith(_MARKS):
        found += stream.read()  # a line feed of UTF-16 ends in the middle of a character
    return found
