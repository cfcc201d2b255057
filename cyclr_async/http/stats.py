"""A look at a session."""

from __future__ import annotations

import attrs

__all__ = ["Stats"]


@attrs.frozen(kw_only=True)
class Stats:
    """What a session is doing and has done.

    Attributes:
        in_flight: calls that hold a slot.
        queued: calls that wait for a slot.
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
