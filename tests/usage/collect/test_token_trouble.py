"""A token endpoint out of order: never held against an account, in a single call or in a bulk run."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from cyclr_async import (
    AsyncPartnerSession,
    AuthenticationError,
    ClientCredentials,
    ConnectError,
    CyclrError,
    DecodeError,
    PasswordGrant,
    RateLimitedError,
    ReadTimeoutError,
    RetryPolicy,
    ServerError,
    Timeouts,
    TokenEndpointError,
    TransportError,
    TruncatedResponseError,
    errors,
)
from cyclr_async.auth.providers import AccessToken, Exchange
from cyclr_async.errors import BulkInterruptedError, NotFoundError, ResponseError
from cyclr_async.http.classify import Concern, classify
from tests.support.canary import assert_no_canary
from tests.support.clock import VirtualClock
from tests.support.ports import ClosedPort
from tests.support.sizes import crossed
from tests.support.usage_server import DROP, PartnerServer, ThenClosed, account_ids, all_of, http, raw, states, stored

SECRET = "canary-client-secret"
CUT = ThenClosed(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{")

# What comes back, the error of a single call, and whether it looks like a wrong token_url.
SERVICE: dict[str, tuple[bytes, type[CyclrError], bool]] = {
    "404": (raw(404, "", ""), TokenEndpointError, True),
    "404 json": (http(404, {"Message": "No HTTP resource was found"}), TokenEndpointError, True),
    "404 page": (raw(404, "<html>"), TokenEndpointError, True),
    "302": (raw(302, "", "", "Location: https://login.example.com/?canary-x"), TokenEndpointError, True),
    "405": (http(405, {}), TokenEndpointError, True),
    "410": (raw(410, ""), TokenEndpointError, True),
    "400 page": (raw(400, "<html>Bad Request - Invalid Hostname</html>"), TokenEndpointError, True),
    "403 page": (raw(403, "<html>blocked</html>"), TokenEndpointError, True),
    "400 passing": (http(400, {"error": "temporarily_unavailable"}), TokenEndpointError, True),
    "200 passing": (http(200, {"error": "temporarily_unavailable"}), TokenEndpointError, False),
    "200 unknown": (http(200, {"error": SECRET}), TokenEndpointError, False),
    "no bearer": (http(200, {"access_token": "canary-access-1", "token_type": "mac"}), TokenEndpointError, False),
    "page": (http(200), TokenEndpointError, False),
    "text": (raw(200, "access_token=canary-access-1", "text/plain"), TokenEndpointError, False),
    "empty": (raw(200, ""), TokenEndpointError, False),
    "null": (http(200, "null"), TokenEndpointError, False),
    "list": (http(200, [1]), TokenEndpointError, False),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", TokenEndpointError, False),
    "cut": (CUT, TruncatedResponseError, False),
    "closed": (DROP, TransportError, False),
    "not http": (b"SSH-2.0-OpenSSH\r\n\r\n", errors.ProtocolError, False),
    "500": (http(500, {"Message": "An error has occurred."}), ServerError, False),
    "503": (http(503, {}, "Retry-After: 7"), ServerError, False),
    "429": (http(429, {}, "Retry-After: 7"), RateLimitedError, False),
}
REFUSED: dict[str, tuple[bytes, str | None]] = {
    "400": (http(400, {"error": "invalid_client"}), "invalid_client"),
    "400 grant": (http(400, {"error": "invalid_grant", "error_description": "no"}), "invalid_grant"),
    "401": (http(401, {"error": "unauthorized_client"}), "unauthorized_client"),
    "401 empty": (raw(401, ""), None),
    "401 page": (raw(401, "<html>"), None),
    "403": (http(403, {"error": "invalid_client"}), "invalid_client"),
    "200 client": (http(200, {"error": "invalid_client"}), "invalid_client"),
    "200 grant": (http(200, {"error": "invalid_grant", "error_description": "no"}), "invalid_grant"),
    "200 unauthorized": (http(200, {"error": "unauthorized_client"}), "unauthorized_client"),
}
ONCE = RetryPolicy(attempts=1)


@asynccontextmanager
async def trouble(
    answer: bytes, **options: Any
) -> AsyncIterator[tuple[PartnerServer, AsyncPartnerSession, VirtualClock]]:
    """A token endpoint with this answer, and a session in virtual time whose token lives for 60 seconds.

    The partner has a name, so that a collection registers its accounts before anything is asked.
    """
    options.setdefault("partner", "partner")
    async with VirtualClock() as clock, PartnerServer() as server:
        server.token = lambda: answer
        auth = options.pop("auth", ClientCredentials("id", SECRET))
        async with server.session(auth, clock=clock, **options) as session:
            # Token requests take no slot, so ask the server as well.
            clock.busy = lambda: session.stats().active > 0 and server.active > 0
            yield server, session, clock


@pytest.mark.parametrize(("answer", "kind", "wrong"), SERVICE.values(), ids=SERVICE)
async def test_a_single_call_names_the_token_endpoint(answer: bytes, kind: type[CyclrError], wrong: bool) -> None:
    async with trouble(answer, retry=ONCE) as (server, session, _):
        with pytest.raises(kind) as caught:
            await session.accounts.usage("a")
        error = caught.value
        assert not isinstance(error, (NotFoundError, AuthenticationError))
        assert not isinstance(error, ResponseError) or isinstance(error, (ServerError, RateLimitedError))
        assert error.token_request
        assert classify(error) is Concern.SERVICE
        assert server.token_url.removesuffix("/oauth/token") in error.message
        assert "the token endpoint" in error.message
        assert server.requests == 0
        assert isinstance(error, DecodeError) is (kind is TokenEndpointError)
    assert_no_canary(error)


@pytest.mark.parametrize(("answer", "code"), REFUSED.values(), ids=REFUSED)
async def test_refused_credentials_name_the_code(answer: bytes, code: str | None, path: Path) -> None:
    async with trouble(answer) as (server, session, _):
        with pytest.raises(AuthenticationError, match="the token endpoint") as caught:
            await session.accounts.usage("a")
        assert caught.value.error == code
        assert code is None or code in caught.value.message
        with pytest.raises(BulkInterruptedError, match="credentials were refused") as stopped:
            await all_of(session.accounts.collect_usage(account_ids(50), store=path))
        assert (stopped.value.reason, stopped.value.resumable) == ("authentication", True)
        assert server.requests == 0
        assert set(states(path)) == {"pending"}


@crossed(trouble_of=SERVICE, count=[1, 100])
async def test_a_run_that_never_gets_a_token_books_nobody(
    trouble_of: tuple[bytes, type[CyclrError], bool], count: int, path: Path
) -> None:
    answer, _, wrong = trouble_of
    ids = account_ids(count)
    async with trouble(answer) as (server, session, clock):
        run = session.accounts.collect_usage(ids, store=path, max_outage=200)
        with pytest.raises(BulkInterruptedError, match="token endpoint") as caught:
            await all_of(run)
        assert caught.value.resumable
        assert caught.value.reason == ("systemic" if wrong else "outage")
        assert server.requests == 0
        assert set(states(path)) == {"pending"}
        assert (run.progress.pending, run.progress.done) == (run.progress.asked, 0)
        if wrong:
            assert clock.now() < 1010, "a wrong token_url is said at once"
        else:
            assert clock.now() >= 1200
        server.token = lambda: http(200, {"access_token": "t"})
        clock.advance(60)
        await all_of(session.accounts.collect_usage(ids, store=path))
    assert stored(path) == set(ids)


@crossed(trouble_of=SERVICE, seconds=[100.0, 10_000.0])
async def test_a_token_that_cannot_be_renewed_in_the_middle_is_waited_for(
    trouble_of: tuple[bytes, type[CyclrError], bool], seconds: float, path: Path
) -> None:
    answer = trouble_of[0]
    ids = account_ids(200)
    good = http(200, {"access_token": "t", "expires_in": 3600})
    async with trouble(good) as (server, session, clock):
        stops = 0.0

        def token() -> bytes:
            return answer if stops and clock.now() < stops + seconds else good

        def reply(_account: str, _nth: int) -> bytes | None:
            nonlocal stops
            if server.requests >= 100 and not stops:
                stops = clock.now()
                clock.advance(4000)  # the token expires
                stops = clock.now()
            return None

        server.token, server.reply = token, reply
        run = session.accounts.collect_usage(ids, store=path, max_outage=600)
        if seconds > 600:
            with pytest.raises(BulkInterruptedError, match="token endpoint") as caught:
                await all_of(run)
            assert (caught.value.reason, caught.value.resumable) == ("outage", True)
            assert 100 <= run.progress.ok < 150
            clock.advance(seconds)
            run = session.accounts.collect_usage(ids, store=path)
        await all_of(run)
        assert (run.progress.ok, run.progress.asked) == (200, 200)
    assert stored(path) == set(ids)


@pytest.mark.parametrize(("answer", "kind", "wrong"), SERVICE.values(), ids=SERVICE)
async def test_the_same_for_a_run_over_the_account_list(
    answer: bytes, kind: type[CyclrError], wrong: bool, path: Path
) -> None:
    async with trouble(answer) as (server, session, _):
        with pytest.raises(BulkInterruptedError, match="token endpoint") as caught:
            await all_of(session.accounts.collect_usage(store=path, max_outage=60))
        assert caught.value.resumable
        assert server.lists == 0


async def test_a_refresh_that_fails_after_a_401_is_no_matter_of_the_account(path: Path) -> None:
    ids = account_ids(80)
    good = http(200, {"access_token": "t", "expires_in": 3600})
    async with trouble(good) as (server, session, clock):
        revoked = False

        def reply(_account: str, _nth: int) -> bytes | None:
            nonlocal revoked
            revoked = server.requests > 20 and clock.now() < 1300
            return http(401, {"Message": "denied"}) if revoked else None

        server.reply = reply
        server.token = lambda: raw(404, "") if server.token_requests - 1 > 0 and clock.now() < 1300 else good
        run = session.accounts.collect_usage(ids, store=path)
        await all_of(run)
        assert (run.progress.ok, run.progress.failed) == (80, 0)
    assert stored(path) == set(ids)


async def test_whatever_a_provider_of_ones_own_raises_is_no_matter_of_the_account(path: Path) -> None:
    class Vault:
        async def fetch(self, exchange: Exchange, previous: AccessToken | None) -> AccessToken:
            raise NotFoundError("no such secret", status=404, server_message="none")

    async with trouble(b"", auth=Vault()) as (server, session, _):
        with pytest.raises(BulkInterruptedError, match="no such secret") as caught:
            await all_of(session.accounts.collect_usage(account_ids(3), store=path, max_outage=100))
        assert caught.value.reason == "outage"
        assert set(states(path)) == {"pending"}
        assert server.requests == 0


@pytest.mark.parametrize("wrong", [False, True])
async def test_the_question_whose_data_it_is_needs_a_token_too(path: Path, wrong: bool) -> None:
    answer = http(404, {"Message": "No HTTP resource was found"}) if wrong else http(503, {})
    async with trouble(answer, partner=None) as (server, session, clock):
        began = clock.now()
        with pytest.raises(BulkInterruptedError, match="the token endpoint") as caught:
            await all_of(session.accounts.collect_usage(account_ids(3), store=path, max_outage=100))
        assert (caught.value.reason, caught.value.resumable) == ("systemic" if wrong else "outage", True)
        assert clock.now() - began < 20 if wrong else clock.now() - began >= 100
        assert server.requests == 0


async def test_a_token_endpoint_that_asks_to_wait_is_not_asked_earlier_and_does_not_stop_the_api() -> None:
    async with trouble(SERVICE["503"][0]) as (server, session, clock):
        server.token = lambda: http(503, {}, "Retry-After: 300")
        asked: list[float] = []

        def token() -> bytes:
            asked.append(clock.now())
            return http(503, {}, "Retry-After: 300") if len(asked) < 3 else http(200, {"access_token": "t"})

        server.token = token
        outcomes = await all_of(session.accounts.collect_usage(account_ids(5)))
        assert all(one.ok for one in outcomes)
        assert session.stats().paused_for == 0
    assert len(asked) == 3
    assert asked[1] - asked[0] >= 300
    assert asked[2] - asked[1] >= 300


async def test_no_connection_to_the_token_endpoint() -> None:
    auth = ClientCredentials("id", SECRET)
    with ClosedPort() as closed:
        origin = closed.base_url.removesuffix("/api/partner")
        async with (
            PartnerServer() as server,
            AsyncPartnerSession(
                auth, base_url=server.base_url, token_url=f"{origin}/oauth/token", retry=ONCE
            ) as session,
        ):
            with pytest.raises(ConnectError, match=f"the token endpoint {origin}") as caught:
                await session.accounts.usage("a")
            assert caught.value.token_request
            assert caught.value.sent == "never"
            assert server.targets == []


async def test_a_token_endpoint_that_is_silent() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    listener = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with listener, PartnerServer() as server:
        times = Timeouts(connect=1, read=0.05, attempt=0.1, deadline=5, close=0)
        url = f"http://127.0.0.1:{port}/oauth/token"
        async with AsyncPartnerSession(
            ClientCredentials("id", SECRET), base_url=server.base_url, token_url=url, retry=ONCE, timeouts=times
        ) as session:
            with pytest.raises(ReadTimeoutError, match="the token endpoint") as caught:
                await session.accounts.usage("a")
            assert classify(caught.value) is Concern.SERVICE
            with pytest.raises(BulkInterruptedError, match="token endpoint"):
                await all_of(session.accounts.collect_usage(account_ids(3), max_outage=0))
        assert server.targets == []


@pytest.mark.parametrize("answer", [http(200, {"error": "invalid_grant"}), http(400, {"error": "invalid_grant"})])
async def test_a_dead_refresh_token_is_replaced_by_the_password_also_when_the_status_is_200(answer: bytes) -> None:
    async with trouble(answer, auth=PasswordGrant("id", "jo", SECRET, refresh_token="canary-refresh-1")) as (
        server,
        session,
        _,
    ):
        server.token = lambda: answer if server.token_requests == 1 else http(200, {"access_token": "t"})
        await session.accounts.usage("1")
        assert Counter(server.targets)["/oauth/token"] == 2
