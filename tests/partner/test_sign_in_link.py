"""The link that signs a user in: https, percent-encoded, on the right host, and never printed."""

from __future__ import annotations

import json
import logging

import pytest
from yarl import URL

from cyclr_async import AsyncPartnerSession, ConfigurationError, SignInToken
from tests.support.examples import ACCOUNT_ID, SIGN_IN_TOKEN
from tests.support.recorder import Recorder, reply

BASE64 = "aB+/9zcanary0123456789012345678901234567890="


def token(text: str = "0" * 37) -> SignInToken:
    return SignInToken.from_dict(json.loads(SIGN_IN_TOKEN) | {"Token": text})


def test_the_link_of_the_document_becomes_https() -> None:
    documented = "http://my.cyclr.com/account/signinwithtoken?token=" + "0" * 37
    assert token().url().reveal() == documented.replace("http://", "https://")
    assert token().url("http://my.cyclr.com").reveal() == documented.replace("http://", "https://")


@pytest.mark.parametrize(
    ("base", "start"),
    [
        ("partner.example.com", "https://partner.example.com/"),
        ("http://partner.example.com", "https://partner.example.com/"),
        ("http://partner.example.com:80/x/y?z=1", "https://partner.example.com/"),
        ("https://partner.example.com:8443/api/partner", "https://partner.example.com:8443/"),
        ("http://127.0.0.1:8080/api/partner", "http://127.0.0.1:8080/"),
        (URL("https://eu.cyclr.com"), "https://eu.cyclr.com/"),
    ],
)
def test_the_host_can_be_chosen(base: str | URL, start: str) -> None:
    assert token().url(base).reveal() == f"{start}account/signinwithtoken?token={'0' * 37}"


@pytest.mark.parametrize(
    "base",
    ["", "ftp://my.cyclr.com", "javascript:alert(1)", "https://u:p@my.cyclr.com", "http://my.cyclr.com:8080", "///x"],
)
def test_a_host_that_cannot_be_is_refused(base: str) -> None:
    with pytest.raises(ConfigurationError):
        token().url(base)


def test_the_token_is_percent_encoded() -> None:
    link = token(BASE64).url().reveal()
    assert link.endswith("?token=aB%2B%2F9zcanary0123456789012345678901234567890%3D")
    assert URL(link, encoded=True).query["token"] == BASE64


async def test_the_link_leads_to_the_console_of_the_session(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    answer = reply(json.dumps(json.loads(SIGN_IN_TOKEN) | {"Token": BASE64}))
    async with Recorder(answer) as server, AsyncPartnerSession("bearer", base_url=server.base_url) as session:
        created = await session.tokens.create(ACCOUNT_ID, "user@example.com")
    assert created.url().reveal().startswith(f"{server.origin}/account/signinwithtoken?token=aB%2B")
    assert created.url("partner.example.com").reveal().startswith("https://partner.example.com/account/")
    shown = f"{created} {created!r} {created.url()} {created.url()!r} {created.url():>10} {caplog.text}"
    assert "canary" not in shown
    assert "account/signinwithtoken?token=***" in shown
