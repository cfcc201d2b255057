"""The retry decision, as pure functions: no clock, no randomness and no asyncio of their own."""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Final, Literal

import attrs

from cyclr_async.config import RetryPolicy
from cyclr_async.errors import (
    ConfigurationError,
    ConnectError,
    CyclrError,
    DecodeError,
    DnsError,
    RateLimitedError,
    ResponseError,
    ResponseTooLargeError,
    Sent,
    ServerError,
    SessionClosedError,
    TlsError,
)
from cyclr_async.http.classify import is_not_json
from cyclr_async.http.request import Safety

__all__ = [
    "Decision",
    "Failure",
    "RetryBudget",
    "RetryStrategy",
    "Verdict",
    "backoff",
    "decide",
    "failure_of",
    "is_unsettled",
    "parse_retry_after",
]

FailureKind = Literal["connect", "transport", "decode", "status"]

# Costs as botocore has them: with 500 tokens, 35 retries at once before the budget is empty. Being throttled is
# cheaper, since the server is well and has said how long to wait.
_RETRY_COST: Final = 14
_THROTTLED_COST: Final = 5
# The server says that it has not begun: safe for writes too.
_NOT_EXECUTED: Final = frozenset({425, 429})
# What passes by itself. Not 501, 505 and 511, which will be the same next time.
_TRANSIENT: Final = frozenset({408, 500, 502, 503, 504})
_REFUSED: Final = frozenset({501, 505, 511})
# Strict, with bounded digits: an odd value is better not understood than a pause of a century.
_DELTA_SECONDS: Final = re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,9})?")
_HTTP_DATE: Final = re.compile(r"[A-Z][a-z]{2,8},? [0-9A-Za-z :-]{15,40}")


@attrs.frozen(kw_only=True)
class Failure:
    """What went wrong with one attempt, as far as the decision needs to know.

    Attributes:
        kind: connecting, exchanging bytes, understanding the answer, or the status of the answer.
        sent: whether the request reached the server.
        at_most: attempts that make sense for this failure, or None: 1 for a certificate that does not verify.
        status: the HTTP status, when one was seen.
        retry_after: seconds the server asked to wait, or None.
    """

    kind: FailureKind
    sent: Sent
    at_most: int | None = None
    status: int | None = None
    retry_after: float | None = None


class Verdict(Enum):
    """What to do about a failed attempt."""

    RETRY = "retry"
    FINAL = "final"
    """The failure is the answer."""
    UNKNOWN = "unknown"
    """A write that may have been carried out: it must not be repeated."""
    EXHAUSTED = "exhausted"
    """It could be repeated, but attempts, time or patience have run out."""


@attrs.frozen
class Decision:
    """A verdict, and for a retry: how long to wait, what it costs, and how long the session should pause.

    Attributes:
        verdict: what to do.
        delay: seconds before the next attempt.
        cost: tokens to take from the retry budget.
        pause: seconds for which no request of the session should leave; 0 for none.
    """

    verdict: Verdict
    delay: float = 0.0
    cost: int = 0
    pause: float = 0.0


def parse_retry_after(value: str | None, *, wall: float, date: str | None = None) -> float | None:
    """Read a ``Retry-After`` header strictly: seconds, or an HTTP date.

    Args:
        value: the header, or None.
        wall: seconds since the epoch, used when the response has no date of its own.
        date: the ``Date`` header of the same response: the server's clock is the one its date refers to.

    Returns:
        Seconds from now, 0 for a past date, or None when absent or not understood.
    """
    if value is None:
        return None
    value = value.strip(" \t")
    if _DELTA_SECONDS.fullmatch(value):
        return float(value)
    until = _epoch(value)
    if until is None:
        return None
    server_now = _epoch(date.strip(" \t")) if date is not None else None
    return max(0.0, until - (wall if server_now is None else server_now))


def _epoch(value: str) -> float | None:
    if not _HTTP_DATE.fullmatch(value):
        return None
    try:
        moment = parsedate_to_datetime(value)
        # An HTTP date is in GMT, also in the old form that does not say so.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def backoff(attempt: int, *, base: float, cap: float, random: float) -> float:
    """Return the wait after the given attempt (1 is the first): full jitter, ``random`` from 0 up to 1."""
    return random * min(cap, base * 2.0 ** min(attempt - 1, 30))


def _may_repeat(failure: Failure, safety: Safety, *, attempt: int) -> Verdict:
    if failure.kind == "status" and failure.status not in _TRANSIENT:
        if failure.status in _NOT_EXECUTED:
            return Verdict.RETRY
        # A gateway has codes of its own for "the server did not answer me": the write may have been carried out.
        own_5xx = (failure.status or 0) >= 500 and failure.status not in _REFUSED
        # A 303 says where to read what came of the request, so something did.
        unclear = own_5xx or failure.status == 303
        return Verdict.UNKNOWN if unclear and safety is Safety.UNSAFE else Verdict.FINAL
    if safety is Safety.UNSAFE and failure.sent != "never":
        return Verdict.UNKNOWN
    if failure.at_most is not None and attempt >= failure.at_most:
        return Verdict.FINAL
    return Verdict.RETRY


