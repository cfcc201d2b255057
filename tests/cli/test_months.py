"""A month from its collection to the difference report, by commands only; and each of these commands by itself."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import socket
import threading
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from cyclr_async.cli.demo import PRICES, fill
from cyclr_async.cli.notify import NotifyError, checked_url, post_json
from cyclr_async.errors import ConfigurationError
from cyclr_async.simulator import Simulator
from cyclr_async.usage import read_statement
from tests.cli.cli_api import Result, Run
from tests.support.usage_months import StoreMaker

STORE = Path("usage.sqlite")
BOOK = """
currency = "EUR"
customer = "audit_info"
[plans.1]
name = "Basic"
fee = 10
included_tasks = 100
unit_price = "0.05"
[plans.2]
fee = 20
tiers = [{ up_to = 50, price = "0.10" }, { price = "0.08" }]
"""


def records(result: Result) -> list[dict[str, Any]]:
    assert result.code in {0, 3} or result.code > 32, result.err
    return [json.loads(line) for line in result.out.splitlines()]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """October and November of five accounts, in the working folder."""
    with StoreMaker(tmp_path / STORE) as made:
        made.run("2025-11-02")
        for account, plan, tasks, audit in (
            ("0123", 1, 100, "acme"),
            ("12e4", 2, 60, "acme"),
            ("=cmd()", 1, 10, None),
            ("gone", 1, 9, None),
        ):
            made.list(account, name=f"<b>{account}</b>", plan=plan, audit=audit)
            made.usage(account, "2025-10-01", "2025-10-31", tasks, plan=plan, audit=audit)
        made.run("2025-12-02")
        for account, plan, tasks, audit in (
            ("0123", 1, 250, "acme"),
            ("12e4", 2, 60, "acme"),
            ("=cmd()", 1, 20, None),
            ("new", 2, 7, None),
        ):
            made.list(account, name=f"<b>{account}</b>", plan=plan, audit=audit)
            made.usage(account, "2025-11-01", "2025-11-30", tasks, plan=plan, audit=audit)
    (tmp_path / "prices.toml").write_text(BOOK, "utf-8")
    return STORE


def test_a_whole_close_by_commands_only(tmp_path: Path, cyclr: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What docs/monthly-close.md shows, against a simulated API whose clock the test moves."""
    simulated = Simulator(accounts=0, now=datetime.fromisoformat("2025-09-01T00:00:00+00:00"), frozen=True)
    with simulated.in_thread() as api:
        for name, value in {
            "CYCLR_BASE_URL": api.base_url,
            "CYCLR_TOKEN_URL": api.token_url,
            "CYCLR_CLIENT_ID": api.client_id,
            "CYCLR_CLIENT_SECRET": api.client_secret,
        }.items():
            monkeypatch.setenv(name, value)
        ids = {}
        for name, plan in (("Aarhus", "2"), ("Bergen", "3"), ("Cork", "2")):
            made = cyclr("accounts", "create", "--name", name, "--price-plan-id", plan, "-o", "json")
            ids[name] = json.loads(made.out)["id"]
            for month, tasks in ((9, 5_000), (10, 12_000)):
                api.set_usage(ids[name], tasks, 1, period=datetime(2025, month, 5))  # noqa: DTZ001 - UTC is meant
        (tmp_path / "prices.toml").write_text(PRICES, "utf-8")
        at = ("--store", "usage.sqlite")
        # September, then October, each when it is over.
        for moment, first in (("2025-10-02", "2025-09-01"), ("2025-11-02", "2025-10-01")):
            api.clock.set(datetime.fromisoformat(f"{moment}T03:00:00+00:00"))
            assert cyclr("usage", "collect", "--from-date", first, *at).code == 0
        october = ("--month", "2025-10", *at)
        priced = ("--prices", "prices.toml")
        checked = cyclr("usage", "check", *october, *priced)
        assert (checked.code, len(records(checked))) == (37, 5)  # three rose, two passed what is included
        report = records(cyclr("usage", "report", *october, *priced))
        assert {(row["account_name"], row["task_count"], row["change"]) for row in report} == {
            (name, 12_000, 7_000) for name in ids
        }
        assert cyclr("usage", "report", *october, *priced, "--html", "october.html").code == 0
        assert (tmp_path / "october.html").stat().st_size > 10_000
        assert cyclr("prices", "check", "prices.toml").code == 0
        closed = json.loads(cyclr("usage", "close", "2025-10", "--by", "Kim", *at, "-o", "json").out)
        assert (closed["accounts"], closed["task_count"], closed["closed_by"]) == (3, 36_000, "Kim")
        invoiced = cyclr("usage", "invoice", *october, *priced, "--out", "october.xlsx")
        assert (invoiced.code, "not closed" in invoiced.err) == (0, False)
        sheet = openpyxl.load_workbook(tmp_path / "october.xlsx").active
        assert sheet is not None
        heading, *rows = sheet.iter_rows(values_only=True)
        amounts = [row[heading.index("amount")] for row in rows]
        # Two accounts of Starter: 29 and 3,000 over at 0.012; one of Pro: 149 and nothing over.
        assert round(sum(float(str(amount)) for amount in amounts), 2) == 2 * (29 + 36) + 149
        # A figure that rises after the close.
        api.set_usage(ids["Cork"], 13_000, 1, period=datetime(2025, 10, 5))  # noqa: DTZ001 - UTC is meant
        api.clock.set(datetime.fromisoformat("2025-11-20T03:00:00+00:00"))
        assert cyclr("usage", "collect", "--from-date", "2025-10-01", *at).code == 0
        late = cyclr("usage", "differences", "2025-10", *at)
        (difference,) = records(late)
        assert (late.code, difference["account_name"], difference["change"]) == (3, "Cork", 1_000)
        again = records(cyclr("usage", "report", *october, *priced))
        assert sum(row["task_count"] for row in again) == 36_000
        assert [row["task_count"] for row in records(cyclr("usage", "history", ids["Cork"], *at))] == [5_000, 13_000]


