"""Standard streams as they come: other encodings, closed, full, narrow, and text with marks."""

from __future__ import annotations

import codecs
import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.cli_api import SECRET, Api, Run, call, on_a_terminal, spawn

NAMES = ["Müller", "Zoë ✓", "株式会社", "\U0001f600", "a\ud800b", "x\x7fy"]
COMMAND = f"exec {sys.executable} -m cyclr_async.cli"


def shell(script: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of shell, in which ``cyclr`` is the command."""
    script = script.replace("cyclr ", f"{COMMAND} ", 1)
    return subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=False, timeout=60)


@pytest.mark.parametrize(("encoding", "form"), [("ascii", "jsonl"), ("cp1252:strict", "json"), ("utf-16", "csv")])
def test_data_is_utf_8_whatever_the_stream(api: Api, encoding: str, form: str) -> None:
    api.names = NAMES
    result = call("accounts", "list", "-o", form, env={"PYTHONIOENCODING": encoding})
    assert result.code == 0, result.err
    if form == "csv":
        names = [row["name"] for row in csv.DictReader(result.out.splitlines())]
    else:
        values = json.loads(result.out) if form == "json" else [json.loads(line) for line in result.out.splitlines()]
        names = [value["name"] for value in values]
    assert names == [name.replace("\ud800", "\ufffd") for name in NAMES]


def test_rows_of_a_collection_are_utf_8(api: Api) -> None:
    api.names = ["Müller"]
    assert "Müller" in call("usage", "collect", "-o", "csv", env={"PYTHONIOENCODING": "ascii"}).out
    assert "Müller" in call("usage", "export", "-o", "csv", env={"PYTHONIOENCODING": "ascii"}).out


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", r"M\xfcller \u2713"), ("latin-1", r"Müller \u2713")])
def test_a_table_escapes_what_the_stream_cannot_show(api: Api, encoding: str, shown: str) -> None:
    api.names = ["Müller ✓", "other"]
    done = subprocess.run(
        [sys.executable, "-m", "cyclr_async.cli", "accounts", "list", "-o", "table"],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        timeout=60,
    )
    lines = done.stdout.decode(encoding).splitlines()
    (line,) = [line for line in lines if shown in line]
    (other,) = [line for line in lines if "other" in line]
    assert line.index("2026-12-01") == other.index("2026-12-01")


@pytest.mark.parametrize("source", ["file", "stdin"])
@pytest.mark.parametrize(("mark", "end"), [(codecs.BOM_UTF8, b"\r\n"), (b"", b"\r")])
def test_a_mark_is_no_part_of_an_id(api: Api, source: str, mark: bytes, end: bytes) -> None:
    ids = [f"{number:032x}" for number in range(3)]
    # The middle one begins a file of its own that was put behind the first.
    data = mark + ids[0].encode() + end + mark + ids[1].encode() + end + ids[2].encode()
    Path("ids").write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-m", "cyclr_async.cli", "usage", "collect", "--accounts", "ids" if source == "file" else "-"],
        input=data,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(line.split("/")[-2] for line in api.requests if line.endswith("/billing")) == ids


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_files_in_other_encodings_are_refused(api: Api, cyclr: Run, encoding: str) -> None:
    for option, args in (("--accounts", ("usage", "collect")), ("--client-secret-file", ("plans",))):
        Path("text").write_bytes("canary-é\ncanary-é\n".encode(encoding))
        result = cyclr(*args, option, "text")
        assert result.code == 2
        assert option in result.err
        assert "UTF-8" in result.err
        assert "canary" not in result.err
    assert api.requests == []


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252"])
@pytest.mark.parametrize("args", ["usage collect --accounts -", "plans --client-secret-stdin"])
def test_standard_input_in_another_encoding_is_refused(api: Api, encoding: str, args: str) -> None:
    Path("text").write_bytes("canary-é\ncanary-é\n".encode(encoding))
    done = shell(f"cyclr {args} < text")
    assert done.returncode == 2
    assert b"standard input is" in done.stderr
    assert b"UTF-8" in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"canary" not in done.stderr
    assert api.requests == []


def test_a_mark_is_no_part_of_a_secret(unwired: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = codecs.BOM_UTF8
    for name, value in unwired.env.items():
        if name != "CYCLR_CLIENT_SECRET":
            monkeypatch.setenv(name, value)
    Path("secret").write_bytes(mark + SECRET.encode() + b"\r\n")
    config = Path(os.environ["CYCLR_CONFIG"])
    ways = ["cyclr plans --client-secret-file secret", "cyclr plans --client-secret-stdin < secret", "cyclr plans"]
    for way in ways:
        if way == "cyclr plans":
            config.write_bytes(mark + b'[profiles.only]\nclient_id = "my-client"\nsecret_command = ["cat", "secret"]\n')
            config.chmod(0o600)
        done = shell(way)
        assert done.returncode == 0, done.stderr
    assert unwired.secrets == [SECRET] * 3


@pytest.mark.parametrize("close", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_closed_streams_lose_no_work(api: Api, cyclr: Run, close: str) -> None:
    done = shell(f"cyclr usage collect --store s.sqlite {close}")
    lost = ">&-" in close.replace("2>&-", "")
    assert done.returncode == (1 if lost else 0)
    assert b"Traceback" not in done.stderr
    if lost and "2>&-" not in close:
        assert b"standard output: Bad file descriptor" in done.stderr
    status = json.loads(cyclr("usage", "status", "--store", "s.sqlite").out)
    assert (status["status"], status["ok"]) == ("complete", 12)
    assert Path("s.sqlite").read_bytes().startswith(b"SQLite format 3\0")


@pytest.mark.parametrize(
    ("command", "where"),
    [("plans", ">&-"), ("--help", ">&-"), ("--version", ">/dev/full"), ("plans -o table", ">/dev/full")],
)
def test_output_that_cannot_be_written_is_an_error_of_one_line(api: Api, command: str, where: str) -> None:
    done = shell(f"cyclr {command} {where}")
    assert done.returncode == 1
    assert done.stderr.startswith(b"error: standard output: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("command", "where"), [("usage collect --out rows.csv -v", "2>/dev/full"), ("plans -v", "2>&-")]
)
def test_notes_that_cannot_be_written_are_no_error(api: Api, command: str, where: str) -> None:
    done = shell(f"cyclr {command} {where}")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout or Path("rows.csv").stat().st_size > 1000


def test_errors_that_cannot_be_told_keep_their_exit_code(api: Api) -> None:
    for where in ("2>/dev/full", ">&- 2>&-"):
        assert shell(f"cyclr plans --nope {where}").returncode == 2


def test_standard_input_that_is_closed_is_told(api: Api) -> None:
    for args in ("usage collect --accounts -", "plans --client-secret-stdin"):
        done = shell(f"cyclr {args} <&-")
        assert done.returncode == 2
        assert b"standard input cannot be read" in done.stderr
        assert len(done.stderr.splitlines()) <= 2
    assert shell("cyclr plans <&-").returncode == 0


@pytest.mark.parametrize("form", ["json", "csv", "table"])
def test_a_full_disk_loses_no_work(api: Api, cyclr: Run, form: str) -> None:
    done = shell(f"cyclr usage collect -o {form} >/dev/full")
    assert done.returncode == 1
    assert b"standard output: No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
    status = json.loads(cyclr("usage", "status").out)
    assert (status["status"], status["ok"]) == ("complete", 12)


def test_a_throw_away_collection_ends_when_its_rows_cannot_be_written() -> None:
    done = shell("cyclr usage collect --simulate --simulate-accounts 100000 >/dev/full")
    assert done.returncode == 1
    assert b"No space left" in done.stderr


@pytest.mark.parametrize("form", ["csv", "table"])
def test_a_reader_that_left_is_quiet(api: Api, form: str) -> None:
    api.names = [f"Account {number} {'x' * 200}" for number in range(2000)]
    command = spawn("accounts", "list", "-o", form, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert command.stdout is not None
    assert command.stderr is not None
    command.stdout.close()
    error = command.stderr.read()
    command.stderr.close()
    assert (command.wait(30), error) == (141, b"")


def test_out_on_a_full_disk_names_the_file(api: Api, cyclr: Run) -> None:
    for form in ("csv", "json", "table"):
        result = cyclr("plans", "-o", form, "--out", "/dev/full")
        assert result.code == 1
        assert "/dev/full" in result.err
        assert "No space left" in result.err
        assert len(result.err.splitlines()) == 1


@pytest.mark.parametrize("columns", ["0", "1", "-5", "abc", "", "²", "99999999999999999999", "3.5", " 7 "])
def test_an_odd_width_breaks_nothing(api: Api, cyclr: Run, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    for args in (("usage", "collect", "-o", "table"), ("accounts", "list", "-o", "table"), ("--help",)):
        monkeypatch.setenv("COLUMNS", columns)
        monkeypatch.setenv("LINES", columns)
        result = cyclr(*args)
        assert result.code == 0, result.err
        if args[0] == "accounts":
            assert f"{3:032x}" in result.out


def test_an_odd_width_of_a_terminal_breaks_nothing(api: Api) -> None:
    code, seen = on_a_terminal("usage", "collect", env={"COLUMNS": "0", "LINES": "0"})
    assert code == 0
    assert "12 of 12 accounts" in seen
    assert "Traceback" not in seen


def test_a_store_whose_name_is_not_utf_8(api: Api) -> None:
    script = "cyclr usage collect --store caf$(printf '\\351').sqlite >rows"
    done = shell(script)
    assert done.returncode == 0, done.stderr
    assert b"kept in caf\\u{dce9}.sqlite" in done.stderr
    assert os.fsdecode(b"caf\xe9.sqlite") in {path.name for path in Path().iterdir()}
    done = shell("cyclr usage status -o table --store caf$(printf '\\351').sqlite")
    assert done.returncode == 0, done.stderr
    assert b"complete" in done.stdout
