"""Whether aiohttp is built as direct reads expect: a read without a network, with aiohttp's own parts.

Direct reads rest on parts of aiohttp that are not public, and another version may have others. That is found out when a
pool is made, and not by the first call that fails.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from aiohttp import TCPConnector

from cyclr_async.http.engine.body import BUFFER

if TYPE_CHECKING:
    from cyclr_async.http.engine.connector import GuardedConnector

__all__ = ["rehearse"]

_BODY: Final = b'{"TaskCount":1}'
_ANSWER: Final = b"HTTP/1.1 200 OK\r\nX-Rehearsal: 1\r\nContent-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)


def rehearse(connector: GuardedConnector, destination: object, timeout: aiohttp.ClientTimeout) -> None:
    """Go through a read as direct reads do it.

    Args:
        connector: the pool; no connection of it is used.
        destination: what tells the pool where to connect to.
        timeout: for connecting.

    Raises:
        Exception: of any kind: this aiohttp is not built as expected.
    """
    # Bound, not called: it would open a connection.
    inspect.signature(TCPConnector.connect).bind(connector, destination, [], timeout)
    for name in ("protocol", "transport", "release", "close"):
        getattr(aiohttp.connector.Connection, name)
    protocol = connector.make_protocol()
    stage = _Stage()
    protocol.connection_made(stage)
    _expect(not protocol.should_close and protocol.transport is stage)
    protocol.set_response_params(read_until_eof=True, auto_decompress=False, read_bufsize=BUFFER)
    protocol.data_received(_ANSWER)
    message, content = _at_once(protocol.read())
    _expect(
        message.code == 200 and message.headers.get("X-Rehearsal") == "1" and "Content-Encoding" not in message.headers
    )
    # A pool that believed this connection to be broken would never reuse one.
    _expect(content.is_eof() and not protocol.should_close)
    for name in ("readany", "read", "iter_any", "set_read_chunk_size"):
        getattr(content, name)
    _expect(content.read_nowait() == _BODY and content.at_eof())
    # What arrives before a request was written must be seen.
    fresh = connector.make_protocol()
    fresh.connection_made(stage)
    fresh.data_received(b"\r\n")
    _expect(fresh.should_close)


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
    # An aiohttp that hands answers on in another turn of the loop would make every direct read wait one for nothing.
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
