"""Exactly one HTTP attempt. Every exception of aiohttp ends here, also as the context of one of ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Final, TypeVar

from aiohttp import hdrs

from cyclr_async.errors import (
    ConfigurationError,
    ConnectError,
    CyclrError,
    DecodeError,
    DesynchronizedError,
    InvalidArgumentError,
    ProtocolError,
    ResponseTooLargeError,
    SessionClosedError,
)
from cyclr_async.http.clock import Clock
from cyclr_async.http.engine.body import BUFFER, PURE_PYTHON, Body, legible
from cyclr_async.http.engine.connector import Attempt, current_attempt
from cyclr_async.http.engine.direct import REQUEST_ID, EngineResponse, NotDirectError
from cyclr_async.http.engine.errors import FOREIGN, translate
from cyclr_async.http.engine.interception import forget_frames, is_intercepted
from cyclr_async.http.engine.pool import HEADERS, Pool
from cyclr_async.http.pace import Pace
from cyclr_async.http.request import Request, Response, Safety
from cyclr_async.http.response_errors import error_from_response
from cyclr_async.http.timeouts import TimerWheel
from cyclr_async.secret import HiddenStr

__all__ = ["REQUEST_ID", "Transport"]

T = TypeVar("T")

_USUAL_TYPES: Final = frozenset({"application/json", "application/json; charset=utf-8"})
_ERROR_BODY: Final = 64 * 1024
"""Bytes that are read of the body of an error, and that are left when they are unpacked."""
_ERROR_PATIENCE: Final = 1.0
"""Seconds to wait for the body of an error, which comes with its headers as a rule and cannot change what they say."""


class Transport:
    """Sends one request and returns its answer, or raises one of our errors.

    Args:
        pool: the connections.
        clock: the time, for ``Retry-After`` dates.
        watch: the time limits.
        read: seconds for which a streamed answer may be silent.
        pace: bytes a second that a streamed answer must bring, or 0.
        body_limit: the largest decoded body that is accepted, in bytes.
        id_prefix: the beginning of every request id of this session.
    """

    def __init__(
        self, pool: Pool, clock: Clock, watch: TimerWheel, *, read: float, pace: float, body_limit: int, id_prefix: str
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._watch = watch
        self._read = read
        self._pace = pace
        self._body_limit = body_limit
        self._id_prefix = id_prefix

    async def exchange(self, call: Request[T], authorization: HiddenStr | None, request_id: str, attempt: Attempt) -> T:
        """Make one attempt and return the value of its answer.

        Args:
            call: what to send.
            authorization: the value of the ``Authorization`` header, or None.
            request_id: the value of ``X-Request-Id``.
            attempt: filled in while the attempt runs; tells after a cancellation whether anything was sent.
        """
        status: int | None = None
        try:
            try:
                response = await self._send(call, authorization, request_id, attempt)
            except NotDirectError:
                response = await self._through_session(call, authorization, request_id, attempt)
            status = attempt.status = response.status
            try:
                self._check(call, response, request_id, attempt)
                if status >= 300:
                    failed: CyclrError = await self._refusal(call, response, authorization, attempt)
                elif call.reader is not None:
                    reader = call.reader()
                    body = Body(response)
                    while piece := await body.piece():
                        attempt.touch()
                        reader.feed(piece)
                        await asyncio.sleep(0)  # a long list does not keep the event loop to itself
                    return reader.close()
                else:
                    # The body stays out of this frame, which is part of the traceback of an error.
                    return call.decode(
                        Response(status, response.headers, await self._body(call, response, attempt), attempt.protocol)
                    )
            finally:
                # After the last byte this gives the connection back, if it is not back already; before, it drops it.
                response.close()
        except FOREIGN as error:
            if isinstance(error, DesynchronizedError):
                attempt.doubt()  # a decoder found out that the answer is another request's
            failed = self._translated(error, call, attempt, status)
        except DecodeError as error:
            attempt.doubt()
            error.status = status
            failed = error.with_traceback(None)  # the frames of a decoder hold the body
        except (RuntimeError, ValueError) as error:
            failed = self._unusable(error, call, attempt)
        raise failed

    async def open_stream(
        self, call: Request[object], authorization: HiddenStr | None, request_id: str, attempt: Attempt
    ) -> Stream:
        """Make one attempt up to the headers of a successful answer."""
        try:
            try:
                response = await self._send(call, authorization, request_id, attempt)
            except NotDirectError:
                response = await self._through_session(call, authorization, request_id, attempt)
            attempt.status = response.status
            settled = False
            try:
                self._check(call, response, request_id, attempt)
                if response.status < 300:
                    stream = Stream(
                        response,
                        lambda error: self._translated(error, call, attempt, response.status),
                        pace=Pace(call.name, least=self._pace, read=self._read),
                        watch=self._watch,
                        request_id=request_id,
                    )
                    settled = True
                    return stream
                failed: CyclrError = await self._refusal(call, response, authorization, attempt)
            finally:
                if not settled:
                    response.close()
        except FOREIGN as error:
            failed = self._translated(error, call, attempt, attempt.status)
        except (RuntimeError, ValueError) as error:
            failed = self._unusable(error, call, attempt)
        raise failed

    def _send(
        self, call: Request[T], authorization: HiddenStr | None, request_id: str, attempt: Attempt
    ) -> Coroutine[Any, Any, EngineResponse]:
        if call.headers:
            _check_headers(call)
        fast = self._pool.fast
        plain = call.method == "GET" and call.body is None and call.safety is not Safety.UNSAFE
        if fast is not None and plain and fast.takes(call.url):
            return fast.get(call.url, call.headers, request_id, authorization, attempt)
        return self._through_session(call, authorization, request_id, attempt)

    async def _through_session(
        self, call: Request[T], authorization: HiddenStr | None, request_id: str, attempt: Attempt
    ) -> EngineResponse:
        pool = self._pool
        session = pool.reads if call.safety is Safety.SAFE else pool.writes
        if session is None or pool.closed:
            raise SessionClosedError("the session is closed: make a new AsyncPartnerSession")
        headers: dict[str, str] = {**call.headers, REQUEST_ID: request_id}
        if authorization is not None:
            headers["Authorization"] = authorization
        if call.body is not None:
            headers["Content-Type"] = call.content_type
        options: dict[str, Any] = {"auto_decompress": False, "read_bufsize": BUFFER}  # see body.py
        if pool.borrowed is not None:
            headers = {**HEADERS, **headers}
            options |= {"timeout": pool.timeout, "raise_for_status": False, "middlewares": pool.middlewares}
            attempt.connected = pool.middlewares is None  # nobody will say when it is
        intercepted = is_intercepted(session)
        token = current_attempt.set(attempt)
        try:
            return await session.request(
                call.method,
                call.url,
                data=bytes(call.body) if intercepted and call.body is not None else call.body,
                headers=_plain(headers) if intercepted else headers,
                allow_redirects=False,
                proxy=pool.proxy,
                **options,
            )
        except BaseException as error:
            if not intercepted:
                raise
            # Whether what stands in for aiohttp has sent something is not known.
            attempt.connected = True
            # Its frames hold the token and the body in clear, and a traceback may show their locals.
            forget_frames(error)
            raise
        finally:
            current_attempt.reset(token)

    def _check(self, call: Request[T], response: EngineResponse, request_id: str, attempt: Attempt) -> None:
        status = response.status
        if not 200 <= status <= 599:
            raise ProtocolError(f"{call.name}: the server answered with the status {status}", sent="yes", status=status)
        echoed = response.headers.get(REQUEST_ID)
        if echoed is not None and echoed != request_id and echoed.startswith(self._id_prefix):
            attempt.doubt()
            raise DesynchronizedError(
                f"{call.name}: the answer belongs to another request and was discarded", sent="maybe", status=None
            )
        if status < 300 and call.reader is not None:
            self._check_type(call, response)

    def _check_type(self, call: Request[T], response: EngineResponse) -> None:
        if not call.json:
            return
        given = response.headers.get(hdrs.CONTENT_TYPE)
        if given is None or given in _USUAL_TYPES:
            return
        kind = given.partition(";")[0].strip().lower()
        if kind != "application/json" and not kind.endswith("+json"):
            raise DecodeError(
                f"{call.name}: the answer is not JSON: its content type says otherwise", expected="application/json"
            )

    async def _body(self, call: Request[T], response: EngineResponse, attempt: Attempt) -> bytes:
        content = response.content
        if content.is_eof() and not PURE_PYTHON and hdrs.CONTENT_ENCODING not in response.headers:
            # A short answer has arrived whole, as a rule, and a parser in C has seen that nothing follows it.
            body = content.read_nowait()
        else:
            body = await self._collected(call, response, attempt)
        if len(body) > self._body_limit:
            raise self._too_large(call, response)
        if body:
            self._check_type(call, response)
        return body

    async def _collected(self, call: Request[T], response: EngineResponse, attempt: Attempt) -> bytes:
        body = Body(response)
        pieces = bytearray()
        while piece := await body.piece():
            attempt.touch()
            pieces += piece
            if len(pieces) > self._body_limit:
                raise self._too_large(call, response)
        return bytes(pieces)

    def _too_large(self, call: Request[T], response: EngineResponse) -> CyclrError:
        return ResponseTooLargeError(
            f"{call.name}: the answer is larger than Limits.response_bytes ({self._body_limit} bytes)",
            sent="yes",
            status=response.status,
        )

    async def _refusal(
        self, call: Request[T], response: EngineResponse, authorization: HiddenStr | None, attempt: Attempt
    ) -> CyclrError:
        body = await self._error_body(response, attempt)
        hidden = [secret.reveal() for secret in call.secrets]
        if authorization is not None:
            hidden.append(authorization.removeprefix("Bearer "))
        return error_from_response(
            call.name,
            response.status,
            response.headers,
            body,
            wall=self._clock.wall(),
            hidden=hidden,
            quote=call.quotable,
        )

    async def _error_body(self, response: EngineResponse, attempt: Attempt) -> bytes:
        """Return what can be had of the body of an error. Whatever happens to it, the status has been seen."""
        raw = bytearray()
        attempt.touch()
        try:
            # Half of what is left at most, so that it is this limit that ends the waiting and not the attempt's.
            with self._watch.limit(min(_ERROR_PATIENCE, attempt.patience() / 2)):
                while len(raw) < _ERROR_BODY and (chunk := await response.content.read(_ERROR_BODY)):
                    raw += chunk
        except (*FOREIGN, RuntimeError):
            pass
        return legible(bytes(raw), response.headers.get(hdrs.CONTENT_ENCODING, ""), _ERROR_BODY)

    def _translated(self, error: BaseException, call: Request[T], attempt: Attempt, status: int | None) -> CyclrError:
        if isinstance(error, CyclrError):
            return error  # ours that also are OSErrors, such as ConnectError
        if self._pool.closed:
            return SessionClosedError(
                f"{call.name}: the session was closed while the call was under way",
                sent="maybe" if attempt.connected else "never",
            )
        return translate(
            error,
            operation=call.name,
            connected=attempt.connected,
            status=status,
            secure=call.url.scheme == "https",
            proxy=self._pool.proxy,
        )

    def _unusable(self, error: RuntimeError | ValueError, call: Request[T], attempt: Attempt) -> CyclrError:
        if isinstance(error, CyclrError):
            return error
        if isinstance(error, ValueError) and not isinstance(error, UnicodeError) and not attempt.connected:
            # Not shown: it may hold a header, and with it the token.
            return ConfigurationError(
                f"{call.name}: aiohttp refused the request before it was sent. A client_session must not have auth= or "
                "credentials for this host in .netrc: aiohttp does not send them together with an access token"
                if self._pool.borrowed is not None
                else f"{call.name}: aiohttp refused the request before it was sent"
            )
        if self._pool.closed:
            return SessionClosedError("the session is closed: make a new AsyncPartnerSession")
        if attempt.connected:
            raise error
        return ConnectError(f"{call.name}: no connection could be made ({type(error).__name__})", sent="never")


class Stream:
    """The body of a successful answer, piece by piece.

    Args:
        response: the answer.
        translated: turns a foreign exception into ours.
        pace: how long it may take.
        watch: the time limits.
        request_id: of the request, for errors.
    """

    def __init__(
        self,
        response: EngineResponse,
        translated: Callable[[BaseException], CyclrError],
        *,
        pace: Pace,
        watch: TimerWheel,
        request_id: str,
    ) -> None:
        self._response = response
        self._translated = translated
        self._watch = watch
        self._now = asyncio.get_running_loop().time  # what the limits go by, whatever clock a test gave the session
        self.pace = pace
        self.request_id = request_id
        self._body = Body(response)
        self._body.pause()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the pieces as they arrive."""
        while piece := await self._next():
            yield piece
            await asyncio.sleep(0)  # a long list does not keep the event loop to itself

    async def _next(self) -> bytes:
        began = self._now()
        scope = self._watch.limit(self.pace.allowed())
        try:
            with scope:
                piece = await self._body.piece()
        except FOREIGN as error:
            failed = self.pace.exceeded(self._response.status) if scope.expired else self._translated(error)
        else:
            self.pace.waited(self._now() - began, len(piece))
            return piece
        raise failed

    def close(self) -> None:
        """Drop the connection, unless the body was read to its end."""
        self._response.close()


def _check_headers(call: Request[Any]) -> None:
    """Refuse headers that a server could read as something else."""
    for name, value in call.headers.items():
        # A line end in a value would begin a header, or a request, of somebody else's making.
        if not (value.isascii() and value.isprintable()):
            raise InvalidArgumentError(f"{call.name}: the header {name} must be printable ASCII")


def _plain(headers: dict[str, str]) -> dict[str, str]:
    """Return headers that can be copied, pickled and written to a file: a recorder does all of that."""
    return {str(name): str(value) for name, value in headers.items()}
