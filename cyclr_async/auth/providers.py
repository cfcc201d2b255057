"""Where access tokens come from: a fixed one, client credentials, or the password of a console administrator."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol, runtime_checkable

import attrs

from cyclr_async.errors import ConfigurationError, CyclrError
from cyclr_async.secret import HiddenStr, Secret

__all__ = [
    "AccessToken",
    "ClientCredentials",
    "Exchange",
    "PartnerIdentity",
    "PasswordGrant",
    "RefreshToken",
    "StaticToken",
    "TokenProvider",
    "as_provider",
    "identity",
    "partner_name",
    "said_partner",
]

_LONGEST_NAME: Final = 255
"""Characters of a partner's name: as many as a domain name can have, and more than any client id seen."""
_logger: Final = logging.getLogger("cyclr_async.auth")
# Stricter than aiohttp, which accepts tabs and UTF-8 in a header: a newline left over from a file makes a token that
# no server knows, and is better refused here than by a 401.
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")


class RefreshToken:
    """A refresh token that can be taken once: the server rotates them, and a used one must never be sent again.

    Args:
        value: the token.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str | Secret) -> None:
        self._value: Secret | None = Secret(value)

    def take(self) -> Secret | None:
        """Return the token and forget it; None when it was taken before."""
        value, self._value = self._value, None
        return value

    # Needed because take() comes before sending: only afterwards is it known whether the token left the machine.
    def give_back(self, value: Secret) -> None:
        """Put a token back that was certainly not sent.

        Args:
            value: what :meth:`take` returned.
        """
        self._value = value

    def peek(self) -> Secret | None:
        """Return the token without taking it, for storing it elsewhere."""
        return self._value

    def __repr__(self) -> str:
        return "RefreshToken('***')"


class AccessToken:
    """A bearer token with its lifetime.

    Args:
        value: the token; printable ASCII without blanks.
        expires_in: seconds for which the server will accept it, or None when unknown.
        refresh_token: what it can be renewed with, or None.

    Attributes:
        shared: True for a token of a shared state, whose rules for renewals hold for all processes together.
        adopted: True when another process has fetched it.

    Raises:
        ConfigurationError: the token is empty or cannot stand in a header.
    """

    __slots__ = ("adopted", "expires_in", "header", "refresh_token", "shared", "value")

    def __init__(
        self, value: str | Secret, *, expires_in: float | None = None, refresh_token: str | Secret | None = None
    ) -> None:
        # Rebound at once, like every secret argument in this module: this frame could end up in a traceback with
        # locals.
        value, refresh = _secret(value), None if refresh_token is None else _secret(refresh_token)
        refresh_token = refresh
        self.expires_in: float | None = expires_in
        if not _TOKEN.fullmatch(value.reveal()):
            raise ConfigurationError("an access token is printable ASCII without blanks; this one is empty or is not")
        self.value: Secret = value
        # Made once: a session puts the same header on thousands of requests.
        self.header: HiddenStr = HiddenStr(f"Bearer {value.reveal()}")
        self.refresh_token: RefreshToken | None = None if refresh is None else RefreshToken(refresh)
        self.shared: bool = False
        self.adopted: bool = False

    @property
    def renewals(self) -> int:
        """How many new tokens one call may ask for, this one being refused."""
        # What another process has fetched may be dead again when it gets here, which says nothing about the next one.
        return 3 if self.shared else 1

    def __repr__(self) -> str:
        return f"AccessToken('***', expires_in={self.expires_in!r})"


Exchange = Callable[[Mapping[str, str], bool], Awaitable[AccessToken]]
"""Posts a form to the token endpoint; the flag says whether what was sent may be sent again: False for what a first use
uses up, such as a refresh token."""


# So that as_provider can tell a provider from anything else, without a base class that users would have to inherit.
@runtime_checkable
class TokenProvider(Protocol):
    """Anything that can produce access tokens. The session calls it for one token at a time."""

    async def fetch(self, exchange: Exchange, previous: AccessToken | None) -> AccessToken:
        """Return a new token.

        Args:
            exchange: posts a form to the token endpoint of the session.
            previous: the token that is to be replaced, or None for the first.

        Raises:
            AuthenticationError: the credentials were refused; a provider of your own may raise it, too.
            CyclrError: the token endpoint could not be asked.
        """
        ...


def _secret(value: str | Secret) -> Secret:
    return value if isinstance(value, Secret) else Secret(value)


def _required(**texts: str | Secret | None) -> list[Secret]:
    found = {name: _secret(text) if isinstance(text, (str, Secret)) else None for name, text in texts.items()}
    # The plain texts leave this frame before anything can raise from it.
    texts.clear()
    # All at once: whoever sets up a deployment gets one list and not one error after the other.
    missing = [name for name, text in found.items() if not text or not text.reveal().strip()]
    if missing:
        raise ConfigurationError(f"missing credentials: {', '.join(missing)} must be a non-empty text")
    broken = [name for name, text in found.items() if text is not None and not _sendable(text)]
    if broken:
        raise ConfigurationError(f"{', '.join(broken)} holds a lone surrogate, which cannot be sent")
    return [text for text in found.values() if text is not None]


def _sendable(text: Secret) -> bool:
    try:
        # The form is sent as UTF-8. Found out here, it is an error of the settings; while sending it would be one of
        # the call.
        text.reveal().encode("utf-8")
    except UnicodeEncodeError:  # it holds the text, so it must not become part of any other error
        return False
    return True


def _optional(**texts: str | Secret | None) -> None:
    given = {name: text for name, text in texts.items() if text is not None}
    _required(**given)


class StaticToken:
    """An access token that is already at hand. A 401 ends in an error, since there is nothing to renew it with.

    Args:
        token: the bearer token.

    Raises:
        ConfigurationError: the token is empty or not printable ASCII; blanks around it are removed.
    """

    __slots__ = ("_token",)

    def __init__(self, token: str | Secret) -> None:
        token = Secret(token) if isinstance(token, str) else token
        (token,) = _required(token=token)
        # A token read from a file or an environment usually ends in a newline.
        self._token = AccessToken(Secret(token.reveal().strip()))

    @property
    def access_token(self) -> AccessToken:
        """The token."""
        return self._token

    async def fetch(self, exchange: Exchange, previous: AccessToken | None) -> AccessToken:  # noqa: ARG002
        """Return the token, always the same.

        Args:
            exchange: not used.
            previous: not used.
        """
        return self._token

    def __repr__(self) -> str:
        return "StaticToken('***')"


class ClientCredentials:
    """The OAuth client-credentials grant: the way the vendor documents today. Tokens live 14 days.

    Args:
        client_id: from the Cyclr console.
        client_secret: from the Cyclr console.
        account_id: restrict the token to one account (``scope=account:{id}``).
        scope: another scope, instead of ``account_id``.

    Raises:
        ConfigurationError: a value is missing or cannot be sent, or both ``account_id`` and ``scope`` are given.
    """

    __slots__ = ("_client_secret", "client_id", "scope")

    def __init__(
        self,
        client_id: str,
        client_secret: str | Secret,
        *,
        account_id: str | None = None,
        scope: str | None = None,
    ) -> None:
        client_secret = _secret(client_secret) if isinstance(client_secret, str) else client_secret
        # Set before it is checked: a traceback that shows locals needs the repr of what could not be made.
        self.client_id: str = client_id
        self._client_secret = client_secret
        self.scope: str | None = f"account:{account_id}" if account_id is not None else scope
        _required(client_id=client_id, client_secret=client_secret)
        _optional(account_id=account_id, scope=scope)
        if account_id is not None and scope is not None:
            raise ConfigurationError("give either account_id or scope: account_id='x' stands for scope='account:x'")

    async def fetch(self, exchange: Exchange, previous: AccessToken | None) -> AccessToken:  # noqa: ARG002
        """Exchange the credentials for a token. Several tokens may live side by side, so this may be repeated.

        Args:
            exchange: posts a form to the token endpoint.
            previous: not used: every token is a new one.

        Raises:
            AuthenticationError: the credentials were refused.
            CyclrError: the token endpoint could not be asked, or answered with no token.
        """
        form = {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": HiddenStr(self._client_secret.reveal()),
        }
        if self.scope is not None:
            form["scope"] = self.scope
        # A lost answer costs nothing but a token that nobody uses: the first stays valid beside the second.
        return await exchange(form, True)

    def sharing(self) -> tuple[tuple[str, ...], Secret]:
        """Return what tells these credentials from others, and their secret: for the token of several processes."""
        return ("client_credentials", self.client_id, self.scope or ""), self._client_secret

    def __repr__(self) -> str:
        return f"ClientCredentials({self.client_id!r}, '***', scope={self.scope!r})"


class PasswordGrant:
    """The OAuth password grant of a console administrator, with rotating refresh tokens. The vendor calls it obsolete.

    A refresh token is sent at most once, whatever the answer. When it brings no token, because it was refused, because
    the endpoint failed or because the answer was lost, the password is used instead.

    Args:
        client_id: from the Cyclr console.
        username: a console administrator.
        password: of that administrator.
        account_id: restrict the token to one account; sent as ``client_secret``, as the vendor documents.
        refresh_token: one kept from an earlier run; it is tried first.

    Raises:
        ConfigurationError: a value is missing.
    """

    __slots__ = ("_first", "_password", "account_id", "client_id", "username")

    def __init__(
        self,
        client_id: str,
        username: str,
        password: str | Secret,
        *,
        account_id: str | None = None,
        refresh_token: str | Secret | None = None,
    ) -> None:
        password = _secret(password) if isinstance(password, str) else password
        refresh_token = _secret(refresh_token) if isinstance(refresh_token, str) else refresh_token
        self.client_id: str = client_id
        self.username: str = username
        self.account_id: str | None = account_id
        self._password = password
        self._first: RefreshToken | None = None
        _required(client_id=client_id, username=username, password=password)
        _optional(account_id=account_id, refresh_token=refresh_token)
        if refresh_token is not None:
            self._first = RefreshToken(refresh_token)

    async def fetch(self, exchange: Exchange, previous: AccessToken | None) -> AccessToken:
        """Refresh the previous token if that is safe, else sign in with the password.

        Args:
            exchange: posts a form to the token endpoint.
            previous: the token to be replaced, whose refresh token is tried first; None for the first.

        Raises:
            AuthenticationError: the password was refused.
            CyclrError: the token endpoint could not be asked, or answered with no token.
        """
        holder = self._first if previous is None else previous.refresh_token
        # Taken before it is sent, so that no second fetch can send it too: the server drops both old tokens with
        # their first use, and a race for them logs everybody out.
        token = None if holder is None else holder.take()
        if holder is not None and token is not None:
            form = {
                "grant_type": "refresh_token",
                "client_id": self.client_id,
                "refresh_token": HiddenStr(token.reveal()),
            }
            try:
                return await exchange(self._restricted(form), False)
            except CyclrError as error:
                if error.sent == "never":
                    # The endpoint could not be reached, so the password would not reach it either.
                    holder.give_back(token)
                    raise
                # It may be used up, also after a 429 or a 503: who answered that need not be who exchanges tokens.
                _logger.info("the refresh token brought no token (%s): the password is used", type(error).__name__)
        form = {
            "grant_type": "password",
            "client_id": self.client_id,
            "username": self.username,
            "password": HiddenStr(self._password.reveal()),
        }
        return await exchange(self._restricted(form), True)

    def _restricted(self, form: dict[str, str]) -> dict[str, str]:
        if self.account_id is not None:
            form["client_secret"] = self.account_id
        return form

    def sharing(self) -> tuple[tuple[str, ...], Secret]:
        """Return what tells these credentials from others, and their secret: for the token of several processes."""
        # With the account: a token that is restricted to one must not be taken for that of the partner.
        return ("password", self.client_id, self.username, self.account_id or ""), self._password

    def forget_refresh_token(self) -> None:
        """Forget the refresh token of an earlier run, since another process has used it or has a newer one."""
        self._first = None

    def __repr__(self) -> str:
        return f"PasswordGrant({self.client_id!r}, {self.username!r}, '***', account_id={self.account_id!r})"


def as_provider(auth: TokenProvider | str | Secret) -> TokenProvider:
    """Return a provider for what a user passed as ``auth``."""
    if isinstance(auth, (str, Secret)):
        auth = _secret(auth)
        return StaticToken(auth)
    if not isinstance(auth, TokenProvider):
        raise ConfigurationError(
            "auth must be an access token (str), StaticToken, ClientCredentials, PasswordGrant, or an object with an "
            f"async method fetch(exchange, previous); got {type(auth).__name__}"
        )
    return auth


@attrs.frozen
class PartnerIdentity:
    """Whose data a session sees.

    Attributes:
        name: of the partner; no secret, and not bound to a credential when the caller or the service names it.
        aliases: other names under which a store may know the same partner: the client id of these credentials, and
            the hash that release 0.1 made of them.
    """

    name: str
    aliases: tuple[str, ...] = ()


def partner_name(value: object, *, name: str = "partner") -> str:
    """Check the name of a partner, and return it without blanks around it.

    Raises:
        ConfigurationError: not a text, empty, longer than 255 characters, or with characters that print nothing.
    """
    text = value.strip() if isinstance(value, str) else ""
    # Printable, because the name stands in messages, in file listings and in the columns of an export.
    if not text or len(text) > _LONGEST_NAME or not text.isprintable():
        raise ConfigurationError(f"{name} must be a text of 1 to {_LONGEST_NAME} printable characters")
    return text


def said_partner(provider: TokenProvider, said: str | None) -> str | None:
    """Return the partner as the caller names it: for the session, or by ``partner_id`` of a provider of its own."""
    if said is not None:
        return said
    # An attribute and no part of the protocol: providers written for 0.1 have none.
    own = getattr(provider, "partner_id", None)
    return partner_name(own, name="partner_id of the token provider") if isinstance(own, str) else None


def identity(provider: TokenProvider, named: str | None) -> PartnerIdentity:
    """Return who the partner is: as named by the caller or the service, else the client id.

    Args:
        provider: of the credentials.
        named: what the caller or the service said, or None.

    Raises:
        ConfigurationError: nobody named the partner, and the provider has no client id. The credential itself is no
            name: a new token would be a new partner.
    """
    client = getattr(provider, "client_id", None)
    client = client.strip() if isinstance(client, str) and client.strip().isprintable() else None
    name = named or client
    if not name:
        raise ConfigurationError(
            f"whose data this is cannot be told: the service names no domain, and {type(provider).__name__} has no "
            "client id. Name the partner: partner='...' of the session, CYCLR_PARTNER or --partner"
        )
    # A store may have been begun before the partner had a name, under what stood for it then.
    aliases = [client] if client and client != name else []
    former = _former_identity(provider)
    return PartnerIdentity(name, (*aliases, *([former] if former else [])))


def _former_identity(provider: TokenProvider) -> str | None:
    """Return the hash by which stores of schema version 1 know the partner of these credentials.

    None for a provider of the caller's own without a client id: all providers of one class had the same hash, so it
    tells nothing about whose data a store holds.
    """
    known = getattr(provider, "client_id", None)
    if isinstance(known, str):
        text = f"client:{known}"
    elif isinstance(provider, StaticToken):
        text = f"token:{provider.access_token.value.reveal()}"
    else:
        return None
    # Must stay as release 0.1 computed it, or no store of its time is recognised.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
