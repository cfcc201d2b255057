"""The rate limit under overload: used to the full, in order, without bursts, and nobody waits for a turn in vain."""

from __future__ import annotations

import asyncio

import pytest

from cyclr_async import AsyncPartnerSession, DeadlineExceededError, Limits
from tests.faults.matrix import forever, partner
from tests.support.answers import account_id
from tests.support.server import FaultServer
from tests.support.virtual import in_virtual_time

RATE = 40
BUDGET = 0.4
SECONDS = 1.2


@pytest.mark.parametrize("latency", [0.0, 0.15], ids=["quick", "slow"])
@in_virtual_time
async def test_under_overload_the_limit_is_used_to_the_full(latency: float) -> None:
    """Twice as many calls arrive as may leave. Who leaves has the time for its answer; who cannot is told at once."""
    now = asyncio.get_running_loop().time
    done: list[int] = []
    refused: list[tuple[float, DeadlineExceededError]] = []
    late: list[DeadlineExceededError] = []

    async def caller(session: AsyncPartnerSession, number: int) -> None:
        began = now()
        try:
            await session.accounts.usage(account_id(number), timeout=BUDGET)
        except DeadlineExceededError as error:
            if error.sent == "never":
                refused.append((now() - began, error))
            else:
                late.append(error)
        else:
            done.append(number)

    async with (
        FaultServer(forever(latency)) as server,
        partner(server.base_url, limits=Limits(requests_per_second=RATE, connections=20)) as session,
    ):
        tasks: list[asyncio.Task[None]] = []
        began = now()
        while (passed := now() - began) < SECONDS:
            while len(tasks) < passed * 2 * RATE:
                tasks.append(asyncio.create_task(caller(session, len(tasks))))
            await asyncio.sleep(0.005)
        await asyncio.gather(*tasks)
        stats = session.stats()
    assert (stats.in_flight, stats.queued, stats.active) == (0, 0, 0)
    times = [request.at for request in server.requests]
    asked = [int(request.path.split("/")[-2], 16) for request in server.requests]
    assert asked == sorted(asked)
    assert len(times) >= 0.95 * RATE * (times[-1] - times[0])
    assert len(times) >= 0.9 * RATE * SECONDS
    for begin in range(len(times)):
        within = sum(times[begin] <= at < times[begin] + 0.5 for at in times)
        assert within <= 0.5 * RATE + 2
    assert len(done) >= 0.9 * len(times)
    assert len(done) + len(refused) + len(late) == len(tasks)
    assert len(refused) >= 0.3 * len(tasks)
    assert sorted(seconds for seconds, _ in refused)[len(refused) // 2] < 0.01
    text = str(refused[0][1])
    assert "Limits.requests_per_second" in text
    assert f"{RATE}" in text
