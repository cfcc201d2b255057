"""What was observed since a month was closed and differs from what was frozen."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Literal, TypeAlias

import attrs

from cyclr_async.errors import StoreError
from cyclr_async.usage.months.closings import Closing, closed_lines, find_closing
from cyclr_async.usage.months.read import read_statement, side_by_side
from cyclr_async.usage.months.statement import StatementLine
from cyclr_async.usage.months.statement_period import StatementPeriod

__all__ = ["Difference", "DifferenceKind", "read_differences"]

DifferenceKind: TypeAlias = Literal["changed", "appeared", "vanished"]
"""A figure that was observed again and is another one; one that there was none of; one that no longer counts, because
another period of the account covers its time better."""


@attrs.frozen
class Difference:
    """An account whose closed month would be another today. Times are ISO-8601 texts in UTC.

    Attributes:
        account_id: the account.
        account_name: when it was last listed.
        kind: see :data:`DifferenceKind`.
        closed_task_count: what was frozen; None for an account that had no figure.
        task_count: what would count today; None for one that vanished.
        closed_cycle_count: the same of cycles.
        cycle_count: the same of cycles.
        closed_observed_at: when the frozen figure was observed.
        observed_at: when the present one was.
        run_id: the run that observed the present one; None for one that vanished.
    """

    account_id: str
    account_name: str | None
    kind: DifferenceKind
    closed_task_count: int | None
    task_count: int | None
    closed_cycle_count: int | None
    cycle_count: int | None
    closed_observed_at: str | None
    observed_at: str | None
    run_id: int | None

    @property
    def change(self) -> int:
        """Tasks that were not billed with the month, negative for tasks that were billed too many."""
        return (self.task_count or 0) - (self.closed_task_count or 0)


def read_differences(
    store: str | os.PathLike[str], period: StatementPeriod | str, *, closing: Closing | None = None
) -> Iterator[Difference]:
    """Yield what differs from a closed period, ordered by account id; nothing of the closing is changed.

    Args:
        store: the path of the store.
        period: what was closed.
        closing: a closing of it, such as one that was opened again; the one in force when None.

    Raises:
        StoreError: the period is not closed, or the store is damaged.
    """
    found = closing or find_closing(store, period)
    if found is None:
        raise StoreError(f"{period} is not closed: there is nothing that figures could differ from")
    now = read_statement(store, found.period, as_closed=False).lines()
    for before, after in side_by_side(closed_lines(store, found), now):
        difference = _compared(before, after)
        if difference is not None:
            yield difference


def _compared(before: StatementLine | None, after: StatementLine | None) -> Difference | None:
    line = after or before
    assert line is not None
    if before is not None and after is not None:
        # Observed once more and the same is no difference: nobody has to do anything about it.
        said = [(one.task_count, one.cycle_count, one.period_from, one.period_to) for one in (before, after)]
        if said[0] == said[1]:
            return None
    kind: DifferenceKind = "appeared" if before is None else "vanished" if after is None else "changed"
    return Difference(
        account_id=line.account_id,
        account_name=line.account_name,
        kind=kind,
        closed_task_count=None if before is None else before.task_count,
        task_count=None if after is None else after.task_count,
        closed_cycle_count=None if before is None else before.cycle_count,
        cycle_count=None if after is None else after.cycle_count,
        closed_observed_at=None if before is None else before.observed_at,
        observed_at=None if after is None else after.observed_at,
        run_id=None if after is None else after.run_id,
    )
