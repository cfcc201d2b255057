"""Many calls, a twentieth of the answers spoilt: nothing lost, nothing twice, nothing booked wrongly."""

from __future__ import annotations

import logging
import os
import time

import pytest

from tests.faults import soak
from tests.support.sizes import sized

SMALL = 3000


@sized("total", SMALL, int(os.environ.get("CYCLR_SOAK", "50000")))
@pytest.mark.timeout(600)
async def test_soak(total: int) -> None:
    # Else the test runner would keep several lines of every call, which is memory too.
    logging.getLogger("cyclr_async").setLevel(logging.WARNING)  # set back by whoever set it for this test
    began = time.process_time()
    report = await soak.run(total)
    assert report.failed == []
    assert (report.asked, report.done + report.unknown) == (total, total)
    assert (report.lost, report.duplicated, report.wrong) == (0, 0, 0)
    assert (report.leaked_sockets, report.leaked_tasks) == (0, 0)
    # The faults really were there, and every request beyond the calls is a retry that the client knows of.
    assert report.injected > 0.04 * total
    assert report.requests == total + report.retries
    if total > SMALL:  # until then memory grows with what is imported and compiled on first use
        assert report.growth < 5
    # The processor time of this process, not the wall clock: a busy machine is no fault of the client.
    assert time.process_time() - began < 60
