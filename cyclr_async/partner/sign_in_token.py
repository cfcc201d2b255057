"""A token that signs a user in."""

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


@attrs.frozen(kw_only=True, slots=True, weakref_slot=False)
class SignInToken(Model):
    """The answer of *Get Account Signin Token* (``POST createaccountsignintoken``).

    A token is not pickled: ``pickle.dumps`` raises the ``TypeError`` of :class:`~cyclr_async.secret.Secret`.

    Attributes:
        token: the secret that signs the user in; :meth:`url` makes the link.
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

    def url(self, base: str | URL | None = None) -> SecretUrl:
        """Return the link that signs the user in; send the browser there before :attr:`expires_at`.

        The document shows the link with plain http; it is always https here, except for loopback hosts and those that
        the session's ``http_hosts`` names. The token is percent-encoded, because it may hold ``+``, ``/`` and ``=``.

        Args:
            base: the partner's service domain, such as ``"partner.example.com"``, or a URL on it; the console that
                belongs to the session by default.

        Raises:
            InvalidArgumentError: the base has no host, is not http or https, carries credentials, or is http with a
                port of its own, where https cannot be expected.
        """
        origin = _origin(self.console if base is None else base, self.http_hosts)
        return SecretUrl(f"{origin}/account/signinwithtoken?token={quote(self.token.reveal(), safe='')}")

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
    if explicit_port not in {None, 80}:
        raise InvalidArgumentError(
            f"a sign-in link is not sent over plain http to port {explicit_port}: pass an https URL"
        )
    return origin.with_scheme("https").with_port(None)
