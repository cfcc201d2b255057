"""The second API: where it is, what its requests carry, and that the access token goes to the two APIs only."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest
from yarl import URL

from cyclr_async import (
    AsyncPartnerSession,
    ClientCredentials,
    ConfigurationError,
    InvalidArgumentError,
    Limits,
    Region,
    RetryPolicy,
    StaticToken,
)
from cyclr_async.http.request import Request, Safety
from cyclr_async.v1 import V1Api
from tests.support.examples import DETAILS
from tests.support.recorder import Heard, Recorder, reply

ONCE = RetryPolicy(attempts=1)
GRANT = json.dumps({"access_token": "t-1", "token_type": "bearer", "expires_in": 99})


def answers(heard: Heard) -> bytes:
    if heard.target == "/oauth/token":
        return reply(GRANT)
    return reply(DETAILS if heard.target.startswith("/api/partner") else "[]")


def api() -> Recorder:
    return Recorder(make=answers)


@pytest.mark.parametrize("region", list(Region), ids=lambda region: region.name)
def test_a_region_has_its_v1_api_on_its_api_host(region: Region) -> None:
    assert region.v1_url == URL(f"https://{region.api_host}/v1.0")
    assert repr(AsyncPartnerSession("t", region=region).v1) == f"<V1Api {region.v1_url}>"
    assert repr(AsyncPartnerSession("t", base_url=region.base_url).v1) == f"<V1Api {region.v1_url}>"


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        (
            {"base_url": "https://my.x.org/api/partner", "token_url": "https://api.x.org/oauth/token"},
            "https://api.x.org",
        ),
        (
            {"base_url": "https://x.org/api/partner", "token_url": "https://x.org:8443/c/oauth/token"},
            "https://x.org:8443/c",
        ),
        # The token endpoint of a region may also be on a domain of the partner's own; the v1.0 API is not.
        ({"region": "EU", "token_url": "https://partner.example/oauth/token"}, "https://api.eu.cyclr.com"),
    ],
)
def test_the_v1_api_is_found_beside_the_token_endpoint(settings: dict[str, str], found: str) -> None:
    assert repr(AsyncPartnerSession("t", **settings).v1) == f"<V1Api {found}/v1.0>"  # type: ignore[arg-type]
    given = AsyncPartnerSession("t", **settings, v1_url="https://v.org/v1.0/")  # type: ignore[arg-type]
    assert repr(given.v1) == "<V1Api https://v.org/v1.0>"
    assert given.v1 is given.v1


@pytest.mark.parametrize(
    "settings",
    [
        {"base_url": "https://my.x.org/api/partner"},
        {"base_url": "https://my.x.org/api/partner", "token_url": "https://login.x.org/issue"},
    ],
)
async def test_without_a_place_the_partner_api_works_and_the_first_use_of_v1_names_the_setting(
    settings: dict[str, str],
) -> None:
    session = AsyncPartnerSession("t", **settings)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"v1_url='https://.*CYCLR_V1_URL, --v1-url"):
        _ = session.v1


@pytest.mark.parametrize("url", ["nonsense", "http://x.org/v1.0", "https://u:p@x.org/v1.0", "https://x.org/v1.0?a=1"])
def test_a_v1_url_that_cannot_work_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="v1_url"):
        AsyncPartnerSession("t", v1_url=url)
    with pytest.raises(ConfigurationError, match="CYCLR_V1_URL"):
        AsyncPartnerSession.from_env({"CYCLR_ACCESS_TOKEN": "t", "CYCLR_V1_URL": url})


def test_the_environment_names_the_v1_api() -> None:
    environ = {"CYCLR_ACCESS_TOKEN": "t", "CYCLR_V1_URL": "https://v.org/v1.0"}
    assert repr(AsyncPartnerSession.from_env(environ).v1) == "<V1Api https://v.org/v1.0>"


@pytest.mark.parametrize("direct", [True, False], ids=["direct", "through-client-session"])
async def test_both_apis_share_the_token_and_nobody_else_gets_it(direct: bool) -> None:
    async with api() as partner, api() as v1, api() as issuer, api() as stranger:
        settings: dict[str, Any] = {
            "base_url": partner.base_url,
            "token_url": issuer.token_url,
            "v1_url": f"{v1.origin}/v1.0",
            "limits": Limits(direct_reads=direct),
            "retry": ONCE,
        }
        async with AsyncPartnerSession(ClientCredentials("id", "secret"), **settings) as session:
            await session.details()
            assert (await session.v1.request("GET", "accounts")).json() == []
            await session.v1.request("POST", "accounts", json={"Name": "n"})
            elsewhere: list[Request[object]] = [
                Request(name="x", method="GET", url=URL(url), safety=Safety.SAFE, decode=lambda _: None)
                for url in (stranger.base_url, issuer.token_url, v1.origin.replace("127.0.0.1", "localhost"))
            ]
            for request in elsewhere:
                with pytest.raises(ConfigurationError, match="refused to send the access token"):
                    await session._executor.send(request, None)
        assert [heard.target for heard in partner.heard] == ["/api/partner/details"]
        assert [heard.line for heard in v1.heard] == ["GET /v1.0/accounts HTTP/1.1", "POST /v1.0/accounts HTTP/1.1"]
        assert {heard.headers["authorization"] for heard in (*partner.heard, *v1.heard)} == {"Bearer t-1"}
        assert {heard.headers["host"] for heard in v1.heard} == {f"127.0.0.1:{v1.port}"}
        assert [heard.line for heard in issuer.heard] == ["POST /oauth/token HTTP/1.1"]  # one token for both
        assert "authorization" not in issuer.heard[0].headers
        assert stranger.heard == []


@pytest.mark.parametrize("way", ["direct", "client-session", "borrowed"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_account_scope_sends_its_account_and_nothing_else_does(way: str, method: str) -> None:
    async with api() as server:
        mine = aiohttp.ClientSession() if way == "borrowed" else None
        session = AsyncPartnerSession(
            StaticToken("t"),
            base_url=server.base_url,
            v1_url=f"{server.origin}/v1.0",
            limits=Limits(direct_reads=way == "direct"),
            client_session=mine,
        )
        async with session:
            scope, other = session.v1.account("tenant 42"), session.v1.account("other")
            assert (scope.account_id, server.heard) == ("tenant 42", [])
            await scope.request(method, "account/connectors", query={"page": 1})
            await session.v1.request(method, "accounts")
            await other.request(method, "account/connectors")
            await session.request(method, "details")
        if mine is not None:
            await mine.close()
    assert [heard.headers.get("x-cyclr-account") for heard in server.heard] == ["tenant 42", None, "other", None]
    assert server.heard[0].line == f"{method} /v1.0/account/connectors?page=1 HTTP/1.1"


@pytest.mark.parametrize(
    "account_id", ["", " ", "a\r\nX: y", "a\n", "a\x00b", " a", "a ", "é", "\x7f", "a" * 129, None, 7, b"a"]
)
def test_an_id_that_cannot_stand_in_a_header_is_refused_before_anything_is_sent(account_id: Any) -> None:
    v1: V1Api = AsyncPartnerSession("t").v1
    with pytest.raises(InvalidArgumentError, match="account_id cannot be sent as a header"):
        v1.account(account_id)


@pytest.mark.parametrize("account_id", ["a", "0f8fad5b-d9cd-469f-a165-70867728950e", "a b/c?d:e", "~" * 128])
def test_every_id_of_printable_ascii_can_be_an_account(account_id: str) -> None:
    assert AsyncPartnerSession("t").v1.account(account_id).account_id == account_id


@pytest.mark.parametrize("direct", [True, False])
async def test_a_header_that_would_begin_another_one_is_never_sent(direct: bool) -> None:
    async with api() as server:
        limits = Limits(direct_reads=direct)
        async with AsyncPartnerSession("t", base_url=server.base_url, limits=limits, retry=ONCE) as session:
            call: Request[None] = Request(
                name="x",
                method="GET",
                url=URL(f"{server.base_url}/details"),
                safety=Safety.SAFE,
                decode=lambda _: None,
                headers={"X-Cyclr-Account": "a\r\nX-Other: b"},
            )
            with pytest.raises(ConfigurationError):
                await session._executor.send(call, None)
        assert server.heard == []
