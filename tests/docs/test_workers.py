"""What docs/workers.md shows is run: workers of uvicorn and gunicorn over a file, Redis, and workers of Celery."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.shared import RedisServer
from cyclr_async.simulator import Simulator

PAGE = (Path(__file__).parents[2] / "docs" / "workers.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE, re.DOTALL))


def needs(*names: str) -> None:
    for name in names:
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed: it is in the dependency group 'workers'")


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with Simulator(accounts=6, one_token_pair=True).in_thread() as simulator:
        yield simulator


@pytest.fixture
def environment(sim: Simulator, tmp_path: Path) -> dict[str, str]:
    for name, source in FILES.items():
        (tmp_path / name).write_text(source, encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CYCLR_", "PYTEST_"))}
    return {
        **kept,
        "CYCLR_CLIENT_ID": sim.client_id,
        "CYCLR_USERNAME": sim.username,
        "CYCLR_PASSWORD": sim.password,
        "CYCLR_BASE_URL": sim.base_url,
        "CYCLR_TOKEN_URL": sim.token_url,
        "SHARED_FILE": str(tmp_path / "shared"),
    }


@contextmanager
def running(folder: Path, environment: dict[str, str], *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "words").open("wb") as words:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments], cwd=folder, env=environment, stdout=words, stderr=words
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def test_every_block_is_run_by_a_test() -> None:
    assert set(FILES) == {"service.py", "jobs.py", "tasks.py"}
    assert PAGE.count("```python") == len(FILES)


@pytest.mark.stress
@pytest.mark.parametrize("server", ["uvicorn", "gunicorn"])
def test_workers_of_one_host(sim: Simulator, environment: dict[str, str], tmp_path: Path, server: str) -> None:
    needs("uvicorn", server)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = {
        "uvicorn": [
            "uvicorn",
            "service:app",
            "--workers",
            "2",
            "--port",
            str(port),
            "--timeout-graceful-shutdown",
            "10",
        ],
        "gunicorn": [
            *("gunicorn", "service:app", "--workers", "2", "--bind", f"127.0.0.1:{port}"),
            *("--worker-class", "uvicorn.workers.UvicornWorker", "--graceful-timeout", "10"),
        ],
    }[server]
    workers: set[int] = set()
    with running(tmp_path, environment, *arguments) as process:
        until = time.monotonic() + 60
        while len(workers) < 2:
            assert time.monotonic() < until, (tmp_path / "words").read_text()
            assert process.poll() is None, (tmp_path / "words").read_text()
            try:
                # A new connection each time, so that the kernel gives it to either.
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/partner", timeout=30) as answer:
                    workers.add(json.load(answer)["worker"])
            except urllib.error.URLError:
                time.sleep(0.2)
    assert len(sim.requests.select(operation="token")) == 1
    assert sim.requests.select(operation="details", status=401) == []
    assert "was not closed" not in (tmp_path / "words").read_text()


@pytest.mark.stress
def test_containers_with_redis(sim: Simulator, environment: dict[str, str], tmp_path: Path) -> None:
    if not RedisServer.installed():
        pytest.skip("neither redis-server nor valkey-server is installed: apt-get install redis-server")
    with RedisServer(tmp_path) as redis:
        several = [
            subprocess.Popen(
                [sys.executable, "-W", "error", "jobs.py"],
                cwd=tmp_path,
                env={**environment, "REDIS_URL": redis.url},
                stdout=subprocess.PIPE,
            )
            for _ in range(3)
        ]
        assert [process.communicate(timeout=60)[0] for process in several] == [b"6 accounts\n"] * 3
    assert len(sim.requests.select(operation="token")) == 1


@pytest.mark.stress
def test_workers_of_celery(sim: Simulator, environment: dict[str, str], tmp_path: Path) -> None:
    needs("celery")
    if not RedisServer.installed():
        pytest.skip("neither redis-server nor valkey-server is installed: apt-get install redis-server")
    ids = sim.account_ids()
    with RedisServer(tmp_path) as redis:
        environment = {**environment, "REDIS_URL": redis.url}
        arguments = ("celery", "-A", "tasks", "worker", "--pool", "prefork", "--concurrency", "2", "-l", "WARNING")
        with running(tmp_path, environment, *arguments):
            asked = f"import tasks; print([tasks.tasks_of.delay(one).get(timeout=60) for one in {ids!r}])"
            done = subprocess.run(
                [sys.executable, "-c", asked],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                timeout=90,
                check=False,
            )
    assert done.returncode == 0, done.stderr + (tmp_path / "words").read_text()
    assert done.stdout.count(",") == len(ids) - 1
    assert len(sim.requests.select(operation="token")) == 1
