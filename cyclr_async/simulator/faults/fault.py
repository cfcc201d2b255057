"""Faults on demand: what goes wrong, for which requests, how often and when."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any, Final, Literal, Self, TypedDict, Unpack

import attrs

from cyclr_async.simulator.faults.text import parse_fault
from cyclr_async.simulator.v1.operations import V1_NAMES

__all__ = ["OPERATIONS", "Fault", "FaultSelection", "Kind", "TimedFaultSelection"]

Kind = Literal[
    "status",
    "latency",
    "drop-before",
    "drop-after",
    "truncate",
    "drip",
    "wrong-json",
    "html",
    "huge",
    "revoke-token",
    "maintenance",
]

OPERATIONS: Final = (
    "accounts.list",
    "accounts.create",
    "accounts.update",
    "accounts.usage",
    "details",
    "priceplans.list",
    "tokens.create",
    "connectors.install",
    "token",
    *V1_NAMES,
)
"""The names of the operations; ``token`` is ``POST /oauth/token``, and those of v1.0 begin with ``v1.``."""

_KINDS: Final = frozenset(Kind.__args__)  # type: ignore[attr-defined]
_DISTRIBUTIONS: Final = ("normal", "lognormal", "exponential")


def _positive(value: float, name: str, most: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
        raise ValueError(f"{name} must be a number from 0 to {most:g}, not {value!r}")


class FaultSelection(TypedDict, total=False):
    """Which requests a fault hits and what its error says: keywords that every class method of :class:`Fault` takes.

    Their meaning is that of the attributes of :class:`Fault`.
    """

    operation: str | None
    account_id: str | None
    times: int | None
    probability: float
    after: int
    retry_after: float | str | None
    message: str | None


class TimedFaultSelection(FaultSelection, total=False):
    """The same, and when: for faults that are not about a window of time themselves."""

    between: tuple[datetime, datetime] | tuple[float, float] | None


@attrs.frozen(slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong. Make it with one of the class methods; each takes the selection below as well.

    Attributes:
        kind: what happens.
        operation: which operation: one of :data:`OPERATIONS`, None for all but ``token``, ``"*"`` for all.
        account_id: only requests about this account, in the path or the body.
        times: how often, then never again; None for always.
        probability: of a selected request to be hit, 0 to 1; drawn from the seed of the simulator.
        after: how many selected requests pass before the first is hit.
        between: a window of simulated time: two aware datetimes, or two numbers of seconds since the fault was added.
        code: the HTTP status of ``status``, ``html`` and ``maintenance``; ``status`` in the JSON form.
        retry_after: sent as ``Retry-After``: seconds, or any text.
        message: the ``Message`` of the error body; None for the usual one.
        seconds: of ``latency`` on average; of ``drip`` between two pieces.
        stdev: standard deviation of ``latency``, in seconds.
        distribution: of ``latency``: ``"normal"`` (cut at 0), ``"lognormal"`` or ``"exponential"``.
        body: what ``wrong-json`` and ``html`` send; of ``truncate`` nothing.
        size: bytes: what ``huge`` sends, what ``truncate`` lets through, of each piece of ``drip``.
    """

    kind: Kind
    operation: str | None = None
    account_id: str | None = None
    times: int | None = None
    probability: float = 1.0
    after: int = 0
    between: tuple[datetime, datetime] | tuple[float, float] | None = None
    code: int = 500
    retry_after: float | str | None = None
    message: str | None = None
    seconds: float = 0.0
    stdev: float = 0.0
    distribution: str = "normal"
    body: str | None = None
    size: int = 0

    def __attrs_post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise ValueError(f"unknown kind of fault {self.kind!r}; one of {', '.join(sorted(_KINDS))}")
        if self.operation not in (None, "*", *OPERATIONS):
            raise ValueError(f"unknown operation {self.operation!r}; one of *, {', '.join(OPERATIONS)}")
        if self.distribution not in _DISTRIBUTIONS:
            raise ValueError(f"unknown distribution {self.distribution!r}; one of {', '.join(_DISTRIBUTIONS)}")
        if isinstance(self.code, bool) or not isinstance(self.code, int) or not 200 <= self.code <= 599:
            raise ValueError(f"status must be a whole number from 200 to 599, not {self.code!r}")
        for name in ("times", "after", "size"):
            value = getattr(self, name)
            if value is not None:
                _positive(value, name, 1 << 40)
                if not isinstance(value, int):
                    raise ValueError(f"{name} must be a whole number, not {value!r}")
        _positive(self.probability, "probability", 1)
        _positive(self.seconds, "seconds", 3600)
        _positive(self.stdev, "stdev", 3600)
        for name in ("account_id", "message", "body"):
            if not isinstance(getattr(self, name), (str, type(None))):
                raise ValueError(f"{name} must be a text")  # noqa: TRY004 - one kind of error for all bad settings
        self._check_retry_after()
        self._check_window()

    def _check_retry_after(self) -> None:
        wait = self.retry_after
        if isinstance(wait, str):
            if not wait.isascii() or not wait.isprintable():
                raise ValueError("retry_after must be printable ASCII")
        elif wait is not None:
            _positive(wait, "retry_after", 1e9)

    def _check_window(self) -> None:
        if self.between is None:
            return
        if len(self.between) != 2:
            raise ValueError("between must be two moments")
        start, end = self.between
        if isinstance(start, datetime) and isinstance(end, datetime):
            if start.tzinfo is None or end.tzinfo is None or start >= end:
                raise ValueError("between must be two aware datetimes, the earlier first")
        elif isinstance(start, datetime) or isinstance(end, datetime):
            raise ValueError("between must be two datetimes or two numbers, not one of each")  # noqa: TRY004 - as above
        elif not (0 <= start < end and math.isfinite(end)):
            raise ValueError("between must be two numbers of seconds, the smaller first")

    @classmethod
    def status(cls, code: int, **selection: Unpack[TimedFaultSelection]) -> Self:
        """Answer with a status and an error body, without doing anything."""
        return cls(kind="status", code=code, **selection)

    @classmethod
    def latency(
        cls,
        seconds: float,
        *,
        stdev: float = 0.0,
        distribution: str = "normal",
        **selection: Unpack[TimedFaultSelection],
    ) -> Self:
        """Answer later, in real time, by a fixed or a random number of seconds."""
        return cls(kind="latency", seconds=seconds, stdev=stdev, distribution=distribution, **selection)

    @classmethod
    def drop(cls, when: Literal["before_commit", "after_commit"], **selection: Unpack[TimedFaultSelection]) -> Self:
        """Break the connection without an answer, before or after the operation was carried out."""
        if when not in ("before_commit", "after_commit"):
            raise ValueError("drop is 'before_commit' or 'after_commit'")
        return cls(kind="drop-before" if when == "before_commit" else "drop-after", **selection)

    @classmethod
    def truncate(cls, size: int = 10, **selection: Unpack[TimedFaultSelection]) -> Self:
        """Carry out the operation, send ``size`` bytes of the body, less than announced, and break the connection."""
        return cls(kind="truncate", size=size, **selection)

    @classmethod
    def drip(cls, seconds: float = 0.05, size: int = 1, **selection: Unpack[TimedFaultSelection]) -> Self:
        """Carry out the operation and send the body in pieces of ``size`` bytes, ``seconds`` apart."""
        return cls(kind="drip", seconds=seconds, size=max(1, size), **selection)

    @classmethod
    def wrong_json(cls, body: str = '{"unexpected":[1,2,3]}', **selection: Unpack[TimedFaultSelection]) -> Self:
        """Carry out the operation and answer 200 with another body as JSON; valid JSON or not."""
        return cls(kind="wrong-json", code=200, body=body, **selection)

    @classmethod
    def html(cls, status: int = 200, body: str | None = None, **selection: Unpack[TimedFaultSelection]) -> Self:
        """Answer with an HTML page, as a proxy does, without doing anything."""
        return cls(kind="html", code=status, body=body, **selection)

    @classmethod
    def huge(cls, size: int = 64 * 1024 * 1024, **selection: Unpack[TimedFaultSelection]) -> Self:
        """Answer with valid JSON of ``size`` bytes, without doing anything."""
        return cls(kind="huge", code=200, size=size, **selection)

    @classmethod
    def revoke_token(cls, **selection: Unpack[TimedFaultSelection]) -> Self:
        """Revoke the access token of the request before looking at it: the answer is 401."""
        selection.setdefault("times", 1)
        return cls(kind="revoke-token", **selection)

    @classmethod
    def maintenance(
        cls,
        between: tuple[datetime, datetime] | tuple[float, float] | None = None,
        *,
        code: int = 503,
        **selection: Unpack[FaultSelection],
    ) -> Self:
        """Answer every request with an HTML page and 503, or ``code``, during a window of simulated time."""
        selection.setdefault("operation", "*")
        return cls(kind="maintenance", between=between, code=code, **selection)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text form, such as ``429:2%:retry-after=1``, ``latency:20ms`` or ``drop-after:1%``.

        The first part is a status or a kind. Then follow, in any order: ``2%`` (probability), ``x3`` (times),
        ``20ms`` or ``1.5s`` (seconds), and ``name=value`` with ``op``, ``account``, ``after``, ``retry-after``,
        ``stdev``, ``distribution``, ``message``, ``size``, ``from`` and ``until`` (seconds).

        Raises:
            ValueError: the text says nothing that is understood; the message says which part.
        """
        return cls.from_dict(parse_fault(text))

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Read the form of the control endpoint.

        Raises:
            ValueError: not an object, an unknown key, or a value out of range.
        """
        if not isinstance(data, dict) or "kind" not in data:
            raise ValueError("a fault is an object with a kind")
        known = {"status" if field.name == "code" else field.name for field in attrs.fields(cls)}
        unknown = [key for key in data if key not in known]
        if unknown:
            raise ValueError(f"unknown keys: {', '.join(map(str, unknown))}; known are {', '.join(sorted(known))}")
        values = {"code" if key == "status" else key: value for key, value in data.items() if value is not None}
        if "between" in values:
            values["between"] = _window(values["between"])
        if not isinstance(values.get("kind"), str):
            raise ValueError("kind must be a text")  # noqa: TRY004 - as above
        defaults: dict[str, dict[str, Any]] = {
            "maintenance": {"operation": "*", "code": 503},
            "html": {"code": 200},
            "wrong-json": {"code": 200, "body": '{"unexpected":[1,2,3]}'},
            "huge": {"code": 200, "size": 64 * 1024 * 1024},
            "truncate": {"size": 10},
            "drip": {"seconds": 0.05, "size": 1},
            "revoke-token": {"times": 1},
        }
        try:
            return cls(**{**defaults.get(values["kind"], {}), **values})
        except TypeError as error:
            raise ValueError(f"a value has the wrong type: {error}") from None

    def to_dict(self) -> dict[str, Any]:
        """Return what :meth:`from_dict` reads, without what is as usual."""
        found: dict[str, Any] = {"kind": self.kind}
        for field in attrs.fields(type(self))[1:]:
            value = getattr(self, field.name)
            if value != field.default:
                found["status" if field.name == "code" else field.name] = value
        if self.between is not None:
            found["between"] = [m.isoformat() if isinstance(m, datetime) else m for m in self.between]
        return found


def _window(value: Any) -> tuple[Any, Any]:
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise ValueError("between must be two moments")
    if all(isinstance(moment, str) for moment in value):
        start, end = (datetime.fromisoformat(moment) for moment in value)
        return start, end
    if all(isinstance(moment, (int, float, datetime)) for moment in value):
        return value[0], value[1]
    raise ValueError("between must be two ISO datetimes or two numbers of seconds")
