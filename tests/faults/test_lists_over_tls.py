"""A server that closes a TLS connection right after its answer, and a reader that is slower than the server."""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
from typing import Any

import aiohttp
import pytest

from cyclr_async import AsyncPartnerSession, Limits, RetryPolicy, Timeouts
from tests.support.answers import account_id, http
from tests.support.canary import BEARER
from tests.support.server import FaultServer, Link
from tests.support.tls import TlsWorld

COUNT = 4_400
"""As many as fill the buffers of a client that pauses its parser, and leave the end for what comes with the close."""
ROWS = [{"Id": account_id(number * 7919**8 % 2**128), "Name": "Made by the portal " * 5} for number in range(COUNT)]
PLAIN = json.dumps(ROWS).encode()
PACKED = gzip.compress(PLAIN, 6)
PATIENT = Timeouts(connect=20, read=20, attempt=60, deadline=60, close=0.0)


def answer(framing: str, packed: bool, chunk: int = 1000) -> bytes:
    body = PACKED if packed else PLAIN
    headers = {"Connection": "close"}
    if packed:
        headers["Content-Encoding"] = "gzip"
    if framing == "length":
        return http(200, body, headers)
    if framing == "end":
        return http(200, body, headers, length=False)
    pieces = (body[start : start + chunk] for start in range(0, len(body), chunk))
    parts = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return http(200, parts + b"0\r\n\r\n", {**headers, "Transfer-Encoding": "chunked"}, length=False)


async def read(session: AsyncPartnerSession, how: str) -> int:
    if how == "list":
        return len(await session.accounts.list())
    if how == "request":
        return len((await session.request("GET", "accounts")).json())
    seen = 0
    async for account in session.accounts.iter():
        assert account.id == ROWS[seen]["Id"]
        if seen % 500 == 0:
            await asyncio.sleep(0.02)
        seen += 1
    return seen


@pytest.mark.parametrize(
    ("how", "way"),
    [("iter", "own"), ("iter", "borrowed"), ("list", "own"), ("request", "own"), ("request", "borrowed")],
)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("framing", ["chunked", "length", "end"])
async def test_nothing_is_lost(tls_world: TlsWorld, framing: str, packed: bool, how: str, way: str) -> None:
    data = answer(framing, packed)

    async def serve(link: Link) -> None:
        await link.read_request()
        await link.write(data)
        link.fin()

    options: dict[str, Any] = {"timeouts": PATIENT, "retry": RetryPolicy(attempts=1)}
    async with FaultServer(serve, ssl=tls_world.good) as server:
        if way == "own":
            options["ca_file"] = tls_world.authority_file
            async with AsyncPartnerSession(BEARER, base_url=server.base_url, **options) as session:
                assert await read(session, how) == COUNT
        else:
            trust = ssl.create_default_context(cafile=tls_world.authority_file)
            async with (
                aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as own,
                AsyncPartnerSession(BEARER, base_url=server.base_url, client_session=own, **options) as session,
            ):
                assert await read(session, how) == COUNT


async def test_nothing_is_lost_of_the_smallest_chunks(tls_world: TlsWorld) -> None:
    """The parser counts chunks too, and pauses at so many."""
    body = PLAIN[:80_000] + b"[]"
    parts = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
    data = http(200, parts + b"0\r\n\r\n", {"Connection": "close", "Transfer-Encoding": "chunked"}, length=False)

    async def serve(link: Link) -> None:
        await link.read_request()
        await link.write(data)
        link.fin()

    async with (
        FaultServer(serve, ssl=tls_world.good) as server,
        AsyncPartnerSession(
            BEARER,
            base_url=server.base_url,
            ca_file=tls_world.authority_file,
            timeouts=PATIENT,
            limits=Limits(reuse_connections=False),
        ) as session,
    ):
        assert (await session.request("GET", "accounts")).body == body


async def test_a_reader_that_pauses_keeps_little_in_memory(tls_world: TlsWorld) -> None:
    """What the reader does not want yet stays with the server."""
    sent = 0

    async def endless(link: Link) -> None:
        nonlocal sent
        await link.read_request()
        await link.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[\r\n"
        )
        row = json.dumps(ROWS[0]).encode() + b","
        chunk = b"%x\r\n%b\r\n" % (len(row) * 100, row * 100)
        while not link.writer.is_closing():
            await link.write(chunk)
            sent += len(chunk)

    async with (
        FaultServer(endless, ssl=tls_world.good) as server,
        AsyncPartnerSession(
            BEARER, base_url=server.base_url, ca_file=tls_world.authority_file, timeouts=PATIENT
        ) as session,
    ):
        accounts = session.accounts.iter()
        await anext(accounts)
        before, now = -1, sent
        while now > before:
            await asyncio.sleep(0.1)
            before, now = now, sent
        assert sent < 32 * 1024 * 1024, "nobody held the server back"
        await anext(accounts)
        await accounts.aclose()
