"""Questions in SQL: both engines answer alike, and neither can do anything but read."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cyclr_async.errors import InvalidArgumentError, StoreError
from cyclr_async.usage import Engine, close_period, query_store
from cyclr_async.usage.store.views import VIEWS
from tests.support.usage_months import StoreMaker

ENGINES: list[Engine] = ["sqlite", "duckdb"]


@pytest.fixture
def filled(path: Path) -> Path:
    with StoreMaker(path) as store:
        store.run("2026-10-20")
        store.list("a", name="Ä", plan=1, audit="x").usage("a", "2026-10-01", "2026-10-31", 5)
        store.run("2026-11-02")
        store.list("a", name="Ä", plan=1, audit="x").usage("a", "2026-10-01", "2026-10-31", 8)
        store.list("b", name="B", plan=2).usage("b", "2026-10-01", "2026-10-31", 3, cycles=None)
        store.list("c").refused("c", "failed")
    close_period(path, "2026-10", by="Kim", accept={"missing"}, now=datetime(2026, 11, 5, tzinfo=UTC))
    return path


def ask(path: Path, sql: str, engine: Engine) -> list[tuple[Any, ...]]:
    if engine == "duckdb":
        pytest.importorskip("duckdb")
    with query_store(path, sql, engine=engine) as answer:
        assert answer.engine == engine
        return list(answer.rows)


@pytest.mark.parametrize("engine", ENGINES)
def test_what_the_views_say(filled: Path, engine: Engine) -> None:
    figures = "SELECT account_id, month, task_count, cycle_count, price_plan_id FROM figures ORDER BY account_id"
    assert ask(filled, figures, engine) == [("a", "2026-10", 8, 1, 1), ("b", "2026-10", 3, None, 2)]
    assert ask(filled, "SELECT count(*), sum(provisional) FROM observations", engine) == [(3, 1)]
    accounts = "SELECT account_id, state, account_name FROM accounts WHERE run_id = 2 ORDER BY account_id"
    assert ask(filled, accounts, engine) == [("a", "ok", "Ä"), ("b", "ok", "B"), ("c", "failed", None)]
    assert ask(filled, "SELECT count(*) FROM runs", engine) == [(2,)]
    closed = "SELECT c.closed_by, sum(f.task_count) FROM closings c JOIN closed_figures f USING (closing_id) GROUP BY 1"
    assert ask(filled, closed, engine) == [("Kim", 11)]
    assert ask(filled, "SELECT reason FROM closed_gaps", engine) == [("failed",)]
    assert ask(filled, "WITH x AS (SELECT 1 AS n) SELECT n FROM x", engine) == [(1,)]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("view", VIEWS)
def test_every_view_can_be_read(filled: Path, engine: Engine, view: str) -> None:
    ask(filled, f"SELECT * FROM {view}", engine)


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM observation",
        "UPDATE run SET partner = 'x'",
        "DROP TABLE run",
        "ATTACH DATABASE 'other.db' AS other",
        "PRAGMA query_only = OFF",
        "CREATE TABLE x (y)",
        "INSERT INTO figures VALUES (1)",
        "VACUUM INTO 'copy.db'",
        "SELECT load_extension('x')",
        "SELECT 1; SELECT 2",
        "SELECT * FROM nothing",
        "SELEC 1",
    ],
)
def test_sqlite_only_reads(filled: Path, sql: str) -> None:
    before = filled.read_bytes()
    with pytest.raises((StoreError, InvalidArgumentError)):
        ask(filled, sql, "sqlite")
    assert filled.read_bytes() == before
    assert not (filled.parent / "copy.db").exists()


def test_duckdb_reaches_nothing_but_the_views(filled: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.csv"
    outside.write_text("a\n1\n")
    before = filled.read_bytes()
    for sql in (
        f"SELECT * FROM '{outside}'",
        f"COPY (SELECT 1) TO '{tmp_path / 'copy.csv'}'",
        f"ATTACH '{tmp_path / 'other.duckdb'}'",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "SELECT * FROM nothing",
    ):
        with pytest.raises(StoreError, match="DuckDB refuses the question"):
            ask(filled, sql, "duckdb")
    assert filled.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} & {"copy.csv", "other.duckdb"} == set()


def test_questions_that_cannot_be_asked(filled: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="the question is empty"):
        ask(filled, " ; ", "sqlite")
    with pytest.raises(StoreError, match="there is no store"):
        ask(tmp_path / "other.db", "SELECT 1", "sqlite")
    old = tmp_path / "old.db"
    shutil.copy(Path(__file__).parent / "data" / "version_2.sqlite", old)
    with pytest.raises(StoreError, match="made by an earlier release"):
        ask(old, "SELECT 1", "sqlite")


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("UPDATE figures SET task_count = 0", "begin it with SELECT"),
        ("CREATE TABLE x (a INT)", "begin it with SELECT"),
        ("BEGIN", "begin it with SELECT"),
        ("SELECT 1; SELECT 2", "one statement, and this is 2"),
        ("-- nothing", "one statement, and this is 0"),
    ],
)
def test_duckdb_does_not_say_yes_to_a_change_of_its_copy(filled: Path, sql: str, said: str) -> None:
    pytest.importorskip("duckdb")
    with pytest.raises(StoreError, match=said):
        ask(filled, sql, "duckdb")
    pivot = "PIVOT (SELECT account_id, month, task_count FROM figures) ON month USING sum(task_count)"
    assert len(ask(filled, pivot, "duckdb")) > 1
    assert ask(filled, "WITH a AS (SELECT 1 AS b) SELECT * FROM a;", "duckdb") == [(1,)]


@pytest.mark.parametrize("engine", ["sqlite", "auto"])
def test_a_question_of_bytes_that_are_no_text(filled: Path, engine: Engine) -> None:
    with pytest.raises(InvalidArgumentError, match="no UTF-8"):
        ask(filled, "SELECT '\udcff'", engine)
