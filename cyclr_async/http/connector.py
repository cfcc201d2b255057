"""A connection pool that refuses to reuse a doubtful connection, never sends twice, and knows what was never sent."""

from __future__ import annotations

import select
import socket
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

import aiohttp

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.client_reqrep import ClientRequest
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

__all__ = ["Attempt", "GuardedConnector", "SecondSend", "current_attempt"]

_HAS_POLL: Final = hasattr(select, "poll")


class Attempt:
    """What is known of one HTTP attempt while it runs."""

    __slots__ = ("connected",)

    def __init__(self) -> None:
        self.connected = False
        """True once a connection was handed over, the moment before the first byte is written."""


current_attempt: Final[ContextVar[Attempt | None]] = ContextVar("cyclr_async_attempt", default=None)


class SecondSend(Exception):  # noqa: N818 - a signal inside the transport, it never leaves it
    """aiohttp was about to send the request again by itself, after the connection broke."""


class GuardedConnector(aiohttp.TCPConnector):
    """A pool whose connections are checked before they are reused.

    * A connection that received anything while it was idle is dropped: the next request would be given an answer that
      was not meant for it.
    * A second connection for one attempt is refused: it would be a resend that nobody decided.
    * Created and reused connections are counted.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._known: WeakSet[ResponseHandler] = WeakSet()
        self.created = 0
        self.reused = 0
        self.dropped = 0

    async def connect(self, req: ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout) -> Connection:
        """Return a connection that is new, or idle and silent since its last answer."""
        attempt = current_attempt.get()
        if attempt is not None and attempt.connected:
            raise SecondSend
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            if protocol is None or protocol not in self._known:
                self.created += 1
                if protocol is not None and not self.force_close:
                    self._known.add(protocol)
                break
            if not _spoke_while_idle(protocol):
                self.reused += 1
                break
            self.dropped += 1
            connection.close()
        if attempt is not None:
            attempt.connected = True
        return connection


def _spoke_while_idle(protocol: ResponseHandler) -> bool:
    if protocol.should_close:
        return True
    transport = protocol.transport
    if transport is None:
        return True
    if not _HAS_POLL:
        return False
    # Bytes may have arrived that the event loop has not read yet; asking the kernel costs about a microsecond.
    sock: socket.socket | None = transport.get_extra_info("socket")
    if sock is None:
        return False
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return bool(poll.poll(0))
