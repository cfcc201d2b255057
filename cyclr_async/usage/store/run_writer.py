"""The statements that change a run of a store; the writer thread alone executes them."""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import attrs

from cyclr_async.errors import StoreError
from cyclr_async.usage.months.periods import Period
from cyclr_async.usage.store.findings import (
    EMPTY_LIST,
    FINDING_COLUMNS,
    FINDINGS_KEPT,
    NEGATIVE_COUNT,
    Finding,
    fallen,
    figures,
    finding_of,
    negative,
)
from cyclr_async.usage.store.integrity import add_checksum
from cyclr_async.usage.store.rows import UNLISTED, Counts, ItemRow, short_utc_text, utc_text
from cyclr_async.usage.store.runs import CLOSED_SINCE, MAX_AGE, claim, fresh_between

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from cyclr_async.auth.providers import PartnerIdentity

__all__ = ["Registered", "RunWriter"]

_STATES: Final = ("ok", "missing", "forbidden", "failed")

_SETTLED: Final = f"""
    SELECT i.state, i.observed_at FROM item AS i LEFT JOIN observation AS o
        ON o.account_id = i.account_id AND o.period_from = i.period_from AND o.observed_at = i.observed_at
        AND o.run_id = i.run_id
    WHERE i.run_id = :run AND i.account_id = :account AND (
        i.state IN ('missing', 'forbidden') AND i.updated_at > :first AND i.updated_at < :last
        OR i.state = 'ok' AND o.observed_at > :first AND o.observed_at < :last AND NOT ({CLOSED_SINCE}))
"""  # noqa: S608 - constants


class _Numbered:
    """A statement that uses some of its parameters twice: written with ``?1``, executed with ``?``.

    Numbered placeholders count as named ones, and since Python 3.12 a sequence for those is deprecated.

    Attributes:
        sql: the statement with plain placeholders.
        bind: puts the parameters in the order of the placeholders.
    """

    __slots__ = ("bind", "sql")

    def __init__(self, sql: str) -> None:
        self.sql = re.sub(r"\?\d+", "?", sql)
        self.bind = itemgetter(*(int(number) - 1 for number in re.findall(r"\?(\d+)", sql)))


# The checksums cover the columns that integrity.py names, in its order.
_PUT_OBSERVATION: Final = _Numbered(
    """
    INSERT INTO observation (account_id, period_from, observed_at, run_id, period_to, task_count, cycle_count,
        price_plan_id, audit_info, payload, observed_copy, checksum, figure_sum)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?3, checksum(?1, ?2, ?5, ?6, ?7, ?8, ?9, ?10),
        checksum(?1, ?2, ?5, ?6, ?7, ?8, ?9))
    ON CONFLICT DO NOTHING
"""
)
_EARLIER: Final = """
    SELECT task_count, cycle_count, observed_at FROM observation
    WHERE account_id = ? AND period_from = ? AND observed_at <= ? ORDER BY observed_at DESC, run_id DESC LIMIT 1
"""
_PUT_FINDING: Final = "INSERT INTO finding (run_id, account_id, kind, detail, found_at) VALUES (?, ?, ?, ?, ?)"
_DROP_FINDING: Final = "DELETE FROM finding WHERE run_id = ? AND account_id IS ? AND kind = ?"
# An account is known when the list named it or its usage was seen; an id that somebody merely asked for is not.
_KNOWN_ACCOUNTS: Final = """
    SELECT count(*) FROM (
        SELECT account_id FROM item WHERE account IS NOT NULL UNION SELECT account_id FROM observation
    )
"""
_PUT_ACCOUNT: Final = _Numbered(
    """
    INSERT INTO item (run_id, account_id, state, due, account_name, account_plan_id, account_audit_info, account,
        checksum)
    VALUES (?1, ?2, 'pending', 1, ?3, ?4, ?5, ?6, checksum(?2, 0, NULL, NULL, ?3, ?4, ?5, ?6)) ON CONFLICT DO NOTHING
"""
)
_SET_ACCOUNT: Final = _Numbered(
    """
    UPDATE item SET account_name = ?1, account_plan_id = ?2, account_audit_info = ?3, account = ?4,
        checksum = checksum(account_id, attempts, error, reason, ?1, ?2, ?3, ?4)
    WHERE run_id = ?5 AND account_id = ?6 AND account IS NOT ?7 AND ?8 IS NOT NULL
"""
)
# What a run knows of an account beyond its own rows: the last change up to it.
_FACT: Final = """
    SELECT run_id, parent_account_id, task_audit_info FROM account_fact
    WHERE account_id = ? AND run_id <= ? ORDER BY run_id DESC LIMIT 1
"""
_PUT_FACT: Final = _Numbered(
    """
    INSERT OR REPLACE INTO account_fact (account_id, run_id, parent_account_id, task_audit_info, checksum)
    VALUES (?1, ?2, ?3, ?4, checksum(?1, ?2, ?3, ?4))
"""
)
_IS_KNOWN: Final = "SELECT 1 FROM item WHERE run_id = ? AND account_id = ?"
_MOVE_ITEM: Final = "UPDATE item SET run_id = ?, turn = ? WHERE run_id = ? AND account_id = ?"
_MOVE_OBSERVATIONS: Final = "UPDATE observation SET run_id = ? WHERE account_id = ? AND run_id = ?"
_TURN: Final = "SELECT turn FROM item WHERE run_id = ? AND account_id = ?"
_SET_OK: Final = _Numbered(
    """
    UPDATE item SET state = 'ok', due = 0, attempts = attempts + ?1, updated_at = ?2, period_from = ?3,
        observed_at = ?4, error = NULL, reason = NULL,
        checksum = checksum(account_id, attempts + ?1, NULL, NULL, account_name, account_plan_id, account_audit_info,
            account)
    WHERE run_id = ?5 AND account_id = ?6 AND (observed_at IS NULL OR observed_at <= ?7)
"""
)
_SET_FAILURE: Final = _Numbered(
    """
    UPDATE item SET state = ?1, attempts = attempts + ?2, updated_at = ?3, error = ?4, reason = ?5,
        checksum = checksum(account_id, attempts + ?2, ?4, ?5, account_name, account_plan_id, account_audit_info,
            account)
    WHERE run_id = ?6 AND account_id = ?7 AND state <> 'ok'
"""
)
# Told which index to use: left to itself SQLite walks the primary key, past every account that is done.
_DUE: Final = """
    SELECT account_id, account, attempts, (
        SELECT parent_account_id FROM account_fact AS f
        WHERE f.account_id = item.account_id AND f.run_id <= item.run_id ORDER BY f.run_id DESC LIMIT 1)
    FROM item INDEXED BY item_due
    WHERE run_id = ? AND due = 1 AND (turn, account_id) > (?, ?) ORDER BY turn, account_id LIMIT ?
"""


