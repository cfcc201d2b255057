"""What a session is doing, in numbers."""

from __future__ import annotations

from typing import Literal, TypedDict

import attrs

from cyclr_async.auth.token_manager import TokenManager
from cyclr_async.http.engine.pool import Pool
from cyclr_async.http.executor import AuthorizedExecutor

__all__ = ["SharedCounts", "Stats", "stats_of"]


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
        tokens_adopted: access tokens that another process had fetched.
        shared: ``"held"`` while the shared state can be reached, ``"lost"`` while it cannot, None without one.
        shared_processes: how many processes share, as far as is known.
        shared_trips: how often the shared state was asked.
        shared_losses: how often it was lost.
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
    tokens_adopted: int = 0
    shared: Literal["held", "lost"] | None = None
    shared_processes: int = 1
    shared_trips: int = 0
    shared_losses: int = 0


class SharedCounts(TypedDict, total=False):
    """What :class:`Stats` says of a shared state."""

    tokens_adopted: int
    shared: Literal["held", "lost"] | None
    shared_processes: int
    shared_trips: int
    shared_losses: int


def stats_of(executor: AuthorizedExecutor, pool: Pool, tokens: TokenManager, shared: SharedCounts) -> Stats:
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
        **shared,
    )
