"""The main job from the command line."""

from __future__ import annotations

import asyncio
import csv
import fcntl
import io
import json
import re
import signal
import socket
import subprocess
import sys
import termios
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from cyclr_async.cli.options import Options
from cyclr_async.cli.progress import progress_line, showing
from cyclr_async.usage.collect.progress import Progress
from cyclr_async.usage.store.rows import COLUMNS
from tests.cli.cli_api import Api, Run, call, on_a_terminal, spawn


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def until_asked(api: Api, count: int) -> None:
    end = time.monotonic() + 20
    while sum(line.endswith("/billing") for line in api.requests) < count:
        assert time.monotonic() < end, "the command does not ask"
        time.sleep(0.02)


def test_rows_in_a_pipe(api: Api, cyclr: Run) -> None:
    result = cyclr("usage", "collect")
    rows = lines(result.out)
    assert result.code == 0
    assert {row["account_name"] for row in rows} == set(api.names)
    assert all(tuple(row) == COLUMNS for row in rows)
    first = next(row for row in rows if row["account_name"] == "Account 0")
    assert (first["task_count"], first["period_from"], first["state"]) == (1000, "2026-11-01T00:00:00Z", "ok")
    assert "12 of 12 accounts collected" in result.err


def test_streamed_rows_are_those_of_the_export(api: Api, cyclr: Run) -> None:
    api.missing, api.failing = {4}, {5}
    streamed = lines(cyclr("usage", "collect").out)
    exported = lines(cyclr("usage", "export").out)
    assert sorted(streamed, key=lambda row: str(row["account_id"])) == exported


def test_the_table(api: Api, cyclr: Run) -> None:
    api.missing = {4}
    api.names[0] = "First \x1b[2J"
    result = cyclr("usage", "collect", "-o", "table")
    assert result.code == 3
    assert "11 of 12 accounts" in result.out
    assert re.search(r"First \\x1b\[2J +Free\\x1b\[2J +1,000 +█{12}", result.out)
    assert "Price plans" in result.out
    assert "Not collected" in result.out
    assert "404" in result.out
    assert "no earlier period" in result.out
    assert "\x1b" not in result.out


def test_the_table_compares_with_the_period_before(api: Api, cyclr: Run) -> None:
    cyclr("usage", "collect")
    api.tasks, api.period = 2000, "2026-12-01T00:00:00"
    result = cyclr("usage", "collect", "-o", "table")
    assert "(+100" in result.out
    assert "+1,000" in result.out


@pytest.mark.parametrize(
    ("missing", "failing", "code"), [((), (), 0), ((1,), (), 3), ((), (1, 2), 3), ((), tuple(range(12)), 1)]
)
def test_exit_code_tells_how_complete(
    api: Api, cyclr: Run, missing: tuple[int, ...], failing: tuple[int, ...], code: int
) -> None:
    api.missing, api.failing = set(missing), set(failing)
    result = cyclr("usage", "collect")
    assert result.code == code
    assert len(lines(result.out)) == 12
    assert ("again" in result.err) == bool(failing)


def test_only_some_accounts(api: Api, cyclr: Run, tmp_path: Path) -> None:
    (tmp_path / "ids").write_text(f"{1:032x}\n\n{2:032x}\n{1:032x}\n")
    assert len(lines(cyclr("usage", "collect", "--accounts", "ids").out)) == 2
    assert len(lines(cyclr("usage", "collect", "--limit", "3", "--store", "x.sqlite").out)) == 3
    assert not (tmp_path / "cyclr-usage.sqlite").exists()
    assert len(lines(cyclr("usage", "collect").out)) == 12


def test_no_accounts_in_the_file(api: Api, cyclr: Run, tmp_path: Path) -> None:
    (tmp_path / "ids").write_text("\n")
    assert cyclr("usage", "collect", "--accounts", "ids").code == 2
    assert cyclr("usage", "collect", "--accounts", "missing").code == 2
    assert api.requests == []


