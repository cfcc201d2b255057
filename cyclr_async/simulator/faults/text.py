"""The text form of a fault, for the command line: ``429:2%``, ``latency:20ms``, ``drop-after:1%``."""

from __future__ import annotations

import re
from typing import Any, Final

__all__ = ["parse_fault", "parse_seconds"]

_DURATION: Final = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h)", re.ASCII)
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PERCENT: Final = re.compile(r"(\d{1,3}(?:\.\d{1,6})?)%", re.ASCII)
_TIMES: Final = re.compile(r"x(\d{1,9})", re.ASCII)
_STATUS: Final = re.compile(r"[2-5]\d\d", re.ASCII)
_NUMBER: Final = re.compile(r"\d{1,12}(?:\.\d{1,6})?", re.ASCII)


def parse_seconds(text: str) -> float:
    """Return the seconds that ``20ms``, ``1.5s``, ``2m`` or ``1h`` stand for; a bare number is seconds.

    Raises:
        ValueError: it is none of these.
    """
    if _NUMBER.fullmatch(text):
        return float(text)
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a time; write 20ms, 1.5s, 2m or 1h")
    return float(found[1]) * _UNITS[found[2]]


def _named(name: str, value: str) -> tuple[str, Any]:
    if name in ("op", "operation"):
        return "operation", value
    if name == "account":
        return "account_id", value
    if name in ("after", "size", "times"):
        if not value.isascii() or not value.isdecimal():
            raise ValueError(f"{name} must be a whole number, not {value!r}")
        return name, int(value)
    if name == "retry-after":
        return "retry_after", parse_seconds(value)
    if name == "stdev":
        return "stdev", parse_seconds(value)
    if name in ("distribution", "message"):
        return name, value
    raise ValueError(f"unknown setting {name!r} in a fault; see the documentation of Fault.parse")


def _part(part: str) -> tuple[str, Any]:
    name, equals, value = part.partition("=")
    if equals:
        return _named(name, value)
    percent = _PERCENT.fullmatch(part)
    if percent is not None:
        return "probability", float(percent[1]) / 100
    times = _TIMES.fullmatch(part)
    return ("times", int(times[1])) if times is not None else ("seconds", parse_seconds(part))


def parse_fault(text: str) -> dict[str, Any]:
    """Return the fields of a fault given as text.

    Raises:
        ValueError: a part is not understood.
    """
    kind, *parts = text.strip().split(":")
    found: dict[str, Any] = {"kind": kind}
    if _STATUS.fullmatch(kind):
        found = {"kind": "status", "status": int(kind)}
    window: list[float | None] = [None, None]
    for part in parts:
        if part.startswith(("from=", "until=")):
            name, _, value = part.partition("=")
            window[name == "until"] = parse_seconds(value)
            continue
        key, value = _part(part)
        found[key] = value
    if window != [None, None]:
        found["between"] = [window[0] or 0.0, 1e9 if window[1] is None else window[1]]
    return found
