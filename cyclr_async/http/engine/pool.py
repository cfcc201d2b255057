"""The aiohttp sessions: made once, on first use, with every setting that aiohttp leaves open decided."""

from __future__ import annotations

import asyncio
import os
import platform
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import attrs
from yarl import URL

from cyclr_async._version import __version__
from cyclr_async.checks import kind, shown
from cyclr_async.config import Limits, Timeouts
from cyclr_async.errors import ConfigurationError, SessionClosedError
from cyclr_async.http.engine.borrowed import Middleware, check_loop, check_session, middlewares_for
from cyclr_async.http.engine.client_session import ClientSessionEngine
from cyclr_async.http.engine.connector import GuardedConnector
from cyclr_async.http.engine.direct import DirectReads
from cyclr_async.http.engine.engine import Engine
from cyclr_async.http.engine.errors import CLOSED, Translator
from cyclr_async.secret import SecretUrl

if TYPE_CHECKING:
    from os import PathLike

__all__ = ["Network", "Pool"]

HEADERS: Final = {
    "Accept": "application/json",
    # Only what is unpacked here within limits; aiohttp would add deflate, and br where a package for it is installed.
    "Accept-Encoding": "gzip",
    "User-Agent": f"cyclr-async/{__version__} Python/{platform.python_version()} aiohttp/{aiohttp.__version__}",
}
_LISTEN: Final = 0.25
"""The longest time, in seconds, that a connection without reuse is listened to before its request is sent: enough for a
round trip around the world."""


@attrs.frozen(kw_only=True)
class Network:
    """What lies between this process and the server.

    Attributes:
        ca_file: a PEM file of certificate authorities to trust besides the system's.
        client_certificate: PEM files of a certificate and its key, for mutual TLS.
        ssl_context: a ready context instead of the two above.
        proxy: the URL of an HTTP proxy; may carry credentials, which are never shown.
        trace_configs: aiohttp trace configurations, for OpenTelemetry and the like.
    """

    ca_file: str | PathLike[str] | None = None
    client_certificate: tuple[str | PathLike[str], str | PathLike[str]] | None = None
    ssl_context: ssl.SSLContext | None = attrs.field(default=None, repr=False)
    proxy: SecretUrl | None = None
    trace_configs: Sequence[aiohttp.TraceConfig] = ()

    def __attrs_post_init__(self) -> None:
        pair = self.client_certificate
        if pair is not None and not (isinstance(pair, (tuple, list)) and len(pair) == 2 and None not in pair):
            raise ConfigurationError(
                "client_certificate must be two files: that of the certificate and that of its key"
            )
        if self.ssl_context is not None:
            kind(self.ssl_context, ssl.SSLContext, "ssl_context")
        files = [self.ca_file, *(pair or ())]
        for config in self.trace_configs:
            kind(config, aiohttp.TraceConfig, "each of trace_configs")
        if self.ssl_context is not None and any(file is not None for file in files):
            raise ConfigurationError("give either ssl_context, or ca_file and client_certificate, not both")
        for file in files:
            if file is not None and not _is_file(file):
                raise ConfigurationError(
                    f"there is no file {shown(file, 300)}: ca_file and client_certificate name PEM files"
                )

    def tls(self) -> ssl.SSLContext:
        """Build the TLS context: verified, TLS 1.2 or later. Reads files, so it is called off the event loop."""
        if self.ssl_context is not None:
            return self.ssl_context
        # The defaults verify certificates and host names; they are never switched off, which is why there is no
        # setting.
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        problem = None
        locked: list[str] = []

        def no_password() -> str:
            # Without a function to ask, OpenSSL asks at the terminal and waits.
            locked.append("client_certificate")
            return ""

        try:
            if self.ca_file is not None:
                context.load_verify_locations(cafile=self.ca_file)
            if self.client_certificate is not None:
                certificate, key = self.client_certificate
                context.load_cert_chain(certificate, key, no_password)
        except (ssl.SSLError, OSError, ValueError) as error:
            problem = (
                f"ca_file or client_certificate cannot be used ({error.__class__.__name__}): they must be PEM files, "
                "and a certificate and its key must belong together"
            )
        if locked:
            problem = (
                "the key of client_certificate is encrypted: decrypt it (openssl pkey -in key.pem -out plain.pem), or "
                "load it with its password into an ssl.SSLContext and give that as ssl_context"
            )
        if problem:
            raise ConfigurationError(problem)
        return context


def _is_file(file: object) -> bool:
    try:
        return isinstance(file, (str, os.PathLike)) and Path(file).is_file()
    except (OSError, ValueError, TypeError):  # a name that is too long, or holds a NUL
        return False


