"""The session: owns the connection pool and carries the resources."""

from __future__ import annotations

import asyncio
import os
import secrets
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn, Self, TypedDict, TypeVar, Unpack

from yarl import URL

from cyclr_async.auth.providers import (
    PartnerIdentity,
    StaticToken,
    TokenProvider,
    as_provider,
    identity,
    partner_name,
    said_partner,
)
from cyclr_async.auth.token_endpoint import TokenEndpoint
from cyclr_async.auth.token_manager import OnToken, TokenManager
from cyclr_async.checks import callable_or_none, kind, proxy_url, several
from cyclr_async.config import Limits, Region, RetryPolicy, Timeouts, api_url, v1_url_beside
from cyclr_async.environment import blamed, settings_from
from cyclr_async.errors import (
    ConfigurationError,
    ForbiddenError,
    InvalidArgumentError,
    NotFoundError,
)
from cyclr_async.hosts import plain_http_hosts
from cyclr_async.http.clock import Clock, SystemClock, checked_clock
from cyclr_async.http.counters import Counters
from cyclr_async.http.engine.pool import Network, Pool
from cyclr_async.http.events import EventHook
from cyclr_async.http.exchange import Exchange
from cyclr_async.http.executor import AuthorizedExecutor, Executor, Options, request_ids
from cyclr_async.http.limiter import Limiter
from cyclr_async.http.raw_request import Query, RawResponse, json_body, raw_request
from cyclr_async.http.request import Request, Safety
from cyclr_async.http.resource import Sender, domain_of
from cyclr_async.http.retry import RetryBudget, RetryStrategy
from cyclr_async.http.stats import SharedCounts, Stats, stats_of
from cyclr_async.http.timeouts import TimerWheel
from cyclr_async.partner import Accounts, Connectors, PartnerDetails, PricePlans, Tokens
from cyclr_async.secret import HiddenStr, Secret, SecretUrl
from cyclr_async.settings import SETTINGS
from cyclr_async.v1 import V1Api
from cyclr_async.wire.converter import decoder_of

if TYPE_CHECKING:
    import ssl
    from os import PathLike

    import aiohttp

    from cyclr_async.shared.sharing import Sharing
    from cyclr_async.shared.state import SharedState

__all__ = ["AsyncPartnerSession", "SessionOptions"]

T = TypeVar("T")


class SessionOptions(TypedDict, total=False):
    """The arguments of :class:`AsyncPartnerSession` as keywords; their meaning is said there."""

    auth: TokenProvider | str | Secret
    partner: str | None
    region: Region | str
    base_url: str | URL | None
    token_url: str | URL | None
    v1_url: str | URL | None
    http_hosts: Iterable[str]
    timeouts: Timeouts | None
    retry: RetryPolicy | None
    limits: Limits | None
    shared: SharedState | str | PathLike[str] | SecretUrl | None
    client_session: aiohttp.ClientSession | None
    ca_file: str | PathLike[str] | None
    client_certificate: tuple[str | PathLike[str], str | PathLike[str]] | None
    ssl_context: ssl.SSLContext | None
    proxy: str | URL | SecretUrl | None
    trace_configs: Sequence[aiohttp.TraceConfig]
    on_event: EventHook | None
    on_token: OnToken | None
    clock: Clock | None


