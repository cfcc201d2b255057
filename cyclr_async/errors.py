"""Every exception that can leave the package.

All derive from :class:`CyclrError`, carry ``request_id`` (ours, sent as ``X-Request-Id``), ``attempts`` and ``sent``,
survive pickle, copy and deepcopy, and hold no secret, no request and no aiohttp object.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

__all__ = [
    "AlreadyExistsError",
    "AuthenticationError",
    "BadRequestError",
    "BulkInterruptedError",
    "ConfigurationError",
    "ConflictError",
    "ConnectError",
    "CyclrError",
    "DeadlineExceededError",
    "DecodeError",
    "DesynchronizedError",
    "DnsError",
    "ForbiddenError",
    "InvalidArgumentError",
    "NotFoundError",
    "OutcomeUnknownError",
    "ProtocolError",
    "RateLimitedError",
    "ReadTimeoutError",
    "ResponseError",
    "ResponseTooLargeError",
    "Sent",
    "ServerError",
    "SessionClosedError",
    "SharedStateError",
    "StoreError",
    "TlsError",
    "TokenEndpointError",
    "TransportError",
    "TruncatedResponseError",
    "UnauthorizedError",
    "UnexpectedRedirectError",
    "UnprocessableError",
    "WrongEventLoopError",
]

Sent = Literal["never", "maybe", "yes"]
"""Whether the request reached the server: proven not, not known, or proven by an answer."""


def _rebuild(cls: type[CyclrError], args: tuple[object, ...], state: dict[str, object]) -> CyclrError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class CyclrError(Exception):
    """The root of every error of this package.

    Attributes:
        request_id: the id sent as ``X-Request-Id``, or None when no request was prepared.
        attempts: HTTP attempts made for the call, 0 when none was.
        sent: ``"never"``, ``"maybe"`` or ``"yes"``: whether the last attempt reached the server.
        token_request: True when it was the request for an access token that failed; the call itself was not sent then,
            or was refused with the token at hand.
    """

    token_request: bool = False

    def __init__(self, message: str, *, request_id: str | None = None, attempts: int = 0, sent: Sent = "never") -> None:
        super().__init__(message)
        self.request_id = request_id
        self.attempts = attempts
        self.sent: Sent = sent

    @property
    def message(self) -> str:
        """What happened, why, and what to do."""
        return str(self.args[0]) if self.args else ""

    def __str__(self) -> str:
        context = [f"request {self.request_id}"] if self.request_id else []
        if self.attempts > 1:
            context.append(f"{self.attempts} attempts")
        return f"{self.message} ({', '.join(context)})" if context else self.message

    def __reduce__(self) -> tuple[object, ...]:
        state = {name: value for name, value in self.__dict__.items() if name != "__notes__"}
        return _rebuild, (type(self), self.args, state)


class ConfigurationError(CyclrError, ValueError):
    """A setting is missing or cannot work; nothing was sent."""


class InvalidArgumentError(ConfigurationError):
    """An argument of a call was refused before anything was sent."""


class SessionClosedError(CyclrError, RuntimeError):
    """The session was used after :meth:`close`."""


class WrongEventLoopError(CyclrError, RuntimeError):
    """The session was used from another event loop or process than the one it belongs to."""


class TransportError(CyclrError, ConnectionError):
    """The exchange with the server failed below the level of an HTTP answer.

    Attributes:
        status: the HTTP status, when one had been read before the failure.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        request_id: str | None = None,
        attempts: int = 0,
        sent: Sent = "maybe",
    ) -> None:
        super().__init__(message, request_id=request_id, attempts=attempts, sent=sent)
        self.status = status


class ConnectError(TransportError):
    """No connection could be made: refused, unreachable, or timed out while connecting. Nothing was sent.

    Attributes:
        permanent: True for what will not pass by itself: a certificate that does not verify, a host name that does
            not exist, a proxy that refuses.
    """

    permanent: bool = False


class DnsError(ConnectError):
    """The host name could not be resolved; ``permanent`` when the resolver answered that it does not exist."""


class TlsError(ConnectError):
    """The TLS handshake failed: certificate, host name or protocol version; ``permanent`` for a certificate."""


class ReadTimeoutError(TransportError, TimeoutError):
    """The server sent nothing for longer than ``Timeouts.read``, or an attempt outlasted ``Timeouts.attempt``."""


class TruncatedResponseError(TransportError):
    """The connection ended before the answer was complete."""


class ProtocolError(TransportError):
    """What came back is not a usable HTTP answer."""


class DesynchronizedError(ProtocolError):
    """An answer arrived that belongs to another request; it was discarded with its connection."""


class DeadlineExceededError(CyclrError, TimeoutError):
    """The wall-clock budget of the call (``timeout=`` or ``Timeouts.deadline``) ran out.

    Attributes:
        timeout: the budget in seconds.
        last_error: one line about the last failed attempt, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        timeout: float | None = None,
        last_error: str | None = None,
        request_id: str | None = None,
        attempts: int = 0,
        sent: Sent = "never",
    ) -> None:
        super().__init__(message, request_id=request_id, attempts=attempts, sent=sent)
        self.timeout = timeout
        self.last_error = last_error


class OutcomeUnknownError(CyclrError):
    """A write may or may not have been carried out, and was not repeated for that reason.

    Attributes:
        operation: the operation, such as ``"accounts.create"``.
        status: the HTTP status, when one was seen.
        advice: what the caller can do to find out.
        marker: what ``reconcile=True`` had put into ``AuditInfo``, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        operation: str = "",
        status: int | None = None,
        advice: str = "",
        marker: str | None = None,
        request_id: str | None = None,
        attempts: int = 0,
        sent: Sent = "maybe",
    ) -> None:
        super().__init__(message, request_id=request_id, attempts=attempts, sent=sent)
        self.operation = operation
        self.status = status
        self.advice = advice
        self.marker = marker


