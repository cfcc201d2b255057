"""Faults before the request: nothing was sent, the server says so too, and so even a write is repeated."""

from __future__ import annotations

import asyncio
import socket

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from cyclr_async import ConnectError, DnsError, OutcomeUnknownError, Timeouts, TlsError, TransportError
from tests.faults.matrix import OPERATIONS, TIMES, WRITES, failure, partner
from tests.support.answers import good, http
from tests.support.ports import ClosedPort, FullBacklog
from tests.support.server import FaultServer, Script, answer, close, read_bytes, rst, script, stall, write
from tests.support.tls import TlsWorld
from tests.support.virtual import in_virtual_time

IMPATIENT = Timeouts(connect=0.3, read=1, attempt=1, deadline=3, close=0.0)
pytestmark = pytest.mark.parametrize("operation", OPERATIONS)


class FailingResolver(AbstractResolver):
    """Knows no name."""

    def __init__(self, error: OSError) -> None:
        self.error = error
        self.asked = 0

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[ResolveResult]:
        self.asked += 1
        raise self.error

    async def close(self) -> None:
        await asyncio.sleep(0)


@in_virtual_time
async def test_refused(operation: str) -> None:
    with ClosedPort() as closed:
        error = await failure(operation, closed.base_url)
    assert (type(error), error.sent, error.attempts) == (ConnectError, "never", 2)


@in_virtual_time
async def test_full_backlog(operation: str) -> None:
    with FullBacklog() as full:
        error = await failure(operation, full.base_url, timeouts=IMPATIENT)
    assert (type(error), error.sent, error.attempts) == (ConnectError, "never", 2)


@pytest.mark.parametrize(
    ("code", "permanent"), [(socket.EAI_NONAME, True), (socket.EAI_AGAIN, False)], ids=["no-such-name", "try-again"]
)
@in_virtual_time
async def test_dns(code: int, permanent: bool, operation: str) -> None:
    resolver = FailingResolver(socket.gaierror(code, "name"))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=resolver)) as own:
        error = await failure(operation, "https://api.example.com/api/partner", client_session=own)
    assert isinstance(error, DnsError)
    assert (error.permanent, error.sent, error.attempts, resolver.asked) == (permanent, "never", 2, 2)


@pytest.mark.parametrize("variant", ["self_signed", "wrong_host", "expired"])
@in_virtual_time
async def test_a_certificate_that_does_not_verify_is_final(tls_world: TlsWorld, variant: str, operation: str) -> None:
    async with FaultServer(answer(good), ssl=getattr(tls_world, variant)) as server:
        error = await failure(operation, server.base_url, ca_file=tls_world.authority_file)
        assert isinstance(error, TlsError)
        assert (error.permanent, error.sent, error.attempts) == (True, "never", 1)
        assert server.request_count == 0


@in_virtual_time
async def test_a_server_with_old_protocols_only(tls_world: TlsWorld, operation: str) -> None:
    async with FaultServer(answer(good), ssl=tls_world.old_protocol) as server:
        error = await failure(operation, server.base_url, ca_file=tls_world.authority_file)
        assert isinstance(error, TlsError)
        assert (error.permanent, error.sent, error.attempts) == (False, "never", 2)
        assert server.request_count == 0


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (script(read_bytes(5), write(http(400)), close()), TlsError),
        (script(write(b"220 mail\r\n"), stall()), TlsError),
        (script(read_bytes(5), close()), TlsError),
        (script(read_bytes(5), rst()), TlsError),
        (stall(), ConnectError),
    ],
    ids=["http", "mail", "fin", "rst", "silent"],
)
@in_virtual_time
async def test_https_to_a_plain_port(fault: Script, kind: type[ConnectError], operation: str) -> None:
    async with FaultServer(fault) as server:
        error = await failure(
            operation, server.base_url.replace("http:", "https:"), timeouts=IMPATIENT if kind is ConnectError else TIMES
        )
        assert (type(error), error.sent, error.attempts) == (kind, "never", 2)
        assert (server.request_count, server.connections) == (0, 2)


@in_virtual_time
async def test_http_to_a_tls_port(tls_world: TlsWorld, operation: str) -> None:
    """Bytes did leave, so for a write this is an unknown outcome, although this server could not read them."""
    async with FaultServer(answer(good), ssl=tls_world.good) as server:
        error = await failure(operation, server.base_url.replace("https:", "http:"))
        if operation in WRITES:
            assert (type(error), error.attempts) == (OutcomeUnknownError, 1)
        else:
            assert isinstance(error, TransportError)
            assert error.attempts == 2
        assert error.sent != "never"
        assert server.request_count == 0


@in_virtual_time
async def test_good_tls_works(tls_world: TlsWorld, operation: str) -> None:
    async with FaultServer(answer(good), ssl=tls_world.good) as server:
        async with partner(server.base_url, ca_file=tls_world.authority_file) as session:
            await OPERATIONS[operation](session)
        assert server.executed == 1


@in_virtual_time
async def test_a_host_name_that_cannot_be_encoded(operation: str) -> None:
    error = await failure(operation, f"https://{'a' * 70}.example.com/api/partner")
    assert isinstance(error, ConnectError)
    assert error.sent == "never"
