"""What ``-v`` and ``--log-json`` show, on standard error."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import click

from cyclr_async.cli.options import Options
from cyclr_async.wire.text import escape_terminal, json_term

__all__ = ["logging_to_stderr"]

_log: Final = logging.getLogger("cyclr_async.cli")

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        return f"{clock} {record.levelname.lower():<7} {record.name}: {escape_terminal(record.getMessage())}"


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        entry: dict[str, Any] = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        return json_term(json.dumps({**extra, **entry}, default=str))


@contextmanager
def logging_to_stderr(options: Options, command: str) -> Iterator[None]:
    """Show the log of the package while a command runs: from INFO on, or from DEBUG on with ``-vv``.

    Args:
        options: the shared options.
        command: its name, such as ``"cyclr accounts list"``.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if options.log_json else _Lines())
    logger = logging.getLogger("cyclr_async")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if options.verbose > 1 else logging.INFO)
    started = time.monotonic()
    _log.info("%s begins", command)
    try:
        yield
    except BaseException as error:
        how = f"exit code {error.exit_code}" if isinstance(error, click.exceptions.Exit) else type(error).__name__
        _log.info("%s ended after %.1f s with %s", command, time.monotonic() - started, how)
        raise
    else:
        _log.info("%s ended after %.1f s", command, time.monotonic() - started)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
