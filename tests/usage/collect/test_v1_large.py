"""Bulk runs over the v1.0 API at full size: flat memory, and kills that lose and double nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.bulk_memory import measure
from benchmarks.kill_resume import kill_and_resume
from tests.support.sizes import sized

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")


@sized("accounts", small=1_500, full=100_000)
def test_many_accounts_are_collected_once_at_flat_memory(accounts: int) -> None:
    found = measure(accounts, "v1")
    assert found["ok"] == found["observations"] == found["accounts_in_store"] == accounts
    # What a list of ids alone would take is more: 100,000 of them are 8.5 MB, and the set of them 4 MB.
    assert found["added_mib"] < 12


@sized("kills", small=2, full=40)
def test_kills_lose_nothing_and_double_nothing(tmp_path: Path, kills: int) -> None:
    # 32 calls of 50 ms at a time are 640 accounts a second at most, so that 0.8 s before each kill leave some over.
    tally = kill_and_resume(700 * kills, kills, tmp_path, delay=0.05, api="v1")
    assert (tally.lost, tally.doubled, tally.damaged) == (0, 0, "")
    assert tally.kills == kills
    # A kill loses what was not committed, and the answers that were under way.
    assert tally.asked_again_at_most < 700
