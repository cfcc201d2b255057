"""All that a session has to do with other processes: its token provider, its turns, its pauses."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from yarl import URL

from cyclr_async.auth.providers import StaticToken, TokenProvider
from cyclr_async.http.clock import Clock
from cyclr_async.http.events import EventHook
from cyclr_async.shared.link import Link
from cyclr_async.shared.state import SharedState
from cyclr_async.shared.tokens import SharedTokens, shareable
from cyclr_async.shared.turns import SharedPause, SharedTurns

if TYPE_CHECKING:
    from cyclr_async.http.stats import SharedCounts

__all__ = ["Sharing"]

_log: Final = logging.getLogger("cyclr_async.auth")


class Sharing:
    """What a session shares.

    Args:
        state: where it is kept.
        provider: of the session's credentials.
        clock: time and chance.
        on_event: told when the place is lost and when it is back.
        api: the root of the API: a rate holds for the requests to one host.
        token_url: where tokens come from, or None.
        rate: requests per second, of all processes together, or None.

    Attributes:
        provider: to be used instead.
        turns: of the shared rate, or None without a rate.
    """

    def __init__(
        self,
        state: SharedState,
        provider: TokenProvider,
        *,
        clock: Clock,
        on_event: EventHook | None,
        api: URL,
        token_url: URL | None,
        rate: float | None,
    ) -> None:
        self._link = Link(state, clock, on_event)
        found = None if token_url is None else shareable(provider)
        if found is None:
            self.provider: TokenProvider = provider
            if not isinstance(provider, StaticToken):
                _log.info(
                    "%s has no method sharing(): its access token is not shared with other processes",
                    type(provider).__name__,
                )
        else:
            about, secret = found
            self.provider = SharedTokens(provider, self._link, (str(token_url), *about), secret, clock)
        # By the client and not by the user or the scope: limits of an API hold for who asks, whoever is asked for.
        client = getattr(provider, "client_id", None)
        whose = f"rate\0{api.origin()}\0{client if isinstance(client, str) else ''}"
        name = hashlib.sha256(whose.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        self.turns: SharedTurns | None = None if rate is None else SharedTurns(self._link, name, rate, clock)
        self._pause = SharedPause(self._link, name)

    def tell(self, seconds: float) -> None:
        """Tell the others that the server wants a pause."""
        self._pause.tell(seconds)

    async def open(self, hold: Callable[[float], None]) -> None:
        """Make sure that the place is there, and begin to hear of the pauses of others.

        Args:
            hold: called with the seconds for which nothing may leave.

        Raises:
            SharedStateError: it is not there.
        """
        await self._link.open()
        self._pause.listen(hold)

    def counts(self) -> SharedCounts:
        """Return what the statistics of the session say of it."""
        link = self._link
        return {
            "tokens_adopted": link.adopted,
            "shared": "held" if link.lost is None else "lost",
            "shared_processes": link.processes,
            "shared_trips": link.backend.trips,
            "shared_losses": link.losses,
        }

    async def close(self) -> None:
        """Let go of the place."""
        await self._pause.close()
        if self.turns is not None:
            await self.turns.close()
        await self._link.close()
