"""The seam between executor and engine: one verdict on every answer, and nothing of aiohttp's above the engine."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from cyclr_async import (
    AsyncPartnerSession,
    BadRequestError,
    ConflictError,
    CyclrError,
    DecodeError,
    DesynchronizedError,
    ForbiddenError,
    InvalidArgumentError,
    Limits,
    NotFoundError,
    ProtocolError,
    RateLimitedError,
    ReadTimeoutError,
    ResponseError,
    RetryPolicy,
    ServerError,
    TransportError,
    UnauthorizedError,
    UnexpectedRedirectError,
    UnprocessableError,
)
from cyclr_async.http.engine.engine import EngineResponse
from cyclr_async.http.request import Request as Call
from cyclr_async.http.request import Safety
from cyclr_async.http.timeouts import Attempt, TimerWheel
from tests.faults.matrix import after, partner
from tests.faults.rows import LASTING
from tests.support.answers import ACCOUNT, good, http, json_http
from tests.support.canary import assert_no_canary
from tests.support.server import FaultServer, Link, Request, Script, close, delay, rst, stall, write
from tests.support.virtual import in_virtual_time

WAYS: list[Any] = [
    pytest.param({}, id="direct"),
    pytest.param({"limits": Limits(direct_reads=False)}, id="session"),
]


async def _iterated(session: AsyncPartnerSession) -> object:
    return [account async for account in session.accounts.iter()]


READINGS: dict[str, Callable[[AsyncPartnerSession], Awaitable[object]]] = {
    "whole": lambda session: session.accounts.usage(ACCOUNT),
    "reader": lambda session: session.accounts.list(),
    "stream": _iterated,
}
"""The three ways in which an answer becomes a value."""

STATUSES: list[tuple[int, type[CyclrError]]] = [
    (101, ProtocolError),
    (300, UnexpectedRedirectError),
    (302, UnexpectedRedirectError),
    (304, UnexpectedRedirectError),
    (307, UnexpectedRedirectError),
    (400, BadRequestError),
    (401, UnauthorizedError),
    (402, ResponseError),
    (403, ForbiddenError),
    (404, NotFoundError),
    (407, ResponseError),
    (408, ResponseError),
    (409, ConflictError),
    (418, ResponseError),
    (422, UnprocessableError),
    (429, RateLimitedError),
    (500, ServerError),
    (501, ServerError),
    (503, ServerError),
    (599, ServerError),
    (600, ProtocolError),
    (999, ProtocolError),
]
_SAID = json.dumps({"Message": "not today"}).encode()
_HEADERS = {"Retry-After": "7", "Location": "https://elsewhere.example/x?token=1", "Server": "test"}
BODIES: dict[str, Callable[[int], Script]] = {
    "json": lambda status: write(http(status, _SAID, _HEADERS)),
    "nothing": lambda status: write(http(status, b"", _HEADERS)),
    "page": lambda status: write(http(status, b"<html>no</html>", {**_HEADERS, "Content-Type": "text/html"})),
    "gzip": lambda status: write(http(status, gzip.compress(_SAID), {**_HEADERS, "Content-Encoding": "gzip"})),
    "not-gzip": lambda status: write(http(status, _SAID, {**_HEADERS, "Content-Encoding": "gzip"})),
    "bad-chunk": lambda status: write(
        http(status, b"zz\r\n{}\r\n", {**_HEADERS, "Transfer-Encoding": "chunked"}, length=False)
    ),
    "late": lambda status: _in_two(http(status, _SAID, _HEADERS)),
    "cut": lambda status: write(http(status, _SAID, {**_HEADERS, "Content-Length": "900"})),
    "unended": lambda status: write(http(status, _SAID, _HEADERS, length=False)),
}
"""How the body of a refusal can be. None changes what its status says."""


def _in_two(data: bytes) -> Script:
    async def run(link: Link) -> None:
        await link.write(data[:-9])
        await delay(0.02)(link)
        await link.write(data[-9:])

    return run


def _facts(error: CyclrError) -> dict[str, object]:
    """Everything an error says, but for the name of the operation and the id of the request."""
    facts = {name: value for name, value in vars(error).items() if name not in {"request_id", "__notes__"}}
    headers = facts.get("headers")
    if isinstance(headers, dict):
        facts["headers"] = {name: value for name, value in headers.items() if name != "x-request-id"}
    return {"class": type(error), "message": error.message.partition(":")[2], **facts}


async def _ending(reading: str, fault: Script, **options: Any) -> dict[str, object]:
    async with FaultServer(fault) as server, partner(server.base_url, **options) as session:
        with pytest.raises(CyclrError) as caught:
            await READINGS[reading](session)
    assert_no_canary(caught.value)
    _assert_ours(caught.value)
    return _facts(caught.value)


def _assert_ours(error: BaseException) -> None:
    """Nothing of aiohttp's is in an error: not as its cause or context, and not in what it holds."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        waiting += [one.__cause__, one.__context__]
        held = [one, *vars(one).values()]
        assert [type(value) for value in held if type(value).__module__.startswith("aiohttp")] == []


