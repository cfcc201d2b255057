"""A connection pool that refuses to reuse a doubtful connection, never sends twice, and knows what was never sent."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from cyclr_async.http.engine.protocols import WatchfulProtocol
from cyclr_async.http.timeouts import Attempt

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.client_reqrep import ClientRequest, ConnectionKey
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

__all__ = ["GuardedConnector", "SecondSend", "SpokeFirstError", "current_attempt"]

_logger: Final = logging.getLogger("cyclr_async.http")
_connections: Final = logging.getLogger("cyclr_async.http.connections")

_LISTEN: Final = 0.002
"""Seconds for which a new connection is listened to, at least, before anything is sent on it.

A server or proxy near by that speaks unasked is heard within them. Beside the handshakes of a new connection they do
not count.
"""
_TURNS: Final = 20
"""Turns in which the event loop may read what has just arrived on a new connection, session tickets of TLS say; each
takes it two."""


current_attempt: Final[ContextVar[Attempt | None]] = ContextVar("cyclr_async_attempt", default=None)


class SecondSend(Exception):  # noqa: N818 - a signal inside the transport, it never leaves it
    """The request was about to be sent again: by aiohttp, after the connection broke, or by a middleware."""


class SpokeFirstError(aiohttp.ClientConnectionError):
    """Something arrived on a new connection before anything was sent on it."""


class GuardedConnector(aiohttp.TCPConnector):
    """A pool whose connections are checked before they are used.

    * A connection on which anything arrived while it was idle is dropped: the next request would be given an answer
      that was not meant for it.
    * A new connection on which something arrives before anything was sent is dropped for the same reason.
    * A second connection for one attempt is refused: it would be a resend that nobody decided.
    * Created and reused connections are counted.

    Args:
        listen: listen to a new connection as long as connecting took, for this many seconds at most: a server that
            speaks unasked is heard one round trip later. None for a moment only.
        options: of :class:`aiohttp.TCPConnector`.
    """

    def __init__(self, *, listen: float | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._listen = listen
        self._said = False
        self.make_protocol: functools.partial[WatchfulProtocol] = functools.partial(WatchfulProtocol, self, self._loop)
        # Private to aiohttp. Where it is not honoured, the connections are not reused: see _first().
        self._factory = self.make_protocol  # type: ignore[assignment]  # made with other arguments, called with none
        self._pid = os.getpid()
        self.created: int = 0
        self.reused: int = 0
        self.dropped: int = 0

    def __del__(self, *args: Any) -> None:
        """Let a forked process forget the pool without touching the connections, which are the parent's."""
        if getattr(self, "_pid", None) == os.getpid():
            super().__del__(*args)

    def note_arrival(self) -> None:
        """Count an idle connection that is dropped because something has arrived on it."""
        self.dropped += 1
        _connections.debug("dropped an idle connection on which something had arrived")

    def _release(self, key: ConnectionKey, protocol: ResponseHandler, *, should_close: bool = False) -> None:
        """Take a connection back; not in a forked process, where closing it would deafen the parent.

        Both share what the selector watches. Connections that are kept for later reads end up here when the garbage
        collector finds them.
        """
        if os.getpid() == self._pid:
            super()._release(key, protocol, should_close=should_close)

    async def connect(self, req: ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout) -> Connection:
        """Return a connection that is new, or idle and silent since its last answer."""
        return await self.acquire(req, timeout, current_attempt.get(), traces)

    async def acquire(
        self,
        req: ClientRequest,
        timeout: aiohttp.ClientTimeout,
        attempt: Attempt | None,
        traces: list[Trace] | None = None,
    ) -> Connection:
        """Do what :meth:`connect` does, for an attempt that is named.

        Raises:
            SpokeFirstError: something arrived on a new connection before anything was sent.
        """
        if attempt is not None and attempt.connected:
            raise SecondSend
        while True:
            started = 0.0 if self._listen is None else self._loop.time()
            connection = await super().connect(req, traces or [], timeout)
            protocol = connection.protocol
            if isinstance(protocol, WatchfulProtocol) and protocol.watched:  # an idle one
                if not (protocol.should_close or protocol.pending(0)):
                    self.reused += 1
                    break
                self.note_arrival()
                connection.close()
                continue
            self.created += 1
            _connections.debug("connected to %s:%s", req.connection_key.host, req.connection_key.port)
            try:
                await self._first(protocol, 0.0 if self._listen is None else self._loop.time() - started)
            except BaseException:
                connection.close()
                raise
            if attempt is not None:
                attempt.touch()
            break
        if attempt is not None:
            attempt.sending()
        return connection

    async def _first(self, protocol: ResponseHandler | None, took: float) -> None:
        """Listen to a new connection before it is used for the first time."""
        if not isinstance(protocol, WatchfulProtocol):
            if not self._said:
                self._said = True
                _logger.warning("aiohttp %s makes connections of its own kind: each is used once", aiohttp.__version__)
            if protocol is not None:
                protocol.force_close()
            return
        protocol.watch(self._acquired)
        await asyncio.sleep(max(_LISTEN, min(took, self._listen or 0.0)))
        for _ in range(_TURNS):
            arrived = protocol.pending(0)
            if not arrived:
                break
            await asyncio.sleep(0)
        if not protocol.is_connected():
            raise aiohttp.ClientConnectionResetError("the connection was lost")
        if protocol.should_close or arrived:
            raise SpokeFirstError