def test_a_report_in_every_format(store: Path, cyclr: Run, tmp_path: Path) -> None:
    november = ("usage", "report", "--month", "2025-11", "--store", str(store), "--prices", "prices.toml")
    rows = records(cyclr(*november))
    assert [row["account_id"] for row in rows] == ["0123", "12e4", "=cmd()", "gone", "new"]
    first = rows[0]
    assert (first["change"], first["change_percent"], first["included_tasks"]) == (150, "150.0", 100)
    assert (first["over_tasks"], first["charge"], first["currency"]) == (150, "17.50", "EUR")
    assert (first["plan_name"], rows[1]["plan_name"]) == ("Basic", None)
    assert (rows[3]["gap"], rows[3]["task_count"]) == ("gone", None)
    assert json.loads(cyclr(*november, "-o", "json").out) == rows
    table = list(csv.DictReader(io.StringIO(cyclr(*november, "-o", "csv").out)))
    assert [row["account_id"] for row in table] == ["0123", "12e4", "'=cmd()", "gone", "new"]
    shown = cyclr(*november, "-o", "table", "--compare", "--trend", "2", "--top", "2")
    assert "150.0" in shown.out
    assert "▄█" in shown.out or ".@" in shown.out or "=@" in shown.out
    assert "3 more" in shown.err
    assert "1 accounts are new, 1 are gone" in shown.err
    markdown = cyclr(*november, "-o", "markdown", "--fields", "account_id,account_name,task_count").out.splitlines()
    assert markdown[:2] == ["| account_id | account_name | task_count |", "| --- | --- | ---: |"]
    assert markdown[2] == r"| 0123 | \<b\>0123\</b\> | 250 |"
    for name in ("november.xlsx", "november.parquet", "november.md"):
        assert cyclr(*november, "--out", name).code == 0
    sheet = openpyxl.load_workbook(tmp_path / "november.xlsx").active
    assert sheet is not None
    heading, *found = sheet.iter_rows(values_only=True)
    by_name = [dict(zip(heading, row, strict=True)) for row in found]
    assert [row["account_id"] for row in by_name] == ["0123", "12e4", "=cmd()", "gone", "new"]
    assert [row["account_name"] for row in by_name][:2] == ["<b>0123</b>", "<b>12e4</b>"]
    assert [row["task_count"] for row in by_name] == [250, 60, 20, None, 7]
    assert by_name[0]["charge"] == 17.5
    assert [cell.data_type for cell in next(sheet.iter_rows(min_row=2))][:2] == ["s", "s"]
    duckdb = pytest.importorskip("duckdb")
    query = "SELECT account_id, task_count, charge FROM 'november.parquet' ORDER BY account_id LIMIT 1"
    account, tasks, charge = duckdb.connect().execute(query).fetchone()
    assert (account, tasks, str(charge)) == ("0123", 250, "17.5000")


