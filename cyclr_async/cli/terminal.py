"""What the streams can show, and notes for people on standard error."""

from __future__ import annotations

import codecs
import os
import sys
from typing import TYPE_CHECKING, TextIO

from cyclr_async.cli.options import Options
from cyclr_async.usage.text import term

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["console", "is_terminal", "prepare_streams", "say", "speaks_utf8", "warn"]

_WIDE = 1_000_000
"""Columns where nobody looks at a line at once, so that nothing is cut off."""


def prepare_streams() -> None:
    """Let no character end the program: what a stream cannot show is replaced."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace", newline="\n")


def is_terminal(stream: TextIO) -> bool:
    """Tell whether somebody is looking."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def speaks_utf8(stream: TextIO) -> bool:
    """Tell whether box and block characters can be written."""
    try:
        return codecs.lookup(getattr(stream, "encoding", None) or "ascii").name == "utf-8"
    except LookupError:
        return False


def console(stream: TextIO, options: Options) -> Console:
    """Return a rich console that interprets nothing in the texts it is given."""
    from rich.console import Console  # noqa: PLC0415 - help must start without rich

    terminal = stream.isatty()
    return Console(
        file=stream,
        no_color=True if options.no_color or "NO_COLOR" in os.environ else None,
        width=None if terminal or "COLUMNS" in os.environ else _WIDE,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=False,
    )


def say(options: Options, text: str) -> None:
    """Write a line for people to standard error, unless ``--quiet``."""
    if not options.quiet:
        _line(text)


def warn(text: str) -> None:
    """Write a warning to standard error."""
    _line(f"warning: {text}")


def complain(text: str) -> None:
    """Write an error to standard error."""
    _line(f"error: {text}")


def _line(text: str) -> None:
    sys.stderr.write("\n".join(term(line) for line in text.split("\n")) + "\n")
    sys.stderr.flush()
