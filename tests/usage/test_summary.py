from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import attrs
import pytest

from cyclr_async.errors import NotFoundError, StoreError
from cyclr_async.usage import (
    RunScope,
    Summary,
    UsageOutcome,
    UsageReader,
    UsageStore,
    bar,
    escape_terminal,
    export_usage,
    render,
    summarize,
)
from tests.support.usage_make import NOVEMBER, account, bad, good

if TYPE_CHECKING:
    from pathlib import Path


async def two_months(path: Path, scope: RunScope) -> None:
    async with await UsageStore.open(path, scope) as store:
        for number in range(4):
            await store.record(good(f"a{number}", 10 * number))
        await store.finish("complete")
    december = datetime(2026, 11, 20, tzinfo=UTC)
    async with await UsageStore.open(path, scope) as store:
        for number in range(1, 6):
            listed = account(f"a{number}", f"Name \x1b[31m{number}", plan=2)
            plan = None if number == 5 else 3
            outcome = good(
                f"a{number}",
                20 * number,
                start=NOVEMBER,
                end="2026-12-01T00:00:00",
                seen=december,
                plan=plan,
                listed=listed,
            )
            await store.record(outcome)
        await store.record(bad("x1"))
        await store.record(bad("x2"))
        await store.record(bad("y", NotFoundError("no such account", status=404)))
        await store.add_accounts(["z"])
        await store.finish("partial")


async def test_summary(path: Path, scope: RunScope) -> None:
    await two_months(path, scope)
    with UsageReader(path) as reader:
        found = summarize(reader, top=2)
        months = [(one.month, one.accounts, one.task_count, one.provisional) for one in reader.periods()]
        first = summarize(reader, 1)
    assert (found.task_count, found.cycle_count, found.provisional) == (300, 10, 5)
    assert [(row.account_id, row.task_count, row.previous_task_count) for row in found.top] == [
        ("a5", 100, None),
        ("a4", 80, None),
    ]
    assert [(plan.price_plan_id, plan.accounts, plan.task_count) for plan in found.plans] == [(3, 4, 200), (2, 1, 100)]
    assert found.comparison is not None
    assert (found.comparison.accounts, found.comparison.new_accounts) == (3, 2)
    assert (found.comparison.task_count, found.comparison.previous_task_count, found.comparison.change) == (120, 60, 60)
    assert found.comparison.ratio == 1.0
    assert found.comparison.previous_provisional == 0
    assert [(group.state, group.accounts, group.examples) for group in found.failures] == [
        ("failed", 2, ("x1", "x2")),
        ("missing", 1, ("y",)),
    ]
    assert (found.period_from_min, found.period_to_max) == ("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z")
    assert found.observed_min == "2026-11-20T00:00:00Z"
    assert months == [("2026-10", 4, 60, 0), ("2026-11", 5, 300, 5)]
    assert first.comparison is None


async def test_lines_are_safe_and_fit(path: Path, scope: RunScope) -> None:
    await two_months(path, scope)
    with UsageReader(path) as reader:
        found = summarize(reader)
    lines = render(found, width=60)
    assert lines[0] == "Run 2 (partial): 300 tasks, 5 of 9 accounts"
    assert any("Name \\x1b[31m5" in line and "█" in line for line in lines)
    assert any("change +60 (+100.0%)" in line for line in lines)
    assert lines[-1] == "1 accounts are still pending: resume the run to collect them"
    assert all(line.isprintable() for line in lines)
    assert all(line.isascii() for line in render(found, width=60, ascii=True))


async def test_an_empty_run_has_a_summary(path: Path, scope: RunScope) -> None:
    await (await UsageStore.open(path, scope)).close()
    with UsageReader(path) as reader:
        found = summarize(reader)
        assert (found.task_count, found.top, found.observed_min) == (0, (), None)
        assert render(found)[0] == "Run 1 (running): 0 tasks, 0 of 0 accounts"
        with pytest.raises(StoreError, match="no run 7"):
            summarize(reader, 7)


