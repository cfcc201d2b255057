"""Foreign exceptions become ours: the right class, what is proven of the sending, and nothing of the foreign one."""

from __future__ import annotations

import errno
import socket
import ssl

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.http_exceptions import BadStatusLine, HttpProcessingError
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from cyclr_async.errors import (
    ConnectError,
    CyclrError,
    DnsError,
    ProtocolError,
    ReadTimeoutError,
    Sent,
    TlsError,
    TransportError,
    TruncatedResponseError,
)
from cyclr_async.http.engine.body import BrokenBody
from cyclr_async.http.engine.connector import SecondSend
from cyclr_async.http.engine.errors import FOREIGN, translate

KEY = ConnectionKey("host.example", 443, True, True, None, None, None)
INFO = aiohttp.RequestInfo(
    URL("https://host.example/?token=hush"), "GET", CIMultiDictProxy(CIMultiDict({"Authorization": "Bearer hush"}))
)


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


def translated(
    error: BaseException, *, connected: bool = True, status: int | None = None, secure: bool = False
) -> CyclrError:
    assert isinstance(error, FOREIGN)
    ours = translate(error, operation="accounts.usage", connected=connected, status=status, secure=secure)
    assert ours.message.startswith("accounts.usage: ")
    assert "hush" not in str(ours) + repr(ours) + str(vars(ours))
    assert ours.__cause__ is ours.__context__ is None
    return ours


REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
RESET = ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
UNKNOWN_HOST = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
TRY_AGAIN = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (aiohttp.ClientConnectorError(KEY, REFUSED), ConnectError, "no connection could be made (Connection refused)"),
        (aiohttp.ClientConnectorDNSError(KEY, UNKNOWN_HOST), DnsError, "could not be resolved"),
        (aiohttp.ClientConnectorDNSError(KEY, TRY_AGAIN), DnsError, "could not be resolved"),
        (aiohttp.ClientConnectorError(KEY, TRY_AGAIN), DnsError, "could not be resolved"),
        (aiohttp.ClientConnectorCertificateError(KEY, ssl.SSLCertVerificationError("hush")), TlsError, "certificate"),
        (aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError(1, "hush")), TlsError, "the TLS handshake failed"),
        (aiohttp.ServerFingerprintMismatch(b"a", b"b", "host", 443), TlsError, "the TLS handshake failed"),
        (aiohttp.ClientConnectorError(KEY, ssl.SSLError(1, "hush")), TlsError, "the TLS handshake failed"),
        (ssl.SSLError(1, "hush"), TlsError, "the TLS handshake failed"),
        (caused(OSError("hush"), ssl.SSLError(1, "hush")), TlsError, "the TLS handshake failed"),
        (aiohttp.ConnectionTimeoutError("hush"), ConnectError, "connecting took longer than Timeouts.connect"),
        (TimeoutError(), ConnectError, "connecting took longer than Timeouts.connect"),
        (aiohttp.ClientProxyConnectionError(KEY, REFUSED), ConnectError, "the proxy cannot be reached"),
        (aiohttp.ClientHttpProxyError(INFO, (), status=407, message="hush"), ConnectError, "wants credentials: give"),
        (aiohttp.ClientHttpProxyError(INFO, (), status=502, message="hush"), ConnectError, "(it answered 502)"),
        (aiohttp.ClientOSError(errno.ENETUNREACH, "hush"), ConnectError, "made (ClientOSError)"),
        (aiohttp.ClientConnectorError(KEY, RESET), ConnectError, "made (Connection reset by peer)"),
        (aiohttp.ClientConnectorError(KEY, OSError(1, "bad\x1btext")), ConnectError, "made (ClientConnectorError)"),
        (aiohttp.ClientConnectorError(KEY, OSError(1, "x" * 300)), ConnectError, f"made ({'x' * 120})"),
        (SecondSend(), ConnectError, "made (SecondSend)"),
    ],
)
def test_before_a_connection_nothing_was_sent(error: BaseException, kind: type[CyclrError], words: str) -> None:
    ours = translated(error, connected=False, status=None)
    assert type(ours) is kind
    assert ours.sent == "never"
    assert words in ours.message


