"""What is known of an account beyond a run is kept once, and known to every run from then on."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from cyclr_async.errors import StoreError
from cyclr_async.usage import RunScope, UsageReader, UsageStore, repair_store
from cyclr_async.usage.store.api_rows import Listed
from tests.support.usage_make import At, account, good

SCOPE = RunScope("https://api.example.com/api/partner", "partner-1", date(2026, 10, 1))


async def run_of(path: Path, accounts: Sequence[Any], *, tasks: int = 7) -> int:
    """Collect accounts in a run of their own."""
    async with await UsageStore.open(path, SCOPE, resume=False, clock=At()) as store:
        await store.register(accounts)
        await store.finish_listing()
        for one in accounts:
            await store.record(good(one if isinstance(one, str) else one.id, tasks))
        await store.finish("complete")
        return store.run_id


def parents(path: Path, run_id: int | None = None) -> dict[str, str | None]:
    with UsageReader(path) as reader:
        return {row.account_id: row.parent_account_id for row in reader.rows(run_id)}


def facts(path: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as store:
        query = "SELECT account_id, run_id, parent_account_id FROM account_fact ORDER BY account_id, run_id"
        return store.execute(query).fetchall()


def child(name: str, parent: str) -> Listed:
    return Listed(account(name), parent)


async def test_a_parent_is_kept_once_and_every_month_knows_it(path: Path) -> None:
    for _ in range(3):
        await run_of(path, [account("a"), child("b", "a"), child("c", "b"), "d"])
    assert facts(path) == [("b", 1, "a"), ("c", 1, "b")]
    for run_id in (1, 2, 3):
        assert parents(path, run_id) == {"a": None, "b": "a", "c": "b", "d": None}
    with UsageReader(path) as reader:
        observed = [(row.run_id, row.parent_account_id) for row in reader.rows(all_observations=True)]
        assert [row.parent_account_id for row in reader.history("b")] == ["a"] * 3
    assert observed.count((2, "a")) == 1


async def test_a_change_is_of_the_run_that_saw_it(path: Path) -> None:
    await run_of(path, [account("a"), account("b"), child("c", "a")])
    await run_of(path, [account("a"), account("b"), child("c", "b")])
    await run_of(path, [account("a"), account("b"), account("c")])  # it is nobody's any more
    await run_of(path, ["c"])  # an id says nothing of a parent
    assert facts(path) == [("c", 1, "a"), ("c", 2, "b"), ("c", 3, None)]
    assert [parents(path, run_id)["c"] for run_id in (1, 2, 3, 4)] == ["a", "b", None, None]


async def test_the_list_does_not_take_away_what_the_parent_said_in_the_same_run(path: Path) -> None:
    async with await UsageStore.open(path, SCOPE, clock=At()) as store:
        await store.register([child("c", "a")])
        await store.register([account("c"), account("d")])
        await store.register([child("d", "a")])
        page = await store.pending(after=None, limit=10)
        assert [(one.account_id, one.parent_account_id) for one in page] == [("c", "a"), ("d", "a")]
    assert parents(path) == {"c": "a", "d": "a"}
    with closing(sqlite3.connect(path)) as store_file:
        assert store_file.execute("SELECT facts FROM run").fetchone() == (2,)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE account_fact SET parent_account_id = 'x' WHERE account_id = 'b'",
        "UPDATE account_fact SET run_id = 2 WHERE account_id = 'b'",
        "DELETE FROM account_fact WHERE account_id = 'b'",
        "INSERT INTO account_fact SELECT account_id, 2, parent_account_id, task_audit_info, checksum FROM account_fact",
    ],
)
async def test_a_changed_fact_is_noticed_and_not_repaired_into_a_lie(path: Path, change: str) -> None:
    await run_of(path, [account("a"), child("b", "a"), child("c", "a")])
    with closing(sqlite3.connect(path)) as store:
        store.execute(change)
        store.commit()
    with UsageReader(path) as reader, pytest.raises(StoreError, match="damaged"):
        list(reader.rows())
    with pytest.raises(StoreError, match="damaged"):
        await UsageStore.open(path, SCOPE, resume=False, clock=At())
    repair_store(path)
    assert set(parents(path).items()) <= {("a", None), ("b", "a"), ("b", None), ("c", "a")}
    with UsageReader(path) as reader:
        # What was lost comes back with the account list, which is therefore read again.
        lost = parents(path)["b"] is None
        assert reader.run().status == ("partial" if lost else "complete")
        assert reader.run().listing_complete is not lost


async def test_facts_survive_the_loss_of_the_head(path: Path) -> None:
    await run_of(path, [account("a"), *(child(f"b{number}", "a") for number in range(200))])
    before = parents(path)
    data = bytearray(path.read_bytes())  # noqa: ASYNC240
    data[:4096] = random.Random(7).randbytes(4096)
    path.write_bytes(data)  # noqa: ASYNC240
    assert repair_store(path).complete
    assert parents(path) == before
