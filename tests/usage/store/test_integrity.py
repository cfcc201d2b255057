"""A store that does not hold what was written to it says so, or it gives exactly what was written."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from cyclr_async.errors import NotFoundError, StoreError
from cyclr_async.usage import (
    RepairResult,
    RunScope,
    UsageReader,
    UsageRow,
    UsageStore,
    export_usage,
    repair_store,
    summarize,
)
from cyclr_async.usage.store.schema import _VERSION_1, APPLICATION_ID, SCHEMA_VERSION
from tests.support.sizes import few_of
from tests.support.usage_make import SEEN, At, account, bad, good
from tests.support.usage_server import PartnerServer, account_ids

PAGE = 4096
SCOPE = RunScope("https://api.example.com/api/partner", "partner-1", date(2026, 10, 1))


async def fill(path: Path, *, accounts: int = 24, runs: int = 1) -> None:
    """A store with every state in its last run, which is unfinished."""
    for number in range(runs):
        async with await UsageStore.open(path, SCOPE, resume=None, clock=At()) as store:
            await store.add_accounts([account(f"{one:032x}", f"ACME {one}") for one in range(accounts)])
            await store.finish_listing()
            for one in range(accounts - 4):
                await store.record(good(f"{one:032x}", one * 7 + number))
            await store.record(bad(f"{accounts - 1:032x}"))
            await store.record(bad(f"{accounts - 2:032x}", NotFoundError("no such account", status=404)))
            await store.finish("interrupted" if number == runs - 1 else "abandoned")


def read(path: Path) -> tuple[Any, ...]:
    with UsageReader(path) as reader:
        runs = [(run.run_id, run.scope, run.status, run.counts, run.listing_complete) for run in reader.runs()]
        return (
            runs,
            list(reader.rows()),
            list(reader.rows(all_observations=True)),
            reader.periods(),
            list(reader.comparable()),
        )


async def resume(path: Path) -> tuple[Any, ...]:
    async with await UsageStore.open(path, SCOPE, resume=True, clock=At()) as store:
        page = await store.pending(after=None, limit=1000)
        return store.listing_complete, await store.counts(), [(one.account_id, one.attempts) for one in page]


def damage(path: Path, kind: str, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    pages = len(data) // PAGE
    offset, page, other = chance.randrange(len(data)), chance.randrange(pages), chance.randrange(pages)
    here, there = slice(page * PAGE, (page + 1) * PAGE), slice(other * PAGE, (other + 1) * PAGE)
    match kind:
        case "bit":
            data[offset] ^= 1 << chance.randrange(8)
        case "noise":
            size = len(data[offset : offset + chance.randint(2, 300)])
            data[offset : offset + size] = chance.randbytes(size)
        case "zero":
            data[here] = bytes(PAGE)
        case "swap":
            data[here], data[there] = data[there], data[here]
        case "cut":
            del data[max(offset, 100) :]
    path.write_bytes(data)


async def outcome(path: Path, right: tuple[Any, ...], *, resuming: bool) -> str:
    """``"right"`` or ``"refused"``; anything else fails."""
    try:
        found = await resume(path) if resuming else read(path)
    except StoreError:
        return "refused"
    assert found == right
    return "right"


@few_of("seed", range(4), few=1)
@pytest.mark.parametrize("resuming", [False, True])
async def test_a_flipped_bit_is_noticed_or_changes_nothing(tmp_path: Path, seed: int, resuming: bool) -> None:
    base, path = tmp_path / "base.db", tmp_path / "usage.db"
    await fill(base)
    shutil.copy(base, path)
    right = await resume(path) if resuming else read(base)
    chance = random.Random(seed)
    found = []
    for _ in range(25):
        for left in tmp_path.glob("usage.db*"):  # noqa: ASYNC240
            left.unlink()
        shutil.copy(base, path)
        damage(path, "bit", chance)
        found.append(await outcome(path, right, resuming=resuming))
    assert {"right", "refused"} == set(found)


@pytest.mark.parametrize("kind", ["noise", "zero", "swap", "cut"])
async def test_larger_damage_is_noticed(tmp_path: Path, kind: str) -> None:
    base, path = tmp_path / "base.db", tmp_path / "usage.db"
    await fill(base, runs=2)
    right = read(base)
    chance = random.Random(kind)
    found = []
    for _ in range(15):
        for left in tmp_path.glob("usage.db*"):  # noqa: ASYNC240
            left.unlink()
        shutil.copy(base, path)
        damage(path, kind, chance)
        found.append(await outcome(path, right, resuming=False))
    assert "refused" in found


def edit(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as other:
        assert other.execute(statement).rowcount > 0
        other.commit()


ITEM = "WHERE account_id LIKE '%05'"
EDITS = [
    f"UPDATE observation SET task_count = 999 {ITEM}",
    f"UPDATE observation SET cycle_count = 999 {ITEM}",
    f"UPDATE observation SET price_plan_id = NULL {ITEM}",
    f"UPDATE observation SET audit_info = 'x' {ITEM}",
    f"UPDATE observation SET period_to = '2026-11-09T00:00:00.000000Z' {ITEM}",
    f"UPDATE observation SET period_from = '2026-09-01T00:00:00.000000Z' {ITEM}",
    f"UPDATE observation SET observed_at = '2026-11-02T09:00:00.000000Z' {ITEM}",
    f"UPDATE observation SET payload = '{{}}' {ITEM}",
    f"UPDATE observation SET payload = replace(payload, '35', '36') {ITEM}",
    f"UPDATE observation SET run_id = 7 {ITEM}",
    f"UPDATE observation SET account_id = 'somebody' {ITEM}",
    f"DELETE FROM observation {ITEM}",
    f"UPDATE item SET state = 'missing' {ITEM}",
    f"UPDATE item SET account_name = 'other' {ITEM}",
    f"UPDATE item SET attempts = 7 {ITEM}",
    f"UPDATE item SET reason = 'other' {ITEM}",
    f"UPDATE item SET account_id = 'somebody' {ITEM}",
    f"UPDATE item SET observed_at = NULL {ITEM}",
    f"UPDATE item SET account = '{{}}' {ITEM}",
    f"DELETE FROM item {ITEM}",
    "UPDATE item SET due = 0 WHERE state = 'pending'",
    "UPDATE item SET state = 'ok' WHERE state = 'pending'",
]


@pytest.mark.parametrize("statement", EDITS)
async def test_what_was_changed_is_not_reported(path: Path, statement: str) -> None:
    await fill(path)
    edit(path, statement)
    with pytest.raises(StoreError, match=r"damaged.*usage repair --store"):
        export_usage(path, path.with_name("usage.csv"))
    assert not path.with_name("usage.csv").exists()
    with UsageReader(path) as reader, pytest.raises(StoreError, match="damaged"):
        summarize(reader)
    with pytest.raises(StoreError, match="damaged"):
        await resume(path)


async def test_the_account_is_named(path: Path) -> None:
    await fill(path)
    edit(path, EDITS[0])
    with UsageReader(path) as reader, pytest.raises(StoreError, match=f"account '{5:032x}'"):
        list(reader.rows())


@pytest.mark.parametrize("column", ["listing_complete", "ok", "asked", "from_date", "updated_at", "partner"])
async def test_a_run_that_says_something_else_is_noticed(path: Path, column: str) -> None:
    await fill(path)
    with closing(sqlite3.connect(path)) as other:
        other.execute("DROP TRIGGER run_updated")  # a flipped bit runs no trigger
        other.execute(f"UPDATE run SET {column} = 0 WHERE run_id = 1")
        other.commit()
    for look in (lambda reader: reader.runs(), lambda reader: list(reader.rows()), summarize):
        with pytest.raises(StoreError, match="damaged"), UsageReader(path) as reader:
            look(reader)


@pytest.mark.parametrize("change", ["task_count = 999", "observed_copy = '2026-11-02T09:00:00.000000Z'"])
async def test_an_older_observation_counts_too(path: Path, change: str) -> None:
    await fill(path, runs=2)
    edit(path, f"UPDATE observation SET {change} WHERE run_id = 1 AND account_id LIKE '%05'")
    with UsageReader(path) as reader:
        assert len(list(reader.rows())) == 24  # of the second run, which is sound
        with pytest.raises(StoreError, match="has changed"):
            list(reader.rows(all_observations=True))
        with pytest.raises(StoreError, match="has changed"):
            list(reader.history(f"{1:032x}"))
        with pytest.raises(StoreError, match="has changed"):
            reader.periods()
    edit(path, "DELETE FROM observation WHERE run_id = 1 AND account_id LIKE '%05'")
    with UsageReader(path) as reader, pytest.raises(StoreError, match="39 observations, and 40 were written"):
        reader.periods()


async def test_a_collection_that_writes_meanwhile_is_no_damage(path: Path) -> None:
    await fill(path)
    with UsageReader(path) as reader:
        async with await UsageStore.open(path, SCOPE, resume=True, batch_size=1, clock=At()) as store:
            for number in range(40):
                await store.record(good(f"{number:032x}", number * 7))
                rows = list(reader.rows())
                assert len(rows) >= 24
        assert [row.task_count for row in reader.rows()] == list(range(0, 280, 7))


async def test_a_program_that_moves_times_does_no_damage(path: Path) -> None:
    await fill(path)
    times = [("run", "created_at"), ("run", "oldest_at"), ("item", "observed_at"), ("observation", "observed_at")]
    for table, column in times:
        edit(path, f"UPDATE {table} SET {column} = '2026-10-20T00:00:00.000000Z' WHERE {column} IS NOT NULL")
    rows = rows_of(path)
    assert {row.observed_at for row in rows.values() if row.state == "ok"} == {"2026-10-20T00:00:00Z"}
    with UsageReader(path) as reader:
        assert len(list(reader.rows(all_observations=True))) == 20


def old_store(path: Path) -> None:
    """Of schema version 1: without checksums."""
    with closing(sqlite3.connect(path)) as made:
        for statement in _VERSION_1:
            made.execute(statement)
        made.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        made.execute("PRAGMA user_version = 1")
        at, end, seen = ("2026-10-01T00:00:00.000000Z", "2026-11-01T00:00:00.000000Z", "2026-11-02T08:00:00.000000Z")
        made.execute(
            "INSERT INTO run VALUES (1, ?, ?, '2026-10-01', 'interrupted', ?, ?, NULL, 1, 2, 1, 0, 0, 0)",
            (SCOPE.base_url, SCOPE.partner, seen, seen),
        )
        made.execute("INSERT INTO item (run_id, account_id, state, due) VALUES (1, 'b', 'pending', 1)")
        made.execute(
            "INSERT INTO item (run_id, account_id, state, due, attempts, period_from, observed_at) "
            "VALUES (1, 'a', 'ok', 0, 1, ?, ?)",
            (at, seen),
        )
        payload = (
            '{"TaskCount":7,"CycleCount":2,"FromDate":"2026-10-01T02:00:00+02:00","ToDate":"2026-11-01T00:00:00",'
            '"CurrentPricePlanId":3,"AuditInfo":"007"}'
        )
        made.execute(
            "INSERT INTO observation VALUES ('a', ?, ?, 1, ?, 7, 2, 3, '007', ?)",
            (at, seen, end, payload),
        )
        made.commit()


@pytest.mark.parametrize("change", [None, "task_count = 8", "audit_info = '7'", "payload = '[]'", "payload = 'x'"])
@pytest.mark.parametrize("led_over", [False, True])
async def test_a_store_of_version_1_is_checked_against_its_answers(
    path: Path, change: str | None, led_over: bool
) -> None:
    old_store(path)
    if led_over:
        async with await UsageStore.open(path, None, resume=True, clock=At()) as store:
            await store.record(good("b", 9))
    if change is None:
        with UsageReader(path) as reader:
            assert [row.task_count for row in reader.rows()] == [7, 9 if led_over else None]
        return
    edit(path, f"UPDATE observation SET {change} WHERE account_id = 'a'")
    words = "account 'a' has changed" if led_over else "account 'a' and the answer kept beside differ"
    with UsageReader(path) as reader, pytest.raises(StoreError, match=words):
        list(reader.rows())
    with pytest.raises(StoreError, match=words.replace("what it says", "what was observed")):
        await UsageStore.open(path, None, resume=True, clock=At())


def damaged_page(path: Path, table: str) -> None:
    """Make noise of a page in the middle of a table."""
    with closing(sqlite3.connect(path)) as other:
        pages = [
            row[0] for row in other.execute("SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf'", (table,))
        ]
    data = bytearray(path.read_bytes())
    start = (pages[len(pages) // 2] - 1) * PAGE
    data[start : start + PAGE] = random.Random(5).randbytes(PAGE)
    path.write_bytes(data)


def has_dbstat() -> bool:
    with closing(sqlite3.connect(":memory:")) as made:
        return ("ENABLE_DBSTAT_VTAB",) in made.execute("PRAGMA compile_options").fetchall()


@pytest.mark.skipif(not has_dbstat(), reason="SQLite without dbstat")
@pytest.mark.parametrize("table", ["item", "observation"])
async def test_damage_is_refused_repaired_and_collected_again(path: Path, table: str) -> None:
    ids = account_ids(200)
    async with PartnerServer(ids) as server, server.session() as session:
        async with session.accounts.collect_usage(store=path) as run:
            async for _ in run:
                if run.progress.ok >= 150:
                    break
        before = rows_of(path)
        damaged_page(path, table)
        with pytest.raises(StoreError, match="usage repair"):
            await session.accounts.collect_usage(store=path).__aenter__()
        asked = server.requests
        result = repair_store(path)
        assert server.requests == asked
        assert not result.complete
        assert_saved(result, path, before)
        async with session.accounts.collect_usage(store=path) as run:
            outcomes = [outcome async for outcome in run]
            assert run.progress.ok == 200
        # Only what was lost or missing is asked for.
        assert len(outcomes) == server.requests - asked < 150
    rows = rows_of(path)
    assert set(rows) == set(ids)
    assert {(row.state, row.account_name is None) for row in rows.values()} == {("ok", False)}
    with UsageReader(path) as reader:
        assert [info.status for info in reader.runs()] == ["complete"]
        reader.periods()


def rows_of(path: Path) -> dict[str, UsageRow]:
    with UsageReader(path) as reader:
        return {row.account_id: row for row in reader.rows()}


def assert_saved(result: RepairResult, path: Path, before: dict[str, UsageRow]) -> None:
    after = rows_of(path)
    usages = {name: row for name, row in after.items() if row.state == "ok"}
    assert 20 < len(usages) <= len(before)
    for name, row in usages.items():
        was = before[name]
        assert (row.task_count, row.period_from, row.observed_at) == (was.task_count, was.period_from, was.observed_at)
    assert result.kept is not None
    assert result.kept.name == f"{path.name}.damaged"
    assert sorted(entry.name for entry in path.parent.iterdir()) == [path.name, result.kept.name]
    (run,) = result.runs
    assert run.accounts == len(after)
    assert result.observations_lost is not None
    assert run.lost is not None
    assert run.lost + run.due + run.rebuilt > 0


@few_of("seed", range(3), few=1)
async def test_repair_saves_nothing_wrong(tmp_path: Path, seed: int) -> None:
    base, path = tmp_path / "base.db", tmp_path / "usage.db"
    await fill(base, accounts=120)
    right = rows_of(base)
    chance = random.Random(seed)
    repaired = resumed = 0
    for kind in ["bit"] * 8 + ["noise", "zero", "cut"] * 2:
        for left in tmp_path.glob("usage.db*"):  # noqa: ASYNC240
            left.unlink()
        shutil.copy(base, path)
        damage(path, kind, chance)
        broken = path.read_bytes()
        try:
            result = repair_store(path)
        except StoreError as error:
            assert "begin with a new one" in str(error)  # noqa: PT017
            assert path.read_bytes() == broken
            continue
        if result.kept is not None:
            repaired += 1
            assert result.kept.read_bytes() == broken
        for name, row in rows_of(path).items():
            assert row.state == "pending" or (row.state, row.task_count) == (right[name].state, right[name].task_count)
        with UsageReader(path) as reader:
            (run,) = reader.runs()
        if run.status == "abandoned":
            # The damage took its day or its age: without them nobody can tell whether its figures may be continued.
            assert (run.scope.from_date, run.created_at) != (SCOPE.from_date, SEEN)
            with pytest.raises(StoreError, match="its last run, 1, is abandoned; begin a new run"):
                await resume(path)
        else:
            await resume(path)
            resumed += 1
    assert repaired > 3
    assert resumed > 3


async def test_a_damaged_run_keeps_its_accounts(path: Path) -> None:
    await fill(path)
    with closing(sqlite3.connect(path)) as other:
        other.execute("DROP TRIGGER run_updated")
        other.execute("UPDATE run SET ok = 21, listing_complete = 0")
        other.commit()
    result = repair_store(path)
    assert [(run.accounts, run.lost, run.due) for run in result.runs] == [(24, None, 0)]
    assert (result.observations, result.observations_lost) == (20, None)
    async with await UsageStore.open(path, SCOPE, resume=True, clock=At()) as store:
        assert (await store.counts()).ok == 20


async def test_a_store_of_a_later_release_is_not_repaired(path: Path) -> None:
    await fill(path)
    with closing(sqlite3.connect(path)) as other:
        other.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(StoreError, match=f"schema version {SCHEMA_VERSION + 1}"):
        UsageReader(path)
    later = path.with_name("later.db")
    shutil.copy(path, later)
    with closing(sqlite3.connect(later)) as other:
        other.execute("ALTER TABLE item ADD COLUMN later TEXT")
    with pytest.raises(StoreError, match="later release"):
        repair_store(later)
    assert repair_store(path).complete  # one bit of the version had changed, and nothing else
    assert len(rows_of(path)) == 24


async def test_a_sound_store_is_left_alone(path: Path) -> None:
    await fill(path)
    before = path.read_bytes()  # noqa: ASYNC240
    result = repair_store(path)
    assert (result.kept, result.complete, result.observations) == (None, True, 20)
    assert path.read_bytes() == before  # noqa: ASYNC240
    async with await UsageStore.open(path, SCOPE, resume=True, clock=At()):
        with pytest.raises(StoreError, match="in use"):
            repair_store(path)
    with pytest.raises(StoreError, match="no store"):
        repair_store(path.with_name("none.db"))
    text = path.with_name("text.txt")
    text.write_text("not a store " * 1000)
    with pytest.raises(StoreError, match="begin with a new one"):
        repair_store(text)
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["text.txt", "usage.db"]
