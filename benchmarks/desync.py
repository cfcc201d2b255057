"""How many answers are booked to the wrong account when a server sends answers nobody asked for.

Run with ``python -m benchmarks.desync``. In each of twenty rounds, twenty sequential usage calls share a connection on
which the server sends exactly one answer too many: at once, while the connection is idle, only after the next request
came in, or before the first. Over plain TCP and over TLS, and for both APIs: the answer of the v1.0 API names its
account, that of the partner API does not. Then the price of the safe mode is measured.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from cyclr_async import AsyncPartnerSession, CyclrError, Limits, RetryPolicy
from tests.faults.soak import serving
from tests.support.answers import account_id, good, task_count
from tests.support.server import (
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
from tests.support.tls import TlsWorld
from tests.support.tls_records import RecordLink

__all__ = ["CASES", "measure"]

CALLS = 20
ROUNDS = 20

_STRANGER = {
    "partner": Request("GET", f"/api/partner/accounts/{account_id(99)}/billing", {}, b"", 0),
    "v1": Request("GET", f"/v1.0/accounts/{account_id(99)}/usage", {}, b"", 0),
}
"""Requests that nobody makes, of both APIs."""


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


def _cases(api: str) -> dict[str, Script]:
    stranger = good(_STRANGER[api])
    return {
        "same segment": script(read_request(), write(lambda request: good(request) * 2)),
        "later, while idle": script(answer(good), delay(0.004), write(good)),
        "after the next request": _after_the_next_request(),
        "before the first request": write(stranger),
        "the same, 10 ms late": script(delay(0.01), write(stranger)),
    }


CASES = tuple(_cases("partner"))

HALF = "half a record, while idle"
"""Over TLS only: the rest of the record comes once the next request is on its way, if it comes to that."""


def _half_a_record(world: TlsWorld) -> Script:
    async def run(link: Link) -> None:
        tls = RecordLink(link, world.good)
        await tls.handshake()
        first = await tls.read_request()
        await tls.write(good(first))
        extra = tls.sealed(good(first))
        await asyncio.sleep(0.004)
        await link.write(extra[: len(extra) // 2])
        request = await tls.read_request()
        await link.write(extra[len(extra) // 2 :])
        while True:
            await tls.write(good(request))
            request = await tls.read_request()

    return run


def _by_hand(world: TlsWorld) -> Script:
    async def run(link: Link) -> None:
        tls = RecordLink(link, world.good)
        await tls.handshake()
        while True:
            await tls.write(good(await tls.read_request()))

    return run


async def measure(case: str, *, reuse: bool, world: TlsWorld | None = None, api: str = "partner") -> tuple[int, int]:
    """Return how many of twenty answers belong to another account, and how many calls failed.

    Args:
        case: a name of :data:`CASES`, or :data:`HALF`.
        reuse: ``Limits.reuse_connections``.
        world: what TLS needs; None for plain TCP.
        api: ``"partner"`` or ``"v1"``.
    """
    wrong = failed = 0
    plenty = script(*[answer(good)] * (2 * CALLS))
    if case == HALF:
        assert world is not None
        server = FaultServer(_half_a_record(world), _by_hand(world))
    else:
        server = FaultServer(script(_cases(api)[case], plenty), plenty, ssl=None if world is None else world.good)
    async with server:
        url = server.base_url.replace("http:", "https:") if world is not None else server.base_url
        async with AsyncPartnerSession(
            "benchmark",
            base_url=url,
            v1_url=url.replace("/api/partner", "/v1.0"),
            ca_file=None if world is None else world.authority_file,
            limits=Limits(reuse_connections=reuse),
            retry=RetryPolicy(base=0.0),
        ) as session:
            for number in range(1, CALLS + 1):
                account = account_id(number)
                try:
                    wrong += await _tasks(session, account, api) != task_count(account)
                except CyclrError:
                    failed += 1
                await asyncio.sleep(0.01)
    return wrong, failed


async def _tasks(session: AsyncPartnerSession, account: str, api: str) -> int:
    if api == "v1":
        return (await session.v1.accounts.usage(account, timeout=5)).tasks_used
    return (await session.accounts.usage(account, timeout=5)).task_count


async def rounds(
    case: str, *, reuse: bool, world: TlsWorld | None, api: str = "partner", count: int = ROUNDS
) -> tuple[int, int]:
    """Return the sums of many measurements, which run side by side."""
    results = await asyncio.gather(*(measure(case, reuse=reuse, world=world, api=api) for _ in range(count)))
    return sum(wrong for wrong, _ in results), sum(failed for _, failed in results)


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
    print(f"{'unasked answer':<28}{'API':<9}{'over':<7}{'mode':<9}{'wrong':>6}{'failed':>8}   of {ROUNDS} x {CALLS}")
    with tempfile.TemporaryDirectory() as folder:
        tls = TlsWorld.build(Path(folder))
        for case in [*CASES, HALF]:
            worlds: list[tuple[str, TlsWorld | None]] = (
                [("TLS", tls)] if case == HALF else [("TCP", None), ("TLS", tls)]
            )
            for over, world in worlds:
                for api, reuse in (("partner", True), ("partner", False), ("v1", True)):
                    wrong, failed = await rounds(case, reuse=reuse, world=world, api=api)
                    print(f"{case:<28}{api:<9}{over:<7}{'default' if reuse else 'safe':<9}{wrong:>6}{failed:>8}")
    # The modes take turns, so that a busy moment of the machine meets both; the best of each is compared.
    pairs = [(await speed(reuse=True), await speed(reuse=False)) for _ in range(5)]
    default, safe = (max(column) for column in zip(*pairs, strict=True))
    print(f"calls per second, plain loopback: default {default:.0f}, safe {safe:.0f} ({safe / default:.0%})")


if __name__ == "__main__":
    asyncio.run(main())
