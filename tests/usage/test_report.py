from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from cyclr_async.errors import NotFoundError, StoreError
from cyclr_async.usage import RunScope, UsageReader, UsageStore, bar, render, summarize, term
from tests.usage.usage_make import NOVEMBER, account, bad, good

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
    assert term("ACME Größe 漢字") == "ACME Größe 漢字"
    assert term("\x1b]8;;x\x07\x9b\n\u202e\u2028\u200b\ud800") == (
        "\\x1b]8;;x\\x07\\x9b\\x0a\\u{202e}\\u{2028}\\u{200b}\\u{d800}"
    )
    blanks = [chr(code) for code in range(0x3000) if not term(chr(code)).isprintable()]
    assert {unicodedata.category(char) for char in blanks} == {"Zs"}