@pytest.mark.parametrize("day", ["2026-13-01", "yesterday", "2026-10-01T00:00:00"])
def test_a_bad_day(api: Api, cyclr: Run, day: str) -> None:
    result = cyclr("usage", "collect", "--from-date", day)
    assert result.code == 2
    assert "2026-10-01" in result.err


def test_out_holds_the_whole_run_and_is_safe_for_a_spreadsheet(api: Api, cyclr: Run, tmp_path: Path) -> None:
    api.names[0] = "=cmd|' /C calc'!A0"
    result = cyclr("usage", "collect", "--out", "usage.csv")
    assert (result.code, result.out) == (0, "")
    with (tmp_path / "usage.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 12
    assert rows[0]["account_name"] == "'=cmd|' /C calc'!A0"
    assert rows[0]["audit_info"] == "'=HYPERLINK(0)"


@pytest.mark.parametrize("suffix", ["json", "jsonl", "parquet", "txt"])
def test_out_in_other_forms(api: Api, cyclr: Run, tmp_path: Path, suffix: str) -> None:
    assert cyclr("usage", "collect", "--out", f"usage.{suffix}").code == 0
    content = (tmp_path / f"usage.{suffix}").read_bytes()
    if suffix == "json":
        assert len(json.loads(content)) == 12
    elif suffix == "jsonl":
        assert len(lines(content.decode())) == 12
    else:
        assert content.startswith(b"PAR1") or b"12 of 12 accounts" in content


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_keeps_what_was_collected_and_the_same_command_goes_on(
    api: Api, cyclr: Run, number: signal.Signals
) -> None:
    api.names = [f"Account {number}" for number in range(60)]
    api.delay = 0.1
    args = ("usage", "collect", "--concurrency", "2")
    command = spawn(*args, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    until_asked(api, 8)
    command.send_signal(number)
    out, err = command.communicate(timeout=30)
    before = lines(out.decode())
    assert command.returncode == 75, err
    assert b"to go on: cyclr usage collect" in err
    assert b"Traceback" not in err
    assert 0 < len(before) < 60

    status = lines(cyclr("usage", "status").out)[0]
    assert (status["status"], status["resumable"], status["ok"]) == ("interrupted", True, len(before))
    api.delay = 0.0
    asked = len(api.requests)
    result = cyclr("usage", "collect")
    assert result.code == 0
    assert "going on with run 1" in result.err
    collected = Counter(row["account_id"] for row in [*before, *lines(result.out)])
    assert len(collected) == 60
    assert set(collected.values()) == {1}
    assert sum(line.endswith("/billing") for line in api.requests[asked:]) == 60 - len(before)
    assert cyclr("usage", "resume").out == ""


def test_resume(api: Api, cyclr: Run) -> None:
    assert cyclr("usage", "resume").code == 1
    api.failing = {3}
    assert cyclr("usage", "collect").code == 3
    api.failing = set()
    result = cyclr("usage", "resume")
    assert (result.code, [row["account_name"] for row in lines(result.out)]) == (0, ["Account 3"])
    assert "nothing to resume" in cyclr("usage", "resume").err


def test_ctrl_c_without_a_store_is_130() -> None:
    args = ("usage", "collect", "--simulate", "--simulate-accounts", "100000")
    command = spawn(*args, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert command.stdout is not None
    command.stdout.readline()
    command.send_signal(signal.SIGINT)
    _, err = command.communicate(timeout=30)
    assert command.returncode == 130
    assert b"nothing was kept" in err
    assert b"Traceback" not in err


def test_a_second_ctrl_c_ends_at_once(api: Api) -> None:
    # Nobody reads, so the pipe is full and the command cannot end in good order.
    api.names = [f"Account {number} {'x' * 200}" for number in range(2000)]
    command = spawn("accounts", "list", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert command.stdout is not None
    end = time.monotonic() + 20
    while int.from_bytes(fcntl.ioctl(command.stdout, termios.FIONREAD, bytes(4)), sys.byteorder) < 60_000:
        assert time.monotonic() < end, "the pipe does not fill"
        time.sleep(0.02)
    time.sleep(0.1)
    command.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert command.poll() is None
    command.send_signal(signal.SIGINT)
    assert command.wait(5) == 130
    command.communicate()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_behind_standard_output_keeps_the_store(api: Api, cyclr: Run) -> None:
    with Path("/dev/full").open("w") as full:
        command = spawn("usage", "collect", stdout=full, stderr=subprocess.PIPE)
        _, err = command.communicate(timeout=30)
    assert command.returncode == 1
    assert err.count(b"standard output: No space left on device") == 2
    assert b"Traceback" not in err
    assert b"Exception ignored" not in err
    status = lines(cyclr("usage", "status").out)[0]
    assert (status["status"], status["ok"]) == ("complete", 12)


def test_a_folder_that_is_not_there_is_told_at_once(api: Api, cyclr: Run) -> None:
    assert cyclr("usage", "collect", "--out", "no/such/usage.csv").code == 2
    assert api.requests == []


def test_refused_credentials_stop_the_run(api: Api, cyclr: Run) -> None:
    api.token_status = 400
    result = cyclr("usage", "collect")
    assert (result.code, result.out) == (4, "")
    assert "invalid_client" in result.err


def test_nobody_is_booked_as_missing_when_all_are_denied(api: Api, cyclr: Run) -> None:
    api.missing = set(range(12))
    result = cyclr("usage", "collect", "-o", "json")
    assert result.code == 75
    assert json.loads(result.out) == [], "they stay pending"
    assert "all of 12 accounts were refused" in result.err


def test_another_partner_is_refused(api: Api, cyclr: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    cyclr("usage", "collect")
    monkeypatch.setenv("CYCLR_PARTNER", "somebody-else")
    result = cyclr("usage", "collect")
    assert result.code == 1
    assert "belongs to another partner" in result.err


def test_export_and_status_without_credentials(api: Api, cyclr: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    cyclr("usage", "collect")
    for name in api.env:
        monkeypatch.delenv(name)
    assert lines(cyclr("usage", "status").out)[0]["asked"] == 12
    rows = list(csv.DictReader(io.StringIO(cyclr("usage", "export", "-o", "csv").out, newline="")))
    assert [row["account_name"] for row in rows] == api.names
    assert rows[0]["audit_info"] == "'=HYPERLINK(0)"
    raw = list(csv.DictReader(io.StringIO(cyclr("usage", "export", "-o", "csv", "--raw").out, newline="")))
    assert raw[0]["audit_info"] == "=HYPERLINK(0)"
    assert cyclr("usage", "export", "--raw", "-o", "json").code == 2
    assert len(lines(cyclr("usage", "export", "--all-observations", "--fields", "account_id").out)) == 12
    assert cyclr("usage", "export", "--run", "9").code == 1


def test_a_simulated_store_goes_on_at_its_own_address(cyclr: Run) -> None:
    args = ("usage", "collect", "--simulate", "--simulate-accounts", "20", "--store", "s.sqlite")
    first, second = cyclr(*args), cyclr(*args)
    assert (first.code, second.code) == (0, 0), second.err
    assert [len(lines(result.out)) for result in (first, second)] == [20, 20]
    assert "leave out --simulate" in first.err


def test_a_bar_on_a_terminal(api: Api) -> None:
    api.delay = 0.15
    code, seen = on_a_terminal("usage", "collect", env={"COLUMNS": "120"})
    assert code == 0
    assert re.search(r"\d+ of 12\+? .*\d/s .*0 failed", seen)
    assert "━" in seen
    assert "12 of 12 accounts" in seen
    _, without = on_a_terminal("usage", "collect", "--no-progress", "--store", "b.sqlite", env={"COLUMNS": "120"})
    assert "/s" not in without


def test_ctrl_c_leaves_the_terminal_as_it_was(api: Api) -> None:
    api.delay = 1.0
    code, seen = on_a_terminal("usage", "collect", "--concurrency", "1", env={"COLUMNS": "120"}, stop_at=b" of 12")
    assert code == 75
    assert "to go on: cyclr usage collect" in seen
    assert seen.rindex("\x1b[?25h") > seen.rindex("\x1b[?25l")


def test_no_escape_sequence_where_nobody_looks(api: Api) -> None:
    result = call("usage", "collect", "-o", "table", env={"FORCE_COLOR": ""})
    assert "\x1b" not in result.err + result.out


class Watched:
    progress = Progress(
        asked=1234,
        ok=1000,
        missing=1,
        forbidden=0,
        failed=2,
        in_flight=8,
        paused=False,
        elapsed=10.0,
        rate=100.3,
        eta=65.0,
        listing_complete=True,
    )


async def test_a_line_now_and_then_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    async with showing(Watched(), Options(), line_seconds=0.02):
        await asyncio.sleep(0.1)
    seen = capsys.readouterr().err.splitlines()
    assert len(seen) >= 2
    assert set(seen) == {"1,003 of 1,234  100/s  3 failed  ETA 1:05"}
    for quiet in (Options(quiet=True), Options(no_progress=True)):
        async with showing(Watched(), quiet, line_seconds=0.02):
            await asyncio.sleep(0.06)
    assert capsys.readouterr().err == ""


def test_a_pause_is_told() -> None:
    paused = Progress(
        asked=10,
        ok=1,
        missing=0,
        forbidden=0,
        failed=0,
        in_flight=0,
        paused=True,
        elapsed=1.0,
        rate=1.0,
        eta=None,
        listing_complete=False,
    )
    assert progress_line(paused) == "1 of 10+  1/s  0 failed  paused: the service is out"


def test_simulate_serves_other_programs(cyclr: Run) -> None:
    args = ("simulate", "--port", "0", "--accounts", "9", "--rate", "1000", "--fault", "500:x1", "--latency", "1ms")
    server = spawn(*args, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert server.stdout is not None
    place = json.loads(server.stdout.readline())
    env = {
        f"CYCLR_{name.upper()}": str(place[name]) for name in ("base_url", "token_url", "client_id", "client_secret")
    }
    result = call("accounts", "list", env=env)
    server.send_signal(signal.SIGTERM)
    server.communicate(timeout=30)
    assert (result.code, len(result.out.splitlines()), server.returncode) == (0, 9, 0)


def test_simulate_for_other_machines_says_so(cyclr: Run) -> None:
    args = ("simulate", "--host", "0.0.0.0", "--allow-host", "simulator", "--port", "0", "--accounts", "3")
    server = spawn(*args, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert server.stdout is not None
    place = json.loads(server.stdout.readline())
    port = urlsplit(place["base_url"]).port
    seen = {}
    for host in ("simulator", f"SIMULATOR:{port}", "simulator:80", "evil.example", f"127.0.0.1:{port}"):
        request = urllib.request.Request(f"http://127.0.0.1:{port}/openapi.json", headers={"Host": host})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                seen[host] = answer.status
        except urllib.error.HTTPError as error:
            seen[host] = error.code
            error.close()
    server.send_signal(signal.SIGINT)
    _, err = server.communicate(timeout=30)
    assert list(seen.values()) == [200, 200, 200, 421, 200]
    assert b"warning: the simulator listens on 0.0.0.0: whoever can reach it may use and change it" in err
    assert b"CYCLR_HTTP_HOSTS=NAME" in err
    assert b"Traceback" not in err


@pytest.mark.parametrize("args", [("--host", ""), ("--host", "*"), ("--host", "0.0.0.0", "--allow-host", "*.com")])
def test_simulate_refuses_a_host_that_is_none(cyclr: Run, args: tuple[str, ...]) -> None:
    result = cyclr("simulate", "--port", "0", *args)
    assert (result.code, result.out) == (2, "")


def test_simulate_on_a_port_in_use_is_one_line(cyclr: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = cyclr("simulate", "--port", port)
    assert (result.code, result.out) == (1, "")
    assert result.err == f"error: cannot listen on 127.0.0.1:{port}: Address already in use\n"


@pytest.mark.parametrize("fault", ["nonsense", "429:lots"])
def test_simulate_refuses_what_it_does_not_know(cyclr: Run, fault: str) -> None:
    result = cyclr("simulate", "--port", "0", "--fault", fault)
    assert result.code == 2
    assert result.out == ""
