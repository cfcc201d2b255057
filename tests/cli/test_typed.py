"""At a terminal: secrets that are typed, controls in data, and Ctrl-C at any moment."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from cyclr_async.cli.output import json_text
from tests.cli.cli_api import SECRET, Api, Run, on_a_terminal, spawn

ID = f"{3:032x}"
INSTALL = ("connectors", "install", ID, "CRM", "v1", "--installed-name", "I")


def typed(*args: str, text: bytes, prompt: bytes) -> tuple[int, str, bool]:
    """Type at a prompt; return the exit code, all that the terminal showed, and whether it echoes afterwards."""
    ours, theirs = pty.openpty()
    command = spawn(
        *args,
        env={"TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # so that Ctrl-C is a signal
    )
    seen = b""
    while prompt not in seen:
        seen += os.read(ours, 4096)
    os.write(ours, text)
    code = command.wait(30)
    echoes = bool(termios.tcgetattr(theirs)[3] & termios.ECHO)
    os.close(theirs)
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:
            break
        if not piece:
            break
        seen += piece
    os.close(ours)
    return code, seen.decode(), echoes


@pytest.mark.parametrize(
    ("args", "field"),
    [
        ((*INSTALL, "--api-key-stdin"), "ApiKey"),
        ((*INSTALL, "--api-key-file", "/dev/stdin"), "ApiKey"),
        ((*INSTALL, "--username", "u", "--password-file", "-"), "Password"),
    ],
)
def test_a_typed_secret_is_not_shown(api: Api, args: tuple[str, ...], field: str) -> None:
    code, seen, echoes = typed(*args, text=b"canary-\xc3\xa9 key\n", prompt=b"(hidden): ")
    assert (code, api.bodies[-1][field]) == (0, "canary-é key"), seen
    assert "canary" not in seen
    assert echoes


def test_a_typed_client_secret_is_not_shown(unwired: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in unwired.env.items():
        if name != "CYCLR_CLIENT_SECRET":
            monkeypatch.setenv(name, value)
    code, seen, _ = typed(
        "plans", "--client-secret-stdin", text=f"{SECRET}\n".encode(), prompt=b"client secret (hidden): "
    )
    assert (code, unwired.secrets) == (0, [SECRET]), seen
    assert SECRET not in seen


@pytest.mark.parametrize(("text", "code"), [(b"\x03", 130), (b"\x04", 2), (b"\n", 2)])
def test_a_prompt_that_is_left_restores_the_terminal(api: Api, text: bytes, code: int) -> None:
    found, seen, echoes = typed(*INSTALL, "--api-key-stdin", text=text, prompt=b"(hidden): ")
    assert (found, echoes) == (code, True), seen
    assert "Traceback" not in seen
    assert api.bodies == []


@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "table"])
def test_delete_and_other_controls_do_not_reach_a_terminal(api: Api, form: str) -> None:
    api.names = ["a\x7fb", "c\x85d", "e\u3164f", "g\u00adh"]
    code, seen = on_a_terminal("accounts", "list", "-o", form, env={"NO_COLOR": "1", "COLUMNS": "200"})
    assert code == 0
    assert not {"\x7f", "\x85", "\u3164", "\u00ad"} & set(seen)
    if form == "json":
        assert [value["name"] for value in json.loads(seen)] == api.names


def test_json_is_the_same_json_after_escaping() -> None:
    for text in ("\x7f", "é", "\x00\x1f", "\U0001f600", "\u200d", "\U000e0001", '"\\', "\u2028"):
        assert json.loads(json_text({"a": text})) == {"a": text}
    assert json_text("Müller ✓") == '"Müller ✓"'
    assert json_text("\x7f") == r'"\u007f"'


INTERRUPTING = """
import importlib.abc, os, signal, sys

class Interrupt(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.{signal})

sys.meta_path.insert(0, Interrupt())
sys.argv = ["cyclr", *{args!r}]
from cyclr_async.cli import main
sys.exit(main())
"""


@pytest.mark.parametrize(
    ("module", "args"),
    [
        ("cyclr_async.cli.run", ["plans"]),
        ("click.core", ["plans"]),
        ("cyclr_async.cli.signals", ["plans"]),
        ("asyncio.base_events", ["plans"]),
        ("aiohttp.client", ["plans"]),
        ("aiohttp", ["plans", "--simulate"]),
        ("cyclr_async.usage.store.reader", ["usage", "status"]),
    ],
)
def test_ctrl_c_while_it_starts(api: Api, module: str, args: list[str]) -> None:
    code = INTERRUPTING.format(module=module, args=args, signal="SIGINT")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr.replace("simulated", "").count("Traceback")) == (130, 0), done.stderr
    assert "Exception" not in done.stderr
    assert "Warning" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_in_the_middle_of_an_export_leaves_the_old_file(
    api: Api, cyclr: Run, tmp_path: Path, name: str
) -> None:
    cyclr("usage", "collect")
    target = tmp_path / "usage.parquet"
    target.write_text("old")
    before = sorted(path.name for path in tmp_path.iterdir())
    # DuckDB is imported when the temporary file is open already.
    code = INTERRUPTING.format(module="duckdb", args=["usage", "export", "--out", str(target)], signal=name)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (130, "")
    assert target.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize("args", [("-v", "plans"), ("plans", "-v"), ("-vv", "plans"), ("plans", "-vv")], ids=" ".join)
def test_logging_is_asked_for_before_or_after_the_command(api: Api, cyclr: Run, args: tuple[str, ...]) -> None:
    result = cyclr(*args)
    lines = result.err.splitlines()
    assert any("info    cyclr_async.cli: cyclr plans begins" in line for line in lines)
    assert any(f"http://127.0.0.1:{api.port}/api/partner" in line for line in lines)
    debug = [line for line in lines if " debug " in line]
    assert bool(debug) == ("-vv" in args)
    if debug:
        assert any("client_secret comes from environment (CYCLR_CLIENT_SECRET)" in line for line in debug)
    assert SECRET not in result.err
    assert "canary" not in result.err
    assert cyclr("plans").err == ""


@pytest.mark.parametrize(
    "args", [("--log-json", "plans"), ("plans", "--log-json"), ("-v", "plans", "--log-json", "-vv")]
)
def test_the_log_as_json_lines(api: Api, cyclr: Run, args: tuple[str, ...]) -> None:
    entries = [json.loads(line) for line in cyclr(*args).err.splitlines()]
    assert entries[0]["message"] == "cyclr plans begins"
    assert all({"time", "level", "logger", "message"} <= entry.keys() for entry in entries)
    assert ({entry["level"] for entry in entries} == {"info", "debug"}) == ("-vv" in args)


def test_the_log_says_what_the_client_retries(api: Api, cyclr: Run) -> None:
    api.overloaded = 1
    result = cyclr("plans", "-v")
    assert result.code == 0
    assert any("cyclr_async.http" in line or "retr" in line for line in result.err.splitlines()), result.err
