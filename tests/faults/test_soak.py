"""Fifty thousand calls, a twentieth of the answers spoilt: nothing lost, nothing twice, nothing booked wrongly."""

from __future__ import annotations

import os

import pytest

from tests.faults import soak


@pytest.mark.stress
@pytest.mark.timeout(180)
async def test_soak() -> None:
    total = int(os.environ.get("CYCLR_SOAK", "50000"))
    report = await soak.run(total)
    assert report.failed == []
    assert (report.asked, report.done + report.unknown) == (total, total)
    assert (report.lost, report.duplicated, report.wrong) == (0, 0, 0)
    assert (report.leaked_sockets, report.leaked_tasks) == (0, 0)
    # The faults really were there, and every request beyond the calls is a retry that the client knows of.
    assert report.injected > 0.04 * total
    assert report.requests == total + report.retries
    assert report.growth < 5
    assert report.seconds < 60
