"""The simulator is not the bottleneck of a benchmark."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "benchmarks.simulator_speed", "--rounds", "3", "--seconds", "0.5"]


@pytest.mark.stress
def test_share_of_a_bare_handler() -> None:
    """Other work on the machine can spoil one measurement, but it does not make the simulator faster than it is."""
    said = []
    for _ in range(3):
        done = subprocess.run(COMMAND, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        said.append(done.stdout + done.stderr)
        if done.returncode == 0:
            return
    pytest.fail("at least 60 % of a bare handler's requests per second wanted:\n" + "\n".join(said))
