"""The current access token of a session: one refresh at a time, whoever asks and whoever is cancelled."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from cyclr_async.auth.providers import AccessToken, Exchange, TokenProvider
from cyclr_async.errors import AuthenticationError, CyclrError, RateLimitedError, ServerError, SessionClosedError
from cyclr_async.http.clock import Clock
from cyclr_async.http.events import EventHook, TokenEvent, notify

__all__ = ["OnToken", "TokenManager"]

_logger: Final = logging.getLogger("cyclr_async.auth")

OnToken = Callable[[AccessToken], Awaitable[None] | None]
"""Called with every new token before it is used, to persist it."""

_REJECTED_AGAIN: Final = 10.0
"""Seconds for which a token that replaced a rejected one is not replaced again: it would not help."""
_REMEMBER: Final = 5.0
"""Seconds for which a failed fetch is remembered, so that the token endpoint is not hammered."""
_REMEMBER_REFUSAL: Final = 30.0
"""The same when the endpoint refused the credentials."""
_REMEMBER_LONGEST: Final = 60.0
"""The same when the endpoint said how long to wait, at most."""
_SOON: Final = 600.0
"""Seconds within which a second token that dies early is no coincidence: whoever revokes tokens does it once."""
_LEAST_USE: Final = 1.0
"""Seconds for which a new token is used however short its life: else one that lives shorter than its request takes
would be fetched again and again and never be used."""


def refresh_margin(lifetime: float, random: float) -> float:
    """Return how long before its end a token is replaced.

    Args:
        lifetime: seconds from issue to expiry.
        random: from 0 up to 1; spreads the refreshes of many processes.
    """
    # A twentieth of the life, but a minute at least, because a refresh may need its own repetitions; half a life at
    # most, for tokens of seconds; and 20 minutes at most, because a token of 14 days need not be thrown away 17 hours
    # early.
    margin = min(max(60.0, 0.05 * lifetime), lifetime / 2, 1200.0)
    # Earlier by a tenth at most: workers that were started together would else refresh in the same second.
    return margin * (1.0 + 0.1 * random)


class TokenManager:
    """Hands out the current token and renews it ahead of its end, or when the server refuses it.

    Args:
        provider: where tokens come from.
        exchange: posts a form to the token endpoint.
        clock: time and chance.
        on_token: called with every new token before it is used.
        on_event: told of refreshes.
        on_others: told, with a reason, that other processes seem to use the same credentials.
    """

    def __init__(
        self,
        provider: TokenProvider,
        exchange: Exchange,
        clock: Clock,
        *,
        on_token: OnToken | None = None,
        on_event: EventHook | None = None,
        on_others: Callable[[str], object] | None = None,
    ) -> None:
        self._on_others = on_others
        self._provider = provider
        self._exchange = exchange
        self._clock = clock
        self._on_token = on_token
        self._on_event = on_event
        self._token: AccessToken | None = None
        self._refresh_at = self._expires_at = float("inf")
        self._expires_wall = float("inf")
        self._replaced_rejected_at = float("-inf")
        """When the current token replaced a rejected one; long ago when it came by a refresh ahead of time."""
        # A token that came but could not be stored: it is stored before another is fetched, since fetching may have
        # used up the refresh token.
        self._unpersisted: tuple[AccessToken, float, float] | None = None
        self._task: asyncio.Task[AccessToken] | None = None
        self._failure: CyclrError | None = None
        self._failure_until = float("-inf")
        # Refuses new fetches only: a call that outlasts the grace of close() still has the token at hand.
        self._closed = False
        self._died_at = float("-inf")
        self.refreshes: int = 0

    def current(self) -> AccessToken | None:
        """Return the token if it can be used right now; starts a refresh in the background when it is due."""
        token = self._token
        if token is None:
            return None
        now = self._clock.now()
        if now >= self._expires_at or self._clock.wall() >= self._expires_wall:
            return None
        # In the background: the old token still serves, so no call waits for the new one, nor fails with it.
        if now >= self._refresh_at and now >= self._failure_until and not self._closed:
            self._start(rejected=False)
        return token

    async def get(self) -> AccessToken:
        """Return a token, waiting for the fetch under way or starting one.

        Raises:
            AuthenticationError: the credentials were refused, now or a moment ago.
            CyclrError: the token endpoint could not be reached.
        """
        return self.current() or await self._fetched(rejected=False)

    async def renew(self, refused: AccessToken) -> AccessToken | None:
        """Return a token newer than one that the server refused, or None when there will be none."""
        # Somebody else has replaced it: of a thousand calls that meet the same 401, one costs a refresh.
        if self._token is not refused and self._token is not None:
            return self._token
        now = self._clock.now()
        # A new token that is refused at once means that tokens are not the problem. Only after a refusal: one renewed
        # ahead of time may have been revoked since.
        if now - self._replaced_rejected_at < _REJECTED_AGAIN and self._task is None:
            return None
        if self._task is None:
            _logger.debug("the server refused the access token: another one is fetched")
            if now < self._refresh_at and not refused.shared:
                # One may have been revoked. Two, so soon after each other, and somebody else gets tokens, too.
                if now - self._died_at < _SOON and self._on_others is not None:
                    self._on_others("access tokens are refused long before they end")
                self._died_at = now
            if self._on_event is not None:
                notify(self._on_event, TokenEvent(action="rejected"))
        token = await self._fetched(rejected=True)
        return None if token is refused else token

    async def close(self, grace: float) -> None:
        """Let a refresh under way finish, for this many seconds at most, so that a rotated token is not lost."""
        self._closed = True
        task = self._task
        if task is not None:
            await asyncio.wait([task], timeout=grace)
            task.cancel()
            await asyncio.wait([task])

    async def _fetched(self, *, rejected: bool) -> AccessToken:
        if self._task is None:
            if self._failure is not None and self._clock.now() < self._failure_until:
                # A copy, as below: several calls raise it, each with a traceback of its own.
                raise copy.copy(self._failure)
            if self._closed:
                raise SessionClosedError("the session is closed: make a new AsyncPartnerSession")
        # The fetch belongs to the session: a caller that is cancelled leaves it running for the others.
        task = self._start(rejected=rejected)
        failure: CyclrError
        try:
            # Without the shield one cancelled caller would cancel the fetch under everybody, and with it lose a refresh
            # token that was sent already.
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            # close() has cancelled the fetch and not the caller, who should see an error and no cancellation that
            # nobody asked for.
            if not (self._closed and task.cancelled()) or (caller is not None and caller.cancelling()):
                raise
            failure = SessionClosedError("the session was closed while a token was being fetched")
        except CyclrError as error:
            # Each waiter gets an error of its own: it carries the request id and the traceback of one call.
            failure = copy.copy(error)
        raise failure

    def _start(self, *, rejected: bool) -> asyncio.Task[AccessToken]:
        if self._task is None:
            _logger.debug("an access token is fetched")
            self._task = asyncio.get_running_loop().create_task(
                # An empty context, because the fetch is for all: the trace and the deadline of whoever came first
                # must not stick to it.
                self._run(rejected=rejected),
                name="cyclr-async-token",
                context=contextvars.Context(),
            )
            self._task.add_done_callback(self._done)
        return self._task

    def _done(self, task: asyncio.Task[AccessToken]) -> None:
        self._task = None
        if task.cancelled():
            return
        error = task.exception()  # retrieved here too, for the case that nobody waits any more
        if error is None:
            return
        # Remembered longer, but not for ever: a secret may be put right at the other end while the process runs.
        refused = isinstance(error, AuthenticationError)
        self._failure = copy.copy(error) if isinstance(error, CyclrError) else None
        asked = error.retry_after if isinstance(error, (RateLimitedError, ServerError)) else None
        seconds = max(_REMEMBER, min(asked or 0.0, _REMEMBER_LONGEST))
        self._failure_until = self._clock.now() + (_REMEMBER_REFUSAL if refused else seconds)
        _logger.debug("no access token: %s", type(error).__name__)
        if self._on_event is not None:
            notify(self._on_event, TokenEvent(action="failed", error=type(error).__name__))

    async def _run(self, *, rejected: bool) -> AccessToken:
        if self._unpersisted is None:
            # Its life is counted from before the request, however often storing it has to be repeated.
            begun, begun_wall = self._clock.now(), self._clock.wall()
            fetched = await self._provider.fetch(self._exchange, self._token)
            if fetched.shared and fetched is self._token:
                return fetched  # the processes that share it have agreed that another one would not help
            self._unpersisted = fetched, begun, begun_wall
        token, begun, begun_wall = self._unpersisted
        # What another process has fetched, that one has persisted.
        if self._on_token is not None and not token.adopted:
            # Before anybody uses it: a rotated token that is used and then lost with the process could never be
            # renewed.
            waiting = self._on_token(token)
            if inspect.isawaitable(waiting):
                await waiting
        self._publish(token, begun, begun_wall, rejected=rejected)
        return token

    def _publish(self, token: AccessToken, begun: float, begun_wall: float, *, rejected: bool) -> None:
        self._unpersisted = None
        self._failure = None
        self._failure_until = float("-inf")
        self._token = token
        self.refreshes += not token.adopted
        # Not for a shared token: that it was refused may concern an older one, which another process has replaced, and
        # how often one is replaced is counted for all processes together.
        self._replaced_rejected_at = self._clock.now() if rejected and not token.shared else float("-inf")
        if token.expires_in is None:
            self._refresh_at = self._expires_at = self._expires_wall = float("inf")
        else:
            # On both clocks: the monotonic one may stop while a machine sleeps.
            margin = refresh_margin(token.expires_in, self._clock.random())
            self._expires_at = max(begun + token.expires_in, self._clock.now() + _LEAST_USE)
            self._expires_wall = max(begun_wall + token.expires_in, self._clock.wall() + _LEAST_USE)
            self._refresh_at = self._expires_at - margin
        _logger.debug(
            "a new access token, good for %s s",
            "an unknown number of" if token.expires_in is None else f"{token.expires_in:.0f}",
        )
        if self._on_event is not None:
            notify(self._on_event, TokenEvent(action="adopted" if token.adopted else "refreshed"))
