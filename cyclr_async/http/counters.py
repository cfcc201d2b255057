"""How much a session has done."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from cyclr_async.errors import CyclrError, RateLimitedError

__all__ = ["Counters"]

_logger: Final = logging.getLogger("cyclr_async.http")


_THROTTLED: Final = 3
"""Answers 429 below the own rate until it looks as if others had used it up; one or two may be a limit of a moment."""


class Counters:
    """What has happened so far, for :meth:`AsyncPartnerSession.stats`; token requests count as well."""

    __slots__ = ("_throttled", "_warned", "active", "attempts", "calls", "failures", "idle", "retries")

    def __init__(self) -> None:
        self.active: int = 0
        self.attempts: int = 0
        self.calls: int = 0
        self.failures: int = 0
        self.retries: int = 0
        # Made only when somebody closes the session: an event for every call would be paid by all of them.
        self.idle: asyncio.Event | None = None
        """Set when no call is under way any more; only while somebody waits for that."""
        self._throttled = 0
        self._warned = False

    def throttled_below_rate(self, failure: CyclrError | None) -> None:
        """Count a pause that the server asked for although this process keeps to its rate."""
        if isinstance(failure, RateLimitedError):
            self._throttled += 1
            if self._throttled == _THROTTLED:
                self.warn_of_others("the server answers 429 although this process keeps to its rate")

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
