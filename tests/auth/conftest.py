"""Every test of this folder watches its tasks and sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.leaks import no_leaks


@pytest.fixture(autouse=True)
async def leaves_nothing_behind(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    async with no_leaks():
        yield
