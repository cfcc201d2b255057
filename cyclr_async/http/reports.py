"""What a call says of itself while it runs: lines of the log, and events for whoever asked for them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from cyclr_async.errors import CyclrError
from cyclr_async.http.events import AttemptEvent, EventHook, OutcomeEvent, RetryEvent, ThrottleEvent, notify
from cyclr_async.http.request import Request

if TYPE_CHECKING:
    from cyclr_async.http.executor import CallState
    from cyclr_async.http.limiter import Limiter
    from cyclr_async.http.timeouts import Attempt

__all__ = ["attempt", "attempt_line", "outcome", "pause", "retry", "waiting_line"]

_logger: Final = logging.getLogger("cyclr_async.http")


def attempt_line(call: Request[Any], progress: CallState, state: Attempt, result: object, seconds: float) -> None:
    """Log an attempt that has ended."""
    # The path is percent-encoded, so it is one line; a query may hold anything and is left out.
    _logger.debug(
        "%s attempt %d: %s %s, status %s, %s after %.3f s (request %s)",
        call.name,
        progress.attempts,
        call.method,
        call.url.raw_path,
        state.status,
        type(result).__name__ if isinstance(result, CyclrError) else "done",
        seconds,
        progress.request_id,
    )


def attempt(hook: EventHook, call: Request[Any], progress: CallState, error: CyclrError | None, seconds: float) -> None:
    """Tell of an attempt that has ended."""
    event = AttemptEvent(
        operation=call.name,
        request_id=progress.request_id,
        attempt=progress.attempts,
        # A good answer is not kept, and which of the 2xx it had makes no difference to anybody.
        status=200 if error is None else getattr(error, "status", None),
        error=None if error is None else type(error).__name__,
        seconds=seconds,
    )
    notify(hook, event)


def outcome(hook: EventHook, call: Request[Any], progress: CallState, error: CyclrError | None, seconds: float) -> None:
    """Tell of a call that has ended."""
    event = OutcomeEvent(
        operation=call.name,
        request_id=progress.request_id,
        attempts=progress.attempts,
        error=None if error is None else type(error).__name__,
        seconds=seconds,
    )
    notify(hook, event)


def retry(hook: EventHook | None, call: Request[Any], progress: CallState, error: CyclrError, delay: float) -> None:
    """Tell that an attempt will be repeated."""
    name = type(error).__name__
    # Not a warning: a retry that succeeds is no news to whoever runs the service, and the last failure is raised.
    _logger.info(
        "%s failed with %s, attempt %d; next in %.3f s (request %s)",
        call.name,
        name,
        progress.attempts,
        delay,
        progress.request_id,
    )
    if hook is not None:
        event = RetryEvent(
            operation=call.name, request_id=progress.request_id, attempt=progress.attempts, error=name, delay=delay
        )
        notify(hook, event)


def pause(hook: EventHook | None, call: Request[Any], progress: CallState, seconds: float) -> None:
    """Tell that nothing leaves the session for a while."""
    _logger.debug(
        "%s: the server asks for less, nothing leaves for %.3f s (request %s)", call.name, seconds, progress.request_id
    )
    if hook is not None:
        notify(hook, ThrottleEvent(operation=call.name, request_id=progress.request_id, seconds=seconds))


def waiting_line(call: Request[Any], progress: CallState, limiter: Limiter) -> None:
    """Log that a call has to wait before it is sent."""
    _logger.debug(
        "%s waits for a slot or a token: %d of %d slots taken, %d in line, pause %.3f s (request %s)",
        call.name,
        limiter.in_flight,
        limiter.limit,
        limiter.queued,
        limiter.pause_left(),
        progress.request_id,
    )
