"""The fault matrix: each row injects one fault and asserts what the caller sees and what the server counted."""

from __future__ import annotations

import pytest

from cyclr_async import CyclrError, DeadlineExceededError, Limits, OutcomeUnknownError, ResponseTooLargeError, Timeouts
from tests.faults.matrix import OPERATIONS, POLICY, WRITES, after, failure, partner
from tests.faults.rows import HARMLESS, LASTING, Row
from tests.support.answers import good, http
from tests.support.server import FaultServer, answer, close, stall, write
from tests.support.virtual import in_virtual_time


def _end(error: CyclrError) -> tuple[type[CyclrError], str, int, int | None]:
    return type(error), error.sent, error.attempts, getattr(error, "status", None)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("row", LASTING, ids=lambda row: row.name)
@in_virtual_time
async def test_a_lasting_fault_after_the_request(row: Row, operation: str) -> None:
    async with FaultServer(row.fault) as server:
        error = await failure(operation, server.base_url)
        if operation in WRITES:
            assert _end(error) == (OutcomeUnknownError, row.sent, 1, row.status)
        else:
            assert _end(error) == (row.error, row.sent, POLICY.attempts, row.status)
        # What the client says is what the server counted: nothing was sent behind its back.
        assert server.request_count == error.attempts
        assert {request.request_id for request in server.requests} == {error.request_id}


@pytest.mark.parametrize("operation", ["GET", "PUT"])
@pytest.mark.parametrize("row", LASTING, ids=lambda row: row.name)
@in_virtual_time
async def test_one_fault_is_survived_by_what_may_be_repeated(row: Row, operation: str) -> None:
    async with FaultServer(row.fault, answer(good)) as server, partner(server.base_url) as session:
        await OPERATIONS[operation](session)
        assert server.request_count == 2
        assert session.stats().retries == 1


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("name", HARMLESS)
@in_virtual_time
async def test_an_odd_answer_that_is_right_is_taken(name: str, operation: str) -> None:
    async with FaultServer(HARMLESS[name]) as server, partner(server.base_url) as session:
        await OPERATIONS[operation](session)
        assert server.request_count == 1
        assert session.stats().retries == 0


@pytest.mark.parametrize("operation", OPERATIONS)
@in_virtual_time
async def test_too_large_an_answer_is_not_asked_for_again(operation: str) -> None:
    """For a write it proves that something was done, not what."""
    async with FaultServer(after(write(http(200, b" " * 2**21)), close())) as server:
        error = await failure(operation, server.base_url, limits=Limits(response_bytes=2**20))
        kind = OutcomeUnknownError if operation in WRITES else ResponseTooLargeError
        assert _end(error) == (kind, "yes", 1, 200)
        assert server.request_count == 1


@pytest.mark.parametrize("operation", OPERATIONS)
@in_virtual_time
async def test_the_deadline_ends_a_stall(operation: str) -> None:
    slow = Timeouts(connect=1, read=3, attempt=3, deadline=0.2, close=0.0)
    async with FaultServer(after(stall())) as server:
        error = await failure(operation, server.base_url, within=0.35, timeouts=slow)
        assert type(error) is (OutcomeUnknownError if operation in WRITES else DeadlineExceededError)
        assert (error.sent, error.attempts, server.request_count) == ("maybe", 1, 1)
