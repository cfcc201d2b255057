"""What reads the answers on a pooled connection: aiohttp's handler, and a protocol of ours for the usual answer.

A connection is taken from aiohttp's pool once and kept for one read after the other. While it is kept, a small protocol
stands in for aiohttp's handler, by ``transport.set_protocol``, which is public asyncio. It knows one shape of answer,
the one that nearly every read gets, and takes nothing else on itself: whatever deviates from that shape is given to
aiohttp's handler, from the first byte on, and is read by aiohttp's parser as if this protocol had never been there. So
what an odd answer means is decided in one place only.
"""

from __future__ import annotations

import asyncio
import functools
import re
import weakref
from collections.abc import Callable, Container, Mapping
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_parser import HttpResponseParser

from cyclr_async.http.engine.arrivals import pending_of
from cyclr_async.http.engine.body import BUFFER, PIECE

if TYPE_CHECKING:
    from aiohttp.connector import Connection

    from cyclr_async.http.engine.connector import GuardedConnector
    from cyclr_async.http.timeouts import Attempt, Timeout

__all__ = ["HeadFirstHandler", "Lease", "Leases", "UsualResponse", "WatchfulProtocol", "headers_of"]

_USUAL: Final = re.compile(
    rb"""
    HTTP/1\.1\x20200\x20OK\r\n
    (?:
        # (?(1)(?!)) fails where the group was found before: two lengths, or two types, are for aiohttp to judge.
        (?i:content-length):\x20(?(1)(?!))([1-9][0-9]{0,8})\r\n
    |   (?i:content-type):\x20(?(2)(?!))([\x20-\x7e]*+)\r\n
    |   (?i:x-request-id):\x20(?(3)(?!))([\x20-\x7e]*+)\r\n
    |   # What any other header says changes neither where the answer ends nor how its body is to be read.
        (?!(?i:content-|transfer-|connection:|keep-alive:|proxy-|upgrade:|trailer:|te:|x-request-id:))
        [A-Za-z][A-Za-z0-9-]*+:\x20[\x20-\x7e]*+\r\n
    ){1,99}+
    \r\n
    """,
    re.VERBOSE,
).match
"""The head of the usual answer. All of its repeats are possessive: a hostile head costs one pass, never a second one.

Narrower than HTTP throughout: no white space but one space after the colon, no empty reason, no byte beyond ASCII,
fewer lines than aiohttp's parser takes. So whatever passes here passes there, and means the same.
"""
_END: Final = b"\r\n\r\n"
_HEADS: Final = 32
"""Heads that are remembered. A server that answers a thousand times a second writes the same one most of the time: its
date changes once a second, and lengths repeat. Then a look into a dict is all it takes to know the head again."""
_SOON: Final = 0.01
"""Seconds before aged connections are looked for again, at least: what rounding leaves of a time may be too short to
move any clock, and the timer would come back in every turn of the event loop."""
_LONGEST_HEAD: Final = 8000
"""Bytes. A line of more than 8,190 is refused by aiohttp's parser, and so must be a line of that length here."""


class HeadFirstHandler(ResponseHandler):
    """Hands out the head of a refusal before its body is parsed, so that a broken body cannot hide the status.

    aiohttp's parser in C takes what was read in one go. Where it meets a bad chunk size, or bytes after the end, it
    raises, and the head that it had understood is lost with it: a 401 would be no 401 any more.
    """

    def data_received(self, data: bytes) -> None:
        """Take bytes from the connection."""
        # Good answers go as they come, because with a broken body they are none. This is called for each of them: it
        # is one comparison, and the method goes by its name, since super() is several times as dear.
        if data[8:10] != b" 2" and data[:7] == b"HTTP/1.":
            self._refused(data)
        else:
            ResponseHandler.data_received(self, data)

    def _refused(self, data: bytes) -> None:
        while data.startswith(b"HTTP/1.") and data[8:10] != b" 2" and self.exception() is None:
            end = data.find(b"\r\n\r\n") + 4
            if not 4 <= end < len(data):
                break
            ResponseHandler.data_received(self, data[:end])
            data = data[end:]
        ResponseHandler.data_received(self, data)

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        """Note that the connection is broken, also for whoever reads the body and would wait for it in vain."""
        super().set_exception(exc, *cause)
        payload = self._payload
        if payload is not None and not payload.is_eof() and payload.exception() is None:
            payload.set_exception(aiohttp.ClientPayloadError("the rest of the body cannot be parsed"))