@pytest.mark.parametrize("options", WAYS)
@pytest.mark.parametrize("body", BODIES)
@in_virtual_time
async def test_a_refusal_is_the_same_error_however_its_answer_would_have_been_read(
    body: str, options: dict[str, Any]
) -> None:
    once = {"retry": RetryPolicy(attempts=1), **options}
    for status, kind in STATUSES:
        fault = after(BODIES[body](status), close())
        whole, *others = [await _ending(reading, fault, **once) for reading in READINGS]
        assert whole["class"] is kind, status
        assert whole["status"] == status
        assert whole["sent"] == "yes"
        assert others == [whole, whole]


@pytest.mark.parametrize("options", WAYS)
@pytest.mark.parametrize("reading", READINGS)
@in_virtual_time
async def test_a_refusal_says_what_the_server_said(reading: str, options: dict[str, Any]) -> None:
    once = {"retry": RetryPolicy(attempts=1), **options}
    found = await _ending(reading, after(write(http(429, _SAID, _HEADERS)), close()), **once)
    assert found["server_message"] == "not today"
    assert found["retry_after"] == 7.0
    found = await _ending(reading, after(write(http(302, b"", _HEADERS)), close()), **once)
    assert found["location_origin"] == "https://elsewhere.example"


def _of_another(request: Request) -> bytes:
    """A good answer to another request of the same session."""
    return good(request, {"X-Request-Id": f"{request.request_id[:-1]}{'0' if request.request_id[-1] != '0' else '1'}"})


UNWANTED: dict[str, tuple[Script, type[CyclrError], int | None]] = {
    "page": (
        after(write(http(200, b"<html></html>", {"Content-Type": "text/html"})), close()),
        DecodeError,
        200,
    ),
    "another-request": (after(write(_of_another), close()), DesynchronizedError, None),
    "another-request-refused": (
        after(
            write(lambda request: json_http({}, 500, {"X-Request-Id": f"{request.request_id[:-1]}z"})),
            close(),
        ),
        DesynchronizedError,
        None,
    ),
    "unknown-coding": (after(write(http(200, b"[]", {"Content-Encoding": "br"})), close()), ProtocolError, 200),
    "status-101-late": (after(delay(0.02), write(json_http({}, 101)), close()), ProtocolError, 101),
    "closed": (after(close()), TransportError, None),
    "reset": (after(rst()), TransportError, None),
    "silent": (after(stall()), ReadTimeoutError, None),
}


@pytest.mark.parametrize("options", WAYS)
@pytest.mark.parametrize("name", UNWANTED)
@in_virtual_time
async def test_what_is_no_answer_is_the_same_error_too(name: str, options: dict[str, Any]) -> None:
    fault, kind, status = UNWANTED[name]
    once = {"retry": RetryPolicy(attempts=1), **options}
    whole, *others = [await _ending(reading, fault, **once) for reading in READINGS]
    assert whole["class"] is kind
    assert whole["status"] == status
    assert others == [whole, whole]


@pytest.mark.parametrize("options", WAYS)
@pytest.mark.parametrize("reading", READINGS)
@in_virtual_time
async def test_after_an_answer_to_another_request_its_connection_is_not_used_again(
    reading: str, options: dict[str, Any]
) -> None:
    async def wrong_once(link: Link) -> None:
        while (request := await link.read_request()) is not None:
            await link.write(_of_another(request) if link.number == 0 else good(request))

    async with FaultServer(wrong_once, wrong_once) as server, partner(server.base_url, **options) as session:
        await READINGS[reading](session)  # repeated, since it is a read
        assert server.connections == 2
        assert session.stats().retries == 1


