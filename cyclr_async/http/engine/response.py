"""The answer of either way to send, over aiohttp's stream of its body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cyclr_async.errors import CyclrError
from cyclr_async.http.engine.body import Body, legible
from cyclr_async.http.engine.engine import CONTENT_ENCODING
from cyclr_async.http.engine.errors import FOREIGN, Translator
from cyclr_async.http.request import Request
from cyclr_async.http.timeouts import Attempt, Timeout

if TYPE_CHECKING:
    import asyncio

    import aiohttp
    from aiohttp.client_proto import ResponseHandler

__all__ = ["PooledResponse"]


class PooledResponse:
    """An :class:`~cyclr_async.http.engine.engine.EngineResponse`, as far as it does not depend on the way.

    Args:
        call: what was sent.
        attempt: how it goes; learns the status.
        translator: makes our errors of aiohttp's.
        status: the HTTP status.
        headers: the response headers.
        content: the body, as aiohttp has it: neither unpacked nor checked.
        protocol: of the connection, None where nothing is known of it.
        transport: of the connection, None when it is back in its pool, or not known.
    """

    __slots__ = (
        "_attempt",
        "_body",
        "_call",
        "_content",
        "_protocol",
        "_translator",
        "_transport",
        "headers",
        "status",
    )

    def __init__(
        self,
        call: Request[Any],
        attempt: Attempt,
        translator: Translator,
        *,
        status: int,
        headers: Mapping[str, str],
        content: aiohttp.StreamReader,
        protocol: ResponseHandler | None,
        transport: asyncio.Transport | None,
    ) -> None:
        self._call = call
        self._attempt = attempt
        self._translator = translator
        self._content = content
        self._protocol = protocol
        self._transport = transport
        self._body: Body | None = None
        self.status: int = status
        attempt.status = status
        self.headers: Mapping[str, str] = headers

    @property
    def connection(self) -> object:
        """What stands for the connection. Its protocol, since aiohttp's own object is made anew for every request."""
        return self._protocol

    def whole(self) -> bytes | None:
        """Return the body when all of it is there already and nothing has to be looked at; None is always right."""
        return None

    async def piece(self) -> bytes:
        """Return the next bytes of the body, unpacked, and nothing at its end."""
        # Begun late: most bodies are there with their headers and need none of this.
        body = self._body or self._begun()
        failed: CyclrError
        try:
            return await body.piece()
        except FOREIGN as error:
            failed = self._translator.failure(error, self._call, self._attempt)
        raise failed

    async def excerpt(self, most: int, limit: Timeout) -> bytes:
        """Return what can be had of the body of an error. Whatever happens to it, the status has been seen."""
        raw = bytearray()
        try:
            with limit:
                while len(raw) < most and (chunk := await self._content.read(most)):
                    raw += chunk
        # Whatever has come until then is shown; the status is known, and a broken body must not hide it.
        except (*FOREIGN, RuntimeError):
            pass
        return legible(bytes(raw), self.headers.get(CONTENT_ENCODING, ""), most)

    def pause(self) -> None:
        """Let nothing more arrive until a piece is asked for."""
        (self._body or self._begun()).pause()

    def doubt(self) -> None:
        """Let no later request use the connection, also when it is back in its pool already."""
        # A mock has no protocol, and another aiohttp may have none that can do this.
        if (force_close := getattr(self._protocol, "force_close", None)) is not None:
            force_close()

    def _begun(self) -> Body:
        """Begin to read the body: not before somebody wants it, since most bodies are there with their headers."""
        failed: CyclrError
        try:
            self._body = Body(self._content, self.headers, self._protocol, self._transport)
        except FOREIGN as error:
            failed = self._translator.failure(error, self._call, self._attempt)
        else:
            return self._body
        raise failed
