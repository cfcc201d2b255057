"""A successful answer that is read piece by piece, as it arrives and as fast as its reader likes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from cyclr_async.errors import CyclrError
from cyclr_async.http.engine.engine import EngineResponse
from cyclr_async.http.pace import Pace
from cyclr_async.http.timeouts import TimerWheel

__all__ = ["Stream"]


class Stream:
    """The body of a successful answer, piece by piece.

    Args:
        response: the answer.
        pace: how long it may take.
        watch: the time limits.
        request_id: of the request, for errors.
    """

    def __init__(self, response: EngineResponse, *, pace: Pace, watch: TimerWheel, request_id: str) -> None:
        self._response = response
        self._watch = watch
        self._now = asyncio.get_running_loop().time  # what the limits go by, whatever clock a test gave the session
        self.pace = pace
        self.request_id = request_id

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the pieces as they arrive."""
        while piece := await self._next():
            yield piece
            await asyncio.sleep(0)  # a long list does not keep the event loop to itself

    async def _next(self) -> bytes:
        began = self._now()
        scope = self._watch.limit(self.pace.allowed())
        failed: CyclrError
        try:
            with scope:
                piece = await self._response.piece()
        except (CyclrError, TimeoutError) as error:
            # What breaks in the moment in which time is up is a matter of time too.
            if scope.expired:
                failed = self.pace.exceeded(self._response.status)
            elif isinstance(error, CyclrError):
                failed = error
            else:
                raise
        else:
            self.pace.waited(self._now() - began, len(piece))
            return piece
        raise failed

    def close(self) -> None:
        """Drop the connection, unless the body was read to its end."""
        self._response.close()
