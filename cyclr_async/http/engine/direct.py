"""A GET on a pooled connection, without the layers of :class:`aiohttp.ClientSession`.

The pool, the connection and the parser are aiohttp's. Left out are its request and response objects, request bodies,
cookies, redirects, netrc, tracing and resending: a plain read uses none of them, and together they are three fifths of
the instructions of a request (``benchmarks/``, docs/performance.md). Whatever needs one of them goes through a session.

It is an optimisation, nothing more. When the pool is made, the parts of aiohttp it rests on are tried out
(:meth:`DirectReads.self_test`), and before every request a look at aiohttp's own functions shows whether a recorder, a
mock or a tracer stands in for one of them. In either case the request goes through the session.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

import aiohttp
from aiohttp import ClientRequest, ClientSession, TCPConnector, hdrs
from yarl import URL

from cyclr_async.errors import InvalidArgumentError
from cyclr_async.http.engine.body import BUFFER
from cyclr_async.http.engine.connector import Attempt, GuardedConnector
from cyclr_async.http.engine.interception import replaced
from cyclr_async.secret import HiddenBytes, HiddenStr

if TYPE_CHECKING:
    from aiohttp.connector import Connection

__all__ = ["REQUEST_ID", "DirectReads", "EngineResponse", "NotDirectError"]

_logger: Final = logging.getLogger("cyclr_async.http")

REQUEST_ID: Final = type(hdrs.CONTENT_TYPE)("X-Request-Id")
"""Of the type of aiohttp's own header names, which are found in headers without being folded to one case first."""
_BODY: Final = b'{"TaskCount":1}'
_ANSWER: Final = b"HTTP/1.1 200 OK\r\nX-Rehearsal: 1\r\nContent-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)


class NotDirectError(Exception):
    """The request could not be written by the fast path, so nothing was sent: it has to go through a session."""


class EngineResponse(Protocol):
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


class _DirectResponse:
    """The answer of :meth:`DirectReads.get`, as a :class:`EngineResponse`."""

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


class _Destination(ClientRequest):
    """A request that is never sent: it tells the pool where to connect to.

    aiohttp makes the key of the pool anew whenever it is asked for; here it is always the same.
    """

    connection_key: Any = None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.connection_key = super().connection_key


