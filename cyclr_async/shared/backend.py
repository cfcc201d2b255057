"""What a place for shared state can do. There are two: a file of this host, and Redis."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

import attrs

__all__ = [
    "HORIZON",
    "MEMBER_LIFE",
    "SOUGHT",
    "Backend",
    "LockBusyError",
    "LostError",
    "Record",
    "Reservation",
    "Tenure",
]

HORIZON: Final = 120.0
"""Seconds ahead of now beyond which a next turn cannot be right: a thousand processes have reserved a tenth of a second
each at most. The clock of the place has jumped then, or it was restored from an old copy."""
MEMBER_LIFE: Final = 10.0
"""Seconds after its last word for which a process counts as one of those that share."""
SOUGHT: Final = 40.0
"""Seconds for which the right to fetch a token is waited for: longer than a token request may take (30 s), so that
nobody loses patience with a slow token endpoint and signs in beside the process that is about to."""


class LostError(Exception):
    """The shared state cannot be reached, or cannot be used; the message says why, without any secret."""


class LockBusyError(Exception):
    """Another process has held the right to fetch a token for longer than that can take."""


@attrs.frozen
class Reservation:
    """Turns that were reserved.

    Attributes:
        wait: seconds until the first of them; a little below 0 when it has just passed.
        turns: how many there are, an interval apart; 0 when nothing but the pause was asked for.
        processes: how many processes share, this one included.
    """

    wait: float
    turns: int
    processes: int


@attrs.frozen
class Record:
    """What is stored under a name.

    Attributes:
        value: sealed.
        age: seconds since it was written, on the clock of the place, so that clocks of hosts need not agree.
    """

    value: bytes
    age: float


class Tenure(Protocol):
    """The exclusive right to change the record of a name, for as long as it is held."""

    @property
    def record(self) -> Record | None:
        """What was stored when the right was obtained."""
        ...

    async def put(self, value: bytes) -> bool:
        """Replace the record; False, and nothing written, when the right has been lost to another process meanwhile.

        Raises:
            LostError: the place cannot be reached.
        """
        ...


class Backend(Protocol):
    """A place for shared state, opened by one session in one event loop. Everything raises LostError where it fails."""

    trips: int
    """How often it was asked: the round trips over the network, for Redis."""

    async def open(self) -> None:
        """Make sure that it is there and can be used."""
        ...

    async def reserve(self, name: str, *, member: str, interval: float, turns: int, slack: float) -> Reservation:
        """Reserve turns behind all that others have reserved, in the time of the place.

        Args:
            name: of the rate.
            member: names this session among those that share.
            interval: seconds between two turns.
            turns: how many.
            slack: seconds ago at which the first turn may have been, when nobody has taken it.
        """
        ...

    async def pause(self, name: str, seconds: float) -> None:
        """Let no turn be before so many seconds from now. A pause only grows."""
        ...

    async def watch(self, name: str, heard: Callable[[float], None]) -> None:
        """Listen until cancelled, and call ``heard`` with the seconds left when a pause has been set."""
        ...

    async def load(self, name: str) -> Record | None:
        """Return what is stored under a name."""
        ...

    def exclusive(self, name: str) -> AbstractAsyncContextManager[Tenure]:
        """Wait for the exclusive right to change a record, and give it back at the end, or with this process.

        Raises:
            LockBusyError: another process holds it for too long.
        """
        ...

    async def close(self) -> None:
        """Let go of everything."""
        ...
