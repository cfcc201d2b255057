"""A GET on a pooled connection, without the layers of :class:`aiohttp.ClientSession`.

The pool, the connection and the parser are aiohttp's. Left out are its request and response objects, request bodies,
cookies, redirects, netrc, tracing and resending: a plain read uses none of them, and together they are three fifths of
the instructions of a request (``benchmarks/``, docs/performance.md). Whatever needs one of them goes through a session.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Protocol

import aiohttp
from aiohttp import hdrs
from yarl import URL

from cyclr_async.errors import InvalidArgumentError
from cyclr_async.http.body import BUFFER
from cyclr_async.http.connector import Attempt, GuardedConnector
from cyclr_async.secret import HiddenBytes, HiddenStr

if TYPE_CHECKING:
    from aiohttp.connector import Connection

__all__ = ["REQUEST_ID", "FastPath", "Response"]

REQUEST_ID: Final = type(hdrs.CONTENT_TYPE)("X-Request-Id")
"""Of the type of aiohttp's own header names, which are found in headers without being folded to one case first."""


class Response(Protocol):
    """What the transport needs of an answer; :class:`aiohttp.ClientResponse` has it too."""

    status: int
    content: aiohttp.StreamReader

    @property
    def headers(self) -> Mapping[str, str]:
        """The response headers."""
        ...

    def close(self) -> None:
        """Give the connection back when the answer was received to its end, and else drop it."""
        ...


class _PooledResponse:
    """The answer of :meth:`FastPath.get`, as a :class:`Response`."""

    __slots__ = ("_connection", "content", "headers", "status")

    def __init__(
        self, connection: Connection, status: int, headers: Mapping[str, str], content: aiohttp.StreamReader
    ) -> None:
        self._connection = connection
        self.status = status
        self.headers = headers
        self.content = content

    @property
    def connection(self) -> Connection:
        """The connection it comes on, named as in :class:`aiohttp.ClientResponse`."""
        return self._connection

    def close(self) -> None:
        """Give the connection back when the answer was received to its end, and else drop it."""
        if self.content.is_eof():
            self._connection.release()
        else:
            self._connection.close()


class FastPath:
    """Sends GET requests to one origin.

    Args:
        session: the session that owns the pool; nothing is sent through it.
        connector: its pool.
        origin: scheme, host and port of every request.
        headers: sent with every request.
        timeout: for connecting.
    """

    __slots__ = ("_authority", "_connector", "_fixed", "_request", "_scheme", "_timeout")

    def __init__(
        self,
        session: aiohttp.ClientSession,
        connector: GuardedConnector,
        origin: URL,
        headers: Mapping[str, str],
        timeout: aiohttp.ClientTimeout,
    ) -> None:
        self._connector = connector
        self._timeout = timeout
        self._scheme = origin.scheme
        self._authority = origin.raw_authority
        # Never sent: it tells the pool where to connect to.
        self._request = aiohttp.ClientRequest("GET", origin, loop=asyncio.get_running_loop(), session=session)
        fixed = {"Host": origin.host_port_subcomponent, **headers}
        if connector.force_close:
            fixed["Connection"] = "close"
        self._fixed = "".join(f"{name}: {value}\r\n" for name, value in fixed.items())

    def leads_to(self, url: URL) -> bool:
        """Whether the URL is one of this origin."""
        return url.raw_authority == self._authority and url.scheme == self._scheme

    async def get(self, url: URL, request_id: str, authorization: HiddenStr | None, attempt: Attempt) -> Response:
        """Send one request and return the answer once its headers are there; its body may still be on its way.

        Args:
            url: an URL of the origin, percent-encoded.
            request_id: the value of ``X-Request-Id``.
            authorization: the value of the ``Authorization`` header, or None.
            attempt: told when a connection is handed over.

        Raises:
            InvalidArgumentError: the URL has characters that cannot stand in a request line; nothing was sent.
            aiohttp.ClientError: no connection, or no answer that is HTTP.
        """
        target = url.raw_path_qs
        if not (target.isascii() and target.isprintable()) or " " in target:
            raise InvalidArgumentError("the URL is not percent-encoded, so it cannot stand in a request line")
        connection = await self._connector.acquire(self._request, self._timeout, attempt)
        received = False
        try:
            protocol = connection.protocol
            transport = connection.transport
            if protocol is None or transport is None or transport.is_closing():
                raise aiohttp.ClientConnectionResetError("the connection was lost")
            # As ClientSession has it: a body without a length ends with the connection. For the rest, see body.py.
            protocol.set_response_params(read_until_eof=True, auto_decompress=False, read_bufsize=BUFFER)
            transport.write(self._head(target, request_id, authorization))
            message, content = await protocol.read()
            while 100 <= message.code < 200 and message.code != 101:  # the server only says that it goes on
                message, content = await protocol.read()
            received = True
        finally:
            if not received:
                connection.close()
        return _PooledResponse(connection, message.code, message.headers, content)

    def _head(self, target: str, request_id: str, authorization: HiddenStr | None) -> HiddenBytes:
        # No local variable holds the token in clear: this and the frames above may be in a traceback with locals.
        return HiddenBytes(
            (
                f"GET {target} HTTP/1.1\r\n{self._fixed}{REQUEST_ID}: {request_id}\r\n"
                + ("\r\n" if authorization is None else f"Authorization: {authorization}\r\n\r\n")
            ).encode("ascii")
        )
