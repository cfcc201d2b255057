"""Lines by customer, parent or plan: however many groups there are, they are added up on disk and not in memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING

from cyclr_async.usage.months.statement import Gap, GroupTotal, StatementLine

if TYPE_CHECKING:
    from cyclr_async.usage.months.read import Statement

__all__ = ["group_lines", "parents_of", "top_parent"]


def parents_of(statement: Statement) -> dict[str, str]:
    """Return the parent of every account that has one: memory for the sub-accounts, and for nobody else."""
    found = ((entry.account_id, entry.parent_account_id) for entry in statement.entries())
    return {account_id: parent for account_id, parent in found if parent is not None}


def top_parent(account_id: str, parents: Mapping[str, str]) -> str:
    """Return the account at the top of an account's parents; itself when it has none."""
    top, seen = account_id, {account_id}
    while top in parents and parents[top] not in seen:
        top = parents[top]
        seen.add(top)  # what the API says could go round in a circle
    return top


def group_lines(lines: Iterable[tuple[str | None, StatementLine | Gap]]) -> Iterator[GroupTotal]:
    """Yield the sums of lines by a key, most tasks first.

    Args:
        lines: each with its key; gaps are left out.
    """
    # A database of its own that is nowhere but in a temporary file: a million customers need no memory.
    with closing(sqlite3.connect("", isolation_level=None)) as spool:
        spool.execute(
            """
            CREATE TABLE part (
                key TEXT, tasks INTEGER, cycles INTEGER, provisional INTEGER, compared INTEGER, previous INTEGER
            )
            """
        )
        spool.execute("BEGIN")
        spool.executemany("INSERT INTO part VALUES (?, ?, ?, ?, ?, ?)", _parts(lines))
        # Sums that SQLite's integers cannot hold end in an error, and never in a float.
        found = spool.execute(
            """
            SELECT key, count(*), sum(tasks), sum(cycles), sum(provisional), sum(compared),
                coalesce(sum(iif(compared, tasks, 0)), 0), sum(previous)
            FROM part GROUP BY key ORDER BY 3 DESC, key IS NULL, key
            """
        )
        for row in found:
            yield GroupTotal(*row)


def _parts(lines: Iterable[tuple[str | None, StatementLine | Gap]]) -> Iterator[tuple[object, ...]]:
    for key, line in lines:
        if isinstance(line, StatementLine):
            before = line.previous_task_count
            compared = before is not None
            yield key, line.task_count, line.cycle_count or 0, line.provisional, compared, before or 0