class DirectReads:
    """Sends GET requests to a few origins.

    Args:
        session: the session that owns the pool; nothing is sent through it.
        connector: its pool.
        origins: URLs whose schemes, hosts and ports are asked.
        headers: sent with every request.
        timeout: for connecting.
    """

    __slots__ = (
        "_connect",
        "_connector",
        "_method",
        "_off",
        "_send",
        "_targets",
        "_timeout",
        "_wrapper",
    )

    def __init__(
        self,
        session: aiohttp.ClientSession,
        connector: GuardedConnector,
        origins: Iterable[URL],
        headers: Mapping[str, str],
        timeout: aiohttp.ClientTimeout,
    ) -> None:
        self._connector = connector
        self._timeout = timeout
        # aiohttp's own functions, once they were seen to be its own.
        self._method: object = None
        self._wrapper: object = None
        self._connect: object = None
        self._send: object = None
        self._off: str | None = None
        """Why nothing is sent this way, as far as it was said in the log already."""
        last = {"Connection": "close"} if connector.force_close else {}
        loop = asyncio.get_running_loop()
        self._targets = {
            (origin.scheme, origin.raw_authority): (
                _Destination("GET", origin, loop=loop, session=session),
                _lines({"Host": origin.host_port_subcomponent or "", **headers, **last}),
            )
            for origin in origins
        }
        """Where the pool connects to and the header lines that are always the same, by scheme and authority."""

    def takes(self, url: URL) -> bool:
        """Whether a read of the URL may go this way: its origin is known, and nobody stands in for aiohttp."""
        if (url.scheme, url.raw_authority) not in self._targets:
            return False
        if (
            ClientSession._request is self._method  # noqa: SLF001 - what recorders and mocks replace
            and ClientSession.request is self._wrapper
            and TCPConnector.connect is self._connect
            and ClientRequest.send is self._send
        ):
            return True
        return self._looked()

    def _looked(self) -> bool:
        name = replaced()
        if name is None and self._off != _UNFIT:
            self._method, self._wrapper = ClientSession._request, ClientSession.request  # noqa: SLF001 - as above
            self._connect, self._send = TCPConnector.connect, ClientRequest.send
            return True
        if self._off is None:
            self._off = "replaced"
            _logger.warning(
                "aiohttp's %s is not aiohttp's own: reads go through ClientSession as long as it is not", name
            )
        return False

    def _give_up(self, error: Exception) -> None:
        self._off = _UNFIT
        self._method = None
        _warn(error)

    async def get(
        self, url: URL, headers: Mapping[str, str], request_id: str, authorization: HiddenStr | None, attempt: Attempt
    ) -> EngineResponse:
        """Send one request and return the answer once its headers are there; its body may still be on its way.

        Args:
            url: an URL of one of the origins, percent-encoded.
            headers: of this request only, checked.
            request_id: the value of ``X-Request-Id``.
            authorization: the value of the ``Authorization`` header, or None.
            attempt: told when a connection is handed over.

        Raises:
            InvalidArgumentError: the URL has characters that cannot stand in a request line; nothing was sent.
            NotDirectError: aiohttp is not built as expected, and nothing was sent.
            aiohttp.ClientError: no connection, or no answer that is HTTP.
        """
        target = url.raw_path_qs
        if not (target.isascii() and target.isprintable()) or " " in target:
            raise InvalidArgumentError("the URL is not percent-encoded, so it cannot stand in a request line")
        request, fixed = self._targets[url.scheme, url.raw_authority]
        if headers:
            fixed += _lines(headers)
        connection = None
        written = received = False
        try:
            connection = await self._connector.acquire(request, self._timeout, attempt)
            protocol = connection.protocol
            transport = connection.transport
            if protocol is None or transport is None or transport.is_closing():
                raise aiohttp.ClientConnectionResetError("the connection was lost")
            # As ClientSession has it: a body without a length ends with the connection. For the rest, see body.py.
            protocol.set_response_params(read_until_eof=True, auto_decompress=False, read_bufsize=BUFFER)
            written = True
            transport.write(_head(target, fixed, request_id, authorization))
            message, content = await protocol.read()
            while 100 <= message.code < 200 and message.code != 101:  # the server only says that it goes on
                message, content = await protocol.read()
            response = _DirectResponse(connection, message.code, message.headers, content)
            received = True
            return response  # noqa: TRY300 - after the try a failure would have to be told from success again
        except (TypeError, AttributeError) as error:
            # The rehearsal went well, and yet aiohttp is not built as expected.
            self._give_up(error)
            failed = error
        finally:
            if not received and connection is not None:
                connection.close()
        if written:
            raise aiohttp.ClientConnectionError(f"the answer could not be read ({type(failed).__name__})")
        attempt.connected = False
        raise NotDirectError

    @classmethod
    def made(
        cls,
        session: aiohttp.ClientSession,
        connector: GuardedConnector,
        origins: Iterable[URL],
        headers: Mapping[str, str],
        timeout: aiohttp.ClientTimeout,
    ) -> DirectReads | None:
        """Make one and try it out; None, and a line in the log, where aiohttp is not built as expected."""
        try:
            fast = cls(session, connector, origins, headers, timeout)
            fast.self_test()
        except Exception as error:  # noqa: BLE001 - whatever it is, aiohttp is another one, and there is another way
            _warn(error)
            return None
        fast._looked()
        return fast

    def self_test(self) -> None:
        """Go through a read without a network, with aiohttp's own parts.

        Raises:
            Exception: of any kind: this aiohttp is not built as expected.
        """
        inspect.signature(TCPConnector.connect).bind(
            self._connector, next(iter(self._targets.values()))[0], [], self._timeout
        )
        for name in ("protocol", "transport", "release", "close"):
            getattr(aiohttp.connector.Connection, name)
        protocol = self._connector.make_protocol()
        stage = _Stage()
        protocol.connection_made(stage)
        _expect(not protocol.should_close and protocol.transport is stage)
        protocol.set_response_params(read_until_eof=True, auto_decompress=False, read_bufsize=BUFFER)
        protocol.data_received(_ANSWER)
        message, content = _at_once(protocol.read())
        _expect(
            message.code == 200
            and message.headers.get("X-Rehearsal") == "1"
            and "Content-Encoding" not in message.headers
        )
        _expect(content.is_eof() and not protocol.should_close)
        for name in ("readany", "read", "iter_any", "set_read_chunk_size"):
            getattr(content, name)
        _expect(content.read_nowait() == _BODY and content.at_eof())
        # What arrives before a request was written must be seen.
        fresh = self._connector.make_protocol()
        fresh.connection_made(stage)
        fresh.data_received(b"\r\n")
        _expect(fresh.should_close)


def _lines(headers: Mapping[str, str]) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())


def _head(target: str, fixed: str, request_id: str, authorization: HiddenStr | None) -> HiddenBytes:
    # No local variable holds the token in clear: this and the frames above may be in a traceback with locals.
    return HiddenBytes(
        (
            f"GET {target} HTTP/1.1\r\n{fixed}{REQUEST_ID}: {request_id}\r\n"
            + ("\r\n" if authorization is None else f"Authorization: {authorization}\r\n\r\n")
        ).encode("ascii")
    )


_UNFIT: Final = "unfit"


def _warn(error: Exception) -> None:
    reason = " ".join(str(error).split())[:200]
    _logger.warning(
        "aiohttp %s is not built as expected (%s: %s): reads go through ClientSession",
        aiohttp.__version__,
        type(error).__name__,
        reason,
    )


def _expect(condition: bool) -> None:
    if not condition:
        raise RuntimeError("a read does not end as expected")


def _at_once(reading: Coroutine[Any, Any, Any]) -> Any:
    """Return the value of a coroutine that has nothing to wait for."""
    try:
        reading.send(None)
    except StopIteration as done:
        return done.value
    finally:
        reading.close()
    raise RuntimeError("a read waits for an answer that is there")


class _Stage(asyncio.Transport):
    """A transport that leads nowhere."""

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        """Nothing to pause."""

    def resume_reading(self) -> None:
        """Nothing to resume."""

    def write(self, data: object) -> None:
        """Send nothing."""

    def close(self) -> None:
        """Nothing to close."""

    def abort(self) -> None:
        """Nothing to close."""