@attrs.frozen
class Registered:
    """What became of accounts that were to be registered.

    Attributes:
        added: how many the run did not have before.
        to_ask: those of them, as they are stored, for which nothing is known yet.
        taken_over: how many of them came with a usage that the superseded run had collected.
        oldest: when the oldest of those usages was observed, as it is stored; None without any.
    """

    added: int
    to_ask: frozenset[str]
    taken_over: int = 0
    oldest: str | None = None


class RunWriter:
    """Every statement that changes a run; used by the writer thread only.

    Args:
        connection: the write connection.
        run_id: the run.
        counts: what it holds already.
        oldest_at: when its oldest figure was observed.
        sources: superseded runs whose figures it takes over.
        max_age: how old such a figure may be.
        now: tells the time.
        check: makes sure that the file is still where it was opened; called after every commit.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        run_id: int,
        counts: Counts,
        *,
        oldest_at: datetime | None = None,
        sources: Sequence[int] = (),
        max_age: timedelta = MAX_AGE,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._connection = connection
        self._run_id = run_id
        self._counts = {"asked": counts.asked, **{state: getattr(counts, state) for state in _STATES}}
        self._oldest = None if oldest_at is None else utc_text(oldest_at)
        self._sources = sources
        self._max_age = max_age
        self._now = now
        self._check = check
        self._made = 0  # observations written and not yet counted in the run
        self._facts_made = 0  # the same of facts
        # Most stores know of nobody's parent: then nothing is looked up for an account that has none.
        self._any_facts = connection.execute("SELECT 1 FROM account_fact LIMIT 1").fetchone() is not None
        add_checksum(connection)

    @property
    def counts(self) -> Counts:
        """What has been written so far, committed or not."""
        return Counts(**self._counts)

    def begin(self) -> None:
        """Start a transaction unless one is open."""
        if not self._connection.in_transaction:
            self._connection.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Make everything so far durable, the counters with it."""
        if self._connection.in_transaction:
            self._save_counts()
            self._connection.execute("COMMIT")
            # Afterwards: a file that was moved still takes what was recorded, and its owner learns where it is.
            self._check()

    def end(self) -> None:
        """Commit what is left, and see for the last time that the file is in its place."""
        self.commit()
        self._check()

    def _save_counts(self) -> None:
        self._connection.execute(
            "UPDATE run SET asked = ?, ok = ?, missing = ?, forbidden = ?, failed = ?, oldest_at = ?, updated_at = ?, "
            "observations = observations + ?, facts = facts + ? WHERE run_id = ?",
            (*self._counts.values(), self._oldest, utc_text(self._now()), self._made, self._facts_made, self._run_id),
        )
        self._made = self._facts_made = 0

    def add(self, accounts: Sequence[tuple[object, ...]]) -> Registered:
        """Register accounts; those of a superseded run come with what it had settled, if that is still fresh."""
        self.begin()
        to_ask: list[str] = []
        observed: list[str] = []
        moved: Counter[tuple[int, str]] = Counter()
        now = self._now()
        for account_id_, *columns in accounts:
            account_id, listed, facts = str(account_id_), columns[:4], columns[4:]
            account = (account_id, *listed)
            if listed[-1] is not None:
                self._note_facts(account_id, *facts)
            found = self._take_over(account_id, now) if self._sources else None
            if found is not None:
                source, state, seen = found
                moved[source, state] += 1
                observed += [] if seen is None else [seen]
            elif self._connection.execute(_PUT_ACCOUNT.sql, _PUT_ACCOUNT.bind((self._run_id, *account))).rowcount:
                to_ask.append(account_id)
                continue
            self._connection.execute(_SET_ACCOUNT.sql, _SET_ACCOUNT.bind(_known(self._run_id, *account)))
        self._counts["asked"] += len(to_ask) + moved.total()
        self._move_counts(moved)
        self._observed(min(observed, default=None))
        return Registered(len(to_ask) + moved.total(), frozenset(to_ask), len(observed), min(observed, default=None))

    def _note_facts(self, account_id: str, parent: object, task_audit_info: object) -> None:
        """Keep what is known of an account beyond this run, if that has changed."""
        if parent is None and task_audit_info is None and not self._any_facts:
            return
        found = self._connection.execute(_FACT, (account_id, self._run_id)).fetchone()
        since, *said = (None, None, None) if found is None else found
        if since == self._run_id and parent is None:
            # A list can name a sub-account beside its parent's list of them, which alone says whose it is.
            parent = said[0]
        if said != [parent, task_audit_info]:
            values = (account_id, self._run_id, parent, task_audit_info)
            self._connection.execute(_PUT_FACT.sql, _PUT_FACT.bind(values))
            self._facts_made += since != self._run_id
            self._any_facts = True

    def _take_over(self, account_id: str, now: datetime) -> tuple[int, str, str | None] | None:
        """Move an account here that a superseded run has settled; return that run, the state and the observation.

        Moved and not copied, so that every observation is in the store once.
        """
        execute = self._connection.execute
        if execute(_IS_KNOWN, (self._run_id, account_id)).fetchone() is not None:
            return None
        first, last = fresh_between(now, self._max_age)
        wanted = {"account": account_id, "first": first, "last": last, "now": utc_text(now)}
        for source in self._sources:
            found = execute(_SETTLED, {**wanted, "run": source}).fetchone()
            if found is not None:
                turn = 1 if found[0] == "ok" else 3
                execute(_MOVE_OBSERVATIONS, (self._run_id, account_id, source))
                execute(_MOVE_ITEM, (self._run_id, turn, source, account_id))
                return source, found[0], found[1]
        return None

    def _move_counts(self, moved: Counter[tuple[int, str]]) -> None:
        for (source, state), number in moved.items():
            self._counts[state] += number
            self._connection.execute(
                f"UPDATE run SET asked = asked - ?, {state} = {state} - ? WHERE run_id = ?",  # noqa: S608 - of _STATES
                (number, number, source),
            )

    def _observed(self, when: str | None) -> None:
        if when is not None and (self._oldest is None or when < self._oldest):
            self._oldest = when

    def put(self, rows: Iterable[ItemRow]) -> None:
        """Write a batch of outcomes and commit it."""
        self.begin()
        for row in rows:
            self._put(row)
        self.commit()

    def _put(self, row: ItemRow) -> None:
        execute, where = self._connection.execute, (self._run_id, row.account_id)
        found = execute("SELECT state FROM item WHERE run_id = ? AND account_id = ?", where).fetchone()
        if found is None:
            self.add([(row.account_id, *(row.account or UNLISTED))])
            found = execute("SELECT state FROM item WHERE run_id = ? AND account_id = ?", where).fetchone()
        elif row.account is not None:
            *listed, parent, task_audit_info = row.account
            execute(_SET_ACCOUNT.sql, _SET_ACCOUNT.bind(_known(*where, *listed)))
            self._note_facts(row.account_id, parent, task_audit_info)
        before = found[0]
        if row.observation is not None:
            self._examine(row.observation, again=before == "ok")
            self._made += execute(_PUT_OBSERVATION.sql, _PUT_OBSERVATION.bind(row.observation)).rowcount
            at = row.updated_at
            execute(_SET_OK.sql, _SET_OK.bind((row.attempts, at, row.observation[1], at, *where, at)))
            self._observed(at)
        elif before != "ok":
            execute(
                _SET_FAILURE.sql,
                _SET_FAILURE.bind((row.state, row.attempts, row.updated_at, row.error, row.reason, *where)),
            )
        else:
            return  # a usage is never given up for a later failure
        if before != "pending":
            self._counts[before] -= 1
        self._counts[row.state] += 1

    def _examine(self, observation: tuple[Any, ...], *, again: bool) -> None:
        """Note what is wrong with an answer; ``again`` when the run has one of this account already."""
        account_id, period_from, observed_at, _, period_to, tasks, cycles, *_ = observation
        if again:  # what was wrong with the answer before need not be wrong with this one
            self._connection.execute(_DROP_FINDING, (self._run_id, account_id, NEGATIVE_COUNT))
        earlier = self._connection.execute(_EARLIER, (account_id, period_from, observed_at)).fetchone()
        fell = earlier is not None and (tasks < earlier[0] or (cycles or 0) < (earlier[1] or 0))
        if not fell and tasks >= 0 and (cycles is None or cycles >= 0):
            return  # as nearly always: nothing below is worked out for it
        seen, said = datetime.fromisoformat(observed_at), figures(period_from, period_to, tasks, cycles)
        found = [negative(account_id, said, seen)]
        if fell:
            closed = not Period.of(period_from, period_to).provisional(seen)
            before = (earlier[0], earlier[1], short_utc_text(earlier[2]))
            found.append(fallen(account_id, said, seen, before, closed=closed))
        for finding in found:
            if finding is not None:
                self._note(finding)

    def _note(self, finding: Finding) -> None:
        self._connection.execute(_DROP_FINDING, (self._run_id, finding.account_id, finding.kind))
        detail = json.dumps(finding.detail, separators=(",", ":"))
        values = (self._run_id, finding.account_id, finding.kind, detail, utc_text(finding.found_at))
        self._connection.execute(_PUT_FINDING, values)

    def empty_list(self, found_at: datetime) -> bool:
        """Note that the account list is empty, unless the store knows no account either; return whether it was."""
        known = self._connection.execute(_KNOWN_ACCOUNTS).fetchone()[0]
        if known:
            self.begin()
            self._note(Finding(EMPTY_LIST, None, {"known_accounts": known}, found_at))
            self.commit()
        return bool(known)

    def findings(self) -> tuple[int, list[Finding]]:
        """Return how many findings the run has, and the first of them."""
        where = (self._run_id,)
        count = self._connection.execute("SELECT count(*) FROM finding WHERE run_id = ?", where).fetchone()[0]
        query = f"SELECT {FINDING_COLUMNS} FROM finding WHERE run_id = ? ORDER BY finding_id LIMIT {FINDINGS_KEPT}"  # noqa: S608
        return count, [finding_of(row) for row in self._connection.execute(query, where)] if count else []

    def finish_listing(self) -> None:
        """Note that every account of the run is registered."""
        self.begin()
        self._connection.execute(_DROP_FINDING, (self._run_id, None, EMPTY_LIST))
        self._connection.execute("UPDATE run SET listing_complete = 1 WHERE run_id = ?", (self._run_id,))
        self.commit()

    def finish(self, status: str) -> None:
        """Note how the run ended."""
        self.begin()
        now = utc_text(self._now())
        self._connection.execute(
            "UPDATE run SET status = ?, finished_at = ? WHERE run_id = ?", (status, now, self._run_id)
        )
        self.commit()

    def pending(self, after: str | None, limit: int) -> list[tuple[str, str | None, int, str | None]]:
        """Return id, account JSON, attempts and parent of accounts still to ask, ordered by turn and id."""
        # No turn is 0. An account keeps its turn while a run is under way, whatever becomes of it.
        turn = 0
        if after is not None:
            found = self._connection.execute(_TURN, (self._run_id, after)).fetchone()
            turn = 1 if found is None else found[0]
        return self._connection.execute(_DUE, (self._run_id, turn, after or "", limit)).fetchall()

    def bind(self, ids: str) -> None:
        """Note which accounts the run is about."""
        self.begin()
        self._connection.execute("UPDATE run SET ids = ? WHERE run_id = ?", (ids, self._run_id))
        self.commit()

    def claim(self, path: Path, base_url: str, partner: PartnerIdentity) -> StoreError | None:
        """Check whose the store is; return the refusal, which unlike other errors leaves the writer as it was."""
        self.begin()
        try:
            claim(self._connection, path, base_url, partner)
        except StoreError as error:
            return error
        finally:
            self.commit()
        return None


def _known(run_id: object, account_id: object, *account: object) -> tuple[object, ...]:
    """Return the parameters of ``_SET_ACCOUNT``."""
    return (*account, run_id, account_id, account[-1], account[-1])
