"""Findings and months on the command line."""

from __future__ import annotations

import json

import pytest

from tests.cli.cli_api import Api, Run


def status(cyclr: Run) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(cyclr("usage", "status", "-o", "json").out)
    return found


@pytest.mark.parametrize("form", ["jsonl", "table", "csv", "json"])
def test_negative_counts_are_said_and_are_no_success(api: Api, cyclr: Run, form: str) -> None:
    api.tasks = -12_000
    result = cyclr("usage", "collect", "-o", form)
    assert result.code == 3
    said = result.out if form == "table" else result.err
    assert f"account {0:032x}, period from 2026-11-01T00:00:00Z: a count is negative (-12,000 tasks" in said
    (run,) = status(cyclr)
    assert (run["status"], run["findings"], run["ok"]) == ("complete", 12, 12)
    details = run["finding_list"]
    assert isinstance(details, list)
    assert len(details) == 12
    assert (details[0]["kind"], details[0]["detail"]["cycle_count"]) == ("negative_count", 3)
    assert cyclr("usage", "collect", "--quiet", "-o", form).code == 3, "also when nothing is said"


def test_a_count_that_fell_is_said(api: Api, cyclr: Run) -> None:
    assert cyclr("usage", "collect").code == 0
    api.tasks = 900
    result = cyclr("usage", "collect")
    assert result.code == 3
    assert "fell to 900 tasks and 3 cycles, from 1,000 tasks and 3 cycles" in result.err
    table = cyclr("usage", "status", "-o", "table")
    assert "findings" in table.out
    assert "finding of run 2: account" in table.err
    assert [run["findings"] for run in status(cyclr)] == [12, 0]
    assert cyclr("usage", "collect").code == 0


def test_an_empty_list_is_no_success(api: Api, cyclr: Run) -> None:
    names = api.names
    assert cyclr("usage", "collect").code == 0
    api.names = []
    result = cyclr("usage", "collect")
    assert (result.code, result.out) == (3, "")
    assert "the account list is empty, but the store knows 12 accounts" in result.err
    assert [(run["status"], run["findings"]) for run in status(cyclr)] == [("partial", 1), ("complete", 0)]
    api.names = names
    assert cyclr("usage", "collect").code == 0
    assert [(run["status"], run["ok"], run["findings"]) for run in status(cyclr)] == [
        ("complete", 12, 0),
        ("complete", 12, 0),
    ]


def test_months_that_lie_apart_are_not_compared(api: Api, cyclr: Run) -> None:
    api.period = "2026-06-01T00:00:00"
    cyclr("usage", "collect")
    api.period = "2026-10-01T00:00:00"
    for form in ("table", "jsonl"):
        result = cyclr("usage", "collect", "-o", form)
        assert "12 accounts are not compared: the earlier figures are not of the period just before" in (
            " ".join((result.out + result.err).split())
        )
        assert "change" not in result.err
    api.period, api.tasks = "2026-11-01T00:00:00", 1100
    result = cyclr("usage", "collect")
    assert "compared: 2026-11-01 to 2026-11-30 against 2026-10-01 to 2026-10-31" in result.err
    assert "(+10.0%)" in result.err
