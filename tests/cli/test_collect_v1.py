"""The main job over the v1.0 API, from the command line."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from cyclr_async.simulator import Fault, Simulator
from tests.cli.cli_api import Run

STATE: Final[dict[str, Any]] = {
    "accounts": [
        {"id": "tenant-1", "name": "One", "subaccounts": [{"id": "child-1", "name": "Child"}]},
        {"id": "tenant-2", "name": "Two"},
    ],
    "accounts_at_least": 6,
}


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    with Simulator(state=STATE, seed=3, real_time=True).in_thread() as running:
        for name in ("base_url", "v1_url", "token_url", "client_id", "client_secret"):
            monkeypatch.setenv(f"CYCLR_{name.upper()}", getattr(running, name))
        yield running


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def asked(simulator: Simulator) -> list[str]:
    return [request.path for request in simulator.requests if request.path.endswith("/usage")]


def test_every_account_into_a_store_and_out(simulator: Simulator, cyclr: Run, tmp_path: Path) -> None:
    result = cyclr("usage", "collect", "--api", "v1")
    rows = lines(result.out)
    assert (result.code, {row["account_id"] for row in rows}) == (0, {*simulator.api_ids()} - {"child-1"})
    assert {(row["api"], row["state"], row["cycle_count"], row["price_plan_id"]) for row in rows} == {
        ("v1", "ok", None, None)
    }
    assert cyclr("usage", "export", "--out", "usage.csv").code == 0
    with (tmp_path / "usage.csv").open(newline="", encoding="utf-8") as stream:
        assert {row["account_id"] for row in csv.DictReader(stream)} == {row["account_id"] for row in rows}
    (run,) = lines(cyclr("usage", "status").out)
    assert (run["api"], run["ids"], run["ok"]) == ("v1", "all", len(rows))


def test_sub_accounts_are_noted_as_theirs(simulator: Simulator, cyclr: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CYCLR_API", "v1")
    rows = lines(cyclr("usage", "collect", "--subaccounts").out)
    assert {row["account_id"]: row["parent_account_id"] for row in rows}["child-1"] == "tenant-1"
    assert {row["account_id"] for row in rows} == {*simulator.api_ids()}
    table = cyclr("usage", "collect", "--subaccounts", "-o", "table", "--fresh")
    assert table.code == 0
    assert "Customers with sub-accounts" in table.out
    assert "plan" not in table.out  # there is none in this API
    assert "priceplans" not in " ".join(request.path for request in simulator.requests)


def test_what_failed_is_tried_again_over_the_same_api(simulator: Simulator, cyclr: Run) -> None:
    fault = simulator.faults.add(Fault.status(400, operation="v1.accounts.usage", account_id="tenant-2"))
    first = cyclr("usage", "collect", "--api", "v1", "--subaccounts")
    assert first.code == 3
    assert "cyclr usage collect" in first.err
    assert "--api v1 --subaccounts" in first.err
    assert simulator.faults.hits(fault) >= 1
    simulator.faults.clear()
    before = len(asked(simulator))
    again = cyclr("usage", "resume")
    assert (again.code, len(lines(again.out)), len(asked(simulator)) - before) == (0, 1, 1)
    (run,) = lines(cyclr("usage", "status").out)
    assert (run["ids"], run["status"], run["failed"]) == ("tree", "complete", 0)


def test_a_few_accounts(simulator: Simulator, cyclr: Run) -> None:
    assert len(lines(cyclr("usage", "collect", "--api", "v1", "--limit", "2").out)) == 2
    Path("ids").write_text("tenant-2\nchild-1\n")
    rows = lines(cyclr("usage", "collect", "--api", "v1", "--accounts", "ids").out)
    assert {row["account_id"] for row in rows} == {"tenant-2", "child-1"}


def test_the_two_apis_have_stores_of_their_own(simulator: Simulator, cyclr: Run) -> None:
    assert cyclr("usage", "collect", "--api", "v1").code == 0
    mixed = cyclr("usage", "collect")
    assert (mixed.code, mixed.out) == (1, "")
    assert simulator.v1_url in mixed.err


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (("--api", "v1", "--from-date", "2026-10-01"), "--from-date is for the partner API (--api v1)"),
        (("--subaccounts",), "add --api v1"),
        (("--subaccounts", "--api", "v1", "--limit", "3"), "leave --accounts and --limit out"),
        (("--subaccounts", "--api", "v1", "--accounts", "x"), "leave --accounts and --limit out"),
    ],
)
def test_what_the_apis_do_not_know(simulator: Simulator, cyclr: Run, args: tuple[str, ...], problem: str) -> None:
    result = cyclr("usage", "collect", *args)
    assert (result.code, result.out) == (2, "")
    assert problem in result.err
    assert len(simulator.requests) == 0


def test_a_variable_is_named_where_it_contradicts(
    simulator: Simulator, cyclr: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CYCLR_API", "v1")
    assert "CYCLR_API says v1" in cyclr("usage", "collect", "--from-date", "2026-10-01").err
    assert cyclr("usage", "collect", "--api", "partner", "--from-date", "2026-10-01").code in {0, 3}
