"""Error statuses become errors that help and hide; errors become what the retry decision needs."""

from __future__ import annotations

import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from cyclr_async.errors import (
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ConflictError,
    ConnectError,
    CyclrError,
    DecodeError,
    DesynchronizedError,
    DnsError,
    ForbiddenError,
    NotFoundError,
    ProtocolError,
    RateLimitedError,
    ReadTimeoutError,
    ResponseError,
    ResponseTooLargeError,
    Sent,
    ServerError,
    SessionClosedError,
    TlsError,
    TransportError,
    TruncatedResponseError,
    UnauthorizedError,
    UnexpectedRedirectError,
    UnprocessableError,
)
from cyclr_async.http.exchange import error_from_response
from cyclr_async.http.retry import Failure, failure_of

WALL = 1_445_412_480.0  # Wed, 21 Oct 2015 07:28:00 GMT


def answer(status: int, body: object = b"", **headers: str) -> ResponseError:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = CIMultiDictProxy(CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()}))
    return error_from_response("accounts.usage", status, named, content, wall=WALL)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (300, UnexpectedRedirectError),
        (301, UnexpectedRedirectError),
        (304, UnexpectedRedirectError),
        (399, UnexpectedRedirectError),
        (400, BadRequestError),
        (401, UnauthorizedError),
        (402, ResponseError),
        (403, ForbiddenError),
        (404, NotFoundError),
        (405, ResponseError),
        (408, ResponseError),
        (409, ConflictError),
        (410, ResponseError),
        (422, UnprocessableError),
        (425, ResponseError),
        (429, RateLimitedError),
        (499, ResponseError),
        (500, ServerError),
        (503, ServerError),
        (599, ServerError),
    ],
)
def test_every_status_has_its_class(status: int, kind: type[ResponseError]) -> None:
    error = answer(status)
    assert type(error) is kind
    assert error.status == status
    assert error.sent == "yes"
    assert error.message.startswith(f"accounts.usage: the server answered {status}")
    assert error.server_message is None
    assert error.headers == {}
    assert error.body == ""
    for twin in (copy.copy(error), copy.deepcopy(error), pickle.loads(pickle.dumps(error))):
        assert type(twin) is kind
        assert vars(twin) == vars(error)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"Message": "Account not found."}, "Account not found."),
        ({"error": "invalid_client"}, "invalid_client"),
        ({"error": "invalid_grant", "error_description": "expired"}, "invalid_grant: expired"),
        ({"Message": "a", "error": "b", "error_description": "c"}, "a: b: c"),
        ({"Message": "", "error": None, "error_description": 5}, None),
        ({"message": "other case"}, None),
        ({"Message": "two\r\nlines\tand tabs"}, "two\\x0d\\x0alines\\x09and tabs"),
        ({"Message": "bell\x07 and \x1b[31m"}, "bell\\x07 and \\x1b[31m"),
        ({"Message": "right\u202eleft"}, "right\\x202eleft"),
        ({"Message": "line\u2028end\u2029"}, "line\\x2028end\\x2029"),
        ({"Message": "x" * 600}, "x" * 500),
        (["Message"], None),
        ("Message", None),
        (b"", None),
        (b"<html>no</html>", None),
        (b"\xff", None),
    ],
)
def test_what_the_server_said_is_told(body: object, said: str | None) -> None:
    error = answer(400, body)
    assert error.server_message == said
    tail = f": {said}" if said else ""
    assert error.message == f"accounts.usage: the server answered 400{tail}"


@pytest.mark.parametrize(
    ("status", "advice"),
    [(401, "the access token was refused"), (403, "the credentials are valid but"), (404, "no such account")],
)
def test_where_the_server_is_silent_there_is_advice(status: int, advice: str) -> None:
    assert f"{status}: {advice}" in answer(status).message
    assert answer(status, {"Message": "Said."}).message == f"accounts.usage: the server answered {status}: Said."


def test_only_headers_that_help_a_diagnosis_are_kept() -> None:
    error = answer(
        500,
        Content_Type="text/html",
        Content_Length="5",
        Date="d",
        Retry_After="9",
        Server="IIS",
        Via="1.1 x",
        WWW_Authenticate="Bearer",
        X_Request_Id="r",
        Set_Cookie="session=hush",
        Authorization="Bearer hush",
        Location="https://hush",
        X_Other="hush",
    )
    assert error.headers == {
        "content-type": "text/html",
        "content-length": "5",
        "date": "d",
        "retry-after": "9",
        "server": "IIS",
        "via": "1.1 x",
        "www-authenticate": "Bearer",
        "x-request-id": "r",
    }
    assert answer(500, Server="x" * 300).headers == {"server": "x" * 200}
    assert answer(500, Server="a\x07").headers == {"server": "a\\x07"}


def test_the_excerpt_of_a_body_is_short_and_printable() -> None:
    assert answer(500, b"plain\n\ttext").body == "plain\\x0a\\x09text"
    assert answer(500, b"\x1b[2J\x00\xff").body == "\\x1b[2J\\x00\N{REPLACEMENT CHARACTER}"
    assert answer(500, b"x" * 10_000).body == "x" * 2048
    assert answer(500, "é".encode() * 10_000).body == "é" * 2048
    assert answer(500, "😀".encode() * 10_000).body == "😀" * 2048


