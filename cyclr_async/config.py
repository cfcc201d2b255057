"""Where the API is and how patiently, how hard and how widely it is used: frozen values, checked when made."""

from __future__ import annotations

import sys
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

import attrs
from yarl import URL

from cyclr_async.checks import LONGEST, is_seconds, shown
from cyclr_async.errors import ConfigurationError
from cyclr_async.hosts import canonical_host, is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Limits", "Region", "RetryPolicy", "Timeouts", "api_url", "v1_url_beside"]

_PARTNER_PATH: Final = "/api/partner"
_V1_PATH: Final = "/v1.0"
_OAUTH_PATH: Final = "/oauth/token"


class Region(Enum):
    """A public Cyclr instance: its console host, which serves the partner API, and its API host, which issues tokens.

    Source: the API document for ``my.cyclr.com``; for the other consoles the same path is assumed.
    """

    US = ("my.cyclr.com", "api.cyclr.com")
    US2 = ("us2.cyclr.com", "api.us2.cyclr.com")
    UK = ("my.cyclr.uk", "api.cyclr.uk")
    EU = ("eu.cyclr.com", "api.eu.cyclr.com")
    APAC = ("apac.cyclr.com", "api.apac.cyclr.com")

    def __init__(self, console_host: str, api_host: str) -> None:
        self.console_host = console_host
        self.api_host = api_host

    @property
    def base_url(self) -> URL:
        """The root of the partner API, such as ``https://my.cyclr.com/api/partner``."""
        return URL.build(scheme="https", host=self.console_host, path=_PARTNER_PATH)

    @property
    def token_url(self) -> URL:
        """Where access tokens are issued, such as ``https://api.cyclr.com/oauth/token``."""
        return URL.build(scheme="https", host=self.api_host, path=_OAUTH_PATH)

    @property
    def v1_url(self) -> URL:
        """The root of the v1.0 API, such as ``https://api.cyclr.com/v1.0``."""
        return URL.build(scheme="https", host=self.api_host, path=_V1_PATH)

    @classmethod
    def parse(cls, text: str) -> Region:
        """Return the region with this name, in any case.

        Args:
            text: such as ``"EU"``; blanks around it do not matter.

        Raises:
            ConfigurationError: there is no such region; the message lists those there are.
        """
        region = cls.__members__.get(text.strip().upper()) if isinstance(text, str) else None
        if region is None:
            names = ", ".join(cls.__members__)
            raise ConfigurationError(
                f"unknown region {shown(text)}: use one of {names}, or base_url= and token_url= together"
            )
        return region


def v1_url_beside(token_url: URL | None) -> URL | None:
    """Return the root of the v1.0 API of a private instance, whose API host also issues the tokens.

    None when the path of the token endpoint is not the usual one: a gateway may stand there that has no API behind it.
    """
    if token_url is None or not token_url.raw_path.endswith(_OAUTH_PATH):
        return None
    return token_url.with_path(token_url.raw_path.removesuffix(_OAUTH_PATH) + _V1_PATH, encoded=True)


def api_url(value: str | URL, *, name: str, http_hosts: frozenset[str] = frozenset()) -> URL:
    """Check the URL of an API root or a token endpoint.

    Args:
        value: the URL.
        name: of the setting, for the message.
        http_hosts: hosts that may be spoken to over plain http, as :func:`~cyclr_async.hosts.plain_http_hosts`
            returns them; loopback hosts always may.

    Raises:
        ConfigurationError: not absolute, not https where it must be, or carrying credentials, a query or a fragment.
    """
    problem = None
    try:
        url = URL(value)
    except (ValueError, TypeError):
        raise ConfigurationError(f"{name} is not a URL: give something like https://my.cyclr.com/api/partner") from None
    if not url.absolute or url.scheme not in {"https", "http"} or not url.raw_host:
        problem = "it must be absolute and start with https://"
    elif not url.port:
        problem = "its port must be from 1 to 65535"
    elif url.user is not None or url.password is not None:
        problem = "it must not contain credentials: pass them as ClientCredentials or PasswordGrant"
    elif url.query_string or url.fragment:
        problem = "it must have no query and no fragment"
    elif url.scheme == "http" and not (is_loopback(url.host) or canonical_host(url.host or "") in http_hosts):
        problem = (
            "http would send the access token in clear text: use https (http is accepted for loopback hosts, and for "
            "those that http_hosts names)"
        )
    if problem:
        raise ConfigurationError(f"{name} cannot be used: {problem}")
    return url.with_path(url.raw_path.rstrip("/"), encoded=True)


