"""The fault server itself, over bare sockets: a fault it does not really inject would prove nothing."""

from __future__ import annotations

import asyncio
import ssl
import time

import pytest

from tests.support.answers import good
from tests.support.ports import ClosedPort, FullBacklog
from tests.support.server import (
    FaultServer,
    Script,
    answer,
    close,
    commit,
    delay,
    drip,
    each_request,
    read_bytes,
    read_request,
    rst,
    script,
    stall,
    write,
)
from tests.support.tls import TlsWorld

GET = b"GET /api/partner/accounts/07/billing HTTP/1.1\r\nHost: x\r\nX-Request-Id: a1\r\n\r\n"
POST = b"POST /api/partner/createaccount HTTP/1.1\r\nX-Request-Id: b2\r\nContent-Length: 4\r\n\r\n{ } "


async def _talk(port: int, *sends: bytes, until: float = 1.0) -> bytes:
    """Send these requests and return everything that came back before the server closed or fell silent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = b""
    try:
        for data in sends:
            writer.write(data)
        async with asyncio.timeout(until):
            while chunk := await reader.read(65536):
                received += chunk
    except TimeoutError:
        received += b"<silence>"
    except ConnectionResetError:
        received += b"<reset>"
    finally:
        writer.close()
        try:
            await writer.wait_closed()
        except ConnectionError:
            received += b""
    return received


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (script(read_request(), close()), b""),
        (script(read_request(), rst()), b"<reset>"),
        (script(read_bytes(3), close()), b""),
        (script(read_request(), write(b"HTTP/1.1 2"), stall()), b"HTTP/1.1 2<silence>"),
        (script(read_request(), drip(b"abc", every=0.001), close()), b"abc"),
        (script(read_request(), delay(0.01), write(b"one"), write(b"two"), close()), b"onetwo"),
        (script(write(b"unasked"), read_request(), close()), b"unasked"),
    ],
    ids=["fin", "rst", "read-some", "stall", "drip", "answer-twice", "answer-first"],
)
async def test_a_script_does_what_it_says(fault: Script, expected: bytes) -> None:
    async with FaultServer(fault) as server:
        assert await _talk(server.port, GET, until=0.15) == expected
        assert server.connections == 1


async def test_requests_and_operations_are_counted() -> None:
    async with FaultServer(script(answer(good), answer(good), close())) as server:
        received = await _talk(server.port, GET, POST)
        assert received.count(b"HTTP/1.1 200") == 2
        assert [(request.method, request.body) for request in server.requests] == [("GET", b""), ("POST", b"{ } ")]
        assert server.committed == {"a1": 1, "b2": 1}


async def test_each_connection_has_its_script_and_the_last_repeats() -> None:
    async with FaultServer(script(read_request(), close()), answer(good)) as server:
        answers = [await _talk(server.port, GET) for _ in range(3)]
        assert [len(received) > 0 for received in answers] == [False, True, True]


async def test_each_request_counts_over_connections() -> None:
    async with FaultServer(each_request(close(), script(commit(), write(good)))) as server:
        assert await _talk(server.port, GET) == b""
        assert (await _talk(server.port, GET, GET, until=0.1)).count(b"HTTP/1.1 200") == 2
        assert server.committed == {"a1": 2}


async def test_a_broken_script_fails_the_test() -> None:
    def bad(_request: object) -> bytes:
        raise LookupError("script bug")

    with pytest.raises(LookupError, match="script bug"):
        async with FaultServer(script(read_request(), write(bad))) as server:
            await _talk(server.port, GET)


async def test_closed_port_refuses_and_full_backlog_hangs() -> None:
    with ClosedPort() as closed, pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", int(closed.base_url.split(":")[2].split("/")[0]))
    with FullBacklog() as full:
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await asyncio.open_connection("127.0.0.1", int(full.base_url.split(":")[2].split("/")[0]))
        assert time.monotonic() - started >= 0.2


@pytest.mark.parametrize(
    ("variant", "complaint"),
    [
        ("self_signed", "self-signed|unable to get|CERTIFICATE_VERIFY"),
        ("wrong_host", "mismatch|not valid"),
        ("expired", "expired"),
        ("old_protocol", "(?i)protocol|alert|version|^$"),
    ],
)
async def test_a_tls_variant_is_wrong_in_its_way(tls_world: TlsWorld, variant: str, complaint: str) -> None:
    client = ssl.create_default_context(cafile=str(tls_world.authority_file))
    async with FaultServer(answer(good), ssl=getattr(tls_world, variant)) as server:
        with pytest.raises((ssl.SSLError, ConnectionError), match=complaint):
            await asyncio.open_connection("127.0.0.1", server.port, ssl=client)
        assert server.request_count == 0


async def test_the_good_tls_variant_is_good(tls_world: TlsWorld) -> None:
    client = ssl.create_default_context(cafile=str(tls_world.authority_file))
    async with FaultServer(script(answer(good), close()), ssl=tls_world.good) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=client)
        writer.write(GET)
        assert (await reader.read(100)).startswith(b"HTTP/1.1 200 OK")
        writer.close()
        await writer.wait_closed()
