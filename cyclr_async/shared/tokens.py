"""One access token for all processes with the same credentials: fetched by one of them, under a lock, for all."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import Any, Final

import attrs

from cyclr_async.auth.providers import AccessToken, Exchange, TokenProvider
from cyclr_async.auth.token_manager import refresh_margin
from cyclr_async.errors import ConfigurationError, CyclrError
from cyclr_async.http.clock import Clock
from cyclr_async.secret import HiddenBytes, HiddenStr, Secret
from cyclr_async.shared.backend import Backend, LockBusyError, LostError, Record, Tenure
from cyclr_async.shared.link import Link
from cyclr_async.shared.seal import BrokenSealError, Seal

__all__ = ["SharedTokens", "shareable"]

_log: Final = logging.getLogger("cyclr_async.auth")

_AGAIN: Final = 10.0
"""Seconds in which all processes together replace refused tokens at most twice: a server that refuses every token, or
one account for which it always does, would else keep them signing in."""
_AGAIN_TIMES: Final = 2


def shareable(provider: TokenProvider) -> tuple[tuple[str, ...], Secret] | None:
    """Return what tells the credentials of a provider from others, and their secret; None when it does not say."""
    sharing = getattr(provider, "sharing", None)
    # An attribute and no part of the protocol: providers written for 0.1 have none.
    if not callable(sharing):
        return None
    found = sharing()
    if (
        isinstance(found, tuple)
        and len(found) == 2
        and isinstance(found[1], Secret)
        and isinstance(found[0], tuple)
        and all(isinstance(text, str) for text in found[0])
    ):
        return found
    raise ConfigurationError(
        f"sharing() of {type(provider).__name__} must return a tuple of texts that tell these credentials from others, "
        "and a Secret"
    )


@attrs.frozen
class _Kept:
    """What is stored, opened.

    Attributes:
        access: the access token.
        refresh: what it is renewed with, or None: there is none, or it was taken out before it was sent.
        life: seconds from issue to expiry; None when unknown.
        left: seconds of them that are left.
        replaced: how many seconds ago refused tokens were replaced.
    """

    access: Secret
    refresh: Secret | None
    life: float | None
    left: float | None
    replaced: tuple[float, ...] = ()

    def packed(self) -> HiddenBytes:
        """Return it as it is sealed."""
        fields = {
            "access": self.access.reveal(),
            "refresh": None if self.refresh is None else self.refresh.reveal(),
            "life": self.life,
            "left": self.left,
            "replaced": list(self.replaced),
        }
        return HiddenBytes(json.dumps(fields).encode())


class SharedTokens:
    """A token provider that fetches from another one what no process has fetched yet.

    The rules: whoever needs a token first looks what is stored. It fetches one only under the lock, after it has looked
    again. A refresh token lives in the store alone, and is taken out there before it is sent, so that no death of a
    process and no failover makes it go out twice.

    Args:
        inner: of the credentials.
        link: to the place.
        about: tells the credentials from others, the token endpoint included.
        secret: of the credentials.
        clock: time.
    """

    def __init__(self, inner: TokenProvider, link: Link, about: tuple[str, ...], secret: Secret, clock: Clock) -> None:
        self._inner = inner
        self._link = link
        self._about = about
        self._secret = secret
        self._clock = clock
        self._seal: Seal | None = None
        self._warned = False

    async def fetch(self, exchange: Exchange, previous: AccessToken | None) -> AccessToken:
        """Return the stored token if it is newer than the previous one, else fetch one for everybody.

        Args:
            exchange: posts a form to the token endpoint.
            previous: the token that is to be replaced, or None for the first.

        Raises:
            SharedStateError: the place is lost, and calls are to fail then.
            CyclrError: what the inner provider raises.
        """
        began = self._clock.now()
        if self._seal is None:
            # Made once, and in a thread: it is slow on purpose.
            self._seal = await asyncio.to_thread(Seal, self._secret, self._about)
        name = self._seal.name

        async def load(backend: Backend) -> Record | None:
            return await backend.load(name)

        try:
            # Without the lock first: as a rule another process has fetched one already.
            kept = self._opened(await self._link.ask(load))
            if kept is not None and self._is_newer(kept, previous):
                return self._adopted(kept, began)
            async with self._link.exclusive(name) as tenure:
                return await self._under_lock(tenure, exchange, previous, began)
        except LostError:
            failure = self._link.failure()
        except LockBusyError:
            _log.warning(
                "the lock of the shared token was held or lost for too long (was a process stopped?): signing in"
            )
            failure = None
        if failure is not None:
            raise failure
        # A shared token has no refresh token here: it is the store's, and another process may be sending it just now.
        return await self._inner.fetch(exchange, previous)

    async def _under_lock(
        self, tenure: Tenure, exchange: Exchange, previous: AccessToken | None, began: float
    ) -> AccessToken:
        kept = self._opened(tenure.record)
        if kept is not None and self._is_newer(kept, previous):
            return self._adopted(kept, began)
        refused = kept is not None and previous is not None and not self._is_due(kept)
        replaced = () if kept is None else tuple(ago for ago in kept.replaced if ago < _AGAIN)
        if refused and len(replaced) >= _AGAIN_TIMES:
            assert previous is not None
            _log.debug("the access token was replaced twice in the last %g s: another one would not help", _AGAIN)
            return previous
        waited = self._clock.now()
        old = previous if kept is None else AccessToken(kept.access, refresh_token=kept.refresh)
        token = await self._inner.fetch(_Guarded(self, tenure, exchange, kept), old)
        refresh = None if token.refresh_token is None else token.refresh_token.take()
        left = None if token.expires_in is None else token.expires_in - (self._clock.now() - waited)
        now = (*replaced, 0.0) if refused else replaced
        await self._share(tenure, _Kept(token.value, refresh, token.expires_in, left, now))
        return _marked(token.value, left, began=began, now=self._clock.now())

    async def store(self, tenure: Tenure, kept: _Kept) -> bool:
        """Store a record; False when the lock has gone to another process.

        Raises:
            LostError: the place cannot be reached.
        """
        assert self._seal is not None
        return await tenure.put(self._seal.close(kept.packed()))

    async def _share(self, tenure: Tenure, kept: _Kept) -> None:
        """Store what was fetched; the token serves this process in any case."""
        try:
            if not await self.store(tenure, kept):
                _log.warning("the lock of the shared token was lost while one was fetched: others will fetch another")
        except LostError:
            _log.warning("an access token was fetched and could not be shared: the shared state is lost")

    def _opened(self, record: Record | None) -> _Kept | None:
        """Return what is stored; None when there is nothing, or nothing that can be used."""
        if record is None:
            return None
        assert self._seal is not None
        try:
            return _unpacked(json.loads(self._seal.open(record.value)), record.age)
        except (BrokenSealError, ValueError, TypeError, KeyError):
            if not self._warned:
                self._warned = True
                _log.warning("what is stored as the shared token was changed by somebody: it is not used")
            return None

    def _is_newer(self, kept: _Kept, previous: AccessToken | None) -> bool:
        other = previous is None or kept.access != previous.value
        return other and not self._is_due(kept)

    @staticmethod
    def _is_due(kept: _Kept) -> bool:
        """Tell whether a token is so near to its end that it is to be replaced, or at it."""
        # By the widest margin: a process that asks ahead of time is not to be taken for one that was refused.
        return kept.left is not None and kept.life is not None and kept.left <= refresh_margin(kept.life, 1.0)

    def _adopted(self, kept: _Kept, began: float) -> AccessToken:
        forget = getattr(self._inner, "forget_refresh_token", None)
        if callable(forget):
            # One that was given at the start of several processes: another has used it, or has a newer one.
            forget()
        self._link.adopted += 1
        _log.debug("another process has fetched an access token: it is used here as well")
        return _marked(kept.access, kept.left, began=began, now=self._clock.now(), adopted=True)


class _Guarded:
    """The exchange of a token endpoint that takes a refresh token out of the store before it is sent."""

    def __init__(self, tokens: SharedTokens, tenure: Tenure, exchange: Exchange, kept: _Kept | None) -> None:
        self._tokens = tokens
        self._tenure = tenure
        self._exchange = exchange
        self._kept = kept

    async def __call__(self, form: Mapping[str, str], repeatable: bool) -> AccessToken:
        """Post a form.

        Raises:
            LostError: the refresh token could not be taken out of the store; it was not sent.
            LockBusyError: this process was stopped for so long that another has taken over; it was not sent either.
        """
        kept = self._kept
        used = kept is not None and kept.refresh is not None and form.get("refresh_token") == kept.refresh.reveal()
        if kept is None or not used:
            return await self._exchange(form, repeatable)
        if not await self._tokens.store(self._tenure, attrs.evolve(kept, refresh=None)):
            raise LockBusyError
        try:
            return await self._exchange(form, repeatable)
        except CyclrError as error:
            if error.sent == "never":
                # It is still good, and the only one there is.
                await self._tokens.store(self._tenure, kept)
            raise


def _marked(value: Secret, left: float | None, *, began: float, now: float, adopted: bool = False) -> AccessToken:
    """Return a token for the session, without refresh token."""
    # The session counts the life of a token from before it asked, which for one that others have fetched, or after
    # waiting for the lock, would be too early.
    token = AccessToken(value, expires_in=None if left is None else max(left, 0.0) + (now - began))
    token.shared = True
    token.adopted = adopted
    return token


def _unpacked(fields: Any, age: float) -> _Kept:
    refresh, life, left = fields["refresh"], fields["life"], fields["left"]
    return _Kept(
        Secret(HiddenStr(fields["access"])),
        None if refresh is None else Secret(HiddenStr(refresh)),
        None if life is None else float(life),
        None if left is None else float(left) - age,
        tuple(float(ago) + age for ago in fields["replaced"]),
    )
