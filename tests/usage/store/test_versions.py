"""Stores of earlier schema versions are read as they are, and brought to the present one when they are written to."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from cyclr_async.errors import StoreError
from cyclr_async.usage import RunScope, UsageReader, UsageStore, export_usage, repair_store, summarize
from cyclr_async.usage.store import schema
from tests.support.store_v1 import version_1
from tests.support.usage_make import At, good

# Written by the release that had schema version 2: two runs, every state of an account, three findings.
VERSION_2 = Path(__file__).parent / "data" / "version_2.sqlite"
SCOPE = RunScope("https://api.example.com/api/partner", "partner-1", date(2026, 10, 1))
LATER = datetime(2026, 11, 3, 8, 0, tzinfo=UTC)  # when the last run of that store was made


@pytest.fixture
def old(path: Path) -> Path:
    shutil.copy(VERSION_2, path)
    return path


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as store:
        return int(store.execute("PRAGMA user_version").fetchone()[0])


def said_by(path: Path) -> tuple[Any, ...]:
    """Everything that a reader says of a store."""
    with UsageReader(path) as reader:
        return (
            reader.runs(),
            [list(reader.rows(run.run_id)) for run in reader.runs()],
            list(reader.rows(all_observations=True)),
            list(reader.findings()),
            list(reader.comparable()),
            list(reader.failures()),
            reader.periods(),
            summarize(reader, now=At().moment),
        )


def test_reading_leaves_a_store_of_version_2_as_it_is(old: Path) -> None:
    before = old.read_bytes()
    runs, rows, observations, findings, *_ = said_by(old)
    assert [(run.status, run.scope.api, run.counts.asked) for run in runs] == [
        ("interrupted", "partner", 8),
        ("complete", "partner", 6),
    ]
    assert [row.state for row in rows[0]] == ["ok", "ok", "ok", "failed", "missing", "forbidden", "pending", "pending"]
    assert (len(observations), len(findings)) == (9, 3)
    assert {(row.api, row.api_id, row.parent_account_id, row.task_audit_info) for row in observations} == {
        ("partner", None, None, None)
    }
    assert old.read_bytes() == before


async def test_a_store_of_version_2_says_the_same_after_it_was_written_to(old: Path) -> None:
    before = said_by(old)
    async with await UsageStore.open(old, SCOPE, resume=True, clock=At(LATER)) as store:
        page = await store.pending(after=None, limit=10)
        assert [one.account_id[-1] for one in page] == ["6", "7", "3", "4", "5"]
        await store.finish("interrupted")
    assert version_of(old) == 3
    after = said_by(old)
    assert after[1:7] == before[1:7]
    assert [run.scope for run in after[0]] == [run.scope for run in before[0]]
    with closing(sqlite3.connect(old)) as store_file:
        store_file.execute("UPDATE observation SET cycle_count = NULL")  # refused by the tables of version 2
        assert store_file.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_a_store_of_version_1_becomes_one_of_the_present_version(path: Path) -> None:
    version_1(path, SCOPE.base_url, SCOPE.partner, ["a", "b", "c"])
    scope = RunScope(SCOPE.base_url, SCOPE.partner)
    async with await UsageStore.open(path, scope, clock=At()) as store:
        await store.record(good("b"))
        await store.finish("complete")
    assert version_of(path) == 3
    with UsageReader(path) as reader:
        assert {run.scope.api for run in reader.runs()} == {"partner"}


async def test_the_tables_are_the_same_whichever_version_a_store_began_with(old: Path, tmp_path: Path) -> None:
    await (await UsageStore.open(old, SCOPE, clock=At())).close()
    fresh = tmp_path / "fresh.db"
    await (await UsageStore.open(fresh, SCOPE, clock=At())).close()
    with closing(sqlite3.connect(old)) as one, closing(sqlite3.connect(fresh)) as other:
        assert schema._shape(one) == schema._shape(other)
        assert schema.shape_is_right(one)


def test_columns_that_another_program_added_survive(old: Path) -> None:
    with closing(sqlite3.connect(old)) as store:
        store.execute("ALTER TABLE observation ADD COLUMN billed INTEGER NOT NULL DEFAULT 1")
    with closing(schema.connect(old)) as store:
        assert store.execute("SELECT sum(billed) FROM observation").fetchone() == (9,)


def test_a_change_of_version_that_breaks_off_changes_nothing(old: Path) -> None:
    before = said_by(old)
    with closing(sqlite3.connect(old, isolation_level=None)) as store:
        # Nobody else may make the table that comes after the text of another one was changed.
        store.execute("CREATE TABLE account_fact (x)")
        with pytest.raises(sqlite3.Error, match="account_fact"):
            schema.migrate(store, 2)
    assert version_of(old) == 2
    assert said_by(old) == before


def test_a_copy_of_a_run_is_known_by_its_version(old: Path) -> None:
    with closing(sqlite3.connect(old)) as store:
        (trigger,) = store.execute("SELECT sql FROM sqlite_schema WHERE name = 'run_updated'").fetchone()
        store.execute("DROP TRIGGER run_updated")
        store.execute("UPDATE run SET ok = 5 WHERE run_id = 1")
        store.execute(trigger)
        store.commit()
    with UsageReader(old) as reader, pytest.raises(StoreError, match="damaged"):
        reader.runs()


def test_a_store_of_version_2_without_its_head_is_repaired(old: Path) -> None:
    before = said_by(old)
    data = bytearray(old.read_bytes())
    data[:4096] = bytes(4096)
    old.write_bytes(data)
    result = repair_store(old)
    assert (result.observations, result.observations_lost) == (9, 0)
    assert [(run.run_id, run.accounts, run.lost, run.due) for run in result.runs] == [(2, 8, 0, 0), (1, 6, 0, 0)]
    assert said_by(old)[1:3] == before[1:3]
    assert version_of(old) == 3


def test_an_export_has_the_old_columns_first(old: Path, tmp_path: Path) -> None:
    target = tmp_path / "usage.csv"
    export_usage(old, target)
    columns = target.read_text("utf-8").splitlines()[0].split(",")
    assert columns[:10] == [
        "run_id",
        "account_id",
        "account_name",
        "state",
        "period_from",
        "period_to",
        "task_count",
        "cycle_count",
        "price_plan_id",
        "audit_info",
    ]
    assert columns[10:15] == ["observed_at", "provisional", "attempts", "error", "reason"]
    assert columns[15:] == ["api", "api_id", "parent_account_id", "task_audit_info"]
