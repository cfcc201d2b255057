"""A proxy that does not let through: named without its credentials, and asked again only when that may help."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from cyclr_async import ConnectError
from tests.faults.matrix import OPERATIONS, POLICY, after, failure
from tests.support.answers import http, json_http
from tests.support.canary import PASSWORD, assert_no_canary
from tests.support.ports import ClosedPort
from tests.support.server import FaultServer, close, write
from tests.support.virtual import in_virtual_time

pytestmark = pytest.mark.parametrize("operation", OPERATIONS)
BEYOND = "https://api.example.com/api/partner"


def asked(server: FaultServer) -> set[str]:
    return {f"{request.method} {request.target}" for request in server.requests}


@pytest.mark.parametrize("status", [400, 403, 404, 407, 418])
@in_virtual_time
async def test_what_it_forbids_it_forbids_next_time_too(status: int, operation: str) -> None:
    answer = http(status, b"<html>no</html>", {"Content-Type": "text/html", "Proxy-Authenticate": "Basic"})
    async with FaultServer(after(write(answer), close())) as server:
        proxy = server.origin.replace("://", f"://jo:{PASSWORD}@")
        error = await failure(operation, BEYOND, proxy=proxy)
        assert isinstance(error, ConnectError)
        assert (error.permanent, error.sent, error.attempts, server.request_count) == (True, "never", 1, 1)
        assert f"the proxy {server.origin} " in str(error)
        assert f"(it answered {status})" in str(error)
        assert ("http://user:password@host:port" in str(error)) == (status == 407)
        assert "jo" not in str(error).split()
        assert_no_canary(error)
        assert asked(server) == {"CONNECT api.example.com:443"}


@in_virtual_time
async def test_without_credentials_it_is_said_that_it_wants_some(operation: str) -> None:
    async with FaultServer(after(write(json_http({}, 407)), close())) as server:
        error = await failure(operation, BEYOND, proxy=server.origin)
        assert f"the proxy {server.origin} wants credentials: give them as" in str(error)
        assert (error.attempts, server.request_count) == (1, 1)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
@in_virtual_time
async def test_what_may_pass_is_tried_again(status: int, operation: str) -> None:
    """Also for a write: nothing of it got beyond the proxy."""
    async with FaultServer(after(write(json_http({}, status)), close())) as server:
        error = await failure(operation, BEYOND, proxy=server.origin)
        assert isinstance(error, ConnectError)
        assert (error.permanent, error.sent, error.attempts) == (False, "never", POLICY.attempts)
        assert f"the proxy {server.origin} did not open a connection to the server (it answered {status})" in str(error)
        assert server.request_count == POLICY.attempts


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 2000 x\r\n\r\n"], ids=["nothing", "ssh", "bad"])
@in_virtual_time
async def test_something_that_is_no_proxy_is_named(answer: bytes, operation: str) -> None:
    async with FaultServer(after(write(answer), close())) as server:
        error = await failure(operation, BEYOND, proxy=server.origin)
        assert isinstance(error, ConnectError)
        assert f"the proxy {server.origin}" in str(error)


@in_virtual_time
async def test_a_proxy_that_is_not_there_is_named(operation: str) -> None:
    with ClosedPort() as closed:
        origin = closed.base_url.removesuffix("/api/partner")
        error = await failure(operation, BEYOND, proxy=origin)
    assert type(error) is ConnectError
    assert f"the proxy {origin} cannot be reached" in str(error)


@in_virtual_time
async def test_the_proxy_of_a_borrowed_session(operation: str) -> None:
    """Its proxy is not known here, and still its refusal is final."""
    async with FaultServer(after(write(json_http({}, 407)), close())) as server:
        options: dict[str, Any] = {"proxy": server.origin}
        async with aiohttp.ClientSession(**options) as own:
            error = await failure(operation, BEYOND, client_session=own)
        assert isinstance(error, ConnectError)
        assert "the proxy wants credentials" in str(error)
        assert (error.permanent, error.attempts, server.request_count) == (True, 1, 1)


@in_virtual_time
async def test_plain_http_through_a_proxy_is_answered_by_it(operation: str) -> None:
    async with FaultServer(after(write(http(407)), close())) as server:
        error = await failure(operation, "http://127.0.0.1:9/api/partner", proxy=server.origin)
        assert getattr(error, "status", None) == 407
        assert "the proxy wants credentials" in str(error)
        assert (error.attempts, server.request_count) == (1, 1)
