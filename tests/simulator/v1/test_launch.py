"""Sign-in links of v1.0: LAUNCH, ORBIT, Marketplace, and who may use them."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from cyclr_async.simulator import Simulator
from tests.simulator.v1.conftest import ACME, V1

TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


def options(url: str) -> str:
    """What follows the token and the place in a link."""
    found = re.fullmatch(
        r"https://apps\.example\.com/account/signinwithtoken\?token=[\w-]{43}&returnUrl=%2F\w+(?:%2F\d+)?(.*)", url
    )
    assert found is not None, url
    return found[1]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, "&inline=false"),  # the partner's setting is off
        ({"InlineOAuth": True}, ""),
        ({"inlineoauth": "false"}, "&inline=false"),
        (
            {"InlineOAuth": True, "Start": "false", "RunOnce": "true", "AutoInstall": "false", "SingleInstall": True}
            | {"wizard": "true", "DisplayDescriptions": 1, "tags": ["a_1", "b&c"], "completeParameter": "Test-1"},
            "&start=false&once=true&auto=false&single=true&wizard=true&descriptions=true&tags=a_1,b%26c&complete=Test-1",
        ),
        (
            {"InlineOAuth": True, "Start": True, "RunOnce": False, "AutoInstall": True, "SingleInstall": False}
            | {"Wizard": False, "DisplayDescriptions": False},
            "&auto=true&single=false",
        ),
    ],
)
async def test_options(v1: V1, body: dict[str, Any], expected: str) -> None:
    for path, more in ((f"/accounts/{ACME}/launch", {}), ("/users/launch", {"AccountId": ACME, "Username": "x"})):
        found = await v1.value("POST", path, {**body, **more})
        assert list(found) == ["AccountId", "ExpiresAtUtc", "LaunchUrl", "Token"]
        assert (found["AccountId"], found["ExpiresAtUtc"]) == (ACME, "2026-11-24T09:05:00Z")
        assert TOKEN.fullmatch(found["Token"])
        assert f"token={found['Token']}&" in found["LaunchUrl"]
        assert options(found["LaunchUrl"]) == expected


@pytest.mark.parametrize(
    ("kind", "body", "place"),
    [("launch", {}, "/launch"), ("orbit", {}, "/orbit"), ("marketplace", {"MarketplaceId": "8"}, "/marketplace/8")],
)
async def test_links_sign_in_once(v1: V1, sim: Simulator, kind: str, body: dict[str, Any], place: str) -> None:
    person = {"AccountId": ACME, "Username": "jo", "Password": "p"}
    for path, more, user in ((f"/accounts/{ACME}/{kind}", {}, ACME), (f"/users/{kind}", person, "jo")):
        found = await v1.value("POST", path, {**body, **more})
        url = urlsplit(found[f"{kind.title()}Url"])
        assert parse_qs(url.query)["returnUrl"] == [place]
        used = [await v1.get(f"/account/signinwithtoken?{url.query}") for _ in range(2)]
        assert [answer.status for answer in used] == [200, 401]
        assert (sim.sign_ins[-1].username, sim.sign_ins[-1].account_id) == (user, sim.account(ACME).id)


async def test_sign_in_token(v1: V1, sim: Simulator) -> None:
    found = await v1.value("POST", f"/accounts/{ACME}/signintoken", {"username": "Somebody New"})
    assert list(found) == ["Token", "ExpiresAtUtc"]
    assert TOKEN.fullmatch(found["Token"])
    assert "Somebody New" in sim.account(ACME).users
    sim.clock.advance(301)
    assert (await v1.get(f"/account/signinwithtoken?token={found['Token']}")).status == 401
    assert (await v1.ask("POST", f"/accounts/{ACME}/signintoken", {})).message == "Username is required"
    assert (await v1.ask("POST", "/accounts/nobody/signintoken", {"Username": "u"})).status == 404


@pytest.mark.parametrize("kind", ["launch", "marketplace"])
async def test_unknown_accounts_are_created(v1: V1, sim: Simulator, kind: str) -> None:
    body = {"MarketplaceId": 3}
    assert (await v1.value("POST", f"/accounts/{quote('shop 1')}/{kind}", body))["AccountId"] == "shop 1"
    assert sim.account("shop 1").name == "shop 1"
    named = {**body, "AccountName": "Shop", "AccountDescription": "d"}
    await v1.value("POST", f"/accounts/shop2/{kind}", named)
    assert (sim.account("shop2").name, sim.account("shop2").description) == ("Shop", "d")
    person = {**named, "Username": "u", "Password": "p"}
    made = await v1.value("POST", f"/users/{kind}", person)
    assert sim.account(made["AccountId"]).users == {"u"}
    assert made["AccountId"].count("-") == 4
    await v1.value("POST", f"/users/{kind}", {**person, "AccountId": "shop3"})
    assert sim.account("shop3").users == {"u"}


async def test_passwords(v1: V1) -> None:
    for username, password, status in [
        ("Ann", "secret", 200),
        ("ann", "wrong", 401),
        ("Max", "pa", 200),
        ("Max", "", 401),
        ("newcomer", "first", 200),
        ("newcomer", "second", 401),
        ("jo", "chosen now", 200),
        ("jo", "other", 401),
    ]:
        for kind in ("launch", "orbit", "marketplace"):
            body = {"AccountId": ACME, "Username": username, "Password": password, "MarketplaceId": 8}
            answer = await v1.ask("POST", f"/users/{kind}", body)
            assert answer.status == status, (username, password, kind)
    assert answer.message == "The user name or password is incorrect."
    assert (await v1.ask("POST", "/users/launch", {"AccountId": ACME})).message == "Username is required"


async def test_what_does_not_exist(v1: V1) -> None:
    assert (await v1.ask("POST", "/accounts/nobody/orbit", {})).status == 404
    body = {"AccountId": "nobody", "Username": "u", "Password": "p"}
    assert (await v1.ask("POST", "/users/orbit", body)).status == 404
    assert (await v1.ask("POST", f"/accounts/{ACME}/marketplace", {"MarketplaceId": 9})).status == 404
    for number in ({}, {"MarketplaceId": "x"}, {"MarketplaceId": None}):
        assert (await v1.ask("POST", f"/accounts/{ACME}/marketplace", number)).status == 400


async def test_connectors_come_along(v1: V1, sim: Simulator) -> None:
    one = {"Name": "Mail Chimp", "Version": "v2", "AuthValue": "k", "Properties": []}
    two = {"Name": "Mail Chimp", "Version": "v3", "Properties": [{"Name": "Region", "Value": "us1"}]}
    for given in ({"ConnectorAuthentications": [one, two]}, {"ConnectorAuthentications": one, "PartnerConnector": two}):
        await v1.value("POST", "/accounts/fresh/launch", given)
        await v1.value("POST", "/accounts/fresh/launch", given)
        rows = await v1.value("GET", "/account/connectors", account="fresh")
        assert [(row["Connector"]["Id"], row["AuthValue"], row["Authenticated"]) for row in rows] == [
            (8, "k", True),
            (7, None, False),
        ]
        assert [item["Value"] for item in rows[1]["Properties"]] == ["us1"]
        assert [item.name for item in sim.connectors("fresh")] == ["Mail Chimp", "Mail Chimp 2"]
        await v1.value("DELETE", "/accounts/fresh")
    for wrong in ({"Name": "None such"}, {**two, "Properties": [{"Name": "x"}]}, {**one, "AuthenticationId": "x"}):
        assert (await v1.ask("POST", "/accounts/fresh/launch", {"ConnectorAuthentications": wrong})).status == 400
    assert (await v1.ask("GET", "/accounts/fresh")).status == 404  # nothing of a refused request is done