def decide(
    failure: Failure,
    safety: Safety,
    policy: RetryPolicy,
    *,
    attempt: int,
    elapsed: float,
    remaining: float,
    random: float,
) -> Decision:
    """Decide what follows a failed attempt.

    Args:
        failure: what happened.
        safety: whether the operation may be repeated when its outcome is unknown.
        policy: the limits.
        attempt: the number of the failed attempt, from 1.
        elapsed: seconds since the first attempt began. A write that sets a state is not sent again later than
            ``policy.write_window`` after it, whatever the failure: even if no attempt was carried out so far, a newer
            change may have been made meanwhile.
        remaining: seconds until the deadline of the call.
        random: a number from 0 up to 1, for the jitter.
    """
    throttled = failure.kind == "status" and failure.status in {429, 503}
    verdict = _may_repeat(failure, safety, attempt=attempt)
    base = policy.throttled_base if throttled else policy.base
    delay = backoff(attempt, base=base, cap=policy.cap, random=random)
    pause = 0.0
    asked = failure.retry_after
    if asked is not None:
        # Never earlier than asked; the spread keeps a crowd from coming back in one instant.
        delay = max(asked, delay) + random * min(5.0, 0.25 * asked)
    # A 503 without Retry-After pauses nobody: it may be about one request, or one server of several.
    if failure.status == 429 or (throttled and asked is not None):
        pause = min(asked if asked is not None else delay, policy.retry_after_cap)
    if verdict is Verdict.RETRY:
        too_long = asked is not None and asked > policy.retry_after_cap
        too_late = safety is Safety.REPEATABLE and elapsed + delay > policy.write_window
        if attempt >= policy.attempts or too_long or too_late or delay >= remaining:
            verdict = Verdict.EXHAUSTED
    cost = _THROTTLED_COST if failure.status == 429 else _RETRY_COST
    return Decision(verdict, delay=delay, cost=cost, pause=pause)


class RetryBudget:
    """A bucket of tokens that bounds how much retries may add to the traffic of a failing server."""

    __slots__ = ("capacity", "tokens")

    def __init__(self, capacity: int) -> None:
        self.capacity: int = capacity
        self.tokens: int = capacity
        """What is left."""

    def withdraw(self, cost: int) -> bool:
        """Take the cost of one retry; False when there is not enough. Without capacity there is no budget."""
        # Zero switches the budget off; it does not forbid retries, which attempts=1 does.
        if self.capacity == 0:
            return True
        if self.tokens < cost:
            return False
        self.tokens -= cost
        return True

    def succeeded(self, spent: int) -> None:
        """Return what a call that succeeded in the end had spent, or 1 when it had spent nothing."""
        self.tokens = min(self.capacity, self.tokens + (spent or 1))


@attrs.frozen
class RetryStrategy:
    """How hard one call is tried.

    Attributes:
        policy: attempts and backoff.
        budget: the retry budget to draw on, or None.
    """

    policy: RetryPolicy
    budget: RetryBudget | None


def failure_of(error: CyclrError) -> Failure:
    """Reduce an exception to what the retry decision needs."""
    if isinstance(error, ResponseError):
        retry_after = error.retry_after if isinstance(error, (RateLimitedError, ServerError)) else None
        return Failure(kind="status", sent="yes", status=error.status, retry_after=retry_after)
    if isinstance(error, DecodeError):
        # What is not JSON at all is usually a page of something in between and passes; a wrong field does not.
        return Failure(kind="decode", sent="yes", status=error.status, at_most=None if is_not_json(error) else 1)
    if isinstance(error, (TlsError, DnsError)):
        return Failure(
            kind="connect", sent="never", at_most=1 if isinstance(error, TlsError) and error.permanent else 2
        )
    if isinstance(error, ConnectError):
        return Failure(kind="connect", sent="never", at_most=1 if error.permanent else None)
    if isinstance(error, ConfigurationError):
        return Failure(kind="connect", sent="never", at_most=1)
    if isinstance(error, SessionClosedError):
        return Failure(kind="transport", sent=error.sent, at_most=1)
    at_most = 1 if isinstance(error, ResponseTooLargeError) else None
    return Failure(kind="transport", sent=error.sent, status=getattr(error, "status", None), at_most=at_most)


def is_unsettled(error: CyclrError) -> bool:
    """Tell whether an attempt that ended so may have been carried out."""
    if isinstance(error, ResponseError):
        return error.status in {303, 408} or (error.status >= 500 and error.status not in {501, 505, 511})
    return error.sent != "never"
