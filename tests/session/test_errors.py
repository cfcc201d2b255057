"""The error hierarchy: what each status becomes, what each error carries, and that all survive pickle and copy."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

import cyclr_async
from cyclr_async import (
    AsyncPartnerSession,
    AuthenticationError,
    BadRequestError,
    BulkInterruptedError,
    ConfigurationError,
    ConflictError,
    CyclrError,
    DeadlineExceededError,
    DecodeError,
    DnsError,
    ForbiddenError,
    InvalidArgumentError,
    NotFoundError,
    OutcomeUnknownError,
    RateLimitedError,
    ReadTimeoutError,
    ResponseError,
    RetryPolicy,
    ServerError,
    TlsError,
    TransportError,
    UnauthorizedError,
    UnexpectedRedirectError,
    UnprocessableError,
    errors,
)
from tests.support.examples import ACCOUNT_ID
from tests.support.recorder import Recorder, reply

ONCE = RetryPolicy(attempts=1)
ALL = sorted(
    {kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, CyclrError)},
    key=lambda kind: kind.__name__,
)
# What each class takes besides what all take.
SPECIAL: dict[type[CyclrError], dict[str, Any]] = {
    TransportError: {"status": 200},
    DeadlineExceededError: {"timeout": 1.5, "last_error": "refused"},
    OutcomeUnknownError: {"operation": "accounts.create", "status": 502, "advice": "look", "marker": "[m]"},
    DecodeError: {"path": "$[3].Id", "expected": "str", "status": 200},
    ResponseError: {
        "status": 418,
        "server_message": "No.",
        "headers": {"content-type": "text/html"},
        "body": "<p>No.</p>",
    },
    BulkInterruptedError: {"reason": "outage", "resumable": True},
}


def made(kind: type[CyclrError]) -> CyclrError:
    own: dict[str, Any] = {}
    for base, values in SPECIAL.items():
        if issubclass(kind, base):
            own |= values
    if kind is AuthenticationError:
        own["error"] = "invalid_client"
    error = kind("It went wrong.", request_id="r-1", attempts=3, sent="maybe", **own)
    if isinstance(error, (RateLimitedError, ServerError)):
        error.retry_after = 2.5
    if isinstance(error, (DnsError, TlsError)):
        error.permanent = True
    return error


def test_every_error_is_public_and_of_one_root() -> None:
    assert {kind.__name__ for kind in ALL} <= set(cyclr_async.__all__)
    assert set(errors.__all__) == {kind.__name__ for kind in ALL} | {"Sent"}


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("way", ["pickle0", "pickle2", "pickle5", "copy", "deepcopy"])
def test_every_error_survives(kind: type[CyclrError], way: str) -> None:
    error = made(kind)
    error.__cause__ = ValueError("not carried along")
    error.add_note("not carried along either")
    if way.startswith("pickle"):
        again = pickle.loads(pickle.dumps(error, protocol=int(way[-1])))
    else:
        again = getattr(copy, way)(error)
    assert type(again) is kind
    assert str(again) == str(error) == "It went wrong. (request r-1, 3 attempts)"
    assert again.message == "It went wrong."
    assert (again.request_id, again.attempts, again.sent) == ("r-1", 3, "maybe")
    expected = {name: value for name, value in vars(error).items() if name != "__notes__"}
    assert {name: value for name, value in vars(again).items() if name != "__notes__"} == expected
    assert repr(again) == repr(error)


def test_errors_also_are_what_python_calls_them() -> None:
    assert issubclass(ConfigurationError, ValueError)
    assert issubclass(InvalidArgumentError, ConfigurationError)
    assert issubclass(TransportError, ConnectionError)
    assert issubclass(ReadTimeoutError, TimeoutError)
    assert issubclass(DeadlineExceededError, TimeoutError)
    assert issubclass(UnauthorizedError, AuthenticationError)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (300, UnexpectedRedirectError),
        (301, UnexpectedRedirectError),
        (302, UnexpectedRedirectError),
        (307, UnexpectedRedirectError),
        (308, UnexpectedRedirectError),
        (400, BadRequestError),
        (401, UnauthorizedError),
        (402, ResponseError),
        (403, ForbiddenError),
        (404, NotFoundError),
        (405, ResponseError),
        (409, ConflictError),
        (418, ResponseError),
        (422, UnprocessableError),
        (429, RateLimitedError),
        (500, ServerError),
        (501, ServerError),
        (502, ServerError),
        (503, ServerError),
        (504, ServerError),
        (599, ServerError),
    ],
)
async def test_each_status_has_its_error(status: int, kind: type[ResponseError]) -> None:
    answer = reply('{"Message": "Said the server."}', status, headers={"X-Other": "1", "Server": "test"})
    async with (
        Recorder(answer) as server,
        AsyncPartnerSession("bearer", base_url=server.base_url, retry=ONCE) as session,
    ):
        with pytest.raises(ResponseError) as caught:
            await session.accounts.usage(ACCOUNT_ID)
        error = caught.value
        assert type(error) is kind
        assert error.status == status
        assert error.server_message == "Said the server."
        assert error.body == '{"Message": "Said the server."}'
        assert error.headers["server"] == "test"
        assert "x-other" not in error.headers
        assert (error.sent, error.attempts) == ("yes", 1)
        assert error.request_id == server.heard[-1].headers["x-request-id"]
        assert str(status) in str(error)
        assert "Said the server." in str(error)
        assert "accounts.usage" in str(error)
        again = pickle.loads(pickle.dumps(error))
        assert vars(again) == vars(error)
        assert error.__cause__ is None
        assert error.__context__ is None


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        ("", None, None),
        ("<html><h1>Bad Gateway</h1></html>", "text/html", None),
        ('{"error": "invalid_request", "error_description": "Bad."}', "application/json", "invalid_request: Bad."),
        ('{"Message": null}', "application/json", None),
        ('{"Message": 7}', "application/json", None),
        ("null", "application/json", None),
        ("[1]", "application/json", None),
        ('{"Message": ', "application/json", None),
        ('{"Message": "a\\u001b[31mred"}', "application/json", "a\\x1b[31mred"),
    ],
)
async def test_bodies_of_errors(body: str, kind: str | None, said: str | None) -> None:
    async with (
        Recorder(reply(body, 404, kind=kind)) as server,
        AsyncPartnerSession("bearer", base_url=server.base_url) as session,
    ):
        with pytest.raises(NotFoundError) as caught:
            await session.accounts.usage(ACCOUNT_ID)
        assert caught.value.server_message == said
        assert caught.value.body == body


async def test_a_long_body_is_cut() -> None:
    async with (
        Recorder(reply("x" * 100_000, 400)) as server,
        AsyncPartnerSession("bearer", base_url=server.base_url) as session,
    ):
        with pytest.raises(BadRequestError) as caught:
            await session.details()
        assert caught.value.body == "x" * 2048
        assert len(str(caught.value)) < 300


def http_date(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("header", "low", "high"),
    [("7", 7, 7), ("0", 0, 0), ("86400", 86400, 86400), (http_date(3600), 3000, 3601), (http_date(-60), 0, 0)],
    ids=["7", "0", "a day", "in an hour", "a minute ago"],
)
async def test_retry_after(status: int, header: str, low: float, high: float) -> None:
    answer = reply('{"Message": "Slow down."}', status, headers={"Retry-After": header})
    async with (
        Recorder(answer) as server,
        AsyncPartnerSession("bearer", base_url=server.base_url, retry=ONCE) as session,
    ):
        with pytest.raises(RateLimitedError if status == 429 else ServerError) as caught:
            await session.details()
        assert isinstance(caught.value, (RateLimitedError, ServerError))
        assert caught.value.retry_after is not None
        assert low <= caught.value.retry_after <= high


@pytest.mark.parametrize("header", ["soon", "-5", "1.5e3", "nan", "inf", "", "7 s", "9" * 400, "\u0667"])
async def test_a_retry_after_that_says_nothing(header: str) -> None:
    answer = reply("", 429, headers={"Retry-After": header.encode().decode("latin-1")})
    async with (
        Recorder(answer) as server,
        AsyncPartnerSession("bearer", base_url=server.base_url, retry=ONCE) as session,
    ):
        with pytest.raises(RateLimitedError) as caught:
            await session.details()
        assert caught.value.retry_after is None or caught.value.retry_after >= 0


async def test_a_redirect_is_never_followed_and_its_target_is_named() -> None:
    answer = reply("", 302, headers={"Location": "https://evil.example.com:8443/x?token=canary-1"})
    async with Recorder(answer) as server, AsyncPartnerSession("bearer", base_url=server.base_url) as session:
        with pytest.raises(UnexpectedRedirectError) as caught:
            await session.details()
        assert caught.value.location_origin == "https://evil.example.com:8443"
        assert "canary" not in str(caught.value)
        assert len(server.heard) == 1


@pytest.mark.parametrize("kind", ["text/html", "text/plain; charset=utf-8"])
async def test_a_page_instead_of_json(kind: str) -> None:
    async with (
        Recorder(reply("<html>log in</html>", kind=kind)) as server,
        AsyncPartnerSession("bearer", base_url=server.base_url, retry=ONCE) as session,
    ):
        for operation in (session.details, session.accounts.list):
            with pytest.raises(DecodeError, match="content type"):
                await operation()


@pytest.mark.parametrize(
    ("change", "path", "expected"),
    [
        ({"TaskCount": "7"}, "$.TaskCount", "int"),
        ({"TaskCount": 7.9}, "$.TaskCount", "int"),
        ({"TaskCount": True}, "$.TaskCount", "int"),
        ({"TaskCount": None}, "$.TaskCount", "int"),
        ({"FromDate": "yesterday canary-1"}, "$.FromDate", "date"),
        ({"FromDate": 7}, "$.FromDate", ""),
        ({"AuditInfo": 7}, "$.AuditInfo", "str"),
    ],
)
async def test_a_wrong_shape_is_named_without_its_value(change: dict[str, Any], path: str, expected: str) -> None:
    usage = {
        "TaskCount": 1,
        "CycleCount": 1,
        "FromDate": "2016-12-09T16:23:08",
        "ToDate": "2017-01-08T16:23:08",
        "CurrentPricePlanId": 3,
        "AuditInfo": "Demo",
    }
    async with (
        Recorder(reply(json.dumps(usage | change))) as server,
        AsyncPartnerSession("bearer", base_url=server.base_url) as session,
    ):
        with pytest.raises(DecodeError) as caught:
            await session.accounts.usage(ACCOUNT_ID)
        error = caught.value
        assert error.path == path
        assert expected in error.expected
        assert path in str(error)
        assert "canary" not in f"{error!r}{vars(error)}"
        assert (error.status, error.attempts) == (200, 1)