class AsyncPartnerSession:
    """A client of the Cyclr partner API. Make one per event loop, share it, and close it: ``async with`` does both.

    It can be made without a running event loop; connections are opened on first use.

    Args:
        auth: an access token, :class:`StaticToken`, :class:`ClientCredentials`, :class:`PasswordGrant`, or an object
            of your own with an async method ``fetch(exchange, previous)``.
        partner: a name for the partner whose data this is, by which usage stores tell partners apart, whatever the
            credentials. Without it the partner is the ``domain`` of its settings, else the client id; a collection
            with a store asks for the former once.
        region: the public instance, or its name.
        base_url: the root of the partner API of a private instance; ends in ``/api/partner``. https, or http for a
            loopback host or one of ``http_hosts``.
        token_url: the token endpoint of a private instance; needed there unless ``auth`` is a fixed token.
        v1_url: the root of the v1.0 API of a private instance. Without it ``https://{API host}/v1.0``, where the API
            host is the region's, or that of a ``token_url`` which ends in ``/oauth/token``.
        http_hosts: exact names of hosts that are spoken to over plain http besides this machine, such as the name of
            a container with the simulator: ``("simulator",)``. Whoever is on the way reads the access token. Never
            Cyclr's own.
        timeouts: how long to wait.
        retry: when to repeat.
        limits: how widely to use the API.
        shared: what several processes with the same credentials have in common: one access token, one
            ``requests_per_second`` for all together, one pause after a 429. A path for the processes of one host, a
            ``redis://`` URL for several hosts, or a :class:`SharedState`. ``Limits.connections`` stays per process.
        client_session: an aiohttp session of yours, used for everything and never closed. Its pool, TLS, proxy,
            default headers and cookies are yours to answer for; redirects, time limits and retries stay as here.
        ca_file: a PEM file of certificate authorities to trust besides the system's.
        client_certificate: PEM files of a certificate and its key.
        ssl_context: a ready TLS context instead of these two.
        proxy: the URL of an HTTP proxy; it is not taken from the environment.
        trace_configs: aiohttp trace configurations, for OpenTelemetry and the like.
        on_event: called with every event (:mod:`cyclr_async.http.events`); what it raises is logged.
        on_token: called with every new :class:`AccessToken` before it is used, to persist it; may be async.
        clock: time and chance, for tests.

    Raises:
        ConfigurationError: a setting cannot work.
    """

    def __init__(
        self,
        auth: TokenProvider | str | Secret,
        *,
        partner: str | None = None,
        region: Region | str = Region.US,
        base_url: str | URL | None = None,
        token_url: str | URL | None = None,
        v1_url: str | URL | None = None,
        http_hosts: Iterable[str] = (),
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        limits: Limits | None = None,
        shared: SharedState | str | PathLike[str] | SecretUrl | None = None,
        client_session: aiohttp.ClientSession | None = None,
        ca_file: str | PathLike[str] | None = None,
        client_certificate: tuple[str | PathLike[str], str | PathLike[str]] | None = None,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | URL | SecretUrl | None = None,
        trace_configs: Sequence[aiohttp.TraceConfig] = (),
        on_event: EventHook | None = None,
        on_token: OnToken | None = None,
        clock: Clock | None = None,
    ) -> None:
        auth = Secret(auth) if isinstance(auth, str) else auth
        # Like auth: a URL of Redis may hold a password, and this frame could end up in a traceback with locals.
        shared = SecretUrl(shared) if isinstance(shared, str) else shared
        provider = as_provider(auth)
        self._partner = None if partner is None else partner_name(partner)
        region = region if isinstance(region, Region) else Region.parse(region)
        self._http_hosts = plain_http_hosts(http_hosts)
        self._root = self._url(region.base_url if base_url is None else base_url, "base_url")
        self._timeouts = Timeouts() if timeouts is None else kind(timeouts, Timeouts, "timeouts")
        limits = Limits() if limits is None else kind(limits, Limits, "limits")
        policy = RetryPolicy() if retry is None else kind(retry, RetryPolicy, "retry")
        clock = SystemClock() if clock is None else checked_clock(clock)
        callable_or_none(on_event, "on_event")
        callable_or_none(on_token, "on_token")
        self._token_url = self._token_endpoint(provider, region, base_url, token_url)
        self._v1_root = self._v1_place(region, base_url, v1_url)
        self._v1: V1Api | None = None
        # The access token goes to these and nowhere else.
        origins = (self._root,) if self._v1_root is None else (self._root, self._v1_root)
        network = Network(
            ca_file=ca_file,
            client_certificate=client_certificate,
            ssl_context=ssl_context,
            proxy=None if proxy is None else proxy_url(proxy),
            trace_configs=several(trace_configs, "trace_configs"),
        )
        secure = any(url is not None and url.scheme == "https" for url in (*origins, self._token_url))
        self._pool = Pool(
            origins=origins if self._token_url is None else (*origins, self._token_url),
            needs_tls=secure,
            network=network,
            timeouts=self._timeouts,
            limits=limits,
            borrowed=client_session,
        )
        self._watch = TimerWheel()
        prefix = f"{secrets.token_hex(8)}-"
        exchange = Exchange(
            self._pool,
            clock,
            self._watch,
            read=self._timeouts.read,
            pace=limits.list_pace,
            body_limit=limits.response_bytes,
            id_prefix=prefix,
        )
        options: Options = {
            "timeouts": self._timeouts,
            "strategy": RetryStrategy(policy, RetryBudget(policy.budget)),
            "ids": request_ids(prefix),
            "counters": Counters(),
            "on_event": on_event,
        }
        # Token requests need no token and no slot, so what carries them is there before what needs a token.
        endpoint = TokenEndpoint(self._token_url, Executor(exchange, clock, self._watch, **options).run)
        rate = limits.requests_per_second
        self._sharing = sharing = None if shared is None else self._shared(shared, provider, clock, on_event, rate)
        self._tokens = TokenManager(
            provider if sharing is None else sharing.provider,
            endpoint,
            clock,
            on_token=on_token,
            on_event=on_event,
            on_others=options["counters"].warn_of_others,
        )
        self._executor = AuthorizedExecutor(
            exchange,
            clock,
            self._watch,
            limiter=Limiter(
                limits.connections,
                rate,
                clock,
                turns=None if sharing is None else sharing.turns,
                tell=None if sharing is None else sharing.tell,
            ),
            tokens=self._tokens,
            origins=origins,
            open_pool=self._pool.open if sharing is None else self._open_shared,
            limits=limits,
            **options,
        )
        self._provider = provider
        self._pid = os.getpid()
        sender = self._sender = self._sender_over(self._executor)
        self.accounts: Accounts = Accounts(sender, self._root, self)
        self.connectors: Connectors = Connectors(sender, self._root)
        self.priceplans: PricePlans = PricePlans(sender, self._root)
        self.tokens: Tokens = Tokens(sender, self._root, self._http_hosts)

    def _sender_over(self, executor: AuthorizedExecutor) -> Sender:
        """Return what the resources send with; a dry run has one of its own that sends nothing."""
        return executor

    def _shared(
        self,
        shared: SharedState | PathLike[str] | SecretUrl,
        provider: TokenProvider,
        clock: Clock,
        on_event: EventHook | None,
        rate: float | None,
    ) -> Sharing:
        """Return what this session shares with other processes."""
        # Most sessions share nothing, and need not pay for the import.
        from cyclr_async.shared.sharing import Sharing  # noqa: PLC0415
        from cyclr_async.shared.state import SharedState  # noqa: PLC0415

        return Sharing(
            SharedState.of(shared),
            provider,
            clock=clock,
            on_event=on_event,
            api=self._root,
            token_url=self._token_url,
            rate=rate,
        )

    async def _open_shared(self) -> None:
        """Open the pool, and what is shared: a place that is not there is found out before the first request."""
        await self._pool.open()
        if self._sharing is not None:
            await self._sharing.open(self._executor.limiter.hold)

    def _url(self, value: str | URL, name: str) -> URL:
        return api_url(value, name=name, http_hosts=self._http_hosts)

    def _token_endpoint(
        self,
        provider: TokenProvider,
        region: Region,
        base_url: str | URL | None,
        token_url: str | URL | None,
    ) -> URL | None:
        if token_url is not None:
            return self._url(token_url, "token_url")
        if base_url is None:
            return region.token_url
        known = {r.base_url: r.token_url for r in Region}.get(self._root)
        if known is None and not isinstance(provider, StaticToken):
            raise ConfigurationError(
                "token_url is missing: a private instance issues tokens at https://{its API host}/oauth/token"
            )
        return known

    def _v1_place(self, region: Region, base_url: str | URL | None, v1_url: str | URL | None) -> URL | None:
        """Return the root of the v1.0 API, or None when nothing tells where it is."""
        if v1_url is not None:
            return self._url(v1_url, "v1_url")
        # The region first: a token endpoint may be on a domain of the partner's own, where the v1.0 API is not.
        found = region if base_url is None else next((r for r in Region if r.base_url == self._root), None)
        return v1_url_beside(self._token_url) if found is None else found.v1_url

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **options: Unpack[SessionOptions]) -> Self:
        """Make a session from ``CYCLR_*`` variables.

        Credentials: ``CYCLR_ACCESS_TOKEN``; or ``CYCLR_CLIENT_ID`` and ``CYCLR_CLIENT_SECRET``; or
        ``CYCLR_CLIENT_ID``, ``CYCLR_USERNAME`` and ``CYCLR_PASSWORD``; ``CYCLR_ACCOUNT_ID`` restricts the token to
        one account. ``CYCLR_PARTNER`` names the partner. Place: ``CYCLR_REGION``, or ``CYCLR_BASE_URL``,
        ``CYCLR_TOKEN_URL`` and ``CYCLR_V1_URL``. Numbers: ``CYCLR_TIMEOUT`` (seconds for a whole call),
        ``CYCLR_CONNECTIONS``, ``CYCLR_REQUESTS_PER_SECOND``. Network: ``CYCLR_PROXY``, ``CYCLR_CA_FILE``,
        ``CYCLR_HTTP_HOSTS`` (names, separated by commas).

        Args:
            environ: the variables; those of the process when None.
            options: further arguments of the session; they win over the variables.

        Raises:
            ConfigurationError: names every missing and every invalid variable at once.
        """
        source = os.environ if environ is None else environ
        # Rebound: the variables hold secrets, and this frame could end up in a traceback with locals.
        environ = {name: HiddenStr(value) for name, value in source.items()}
        del source
        arguments = settings_from(environ)
        labels = {name: setting.variable for name, setting in SETTINGS.items() if name in arguments.keys() - options}
        problem: ConfigurationError
        try:
            return cls(**{**arguments, **options})
        except ConfigurationError as error:
            problem = blamed(error, labels)
        raise problem

    @property
    def root(self) -> URL:
        """The root of the partner API."""
        return self._root

    @property
    def v1(self) -> V1Api:
        """The v1.0 API, with the same connections, access token and limits.

        Raises:
            ConfigurationError: nothing tells where it is; give ``v1_url=``.
        """
        if self._v1 is None:
            if self._v1_root is None:
                raise ConfigurationError(
                    "where the v1.0 API of this private instance is cannot be told from base_url and token_url: give "
                    "v1_url='https://{its API host}/v1.0' (CYCLR_V1_URL, --v1-url)"
                )
            self._v1 = V1Api(
                self._sender, self._v1_root, self, console=self._root.origin(), http_hosts=self._http_hosts
            )
        return self._v1

    @property
    def closed(self) -> bool:
        """True after :meth:`close`."""
        return self._executor.closed

    @property
    def clock(self) -> Clock:
        """Time and chance, as given: for a store that is opened beside the session, so that both tell the same time."""
        return self._sender.clock

    async def details(self, *, timeout: float | None = None) -> PartnerDetails:
        """Return the partner's settings.

        Args:
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Raises:
            CyclrError: see :mod:`cyclr_async.errors`.

        Source: *Partner Details*, ``GET details``.
        """
        url = self._root.with_path(f"{self._root.raw_path}/details", encoded=True)
        return await self._sender.send(
            Request(name="details", method="GET", url=url, safety=Safety.SAFE, decode=decoder_of(PartnerDetails)),
            timeout,
        )

    @property
    def partner(self) -> str | None:
        """The partner as the caller named it, or None: then :meth:`identify` asks the service."""
        return said_partner(self._provider, self._partner)

    async def identify(self, *, timeout: float | None = None) -> PartnerIdentity:
        """Return whose data this is: the caller's ``partner``, else the partner's domain, else the client id.

        Asks for the partner's settings unless the caller named the partner. An answer 403 or 404, or settings without
        a domain, leave the client id; every other failure is raised, because a guess could mix up two partners.

        Args:
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Raises:
            ConfigurationError: neither the caller nor the service names the partner, and there is no client id.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        named = self.partner
        if named is None:
            url = self._root.with_path(f"{self._root.raw_path}/details", encoded=True)
            call = Request(name="details", method="GET", url=url, safety=Safety.SAFE, decode=domain_of)
            try:
                named = await self._sender.send(call, timeout)
            except (ForbiddenError, NotFoundError) as error:
                if error.token_request:
                    raise  # a token provider of the caller's: it says nothing about the partner's settings
                named = None
        return identity(self._provider, named)

    def known_identity(self) -> PartnerIdentity:
        """Return whose data this is without asking: the caller's ``partner``, else the client id.

        Raises:
            ConfigurationError: there is neither.
        """
        return identity(self._provider, self.partner)

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        json: object = None,
        repeatable: bool | None = None,
        timeout: float | None = None,
    ) -> RawResponse:
        """Send a request to an endpoint that has no method here, with the same tokens, limits and retries.

        Args:
            method: the HTTP method.
            path: below the API root, such as ``"details"``; each segment is checked and quoted.
            query: query parameters: texts and numbers, or lists of these for what comes several times.
            json: the body, sent as JSON unless None.
            repeatable: whether the operation may be repeated when its outcome is unknown; by default GET and HEAD
                may, and nothing else.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Returns:
            Status, headers, body; ``.json()`` decodes, and ``answer["Name"]`` looks into the decoded JSON.

        Raises:
            InvalidArgumentError: an argument cannot be valid; nothing was sent.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        # Rebound at once: the body may hold a secret, and this frame could end up in a traceback with locals.
        json = None if json is None else json_body(json)
        if isinstance(json, str):
            raise InvalidArgumentError(f"json cannot be sent as JSON ({json})")
        call = raw_request(self._root, method, path, query=query, body=json, repeatable=repeatable)
        return await self._sender.send(call, timeout)

    def stats(self) -> Stats:
        """Return what is going on now: calls in flight and queued, pause, connections, attempts and retries."""
        shared: SharedCounts = {} if self._sharing is None else self._sharing.counts()
        return stats_of(self._executor, self._pool, self._tokens, shared)

    async def close(self) -> None:
        """Let calls under way finish for ``Timeouts.close`` seconds, then close every connection. May be repeated.

        In a process that was forked off it does nothing: the connections are those of the parent, which goes on to use
        them.
        """
        executor = self._executor
        first, executor.closed = not executor.closed, True
        # First, because after fork() asyncio knows of no running loop, although this runs in one.
        if os.getpid() != self._pid:
            self._pool.abandon()
            return
        if executor.loop is None or executor.loop is not _any_loop():
            return  # nothing was opened here
        if first:
            await executor.counters.drain(self._timeouts.close)
            await self._tokens.close(self._timeouts.close)
            if self._sharing is not None:
                # After the tokens: one that is being fetched at this moment is still to be stored for the others.
                await self._sharing.close()
        await self._pool.close()
        self._watch.close()

    async def __aenter__(self) -> Self:
        self._executor.check()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    if not TYPE_CHECKING:

        @property
        def limits(self) -> Limits:
            """The limits in force; for code that was written for 0.1, and so not shown to type checkers."""
            return self._sender.limits

        def __enter__(self) -> NoReturn:
            raise TypeError("use 'async with AsyncPartnerSession(...)': the session is asynchronous")

        def __exit__(self, *_: object) -> None:
            """Exist, so that Python reports the message of __enter__."""

    def __repr__(self) -> str:
        if not hasattr(self, "_executor"):
            return "<AsyncPartnerSession not made>"
        state = "closed" if self.closed else "open" if self._pool.is_open else "not opened yet"
        return f"<AsyncPartnerSession {self._root} {state}>"

    def __del__(self) -> None:
        # Without an executor the constructor has failed, and there is nothing to close.
        opened = hasattr(self, "_executor") and not self.closed and self._pool.is_open and self._pool.borrowed is None
        if opened and self._pid == os.getpid():
            warnings.warn(
                f"{self!r} was not closed: use 'async with' or await session.close()",
                ResourceWarning,
                source=self,
                stacklevel=1,
            )


def _any_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs, or None where none of asyncio's does (under trio, for example)."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
