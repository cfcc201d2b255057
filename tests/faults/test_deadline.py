"""The deadline is wall clock: over random faults no call takes longer than it was given."""

from __future__ import annotations

import asyncio
import contextlib
import random

import pytest

from cyclr_async import AsyncPartnerSession, CyclrError, Limits, RetryPolicy, Timeouts
from tests.support.answers import ACCOUNT, good, json_http
from tests.support.canary import BEARER
from tests.support.server import FaultServer, close, delay, drip, read_request, rst, script, stall, write
from tests.support.virtual import LoopClock, in_virtual_time

SLACK = 0.02


@pytest.mark.parametrize("seed", range(6))
@in_virtual_time
async def test_no_call_outlives_its_deadline(seed: int) -> None:
    """Fifty calls at a time, none of them late by more than two ticks of the timer wheel."""
    dice = random.Random(seed)
    endings = [close(), rst(), stall(), drip(good, every=0.01), write(json_http({}, 503)), write(json_http({}, 429))]
    scripts = [script(read_request(), delay(dice.random() * 0.2), dice.choice(endings), stall()) for _ in range(400)]
    times = Timeouts(connect=5, read=5, attempt=5, deadline=60, close=0.0)
    policy = RetryPolicy(attempts=10, base=0.05, throttled_base=0.05, cap=0.2)
    late = []

    async def one(session: AsyncPartnerSession, budget: float) -> None:
        started = asyncio.get_running_loop().time()
        with contextlib.suppress(CyclrError):
            await session.accounts.usage(ACCOUNT, timeout=budget)
        late.append(asyncio.get_running_loop().time() - started - budget)

    async with (
        FaultServer(*scripts) as server,
        AsyncPartnerSession(
            BEARER,
            base_url=server.base_url,
            timeouts=times,
            retry=policy,
            limits=Limits(connections=10),
            clock=LoopClock(),
        ) as session,
    ):
        await asyncio.gather(*(one(session, dice.uniform(0.05, 0.6)) for _ in range(50)))
        assert session.stats().active == 0
    assert max(late) <= SLACK
