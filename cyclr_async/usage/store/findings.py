"""Findings: what somebody has to look at before the figures of a run are billed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias, cast

import attrs

from cyclr_async.usage.store.rows import short_utc_text

__all__ = [
    "COUNT_FELL",
    "EMPTY_LIST",
    "FINDINGS_KEPT",
    "FINDING_COLUMNS",
    "NEGATIVE_COUNT",
    "Finding",
    "FindingKind",
    "fallen",
    "figures",
    "finding_of",
    "negative",
]

FindingKind: TypeAlias = Literal["negative_count", "count_fell", "empty_list"]
"""An answer with a count below zero; a count lower than an earlier answer said for the same period; an account list
without accounts although the store knows some."""

NEGATIVE_COUNT: Final = "negative_count"
COUNT_FELL: Final = "count_fell"
EMPTY_LIST: Final = "empty_list"

FINDING_COLUMNS: Final = "run_id, account_id, kind, detail, found_at"
FINDINGS_KEPT: Final = 1000
"""So many are kept in memory by a run and by a report; the rest is counted, and a store has all of them."""


@attrs.frozen
class Finding:
    """Something about a run that is not an error of a call, and must not go by unseen.

    Attributes:
        kind: ``"negative_count"``, ``"count_fell"`` or ``"empty_list"``.
        account_id: the account, or None when it is about the run.
        detail: the figures: ``task_count``, ``cycle_count``, ``period_from`` and ``period_to`` of the answer, for
            ``count_fell`` also ``previous_task_count``, ``previous_cycle_count``, ``previous_observed_at`` and
            ``closed`` (whether the period was over then); for ``empty_list`` ``known_accounts``. Cycles are None where
            the API counts none. Times are ISO-8601 texts in UTC.
        found_at: when the answer came; aware.
        run_id: the run of the store; None without a store.
    """

    kind: FindingKind
    account_id: str | None
    detail: Mapping[str, Any]
    found_at: datetime
    run_id: int | None = None

    @property
    def message(self) -> str:
        """What was found, in one line; ids are as the server sent them."""
        detail = self.detail
        # The words are made here and not stored, so that old stores are told in the words of today.
        if self.kind == EMPTY_LIST:
            return (
                f"the account list is empty, but the store knows {detail['known_accounts']:,} accounts: check the "
                "credentials and the base URL; the run is not complete"
            )
        counts = _counts(detail, "")
        where = f"account {self.account_id}, period from {detail['period_from']}"
        if self.kind == NEGATIVE_COUNT:
            return f"{where}: a count is negative ({counts})"
        before = _counts(detail, "previous_")
        state = "closed " if detail["closed"] else ""
        return f"{where}: a count of the {state}period fell to {counts}, from {before}"

    def __str__(self) -> str:
        return self.message


def _counts(detail: Mapping[str, Any], prefix: str) -> str:
    tasks, cycles = detail[f"{prefix}task_count"], detail[f"{prefix}cycle_count"]
    return f"{tasks:,} tasks" + ("" if cycles is None else f" and {cycles:,} cycles")


def figures(period_from: str, period_to: str, task_count: int, cycle_count: int | None) -> dict[str, Any]:
    """Return what the ``detail`` of a finding about an answer begins with; the times as they are stored."""
    return {
        "task_count": task_count,
        "cycle_count": cycle_count,
        "period_from": short_utc_text(period_from),
        "period_to": short_utc_text(period_to),
    }


def negative(account_id: str, said: Mapping[str, Any], found_at: datetime) -> Finding | None:
    """Return a finding when a count of an answer is below zero; the count itself is kept as it is."""
    # Kept, because a store holds what the service said; whether it can be billed is for a person to decide.
    if said["task_count"] >= 0 and (said["cycle_count"] or 0) >= 0:
        return None
    return Finding(NEGATIVE_COUNT, account_id, said, found_at)


def fallen(
    account_id: str, said: Mapping[str, Any], found_at: datetime, earlier: tuple[int, int | None, str], *, closed: bool
) -> Finding | None:
    """Return a finding when a count is lower than an earlier answer said for the same period.

    Args:
        account_id: the account.
        said: the figures of the answer.
        found_at: when it came.
        earlier: tasks, cycles and time of the answer before.
        closed: whether the period was over at ``found_at``.
    """
    tasks, cycles, observed_at = earlier
    # Both, though the cycle count is a maximum: neither can fall within a period that only grows.
    if said["task_count"] >= tasks and (said["cycle_count"] or 0) >= (cycles or 0):
        return None
    # The earlier answer is kept with it, as a later one replaces the figure in the run.
    before = {"previous_task_count": tasks, "previous_cycle_count": cycles, "previous_observed_at": observed_at}
    return Finding(COUNT_FELL, account_id, {**said, **before, "closed": closed}, found_at)


def finding_of(row: tuple[Any, ...]) -> Finding:
    """Return a finding from the columns of :data:`FINDING_COLUMNS`."""
    run_id, account_id, kind, detail, found_at = row
    return Finding(cast("FindingKind", kind), account_id, json.loads(detail), datetime.fromisoformat(found_at), run_id)
