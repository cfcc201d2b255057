"""``cyclr usage`` over the v1.0 API: the main job runs on either."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cyclr_async.simulator import Simulator
from cyclr_async.usage import UsageReader
from tests.cli.cli_api import Run


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("said", ["option", "variable", "profile"])
def test_the_main_job_over_the_v1_api(cyclr: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    args = ["usage", "collect", "--simulate", "--store", "v1.sqlite"]
    match said:
        case "option":
            args += ["--api", "v1"]
        case "variable":
            monkeypatch.setenv("CYCLR_API", "v1")
        case _:
            (tmp_path / "config.toml").write_text('[profiles.live]\napi = "v1"\n')
            args += ["--profile", "live"]
    result = cyclr(*args)
    assert result.code == 0, result.err
    rows = lines(result.out)
    assert len(rows) == 50
    assert {(row["api"], row["cycle_count"], row["price_plan_id"]) for row in rows} == {("v1", None, None)}
    assert "sub-accounts were not asked for" in result.err
    with UsageReader("v1.sqlite") as reader:
        assert (reader.run().scope.api, reader.run().scope.ids) == ("v1", "all")
    # The rows of a pipe are those of an export.
    exported = lines(cyclr("usage", "export", "--store", "v1.sqlite").out)
    assert sorted(rows, key=lambda row: str(row["account_id"])) == exported


def test_both_apis_see_the_same_tasks(cyclr: Run) -> None:
    """The simulator is one world: the same accounts, by their other ids."""
    partner = lines(cyclr("usage", "collect", "--simulate", "--store", "a.sqlite").out)
    v1 = lines(cyclr("usage", "collect", "--simulate", "--api", "v1", "--store", "b.sqlite").out)
    assert {row["account_id"].replace("-", ""): row["account_name"] for row in v1} == {
        row["account_id"]: row["account_name"] for row in partner
    }
    assert {row["account_id"].replace("-", ""): row["task_count"] for row in v1} == {
        row["account_id"]: row["task_count"] for row in partner
    }


def test_subaccounts_and_the_table(cyclr: Run) -> None:
    result = cyclr(
        "usage", "collect", "--simulate", "--api", "v1", "--subaccounts", "--store", "a.sqlite", "-o", "table"
    )
    assert result.code == 0
    assert "50 of 50 accounts" in result.out
    assert "sub-accounts were not asked for" not in result.out
    with UsageReader("a.sqlite") as reader:
        assert reader.run().scope.ids == "tree"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--api", "v1", "--from-date", "2026-10-01"], "--from-date is for the partner API"),
        (["--subaccounts"], "Add --api v1"),
        (["--api", "v1", "--subaccounts", "--limit", "3"], "leave out --accounts and --limit"),
        (["--api", "v2"], "v2"),
    ],
)
def test_options_that_do_not_go_together(cyclr: Run, args: list[str], words: str) -> None:
    result = cyclr("usage", "collect", "--simulate", *args)
    assert result.code == 2
    assert words in result.err


def test_a_store_of_the_other_api_is_refused(cyclr: Run) -> None:
    assert cyclr("usage", "collect", "--simulate", "--store", "a.sqlite").code == 0
    result = cyclr("usage", "collect", "--simulate", "--api", "v1", "--store", "a.sqlite", "--partner", "x")
    assert result.code != 0
    assert "use one store per API" in result.err


def test_limit_takes_the_first_accounts_of_the_list(cyclr: Run) -> None:
    rows = lines(cyclr("usage", "collect", "--simulate", "--api", "v1", "--limit", "3").out)
    assert len(rows) == 3


def test_resume_goes_on_over_the_api_of_the_run(cyclr: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with Simulator(accounts=5, seed=3).in_thread() as running:
        for name in ("base_url", "v1_url", "token_url", "client_id", "client_secret"):
            monkeypatch.setenv(f"CYCLR_{name.upper()}", getattr(running, name))
        result = cyclr("usage", "collect", "--api", "v1", "--subaccounts")
        assert result.code == 0, result.err
        with closing(sqlite3.connect("cyclr-usage.sqlite")) as store:
            store.execute("UPDATE run SET status = 'interrupted'")
            store.commit()
        result = cyclr("usage", "resume")
        assert result.code == 0, result.err
        assert "5 of 5 accounts" in result.err
    with UsageReader("cyclr-usage.sqlite") as reader:
        (run,) = reader.runs()
        assert (run.status, run.scope.api, run.scope.ids) == ("complete", "v1", "tree")
