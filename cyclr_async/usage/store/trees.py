"""What a customer has used with all sub-accounts: their tasks are not in the usage of the account above them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs

from cyclr_async.usage.months.periods import period_end_text
from cyclr_async.usage.store.rows import UsageRow, short_utc_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["TREES", "TreeTotal", "alone", "tree_totals"]

_DEEPEST: Final = 32
"""Levels that are followed upwards: where there seem to be more, an account is above itself."""

TREES: Final = f"""
    WITH RECURSIVE
    -- Whose sub-account each is, as the run knows it: the last change up to it. Most accounts are nobody's.
    child AS (
        SELECT f.account_id, f.parent_account_id FROM account_fact AS f
        WHERE f.parent_account_id IS NOT NULL AND f.run_id = (
            SELECT max(run_id) FROM account_fact AS last WHERE last.account_id = f.account_id AND last.run_id <= :run)
    ),
    up (account_id, above, depth) AS (
        SELECT account_id, parent_account_id, 1 FROM child
        UNION ALL
        SELECT up.account_id, f.parent_account_id, up.depth + 1 FROM up JOIN account_fact AS f
            ON f.account_id = up.above AND f.parent_account_id IS NOT NULL AND f.run_id = (
                SELECT max(run_id) FROM account_fact AS last
                WHERE last.account_id = f.account_id AND last.run_id <= :run)
        WHERE up.depth < {_DEEPEST}
    ),
    root AS (SELECT account_id, above, max(depth) AS depth FROM up GROUP BY account_id)
    SELECT coalesce(r.above, i.account_id) AS root_id, i.account_id, i.account_name, i.state, o.task_count,
        o.cycle_count, o.period_from, o.period_to, o.observed_at, period_end(o.period_from, o.period_to)
    FROM item AS i LEFT JOIN root AS r ON r.account_id = i.account_id
    LEFT JOIN observation AS o ON o.account_id = i.account_id AND o.period_from = i.period_from
        AND o.observed_at = i.observed_at AND o.run_id = i.run_id
    WHERE i.run_id = :run
    ORDER BY root_id, i.account_id
"""  # noqa: S608 - a constant
"""SQL: every account of a run beside the account at the top of its tree."""


@attrs.frozen
class TreeTotal:
    """An account together with all below it, in one run. Times are ISO-8601 texts in UTC, None without figures.

    Attributes:
        root_account_id: the account at the top, who is nobody's sub-account.
        account_name: its name, when it was listed.
        accounts: how many accounts of the tree the run has, the one at the top included.
        collected: how many of them have a figure; the others are missing from the sums.
        task_count: tasks of all of them.
        own_task_count: tasks of the account at the top alone, as far as it has a figure.
        cycle_count: the sum of the maxima of cycles; None where the API counts none.
        provisional: how many of the figures were observed before their period was over.
        period_from_min: when the earliest of the periods began: accounts of one tree may be billed on different days.
        period_to_max: the latest end among them, as the API says it.
        has_root: whether the run has the account at the top; one that is alone below another is a sub-account too.
    """

    root_account_id: str
    account_name: str | None
    accounts: int
    collected: int
    task_count: int
    own_task_count: int
    cycle_count: int | None
    provisional: int
    period_from_min: str | None
    period_to_max: str | None
    has_root: bool = True


def alone(row: UsageRow) -> tuple[Any, ...]:
    """Return an account that is nobody's as a row of :data:`TREES`."""
    end = period_end_text(row.period_from, row.period_to)
    figures = row.task_count, row.cycle_count, row.period_from, row.period_to, row.observed_at, end
    return row.account_id, row.account_id, row.account_name, row.state, *figures


def tree_totals(rows: Iterable[tuple[Any, ...]]) -> Iterator[TreeTotal]:
    """Yield the total of each tree from what :data:`TREES` selects."""
    tally: _Tally | None = None
    for root, *row in rows:
        if tally is None or tally.root != root:
            if tally is not None:
                yield tally.total()
            tally = _Tally(root)
        tally.add(*row)
    if tally is not None:
        yield tally.total()


@attrs.define
class _Tally:
    root: str
    name: str | None = None
    accounts: int = 0
    collected: int = 0
    tasks: int = 0
    own: int = 0
    has_root: bool = False
    cycles: int | None = None
    provisional: int = 0
    begin: str | None = None
    end: str | None = None

    def add(
        self,
        account_id: str,
        name: str | None,
        state: str,
        tasks: int | None,
        cycles: int | None,
        period_from: str | None,
        period_to: str | None,
        observed_at: str | None,
        period_end: str | None,
    ) -> None:
        self.accounts += 1
        if account_id == self.root:
            self.name, self.has_root = name, True
            self.own = tasks or 0
        if state != "ok" or tasks is None or period_from is None or period_to is None:
            return
        self.collected += 1
        self.tasks += tasks
        if cycles is not None:
            self.cycles = (self.cycles or 0) + cycles
        self.provisional += observed_at is not None and period_end is not None and observed_at < period_end
        self.begin = period_from if self.begin is None else min(self.begin, period_from)
        self.end = period_to if self.end is None else max(self.end, period_to)

    def total(self) -> TreeTotal:
        return TreeTotal(
            root_account_id=self.root,
            account_name=self.name,
            accounts=self.accounts,
            collected=self.collected,
            task_count=self.tasks,
            own_task_count=self.own,
            cycle_count=self.cycles,
            provisional=self.provisional,
            period_from_min=None if self.begin is None else short_utc_text(self.begin),
            period_to_max=None if self.end is None else short_utc_text(self.end),
            has_root=self.has_root,
        )