def test_filters_and_groups(store: Path, cyclr: Run) -> None:
    november = ("usage", "report", "--month", "2025-11", "--store", str(store), "--prices", "prices.toml")
    assert [row["account_id"] for row in records(cyclr(*november, "--rise", "100%"))] == ["0123", "=cmd()"]
    assert [row["account_id"] for row in records(cyclr(*november, "--rise", "150.1"))] == []
    over = records(cyclr(*november, "--over-allowance"))
    assert [(row["account_id"], row["over_tasks"]) for row in over] == [("0123", 150), ("12e4", 60), ("new", 7)]
    groups = records(cyclr(*november, "--by", "customer"))
    assert [(row["key"], row["accounts"], row["task_count"], row["change"]) for row in groups] == [
        ("acme", 2, 310, 150),
        (None, 2, 27, 10),
    ]
    plans = records(cyclr(*november, "--by", "plan"))
    assert [(row["key"], row["task_count"]) for row in plans] == [("1", 270), ("2", 67)]
    parents = records(cyclr(*november, "--by", "parent"))
    assert [row["key"] for row in parents] == ["0123", "12e4", "=cmd()", "new"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--month", "2025-11", "--last-month"), "give one of"),
        (("--from", "2025-11-01"), "belong together"),
        (("--from", "2025-11-02", "--to", "2025-11-01"), "lies before"),
        (("--month", "2025-13"), "is no month"),
        (("--month", "2025-11", "--zone", "Mars/Olympus"), "unknown time zone"),
        (("--over-allowance",), "needs --prices"),
        (("--from", "2025-10-01", "--to", "2025-11-30", "--prices", "prices.toml"), "--prices are those of a month"),
        (("--rise", "much"), "is no percentage"),
        (("--html", "x.html", "--by", "plan"), "--html shows everything"),
        (("--charts", "x"), "belongs to --html"),
        (("-o", "xlsx"), "name a file with --out"),
    ],
)
def test_options_that_do_not_fit(store: Path, cyclr: Run, args: tuple[str, ...], said: str) -> None:
    result = cyclr("usage", "report", "--store", str(store), *args)
    assert (result.code, said in result.err) == (2, True), result.err


def test_any_days(store: Path, cyclr: Run) -> None:
    result = cyclr("usage", "report", "--from", "2025-10-01", "--to", "2025-11-30", "--store", str(store))
    assert {row["account_id"]: row["task_count"] for row in records(result)} == {
        "0123": 350,
        "12e4": 120,
        "=cmd()": 30,
        "gone": 9,
        "new": 7,
    }


def test_a_fall_in_percent_is_a_figure_in_every_format(store: Path, cyclr: Run, tmp_path: Path) -> None:
    with StoreMaker(tmp_path / STORE) as made:
        made.run("2025-12-03")
        made.list("0123").usage("0123", "2025-11-01", "2025-11-30", 91)
    november = ("usage", "report", "--month", "2025-11", "--store", str(store), "--fields", "change,change_percent")
    assert cyclr(*november, "-o", "csv").out.splitlines()[1] == "-9,-9.0"
    assert records(cyclr(*november, "-o", "jsonl"))[0] == {"change": -9, "change_percent": "-9.0"}


