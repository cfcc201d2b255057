"""A token endpoint that rotates refresh tokens, on the fault server: a used one is refused for ever."""

from __future__ import annotations

import asyncio
from collections import Counter
from urllib.parse import parse_qs

from tests.support.answers import good, json_http
from tests.support.server import Link, Request

__all__ = ["RotatingTokens"]


class RotatingTokens:
    """Issues tokens and answers calls that carry the newest one; everything else is a 401.

    Attributes:
        grants: token requests by ``grant_type``, refused ones included.
        refused: token requests answered ``invalid_grant``.
        unauthorized: calls answered 401.
    """

    def __init__(self, *, lifetime: int = 3600, latency: float = 0.0) -> None:
        self.grants: Counter[str] = Counter()
        self.refused = 0
        self.unauthorized = 0
        self.latency = latency
        self._lifetime = lifetime
        self._serial = 0
        self._revoked: set[str] = set()
        self._unused: set[str] = set()

    @property
    def current(self) -> str:
        return f"canary-access-{self._serial}"

    def revoke(self) -> None:
        """Make the newest access token worthless, as a server restart would."""
        self._revoked.add(self.current)

    async def serve(self, link: Link) -> None:
        """Script: answer token requests and calls until the client leaves."""
        while (request := await link.read_request()) is not None:
            if request.path == "/oauth/token":
                await asyncio.sleep(self.latency)
                await link.write(self._grant(request))
            elif request.bearer == self.current and request.bearer not in self._revoked:
                link.server.committed[request.request_id] += 1
                await link.write(good(request))
            else:
                self.unauthorized += 1
                await link.write(json_http({"Message": "Authorization has been denied for this request."}, 401))

    def _grant(self, request: Request) -> bytes:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        kind = form.get("grant_type", "")
        self.grants[kind] += 1
        if kind == "refresh_token":
            if form.get("refresh_token") not in self._unused:
                self.refused += 1
                return json_http({"error": "invalid_grant"}, 400)
            self._unused.discard(form["refresh_token"])
        self._serial += 1
        refresh = f"canary-refresh-{self._serial}"
        self._unused.add(refresh)
        return json_http(
            {
                "access_token": self.current,
                "token_type": "bearer",
                "expires_in": self._lifetime,
                "refresh_token": refresh,
            }
        )
