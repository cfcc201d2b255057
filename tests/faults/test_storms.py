"""Crowds: cancellations, expired tokens, mutated answers, outages and pauses, with the server's count as the truth."""

from __future__ import annotations

import asyncio
import os
import random

import pytest

from cyclr_async import (
    AccountUsage,
    AsyncPartnerSession,
    CyclrError,
    Limits,
    OutcomeUnknownError,
    PasswordGrant,
    RetryPolicy,
    Timeouts,
)
from tests.faults.matrix import PATIENT, forever
from tests.support.answers import ACCOUNT, account_id, good, task_count
from tests.support.canary import BEARER, PASSWORD
from tests.support.rotating_tokens import RotatingTokens
from tests.support.server import (
    FaultServer,
    Link,
    Script,
    answer,
    close,
    commit,
    delay,
    read_request,
    rst,
    script,
    stall,
    write,
)
from tests.support.sizes import few_of, sized
from tests.support.virtual import LoopClock, VirtualTimeLoop, in_virtual_time

MUTATIONS = int(os.environ.get("CYCLR_MUTATIONS", "10000"))


@few_of("seed", range(int(os.environ.get("CYCLR_STORM_SEEDS", "50"))), few=2)
async def test_cancel_storm(seed: int) -> None:
    dice = random.Random(seed)
    async with FaultServer(forever(0.02), keep=False) as server:
        async with AsyncPartnerSession(BEARER, base_url=server.base_url, timeouts=PATIENT) as session:
            tasks = [asyncio.create_task(session.accounts.usage(account_id(n))) for n in range(1000)]
            victims = dice.sample(range(1000), 500)
            for index in victims:
                if dice.random() < 0.05:
                    await asyncio.sleep(dice.random() * 0.01)
                tasks[index].cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            stats = session.stats()
            assert (stats.in_flight, stats.queued, stats.active) == (0, 0, 0)
        chosen = set(victims)
        for number, outcome in enumerate(outcomes):
            if isinstance(outcome, BaseException):
                assert isinstance(outcome, asyncio.CancelledError)
                assert number in chosen
            else:
                assert outcome.task_count == task_count(account_id(number))


@in_virtual_time
async def test_cancels_near_a_deadline_all_win() -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    async with (
        FaultServer(forever(5)) as server,
        AsyncPartnerSession(
            BEARER,
            base_url=server.base_url,
            timeouts=PATIENT,
            limits=Limits(connections=300),
            clock=LoopClock(),
        ) as session,
    ):
        tasks = [asyncio.create_task(session.accounts.usage(ACCOUNT, timeout=0.5)) for _ in range(300)]

        def cancel(some: list[asyncio.Task[AccountUsage]]) -> None:
            assert not any(task.done() for task in some)
            for task in some:
                task.cancel()

        # The loop is held past the deadline, so that deadline and cancellation land in the same turn: the cancellation
        # first for one half of the tasks, and second for the other.
        loop.call_later(0.48, loop.advance, 0.06)
        loop.call_later(0.49, cancel, tasks[::2])
        loop.call_later(0.53, cancel, tasks[1::2])
        await asyncio.gather(*tasks, return_exceptions=True)
        assert sum(task.cancelled() for task in tasks) == 300


async def test_the_callers_own_timeout_is_a_plain_timeout() -> None:
    async with FaultServer(forever(5)) as server:  # noqa: SIM117
        async with AsyncPartnerSession(BEARER, base_url=server.base_url, timeouts=PATIENT) as session:
            with pytest.raises(TimeoutError) as caught:
                async with asyncio.timeout(0.05):
                    await session.accounts.usage(ACCOUNT)
            assert type(caught.value) is TimeoutError
            assert session.stats().active == 0


