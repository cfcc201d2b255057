from __future__ import annotations

import json
import tracemalloc
from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cyclr_async.usage import PageAccount
from cyclr_async.usage.page import tally as module
from cyclr_async.usage.page.tally import Tally
from tests.usage.page import reports

counts = st.one_of(st.none(), st.integers(0, 50), st.integers(0, 10**7), st.just(2**60))
accounts = st.builds(
    PageAccount,
    account_id=st.text("ab<\u202e", min_size=1, max_size=5),
    name=st.one_of(st.none(), st.text(max_size=8)),
    plan=st.sampled_from([None, "Starter", "Growth", "<b>"]),
    tasks=counts,
    previous=counts,
    provisional=st.booleans(),
    reason=st.sampled_from([None, "failed", "gone", "no_earlier"]),
    presence=st.sampled_from(["there", "new", "gone"]),
    included=counts,
    charge=st.one_of(st.none(), st.decimals(0, 10**6, places=2)),
    observed_at=st.one_of(
        st.none(), st.timedeltas(timedelta(), timedelta(days=60)).map(lambda age: reports.MADE_AT - age)
    ),
    history=st.lists(counts, max_size=3),
)


def rows_of(tally: Tally) -> list[list[Any]]:
    return [json.loads(row) for row in tally.rows()]


@given(st.lists(accounts, max_size=40), st.integers(1, 50))
@settings(max_examples=150, deadline=None)
def test_the_sums_are_those_of_all_accounts(given_accounts: list[PageAccount], limit: int) -> None:
    tally = Tally.of(reports.report(iter(given_accounts)), limit)
    known = [a for a in given_accounts if a.tasks is not None]
    assert (tally.seen, tally.with_figure) == (len(given_accounts), len(known))
    assert tally.tasks == sum(a.tasks or 0 for a in known)
    assert tally.tasks == sum(found.tasks for found in tally.bins) == sum(plan.tasks for plan in tally.by_plan)
    assert len(known) == sum(found.accounts for found in tally.bins) == sum(plan.accounts for plan in tally.by_plan)
    compared = [a for a in known if a.previous is not None]
    assert (tally.compared, tally.previous_tasks) == (len(compared), sum(a.previous or 0 for a in compared))
    assert tally.compared_tasks == sum(a.tasks or 0 for a in compared)
    assert tally.over == sum(a.over is not None for a in known)
    assert tally.tasks_over == sum(a.over or 0 for a in known) == sum(plan.tasks_over for plan in tally.by_plan)
    assert (tally.charge or Decimal()) == sum((a.charge or Decimal() for a in known), Decimal())
    over = [a.charge or Decimal() for a in known if a.over is not None]
    assert (tally.over_charge or Decimal()) == sum(over, Decimal())
    assert sum(group.accounts for group in tally.gaps.values()) == len(given_accounts) - len(known)
    assert tally.provisional == sum(a.provisional for a in known)
    dated = [a.observed_at for a in known if a.observed_at is not None]
    assert tally.freshness.oldest == min(dated, default=None)
    assert tally.freshness.newest == max(dated, default=None)
    assert sum(number for _, number in tally.freshness.by_age()) + tally.freshness.undated == len(known)
    for found in tally.bins:
        inside = [
            a for a in known if found.low <= (a.tasks or 0) and (found.high is None or (a.tasks or 0) < found.high)
        ]
        assert found.accounts == len(inside)


@given(st.lists(accounts, max_size=40), st.integers(1, 50))
@settings(max_examples=100, deadline=None)
def test_the_rankings_and_the_list_are_those_of_a_sort(given_accounts: list[PageAccount], limit: int) -> None:
    tally = Tally.of(reports.report(given_accounts, months=()), limit)
    known = [a for a in given_accounts if a.tasks is not None]
    by_tasks = sorted(known, key=lambda a: -(a.tasks or 0))
    assert [a.tasks for a in tally.largest] == [a.tasks for a in by_tasks[:10]]
    assert [a.account_id for a in tally.largest] == [a.account_id for a in by_tasks[:10]]
    rises = sorted((a for a in known if (a.change or 0) > 0), key=lambda a: -(a.change or 0))
    falls = sorted((a for a in known if (a.change or 0) < 0), key=lambda a: a.change or 0)
    assert [a.change for a in tally.risers] == [a.change for a in rises[:5]]
    assert [a.change for a in tally.fallers] == [a.change for a in falls[:5]]
    assert [a.over for a in tally.most_over] == sorted((a.over for a in known if a.over), reverse=True)[:10]

    def rank(account: PageAccount) -> int:
        return account.tasks if account.tasks is not None else account.previous or 0

    kept = sorted(given_accounts, key=lambda account: -rank(account))[:limit]
    expected = sorted(kept, key=lambda a: a.tasks is None)
    rows = rows_of(tally)
    assert tally.listed == len(rows) == len(expected)
    for values, account in zip(rows, expected, strict=True):
        row = values + [None] * (13 - len(values))
        assert row[0].replace("[U+202E]", "\u202e") == account.account_id
        assert (None if row[4] is None else int(row[4])) == account.tasks
        assert (None if row[7] is None else Decimal(row[7])) == account.charge
        assert (None if row[2] is None else tally.plan_names[row[2]]) == account.plan
        assert (None if row[10] is None else tally.reason_keys[row[10]]) == account.reason
        assert [None if value is None else int(value) for value in row[12] or ()] == list(account.history)


def test_many_plans_are_added_up_as_others() -> None:
    many = (PageAccount(str(index), plan=f"plan {index}", tasks=1) for index in range(module._PLANS + 500))
    tally = Tally.of(reports.report(many, months=()), 5)
    assert len(tally.plans) == module._PLANS + 1
    assert tally.by_plan[0].plan == "other plans"
    assert tally.by_plan[0].tasks == 500


def test_histories_are_left_out_of_a_long_list() -> None:
    def some(number: int) -> Tally:
        found = (PageAccount(str(index), tasks=index, history=(1, index)) for index in range(number))
        return Tally.of(reports.report(found, months=()), 100_000)

    assert [row[12] for row in rows_of(some(3))] == [[1, 2], [1, 1], [1, 0]]
    assert {len(row) for row in rows_of(some(module.HISTORIES + 1))} == {10}


def test_memory_does_not_grow_with_the_accounts() -> None:
    def peak(number: int) -> int:
        tracemalloc.start()
        try:
            Tally.of(reports.report(reports.plausible(number), months=()), 100)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(100)  # what is made once, such as compiled classes, is not counted
    assert peak(6000) < peak(2000) + 100_000


def test_numbers_that_a_script_cannot_hold_are_texts() -> None:
    large = 2**53
    tally = Tally.of(reports.report([PageAccount("a", tasks=large, previous=large - 1)], months=()), 1)
    assert rows_of(tally)[0][4:6] == [str(large), large - 1]
