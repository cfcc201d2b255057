"""A session from its making to its end: one pool however many arrive, clear errors for every misuse."""

from __future__ import annotations

import asyncio
import gc
import json
import multiprocessing
import os
import warnings
from typing import Any

import aiohttp
import pytest

from cyclr_async import (
    AsyncPartnerSession,
    ClientCredentials,
    ConfigurationError,
    CyclrError,
    Limits,
    SessionClosedError,
    Timeouts,
    WrongEventLoopError,
)
from tests.support.examples import ACCOUNT_ID, DETAILS, USAGE
from tests.support.recorder import Heard, Recorder, reply

TOKEN = reply(json.dumps({"access_token": "t-1", "token_type": "bearer", "expires_in": 1209599}))


def partner(heard: Heard) -> bytes:
    if heard.target == "/oauth/token":
        return TOKEN
    return reply(DETAILS if heard.target.endswith("details") else USAGE)


def test_it_is_made_without_an_event_loop_and_used_later() -> None:
    session = AsyncPartnerSession("bearer", base_url="http://127.0.0.1:9/api/partner")
    assert not session.closed
    assert repr(session) == "<AsyncPartnerSession http://127.0.0.1:9/api/partner not opened yet>"

    async def job() -> None:
        async with Recorder(make=partner) as server:
            late = made_early(server)
            async with late:
                assert (await late.details()).domain == "partner.example.com"
                assert repr(late).endswith(" open>")
            assert repr(late).endswith(" closed>")

    def made_early(server: Recorder) -> AsyncPartnerSession:
        return AsyncPartnerSession("bearer", base_url=server.base_url)

    asyncio.run(job())
    asyncio.run(session.close())
    assert session.closed


@pytest.mark.parametrize("connections", [1, 20, 100])
async def test_500_first_calls_at_once_share_one_pool_and_one_token(connections: int) -> None:
    async with (
        Recorder(make=partner) as server,
        AsyncPartnerSession(
            ClientCredentials("id", "s"),
            base_url=server.base_url,
            token_url=server.token_url,
            limits=Limits(connections=connections),
        ) as session,
    ):
        usages = await asyncio.gather(*(session.accounts.usage(ACCOUNT_ID) for _ in range(500)))
        assert {usage.task_count for usage in usages} == {1623}
        assert len(server.to("/oauth/token")) == 1
        assert len(server.heard) == 501
        calling = {heard.connection for heard in server.heard if heard.target != "/oauth/token"}
        assert len(calling) <= connections
        stats = session.stats()
        assert (stats.calls, stats.attempts, stats.failures, stats.retries) == (501, 501, 0, 0)
        assert stats.connections_created == server.connections <= connections
        assert (stats.in_flight, stats.queued, stats.active) == (0, 0, 0)


async def test_500_first_calls_with_a_fixed_token_keep_the_limit_exactly() -> None:
    async with (
        Recorder(make=partner) as server,
        AsyncPartnerSession("bearer", base_url=server.base_url, limits=Limits(connections=7)) as session,
    ):
        await asyncio.gather(*(session.details() for _ in range(500)))
        assert session.stats().connections_created == server.connections == 7


async def test_100_calls_in_a_row_use_one_connection() -> None:
    async with Recorder(make=partner) as server, AsyncPartnerSession("bearer", base_url=server.base_url) as session:
        for _ in range(100):
            await session.details()
        assert server.connections == 1
        assert session.stats().connections_created == 1
        assert session.stats().connections_reused == 99


async def test_close_may_be_repeated_and_run_together() -> None:
    async with Recorder(make=partner) as server:
        session = AsyncPartnerSession("bearer", base_url=server.base_url)
        await session.details()
        await asyncio.gather(session.close(), session.close(), session.close())
        await session.close()
        assert session.closed


async def test_an_unused_session_closes_and_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        await AsyncPartnerSession("bearer").close()
        AsyncPartnerSession("bearer")
        gc.collect()


async def test_use_after_close() -> None:
    async with Recorder(make=partner) as server:
        session = AsyncPartnerSession("bearer", base_url=server.base_url)
        async with session:
            await session.details()
        asked = len(server.heard)
        attempts: list[Any] = [
            session.details,
            session.accounts.list,
            lambda: session.accounts.usage(ACCOUNT_ID),
            session.priceplans.list,
            lambda: session.tokens.create(ACCOUNT_ID, "jo"),
            lambda: session.request("GET", "details"),
            lambda: anext(session.accounts.iter()),
            session.__aenter__,
        ]
        for attempt in attempts:
            with pytest.raises(SessionClosedError, match="closed"):
                await attempt()
        assert len(server.heard) == asked


async def test_closing_lets_calls_finish() -> None:
    async with Recorder(make=partner) as server:
        session = AsyncPartnerSession("bearer", base_url=server.base_url)
        calls = [asyncio.create_task(session.details()) for _ in range(50)]
        await asyncio.sleep(0)
        await session.close()
        finished = await asyncio.gather(*calls, return_exceptions=True)
        assert all(not isinstance(outcome, BaseException) for outcome in finished), finished[:1]


async def test_closing_without_patience_ends_calls_with_a_clear_error() -> None:
    reached = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        reached.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    session = AsyncPartnerSession("bearer", base_url=f"http://127.0.0.1:{port}/x", timeouts=Timeouts(close=0))
    call = asyncio.create_task(session.details())
    await reached.wait()
    await session.close()
    with pytest.raises(CyclrError):
        await call
    server.close()