class Pool:
    """The connections of a session: one pool for what may be repeated, and connections of their own for writes.

    A write on an idle connection cannot tell "the server closed it before" from "the server died while working on it".
    On a new connection the question does not arise.

    Args:
        origins: URLs that are asked; plain reads of their hosts need no layers of a session.
        needs_tls: False when every URL is plain http on a loopback host: then no TLS context is built.
        network: proxy, certificates, trace configurations.
        timeouts: for connecting and reading.
        limits: keep-alive and reuse.
        borrowed: a session of the caller's, used for everything and never closed.

    Raises:
        ConfigurationError: the borrowed session cannot work.
    """

    def __init__(
        self,
        *,
        origins: tuple[URL, ...],
        needs_tls: bool,
        network: Network,
        timeouts: Timeouts,
        limits: Limits,
        borrowed: aiohttp.ClientSession | None,
    ) -> None:
        self._origins = origins
        self._needs_tls = needs_tls
        self._network = network
        self._limits = limits
        self._opening: asyncio.Task[None] | None = None
        self._closed = False
        if borrowed is not None:
            check_session(borrowed)
        self.borrowed = borrowed
        self.middlewares: tuple[Middleware, ...] | None = None
        """What every request of a borrowed session passes through."""
        # The pipeline watches over silence and length of an attempt itself, with one timer for all calls.
        self.timeout: aiohttp.ClientTimeout = aiohttp.ClientTimeout(
            total=None, connect=None, sock_connect=timeouts.connect, sock_read=None
        )
        self.proxy: URL | None = URL(network.proxy.reveal()) if network.proxy is not None else None
        self.reads: aiohttp.ClientSession | None = borrowed
        self.writes: aiohttp.ClientSession | None = borrowed
        self._translator = Translator(lambda: self.closed, proxy=self.proxy, borrowed=borrowed is not None)
        self._through_session = ClientSessionEngine(self, HEADERS, self._translator)
        self.engine: Engine = self._through_session
        """What sends. Until the pool is open and after it was closed, it refuses to."""
        self._connectors: list[GuardedConnector] = []

    @property
    def closed(self) -> bool:
        """True after :meth:`close`, and when a borrowed session was closed by its owner."""
        return self._closed or (self.borrowed is not None and self.borrowed.closed)

    @property
    def is_open(self) -> bool:
        """True once the sessions exist."""
        return self.reads is not None and not self._closed

    @property
    def created(self) -> int:
        """Connections opened so far."""
        return sum(connector.created for connector in self._connectors)

    @property
    def reused(self) -> int:
        """Requests that were sent on a connection opened for an earlier one."""
        return sum(connector.reused for connector in self._connectors)

    @property
    def dropped(self) -> int:
        """Idle connections that were not reused because something arrived on them unasked."""
        return sum(connector.dropped for connector in self._connectors)

    async def open(self) -> None:
        """Make the sessions, once, however many callers arrive together and whoever of them is cancelled."""
        if self._closed:
            raise SessionClosedError(CLOSED)
        if self.borrowed is not None:
            check_loop(self.borrowed)
            self.middlewares = middlewares_for(self.borrowed)
        if self.reads is not None:
            return
        if not self._needs_tls:
            self._build(None)
            return
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_task(self._open(), name="cyclr-async-open")
            self._opening.add_done_callback(self._opened)
        await asyncio.shield(self._opening)

    def _opened(self, task: asyncio.Task[None]) -> None:
        self._opening = None
        if not task.cancelled():
            task.exception()  # retrieved here too, for the case that every caller was cancelled

    async def _open(self) -> None:
        # Reading the certificate store takes tens of milliseconds; the loop has other things to do.
        context = await asyncio.get_running_loop().run_in_executor(None, self._network.tls)
        if not self._closed:
            self._build(context)

    def _build(self, context: ssl.SSLContext | None) -> None:
        secure: dict[str, Any] = {} if context is None else {"ssl": context}
        reuse: dict[str, Any] = (
            {"keepalive_timeout": self._limits.keepalive} if self._limits.reuse_connections else {"force_close": True}
        )
        # The limiter bounds the connections; a second bound in the pool would only make calls queue twice.
        listen = None if self._limits.reuse_connections else _LISTEN
        connector = GuardedConnector(limit=0, listen=listen, **reuse, **secure)
        self.reads = self._session(connector)
        # No limit here either, and no reuse: see the docstring of this class.
        self.writes = self._session(GuardedConnector(limit=0, force_close=True, **secure))
        # Asked of the session, because instrumentation adds trace configurations behind everybody's back.
        if self._limits.direct_reads and self.proxy is None and not self.reads.trace_configs:
            direct = DirectReads.made(
                self.reads,
                connector,
                self._origins,
                HEADERS,
                self.timeout,
                translator=self._translator,
                otherwise=self._through_session,
            )
            self.engine = direct or self._through_session

    def _session(self, connector: GuardedConnector) -> aiohttp.ClientSession:
        self._connectors.append(connector)
        return aiohttp.ClientSession(
            connector=connector,
            timeout=self.timeout,
            # A cookie could carry one partner's state into the calls of another, and no API here needs one.
            cookie_jar=aiohttp.DummyCookieJar(),
            # Neither a proxy nor credentials from the environment: what the token passes through is said in the code.
            trust_env=False,
            headers=HEADERS,
            trace_configs=list(self._network.trace_configs),
        )

    def abandon(self) -> None:
        """Forget everything in a process that was forked off, where it belongs to the parent: close nothing."""
        self._closed = True
        self.engine = self._through_session
        if self.borrowed is None:
            for session in (self.reads, self.writes):
                if session is not None:
                    session.detach()

    async def close(self) -> None:
        """Close what this pool opened; a borrowed session stays open. May be called again."""
        self._closed = True
        self.engine = self._through_session
        if self._opening is not None:
            # Else it would build sessions after this, and nobody would close them.
            await asyncio.wait([self._opening])
        if self.borrowed is None:
            for session in (self.reads, self.writes):
                if session is not None:
                    await session.close()
