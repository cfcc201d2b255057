from __future__ import annotations

import csv
import io
import itertools
import json
import random
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import attrs
import pytest

from cyclr_async.errors import InvalidArgumentError, NotFoundError, StoreError
from cyclr_async.usage import COLUMNS, RunScope, UsageReader, UsageRow, UsageStore, export_usage, write_csv
from cyclr_async.usage.export.csv_format import formula_safe
from tests.support.usage_make import account, bad, good

OCTOBER_1 = 1_790_812_800  # 2026-10-01, in seconds since 1970
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
    # The end of a line in the lead begins a cell where the spreadsheet does not know the quotation marks.
    again = "'" if lead == "\n" else ""
    assert formula_safe(f"{lead}{sign}1") == f"'{lead}{again}{sign}1"


SEPARATORS = ",;\t|"
PIECES = [*SEPARATORS, *"=+-@|%\"' \n\r", "\r\n", "cmd", "1", "＝", "\u200b", "\ufeff", "\u2028"]  # noqa: RUF001


def cells(line: str, separator: str, *, quotes: bool) -> list[str]:
    """What a spreadsheet with this list separator makes of a file."""
    if not quotes:
        return [cell for row in re.split("[\r\n]", line) for cell in row.split(separator)]
    reader = csv.reader(io.StringIO(line, newline=""), delimiter=separator)
    return [cell for row in reader for cell in row]


def first_visible(cell: str) -> str:
    shown = [char for char in cell if not char.isspace() and unicodedata.category(char)[0] not in "CZM"]
    return unicodedata.normalize("NFKC", shown[0])[0] if shown else ""


def row(name: str, audit: str | None = None) -> UsageRow:
    return UsageRow(
        run_id=1,
        account_id="a1",
        account_name=name,
        state="ok",
        period_from=None,
        period_to=None,
        task_count=1,
        cycle_count=1,
        price_plan_id=1,
        audit_info=audit,
        observed_at=None,
        provisional=None,
        attempts=1,
        error=None,
        reason=None,
    )


@pytest.mark.parametrize("excel", [False, True])
def test_no_separator_starts_a_formula(excel: bool) -> None:
    """Whatever a text is made of: no cell begins with a formula, with any list separator, with or without quotes."""
    chance = random.Random(37)
    texts = [
        "ACME;=cmd|' /C calc'!A0;x",
        'a;"=1+1',
        'x"";=1',
        "a\n=1",
        ';"\r\n"=1',
        'a,"b;"',
        "a|=1",
        "a\t=1",
        ";\u200b=1",
    ]
    texts += ["".join(chance.choices(PIECES, k=chance.randint(1, 9))) for _ in range(1500)]
    for name, audit in itertools.pairwise(texts):
        stream = io.StringIO(newline="")
        write_csv([row(name, audit)], stream, excel=excel)
        _, _, line = stream.getvalue().partition("\r\n")
        for separator, quotes in itertools.product(SEPARATORS, (True, False)):
            found = cells(line, separator, quotes=quotes)
            assert all(first_visible(cell) not in set("=+-@|%") - {separator} for cell in found), (name, audit, found)
        # Whoever takes the marks away again has what it was.
        (back,) = csv.reader(io.StringIO(line, newline=""))
        assert back[2].replace("'", "") == name.replace("'", "")


@pytest.mark.parametrize(
    "text", ["", "ACME", "a=b", " x-y", "漢字", "1-2", "'=1", "a, b; c|d", "Müller - Söhne", 'say "hi"']
)
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
        names = connection.read_parquet(str(table)).select("account_name, epoch(period_from), task_count").fetchall()
    assert [row[0] for row in names[:5]] == EVIL
    assert names[3][1:] == (OCTOBER_1, 3)


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kathmandu"])
async def test_csv_and_parquet_mean_the_same_times_in_every_zone(path: Path, scope: RunScope, zone: str) -> None:
    duckdb = pytest.importorskip("duckdb")
    await fill(path, scope)
    text, table = path.with_name("usage.csv"), path.with_name("usage.parquet")
    export_usage(path, text)
    export_usage(path, table)
    with duckdb.connect() as connection:
        connection.execute(f"SET TimeZone = '{zone}'")
        kinds = {row[0]: row[1] for row in connection.execute(f"DESCRIBE SELECT * FROM '{table}'").fetchall()}
        assert {kinds[name] for name in ("period_from", "period_to", "observed_at")} == {"TIMESTAMP WITH TIME ZONE"}
        for source in (f"'{text}'", f"read_csv('{text}', all_varchar = true)"):
            joined = connection.execute(
                f"SELECT count(*) FROM '{table}' AS p JOIN {source} AS c USING (account_id) WHERE "
                "p.period_from = c.period_from::TIMESTAMPTZ AND p.period_to = c.period_to::TIMESTAMPTZ "
                f"AND p.observed_at = c.observed_at::TIMESTAMPTZ AND epoch(p.period_from) = {OCTOBER_1}"
            ).fetchone()
            assert joined == (5,)


IDS = ["0123", "12e42", "1-2", "9" * 20, "1/2", "3 März", "½", "１２", "abc", "e1"]  # noqa: RUF001


def test_texts_stay_texts_in_a_spreadsheet() -> None:
    rows = [attrs.evolve(row("ACME", "007"), account_id=one) for one in IDS]
    stream = io.StringIO(newline="")
    write_csv(rows, stream, text=True)
    found = list(csv.DictReader(io.StringIO(stream.getvalue(), newline="")))
    assert [one["account_id"] for one in found] == [one if one == "abc" else f"'{one}" for one in IDS]
    assert {(one["account_name"], one["audit_info"], one["task_count"]) for one in found} == {("ACME", "'007", "1")}
    stream = io.StringIO(newline="")
    write_csv(rows, stream)
    assert [one["account_id"] for one in csv.DictReader(io.StringIO(stream.getvalue(), newline=""))] == IDS
    with pytest.raises(InvalidArgumentError, match="choose one"):
        write_csv(rows, stream, raw=True, text=True)


def test_a_text_is_not_marked_twice() -> None:
    stream = io.StringIO(newline="")
    write_csv([row("=1", "-5")], stream, text=True)
    assert "'=1" in stream.getvalue()
    assert "''" not in stream.getvalue()


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
        export_usage(path, path.with_name("usage.xls"))
    for option in ("raw", "excel", "text"):
        with pytest.raises(InvalidArgumentError, match="options of CSV"):
            export_usage(path, path.with_name("usage.jsonl"), **{option: True})  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="not UTF-8"):
        export_usage(path, path.with_name("caf\udce9.parquet"))
    with pytest.raises(InvalidArgumentError, match="is a folder"):
        export_usage(path, path.parent, format="csv")
    with pytest.raises(StoreError, match="no store"):
        export_usage(path, path.with_name("usage.csv"))
