"""When requests are held back, and what lets them go on."""

from __future__ import annotations

import asyncio
import math

import pytest

from cyclr_async.errors import (
    BulkInterruptedError,
    ServerError,
    TokenEndpointError,
)
from cyclr_async.usage.collect.breaker import Breaker
from tests.support.clock import VirtualClock


class Watched:
    """A breaker and what it told."""

    def __init__(self, max_outage: float = 3600.0) -> None:
        self.clock = VirtualClock()
        self.told: list[bool] = []
        self.breaker = Breaker(self.clock, max_outage, self.told.append)

    def faults(self, count: int) -> None:
        for _ in range(count):
            self.breaker.fault(probe=False)

    async def probe(self, *, good: bool) -> float:
        """Make one probe, and return the seconds that it waited."""
        begun = self.clock.now()
        assert await self.breaker.enter()
        if good:
            self.breaker.ok(probe=True)
        else:
            self.breaker.fault(probe=True)
        return self.clock.now() - begun


async def test_nobody_waits_while_all_is_well() -> None:
    watched = Watched()
    watched.faults(19)
    assert not await watched.breaker.enter()
    watched.breaker.ok(probe=False)
    watched.faults(19)
    assert not watched.breaker.is_open
    assert watched.told == []


async def test_twenty_faults_in_a_row_are_a_suspicion_that_one_good_answer_ends() -> None:
    watched = Watched()
    watched.faults(20)
    assert watched.breaker.is_open
    assert not watched.breaker.outage
    assert await watched.probe(good=True) == 0
    assert (watched.breaker.opened_at, watched.told) == (None, [])


async def test_a_failed_check_makes_it_an_outage_that_three_good_answers_end() -> None:
    watched = Watched()
    async with watched.clock:
        watched.faults(20)
        waits = [await watched.probe(good=False) for _ in range(8)]
        assert waits[0] == 0
        for wait, around in zip(waits[1:], (5, 10, 20, 40, 60, 60, 60), strict=True):
            assert 0.8 * around <= wait <= 1.2 * around
        assert watched.told == [True]
        assert await watched.probe(good=True) >= 48
        assert [await watched.probe(good=True) for _ in range(2)] == [0, 0]
        assert watched.told == [True, False]
        assert not watched.breaker.is_open
        watched.faults(20)
        assert await watched.probe(good=False) == 0, "the next outage begins from the start"


async def test_a_fault_among_the_good_probes_begins_them_again() -> None:
    watched = Watched()
    async with watched.clock:
        watched.faults(20)
        for good in (False, True, True, False, True, True):
            await watched.probe(good=good)
        assert watched.breaker.is_open
        await watched.probe(good=True)
    assert not watched.breaker.is_open


async def test_one_probe_at_a_time_and_everybody_goes_on_afterwards() -> None:
    watched = Watched()
    async with watched.clock:
        watched.faults(20)
        assert await watched.breaker.enter()
        others = [asyncio.ensure_future(watched.breaker.enter()) for _ in range(5)]
        await asyncio.sleep(0.02)
        assert not any(other.done() for other in others)
        watched.breaker.ok(probe=True)
        assert await asyncio.gather(*others) == [False] * 5


async def test_a_cancelled_probe_is_made_by_the_next() -> None:
    watched = Watched()
    watched.faults(20)
    await watched.probe(good=False)
    # Time stands still without its driver, so this one is cancelled in its wait.
    waiting = asyncio.ensure_future(watched.breaker.enter())
    second = asyncio.ensure_future(watched.breaker.enter())
    await asyncio.sleep(0)
    waiting.cancel()
    async with watched.clock:
        assert await second
    assert waiting.cancelled()


async def test_a_probe_that_says_nothing_is_made_again() -> None:
    watched = Watched()
    watched.faults(20)
    assert await watched.breaker.enter()
    watched.breaker.abandon(probe=True)
    assert watched.breaker.is_open
    assert not watched.breaker.outage
    async with watched.clock:
        assert await watched.breaker.enter()


@pytest.mark.parametrize("limit", [0, 1, 7, 30, 60, 100, 3600])
async def test_the_service_is_asked_once_more_at_the_limit(limit: float) -> None:
    watched = Watched(max_outage=limit)
    probes = []
    async with watched.clock:
        begun = watched.clock.now()
        watched.faults(20)

        async def wait_for_ever() -> None:
            while True:
                await watched.probe(good=False)
                probes.append(watched.clock.now() - begun)

        with pytest.raises(BulkInterruptedError, match="out for") as caught:
            await wait_for_ever()
        assert caught.value.reason == "outage"
        assert probes[-1] == pytest.approx(limit)
        assert probes == sorted(set(probes)), "one probe at the limit, and no more"
        with pytest.raises(BulkInterruptedError):
            await watched.breaker.enter()


async def test_an_outage_that_ends_at_the_limit_is_over() -> None:
    watched = Watched(max_outage=30)
    async with watched.clock:
        begun = watched.clock.now()
        watched.faults(20)
        for good in (False, False, False, True, True, True):  # at 0, about 5, about 15, and 30 seconds
            await watched.probe(good=good)
        assert watched.clock.now() == pytest.approx(begun + 30)
        assert not watched.breaker.is_open
        watched.faults(20)
        await watched.probe(good=False)
        assert await watched.breaker.enter(), "the next outage has a limit of its own"


async def test_an_outage_without_a_limit() -> None:
    watched = Watched(max_outage=math.inf)
    async with watched.clock:
        watched.faults(20)
        for _ in range(200):
            await watched.probe(good=False)
        assert watched.clock.now() > 1000 + 7200


async def test_an_outage_is_counted_from_its_first_fault() -> None:
    watched = Watched(max_outage=100)
    async with watched.clock:
        for _ in range(20):
            watched.faults(1)
            watched.clock.advance(4)
        await watched.probe(good=False)
        while not watched.breaker._last:
            await watched.probe(good=False)
        assert watched.clock.now() == pytest.approx(1100)
        with pytest.raises(BulkInterruptedError):
            await watched.breaker.enter()


async def test_a_probe_is_not_made_earlier_than_the_service_asked_for() -> None:
    watched = Watched()
    busy = ServerError("busy", status=503)
    busy.retry_after = 50.0
    async with watched.clock:
        watched.faults(19)
        watched.breaker.fault(busy, probe=False)
        assert await watched.probe(good=False) == pytest.approx(50)
        busy.retry_after = 1e9
        watched.breaker.fault(busy, probe=False)
        assert await watched.probe(good=False) == pytest.approx(900), "nor for ever"


async def test_without_a_token_it_opens_at_once() -> None:
    watched = Watched()
    error = TokenEndpointError("moved", status=302)
    watched.breaker.fault(error, probe=False)
    assert watched.breaker.is_open