@pytest.mark.parametrize("options", WAYS)
@pytest.mark.parametrize("reading", READINGS)
@in_virtual_time
async def test_an_id_that_a_proxy_made_up_is_no_reason_to_doubt(reading: str, options: dict[str, Any]) -> None:
    made_up = after(write(lambda request: good(request, {"X-Request-Id": "from-the-proxy"})), close())
    async with FaultServer(made_up) as server, partner(server.base_url, **options) as session:
        await READINGS[reading](session)


@pytest.mark.parametrize("options", WAYS)
@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "ä", "a\x00"])
@in_virtual_time
async def test_a_header_that_is_none_is_refused_before_anything_is_sent(
    reading: str, value: str, options: dict[str, Any]
) -> None:
    async with FaultServer(after(write(good))) as server, partner(server.base_url, **options) as session:
        call: Call[object] = Call(
            name="x",
            method="GET",
            url=session.root / "x",
            safety=Safety.SAFE,
            decode=lambda data: data,
            headers={"X-Mine": value},
        )
        with pytest.raises(InvalidArgumentError) as caught:
            await (_opened(session, call) if reading == "stream" else session._executor.send(call, None))
        assert server.connections == 0
    _assert_ours(caught.value)


async def _opened(session: AsyncPartnerSession, call: Call[object]) -> None:
    async with session._executor.stream(call, None):
        raise AssertionError("it was sent")


# The engine itself


async def _drained(response: EngineResponse) -> bytes:
    try:
        body = response.whole()
        if body is not None:
            return body
        pieces = b""
        while piece := await response.piece():
            pieces += piece
        return pieces
    finally:
        response.close()


@pytest.mark.parametrize("options", WAYS)
@pytest.mark.parametrize("row", LASTING, ids=lambda row: row.name)
@in_virtual_time
async def test_an_engine_answers_or_raises_an_error_of_ours(row: Any, options: dict[str, Any]) -> None:
    async with FaultServer(row.fault) as server, partner(server.base_url, **options) as session:
        await session._executor._open(None)
        call: Call[object] = Call(
            name="x", method="GET", url=session.root / f"accounts/{ACCOUNT}/billing", safety=Safety.SAFE
        )
        now = asyncio.get_running_loop().time
        attempt = Attempt(TimerWheel(), 0.3, read=0.3, ends=now() + 0.3, now=now)
        ended: BaseException | None = None
        status = 0
        try:
            with attempt:
                response = await session._pool.engine.send(call, None, "id", attempt)
                status = response.status
                assert isinstance(await _drained(response), bytes)
        except (CyclrError, TimeoutError) as error:
            ended = error
        assert attempt.connected
        if isinstance(ended, CyclrError):
            _assert_ours(ended)
            assert ended.sent in ({"yes"} if status else {"maybe", "yes"})
        else:
            # An answer is judged above the engine, by its status and its body; being late is the executor's business.
            assert attempt.expired if ended else status


@pytest.mark.parametrize("options", WAYS)
@in_virtual_time
async def test_an_engine_that_cannot_send_says_so_in_an_error_of_ours(options: dict[str, Any]) -> None:
    async with partner("http://127.0.0.1:9/api/partner", **options) as session:
        call: Call[object] = Call(name="x", method="GET", url=session.root / "details", safety=Safety.SAFE)
        now = asyncio.get_running_loop().time
        attempt = Attempt(TimerWheel(), 5.0, read=5.0, ends=now() + 5.0, now=now)
        for opened in (False, True):  # before, nothing can be sent at all
            if opened:
                await session._executor._open(None)
            with pytest.raises(CyclrError) as caught:
                await session._pool.engine.send(call, None, "id", attempt)
            assert caught.value.sent == "never"
            assert not attempt.connected
            _assert_ours(caught.value)


@in_virtual_time
async def test_the_check_sees_what_is_not_ours() -> None:
    error = TransportError("x")
    _assert_ours(error)
    error.__context__ = aiohttp.ClientError()
    with pytest.raises(AssertionError):
        _assert_ours(error)