def _seconds(*, zero: bool = False) -> Callable[[object, attrs.Attribute[Any], object], None]:
    def check(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if not is_seconds(value, zero=zero):
            least = "0 or more" if zero else "more than 0"
            raise ConfigurationError(
                f"{type(instance).__name__}.{attribute.name} must be a finite number of seconds, {least} and at most "
                f"{LONGEST:g}; got {shown(value)}"
            )

    return check


def _count(least: int) -> Callable[[object, attrs.Attribute[Any], object], None]:
    def check(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= sys.maxsize:
            raise ConfigurationError(
                f"{type(instance).__name__}.{attribute.name} must be a whole number, {least} or more; got "
                f"{shown(value)}"
            )

    return check


def _flag(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, bool):
        raise ConfigurationError(
            f"{type(instance).__name__}.{attribute.name} must be True or False; got {shown(value)}"
        )


@attrs.frozen(kw_only=True)
class Timeouts:
    """How long to wait, in seconds: each more than 0 and at most 1,000,000,000; ``close`` may be 0.

    Attributes:
        connect: for one TCP connection and its TLS handshake.
        read: between two pieces of an answer; a server silent for longer has failed.
        attempt: for one HTTP attempt, from the moment it holds a slot; queueing is not counted.
        deadline: for a whole call, wall clock: queueing, tokens, attempts and the waits between them. ``timeout=`` of
            a method replaces it for that call. For ``accounts.iter`` it ends where the list begins.
        close: how long :meth:`AsyncPartnerSession.close` lets calls under way finish.

    Raises:
        ConfigurationError: a value is out of its range, or no number.
    """

    connect: float = attrs.field(default=10.0, validator=_seconds())
    read: float = attrs.field(default=30.0, validator=_seconds())
    attempt: float = attrs.field(default=60.0, validator=_seconds())
    deadline: float = attrs.field(default=120.0, validator=_seconds())
    close: float = attrs.field(default=5.0, validator=_seconds(zero=True))


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """When and how often a failed attempt is repeated. Times are in seconds, 0 or more.

    Attributes:
        attempts: attempts per call, the first included, 1 or more; 1 switches retries off.
        base: the first backoff is drawn from 0 to this, the next from 0 to twice this, and so on (full jitter).
        throttled_base: the same after a 429 or 503 that names no ``Retry-After``.
        cap: the longest backoff.
        retry_after_cap: a longer ``Retry-After`` is not waited for: the call fails at once and says how long it is.
        write_window: an update is not sent again later than this after its first attempt, waits, pauses and queueing
            included, since it could overwrite a newer change.
        budget: tokens of the retry budget, shared by the session, 0 or more; 0 switches the budget off. A retry takes
            14 tokens (5 after a 429), a success returns what its retry took, a success at the first attempt adds 1.

    Raises:
        ConfigurationError: a value is out of its range, or no number.
    """

    attempts: int = attrs.field(default=4, validator=_count(1))
    base: float = attrs.field(default=0.5, validator=_seconds(zero=True))
    throttled_base: float = attrs.field(default=1.0, validator=_seconds(zero=True))
    cap: float = attrs.field(default=20.0, validator=_seconds(zero=True))
    retry_after_cap: float = attrs.field(default=60.0, validator=_seconds(zero=True))
    write_window: float = attrs.field(default=30.0, validator=_seconds(zero=True))
    budget: int = attrs.field(default=500, validator=_count(0))


def _rate(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is None:
        return
    # The time between two requests has to be one that can be waited for.
    if not is_seconds(value) or not is_seconds(1 / value):  # type: ignore[operator]
        raise ConfigurationError(
            f"Limits.{attribute.name} must be a finite number greater than 0, or None for no limit; got {shown(value)}"
        )


@attrs.frozen(kw_only=True)
class Limits:
    """How widely the API may be used.

    Attributes:
        connections: calls under way at once, 1 or more, and so open connections (a streamed account list has one of its
            own).
        requests_per_second: a ceiling on the request rate, more than 0, or None. Requests are spaced evenly, and a call
            whose turn would come too late for its deadline fails at once.
        keepalive: seconds an idle connection may be reused, more than 0; short, because servers close idle connections
            too.
        reuse_connections: False gives every request a connection of its own, at the price of a handshake and a moment
            of listening per request. Then an answer cannot be taken for the answer to another request of this session.
        direct_reads: False sends reads through :class:`aiohttp.ClientSession`, as everything else. By default a plain
            read uses the connection itself and keeps it for the next read, which is cheaper, unless something listens
            to aiohttp or stands in for it, or aiohttp is not built as expected: that is noticed.
        response_bytes: the largest decoded body that is accepted, in bytes, 1,024 or more. Lists have limits of their
            own; no element of a list may be larger than 1 MiB.
        list_items: the most elements, 1 or more, of a list that is returned whole (``accounts.list``,
            ``priceplans.list``). ``accounts.iter`` and bulk runs keep nothing of what they have read, and have no such
            limit.
        list_bytes: the most memory that such a list may take, in bytes, 1,024 or more, estimated while it is decoded: a
            documented account takes about 900. It is not the size of the answer, because a hostile one can take thirty
            times that.
        list_pace: bytes a second that a list must bring at least while ``accounts.iter`` or a bulk run waits for it,
            averaged over ``Timeouts.read``; 0 for no such limit. The time that its reader takes is not counted.

    Raises:
        ConfigurationError: a value is out of its range, or of another type.
    """

    connections: int = attrs.field(default=100, validator=_count(1))
    requests_per_second: float | None = attrs.field(default=None, validator=_rate)
    keepalive: float = attrs.field(default=4.0, validator=_seconds())
    reuse_connections: bool = attrs.field(default=True, validator=_flag)
    direct_reads: bool = attrs.field(default=True, validator=_flag)
    response_bytes: int = attrs.field(default=16 * 1024 * 1024, validator=_count(1024))
    # 100,000 documented accounts take about 80 MB: more is better read with iter(), and what is made to take as much
    # memory as possible stays below half a gigabyte.
    list_items: int = attrs.field(default=100_000, validator=_count(1))
    list_bytes: int = attrs.field(default=128 * 1024 * 1024, validator=_count(1024))
    # Three accounts a second. The slowest honest server sends more; whoever drips a byte at a time sends less.
    list_pace: int = attrs.field(default=1024, validator=_count(0))
