"""Error statuses: which are final, which mean that nothing was done, and that a 401 costs one refresh."""

from __future__ import annotations

import pytest

from cyclr_async import (
    AsyncPartnerSession,
    BadRequestError,
    ClientCredentials,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    OutcomeUnknownError,
    RateLimitedError,
    ResponseError,
    UnauthorizedError,
    UnexpectedRedirectError,
    UnprocessableError,
)
from tests.faults.matrix import OPERATIONS, POLICY, TIMES, WRITES, after, failure, partner
from tests.support.answers import good, http, json_http
from tests.support.canary import BEARER, CLIENT_SECRET, assert_no_canary
from tests.support.server import FaultServer, Link, answer, close, write
from tests.support.virtual import LoopClock, in_virtual_time

pytestmark = pytest.mark.parametrize("operation", OPERATIONS)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequestError),
        (401, UnauthorizedError),
        (403, ForbiddenError),
        (404, NotFoundError),
        (405, ResponseError),
        (409, ConflictError),
        (410, ResponseError),
        (413, ResponseError),
        (418, ResponseError),
        (422, UnprocessableError),
    ],
)
@in_virtual_time
async def test_a_refusal_is_final(status: int, kind: type[ResponseError], operation: str) -> None:
    """Also a 401: a fixed token has no successor."""
    async with FaultServer(after(write(json_http({"Message": "it says why"}, status)), close())) as server:
        error = await failure(operation, server.base_url)
        assert isinstance(error, ResponseError)
        assert (type(error), error.status, error.sent, error.attempts) == (kind, status, "yes", 1)
        assert error.server_message == "it says why"
        assert server.request_count == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@in_virtual_time
async def test_a_redirect_is_not_followed(status: int, operation: str) -> None:
    """A 303 says where to read what came of a request, so for what creates something the outcome is unknown."""
    moved = http(status, b"", {"Location": "https://other.example.com/?token=x"})
    async with FaultServer(after(write(moved), close())) as server:
        error = await failure(operation, server.base_url)
        if status == 303 and operation in WRITES:
            assert isinstance(error, OutcomeUnknownError)
            assert (error.status, error.attempts, server.request_count) == (303, 1, 1)
            return
        assert isinstance(error, UnexpectedRedirectError)
        assert (error.location_origin, error.sent, error.attempts) == ("https://other.example.com", "yes", 1)
        assert server.request_count == 1


@in_virtual_time
async def test_429_is_repeated_for_every_operation(operation: str) -> None:
    async with FaultServer(after(write(json_http({}, 429, {"Retry-After": "0"})), close())) as server:
        error = await failure(operation, server.base_url)
        assert type(error) is RateLimitedError
        assert (error.retry_after, error.sent, error.attempts, server.request_count) == (0, "yes", 2, 2)


@pytest.mark.parametrize("status", [425, 429])
@in_virtual_time
async def test_what_was_not_carried_out_is_repeated_for_every_operation(status: int, operation: str) -> None:
    async with FaultServer(after(write(json_http({}, status)), close()), answer(good)) as server:
        async with partner(server.base_url) as session:
            await OPERATIONS[operation](session)
        assert (server.request_count, server.executed) == (2, 1)


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "always"])
@in_virtual_time
async def test_a_401_costs_one_refresh_and_one_replay(lasting: bool, operation: str) -> None:
    issued = 0

    async def serve(link: Link) -> None:
        nonlocal issued
        while (request := await link.read_request()) is not None:
            if request.path == "/oauth/token":
                issued += 1
                await link.write(json_http({"access_token": f"{BEARER}-{issued}", "expires_in": 3600}))
            elif lasting or request.bearer == f"{BEARER}-1":
                await link.write(json_http({"Message": "no"}, 401))
            else:
                link.server.committed[request.request_id] += 1
                await link.write(good(request))

    async with FaultServer(serve) as server:
        async with AsyncPartnerSession(
            ClientCredentials("id", CLIENT_SECRET),
            base_url=server.base_url,
            token_url=server.token_url,
            timeouts=TIMES,
            retry=POLICY,
            clock=LoopClock(),
        ) as session:
            if lasting:
                with pytest.raises(UnauthorizedError) as caught:
                    await OPERATIONS[operation](session)
                assert (caught.value.attempts, caught.value.sent) == (2, "yes")
                assert_no_canary(caught.value)
            else:
                await OPERATIONS[operation](session)
        calls = [request for request in server.requests if request.path != "/oauth/token"]
        assert (issued, len(calls), server.executed) == (2, 2, 0 if lasting else 1)
        assert len({request.bearer for request in calls}) == 2
