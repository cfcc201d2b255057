"""What a customer has used with all sub-accounts."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cyclr_async.errors import StoreError
from cyclr_async.usage import RunScope, UsageReader, UsageStore, render, summarize
from cyclr_async.usage.store.api_rows import Listed
from tests.support.usage_make import At, account, bad, good

SCOPE = RunScope("https://api.example.com/api/partner", "partner-1", ids="tree")
VERSION_2 = Path(__file__).parent / "data" / "version_2.sqlite"


async def filled(path: Path, listed: list[Any], tasks: dict[str, int | None]) -> None:
    async with await UsageStore.open(path, SCOPE, resume=False, clock=At()) as store:
        await store.register(listed)
        for name, count in tasks.items():
            await store.record(bad(name) if count is None else good(name, count))
        await store.finish("complete")


def of(name: str, parent: str | None = None) -> Any:
    found = account(name, f"{name.upper()} Ltd")
    return found if parent is None else Listed(found, parent)


async def test_trees_sum_every_level_and_say_what_is_missing(path: Path) -> None:
    listed = [of("a"), of("a1", "a"), of("a2", "a"), of("a11", "a1"), of("b"), of("c"), of("c1", "c"), of("x1", "x")]
    tasks = {"a": 1, "a1": 10, "a2": None, "a11": 1000, "b": 7, "c": None, "c1": 5, "x1": 2}
    await filled(path, listed, tasks)
    with UsageReader(path) as reader:
        trees = list(reader.trees())
        assert [
            (
                tree.root_account_id,
                tree.account_name,
                tree.accounts,
                tree.collected,
                tree.task_count,
                tree.own_task_count,
            )
            for tree in trees
        ] == [
            ("a", "A Ltd", 4, 3, 1011, 1),
            ("b", "B Ltd", 1, 1, 7, 7),
            ("c", "C Ltd", 2, 1, 5, 0),
            ("x", None, 1, 1, 2, 0),  # the run does not have the account at the top
        ]
        assert [tree.has_root for tree in trees] == [True, True, True, False]
        assert sum(tree.task_count for tree in trees) == sum(count or 0 for count in tasks.values())
        assert sum(tree.accounts for tree in trees) == len(listed)
        assert (trees[0].period_from_min, trees[0].period_to_max) == ("2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z")
        summary = summarize(reader, now=At().moment)
    assert [tree.root_account_id for tree in summary.trees] == ["a", "c", "x"]
    assert summary.tree_count == 3
    lines = render(summary)
    assert "  A Ltd: 1,011 tasks in 3 accounts, 1 of them its own; 1 accounts are missing from it" in lines
    with UsageReader(path) as reader:
        assert "  and 2 more; UsageReader.trees() has them all" in render(summarize(reader, top=1))


async def test_a_run_knows_the_tree_of_its_time(path: Path) -> None:
    await filled(path, [of("a"), of("b"), of("c", "a")], {"a": 1, "b": 2, "c": 3})
    await filled(path, [of("a"), of("b"), of("c", "b")], {"a": 10, "b": 20, "c": 30})
    with UsageReader(path) as reader:
        assert {tree.root_account_id: tree.task_count for tree in reader.trees(1)} == {"a": 4, "b": 2}
        assert {tree.root_account_id: tree.task_count for tree in reader.trees(2)} == {"a": 10, "b": 50}
        with pytest.raises(StoreError, match="no run 3"):
            list(reader.trees(3))


async def test_accounts_above_themselves_do_not_hang(path: Path) -> None:
    await filled(path, [of("a", "b"), of("b", "a"), of("c", "c")], {"a": 1, "b": 2, "c": 4})
    with UsageReader(path) as reader:
        assert sum(tree.task_count for tree in reader.trees()) == 7


async def test_an_open_period_is_provisional_in_its_tree(path: Path) -> None:
    async with await UsageStore.open(path, SCOPE, clock=At()) as store:
        await store.register([of("a"), of("a1", "a")])
        await store.record(good("a", 1))
        await store.record(good("a1", 2, seen=datetime(2026, 10, 20, tzinfo=UTC)))
        await store.finish("complete")
    with UsageReader(path) as reader:
        (tree,) = reader.trees()
        assert (tree.provisional, tree.collected, tree.cycle_count) == (1, 2, 4)


def test_a_store_of_an_earlier_version_knows_no_sub_accounts(path: Path) -> None:
    shutil.copy(VERSION_2, path)
    with UsageReader(path) as reader:
        trees = list(reader.trees(1))
        assert [(tree.accounts, tree.task_count) for tree in trees] == [(1, 100 * number) for number in range(6)]
        assert summarize(reader).trees == ()
