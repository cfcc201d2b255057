"""A refresh token is sent once whatever is answered, and a call never fails while a password or a token is at hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import parse_qs

import pytest

from cyclr_async import AsyncPartnerSession, PasswordGrant, RetryPolicy, Timeouts
from tests.support.answers import ACCOUNT, good, http, json_http
from tests.support.canary import BEARER, PASSWORD
from tests.support.server import FaultServer, Link
from tests.support.virtual import LoopClock, in_virtual_time

REFRESH = "canary-refresh"
TIMES = Timeouts(connect=2, read=2, attempt=2, deadline=5, close=0.0)
QUICK = RetryPolicy(attempts=4, base=0.01, throttled_base=0.01, cap=0.02)

Answer = bytes | Callable[[Link], None]

FAULTS: dict[str, Answer] = {
    "invalid_grant": json_http({"error": "invalid_grant"}, 400),
    "invalid_client": json_http({"error": "invalid_client"}, 400),
    "401": json_http({"Message": "no"}, 401),
    "403": http(403, b"<html>", {"Content-Type": "text/html"}),
    "404": json_http({}, 404),
    "408": json_http({}, 408),
    "425": json_http({}, 425),
    "429": json_http({}, 429),
    "429 and when": json_http({}, 429, {"Retry-After": "1"}),
    "429 and later": json_http({}, 429, {"Retry-After": "600"}),
    "500": json_http({}, 500),
    "501": json_http({}, 501),
    "503 and when": json_http({}, 503, {"Retry-After": "1"}),
    "520": json_http({}, 520),
    "302": http(302, b"", {"Location": "https://example.com/"}),
    "garbage": http(200, b"<html>"),
    "empty": http(200, b"{}"),
    "no HTTP": b"\x00\x01\x02\r\n\r\n",
    "cut": json_http({"access_token": f"{BEARER}-lost", "expires_in": 3600})[:-5],
    "closed": Link.fin,
    "reset": Link.rst,
}


class Endpoint:
    """Issues tokens for the password, and answers the refresh token with a fault."""

    def __init__(self, fault: Answer, *, lifetime: float = 3600, password_works: int = 1000) -> None:
        self.fault = fault
        self.lifetime = lifetime
        self.password_works = password_works
        self.grants: list[str] = []
        self.refresh_tokens: list[str] = []
        self.revoked: set[str] = set()

    async def serve(self, link: Link) -> None:
        while (request := await link.read_request()) is not None:
            if request.path != "/oauth/token":
                refused = request.bearer in self.revoked
                await link.write(json_http({"Message": "no"}, 401) if refused else good(request))
                continue
            form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
            self.grants.append(form["grant_type"])
            works = form["grant_type"] == "password" and self.grants.count("password") <= self.password_works
            if form["grant_type"] == "refresh_token":
                self.refresh_tokens.append(form["refresh_token"])
            if works:
                serial = len(self.grants)
                await link.write(
                    json_http(
                        {
                            "access_token": f"{BEARER}-{serial}",
                            "expires_in": self.lifetime,
                            "refresh_token": f"{REFRESH}-{serial}",
                        }
                    )
                )
            elif isinstance(self.fault, bytes):
                await link.write(self.fault)
                link.fin()
                return
            else:
                self.fault(link)
                return


def signed_in(server: FaultServer, *, refresh_token: str | None = None) -> AsyncPartnerSession:
    return AsyncPartnerSession(
        PasswordGrant("id", "jo", PASSWORD, refresh_token=refresh_token),
        base_url=server.base_url,
        token_url=server.token_url,
        timeouts=TIMES,
        retry=QUICK,
        clock=LoopClock(),
    )


@pytest.mark.parametrize("kept", [False, True], ids=["own", "kept"])
@pytest.mark.parametrize("fault", FAULTS)
@in_virtual_time
async def test_whatever_becomes_of_a_refresh_it_is_sent_once_and_the_password_helps(fault: str, kept: bool) -> None:
    endpoint = Endpoint(FAULTS[fault])
    async with (
        FaultServer(endpoint.serve) as server,
        signed_in(server, refresh_token=f"{REFRESH}-kept" if kept else None) as session,
    ):
        began = asyncio.get_running_loop().time()
        await session.accounts.usage(ACCOUNT)
        if not kept:
            endpoint.revoked.add(f"{BEARER}-1")
            await session.accounts.usage(ACCOUNT)
        await session.accounts.usage(ACCOUNT)
        assert asyncio.get_running_loop().time() - began < 1.0
        assert session.stats().failures <= 1  # the exchange itself
    assert endpoint.refresh_tokens == [f"{REFRESH}-kept" if kept else f"{REFRESH}-1"]
    assert endpoint.grants == ["refresh_token", "password"] if kept else ["password", "refresh_token", "password"]


@pytest.mark.parametrize("fault", ["401", "429 and later", "reset"])
@in_virtual_time
async def test_a_refresh_ahead_of_time_that_fails_disturbs_nobody(fault: str) -> None:
    """Neither its failure nor what the token endpoint asks for reaches calls whose token still serves."""
    # A lifetime of 1.2 s is refreshed from 0.6 s before its end on.
    endpoint = Endpoint(FAULTS[fault], lifetime=1.2, password_works=1)
    async with FaultServer(endpoint.serve) as server, signed_in(server) as session:
        await session.accounts.usage(ACCOUNT)
        began = asyncio.get_running_loop().time()
        slowest = 0.0
        while asyncio.get_running_loop().time() - began < 1.0:
            started = asyncio.get_running_loop().time()
            await session.accounts.usage(ACCOUNT, timeout=0.3)
            slowest = max(slowest, asyncio.get_running_loop().time() - started)
            await asyncio.sleep(0.02)
        assert session.stats().paused_for == 0
        assert slowest < 0.3
    assert endpoint.refresh_tokens == [f"{REFRESH}-1"]
    assert endpoint.grants[:3] == ["password", "refresh_token", "password"]
