"""A session of the caller's: its middlewares run, nothing is sent twice, and what cannot work is refused at once."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from cyclr_async import (
    AsyncPartnerSession,
    ConfigurationError,
    CyclrError,
    OutcomeUnknownError,
    RetryPolicy,
    TransportError,
    WrongEventLoopError,
)
from tests.faults.matrix import OPERATIONS, POLICY, partner
from tests.support.answers import ACCOUNT, account_id, good, gzipped, task_count
from tests.support.recorder import reply
from tests.support.server import FaultServer, Request, answer, close, commit, read_request, script

PLENTY = script(*[answer(good)] * 50)
Handler = Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]]


@pytest.fixture
async def server() -> AsyncIterator[FaultServer]:
    async with FaultServer(PLENTY) as made:
        yield made


class Heard:
    """A middleware that notes what passes through it, and adds a header."""

    def __init__(self, name: str, seen: list[str]) -> None:
        self._name = name
        self._seen = seen

    async def __call__(self, request: aiohttp.ClientRequest, handler: Handler) -> aiohttp.ClientResponse:
        self._seen.append(f"{self._name} {request.method}")
        request.headers[f"X-{self._name}"] = "1"
        response = await handler(request)
        self._seen.append(f"{self._name} {response.status}")
        return response


@pytest.mark.parametrize("kind", [list, tuple])
async def test_its_middlewares_run_in_their_order(server: FaultServer, kind: Any) -> None:
    seen: list[str] = []
    own = kind([Heard("A", seen), Heard("B", seen)])
    async with (
        aiohttp.ClientSession(middlewares=own) as mine,
        partner(server.base_url, client_session=mine) as session,
    ):
        await session.accounts.usage(ACCOUNT)
        assert seen == ["A GET", "B GET", "B 200", "A 200"]
        for name, operation in OPERATIONS.items():
            seen.clear()
            await operation(session)
            method = "POST" if name == "TOKEN" else name
            assert seen == [f"A {method}", f"B {method}", "B 200", "A 200"]
        seen.clear()
        assert len([account async for account in session.accounts.iter()]) == 3
        assert seen == ["A GET", "B GET", "B 200", "A 200"]
    for request in server.requests:
        assert (request.headers["x-a"], request.headers["x-b"]) == ("1", "1")
        assert request.bearer


@pytest.mark.parametrize("own", [(), (Heard("A", []),)], ids=["none", "one"])
@pytest.mark.parametrize("operation", ["GET", "PUT", "POST"])
async def test_aiohttp_sends_nothing_again_by_itself(own: Any, operation: str) -> None:
    deaf = script(read_request(), commit(), close())
    async with FaultServer(deaf) as server, aiohttp.ClientSession(middlewares=own) as mine:
        async with partner(server.base_url, client_session=mine, retry=RetryPolicy(attempts=1)) as session:
            with pytest.raises(CyclrError) as caught:
                await OPERATIONS[operation](session)
        assert isinstance(caught.value, OutcomeUnknownError if operation == "POST" else TransportError)
        assert (server.request_count, caught.value.attempts, caught.value.sent) == (1, 1, "maybe")


@pytest.mark.parametrize("operation", ["GET", "PUT", "POST"])
async def test_a_middleware_that_repeats_is_stopped(server: FaultServer, operation: str) -> None:
    async def twice(request: aiohttp.ClientRequest, handler: Handler) -> aiohttp.ClientResponse:
        first = await handler(request)
        first.close()
        return await handler(request)

    async with (
        aiohttp.ClientSession(middlewares=[twice]) as mine,
        partner(server.base_url, client_session=mine, retry=RetryPolicy(attempts=1)) as session,
    ):
        with pytest.raises(CyclrError) as caught:
            await OPERATIONS[operation](session)
    assert isinstance(caught.value, OutcomeUnknownError if operation == "POST" else TransportError)
    assert server.request_count == 1
    assert "middleware" in str(caught.value.__cause__ or caught.value)


async def test_attempts_are_ours_to_repeat(server: FaultServer) -> None:
    """The guard belongs to one attempt: the next attempt may be sent."""
    seen: list[str] = []
    deaf = script(read_request(), close())
    async with (
        FaultServer(deaf, PLENTY) as flaky,
        aiohttp.ClientSession(middlewares=[Heard("A", seen)]) as mine,
        partner(flaky.base_url, client_session=mine, retry=POLICY) as session,
    ):
        assert (await session.accounts.usage(ACCOUNT)).task_count == task_count(ACCOUNT)
        assert (flaky.request_count, session.stats().retries) == (2, 1)
    assert seen == ["A GET", "A GET", "A 200"]


async def test_a_middleware_that_answers_itself_needs_no_network() -> None:
    async def refused(request: aiohttp.ClientRequest, handler: Handler) -> aiohttp.ClientResponse:
        raise aiohttp.ClientConnectionError("blocked by policy")

    async with (
        aiohttp.ClientSession(middlewares=[refused]) as mine,
        partner("http://127.0.0.1:9/api/partner", client_session=mine, retry=RetryPolicy(attempts=1)) as session,
    ):
        with pytest.raises(CyclrError) as caught:
            await session.accounts.create(name="x")
        # It stopped the request before it could be sent.
        assert caught.value.sent == "never"


async def test_middlewares_that_cannot_be_seen_run_and_it_is_said(
    server: FaultServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As in an aiohttp that gives them another name."""
    seen: list[str] = []
    async with aiohttp.ClientSession(middlewares=[Heard("A", seen)]) as mine:
        hidden = mine._middlewares
        del mine._middlewares
        monkeypatch.setattr(aiohttp.ClientSession, "_middlewares", _Renamed(hidden), raising=False)
        async with partner(server.base_url, client_session=mine) as session:
            for number in (1, 2):
                assert (await session.accounts.usage(account_id(number))).task_count == task_count(account_id(number))
        monkeypatch.undo()
    assert seen == ["A GET", "A 200"] * 2
    assert len([record for record in caplog.records if "cannot be seen" in record.getMessage()]) == 1


