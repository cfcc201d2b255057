"""An event loop whose TCP connections lead nowhere: each request is answered in this process, without the kernel.

The clients run as they are, with their own pools and connectors; only the two calls of the loop that would open a
connection are replaced. What is left to measure is the client's own work in user space.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable
from typing import Any, Final

from typing_extensions import override

from benchmarks.bodies import BILLING
from benchmarks.loadserver import response

__all__ = ["FakeLoop"]

_END: Final = b"\r\n\r\n"


class _FakeTransport(asyncio.Transport):
    """Answers every request with the billing body, at the next turn of the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol) -> None:
        # A connected pair, silent for ever: clients may ask the kernel whether their socket is still good.
        own, self._peer = socket.socketpair()
        super().__init__({"socket": own, "peername": ("127.0.0.1", 80), "sockname": ("127.0.0.1", 40000)})
        self._own = own
        self._loop = loop
        self._protocol = protocol
        self._closing = False
        self._tail = b""
        self._answer = response(BILLING)
        loop.call_soon(protocol.connection_made, self)

    @override
    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        self._tail = bytes(data) if not self._tail else self._tail + bytes(data)
        if self._tail.endswith(_END):
            self._tail = b""
            self._loop.call_soon(self._protocol.data_received, self._answer)

    @override
    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview[Any]]) -> None:
        self.write(b"".join(list_of_data))

    @override
    def is_closing(self) -> bool:
        return self._closing

    @override
    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._own.close()
            self._peer.close()
            self._loop.call_soon(self._protocol.connection_lost, None)

    @override
    def abort(self) -> None:
        self.close()

    @override
    def pause_reading(self) -> None:
        """Nothing to pause: an answer arrives whole."""

    @override
    def resume_reading(self) -> None:
        """Nothing to resume."""

    @override
    def is_reading(self) -> bool:
        return not self._closing

    @override
    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    @override
    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self._protocol = protocol

    @override
    def get_write_buffer_size(self) -> int:
        return 0


class FakeLoop(asyncio.SelectorEventLoop):
    """The stock event loop, but for connections."""

    @override
    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Connected at once, to nobody."""

    @override
    async def create_connection(  # type: ignore[override]  # the arguments that clients use, not all there are
        self, protocol_factory: Callable[[], asyncio.Protocol], *_args: Any, sock: socket.socket, **_options: Any
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        sock.close()
        protocol = protocol_factory()
        transport = _FakeTransport(self, protocol)
        await asyncio.sleep(0)
        return transport, protocol