def test_another_event_loop_is_an_immediate_error() -> None:
    async def first() -> tuple[AsyncPartnerSession, int]:
        async with Recorder(make=partner) as server:
            session = AsyncPartnerSession("bearer", base_url=server.base_url, client_session=None)
            await session.details()
            await session.close()
            open_one = AsyncPartnerSession("bearer", base_url=server.base_url)
            await open_one.details()
            kept.append(open_one)
            return open_one, server.connections

    async def second(session: AsyncPartnerSession) -> None:
        for attempt in (session.details, session.accounts.list, session.__aenter__):
            with pytest.raises(WrongEventLoopError, match="event loop"):
                await attempt()
        await session.close()  # nothing of another loop can be closed here; that is no error
        assert session.closed

    kept: list[AsyncPartnerSession] = []
    loop = asyncio.new_event_loop()
    try:
        session, _ = loop.run_until_complete(first())
        asyncio.run(second(session))
        # What the first loop opened is closed there, since no other can.
        loop.run_until_complete(session._pool.close())
    finally:
        loop.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
async def test_a_fork_cannot_share_a_session() -> None:
    async with Recorder(make=partner) as server, AsyncPartnerSession("bearer", base_url=server.base_url) as used:
        await used.details()
        unused = AsyncPartnerSession("bearer", base_url=server.base_url)
        context = multiprocessing.get_context("fork")
        receiving, sending = context.Pipe(duplex=False)

        def child() -> None:
            said = []
            for session in (used, unused):
                try:
                    asyncio.run(session.details())
                    said.append("no error")
                except WrongEventLoopError as error:
                    said.append(str(error))
            sending.send(said)
            os._exit(0)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of fork in a process with threads
            process = context.Process(target=child)
            process.start()
        sending.close()
        said = await asyncio.to_thread(receiving.recv)
        await asyncio.to_thread(process.join, 10)
        assert len(said) == 2
        assert all("AsyncPartnerSession" in text for text in said), said
        assert "fork" in said[1]
        await used.details()  # the parent is not disturbed
        assert server.connections == 1


def test_plain_with_says_what_to_use() -> None:
    session: Any = AsyncPartnerSession("bearer")
    with pytest.raises(TypeError, match="use 'async with"), session:
        pass


async def test_a_borrowed_session_is_never_closed() -> None:
    async with Recorder(make=partner) as server, aiohttp.ClientSession() as mine:
        async with AsyncPartnerSession("bearer", base_url=server.base_url, client_session=mine) as session:
            await session.details()
            assert session.stats().connections_created == 0  # its pool is not ours to count
        assert not mine.closed
        async with mine.get(f"{server.base_url}/details") as response:
            assert response.status == 200
        abandoned = AsyncPartnerSession("bearer", base_url=server.base_url, client_session=mine)
        await abandoned.details()
        del abandoned
        gc.collect()
        assert not mine.closed


async def test_a_borrowed_session_closed_by_its_owner() -> None:
    async with Recorder(make=partner) as server:
        mine = aiohttp.ClientSession()
        async with AsyncPartnerSession("bearer", base_url=server.base_url, client_session=mine) as session:
            await session.details()
            await mine.close()
            with pytest.raises(SessionClosedError):
                await session.details()


async def test_the_borrowed_sessions_own_settings_do_not_undo_ours() -> None:
    def moved(heard: Heard) -> bytes:
        if heard.target.endswith("/details"):
            return reply("", 302, headers={"Location": "/api/partner/elsewhere", "Set-Cookie": "a=b"})
        return reply(DETAILS)

    async with (
        Recorder(make=moved) as server,
        aiohttp.ClientSession(raise_for_status=True, headers={"X-Mine": "1", "Accept": "text/html"}) as mine,
        AsyncPartnerSession("bearer", base_url=server.base_url, client_session=mine) as session,
    ):
        with pytest.raises(CyclrError):
            await session.details()
        (heard,) = server.heard
        assert heard.headers["accept"] == "application/json"
        assert heard.headers["x-mine"] == "1"


async def test_an_open_session_that_is_forgotten_warns() -> None:
    async with Recorder(make=partner) as server:
        sessions = [AsyncPartnerSession("bearer", base_url=server.base_url)]
        await sessions[0].details()
        pool = sessions[0]._pool

        def forget() -> None:
            sessions.clear()
            gc.collect()

        with pytest.warns(ResourceWarning, match=r"AsyncPartnerSession.*was not closed"):
            forget()
        await pool.close()


async def test_no_cookie_is_kept() -> None:
    answer = reply(DETAILS, headers={"Set-Cookie": "session=abc; Path=/"})
    async with Recorder(answer) as server, AsyncPartnerSession("bearer", base_url=server.base_url) as session:
        await session.details()
        await session.details()
        assert all("cookie" not in heard.headers for heard in server.heard)


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "3", None, True], ids=str)
def test_times_that_cannot_be(value: Any) -> None:
    for name in ("connect", "read", "attempt", "deadline"):
        with pytest.raises(ConfigurationError, match=name):
            Timeouts(**{name: value})
    if value != 0:
        with pytest.raises(ConfigurationError, match="close"):
            Timeouts(close=value)


@pytest.mark.parametrize("value", [0, -1, 1.5, "3", None, True], ids=str)
def test_limits_that_cannot_be(value: Any) -> None:
    for name in ("connections", "response_bytes", "list_items", "list_bytes"):
        with pytest.raises(ConfigurationError, match=rf"Limits\.{name} "):
            Limits(**{name: value})
    if value != 0:
        with pytest.raises(ConfigurationError, match=r"Limits\.list_pace "):
            Limits(list_pace=value)
