"""From arguments to an exit code: the only place that reports errors."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from typing import NoReturn

import click
from click.shell_completion import shell_complete

from cyclr_async.cli.app import app
from cyclr_async.cli.exit_codes import Exit, InterruptedBySignal, exit_code
from cyclr_async.cli.options import Options
from cyclr_async.cli.terminal import forget, prepared_streams, print_error
from cyclr_async.errors import CyclrError

__all__ = ["run"]

_METHOD = re.compile(r"\b(?:([a-z_]+)\.)?([a-z_]+)\((?:cycle_id)?\)")
_COMPLETE = "_CYCLR_COMPLETE"


def run(argv: Sequence[str] | None) -> int:
    """Run the command and return its exit code."""
    with prepared_streams():
        options = Options()
        code = _run(argv, options)
        try:
            sys.stdout.flush()
        except OSError as error:
            code = _code(error, options) or code
        return code


def _run(argv: Sequence[str] | None, options: Options) -> int:
    try:
        if _COMPLETE in os.environ:
            return shell_complete(app, {}, "cyclr", _COMPLETE, os.environ[_COMPLETE])
        words = list(sys.argv[1:] if argv is None else argv)
        with _ending_on_sigterm(), app.make_context("cyclr", words, obj=options) as ctx:
            app.invoke(ctx)
    except BaseException as error:
        code = _code(error, options)
        if code is None:
            raise
        return code
    return Exit.DONE


@contextlib.contextmanager
def _ending_on_sigterm() -> Iterator[None]:
    """Let SIGTERM end the command like Ctrl-C, so that temporary files and terminal settings are put in order."""

    def interrupt(*_: object) -> NoReturn:
        raise InterruptedBySignal

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _code(error: BaseException, options: Options) -> int | None:
    """Report an error in a few lines and return the exit code; None for a defect of the program."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, BrokenPipeError):
        forget(sys.stdout)
        return Exit.CLOSED_PIPE
    if isinstance(error, (InterruptedBySignal, KeyboardInterrupt, click.Abort)):
        return Exit.INTERRUPTED
    if options.debug and not isinstance(error, click.UsageError):
        traceback.print_exception(error)
    if isinstance(error, click.ClickException):
        _usage(error)
        return error.exit_code
    if isinstance(error, CyclrError):
        print_error(_METHOD.sub(_as_command, str(error)))
        for note in getattr(error, "__notes__", ()):
            print_error(note)
        return exit_code(error)
    if isinstance(error, OSError):
        forget(sys.stdout)
        print_error(f"{error.filename or 'standard output'}: {error.strerror or type(error).__name__}")
        return Exit.FAILED
    return None


def _as_command(found: re.Match[str]) -> str:
    """Return a method that a message advises as the command of that name: ``update()`` is ``update`` here."""
    return f"cyclr v1 {found[1]} {found[2]}" if found[1] else found[2]


def _usage(error: click.ClickException) -> None:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        sys.stderr.write(f"{error.format_message()}\n")  # the help, which is no error
        return
    text = error.format_message()
    # Who looks for it has seen it with another command, and these two sets of commands differ in more than an option.
    if isinstance(error, click.NoSuchOption) and error.option_name == "--api":
        text += " The v1.0 API has commands of its own: cyclr v1 --help."
    print_error(text)
    ctx = getattr(error, "ctx", None)
    if ctx is not None:
        sys.stderr.write(f"try: {ctx.command_path} --help\n")
