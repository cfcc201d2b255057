"""Requests that no resource describes: below the root, and repeated only when that is said or safe."""

from __future__ import annotations

from typing import Any

import pytest
from yarl import URL

from cyclr_async.errors import DecodeError, InvalidArgumentError
from cyclr_async.http.raw_request import RawResponse, raw_request
from cyclr_async.http.request import Request, Response, Safety
from cyclr_async.secret import HiddenBytes

ROOT = URL("https://host.example/api/partner")


def described(
    method: Any = "GET",
    path: Any = "details",
    *,
    query: Any = None,
    body: HiddenBytes | None = None,
    repeatable: bool | None = None,
) -> Request[RawResponse]:
    return raw_request(ROOT, method, path, query=query, body=body, repeatable=repeatable)


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("details", "https://host.example/api/partner/details"),
        ("/details", "https://host.example/api/partner/details"),
        ("accounts/5/usage", "https://host.example/api/partner/accounts/5/usage"),
        ("a&b", "https://host.example/api/partner/a%26b"),
        ("é", "https://host.example/api/partner/%C3%A9"),
        ("a:b", "https://host.example/api/partner/a%3Ab"),
    ],
)
def test_a_path_stays_below_the_root(path: str, url: str) -> None:
    assert str(described(path=path).url) == url


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "..",
        "../admin",
        "a/../b",
        "a/./b",
        "a//b",
        "a/",
        "//host.example/x",
        "https://other.example/x",
        "a?b=c",
        "a#b",
        "%2e%2e",
        "a\\b",
        "a b",
        "x" * 129,
        None,
        5,
        URL("details"),
    ],
)
def test_a_path_that_could_leave_the_root_is_refused(path: object) -> None:
    with pytest.raises(InvalidArgumentError, match="path"):
        described(path=path)


@pytest.mark.parametrize("method", ["", "GE T", "GET\r\n", "G", "A" * 11, "GÉT", "G3T", None, 5])
def test_a_method_is_a_word(method: object) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^method must be an HTTP method such as 'GET'$"):
        described(method)


@pytest.mark.parametrize(
    ("method", "repeatable", "safety"),
    [
        ("GET", None, Safety.SAFE),
        ("get", None, Safety.SAFE),
        ("HEAD", None, Safety.SAFE),
        ("POST", None, Safety.UNSAFE),
        ("PUT", None, Safety.UNSAFE),
        ("DELETE", None, Safety.UNSAFE),
        ("PATCH", None, Safety.UNSAFE),
        ("OPTIONS", None, Safety.UNSAFE),
        ("POST", True, Safety.REPEATABLE),
        ("PUT", True, Safety.REPEATABLE),
        ("GET", True, Safety.SAFE),
        ("HEAD", True, Safety.SAFE),
        ("GET", False, Safety.UNSAFE),
        ("PUT", False, Safety.UNSAFE),
    ],
)
def test_only_reads_are_repeated_unless_told_otherwise(method: str, repeatable: bool | None, safety: Safety) -> None:
    call = described(method, repeatable=repeatable)
    assert call.method == method.upper()
    assert call.safety is safety


def test_a_query_is_encoded() -> None:
    assert str(described(query={"a": "1&2", "b": 3}).url) == "https://host.example/api/partner/details?a=1%262&b=3"
    assert str(described(query={}).url) == "https://host.example/api/partner/details"


def test_a_body_is_passed_on_and_hidden() -> None:
    call = described("POST", body=HiddenBytes(b'{"ApiKey":"hush"}'))
    assert call.body == b'{"ApiKey":"hush"}'
    assert "hush" not in repr(call) + repr(call.body)
    assert described("POST").body is None
    assert call.name == "request"
    assert call.json is False
    assert call.quotable is True


def interpreted(call: Request[RawResponse], answer: Response) -> RawResponse:
    assert call.interpret is not None
    return call.interpret(answer)


def test_an_answer_comes_as_it_is() -> None:
    headers = {"Content-Type": "application/json"}
    response = interpreted(described(), Response(201, headers, b'{"Id": 5, "hush": 1}'))
    assert response.status == 201
    assert response.headers == headers
    assert response.json() == {"Id": 5, "hush": 1}
    assert response["Id"] == 5
    assert RawResponse(200, {}, b"[7]")[0] == 7
    assert "hush" not in repr(response)
    with pytest.raises(DecodeError):
        RawResponse(200, {}, b"<html>").json()
    assert interpreted(described("HEAD"), Response(200, {}, b"")).body == b""
