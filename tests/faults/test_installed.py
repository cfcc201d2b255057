"""Installing a connector has no documented answer: what counts as success, and what leaves the outcome unknown."""

from __future__ import annotations

import gzip

import pytest

from cyclr_async import OutcomeUnknownError
from tests.faults.matrix import after, partner
from tests.support.answers import ACCOUNT, http
from tests.support.canary import assert_no_canary
from tests.support.server import FaultServer, write

HTML = {"Content-Type": "text/html"}


@pytest.mark.parametrize(
    "data",
    [
        http(200, b""),
        http(200, b"", HTML),
        http(204, b"", {"Content-Length": ""}, length=False),
        http(200, b" \r\n"),
        http(200, b"null"),
        http(200, b"{}"),
        http(200, b"[]"),
        http(200, b"true"),
        http(200, b'"200 OK"'),
        http(200, b'"200 OK"', {"Content-Type": "text/plain"}),
        http(200, b"1234"),
        http(201, b'{"Id": 5, "Name": "x"}'),
        http(200, b'{"Id": 5, "Message": "installed"}'),
        http(200, b'{"Id": 5, "Error": null, "Errors": []}'),
        http(200, b'{"Success": true}'),
        http(200, gzip.compress(b"null", mtime=0), {"Content-Encoding": "gzip"}),
    ],
    ids=repr,
)
async def test_this_is_success(data: bytes) -> None:
    async with FaultServer(after(write(data))) as server, partner(server.base_url) as session:
        await session.connectors.install(ACCOUNT, "Mailchimp", "v1", installed_name="News")
        assert server.request_count == 1


@pytest.mark.parametrize(
    "data",
    [
        http(200, b"<html>Sign in</html>", HTML),
        http(200, b"<html>Sign in</html>"),
        http(200, b"OK", {"Content-Type": "text/plain"}),
        http(200, b'{"Message": "An error has occurred."}'),
        http(200, b'{"message": "An error has occurred."}'),
        http(200, b'{"Message": "x", "MessageDetail": "y"}'),
        http(200, b'{"Message": "x", "ExceptionMessage": "y", "ExceptionType": "z", "StackTrace": "   at"}'),
        http(200, b'{"Id": 5, "ExceptionMessage": "y"}'),
        http(200, b'{"Message": "The request is invalid.", "ModelState": {"a": ["b"]}}'),
        http(200, b'{"error": "invalid_request"}'),
        http(200, b'{"error": "invalid_request", "error_description": "no"}'),
        http(200, b'{"Success": false}'),
        http(200, b"false"),
        http(200, b'{"Id": 5'),
        http(200, b"\xef\xbb\xbfnull"),
        http(200, gzip.compress(b"null", mtime=0)[:-9], {"Content-Encoding": "gzip"}),
        http(200, b"nul", {"Content-Length": "4", "Connection": "close"}),
    ],
    ids=repr,
)
async def test_this_is_not_known(data: bytes) -> None:
    script = after(write(data))

    async with FaultServer(script) as server, partner(server.base_url) as session:
        with pytest.raises(OutcomeUnknownError, match="Look in the account for a connector of that name") as caught:
            await session.connectors.install(ACCOUNT, "Mailchimp", "v1", installed_name="News")
        assert (caught.value.status, caught.value.sent, caught.value.attempts) == (200, "yes", 1)
        assert_no_canary(caught.value)
        assert server.request_count == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"{}",
        b'{"Message": "An error has occurred."}',
        b'{"Id": ""}',
        b'{"Id": 5}',
        b'{"Id": null}',
        b"[]",
    ],
)
async def test_a_create_without_an_id_is_not_known(body: bytes) -> None:
    async with FaultServer(after(write(http(200, body)))) as server, partner(server.base_url) as session:
        with pytest.raises(OutcomeUnknownError):
            await session.accounts.create(name="ACME")
        assert server.request_count == 1
