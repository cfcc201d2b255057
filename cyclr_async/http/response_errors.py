"""From an error status to an exception, and from an exception to what the retry decision needs to know."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Final
from urllib.parse import quote_plus, urlsplit

from cyclr_async.errors import (
    BadRequestError,
    ConfigurationError,
    ConflictError,
    ConnectError,
    CyclrError,
    DecodeError,
    DnsError,
    ForbiddenError,
    NotFoundError,
    RateLimitedError,
    ResponseError,
    ResponseTooLargeError,
    ServerError,
    SessionClosedError,
    TlsError,
    UnauthorizedError,
    UnexpectedRedirectError,
    UnprocessableError,
)
from cyclr_async.http.classify import is_foreign, is_not_json
from cyclr_async.http.retry import Failure, parse_retry_after
from cyclr_async.wire.strict_json import dumps, loads

__all__ = ["error_from_response", "failure_of", "is_unsettled"]

_BY_STATUS: Final[dict[int, type[ResponseError]]] = {
    400: BadRequestError,
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    422: UnprocessableError,
    429: RateLimitedError,
}
_HEADERS: Final = frozenset(
    {"content-type", "content-length", "date", "retry-after", "server", "via", "www-authenticate", "x-request-id"}
)
_EXCERPT: Final = 2048
_ADVICE: Final[dict[int, str]] = {
    401: "the access token was refused; check the credentials and that the token may use the partner API",
    403: "the credentials are valid but may not do this; check the scope of the token and IP restrictions",
    404: "no such account for this partner, or the base URL is not that of the partner API",
    407: "the proxy wants credentials: give them as proxy='http://user:password@host:port'",
}


def error_from_response(
    operation: str,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    wall: float,
    hidden: Sequence[str] = (),
    quote: bool = True,
) -> ResponseError:
    """Build the exception for an error status.

    Args:
        operation: the operation, for the message.
        status: the HTTP status, 300 to 599.
        headers: the response headers; only those that help a diagnosis are kept.
        body: what was read of the body: ``{"Message": …}``, an OAuth error, HTML, or nothing.
        wall: seconds since the epoch, for a ``Retry-After`` date.
        hidden: texts that must not be shown, also when the server repeats them.
        quote: False leaves the body out: that of a token endpoint may hold a token that nobody knows yet.
    """
    veil = _veil(hidden)
    said = veil(_server_message(body) or "") or None
    kept = {name.lower(): veil(_printable(value))[:200] for name, value in headers.items() if name.lower() in _HEADERS}
    if 300 <= status < 400:
        kind: type[ResponseError] = UnexpectedRedirectError
    else:
        kind = _BY_STATUS.get(status, ServerError if status >= 500 else ResponseError)
    message = f"{operation}: the server answered {status}"
    if said:
        message += f": {said}"
    elif status in _ADVICE:
        message += f": {_ADVICE[status]}"
    error = kind(message, status=status, server_message=said, headers=kept, body=veil(_excerpt(body)) if quote else "")
    if isinstance(error, (ForbiddenError, NotFoundError)) and is_foreign(error):
        words = f"{operation}: the server answered {status}{f': {said}' if said else ''}"
        error.args = (f"{words}; this is not an answer of the API: check the base URL, or a proxy in between",)
    if isinstance(error, (RateLimitedError, ServerError)):
        error.retry_after = parse_retry_after(headers.get("Retry-After"), wall=wall, date=headers.get("Date"))
    if isinstance(error, UnexpectedRedirectError):
        error.location_origin = _origin(headers.get("Location"))
        error.args = (f"{message} and points to {error.location_origin or 'nowhere'}; redirects are not followed",)
    return error


def _veil(hidden: Sequence[str]) -> Callable[[str], str]:
    """Return a function that masks the given texts, plain or as they stand in a form or in JSON."""
    forms = {form for text in hidden for form in (text, quote_plus(text), dumps(text)[1:-1].decode()) if len(text) > 3}

    def veiled(text: str) -> str:
        for form in forms:
            text = text.replace(form, "***")
        return text

    return veiled


def _origin(location: str | None) -> str | None:
    try:
        parts = urlsplit(location or "")
        host = parts.hostname
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return None
    return _printable(f"{parts.scheme}://{host}{port}")[:200] if parts.scheme and host else None


def _server_message(body: bytes) -> str | None:
    try:
        data = loads(body) if body else None
    except DecodeError:
        return None
    if not isinstance(data, dict):
        return None
    parts = [data.get("Message"), data.get("error"), data.get("error_description")]
    text = ": ".join(part for part in parts if isinstance(part, str) and part)
    return _printable(text)[:500] or None


def _excerpt(body: bytes) -> str:
    return _printable(body[: 4 * _EXCERPT].decode("utf-8", "replace"))[:_EXCERPT]


def _printable(text: str) -> str:
    """Return a text of the server's with its control characters shown, so that it cannot forge a line of a log."""
    if text.isprintable():
        return text
    return "".join(
        f"\\x{ord(char):02x}" if unicodedata.category(char).startswith(("C", "Zl", "Zp")) else char for char in text
    )


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
