from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from cyclr_async.errors import InvalidArgumentError, NotFoundError, StoreError
from cyclr_async.usage import COLUMNS, RunScope, UsageReader, UsageStore, export_usage, write_csv
from cyclr_async.usage.export import formula_safe
from tests.usage.usage_make import account, bad, good

EVIL = ["=1+1", "\u202e\x1b[2Jname", 'quo"te, and\r\nline', "\uff1dcmd", "Größe 漢字"]


async def fill(path: Path, scope: RunScope) -> None:
    async with await UsageStore.open(path, scope) as store:
        for number, name in enumerate(EVIL):
            await store.record(good(f"a{number}", number, listed=account(f"a{number}", name)))
        await store.record(bad("gone", NotFoundError("no such account", status=404)))
        await store.add_accounts(["later"])
        await store.finish("interrupted")


async def test_csv_reads_back_and_runs_no_formula(path: Path, scope: RunScope) -> None:
    await fill(path, scope)
    target = path.with_name("usage.csv")
    assert export_usage(path, target).rows == 7
    raw = target.read_bytes()
    assert raw.startswith(",".join(COLUMNS).encode() + b"\r\n")
    rows = list(csv.DictReader(io.StringIO(raw.decode("utf-8"), newline="")))
    names = [row["account_name"] for row in rows[:5]]
    assert names == ["'=1+1", EVIL[1], EVIL[2], "'\uff1dcmd", EVIL[4]]
    assert rows[0]["period_from"] == "2026-10-01T00:00:00Z"
    assert (rows[0]["observed_at"], rows[0]["provisional"]) == ("2026-11-02T08:00:00Z", "false")
    assert (rows[5]["state"], rows[5]["error"], rows[5]["task_count"]) == ("missing", "NotFoundError(404)", "")
    assert rows[6]["state"] == "pending"
    export_usage(path, target, raw=True, excel=True)
    assert target.read_bytes().startswith(b"\xef\xbb\xbf")
    assert b",=1+1," in target.read_bytes()


@pytest.mark.parametrize("lead", ["", " ", "\ufeff", "\u200b", "\u00a0\u2060", "\n", "\x1b", "\ufe0f", "\u3000"])
@pytest.mark.parametrize("sign", "=+-@|%\t\r\0＝＋－＠﹦⁺")  # noqa: RUF001
def test_a_formula_cannot_hide(lead: str, sign: str) -> None:
    assert formula_safe(f"{lead}{sign}1") == f"'{lead}{sign}1"


@pytest.mark.parametrize("text", ["", "ACME", "a=b", " x-y", "漢字", "1-2", "'=1"])
def test_plain_text_stays(text: str) -> None:
    assert formula_safe(text) == text


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
async def test_same_store_same_bytes(path: Path, scope: RunScope, suffix: str) -> None:
    await fill(path, scope)
    first, second = path.with_name(f"1.{suffix}"), path.with_name(f"2.{suffix}")
    export_usage(path, first)
    export_usage(path, second)
    assert first.read_bytes() == second.read_bytes()
    assert sorted(entry.name for entry in path.parent.iterdir()) == sorted(["usage.db", first.name, second.name])


async def test_jsonl_and_parquet_are_unaltered(path: Path, scope: RunScope) -> None:
    duckdb = pytest.importorskip("duckdb")
    await fill(path, scope)
    lines, table = path.with_name("usage.jsonl"), path.with_name("it's.parquet")
    export_usage(path, lines)
    assert export_usage(path, table).rows == 7
    rows = [json.loads(line) for line in lines.read_text("utf-8").split("\n")[:-1]]
    assert [list(row) for row in rows] == [list(COLUMNS)] * 7
    assert [row["account_name"] for row in rows[:5]] == EVIL
    with duckdb.connect() as connection:
        names = connection.read_parquet(str(table)).select("account_name, period_from, task_count").fetchall()
    assert [row[0] for row in names[:5]] == EVIL
    assert (names[3][1].isoformat(), names[3][2]) == ("2026-10-01T00:00:00", 3)


async def test_all_observations(path: Path, scope: RunScope) -> None:
    for tasks in (3, 5):
        async with await UsageStore.open(path, scope, resume=None) as store:
            await store.record(good("a", tasks))
            await store.finish("complete")
    target = path.with_name("all.jsonl")
    assert export_usage(path, target, all_observations=True).rows == 2
    assert [json.loads(line)["task_count"] for line in target.read_text().splitlines()] == [3, 5]
    assert export_usage(path, target, all_observations=True, run_id=1).rows == 1
    assert json.loads(target.read_text())["task_count"] == 3


async def test_a_failed_export_leaves_the_old_file(path: Path, scope: RunScope) -> None:
    async with await UsageStore.open(path, scope) as store:
        for number in range(3000):
            await store.record(good(f"{number:06}"))
    target = path.with_name("usage.csv")
    target.write_text("old")
    target.chmod(0o640)
    code = (
        "import resource,signal,sys\nfrom cyclr_async.usage import export_usage\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))\n"
        "export_usage(sys.argv[1], sys.argv[2])"
    )
    failed = subprocess.run(  # noqa: ASYNC221
        [sys.executable, "-c", code, str(path), str(target)], capture_output=True, timeout=60, check=False
    )
    assert b"StoreError: cannot write" in failed.stderr
    assert target.read_text() == "old"
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["usage.csv", "usage.db"]
    export_usage(path, target)
    assert target.stat().st_mode & 0o777 == 0o640
    with UsageReader(path) as reader, pytest.raises(OSError, match="space"), Path("/dev/full").open("w") as full:  # noqa: ASYNC230
        write_csv(reader.rows(), full)


def test_refuses_what_it_cannot_write(path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="names no format"):
        export_usage(path, path.with_name("usage.xlsx"))
    with pytest.raises(InvalidArgumentError, match="options of CSV"):
        export_usage(path, path.with_name("usage.jsonl"), raw=True)
    with pytest.raises(InvalidArgumentError, match="is a folder"):
        export_usage(path, path.parent, format="csv")
    with pytest.raises(StoreError, match="no store"):
        export_usage(path, path.with_name("usage.csv"))
