"""The history of one account."""

from __future__ import annotations

from pathlib import Path

import pytest

from cyclr_async.errors import StoreError
from cyclr_async.usage import PeriodObservation, read_history
from tests.support.usage_months import StoreMaker


def test_periods_with_all_that_was_said_of_them(path: Path) -> None:
    with StoreMaker(path) as store:
        store.run("2026-10-20")
        store.list("a", name="Old", plan=2, audit="ref")
        store.usage("a", "2026-09-09", "2026-10-08", 5)
        store.run("2026-11-01")
        store.list("a", name="New", plan=3, audit="ref")
        store.usage("a", "2026-10-09", "2026-11-08", 9)
        store.run("2026-11-20")
        store.list("a", name="Newer", plan=3, audit="ref")
        store.usage("a", "2026-10-09", "2026-11-08", 8)
        store.usage("a", "2026-10-20", "2026-11-10", 1, seen="2026-11-20T00:00:01")
    found = read_history(path, "a")
    assert found is not None
    assert (found.account_name, found.price_plan_id, found.audit_info) == ("Newer", 3, "ref")
    first, second, third = found.periods
    assert (first.task_count, first.change, first.provisional, first.counted) == (5, None, False, True)
    assert (second.task_count, second.change, second.provisional, second.counted) == (8, 3, False, True)
    assert second.observations == (
        PeriodObservation("2026-11-01T00:00:00Z", 2, 9, 1, True),
        PeriodObservation("2026-11-20T00:00:00Z", 3, 8, 1, False),
    )
    assert (third.counted, third.change, third.period_end) == (False, None, "2026-11-11T00:00:00Z")


def test_an_account_without_figures_and_one_that_is_unknown(path: Path) -> None:
    with StoreMaker(path) as store:
        store.run("2026-10-20")
        store.list("a", name="Silent", plan=2)
    found = read_history(path, "a")
    assert found is not None
    assert (found.account_name, found.price_plan_id, found.periods) == ("Silent", 2, ())
    assert read_history(path, "b") is None
    with pytest.raises(StoreError, match="there is no store"):
        read_history(path.with_name("other.db"), "a")