class _Renamed:
    """An attribute that aiohttp's own code sees, and no other."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __get__(self, instance: Any, owner: Any) -> Any:
        if sys._getframe(1).f_globals["__name__"] != "aiohttp.client":
            raise AttributeError("_middlewares")
        return self._value


# What cannot work


async def test_a_session_that_does_not_decompress_is_refused(server: FaultServer) -> None:
    async with aiohttp.ClientSession(auto_decompress=False) as mine:
        with pytest.raises(ConfigurationError, match="auto_decompress"):
            partner(server.base_url, client_session=mine)


async def test_a_session_without_room_to_read_is_refused(server: FaultServer) -> None:
    async with aiohttp.ClientSession(read_bufsize=0) as mine:
        with pytest.raises(ConfigurationError, match="read_bufsize"):
            partner(server.base_url, client_session=mine)


@pytest.mark.parametrize("given", [object(), aiohttp.ClientSession, "session", aiohttp.TCPConnector])
def test_what_is_no_session_of_aiohttp_is_refused(given: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"aiohttp\.ClientSession"):
        AsyncPartnerSession("bearer", client_session=given)


def test_a_session_of_another_event_loop_is_refused() -> None:
    made: list[aiohttp.ClientSession] = []

    async def make() -> None:
        made.append(aiohttp.ClientSession())

    async def use() -> None:
        async with AsyncPartnerSession(
            "bearer", base_url="http://127.0.0.1:9/api/partner", client_session=made[0]
        ) as session:
            with pytest.raises(WrongEventLoopError, match="client_session"):
                await session.details()

    with asyncio.Runner() as first:
        first.run(make())
        with asyncio.Runner() as second:
            second.run(use())
        first.run(made[0].close())


# What works


async def _raising(response: aiohttp.ClientResponse) -> None:
    raise aiohttp.ClientPayloadError("raised by raise_for_status")


WORKING: dict[str, dict[str, Any]] = {
    "raise_for_status": {"raise_for_status": True},
    "raise_for_status-function": {"raise_for_status": _raising},
    "read_bufsize-1": {"read_bufsize": 1},
    "read_bufsize-large": {"read_bufsize": 1 << 24},
    "base_url": {"base_url": "https://example.com/other/"},
    "no-cookies": {"cookie_jar": aiohttp.DummyCookieJar},
    "cookies": {"cookies": {"a": "b"}},
    "trust_env": {"trust_env": True},
    "requote": {"requote_redirect_url": False},
    "timeout": {"timeout": aiohttp.ClientTimeout(total=0.000001)},
    "http-1.0": {"version": aiohttp.HttpVersion10},
    "skip-headers": {"skip_auto_headers": ["User-Agent", "Accept"]},
    "headers": {"headers": {"Authorization": "Basic other", "X-Request-Id": "other", "Accept": "text/html"}},
    "json": {"json_serialize": repr},
}


@pytest.mark.parametrize("options", WORKING.values(), ids=WORKING)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
async def test_other_settings_do_not_matter(
    options: dict[str, Any], packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NETRC", "/nowhere")
    options = {name: value() if isinstance(value, type) else value for name, value in options.items()}

    def make(request: Request) -> bytes:
        if request.path.endswith("/nothing"):
            return reply('{"Message":"gone"}', 404)
        return gzipped(request) if packed else good(request)

    async with (
        FaultServer(script(*[answer(make)] * 3), script(*[answer(make)] * 9)) as server,
        aiohttp.ClientSession(**options) as mine,
        partner(server.base_url, client_session=mine) as session,
    ):
        assert (await session.accounts.usage(ACCOUNT)).task_count == task_count(ACCOUNT)
        assert len(await session.accounts.list()) == 3
        assert len([account async for account in session.accounts.iter()]) == 3
        assert await session.accounts.update(ACCOUNT, name="New") == ACCOUNT
        with pytest.raises(CyclrError) as caught:
            await session.request("GET", "nothing")
        assert getattr(caught.value, "status", None) == 404
        assert server.requests[0].headers["accept"] == "application/json"
        assert server.requests[0].bearer == "canary-bearer-91b2c7"
