"""A connection pool that refuses to reuse a doubtful connection, never sends twice, and knows what was never sent."""

from __future__ import annotations

import logging
import os
import select
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from cyclr_async.http.handler import HeadFirstHandler
from cyclr_async.http.watch import Scope, Watch

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.client_reqrep import ClientRequest
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

_logger: Final = logging.getLogger("cyclr_async.http.connections")

__all__ = ["Attempt", "GuardedConnector", "SecondSend", "current_attempt"]

_HAS_POLL: Final = hasattr(select, "poll")


class Attempt(Scope):
    """The time limit of one HTTP attempt, and what is known of it while it runs.

    Args:
        watch: the time limits in force.
        seconds: until the first sign of life.
        read: seconds between two signs of life.
        ends: when the attempt ends at the latest, on the clock of ``now``.
        now: monotonic seconds.
    """

    __slots__ = ("_ends", "_now", "_read", "connected", "status")

    def __init__(self, watch: Watch, seconds: float, *, read: float, ends: float, now: Callable[[], float]) -> None:
        super().__init__(watch, seconds)
        self._read = read
        self._ends = ends
        self._now = now
        self.connected = False
        """True once a connection was handed over, the moment before the first byte is written."""
        self.status: int | None = None
        """The HTTP status once the headers of the answer were read: proof that the request arrived."""

    def alive(self) -> None:
        """Note a sign of life: from here the server may be silent for the read limit again."""
        self.extend(self.patience())

    def patience(self) -> float:
        """Return for how many seconds from now the server may be silent."""
        return max(min(self._read, self._ends - self._now()), 0.0)


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
        self._factory = partial(HeadFirstHandler, loop=self._loop)  # type: ignore[assignment]  # a subclass
        self._pid = os.getpid()
        self._known: dict[ResponseHandler, Callable[[float], object]] = {}
        self.created = 0
        self.reused = 0
        self.dropped = 0

    def __del__(self, *args: Any) -> None:
        """Let a forked process forget the pool without touching the connections, which are the parent's."""
        if getattr(self, "_pid", None) == os.getpid():
            super().__del__(*args)

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
        """Do what :meth:`connect` does, for an attempt that is named."""
        if attempt is not None and attempt.connected:
            raise SecondSend
        while True:
            connection = await super().connect(req, traces or [], timeout)
            protocol = connection.protocol
            poll = None if protocol is None else self._known.get(protocol)
            if protocol is None or poll is None:
                self.created += 1
                _logger.debug("connected to %s:%s", req.connection_key.host, req.connection_key.port)
                if attempt is not None:
                    attempt.alive()
                if protocol is not None and not self.force_close:
                    self._forget_closed()
                    self._known[protocol] = _poll_of(protocol)
                break
            if not (protocol.should_close or poll(0)):
                self.reused += 1
                break
            self.dropped += 1
            _logger.debug("dropped an idle connection on which something had arrived")
            connection.close()
        if attempt is not None:
            attempt.connected = True
        return connection

    def _forget_closed(self) -> None:
        """Forget the connections that are gone. Looked for when one is made, which is rare."""
        for protocol in [protocol for protocol in self._known if protocol.transport is None]:
            del self._known[protocol]


def _poll_of(protocol: ResponseHandler) -> Callable[[float], object]:
    """Return a function that tells whether bytes have arrived that the event loop has not read yet.

    Asking the kernel costs about a microsecond per request.
    """
    sock = protocol.transport.get_extra_info("socket") if protocol.transport is not None else None
    if sock is None or not _HAS_POLL:
        return _silent
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return poll.poll


def _silent(_: float) -> bool:
    """Stand in for poll() where the platform has none."""
    return False
