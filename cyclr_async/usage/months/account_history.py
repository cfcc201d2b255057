"""The history of one account: its periods in order, each by the figure that counts, with every observation of it."""

from __future__ import annotations

import os

import attrs

__all__ = ["AccountHistory", "AccountPeriod", "PeriodObservation", "read_history"]


@attrs.frozen
class PeriodObservation:
    """One answer about a period. Times are ISO-8601 texts in UTC.

    Attributes:
        observed_at: when it came.
        run_id: the run.
        task_count: tasks, as it said them.
        cycle_count: the maximum of cycles, as it said it.
        provisional: whether the period was not over then.
    """

    observed_at: str
    run_id: int
    task_count: int
    cycle_count: int
    provisional: bool


@attrs.frozen
class AccountPeriod:
    """A period of an account.

    Attributes:
        period_from: when it began.
        period_to: its end as the API says it.
        period_end: when it is really over, exclusive.
        task_count: tasks, by the last observation.
        cycle_count: the maximum of cycles, by the last observation.
        price_plan_id: by the last observation.
        observed_at: when that was.
        provisional: whether it may still rise.
        counted: whether it counts; False when it overlaps others, which count instead.
        change: more tasks than the period before, when the two may be compared, else None.
        observations: every answer about it, oldest first.
    """

    period_from: str
    period_to: str
    period_end: str
    task_count: int
    cycle_count: int
    price_plan_id: int | None
    observed_at: str
    provisional: bool
    counted: bool
    change: int | None
    observations: tuple[PeriodObservation, ...]


@attrs.frozen
class AccountHistory:
    """What a store knows of one account.

    Attributes:
        account_id: the account.
        account_name: when it was last listed.
        api_id: its id in the v1.0 API, where known.
        parent_account_id: the account that it is a sub-account of, where known.
        audit_info: the partner's own reference.
        price_plan_id: the last one known.
        periods: oldest first.
    """

    account_id: str
    account_name: str | None
    api_id: str | None
    parent_account_id: str | None
    audit_info: str | None
    price_plan_id: int | None
    periods: tuple[AccountPeriod, ...]


def read_history(store: str | os.PathLike[str], account_id: str) -> AccountHistory | None:
    """Read the history of one account; None when the store does not know it.

    Args:
        store: the path of the store.
        account_id: the account.

    Raises:
        StoreError: there is no store, it is damaged, or a newer release made it.
    """
    raise NotImplementedError
