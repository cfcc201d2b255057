"""Answers as they came, for ``cyclr api``."""

from __future__ import annotations

import json
from pathlib import PurePath
from types import TracebackType
from typing import Any, Final, Self

import click

from cyclr_async.cli.options import Options
from cyclr_async.cli.output import Destination, json_text, plain
from cyclr_async.cli.terminal import warn
from cyclr_async.errors import DecodeError
from cyclr_async.wire.strict_json import loads
from cyclr_async.wire.text import escape_terminal, json_term

__all__ = ["RawOutput"]

_SUFFIXES: Final = {".json": "json", ".jsonl": "jsonl"}


class RawOutput:
    """JSON of any shape: as one document, or as JSON Lines. On a terminal it is indented.

    Args:
        options: the shared options.
        pages: whether a list comes in pages, whose elements are written as they arrive.

    Raises:
        click.UsageError: the options ask for what only a command with known fields can do.
    """

    def __init__(self, options: Options, *, pages: bool) -> None:
        if options.fields is not None:
            raise click.UsageError("--fields is for commands that know their fields; pick with jq")
        suffix = None if options.out is None else PurePath(options.out).suffix.lower()
        form = options.output or ("json" if suffix is None else _SUFFIXES.get(suffix))
        if form not in _SUFFIXES.values():
            raise click.UsageError("an answer as it came is written as JSON: -o json, or -o jsonl for a list")
        self._lines = form == "jsonl"
        self._pages = pages
        self._started = False
        self._destination = Destination(options.out, raw=True)

    def __enter__(self) -> Self:
        self._stream = self._destination.open()
        return self

    def element(self, value: Any) -> None:
        """Write one element of a list that comes in pages."""
        if self._lines:
            self._write(json_text(value) + "\n")
            return
        self._write(("" if self._started else "[") + (",\n" if self._started else "\n") + self._json(value))
        self._started = True

    def body(self, body: bytes) -> None:
        """Write a whole answer."""
        self._pages = False
        if not body.strip():
            return
        try:
            value = loads(body)
        except DecodeError:
            # Some operations pass on what a third party says. It is no reason to lose it.
            warn("the answer is not JSON: it is written as it came")
            text = body.decode("utf-8", "replace")
            self._write("\n".join(map(escape_terminal, text.split("\n"))) if self._stream.isatty() else text)
            return
        for item in value if self._lines and isinstance(value, list) else [value]:
            self._write(self._json(item) + "\n")

    def _json(self, value: Any) -> str:
        if self._lines or not self._stream.isatty():
            return json_text(value)
        text = json.dumps(plain(value), ensure_ascii=False, allow_nan=False, indent=2)
        return "\n".join(map(json_term, text.split("\n")))

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()  # a reader sees each element when it is there
        except OSError as error:
            raise self._destination.refusal(error) from None

    def _end(self) -> None:
        if self._pages and not self._lines:
            self._write("\n]\n" if self._started else "[]\n")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._destination.close(self._end, error, always=True)
