"""``python -m cyclr_async.simulator``, and the simulator in a thread."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request

import pytest

from cyclr_async.simulator import Simulator

COMMAND = [sys.executable, "-W", "error", "-m", "cyclr_async.simulator"]


def token(url: str) -> str:
    form = {"grant_type": "client_credentials", "client_id": "simulator", "client_secret": "simulator-secret"}
    with urllib.request.urlopen(f"{url}/oauth/token", urllib.parse.urlencode(form).encode(), timeout=5) as answer:
        return str(json.load(answer)["access_token"])


def accounts(url: str) -> list[object]:
    request = urllib.request.Request(f"{url}/api/partner/accounts", headers={"Authorization": f"Bearer {token(url)}"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        found: list[object] = json.load(answer)
        return found


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT to a child is something else there")
def test_standalone_until_interrupted() -> None:
    options = ["--port", "0", "--accounts", "5", "--fault", "429:x1:op=details", "--latency", "1ms", "--rate", "100"]
    with subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(6)]
        try:
            found = re.search(
                r"^export CYCLR_BASE_URL=(http://127\.0\.0\.1:\d+)/api/partner$", "".join(lines), re.MULTILINE
            )
            assert found is not None
            assert len(accounts(found[1])) == 5
            with urllib.request.urlopen(f"{found[1]}/_simulator/state", timeout=5) as answer:
                state = json.load(answer)
            assert (state["faults"], state["requests_per_second"]) == (2, 100)
        finally:
            process.send_signal(signal.SIGINT)
            _, stderr = process.communicate(timeout=10)
    assert process.returncode == 130
    assert stderr == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--host", "0.0.0.0", "--allow-host", "*.example.com"], "allowed_hosts"),
        (["--fault", "nonsense"], "unknown kind"),
        (["--accounts", "-5"], "accounts must be"),
        (["--latency", "soon"], "invalid parse_seconds value"),
        (["--rate", "0"], "rate limit"),
        (["--port", "99999"], "port must be"),
    ],
)
def test_refused(options: list[str], message: str) -> None:
    done = subprocess.run([*COMMAND, *options], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT to a child is something else there")
def test_for_other_machines_it_warns() -> None:
    options = ["--port", "0", "--host", "0.0.0.0", "--allow-host", "simulator"]
    with subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
        assert found is not None
        request = urllib.request.Request(f"{found[0]}/openapi.json", headers={"Host": "simulator:8080"})
        with urllib.request.urlopen(request, timeout=5) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=10)
    assert stderr.startswith("warning: the simulator listens on 0.0.0.0: whoever can reach it may use and change it")


def test_port_in_use() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run([*COMMAND, "--port", port], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"cannot listen on 127.0.0.1:{port}")


def test_in_thread() -> None:
    with Simulator(accounts=4).in_thread() as sim:
        url = sim.url
        assert len(accounts(url)) == 4
        sim.faults.add("500:op=accounts.list")
        with pytest.raises(urllib.error.HTTPError) as failure:
            accounts(url)
        failure.value.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "cyclr-simulator"]
    with pytest.raises(OSError, match=r"refused|Errno"):
        urllib.request.urlopen(url, timeout=5)


def test_in_thread_reports_why_it_did_not_start() -> None:
    with Simulator().in_thread() as sim:
        other = Simulator(port=int(sim.url.rpartition(":")[2]))
        with pytest.raises(OSError, match=r"\d"), other.in_thread():
            pass