@sized("calls", 1000, 10_000)
@pytest.mark.timeout(300)
async def test_many_401s_cost_one_refresh(calls: int) -> None:
    tokens = RotatingTokens(latency=0.05)
    dice = random.Random(401)
    async with FaultServer(tokens.serve, keep=False) as server:
        grant = PasswordGrant("id", "jo", PASSWORD)
        async with AsyncPartnerSession(
            grant, base_url=server.base_url, token_url=server.token_url, timeouts=PATIENT
        ) as session:
            await session.accounts.usage(ACCOUNT)
            tokens.revoke()
            tasks = [asyncio.create_task(session.accounts.usage(ACCOUNT)) for _ in range(calls)]
            while not tokens.grants["refresh_token"]:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            # The first tasks are those that wait for the refresh, so the leader is among the cancelled.
            for task in tasks[:20] + dice.sample(tasks[20:], calls * 3 // 10):
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        wrong = [o for o in outcomes if isinstance(o, BaseException) and not isinstance(o, asyncio.CancelledError)]
        assert wrong == []
        assert (tokens.grants, tokens.refused) == ({"password": 1, "refresh_token": 1}, 0)


@sized("total", 1000, MUTATIONS)
@pytest.mark.timeout(300 + MUTATIONS // 50)
async def test_mutated_answers_end_in_a_value_or_an_error_of_the_package(total: int) -> None:
    dice = random.Random(total)

    def mutate(data: bytes) -> bytes:
        changed = bytearray(data)
        for _ in range(dice.randint(1, 4)):
            at = dice.randrange(len(changed))
            match dice.randrange(4):
                case 0:
                    changed[at] = dice.randrange(256)
                case 1:
                    del changed[at : at + dice.randint(1, 9)]
                case 2:
                    changed[at:at] = dice.randbytes(dice.randint(1, 9))
                case _:
                    changed[at:at] = changed[at : at + 20]
        return bytes(changed)

    times = Timeouts(connect=20, read=20, attempt=20, deadline=60, close=0.0)
    broken = script(read_request(), write(lambda request: mutate(good(request))), close())
    async with FaultServer(broken, keep=False) as server:
        async with AsyncPartnerSession(
            BEARER, base_url=server.base_url, timeouts=times, retry=RetryPolicy(attempts=1)
        ) as session:
            for _ in range(0, total, 1000):
                outcomes = await asyncio.gather(
                    *(session.accounts.usage(ACCOUNT, timeout=30) for _ in range(1000)), return_exceptions=True
                )
                foreign = [o for o in outcomes if isinstance(o, BaseException) and not isinstance(o, CyclrError)]
                assert foreign == []
            assert session.stats().active == 0
        assert server.request_count == total


@sized("total", 1000, int(os.environ.get("CYCLR_POSTS", "10000")))
@pytest.mark.timeout(300)
async def test_writes_are_executed_at_most_once(total: int) -> None:
    dice = random.Random(2)
    times = Timeouts(connect=20, read=1, attempt=20, deadline=120, close=0.0)
    endings: list[Script] = [close(), rst(), stall()]
    faults = [
        *(script(read_request(), commit(), ending) for ending in endings),
        *(script(read_request(), ending) for ending in endings),
        *(script(read_request(), commit(), write(lambda request: good(request)[:-5]), end) for end in endings),
        *[script(answer(good), delay(0.001), close())] * 9,
    ]
    async with FaultServer(*(dice.choice(faults) for _ in range(total)), keep=False) as server:
        async with AsyncPartnerSession(
            BEARER, base_url=server.base_url, timeouts=times, limits=Limits(connections=500)
        ) as session:
            outcomes = await asyncio.gather(
                *(session.accounts.create(name="A") for _ in range(total)), return_exceptions=True
            )
        assert server.request_count == total
        done = sum(isinstance(o, str) for o in outcomes)
        unknown = [o for o in outcomes if isinstance(o, OutcomeUnknownError)]
        assert done + len(unknown) == total
        assert set(server.committed.values()) == {1}
        assert server.executed == done + sum(o.request_id in server.committed for o in unknown)


@sized("total", 1000, 10_000)
@pytest.mark.timeout(300)
async def test_no_write_fails_on_a_server_that_closes_idle_connections(total: int) -> None:
    dice = random.Random(3)

    async def fickle(link: Link) -> None:
        while (request := await link.read_request()) is not None:
            await link.write(good(request))
            await asyncio.sleep(dice.random() * 0.003)
            if dice.random() < 0.5:
                return

    async with FaultServer(fickle, keep=False) as server:
        async with AsyncPartnerSession(BEARER, base_url=server.base_url, timeouts=PATIENT) as session:
            await asyncio.gather(*(session.accounts.create(name="A") for _ in range(total)))
        assert server.request_count == total
