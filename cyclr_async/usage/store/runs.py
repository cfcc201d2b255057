"""Which run of a store is continued, which is closed, and which stores are refused."""

from __future__ import annotations

import logging
import math
import shlex
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

import attrs
from yarl import URL

from cyclr_async.errors import InvalidArgumentError, StoreError
from cyclr_async.usage.store.api_rows import PARTNER_API, V1_API
from cyclr_async.usage.store.paths import shown
from cyclr_async.usage.store.rows import ALL_IDS, LAZY_IDS, TREE_IDS, Counts, RunInfo, RunScope, utc_text
from cyclr_async.wire.text import duration

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from cyclr_async.auth.providers import PartnerIdentity

__all__ = [
    "CLOSED_SINCE",
    "MAX_AGE",
    "Opening",
    "as_max_age",
    "check_owner",
    "choose_run",
    "claim",
    "fresh_between",
    "read_runs",
    "rekey",
]

MAX_AGE: Final = timedelta(hours=24)
"""How long an unfinished run is continued: a nightly job that failed goes on, a monthly one begins anew."""

_log: Final = logging.getLogger("cyclr_async.usage.store")

_RUN_COLUMNS: Final = (
    "run_id, base_url, partner, from_date, status, created_at, updated_at, finished_at, listing_complete, "
    "asked, ok, missing, forbidden, failed"
)
# The document gives a period's end as one day before the next period begins. Whether a service means that day, or the
# moment itself, cannot be told from an answer, so a period counts as closed since when either of the two has passed.
_REAL_END: Final = "period_end(o.period_from, o.period_to)"
# The v1.0 API names the moment of its answer as the end, by its own clock. That this has passed closes nothing: a
# period goes on until the next bill, a month after it began. A period that is said to end at another time ends then.
_UP_TO_NOW: Final = f"""
    o.run_id IN (SELECT run_id FROM run WHERE api = '{V1_API}')
        AND abs(julianday(o.period_to) - julianday(o.observed_at)) < 1.0 / 24
        AND o.period_to < month_after(o.period_from)
"""  # noqa: S608 - constants
CLOSED_SINCE: Final = f"""
    CASE WHEN {_UP_TO_NOW} THEN o.observed_at < month_after(o.period_from) AND month_after(o.period_from) <= :now
    ELSE o.observed_at < o.period_to AND o.period_to <= :now OR o.observed_at < {_REAL_END} AND {_REAL_END} <= :now END
"""
"""SQL: an observation ``o`` was made before its period closed, and at ``:now`` it has closed."""

_ASK_AGAIN: Final = f"""
    UPDATE item SET state = 'pending', due = 1, period_from = NULL, observed_at = NULL
    WHERE run_id = :run AND state = 'ok' AND EXISTS (
        SELECT 1 FROM observation AS o
        WHERE o.account_id = item.account_id AND o.period_from = item.period_from
            AND o.observed_at = item.observed_at AND o.run_id = item.run_id AND ({CLOSED_SINCE}))
"""  # noqa: S608 - constants
_SET_TURNS: Final = """
    UPDATE item SET turn = CASE state WHEN 'pending' THEN 1 WHEN 'failed' THEN 2 ELSE 3 END
    WHERE run_id = ? AND due = 1
"""


@attrs.frozen
class Opening:
    """How a store was opened.

    Attributes:
        run: the run that goes on or begins, as it was then.
        now: when that was.
        continued: whether it was there before.
        abandoned: unfinished runs of the same scope that were closed because this one begins.
        sources: runs whose figures this one takes over when it meets the same accounts, the newest first.
    """

    run: RunInfo
    now: datetime
    continued: bool
    abandoned: tuple[RunInfo, ...] = ()
    sources: tuple[int, ...] = ()


