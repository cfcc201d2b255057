"""From arguments to an exit code: the only place that reports errors."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Sequence

import click

from cyclr_async.cli.app import app
from cyclr_async.cli.exits import Exit, InterruptedBySignal, exit_code
from cyclr_async.cli.logs import log_to_stderr
from cyclr_async.cli.options import Options
from cyclr_async.cli.terminal import complain, prepare_streams
from cyclr_async.errors import CyclrError

__all__ = ["run"]

_COMPLETE = "_CYCLR_COMPLETE"


def run(argv: Sequence[str] | None) -> int:
    """Run the command and return its exit code."""
    prepare_streams()
    options = Options()
    handler: logging.Handler | None = None
    try:
        if _COMPLETE in os.environ:
            from click.shell_completion import shell_complete  # noqa: PLC0415 - only a shell asks

            return shell_complete(app, {}, "cyclr", _COMPLETE, os.environ[_COMPLETE])
        with app.make_context("cyclr", list(sys.argv[1:] if argv is None else argv), obj=options) as ctx:
            handler = log_to_stderr(options)
            app.invoke(ctx)
        sys.stdout.flush()
    except BaseException as error:
        code = _code(error, options)
        if code is None:
            raise
        return code
    finally:
        if handler is not None:
            logger = logging.getLogger("cyclr_async")
            logger.removeHandler(handler)
            logger.setLevel(logging.NOTSET)
    return Exit.DONE


def _code(error: BaseException, options: Options) -> int | None:
    """Report an error in a few lines and return the exit code; None for a defect of the program."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, BrokenPipeError):
        _forget_stdout()
        return Exit.CLOSED_PIPE
    if isinstance(error, (InterruptedBySignal, KeyboardInterrupt, click.Abort)):
        return Exit.INTERRUPTED
    if options.debug and not isinstance(error, click.UsageError):
        traceback.print_exception(error)
    if isinstance(error, click.ClickException):
        _usage(error)
        return error.exit_code
    if isinstance(error, CyclrError):
        complain(str(error))
        for note in getattr(error, "__notes__", ()):
            complain(note)
        return exit_code(error)
    if isinstance(error, OSError):
        _forget_stdout()
        complain(f"{error.strerror or type(error).__name__}: {error.filename or 'input or output'}")
        return Exit.FAILED
    return None


def _usage(error: click.ClickException) -> None:
    complain(error.format_message())
    ctx = getattr(error, "ctx", None)
    if ctx is not None:
        sys.stderr.write(f"try: {ctx.command_path} --help\n")


def _forget_stdout() -> None:
    # Python flushes standard output once more at the end, and would complain about what failed before.
    try:
        number = sys.stdout.fileno()
    except (OSError, ValueError):
        return  # not a file of the system
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)