@pytest.mark.parametrize("status", [429, 500, 503])
def test_how_long_to_wait_is_read_where_it_means_something(status: int) -> None:
    def wait(**headers: str) -> object:
        return getattr(answer(status, **headers), "retry_after", "none")

    assert wait(Retry_After="7") == 7.0
    assert wait(Retry_After="Wed, 21 Oct 2015 07:28:30 GMT") == 30.0
    assert wait(Retry_After="Wed, 21 Oct 2015 07:28:30 GMT", Date="Wed, 21 Oct 2015 07:28:10 GMT") == 20.0
    assert wait(Retry_After="soon") is None
    assert wait() is None
    assert not hasattr(answer(400, Retry_After="7"), "retry_after")


@pytest.mark.parametrize(
    ("location", "origin"),
    [
        ("https://other.example/path?token=hush", "https://other.example"),
        ("https://other.example:8443/path", "https://other.example:8443"),
        ("https://user:hush@other.example/", "https://other.example"),
        ("http://[::1]:80/x", "http://::1:80"),
        ("/relative/hush", None),
        ("//other.example/hush", None),
        ("mailto:hush", None),
        ("https://", None),
        ("https://a:99999/hush", None),
        ("https://[hush", None),
        ("", None),
        (None, None),
    ],
)
def test_a_redirect_tells_where_it_points_and_no_more(location: str | None, origin: str | None) -> None:
    error = answer(307, **({} if location is None else {"Location": location}))
    assert isinstance(error, UnexpectedRedirectError)
    assert error.location_origin == origin
    assert error.message == (
        f"accounts.usage: the server answered 307 and points to {origin or 'nowhere'}; redirects are not followed"
    )
    assert "hush" not in str(vars(error))


@given(status=st.integers(300, 599), body=st.binary(max_size=200), location=st.text(max_size=40))
def test_whatever_the_server_answers_there_is_an_error(status: int, body: bytes, location: str) -> None:
    error = answer(status, body, Location=location, Retry_After=location, Date=location)
    assert isinstance(error, ResponseError)
    text = str(error) + error.body + str(error.headers)
    assert all(char.isprintable() or char in "\n\t" for char in text.replace("\N{NO-BREAK SPACE}", ""))


def permanent(error: TlsError | DnsError) -> CyclrError:
    error.permanent = True
    return error


def limited(error: RateLimitedError | ServerError, seconds: float) -> CyclrError:
    error.retry_after = seconds
    return error


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (NotFoundError("x", status=404), Failure(kind="status", sent="yes", status=404)),
        (UnauthorizedError("x", status=401), Failure(kind="status", sent="yes", status=401)),
        (RateLimitedError("x", status=429), Failure(kind="status", sent="yes", status=429)),
        (
            limited(RateLimitedError("x", status=429), 7.0),
            Failure(kind="status", sent="yes", status=429, retry_after=7.0),
        ),
        (limited(ServerError("x", status=503), 0.0), Failure(kind="status", sent="yes", status=503, retry_after=0.0)),
        (DecodeError("x", status=200), Failure(kind="decode", sent="yes", status=200)),
        (DecodeError("x", path="$.Id", status=200), Failure(kind="decode", sent="yes", status=200, at_most=1)),
        (TlsError("x", sent="never"), Failure(kind="connect", sent="never", at_most=2)),
        (permanent(TlsError("x", sent="never")), Failure(kind="connect", sent="never", at_most=1)),
        (DnsError("x", sent="never"), Failure(kind="connect", sent="never", at_most=2)),
        (permanent(DnsError("x", sent="never")), Failure(kind="connect", sent="never", at_most=2)),
        (ConnectError("x", sent="never"), Failure(kind="connect", sent="never")),
        (ReadTimeoutError("x"), Failure(kind="transport", sent="maybe")),
        (TruncatedResponseError("x", sent="yes", status=200), Failure(kind="transport", sent="yes", status=200)),
        (ProtocolError("x", sent="yes"), Failure(kind="transport", sent="yes")),
        (DesynchronizedError("x"), Failure(kind="transport", sent="maybe")),
        (
            ResponseTooLargeError("x", sent="yes", status=200),
            Failure(kind="transport", sent="yes", status=200, at_most=1),
        ),
        (TransportError("x", sent="never"), Failure(kind="transport", sent="never")),
    ],
)
def test_an_error_is_reduced_to_what_the_decision_needs(error: CyclrError, failure: Failure) -> None:
    assert failure_of(error) == failure


@pytest.mark.parametrize("sent", ["never", "maybe"])
def test_a_closed_session_stays_closed(sent: Sent) -> None:
    failure = failure_of(SessionClosedError("x", sent=sent))
    assert failure == Failure(kind="transport", sent=sent, at_most=1)


@pytest.mark.parametrize("error", [ConfigurationError("x"), AuthenticationError("x")])
def test_what_is_no_failure_of_an_attempt_keeps_what_it_knows(error: CyclrError) -> None:
    assert failure_of(error).sent == error.sent
