"""Access tokens: each grant as the form on the wire, the token on every call, rotation, and what is persisted."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from cyclr_async import (
    AccessToken,
    AsyncPartnerSession,
    AuthenticationError,
    ClientCredentials,
    ConfigurationError,
    DecodeError,
    PasswordGrant,
    RetryPolicy,
    Secret,
    StaticToken,
    UnauthorizedError,
)
from cyclr_async.auth.providers import Exchange
from tests.support.canary import assert_no_canary
from tests.support.examples import DETAILS
from tests.support.recorder import Heard, Recorder, reply

ONCE = RetryPolicy(attempts=1)
FORM = "application/x-www-form-urlencoded"


def grant(number: int, **fields: Any) -> bytes:
    """A token answer in the vendor's form."""
    body = {"access_token": f"token-{number}", "token_type": "bearer", "expires_in": 1209599, "clientId": "c"}
    return reply(json.dumps(body | fields))


def partner(*grants: bytes, refuse: Callable[[Heard], bool] = lambda _: False) -> Recorder:
    """A server whose token endpoint gives these answers one after the other, and whose API answers with details."""
    left = list(grants)

    def make(heard: Heard) -> bytes:
        if heard.target == "/oauth/token":
            return left.pop(0)
        return reply('{"Message": "Authorization has been denied for this request."}', 401) if refuse(heard) else good

    good = reply(DETAILS)
    return Recorder(make=make)


def bearers(server: Recorder) -> list[str]:
    return [heard.headers["authorization"] for heard in server.to("/api/partner/details")]


def forms(server: Recorder) -> list[str]:
    return [heard.body.decode() for heard in server.to("/oauth/token")]


def session_of(auth: Any, server: Recorder, **options: Any) -> AsyncPartnerSession:
    return AsyncPartnerSession(auth, base_url=server.base_url, token_url=server.token_url, **options)


@pytest.mark.parametrize("auth", ["abc", " abc\n", Secret("abc"), StaticToken("abc"), StaticToken(Secret(" abc "))])
async def test_a_token_at_hand_goes_out_as_it_is(auth: Any) -> None:
    async with partner() as server, AsyncPartnerSession(auth, base_url=server.base_url) as session:
        await session.details()
        assert bearers(server) == ["Bearer abc"]
        assert len(server.heard) == 1


@pytest.mark.parametrize(
    ("auth", "form"),
    [
        (
            ClientCredentials("id 1", "s&e=c+r%t é"),
            "grant_type=client_credentials&client_id=id+1&client_secret=s%26e%3Dc%2Br%25t+%C3%A9",
        ),
        (
            ClientCredentials("id", Secret("s"), account_id="0123"),
            "grant_type=client_credentials&client_id=id&client_secret=s&scope=account%3A0123",
        ),
        (
            ClientCredentials("id", "s", scope="other"),
            "grant_type=client_credentials&client_id=id&client_secret=s&scope=other",
        ),
        (
            PasswordGrant("id", "jo@example.com", "p w"),
            "grant_type=password&client_id=id&username=jo%40example.com&password=p+w",
        ),
        (
            PasswordGrant("id", "jo", "pw", account_id="0123"),
            "grant_type=password&client_id=id&username=jo&password=pw&client_secret=0123",
        ),
        (
            PasswordGrant("id", "jo", "pw", account_id="0123", refresh_token="r-0"),
            "grant_type=refresh_token&client_id=id&refresh_token=r-0&client_secret=0123",
        ),
    ],
)
async def test_the_form_of_each_grant(auth: Any, form: str) -> None:
    async with partner(grant(1)) as server, session_of(auth, server) as session:
        await session.details()
        await session.details()
        assert bearers(server) == ["Bearer token-1"] * 2
        (heard,) = server.to("/oauth/token")
        assert heard.line == "POST /oauth/token HTTP/1.1"
        assert heard.body.decode() == form
        headers = heard.headers
        assert headers["content-type"] == FORM
        assert headers["accept"] == "application/json"
        assert "authorization" not in headers
        assert headers["content-length"] == str(len(form))


