"""Canary secrets: marked strings that must never be seen outside a request.

Tests use the values below as tokens, passwords and keys. :class:`CanaryPlugin` watches every log record of the run at
DEBUG; :func:`assert_no_canary` looks into one object from every side a monitoring tool would.
"""

from __future__ import annotations

import copy
import logging
import pickle
import traceback
from collections.abc import Iterator

import pytest

__all__ = ["BEARER", "CLIENT_SECRET", "MARK", "PASSWORD", "CanaryPlugin", "TimerWheel", "assert_no_canary", "sightings"]

MARK = "canary-"
BEARER = f"{MARK}bearer-91b2c7"
CLIENT_SECRET = f"{MARK}client-secret-55e0"
PASSWORD = f"{MARK}password-7a1e"

_OURS = ("/cyclr_async/", "/aiohttp/")


def sightings(subject: object) -> list[str]:
    """Where a canary shows in this object: text, pickle, copies, and for an error its chain and its frames' locals."""
    found = [name for name, text in _views(subject) if MARK in text]
    if isinstance(subject, BaseException):
        for error in _chain(subject):
            summary = traceback.TracebackException.from_exception(error, capture_locals=True)
            for frame in summary.stack:
                if any(part in frame.filename for part in _OURS):
                    found += [f"{frame.name}.{name}" for name, text in (frame.locals or {}).items() if MARK in text]
    return found


def assert_no_canary(subject: object) -> None:
    """Fail when a canary can be read from the object."""
    assert sightings(subject) == []


def _views(subject: object) -> Iterator[tuple[str, str]]:
    yield "str", str(subject)
    yield "repr", repr(subject)
    yield "format", f"{subject}"
    if isinstance(subject, BaseException):
        yield "vars", repr(vars(subject))
        yield "args", repr(subject.args)
        for error in _chain(subject):
            yield "chain", repr(error) + str(error)
        # An error of the package must survive all three, so a failure here is one of the test as well.
        yield "pickle", pickle.dumps(subject).decode("latin-1")
        yield "copy", repr(vars(copy.copy(subject))) + repr(vars(copy.deepcopy(subject)))


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    stack = [error]
    while stack:
        current = stack.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        stack += [linked for linked in (current.__cause__, current.__context__) if linked is not None]


class TimerWheel(logging.Handler):
    def __init__(self) -> None:
        super().__init__(level=logging.DEBUG)
        self.hits: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = f"{record.getMessage()} {record.__dict__!r}"
        if MARK in text:
            self.hits.append(f"{record.name} {record.levelname}: {text.replace(MARK, '[seen] ')[:200]}")


class CanaryPlugin:
    """Pytest plugin: fails a test in whose log records or output a canary shows.

    Register it in a ``conftest.py``: ``config.pluginmanager.register(CanaryPlugin(), "canary")``.
    """

    LOGGERS = ("cyclr_async", "aiohttp", "asyncio")

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        watch = TimerWheel()
        loggers = [logging.getLogger(name) for name in self.LOGGERS]
        levels = [logger.level for logger in loggers]
        # The asyncio logger announces its selector at DEBUG only, and is quiet otherwise.
        for logger in loggers:
            logger.addHandler(watch)
            logger.setLevel(logging.DEBUG)
        outcome = yield
        for logger, level in zip(loggers, levels, strict=True):
            logger.removeHandler(watch)
            logger.setLevel(level)
        if outcome.excinfo is None and watch.hits:  # type: ignore[attr-defined]
            outcome.force_exception(AssertionError(f"a secret was logged in {item.nodeid}: {watch.hits[:3]}"))  # type: ignore[attr-defined]

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
        outcome = yield
        report: pytest.TestReport = outcome.get_result()  # type: ignore[attr-defined]
        if report.passed and call.when == "call":
            shown = [title for title, content in report.sections if MARK in content]
            if shown:
                report.outcome = "failed"
                report.longrepr = f"a secret was shown in {item.nodeid}: {', '.join(shown)}"
