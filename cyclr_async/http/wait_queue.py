"""A line of coroutines that wait for something to change: first in, first out, and safe to cancel anywhere."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

__all__ = ["WaitQueue"]


class WaitQueue:
    """Coroutines that wait until they are woken; what they wait for is looked at again by whoever wakes up.

    The pattern is that of a condition variable: ``while not something: await queue.wait()`` on one side, and on the
    other a change followed by :meth:`wake_one` or :meth:`wake_all`. A wake-up is never lost: a coroutine that is
    cancelled after it was woken and before it ran wakes the next one instead.

    It belongs to the event loop that waits in it, and is not safe for threads.
    """

    __slots__ = ("waiters",)

    def __init__(self) -> None:
        # Public, so that whoever has to wake somebody for every account can look whether anybody waits without a call.
        # Ordered, and left from any place in constant time: a thousand callers can be cancelled at once. A plain dict
        # would search past all it has removed for its first key.
        self.waiters: OrderedDict[asyncio.Future[None], None] = OrderedDict()

    def __len__(self) -> int:
        """How many coroutines wait and have not been woken."""
        return len(self.waiters)

    async def wait(self) -> None:
        """Wait to be woken."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiters[waiter] = None
        try:
            await waiter
        except BaseException:
            # BaseException: a coroutine that is closed (GeneratorExit) leaves the line like a cancelled one.
            if waiter in self.waiters:
                del self.waiters[waiter]
            elif not waiter.cancelled():
                self.wake_one()  # woken and cancelled in the same turn of the loop
            raise

    def wake_one(self) -> bool:
        """Wake the coroutine that has waited longest; False when none waits."""
        while self.waiters:
            waiter, _ = self.waiters.popitem(last=False)
            if not waiter.done():
                waiter.set_result(None)
                return True
            # Cancelled, and it has not run since: it has nothing to pass on.
        return False

    def wake_all(self) -> None:
        """Wake every coroutine that waits now; one that waits again afterwards is not woken by this call."""
        while self.wake_one():
            pass
