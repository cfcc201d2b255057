"""What the loggers of the package say at DEBUG: enough to follow a call, and no secret."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable

import pytest

from cyclr_async import AsyncPartnerSession, ClientCredentials, CyclrError, Limits, RetryPolicy, Timeouts
from tests.faults.answers import ACCOUNT, good, http, json_http
from tests.faults.server import FaultServer, Link
from tests.support.canary import BEARER, CLIENT_SECRET, MARK, PASSWORD

TIMES = Timeouts(connect=5, read=5, attempt=5, deadline=5, close=0.0)
POLICY = RetryPolicy(attempts=4, base=0.001, throttled_base=0.001, cap=0.001)


def serving(*statuses: int, quiet: float = 0.0) -> Callable[[Link], Awaitable[None]]:
    """Issue numbered tokens; answer the n-th call with the n-th status, and well when there are no more."""
    left = list(statuses)

    async def run(link: Link) -> None:
        while (request := await link.read_request()) is not None:
            await asyncio.sleep(quiet)
            if request.path == "/oauth/token":
                link.server.turns += 1
                body = {"access_token": f"{BEARER}-{link.server.turns}", "expires_in": 1209599, "token_type": "bearer"}
                await link.write(json_http(body | {"refresh_token": f"{MARK}refresh"}))
            elif left:
                body = {"Message": f"{MARK}said by the server\nforged line"}
                await link.write(json_http(body, left.pop(0), {"Retry-After": "0.01"}))
            elif request.path.endswith("/moved"):
                await link.write(http(302, b"", {"Location": f"https://other.example.com/?token={MARK}"}))
            else:
                await link.write(good(request))

    return run


def session_for(server: FaultServer, **options: object) -> AsyncPartnerSession:
    settings: dict[str, object] = {"base_url": server.base_url, "token_url": server.token_url, "timeouts": TIMES}
    settings |= {"retry": POLICY, **options}
    return AsyncPartnerSession(ClientCredentials("client", CLIENT_SECRET), **settings)  # type: ignore[arg-type]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, logger="cyclr_async")
    return caplog


def lines(log: pytest.LogCaptureFixture) -> list[str]:
    found = [f"{record.name} {record.getMessage()}" for record in log.records if record.name.startswith("cyclr_async")]
    assert all(line.isprintable() for line in found)
    return found


def one(found: list[str], pattern: str, times: int = 1) -> None:
    assert len([line for line in found if re.fullmatch(pattern, line)]) == times, (pattern, found)


ID = r"\(request [0-9a-f]{16}-[0-9a-f]{6}\)"


async def test_a_call_can_be_followed(log: pytest.LogCaptureFixture) -> None:
    async with FaultServer(serving(503, 401, 429)) as server, session_for(server) as session:
        await session.accounts.usage(ACCOUNT)
    found = lines(log)
    http, tokens = r"cyclr_async\.http ", r"cyclr_async\.auth\.token_manager "
    path = f"GET /api/partner/accounts/{ACCOUNT}/billing"
    one(found, rf"cyclr_async\.http\.connections connected to 127\.0\.0\.1:{server.port}", server.connections)
    one(found, tokens + "an access token is fetched", 2)
    one(found, tokens + "a new access token, good for 1209599 s", 2)
    one(found, tokens + "the server refused the access token: another one is fetched")
    one(found, http + rf"token attempt 1: POST /oauth/token, status 200, done after \d+\.\d{{3}} s {ID}", 2)
    for number, status, end in ((1, 503, "ServerError"), (2, 401, "UnauthorizedError"), (3, 429, "RateLimitedError")):
        one(
            found,
            http + rf"accounts\.usage attempt {number}: {path}, status {status}, {end} after \d+\.\d{{3}} s {ID}",
        )
    one(found, http + rf"accounts\.usage: the server asks for less, nothing leaves for 0\.010 s {ID}", 2)
    one(found, http + rf"accounts\.usage failed with ServerError, attempt 1; next in \d+\.\d{{3}} s {ID}")


async def test_waiting_is_said(log: pytest.LogCaptureFixture) -> None:
    async with (
        FaultServer(serving(quiet=0.01)) as server,
        session_for(server, limits=Limits(connections=1)) as session,
    ):
        await session.accounts.usage(ACCOUNT)
        await asyncio.gather(*(session.accounts.usage(ACCOUNT) for _ in range(3)))
    waits = r"cyclr_async\.http accounts\.usage waits for a slot or a token: 1 of 1 slots taken, "
    one(lines(log), rf"{waits}0 in line, pause 0\.000 s {ID}")
    one(lines(log), rf"{waits}1 in line, pause 0\.000 s {ID}")


async def test_a_stream_and_a_failure(log: pytest.LogCaptureFixture) -> None:
    async with FaultServer(serving(404)) as server, session_for(server) as session:
        with pytest.raises(CyclrError):
            _ = [account async for account in session.accounts.iter()]
        _ = [account async for account in session.accounts.iter()]
    found = lines(log)
    start = r"cyclr_async\.http accounts\.list attempt 1: GET /api/partner/accounts, "
    one(found, start + rf"status 404, NotFoundError after \d+\.\d{{3}} s {ID}")
    one(found, start + rf"status 200, done after \d+\.\d{{3}} s {ID}")


async def test_no_secret_is_in_them(log: pytest.LogCaptureFixture) -> None:
    async with FaultServer(serving(503, 401, 400)) as server, session_for(server) as session:
        with pytest.raises(CyclrError):
            await session.accounts.create(name=f"{MARK}name", audit_info=PASSWORD)
        with pytest.raises(CyclrError):
            await session.connectors.install(ACCOUNT, "C", None, installed_name="C", api_key=f"{MARK}key")
        await session.accounts.update(ACCOUNT, name=f"{MARK}name")
        await session.tokens.create(ACCOUNT, "jo")
        with pytest.raises(CyclrError):
            await session.request("GET", "moved", query={"token": f"{MARK}query"}, json={"password": PASSWORD})
    text = "\n".join(lines(log))
    assert text.count(" attempt ") >= 8
    assert MARK not in text


async def test_nothing_is_said_unless_it_is_wanted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="cyclr_async")
    async with FaultServer(serving(503)) as server, session_for(server) as session:
        await session.accounts.usage(ACCOUNT)
    found = lines(caplog)
    assert len(found) == 1
    assert "failed with ServerError" in found[0]
