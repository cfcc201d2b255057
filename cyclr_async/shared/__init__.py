"""What several processes have in common: one access token, one rate, one pause, over a file or Redis."""

from __future__ import annotations

from cyclr_async.shared.state import SharedState

__all__ = ["SharedState"]