class WatchfulProtocol(HeadFirstHandler):
    """The protocol of a pooled connection; it gives the connection up when something arrives that nobody asked for.

    It sits above TLS, where only the bytes of an answer arrive.

    Args:
        connector: the pool.
        loop: the event loop.
    """

    def __init__(self, connector: GuardedConnector, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self.connector = connector
        self.pending: Callable[[float], object] = pending_of(None)
        """Tells whether something has arrived that this protocol has not been given yet."""
        # The connections with a request under way. A new connection counts as one until its first request is over: a
        # proxy answers a CONNECT before the pool knows of the connection.
        self.busy: Container[object] = (self,)
        self.watched: bool = False
        """Whether the connection was handed over before."""

    def data_received(self, data: bytes) -> None:
        """Take what arrived."""
        # No data means that aiohttp goes on with what it had put aside. The method is called by its name because
        # super() is several times as dear, and this is called for every answer.
        if self in self.busy or not data:
            # As in HeadFirstHandler, without the call for the good answers.
            if data[8:10] == b" 2" or data[:7] != b"HTTP/1.":
                ResponseHandler.data_received(self, data)
            else:
                self._refused(data)
            return
        self.connector.dropped += 1
        self.abort()

    def watch(self, busy: Container[object]) -> None:
        """Begin to watch for what arrives while the connection is idle.

        Args:
            busy: the connections with a request under way.
        """
        self.watched = True
        self.busy = busy
        self.pending = pending_of(self.transport)


class UsualHead:
    """What there is to know of the head of a usual answer.

    Args:
        match: of the pattern.
    """

    __slots__ = ("content_type", "end", "length", "request_id")

    def __init__(self, match: re.Match[bytes]) -> None:
        length, kind, echoed = match.groups()
        self.end: int = match.end()
        self.length: int = int(length)
        # Stripped as aiohttp's parser does it; ASCII, or it would not have been recognised.
        self.content_type: str | None = None if kind is None else kind.decode("ascii").strip()
        self.request_id: str | None = None if echoed is None else echoed.decode("ascii").strip()


class Lease(asyncio.Protocol):
    """One connection, and the protocol of its transport as long as no odd answer is read from it.

    Args:
        leases: where it waits for the next read.
        connection: aiohttp's, which stays acquired: the pool lends it to nobody else, counts it, and closes it.
        transport: of the connection.
    """

    def __init__(self, leases: Leases, connection: Connection, transport: asyncio.Transport) -> None:
        handler = connection.protocol
        assert handler is not None  # who makes a lease has looked
        self.handler: ResponseHandler = handler
        self.connection: Connection = connection
        self.transport: asyncio.Transport = transport
        self.since: float = 0.0
        """When it became idle, in seconds of the event loop."""
        self.idle: bool = False
        self.spoilt: bool = False
        """True when no later request may use the connection."""
        self._leases = leases
        self._waiter: asyncio.Future[UsualResponse | None] | None = None
        self.kept: bool = isinstance(handler, WatchfulProtocol) and leases.keep and _settable(transport, handler)
        """Whether this protocol reads its answers; else the connection is the pool's again after one."""
        # What tells of bytes that have arrived and that no protocol has seen yet; see arrivals.py.
        self.pending: Callable[[float], object] | None = (
            handler.pending if isinstance(handler, WatchfulProtocol) else None
        )
        if self.kept:
            transport.set_protocol(self)

    def expect(self) -> asyncio.Future[UsualResponse | None]:
        """Return what will be the usual answer, or None when aiohttp's handler has to read it.

        To be called before the request is written, on a connection that is :attr:`kept`.
        """
        self._waiter = waiter = self._leases.new_future()
        return waiter

    def hand_over(self) -> None:
        """Let aiohttp's handler read the next answer."""
        # As ClientSession has it: a body without a length ends with the connection. For the rest, see body.py.
        self.handler.set_response_params(read_until_eof=True, auto_decompress=False, read_bufsize=BUFFER)
        if self.kept:
            self.transport.set_protocol(self.handler)

    def data_received(self, data: bytes) -> None:
        """Take what arrived."""
        waiter = self._waiter
        if waiter is None or waiter.done():
            # Nobody has asked, or whoever has asked has gone, or has the answer already: see _unasked().
            self._unasked()
            return
        usual = self._leases.recognise(data)
        # Exactly as many bytes as the length says: fewer are waited for, and more are judged, by aiohttp's handler.
        if usual is not None and len(data) - usual.end == usual.length:
            self._waiter = None
            waiter.set_result(UsualResponse(self, usual, data))
        else:
            self._odd(waiter, data)

    def _odd(self, waiter: asyncio.Future[UsualResponse | None], data: bytes | None = None) -> None:
        """Let aiohttp's handler have what arrived, and all that follows."""
        self._waiter = None
        try:
            self.hand_over()
            if data is not None:
                self.handler.data_received(data)
        except (TypeError, AttributeError) as error:  # aiohttp is not built as expected; the reader deals with it
            waiter.set_exception(error)
        else:
            waiter.set_result(None)

    def _unasked(self) -> None:
        """Give the connection up, at once: what arrived here could be taken for the answer to a later request."""
        self.spoilt = True
        if self.idle:
            self._leases.connector.dropped += 1
        self.transport.abort()

    def eof_received(self) -> None:
        """Take the end of what the server sends."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            self._odd(waiter)
            self.handler.eof_received()
        # The transport closes itself after this, as it does with aiohttp's handler.

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the end of the connection."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            self._odd(waiter)
        # In any case: the session waits for this when it is closed.
        self.handler.connection_lost(exc)
        if self.idle:
            self._leases.forget(self)
            self.drop()

    def pause_writing(self) -> None:
        """Note that the transport has more to send than it likes; requests are short, and nobody waits for that."""
        self.handler.pause_writing()

    def resume_writing(self) -> None:
        """Note that the transport has caught up."""
        self.handler.resume_writing()

    def drop(self) -> None:
        """Close the connection. May be repeated."""
        self.spoilt = True
        self._waiter = None
        self.connection.close()

    def rest(self) -> None:
        """Keep the connection for the next read, after an answer that was received to its end."""
        if self.spoilt or self.transport.is_closing():
            self.drop()
        elif self.kept:
            self._leases.add(self)
        else:
            self.connection.release()

    def take_back(self) -> None:
        """Do what :meth:`rest` does, after an answer that aiohttp's handler has read."""
        # The handler knows what it has seen: an answer that ends the connection, bytes that follow one, half a body.
        if self.handler.should_close:
            self.drop()
            return
        if self.kept and not self.transport.is_closing():
            self.transport.set_protocol(self)
        self.rest()


class Leases:
    """The connections of one pool that are kept, by destination.

    Args:
        connector: the pool.
        keep_alive: seconds for which an idle connection may be used again.
    """

    def __init__(self, connector: GuardedConnector, keep_alive: float) -> None:
        loop = asyncio.get_running_loop()
        self.connector: GuardedConnector = connector
        # Without reuse there is nothing to keep, and after closing nobody to keep it for.
        self.keep: bool = not connector.force_close
        """False leaves the connections with the pool: each is given back, or dropped, after one answer."""
        # As create_future() of the loop has it, without a frame of Python.
        self.new_future: Callable[[], asyncio.Future[Any]] = functools.partial(asyncio.Future[Any], loop=loop)
        self._loop = loop
        self._now = loop.time
        self._keep_alive = keep_alive
        # The one used last is used next: those that are not needed any more grow old and are closed.
        self._idle: list[Lease] = []
        self._timer: asyncio.TimerHandle | None = None
        self._heads: dict[bytes, UsualHead] = {}

    def recognise(self, data: bytes) -> UsualHead | None:
        """Return what the head of an answer says, or None when it is not of the usual shape."""
        end = data.find(_END) + len(_END)
        head = data[:end]
        known = self._heads.get(head)
        if known is not None:
            return known
        if end > _LONGEST_HEAD or (match := _USUAL(head)) is None or match[1] is None:
            return None
        made = UsualHead(match)
        # One that repeats the id of its request comes only once.
        if made.request_id is None:
            if len(self._heads) >= _HEADS:
                self._heads.clear()
            self._heads[head] = made
        return made

    def take(self, attempt: Attempt) -> Lease | None:
        """Return an idle connection on which nothing has arrived since its last answer, or None.

        Args:
            attempt: told that a connection is handed over.
        """
        idle = self._idle
        while idle:
            lease = idle.pop()
            lease.idle = False
            if (
                not lease.spoilt
                and not lease.transport.is_closing()
                and self._now() - lease.since <= self._keep_alive
                and lease.pending is not None
            ):
                # Asked last and for every request: below the event loop there may be what no protocol has seen.
                if not lease.pending(0):
                    self.connector.reused += 1
                    attempt.sending()
                    return lease
                self.connector.note_arrival()
            lease.drop()
        return None

    def add(self, lease: Lease) -> None:
        """Keep a connection that is not in use any more."""
        if not self.keep:
            lease.drop()
            return
        lease.idle = True
        lease.since = self._now()
        self._idle.append(lease)
        if self._timer is None:
            self._arm(self._keep_alive)

    def forget(self, lease: Lease) -> None:
        """Take out a connection that was lost while it was idle."""
        lease.idle = False
        self._idle.remove(lease)

    def close(self) -> None:
        """Keep nothing any more. What is idle is closed by the pool, which counts it as acquired."""
        self.keep = False
        if self._timer is not None:
            # Nothing of a closed session may be left in the event loop.
            self._timer.cancel()
            self._timer = None

    def _arm(self, seconds: float) -> None:
        # Weak, as the timer of aiohttp's pool is: a session that nobody closed need not live until it fires.
        self._timer = self._loop.call_later(seconds, _expire, weakref.ref(self))

    def expire(self) -> None:
        """Close what has been idle for too long."""
        self._timer = None
        oldest = self._now() - self._keep_alive
        # They became idle in the order in which they stand here.
        old = 0
        while old < len(self._idle) and self._idle[old].since <= oldest:
            old += 1
        aged, self._idle[:old] = self._idle[:old], []
        for lease in aged:
            lease.idle = False
            lease.drop()
        if self._idle:
            self._arm(max(self._idle[0].since - oldest, _SOON))


def _expire(leases: weakref.ref[Leases]) -> None:
    found = leases()
    if found is not None:
        found.expire()


def _settable(transport: asyncio.Transport, handler: ResponseHandler) -> bool:
    """Whether the protocol of this transport can be another one. Event loops of other makers may not offer that."""
    try:
        return transport.get_protocol() is handler and callable(transport.set_protocol)
    except (AttributeError, NotImplementedError):
        return False


def headers_of(handler: ResponseHandler, head: bytes) -> Mapping[str, str]:
    """Return the headers in the head of an answer as aiohttp has them, down to how it spells their names."""
    parser = HttpResponseParser(handler, asyncio.get_running_loop(), BUFFER, auto_decompress=False)
    ((message, _),) = parser.feed_data(head)[0]
    headers: Mapping[str, str] = message.headers
    return headers


class UsualResponse:
    """The usual answer: a 200 that has arrived whole. An :class:`~cyclr_async.http.engine.engine.EngineResponse`.

    Args:
        lease: the connection, held until the response is closed.
        head: of the answer, as it was recognised.
        data: all of it.
    """

    __slots__ = ("_data", "_end", "_headers", "_lease", "_open", "_read", "content_type", "request_id")

    status: int = 200

    def __init__(self, lease: Lease, head: UsualHead, data: bytes) -> None:
        self._lease = lease
        self._data = data
        self._end = self._read = head.end
        self._open = True
        self._headers: Mapping[str, str] | None = None
        self.content_type: str | None = head.content_type
        self.request_id: str | None = head.request_id

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the answer. Made when somebody asks, which hardly anybody does."""
        if self._headers is None:
            self._headers = headers_of(self._lease.handler, self._data[: self._end])
        return self._headers

    @property
    def connection(self) -> object:
        """What stands for the connection, however its answers are read."""
        return self._lease.handler

    def whole(self) -> bytes | None:
        """Return the body."""
        return self._data[self._end :]

    async def piece(self) -> bytes:
        """Return the next bytes of the body, nothing at its end."""
        begin = self._read
        self._read = min(begin + PIECE, len(self._data))
        return self._data[begin : self._read]

    async def excerpt(self, most: int, limit: Timeout) -> bytes:  # noqa: ARG002 - nothing is waited for
        """Return the beginning of the body."""
        return self._data[self._end :][:most]

    def pause(self) -> None:
        """Nothing more will arrive."""

    def doubt(self) -> None:
        """Let no later request use the connection."""
        self._lease.spoilt = True

    def close(self) -> None:
        """Keep the connection for the next request. May be repeated."""
        # Once: after that the connection may be somebody else's.
        if self._open:
            self._open = False
            self._lease.rest()
