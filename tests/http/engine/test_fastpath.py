"""The fast path over real sockets: it sends what a session would send, and ends as a session would end."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import aiohttp
import pytest
from yarl import URL

from cyclr_async import CyclrError, InvalidArgumentError, Limits, ProtocolError, RetryPolicy
from cyclr_async.http.engine.connector import GuardedConnector
from cyclr_async.http.engine.direct import DirectReads
from cyclr_async.http.engine.engine import EngineResponse
from cyclr_async.http.engine.errors import Translator
from cyclr_async.http.request import Request as Call
from cyclr_async.http.request import Safety
from cyclr_async.http.timeouts import Attempt, TimerWheel
from cyclr_async.secret import HiddenBytes, HiddenStr
from tests.faults.matrix import after, partner
from tests.faults.rows import HARMLESS, LASTING
from tests.support.answers import ACCOUNT, account_id, good, json_http, task_count
from tests.support.canary import BEARER, sightings
from tests.support.recorder import Recorder, reply
from tests.support.server import FaultServer, Link, Request, Script, answer, script, stall, write
from tests.support.virtual import in_virtual_time

_USAGE = '{"TaskCount":1,"CycleCount":1,"FromDate":"2016-12-09T16:23:08","ToDate":"2017-01-08T16:23:08"}'


def through_session() -> dict[str, Any]:
    """The option that takes reads off the fast path: somebody listens to aiohttp."""
    return {"trace_configs": [aiohttp.TraceConfig()]}


HANDLER: dict[str, Any] = {"limits": Limits(reuse_connections=False)}
"""The option that has every read of the fast path done by aiohttp's handler: no connection is kept."""

WAYS: list[Any] = [
    pytest.param({}, id="fast"),
    pytest.param(HANDLER, id="handler"),
    pytest.param(through_session(), id="session"),
]


async def _heard(**options: Any) -> tuple[str, dict[str, str]]:
    async with Recorder(reply(_USAGE)) as server, partner(server.base_url, **options) as session:
        await session.accounts.usage(ACCOUNT)
        assert isinstance(session._pool.engine, DirectReads) is ("trace_configs" not in options)
        (heard,) = server.heard
        return heard.line, {**heard.headers, "x-request-id": "", "host": heard.headers["host"].partition(":")[0]}


@pytest.mark.parametrize("limits", [Limits(), Limits(reuse_connections=False)], ids=["reuse", "safe"])
@in_virtual_time
async def test_it_sends_what_a_session_sends(limits: Limits) -> None:
    line, headers = await _heard(limits=limits)
    assert (line, headers) == await _heard(limits=limits, **through_session())
    assert headers["authorization"] == f"Bearer {BEARER}"
    assert headers["host"] == "127.0.0.1"
    assert headers.get("connection") == (None if limits.reuse_connections else "close")


async def _ending(fault: Script, options: dict[str, Any]) -> tuple[object, ...]:
    async with FaultServer(fault) as server, partner(server.base_url, **options) as session:
        try:
            usage = await session.accounts.usage(ACCOUNT)
        except CyclrError as error:
            return type(error), error.sent, error.attempts, getattr(error, "status", None), server.request_count
        return usage, server.request_count


@pytest.mark.parametrize("row", LASTING, ids=lambda row: row.name)
@in_virtual_time
async def test_a_fault_ends_as_it_ends_through_a_session(row: Any) -> None:
    fast, handled, slow = await asyncio.gather(
        _ending(row.fault, {}), _ending(row.fault, HANDLER), _ending(row.fault, through_session())
    )
    assert fast == handled == slow
    assert fast[0] is row.error


@pytest.mark.parametrize("name", HARMLESS)
@in_virtual_time
async def test_an_odd_answer_is_read_as_through_a_session(name: str) -> None:
    fast, handled, slow = await asyncio.gather(
        _ending(HARMLESS[name], {}), _ending(HARMLESS[name], HANDLER), _ending(HARMLESS[name], through_session())
    )
    assert fast == handled == slow


