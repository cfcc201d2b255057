"""Many callers at once: queueing, a pause, an outage. Full figures by hand, as the names of the variables say."""

from __future__ import annotations

import asyncio
import os

import pytest

from cyclr_async import AsyncPartnerSession, CyclrError, Limits, RetryPolicy, ServerError, Timeouts
from tests.faults.matrix import PATIENT, QUICK, after, forever, partner
from tests.support.answers import ACCOUNT, good, json_http
from tests.support.server import FaultServer, Link, close, write
from tests.support.sizes import few_of
from tests.support.virtual import in_virtual_time

HANDLER = float(os.environ.get("CYCLR_QUEUE_HANDLER", "0.01"))
"""Seconds per answer; 0.2 by hand, for 40 seconds in all."""
OUTAGE = float(os.environ.get("CYCLR_OUTAGE", "1"))
"""Seconds; 60 by hand."""


@pytest.mark.timeout(180)
@in_virtual_time
async def test_queueing_is_never_a_timeout() -> None:
    """A thousand callers over five connections wait up to two hundred handler times; an attempt may take five."""
    times = Timeouts(connect=5 * HANDLER + 1, read=1, attempt=max(5 * HANDLER, 1.0), deadline=120, close=0.0)
    async with (
        FaultServer(forever(HANDLER), keep=False) as server,
        partner(server.base_url, timeouts=times, limits=Limits(connections=5)) as session,
    ):
        began = asyncio.get_running_loop().time()
        await asyncio.gather(*(session.accounts.usage(ACCOUNT) for _ in range(1000)))
        assert asyncio.get_running_loop().time() - began >= 200 * HANDLER
        assert (session.stats().attempts, server.request_count, server.connections) == (1000, 1000, 5)


@in_virtual_time
async def test_a_pause_holds_the_whole_session() -> None:
    async def throttle(link: Link) -> None:
        await link.read_request()
        throttled.append(asyncio.get_running_loop().time())
        await link.write(json_http({}, 429, {"Retry-After": "2"}))
        link.fin()

    throttled: list[float] = []
    async with FaultServer(throttle, forever(0)) as server:
        async with partner(server.base_url, timeouts=PATIENT) as session:
            first = asyncio.create_task(session.accounts.usage(ACCOUNT))
            while not session.stats().paused_for:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            await asyncio.gather(first, *(session.accounts.usage(ACCOUNT) for _ in range(50)))
        assert server.request_count == 52
        assert min(request.at for request in server.requests[1:]) - throttled[0] >= 2.0


@few_of("status", [503, 500], few=1)
@in_virtual_time
async def test_one_call_of_everybody_in_an_outage(status: int) -> None:
    async with FaultServer(after(write(json_http({}, status)), close()), keep=False) as server:
        async with partner(server.base_url, timeouts=PATIENT, retry=QUICK) as session:
            outcomes = await asyncio.gather(
                *(session.accounts.usage(ACCOUNT) for _ in range(1000)), return_exceptions=True
            )
        assert {type(outcome) for outcome in outcomes} == {ServerError}
        assert server.request_count <= 1200


@pytest.mark.stress
@pytest.mark.timeout(180)
@in_virtual_time
async def test_an_outage_is_not_amplified_and_ends_for_everybody() -> None:
    """A thousand callers ask again and again while the server fails, as the users of a web service would."""
    until = asyncio.get_running_loop().time() + OUTAGE

    async def serve(link: Link) -> None:
        while (request := await link.read_request()) is not None:
            failing = asyncio.get_running_loop().time() < until
            await link.write(json_http({"Message": "down"}, 503) if failing else good(request))

    calls = failed = after_it = 0

    async def caller(session: AsyncPartnerSession, number: int) -> None:
        nonlocal calls, failed, after_it
        await asyncio.sleep(number / 1000 * min(2.0, OUTAGE / 2))
        while asyncio.get_running_loop().time() < until:
            calls += 1
            try:
                await session.accounts.usage(ACCOUNT)
            except CyclrError:
                failed += 1
            await asyncio.sleep(min(2.0, OUTAGE / 2))
        await session.accounts.usage(ACCOUNT)
        after_it += 1

    async with FaultServer(serve, keep=False) as server:
        async with partner(server.base_url, timeouts=PATIENT, retry=RetryPolicy(attempts=4)) as session:
            await asyncio.gather(*(caller(session, number) for number in range(1000)))
            requests = server.request_count - after_it
        print(f"{requests} requests for {calls} calls, {failed} failed: {requests / calls:.3f} per call")
        # Calls that were still queueing when the outage ended are among the others.
        assert failed > 0.5 * calls
        assert requests <= 1.2 * calls
        assert after_it == 1000
