"""The pool guard over real sockets: a doubtful connection is not reused, and nothing is sent twice."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from cyclr_async.http.engine.connector import GuardedConnector, SecondSend, current_attempt
from cyclr_async.http.timeouts import Attempt, TimerWheel
from tests.support.server import FaultServer, Link, Script

_TIMEOUT = aiohttp.ClientTimeout(total=5)


def text(content: str, *, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\n\r\n{content}".encode()


async def numbered(link: Link) -> None:
    """Script: answer every request with the number of the connection and of the request on it."""
    while await link.read_request():
        await link.write(text(f"{link.number}.{link.handled}"))


@asynccontextmanager
async def client(**options: bool) -> AsyncIterator[tuple[aiohttp.ClientSession, GuardedConnector]]:
    connector = GuardedConnector(limit=0, **options)
    async with aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT) as session:
        yield session, connector


def fresh() -> Attempt:
    """An attempt with more time than any test needs."""
    return Attempt(TimerWheel(), 60.0, read=60.0, ends=time.monotonic() + 60.0, now=time.monotonic)


async def get(session: aiohttp.ClientSession, url: str, attempt: Attempt | None = None) -> str:
    token = current_attempt.set(attempt)
    try:
        async with session.get(url) as response:
            return await response.text()
    finally:
        current_attempt.reset(token)


def counts(connector: GuardedConnector) -> tuple[int, int, int]:
    return connector.created, connector.reused, connector.dropped


async def test_a_silent_connection_is_reused_and_counted() -> None:
    async with FaultServer(numbered) as server, client() as (session, connector):
        answers = [await get(session, server.origin, fresh()) for _ in range(3)]
        assert len(set(answers)) == 3
        assert server.connections == 1
        assert counts(connector) == (1, 2, 0)


async def test_connections_side_by_side_are_counted_one_by_one() -> None:
    async with FaultServer(numbered) as server, client() as (session, connector):
        await asyncio.gather(*(get(session, server.origin) for _ in range(5)))
        await asyncio.gather(*(get(session, server.origin) for _ in range(5)))
        assert counts(connector) == (5, 5, 0)


async def test_a_pool_without_reuse_makes_a_connection_for_every_request() -> None:
    async with FaultServer(numbered) as server, client(force_close=True) as (session, connector):
        for _ in range(3):
            await get(session, server.origin, fresh())
        assert server.connections == 3
        assert counts(connector) == (3, 0, 0)


async def test_a_connection_that_spoke_while_idle_is_dropped() -> None:
    spoke = asyncio.Event()

    async def talkative(link: Link) -> None:
        await link.read_request()
        await link.write(text("first"))
        await asyncio.sleep(0.02)
        await link.write(text("nobody asked"))
        spoke.set()
        await link.until_closed()

    async with FaultServer(talkative, numbered) as server, client() as (session, connector):
        assert await get(session, server.origin) == "first"
        await spoke.wait()
        await asyncio.sleep(0.02)
        assert "nobody" not in await get(session, server.origin, fresh())
        assert server.connections == 2
        assert counts(connector) == (2, 0, 1)


async def test_every_doubtful_connection_is_dropped_until_a_good_one_is_found() -> None:
    async def talkative(link: Link) -> None:
        await link.read_request()
        await asyncio.sleep(0.02)
        await link.write(text("first"))
        await asyncio.sleep(0.02)
        await link.write(text("nobody asked"))
        await link.until_closed()

    scripts: list[Script] = [talkative] * 3
    async with FaultServer(*scripts, numbered) as server, client() as (session, connector):
        await asyncio.gather(*(get(session, server.origin) for _ in range(3)))
        await asyncio.sleep(0.06)
        assert "first" not in await get(session, server.origin, fresh())
        assert counts(connector) == (4, 0, 3)


async def test_bytes_that_the_event_loop_has_not_read_yet_are_noticed() -> None:
    go, written = threading.Event(), threading.Event()

    def serve(listener: socket.socket) -> None:
        first, _ = listener.accept()
        with first:
            first.recv(65536)
            first.sendall(text("first"))
            go.wait(5)
            first.sendall(text("nobody asked"))
            written.set()
            second, _ = listener.accept()
            with second:
                second.recv(65536)
                second.sendall(text("second"))
                second.recv(65536)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        async with client() as (session, connector):
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            assert await get(session, url) == "first"
            go.set()
            assert written.wait(5)  # the loop stands still meanwhile, as in a busy program
            assert await get(session, url, fresh()) == "second"
            assert counts(connector) == (2, 0, 1)
        thread.join(5)
        assert not thread.is_alive()


async def test_a_connection_that_was_closed_while_idle_costs_nothing() -> None:
    async def brief(link: Link) -> None:
        await link.read_request()
        await link.write(text("first"))
        await asyncio.sleep(0.02)
        link.fin()

    async with FaultServer(brief, numbered) as server, client() as (session, connector):
        assert await get(session, server.origin) == "first"
        await asyncio.sleep(0.05)
        assert await get(session, server.origin, fresh()) != "first"
        assert server.request_count == 2
        assert connector.created == 2
        assert connector.reused == 0


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_a_request_whose_connection_breaks_is_not_sent_again_behind_our_back(method: str) -> None:
    async def deaf(link: Link) -> None:
        await link.read_request()
        link.fin()

    async with FaultServer(deaf) as server, client() as (session, connector):
        attempt = fresh()
        token = current_attempt.set(attempt)
        try:
            with pytest.raises(SecondSend):
                await session.request(method, server.origin)
        finally:
            current_attempt.reset(token)
        assert server.request_count == 1
        assert attempt.connected
        assert counts(connector) == (1, 0, 0)


async def test_an_attempt_that_found_no_connection_knows_that_nothing_was_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    attempt = fresh()
    async with client() as (session, connector):
        with pytest.raises(aiohttp.ClientConnectorError):
            await get(session, f"http://127.0.0.1:{port}/", attempt)
        assert counts(connector) == (0, 0, 0)
    assert not attempt.connected


async def test_attempts_do_not_know_of_each_other() -> None:
    async with FaultServer(numbered) as server, client() as (session, _):
        attempts = [fresh() for _ in range(4)]
        tasks = [asyncio.create_task(get(session, server.origin, attempt)) for attempt in attempts[:3]]
        await asyncio.gather(*tasks)
        assert [attempt.connected for attempt in attempts] == [True, True, True, False]
        assert current_attempt.get() is None
