"""How many files a stranger opens who follows a call: counted, so that no change adds one unnoticed."""

from __future__ import annotations

import logging

import pytest

from benchmarks.walks import AGREED, LIMITS, walks
from cyclr_async.http.engine.body import PURE_PYTHON

# Without aiohttp's parser in C, bodies are looked at once more, in files that are not part of the walk otherwise.
pytestmark = pytest.mark.skipif(PURE_PYTHON, reason="the walks are those with aiohttp's parser in C")


async def test_a_call_and_a_refresh_pass_through_few_files_and_a_refresh_not_through_the_session(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # Other folders of tests have everything logged, which passes through a file that a call does not enter by itself.
    for name in ("http", "auth"):
        caplog.set_level(logging.WARNING, f"cyclr_async.{name}")
    found = await walks(rounds=20)
    assert {name: walk.files for name, walk in found.items() if len(walk.files) > LIMITS[name]} == {}
    assert all("session.py" not in walk.files for walk in found.values())
    # These are on the way in any case: where they are missing, something else was counted.
    assert {"partner/accounts.py", "http/executor.py", "http/exchange.py"} <= set(found["usage"].files)
    assert "auth/token_endpoint.py" in found["refresh"].files
    assert all(walk.calls > len(walk.files) for walk in found.values())


def test_the_limits_are_not_above_what_was_agreed() -> None:
    assert AGREED == {"usage": 12, "refresh": 14}
    assert all(LIMITS[name] <= agreed for name, agreed in AGREED.items())
