"""Which run of a store is continued, and which stores are refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from cyclr_async.errors import StoreError

from .rows import Counts, RunInfo, RunScope, instant

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["choose_run", "read_runs"]

_RUN_COLUMNS: Final = (
    "run_id, base_url, partner, from_date, status, created_at, updated_at, finished_at, listing_complete, "
    "asked, ok, missing, forbidden, failed"
)


def _run_info(row: tuple[object, ...]) -> RunInfo:
    run_id, base_url, partner, from_date, status, created, updated, finished, listed, *counts = row
    scope = RunScope(str(base_url), str(partner), None if from_date is None else date.fromisoformat(str(from_date)))
    return RunInfo(
        run_id=int(str(run_id)),
        scope=scope,
        status=str(status),
        created_at=datetime.fromisoformat(str(created)),
        updated_at=datetime.fromisoformat(str(updated)),
        finished_at=None if finished is None else datetime.fromisoformat(str(finished)),
        listing_complete=bool(listed),
        counts=Counts(*(int(str(count)) for count in counts)),
    )


def read_runs(connection: sqlite3.Connection) -> Iterator[RunInfo]:
    """Yield the runs of a store, newest first."""
    for row in connection.execute(f"SELECT {_RUN_COLUMNS} FROM run ORDER BY run_id DESC"):  # noqa: S608
        yield _run_info(row)


def choose_run(
    connection: sqlite3.Connection, path: Path, scope: RunScope | None, resume: bool | None, max_age: timedelta | None
) -> RunInfo:
    """Continue or begin a run, in one transaction; the arguments are those of :meth:`UsageStore.open`.

    Raises:
        StoreError: the store belongs to another partner or host, or has no run that fits.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        runs = list(read_runs(connection))
        chosen = _existing(runs, path, scope, resume)
        if chosen is None:
            assert scope is not None
            chosen = _begin(connection, scope)
        else:
            _continue(connection, chosen, max_age)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return chosen


def _existing(runs: list[RunInfo], path: Path, scope: RunScope | None, resume: bool | None) -> RunInfo | None:
    if scope is not None and runs:
        _check_owner(runs[0].scope, scope, path)
    unfinished = [run for run in runs if run.resumable]
    same = [run for run in unfinished if scope is None or run.scope == scope]
    if resume is None:
        return same[0] if same else None
    if resume:
        if same:
            return same[0]
        raise _nothing_to_resume(runs, unfinished, path, scope)
    if same:
        raise StoreError(
            f"run {same[0].run_id} of the store {path} is unfinished ({same[0].counts.pending} accounts pending): "
            "resume it, or close it as abandoned"
        )
    return None


def _check_owner(found: RunScope, wanted: RunScope, path: Path) -> None:
    if found.base_url != wanted.base_url:
        raise StoreError(
            f"the store {path} holds usage from {found.base_url}, not from {wanted.base_url}: use one store per host, "
            "or correct the region or base URL"
        )
    if found.partner != wanted.partner:
        raise StoreError(
            f"the store {path} belongs to another partner (other credentials): use one store per partner, "
            "or the credentials it was made with"
        )


def _nothing_to_resume(
    runs: list[RunInfo], unfinished: list[RunInfo], path: Path, scope: RunScope | None
) -> StoreError:
    if unfinished and scope is not None:
        found, wanted = _period(unfinished[0].scope), _period(scope)
        return StoreError(
            f"the unfinished run {unfinished[0].run_id} of the store {path} collects usage {found}, not {wanted}: "
            "resume with the same from_date, or begin a new run"
        )
    last = f"its last run, {runs[0].run_id}, is {runs[0].status}" if runs else "it has no run yet"
    return StoreError(f"there is nothing to resume in the store {path}: {last}; begin a new run")


def _period(scope: RunScope) -> str:
    return "since the last bill" if scope.from_date is None else f"from {scope.from_date.isoformat()}"


def _begin(connection: sqlite3.Connection, scope: RunScope) -> RunInfo:
    now = datetime.now(UTC)
    from_date = None if scope.from_date is None else scope.from_date.isoformat()
    cursor = connection.execute(
        "INSERT INTO run (base_url, partner, from_date, status, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)",
        (scope.base_url, scope.partner, from_date, "running", instant(now), instant(now)),
    )
    assert cursor.lastrowid is not None
    return RunInfo(cursor.lastrowid, scope, "running", now, now, None, listing_complete=False, counts=Counts())


def _continue(connection: sqlite3.Connection, run: RunInfo, max_age: timedelta | None) -> None:
    connection.execute("UPDATE run SET status = 'running', finished_at = NULL WHERE run_id = ?", (run.run_id,))
    if max_age is not None:
        # The usages stay counted and kept; they only become due once more.
        connection.execute(
            "UPDATE item SET due = 1 WHERE run_id = ? AND state = 'ok' AND observed_at < ?",
            (run.run_id, instant(datetime.now(UTC) - max_age)),
        )