def as_max_age(value: object) -> timedelta:
    """Check how long a run may be continued: a timedelta, or seconds.

    Raises:
        InvalidArgumentError: neither of them, or less than 0.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        try:
            value = timedelta(seconds=value)
        except OverflowError:
            # Who says a million years means that age does not matter.
            value = timedelta.max
    if isinstance(value, timedelta) and value >= timedelta(0):
        return value
    raise InvalidArgumentError(f"max_age must be a timedelta or a number of seconds, 0 or more; got {value!r}")


def fresh_between(now: datetime, max_age: timedelta) -> tuple[str, str]:
    """Return the stored times between which something is fresh; times that lie ahead count like those that lie back."""
    try:
        # Beyond the years 1 to 9999 everything is fresh.
        first = now - max_age
    except OverflowError:
        first = datetime.min.replace(tzinfo=UTC)
    try:
        last = now + max_age
    except OverflowError:
        last = datetime.max.replace(tzinfo=UTC)
    return utc_text(first), utc_text(last)


def _run_info(row: tuple[object, ...]) -> RunInfo:
    run_id, base_url, partner, from_date, status, created, updated, finished, listed, *counts, ids, oldest, api = row
    day = None if from_date is None else date.fromisoformat(str(from_date))
    return RunInfo(
        run_id=int(str(run_id)),
        scope=RunScope(str(base_url), str(partner), day, None if ids is None else str(ids), str(api)),
        status=str(status),
        created_at=datetime.fromisoformat(str(created)),
        updated_at=datetime.fromisoformat(str(updated)),
        finished_at=None if finished is None else datetime.fromisoformat(str(finished)),
        listing_complete=bool(listed),
        counts=Counts(*(int(str(count)) for count in counts)),
        oldest_at=None if oldest is None else datetime.fromisoformat(str(oldest)),
    )


def read_runs(connection: sqlite3.Connection) -> Iterator[RunInfo]:
    """Yield the runs of a store, newest first; also of an earlier schema version, which readers leave as it is."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    added = "ids, oldest_at" if version > 1 else "NULL, NULL"
    added += ", api" if version > 2 else f", '{PARTNER_API}'"
    for row in connection.execute(f"SELECT {_RUN_COLUMNS}, {added} FROM run ORDER BY run_id DESC"):  # noqa: S608
        yield _run_info(row)


