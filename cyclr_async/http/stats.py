"""What a session is doing, in numbers."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from cyclr_async.auth.token_manager import TokenManager
    from cyclr_async.http.engine.pool import Pool
    from cyclr_async.http.executor import AuthorizedExecutor

__all__ = ["Counters", "Stats", "stats_of"]

_logger: Final = logging.getLogger("cyclr_async.http")


class Counters:
    """What has happened so far, for :meth:`AsyncPartnerSession.stats`; token requests count as well."""

    __slots__ = ("active", "attempts", "calls", "failures", "idle", "retries")

    def __init__(self) -> None:
        self.active = self.attempts = self.calls = self.failures = self.retries = 0
        # Made only when somebody closes the session: an event for every call would be paid by all of them.
        self.idle: asyncio.Event | None = None
        """Set when no call is under way any more; only while somebody waits for that."""

    async def drain(self, grace: float) -> None:
        """Wait for the calls under way, this many seconds at most. No new ones may be started meanwhile."""
        if self.active and grace > 0:
            self.idle = asyncio.Event()
            try:
                async with asyncio.timeout(grace):
                    await self.idle.wait()
            except TimeoutError:
                # A warning, because what is cut off here may be a write whose outcome nobody will learn.
                _logger.warning("closing with %d calls still under way", self.active)


@attrs.frozen(kw_only=True)
class Stats:
    """What a session is doing and has done.

    Attributes:
        in_flight: calls that hold a slot.
        queued: calls that wait for a slot, for the rate or for the end of a pause.
        active: calls begun and not ended, waiting ones and those between attempts included.
        paused_for: seconds for which nothing will leave, 0 when not paused.
        connections_created: connections opened.
        connections_reused: requests sent on a connection opened for an earlier one.
        connections_dropped: idle connections given up because something arrived on them unasked.
        calls: calls begun.
        attempts: HTTP attempts made.
        retries: attempts that were repeats.
        failures: calls that ended in an error.
        token_refreshes: access tokens fetched.
    """

    in_flight: int
    queued: int
    active: int
    paused_for: float
    connections_created: int
    connections_reused: int
    connections_dropped: int
    calls: int
    attempts: int
    retries: int
    failures: int
    token_refreshes: int


def stats_of(executor: AuthorizedExecutor, pool: Pool, tokens: TokenManager) -> Stats:
    """Return the counts of this moment."""
    counters, limiter = executor.counters, executor.limiter
    return Stats(
        in_flight=limiter.in_flight,
        queued=limiter.queued,
        active=counters.active,
        paused_for=limiter.pause_left(),
        connections_created=pool.created,
        connections_reused=pool.reused,
        connections_dropped=pool.dropped,
        calls=counters.calls,
        attempts=counters.attempts,
        retries=counters.retries,
        failures=counters.failures,
        token_refreshes=tokens.refreshes,
    )
