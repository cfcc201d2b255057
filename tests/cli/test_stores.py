"""Commands on stores: unusual places, texts for spreadsheets, and repair."""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.cli_api import Api, Run

STORE = Path("cyclr-usage.sqlite")


def test_texts_that_stay_texts(api: Api, cyclr: Run) -> None:
    cyclr("usage", "collect")
    rows = list(csv.DictReader(io.StringIO(cyclr("usage", "export", "-o", "csv", "--text").out, newline="")))
    assert [row["account_id"] for row in rows] == [f"'{number:032x}" for number in range(12)]
    assert rows[0]["audit_info"] == "'=HYPERLINK(0)"
    assert rows[0]["task_count"] == "1000"
    assert cyclr("usage", "export", "--text", "--out", "usage.csv").code == 0
    assert f"'{7:032x}" in Path("usage.csv").read_text(encoding="utf-8")
    for wrong in (("--text", "--raw", "-o", "csv"), ("--text", "-o", "json"), ("--text", "--out", "usage.parquet")):
        assert cyclr("usage", "export", *wrong).code == 2


@pytest.mark.parametrize("store", [":memory:", "", "file::memory:", "."])
def test_a_store_that_is_no_file_is_refused(api: Api, cyclr: Run, store: str) -> None:
    for command in ("collect", "status", "export", "repair"):
        result = cyclr("usage", command, "--store", store)
        assert result.code != 0
        assert "Traceback" not in result.err
        assert "store" in result.err.lower()
    assert list(Path().iterdir()) == []
    assert [one for one in api.requests if "billing" in one] == []


@pytest.mark.skipif(sys.platform != "linux", reason="names that are no text")
def test_the_name_of_a_store_need_not_be_text(api: Api) -> None:
    name = b"caf\xe9?#%.sqlite"
    for command, code in (("collect", 0), ("status", 0), ("export", 0), ("resume", 0), ("repair", 0)):
        done = subprocess.run(
            [sys.executable, "-m", "cyclr_async.cli", "usage", command, "--store", name],
            env={**os.environ, **api.env},
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert (done.returncode, b"Traceback" in done.stderr) == (code, False), done.stderr
    assert [os.fsencode(entry.name) for entry in Path().iterdir()] == [name]


def test_a_damaged_store_is_refused_and_repaired(api: Api, cyclr: Run) -> None:
    cyclr("usage", "collect")
    assert cyclr("usage", "repair").code == 0
    with closing(sqlite3.connect(STORE)) as other:
        other.execute("UPDATE observation SET task_count = 5 WHERE account_id LIKE '%3'")
        other.commit()
    for command in ("export", "collect"):
        assert cyclr("usage", command, "--out", "old.csv").code == 1
    assert not Path("old.csv").exists()
    result = cyclr("usage", "repair", "-o", "jsonl")
    assert result.code == 3
    assert json.loads(result.out) == {"run_id": 1, "accounts": 12, "lost": 0, "due": 1, "rebuilt": 0}
    assert "cyclr-usage.sqlite.damaged" in result.err
    before = len(api.requests)
    assert cyclr("usage", "resume", "--store", str(STORE)).code == 0
    assert [one for one in api.requests[before:] if "billing" in one] == [f"GET /api/partner/accounts/{3:032x}/billing"]
    rows = [json.loads(line) for line in cyclr("usage", "export", "-o", "jsonl").out.splitlines()]
    assert [(row["state"], row["task_count"]) for row in rows] == [("ok", 1000 // (number + 1)) for number in range(12)]
