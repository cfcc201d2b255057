from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from cyclr_async.usage.store.rows import RunScope


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "usage.db"


@pytest.fixture
def scope() -> RunScope:
    return RunScope("https://api.example.com/api/partner", "partner-1", date(2026, 10, 1))
