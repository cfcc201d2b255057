"""Between the workers of a run and its consumer: a bounded line of outcomes."""

from __future__ import annotations

import asyncio
from collections import deque

from cyclr_async.usage.collect.outcome import UsageOutcome

__all__ = ["OutcomeQueue"]


class OutcomeQueue:
    """Outcomes that have finished and were not consumed yet.

    Args:
        room: how many may wait for the consumer before the workers do.
    """

    __slots__ = ("_consumers", "_outcomes", "_producers", "_room", "ended", "failure")

    def __init__(self, room: int) -> None:
        self._room = room
        self._outcomes: deque[UsageOutcome] = deque()
        self._producers: deque[asyncio.Future[None]] = deque()
        self._consumers: deque[asyncio.Future[None]] = deque()
        self.ended = False
        self.failure: BaseException | None = None

    @property
    def full(self) -> bool:
        """Whether producers should wait for the consumer."""
        return len(self._outcomes) >= self._room

    def add(self, outcome: UsageOutcome) -> None:
        """Add an outcome; then wait with :meth:`until_room` if the line is full."""
        self._outcomes.append(outcome)
        if self._consumers:
            _wake_one(self._consumers)

    async def until_room(self) -> None:
        """Wait until the consumer has caught up."""
        while self.full:
            await _wait_in(self._producers)

    def poll(self) -> UsageOutcome | None:
        """Return the next outcome if one is at hand."""
        if not self._outcomes:
            return None
        outcome = self._outcomes.popleft()
        if self._producers and not self.full:
            _wake_one(self._producers)
        return outcome

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
            await _wait_in(self._consumers)
        return self.poll()

    def end(self, failure: BaseException | None) -> None:
        """Tell the consumer that nothing more will come, and why if it should not be so."""
        self.failure = failure
        self.ended = True
        while self._consumers:
            _wake_one(self._consumers)

    def drain(self) -> list[UsageOutcome]:
        """Return the outcomes that are left, and forget them."""
        outcomes = list(self._outcomes)
        self._outcomes.clear()
        return outcomes


async def _wait_in(line: deque[asyncio.Future[None]]) -> None:
    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    line.append(waiter)
    try:
        await waiter
    except asyncio.CancelledError:
        if waiter.done() and not waiter.cancelled():
            _wake_one(line)  # the turn of somebody who left is that of the next
        raise


def _wake_one(line: deque[asyncio.Future[None]]) -> None:
    while line:
        waiter = line.popleft()
        if not waiter.done():
            waiter.set_result(None)
            return