async def test_a_refused_token_is_renewed_once_and_refresh_tokens_rotate() -> None:
    refused = {"Bearer token-1", "Bearer token-2"}
    server = partner(
        grant(1, refresh_token="r-1"),
        grant(2, refresh_token="r-2"),
        grant(3, refresh_token="r-3"),
        refuse=lambda heard: heard.headers["authorization"] in refused,
    )
    kept: list[AccessToken] = []
    async with server, session_of(PasswordGrant("id", "jo", "pw"), server, on_token=kept.append) as session:
        with pytest.raises(UnauthorizedError) as caught:
            await session.details()
        assert isinstance(caught.value, AuthenticationError)
        assert caught.value.attempts == 2
        assert bearers(server) == ["Bearer token-1", "Bearer token-2"]
        assert [form.split("&")[0] for form in forms(server)] == ["grant_type=password", "grant_type=refresh_token"]
        assert "refresh_token=r-1" in forms(server)[1]
        assert [token.value.reveal() for token in kept] == ["token-1", "token-2"]
        # What was used up is gone; the newest one can be read and stored.
        assert kept[0].refresh_token is not None
        assert kept[0].refresh_token.peek() is None
        newest = kept[1].refresh_token
        assert newest is not None
        assert (newest.peek() or Secret("")).reveal() == "r-2"


async def test_a_dead_refresh_token_falls_back_to_the_password() -> None:
    server = partner(reply('{"error":"invalid_grant"}', 400), grant(1, refresh_token="r-1"))
    async with server, session_of(PasswordGrant("id", "jo", "pw", refresh_token="old"), server) as session:
        await session.details()
        kinds = [form.split("&")[0] for form in forms(server)]
        assert kinds == ["grant_type=refresh_token", "grant_type=password"]
        assert sum("old" in form for form in forms(server)) == 1
        assert bearers(server) == ["Bearer token-1"]


async def test_a_fixed_token_that_is_refused_is_an_error_at_once() -> None:
    async with partner(refuse=lambda _: True) as server, session_of("abc", server) as session:
        with pytest.raises(UnauthorizedError) as caught:
            await session.details()
        assert caught.value.status == 401
        assert caught.value.server_message == "Authorization has been denied for this request."
        assert len(server.heard) == 1


@pytest.mark.parametrize(
    ("status", "code"), [(400, "invalid_client"), (400, "invalid_grant"), (401, "invalid_client"), (403, "denied")]
)
async def test_refused_credentials(status: int, code: str) -> None:
    server = partner(reply(json.dumps({"error": code, "error_description": "Not you."}), status))
    async with server, session_of(ClientCredentials("id", "secret"), server) as session:
        with pytest.raises(AuthenticationError) as caught:
            await session.details()
        assert caught.value.error == code
        assert "Not you." in str(caught.value)
        # The refusal is remembered for a while: the endpoint is not asked again by the next call.
        with pytest.raises(AuthenticationError):
            await session.details()
        assert [heard.target for heard in server.heard] == ["/oauth/token"]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"access_token": null}',
        '{"access_token": 7}',
        '{"access_token": ""}',
        '{"access_token": "a b"}',
        '{"access_token": "a\\r\\nX: y"}',
        '{"access_token": "é"}',
        '{"access_token": "a", "token_type": "mac"}',
        '{"access_token": "a", "expires_in": "soon"}',
        '{"access_token": "a", "expires_in": -1}',
        '{"access_token": "a", "expires_in": true}',
    ],
)
async def test_a_token_answer_that_cannot_be_used(body: str) -> None:
    server = Recorder(make=lambda _: reply(body))
    async with server, session_of(ClientCredentials("id", "secret"), server, retry=ONCE) as session:
        with pytest.raises(DecodeError):
            await session.details()
        assert {heard.target for heard in server.heard} == {"/oauth/token"}