class DecodeError(CyclrError, ValueError):
    """The answer is not what the API document describes. The value itself is never shown.

    Attributes:
        path: the JSON path of the offending value, such as ``"$[3].PricePlanId"``.
        expected: what should stand there, such as ``"int"``.
        status: the HTTP status of the answer, when there was one.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str = "$",
        expected: str = "",
        status: int | None = None,
        request_id: str | None = None,
        attempts: int = 0,
        sent: Sent = "yes",
    ) -> None:
        super().__init__(message, request_id=request_id, attempts=attempts, sent=sent)
        self.path = path
        self.expected = expected
        self.status = status


class TokenEndpointError(ProtocolError, DecodeError):
    """The token endpoint answered, with neither a token nor a refusal of the credentials.

    A redirect, a page, a status such as 404 or 410, or JSON that is no token: a wrong ``token_url``, a proxy, or a
    token endpoint that is out of order. It says nothing about the credentials, and nothing about an account. Failures
    of its server (5xx, 429) and of the connection are the same errors as for any other call, with ``token_request``.

    Attributes:
        path: always ``"$"``: it is the answer as a whole.
        expected: what should have come.
        status: the HTTP status of the answer.
    """

    token_request: bool = True

    def __init__(
        self,
        message: str,
        *,
        path: str = "$",
        expected: str = "an access token",
        status: int | None = None,
        request_id: str | None = None,
        attempts: int = 0,
        sent: Sent = "yes",
    ) -> None:
        super().__init__(message, status=status, request_id=request_id, attempts=attempts, sent=sent)
        self.path = path
        self.expected = expected


class ResponseTooLargeError(TransportError):
    """The decoded body exceeds ``Limits.response_bytes``; reading stopped and the connection was dropped."""


class AuthenticationError(CyclrError):
    """No usable access token: the token endpoint refused the credentials, or the API refused a fresh token.

    Attributes:
        error: the OAuth error code, such as ``"invalid_client"``, when one was given.
    """

    def __init__(
        self,
        message: str,
        *,
        error: str | None = None,
        request_id: str | None = None,
        attempts: int = 0,
        sent: Sent = "yes",
    ) -> None:
        super().__init__(message, request_id=request_id, attempts=attempts, sent=sent)
        self.error = error


class ResponseError(CyclrError):
    """The server answered with an error status.

    Attributes:
        status: the HTTP status.
        server_message: what the server says (``Message`` or ``error_description``), or None.
        headers: the response headers that help a diagnosis, names in lower case.
        body: the first 2,048 characters of the body, control characters escaped.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        server_message: str | None = None,
        headers: Mapping[str, str] | None = None,
        body: str = "",
        request_id: str | None = None,
        attempts: int = 0,
        sent: Sent = "yes",
    ) -> None:
        super().__init__(message, request_id=request_id, attempts=attempts, sent=sent)
        self.status = status
        self.server_message = server_message
        self.headers: dict[str, str] = dict(headers or {})
        self.body = body


class BadRequestError(ResponseError):
    """400: the server refused the request's content."""


class AlreadyExistsError(BadRequestError):
    """400: something with that id or name exists already.

    Attributes:
        same: whether what exists is as it should have been created; None when that could not be found out.
        differing: the names of the fields that are not.
    """

    same: bool | None = None
    differing: tuple[str, ...] = ()


class UnauthorizedError(ResponseError, AuthenticationError):
    """401, also after one refresh of the access token."""

    error: str | None = None


class ForbiddenError(ResponseError):
    """403: the credentials are valid and not allowed to do this."""


class NotFoundError(ResponseError):
    """404: no such account for this partner, or a wrong base URL."""


class ConflictError(ResponseError):
    """409: the request conflicts with the state of the server."""


class UnprocessableError(ResponseError):
    """422: the content was understood and refused."""


class RateLimitedError(ResponseError):
    """429: too many requests.

    Attributes:
        retry_after: seconds the server asked to wait, or None when it did not say.
    """

    retry_after: float | None = None


class ServerError(ResponseError):
    """5xx: the server failed.

    Attributes:
        retry_after: seconds the server asked to wait, or None when it did not say.
    """

    retry_after: float | None = None


class UnexpectedRedirectError(ResponseError):
    """3xx: redirects are never followed, because they could carry the request to another host.

    Attributes:
        location_origin: scheme, host and port of the target, or None.
    """

    location_origin: str | None = None


class StoreError(CyclrError):
    """The usage store cannot be used as asked: wrong partner, period or host, in use, damaged, or full."""


class SharedStateError(CyclrError):
    """What processes share cannot be reached: a file or a Redis server. Nothing was sent.

    Raised at the first call when it is not there, and later with ``on_loss="fail"`` only.
    """


class BulkInterruptedError(CyclrError):
    """A bulk run stopped before every account was collected.

    Attributes:
        reason: ``"systemic"`` (everybody is refused, or something other than the API answers), ``"outage"`` (the
            service was out for too long), ``"authentication"``, ``"closed"`` (the session was closed), ``"store"``,
            ``"workers"`` (the engine of the workers is gone, or one of them is not of this run), or
            ``"interrupted"``.
        resumable: True when a store holds what was collected and the run can be resumed.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str = "interrupted",
        resumable: bool = False,
        request_id: str | None = None,
        attempts: int = 0,
        sent: Sent = "never",
    ) -> None:
        super().__init__(message, request_id=request_id, attempts=attempts, sent=sent)
        self.reason = reason
        self.resumable = resumable
