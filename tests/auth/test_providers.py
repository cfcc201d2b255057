"""Providers of tokens: what they post, what they refuse, and that a refresh token leaves once."""

from __future__ import annotations

import hashlib

import pytest

from cyclr_async.auth.providers import (
    AccessToken,
    ClientCredentials,
    Exchange,
    PartnerIdentity,
    PasswordGrant,
    RefreshToken,
    StaticToken,
    as_provider,
    identity,
    partner_name,
    said_partner,
)
from cyclr_async.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectError,
    CyclrError,
    DeadlineExceededError,
    OutcomeUnknownError,
    RateLimitedError,
    ResponseError,
    ServerError,
    UnexpectedRedirectError,
)
from cyclr_async.secret import Secret
from tests.support.clock import ScriptedEndpoint

PASSWORD = ({"grant_type": "password", "client_id": "c", "username": "u", "password": "p"}, True)


def refreshing(token: str) -> tuple[dict[str, str], bool]:
    return {"grant_type": "refresh_token", "client_id": "c", "refresh_token": token}, False


def test_a_refresh_token_is_taken_once() -> None:
    token = RefreshToken("r")
    peeked = token.peek()
    assert peeked is not None
    assert peeked.reveal() == "r"
    taken = token.take()
    assert taken is not None
    assert taken.reveal() == "r"
    assert token.take() is None
    assert token.peek() is None
    token.give_back(taken)
    assert token.take() is taken
    assert repr(token) == "RefreshToken('***')"


def test_an_access_token_carries_its_header_and_hides_its_text() -> None:
    token = AccessToken("abc", expires_in=5, refresh_token="r")
    assert str(token.header) == "Bearer abc"
    assert token.header == "Bearer abc"
    assert "abc" not in repr(token.header)
    assert token.value == Secret("abc")
    assert token.expires_in == 5
    assert token.refresh_token is not None
    assert token.refresh_token.peek() == Secret("r")
    assert repr(token) == "AccessToken('***', expires_in=5)"
    bare = AccessToken(Secret("abc"))
    assert bare.expires_in is None
    assert bare.refresh_token is None
    assert AccessToken("abc", refresh_token=Secret("r")).refresh_token is not None


