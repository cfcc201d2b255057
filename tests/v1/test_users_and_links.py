"""Users of accounts, and links that sign them in: what is sent, what comes back, and that no secret shows."""

from __future__ import annotations

import json
import logging
import pickle
from collections.abc import AsyncIterator, Callable
from datetime import UTC
from typing import Any

import pytest
from yarl import URL

from cyclr_async import (
    AsyncPartnerSession,
    BadRequestError,
    DecodeError,
    InvalidArgumentError,
    NotFoundError,
    OutcomeUnknownError,
    UnauthorizedError,
)
from cyclr_async.secret import Secret, SecretUrl
from cyclr_async.simulator import Simulator
from cyclr_async.v1 import (
    ConnectorAuthentication,
    LaunchLink,
    MarketplaceLink,
    OrbitLink,
    SignInToken,
    V1Api,
    basic_auth,
)
from tests.simulator.v1.conftest import ACME, STATE
from tests.support.recorder import Heard, Recorder, reply
from tests.v1.test_accounts import places

EXPIRES = "2026-11-18T10:50:45.6509216Z"


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator(frozen=True, state=STATE) as simulator:
        yield simulator


@pytest.fixture
async def v1(sim: Simulator) -> AsyncIterator[V1Api]:
    async with sim.session() as session:
        yield session.v1


async def test_users_come_and_go(v1: V1Api) -> None:
    assert await v1.users.list(ACME) == ["Ann", "jo"]
    await v1.users.add(ACME, "new", "pa-1")
    await v1.users.add(ACME, "new", Secret("pa-2"))  # a second time gives access once more
    await v1.users.add(ACME, "Max")  # who exists
    assert await v1.users.list(ACME) == ["Ann", "jo", "Max", "new"]
    await v1.users.set_password("new", "pa-3")
    assert (await v1.launch.user("new", "pa-3", account_id=ACME)).account_id == ACME
    await v1.users.remove(ACME, "NEW")
    assert await v1.users.list(ACME) == ["Ann", "jo", "Max"]
    for wrong in (
        v1.users.remove(ACME, "new"),
        v1.users.set_password("nobody", "x"),
        v1.users.list("unknown"),
        v1.users.add("unknown", "jo", "x"),
    ):
        with pytest.raises(NotFoundError):
            await wrong


@pytest.mark.parametrize(
    "rows",
    ['["jo","Ann"]', '[{"UserName":"jo"},{"Username":"Ann"}]', '[{"Id":1,"userName":"jo"},"Ann"]'],
)
async def test_users_are_taken_as_texts_or_as_objects(rows: str) -> None:
    async with Recorder(reply(rows)) as server, AsyncPartnerSession("t", **places(server)) as session:
        assert await session.v1.users.list("a") == ["jo", "Ann"]


@pytest.mark.parametrize(("rows", "path"), [("{}", r"\$"), ("[1]", r"\$\[0\]"), ('["a",{"Name":"b"}]', r"\$\[1\]")])
async def test_users_of_another_kind_are_no_users(rows: str, path: str) -> None:
    async with Recorder(reply(rows)) as server, AsyncPartnerSession("t", **places(server)) as session:
        with pytest.raises(DecodeError) as caught:
            await session.v1.users.list("a")
    assert caught.value.path == path.replace("\\", "")


@pytest.mark.parametrize("fault", ["drop-after", "drop-before"])
async def test_a_removal_whose_answer_is_lost_is_settled(sim: Simulator, v1: V1Api, fault: str) -> None:
    sim.faults.add(f"{fault}:op=v1.users.remove:x1")
    await v1.users.remove(ACME, "jo", timeout=10)
    assert await v1.users.list(ACME) == ["Ann"]


async def test_a_token_signs_a_user_in_and_creates_him(sim: Simulator, v1: V1Api) -> None:
    token = await v1.tokens.create(ACME, "fresh")
    assert type(token) is SignInToken
    assert "fresh" in await v1.users.list(ACME)
    link = token.url("apps.example.com", return_url="/launch")
    assert link.reveal() == (
        f"https://apps.example.com/account/signinwithtoken?token={token.token.reveal()}&returnUrl=%2Flaunch"
    )
    assert URL(token.url().reveal()).origin() == URL(sim.base_url).origin()  # the console of the session
    with pytest.raises(NotFoundError):
        await v1.tokens.create("unknown", "jo")


