"""What happens inside a call, for whoever wants to know: typed events that cannot break the call they tell of."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Literal, TypeAlias

import attrs

__all__ = [
    "AttemptEvent",
    "Event",
    "EventHook",
    "OutcomeEvent",
    "RetryEvent",
    "SharedStateEvent",
    "ThrottleEvent",
    "TokenEvent",
    "notify",
]

_logger = logging.getLogger("cyclr_async.events")


@attrs.frozen(kw_only=True)
class AttemptEvent:
    """One HTTP attempt ended.

    Attributes:
        operation: such as ``"accounts.usage"``.
        request_id: the id sent as ``X-Request-Id``.
        attempt: its number, from 1.
        status: the HTTP status, or None when there was no answer.
        error: the name of the exception class, or None.
        seconds: how long the attempt took.
    """

    operation: str
    request_id: str
    attempt: int
    status: int | None
    error: str | None
    seconds: float


@attrs.frozen(kw_only=True)
class RetryEvent:
    """A failed attempt will be repeated after ``delay`` seconds; ``error`` is the name of the exception class."""

    operation: str
    request_id: str
    attempt: int
    delay: float
    error: str


@attrs.frozen(kw_only=True)
class ThrottleEvent:
    """The server asked for less: nothing leaves the session for ``seconds``."""

    operation: str
    request_id: str
    seconds: float


@attrs.frozen(kw_only=True)
class TokenEvent:
    """An access token was ``"refreshed"``, could not be fetched (``"failed"``), or was refused (``"rejected"``).

    With a shared state also ``"adopted"``: another process had fetched it.
    """

    action: Literal["refreshed", "adopted", "failed", "rejected"]
    error: str | None = None


@attrs.frozen(kw_only=True)
class SharedStateEvent:
    """The shared state was ``"lost"``, or is there again (``"restored"``).

    Attributes:
        action: which of the two.
        processes: how many share, as far as is known: while it is lost, the rate is divided by this.
        error: why it was lost.
    """

    action: Literal["lost", "restored"]
    processes: int
    error: str | None = None


@attrs.frozen(kw_only=True)
class OutcomeEvent:
    """A call ended, well when ``error`` is None.

    Attributes:
        operation: such as ``"accounts.usage"``.
        request_id: the id sent as ``X-Request-Id``.
        attempts: HTTP attempts made.
        error: the name of the exception class, or None.
        seconds: how long the whole call took.
    """

    operation: str
    request_id: str
    attempts: int
    error: str | None
    seconds: float


Event: TypeAlias = AttemptEvent | RetryEvent | ThrottleEvent | TokenEvent | SharedStateEvent | OutcomeEvent
EventHook: TypeAlias = Callable[[Event], object]


def notify(hook: EventHook, event: Event) -> None:
    """Hand an event to the user's function; what that raises is logged and goes no further."""
    try:
        hook(event)
    # Whatever it is: an observer must not be able to fail a write that was carried out.
    except Exception:
        _logger.exception("on_event raised while handling %s; the call goes on", type(event).__name__)
