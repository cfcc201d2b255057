"""Secrets from files and standard input, never from arguments."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cyclr_async.secret import Secret

__all__ = ["read_secret"]


def read_secret(what: str, file: str | None, stdin: bool) -> Secret | None:
    """Return the secret from a file or from standard input; None when neither was asked for.

    Args:
        what: the option without its ending, such as ``"--api-key"``.
        file: path of the file, or ``-`` for standard input.
        stdin: whether to read standard input.

    Raises:
        click.UsageError: both were given, or there is nothing to read.
    """
    if file is not None and stdin:
        raise click.UsageError(f"give either {what}-file or {what}-stdin")
    if file is None and not stdin:
        return None
    if stdin or file == "-":
        return _checked(sys.stdin.readline(), what)
    try:
        return _checked(Path(str(file)).read_text(encoding="utf-8-sig"), what)
    except UnicodeDecodeError:
        problem = "it is not UTF-8"
    except OSError as error:
        problem = error.strerror or type(error).__name__
    raise click.UsageError(f"{what}-file {file!r} cannot be read: {problem}")


def _checked(text: str, what: str) -> Secret:
    from cyclr_async.secret import Secret  # noqa: PLC0415 - help must start fast

    text = text.rstrip("\r\n")
    if not text.strip():
        raise click.UsageError(f"the secret for {what} is empty")
    return Secret(text)