def token(text: str = "a+b/c=") -> SignInToken:
    return SignInToken.from_dict({"Token": text, "ExpiresAtUtc": EXPIRES})


def test_the_pop_up_carries_everything_encoded() -> None:
    link = token().oauth_url(
        1874, target_origin="https://app.example.com/page?x=1", callback_message="a&b é", base="apps.example.com"
    )
    assert link.reveal() == (
        "https://apps.example.com/connectorauth/updateaccountconnectoroauth?id=1874&token=a%2Bb%2Fc%3D"
        "&targetOrigin=https%3A%2F%2Fapp.example.com&callbackMessage=a%26b%20%C3%A9"
    )
    assert str(link) == (
        "https://apps.example.com/connectorauth/updateaccountconnectoroauth"
        "?id=***&token=***&targetOrigin=***&callbackMessage=***"
    )
    short = token().oauth_url(1, target_origin=URL("http://localhost:3000"), base="apps.example.com").reveal()
    assert short.endswith("&targetOrigin=http%3A%2F%2Flocalhost%3A3000")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda t: t.url(return_url="https://evil.example"),
        lambda t: t.url(return_url="//evil.example"),
        lambda t: t.url(return_url="/\\evil.example"),
        lambda t: t.url(return_url="launch"),
        lambda t: t.url(return_url="/a\nb"),
        lambda t: t.url(return_url=7),
        lambda t: t.oauth_url("1", target_origin="https://x.org"),
        lambda t: t.oauth_url(True, target_origin="https://x.org"),
        lambda t: t.oauth_url(-1, target_origin="https://x.org"),
        lambda t: t.oauth_url(1, target_origin="x.org"),
        lambda t: t.oauth_url(1, target_origin="javascript:alert(1)"),
        lambda t: t.oauth_url(1, target_origin="https://x.org", callback_message=1),
        lambda t: t.oauth_url(1, target_origin="https://x.org", base="ftp://x.org"),
    ],
)
def test_links_that_lead_elsewhere_are_not_made(wrong: Callable[[SignInToken], object]) -> None:
    with pytest.raises(InvalidArgumentError):
        wrong(token())


EVERY: dict[str, Any] = {
    "account_name": "N",
    "account_description": "",
    "start": False,
    "run_once": True,
    "auto_install": False,
    "single_install": True,
    "wizard": True,
    "display_descriptions": True,
    "inline_oauth": False,
    "tags": ["a", "b"],
    "complete_parameter": "c d",
}
MAIL = ConnectorAuthentication(name="Mail Chimp", version="v3", auth_value="the-key", properties={"Region": "us1"})
AUTHENTICATION = (
    '"ConnectorAuthentications":[{"Name":"Mail Chimp","Version":"v3","AuthValue":"the-key",'
    '"Properties":[{"Name":"Region","Value":"us1"}]}]'
)
SENT = (
    '"AccountName":"N","AccountDescription":"","Start":false,"RunOnce":true,"AutoInstall":false,"SingleInstall":true,'
    '"Wizard":true,"DisplayDescriptions":true,"InlineOAuth":false,"Tags":["a","b"],"CompleteParameter":"c d"'
)
USER = '"Username":"jo","Password":"the-password"'
ROWS: list[tuple[str, Callable[[V1Api], Any], str, str, str]] = [
    ("launch", lambda v: v.launch.account("a b"), "accounts/a%20b/launch", "{}", "LaunchUrl"),
    (
        "launch with everything",
        lambda v: v.launch.account("a", **EVERY, connector_authentications=[MAIL]),
        "accounts/a/launch",
        f"{{{SENT},{AUTHENTICATION}}}",
        "LaunchUrl",
    ),
    (
        "launch of a user",
        lambda v: v.launch.user("jo", "the-password", account_id="a", start=True),
        "users/launch",
        f'{{"AccountId":"a",{USER},"Start":true}}',
        "LaunchUrl",
    ),
    (
        "launch without an account",
        lambda v: v.launch.user("jo", "the-password"),
        "users/launch",
        f"{{{USER}}}",
        "LaunchUrl",
    ),
    ("orbit", lambda v: v.launch.orbit("a"), "accounts/a/orbit", "{}", "OrbitUrl"),
    (
        "orbit of a user",
        lambda v: v.launch.orbit("a", username="jo", password="the-password"),
        "users/orbit",
        f'{{"AccountId":"a",{USER}}}',
        "OrbitUrl",
    ),
    (
        "marketplace",
        lambda v: v.launch.marketplace("a", 8, account_name="N", connector_authentications=[MAIL]),
        "accounts/a/marketplace",
        f'{{"MarketplaceId":8,"AccountName":"N",{AUTHENTICATION}}}',
        "MarketplaceUrl",
    ),
    (
        "marketplace of a user",
        lambda v: v.launch.marketplace("a", 8, username="jo", password="the-password", inline_oauth=True),
        "users/marketplace",
        f'{{"AccountId":"a",{USER},"MarketplaceId":8,"InlineOAuth":true}}',
        "MarketplaceUrl",
    ),
]


