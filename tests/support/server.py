"""A raw fault server: asyncio streams, no framework, one script per connection.

A script is a coroutine function that drives one accepted connection. Steps are small scripts, and ``script`` strings
them together, so a fault reads like a sentence: ``script(read_request(), write(b"HTTP/1.1 200 OK\\r\\n"), rst())``.
The server counts what it sees (connections, requests, operations carried out); the tests believe it, not the client.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl as ssl_module
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

__all__ = [
    "FaultServer",
    "Link",
    "Request",
    "Script",
    "answer",
    "close",
    "commit",
    "delay",
    "drip",
    "each_request",
    "read_bytes",
    "read_request",
    "rst",
    "script",
    "stall",
    "write",
]

_LOOPBACK = "127.0.0.1"
_MAX_HEAD = 256 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came in."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int
    head: bytes = b""
    at: float = 0.0  # on the clock of the loop

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def request_id(self) -> str:
        return self.headers.get("x-request-id", "")

    @property
    def bearer(self) -> str:
        return self.headers.get("authorization", "").removeprefix("Bearer ")


class Link:
    """One accepted connection."""

    def __init__(
        self, server: FaultServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        self.server = server
        self.reader = reader
        self.writer = writer
        self.number = number
        self.request: Request | None = None
        self.handled = 0

    async def read_request(self) -> Request | None:
        """Read one request with its body; None when the client has closed the connection between requests."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        lines = head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        headers: dict[str, str] = {}
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if colon:
                headers[name.lower()] = value.strip()
        length = int(headers.get("content-length", "0"))
        body = await self.reader.readexactly(length) if length else b""
        self.request = Request(method, target, headers, body, self.number, head, asyncio.get_running_loop().time())
        self.handled += 1
        self.server.record(self.request)
        return self.request

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def fin(self) -> None:
        """Close after everything written has been sent."""
        self.writer.close()

    def rst(self) -> None:
        """Reset the connection: what was not sent yet is lost, and the client's kernel sees an error."""
        raw = self.writer.get_extra_info("socket")
        if raw is not None and raw.fileno() != -1:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def until_closed(self) -> None:
        """Stay silent until the client goes away."""
        while await self.reader.read(65536):
            pass


Script = Callable[[Link], Awaitable[None]]


class _GoneError(Exception):
    """The client closed the connection where a script expected a request: nothing is left to do on it."""


def script(*steps: Script) -> Script:
    """Return a script that runs these steps in order."""

    async def run(link: Link) -> None:
        for step in steps:
            await step(link)

    return run


def read_request() -> Script:
    """Wait for one whole request."""

    async def step(link: Link) -> None:
        if await link.read_request() is None:
            raise _GoneError

    return step


def read_bytes(count: int) -> Script:
    """Read this many bytes and no more, whatever they are."""

    async def step(link: Link) -> None:
        await link.reader.readexactly(count)

    return step


def delay(seconds: float) -> Script:
    async def step(_link: Link) -> None:
        await asyncio.sleep(seconds)

    return step


def write(data: bytes | Callable[[Request], bytes]) -> Script:
    """Write these bytes, or what the function makes of the last request."""

    async def step(link: Link) -> None:
        if callable(data):
            assert link.request is not None
            await link.write(data(link.request))
        else:
            await link.write(data)

    return step


def answer(make: Callable[[Request], bytes]) -> Script:
    """Read one request, count it as carried out, and answer it."""
    return script(read_request(), commit(), write(make))


def drip(data: bytes | Callable[[Request], bytes], *, every: float) -> Script:
    """Write byte by byte, one every so many seconds."""

    async def step(link: Link) -> None:
        assert not callable(data) or link.request is not None
        content = data(link.request) if callable(data) and link.request else data
        assert isinstance(content, bytes)
        for index in range(len(content)):
            await link.write(content[index : index + 1])
            await asyncio.sleep(every)

    return step