def test_bars() -> None:
    assert (bar(1, 2, 4), bar(3, 16, 2), bar(5, 0, 9), bar(9, 3, 3)) == ("██", "▍", "", "███")
    assert (bar(1, 2, 4, ascii=True), bar(0, 2, 4)) == ("##", "")


def test_terminal_text() -> None:
    assert escape_terminal("ACME Größe 漢字") == "ACME Größe 漢字"
    assert escape_terminal("\x1b]8;;x\x07\x9b\n\u202e\u2028\u200b\ud800") == (
        "\\x1b]8;;x\\x07\\x9b\\x0a\\u{202e}\\u{2028}\\u{200b}\\u{d800}"
    )
    blanks = [chr(code) for code in range(0x3000) if not escape_terminal(chr(code)).isprintable()]
    assert {unicodedata.category(char) for char in blanks} == {"Zs"}


OCTOBER_9, NOVEMBER_9, DECEMBER_9 = "2026-10-09T16:23:08", "2026-11-09T16:23:08", "2026-12-09T16:23:08"
LATER = datetime(2027, 3, 1, tzinfo=UTC)


def day_before(text: str) -> str:
    return (datetime.fromisoformat(text) - timedelta(days=1)).isoformat()


async def run_of(path: Path, scope: RunScope, *outcomes: UsageOutcome) -> None:
    async with await UsageStore.open(path, scope) as store:
        for outcome in outcomes:
            await store.record(outcome)
        await store.finish("complete")


def found_of(path: Path) -> Summary:
    with UsageReader(path) as reader:
        return summarize(reader)


async def test_adjacent_months_are_compared_and_both_are_named(path: Path, scope: RunScope) -> None:
    seen = datetime(2026, 11, 10, tzinfo=UTC)
    october = [good("a", 100, start=OCTOBER_9, end=day_before(NOVEMBER_9), seen=seen), good("b", 7, start=OCTOBER_9)]
    await run_of(path, scope, *october)
    end = day_before(DECEMBER_9)
    november = [good(name, 150, start=NOVEMBER_9, end=end, seen=LATER) for name in "abc"]
    await run_of(path, scope, *november)
    found = found_of(path).comparison
    assert found is not None
    assert (found.accounts, found.new_accounts, found.task_count, found.previous_task_count) == (1, 1, 150, 100)
    assert (found.previous_provisional, found.provisional) == (0, 0)
    assert found.periods == "2026-11-09 to 2026-12-08 against 2026-10-09 to 2026-11-08"
    (refused,) = found_of(path).not_compared
    assert (refused.why, refused.accounts, refused.examples) == ("not_adjacent", 1, ("b",))
    assert "compared: 2026-11-09 to 2026-12-08 against 2026-10-09 to 2026-11-08" in render(found_of(path))


@pytest.mark.parametrize(
    ("earlier", "now", "why"),
    [
        (("2026-06-01", "2026-06-30"), ("2026-10-01", "2026-10-31"), "not_adjacent"),
        (("2026-11-01", "2026-11-30"), ("2026-11-02", "2026-12-01"), "overlapping"),
        (("2026-10-09", "2026-11-08"), ("2026-11-09", "2026-11-19"), "other_length"),
        (("2026-11-09", "2026-11-19"), ("2026-11-20", "2026-12-19"), "other_length"),
        (("2026-08-01", "2026-10-31"), ("2026-11-01", "2026-11-30"), "other_length"),
    ],
)
async def test_other_periods_are_not_compared(
    path: Path, scope: RunScope, earlier: tuple[str, str], now: tuple[str, str], why: str
) -> None:
    for count, (start, end) in enumerate((earlier, now), 1):
        await run_of(path, scope, good("a", 100 * count, start=f"{start}T16:23:08", end=f"{end}T16:23:08"))
    found = found_of(path)
    assert found.comparison is None
    assert [(one.why, one.accounts, one.examples) for one in found.not_compared] == [(why, 1, ("a",))]
    assert found.top[0].previous_task_count is None
    shown = "\n".join(render(found))
    assert f"1 accounts are not compared: {found.not_compared[0].reason} (a)" in shown
    assert "against the period before" not in shown


