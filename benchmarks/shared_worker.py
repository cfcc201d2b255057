"""One process of a shared-state benchmark: ``turns`` uses the rate alone, ``calls`` a whole session.

It prints one JSON line when it is ready, waits for a line on standard input, works, and prints one JSON line more.
"""

import asyncio
import collections
import json
import sys
import time
from typing import Any

from yarl import URL

from cyclr_async import (
    AsyncPartnerSession,
    ClientCredentials,
    CyclrError,
    Limits,
    PasswordGrant,
    SharedState,
    StaticToken,
    TokenProvider,
)
from cyclr_async.http.clock import SystemClock
from cyclr_async.http.limiter import Limiter
from cyclr_async.shared.sharing import Sharing

__all__ = ["main"]


async def _go(ready: dict[str, Any]) -> None:
    print(json.dumps(ready), flush=True)
    # In a thread, so that whatever is connected already stays alive.
    line = await asyncio.to_thread(sys.stdin.readline)
    # All processes begin in the same moment of the clock that they share.
    await asyncio.sleep(max(json.loads(line)["at"] - time.monotonic(), 0.0))


def _state(job: dict[str, Any]) -> SharedState | None:
    place = job["shared"]
    return None if place is None else SharedState.of(place)


async def _turns(job: dict[str, Any]) -> dict[str, Any]:
    """Take turns as fast as they come, or ``calls_per_second`` of them, and say when each was taken."""
    clock = SystemClock()
    state = _state(job)
    sharing = None
    if state is not None:
        sharing = Sharing(
            state,
            StaticToken("none"),
            clock=clock,
            on_event=None,
            api=URL("https://example.com"),
            token_url=None,
            rate=job["rate"],
        )
    rate = job["rate"] if sharing is not None or job["alone"] is None else job["alone"]
    turns = None if sharing is None else sharing.turns
    limiter = Limiter(10_000, rate, clock, turns=turns, tell=None if sharing is None else sharing.tell)
    if sharing is not None:
        await sharing.open(limiter.hold)
    await _go({"ready": True})
    taken: list[float] = []
    began, cpu = time.monotonic(), time.process_time()
    ends = began + job["seconds"]
    paced = job["calls_per_second"]

    async def waiter(number: int) -> None:
        due = began + (number / paced if paced else 0.0)
        while time.monotonic() < ends:
            if paced:
                due += job["waiters"] / paced
                await asyncio.sleep(max(due - time.monotonic(), 0.0))
            await limiter.acquire()
            taken.append(time.monotonic())
            limiter.release()

    tasks = [asyncio.create_task(waiter(number)) for number in range(job["waiters"])]
    if job["waves"]:  # a process that stands still now and then
        for _ in range(job["waves"]):
            await asyncio.sleep(job["seconds"] / (job["waves"] + 1))
            time.sleep(0.05)  # noqa: ASYNC251 - standing still is the point
    await asyncio.sleep(max(ends - time.monotonic(), 0.0))
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    used = time.process_time() - cpu
    counts = {} if sharing is None else sharing.counts()
    if sharing is not None:
        await sharing.close()
    return {"taken": [at for at in taken if at < ends], "cpu": used, "trips": counts.get("shared_trips", 0), **counts}


async def _calls(job: dict[str, Any]) -> dict[str, Any]:
    """Make calls with a session, as fast as they come or for so many seconds, and say how they ended."""
    auth: TokenProvider
    if job["grant"] == "password":
        auth = PasswordGrant(job["client_id"], job["username"], job["password"])
    elif job["grant"] == "static":
        auth = StaticToken("bearer")
    else:
        auth = ClientCredentials(job["client_id"], job["client_secret"])
    rate = job["rate"] if job["alone"] is None else job["alone"]
    limits = Limits(requests_per_second=rate, connections=job["waiters"])
    errors: collections.Counter[str] = collections.Counter()
    ended: list[float] = []
    longest = 0.0
    state = _state(job)
    async with AsyncPartnerSession(
        auth, base_url=job["base_url"], token_url=job["token_url"], limits=limits, shared=state
    ) as session:
        await _go({"ready": True})
        began, cpu = time.monotonic(), time.process_time()
        left = iter(range(job["calls"])) if job["calls"] else iter(int, 1)
        ends = began + job["seconds"] if job["seconds"] else float("inf")

        async def waiter() -> None:
            nonlocal longest
            for number in left:
                if time.monotonic() >= ends:
                    return
                at = time.monotonic()
                try:
                    if job["account_id"]:
                        await session.accounts.usage(job["account_id"], timeout=job["timeout"])
                    else:
                        await session.details(timeout=job["timeout"])
                except CyclrError as error:
                    errors[f"{type(error).__name__}: {error.message[:160]}"] += 1
                    if errors.total() == 1:
                        print(f"{number}: {error!r}", file=sys.stderr)
                now = time.monotonic()
                longest = max(longest, now - at)
                ended.append(now)
                if job["pace"]:
                    await asyncio.sleep(job["pace"])

        await asyncio.gather(*(waiter() for _ in range(job["waiters"])))
        cpu, wall = time.process_time() - cpu, time.monotonic() - began
        stats = session.stats()
    return {
        "calls": len(ended),
        "taken": ended,
        "failed": errors.total(),
        "errors": dict(errors.most_common(3)),
        "longest": longest,
        "cpu": cpu,
        "wall": wall,
        "fetched": stats.token_refreshes,
        "adopted": stats.tokens_adopted,
        "trips": stats.shared_trips,
        "losses": stats.shared_losses,
        "processes": stats.shared_processes,
    }


def main() -> None:
    """Do the job that the first line on standard input describes."""
    job = json.loads(sys.stdin.readline())
    result = asyncio.run((_turns if job["what"] == "turns" else _calls)(job))
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
