"""A read on a pooled connection, without the layers of :class:`aiohttp.ClientSession`.

The pool, the connection and the parser are aiohttp's. Left out are its request and response objects, cookies,
redirects, netrc, tracing and resending: a plain read uses none of them, and together they are three fifths of the
instructions of a request (``benchmarks/``, docs/performance.md). Whatever needs one of them is handed to the next
engine, which goes through a session.

It is an optimisation, nothing more. When the pool is made, the parts of aiohttp it rests on are tried out
(``self_test.py``), and before every request a look at aiohttp's own functions shows whether a recorder, a mock or a
tracer stands in for one of them. In either case the request goes through the session.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from aiohttp import ClientRequest, ClientSession, TCPConnector
from yarl import URL

from cyclr_async.errors import CyclrError, InvalidArgumentError
from cyclr_async.http.engine.body import BUFFER, PURE_PYTHON
from cyclr_async.http.engine.connector import GuardedConnector
from cyclr_async.http.engine.engine import CONTENT_ENCODING, REQUEST_ID, Engine, EngineResponse
from cyclr_async.http.engine.errors import FOREIGN, SENDING, Translator
from cyclr_async.http.engine.interception import replaced
from cyclr_async.http.engine.response import PooledResponse
from cyclr_async.http.engine.self_test import rehearse
from cyclr_async.http.request import Request, Safety
from cyclr_async.http.timeouts import Attempt
from cyclr_async.secret import HiddenBytes, HiddenStr

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection

__all__ = ["DirectReads"]

_logger: Final = logging.getLogger("cyclr_async.http")

_METHODS: Final = frozenset({"GET", "POST"})
"""A safe POST is a read, such as a token request. Not HEAD: the parser would have to be told that no body comes."""
_UNFIT: Final = "unfit"


class _DirectResponse(PooledResponse):
    """An answer on a connection that is held until it is closed."""

    __slots__ = ("_connection",)

    def __init__(
        self,
        call: Request[Any],
        attempt: Attempt,
        translator: Translator,
        connection: Connection,
        protocol: ResponseHandler,
        transport: asyncio.Transport,
        status: int,
        headers: Mapping[str, str],
        content: aiohttp.StreamReader,
    ) -> None:
        # Not through the base class: one is made for every call, and that call alone is a hundredth of the engine.
        self._call = call
        self._attempt = attempt
        self._translator = translator
        self._connection = connection
        self._protocol = protocol
        self._transport = transport
        self._content = content
        self._body = None
        self.status = attempt.status = status
        self.headers = headers

    def whole(self) -> bytes | None:
        """Return the body of a short answer: it has come with its headers, as a rule, and needs no unpacking."""
        content = self._content
        # A parser in C has seen that nothing follows it; with the one in Python, somebody has to look.
        if content.is_eof() and not PURE_PYTHON and CONTENT_ENCODING not in self.headers:
            try:
                return content.read_nowait()
            except (*FOREIGN, RuntimeError):
                pass  # reading it piece by piece says what is wrong
        return None

    def close(self) -> None:
        """Give the connection back when the answer was received to its end, and else drop it."""
        if self._content.is_eof():
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
    """Sends what may be repeated to a few origins, and hands everything else to the next engine.

    Args:
        session: the session that owns the pool; nothing is sent through it.
        connector: its pool.
        origins: URLs whose schemes, hosts and ports are asked.
        headers: sent with every request.
        timeout: for connecting.
        translator: makes our errors of aiohttp's.
        otherwise: the next engine.
    """

    __slots__ = (
        "_connect",
        "_connector",
        "_method",
        "_off",
        "_send",
        "_targets",
        "_timeout",
        "_translator",
        "_wrapper",
        "otherwise",
    )

    def __init__(
        self,
        session: aiohttp.ClientSession,
        connector: GuardedConnector,
        origins: Iterable[URL],
        headers: Mapping[str, str],
        timeout: aiohttp.ClientTimeout,
        *,
        translator: Translator,
        otherwise: Engine,
    ) -> None:
        self._connector = connector
        self._timeout = timeout
        self._translator = translator
        self.otherwise: Engine = otherwise
        # aiohttp's own functions, once they were seen to be its own.
        self._method: object = None
        self._wrapper: object = None
        self._connect: object = None
        self._send: object = None
        self._off: str | None = None
        """Why nothing is sent this way, as far as it was said in the log already."""
        # As aiohttp does it: without reuse the server is told, and need not keep the connection for nobody.
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

    async def send(
        self, call: Request[Any], authorization: HiddenStr | None, request_id: str, attempt: Attempt
    ) -> EngineResponse:
        """Send one request; see :class:`~cyclr_async.http.engine.engine.Engine`.

        Raises:
            InvalidArgumentError: the URL has characters that cannot stand in a request line; nothing was sent.
            CyclrError: no connection, or no answer that is HTTP.
        """
        url = call.url
        target = self._targets.get((url.scheme, url.raw_authority))
        if target is None or call.safety is not Safety.SAFE or call.method not in _METHODS or not self._undisturbed():
            return await self.otherwise.send(call, authorization, request_id, attempt)
        place = url.raw_path_qs
        if not (place.isascii() and place.isprintable()) or " " in place:
            raise InvalidArgumentError("the URL is not percent-encoded, so it cannot stand in a request line")
        destination, fixed = target
        connection = None
        written = received = False
        failed: CyclrError
        try:
            connection = await self._connector.acquire(destination, self._timeout, attempt)
            # Looked at here, because the connection may be lost between the pool and the first byte: nothing was sent
            # then.
            protocol = connection.protocol
            transport = connection.transport
            if protocol is None or transport is None or transport.is_closing():
                raise aiohttp.ClientConnectionResetError("the connection was lost")
            # As ClientSession has it: a body without a length ends with the connection. For the rest, see body.py.
            protocol.set_response_params(read_until_eof=True, auto_decompress=False, read_bufsize=BUFFER)
            written = True
            transport.write(_message(call, place, fixed, request_id, authorization))
            message, content = await protocol.read()
            while 100 <= message.code < 200 and message.code != 101:  # the server only says that it goes on
                message, content = await protocol.read()
            response = _DirectResponse(
                call,
                attempt,
                self._translator,
                connection,
                protocol,
                transport,
                message.code,
                message.headers,
                content,
            )
            received = True
            return response  # noqa: TRY300 - after the try a failure would have to be told from success again
        except (TypeError, AttributeError) as error:
            # The rehearsal went well, and yet aiohttp is not built as expected.
            self._give_up(error)
            what = aiohttp.ClientConnectionError(f"the answer could not be read ({type(error).__name__})")
            failed = self._translator.failure(what, call, attempt)
            unfit = not written
        except SENDING as error:
            failed = self._translator.failure(error, call, attempt)
            unfit = False
        finally:
            if not received and connection is not None:
                connection.close()
        if not unfit:
            raise failed
        attempt.connected = False
        return await self.otherwise.send(call, authorization, request_id, attempt)

    def _undisturbed(self) -> bool:
        """Whether nobody stands in for aiohttp."""
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

    @classmethod
    def made(
        cls,
        session: aiohttp.ClientSession,
        connector: GuardedConnector,
        origins: Iterable[URL],
        headers: Mapping[str, str],
        timeout: aiohttp.ClientTimeout,
        *,
        translator: Translator,
        otherwise: Engine,
    ) -> DirectReads | None:
        """Make one and try it out; None, and a line in the log, where aiohttp is not built as expected."""
        try:
            fast = cls(session, connector, origins, headers, timeout, translator=translator, otherwise=otherwise)
            rehearse(connector, next(iter(fast._targets.values()))[0], timeout)
        except Exception as error:  # noqa: BLE001 - whatever it is, aiohttp is another one, and there is another way
            _warn(error)
            return None
        fast._looked()
        return fast


def _lines(headers: Mapping[str, str]) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())


def _message(
    call: Request[Any], place: str, fixed: str, request_id: str, authorization: HiddenStr | None
) -> HiddenBytes:
    # No local variable holds the token in clear: this and the frames above may be in a traceback with locals.
    own = _lines(call.headers) if call.headers else ""
    if call.body is not None:
        own += f"Content-Type: {call.content_type}\r\nContent-Length: {len(call.body)}\r\n"
    head = HiddenBytes(
        (
            f"{call.method} {place} HTTP/1.1\r\n{fixed}{own}{REQUEST_ID}: {request_id}\r\n"
            + ("\r\n" if authorization is None else f"Authorization: {authorization}\r\n\r\n")
        ).encode("ascii")
    )
    return head if call.body is None else HiddenBytes(head + call.body)


def _warn(error: Exception) -> None:
    # One line of the log, whatever a foreign exception says.
    reason = " ".join(str(error).split())[:200]
    _logger.warning(
        "aiohttp %s is not built as expected (%s: %s): reads go through ClientSession",
        aiohttp.__version__,
        type(error).__name__,
        reason,
    )
