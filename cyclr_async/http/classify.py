"""Whose fault an error is: the one classification that retries, bulk runs, the store and reports share.

It looks at nothing but the error. What follows from a concern is the business of whoever asks: a call repeats, a bulk
run pauses or ends, the store keeps a state.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

from cyclr_async.errors import (
    AuthenticationError,
    BulkInterruptedError,
    ConfigurationError,
    CyclrError,
    DecodeError,
    ForbiddenError,
    InvalidArgumentError,
    NotFoundError,
    RateLimitedError,
    ResponseError,
    ServerError,
    SessionClosedError,
    SharedStateError,
    StoreError,
    TokenEndpointError,
    TransportError,
    UnauthorizedError,
    UnexpectedRedirectError,
    WrongEventLoopError,
)

__all__ = ["Concern", "asked_to_wait", "classify", "is_foreign", "is_not_json", "is_wrong_address", "needs_witness"]

_RUN: Final = (SessionClosedError, SharedStateError, WrongEventLoopError, StoreError, BulkInterruptedError)
_SERVICE_STATUSES: Final = frozenset({405, 407, 408, 421, 425, 429})
"""4xx that say nothing about an account or its request: the method does not exist there, a proxy wants credentials,
the connection or the moment was wrong."""
_ACCOUNT_STATUSES: Final = frozenset({403, 404, 410, 451})
_NO_ROUTE: Final = re.compile(r"no http resource was found|no (?:type|action) was found|no route", re.IGNORECASE)
"""How ASP.NET Web API and common gateways say that a URL leads nowhere: the API itself was never reached."""

_BLANK: Final = re.compile(r"^(?:\s|\\x0[9ad]|\\xfeff|\\[nrt])+")
"""White space and a byte order mark, also as an error shows them: escaped."""


class Concern(Enum):
    """What an error is about."""

    ACCOUNT = "account"
    """One account, and only that: it does not exist, may not be seen, or its data is not as documented."""
    CREDENTIALS = "credentials"
    """Who is asking: the credentials or the access token were refused."""
    SERVICE = "service"
    """The service or the way to it: unreachable, late, failing, busy, or not the API that answered."""
    REQUEST = "request"
    """The content of this one request."""
    RUN = "run"
    """Everything at once: a setting, the session, the event loop, the store."""


def classify(error: CyclrError) -> Concern:
    """Return what an error is about."""
    # First: these are certain, whatever else the error looks like.
    if isinstance(error, _RUN):
        return Concern.RUN
    if isinstance(error, ConfigurationError):
        # An argument is wrong for one call. Any other setting, also one that only the token request met, is wrong for
        # all.
        own = isinstance(error, InvalidArgumentError) and not error.token_request
        return Concern.REQUEST if own else Concern.RUN
    if isinstance(error, AuthenticationError):
        return Concern.CREDENTIALS
    if error.token_request:
        # No account was asked, so whatever came back says nothing about one, a 404 included.
        return Concern.SERVICE
    if isinstance(error, ResponseError):
        return _of_answer(error)
    if isinstance(error, DecodeError):
        # A field that is wrong is wrong for this account; a page in place of JSON comes from something in between.
        return Concern.SERVICE if is_not_json(error) else Concern.ACCOUNT
    return Concern.SERVICE if isinstance(error, (TransportError, TimeoutError)) else Concern.REQUEST


def _of_answer(error: ResponseError) -> Concern:
    if isinstance(error, (ServerError, RateLimitedError, UnexpectedRedirectError)) or error.status in _SERVICE_STATUSES:
        return Concern.SERVICE
    if isinstance(error, (NotFoundError, ForbiddenError)) or error.status in _ACCOUNT_STATUSES:
        # The word of the API is needed to call an account missing: a bulk run writes that down as settled.
        return Concern.SERVICE if is_foreign(error) else Concern.ACCOUNT
    return Concern.REQUEST


def is_not_json(error: DecodeError) -> bool:
    """Whether an answer was no JSON, or not the kind of document at all: usually a page of something in between."""
    return error.path == "$" or error.expected == "JSON"


def is_foreign(error: ResponseError) -> bool:
    """Whether a refusal was certainly not written by the API.

    The API answers with JSON or, to an unknown account, with no body at all. A page, a text, or the message of a web
    server that no route leads there comes from a proxy, from a server without the API, or from a wrong address.
    """
    if _NO_ROUTE.search(error.server_message or ""):
        return True
    body = _BLANK.sub("", error.body, count=1)
    return bool(body) and not body.startswith(("{", "[", '"', "null"))


def is_wrong_address(error: CyclrError) -> bool:
    """Whether something other than the API answered, and will again: a redirect, a page, a path that leads nowhere.

    That is a passing fault where the API has answered before (a deployment, a maintenance page), and a wrong address
    where it has not.
    """
    if isinstance(error, TokenEndpointError):
        return error.status is not None and 300 <= error.status < 500
    if error.token_request or not isinstance(error, ResponseError):
        return False
    if isinstance(error, UnexpectedRedirectError) or error.status in {405, 407}:
        return True
    return classify(error) is Concern.SERVICE and error.status in _ACCOUNT_STATUSES


def needs_witness(error: CyclrError) -> bool:
    """Whether a refusal is an account's own only if other accounts are still answered.

    A 401 is about the token as a rule. A refusal without the message of the API, which is how it answers to an unknown
    account, could be that of a proxy as well.
    """
    if isinstance(error, UnauthorizedError) or is_wrong_address(error):
        return True
    return isinstance(error, ResponseError) and error.server_message is None and _BLANK.sub("", error.body) != "{}"


def asked_to_wait(error: CyclrError) -> float | None:
    """Return the seconds that the server asked to wait (``Retry-After``), None when it did not."""
    return error.retry_after if isinstance(error, (RateLimitedError, ServerError)) else None
