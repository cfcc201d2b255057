"""What the fault matrix is made of: the operations, and one call that must fail."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from cyclr_async import AsyncPartnerSession, CyclrError, RetryPolicy, Timeouts
from tests.support.answers import ACCOUNT, good
from tests.support.canary import BEARER, assert_no_canary
from tests.support.server import Link, Script, read_request, script
from tests.support.virtual import LoopClock

__all__ = ["OPERATIONS", "PATIENT", "POLICY", "QUICK", "TIMES", "WRITES", "after", "failure", "forever", "partner"]

TIMES = Timeouts(connect=2.0, read=0.25, attempt=0.6, deadline=3.0, close=0.0)
POLICY = RetryPolicy(attempts=2, base=0.01, throttled_base=0.01, cap=0.02)
PATIENT = Timeouts(connect=20, read=20, attempt=20, deadline=60, close=0.0)
QUICK = RetryPolicy(attempts=4, base=0.01, throttled_base=0.01, cap=0.05)

Operation = Callable[[AsyncPartnerSession], Awaitable[object]]

OPERATIONS: dict[str, Operation] = {
    "GET": lambda session: session.accounts.usage(ACCOUNT),
    "PUT": lambda session: session.accounts.update(ACCOUNT, name="New"),
    "POST": lambda session: session.accounts.create(name="ACME"),
    "TOKEN": lambda session: session.tokens.create(ACCOUNT, "jo@example.com"),
}
WRITES = ("POST", "TOKEN")


def partner(base_url: str, **options: object) -> AsyncPartnerSession:
    # The time of the loop, so that the same session can be tried in virtual time.
    settings: dict[str, object] = {
        "base_url": base_url,
        "timeouts": TIMES,
        "retry": POLICY,
        "clock": LoopClock(),
        **options,
    }
    return AsyncPartnerSession(BEARER, **settings)  # type: ignore[arg-type]


async def failure(operation: str, base_url: str, *, within: float = 2.5, **options: object) -> CyclrError:
    """Run the operation, which must fail with an error of the package that leaves nothing behind."""
    async with partner(base_url, **options) as session:
        now = asyncio.get_running_loop().time
        started = now()
        with pytest.raises(CyclrError) as caught:
            await OPERATIONS[operation](session)
        assert now() - started <= within
        stats = session.stats()
        assert (stats.in_flight, stats.queued, stats.active) == (0, 0, 0)
    assert caught.value.request_id
    assert_no_canary(caught.value)
    return caught.value


def after(*steps: Script) -> Script:
    return script(read_request(), *steps)


def forever(seconds: float) -> Script:
    """Answer every request on the connection after so many seconds."""

    async def run(link: Link) -> None:
        while (request := await link.read_request()) is not None:
            if seconds:
                await asyncio.sleep(seconds)
            await link.write(good(request))

    return run
