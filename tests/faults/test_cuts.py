"""Connections that end at the worst moment: a cut at every byte, and writes that crash after they were carried out."""

from __future__ import annotations

import asyncio

import pytest

from cyclr_async import CyclrError, Limits, OutcomeUnknownError, RetryPolicy, Timeouts
from tests.faults.matrix import OPERATIONS, after, partner
from tests.support.answers import ACCOUNT, good
from tests.support.server import FaultServer, Request, Script, answer, close, commit, delay, rst, script, stall, write
from tests.support.virtual import in_virtual_time


@pytest.mark.parametrize("ending", [close(), rst(), stall()], ids=["fin", "rst", "stall"])
@pytest.mark.parametrize("operation", ["GET", "POST"])
@in_virtual_time
async def test_cut_at_every_byte(ending: Script, operation: str) -> None:
    """Always a value or an error of the package; a write is executed once whatever the caller hears of it."""
    times = Timeouts(connect=5, read=0.2, attempt=5, deadline=10, close=0.0)

    def cut(offset: int) -> Script:
        return after(commit(), write(lambda request: good(request)[:offset]), delay(0.001), ending)

    whole = {"GET": ("GET", f"/api/partner/accounts/{ACCOUNT}/billing"), "POST": ("POST", "/api/partner/createaccount")}
    length = len(good(Request(*whole[operation], {}, b"", 0)))
    async with FaultServer(*(cut(offset) for offset in range(length))) as server:
        async with partner(
            server.base_url, timeouts=times, retry=RetryPolicy(attempts=1), limits=Limits(reuse_connections=False)
        ) as session:
            outcomes = await asyncio.gather(
                *(OPERATIONS[operation](session) for _ in range(length)), return_exceptions=True
            )
        assert server.request_count == length
        assert {
            repr(item) for item in outcomes if isinstance(item, BaseException) and not isinstance(item, CyclrError)
        } == set()
        # Cut before its last byte, no answer passes for a whole one; the list of scripts ends one short of it.
        assert all(isinstance(item, CyclrError) for item in outcomes)
        if operation == "POST":
            assert set(server.committed.values()) == {1}
            unknown = sum(isinstance(item, OutcomeUnknownError) for item in outcomes)
            assert unknown + sum(isinstance(item, str) for item in outcomes) == length


@in_virtual_time
async def test_writes_never_meet_a_stale_connection_and_crashes_are_reported() -> None:
    """Server truth: operations carried out are those the client calls done plus those it calls unknown."""
    scripts = [
        answer(good),
        after(commit(), close()),
        after(commit(), rst()),
        script(answer(good), delay(0.002), close()),
    ]
    total = 400
    async with FaultServer(*(scripts * (total // 4))) as server:
        times = Timeouts(connect=20, read=20, attempt=20, deadline=60, close=0.0)
        async with partner(server.base_url, timeouts=times, limits=Limits(connections=20)) as session:
            outcomes = await asyncio.gather(
                *(OPERATIONS["POST"](session) for _ in range(total)), return_exceptions=True
            )
        assert set(server.committed.values()) == {1}
        done = sum(isinstance(item, str) for item in outcomes)
        unknown = sum(isinstance(item, OutcomeUnknownError) for item in outcomes)
        assert (done + unknown, server.executed, unknown) == (total, total, total // 2)
