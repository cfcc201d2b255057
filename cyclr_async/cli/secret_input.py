"""Secrets from files, standard input and hidden prompts, never from arguments."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import click

from cyclr_async.cli.text_input import decoded, read_text
from cyclr_async.secret import Secret

if sys.platform == "win32":
    import getpass
else:
    import termios

if TYPE_CHECKING:
    from cyclr_async.cli.options import Options

__all__ = ["read_secret", "secret_options", "take_secrets"]

F = TypeVar("F", bound=Callable[..., Any])


def secret_options(name: str, what: str) -> Callable[[F], F]:
    """Give a command the two options by which it takes a secret; :func:`take_secrets` reads it.

    Args:
        name: such as ``"api-key"``.
        what: such as ``"the API key"``, for the help.
    """

    def decorated(function: F) -> F:
        stdin = click.option(f"--{name}-stdin", is_flag=True, help=f"Read {what} from standard input.")
        file = click.option(f"--{name}-file", type=click.Path(), metavar="FILE", help=f"Read {what} from a file.")
        return file(stdin(function))

    return decorated


def take_secrets(options: Options, given: dict[str, Any], *names: str) -> dict[str, Secret | None]:
    """Take the options of :func:`secret_options` out of what a command was given, and return the secrets by name.

    Raises:
        click.UsageError: several are to come from standard input, or one cannot be read.
    """
    asked = {}
    for name in names:
        key = name.replace("-", "_")
        asked[name] = (given.pop(f"{key}_file"), given.pop(f"{key}_stdin"))
    if sum(stdin or file == "-" for file, stdin in [*asked.values(), (None, options.client_secret_stdin)]) > 1:
        raise click.UsageError("only one secret can come from standard input")
    return {name.replace("-", "_"): read_secret(f"--{name}", *asked[name]) for name in names}


def read_secret(what: str, file: str | None, stdin: bool) -> Secret | None:
    """Return the secret from a file, from standard input, or from a prompt; None when it was not asked for.

    Standard input that is a terminal is asked with a prompt, and shows nothing of what is typed.

    Args:
        what: the option without its ending, such as ``"--api-key"``.
        file: path of the file, or ``-`` for standard input.
        stdin: whether to read standard input.

    Raises:
        click.UsageError: both were given, or there is nothing to read.
        click.Abort: the prompt was left with Ctrl-C.
    """
    if file is not None and stdin:
        raise click.UsageError(f"give either {what}-file or {what}-stdin")
    if file is None and not stdin:
        return None
    if stdin or file == "-":
        option = f"{what}-stdin" if stdin else f"{what}-file -"
        typed = sys.stdin is not None and sys.stdin.isatty()
        return _checked(_asked(sys.stdin, what) if typed else read_text("-", option, line=True), what)
    assert file is not None
    try:
        terminal = open(file, encoding="utf-8") if _is_terminal(file) else None  # noqa: PTH123, SIM115 - a device
    except OSError as error:
        raise click.UsageError(f"{what}-file {file!r} cannot be read: {error.strerror}") from None
    if terminal is None:
        return _checked(read_text(file, f"{what}-file"), what)
    with terminal:  # /dev/tty or /dev/stdin: typed as well
        return _checked(_asked(terminal, what), what)


def _is_terminal(file: str) -> bool:
    try:
        if not stat.S_ISCHR(os.stat(file).st_mode):  # noqa: PTH116 - a FIFO, once opened and closed, is spent
            return False
        descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NOCTTY", 0))
    except (OSError, ValueError):
        return False
    try:
        return os.isatty(descriptor)
    finally:
        os.close(descriptor)


def _asked(terminal: TextIO, what: str) -> str:
    """Read a line from a terminal that shows nothing of it."""
    label = what.removeprefix("--").replace("-", " ")
    if sys.platform == "win32":
        return getpass.getpass(f"{label} (hidden): ")
    # Not getpass: it asks the controlling terminal, which need not be the one that was named, and where it cannot
    # switch the echo off it goes on with a warning.
    descriptor = terminal.fileno()
    try:
        before = termios.tcgetattr(descriptor)
        hidden = before.copy()
        hidden[3] &= ~termios.ECHO
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, hidden)
    except termios.error:
        raise click.UsageError(f"the terminal would show the {label}: use {what}-file or a pipe") from None
    try:
        sys.stderr.write(f"{label} (hidden): ")
        sys.stderr.flush()
        return decoded(terminal.buffer.readline())
    except ValueError as error:
        problem = f"the {label} {error}"
    finally:
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)
        sys.stderr.write("\n")
        sys.stderr.flush()
    raise click.UsageError(problem)


def _checked(text: str, what: str) -> Secret:
    text = text.rstrip("\r\n")
    if not text.strip():
        raise click.UsageError(f"the secret for {what} is empty")
    return Secret(text)
