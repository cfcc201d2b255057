"""Between the workers of a run and its consumer: a bounded line of outcomes."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

from cyclr_async.http.wait_queue import WaitQueue

__all__ = ["OutcomeQueue"]


T = TypeVar("T")


class OutcomeQueue(Generic[T]):
    """Outcomes that have finished and were not consumed yet.

    Args:
        room: how many may wait for the consumer before the workers do.
    """

    __slots__ = ("_consumers", "_outcomes", "_producers", "_room", "ended", "failure")

    def __init__(self, room: int) -> None:
        self._room = room
        self._outcomes: deque[T] = deque()
        self._producers = WaitQueue()
        self._consumers = WaitQueue()
        self.ended: bool = False
        self.failure: BaseException | None = None

    @property
    def full(self) -> bool:
        """Whether producers should wait for the consumer."""
        return len(self._outcomes) >= self._room

    def add(self, outcome: T) -> None:
        """Add an outcome; then wait with :meth:`until_room` if the line is full."""
        self._outcomes.append(outcome)  # also when full: what has finished is never lost to a cancellation
        if self._consumers.waiters:
            self._consumers.wake_one()

    async def until_room(self) -> None:
        """Wait until the consumer has caught up."""
        while self.full:
            await self._producers.wait()

    def poll(self) -> T | None:
        """Return the next outcome if one is at hand."""
        if not self._outcomes:
            return None
        outcome = self._outcomes.popleft()
        if self._producers.waiters and not self.full:
            self._producers.wake_one()
        return outcome

    async def take(self) -> T | None:
        """Return the next outcome, waiting for it; None at the end.

        Raises:
            BaseException: what ended the run, once, after the last outcome.
        """
        while not self._outcomes:
            if self.ended:
                if self.failure is not None:
                    # Once: whoever goes on iterating gets a plain end, and leaving the block raises it no second time.
                    failure, self.failure = self.failure, None
                    raise failure
                return None
            await self._consumers.wait()
        return self.poll()

    def end(self, failure: BaseException | None) -> None:
        """Tell the consumer that nothing more will come, and why if it should not be so."""
        self.failure = failure
        self.ended = True
        self._consumers.wake_all()

    def drain(self) -> list[T]:
        """Return the outcomes that are left, and forget them."""
        outcomes = list(self._outcomes)
        self._outcomes.clear()
        return outcomes
