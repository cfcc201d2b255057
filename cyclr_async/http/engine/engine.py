"""The seam: what sends one request, and what comes back from it. Nothing of aiohttp's passes here, in either direction.

Above it, ``http/exchange.py`` makes values and errors of answers. Below it are two ways to send: ``direct.py`` on a
connection of the pool, and ``client_session.py`` through aiohttp's session, to which the first hands over what it
cannot send. Another way is another :class:`Engine` that is given the next one, and
:class:`~cyclr_async.http.engine.pool.Pool` puts them in order.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any, Final, Protocol

from aiohttp import hdrs

from cyclr_async.http.request import Request
from cyclr_async.http.timeouts import Attempt, Timeout
from cyclr_async.secret import HiddenStr

__all__ = ["CONTENT_ENCODING", "CONTENT_TYPE", "REQUEST_ID", "Engine", "EngineResponse"]

# Of the type of aiohttp's own header names, which are found in headers without being folded to one case first; to
# everybody else they are texts.
CONTENT_ENCODING: Final[str] = hdrs.CONTENT_ENCODING
CONTENT_TYPE: Final[str] = hdrs.CONTENT_TYPE
REQUEST_ID: Final[str] = type(hdrs.CONTENT_TYPE)("X-Request-Id")


class EngineResponse(Protocol):
    """An answer whose headers have arrived. Whoever has it closes it, whatever happens.

    Attributes:
        status: the HTTP status, any that a server can send.
        content_type: the value of ``Content-Type``, None without one.
        request_id: the value of ``X-Request-Id``, None without one.
    """

    status: int
    content_type: str | None
    request_id: str | None

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers; names are found in any case. They may have to be made: what every call needs is an attribute."""
        ...

    @property
    def connection(self) -> object:
        """What stands for the connection and can be referred to weakly; None where it is not known."""
        ...

    def whole(self) -> bytes | None:
        """Return the decoded body when all of it is there already, which is the usual case; else None: read it.

        No coroutine, because a call that need not wait need not pay for one.
        """
        ...

    async def piece(self) -> bytes:
        """Return the next bytes of the decoded body, nothing at its end. Nothing arrives while none is asked for.

        Raises:
            CyclrError: the connection broke, or the body is not what its headers say.
        """
        ...

    async def excerpt(self, most: int, limit: Timeout) -> bytes:
        """Return what can be had of the body of an error, which may be broken in any way; never raises for that.

        Args:
            most: bytes.
            limit: how long to wait for them.
        """
        ...

    def pause(self) -> None:
        """Let nothing more arrive until a piece is asked for: somebody may be slow to ask.

        Raises:
            CyclrError: the body is encoded in a way that was not asked for.
        """
        ...

    def doubt(self) -> None:
        """Let no later request use the connection: its answer may have been meant for another one."""
        ...

    def close(self) -> None:
        """Give the connection back when the answer was received to its end, and else drop it. May be repeated."""
        ...


class Engine(Protocol):
    """Makes one attempt: sends a request and returns its answer."""

    def send(
        self, call: Request[Any], authorization: HiddenStr | None, request_id: str, attempt: Attempt
    ) -> Awaitable[EngineResponse]:
        """Send one request and return the answer once its headers are there; its body may still be on its way.

        Args:
            call: what to send; its headers are checked.
            authorization: the value of the ``Authorization`` header, or None.
            request_id: the value of ``X-Request-Id``.
            attempt: told when a connection is handed over and which status came back, so that whatever ends it, it
                is known how far the request has come.

        Raises:
            CyclrError: whatever went wrong; with no exception of aiohttp as its context.
        """
        ...
