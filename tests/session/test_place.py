"""Where calls go: five regions over real TLS, private instances, and addresses that are refused."""

from __future__ import annotations

import json
import socket
import ssl
from typing import Any

import aiohttp
import pytest
import trustme
from aiohttp.abc import AbstractResolver, ResolveResult

from cyclr_async import AsyncPartnerSession, ClientCredentials, ConfigurationError, Region, StaticToken
from tests.support.examples import ACCOUNT_ID, DETAILS, SIGN_IN_TOKEN
from tests.support.recorder import Heard, Recorder, reply

HOSTS = {
    Region.US: ("my.cyclr.com", "api.cyclr.com"),
    Region.US2: ("us2.cyclr.com", "api.us2.cyclr.com"),
    Region.UK: ("my.cyclr.uk", "api.cyclr.uk"),
    Region.EU: ("eu.cyclr.com", "api.eu.cyclr.com"),
    Region.APAC: ("apac.cyclr.com", "api.apac.cyclr.com"),
}


class Everywhere(AbstractResolver):
    """Resolves every name to one port of this machine."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(f"{host}:{port}")
        return [
            ResolveResult(
                hostname=host,
                host="127.0.0.1",
                port=self.port,
                family=socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        return


def test_there_are_five_regions() -> None:
    assert set(Region) == set(HOSTS)


@pytest.mark.parametrize("region", list(HOSTS), ids=lambda region: region.name)
async def test_each_region_has_its_hosts(region: Region) -> None:
    console, api = HOSTS[region]
    authority = trustme.CA()
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(console, api).configure_cert(serving)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    def make(heard: Heard) -> bytes:
        if heard.target == "/oauth/token":
            return reply(json.dumps({"access_token": "t-1", "token_type": "bearer", "expires_in": 99}))
        return reply(SIGN_IN_TOKEN if "signin" in heard.target else DETAILS)

    async with Recorder(make=make, ssl=serving) as server:
        resolver = Everywhere(server.port)
        connector = aiohttp.TCPConnector(resolver=resolver, ssl=trusting)
        async with (
            aiohttp.ClientSession(connector=connector) as mine,
            AsyncPartnerSession(ClientCredentials("id", "s"), region=region, client_session=mine) as session,
        ):
            await session.details()
            token = await session.tokens.create(ACCOUNT_ID, "jo")
        assert [(heard.line, heard.headers["host"]) for heard in server.heard] == [
            ("POST /oauth/token HTTP/1.1", api),
            ("GET /api/partner/details HTTP/1.1", console),
            ("POST /api/partner/createaccountsignintoken HTTP/1.1", console),
        ]
        assert set(resolver.asked) == {f"{api}:443", f"{console}:443"}
    assert token.url().reveal().startswith(f"https://{console}/account/signinwithtoken?token=0")


@pytest.mark.parametrize("name", ["EU", "eu", " Eu "])
def test_a_region_by_name(name: str) -> None:
    assert str(AsyncPartnerSession("abc", region=name).root) == "https://eu.cyclr.com/api/partner"


@pytest.mark.parametrize("name", ["", "MARS", "us-east-1", None, 7])
def test_an_unknown_region_names_the_known_ones(name: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        AsyncPartnerSession("abc", region=name)
    assert "US, US2, UK, EU, APAC" in str(caught.value)


async def test_a_private_instance_with_a_path_of_its_own() -> None:
    def make(heard: Heard) -> bytes:
        return reply('{"access_token":"t-1"}' if "token" in heard.target else DETAILS)

    async with (
        Recorder(make=make) as server,
        AsyncPartnerSession(
            ClientCredentials("id", "s"),
            base_url=f"{server.origin}/tenant/api/partner/",
            token_url=f"{server.origin}/auth/oauth/token",
        ) as session,
    ):
        await session.details()
        assert [heard.target for heard in server.heard] == ["/auth/oauth/token", "/tenant/api/partner/details"]


def test_a_private_instance_needs_a_token_url() -> None:
    with pytest.raises(ConfigurationError, match="token_url is missing"):
        AsyncPartnerSession(ClientCredentials("id", "s"), base_url="https://cyclr.example.com/api/partner")
    AsyncPartnerSession(StaticToken("abc"), base_url="https://cyclr.example.com/api/partner")


def test_the_address_of_a_region_is_not_a_private_instance() -> None:
    session = AsyncPartnerSession(ClientCredentials("id", "s"), base_url="https://eu.cyclr.com/api/partner")
    assert session.root == Region.EU.base_url


@pytest.mark.parametrize("name", ["base_url", "token_url"])
@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("http://my.cyclr.com/api/partner", "https"),
        ("http://10.0.0.1/api/partner", "https"),
        ("http://127.0.0.1.example.com/api/partner", "https"),
        ("http://localhost.example.com/api/partner", "https"),
        ("http://0.0.0.0/api/partner", "https"),
        ("my.cyclr.com/api/partner", "absolute"),
        ("/api/partner", "absolute"),
        ("", "absolute"),
        ("ftp://my.cyclr.com", "https"),
        ("file:///etc/passwd", "https"),
        ("https://", "absolute"),
        ("https://user:canary-pw@my.cyclr.com/api/partner", "credentials"),
        ("https://my.cyclr.com/api/partner?x=canary-pw", "query"),
        ("https://my.cyclr.com/api/partner#x", "fragment"),
        ("https://my.cyclr.com:99999/api/partner", "URL"),
        (7, "URL"),
    ],
)
def test_addresses_that_are_refused(name: str, url: Any, word: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        AsyncPartnerSession("abc", **{name: url})
    assert name in str(caught.value)
    assert word in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "[::1]", "localhost", "LOCALHOST"])
def test_plain_http_on_this_machine(host: str) -> None:
    session = AsyncPartnerSession("abc", base_url=f"http://{host}:8080/api/partner")
    assert session.root.scheme == "http"
