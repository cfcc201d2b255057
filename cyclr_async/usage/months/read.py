"""Reading statements from a store, in one pass at flat memory."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar, cast

import attrs

from cyclr_async.errors import InvalidArgumentError
from cyclr_async.usage.months.closings import ClosedGap, Closing, gaps_in, in_force, lines_in
from cyclr_async.usage.months.expected import Expected, gap_detail
from cyclr_async.usage.months.figures import AccountFacts, Figure, choose, compare, most_cycles
from cyclr_async.usage.months.period_texts import comparable, end_of
from cyclr_async.usage.months.statement import Gap, GapReason, StatementLine, StatementTotals
from cyclr_async.usage.months.statement_period import StatementPeriod
from cyclr_async.usage.months.tally import Tally
from cyclr_async.usage.store.integrity import check_history, check_runs, sealed
from cyclr_async.usage.store.month_reader import MonthReader
from cyclr_async.usage.store.paths import store_path
from cyclr_async.usage.store.rows import short_utc_text, utc_text
from cyclr_async.usage.store.runs import read_runs
from cyclr_async.usage.store.schema import connect_readonly, store_errors

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence


__all__ = ["Statement", "entries_in", "read_statement", "side_by_side"]

_One = TypeVar("_One", bound="StatementLine | Gap | ClosedGap")
_Other = TypeVar("_Other", bound="StatementLine | Gap")
_COMPARISON: Final = (
    "new",
    "previous_task_count",
    "previous_cycle_count",
    "previous_period_from",
    "previous_period_to",
    "previous_provisional",
    "not_compared",
    "trend",
)
"""What a line says of other periods than its own."""

_SLACK: Final = timedelta(days=4)
"""A period of 30 or 31 days that ends in a March may have begun before the February."""
_LONGEST_TREND: Final = 60
"""Months: five years, each of which is another place in the file to read from for every account."""


@attrs.define(eq=False)
class Statement:
    """The statement of a period; made by :func:`read_statement`.

    Every iteration opens the store, reads it as it is at that moment, in the order of account ids, and closes it; a
    collection may be writing meanwhile. The methods block: from a coroutine, call them in a thread.

    Attributes:
        path: of the store.
        period: what it is about.
        partner: whose store it is; None when nothing was collected into it.
        trend: how many calendar months each line shows.
        now: the moment at which it is said whether a period can have begun.
        closing: the closing of exactly this period that was in force when it was opened: its figures are those that
            were frozen. None for a period that is open.
    """

    path: Path
    period: StatementPeriod
    partner: str | None
    trend: int
    now: datetime
    closing: Closing | None = None
    _totals: StatementTotals | None = attrs.field(default=None, init=False, repr=False)

    def entries(self) -> Iterator[StatementLine | Gap]:
        """Yield every account of the period, with a figure or without, ordered by account id (by code point).

        Raises:
            StoreError: the store is damaged.
        """
        with store_errors(self.path, "reading a statement"), closing(connect_readonly(self.path)) as connection:
            connection.execute("BEGIN")  # everything below is of one moment, whoever writes
            yield from entries_in(connection, self)

    def lines(self) -> Iterator[StatementLine]:
        """Yield the accounts that have a figure, ordered by account id."""
        return (entry for entry in self.entries() if isinstance(entry, StatementLine))

    def gaps(self) -> Iterator[Gap]:
        """Yield the accounts that have none, ordered by account id."""
        return (entry for entry in self.entries() if isinstance(entry, Gap))

    def keep(self, totals: StatementTotals) -> None:
        """Keep the totals of an iteration that went to its end."""
        self._totals = totals

    def totals(self) -> StatementTotals:
        """Return the totals: of the last iteration that went to its end, or of one that is made now."""
        if self._totals is None:
            with store_errors(self.path, "reading a statement"), closing(connect_readonly(self.path)) as connection:
                connection.execute("BEGIN")
                if self.closing is None:
                    self._totals = _Pass(connection, self).totals()
                else:
                    for _ in entries_in(connection, self):
                        pass
        assert self._totals is not None
        return self._totals


def read_statement(
    store: str | os.PathLike[str],
    period: StatementPeriod | str,
    *,
    trend: int = 0,
    now: datetime | None = None,
    as_closed: bool = True,
) -> Statement:
    """Open the statement of a period.

    Args:
        store: the path of the store.
        period: what it is about; a text such as ``"2026-10"`` is a calendar month in UTC.
        trend: how many calendar months each line shows in its ``trend``, the last one of the period included; 0 to 60.
        now: the moment, aware, at which it is said whether a period can have begun; the system's when None.
        as_closed: whether a period that is closed shows the figures that were frozen, as it should where it is billed,
            or those that would count today.

    Returns:
        the statement.

    Raises:
        InvalidArgumentError: the period is none, or ``trend`` is out of range.
        StoreError: there is no store, it is damaged, or a newer release made it.
    """
    if isinstance(period, str):
        period = StatementPeriod.month(period)
    if not isinstance(period, StatementPeriod):
        raise InvalidArgumentError(f"a period is a StatementPeriod or a month such as '2026-10'; got {period!r}")
    if not isinstance(trend, int) or not 0 <= trend <= _LONGEST_TREND:
        raise InvalidArgumentError(f"trend is a number of months, 0 to {_LONGEST_TREND}; got {trend!r}")
    path = store_path(store)
    with store_errors(path, "reading it"), closing(connect_readonly(path)) as connection:
        check_runs(connection, path)
        if not sealed(connection):
            # Of release 0.1, without checksums: the figures are compared with the answers kept beside them.
            check_history(connection, path)
        newest = next(read_runs(connection), None)
        closed = in_force(connection, path, period) if as_closed else None
    partner = None if newest is None else newest.scope.partner
    moment = datetime.now(UTC) if now is None else now.astimezone(UTC)
    return Statement(path, period, partner, trend, moment, closed)


def entries_in(connection: sqlite3.Connection, statement: Statement) -> Iterator[StatementLine | Gap]:
    """Yield lines and gaps over an open connection, in the order of account ids, and keep their totals."""
    made = _Pass(connection, statement)
    entries = made.entries()
    if statement.closing is not None:
        entries = _as_closed(connection, statement.path, statement.closing, entries, made.facts_of)
    for entry in entries:
        made.tally.add(entry)
        yield entry
    statement.keep(made.tally.totals())


def _as_closed(
    connection: sqlite3.Connection,
    path: Path,
    found: Closing,
    live: Iterator[StatementLine | Gap],
    facts_of: Callable[[ClosedGap], AccountFacts | None],
) -> Iterator[StatementLine | Gap]:
    """Put what was frozen in the place of what would count today; what figures are compared with stays.

    All that was frozen is there, and of the rest only figures that came later: an account that somebody asked for in
    vain after the closing is no gap of a month that was closed without it.
    """
    frozen = _with_gaps(lines_in(connection, path, found), gaps_in(connection, path, found))
    for before, after in side_by_side(frozen, live):
        if before is None:
            if isinstance(after, StatementLine):
                late = ClosedGap(after.account_id, after.account_name, "after_closing", "", after.run_id)
                yield _frozen_gap(late, after, None)
        elif isinstance(before, ClosedGap):
            yield _frozen_gap(before, after, facts_of(before))
        elif isinstance(after, StatementLine):
            kept = {name: getattr(after, name) for name in _COMPARISON}
            yield attrs.evolve(before, **kept)
        else:
            yield attrs.evolve(before, not_compared="overlapping")


def _with_gaps(lines: Iterator[StatementLine], gaps: Iterator[ClosedGap]) -> Iterator[StatementLine | ClosedGap]:
    """Put the frozen gaps between the frozen figures; an account is among one of them."""
    waiting = next(gaps, None)
    for line in lines:
        while waiting is not None and waiting.account_id < line.account_id:
            yield waiting
            waiting = next(gaps, None)
        yield line
    while waiting is not None:
        yield waiting
        waiting = next(gaps, None)


def _frozen_gap(frozen: ClosedGap, entry: StatementLine | Gap | None, facts: AccountFacts | None) -> Gap:
    """Return the gap of an account that had no figure when its month was closed.

    Args:
        frozen: what was kept of it.
        entry: what the store says of the account today; None when it says nothing any more.
        facts: what the account list said then, which decides whose invoice it is on; None where it did not name it.
    """
    reason = cast("GapReason", frozen.reason)
    known = entry if facts is None else facts
    return Gap(
        account_id=frozen.account_id,
        account_name=frozen.account_name,
        api_id=None if known is None else known.api_id,
        parent_account_id=None if known is None else known.parent_account_id,
        audit_info=None if known is None else known.audit_info,
        price_plan_id=None if known is None else known.price_plan_id,
        reason=reason,
        detail=frozen.detail or gap_detail(reason, None),
        run_id=frozen.run_id,
        previous_task_count=None if entry is None else entry.previous_task_count,
        previous_period_from=None if entry is None else entry.previous_period_from,
        previous_period_to=None if entry is None else entry.previous_period_to,
    )


def side_by_side(one: Iterator[_One], other: Iterator[_Other]) -> Iterator[tuple[_One | None, _Other | None]]:
    """Pair two streams by account; both are in the order of their ids."""
    before, after = next(one, None), next(other, None)
    while before is not None or after is not None:
        if after is None or (before is not None and before.account_id < after.account_id):
            yield before, None
            before = next(one, None)
        elif before is None or after.account_id < before.account_id:
            yield None, after
            after = next(other, None)
        else:
            yield before, after
            before, after = next(one, None), next(other, None)


class _Pass:
    """One reading of a statement."""

    def __init__(self, connection: sqlite3.Connection, statement: Statement) -> None:
        period = statement.period
        self._begins, self._ends = utc_text(period.begins), utc_text(period.ends)
        self._months = [utc_text(month.begins) for month in period.earlier_months(statement.trend)]
        # In front of the period as much as a period before it can lie in, or as the trend shows.
        before = utc_text(period.previous.begins - _SLACK)
        first = min([before, *self._months])
        self._reader = MonthReader(connection, statement.path, first, self._ends, facts_from=self._begins)
        self._expected = Expected(self._reader, period, utc_text(statement.now))
        names = [month.label for month in period.earlier_months(statement.trend)]
        self.tally = Tally(names)

    def facts_of(self, gap: ClosedGap) -> AccountFacts | None:
        """Return what the account list said of a frozen gap, in the run that said why it is one."""
        item = None if gap.run_id is None else self._reader.item(gap.run_id, gap.account_id)
        return None if item is None else item.facts

    def entries(self) -> Iterator[StatementLine | Gap]:
        """Yield lines and gaps in the order of account ids."""
        for account_id, rows, refused in self._accounts():
            entry = _plain_line(*rows) if self._is_plain(rows) else self._entry(account_id, rows, refused)
            if entry is not None:
                yield entry

    def totals(self) -> StatementTotals:
        """Count lines and gaps. Those of nearly everybody need not be made for it, which takes a third of the time."""
        tally = self.tally
        for account_id, rows, refused in self._accounts():
            if self._is_plain(rows):
                tally.add_plain(*rows)
            else:
                entry = self._entry(account_id, rows, refused)
                if entry is not None:
                    tally.add(entry)
        return tally.totals()

    def _accounts(self) -> Iterator[tuple[str, list[Figure], bool]]:
        figures = (
            (account_id, list(group)) for account_id, group in itertools.groupby(self._reader.figures(), itemgetter(0))
        )
        return _merged(figures, self._expected.refused())

    def _is_plain(self, rows: list[Figure]) -> bool:
        """Whether this is what nearly everybody has: a figure, and the one of the period before."""
        if len(rows) != 2 or self._months:
            return False
        earlier, figure = rows
        start, before = figure[1], earlier[1]
        if not before < self._begins <= start or figure[9]:
            return False
        return comparable(start, figure[2], before, earlier[2]) is None

    def _entry(self, account_id: str, rows: list[Figure], refused: bool) -> StatementLine | Gap | None:
        begins = self._begins
        known, whole = self._history(account_id, rows)
        counted = choose(known) if whole else known
        trend = self._trend(counted)
        current = [figure for figure in counted if begins <= figure.period_from < self._ends]
        if current:
            return self._line(account_id, current, known, whole=whole, trend=trend)
        if trend:
            self.tally.add_trend(trend)
        observed = any(figure.period_from >= begins for figure in rows)
        return self._gap(account_id, rows, refused=refused, observed=observed)

    def _history(self, account_id: str, rows: list[Figure]) -> tuple[list[Figure], bool]:
        """Return the figures that decide what counts: those at hand, or all there are, where periods overlap."""
        doubtful = any(figure.doubtful for figure in rows)
        if not doubtful:
            pairs = itertools.pairwise(rows)
            doubtful = any(
                comparable(b.period_from, b.period_to, a.period_from, a.period_to) == "overlapping" for a, b in pairs
            )
        if not doubtful:
            return rows, False
        return self._reader.history(account_id), True

    def _trend(self, counted: Sequence[Figure]) -> tuple[int | None, ...]:
        if not self._months:
            return ()
        found: list[int | None] = [None] * len(self._months)
        for figure in counted:
            if self._months[0] <= figure.period_from < self._ends:
                index = sum(month <= figure.period_from for month in self._months) - 1
                found[index] = (found[index] or 0) + figure.task_count
        return tuple(found)

    def _line(
        self,
        account_id: str,
        current: list[Figure],
        known: list[Figure],
        *,
        whole: bool,
        trend: tuple[int | None, ...],
    ) -> StatementLine:
        first, last = current[0], current[-1]
        earlier = [figure for figure in known if figure.period_from < first.period_from]
        if not earlier and not whole:
            nearest = self._reader.nearest(account_id, first.period_from)
            earlier = [] if nearest is None else [nearest]
        found, why = compare(current, earlier)
        facts = self._facts(last)
        return StatementLine(
            account_id=account_id,
            account_name=facts.name,
            api_id=facts.api_id,
            parent_account_id=facts.parent_account_id,
            audit_info=facts.audit_info if last.audit_info is None else last.audit_info,
            task_audit_info=facts.task_audit_info,
            price_plan_id=facts.price_plan_id if last.price_plan_id is None else last.price_plan_id,
            period_from=short_utc_text(first.period_from),
            period_to=short_utc_text(last.shown_to),
            period_end=short_utc_text(end_of(last.period_from, last.period_to)),
            periods=len(current),
            task_count=sum(figure.task_count for figure in current),
            cycle_count=most_cycles(current),
            observed_at=short_utc_text(min(figure.observed_at for figure in current)),
            provisional=any(figure.provisional for figure in current),
            run_id=last.run_id,
            new=not earlier,
            previous_task_count=sum(figure.task_count for figure in found) if found else None,
            previous_cycle_count=most_cycles(found),
            previous_period_from=short_utc_text(found[0].period_from) if found else None,
            previous_period_to=short_utc_text(found[-1].shown_to) if found else None,
            previous_provisional=any(figure.provisional for figure in found) if found else None,
            not_compared=why,
            trend=trend,
        )

    def _facts(self, figure: Figure) -> AccountFacts:
        return self._reader.facts(figure.run_id, figure.account_id) if figure.facts is None else figure.facts

    def _gap(self, account_id: str, rows: list[Figure], *, refused: bool, observed: bool) -> Gap | None:
        before = [figure for figure in rows if figure.period_from < self._begins]
        last = before[-1] if before else None
        # An account is expected when its last period ends within this one, for then the next begins in it.
        end = None if last is None else end_of(last.period_from, last.period_to)
        due = end is not None and self._begins <= end < self._ends
        if not (due or refused or observed) or (end is not None and end >= self._ends):
            return None
        why = self._expected.why(account_id, observed=observed, last=last)
        if why is None:
            return None
        reason, run_id, facts, error = why
        if facts is None and last is not None:
            facts = self._facts(last)
        plan = None if last is None else last.price_plan_id
        audit = None if last is None else last.audit_info
        return Gap(
            account_id=account_id,
            account_name=None if facts is None else facts.name,
            api_id=None if facts is None else facts.api_id,
            parent_account_id=None if facts is None else facts.parent_account_id,
            audit_info=audit if facts is None or facts.audit_info is None else facts.audit_info,
            price_plan_id=plan if facts is None or facts.price_plan_id is None else facts.price_plan_id,
            reason=reason,
            detail=gap_detail(reason, error),
            run_id=run_id,
            previous_task_count=None if last is None else last.task_count,
            previous_period_from=None if last is None else short_utc_text(last.period_from),
            previous_period_to=None if last is None else short_utc_text(last.shown_to),
        )


def _plain_line(earlier: Figure, figure: Figure) -> StatementLine:
    account_id, start, end, tasks, cycles, plan, audit, seen, run_id, _, facts, said = figure
    _, earlier_start, earlier_end, earlier_tasks, earlier_cycles, _, _, earlier_seen, *_, earlier_said = earlier
    assert facts is not None
    name, listed_plan, listed_audit, task_audit_info, api_id, parent = facts
    over = end_of(start, end)
    # By position: keywords would take twice as long, for a million lines.
    return StatementLine(
        account_id,
        name,
        api_id,
        parent,
        listed_audit if audit is None else audit,
        task_audit_info,
        listed_plan if plan is None else plan,
        short_utc_text(start),
        short_utc_text(said or end),
        short_utc_text(over),
        1,
        tasks,
        cycles,
        short_utc_text(seen),
        seen < over,
        run_id,
        False,
        earlier_tasks,
        earlier_cycles,
        short_utc_text(earlier_start),
        short_utc_text(earlier_said or earlier_end),
        earlier_seen < end_of(earlier_start, earlier_end),
    )


def _merged(
    figures: Iterator[tuple[str, list[Figure]]], refused: Iterator[str]
) -> Iterator[tuple[str, list[Figure], bool]]:
    """Put the accounts that were refused between those with figures, each account once."""
    waiting = next(refused, None)
    for account_id, rows in figures:
        while waiting is not None and waiting < account_id:
            yield waiting, [], True
            waiting = next(refused, None)
        yield account_id, rows, waiting == account_id
        if waiting == account_id:
            waiting = next(refused, None)
    while waiting is not None:
        yield waiting, [], True
        waiting = next(refused, None)