async def test_the_adjacent_period_is_found_behind_one_that_overlaps(path: Path, scope: RunScope) -> None:
    for start, end, tasks in (
        (OCTOBER_9, day_before(NOVEMBER_9), 40),
        (OCTOBER_9, day_before(NOVEMBER_9), 50),
        ("2026-11-01T16:23:08", "2026-11-30T16:23:08", 900),
        (NOVEMBER_9, day_before(DECEMBER_9), 60),
    ):
        await run_of(path, scope, good("a", tasks, start=start, end=end, seen=LATER + timedelta(days=tasks)))
    found = found_of(path).comparison
    assert found is not None
    assert (found.task_count, found.previous_task_count) == (60, 50)


async def test_accounts_billed_on_different_days_are_named_by_the_span(path: Path, scope: RunScope) -> None:
    for first, following in (("10", "11"), ("11", "12")):
        outcomes = [
            good(str(day), 5, start=f"2026-{first}-{day:02}T00:00:00", end=f"2026-{following}-{day - 1:02}T00:00:00")
            for day in (3, 28)
        ]
        await run_of(path, scope, *outcomes)
    found = found_of(path).comparison
    assert found is not None
    assert found.periods == (
        "periods that began 2026-11-03 to 2026-11-28 against periods that began 2026-10-03 to 2026-10-28"
    )
    assert found.provisional == 2


async def test_overlapping_observations_of_an_account_count_once(path: Path, scope: RunScope) -> None:
    for start, end in (("11-01", "11-30"), ("11-02", "12-01"), ("11-09", "12-08"), ("11-09", "12-08")):
        outcome = good("a", 100, start=f"2026-{start}T16:23:08", end=f"2026-{end}T16:23:08", seen=LATER)
        await run_of(path, scope, outcome, good("b", 1, start=NOVEMBER_9, end=day_before(DECEMBER_9), seen=LATER))
    with UsageReader(path) as reader:
        months = reader.periods()
    assert [attrs.astuple(one) for one in months] == [("2026-11", 2, 101, 4, 0)]


async def test_two_short_periods_of_a_month_are_one_account(path: Path, scope: RunScope) -> None:
    for start, end in (("2026-11-01", "2026-11-09"), ("2026-11-10", "2026-11-19")):
        await run_of(path, scope, good("a", 50, start=f"{start}T00:00:00", end=f"{end}T00:00:00"))
    with UsageReader(path) as reader:
        assert [attrs.astuple(one) for one in reader.periods()] == [("2026-11", 1, 100, 2, 1)]


@pytest.mark.parametrize(
    ("seconds", "provisional"), [(-1, True), (0, True), (86_399, True), (86_400, False), (90_000, False)]
)
async def test_a_month_is_provisional_until_the_next_begins(
    path: Path, scope: RunScope, seconds: int, provisional: bool
) -> None:
    seen = datetime(2026, 11, 8, 16, 23, 8, tzinfo=UTC) + timedelta(seconds=seconds)
    await run_of(path, scope, good("a", start=OCTOBER_9, end=day_before(NOVEMBER_9), seen=seen))
    with UsageReader(path) as reader:
        (row,) = reader.rows()
        (observed,) = reader.history("a")
        (month,) = reader.periods()
        found = summarize(reader)
    said = [row.provisional, observed.provisional, bool(month.provisional), bool(found.provisional)]
    assert said == [provisional] * 4
    exported = export_usage(path, path.with_suffix(".csv")).path.read_text(encoding="utf-8")
    assert (",true," in exported) == provisional
