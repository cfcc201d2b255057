"""A server whose TLS is made by hand, so that a test can send a record in two parts, with anything in between."""

from __future__ import annotations

import ssl

from tests.support.server import Link, Request

__all__ = ["RecordLink"]


class RecordLink:
    """TLS over one accepted connection of a plain :class:`FaultServer`."""

    def __init__(self, link: Link, context: ssl.SSLContext) -> None:
        self.link = link
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    async def _feed(self) -> None:
        data = await self.link.reader.read(65536)
        if not data:
            raise ConnectionError("the client went away")
        self._incoming.write(data)

    async def handshake(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await self.link.write(self._outgoing.read())
                await self._feed()
        await self.link.write(self._outgoing.read())

    async def read_request(self) -> Request:
        head = b""
        while not head.endswith(b"\r\n\r\n"):  # a read: without a body
            try:
                if not (part := self._tls.read(65536)):
                    raise ConnectionError("the client said good-bye")
                head += part
            except ssl.SSLWantReadError:
                await self._feed()
        method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
        request = Request(method, target, {}, b"", self.link.number)
        self.link.server.record(request)
        return request

    def sealed(self, data: bytes) -> bytes:
        """The bytes of a record that holds this."""
        self._tls.write(data)
        return self._outgoing.read()

    async def write(self, data: bytes) -> None:
        await self.link.write(self.sealed(data))
