from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import pytest

from cyclr_async.usage.rows import RunScope

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "usage.db"


@pytest.fixture
def scope() -> RunScope:
    return RunScope("https://api.example.com/api/partner", "partner-1", date(2026, 10, 1))
