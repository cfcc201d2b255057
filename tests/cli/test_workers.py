"""``--workers`` and ``--dask`` of the commands that collect."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from cyclr_async.cli.worker_processes import WorkerSession
from cyclr_async.config import Limits
from tests.cli.cli_api import SECRET, Api, Run, spawn
from tests.support.engines import DaskCluster

needs_dask = pytest.mark.skipif(find_spec("distributed") is None, reason="needs the extra: cyclr-async[dask]")


def test_processes_ask_for_every_account_once(api: Api, cyclr: Run) -> None:
    api.names = [f"Account {number}" for number in range(600)]
    api.missing = {17}
    result = cyclr("usage", "collect", "--workers", "2")
    assert result.code == 3
    rows = [json.loads(line) for line in result.out.splitlines()]
    assert len({row["account_id"] for row in rows}) == len(rows) == 600
    asked = [line for line in api.requests if line.endswith("/billing")]
    assert len(asked) <= 601  # a witness may have been asked again, because of the one that is missing
    assert len(set(asked)) == 600
    assert len(api.secrets) >= 2  # each worker that was given something has a token of its own
    assert SECRET not in result.err


def test_the_rate_is_split(api: Api, cyclr: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CYCLR_REQUESTS_PER_SECOND", "1000")
    result = cyclr("usage", "collect", "--workers", "4")
    assert result.code == 0
    assert "CYCLR_REQUESTS_PER_SECOND is split: 250 requests per second for each worker" in result.err
    session = WorkerSession(flags={}, workers=4, concurrency=None)()
    assert session.limits == Limits(requests_per_second=250)  # type: ignore[attr-defined]


def test_what_is_sent_to_a_worker_holds_no_secret(api: Api, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET)
    sent = pickle.dumps(WorkerSession(flags={"client_secret_file": str(file)}, workers=2, concurrency=8))
    assert b"canary" not in sent
    assert pickle.loads(sent)().closed is False


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--workers", "2", "--dask", "tcp://127.0.0.1:8786"), "give --workers, for processes of this machine, or"),
        (("--workers", "2", "--simulate"), "--workers is for the real API"),
        (("--dask", "tcp://127.0.0.1:8786", "--simulate"), "--dask is for the real API"),
        (("--workers", "2", "--client-secret-stdin"), "standard input can be read only once"),
        (("--workers", "0"), "'--workers'"),
    ],
)
def test_what_cannot_work_is_refused(api: Api, cyclr: Run, words: tuple[str, ...], message: str) -> None:
    result = cyclr("usage", "collect", *words)
    assert result.code == 2
    assert message in result.err
    assert api.requests == []


def test_ctrl_c_ends_the_workers_and_the_run_goes_on_later(api: Api, cyclr: Run) -> None:
    api.names = [f"Account {number}" for number in range(400)]
    api.delay = 0.1
    command = spawn(
        "usage",
        "collect",
        "--workers",
        "2",
        "--concurrency",
        "4",
        "-o",
        "jsonl",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    end = time.monotonic() + 30
    while sum(line.endswith("/billing") for line in api.requests) < 20:
        assert time.monotonic() < end
        time.sleep(0.02)
    workers = psutil.Process(command.pid).children(recursive=True)
    assert len(workers) >= 2
    for pid in (command.pid, *(worker.pid for worker in workers)):  # as a terminal does it
        os.kill(pid, signal.SIGINT)
    _, err = command.communicate(timeout=30)
    assert command.returncode == 75, err
    assert b"to go on: cyclr usage collect" in err
    assert b"--workers 2" in err
    assert b"Traceback" not in err
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert alive == []
    api.delay = 0.0
    assert cyclr("usage", "resume", "--workers", "2").code == 0
    status = json.loads(cyclr("usage", "status").out.splitlines()[0])
    assert (status["status"], status["ok"]) == ("complete", 400)


def test_workers_end_when_the_command_is_killed(api: Api) -> None:
    api.names = [f"Account {number}" for number in range(400)]
    api.delay = 0.2
    command = spawn(
        "usage", "collect", "--workers", "2", "--concurrency", "2", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    end = time.monotonic() + 30
    while sum(line.endswith("/billing") for line in api.requests) < 8:
        assert time.monotonic() < end
        time.sleep(0.02)
    workers = psutil.Process(command.pid).children(recursive=True)
    command.kill()
    command.wait()
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert alive == []


@pytest.mark.dask
@needs_dask
def test_the_workers_of_a_scheduler_ask(api: Api, cyclr: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    api.names = [f"Account {number}" for number in range(1200)]
    folder = tmp_path / "cluster"
    folder.mkdir()
    with DaskCluster(folder) as cluster:
        result = cyclr("usage", "collect", "--dask", cluster.address)
        logs = cluster.logs()
    assert result.code == 0, result.err
    assert len({json.loads(line)["account_id"] for line in result.out.splitlines()}) == 1200
    assert "workers with" in result.err
    assert "canary" not in logs + result.err


@pytest.mark.dask
@needs_dask
def test_a_scheduler_that_is_not_there_is_said(api: Api, cyclr: Run) -> None:
    result = cyclr("usage", "collect", "--dask", "tcp://127.0.0.1:9")
    assert result.code == 2
    assert "no scheduler answers there" in result.err
    assert "Traceback" not in result.err


@pytest.mark.skipif(find_spec("distributed") is not None, reason="Dask is installed here")
def test_without_dask_the_extra_is_named(api: Api, cyclr: Run) -> None:
    result = cyclr("usage", "collect", "--dask", "tcp://127.0.0.1:8786")
    assert result.code == 2
    assert "pip install 'cyclr-async[dask]'" in result.err
