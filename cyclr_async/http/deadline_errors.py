"""How a call can end without an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
from cyclr_async.http.request import Request, Safety
from cyclr_async.http.timeouts import Attempt

if TYPE_CHECKING:
    from cyclr_async.http.executor import CallState

__all__ = [
    "attempt_deadline_exceeded",
    "attempt_timed_out",
    "deadline_exceeded",
    "no_turn",
    "out_of_window",
    "outcome_unknown",
    "unconnected",
]


def outcome_unknown(call: Request[Any], error: CyclrError, *, status: int | None = None) -> OutcomeUnknownError:
    """Return the error for a write that may have been carried out; ``status`` when the error has none of its own."""
    # A write whose outcome is unknown is the one error on which somebody has to act, so it never comes without advice.
    advice = call.advice or "look whether it was carried out before calling again"
    return OutcomeUnknownError(
        f"{call.name}: it is not known whether the server carried this out, so it was not repeated "
        f"({error.message}). {advice[:1].upper()}{advice[1:]}.",
        operation=call.name,
        status=getattr(error, "status", status),
        advice=advice,
        sent=error.sent,
    )


def attempt_timed_out(call: Request[Any], state: Attempt, timeouts: Timeouts) -> TransportError:
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


def unconnected(call: Request[Any]) -> ConnectError:
    """Return the error for a repeated write that got no connection while it might still be sent."""
    return ConnectError(
        f"{call.name}: no connection was made before the end of RetryPolicy.write_window, so it was not sent again",
        sent="never",
    )


def out_of_window(failure: CyclrError) -> CyclrError:
    """Return the failure of a write that may not be repeated any more, with the reason."""
    failure.add_note(
        "not repeated: RetryPolicy.write_window after the first attempt, it could overwrite a newer change"
    )
    return failure


def no_turn(call: Request[Any], progress: CallState, rate: float, wait: float) -> DeadlineExceededError:
    """Return the error for a call whose turn would come too late under the rate limit."""
    error = deadline_exceeded(call, progress)
    # The message is replaced and not the class: for whoever catches it, it is a deadline like every other.
    error.args = (
        f"{call.name}: not sent, because Limits.requests_per_second ({rate:g}) has no turn for it within its "
        f"{progress.timeout:g} s: it would have waited {wait:.2g} s, and then for the answer"
        + ("" if error.last_error is None else f"; the last attempt failed: {error.last_error}"),
    )
    return error


def _sent(state: Attempt) -> Sent:
    # A status is proof. Without one, a connection is no proof of the contrary: the bytes may have arrived.
    if state.status is not None:
        return "yes"
    return "maybe" if state.connected else "never"


def attempt_deadline_exceeded(call: Request[Any], progress: CallState, state: Attempt) -> CyclrError:
    """Return the error for an attempt that was cut off by the deadline of its call."""
    sent = _sent(state)
    error = deadline_exceeded(call, progress, sent=sent)
    return (
        outcome_unknown(call, error, status=state.status) if call.safety is Safety.UNSAFE and sent != "never" else error
    )


def deadline_exceeded(call: Request[Any], progress: CallState, *, sent: Sent | None = None) -> DeadlineExceededError:
    """Return the error for a call whose deadline has passed."""
    last = progress.failure
    waiting = "" if last is None else f"; the last attempt failed: {last.message}"
    # Nothing is under way any more, so the last attempt tells whether anything was ever sent.
    if sent is None:
        sent = "never" if last is None else last.sent
    return DeadlineExceededError(
        f"{call.name}: not finished within {progress.timeout:g} s{waiting}",
        timeout=progress.timeout,
        last_error=None if last is None else last.message,
        sent=sent,
    )
