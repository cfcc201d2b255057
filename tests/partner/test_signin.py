from datetime import UTC, datetime, timedelta

import pytest
from yarl import URL

from cyclr_async.errors import InvalidArgumentError
from cyclr_async.partner import SignInToken
from cyclr_async.secret import Secret, SecretUrl

TOKEN = SignInToken(token=Secret("ab+/cd=&?#é"), expires_at=datetime(2026, 1, 1, tzinfo=UTC))
PATH = "/account/signinwithtoken?token=ab%2B%2Fcd%3D%26%3F%23%C3%A9"


@pytest.mark.parametrize(
    ("base", "origin"),
    [
        (None, "https://my.cyclr.com"),
        ("partner.example.com", "https://partner.example.com"),
        ("partner.example.com:8443", "https://partner.example.com:8443"),
        ("partner.example.com/", "https://partner.example.com"),
        ("https://partner.example.com/any/path?q=1#f", "https://partner.example.com"),
        ("http://partner.example.com", "https://partner.example.com"),
        ("http://partner.example.com:80", "https://partner.example.com"),
        (URL("https://eu.example.com:444/x"), "https://eu.example.com:444"),
        ("http://127.0.0.1:8080/api/partner", "http://127.0.0.1:8080"),
        ("http://localhost:1", "http://localhost:1"),
        ("http://[::1]:1", "http://[::1]:1"),
        ("bücher.example", "https://xn--bcher-kva.example"),
    ],
)
def test_url(base: str | URL | None, origin: str) -> None:
    url = TOKEN.url(base)
    assert isinstance(url, SecretUrl)
    assert url.reveal() == origin + PATH
    assert URL(url.reveal(), encoded=True).query["token"] == TOKEN.token.reveal()
    assert str(url) == f"{origin}/account/signinwithtoken?token=***"
    assert "ab" not in repr(url)


@pytest.mark.parametrize(
    "base",
    [
        "",
        "/path",
        "http://partner.example.com:8080",
        "ftp://partner.example.com",
        "javascript://partner.example.com",
        "https://",
        "https://user:canary@partner.example.com",
        "canary@partner.example.com",
        "https://partner.example.com:99999",
        "https://[::1",
        "http://127.0.0.1.evil.example:81",
        "http://127.0.0.1@evil.example:81",
    ],
)
def test_refused(base: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        TOKEN.url(base)
    assert "canary" not in str(caught.value)
    assert caught.value.__context__ is None
    with pytest.raises(InvalidArgumentError):
        TOKEN.with_console(base)


def test_the_console_travels_with_the_token() -> None:
    moved = TOKEN.with_console("https://my.eu.cyclr.com/api/partner")
    assert moved.url().reveal() == "https://my.eu.cyclr.com" + PATH
    assert moved.url("p.example").reveal() == "https://p.example" + PATH
    assert (moved, hash(moved)) == (TOKEN, hash(TOKEN))
    assert moved.to_dict() == TOKEN.to_dict()
    assert "cyclr.com" not in repr(moved)


def test_expired() -> None:
    second = timedelta(seconds=1)
    assert [TOKEN.expired(TOKEN.expires_at + second * n) for n in (-1, 0, 1)] == [False, True, True]
    with pytest.raises(InvalidArgumentError):
        TOKEN.expired(datetime(2026, 1, 1))  # noqa: DTZ001
