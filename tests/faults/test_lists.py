"""The account list when it is long: compressed, over TLS, cut off, and closed while somebody reads it."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
from typing import Any

import aiohttp
import pytest

from cyclr_async import CyclrError, Limits, RetryPolicy, SessionClosedError, Timeouts, TruncatedResponseError
from tests.faults.matrix import after, partner
from tests.support.answers import account_id, http
from tests.support.server import FaultServer, Link, stall, write
from tests.support.tls import TlsWorld
from tests.support.virtual import in_virtual_time

_DICE = random.Random(5)
ROWS = [
    {"Id": f"{_DICE.getrandbits(128):032x}", "Name": f"Customer {number}", "Description": "Made by the portal" * 4}
    for number in range(12_000)
]
PLAIN = json.dumps(ROWS).encode()
PACKED = gzip.compress(PLAIN, 6)

UNHURRIED = Timeouts(connect=20, read=20, attempt=30, deadline=60, close=0.0)
"""A busy machine is no reason for a repetition."""

WAYS: list[Any] = [
    pytest.param({}, id="fast"),
    pytest.param({"trace_configs": [aiohttp.TraceConfig()]}, id="session"),
]


def listing(*, packed: bool, close: bool) -> bytes:
    headers = {"Connection": "close"} if close else {}
    return http(200, PACKED, {**headers, "Content-Encoding": "gzip"}) if packed else http(200, PLAIN, headers)


@pytest.mark.parametrize("options", WAYS)
@pytest.mark.parametrize("slow", [False, True], ids=["quick", "slow"])
@pytest.mark.parametrize(
    ("packed", "close"),
    # The first is the one that was lost, the second the ordinary one.
    [
        (True, True),
        (False, False),
        *(pytest.param(*one, marks=pytest.mark.stress) for one in [(True, False), (False, True)]),
    ],
)
@in_virtual_time
async def test_a_long_list_over_tls_arrives_whole(
    tls_world: TlsWorld, packed: bool, close: bool, slow: bool, options: dict[str, Any]
) -> None:
    """aiohttp forgets what it had not unpacked yet when a TLS connection ends while its parser is paused."""

    async def serve(link: Link) -> None:
        while await link.read_request() is not None:
            await link.write(listing(packed=packed, close=close))
            if close:
                link.fin()
                return

    async with (
        FaultServer(serve, serve, ssl=tls_world.good) as server,
        partner(
            server.base_url,
            ca_file=tls_world.authority_file,
            limits=Limits(reuse_connections=not close),
            timeouts=UNHURRIED,
            **options,
        ) as session,
    ):
        assert len(await session.accounts.list()) == len(ROWS)
        seen = 0
        async for account in session.accounts.iter():
            assert account.id == ROWS[seen]["Id"]
            seen += 1
            if slow and seen % 1000 == 0:
                await asyncio.sleep(0.003)
        assert seen == len(ROWS)
        assert session.stats().retries == 0


@pytest.mark.parametrize("options", WAYS)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
@in_virtual_time
async def test_a_list_that_is_cut_off_is_an_error_after_what_had_arrived(
    packed: bool, share: float, options: dict[str, Any]
) -> None:
    whole = listing(packed=packed, close=True)

    async def cut(link: Link) -> None:
        await link.read_request()
        await link.write(whole[: int(share * len(whole))])
        link.fin()

    async with FaultServer(cut) as server, partner(server.base_url, **options) as session:
        seen: list[str] = []

        async def read() -> None:
            async for account in session.accounts.iter():
                seen.append(account.id)

        with pytest.raises(TruncatedResponseError) as caught:
            await read()
        assert caught.value.sent == "yes"
        assert seen == [row["Id"] for row in ROWS[: len(seen)]]
        assert seen or packed  # what is unpacked in one go may be cut as a whole
        assert len(seen) < len(ROWS)


@pytest.mark.parametrize("options", WAYS)
@pytest.mark.parametrize("way", ["list", "iter"])
@in_virtual_time
async def test_closing_the_session_while_a_list_is_read_is_said_as_such(way: str, options: dict[str, Any]) -> None:
    async def endless(link: Link) -> None:
        await link.read_request()
        await link.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999999999\r\n\r\n[")
        while not link.writer.is_closing():
            try:
                await link.write(json.dumps({"Id": account_id(1), "Name": "x" * 300}).encode() + b",")
            except ConnectionError:
                return
            await asyncio.sleep(0)

    for turns in range(3, 60, 3):
        async with FaultServer(endless) as server:
            session = partner(server.base_url, **options)

            async def read(session: Any = session) -> None:
                if way == "list":
                    await session.accounts.list()
                else:
                    async for _ in session.accounts.iter():
                        pass

            task = asyncio.create_task(read())
            for _ in range(turns):
                await asyncio.sleep(0)
            await session.close()
            with pytest.raises(SessionClosedError):
                await task


@pytest.mark.parametrize("options", WAYS)
@in_virtual_time
async def test_a_list_that_stalls_is_an_error_of_the_package(options: dict[str, Any]) -> None:
    start = http(200, PLAIN)[:300_000]
    async with (
        FaultServer(after(write(start), stall())) as server,
        partner(server.base_url, **options) as session,
    ):
        with pytest.raises(CyclrError):
            async for _ in session.accounts.iter():
                pass


SHORT = json.dumps(ROWS[:300]).encode()
PLANS = json.dumps([{"Id": str(number), "Name": f"Plan ]}},{{ {number}"} for number in range(300)]).encode()


def framed(body: bytes, way: str) -> bytes:
    """A whole answer of which the end may be cut off."""
    if way == "length":
        return http(200, body)
    if way == "gzip":
        return http(200, gzip.compress(body), {"Content-Encoding": "gzip"}, length=False)
    if way == "close":
        return http(200, body, length=False)
    pieces = [body[at : at + 1000] for at in range(0, len(body), 1000)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    return http(200, chunks, {"Transfer-Encoding": "chunked"}, length=False)


def lying(body: bytes, way: str, share: float) -> bytes:
    """A part of an answer in a framing that says it were all: what a proxy makes of a backend that broke off."""
    return framed(body[: int(len(body) * share)], way)


@pytest.mark.parametrize("options", WAYS)
@pytest.mark.parametrize("share", [0.02, 0.5, 0.97])
@pytest.mark.parametrize("way", ["length", "chunked", "close", "gzip", "lying length", "lying chunked"])
@pytest.mark.parametrize("operation", ["accounts", "priceplans"])
@in_virtual_time
async def test_a_list_that_is_cut_off_is_asked_for_again(
    operation: str, way: str, share: float, options: dict[str, Any]
) -> None:
    body = SHORT if operation == "accounts" else PLANS
    whole = framed(body, way.removeprefix("lying "))
    head = whole.index(b"\r\n\r\n") + 4
    part = lying(body, way[6:], share) if way.startswith("lying") else whole[: head + int((len(whole) - head) * share)]
    assert len(part) < len(whole)
    answers = [part, part, whole]

    async def serve(link: Link) -> None:
        await link.read_request()
        await link.write(answers[min(link.server.request_count, 3) - 1])
        link.fin()

    settings: dict[str, Any] = {
        "limits": Limits(reuse_connections=False),
        "retry": RetryPolicy(attempts=4, base=0.001),
        "timeouts": Timeouts(read=10, attempt=20),  # no part of this, however busy the machine
        **options,
    }
    async with FaultServer(serve) as server, partner(server.base_url, **settings) as session:
        assert len(await getattr(session, operation).list()) == 300
        assert server.request_count == 3


@pytest.mark.parametrize("options", WAYS)
@pytest.mark.parametrize("way", ["chunked", "close", "gzip", "lying length", "lying chunked"])
@in_virtual_time
async def test_a_list_that_is_read_as_it_arrives_says_that_it_was_cut_off(way: str, options: dict[str, Any]) -> None:
    whole = framed(SHORT, way.removeprefix("lying "))
    part = lying(SHORT, way[6:], 0.5) if way.startswith("lying") else whole[: len(whole) // 2]

    async def serve(link: Link) -> None:
        await link.read_request()
        await link.write(part)
        link.fin()

    async with FaultServer(serve) as server, partner(server.base_url, **options) as session:
        seen: list[str] = []

        async def read() -> None:
            async for account in session.accounts.iter():
                seen.append(account.id)

        with pytest.raises(TruncatedResponseError):
            await read()
        assert seen == [row["Id"] for row in ROWS[: len(seen)]]
        assert server.request_count == 1