@pytest.mark.parametrize(
    "fields",
    [{}, {"token_type": "Bearer"}, {"expires_in": "1209599"}, {"expires_in": None}, {".expires": "x", "userName": "u"}],
)
async def test_the_vendors_token_answers(fields: dict[str, Any]) -> None:
    async with partner(grant(1, **fields)) as server, session_of(ClientCredentials("id", "s"), server) as session:
        await session.details()
        assert bearers(server) == ["Bearer token-1"]


async def test_on_token_may_be_async_and_comes_before_the_first_use() -> None:
    heard_then: list[int] = []

    async def keep(token: AccessToken) -> None:
        assert token.value.reveal() == "token-1"
        heard_then.append(len(server.to("/api/partner/details")))

    async with (
        partner(grant(1)) as server,
        session_of(ClientCredentials("id", "s"), server, on_token=keep) as session,
    ):
        await session.details()
        assert heard_then == [0]
        assert session.stats().token_refreshes == 1


async def test_a_provider_of_ones_own() -> None:
    class Vault:
        def __init__(self) -> None:
            self.fetched = 0

        async def fetch(self, exchange: Exchange, previous: AccessToken | None) -> AccessToken:
            self.fetched += 1
            if previous is None:
                return AccessToken("from-the-vault")
            form: Mapping[str, str] = {"grant_type": "custom", "x": "y"}
            return await exchange(form, True)

    vault = Vault()
    server = partner(grant(1), refuse=lambda heard: heard.headers["authorization"] == "Bearer from-the-vault")
    async with server, session_of(vault, server) as session:
        await session.details()
        assert bearers(server) == ["Bearer from-the-vault", "Bearer token-1"]
        assert forms(server) == ["grant_type=custom&x=y"]
        assert vault.fetched == 2


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: StaticToken(""), "token"),
        (lambda: StaticToken("a b"), "printable ASCII"),
        (lambda: StaticToken("a\r\nX: y"), "printable ASCII"),
        (lambda: StaticToken("é"), "printable ASCII"),
        (lambda: AsyncPartnerSession(""), "token"),
        (lambda: AsyncPartnerSession("  "), "token"),
        (lambda: AsyncPartnerSession(None), "auth"),  # type: ignore[arg-type]
        (lambda: AsyncPartnerSession(object()), "auth"),  # type: ignore[arg-type]
        (lambda: ClientCredentials("", ""), "client_id, client_secret"),
        (lambda: ClientCredentials("id", " "), "client_secret"),
        (lambda: ClientCredentials("id", None), "client_secret"),  # type: ignore[arg-type]
        (lambda: ClientCredentials("id", 7), "client_secret"),  # type: ignore[arg-type]
        (lambda: ClientCredentials("id", "s", account_id="a", scope="b"), "either account_id or scope"),
        (lambda: ClientCredentials("id", "s", account_id=""), "account_id"),
        (lambda: PasswordGrant("", "", ""), "client_id, username, password"),
        (lambda: PasswordGrant("id", "jo", None), "password"),  # type: ignore[arg-type]
        (lambda: PasswordGrant("id", "jo", "pw", account_id=""), "account_id"),
    ],
)
def test_missing_credentials(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda text: ClientCredentials("id", text), "canary-\ud800"),
        (lambda text: ClientCredentials("id", Secret(text)), "canary-\ud800"),
        (lambda text: ClientCredentials(text, "s"), "\ud800"),
        (lambda text: ClientCredentials("id", "s", account_id=text), "\ud800"),
        (lambda text: ClientCredentials("id", "s", scope=text), "\ud800"),
        (lambda text: PasswordGrant("id", "jo", text), "canary-\ud800"),
        (lambda text: PasswordGrant("id", text, "pw"), "\ud800"),
        (lambda text: PasswordGrant("id", "jo", "pw", account_id=text), "\ud800"),
        (lambda text: PasswordGrant("id", "jo", "pw", refresh_token=text), "canary-\ud800"),
        (StaticToken, "canary-\ud800"),
        (StaticToken, "canary- token"),
        (AccessToken, "canary-\ud800"),
        (AccessToken, "canary- token"),
    ],
)
def test_credentials_that_cannot_be_sent(make: Callable[[str], object], text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make(text)
    assert_no_canary(caught.value)
