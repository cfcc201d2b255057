"""How many answers are booked to the wrong account when a server sends answers nobody asked for.

Run with ``python -m benchmarks.desync``. Twenty sequential usage calls share a connection on which the server sends
exactly one answer too many: at once, while the connection is idle, or only after the next request came in. Then the
price of the safe mode is measured.
"""

from __future__ import annotations

import asyncio
import time

from cyclr_async import AsyncPartnerSession, CyclrError, Limits
from tests.faults.answers import account_id, good, task_count
from tests.faults.server import (
    FaultServer,
    Link,
    Request,
    Script,
    answer,
    delay,
    read_request,
    script,
    write,
)
from tests.faults.soak import serving

__all__ = ["CASES", "measure"]

CALLS = 20


def _late(first: Request) -> Script:
    async def run(link: Link) -> None:
        request = await link.read_request()
        if request is not None:
            await link.write(good(first) + good(request))

    return run


def _after_the_next_request() -> Script:
    async def run(link: Link) -> None:
        await answer(good)(link)
        assert link.request is not None
        await _late(link.request)(link)

    return run


CASES: dict[str, Script] = {
    "same segment": script(read_request(), write(lambda request: good(request) * 2)),
    "later, while idle": script(answer(good), delay(0.004), write(good)),
    "after the next request": _after_the_next_request(),
}


async def measure(case: str, *, reuse: bool) -> tuple[int, int]:
    """Return how many of twenty answers belong to another account, and how many calls failed."""
    wrong = failed = 0
    plenty = script(*[answer(good)] * (2 * CALLS))
    async with (
        FaultServer(script(CASES[case], plenty), plenty) as server,
        AsyncPartnerSession("benchmark", base_url=server.base_url, limits=Limits(reuse_connections=reuse)) as session,
    ):
        for number in range(1, CALLS + 1):
            account = account_id(number)
            try:
                usage = await session.accounts.usage(account, timeout=5)
                wrong += usage.task_count != task_count(account)
            except CyclrError:
                failed += 1
            await asyncio.sleep(0.01)
    return wrong, failed


async def speed(*, reuse: bool, calls: int = 4000, workers: int = 20) -> float:
    """Return usage calls per second over plain loopback; the server has a process of its own."""
    async with (
        serving(0.0, 1) as (port, _),
        AsyncPartnerSession(
            "benchmark", base_url=f"http://127.0.0.1:{port}/api/partner", limits=Limits(reuse_connections=reuse)
        ) as session,
    ):
        left = iter(range(calls))

        async def work() -> None:
            for number in left:
                await session.accounts.usage(account_id(number))

        began = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(workers)))
        return calls / (time.perf_counter() - began)


async def main() -> None:
    print(f"{'unasked answer':<26}{'mode':<9}{'wrong':>6}{'failed':>8}   of {CALLS}")
    for case in CASES:
        for reuse in (True, False):
            wrong, failed = await measure(case, reuse=reuse)
            print(f"{case:<26}{'default' if reuse else 'safe':<9}{wrong:>6}{failed:>8}")
    # The modes take turns, so that a busy moment of the machine meets both; the best of each is compared.
    rounds = [(await speed(reuse=True), await speed(reuse=False)) for _ in range(5)]
    default, safe = (max(column) for column in zip(*rounds, strict=True))
    print(f"calls per second, plain loopback: default {default:.0f}, safe {safe:.0f} ({safe / default:.0%})")


if __name__ == "__main__":
    asyncio.run(main())
