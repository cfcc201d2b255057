"""Makes a store of many months and accounts, for measuring statements: ``python -m benchmarks.month_store FILE``.

Written straight into the tables, in the order of their keys, because a collection of 24 million answers takes an hour.
What stands in them is what a collection would have written: the store passes every check of its integrity.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cyclr_async.usage.months.periods import add_months
from cyclr_async.usage.store.integrity import checksum
from cyclr_async.usage.store.rows import utc_text
from cyclr_async.usage.store.schema import connect

FIRST = datetime(2024, 11, 1, tzinfo=UTC)


def make(path: Path, accounts: int, months: int) -> None:
    """Write a store of so many accounts, each with a period a month, observed once it was over."""
    with closing(connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")  # a store that breaks off is made anew
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA cache_size = -400000")
        # Built at the end in one go: kept up to date row by row, a table of 24 million takes an hour.
        (index,) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'observation_month'").fetchone()
        connection.execute("DROP INDEX observation_month")
        connection.execute("BEGIN")
        runs = [_run(connection, month, accounts) for month in range(months)]
        connection.executemany(
            "INSERT INTO observation (account_id, period_from, observed_at, run_id, period_to, task_count, "
            "cycle_count, price_plan_id, audit_info, payload, observed_copy, checksum, figure_sum) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            _observations(accounts, runs),
        )
        for month, (run_id, _) in enumerate(runs):
            connection.executemany(
                "INSERT INTO item (run_id, account_id, state, due, attempts, updated_at, period_from, observed_at, "
                "account_name, account_plan_id, account_audit_info, account, checksum) "
                "VALUES (?, ?, 'ok', 0, 1, ?, ?, ?, ?, ?, ?, ?, ?)",
                _items(accounts, run_id, month, runs),
            )
        connection.execute("COMMIT")
        connection.execute(index)
        connection.execute("PRAGMA journal_mode = WAL")


def _run(connection: sqlite3.Connection, month: int, accounts: int) -> tuple[int, str]:
    at = utc_text(add_months(FIRST, month + 2) + timedelta(days=2))
    cursor = connection.execute(
        "INSERT INTO run (base_url, partner, ids, status, created_at, updated_at, finished_at, listing_complete, "
        "asked, ok, observations, oldest_at) "
        "VALUES ('https://api.example.com/api/partner', 'partner.example.com', 'all', "
        "'complete', ?, ?, ?, 1, ?, ?, ?, ?)",
        (at, at, at, accounts, accounts, accounts, at),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid, at


def _account_id(index: int) -> str:
    # As the partner API makes them: 32 hexadecimal digits. In order, so that the table is written from its beginning.
    return f"{index:08x}{index * 2654435761 % 2**32:08x}5f3759df9e3779b9"


def _period(index: int, month: int) -> tuple[str, str]:
    begin = add_months(FIRST, month) + timedelta(days=index % 28, seconds=index * 7919 % 86400)
    return utc_text(begin), utc_text(add_months(begin, 1) - timedelta(days=1))


def _observations(accounts: int, runs: list[tuple[int, str]]) -> Iterator[tuple[object, ...]]:
    for index in range(accounts):
        account_id = _account_id(index)
        for month, (run_id, at) in enumerate(runs):
            start, end = _period(index, month)
            tasks, cycles, plan = index * 31 % 5000 + month * 17, index % 9, index % 5 + 1
            payload = json.dumps(
                {
                    "TaskCount": tasks,
                    "CycleCount": cycles,
                    "FromDate": start[:19],
                    "ToDate": end[:19],
                    "CurrentPricePlanId": plan,
                    "AuditInfo": f"customer-{index // 3}",
                },
                separators=(",", ":"),
            )
            figures = account_id, start, end, tasks, cycles, plan, f"customer-{index // 3}"
            whole = checksum(*figures, payload)
            yield (account_id, start, at, run_id, end, *figures[3:], payload, at, whole, checksum(*figures))


def _items(accounts: int, run_id: int, month: int, runs: list[tuple[int, str]]) -> Iterator[tuple[object, ...]]:
    at = runs[month][1]
    for index in range(accounts):
        account_id, name, plan, audit = _account_id(index), f"Customer {index // 3} unit {index}", index % 5 + 1, None
        start, end = _period(index, month)
        document = json.dumps(
            {
                "Id": account_id,
                "Name": name,
                "Description": None,
                "PricePlanId": plan,
                "AuditInfo": audit,
                "LastBillDate": start[:19],
                "NextBillDate": end[:19],
            },
            separators=(",", ":"),
        )
        total = checksum(account_id, 1, None, None, name, plan, audit, document)
        yield run_id, account_id, at, start, at, name, plan, audit, document, total


def main() -> None:
    """Make the store, and say how long it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--accounts", type=int, default=1_000_000)
    parser.add_argument("--months", type=int, default=24)
    given = parser.parse_args()
    begun = time.perf_counter()
    make(given.file, given.accounts, given.months)
    size = given.file.stat().st_size / 1e9
    sys.stdout.write(f"{given.file}: {size:.1f} GB in {time.perf_counter() - begun:.0f} s\n")


if __name__ == "__main__":
    main()
