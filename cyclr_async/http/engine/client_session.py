"""The way through :class:`aiohttp.ClientSession`: for every kind of request, and for whoever listens to aiohttp."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp

from cyclr_async.errors import CyclrError, SessionClosedError
from cyclr_async.http.engine.body import BUFFER
from cyclr_async.http.engine.connector import current_attempt
from cyclr_async.http.engine.engine import REQUEST_ID, EngineResponse
from cyclr_async.http.engine.errors import CLOSED, SENDING, Translator
from cyclr_async.http.engine.interception import forget_frames, is_intercepted
from cyclr_async.http.engine.response import PooledResponse
from cyclr_async.http.request import Request, Safety
from cyclr_async.http.timeouts import Attempt
from cyclr_async.secret import HiddenStr

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cyclr_async.http.engine.pool import Pool

__all__ = ["ClientSessionEngine"]


class _SessionResponse(PooledResponse):
    """An answer that aiohttp made: its close() knows what is to become of the connection."""

    __slots__ = ("_response",)

    def __init__(
        self, call: Request[Any], attempt: Attempt, translator: Translator, response: aiohttp.ClientResponse
    ) -> None:
        connection = response.connection
        super().__init__(
            call,
            attempt,
            translator,
            status=response.status,
            headers=response.headers,
            content=response.content,
            # A body that came with its headers has given the connection back. Then only this private name leads to it;
            # a mock has none.
            protocol=getattr(response, "_protocol", None) if connection is None else connection.protocol,
            transport=None if connection is None else connection.transport,
        )
        self._response = response

    def close(self) -> None:
        """Drop the connection, unless the answer was received to its end."""
        self._response.close()


class ClientSessionEngine:
    """Sends whatever there is to send, reads on pooled connections and writes on connections of their own.

    Args:
        pool: the sessions, which exist once it is open.
        headers: sent with every request of a session that is not the pool's own.
    """

    __slots__ = ("_headers", "_pool", "_translator")

    def __init__(self, pool: Pool, headers: Mapping[str, str], translator: Translator) -> None:
        self._pool = pool
        self._headers = headers
        self._translator = translator

    async def send(
        self, call: Request[Any], authorization: HiddenStr | None, request_id: str, attempt: Attempt
    ) -> EngineResponse:
        """Send one request; see :class:`~cyclr_async.http.engine.engine.Engine`."""
        pool = self._pool
        session = pool.reads if call.safety is Safety.SAFE else pool.writes
        if session is None or pool.closed:
            raise SessionClosedError(CLOSED)
        headers: dict[str, str] = {**call.headers, REQUEST_ID: request_id}
        if authorization is not None:
            headers["Authorization"] = authorization
        if call.body is not None:
            headers["Content-Type"] = call.content_type
        options: dict[str, Any] = {"auto_decompress": False, "read_bufsize": BUFFER}  # see body.py
        if pool.borrowed is not None:
            headers = {**self._headers, **headers}
            options |= {"timeout": pool.timeout, "raise_for_status": False, "middlewares": pool.middlewares}
            attempt.connected = pool.middlewares is None  # nobody will say when it is
        intercepted = is_intercepted(session)
        failed: CyclrError
        # How the connector, below aiohttp's layers, knows for whom it hands over a connection.
        token = current_attempt.set(attempt)
        try:
            response = await session.request(
                call.method,
                call.url,
                data=bytes(call.body) if intercepted and call.body is not None else call.body,
                headers=_plain(headers) if intercepted else headers,
                # A redirect could lead the token to another host, and turn a write into a read.
                allow_redirects=False,
                proxy=pool.proxy,
                **options,
            )
        except SENDING as error:
            if intercepted:
                self._distrust(error, attempt)
            failed = self._translator.failure(error, call, attempt)
        except BaseException as error:
            if intercepted:
                self._distrust(error, attempt)
            raise
        else:
            return _SessionResponse(call, attempt, self._translator, response)
        finally:
            current_attempt.reset(token)
        raise failed

    def _distrust(self, error: BaseException, attempt: Attempt) -> None:
        """Take what stands in for aiohttp at its worst."""
        # Whether it has sent something is not known.
        attempt.connected = True
        # Its frames hold the token and the body in clear, and a traceback may show their locals.
        forget_frames(error)


def _plain(headers: dict[str, str]) -> dict[str, str]:
    """Return headers that can be copied, pickled and written to a file: a recorder does all of that."""
    return {str(name): str(value) for name, value in headers.items()}
