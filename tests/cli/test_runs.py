"""Fresh and stale runs, days that have not come, and whose store it is, from the command line."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cyclr_async.usage import UsageReader
from tests.cli.cli_api import DETAILS, Api, Run, call, spawn

STORE = Path("cyclr-usage.sqlite")


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def asked(api: Api) -> int:
    return sum(line.endswith("/billing") for line in api.requests)


@pytest.fixture
def api(api: Api) -> Api:
    """With a period that is still open: figures of one that has closed are asked for again, however old the run."""
    # It began yesterday, for one that begins with the month is over on the last day of it.
    api.period = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%dT00:00:00")
    return api


def grow_old(days: float, store: Path = STORE) -> None:
    """Move everything in a store into the past."""
    with closing(sqlite3.connect(store)) as connection:
        for table, columns in (
            ("run", ("created_at", "updated_at", "finished_at", "oldest_at")),
            ("item", ("updated_at", "observed_at")),
            ("observation", ("observed_at",)),
        ):
            for column in columns:
                connection.execute(
                    f"UPDATE {table} SET {column} = "
                    f"strftime('%Y-%m-%dT%H:%M:%S', {column}, ?) || substr({column}, 20) WHERE {column} IS NOT NULL",
                    (f"-{days * 86_400:.0f} seconds",),
                )
        connection.commit()


def test_the_same_command_a_month_later(api: Api, cyclr: Run) -> None:
    api.failing = {3}
    assert cyclr("usage", "collect").code == 3
    grow_old(31)
    api.names.append("Joined")
    result = cyclr("usage", "collect")
    assert result.code == 3
    assert len(lines(result.out)) == 13
    assert "run 1 was unfinished and 31 days old (11 of 12 accounts): it is closed as abandoned" in result.err
    assert "12 of 13 accounts collected" in result.err
    assert re.search(r"oldest figure observed \S+Z, \d+ s ago", result.err)
    assert [run["status"] for run in lines(cyclr("usage", "status").out)] == ["partial", "abandoned"]


@pytest.mark.parametrize(
    ("age", "hours", "continued"),
    [
        ("90m", 1, True),
        ("90m", 2, False),
        ("2d", 47, True),
        ("7200", 1, True),
        ("7200", 3, False),
        ("1.5h", 1, True),
        ("0", 0, False),
    ],
)
def test_how_old_a_run_may_be(api: Api, cyclr: Run, age: str, hours: int, continued: bool) -> None:
    api.failing = {3}
    cyclr("usage", "collect")
    grow_old(hours / 24)
    api.failing = set()
    result = cyclr("usage", "collect", "--max-age", age)
    assert (result.code, len(lines(result.out))) == (0, 1 if continued else 12)
    assert ("going on with run 1, begun" in result.err) == continued


@pytest.mark.parametrize("age", ["-1h", "soon", "24 hours", "", "1e9d", "nan", "99999999999999999999"])
def test_what_is_no_age(api: Api, cyclr: Run, age: str) -> None:
    result = cyclr("usage", "collect", f"--max-age={age}")
    assert result.code == 2
    assert "--max-age" in result.err
    assert api.requests == []


def test_a_fresh_start(api: Api, cyclr: Run) -> None:
    api.failing = {3}
    result = cyclr("usage", "collect", "--fresh")
    assert "again: cyclr usage collect" in result.err
    assert "--fresh" not in result.err
    assert len(lines(cyclr("usage", "collect").out)) == 1
    assert len(lines(cyclr("usage", "collect", "--fresh").out)) == 12
    assert [run["status"] for run in lines(cyclr("usage", "status").out)] == ["partial", "abandoned"]


def test_resuming_what_is_old(api: Api, cyclr: Run) -> None:
    api.failing = {3}
    cyclr("usage", "collect")
    (before,) = lines(cyclr("usage", "status").out)
    assert before["resumable"] is True
    assert before["oldest_age_seconds"] < 60
    grow_old(5)
    status = cyclr("usage", "status")
    (run,) = lines(status.out)
    assert (run["resumable"], run["partner"], run["ids"]) == (False, "partner.example.com", "all")
    assert 5 * 86_400 <= run["oldest_age_seconds"] < 5 * 86_400 + 60
    assert datetime.fromisoformat(run["oldest_observed_at"]) < datetime.now(UTC) - timedelta(days=5)
    assert "run 1 is unfinished and 5 days old: the next collection begins a new run" in status.err
    assert "5 days old" in cyclr("usage", "status", "-o", "table").out
    before_asking = len(api.requests)
    result = cyclr("usage", "resume")
    assert result.code == 1
    assert "is 5 days old" in result.err
    assert "begin a new run (cyclr usage collect)" in result.err
    assert len(api.requests) == before_asking
    api.failing = set()
    result = cyclr("usage", "resume", "--max-age", "6d")
    assert (result.code, len(lines(result.out))) == (0, 1)
    assert "5 days ago" in result.err  # the oldest of its figures


def test_a_few_accounts_are_runs_of_their_own_in_one_store(api: Api, cyclr: Run, tmp_path: Path) -> None:
    api.failing = {1}
    (tmp_path / "a").write_text(f"{0:032x}\n{1:032x}\n")
    (tmp_path / "b").write_text(f"{2:032x}\n{1:032x}\n")
    for source in (("--accounts", "a"), ("--accounts", "b"), ("--limit", "3"), ()):
        result = cyclr("usage", "collect", *source, "--store", "x.sqlite")
        assert result.code == 3
    with UsageReader("x.sqlite") as reader:
        assert [(run.status, run.counts.asked) for run in reader.runs()] == [
            ("partial", 12),
            ("partial", 3),
            ("partial", 2),
            ("partial", 2),
        ]
    api.failing = set()
    before = asked(api)
    for source in (("--accounts", "b"), ("--limit", "3"), (), ("--accounts", "a")):
        assert cyclr("usage", "collect", *source, "--store", "x.sqlite").code == 0
    assert asked(api) == before + 4
    assert "nothing to resume" in cyclr("usage", "resume", "--store", "x.sqlite").err


def test_resuming_a_few_accounts_does_not_read_the_list(api: Api, cyclr: Run, tmp_path: Path) -> None:
    api.failing = {1}
    (tmp_path / "a").write_text(f"{0:032x}\n{1:032x}\n")
    cyclr("usage", "collect", "--accounts", "a")
    api.requests.clear()
    api.failing = set()
    result = cyclr("usage", "resume", "--store", "cyclr-usage-subset.sqlite")
    assert (result.code, [row["account_name"] for row in lines(result.out)]) == (0, [None])
    assert "2 of 2 accounts collected" in result.err
    assert not any(line.endswith("/accounts") for line in api.requests)


def test_a_day_that_has_not_come(api: Api, cyclr: Run) -> None:
    today = datetime.now(UTC).date()
    for days in (1, 1500):
        result = cyclr("usage", "collect", "--from-date", str(today + timedelta(days=days)))
        assert result.code == 2
        assert "--from-date" in result.err
        assert "in the future" in result.err
    assert api.requests == []
    assert not STORE.exists()
    assert cyclr("usage", "collect", "--simulate", "--from-date", "2130-01-01").code == 2


def test_a_day_before_everything(api: Api, cyclr: Run) -> None:
    result = cyclr("usage", "collect", "--from-date", "2016-01-01")
    assert result.code == 0
    assert "note: no account has a period that begins on 2016-01-01 or before, as asked" in result.err
    table = cyclr("usage", "collect", "--from-date", "2016-01-01", "-o", "table")
    assert "no account has a period that begins on 2016-01-01 or before" in table.out.replace("\n", " ")
    api.tasks = 0
    assert "note" not in cyclr("usage", "collect").err


def test_the_partner_is_named_by_flag_variable_and_profile(
    api: Api, cyclr: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def name(store: str, *args: str) -> str:
        assert cyclr("usage", "collect", "--store", store, *args).code == 0
        with UsageReader(store) as reader:
            return reader.run().scope.partner

    assert name("1.db") == DETAILS["Domain"]
    (tmp_path / "config.toml").write_text('[profiles.live]\npartner = "by profile"\n')
    (tmp_path / "config.toml").chmod(0o600)
    assert name("2.db") == "by profile"
    monkeypatch.setenv("CYCLR_PARTNER", "by variable")
    assert name("3.db") == "by variable"
    assert name("4.db", "--partner", "by flag") == "by flag"
    shown = {row["setting"]: row for row in lines(cyclr("config", "show").out)}
    assert shown["partner"] == {
        "setting": "partner",
        "value": "by variable",
        "source": "environment (CYCLR_PARTNER)",
    }
    assert name("5.db", "--simulate") == "partner.example.com"  # which is no business of the variable
    assert name("6.db", "--simulate", "--partner", "x") == "x"


def test_another_client_id_changes_nothing(api: Api, cyclr: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    api.failing = {3}
    cyclr("usage", "collect")
    monkeypatch.setenv("CYCLR_CLIENT_ID", "somebody-else")
    assert len(lines(cyclr("usage", "collect").out)) == 1


def test_a_store_gets_a_new_name(api: Api, cyclr: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    cyclr("usage", "collect")
    monkeypatch.setitem(DETAILS, "Domain", "new.example.com")
    refused = cyclr("usage", "collect")
    assert refused.code == 1
    command = refused.err[refused.err.index("cyclr usage rekey") :].split()
    assert command[:3] == ["cyclr", "usage", "rekey"]

    assert cyclr("usage", "rekey").code == 2
    assert cyclr("usage", "rekey", "--partner", "x", "--from-credentials").code == 2
    assert cyclr("usage", "rekey", "--partner", "x", "--store", "none.db", "--yes").code == 1
    assert cyclr("usage", "rekey", "--partner", " ", "--yes").code == 2
    nobody = call(*command[1:])  # standard input is no terminal
    assert nobody.code == 2
    assert "--yes" in nobody.err
    assert "'partner.example.com'" in nobody.err
    assert cyclr("usage", "collect").code == 1  # nothing was changed

    result = cyclr(*command[1:], "--yes")
    assert (result.code, lines(result.out)) == (
        0,
        [
            {
                "store": str(STORE.resolve()),
                "old": "partner.example.com",
                "new": "new.example.com",
                "runs": 1,
                "changed": True,
            }
        ],
    )
    assert cyclr("usage", "collect").code == 0
    again = cyclr("usage", "rekey", "--from-credentials", "--yes")
    assert (again.code, lines(again.out)[0]["changed"]) == (0, False)
    assert "has this name already" in again.err


def test_a_store_gets_its_name_from_the_credentials(api: Api, cyclr: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    cyclr("usage", "collect", "--partner", "acme")
    result = cyclr("usage", "rekey", "--from-credentials", "--yes")
    assert lines(result.out)[0] | {"store": ""} == {
        "store": "",
        "old": "acme",
        "new": DETAILS["Domain"],
        "runs": 1,
        "changed": True,
    }


def answering(keys: bytes, *args: str) -> tuple[int, str]:
    """Run the command at a pseudo-terminal where somebody answers; return its code and what was shown."""
    ours, theirs = pty.openpty()
    command = spawn(*args, env={"COLUMNS": "200"}, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    os.write(ours, keys)
    seen = b""
    with contextlib.suppress(OSError):  # the end of a pseudo-terminal
        while piece := os.read(ours, 65536):
            seen += piece
    os.close(ours)
    return command.wait(30), seen.decode("utf-8", "replace")


def test_a_terminal_is_asked(api: Api, cyclr: Run) -> None:
    cyclr("usage", "collect")
    code, seen = answering(b"n\n", "usage", "rekey", "--partner", "acme")
    assert code == 1
    assert "belongs to 'partner.example.com'. Let it belong to 'acme'? [y/N]" in seen
    code, _ = answering(b"y\n", "usage", "rekey", "--partner", "acme")
    assert code == 0
    with UsageReader(STORE) as reader:
        assert reader.run().scope.partner == "acme"
