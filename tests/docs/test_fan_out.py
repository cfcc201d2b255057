"""What docs/fan-out.md shows works: each file of it is written out and run as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from cyclr_async.simulator import Simulator
from cyclr_async.usage import UsageReader
from tests.support.engines import DaskCluster

PAGE = (Path(__file__).parents[2] / "docs" / "fan-out.md").read_text(encoding="utf-8")
FILES = {name: f"# {name}\n{text}" for name, text in re.findall(r"```python\n# (\S+)\n(.*?)```", PAGE, re.DOTALL)}


def wire(monkeypatch: pytest.MonkeyPatch, running: Simulator, folder: Path) -> None:
    for name, value in {
        "CYCLR_CLIENT_ID": running.client_id,
        "CYCLR_CLIENT_SECRET": running.client_secret,
        "CYCLR_BASE_URL": running.base_url,
        "CYCLR_TOKEN_URL": running.token_url,
    }.items():
        monkeypatch.setenv(name, value)
    for name, text in FILES.items():
        (folder / name).write_text(text)


def run(folder: Path, *words: str) -> str:
    done = subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_files_of_the_page_are_seen() -> None:
    assert set(FILES) == {"collect.py", "collect_dask.py", "ray_executor.py"}
    for name, text in FILES.items():
        compile(text, name, "exec")


def test_the_process_pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Simulator(accounts=400).in_thread() as running:
        wire(monkeypatch, running, tmp_path)
        assert run(tmp_path, "-W", "error", "collect.py") == ""
    with UsageReader(tmp_path / "usage.sqlite") as reader:
        assert (reader.run().status, reader.run().counts.ok) == ("complete", 400)


@pytest.mark.dask
@pytest.mark.skipif(find_spec("distributed") is None, reason="needs the extra: pip install 'cyclr-async[dask]'")
def test_dask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "cluster"
    folder.mkdir()
    with Simulator(accounts=400).in_thread() as running:
        wire(monkeypatch, running, tmp_path)
        with DaskCluster(folder) as cluster:
            assert run(tmp_path, "collect_dask.py", cluster.address) == "400\n"