@pytest.mark.parametrize("text", ["", " ", "a b", "a\n", "\ta", "ü", "a\x7f", "\x00", "a\r\nX: y"])
def test_what_cannot_stand_in_a_header_is_no_access_token(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^an access token is printable ASCII without blanks"):
        AccessToken(text)


def test_every_printable_character_may_stand_in_a_token() -> None:
    text = "".join(map(chr, range(0x21, 0x7F)))
    assert AccessToken(text).value.reveal() == text


async def test_a_static_token_is_always_the_same() -> None:
    endpoint = ScriptedEndpoint()
    provider = StaticToken(" abc\n")
    token = await provider.fetch(endpoint, None)
    assert token.value.reveal() == "abc"
    assert await provider.fetch(endpoint, token) is token
    assert provider.access_token is token
    assert endpoint.forms == []
    assert repr(provider) == "StaticToken('***')"
    assert StaticToken(Secret("abc")).access_token.value.reveal() == "abc"


@pytest.mark.parametrize("token", ["", "  ", None, 5, b"abc"])
def test_a_static_token_is_a_text(token: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^missing credentials: token must be a non-empty text$"):
        StaticToken(token)


async def test_client_credentials_are_posted_as_documented() -> None:
    endpoint = ScriptedEndpoint()
    token = await ClientCredentials("id", "s").fetch(endpoint, None)
    await ClientCredentials("id", Secret("s"), account_id="77").fetch(endpoint, token)
    await ClientCredentials("id", "s", scope="other").fetch(endpoint, token)
    plain = {"grant_type": "client_credentials", "client_id": "id", "client_secret": "s"}
    assert endpoint.forms == [
        (plain, True),
        ({**plain, "scope": "account:77"}, True),
        ({**plain, "scope": "other"}, True),
    ]
    assert token.value.reveal() == "access-1"


async def test_no_form_shows_a_secret_when_it_is_printed() -> None:
    shown: list[str] = []

    async def exchange(form: object, repeatable: bool) -> AccessToken:
        shown.append(repr(form))
        return AccessToken("a", refresh_token="hush-r")

    await ClientCredentials("id", "hush-s").fetch(exchange, None)
    grant = PasswordGrant("id", "u", "hush-p")
    await grant.fetch(exchange, await grant.fetch(exchange, None))
    assert len(shown) == 3
    assert not any("hush" in text for text in shown)


def test_client_credentials_name_what_is_missing() -> None:
    with pytest.raises(ConfigurationError, match=r"^missing credentials: client_id, client_secret must be"):
        ClientCredentials("", " ")
    with pytest.raises(ConfigurationError, match=r"^missing credentials: client_secret must be a non-empty text$"):
        ClientCredentials("id", None)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"^missing credentials: account_id must be a non-empty text$"):
        ClientCredentials("id", "s", account_id="")
    with pytest.raises(ConfigurationError, match=r"^missing credentials: scope must be a non-empty text$"):
        ClientCredentials("id", "s", scope=" ")
    with pytest.raises(ConfigurationError, match=r"^give either account_id or scope: account_id='x' stands for"):
        ClientCredentials("id", "s", account_id="a", scope="b")
    assert repr(ClientCredentials("id", "hush")) == "ClientCredentials('id', '***', scope=None)"
    assert repr(ClientCredentials("id", "hush", account_id="a")) == "ClientCredentials('id', '***', scope='account:a')"


def test_a_lone_surrogate_is_refused_by_the_name_of_its_argument() -> None:
    with pytest.raises(ConfigurationError, match=r"^client_secret holds a lone surrogate, which cannot be sent$"):
        ClientCredentials("id", "\ud800")
    with pytest.raises(ConfigurationError, match=r"^client_id, username holds a lone surrogate"):
        PasswordGrant("a\ud800", "b\udfff", "p")


def test_the_password_grant_names_what_is_missing() -> None:
    with pytest.raises(ConfigurationError, match=r"^missing credentials: client_id, username, password must be"):
        PasswordGrant("", "", "")
    with pytest.raises(ConfigurationError, match=r"^missing credentials: account_id, refresh_token must be"):
        PasswordGrant("c", "u", "p", account_id="", refresh_token="")
    assert repr(PasswordGrant("c", "u", "hush", account_id="7")) == "PasswordGrant('c', 'u', '***', account_id='7')"


async def test_the_first_token_is_bought_with_the_password() -> None:
    endpoint = ScriptedEndpoint()
    await PasswordGrant("c", "u", Secret("p")).fetch(endpoint, None)
    assert endpoint.forms == [PASSWORD]


async def test_a_restriction_to_an_account_is_sent_with_every_grant() -> None:
    endpoint = ScriptedEndpoint()
    grant = PasswordGrant("c", "u", "p", account_id="77")
    token = await grant.fetch(endpoint, None)
    await grant.fetch(endpoint, token)
    assert [form["client_secret"] for form, _ in endpoint.forms] == ["77", "77"]


async def test_a_refresh_token_from_an_earlier_run_is_tried_first_and_once() -> None:
    endpoint = ScriptedEndpoint()
    grant = PasswordGrant("c", "u", "p", refresh_token="kept")
    first = await grant.fetch(endpoint, None)
    await grant.fetch(endpoint, None)
    await grant.fetch(endpoint, first)
    await grant.fetch(endpoint, first)
    assert endpoint.forms == [refreshing("kept"), PASSWORD, refreshing("refresh-1"), PASSWORD]


@pytest.mark.parametrize(
    "error",
    [
        OutcomeUnknownError("lost", sent="maybe"),
        AuthenticationError("no", error="invalid_grant"),
        AuthenticationError("no", error="invalid_client"),
        AuthenticationError("no"),
        RateLimitedError("slow down", status=429),
        ServerError("no", status=501),
        UnexpectedRedirectError("moved", status=302),
        ResponseError("gone", status=410),
        DeadlineExceededError("late", timeout=30, sent="maybe"),
        CyclrError("odd", sent="maybe"),
    ],
)
async def test_the_password_is_used_when_a_refresh_token_that_was_sent_brought_no_token(error: CyclrError) -> None:
    endpoint = ScriptedEndpoint(error)
    grant = PasswordGrant("c", "u", "p", refresh_token="kept")
    token = await grant.fetch(endpoint, None)
    assert token.value.reveal() == "access-2"
    await grant.fetch(endpoint, None)
    assert endpoint.forms == [refreshing("kept"), PASSWORD, PASSWORD]


async def test_a_refusal_of_the_password_is_the_error_that_is_told() -> None:
    endpoint = ScriptedEndpoint(AuthenticationError("dead"), AuthenticationError("wrong", error="invalid_grant"))
    grant = PasswordGrant("c", "u", "p", refresh_token="kept")
    with pytest.raises(AuthenticationError, match="wrong"):
        await grant.fetch(endpoint, None)
    assert endpoint.forms == [refreshing("kept"), PASSWORD]


async def test_a_refresh_token_comes_back_when_it_was_certainly_not_sent() -> None:
    endpoint = ScriptedEndpoint(ConnectError("away", sent="never"))
    grant = PasswordGrant("c", "u", "p", refresh_token="kept")
    with pytest.raises(ConnectError):
        await grant.fetch(endpoint, None)
    await grant.fetch(endpoint, None)
    assert endpoint.forms == [refreshing("kept"), refreshing("kept")]


async def test_without_a_refresh_token_the_password_serves_again() -> None:
    endpoint = ScriptedEndpoint()
    await PasswordGrant("c", "u", "p").fetch(endpoint, AccessToken("old"))
    assert endpoint.forms == [PASSWORD]


def test_what_is_given_as_auth_becomes_a_provider() -> None:
    for given in ("abc", Secret("abc")):
        provider = as_provider(given)
        assert isinstance(provider, StaticToken)
        assert provider.access_token.value.reveal() == "abc"
    credentials = ClientCredentials("id", "s")
    assert as_provider(credentials) is credentials

    class Own:
        async def fetch(self, exchange: Exchange, previous: AccessToken | None) -> AccessToken:
            return AccessToken("a")

    own = Own()
    assert as_provider(own) is own


@pytest.mark.parametrize("auth", [None, 5, b"token", object(), {"client_id": "x"}])
def test_anything_else_is_refused_without_being_shown(auth: object) -> None:
    with pytest.raises(ConfigurationError) as caught:
        as_provider(auth)  # type: ignore[arg-type]
    assert caught.value.message.startswith("auth must be an access token (str), StaticToken, ClientCredentials")
    assert caught.value.message.endswith(f"got {type(auth).__name__}")


class Own:
    async def fetch(self, exchange: Exchange, previous: AccessToken | None) -> AccessToken:
        return AccessToken("a")


def test_the_partner_is_who_it_is_said_to_be_and_else_the_client_id() -> None:
    def digest(text: str) -> str:
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    former = digest("client:id")
    for provider in (ClientCredentials("id", "s"), PasswordGrant("id", "u", "p")):
        assert identity(provider, None) == PartnerIdentity("id", (former,))
        assert identity(provider, "partner.example.com") == PartnerIdentity("partner.example.com", ("id", former))
    assert identity(StaticToken("abc"), "acme") == PartnerIdentity("acme", (digest("token:abc"),))
    # All providers of one class had the same hash, so it is no name of anybody.
    assert identity(Own(), "acme") == PartnerIdentity("acme")


@pytest.mark.parametrize("client_id", [5, None, "", " ", "a\ud800", "a\nb"])
def test_who_has_no_name_is_refused(client_id: object) -> None:
    provider = Own()
    provider.client_id = client_id  # type: ignore[attr-defined]
    for nameless in (provider, StaticToken("abc")):
        with pytest.raises(ConfigurationError, match="partner=") as caught:
            identity(nameless, None)
        assert "abc" not in str(caught.value)


def test_a_provider_may_name_its_partner() -> None:
    provider = Own()
    assert said_partner(provider, None) is None
    provider.partner_id = " acme "  # type: ignore[attr-defined]
    assert said_partner(provider, None) == "acme"
    assert said_partner(provider, "other") == "other"


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "\u202e", "x" * 256, 5, None, "a\ud800"])
def test_a_name_that_cannot_be_one(name: object) -> None:
    with pytest.raises(ConfigurationError, match="partner must be"):
        partner_name(name)
