"""Making a store smaller without losing a figure: observations that later ones have superseded are removed."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import attrs

from cyclr_async.errors import InvalidArgumentError, StoreError
from cyclr_async.usage.store.integrity import check_history, check_runs
from cyclr_async.usage.store.locking import StoreLock
from cyclr_async.usage.store.paths import shown, store_path
from cyclr_async.usage.store.rows import utc_text
from cyclr_async.usage.store.schema import connect, store_errors

__all__ = ["PruneResult", "prune_store"]

# A figure is the last observation of a period: what came before it can go. What was closed stays, because a closing
# says from which observations; and so does what an unfinished run, or the newest, may still be asked for.
_DOOMED: Final = """
    INSERT INTO temp.doomed
    SELECT o.account_id, o.period_from, o.observed_at, o.run_id FROM observation AS o
    JOIN run AS r ON r.run_id = o.run_id
    WHERE o.observed_at < ? AND r.status IN ('complete', 'abandoned')
        AND r.run_id <> (SELECT max(run_id) FROM run)
        AND EXISTS (
            SELECT 1 FROM observation AS n WHERE n.account_id = o.account_id AND n.period_from = o.period_from
                AND (n.observed_at, n.run_id) > (o.observed_at, o.run_id))
        AND NOT EXISTS (
            SELECT 1 FROM closing AS c JOIN closed_line AS l
                ON l.closing_id = c.closing_id AND l.account_id = o.account_id AND l.run_id = o.run_id)
"""
_STEPS: Final = (
    # An account of a run whose usage goes is no longer one of the run: its counters say so, and it is no whole list.
    """
    CREATE TABLE temp.left_out AS SELECT i.run_id, i.account_id FROM item AS i JOIN temp.doomed AS d
        ON (d.account_id, d.period_from, d.observed_at, d.run_id)
        = (i.account_id, i.period_from, i.observed_at, i.run_id)
    """,
    "DELETE FROM item WHERE (run_id, account_id) IN (SELECT run_id, account_id FROM temp.left_out)",
    """
    DELETE FROM observation WHERE (account_id, period_from, observed_at, run_id)
        IN (SELECT account_id, period_from, observed_at, run_id FROM temp.doomed)
    """,
    """
    UPDATE run SET asked = asked - l.number, ok = ok - l.number, listing_complete = 0
    FROM (SELECT run_id, count(*) AS number FROM temp.left_out GROUP BY run_id) AS l WHERE l.run_id = run.run_id
    """,
    """
    UPDATE run SET observations = observations - d.number
    FROM (SELECT run_id, count(*) AS number FROM temp.doomed GROUP BY run_id) AS d WHERE d.run_id = run.run_id
    """,
    """
    UPDATE run SET oldest_at = (SELECT min(observed_at) FROM item WHERE item.run_id = run.run_id)
    WHERE run_id IN (SELECT run_id FROM temp.left_out)
    """,
)


@attrs.frozen
class PruneResult:
    """What :func:`prune_store` did.

    Attributes:
        path: of the store.
        removed: how many observations were removed.
        kept: how many there are now.
        size_before: of the file, in bytes.
        size: of the file now.
    """

    path: Path
    removed: int
    kept: int
    size_before: int
    size: int


def prune_store(
    store: str | os.PathLike[str],
    *,
    older_than: timedelta = timedelta(days=90),
    dry_run: bool = False,
    now: datetime | None = None,
) -> PruneResult:
    """Remove the observations that later ones of the same period have superseded; blocks.

    No figure changes: of every period the last observation stays, and so do those that a closing was made from. The
    account of a run whose observation goes is no longer counted in it. Room is given back to the system, which needs as
    much free space as the store will have.

    Args:
        store: the path of the store; nobody may be writing to it.
        older_than: what was observed later than so long ago stays.
        dry_run: only count.
        now: the moment, aware; the system's when None.

    Returns:
        what was removed.

    Raises:
        StoreError: there is no store, it is in use or damaged, or there is no room; it is as it was.
        InvalidArgumentError: ``older_than`` is negative.
    """
    if older_than < timedelta(0):
        raise InvalidArgumentError(f"older_than must not be negative; got {older_than}")
    moment = datetime.now(UTC) if now is None else now.astimezone(UTC)
    path = store_path(store)
    if not path.exists():  # opening it for writing would make one
        raise StoreError(f"there is no store at {shown(path)}")
    lock = StoreLock(path)
    lock.acquire()
    try:
        before = path.stat().st_size
        with store_errors(path, "pruning it"), closing(connect(path)) as connection:
            check_runs(connection, path)
            check_history(connection, path)  # what is damaged must not decide what is removed
            removed = _prune(connection, utc_text(moment - older_than), dry_run=dry_run)
            if not dry_run:
                check_history(connection, path)
                lock.check()
                connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            (kept,) = connection.execute("SELECT count(*) FROM observation").fetchone()
        return PruneResult(path, removed, kept - removed if dry_run else kept, before, path.stat().st_size)
    finally:
        lock.release()


def _prune(connection: sqlite3.Connection, until: str, *, dry_run: bool) -> int:
    connection.execute(
        "CREATE TABLE temp.doomed (account_id TEXT, period_from TEXT, observed_at TEXT, run_id INTEGER, "
        "PRIMARY KEY (account_id, period_from, observed_at, run_id)) WITHOUT ROWID"
    )
    connection.execute("BEGIN IMMEDIATE")
    try:
        removed = connection.execute(_DOOMED, (until,)).rowcount
        if not dry_run:
            for step in _STEPS:
                connection.execute(step)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return removed
