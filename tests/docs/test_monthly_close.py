"""Every command that docs/monthly-close.md shows is run, in its order, and its price book is read."""

from __future__ import annotations

import re
import shlex
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cyclr_async.cli import main, months
from cyclr_async.cli.commands import (
    usage_check,
    usage_differences,
    usage_history,
    usage_invoice,
    usage_merge,
    usage_prune,
    usage_report,
)
from cyclr_async.usage import UsageReader, parse_price_book
from cyclr_async.usage.store.views import VIEWS

TEXT = (Path(__file__).parents[2] / "docs" / "monthly-close.md").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line.removeprefix("$ "), comments=True)
    for block in re.findall(r"^ *```console\n(.*?)```", TEXT, re.DOTALL | re.MULTILINE)
    for line in textwrap.dedent(block).splitlines()
]


def test_the_commands_work_as_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CYCLR_CONFIG", str(tmp_path / "config.toml"))
    # The text names October; the months of the demo are those before now.
    last = (datetime.now(UTC).replace(day=1) - timedelta(days=1)).strftime("%Y-%m")
    account = ""
    closed = False
    assert len(COMMANDS) > 20
    for command in COMMANDS:
        args = [{"2026-10": last, "ACCOUNT": account}.get(word, word) for word in command[1:]]
        if args[1] == "close" and closed:
            # The text shows the close twice: in short at its top, and step by step.
            assert main(["usage", "reopen", last, "--reason", "shown twice", "--store", "usage.sqlite"]) == 0
        code = main(args)
        said = capsys.readouterr()
        expected = {"check": {0, 33, 37}}.get(args[1], {0})
        assert code in expected, (args, said.err)
        closed = closed or args[1] == "close"
        if args[1] == "demo":
            with UsageReader("usage.sqlite") as reader:
                account = next(reader.rows()).account_id
    assert {"october.xlsx", "october.html", "october.csv", "lines.xlsx"} <= {path.name for path in tmp_path.iterdir()}


def test_the_price_book_is_one() -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    book = parse_price_book(block)
    price = book.price_of("0a1b2c3d", 2, "customer-7")
    assert price is not None
    assert (str(price.fee), price.included_tasks, len(price.tiers)) == ("99", 50_000, 2)


def test_every_view_is_described() -> None:
    assert {view for view in VIEWS if f"`{view}`" not in TEXT} == set()


FIELDS = {
    "usage report": (usage_report, "_COLUMNS"),
    "usage report --by": (usage_report, "_GROUP_COLUMNS"),
    "usage history": (usage_history, "_COLUMNS"),
    "usage invoice": (usage_invoice, "_COLUMNS"),
    "usage close": (months, "CLOSING_COLUMNS"),
    "usage differences": (usage_differences, "_COLUMNS"),
    "usage check": (usage_check, "_COLUMNS"),
    "usage prune": (usage_prune, "_COLUMNS"),
    "usage merge": (usage_merge, "_COLUMNS"),
}


@pytest.mark.parametrize("command", FIELDS)
def test_the_fields_of_a_command_are_those_of_the_table(command: str) -> None:
    table = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    (row,) = [line for line in table.splitlines() if line.startswith(f"| `{command}`") and ", " in line.split("|")[2]]
    module, name = FIELDS[command]
    assert f"`{', '.join(getattr(module, name))}`" in row