def test_small_prices_are_written_with_all_their_digits(store: Path, cyclr: Run, tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text('currency = "EUR"\n[plans.default]\nunit_price = 0.0000001\n', "utf-8")
    november = ("usage", "invoice", "--month", "2025-11", "--store", str(store), "--prices", "small.toml")
    fields = ("--fields", "kind,quantity,unit_price,exact,amount")
    first = {"kind": "tasks", "quantity": 250, "unit_price": "0.0000001", "exact": "0.0000250", "amount": "0.00"}
    assert records(cyclr(*november, *fields))[0] == first
    assert cyclr(*november, *fields, "-o", "csv").out.splitlines()[1] == "tasks,250,0.0000001,0.0000250,0.00"
    (tmp_path / "small.toml").write_text(
        'currency = "EUR"\n[plans.default]\nunit_price = 0.00000001234567890123\n', "utf-8"
    )
    assert cyclr(*november, "--out", "small.xlsx").code == 0
    sheet = openpyxl.load_workbook(tmp_path / "small.xlsx").active
    assert sheet is not None
    heading, first_row, *_ = sheet.iter_rows(values_only=True)
    assert first_row[heading.index("unit_price")] == 0.00000001234567890123  # 13 digits: a number
    duckdb = pytest.importorskip("duckdb")
    assert cyclr(*november, "--out", "small.parquet").code == 0
    found = duckdb.connect().execute("SELECT unit_price FROM 'small.parquet' LIMIT 1").fetchone()
    assert found == ("0.00000001234567890123",)


def test_the_sum_of_all_invoices_is_exact(store: Path, cyclr: Run, tmp_path: Path) -> None:
    price = "99999999999999999999.99999999999999999999"
    book = f'currency = "EUR"\ndecimals = 4\n[plans.default]\nunit_price = "{price}"\n'
    (tmp_path / "large.toml").write_text(book, "utf-8")
    result = cyclr("usage", "invoice", "--month", "2025-11", "--store", str(store), "--prices", "large.toml")
    assert "4 customers" in result.err or "5 customers" in result.err
    assert "33,700,000,000,000,000,000,000.0000 EUR" in result.err


def test_invoices(store: Path, cyclr: Run) -> None:
    november = ("usage", "invoice", "--month", "2025-11", "--store", str(store), "--prices", "prices.toml")
    result = cyclr(*november)
    assert "2025-11 is not closed" in result.err
    lines = records(result)
    assert [(line["customer"], line["kind"], line["amount"]) for line in lines if line["customer"] == "acme"] == [
        ("acme", "fee", "10.00"),
        ("acme", "included", "0.00"),
        ("acme", "tasks", "7.50"),
        ("acme", "fee", "20.00"),
        ("acme", "tasks", "5.00"),
        ("acme", "tasks", "0.80"),
    ]
    totals = records(cyclr(*november, "--totals"))
    assert {row["customer"]: row["total"] for row in totals} == {
        "=cmd()": "10.00",
        "acme": "43.30",
        "gone": "0.00",
        "new": "20.70",
    }
    assert result.code == 0
    (STORE.parent / "prices.toml").write_text('currency = "EUR"\n[plans.1]\nfee = "x"\n', "utf-8")
    wrong = cyclr(*november)
    assert (wrong.code, "prices.toml:3: plans.1.fee" in wrong.err) == (2, True)
    checked = cyclr("prices", "check", "prices.toml")
    assert (checked.code, "prices.toml:3: plans.1.fee" in checked.err) == (2, True)


def test_an_invoice_with_gaps_says_so(store: Path, cyclr: Run, tmp_path: Path) -> None:
    with StoreMaker(tmp_path / STORE) as made:
        made.run("2025-12-03", from_date="2025-11-01")
        made.list("silent").refused("silent", "failed")
    result = cyclr("usage", "invoice", "--month", "2025-11", "--store", str(store), "--prices", "prices.toml")
    assert (result.code, "1 customers have accounts without a figure" in result.err) == (3, True)


def test_closing_and_opening_again(store: Path, cyclr: Run, tmp_path: Path) -> None:
    at = ("--store", str(store))
    with StoreMaker(tmp_path / STORE) as made:
        made.run("2025-12-03", from_date="2025-11-01")
        made.list("silent").refused("silent", "failed")
    refused = cyclr("usage", "close", "2025-11", "--by", "Kim", *at)
    assert (refused.code, "1 accounts have no figure (1 failed)" in refused.err) == (1, True)
    assert cyclr("usage", "close", "2025-11", "--by", "Kim", "--accept-missing", *at).code == 0
    assert "closed on" in cyclr("usage", "report", "--month", "2025-11", *at).err
    assert cyclr("usage", "close", "2025-11", "--by", "Kim", *at).code == 1
    assert cyclr("usage", "differences", "2025-11", *at).code == 0
    assert cyclr("usage", "reopen", "2025-11", *at).code == 2  # without a reason
    assert cyclr("usage", "reopen", "2025-11", "--by", "Alex", "--reason", "wrong", *at).code == 0
    (found,) = records(cyclr("usage", "closings", *at))
    assert (found["closed_by"], found["accepted"], found["reopened_by"], found["reopen_reason"]) == (
        "Kim",
        ["missing"],
        "Alex",
        "wrong",
    )
    assert cyclr("usage", "differences", "2025-11", *at).code == 1


def test_history(store: Path, cyclr: Run) -> None:
    at = ("--store", str(store))
    found = records(cyclr("usage", "history", "0123", *at))
    assert [(row["task_count"], row["change"], row["counted"]) for row in found] == [
        (100, None, True),
        (250, 150, True),
    ]
    every = records(cyclr("usage", "history", "0123", "--all-observations", *at))
    assert [(row["period_from"][:7], row["task_count"]) for row in every] == [("2025-10", 100), ("2025-11", 250)]
    unknown = cyclr("usage", "history", "nobody", *at)
    assert (unknown.code, "does not know the account" in unknown.err) == (1, True)


class Hook:
    """A web hook: notes what is posted, and answers with the statuses that it was given, then with 200."""

    def __init__(self) -> None:
        self.posted: list[Any] = []
        self.statuses: list[int] = []
        self.retry_after: str | None = None
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.posted.append(json.loads(body))
                status = hook.statuses.pop(0) if hook.statuses else 200
                self.send_response(status)
                if hook.retry_after is not None:
                    self.send_header("Retry-After", hook.retry_after)
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/secret-path"


@pytest.fixture
def hook() -> Iterator[Hook]:
    found = Hook()
    thread = threading.Thread(target=found.server.serve_forever)
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


def test_a_check_for_cron(store: Path, cyclr: Run, hook: Hook) -> None:
    november = ("usage", "check", "--month", "2025-11", "--store", str(store))
    result = cyclr(*november, "--prices", "prices.toml", "--notify", hook.url)
    assert result.code == 32 + 1 + 4
    assert [(row["kind"], row["account_id"]) for row in records(result)] == [
        ("rose", "0123"),
        ("over_allowance", "0123"),
    ]
    (posted,) = hook.posted
    assert (posted["period"], posted["rose"], posted["missing"], posted["over_allowance"]) == ("2025-11", 1, 0, 1)
    assert posted["examples"][0]["change_percent"] == "150.0"
    assert posted["text"].startswith("partner.example.com, 2025-11: 1 accounts rose")
    assert "secret" not in result.err
    quiet = cyclr(*november, "--rise", "200%", "--notify", hook.url)
    assert (quiet.code, quiet.out, len(hook.posted)) == (0, "", 1)
    assert cyclr(*november, "--rise", "200%", "--notify", hook.url, "--notify-always").code == 0
    assert len(hook.posted) == 2
    hook.statuses = [404]
    refused = cyclr(*november, "--rise", "200%", "--notify", hook.url, "--notify-always")
    assert (refused.code, "to 127.0.0.1: HTTP 404" in refused.err) == (1, True)
    assert "secret-path" not in refused.err
    hook.statuses = [404]
    assert cyclr(*november, "--notify", hook.url).code == 33  # what was found matters more
    assert cyclr(*november, "--notify", "http://hooks.example.com/x").code == 2


def test_a_check_finds_who_is_missing(store: Path, cyclr: Run, tmp_path: Path) -> None:
    with StoreMaker(tmp_path / STORE) as made:
        made.run("2025-12-03", from_date="2025-11-01")
        made.list("silent").refused("silent", "failed")
    result = cyclr("usage", "check", "--month", "2025-11", "--rise", "200%", "--store", str(store))
    assert (result.code, [row["kind"] for row in records(result)]) == (34, ["missing"])


def test_a_check_of_a_month_that_nobody_collected(store: Path, cyclr: Run) -> None:
    result = cyclr("usage", "check", "--month", "2025-06", "--store", str(store))
    assert (result.code, [row["detail"] for row in records(result)]) == (
        34,
        ["the store has no figure of 2025-06, and none before"],
    )


def test_a_summary_is_posted_again_after_trouble(hook: Hook) -> None:
    waits: list[float] = []
    hook.statuses = [503, 429, 500]
    post_json(hook.url, {"a": 1}, sleep=waits.append)
    assert (hook.posted, waits) == ([{"a": 1}] * 4, [1.0, 4.0, 15.0])
    hook.statuses, hook.retry_after = [429], "7"
    waits.clear()
    post_json(hook.url, {"a": 1}, sleep=waits.append)
    assert waits == [7.0]
    hook.statuses, hook.retry_after = [500] * 9, None
    with pytest.raises(NotifyError, match=r"to 127\.0\.0\.1: HTTP 500"):
        post_json(hook.url, {}, sleep=waits.append)
    hook.statuses.clear()
    hook.statuses = [302]
    with pytest.raises(NotifyError, match="HTTP 302"):  # nobody named that place
        post_json(hook.url, {}, sleep=waits.append)
    unused = hook.url.replace(str(hook.server.server_port), "1")
    with pytest.raises(NotifyError, match="Connection refused"):
        post_json(unused, {}, sleep=waits.append)


def test_whatever_a_hook_answers_the_check_says_what_it_found(store: Path, cyclr: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def babble() -> None:
            for _ in range(4):
                connection, _address = server.accept()
                with connection:
                    connection.recv(65_536)
                    connection.sendall(b"canary: this is no HTTP\r\n\r\n")

        thread = threading.Thread(target=babble)
        thread.start()
        waits: list[float] = []
        with pytest.raises(NotifyError, match=r"to 127\.0\.0\.1: BadStatusLine$"):
            post_json(f"http://127.0.0.1:{server.getsockname()[1]}/x", {}, sleep=waits.append)
        thread.join()
    assert waits == [1.0, 4.0, 15.0]
    november = ("usage", "check", "--month", "2025-11", "--store", str(store))
    for url in ("http://127.0.0.1:abc/canary", "http://127.0.0.1/a canary", "http://127.0.0.1/\u00e9-canary"):
        refused = cyclr(*november, "--notify", url)
        assert (refused.code, "--notify" in refused.err, "canary" in refused.err) == (2, True, False)


def test_what_goes_to_this_machine_goes_to_no_proxy(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    post_json(hook.url, {"a": 1}, sleep=lambda _seconds: None)
    assert hook.posted == [{"a": 1}]


@pytest.mark.parametrize(
    "url",
    ["", "hooks.example.com", "ftp://x/y", "http://hooks.example.com/", "https://a:b@x/y", "https://[", "https:///x"],
)
def test_addresses_that_nothing_is_posted_to(url: str) -> None:
    with pytest.raises(ConfigurationError, match="--notify") as caught:
        checked_url(url)
    assert "a:b" not in str(caught.value)
    assert checked_url("https://hooks.example.com/x") == "https://hooks.example.com/x"


def test_a_demo_to_try_everything_with(cyclr: Run, tmp_path: Path) -> None:
    made = cyclr("usage", "demo", "--accounts", "14", "--months", "4", "-o", "json")
    assert made.code == 0, made.err
    found = json.loads(made.out)
    *_, before, last, _open = found["months"]
    at = ("--store", "demo.sqlite")
    rows = records(cyclr("usage", "report", "--month", last, "--compare", *at))
    assert len([row for row in rows if row["gap"] is None]) == 13
    (risen,) = records(cyclr("usage", "check", "--month", last, "--rise", "300%", *at))
    assert risen["kind"] == "rose"
    assert [row["gap"] for row in records(cyclr("usage", "report", "--month", before, *at)) if row["gap"]] == ["gone"]
    assert cyclr("usage", "invoice", "--month", last, "--prices", "demo.toml", *at).code == 0
    assert cyclr("usage", "close", last, "--by", "Kim", *at).code == 0
    again = cyclr("usage", "demo")
    assert (again.code, "demo.sqlite exists" in again.err) == (1, True)


@pytest.mark.parametrize(
    "now", ["2027-01-01T00:00:00", "2027-01-01T12:00:00", "2027-01-02T05:00:00", "2024-02-29T23:00:00"]
)
def test_no_figure_of_a_demo_is_of_tomorrow(tmp_path: Path, now: str) -> None:
    moment = datetime.fromisoformat(f"{now}+00:00")
    made = asyncio.run(fill(tmp_path / STORE, months=3, accounts=12, now=moment))
    last = read_statement(tmp_path / STORE, made.months[-2], now=moment)
    observed = [line.observed_at for line in last.lines()]
    assert observed
    assert all(datetime.fromisoformat(at) <= moment for at in observed)
    assert last.totals().provisional == 0
    assert read_statement(tmp_path / STORE, made.months[-1], now=moment).totals().accounts == made.accounts


def test_pruning_asks_and_merging_takes_over(store: Path, cyclr: Run, tmp_path: Path) -> None:
    at = ("--store", str(store))
    with StoreMaker(tmp_path / STORE) as made:
        made.run("2025-12-20")
        made.list("0123").usage("0123", "2025-11-01", "2025-11-30", 251)
    asked = cyclr("usage", "prune", "--older-than", "0", *at)
    assert (asked.code, "Remove 1 superseded observations" in asked.err) == (2, True)
    counted = json.loads(cyclr("usage", "prune", "--older-than", "0", "--dry-run", *at).out)
    done = json.loads(cyclr("usage", "prune", "--older-than", "0", "--yes", *at).out)
    assert (counted["removed"], done["removed"], counted["kept"], done["kept"]) == (1, 1, 8, 8)
    with StoreMaker(tmp_path / "other.sqlite") as made:
        made.run("2025-12-21")
        made.list("x").usage("x", "2025-11-01", "2025-11-30", 1)
    merged = json.loads(cyclr("usage", "merge", "other.sqlite", *at).out)
    assert (merged["runs"], merged["added"], merged["observations"]) == (4, 1, 9)
    found = records(cyclr("usage", "report", "--month", "2025-11", *at))
    assert {row["account_id"]: row["task_count"] for row in found if row["gap"] is None}["0123"] == 251


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1.5 AS task_count UNION ALL SELECT 2", [1.5, 2.0]),
        ("SELECT 1.23456789 AS amount", ["1.23456789"]),
        ("SELECT 'abc' AS amount", ["abc"]),
        ("SELECT 'never' AS observed_at", ["never"]),
        ("SELECT 7 AS amount", [Decimal("7.0000")]),
        ("SELECT 3 AS provisional", ["3"]),
        ("SELECT 1e999 AS task_count", ["inf"]),
        ("SELECT max(task_count) AS task_count FROM figures", [250]),
    ],
)
def test_an_answer_is_not_rounded_to_what_its_column_is_called(
    store: Path, cyclr: Run, sql: str, expected: list[object]
) -> None:
    duckdb = pytest.importorskip("duckdb")
    asked = cyclr("usage", "query", sql, "--engine", "sqlite", "--store", str(store), "--out", "a.parquet")
    assert asked.code == 0, asked.err
    assert [value for (value,) in duckdb.connect().execute("SELECT * FROM 'a.parquet'").fetchall()] == expected


def test_questions_in_sql(store: Path, cyclr: Run) -> None:
    asked = ("usage", "query", "--store", str(store), "--engine", "sqlite")
    found = records(cyclr(*asked, "SELECT month, sum(task_count) AS tasks FROM figures GROUP BY month ORDER BY month"))
    assert found == [{"month": "2025-10", "tasks": 179}, {"month": "2025-11", "tasks": 337}]
    assert records(cyclr(*asked, "SELECT 1 AS a, 2 AS a")) == [{"a": 1, "a_2": 2}]
    wrong = cyclr(*asked, "DELETE FROM run")
    assert (wrong.code, "refuses the question" in wrong.err) == (1, True)