def commit() -> Script:
    """Carry the last request out: from here on the operation has happened, whether or not the client hears of it."""

    async def step(link: Link) -> None:
        assert link.request is not None
        link.server.committed[link.request.request_id] += 1

    return step


def close() -> Script:
    async def step(link: Link) -> None:
        link.fin()

    return step


def rst() -> Script:
    async def step(link: Link) -> None:
        link.rst()

    return step


def stall() -> Script:
    """Say nothing more; the connection stays open until the client gives it up."""

    async def step(link: Link) -> None:
        await link.until_closed()

    return step


def each_request(*behaviours: Script) -> Script:
    """Treat the n-th request that reaches the *server* with the n-th behaviour, and all later ones with the last.

    Behaviours start after the request was read. A behaviour that closes the connection ends the script.
    """

    async def run(link: Link) -> None:
        while await link.read_request() is not None:
            turn = link.server.turns
            link.server.turns += 1
            await behaviours[min(turn, len(behaviours) - 1)](link)
            if link.writer.is_closing():
                return

    return run


class FaultServer:
    """Listens on a loopback port; the n-th connection gets the n-th script, and all later ones the last.

    Attributes:
        requests: every request read in full, in order (not kept with ``keep=False``).
        request_count: how many that were.
        connections: connections accepted.
        open: connections open now.
        committed: operations carried out, by ``X-Request-Id``.
        broken: errors of the scripts themselves; checked when the server closes.
    """

    def __init__(self, *scripts: Script, ssl: ssl_module.SSLContext | None = None, keep: bool = True) -> None:
        self.scripts = scripts
        self.requests: list[Request] = []
        self.request_count = 0
        self.connections = 0
        self.turns = 0
        self.committed: Counter[str] = Counter()
        self.broken: list[BaseException] = []
        self.port = 0
        self._keep = keep
        self._ssl = ssl
        self._listener: asyncio.Server | None = None
        self._links: dict[asyncio.Task[None], Link] = {}

    @property
    def open(self) -> int:
        return len(self._links)

    @property
    def origin(self) -> str:
        return f"{'https' if self._ssl else 'http'}://{_LOOPBACK}:{self.port}"

    @property
    def base_url(self) -> str:
        return f"{self.origin}/api/partner"

    @property
    def token_url(self) -> str:
        return f"{self.origin}/oauth/token"

    @property
    def executed(self) -> int:
        """How many operations were carried out, repetitions included."""
        return self.committed.total()

    def record(self, request: Request) -> None:
        self.request_count += 1
        if self._keep:
            self.requests.append(request)

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(
            self._accepted, _LOOPBACK, 0, ssl=self._ssl, limit=_MAX_HEAD, backlog=4096
        )
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._listener is not None
        self._listener.close()
        links = dict(self._links)
        for task, link in links.items():
            link.writer.transport.abort()
            task.cancel()
        await asyncio.gather(*links, return_exceptions=True)
        await asyncio.sleep(0)
        if self.broken and error is None:
            raise self.broken[0]

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = self.connections
        self.connections += 1
        link = Link(self, reader, writer, number)
        task = asyncio.get_running_loop().create_task(self._drive(link), name=f"fault-link-{number}")
        self._links[task] = link
        task.add_done_callback(self._links.pop)

    async def _drive(self, link: Link) -> None:
        run = self.scripts[min(link.number, len(self.scripts) - 1)]
        try:
            await run(link)
        except (_GoneError, ConnectionError, asyncio.IncompleteReadError, ssl_module.SSLError):
            pass  # the client went away: that is its right, and part of what is tested
        except (ValueError, LookupError, AssertionError, TypeError, AttributeError, RuntimeError) as error:
            self.broken.append(error)
        finally:
            link.writer.close()
            with contextlib.suppress(ConnectionError, ssl_module.SSLError, TimeoutError):
                await link.writer.wait_closed()
