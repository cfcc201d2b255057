"""What ``-v`` and ``--log-json`` show, on standard error."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any, Final

from cyclr_async.cli.options import Options
from cyclr_async.usage.text import term

__all__ = ["log_to_stderr"]

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        return f"{clock} {record.levelname.lower():<7} {record.name}: {term(record.getMessage())}"


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
        return json.dumps({**extra, **entry}, default=str)


def log_to_stderr(options: Options) -> logging.Handler | None:
    """Show the package's log as asked; the handler is to be removed at the end."""
    if not options.verbose and not options.log_json:
        return None
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if options.log_json else _Lines())
    logger = logging.getLogger("cyclr_async")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if options.verbose > 1 else logging.INFO)
    return handler
