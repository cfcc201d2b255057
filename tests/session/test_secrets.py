"""No secret in repr, str, log at DEBUG, exception, pickle or traceback with locals."""

from __future__ import annotations

import json
import logging
import pickle
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from cyclr_async import (
    AccessToken,
    AsyncPartnerSession,
    AuthenticationError,
    ClientCredentials,
    ConfigurationError,
    CyclrError,
    Event,
    PartnerDetails,
    PasswordGrant,
    RetryPolicy,
    Secret,
    SecretUrl,
    SignInToken,
    StaticToken,
)
from tests.support.canary import BEARER, CLIENT_SECRET, MARK, PASSWORD, sightings
from tests.support.examples import ACCOUNT_ID, DETAILS, SIGN_IN_TOKEN
from tests.support.recorder import Heard, Recorder, reply

API_KEY = f"{MARK}api-key-8820"
REFRESH = f"{MARK}refresh-0d7a"
SIGN_IN = f"{MARK}sign-in-c33f"
INTERCOM = f"{MARK}intercom-6f01"
ONCE = RetryPolicy(attempts=1, throttled_base=0)

GRANTS: list[Callable[[], Any]] = [
    lambda: BEARER,
    lambda: StaticToken(BEARER),
    lambda: ClientCredentials("id", CLIENT_SECRET),
    lambda: PasswordGrant("id", "jo", PASSWORD),
    lambda: PasswordGrant("id", "jo", PASSWORD, refresh_token=REFRESH),
]
GRANT_NAMES = ["str", "static", "client", "password", "refresh"]


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Every logger at DEBUG."""
    for name in ("", "cyclr_async", "aiohttp", "asyncio"):
        caplog.set_level(logging.DEBUG, logger=name)
    return caplog


@asynccontextmanager
async def partner(auth: Any, make: Callable[[Heard], bytes], **options: Any) -> AsyncIterator[AsyncPartnerSession]:
    async with (
        Recorder(make=make) as server,
        AsyncPartnerSession(
            auth, base_url=server.base_url, token_url=server.token_url, retry=ONCE, **options
        ) as session,
    ):
        yield session


def good_token(**fields: Any) -> bytes:
    return reply(json.dumps({"access_token": BEARER, "token_type": "bearer", "refresh_token": REFRESH, **fields}))


async def error_of(operation: Awaitable[object]) -> CyclrError:
    with pytest.raises(CyclrError) as caught:
        await operation
    return caught.value


def quiet(log: pytest.LogCaptureFixture) -> None:
    assert MARK not in log.text
    assert all(MARK not in repr(vars(record)) for record in log.records)


@pytest.mark.parametrize("make", GRANTS[1:], ids=GRANT_NAMES[1:])
def test_credentials_are_not_shown_and_not_pickled(make: Callable[[], Any]) -> None:
    auth = make()
    assert MARK not in f"{auth} {auth!r}"
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(auth)


@pytest.mark.parametrize("make", GRANTS, ids=GRANT_NAMES)
async def test_a_session_does_not_show_them(make: Callable[[], Any], log: pytest.LogCaptureFixture) -> None:
    events: list[Event] = []

    def answer(heard: Heard) -> bytes:
        return good_token() if heard.target == "/oauth/token" else reply(DETAILS)

    async with partner(make(), answer, on_event=events.append) as session:
        await session.details()
        assert MARK not in f"{session} {session!r} {session.stats()}"
        with pytest.raises(TypeError):
            pickle.dumps(session)
    assert events
    assert MARK not in repr(events)
    quiet(log)


@pytest.mark.parametrize("make", GRANTS, ids=GRANT_NAMES)
@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 429, 500, 503])
async def test_an_error_status_shows_nothing(
    make: Callable[[], Any], status: int, log: pytest.LogCaptureFixture
) -> None:
    def answer(heard: Heard) -> bytes:
        return good_token() if heard.target == "/oauth/token" else reply('{"Message": "No."}', status)

    async with partner(make(), answer) as session:
        operations: list[Callable[[], Awaitable[object]]] = [
            session.details,
            session.accounts.list,
            lambda: session.accounts.create(name="x"),
            lambda: session.connectors.install(ACCOUNT_ID, "C", "v1", installed_name="C", api_key=API_KEY),
            lambda: session.connectors.install(
                ACCOUNT_ID, "C", "v1", installed_name="C", username="u", password=PASSWORD
            ),
            lambda: session.request("POST", "x", json={"Password": PASSWORD}),
        ]
        for operation in operations:
            assert sightings(await error_of(operation())) == []
    quiet(log)


BAD_GRANTS = {
    "refused": reply('{"error":"invalid_client","error_description":"No."}', 400),
    "not found": reply("no", 404),
    "failing": reply('{"Message":"An error has occurred."}', 500),
    "empty": reply(""),
    "a page": reply("<html>no</html>", kind="text/html"),
    "cut": reply(f'{{"access_token": "{BEARER}", "refresh_token": "{REFRESH}"'),
    "cut without type": reply(f'{{"access_token": "{BEARER}", "refresh_token": "{REFRESH}"', kind=None),
    "as text": reply(f'{{"access_token": "{BEARER}"}}', kind="text/plain"),
    "twice": reply(f'{{"access_token": "{BEARER}"}}{{"access_token": "{BEARER}"}}'),
    "no utf-8": reply(f'{{"access_token": "{BEARER}'.encode() + b'\xff"}'),
    "a list": reply(json.dumps([BEARER, REFRESH])),
    "a list inside": reply(json.dumps({"access_token": [BEARER], "refresh_token": REFRESH})),
    "a wrong type": reply(json.dumps({"access_token": BEARER, "token_type": "mac"})),
    "a wrong lifetime": reply(json.dumps({"access_token": BEARER, "expires_in": "soon"})),
    "no header value": reply(json.dumps({"access_token": f"{BEARER}\r\nX: y"})),
    "a blank": reply(json.dumps({"access_token": f"{BEARER} {BEARER}"})),
    "with an error status": reply(json.dumps({"access_token": BEARER}), 500),
    "with a refusal": reply(json.dumps({"access_token": BEARER, "error": "invalid_grant"}), 400),
    "moved": reply(json.dumps({"access_token": BEARER}), 302, headers={"Location": f"https://x.example/?t={BEARER}"}),
}


@pytest.mark.parametrize("name", BAD_GRANTS)
@pytest.mark.parametrize("make", GRANTS[2:], ids=GRANT_NAMES[2:])
async def test_a_token_answer_is_never_shown(make: Callable[[], Any], name: str, log: pytest.LogCaptureFixture) -> None:
    async with partner(make(), lambda _: BAD_GRANTS[name]) as session:
        error = await error_of(session.details())
        assert sightings(error) == []
        assert sightings(await error_of(session.details())) == []
    quiet(log)


async def test_a_token_endpoint_that_repeats_the_form_is_not_quoted(log: pytest.LogCaptureFixture) -> None:
    def echo(heard: Heard) -> bytes:
        return reply(json.dumps({"error": "invalid_client", "error_description": heard.body.decode()}), 400)

    async with partner(ClientCredentials("id", CLIENT_SECRET), echo) as session:
        error = await error_of(session.details())
        assert isinstance(error, AuthenticationError)
        assert error.error == "invalid_client"
        assert sightings(error) == []
    quiet(log)


@pytest.mark.parametrize("status", [400, 500])
async def test_an_answer_that_repeats_the_request_is_not_quoted(status: int, log: pytest.LogCaptureFixture) -> None:
    def echo(heard: Heard) -> bytes:
        return reply(json.dumps({"Message": f"{heard.headers['authorization']} {heard.body.decode()}"}), status)

    async with partner(BEARER, echo) as session:
        assert sightings(await error_of(session.details())) == []
        installing = session.connectors.install(ACCOUNT_ID, "C", "v1", installed_name="C", api_key=API_KEY)
        assert sightings(await error_of(installing)) == []
    quiet(log)


@pytest.mark.parametrize(
    "body",
    [
        f'{{"ExpiresAtUtc": "2016-11-18T10:50:45Z", "Token": "{SIGN_IN}"',
        json.dumps({"ExpiresAtUtc": "2016-11-18T10:50:45Z", "Token": [SIGN_IN]}),
        json.dumps({"ExpiresAtUtc": SIGN_IN, "Token": SIGN_IN}),
        json.dumps({"Token": SIGN_IN}),
        json.dumps([{"Token": SIGN_IN}]),
        json.dumps(SIGN_IN),
    ],
)
async def test_a_sign_in_token_in_a_broken_answer(body: str, log: pytest.LogCaptureFixture) -> None:
    async with partner(BEARER, lambda _: reply(body)) as session:
        assert sightings(await error_of(session.tokens.create(ACCOUNT_ID, "jo"))) == []
    quiet(log)


@pytest.mark.parametrize(
    "change",
    [
        {"CycleSharingEnabled": "yes"},
        {"IntercomAPIKey": [INTERCOM]},
        {"IntercomSecretKey": {"key": INTERCOM}},
        {"Domain": 7},
    ],
)
async def test_intercom_keys_in_a_broken_answer(change: dict[str, Any], log: pytest.LogCaptureFixture) -> None:
    keys = dict.fromkeys(("IntercomAPIKey", "IntercomAppId", "IntercomSecretKey"), INTERCOM)
    async with partner(BEARER, lambda _: reply(json.dumps(json.loads(DETAILS) | keys | change))) as session:
        assert sightings(await error_of(session.details())) == []
    quiet(log)


async def test_secrets_of_answers_are_there_and_not_shown(log: pytest.LogCaptureFixture) -> None:
    keys = {"IntercomAPIKey": INTERCOM, "IntercomAppId": INTERCOM + "2", "IntercomSecretKey": INTERCOM + "3"}

    def answer(heard: Heard) -> bytes:
        if "signin" in heard.target:
            return reply(json.dumps(json.loads(SIGN_IN_TOKEN) | {"Token": SIGN_IN}))
        return reply(json.dumps(json.loads(DETAILS) | keys))

    async with partner(BEARER, answer) as session:
        details = await session.details()
        token = await session.tokens.create(ACCOUNT_ID, "jo")
    assert isinstance(details, PartnerDetails)
    assert isinstance(token, SignInToken)
    assert details.intercom_api_key == Secret(INTERCOM)
    assert token.token.reveal() == SIGN_IN
    assert json.loads(json.dumps(details.to_dict()))["IntercomSecretKey"] == INTERCOM + "3"
    shown = f"{details} {details!r} {token} {token!r} {token.url()} {token.url()!r} {details.to_dict()}"
    assert MARK not in shown
    for model in (details, token, token.url(), token.token):
        with pytest.raises(TypeError, match="pickled"):
            pickle.dumps(model)
    quiet(log)


def _half_made(make: Callable[[], object]) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        make()
    return caught.value


@pytest.mark.parametrize(
    "make",
    [
        lambda: ClientCredentials("", CLIENT_SECRET),
        lambda: ClientCredentials("id", CLIENT_SECRET, account_id="a", scope="b"),
        lambda: PasswordGrant("", "jo", PASSWORD),
        lambda: PasswordGrant("id", "", PASSWORD, refresh_token=REFRESH),
        lambda: PasswordGrant("id", "jo", PASSWORD, refresh_token=" "),
        lambda: StaticToken(f"{BEARER} {BEARER}"),
        lambda: AccessToken(f"{BEARER}\n"),
        lambda: AsyncPartnerSession(BEARER, region="MARS"),
        lambda: AsyncPartnerSession(BEARER, base_url="http://example.com/api/partner"),
        lambda: AsyncPartnerSession(BEARER, ca_file="/nowhere.pem"),
        lambda: AsyncPartnerSession(f"{BEARER} {BEARER}"),
        lambda: AsyncPartnerSession(ClientCredentials("id", CLIENT_SECRET), base_url="https://x.example"),
        lambda: AsyncPartnerSession.from_env(
            {"CYCLR_CLIENT_SECRET": CLIENT_SECRET, "CYCLR_PASSWORD": PASSWORD, "CYCLR_TIMEOUT": "x"}
        ),
        lambda: AsyncPartnerSession.from_env({"CYCLR_ACCESS_TOKEN": f"{BEARER} {BEARER}"}),
    ],
)
def test_settings_that_are_refused_show_no_secret(make: Callable[[], object]) -> None:
    error = _half_made(make)
    # The frames of the package, each with its locals, can be printed: no repr of a half-made object fails.
    summary = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert any("cyclr_async" in frame.filename for frame in summary.stack)
    assert sightings(error) == []


async def test_refused_arguments_show_no_secret() -> None:
    async with partner(BEARER, lambda _: reply("")) as session:
        for credentials in (
            {"api_key": API_KEY, "password": PASSWORD},
            {"password": PASSWORD},
            {"username": "", "password": PASSWORD},
            {"api_key": f"{API_KEY}\ud800"},
            {"username": "u", "password": f"{PASSWORD}\ud800"},
        ):
            operation = session.connectors.install(ACCOUNT_ID, "C", "v1", installed_name="C", **credentials)  # type: ignore[arg-type]
            assert sightings(await error_of(operation)) == []


@pytest.mark.parametrize("kind", [Secret, SecretUrl])
def test_a_secret_from_every_side(kind: type[Secret]) -> None:
    text = f"https://x.example/a?token={SIGN_IN}"
    secret = kind(text)
    shown = f"{secret} {secret!r} {secret:>80} {[secret]} { ({'a': secret}) }"
    assert MARK not in shown
    assert "%s" % secret == str(secret)  # noqa: UP031 - logging formats this way
    assert secret.reveal() == text
    assert secret == kind(text)
    assert secret != text
    assert hash(secret) == hash(kind(text))
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="pickled"):
            pickle.dumps(secret, protocol)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"https://x.example/a?token={SIGN_IN}&b={SIGN_IN}#{SIGN_IN}", "https://x.example/a?token=***&b=***"),
        (f"http://user:{PASSWORD}@proxy.example:8080", "http://***@proxy.example:8080"),
        (f"http://{BEARER}@proxy.example:8080/", "http://***@proxy.example:8080/"),
        (f"http://:{PASSWORD}@proxy.example", "http://***@proxy.example"),
        (f"user:{PASSWORD}@proxy.example:8080", "***"),
        (f"//user:{PASSWORD}@proxy.example:8080", "//***@proxy.example:8080"),
        (f"http://[{PASSWORD}", "***"),
        (f"http://x.example:{PASSWORD}/", "***"),
        (PASSWORD, "***"),
        ("", "***"),
    ],
)
def test_a_secret_url_stays_recognisable(text: str, shown: str) -> None:
    url = SecretUrl(text)
    assert str(url) == shown
    assert repr(url) == f"SecretUrl({shown!r})"
    assert url.reveal() == text


async def test_the_password_of_a_proxy(log: pytest.LogCaptureFixture) -> None:
    proxy = f"http://user:{PASSWORD}@127.0.0.1:1"
    async with AsyncPartnerSession(BEARER, base_url="http://127.0.0.1:2/x", proxy=proxy, retry=ONCE) as session:
        assert sightings(await error_of(session.details())) == []
    quiet(log)


@pytest.mark.parametrize(
    "proxy", ["user:{}@127.0.0.1:1", "http://user:{}@127.0.0.1:99999", "socks5://user:{}@127.0.0.1"]
)
def test_the_password_of_a_proxy_that_cannot_be_used(proxy: str) -> None:
    with pytest.raises(ConfigurationError, match="proxy cannot be used") as caught:
        AsyncPartnerSession(BEARER, proxy=SecretUrl(proxy.format(PASSWORD)))
    assert sightings(caught.value) == []
