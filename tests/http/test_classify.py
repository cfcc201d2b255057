"""What every error is about."""

from __future__ import annotations

import pytest

from cyclr_async import errors
from cyclr_async.errors import (
    AuthenticationError,
    BadRequestError,
    BulkInterruptedError,
    ConfigurationError,
    ConflictError,
    ConnectError,
    CyclrError,
    DeadlineExceededError,
    DecodeError,
    DesynchronizedError,
    ForbiddenError,
    InvalidArgumentError,
    NotFoundError,
    OutcomeUnknownError,
    RateLimitedError,
    ReadTimeoutError,
    ResponseError,
    ResponseTooLargeError,
    ServerError,
    SessionClosedError,
    StoreError,
    TlsError,
    TokenEndpointError,
    TruncatedResponseError,
    UnauthorizedError,
    UnexpectedRedirectError,
    UnprocessableError,
    WrongEventLoopError,
)
from cyclr_async.http.classify import Concern, asked_to_wait, classify, is_foreign, is_wrong_address, needs_witness
from cyclr_async.http.exchange import error_from_response

JSON = "application/json; charset=utf-8"
ROUTE = b'{"Message":"No HTTP resource was found that matches the request URI \'https://x/\'."}'


def answer(status: int, body: bytes, kind: str = JSON) -> ResponseError:
    return error_from_response("accounts.usage", status, {"Content-Type": kind}, body, wall=0.0)


@pytest.mark.parametrize(
    ("error", "concern"),
    [
        (CyclrError("x"), Concern.REQUEST),
        (AuthenticationError("refused"), Concern.CREDENTIALS),
        (UnauthorizedError("x", status=401), Concern.CREDENTIALS),
        (BadRequestError("x", status=400), Concern.REQUEST),
        (ConflictError("x", status=409), Concern.REQUEST),
        (UnprocessableError("x", status=422), Concern.REQUEST),
        (ResponseError("x", status=418), Concern.REQUEST),
        (OutcomeUnknownError("x"), Concern.REQUEST),
        (InvalidArgumentError("x"), Concern.REQUEST),
        (ConfigurationError("x"), Concern.RUN),
        (SessionClosedError("x"), Concern.RUN),
        (WrongEventLoopError("x"), Concern.RUN),
        (StoreError("x"), Concern.RUN),
        (BulkInterruptedError("x"), Concern.RUN),
        (ForbiddenError("x", status=403), Concern.ACCOUNT),
        (NotFoundError("x", status=404), Concern.ACCOUNT),
        (ResponseError("x", status=410), Concern.ACCOUNT),
        (ResponseError("x", status=451), Concern.ACCOUNT),
        (DecodeError("a field", path="$.TaskCount"), Concern.ACCOUNT),
        (DecodeError("not JSON", path="$"), Concern.SERVICE),
        (DecodeError("not JSON", path="$[7]", expected="JSON"), Concern.SERVICE),
        (ConnectError("x"), Concern.SERVICE),
        (TlsError("x"), Concern.SERVICE),
        (ReadTimeoutError("x"), Concern.SERVICE),
        (TruncatedResponseError("x"), Concern.SERVICE),
        (DesynchronizedError("x"), Concern.SERVICE),
        (ResponseTooLargeError("x"), Concern.SERVICE),
        (DeadlineExceededError("x"), Concern.SERVICE),
        (ServerError("x", status=500), Concern.SERVICE),
        (ServerError("x", status=511), Concern.SERVICE),
        (RateLimitedError("x", status=429), Concern.SERVICE),
        (UnexpectedRedirectError("x", status=302), Concern.SERVICE),
        (ResponseError("x", status=405), Concern.SERVICE),
        (ResponseError("x", status=407), Concern.SERVICE),
        (ResponseError("x", status=408), Concern.SERVICE),
        (ResponseError("x", status=425), Concern.SERVICE),
        (TokenEndpointError("x", status=404), Concern.SERVICE),
    ],
    ids=lambda value: f"{type(value).__name__}-{getattr(value, 'status', '')}" if isinstance(value, Exception) else "",
)
def test_what_an_error_is_about(error: CyclrError, concern: Concern) -> None:
    assert classify(error) is concern


@pytest.mark.parametrize("name", sorted(set(errors.__all__) - {"Sent"}))
def test_a_failed_token_request_is_never_about_an_account(name: str) -> None:
    error = getattr(errors, name)("x")
    error.token_request = True
    assert classify(error) in {Concern.CREDENTIALS, Concern.SERVICE, Concern.RUN}


@pytest.mark.parametrize("status", [403, 404, 410])
@pytest.mark.parametrize(
    ("body", "kind", "foreign", "vague"),
    [
        (b"", JSON, False, True),
        (b"", "", False, True),
        (b"  \r\n", "text/html", False, True),
        (b'{"Message":"none"}', JSON, False, False),
        (b'{"Message":"none"}', "", False, False),
        (b'{"error":"x"}', JSON, False, False),
        (b"{}", JSON, False, False),
        (b'{"message":"Not Found"}', JSON, False, True),
        (b"null", JSON, False, True),
        (ROUTE, JSON, True, True),
        (b'{"Message":"no Route matched with those values"}', JSON, True, True),
        (b"<!DOCTYPE html><html>", "text/html", True, True),
        (b"<html>", JSON, True, True),
        (b"404 page not found\n", "text/plain", True, True),
        (b"default backend - 404", "text/plain; charset=utf-8", True, True),
        (b"<?xml version='1.0'?><Error/>", "application/xml", True, True),
    ],
)
def test_a_refusal_that_the_api_did_not_write(status: int, body: bytes, kind: str, foreign: bool, vague: bool) -> None:
    error = answer(status, body, kind)
    assert is_foreign(error) is foreign
    assert classify(error) is (Concern.SERVICE if foreign else Concern.ACCOUNT)
    assert is_wrong_address(error) is foreign
    assert needs_witness(error) is vague


@pytest.mark.parametrize(
    ("error", "wrong"),
    [
        (answer(302, b""), True),
        (answer(405, b'{"Message":"x"}'), True),
        (answer(407, b""), True),
        (answer(400, b"<html>"), False),
        (answer(429, b""), False),
        (answer(503, b"<html>"), False),
        (TokenEndpointError("x", status=404), True),
        (TokenEndpointError("x", status=200), False),
        (TokenEndpointError("x"), False),
        (ConnectError("x"), False),
    ],
)
def test_what_looks_like_a_wrong_address(error: CyclrError, wrong: bool) -> None:
    assert is_wrong_address(error) is wrong


def test_how_long_the_server_asked_to_wait() -> None:
    limited, failing = RateLimitedError("x", status=429), ServerError("x", status=503)
    assert asked_to_wait(limited) is asked_to_wait(failing) is asked_to_wait(ConnectError("x")) is None
    failing.retry_after = 3.0
    assert asked_to_wait(failing) == 3.0