@pytest.mark.parametrize(("send", "path", "body", "key"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
async def test_a_link(
    send: Callable[[V1Api], Any], path: str, body: str, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url = "https://apps.example.com/account/signinwithtoken?token=the-token&returnUrl=%2Flaunch&inline=false"
    answer = reply(json.dumps({"AccountId": "a", "ExpiresAtUtc": EXPIRES, key: url, "Token": "the-token"}))
    async with Recorder(answer) as server, AsyncPartnerSession("t", **places(server)) as session:
        link = await send(session.v1)
    (heard,) = server.heard
    assert (heard.line, heard.body.decode()) == (f"POST /v1.0/{path} HTTP/1.1", body)
    assert heard.headers["content-type"] == "application/json"
    assert "x-cyclr-account" not in heard.headers
    kinds: dict[str, type[Any]] = {"LaunchUrl": LaunchLink, "OrbitUrl": OrbitLink, "MarketplaceUrl": MarketplaceLink}
    assert type(link) is kinds[key]
    assert isinstance(link, (LaunchLink, OrbitLink, MarketplaceLink))
    assert isinstance(link.url, SecretUrl)
    assert (link.url.reveal(), link.account_id, link.token) == (url, "a", Secret("the-token"))
    assert (link.expires_at.tzinfo, link.expires_at.microsecond) == (UTC, 650921)
    assert link.to_dict()[key] == url
    assert type(link).from_dict(link.to_dict()) == link
    shown = repr(link) + str(link) + f"{link.url}" + repr(link.to_dict()) + caplog.text
    for secret in ("the-token", "the-password", "the-key", "us1"):
        assert secret not in shown
    with pytest.raises(TypeError):
        pickle.dumps(link)


async def test_links_of_the_simulator(sim: Simulator, v1: V1Api) -> None:
    link = await v1.launch.account("brand-new", tags=["a b"], start=False, account_name="Brand", inline_oauth=True)
    assert (await v1.accounts.get("brand-new")).name == "Brand"
    assert link.url.reveal() == (
        "https://apps.example.com/account/signinwithtoken?token="
        f"{link.token.reveal() if link.token else ''}&returnUrl=%2Flaunch&start=false&tags=a%20b"
    )
    await v1.launch.account(ACME, connector_authentications=[ConnectorAuthentication(name="Hook")])
    assert (await v1.launch.user("Max", "pa", account_id=ACME)).account_id == ACME
    assert "orbit" in (await v1.launch.orbit(ACME)).orbit_url.reveal()
    assert "orbit" in (await v1.launch.orbit(ACME, username="Max", password="pa")).orbit_url.reveal()
    assert "marketplace" in (await v1.launch.marketplace(ACME, 8)).marketplace_url.reveal()
    assert (await v1.launch.marketplace(ACME, 8, username="Max", password="pa")).account_id == ACME
    with pytest.raises(NotFoundError):
        await v1.launch.orbit("unknown")
    with pytest.raises(BadRequestError, match="not a connector property"):
        await v1.launch.account(
            ACME, connector_authentications=[ConnectorAuthentication(name="Hook", properties={"x": "y"})]
        )
    with pytest.raises(UnauthorizedError, match="password is incorrect"):
        await v1.launch.user("Max", "wrong", account_id=ACME)


@pytest.mark.parametrize("operation", ["launch.account", "orbit.account", "marketplace.account", "tokens.create"])
async def test_a_link_whose_answer_is_lost_is_not_asked_for_again(sim: Simulator, v1: V1Api, operation: str) -> None:
    sim.faults.add(f"drop-after:op=v1.{operation}:x1")
    calls: dict[str, Callable[[], Any]] = {
        "launch.account": lambda: v1.launch.account(ACME),
        "orbit.account": lambda: v1.launch.orbit(ACME),
        "marketplace.account": lambda: v1.launch.marketplace(ACME, 8),
        "tokens.create": lambda: v1.tokens.create(ACME, "jo"),
    }
    with pytest.raises(OutcomeUnknownError, match="Call again"):
        await calls[operation]()
    assert sim.requests.count(operation=f"v1.{operation}") == 1


async def test_a_refusal_hides_what_was_sent() -> None:
    def make(heard: Heard) -> bytes:
        return reply(json.dumps({"Message": f"No: {heard.body.decode()}"}), status=400)

    async with Recorder(make=make) as server, AsyncPartnerSession("t", **places(server)) as session:
        for call in (
            session.v1.launch.user("jo", "the-password", connector_authentications=[MAIL]),
            session.v1.users.add("a", "jo", "the-password"),
            session.v1.users.set_password("jo", "the-password"),
        ):
            with pytest.raises(BadRequestError) as caught:
                await call
            assert not {"the-password", "the-key"} & set(str(caught.value).replace('"', " ").split())
            assert "the-password" not in caught.value.body


@pytest.mark.parametrize(
    "wrong",
    [
        lambda v: v.users.list(""),
        lambda v: v.users.add("a", ""),
        lambda v: v.users.add("a", "jo", ""),
        lambda v: v.users.add("a", "jo", 7),
        lambda v: v.users.set_password("jo", None),
        lambda v: v.users.set_password("jo", ""),
        lambda v: v.users.remove("a", " "),
        lambda v: v.tokens.create("a", ""),
        lambda v: v.tokens.create("../a", "jo"),
        lambda v: v.launch.account("a", start="yes"),
        lambda v: v.launch.account("a", tags="a"),
        lambda v: v.launch.account("a", account_name=""),
        lambda v: v.launch.account("a", connector_authentications=[{"Name": "x"}]),
        lambda v: v.launch.account("a", connector_authentications=MAIL),
        lambda v: v.launch.user("jo", ""),
        lambda v: v.launch.user("jo", 7),
        lambda v: v.launch.user("", "pa"),
        lambda v: v.launch.user("jo", "pa", account_id=".."),
        lambda v: v.launch.orbit("a", username="jo"),
        lambda v: v.launch.orbit("a", password="pa"),
        lambda v: v.launch.marketplace("a", "8"),
        lambda v: v.launch.marketplace("a", -1),
    ],
)
async def test_wrong_arguments_are_not_sent(wrong: Callable[[V1Api], Any], sim: Simulator, v1: V1Api) -> None:
    with pytest.raises(InvalidArgumentError):
        await wrong(v1)
    assert len(list(sim.requests)) == 0


@pytest.mark.parametrize(
    "options",
    [
        {"name": ""},
        {"name": 7},
        {"name": "x", "auth_value": 7},
        {"name": "x", "properties": {"a": 1}},
        {"name": "x", "properties": ["a"]},
    ],
)
def test_what_a_connector_cannot_sign_in_with_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        ConnectorAuthentication(**options)


def test_what_a_connector_signs_in_with_is_not_shown() -> None:
    one = ConnectorAuthentication(name="x", auth_value=basic_auth("u", "the-password"), properties={"Key": "the-key"})
    assert "the-key" not in repr(one) + repr(one.to_wire())
    assert "***" in repr(one)
