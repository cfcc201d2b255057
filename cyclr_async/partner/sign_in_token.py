"""A token that signs a user in, the same in both APIs."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Self
from urllib.parse import quote

import attrs
from yarl import URL

from cyclr_async.errors import InvalidArgumentError
from cyclr_async.hosts import canonical_host, is_loopback
from cyclr_async.secret import Secret, SecretUrl
from cyclr_async.wire.extra import EMPTY, as_extra
from cyclr_async.wire.model import Model

__all__ = ["SignInToken"]

_CONSOLE: Final = "https://my.cyclr.com"
_PATH: Final = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f]*")
"""A path on the same host: two slashes, or a slash and a backslash, begin the name of another one in a browser."""


@attrs.frozen(kw_only=True, slots=True, weakref_slot=False)
class SignInToken(Model):
    """The answer of *Get Account Signin Token* (``POST createaccountsignintoken``), and of the same call of v1.0.

    A token is not pickled: ``pickle.dumps`` raises the ``TypeError`` of :class:`~cyclr_async.secret.Secret`.

    Attributes:
        token: the secret that signs the user in, once; :meth:`url` makes the link.
        expires_at: UTC, exact to the microsecond; the document shows seven fractional digits.
        extra: fields of the answer that the document does not describe.
        console: scheme, host and port of the console that :meth:`url` leads to.
        http_hosts: hosts besides this machine to which a link may lead over plain http.
    """

    expires_at: datetime = attrs.field(metadata={"wire": "ExpiresAtUtc"})
    token: Secret
    extra: Mapping[str, Any] = attrs.field(default=EMPTY, converter=as_extra, repr=False, hash=False)
    console: str = attrs.field(default=_CONSOLE, repr=False, eq=False, metadata={"wire": None})
    http_hosts: frozenset[str] = attrs.field(default=frozenset(), repr=False, eq=False, metadata={"wire": None})

    def with_console(self, origin: str | URL, *, http_hosts: frozenset[str] = frozenset()) -> Self:
        """Return the same token for another console.

        Args:
            origin: scheme, host and port of the console, or any URL on it.
            http_hosts: hosts to which a link may lead over plain http, as
                :func:`~cyclr_async.hosts.plain_http_hosts` returns them; loopback hosts always may.

        Raises:
            InvalidArgumentError: the origin cannot carry a sign-in link, as for :meth:`url`.
        """
        return attrs.evolve(self, console=str(_origin(origin, http_hosts)), http_hosts=http_hosts)

    def url(self, base: str | URL | None = None, *, return_url: str | None = None) -> SecretUrl:
        """Return the link that signs the user in; send the browser there before :attr:`expires_at`.

        The document shows the link with plain http; it is always https here, except for loopback hosts and those that
        the session's ``http_hosts`` names. The token is percent-encoded, because it may hold ``+``, ``/`` and ``=``.

        Args:
            base: the partner's service domain, such as ``"partner.example.com"``, or a URL on it; the console that
                belongs to the session by default.
            return_url: where the user lands, a path such as ``"/launch"``; the console decides when None.

        Raises:
            InvalidArgumentError: the base has no host, is not http or https, carries credentials, or is http with a
                port of its own, where https cannot be expected; or ``return_url`` leads to another host.
        """
        origin = _origin(self.console if base is None else base, self.http_hosts)
        query = {"token": self.token.reveal()}
        if return_url is not None:
            # A path only: a browser would follow the rest to wherever somebody has put it, with a session signed in.
            if not isinstance(return_url, str) or not _PATH.fullmatch(return_url):
                raise InvalidArgumentError(
                    "return_url must be a path of the console, such as '/launch', without a host or a backslash"
                )
            query["returnUrl"] = return_url
        return SecretUrl(f"{origin}/account/signinwithtoken?{_query(query)}")

    def oauth_url(
        self,
        account_connector_id: int,
        *,
        target_origin: str | URL,
        callback_message: str | None = None,
        base: str | URL | None = None,
    ) -> SecretUrl:
        """Return the link of the pop-up in which the user signs a connector of the account in with OAuth.

        It uses the token up, as :meth:`url` does.

        Args:
            account_connector_id: the connector of the account; of the API v1.0.
            target_origin: scheme, host and port of the page that opens the pop-up and is told of the end.
            callback_message: what that page is told.
            base: as for :meth:`url`.

        Raises:
            InvalidArgumentError: the id is none, or ``target_origin`` or ``base`` cannot be an origin.
        """
        if type(account_connector_id) is not int or account_connector_id < 0:
            raise InvalidArgumentError("account_connector_id must be the id of a connector of the account, an int")
        query = {
            "id": str(account_connector_id),
            "token": self.token.reveal(),
            "targetOrigin": str(_target(target_origin)),
        }
        if callback_message is not None:
            if not isinstance(callback_message, str):
                raise InvalidArgumentError(f"callback_message must be a str, not {type(callback_message).__name__}")
            query["callbackMessage"] = callback_message
        origin = _origin(self.console if base is None else base, self.http_hosts)
        return SecretUrl(f"{origin}/connectorauth/updateaccountconnectoroauth?{_query(query)}")

    def expired(self, now: datetime) -> bool:
        """Return whether the token is past its expiry.

        Args:
            now: the current time, aware.

        Raises:
            InvalidArgumentError: ``now`` has no time zone.
        """
        if now.tzinfo is None:
            raise InvalidArgumentError("now needs a time zone: pass datetime.now(UTC)")
        return now >= self.expires_at


def _query(values: Mapping[str, str]) -> str:
    """Return a query in which every value is percent-encoded, a plus sign and a slash too."""
    return "&".join(f"{name}={quote(value, safe='', errors='replace')}" for name, value in values.items())


def _target(origin: str | URL) -> URL:
    """Return the origin of a page, which is the developer's own and may be plain http."""
    try:
        url = URL(str(origin))
        if url.absolute and url.host and url.scheme in {"http", "https"}:
            return url.origin()
    except ValueError:
        pass
    raise InvalidArgumentError("target_origin must be the origin of a page, such as 'https://app.example.com'")


def _origin(base: str | URL, http_hosts: frozenset[str]) -> URL:
    """Return scheme, host and port of a base, https wherever it leaves the machine."""
    text = str(base)
    url = None
    try:
        url = URL(text if "//" in text else f"https://{text}")
        plain = is_loopback(url.host) or canonical_host(url.host or "") in http_hosts
        explicit_port = url.explicit_port
    except ValueError:
        pass
    if url is None or not url.host or url.scheme not in {"http", "https"}:
        raise InvalidArgumentError(
            "a sign-in link needs the host it leads to: pass a domain such as partner.example.com or an https URL"
        )
    if url.user is not None or url.password is not None:
        raise InvalidArgumentError("the base of a sign-in link must not carry a user name or a password")
    origin = url.origin()
    if url.scheme == "https" or plain:
        return origin
    # No https can be expected at a port that was named for http, and a link that signs in is not sent in the clear.
    if explicit_port not in {None, 80}:
        raise InvalidArgumentError(
            f"a sign-in link is not sent over plain http to port {explicit_port}: pass an https URL"
        )
    # Without the port 80, which would be where plain http is spoken.
    return origin.with_scheme("https").with_port(None)
