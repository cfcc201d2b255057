"""Where a call stands, and how it can end without an answer."""

from __future__ import annotations

from typing import Any

from cyclr_async.auth import AccessToken
from cyclr_async.config import Timeouts
from cyclr_async.errors import (
    ConnectError,
    CyclrError,
    DeadlineExceededError,
    OutcomeUnknownError,
    ReadTimeoutError,
    Sent,
    TransportError,
)
from cyclr_async.http.call import Call, Safety
from cyclr_async.http.connector import Attempt
from cyclr_async.secret import HiddenStr

__all__ = ["Progress", "late", "late_attempt", "silent", "unknown"]


class Progress:
    """Where one call stands."""

    __slots__ = (
        "attempts",
        "deadline",
        "failure",
        "renewed",
        "request_id",
        "spent",
        "started",
        "timeout",
        "token",
        "unsettled",
    )

    def __init__(self, request_id: str, started: float, timeout: float) -> None:
        self.request_id = request_id
        self.started = started
        self.timeout = timeout
        self.deadline = started + timeout
        self.attempts = 0
        self.spent = 0
        self.renewed = False
        self.unsettled = False
        """True once an attempt was sent of which it is not known whether it was carried out."""
        self.token: AccessToken | None = None
        self.failure: CyclrError | None = None

    @property
    def header(self) -> HiddenStr | None:
        """The value of the Authorization header."""
        return None if self.token is None else self.token.header


def unknown(call: Call[Any], error: CyclrError, *, status: int | None = None) -> OutcomeUnknownError:
    """Return the error for a write that may have been carried out; ``status`` when the error has none of its own."""
    advice = call.advice or "look whether it was carried out before calling again"
    return OutcomeUnknownError(
        f"{call.name}: it is not known whether the server carried this out, so it was not repeated "
        f"({error.message}). {advice[:1].upper()}{advice[1:]}.",
        operation=call.name,
        status=getattr(error, "status", status),
        advice=advice,
        sent=error.sent,
    )


def silent(call: Call[Any], state: Attempt, timeouts: Timeouts) -> TransportError:
    """Return the error for an attempt that took too long."""
    if not state.connected:
        return ConnectError(
            f"{call.name}: connecting took longer than Timeouts.connect ({timeouts.connect:g} s)", sent="never"
        )
    return ReadTimeoutError(
        f"{call.name}: the server was silent for longer than Timeouts.read ({timeouts.read:g} s), or the attempt took "
        f"longer than Timeouts.attempt ({timeouts.attempt:g} s)",
        sent=_sent(state),
        status=state.status,
    )


def _sent(state: Attempt) -> Sent:
    if state.status is not None:
        return "yes"
    return "maybe" if state.connected else "never"


def late_attempt(call: Call[Any], progress: Progress, state: Attempt) -> CyclrError:
    """Return the error for an attempt that was cut off by the deadline of its call."""
    sent = _sent(state)
    error = late(call, progress, sent=sent)
    return unknown(call, error, status=state.status) if call.safety is Safety.UNSAFE and sent != "never" else error


def late(call: Call[Any], progress: Progress, *, sent: Sent | None = None) -> DeadlineExceededError:
    """Return the error for a call whose deadline has passed."""
    last = progress.failure
    waiting = "" if last is None else f"; the last attempt failed: {last.message}"
    if sent is None:
        sent = "never" if last is None else last.sent
    return DeadlineExceededError(
        f"{call.name}: not finished within {progress.timeout:g} s{waiting}",
        timeout=progress.timeout,
        last_error=None if last is None else last.message,
        sent=sent,
    )
