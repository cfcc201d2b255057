"""The session: owns the connection pool and carries the resources."""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
import warnings
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self, TypeVar

from yarl import URL

from cyclr_async.auth import AccessToken, StaticToken, TokenProvider, as_provider, identity
from cyclr_async.checks import callable_or_none, kind, proxy_url, several
from cyclr_async.config import Limits, Region, RetryPolicy, Timeouts, api_url
from cyclr_async.environment import settings_from
from cyclr_async.errors import (
    ConfigurationError,
    DeadlineExceededError,
    InvalidArgumentError,
    ResponseError,
    SessionClosedError,
    WrongEventLoopError,
)
from cyclr_async.http.call import Call, Safety
from cyclr_async.http.clock import Clock, SystemClock, checked_clock
from cyclr_async.http.events import EventHook
from cyclr_async.http.limiter import Limiter
from cyclr_async.http.pipeline import Pipeline
from cyclr_async.http.pool import Network, Pool
from cyclr_async.http.raw import Query, RawResponse, raw_body, raw_call
from cyclr_async.http.retry import Effort, RetryBudget
from cyclr_async.http.stats import Stats, stats_of
from cyclr_async.http.tokencall import refusal, token_call
from cyclr_async.http.tokens import OnToken, TokenKeeper
from cyclr_async.http.transport import Stream, Transport
from cyclr_async.http.watch import Watch
from cyclr_async.models import PartnerDetails
from cyclr_async.resources import Accounts, Connectors, PricePlans, Tokens
from cyclr_async.resources.base import check_timeout, model
from cyclr_async.secret import HiddenStr, Secret, SecretUrl

if TYPE_CHECKING:
    import ssl
    from os import PathLike

    import aiohttp

__all__ = ["AsyncPartnerSession"]

T = TypeVar("T")

_TOKEN_TIMEOUT: Final = 30.0
"""Seconds for fetching one access token, whatever the caller's own budget."""

_details = model(PartnerDetails)


