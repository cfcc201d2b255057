"""OAuth: access tokens that expire, refresh tokens that rotate; and single-use sign-in tokens."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any, Final

import attrs

from cyclr_async.simulator.domain.partner_state import PartnerState

__all__ = ["Grant", "OAuthRefusedError", "SignIn", "SignInTokens", "TokenService"]

_PRUNE_ABOVE: Final = 4096


class OAuthRefusedError(Exception):
    """A token request was refused.

    Args:
        error: the OAuth error code.
        description: what it means, or None.
    """

    def __init__(self, error: str, description: str | None = None) -> None:
        super().__init__(error)
        self.body: dict[str, str] = (
            {"error": error} if description is None else {"error": error, "error_description": description}
        )


@attrs.frozen(slots=True, eq=False)
class Grant:
    """What a live access token allows."""

    expires: datetime
    account_id: str | None


class TokenService:
    """The token endpoint.

    Args:
        state: where account-restricted scopes are looked up.
        client_id: of the one pair of credentials.
        client_secret: of the same.
        username: the console administrator, for the password grant.
        password: of the same.
        lifetime: seconds an access token lives.
        one_pair: whether a user has one pair of tokens, so that signing in ends the pair before it.

    Attributes:
        reused: how many token requests carried a refresh token that had been used before.
    """

    def __init__(
        self,
        state: PartnerState,
        client_id: str,
        client_secret: str,
        username: str,
        password: str,
        lifetime: int,
        one_pair: bool = False,
    ) -> None:
        self.lifetime = lifetime
        # Nobody outside knows which of the two the real service does, so both can be tried.
        self.one_pair: bool = one_pair
        self.reused: int = 0
        self._state = state
        self._client_id, self._client_secret = client_id, client_secret
        self._username, self._password = username, password
        self._issued = 0
        self._grants: dict[str, Grant] = {}
        self._refresh: dict[str, tuple[str, str | None]] = {}
        self._used: set[str] = set()
        self._pair: tuple[str, str] | None = None

    @property
    def live(self) -> int:
        """How many access tokens are valid now."""
        now = self._state.clock.now()
        return sum(grant.expires > now for grant in list(self._grants.values()))

    def find(self, access_token: str) -> Grant | None:
        """Return what the token allows, or None when it is unknown, revoked or expired."""
        grant = self._grants.get(access_token)
        return grant if grant is not None and grant.expires > self._state.clock.now() else None

    def revoke(self, access_token: str | None = None) -> int:
        """Revoke one access token, or all with all refresh tokens; return how many there were."""
        if access_token is not None:
            return int(self._grants.pop(access_token, None) is not None)
        count = len(self._grants)
        self._grants.clear()
        self._refresh.clear()
        return count

    def exchange(self, form: Mapping[str, str]) -> dict[str, Any]:
        """Answer a token request.

        Raises:
            OAuthRefusedError: with the OAuth error code.
        """
        if not self._same(form.get("client_id", ""), self._client_id):
            raise OAuthRefusedError("invalid_client")
        kind = form.get("grant_type", "")
        if kind == "client_credentials":
            return self._client_credentials(form)
        if kind == "password":
            return self._by_password(form)
        if kind == "refresh_token":
            return self._by_refresh_token(form)
        raise OAuthRefusedError("unsupported_grant_type")

    @staticmethod
    def _same(given: str, expected: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())

    def _client_credentials(self, form: Mapping[str, str]) -> dict[str, Any]:
        if not self._same(form.get("client_secret", ""), self._client_secret):
            raise OAuthRefusedError("invalid_client")
        account_id = None
        scope = form.get("scope", "")
        if scope:
            kind, _, wanted = scope.partition(":")
            record = (self._state.find_api(wanted) or self._state.find(wanted)) if kind == "account" else None
            if record is None:
                raise OAuthRefusedError("invalid_scope")
            account_id = record.id
        return self._issue(account_id, {"clientId": self._client_id, ".refresh": "False"}, refreshable=False)

    def _restriction(self, form: Mapping[str, str]) -> str | None:
        """With the password grant the client secret names an account, or nothing."""
        secret = form.get("client_secret", "")
        if not secret or self._same(secret, self._client_secret):
            return None
        record = self._state.find(secret)
        if record is None:
            raise OAuthRefusedError("invalid_client")
        return record.id

    def _by_password(self, form: Mapping[str, str]) -> dict[str, Any]:
        account_id = self._restriction(form)
        user = self._same(form.get("username", "").casefold(), self._username.casefold())
        if not (self._same(form.get("password", ""), self._password) and user):
            raise OAuthRefusedError("invalid_grant", "The user name or password is incorrect.")
        return self._issue(account_id, {"userName": self._username, "clientId": self._client_id}, refreshable=True)

    def _by_refresh_token(self, form: Mapping[str, str]) -> dict[str, Any]:
        restriction = self._restriction(form)
        given = form.get("refresh_token", "")
        known = self._refresh.get(given)
        self.reused += given in self._used
        if known is None or (restriction is not None and restriction != known[1]):
            raise OAuthRefusedError("invalid_grant")
        del self._refresh[given]
        self._used.add(given)
        access_token, account_id = known
        self._grants.pop(access_token, None)
        return self._issue(account_id, {"userName": self._username, "clientId": self._client_id}, refreshable=True)

    def _issue(self, account_id: str | None, more: dict[str, str], *, refreshable: bool) -> dict[str, Any]:
        now = self._state.clock.now()
        if len(self._grants) > _PRUNE_ABOVE:
            self._grants = {token: grant for token, grant in self._grants.items() if grant.expires > now}
        self._issued += 1
        secret = self._state.population.secret
        access = secret("access", self._issued).hex()
        refresh = secret("refresh", self._issued).hex() if refreshable else None
        expires = now + timedelta(seconds=self.lifetime)
        self._grants[access] = Grant(expires, account_id)
        answer: dict[str, Any] = {"access_token": access, "token_type": "bearer", "expires_in": self.lifetime}
        if refresh is not None:
            if self.one_pair and self._pair is not None:
                # There is one user, so this is the pair of that user; client credentials belong to none.
                self._grants.pop(self._pair[0], None)
                self._refresh.pop(self._pair[1], None)
            self._pair = access, refresh
            self._refresh[refresh] = (access, account_id)
            answer["refresh_token"] = refresh
        dates = {".issued": format_datetime(now, usegmt=True), ".expires": format_datetime(expires, usegmt=True)}
        return {**answer, **more, **dates}


@attrs.frozen(slots=True)
class SignIn:
    """A user who followed a sign-in link.

    Attributes:
        account_id: the account signed in to.
        username: who.
        at: when, in simulated time.
    """

    account_id: str
    username: str
    at: datetime


class SignInTokens:
    """Tokens that sign a user in once.

    Args:
        state: for time and the seed.
        lifetime: seconds until a token is worthless.
    """

    def __init__(self, state: PartnerState, lifetime: float) -> None:
        self.lifetime = lifetime
        self.used: list[SignIn] = []
        self._state = state
        self._issued = 0
        self._open: dict[str, tuple[str, str, datetime]] = {}

    @property
    def waiting(self) -> int:
        """How many tokens could be used now."""
        now = self._state.clock.now()
        return sum(expires > now for *_, expires in list(self._open.values()))

    def issue(self, account_id: str, username: str, *, url_safe: bool = False) -> tuple[str, datetime]:
        """Return a new token and when it expires.

        Args:
            account_id: the account to sign in to.
            username: who.
            url_safe: True for 43 characters that need no encoding in a URL, as v1.0 gives them. Otherwise the token
                always holds ``+``, ``/`` and ``=``, as those of the partner API may.
        """
        now = self._state.clock.now()
        if len(self._open) > _PRUNE_ABOVE:
            self._open = {token: entry for token, entry in self._open.items() if entry[2] > now}
        token = ""
        while not token or not (url_safe or ("+" in token and "/" in token)):
            self._issued += 1
            secret = self._state.population.secret("sign-in", self._issued)
            encoded = base64.urlsafe_b64encode(secret).rstrip(b"=") if url_safe else base64.b64encode(secret)
            token = encoded.decode()
        expires = now + timedelta(seconds=self.lifetime)
        self._open[token] = (account_id, username, expires)
        return token, expires

    def use(self, token: str) -> SignIn | None:
        """Sign in; None when the token is unknown, used or expired."""
        entry = self._open.pop(token, None)
        now = self._state.clock.now()
        if entry is None or entry[2] <= now:
            return None
        visit = SignIn(entry[0], entry[1], now)
        self.used.append(visit)
        return visit
