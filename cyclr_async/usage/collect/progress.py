"""How far a bulk run is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import attrs

__all__ = ["Progress", "ProgressHook"]


@attrs.frozen(kw_only=True)
class Progress:
    """A look at a run; ``ok + missing + forbidden + failed + pending == asked`` always holds.

    Attributes:
        asked: accounts known so far; all of them once ``listing_complete``.
        ok: usages collected.
        missing: accounts the server does not know (404).
        forbidden: accounts the credentials may not see (403).
        failed: accounts that failed for another reason, after every repeat.
        pending: accounts not settled yet.
        in_flight: requests under way.
        paused: True while the service is out.
        elapsed: seconds since the run began.
        rate: accounts settled per second, since the run began.
        eta: seconds left, or None while that cannot be said.
        listing_complete: True when every account is known.
        findings: answers that somebody has to look at, such as a negative count, as far as they are known yet; what
            only the store can tell is added at the end of the run.
        oldest_at: when the oldest figure of the run was observed, also in an earlier part of it; None without figures.
        oldest_age: how many seconds ago that was.
    """

    asked: int
    ok: int
    missing: int
    forbidden: int
    failed: int
    in_flight: int
    paused: bool
    elapsed: float
    rate: float
    eta: float | None
    listing_complete: bool
    findings: int = 0
    oldest_at: datetime | None = None
    oldest_age: float | None = None

    @property
    def done(self) -> int:
        """Accounts that are settled, well or not."""
        return self.ok + self.missing + self.forbidden + self.failed

    @property
    def pending(self) -> int:
        """Accounts not settled yet."""
        return self.asked - self.done


ProgressHook = Callable[[Progress], object]
