"""From every exception of aiohttp, ssl and the operating system to one of ours."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Any, Final

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from cyclr_async.errors import (
    ConfigurationError,
    ConnectError,
    CyclrError,
    DesynchronizedError,
    DnsError,
    ProtocolError,
    ReadTimeoutError,
    Sent,
    SessionClosedError,
    TlsError,
    TransportError,
    TruncatedResponseError,
)
from cyclr_async.http.engine.body import BrokenBody
from cyclr_async.http.engine.connector import SecondSend, SpokeFirstError
from cyclr_async.http.request import Request
from cyclr_async.http.timeouts import Attempt

__all__ = ["CLOSED", "FOREIGN", "SENDING", "Translator", "translate"]

CLOSED: Final = "the session is closed: make a new AsyncPartnerSession"

FOREIGN: Final = (aiohttp.ClientError, HttpProcessingError, SecondSend, BrokenBody, OSError, TimeoutError, ssl.SSLError)
"""What an attempt can raise besides our own errors and cancellation."""
SENDING: Final = (*FOREIGN, RuntimeError, ValueError)
"""What sending can raise: besides those, what aiohttp raises for a request it refuses and for a session that is closed.
Reading an answer cannot: there these two would be faults of this package, and are not made to look like others."""

_NO_CONNECTION: Final = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError)


def translate(
    error: BaseException,
    *,
    operation: str,
    connected: bool,
    status: int | None,
    secure: bool = False,
    proxy: URL | None = None,
) -> CyclrError:
    """Return our exception for a foreign one. Nothing of the foreign one is kept but its class name.

    Args:
        error: what was caught.
        operation: the operation, for the message.
        connected: False when no connection had been handed over, which proves that nothing was sent.
        status: the HTTP status, when one had been read.
        secure: whether the URL is https.
        proxy: the proxy in between; its credentials are not shown.
    """
    if isinstance(error, SpokeFirstError):
        return DesynchronizedError(
            f"{operation}: the server sent something before it was asked; it was discarded with its connection",
            sent="never",
        )
    # A borrowed session does not say when a connection is handed over; these errors say that none was.
    if not connected or isinstance(error, _NO_CONNECTION):
        return _not_sent(error, operation, secure=secure, proxy=proxy)
    sent: Sent = "yes" if status is not None else "maybe"
    kind: type[TransportError]
    if isinstance(error, TimeoutError):
        kind, what = ReadTimeoutError, "the server stopped answering"
    elif isinstance(error, BrokenBody):
        kind = TruncatedResponseError if error.cut else ProtocolError
        return kind(f"{operation}: {error.what}", sent=sent, status=status)
    elif isinstance(error, aiohttp.ClientPayloadError):
        kind, what = TruncatedResponseError, "the connection ended within the answer"
    elif isinstance(error, (aiohttp.ClientResponseError, HttpProcessingError)):
        kind, what, sent = ProtocolError, "what came back is not HTTP", "yes"
    elif isinstance(error, SecondSend):
        kind, what = TransportError, "the connection broke, or a middleware was about to send the request again"
    else:
        kind, what = TransportError, "the connection was closed before the answer came"
    return kind(f"{operation}: {what} ({type(error).__name__})", sent=sent, status=status)


class Translator:
    """Makes our errors of what aiohttp raises, for everything that is sent with one pool.

    Args:
        closed: tells whether the pool was closed meanwhile.
        proxy: in between; its credentials are not shown.
        borrowed: whether the session is the caller's, and with it what aiohttp refuses.
    """

    __slots__ = ("_borrowed", "_closed", "_proxy")

    def __init__(self, closed: Callable[[], bool], *, proxy: URL | None, borrowed: bool) -> None:
        self._closed = closed
        self._proxy = proxy
        self._borrowed = borrowed

    def failure(self, error: BaseException, call: Request[Any], attempt: Attempt) -> CyclrError:
        """Return our error for what an attempt has raised: one of :data:`SENDING`.

        Raises:
            BaseException: the error itself, when it is neither about the request nor about the connection.
        """
        if isinstance(error, CyclrError):
            return error  # ours that also are OSErrors or ValueErrors, such as ConnectError
        if not isinstance(error, FOREIGN):
            # What is left are RuntimeError and ValueError, which say nothing by their class.
            return self._unusable(error, call, attempt)
        if self._closed():
            return SessionClosedError(
                f"{call.name}: the session was closed while the call was under way",
                sent="maybe" if attempt.connected else "never",
            )
        return translate(
            error,
            operation=call.name,
            connected=attempt.connected,
            status=attempt.status,
            secure=call.url.scheme == "https",
            proxy=self._proxy,
        )

    def _unusable(self, error: BaseException, call: Request[Any], attempt: Attempt) -> CyclrError:
        if isinstance(error, ValueError) and not isinstance(error, UnicodeError) and not attempt.connected:
            # Not shown: it may hold a header, and with it the token.
            return ConfigurationError(
                f"{call.name}: aiohttp refused the request before it was sent. A client_session must not have auth= or "
                "credentials for this host in .netrc: aiohttp does not send them together with an access token"
                if self._borrowed
                else f"{call.name}: aiohttp refused the request before it was sent"
            )
        if self._closed():
            return SessionClosedError(CLOSED)
        if attempt.connected:
            raise error
        return ConnectError(f"{call.name}: no connection could be made ({type(error).__name__})", sent="never")


def _not_sent(error: BaseException, operation: str, *, secure: bool, proxy: URL | None) -> ConnectError:
    name = type(error).__name__
    cause = getattr(error, "os_error", None) or error.__cause__
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return _refused_by_proxy(error.status, operation, proxy)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        tls = TlsError(f"{operation}: the certificate of the server was not accepted ({name})", sent="never")
        tls.permanent = True
        return tls
    # A server that only speaks older versions often resets instead of answering; nothing else resets before a request.
    reset = secure and isinstance(cause, ConnectionResetError)
    # A certificate is told from the rest of TLS: it will not verify next time either, a handshake may well succeed.
    tls_kinds = (aiohttp.ClientSSLError, aiohttp.ServerFingerprintMismatch, ssl.SSLError)
    if reset or isinstance(error, tls_kinds) or isinstance(cause, ssl.SSLError):
        return TlsError(f"{operation}: the TLS handshake failed ({name})", sent="never")
    if isinstance(error, aiohttp.ClientConnectorDNSError) or isinstance(cause, socket.gaierror):
        dns = DnsError(f"{operation}: the host name could not be resolved ({name})", sent="never")
        # A resolver that fails is asked again; a name that does not exist is not.
        dns.permanent = getattr(cause, "errno", None) == socket.EAI_NONAME
        return dns
    if isinstance(error, TimeoutError):
        return ConnectError(f"{operation}: connecting took longer than Timeouts.connect ({name})", sent="never")
    reason = getattr(cause, "strerror", None)
    detail = reason if isinstance(reason, str) and reason.isprintable() else name
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return ConnectError(f"{operation}: {_named(proxy)} cannot be reached ({detail[:120]})", sent="never")
    through = "" if proxy is None else f" through {_named(proxy)}"
    return ConnectError(f"{operation}: no connection could be made{through} ({detail[:120]})", sent="never")


def _named(proxy: URL | None) -> str:
    return "the proxy" if proxy is None else f"the proxy {proxy.origin()}"  # the origin has no credentials


def _refused_by_proxy(status: int, operation: str, proxy: URL | None) -> ConnectError:
    """Return the error for a proxy that was asked for a tunnel and answered that there will be none."""
    if status == 407:
        what = "wants other credentials" if proxy is not None and proxy.user else "wants credentials"
        what += ": give them as proxy='http://user:password@host:port'"
    else:
        what = "did not open a connection to the server"
    error = ConnectError(f"{operation}: {_named(proxy)} {what} (it answered {status})", sent="never")
    # What a proxy forbids it forbids next time too; 408, 429 and 5xx pass.
    error.permanent = status < 500 and status not in {408, 429}
    return error