@pytest.mark.parametrize("options", WAYS)
@in_virtual_time
async def test_interim_answers_are_passed_over(options: dict[str, Any]) -> None:
    async def interim(link: Link) -> None:
        request = await link.read_request()
        assert request is not None
        await link.write(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        await asyncio.sleep(0.01)
        await link.write(b"HTTP/1.1 102 Processing\r\n\r\n" + good(request))

    async with FaultServer(interim) as server, partner(server.base_url, **options) as session:
        assert (await session.accounts.usage(ACCOUNT)).task_count == task_count(ACCOUNT)


@pytest.mark.parametrize("options", WAYS)
@in_virtual_time
async def test_a_change_of_protocol_is_refused_and_the_connection_dropped(options: dict[str, Any]) -> None:
    switch = after(write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"))
    async with (
        FaultServer(switch, answer(good)) as server,
        partner(server.base_url, retry=RetryPolicy(attempts=1), **options) as session,
    ):
        with pytest.raises(ProtocolError):
            await session.accounts.usage(ACCOUNT)
        await session.accounts.usage(ACCOUNT)
        assert server.connections == 2


@pytest.mark.parametrize("options", WAYS)
@pytest.mark.parametrize("where", ["headers", "body"])
@in_virtual_time
async def test_a_cancelled_request_gives_its_connection_up(options: dict[str, Any], where: str) -> None:
    written, closed = asyncio.Event(), asyncio.Event()

    async def half(link: Link) -> None:
        request = await link.read_request()
        assert request is not None
        whole = good(request)
        await link.write(whole[: 20 if where == "headers" else -5])
        written.set()
        await link.until_closed()
        closed.set()

    async with FaultServer(half, answer(good)) as server, partner(server.base_url, **options) as session:
        task = asyncio.create_task(session.accounts.usage(ACCOUNT))
        await written.wait()
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(closed.wait(), 5.0)
        assert (await session.accounts.usage(account_id(9))).task_count == task_count(account_id(9))
        assert server.connections == 2


@pytest.mark.parametrize("options", WAYS)
@in_virtual_time
async def test_a_list_that_is_left_early_gives_its_connection_up(options: dict[str, Any]) -> None:
    rows = [{"Id": account_id(number), "Name": "x" * 200} for number in range(20_000)]
    closed = asyncio.Event()

    async def endless(link: Link) -> None:
        await link.read_request()
        try:
            await link.write(json_http(rows))
            await link.until_closed()
        finally:
            closed.set()

    async with FaultServer(endless) as server, partner(server.base_url, **options) as session:
        async with aclosing(session.accounts.iter()) as accounts:
            async for account in accounts:
                assert account.id == account_id(0)
                break
        await asyncio.wait_for(closed.wait(), 1.0)


@in_virtual_time
async def test_one_connection_serves_many_requests_with_bodies_of_every_kind() -> None:
    def chunked(request: Request) -> bytes:
        body = good(request).partition(b"\r\n\r\n")[2]
        return (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"".join(b"%x\r\n%b\r\n" % (len(body[at : at + 7]), body[at : at + 7]) for at in range(0, len(body), 7))
            + b"0\r\n\r\n"
        )

    async def varied(link: Link) -> None:
        while (request := await link.read_request()) is not None:
            whole = chunked(request) if link.handled % 2 else good(request)
            middle = len(whole) // 2
            await link.write(whole[:middle])
            if link.handled % 3:
                await asyncio.sleep(0.001)
            await link.write(whole[middle:])

    async with FaultServer(varied) as server, partner(server.base_url) as session:
        for number in range(1, 31):
            assert (await session.accounts.usage(account_id(number))).task_count == task_count(account_id(number))
        assert server.connections == 1
        stats = session.stats()
        assert (stats.connections_created, stats.connections_reused, stats.retries) == (1, 29, 0)


@in_virtual_time
async def test_who_listens_to_aiohttp_hears_every_read() -> None:
    heard: list[str] = []

    async def began(_session: object, _context: object, params: aiohttp.TraceRequestStartParams) -> None:
        heard.append(f"{params.method} {params.url.path}")

    tracing = aiohttp.TraceConfig()
    tracing.on_request_start.append(began)
    async with (
        Recorder(reply(_USAGE)) as server,
        partner(server.base_url, trace_configs=[tracing]) as session,
    ):
        await session.accounts.usage(ACCOUNT)
    assert heard == [f"GET /api/partner/accounts/{ACCOUNT}/billing"]


@in_virtual_time
async def test_instrumentation_that_is_put_into_every_session_hears_every_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the instrumentation of OpenTelemetry does it."""
    heard: list[str] = []

    async def began(_session: object, _context: object, params: aiohttp.TraceRequestStartParams) -> None:
        heard.append(params.method)

    tracing = aiohttp.TraceConfig()
    tracing.on_request_start.append(began)
    plain = aiohttp.ClientSession.__init__

    def instrumented(self: aiohttp.ClientSession, *args: Any, **options: Any) -> None:
        plain(self, *args, **{**options, "trace_configs": [*(options.get("trace_configs") or []), tracing]})

    monkeypatch.setattr(aiohttp.ClientSession, "__init__", instrumented)
    async with Recorder(reply(_USAGE)) as server, partner(server.base_url) as session:
        await session.accounts.usage(ACCOUNT)
    assert heard == ["GET"]


@in_virtual_time
async def test_a_session_of_the_caller_and_a_proxy_are_used() -> None:
    async with Recorder(reply(_USAGE)) as server:
        async with (
            aiohttp.ClientSession(headers={"X-Mine": "1"}) as mine,
            partner(server.base_url, client_session=mine) as session,
        ):
            await session.accounts.usage(ACCOUNT)
        assert server.heard[-1].headers["x-mine"] == "1"
        async with partner("http://127.0.0.1:9/api/partner", proxy=server.origin) as session:
            await session.accounts.usage(ACCOUNT)
        assert server.heard[-1].target == f"http://127.0.0.1:9/api/partner/accounts/{ACCOUNT}/billing"


class _HandedOverError(Exception):
    """A request has come to the next engine."""


class _Next:
    """The next engine."""

    async def send(
        self, call: Call[Any], authorization: HiddenStr | None, request_id: str, attempt: Attempt
    ) -> EngineResponse:
        raise _HandedOverError(call.method)


@asynccontextmanager
async def _path(origin: str) -> AsyncIterator[DirectReads]:
    connector = GuardedConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield DirectReads(
            session,
            connector,
            [URL(origin)],
            {"Accept": "x/y"},
            aiohttp.ClientTimeout(total=5),
            keep_alive=5.0,
            translator=Translator(lambda: False, proxy=None, borrowed=False),
            otherwise=_Next(),
        )


def _fresh() -> Attempt:
    now = asyncio.get_running_loop().time
    return Attempt(TimerWheel(), 5.0, read=5.0, ends=now() + 5.0, now=now)


def _call(url: URL, method: str = "GET", safety: Safety = Safety.SAFE) -> Call[object]:
    return Call(name="x", method=method, url=url, safety=safety, decode=lambda data: data)


@pytest.mark.parametrize("path", ["/a b", "/a\r\nX-Evil: 1", "/a\tb", "/ä", "/a\x7f"])
@in_virtual_time
async def test_what_is_not_encoded_never_reaches_the_wire(path: str) -> None:
    async with Recorder(reply("{}")) as server, _path(server.origin) as fast:
        attempt = _fresh()
        with pytest.raises(InvalidArgumentError):
            await fast.send(_call(URL(server.origin).with_path(path, encoded=True)), None, "id", attempt)
        assert not attempt.connected
        assert server.connections == 0


@in_virtual_time
async def test_a_body_is_sent_with_a_get_too() -> None:
    async with Recorder(reply("{}")) as server, partner(server.base_url) as session:
        await session.request("GET", "search", json={"q": 1})
        (heard,) = server.heard
        assert heard.body == b'{"q":1}'
        assert heard.headers["content-type"] == "application/json"


@in_virtual_time
async def test_a_get_that_must_not_be_repeated_has_a_connection_of_its_own() -> None:
    async def once(link: Link) -> None:
        await answer(good)(link)
        if await link.read_request() is not None:
            link.rst()

    async with FaultServer(once) as server, partner(server.base_url) as session:
        for number in range(1, 4):
            await session.request("GET", f"accounts/{account_id(number)}/billing", repeatable=False)
        assert server.connections == 3


@pytest.mark.parametrize("options", WAYS)
@pytest.mark.parametrize("status", [b"000", b"050", b"099"])
@in_virtual_time
async def test_no_status_below_100_is_an_interim_answer(status: bytes, options: dict[str, Any]) -> None:
    odd = b"HTTP/1.1 " + status + b" Odd\r\nContent-Length: 0\r\n\r\n"

    async def twice(link: Link) -> None:
        request = await link.read_request()
        assert request is not None
        await link.write(odd + good(request))
        await link.until_closed()

    async with (
        FaultServer(twice) as server,
        partner(server.base_url, retry=RetryPolicy(attempts=1), **options) as session,
    ):
        with pytest.raises(ProtocolError):
            await session.accounts.usage(ACCOUNT)


@pytest.mark.parametrize("options", WAYS)
@in_virtual_time
async def test_a_cancelled_or_overdue_call_shows_no_token_in_its_frames(options: dict[str, Any]) -> None:
    async with FaultServer(after(stall())) as server, partner(server.base_url, **options) as session:
        task = asyncio.create_task(session.accounts.usage(ACCOUNT))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as cancelled:
            await task
        assert sightings(cancelled.value) == []
        with pytest.raises(TimeoutError) as overdue:
            await asyncio.wait_for(session.accounts.usage(ACCOUNT), 0.05)
        assert sightings(overdue.value) == []
        names = [frame.name for frame in traceback.extract_tb(cancelled.value.__traceback__)]
        assert "value" in names  # the frames in question were looked at


@in_virtual_time
async def test_it_takes_reads_of_one_origin_only() -> None:
    async with Recorder(reply("{}")) as server, _path(server.origin) as fast:
        here = URL(server.origin)
        for method in ("GET", "POST"):
            response = await fast.send(_call(here / "x", method), None, "id", _fresh())
            # With aiohttp's parser in Python, a body that its handler has read is never known to be whole at once.
            assert (response.status, response.whole() or await response.piece()) == (200, b"{}")
            response.close()
        for other in (
            _call(here.with_scheme("https")),
            _call(here.with_port(1)),
            _call(here.with_port(None)),
            _call(here.with_user("u")),
            _call(here, "HEAD"),
            _call(here, "PUT", Safety.REPEATABLE),
            _call(here, "POST", Safety.UNSAFE),
            _call(here, "GET", Safety.UNSAFE),
        ):
            with pytest.raises(_HandedOverError):
                await fast.send(other, None, "id", _fresh())
        assert [heard.line.split()[0] for heard in server.heard] == ["GET", "POST"]


@in_virtual_time
async def test_a_read_with_a_body_sends_what_a_session_sends() -> None:
    async def heard(**options: Any) -> tuple[str, dict[str, str], bytes]:
        async with Recorder(reply("{}")) as server, partner(server.base_url, **options) as session:
            call = _call(URL(server.base_url) / "search", "POST")
            call.body, call.content_type = HiddenBytes('{"q":"ä"}'.encode()), "application/x-test"
            await session._executor.send(call, None)
            (one,) = server.heard
            return one.line, {**one.headers, "x-request-id": "", "host": ""}, one.body

    assert await heard() == await heard(**through_session())


@in_virtual_time
async def test_an_answer_of_an_empty_kind_leaves_the_connection_in_order() -> None:
    empty = script(write(b"HTTP/1.1 204 No Content\r\n\r\n"))

    async def both(link: Link) -> None:
        await link.read_request()
        await empty(link)
        await answer(good)(link)

    async with FaultServer(both) as server, partner(server.base_url) as session:
        assert (await session.request("GET", "details")).status == 204
        await session.accounts.usage(ACCOUNT)
        assert server.connections == 1
