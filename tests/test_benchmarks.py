"""The benchmarks' own judgement: what they call dearer, what they call a goal reached, and what their server serves."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import pytest

from benchmarks.bodies import BILLING, account_id, accounts_body
from benchmarks.goals import GOALS, Goal, goal_rows
from benchmarks.instructions import verdict
from benchmarks.processes import Server

_HERE = {"python": "CPython 3.11", "aiohttp": "3.14.5"}


def _counted(cyclr: int, bare: int = 100_000, **environment: str) -> dict[str, Any]:
    return {"environment": {**_HERE, **environment}, "instructions": {"bare": bare, "cyclr": cyclr}}


@pytest.mark.parametrize(("now", "passes"), [(50_000, True), (51_000, True), (51_100, False), (80_000, False)])
def test_a_call_that_became_two_percent_dearer_fails(now: int, passes: bool) -> None:
    passed, lines = verdict(_counted(now), _counted(50_000))
    assert passed is passes
    assert ("dearer" in lines[-1]) is not passes


def test_the_base_may_move_and_does_not_excuse_a_call() -> None:
    assert verdict(_counted(50_000, bare=150_000), _counted(50_000))[0]
    assert not verdict(_counted(52_000, bare=150_000), _counted(50_000))[0]


@pytest.mark.parametrize(
    ("now", "bare", "passes"), [(100_000, 200_000, True), (54_000, 100_000, True), (56_000, 100_000, False)]
)
def test_with_other_versions_the_ratio_to_bare_aiohttp_is_compared(now: int, bare: int, passes: bool) -> None:
    assert verdict(_counted(now, bare, aiohttp="3.15.0"), _counted(50_000))[0] is passes


def test_a_goal_is_missed_met_or_a_moonshot_and_never_judged_without_a_figure() -> None:
    low = Goal("low", "x", 2.0, 1.0, lambda _: 0.0)
    high = Goal("high", "x", 5.0, 6.0, lambda _: 0.0, at_least=True)
    assert (low.reached(2.0, 2.0), low.reached(2.01, 2.0), high.reached(5.0, 5.0), high.reached(4.99, 5.0)) == (
        True,
        False,
        True,
        False,
    )
    assert {row[1] for row in goal_rows({})} == {"not measured"}


@pytest.mark.parametrize(("ratio", "word"), [(0.45, "moonshot"), (0.46, "met"), (0.60, "met"), (0.61, "missed")])
def test_the_verdict_on_a_call_follows_its_ratio(ratio: float, word: str) -> None:
    ladder = [{"name": "cyclr", "concurrency": 50, "ratio": {"median": ratio}, "cpu_ms": {"median": 0.1}}]
    verdicts = {title: verdict for title, *_, verdict in goal_rows({"ladder": ladder})}
    assert verdicts[GOALS[0].title] == word


async def test_the_load_server_serves_whole_bodies_counts_them_and_waits_as_told() -> None:
    with Server(accounts=5_000) as server:
        async with aiohttp.ClientSession() as session:

            async def get(path: str) -> tuple[int, bytes]:
                async with session.get(f"{server.base_url}/{path}") as response:
                    await asyncio.sleep(0.01)  # the kernel's buffers are full meanwhile
                    return response.status, await response.read()

            assert await get("accounts") == (200, accounts_body(5_000))
            assert await get(f"accounts/{account_id(1)}/billing") == (200, BILLING)
            assert (await get("nothing"))[0] == 404
            server.figures(delay=0.05, accounts=3)
            begun = time.perf_counter()
            answers = await asyncio.gather(*(get("accounts") for _ in range(20)))
            assert time.perf_counter() - begun >= 0.049
            assert answers == [(200, accounts_body(3))] * 20
        assert server.figures()["requests"] == 20
