"""The v1.0 API: what a session's ``v1`` is made of."""

from __future__ import annotations

from cyclr_async.v1.api import AccountScope, V1Api

__all__ = ["AccountScope", "V1Api"]
