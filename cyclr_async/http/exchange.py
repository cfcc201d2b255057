"""What an answer means: a value, or the error that a refusal is. The same for answers read whole and piece by piece.

One exchange is one attempt. The engine brings an answer or raises; here its status is judged, before its body is
looked at, and its body decoded. What follows from an error is the executor's business.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import quote_plus, urlsplit

from cyclr_async.errors import (
    BadRequestError,
    ConflictError,
    CyclrError,
    DecodeError,
    DesynchronizedError,
    ForbiddenError,
    InvalidArgumentError,
    NotFoundError,
    ProtocolError,
    RateLimitedError,
    ResponseError,
    ResponseTooLargeError,
    ServerError,
    UnauthorizedError,
    UnexpectedRedirectError,
    UnprocessableError,
)
from cyclr_async.http.classify import is_foreign
from cyclr_async.http.clock import Clock
from cyclr_async.http.engine.engine import Engine, EngineResponse
from cyclr_async.http.pace import Pace
from cyclr_async.http.request import Reader, Request, Response
from cyclr_async.http.retry import parse_retry_after
from cyclr_async.http.stream import Stream
from cyclr_async.http.timeouts import Attempt, TimerWheel
from cyclr_async.secret import HiddenStr
from cyclr_async.wire.strict_json import dumps, loads

__all__ = ["EngineSource", "Exchange", "error_from_response"]

T = TypeVar("T")

_USUAL_TYPES: Final = frozenset({"application/json", "application/json; charset=utf-8"})
_ERROR_BODY: Final = 64 * 1024
"""Bytes that are read of the body of an error, and that are left when they are unpacked."""
_ERROR_PATIENCE: Final = 1.0
"""Seconds to wait for the body of an error, which comes with its headers as a rule and cannot change what they say."""
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


class EngineSource(Protocol):
    """Has the engine of the moment: it is another one once connections can be opened, and when none can any more."""

    engine: Engine


class Exchange:
    """Sends one request and returns what its answer means, or raises one of our errors.

    Args:
        source: of the engine.
        clock: the time, for ``Retry-After`` dates.
        watch: the time limits.
        read: seconds for which a streamed answer may be silent.
        pace: bytes a second that a streamed answer must bring, or 0.
        body_limit: the largest decoded body that is accepted, in bytes.
        id_prefix: the beginning of every request id of this session.
    """

    def __init__(
        self,
        source: EngineSource,
        clock: Clock,
        watch: TimerWheel,
        *,
        read: float,
        pace: float,
        body_limit: int,
        id_prefix: str,
    ) -> None:
        self._source = source
        self._clock = clock
        self._watch = watch
        self._read = read
        self._pace = pace
        self._body_limit = body_limit
        self._id_prefix = id_prefix

    async def value(self, call: Request[T], authorization: HiddenStr | None, request_id: str, attempt: Attempt) -> T:
        """Make one attempt and return the value of its answer.

        Args:
            call: what to send.
            authorization: the value of the ``Authorization`` header, or None.
            request_id: the value of ``X-Request-Id``.
            attempt: filled in while the attempt runs; tells after a cancellation whether anything was sent.
        """
        # As _accepted() has it, without its coroutine: this is the way of nearly every call.
        if call.headers:
            _check_headers(call)
        response = await self._source.engine.send(call, authorization, request_id, attempt)
        if not self._is_good(call, response, request_id):
            raise await self._refused(call, response, authorization, request_id, attempt)
        failed: CyclrError
        try:
            if call.reader is not None:
                return await self._read_with(call.reader(), response, attempt)
            # The body stays out of this frame, which is part of the traceback of an error.
            return self._decoded(call, response, response.whole() or await self._collected(call, response, attempt))
        except DecodeError as error:
            response.doubt()
            error.status = response.status
            failed = error.with_traceback(None)  # the frames of a decoder hold the body
        except DesynchronizedError as error:
            response.doubt()  # a decoder found out that the answer is another request's
            failed = error.with_traceback(None)  # as above
        except ResponseTooLargeError as error:
            failed = error.with_traceback(None)  # as above
        finally:
            # After the last byte this gives the connection back, if it is not back already; before, it drops it.
            response.close()
        raise failed

    async def stream(
        self, call: Request[object], authorization: HiddenStr | None, request_id: str, attempt: Attempt
    ) -> Stream:
        """Make one attempt up to the headers of a successful answer; see :meth:`value`."""
        response = await self._accepted(call, authorization, request_id, attempt)
        try:
            response.pause()  # nobody reads yet, and whoever will may be slow
        except BaseException:
            response.close()
            raise
        pace = Pace(call.name, least=self._pace, read=self._read)
        return Stream(response, pace=pace, watch=self._watch, request_id=request_id)

    async def _accepted(
        self, call: Request[Any], authorization: HiddenStr | None, request_id: str, attempt: Attempt
    ) -> EngineResponse:
        """Send a request and return the answer if it is a good one, as far as its headers tell."""
        if call.headers:
            _check_headers(call)
        response = await self._source.engine.send(call, authorization, request_id, attempt)
        if self._is_good(call, response, request_id):
            return response
        raise await self._refused(call, response, authorization, request_id, attempt)

    def _is_good(self, call: Request[Any], response: EngineResponse, request_id: str) -> bool:
        """Whether an answer is a good one, as far as its headers tell."""
        echoed = response.request_id
        return (
            200 <= response.status < 300
            and (echoed is None or echoed == request_id or not self._is_ours(echoed))
            # What is read piece by piece is judged before its first piece, other answers only if they have a body.
            and (call.reader is None or _is_json(call, response))
        )

    async def _refused(
        self,
        call: Request[Any],
        response: EngineResponse,
        authorization: HiddenStr | None,
        request_id: str,
        attempt: Attempt,
    ) -> CyclrError:
        """Return why an answer is not accepted, and give its connection back."""
        try:
            return await self._refusal(call, response, authorization, request_id, attempt)
        finally:
            response.close()

    def _is_ours(self, request_id: str) -> bool:
        """Whether this session has sent this id. What a proxy makes up is no reason to doubt an answer."""
        return request_id.startswith(self._id_prefix)

    async def _refusal(
        self,
        call: Request[Any],
        response: EngineResponse,
        authorization: HiddenStr | None,
        request_id: str,
        attempt: Attempt,
    ) -> CyclrError:
        """Return why an answer is not accepted."""
        status = response.status
        if not 200 <= status <= 599:
            return ProtocolError(
                f"{call.name}: the server answered with the status {status}", sent="yes", status=status
            )
        echoed = response.request_id
        if echoed is not None and echoed != request_id and self._is_ours(echoed):
            response.doubt()
            return DesynchronizedError(
                f"{call.name}: the answer belongs to another request and was discarded", sent="maybe", status=None
            )
        if status < 300:
            response.doubt()
            wrong = _wrong_type(call)
            wrong.status = status
            return wrong
        body = response.whole()
        if body is None:
            attempt.touch()
            # Half of what is left at most, so that it is this limit that ends the waiting and not the attempt's.
            limit = self._watch.limit(min(_ERROR_PATIENCE, attempt.patience() / 2))
            body = await response.excerpt(_ERROR_BODY, limit)
        # No error may repeat what the request carries, also when the server does.
        hidden = [secret.reveal() for secret in call.secrets]
        if authorization is not None:
            hidden.append(authorization.removeprefix("Bearer "))
        return error_from_response(
            call.name,
            status,
            response.headers,
            body[:_ERROR_BODY],
            wall=self._clock.wall(),
            hidden=hidden,
            quote=call.quotable,
        )

    def _decoded(self, call: Request[T], response: EngineResponse, body: bytes) -> T:
        if len(body) > self._body_limit:
            raise self._too_large(call, response)
        if body and not _is_json(call, response):
            raise _wrong_type(call)
        if call.interpret is not None:
            return call.interpret(Response(response.status, response.headers, body, response.connection))
        assert call.decode is not None  # a request says how its answer becomes a value in one way at least
        return call.decode(loads(body))

    async def _collected(self, call: Request[Any], response: EngineResponse, attempt: Attempt) -> bytes:
        pieces = bytearray()
        while piece := await response.piece():
            attempt.touch()
            pieces += piece
            if len(pieces) > self._body_limit:  # checked here too, so that no more than that is ever held
                raise self._too_large(call, response)
        return bytes(pieces)

    async def _read_with(self, reader: Reader[T], response: EngineResponse, attempt: Attempt) -> T:
        while piece := await response.piece():
            attempt.touch()
            reader.feed(piece)
            await asyncio.sleep(0)  # a long list does not keep the event loop to itself
        return reader.close()

    def _too_large(self, call: Request[Any], response: EngineResponse) -> CyclrError:
        return ResponseTooLargeError(
            f"{call.name}: the answer is larger than Limits.response_bytes ({self._body_limit} bytes)",
            sent="yes",
            status=response.status,
        )


def _is_json(call: Request[Any], response: EngineResponse) -> bool:
    """Whether an answer is of the type that its request asks for. Without a type, the body itself tells."""
    if not call.json:
        return True
    given = response.content_type
    if given is None or given in _USUAL_TYPES:
        return True
    kind = given.partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def _wrong_type(call: Request[Any]) -> DecodeError:
    return DecodeError(
        f"{call.name}: the answer is not JSON: its content type says otherwise", expected="application/json"
    )


def _check_headers(call: Request[Any]) -> None:
    """Refuse headers that a server could read as something else."""
    for name, value in call.headers.items():
        # A line end in a value would begin a header, or a request, of somebody else's making.
        if not (value.isascii() and value.isprintable()):
            raise InvalidArgumentError(f"{call.name}: the header {name} must be printable ASCII")


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