class AsyncPartnerSession:
    """A client of the Cyclr partner API. Make one per event loop, share it, and close it: ``async with`` does both.

    It can be made without a running event loop; connections are opened on first use.

    Args:
        auth: an access token, :class:`StaticToken`, :class:`ClientCredentials`, :class:`PasswordGrant`, or an object
            of your own with an async method ``fetch(exchange, previous)``.
        region: the public instance, or its name.
        base_url: the root of the partner API of a private instance; ends in ``/api/partner``. https, or http for a
            loopback host.
        token_url: the token endpoint of a private instance; needed there unless ``auth`` is a fixed token.
        timeouts: how long to wait.
        retry: when to repeat.
        limits: how widely to use the API.
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
        region: Region | str = Region.US,
        base_url: str | URL | None = None,
        token_url: str | URL | None = None,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        limits: Limits | None = None,
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
        self._closed = True  # until everything below has worked, there is nothing to close
        provider = as_provider(auth)
        region = region if isinstance(region, Region) else Region.parse(region)
        self._root = region.base_url if base_url is None else api_url(base_url, name="base_url")
        self._timeouts = Timeouts() if timeouts is None else kind(timeouts, Timeouts, "timeouts")
        limits = Limits() if limits is None else kind(limits, Limits, "limits")
        policy = RetryPolicy() if retry is None else kind(retry, RetryPolicy, "retry")
        clock = SystemClock() if clock is None else checked_clock(clock)
        callable_or_none(on_event, "on_event")
        callable_or_none(on_token, "on_token")
        if getattr(client_session, "auth", None) is not None:
            raise ConfigurationError(
                "client_session has auth= of its own, which aiohttp does not send together with an access token: "
                "make it without"
            )
        self._token_url = self._token_endpoint(provider, region, base_url, token_url)
        network = Network(
            ca_file=ca_file,
            client_certificate=client_certificate,
            ssl_context=ssl_context,
            proxy=None if proxy is None else proxy_url(proxy),
            trace_configs=several(trace_configs, "trace_configs"),
        )
        secure = "https" in {self._root.scheme, self._token_url.scheme if self._token_url else "http"}
        self._pool = Pool(
            origin=self._root,
            needs_tls=secure,
            network=network,
            timeouts=self._timeouts,
            limits=limits,
            borrowed=client_session,
        )
        self._watch = Watch()
        prefix = f"{secrets.token_hex(8)}-"
        numbers = itertools.count(1)
        transport = Transport(
            self._pool, clock, self._watch, read=self._timeouts.read, body_limit=limits.response_bytes, id_prefix=prefix
        )
        self._pipeline = Pipeline(
            transport,
            Limiter(limits.connections, limits.requests_per_second, clock),
            clock,
            self._watch,
            timeouts=self._timeouts,
            effort=Effort(policy, RetryBudget(policy.budget)),
            origin=self._root,
            next_id=lambda: f"{prefix}{next(numbers):06x}",
            on_event=on_event,
        )
        self._pipeline.tokens = self._tokens = TokenKeeper(
            provider, self._exchange, clock, on_token=on_token, on_event=on_event
        )
        self.clock = clock
        self.limits = limits
        self.partner = identity(provider)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = os.getpid()
        self._closed = False
        self.accounts = Accounts(self)
        self.connectors = Connectors(self)
        self.priceplans = PricePlans(self)
        self.tokens = Tokens(self)

    @staticmethod
    def _token_endpoint(
        provider: TokenProvider, region: Region, base_url: str | URL | None, token_url: str | URL | None
    ) -> URL | None:
        if token_url is not None:
            return api_url(token_url, name="token_url")
        if base_url is None:
            return region.token_url
        known = {r.base_url: r.token_url for r in Region}.get(api_url(base_url, name="base_url"))
        if known is None and not isinstance(provider, StaticToken):
            raise ConfigurationError(
                "token_url is missing: a private instance issues tokens at https://{its API host}/oauth/token"
            )
        return known

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **options: Any) -> Self:
        """Make a session from ``CYCLR_*`` variables.

        Credentials: ``CYCLR_ACCESS_TOKEN``; or ``CYCLR_CLIENT_ID`` and ``CYCLR_CLIENT_SECRET``; or
        ``CYCLR_CLIENT_ID``, ``CYCLR_USERNAME`` and ``CYCLR_PASSWORD``; ``CYCLR_ACCOUNT_ID`` restricts the token to
        one account. Place: ``CYCLR_REGION``, or ``CYCLR_BASE_URL`` and ``CYCLR_TOKEN_URL``. Numbers:
        ``CYCLR_TIMEOUT`` (seconds for a whole call), ``CYCLR_CONNECTIONS``, ``CYCLR_REQUESTS_PER_SECOND``. Network:
        ``CYCLR_PROXY``, ``CYCLR_CA_FILE``.

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
        return cls(**{**settings_from(environ), **options})

    @property
    def root(self) -> URL:
        """The root of the partner API."""
        return self._root

    @property
    def closed(self) -> bool:
        """True after :meth:`close`."""
        return self._closed

    async def details(self, *, timeout: float | None = None) -> PartnerDetails:
        """Return the partner's settings.

        Args:
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Raises:
            CyclrError: see :mod:`cyclr_async.errors`.

        Source: *Partner Details*, ``GET details``.
        """
        url = self._root.with_path(f"{self._root.raw_path}/details", encoded=True)
        return await self.send(
            Call(name="details", method="GET", url=url, safety=Safety.SAFE, decode=_details), timeout
        )

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        json: Any = None,
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
        json = None if json is None else raw_body(json)
        if isinstance(json, str):
            raise InvalidArgumentError(f"json cannot be sent as JSON ({json})")
        call = raw_call(self._root, method, path, query=query, body=json, repeatable=repeatable)
        return await self.send(call, timeout)

    def stats(self) -> Stats:
        """Return what is going on: calls in flight and queued, pause, connections, attempts and retries."""
        return stats_of(self._pipeline, self._pool, self._tokens)

    def send(self, call: Call[T], timeout: float | None, effort: Effort | None = None) -> Coroutine[Any, Any, T]:
        """Carry out a call; resources and the bulk collection use it."""
        if timeout is not None:
            timeout = check_timeout(timeout)
        if self._loop is None or not self._pool.is_open:
            return self._send_first(call, timeout, effort)
        self._check()
        return self._pipeline.run(call, timeout=timeout, effort=effort)

    async def _send_first(self, call: Call[T], timeout: float | None, effort: Effort | None) -> T:
        await self._ready(timeout)
        return await self._pipeline.run(call, timeout=timeout, effort=effort)

    @asynccontextmanager
    async def stream(self, call: Call[object], timeout: float | None) -> AsyncIterator[Stream]:
        """Open an answer to be read piece by piece; resources use it."""
        timeout = check_timeout(timeout)
        await self._ready(timeout)
        async with self._pipeline.stream(call, timeout=timeout) as stream:
            yield stream

    async def _exchange(self, form: Mapping[str, str], repeatable: bool) -> AccessToken:
        if self._token_url is None:
            raise ConfigurationError("token_url is missing: the token provider asked for the token endpoint")
        call = token_call(self._token_url, form, repeatable=repeatable)
        try:
            return await self._pipeline.run(call, timeout=_TOKEN_TIMEOUT)
        except ResponseError as error:
            failed = refusal(error) or error
        raise failed

    async def _ready(self, timeout: float | None) -> None:
        if self._loop is None:
            self._check()
            self._loop = _running_loop()
        self._check()
        budget = self._timeouts.deadline if timeout is None else timeout
        scope = self._watch.limit(budget)
        try:
            with scope:
                await self._pool.open()
        except TimeoutError:
            if not scope.expired:
                raise
        else:
            return
        raise DeadlineExceededError(
            f"the certificates could not be read within {budget:g} s: is a file of them on a device that hangs?",
            timeout=budget,
        )

    def _check(self) -> None:
        if self._closed:
            raise SessionClosedError("the session is closed: make a new AsyncPartnerSession")
        if os.getpid() != self._pid:
            raise WrongEventLoopError(
                "the session belongs to the process before fork(): make an AsyncPartnerSession in each process"
            )
        if self._loop is None:
            return
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is not self._loop:
            raise WrongEventLoopError(
                "the session belongs to another event loop: make one AsyncPartnerSession per asyncio.run()"
            )

    async def close(self) -> None:
        """Let calls under way finish for ``Timeouts.close`` seconds, then close every connection. May be repeated.

        In a process that was forked off it does nothing: the connections are those of the parent, which goes on to use
        them.
        """
        first, self._closed = not self._closed, True
        # First, because after fork() asyncio knows of no running loop, although this runs in one.
        if os.getpid() != self._pid:
            self._pool.abandon()
            return
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:  # under trio, for example
            return
        if self._loop is not here:
            return  # nothing was opened here
        if first:
            await self._pipeline.drain(self._timeouts.close)
            await self._tokens.close(self._timeouts.close)
        await self._pool.close()
        self._watch.close()

    async def __aenter__(self) -> Self:
        self._check()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    if not TYPE_CHECKING:

        def __enter__(self) -> NoReturn:
            raise TypeError("use 'async with AsyncPartnerSession(...)': the session is asynchronous")

        def __exit__(self, *_: object) -> None:
            """Exist, so that Python reports the message of __enter__."""

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open" if self._pool.is_open else "not opened yet"
        return f"<AsyncPartnerSession {getattr(self, '_root', 'not made')} {state}>"

    def __del__(self) -> None:
        opened = not getattr(self, "_closed", True) and self._pool.is_open and self._pool.borrowed is None
        if opened and self._pid == os.getpid():
            warnings.warn(
                f"{self!r} was not closed: use 'async with' or await session.close()",
                ResourceWarning,
                source=self,
                stacklevel=1,
            )


def _running_loop() -> asyncio.AbstractEventLoop:
    """Return the event loop that runs.

    Raises:
        WrongEventLoopError: there is none of asyncio's.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        pass
    raise WrongEventLoopError(
        "no event loop of asyncio runs here: use asyncio.run(), or anyio with its asyncio backend, not trio"
    )
