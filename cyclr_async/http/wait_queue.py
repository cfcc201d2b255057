"""A line of coroutines that wait for something to change: first in, first out, and safe to cancel anywhere."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable

__all__ = ["WaitQueue"]


class WaitQueue:
    """Coroutines that wait until they are woken; what they wait for is looked at again by whoever wakes up.

    The pattern is that of a condition variable: ``while not something: await queue.wait()`` on one side, and on the
    other a change followed by :meth:`wake_one` or :meth:`wake_all`. A wake-up is never lost: a coroutine that is
    cancelled after it was woken and before it ran wakes the next one instead.

    A wake-up can also bring something, which then belongs to the coroutine that was woken: a slot, say.

    It belongs to the event loop that waits in it, and is not safe for threads.

    Args:
        give_back: called with what a wake-up brought when its coroutine was cancelled before it ran. Without it, the
            next one is woken with it.
    """

    __slots__ = ("_give_back", "_highest", "waiters")

    def __init__(self, give_back: Callable[[bool], object] | None = None) -> None:
        # Public, so that whoever has to wake somebody for every account can look whether anybody waits without a call.
        # Ordered, and left from any place in constant time: a thousand callers can be cancelled at once. A plain dict
        # would search past all it has removed for its first key.
        self.waiters: OrderedDict[asyncio.Future[bool], int] = OrderedDict()
        self._highest = 0
        self._give_back = self.wake_one if give_back is None else give_back

    def __len__(self) -> int:
        """How many coroutines wait and have not been woken."""
        return len(self.waiters)

    async def wait(self, place: int = 0, joined: Callable[[], object] | None = None) -> bool:
        """Wait to be woken, and return what that brings.

        Args:
            place: goes before those with a higher one; behind everybody unless told otherwise.
            joined: called as soon as this coroutine is in line, to wake whoever is first now.
        """
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        waiters = self.waiters
        waiters[waiter] = place
        if place >= self._highest:
            self._highest = place
        else:
            # It was in line before. That is rare, and few come back at a time, so that looking at all is good enough.
            for other in [one for one, theirs in waiters.items() if theirs > place]:
                waiters.move_to_end(other)
        if joined is not None:
            joined()
        try:
            return await waiter
        except BaseException:
            # BaseException: a coroutine that is closed (GeneratorExit) leaves the line like a cancelled one.
            if waiter in waiters:
                del waiters[waiter]
            elif not waiter.cancelled():
                self._give_back(waiter.result())  # woken and cancelled in the same turn of the loop
            raise

    def wake_one(self, brings: bool = True) -> bool:
        """Wake the coroutine that is first in line; False when none waits.

        Args:
            brings: what it is woken with.
        """
        while self.waiters:
            waiter, _ = self.waiters.popitem(last=False)
            if not waiter.done():
                waiter.set_result(brings)
                return True
            # Cancelled, and it has not run since: it has nothing to pass on.
        return False

    def wake_all(self) -> None:
        """Wake every coroutine that waits now; one that waits again afterwards is not woken by this call."""
        while self.wake_one():
            pass
