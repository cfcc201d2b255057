"""The body of an answer: unpacked here, in bounded pieces, and either complete or an error.

aiohttp could unpack it. But its parser pauses while somebody reads slowly, and what a paused parser still holds is lost
when a TLS connection ends; it takes a gzip that stops in the middle for a whole one; and it unpacks as much as it likes
in one go. So it is told to hand the bytes over as they came (``auto_decompress=False``), with buffers that are larger
than what can arrive between two turns of the event loop, and what paces the server is the transport.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp import http_parser
from aiohttp.http_exceptions import HttpProcessingError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from aiohttp.client_proto import ResponseHandler

__all__ = ["BUFFER", "PIECE", "PURE_PYTHON", "Body", "BrokenBody", "legible"]

PIECE: Final = 64 * 1024
"""Bytes of a list that are decoded in one turn of the event loop: about 300 accounts, a millisecond."""
BUFFER: Final = 2 * 1024 * 1024
"""Bytes that aiohttp may hold of one answer; it pauses its parser at twice as many, or at an eighth as many chunks. One
turn of the event loop brings 512 KiB at most over TLS (what asyncio may have buffered), 88,000 chunks of one byte."""
_WINDOW: Final = 16 * 1024
"""Compressed bytes per call of zlib, which copies what follows the end of a member."""
_MEMBERS: Final = 10_000
"""Members that a gzip may have. An empty one has 20 bytes and costs as much time as 10 kB of others."""
_CODINGS: Final = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate", "identity": "", "": ""}
_NO_FLOW_CONTROL: Final = (AttributeError, NotImplementedError, RuntimeError)
"""What a transport raises that cannot be paused; aiohttp ignores the same."""
PURE_PYTHON: Final = http_parser.HttpResponseParser is http_parser.HttpResponseParserPy
"""Whether aiohttp runs without its parser in C, which refuses by itself what follows the end of an answer."""


class BrokenBody(Exception):  # noqa: N818 - a signal inside the transport, it never leaves it
    """The body is not what the headers say.

    Args:
        what: said in the message of our error.
        cut: True when it ends too early, False when it is something else.
    """

    def __init__(self, what: str, *, cut: bool = False) -> None:
        super().__init__(what)
        self.what = what
        self.cut = cut


class Unpacker:
    """Unpacks gzip and deflate as the bytes arrive, never more than asked for.

    Args:
        coding: ``"gzip"`` or ``"deflate"``.
    """

    __slots__ = ("_at", "_coding", "_data", "_full", "_inflater", "_members")

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._data = b""
        self._at = 0
        self._full = False
        """True when zlib gave as much as was asked for, and so may hold more without new input."""
        self._inflater: zlib._Decompress | None = None
        self._members = 0

    def feed(self, data: bytes) -> None:
        """Take the next compressed bytes."""
        self._data = self._data[self._at :] + data
        self._at = 0

    def read(self, room: int) -> bytes:
        """Return up to ``room`` unpacked bytes; nothing when more input is needed.

        Raises:
            BrokenBody: these bytes are not packed as the header says.
        """
        while self._full or self._at < len(self._data):
            inflater = self._inflater
            if inflater is None or inflater.eof:
                inflater = self._next_member()
            window = self._data[self._at : self._at + _WINDOW]
            try:
                piece = inflater.decompress(window, room)
            except zlib.error:
                break
            left = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
            self._at += len(window) - len(left)
            # zlib may still hold output when it has taken all input, and gives it only when it is asked again.
            self._full = len(piece) == room and not inflater.eof
            if piece:
                return piece
        else:
            return b""
        raise BrokenBody("the body is not encoded as its header says")

    def _next_member(self) -> zlib._Decompress:
        self._members += 1
        if self._members > (_MEMBERS if self._coding == "gzip" else 1):
            raise BrokenBody("something follows the end of the compressed body")
        if self._coding == "gzip":
            bits = 16 + zlib.MAX_WBITS
        else:
            # "deflate" means the zlib format, but some servers send what is inside of it alone, without its first byte.
            bits = zlib.MAX_WBITS if self._data[self._at] & 0x0F == 8 else -zlib.MAX_WBITS
        self._inflater = zlib.decompressobj(bits)
        return self._inflater

    def end(self) -> None:
        """Take the end of the input. A body without a single byte counts as whole: there was nothing to pack.

        Raises:
            BrokenBody: it comes too early.
        """
        if self._inflater is not None and not self._inflater.eof:
            raise BrokenBody("the compressed body ends too early", cut=True)


class Body:
    """Reads the body of one answer.

    Args:
        content: the body, untouched.
        headers: of the answer.
        protocol: of its connection, None where it is not known.
        transport: the same; None also when the connection is back in its pool. Both are kept, because it is back there
            with the last byte, and that may have been there at once.
    """

    __slots__ = ("_content", "_follows", "_protocol", "_transport", "_unpacker")

    def __init__(
        self,
        content: aiohttp.StreamReader,
        headers: Mapping[str, str],
        protocol: ResponseHandler | None,
        transport: asyncio.Transport | None,
    ) -> None:
        self._content = content
        self._protocol = protocol
        self._transport = transport
        self._follows = False
        self._look()
        coding = headers.get("Content-Encoding", "").strip().lower()
        known = _CODINGS.get(coding)
        self._unpacker: Unpacker | None = Unpacker(known) if known else None
        if known is None and not content.at_eof():
            raise BrokenBody("the body is encoded in a way that was not asked for")

    async def piece(self, most: int = PIECE) -> bytes:
        """Return the next bytes, unpacked, and nothing at the end.

        Raises:
            BrokenBody: the body is not what the headers say.
            aiohttp.ClientError: the connection broke.
        """
        unpacker = self._unpacker
        if unpacker is None:
            return await self._raw(most) or self._end()
        while not (piece := unpacker.read(most)):
            raw = await self._raw(most)
            if not raw:
                unpacker.end()
                return self._end()
            unpacker.feed(raw)
        return piece

    async def _raw(self, most: int) -> bytes:
        content = self._content
        try:
            piece = content.read_nowait(most)
            if piece or content.at_eof():
                return piece
            self.resume()
            try:
                return await content.read(most)
            finally:
                self._look()
                self.pause()
        except RuntimeError:
            pass
        # What aiohttp raises when the connection was lost in the meantime; its error would hold nothing else.
        raise aiohttp.ClientPayloadError("the connection was lost")

    def pause(self) -> None:
        """Let nothing more arrive until the next piece is asked for: somebody may be slow to ask."""
        # After the last byte the connection may be anybody's.
        if self._transport is not None and not self._content.is_eof():
            try:
                self._transport.pause_reading()
            except _NO_FLOW_CONTROL:
                self._transport = None

    def resume(self) -> None:
        """Let the next bytes arrive."""
        if self._transport is not None and not self._content.is_eof():
            try:
                self._transport.resume_reading()
            except _NO_FLOW_CONTROL:
                self._transport = None

    def _look(self) -> None:
        """Look what follows the last byte, in the moment it has come: then the connection is still as it was left."""
        if self._protocol is not None and self._content.is_eof():
            self._follows = _something_follows(self._protocol)
            self._protocol = None

    def _end(self) -> bytes:
        # At the end, and not when it was seen: until then a broken answer may still prove to be broken in a worse way.
        if self._follows:
            raise BrokenBody("something follows the end of the answer")
        return b""


def _something_follows(protocol: ResponseHandler) -> bool:
    """Tell whether more than an answer came: more bytes than its ``Content-Length``, for example."""
    # In the same read as the end of the answer it breaks the connection, but not the answer if that had begun before.
    follows = isinstance(protocol.exception(), HttpProcessingError)
    if PURE_PYTHON and not follows:
        # The parser in Python keeps it as the beginning of another answer and says nothing.
        parser = getattr(protocol, "_parser", None)
        follows = bool(getattr(parser, "_tail", None) or getattr(parser, "_lines", None))
    if follows:
        protocol.close()  # the connection may be back in its pool already
    return follows


def legible(raw: bytes, coding: str, most: int) -> bytes:
    """Return what can be read of the body of an error, which may be cut off or not be packed at all."""
    # Never strict here: an error is shown as well as it can be, since its status has said what matters.
    known = _CODINGS.get(coding.strip().lower())
    if not known:
        return raw[:most]
    unpacker = Unpacker(known)
    unpacker.feed(raw)
    pieces = bytearray()
    try:
        while piece := unpacker.read(most - len(pieces)):
            pieces += piece
            if len(pieces) >= most:
                break
    except BrokenBody:
        pass
    return bytes(pieces) or raw[:most]
