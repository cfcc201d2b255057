"""The body of an error is decoration: status and headers decide, whatever happens while it is read."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from cyclr_async import (
    AsyncPartnerSession,
    AuthenticationError,
    BadRequestError,
    ClientCredentials,
    CyclrError,
    NotFoundError,
    RateLimitedError,
    ResponseError,
    RetryPolicy,
    ServerError,
    Timeouts,
)
from tests.support.answers import ACCOUNT, good, http, json_http
from tests.support.canary import CLIENT_SECRET, assert_no_canary
from tests.support.server import FaultServer, Link, Script, close, delay, rst, script, stall, write
from tests.support.virtual import LoopClock, in_virtual_time

# The limits of an attempt are long: what ends the waiting for an error's body is shorter than they are.
TIMES = Timeouts(connect=5, read=20, attempt=20, deadline=20, close=0.0)
POLICY = RetryPolicy(attempts=2, base=0.01, throttled_base=0.01, cap=0.02)
BOMB = gzip.compress(bytes(2**20)) * 16
SAID = b'{"Message": "it says why"}'


def split(status: int, body: bytes, headers: dict[str, str], *ends: Script, length: bool = True) -> Script:
    """The head, and after a moment a body that is broken."""
    head, _, rest = http(status, body, headers, length=length).partition(b"\r\n\r\n")
    return script(write(head + b"\r\n\r\n"), delay(0.002), write(rest), *ends)


def joined(status: int, body: bytes, headers: dict[str, str], *ends: Script, length: bool = True) -> Script:
    """The same in one piece."""
    return script(write(http(status, body, headers, length=length)), *ends)


Make = Callable[[int, dict[str, str]], Script]
GZIP = {"Content-Encoding": "gzip"}
CHUNKED = {"Transfer-Encoding": "chunked"}
BROKEN: dict[str, Make] = {
    "half": lambda status, more: joined(status, SAID[:9], {"Content-Length": "90", **more}, close()),
    "half, later": lambda status, more: split(status, SAID[:9], {"Content-Length": "90", **more}, close()),
    "nothing": lambda status, more: joined(status, b"", {"Content-Length": "90", **more}, close()),
    "reset": lambda status, more: joined(status, SAID[:9], {"Content-Length": "90", **more}, delay(0.01), rst()),
    "no gzip": lambda status, more: joined(status, SAID, {**GZIP, **more}),
    "no gzip, later": lambda status, more: split(status, SAID, {**GZIP, **more}),
    "half a gzip": lambda status, more: joined(status, gzip.compress(SAID)[:25], {**GZIP, **more}),
    "no gzip, chunked": lambda status, more: joined(
        status, b"5\r\nabcde\r\n0\r\n\r\n", {**GZIP, **CHUNKED, **more}, length=False
    ),
    "brotli": lambda status, more: joined(status, b"\x0b\x02\x80", {"Content-Encoding": "br", **more}),
    "bad chunk": lambda status, more: joined(status, b"zz\r\n{}\r\n", {**CHUNKED, **more}, close(), length=False),
    "bad chunk, later": lambda status, more: split(status, b"zz\r\n{}\r\n", {**CHUNKED, **more}, close(), length=False),
    "bad second chunk": lambda status, more: joined(
        status, b"2\r\n{}\r\nzz\r\n", {**CHUNKED, **more}, close(), length=False
    ),
    "chunks without end": lambda status, more: joined(
        status, b"2\r\n{}\r\n", {**CHUNKED, **more}, close(), length=False
    ),
    "longer": lambda status, more: joined(status, SAID + b"and more", {"Content-Length": str(len(SAID)), **more}),
    "longer, later": lambda status, more: split(status, SAID + b"and more", {"Content-Length": str(len(SAID)), **more}),
    "bomb": lambda status, more: joined(status, BOMB, {**GZIP, **more}),
    "large": lambda status, more: joined(status, b"x" * 300_000, more),
    "no JSON": lambda status, more: joined(status, b"\xff<html>", {"Content-Type": "text/html", **more}),
}


@asynccontextmanager
async def opened(way: str, server: FaultServer, **options: Any) -> AsyncIterator[AsyncPartnerSession]:
    settings: dict[str, Any] = {"base_url": server.base_url, "token_url": server.token_url, "timeouts": TIMES}
    settings |= {"retry": POLICY, "clock": LoopClock(), **options}
    auth = ClientCredentials("id", CLIENT_SECRET)
    if way == "session":
        settings["trace_configs"] = [aiohttp.TraceConfig()]
    if way != "borrowed":
        async with AsyncPartnerSession(auth, **settings) as session:
            yield session
        return
    async with aiohttp.ClientSession() as own, AsyncPartnerSession(auth, client_session=own, **settings) as session:
        yield session


async def _iterated(session: AsyncPartnerSession) -> object:
    return [account async for account in session.accounts.iter()]


CALLS: dict[str, Callable[[AsyncPartnerSession], Awaitable[object]]] = {
    "usage": lambda session: session.accounts.usage(ACCOUNT),
    "list": lambda session: session.accounts.list(),
    "iter": _iterated,
    "request": lambda session: session.request("GET", "accounts"),
    "create": lambda session: session.accounts.create(name="ACME"),
    "update": lambda session: session.accounts.update(ACCOUNT, name="New"),
    "install": lambda session: session.connectors.install(ACCOUNT, "X", None, installed_name="x"),
}


def serve(faults: list[Script]) -> Script:
    """Issue tokens, give the n-th call the n-th fault, and answer well when there are no more."""

    async def run(link: Link) -> None:
        while (request := await link.read_request()) is not None:
            if request.path == "/oauth/token":
                link.server.turns += 1
                await link.write(json_http({"access_token": f"token-{link.server.turns}", "expires_in": 3600}))
            elif faults:
                await faults.pop(0)(link)
            else:
                await link.write(good(request))
            if link.writer.is_closing():
                return

    return run


@pytest.mark.parametrize("way", ["direct", "session"])
@pytest.mark.parametrize("name", BROKEN)
@in_virtual_time
async def test_a_401_costs_one_refresh_and_one_replay(name: str, way: str) -> None:
    for call in CALLS.values():
        async with FaultServer(serve([BROKEN[name](401, {})])) as server, opened(way, server) as session:
            await call(session)
            assert (server.turns, server.request_count) == (2, 4)
            assert session.stats().retries == 0


@pytest.mark.parametrize("way", ["direct", "session"])
@pytest.mark.parametrize("name", BROKEN)
@in_virtual_time
async def test_a_refusal_is_final_and_keeps_its_class(name: str, way: str) -> None:
    for what, call in CALLS.items():
        for status, kind in ((404, NotFoundError), (400, BadRequestError)):
            async with FaultServer(serve([BROKEN[name](status, {})])) as server, opened(way, server) as session:
                with pytest.raises(CyclrError) as caught:
                    await call(session)
                error = caught.value
                assert (type(error), error.attempts, error.sent) == (kind, 1, "yes"), f"{what} {status}: {error!r}"
                assert_no_canary(error)


@pytest.mark.parametrize("way", ["direct", "session"])
@pytest.mark.parametrize("name", BROKEN)
@in_virtual_time
async def test_retry_after_is_seen(name: str, way: str) -> None:
    """A wait that is longer than is waited for, so that the error says how long it is."""
    for status, kind in ((429, RateLimitedError), (503, ServerError)):
        faults = [BROKEN[name](status, {"Retry-After": "900"})]
        async with FaultServer(serve(faults)) as server, opened(way, server) as session:
            with pytest.raises(kind) as caught:
                await session.accounts.usage(ACCOUNT)
            assert isinstance(caught.value, (RateLimitedError, ServerError))
            assert (caught.value.retry_after, caught.value.attempts) == (900, 1)


# What comes in one read with its head, and breaks aiohttp's parser, is not seen on a connection of somebody else's.
_ONE_READ = {"bad chunk", "bad second chunk", "longer"}


@pytest.mark.parametrize("name", sorted(set(BROKEN) - _ONE_READ))
@in_virtual_time
async def test_a_session_of_the_callers_sees_it_too(name: str) -> None:
    for status, kind in ((404, NotFoundError), (429, RateLimitedError)):
        faults = [BROKEN[name](status, {"Retry-After": "900"})]
        async with FaultServer(serve(faults)) as server, opened("borrowed", server) as session:
            with pytest.raises(kind) as caught:
                await session.accounts.usage(ACCOUNT)
            assert caught.value.attempts == 1


@pytest.mark.parametrize("name", BROKEN)
@in_virtual_time
async def test_the_token_endpoint(name: str) -> None:
    """Refused credentials are refused, not tried four times."""

    async def run(link: Link) -> None:
        assert await link.read_request() is not None
        await BROKEN[name](401, {})(link)

    async with FaultServer(run) as server, opened("direct", server) as session:
        with pytest.raises(AuthenticationError):
            await session.accounts.usage(ACCOUNT)
        assert server.request_count == 1


@pytest.mark.parametrize("drip", [False, True], ids=["stall", "drip"])
@pytest.mark.parametrize("call", ["usage", "iter", "create"])
@in_virtual_time
async def test_a_body_that_stalls_is_not_waited_for(call: str, drip: bool) -> None:
    async def slowly(link: Link) -> None:
        await link.write(http(404, b"", {"Content-Length": "90"}))
        for _ in range(90 if drip else 0):
            await link.write(b" ")
            await delay(0.03)(link)
        await stall()(link)

    for times, longest in ((TIMES, 1.6), (Timeouts(connect=5, read=0.3, attempt=5, deadline=5, close=0.0), 0.5)):
        async with FaultServer(serve([slowly])) as server, opened("direct", server, timeouts=times) as session:
            begun = asyncio.get_running_loop().time()
            with pytest.raises(NotFoundError):
                await CALLS[call](session)
            assert asyncio.get_running_loop().time() - begun < longest


@pytest.mark.parametrize("name", ["half", "half, later", "reset", "half a gzip"])
@in_virtual_time
async def test_what_had_arrived_is_told(name: str) -> None:
    async with FaultServer(serve([BROKEN[name](404, {})])) as server, opened("direct", server) as session:
        with pytest.raises(ResponseError) as caught:
            await session.accounts.usage(ACCOUNT)
        assert caught.value.body.startswith(SAID[:5].decode())


@in_virtual_time
async def test_a_message_in_a_body_that_is_not_packed_is_told() -> None:
    async with FaultServer(serve([BROKEN["no gzip"](404, {})])) as server, opened("direct", server) as session:
        with pytest.raises(NotFoundError, match="it says why"):
            await session.accounts.usage(ACCOUNT)
