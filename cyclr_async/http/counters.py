"""How much a session has done."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

__all__ = ["Counters"]

_logger: Final = logging.getLogger("cyclr_async.http")


class Counters:
    """What has happened so far, for :meth:`AsyncPartnerSession.stats`; token requests count as well."""

    __slots__ = ("_warned", "active", "attempts", "calls", "failures", "idle", "retries")

    def __init__(self) -> None:
        self.active: int = 0
        self.attempts: int = 0
        self.calls: int = 0
        self.failures: int = 0
        self.retries: int = 0
        # Made only when somebody closes the session: an event for every call would be paid by all of them.
        self.idle: asyncio.Event | None = None
        """Set when no call is under way any more; only while somebody waits for that."""
        self._warned = False

    def warn_of_others(self, why: str) -> None:
        """Say once that other processes seem to use the same credentials, and what to do about it."""
        if not self._warned:
            self._warned = True  # for whichever reason: it is the same advice
            _logger.warning(
                "%s: other processes seem to use the same credentials. Give all of them shared= (a path on one host, "
                "redis:// on several), so that they have one token and one rate; see docs/workers.md",
                why,
            )

    async def drain(self, grace: float) -> None:
        """Wait for the calls under way, this many seconds at most. No new ones may be started meanwhile."""
        if self.active and grace > 0:
            self.idle = asyncio.Event()
            try:
                async with asyncio.timeout(grace):
                    await self.idle.wait()
            except TimeoutError:
                _logger.warning("closing with %d calls still under way", self.active)
