"""Between the workers of a run and its consumer: a bounded line of outcomes."""

from __future__ import annotations

import asyncio
from collections import deque

from cyclr_async.usage.outcome import UsageOutcome

__all__ = ["Results"]


class Results:
    """Outcomes that have finished and were not consumed yet.

    Args:
        room: how many may wait for the consumer before the workers do.
    """

    __slots__ = ("_arrived", "_outcomes", "_producers", "_room", "ended", "failure")

    def __init__(self, room: int) -> None:
        self._room = room
        self._outcomes: deque[UsageOutcome] = deque()
        self._producers: deque[asyncio.Future[None]] = deque()
        self._arrived = asyncio.Event()
        self.ended = False
        self.failure: BaseException | None = None

    async def put(self, outcome: UsageOutcome) -> None:
        """Add an outcome, then wait until the consumer has caught up. A cancelled call has added it all the same."""
        self._outcomes.append(outcome)
        self._arrived.set()
        while len(self._outcomes) >= self._room:
            producer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._producers.append(producer)
            await producer

    async def take(self) -> UsageOutcome | None:
        """Return the next outcome, waiting for it; None at the end.

        Raises:
            BaseException: what ended the run, once, after the last outcome.
        """
        while not self._outcomes:
            if self.ended:
                if self.failure is not None:
                    failure, self.failure = self.failure, None
                    raise failure
                return None
            self._arrived.clear()
            await self._arrived.wait()
        outcome = self._outcomes.popleft()
        while self._producers and len(self._outcomes) < self._room:
            producer = self._producers.popleft()
            if not producer.done():
                producer.set_result(None)
                break
        return outcome

    def end(self, failure: BaseException | None) -> None:
        """Tell the consumer that nothing more will come, and why if it should not be so."""
        self.failure = failure
        self.ended = True
        self._arrived.set()

    def drain(self) -> list[UsageOutcome]:
        """Return the outcomes that are left, and forget them."""
        outcomes = list(self._outcomes)
        self._outcomes.clear()
        return outcomes
