"""The link of one session to its shared state: whether it holds, what happens when it breaks, and how it comes back."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from cyclr_async.errors import SharedStateError
from cyclr_async.http.clock import Clock
from cyclr_async.http.events import EventHook, SharedStateEvent, notify
from cyclr_async.shared.backend import Backend, LostError, Tenure
from cyclr_async.shared.state import SharedState

__all__ = ["Link"]

T = TypeVar("T")

_ASK_AGAIN: Final = 1.0
"""Seconds between two attempts to reach a place that was lost."""
_RETURN: Final = 2 * _ASK_AGAIN
"""Seconds after its return for which a session keeps to its fair share besides: others have not noticed yet, and go on
with theirs, so that whoever is first would find the whole rate free."""
_REMEMBER: Final = 10.0
"""Seconds for which the highest number of processes counts: after a restart of an empty Redis the first to come back
would take itself for the only one, and go on with the whole rate if Redis broke off again."""
_OPENING: Final = 5.0
"""Seconds for opening the place at the first call: it is there, or it is not."""

_log: Final = logging.getLogger("cyclr_async.http")


def _connection(state: SharedState) -> Backend:
    """Return a connection to a place, not opened yet. Each is imported by those who use it: Redis needs an extra."""
    if isinstance(state.target, str):
        from cyclr_async.shared.file import FileBackend  # noqa: PLC0415

        return FileBackend(state.target)
    from cyclr_async.shared.redis import RedisBackend  # noqa: PLC0415

    return RedisBackend(state.target, state.prefix)


class Link:
    """What a session has to do with the place of its shared state.

    Args:
        state: where the place is.
        clock: time.
        on_event: told when the link breaks and when it holds again.
    """

    def __init__(self, state: SharedState, clock: Clock, on_event: EventHook | None) -> None:
        self.backend: Backend = _connection(state)
        self.member: str = secrets.token_hex(8)
        """Names this session among those that share; nothing can be told from it."""
        self.lost: str | None = None
        """Why the place cannot be reached, or None while it can."""
        self.losses: int = 0
        self.adopted: int = 0
        """Access tokens that another process had fetched."""
        self._state = state
        self._clock = clock
        self._on_event = on_event
        self._opening: asyncio.Task[str | None] | None = None
        self._ask_at = 0.0
        self._returned = float("-inf")
        self._counts: tuple[tuple[float, int], ...] = ()

    async def open(self) -> None:
        """Make sure that the place is there, before the first request.

        Raises:
            SharedStateError: it is not. With nobody to say how many share, no fair share is known either.
        """
        if self._opening is None:
            # Once for all calls that come first together: each would make a connection of its own.
            self._opening = asyncio.get_running_loop().create_task(self._open(), name="cyclr-async-shared-open")
        opening = self._opening
        reason = await asyncio.shield(opening)
        if reason is None:
            return
        if self._opening is opening:
            self._opening = None  # the next call tries again
        raise SharedStateError(
            f"the shared state at {self._state.place} cannot be used: {reason}; nothing was sent. Start it, correct "
            "shared= (CYCLR_SHARED, --shared), or leave it out and give each process its part of the rate"
        )

    async def _open(self) -> str | None:
        """Open the place, and return why it cannot be used, or None."""
        try:
            async with asyncio.timeout(_OPENING):
                await self.backend.open()
        except LostError as error:
            return str(error)
        except TimeoutError:
            return f"it did not answer within {_OPENING:g} s"
        return None

    async def close(self) -> None:
        """Let go of the place."""
        if self._opening is not None and not self._opening.done():
            self._opening.cancel()
            await asyncio.wait([self._opening])
        await self.backend.close()

    @property
    def processes(self) -> int:
        """How many processes share, as far as is known; 1 at least."""
        return max((count for _, count in self._counts), default=1)

    @property
    def returning(self) -> bool:
        """True in the first seconds after the place has come back."""
        return self._clock.now() - self._returned < _RETURN

    def counted(self, processes: int) -> None:
        """Note how many processes share at this moment."""
        now = self._clock.now()
        fresh = [(at, count) for at, count in self._counts if now - at < _REMEMBER and count > processes]
        self._counts = (*fresh, (now, max(processes, 1)))

    def due(self) -> bool:
        """Tell whether the place is worth asking: it holds, or it is time to try again."""
        return self.lost is None or self._clock.now() >= self._ask_at

    async def ask(self, question: Callable[[Backend], Awaitable[T]]) -> T:
        """Ask the place.

        Raises:
            LostError: it cannot be reached, now or a moment ago.
        """
        if not self.due():
            raise LostError(self.lost or "")
        # One at a time tries; the others would wait for the same silence.
        self._ask_at = self._clock.now() + _ASK_AGAIN
        try:
            answer = await question(self.backend)
        except LostError as error:
            self._break(error)
            raise
        self._hold()
        return answer

    @asynccontextmanager
    async def exclusive(self, name: str) -> AsyncIterator[Tenure]:
        """Hold the right to change a record.

        Raises:
            LostError: the place cannot be reached.
            LockBusyError: another process holds the right for too long.
        """
        if self.lost is not None:
            raise LostError(self.lost)
        try:
            async with self.backend.exclusive(name) as tenure:
                yield tenure
        except LostError as error:
            self._break(error)
            raise

    def failure(self) -> SharedStateError | None:
        """Return the error that a call ends with when the place is lost; None when it is to go on by itself."""
        if self._state.on_loss == "local":
            return None
        return SharedStateError(
            f"the shared state at {self._state.place} was lost: {self.lost or 'no answer'}; nothing was sent. "
            f"It is asked again every {_ASK_AGAIN:g} s; with on_loss='local' calls go on meanwhile"
        )

    def _break(self, error: LostError) -> None:
        self._ask_at = self._clock.now() + _ASK_AGAIN
        first, self.lost = self.lost is None, str(error)
        if not first:
            return
        self.losses += 1
        local = self._state.on_loss == "local"
        _log.warning(
            "the shared state at %s was lost (%s): %s",
            self._state.place,
            error,
            f"this process goes on with a share of 1 in {self.processes} of the rate" if local else "calls fail",
        )
        self._tell("lost")

    def _hold(self) -> None:
        if self.lost is None:
            return
        self.lost = None
        self._returned = self._clock.now()
        _log.warning("the shared state at %s is back", self._state.place)
        self._tell("restored")

    def _tell(self, action: str) -> None:
        if self._on_event is not None:
            lost = action == "lost"
            notify(
                self._on_event,
                SharedStateEvent(
                    action="lost" if lost else "restored",
                    processes=self.processes,
                    error=self.lost if lost else None,
                ),
            )