@pytest.mark.parametrize("error", [aiohttp.ClientConnectorError(KEY, REFUSED), aiohttp.ConnectionTimeoutError("late")])
def test_a_failure_to_connect_is_one_also_when_a_connection_was_handed_over_before(error: BaseException) -> None:
    ours = translated(error, connected=True)
    assert type(ours) is ConnectError
    assert ours.sent == "never"


def test_only_what_will_not_change_is_permanent() -> None:
    certificate = aiohttp.ClientConnectorCertificateError(KEY, ssl.SSLCertVerificationError("x"))
    handshake = aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError(1, "x"))
    unknown = aiohttp.ClientConnectorDNSError(KEY, UNKNOWN_HOST)
    again = aiohttp.ClientConnectorDNSError(KEY, TRY_AGAIN)
    assert [
        getattr(translated(error, connected=False), "permanent", None)
        for error in (certificate, handshake, unknown, again)
    ] == [True, False, True, False]


def test_a_reset_during_the_handshake_is_one_of_tls_only_where_there_is_tls() -> None:
    error = aiohttp.ClientConnectorError(KEY, RESET)
    assert type(translated(error, connected=False, secure=True)) is TlsError
    assert type(translated(error, connected=False, secure=False)) is ConnectError
    refused = aiohttp.ClientConnectorError(KEY, REFUSED)
    assert type(translated(refused, connected=False, secure=True)) is ConnectError


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (aiohttp.SocketTimeoutError("hush"), ReadTimeoutError, "the server stopped answering (SocketTimeoutError)"),
        (TimeoutError(), ReadTimeoutError, "the server stopped answering (TimeoutError)"),
        (aiohttp.ClientPayloadError("hush"), TruncatedResponseError, "the connection ended within the answer"),
        (BrokenBody("no gzip"), ProtocolError, "no gzip"),
        (BrokenBody("half a gzip", cut=True), TruncatedResponseError, "half a gzip"),
        (aiohttp.ServerDisconnectedError(), TransportError, "the connection was closed before the answer came"),
        (aiohttp.ClientOSError(errno.ECONNRESET, "hush"), TransportError, "(ClientOSError)"),
        (ConnectionResetError("hush"), TransportError, "(ConnectionResetError)"),
        (BrokenPipeError("hush"), TransportError, "(BrokenPipeError)"),
        (ssl.SSLError(1, "hush"), TransportError, "(SSLError)"),
        (SecondSend(), TransportError, "(SecondSend)"),
    ],
)
@pytest.mark.parametrize(("status", "sent"), [(None, "maybe"), (200, "yes"), (503, "yes")])
def test_after_a_connection_it_may_have_been_sent_and_an_answer_proves_it(
    error: BaseException, kind: type[CyclrError], words: str, status: int | None, sent: Sent
) -> None:
    ours = translated(error, status=status)
    assert type(ours) is kind
    assert ours.sent == sent
    assert isinstance(ours, TransportError)
    assert ours.status == status
    assert words in ours.message


@pytest.mark.parametrize(
    "error",
    [
        aiohttp.ClientResponseError(INFO, (), status=400, message="hush"),
        aiohttp.ContentTypeError(INFO, (), status=200, message="hush"),
        BadStatusLine("hush"),
        HttpProcessingError(code=400, message="hush"),
    ],
)
def test_what_is_not_http_proves_that_something_arrived_and_its_status_is_never_believed(error: BaseException) -> None:
    ours = translated(error)
    assert type(ours) is ProtocolError
    assert ours.sent == "yes"
    assert isinstance(ours, ProtocolError)
    assert ours.status is None
    assert "what came back is not HTTP" in ours.message
