"""Settings from the environment: what each variable does, and all problems in one error."""

from __future__ import annotations

import traceback
from operator import attrgetter
from typing import Any

import pytest

from cyclr_async import AsyncPartnerSession, ConfigurationError, Region
from cyclr_async.environment import settings_from
from tests.support.canary import BEARER, CLIENT_SECRET, MARK, PASSWORD
from tests.support.examples import DETAILS
from tests.support.recorder import Heard, Recorder, reply

CLIENT = {"CYCLR_CLIENT_ID": "id", "CYCLR_CLIENT_SECRET": "s"}


def partner(heard: Heard) -> bytes:
    return reply('{"access_token": "t-1"}' if heard.target == "/oauth/token" else DETAILS)


@pytest.mark.parametrize(
    ("variables", "form"),
    [
        ({"CYCLR_ACCESS_TOKEN": " abc\n"}, None),
        (CLIENT, "grant_type=client_credentials&client_id=id&client_secret=s"),
        (
            CLIENT | {"CYCLR_ACCOUNT_ID": "7"},
            "grant_type=client_credentials&client_id=id&client_secret=s&scope=account%3A7",
        ),
        (
            {"CYCLR_CLIENT_ID": "id", "CYCLR_USERNAME": "jo", "CYCLR_PASSWORD": "pw"},
            "grant_type=password&client_id=id&username=jo&password=pw",
        ),
        (
            {"CYCLR_CLIENT_ID": "id", "CYCLR_USERNAME": "jo", "CYCLR_PASSWORD": "pw", "CYCLR_ACCOUNT_ID": "7"},
            "grant_type=password&client_id=id&username=jo&password=pw&client_secret=7",
        ),
    ],
)
async def test_each_way_to_authenticate(variables: dict[str, str], form: str | None) -> None:
    async with Recorder(make=partner) as server:
        place = {"CYCLR_BASE_URL": server.base_url, "CYCLR_TOKEN_URL": server.token_url}
        async with AsyncPartnerSession.from_env(variables | place) as session:
            await session.details()
        assert [heard.body.decode() for heard in server.to("/oauth/token")] == ([form] if form else [])
        assert server.heard[-1].headers["authorization"] == f"Bearer {'t-1' if form else 'abc'}"


async def test_the_variables_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Recorder(make=partner) as server:
        monkeypatch.setenv("CYCLR_ACCESS_TOKEN", "abc")
        monkeypatch.setenv("CYCLR_BASE_URL", server.base_url)
        async with AsyncPartnerSession.from_env() as session:
            await session.details()
        assert server.heard[0].headers["authorization"] == "Bearer abc"


def test_place_and_numbers() -> None:
    variables = CLIENT | {"CYCLR_REGION": "eu", "CYCLR_CONNECTIONS": "7", "CYCLR_REQUESTS_PER_SECOND": "2.5"}
    session = AsyncPartnerSession.from_env(variables)
    assert session.root == Region.EU.base_url
    limits = attrgetter("limits")(session)  # as code of 0.1 may do; type checkers do not see it
    assert (limits.connections, limits.requests_per_second) == (7, 2.5)
    assert settings_from(CLIENT | {"CYCLR_TIMEOUT": "12.5"})["timeouts"].deadline == 12.5


def test_arguments_win_over_variables() -> None:
    session = AsyncPartnerSession.from_env(CLIENT | {"CYCLR_REGION": "EU"}, region=Region.UK)
    assert session.root == Region.UK.base_url


@pytest.mark.parametrize(
    ("variables", "missing"),
    [
        ({}, ["CYCLR_CLIENT_ID", "CYCLR_CLIENT_SECRET", "CYCLR_ACCESS_TOKEN"]),
        ({"CYCLR_CLIENT_ID": " ", "CYCLR_CLIENT_SECRET": ""}, ["CYCLR_CLIENT_ID", "CYCLR_CLIENT_SECRET"]),
        ({"CYCLR_CLIENT_ID": "id"}, ["CYCLR_CLIENT_SECRET"]),
        ({"CYCLR_CLIENT_ID": "id", "CYCLR_USERNAME": "jo"}, ["CYCLR_PASSWORD"]),
        ({"CYCLR_PASSWORD": "pw"}, ["CYCLR_CLIENT_ID", "CYCLR_USERNAME"]),
    ],
)
def test_all_that_is_missing_is_named(variables: dict[str, str], missing: list[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        AsyncPartnerSession.from_env(variables)
    for name in missing:
        assert name in str(caught.value)


def test_all_problems_come_in_one_error() -> None:
    variables = {
        "CYCLR_CLIENT_SECRET": CLIENT_SECRET,
        "CYCLR_REGION": "MARS",
        "CYCLR_BASE_URL": "http://example.com/api/partner",
        "CYCLR_TOKEN_URL": "nonsense",
        "CYCLR_TIMEOUT": "-1",
        "CYCLR_CONNECTIONS": "many",
        "CYCLR_REQUESTS_PER_SECOND": "nan",
    }
    with pytest.raises(ConfigurationError) as caught:
        AsyncPartnerSession.from_env(variables)
    text = str(caught.value)
    for name in ("CYCLR_CLIENT_ID is missing", *(name for name in variables if name != "CYCLR_CLIENT_SECRET")):
        assert name in text
    assert MARK not in text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CYCLR_TIMEOUT", "0"),
        ("CYCLR_TIMEOUT", "inf"),
        ("CYCLR_TIMEOUT", "nan"),
        ("CYCLR_TIMEOUT", "1,5"),
        ("CYCLR_CONNECTIONS", "0"),
        ("CYCLR_CONNECTIONS", "-1"),
        ("CYCLR_CONNECTIONS", "1.5"),
        ("CYCLR_CONNECTIONS", "\u0667"),
        ("CYCLR_REQUESTS_PER_SECOND", "0"),
        ("CYCLR_REQUESTS_PER_SECOND", "-1"),
        ("CYCLR_REGION", "us-east-1"),
        ("CYCLR_BASE_URL", "my.cyclr.com"),
        ("CYCLR_ACCESS_TOKEN", "a b"),
    ],
)
def test_a_value_that_cannot_be_is_named(name: str, value: str) -> None:
    variables: dict[str, Any] = CLIENT | {name: value}
    with pytest.raises(ConfigurationError) as caught:
        AsyncPartnerSession.from_env(variables)
    assert name in str(caught.value) or "access token" in str(caught.value)


def test_the_environment_is_not_in_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "CYCLR_ACCESS_TOKEN": f"{BEARER} {BEARER}",
        "CYCLR_PASSWORD": PASSWORD,
        "CYCLR_PROXY": f"http://u:{PASSWORD}@p",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        AsyncPartnerSession.from_env()
    summary = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    frames = [frame for frame in summary.stack if "cyclr_async" in frame.filename]
    assert frames
    assert [name for frame in frames for name, text in (frame.locals or {}).items() if MARK in text] == []
