from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cyclr_async.cli import main
from tests.cli.cli_api import Api, Result, Run


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("CYCLR_", "_CYCLR")) or name in {"NO_COLOR", "FORCE_COLOR", "COLUMNS"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("CYCLR_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def unwired() -> Iterator[Api]:
    """The API, and nobody told where it is."""
    api = Api()
    api.start()
    yield api
    api.stop()


@pytest.fixture
def api(unwired: Api, monkeypatch: pytest.MonkeyPatch) -> Api:
    """The API, found by the environment."""
    for name, value in unwired.env.items():
        monkeypatch.setenv(name, value)
    return unwired


@pytest.fixture
def cyclr(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in this process."""

    def run(*args: str) -> Result:
        code = main(args)
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run
