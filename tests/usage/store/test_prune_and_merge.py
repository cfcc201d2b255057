"""Pruning and merging lose no figure: against dictionaries that say what a store should know."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyclr_async.errors import InvalidArgumentError, StoreError
from cyclr_async.usage import (
    UsageReader,
    close_period,
    closed_lines,
    find_closing,
    merge_stores,
    prune_store,
    read_closings,
    read_statement,
    reopen_period,
)
from cyclr_async.usage.store.locking import StoreLock
from tests.support.usage_months import BASE_URL, StoreMaker

NOW = datetime(2027, 6, 1, tzinfo=UTC)
MONTHS = ["2026-09", "2026-10", "2026-11"]
Seen = tuple[str, str, int]
"""An account, a month, and its tasks."""
Runs = list[list[Seen]]
Figures = dict[tuple[str, str], tuple[str, int]]

SEEN = st.tuples(st.sampled_from("abc"), st.sampled_from(MONTHS), st.integers(0, 99))
RUNS = st.lists(st.lists(SEEN, max_size=5, unique_by=lambda seen: seen[:2]), max_size=5)


def fill(
    path: Path, runs: Runs, *, minute: int = 0, status: str = "complete"
) -> dict[tuple[str, str], tuple[str, int]]:
    """Write runs of a day each, and return what counts: by account and month, when it was seen and the tasks."""
    figures: Figures = {}
    with StoreMaker(path) as store:
        for number, seen in enumerate(runs):
            store.run(f"2027-01-{number + 1:02}T00:{minute:02}:00", status=status)
            for order, (account, month, tasks) in enumerate(seen):
                store.list(account, name=account.upper())
                at = f"2027-01-{number + 1:02}T01:{minute:02}:{order:02}"
                store.usage(account, f"{month}-01", f"{month}-28", tasks, seen=at)
                figures[account, month] = max(figures.get((account, month), ("", 0)), (at, tasks))
    return figures


def figures_of(path: Path) -> dict[tuple[str, str], int]:
    found = {}
    for month in MONTHS:
        for line in read_statement(path, month, now=NOW).lines():
            found[line.account_id, month] = line.task_count
    return found


def check(path: Path) -> None:
    """Read every run, with all that is checked on the way."""
    with UsageReader(path) as reader:
        for run in reader.runs():
            list(reader.rows(run.run_id))
        list(reader.rows(all_observations=True))


@settings(max_examples=15, deadline=None)
@given(RUNS, st.integers(0, 200))
def test_pruning_loses_no_figure(tmp_path_factory: pytest.TempPathFactory, runs: Runs, days: int) -> None:
    path = tmp_path_factory.mktemp("prune") / "usage.db"
    expected = {key: tasks for key, (_, tasks) in fill(path, runs).items()}
    before = figures_of(path)
    assert before == expected
    counted = prune_store(path, older_than=timedelta(days=days), dry_run=True, now=NOW)
    assert figures_of(path) == expected
    result = prune_store(path, older_than=timedelta(days=days), now=NOW)
    assert (result.removed, result.kept) == (counted.removed, counted.kept)
    assert result.removed + result.kept == sum(map(len, runs))
    assert figures_of(path) == expected
    check(path)
    if days == 0 and runs:
        # What is left besides the figures is of the newest run.
        assert result.kept <= len(expected) + len(runs[-1])
    assert prune_store(path, older_than=timedelta(days=days), now=NOW).removed == 0


@settings(max_examples=15, deadline=None)
@given(RUNS, RUNS, st.booleans())
def test_merging_loses_no_figure(
    tmp_path_factory: pytest.TempPathFactory, one: Runs, other: Runs, earlier: bool
) -> None:
    folder = tmp_path_factory.mktemp("merge")
    first, second = folder / "one.db", folder / "other.db"
    figures = fill(first, one, minute=30)
    for key, seen in fill(second, other, minute=20 if earlier else 40).items():
        figures[key] = max(figures.get(key, seen), seen)
    bytes_before = second.read_bytes()
    result = merge_stores(first, [second])
    assert figures_of(first) == {key: tasks for key, (_, tasks) in figures.items()}
    assert (result.runs, result.added) == (len(one) + len(other), len(other))
    assert result.observations == sum(map(len, one)) + sum(map(len, other))
    check(first)
    assert second.read_bytes() == bytes_before
    with UsageReader(first) as reader:
        created = [run.created_at for run in reader.runs()]
    assert created == sorted(created, reverse=True)  # the newest run is the newest still
    again = merge_stores(first, [second])
    assert (again.runs, again.added, again.observations) == (result.runs, 0, result.observations)
    assert {path.name for path in folder.iterdir()} <= {"one.db", "other.db", "one.db.lock", "other.db.lock"}


def test_what_a_closing_was_made_from_stays(path: Path) -> None:
    fill(path, [[("a", "2026-10", 5)], [("a", "2026-10", 6)], [("a", "2026-10", 7)], [("b", "2026-09", 1)]])
    with closing(sqlite3.connect(path)) as store:
        assert store.execute("SELECT count(*) FROM observation").fetchone() == (4,)
    close_period(path, "2026-10", by="Kim", now=NOW)
    with StoreMaker(path) as store_:
        store_.run("2027-02-01")
        store_.list("a").usage("a", "2026-10-01", "2026-10-28", 8)
        store_.run("2027-02-02")
    result = prune_store(path, older_than=timedelta(0), now=NOW)
    assert (result.removed, result.kept) == (2, 3)
    found = find_closing(path, "2026-10")
    assert found is not None
    assert [line.task_count for line in closed_lines(path, found)] == [7]
    with UsageReader(path) as reader:
        assert [row.task_count for row in reader.history("a")] == [7, 8]


def test_unfinished_runs_are_not_pruned(path: Path) -> None:
    fill(path, [[("a", "2026-10", 5)]], status="partial")
    with StoreMaker(path) as store:
        store.run("2027-02-01")
        store.list("a").usage("a", "2026-10-01", "2026-10-28", 8)
    assert prune_store(path, older_than=timedelta(0), now=NOW).removed == 0


def test_stores_that_share_a_past(path: Path, tmp_path: Path) -> None:
    fill(path, [[("a", "2026-10", 5)], [("a", "2026-10", 6), ("b", "2026-10", 1)]])
    close_period(path, "2026-10", by="Kim", now=NOW)
    copy = tmp_path / "copy.db"
    shutil.copy(path, copy)
    with StoreMaker(copy) as store:
        store.run("2027-02-01")
        store.list("a").usage("a", "2026-11-01", "2026-11-28", 8)
    result = merge_stores(path, [copy])
    assert (result.runs, result.added, result.observations, result.closings) == (3, 1, 4, 1)
    found = find_closing(path, "2026-10")
    assert found is not None
    assert (found.runs, [line.run_id for line in closed_lines(path, found)]) == ((2,), [2, 2])


def test_closings_of_two_stores(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    fill(path, [[("a", "2026-10", 5)]])
    fill(other, [[("b", "2026-10", 6)], [("b", "2026-11", 9)]], minute=5)
    close_period(path, "2026-10", by="Kim", now=NOW)
    close_period(other, "2026-10", by="Alex", now=NOW)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="have both closed 2026-10-01"):
        merge_stores(path, [other])
    assert path.read_bytes() == before
    reopen_period(other, "2026-10", by="Alex", reason="twice", now=NOW)
    assert merge_stores(path, [other]).closings == 2
    closed = {found.closed_by: found for found in read_closings(path)}
    assert (closed["Alex"].reopen_reason, closed["Kim"].in_force) == ("twice", True)
    assert [(line.account_id, line.run_id) for line in closed_lines(path, closed["Alex"])] == [("b", 2)]


@pytest.mark.parametrize("opened_in", ["copy", "target"])
def test_a_month_that_was_opened_again_in_one_of_two_copies(path: Path, tmp_path: Path, opened_in: str) -> None:
    fill(path, [[("a", "2026-10", 5)]])
    close_period(path, "2026-10", by="Kim", now=NOW)
    copy = tmp_path / "copy.db"
    shutil.copy(path, copy)
    newer = copy if opened_in == "copy" else path
    reopen_period(newer, "2026-10", by="Alex", reason="wrong", now=NOW)
    assert merge_stores(path, [copy]).closings == 1
    (found,) = read_closings(path)
    assert (found.closed_by, found.reopened_by, found.reopen_reason) == ("Kim", "Alex", "wrong")
    # And closed once more there, while the other copy knows nothing of it.
    close_period(newer, "2026-10", by="Robin", now=NOW)
    assert merge_stores(path, [copy]).closings == 2
    now = find_closing(path, "2026-10")
    assert now is not None
    assert now.closed_by == "Robin"


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE closed_line SET task_count = 4",
        "DELETE FROM closed_line",
        "DELETE FROM closed_gap",
        "UPDATE closing SET task_count = 4, closed_by = 'Somebody else'",
    ],
)
@pytest.mark.parametrize("changed", ["target", "other"])
def test_a_merge_makes_no_changed_closing_sound(path: Path, tmp_path: Path, change: str, changed: str) -> None:
    other = tmp_path / "other.db"
    fill(path, [[("a", "2026-10", 5)]])
    with StoreMaker(path) as made:
        made.run("2027-01-09", from_date="2026-10-01")
        made.list("a").list("bad").refused("bad", "failed")
    assert close_period(path, "2026-10", by="Kim", accept={"missing"}, now=NOW).gaps == 1
    shutil.copy(path, other)
    if changed == "other":
        path.unlink()
        fill(path, [[("c", "2026-10", 1)]], minute=9)
    with closing(sqlite3.connect(other if changed == "other" else path)) as store:
        store.execute(change)
        store.commit()
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"is damaged: (what|the closing)"):
        merge_stores(path, [other])
    assert path.read_bytes() == before


def test_what_is_not_merged(path: Path, tmp_path: Path) -> None:
    fill(path, [[("a", "2026-10", 5)]])
    other = tmp_path / "other.db"
    with pytest.raises(StoreError, match="there is no store"):
        merge_stores(path, [other])
    for wrong in ([], [path], [tmp_path / "x.db", tmp_path / "x.db"]):
        with pytest.raises(InvalidArgumentError, match="name the stores"):
            merge_stores(path, wrong)
    fill(other, [[("a", "2026-10", 5)]], minute=1)
    with closing(sqlite3.connect(other)) as store:
        store.execute("UPDATE run SET partner = 'somebody else'")
        store.commit()
    with pytest.raises(StoreError, match="belongs to another partner"):
        merge_stores(path, [other])
    with closing(sqlite3.connect(other)) as store:
        store.execute("UPDATE run SET partner = 'partner.example.com', base_url = ?", (f"{BASE_URL}/else",))
        store.commit()
    with pytest.raises(StoreError, match="use one store per host"):
        merge_stores(path, [other])
    lock = StoreLock(other)
    lock.acquire()
    try:
        with pytest.raises(StoreError, match="in use"):
            merge_stores(path, [other])
    finally:
        lock.release()


def test_a_store_of_an_earlier_version_is_merged(path: Path, tmp_path: Path) -> None:
    old = tmp_path / "old.db"
    shutil.copy(Path(__file__).parent / "data" / "version_2.sqlite", old)
    before = old.read_bytes()
    with UsageReader(old) as reader:
        rows = [row.task_count for row in reader.rows(all_observations=True)]
        (scope, *_) = [run.scope for run in reader.runs()]
    fill(path, [[("a", "2026-10", 5)]])
    with closing(sqlite3.connect(path)) as store:
        store.execute("UPDATE run SET partner = ?, base_url = ?", (scope.partner, scope.base_url))
        store.commit()
    assert merge_stores(path, [old]).observations == 1 + len(rows)
    check(path)
    assert old.read_bytes() == before


def test_what_cannot_be_pruned(path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store"):
        prune_store(path)
    fill(path, [[("a", "2026-10", 5)]])
    with pytest.raises(InvalidArgumentError, match="negative"):
        prune_store(path, older_than=timedelta(days=-1))
    with closing(sqlite3.connect(path)) as store:
        store.execute("UPDATE observation SET task_count = 9")
        store.commit()
    with pytest.raises(StoreError, match="damaged"):
        prune_store(path)
