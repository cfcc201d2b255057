"""The floor: one connection per worker, raw bytes, keep-alive, a parser that knows only ``Content-Length``."""

import asyncio
from typing import Final
from urllib.parse import urlsplit

from typing_extensions import override

from benchmarks.bodies import TOKEN
from benchmarks.contenders.base import SingleCalls

__all__ = ["make"]

_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"Content-Length: "


class _Wire(asyncio.Protocol):
    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.transport: asyncio.Transport | None = None
        self.waiter: asyncio.Future[bytes] | None = None
        self.buffer = b""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    @override
    def data_received(self, data: bytes) -> None:
        buffer = self.buffer + data if self.buffer else data
        end = buffer.find(_END)
        if end >= 0:
            start = buffer.find(_LENGTH, 0, end) + len(_LENGTH)
            length = int(buffer[start : buffer.find(b"\r", start)])
            body = buffer[end + 4 :]
            if len(body) >= length:
                self.buffer = b""
                if not buffer.startswith(b"HTTP/1.1 200"):
                    raise ConnectionError("the load server answered with an error")
                if self.waiter is not None and not self.waiter.done():
                    self.waiter.set_result(body)
                return
        self.buffer = buffer

    async def get(self, request: bytes) -> bytes:
        assert self.transport is not None
        self.waiter = self.loop.create_future()
        self.transport.write(request)
        return await self.waiter


class _Raw(SingleCalls):
    @override
    async def open(self, base_url: str, concurrency: int) -> None:
        self.concurrency = concurrency
        parts = urlsplit(base_url)
        assert parts.hostname is not None
        assert parts.port is not None
        self.head = f"GET {parts.path}/accounts/"
        self.tail = (
            f"/billing HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {TOKEN}\r\n"
            "Accept: application/json\r\nUser-Agent: benchmark\r\n\r\n"
        )
        loop = asyncio.get_running_loop()
        made = [await loop.create_connection(_Wire, parts.hostname, parts.port) for _ in range(concurrency)]
        self.idle = [wire for _, wire in made]

    @override
    async def call(self, account_id: str) -> object:
        wire = self.idle.pop()
        body = await wire.get((self.head + account_id + self.tail).encode())
        self.idle.append(wire)
        return body

    @override
    async def close(self) -> None:
        for wire in self.idle:
            assert wire.transport is not None
            wire.transport.close()
        await asyncio.sleep(0)


def make() -> SingleCalls:
    """The contender of this module."""
    return _Raw()
