"""Kinds of arguments that several commands take, with messages that say how to write them."""

from __future__ import annotations

import math
import re
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import click

__all__ = ["CONCURRENCY", "DAY", "DURATION", "MOMENT", "STORE", "ParamType", "connector_of"]

_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_LONGEST: Final = 86_400.0 * 36_525
"""A century: beyond that a number of seconds is a mistake, and no date."""


# Generic in the stubs of newer releases only: the lowest that is allowed cannot be subscripted.
if TYPE_CHECKING:
    ParamType: TypeAlias = click.ParamType[object]
else:
    ParamType = click.ParamType


class _Moment(ParamType):
    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            return datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a time: write it as 2026-12-01T00:00:00Z", param, ctx)


class _Day(ParamType):
    name = "date"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> date:
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a day: write it as 2026-10-01", param, ctx)


class _Duration(ParamType):
    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdw]?)", str(value).strip().lower(), re.ASCII)
        seconds = float(found[1]) * _UNITS[found[2]] if found else math.inf
        if seconds > _LONGEST:
            self.fail(f"{value!r} is not a span of time: write it as 90m, 24h, 2d or plain seconds", param, ctx)
        return timedelta(seconds=seconds)


MOMENT: Final = _Moment()
DAY: Final = _Day()
DURATION: Final = _Duration()
CONCURRENCY: Final = click.IntRange(1, 1000)
"""Calls at once: more than a thousand sockets is beyond what many systems let a process open."""
STORE: Final = click.Path(dir_okay=False, path_type=Path)


def connector_of(text: str, version: str | None) -> int | str:
    """Return the id of a connector as a number, its name as a text: names are not of digits alone.

    Raises:
        click.UsageError: an id with a version.
    """
    if not (text.isascii() and text.isdigit()):
        return text
    if version is not None:
        raise click.UsageError("VERSION goes with the name of a connector: an id has one version")
    return int(text)