def choose_run(
    connection: sqlite3.Connection,
    path: Path,
    scope: RunScope | None,
    resume: bool | None,
    max_age: timedelta,
    *,
    now: datetime,
    aliases: Sequence[str] = (),
) -> Opening:
    """Continue or begin a run, in one transaction; the arguments are those of :meth:`UsageStore.open`.

    Raises:
        StoreError: the store belongs to another partner or host, or has no run that fits.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        if scope is not None:
            # Whose store it is comes first: whoever has the wrong file should hear that, and nothing of its runs.
            _check_store(connection, scope, aliases, path, strict=resume is True)
        runs = list(read_runs(connection))
        found: RunInfo | None = None
        if scope is None or resume:
            # Who asks for a run to go on is told why it cannot, and does not get a new one in silence.
            found = _to_resume(runs, path, scope, max_age, now)
        elif resume is None:
            found = _continuable(runs, scope, max_age, now)
        if found is None or (scope is not None and scope.ids == LAZY_IDS):
            assert scope is not None
            opening = _begin(connection, scope, runs, now, take_over=resume is not False)
        else:
            opening = Opening(_continue(connection, found, now), now, continued=True)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return opening


def _unfinished(runs: list[RunInfo], scope: RunScope | None) -> list[RunInfo]:
    return [run for run in runs if run.resumable and (scope is None or _same(run.scope, scope))]


def _same(found: RunScope, wanted: RunScope) -> bool:
    """Whether a run is of the scope; a scope that says nothing about ids fits any."""
    return (
        found.api == wanted.api
        and _place(found.base_url) == _place(wanted.base_url)
        and _folded(found.partner) == _folded(wanted.partner)
        and found.from_date == wanted.from_date
        and (wanted.ids is None or found.ids == wanted.ids)
    )


def _continuable(runs: list[RunInfo], scope: RunScope | None, max_age: timedelta, now: datetime) -> RunInfo | None:
    return next((run for run in _unfinished(runs, scope) if _is_fresh(run, scope, max_age, now)), None)


def _is_fresh(run: RunInfo, scope: RunScope | None, max_age: timedelta, now: datetime) -> bool:
    if scope is not None and scope.ids == LAZY_IDS:
        # Its figures are taken over one by one, each by its own age: one fresh figure is enough.
        return abs(now - run.updated_at) < max_age
    return run.age(now) < max_age


def _to_resume(runs: list[RunInfo], path: Path, scope: RunScope | None, max_age: timedelta, now: datetime) -> RunInfo:
    found = _continuable(runs, scope, max_age, now)
    if found is not None:
        return found
    # Three refusals, told apart: each has another way out.
    stale = _unfinished(runs, scope)
    if stale:
        run = stale[0]
        raise StoreError(
            f"the unfinished run {run.run_id} of the store {shown(path)} is {duration(run.age(now))} old, and a run is "
            f"continued for {duration(max_age)} at most, so that its figures are of one time: begin a new run "
            "(cyclr usage collect), or allow a greater age (max_age=, --max-age)"
        )
    others = _unfinished(runs, None)
    if others and scope is not None:
        raise StoreError(
            f"the unfinished run {others[0].run_id} of the store {shown(path)} collects "
            f"{_subject(others[0].scope)}, not {_subject(scope)}: resume with the same from_date and the same account "
            "ids, or begin a new run"
        )
    last = f"its last run, {runs[0].run_id}, is {runs[0].status}" if runs else "it has no run yet"
    raise StoreError(f"there is nothing to resume in the store {shown(path)}: {last}; begin a new run")


def _subject(scope: RunScope) -> str:
    period = "since the last bill" if scope.from_date is None else f"from {scope.from_date.isoformat()}"
    number = (scope.ids or "").partition(":")[0]
    whose = f" of {int(number):,} given accounts" if number.isdigit() else " of given accounts" if number else ""
    whose = {ALL_IDS: "", TREE_IDS: " of every account and its sub-accounts"}.get(number, whose)
    return f"usage {period}{whose}"


def _begin(
    connection: sqlite3.Connection, scope: RunScope, runs: list[RunInfo], now: datetime, *, take_over: bool
) -> Opening:
    same = _unfinished(runs, scope)
    # Of a run that release 0.1 left unfinished nobody knows which accounts it was about, so nothing continues it.
    unknown = [run for run in _unfinished(runs, attrs.evolve(scope, ids=None)) if run.scope.ids is None]
    unfinished = [*same, *(run for run in unknown if run not in same)]
    for run in unfinished:
        connection.execute(
            "UPDATE run SET status = 'abandoned', finished_at = ? WHERE run_id = ?", (utc_text(now), run.run_id)
        )
        _log.info(
            "run %d, begun %s and unfinished, was closed as abandoned with %d usages",
            run.run_id,
            utc_text(run.created_at),
            run.counts.ok,
        )
    # Lazy ids cannot be compared beforehand, so the old run is not continued: its figures move over one by one, as
    # ids turn up.
    former = same[0].run_id if take_over and same and scope.ids == LAZY_IDS else None
    from_date = None if scope.from_date is None else scope.from_date.isoformat()
    values = (scope.base_url, scope.partner, from_date, scope.ids, scope.api, former, utc_text(now), utc_text(now))
    cursor = connection.execute(
        "INSERT INTO run (base_url, partner, from_date, ids, api, supersedes, status, created_at, updated_at) "
        "VALUES (?, ?, ?, ?, ?, ?, 'running', ?, ?)",
        values,
    )
    assert cursor.lastrowid is not None
    begun = RunInfo(cursor.lastrowid, scope, "running", now, now, None, listing_complete=False, counts=Counts())
    return Opening(begun, now, continued=False, abandoned=tuple(unfinished), sources=_chain(connection, former))


def _chain(connection: sqlite3.Connection, run_id: int | None) -> tuple[int, ...]:
    """Return a run and those it superseded itself: each may still hold figures that nobody has taken over."""
    chain: list[int] = []
    while run_id is not None and run_id not in chain:
        chain.append(run_id)
        found = connection.execute("SELECT supersedes FROM run WHERE run_id = ?", (run_id,)).fetchone()
        run_id = None if found is None else found[0]
    return tuple(chain)


def _continue(connection: sqlite3.Connection, run: RunInfo, now: datetime) -> RunInfo:
    """Make a run the one under way. Figures of a period that was open then and is closed now become due once more.

    They leave the run until they are there again, because a run must not show figures of two times; the observations
    themselves stay in the store.
    """
    again = connection.execute(_ASK_AGAIN, {"run": run.run_id, "now": utc_text(now)}).rowcount
    if again:
        counts = attrs.evolve(run.counts, ok=run.counts.ok - again)
        (oldest,) = connection.execute("SELECT min(observed_at) FROM item WHERE run_id = ?", (run.run_id,)).fetchone()
        connection.execute("UPDATE run SET ok = ?, oldest_at = ? WHERE run_id = ?", (counts.ok, oldest, run.run_id))
        run = attrs.evolve(run, counts=counts, oldest_at=None if oldest is None else datetime.fromisoformat(oldest))
        _log.info("run %d asks again for %d accounts whose period has closed since", run.run_id, again)
    connection.execute(_SET_TURNS, (run.run_id,))
    connection.execute("UPDATE run SET status = 'running', finished_at = NULL WHERE run_id = ?", (run.run_id,))
    return attrs.evolve(run, status="running", finished_at=None)


def _place(base_url: str) -> tuple[object, ...]:
    """Return what of a base URL tells one place from another: case of the host, default port and last slash do not."""
    try:
        url = URL(base_url)
    except ValueError:
        return (base_url,)
    # The host is lower case and the port is filled in by yarl.
    return url.scheme, url.host, url.port, url.raw_path.rstrip("/")


def _folded(name: str) -> str:
    return name.strip().casefold()


def _check_store(
    connection: sqlite3.Connection, scope: RunScope, aliases: Sequence[str], path: Path, *, strict: bool
) -> None:
    """Refuse a store of somebody else; rename one that knows the partner by an alias.

    Args:
        connection: of the store, within a transaction.
        scope: what is wanted.
        aliases: further names of its partner.
        path: for messages.
        strict: False leaves out runs that registered no account: they hold nobody's data.
    """
    runs = list(read_runs(connection))
    owner = next((run.scope for run in runs if strict or run.counts.asked), None)
    if owner is not None:
        check_owner(owner, scope, aliases, path)
    for run in runs:
        _rename_alias(connection, run, scope.partner, aliases)


def _rename_alias(connection: sqlite3.Connection, run: RunInfo, partner: str, aliases: Sequence[str]) -> None:
    if run.scope.partner != partner and _folded(run.scope.partner) in map(_folded, (partner, *aliases)):
        # The store moves to the better name by itself, so that nobody has to re-key it because of an update.
        connection.execute("UPDATE run SET partner = ? WHERE run_id = ?", (partner, run.run_id))
        _log.info("run %d now carries the name %s of its partner", run.run_id, partner)


def check_owner(found: RunScope, wanted: RunScope, aliases: Sequence[str], path: Path) -> None:
    """Refuse a store that holds the data of another host or another partner.

    Raises:
        StoreError: it does; the message names both, and the way to re-key.
    """
    if found.api != wanted.api:
        raise StoreError(
            f"the store {shown(path)} holds usage of the {found.api} API, from {found.base_url}, and this is the "
            f"{wanted.api} API: each has ids and periods of its own, so use one store per API"
        )
    if _place(found.base_url) != _place(wanted.base_url):
        other = found.api != wanted.api  # then it is no mistake in a URL
        advice = "host, or correct the region or base URL" if not other else f"API, or ask the API {found.api!r} again"
        raise StoreError(
            f"the store {shown(path)} holds usage from {found.base_url}, not from {wanted.base_url}: use one "
            f"store per {advice}"
        )
    if _folded(found.partner) not in map(_folded, (wanted.partner, *aliases)):
        # Quoted for a shell: the name may hold blanks, and the line is there to be copied.
        command = shlex.join(["cyclr", "usage", "rekey", "--store", str(path), "--partner", wanted.partner])
        raise StoreError(
            f"the store {shown(path)} belongs to another partner, {found.partner!r}, and this is {wanted.partner!r}: "
            f"use one store per partner. If both are the same partner, name it partner={found.partner!r}, or give the "
            f"store its new name: {command}"
        )


def claim(connection: sqlite3.Connection, path: Path, base_url: str, partner: PartnerIdentity) -> None:
    """Check an open store against the partner that the credentials show, as :func:`choose_run` does.

    Raises:
        StoreError: it belongs to another partner or host.
    """
    api = next((run.scope.api for run in read_runs(connection)), PARTNER_API)  # which run this is was checked before
    _check_store(connection, RunScope(base_url, partner.name, api=api), partner.aliases, path, strict=True)


def rekey(connection: sqlite3.Connection, partner: str) -> int:
    """Give every run of a store the name of a partner; return how many had another."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        changed = connection.execute("UPDATE run SET partner = ? WHERE partner <> ?", (partner, partner)).rowcount
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return changed
