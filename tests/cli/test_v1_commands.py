"""``cyclr v1``: every command over the simulator."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import web

from cyclr_async.simulator import Simulator
from tests.cli.cli_api import SECRET, Api, Result, Run, commands, leaves, spawn

ACCOUNT: Final = "tenant-42"
CYCLE: Final = "11111111-aaaa-4000-8000-000000000001"
EMPTY: Final = "11111111-aaaa-4000-8000-000000000002"
TEMPLATE: Final = "44444444-aaaa-4000-8000-000000000001"
STATE: Final[dict[str, Any]] = {
    "accounts": [
        {"id": ACCOUNT, "name": "ACME", "users": ["jo"], "marketplaces": [8], "subaccounts": [{"id": "c", "name": "C"}]}
    ],
    "accounts_at_least": 4,
    "connectors": [
        {
            "id": 7,
            "name": "Mail Chimp",
            "version": "v3",
            "categories": ["CRMs"],
            "auth_type": "ApiKey",
            "properties": [{"name": "Region", "account_level": True}],
            "methods": [{"id": 70, "name": "Get Store", "category": "Stores"}, {"name": "List Stores"}],
        },
        {"id": 8, "name": "Mail Chimp", "version": "v2"},
    ],
    "account_connectors": [
        {
            "account": ACCOUNT,
            "id": 1874,
            "connector": {"name": "Mail Chimp", "version": "v3"},
            "name": "News",
            "auth_value": "canary-key",
            "properties": {"Region": "canary-region"},
        }
    ],
    "templates": [{"id": TEMPLATE, "name": "Welcome", "tags": ["first"], "connectors": ["Mail Chimp/v3"]}],
    "cycles": [
        {
            "account": ACCOUNT,
            "id": CYCLE,
            "name": "Daily",
            "connectors": [{"name": "Mail Chimp", "version": "v3"}],
            "tags": ["backup"],
            "steps": [{"name": "Send", "method": "Get Store"}],
        },
        {"account": ACCOUNT, "id": EMPTY, "name": "Empty"},
    ],
}
AT: Final = ("--account", ACCOUNT)
READS: Final[dict[str, tuple[str, ...]]] = {
    "v1 accounts list": (),
    "v1 accounts get": (ACCOUNT,),
    "v1 accounts subaccounts": (ACCOUNT,),
    "v1 accounts usage": (ACCOUNT,),
    "v1 users list": (ACCOUNT,),
    "v1 connectors list": (),
    "v1 connectors get": ("Mail Chimp",),
    "v1 connectors methods": ("7",),
    "v1 account-connectors list": AT,
    "v1 account-connectors get": ("1874", *AT),
    "v1 templates list": (),
    "v1 templates get": (TEMPLATE,),
    "v1 cycles list": AT,
    "v1 cycles get": (CYCLE, *AT),
    "v1 cycles prerequisites": (EMPTY, *AT),
}
WRITES: Final[dict[str, tuple[str, ...]]] = {
    "v1 accounts create": ("new", "--name", "N"),
    "v1 accounts ensure": ("new", "--name", "N"),
    "v1 accounts update": (ACCOUNT, "--name", "N"),
    "v1 accounts delete": (ACCOUNT, "--yes"),
    "v1 users add": (ACCOUNT, "ann", "--password-file", "secret"),
    "v1 users password": ("jo", "--password-file", "secret"),
    "v1 users remove": (ACCOUNT, "jo", "--yes"),
    "v1 sign-in": (ACCOUNT, "jo"),
    "v1 launch account": (ACCOUNT,),
    "v1 launch user": ("ann", "--password-file", "secret", *AT),
    "v1 launch orbit": (ACCOUNT,),
    "v1 launch marketplace": (ACCOUNT, "8"),
    "v1 account-connectors install": ("Mail Chimp", "v3", *AT, "--name", "New", "--auth-value-file", "secret"),
    "v1 account-connectors ensure": ("7", *AT, "--name", "New", "--username", "u", "--password-file", "secret"),
    "v1 account-connectors update": ("1874", *AT, "--name", "New"),
    "v1 account-connectors authenticate": ("1874", *AT, "--auth-value-file", "secret"),
    "v1 account-connectors deauthenticate": ("1874", *AT, "--yes"),
    "v1 account-connectors delete": ("1874", *AT, "--yes"),
    "v1 templates install": (TEMPLATE, *AT),
    "v1 cycles activate": (CYCLE, *AT),
    "v1 cycles deactivate": (CYCLE, *AT),
    "v1 cycles delete": (CYCLE, *AT, "--yes"),
}
ALL: Final = {**READS, **WRITES}
LISTS: Final = {"v1 accounts subaccounts", "v1 connectors get", "v1 connectors methods", "v1 cycles prerequisites"}
V1: Final = {" ".join(path) for path in leaves() if path[0] == "v1"}


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Simulator]:
    """Both APIs with the state above, found by the environment."""
    (tmp_path / "secret").write_text("canary-secret\n")
    with Simulator(state=STATE, seed=3).in_thread() as running:
        for name in ("base_url", "v1_url", "token_url", "client_id", "client_secret"):
            monkeypatch.setenv(f"CYCLR_{name.upper()}", getattr(running, name))
        yield running


def records(result: Result) -> list[dict[str, Any]]:
    assert (result.code, result.err) == (0, "")
    return [json.loads(line) for line in result.out.splitlines()]


def one(result: Result) -> dict[str, Any]:
    (record,) = records(result)
    return record


def test_every_command_is_tried() -> None:
    assert ALL.keys() == V1


@pytest.mark.parametrize("name", ALL)
def test_a_command_works_and_shows_no_secret(simulator: Simulator, cyclr: Run, name: str) -> None:
    result = cyclr(*name.split(), *ALL[name], "-o", "json", "-vv")
    value = json.loads(result.out)
    assert (result.code, bool(value)) == (0, True), result.err
    assert isinstance(value, list) == (name in LISTS or name.endswith(" list"))
    first = value[0] if isinstance(value, list) else value
    assert all(re.fullmatch("[a-z][a-z0-9_]*", field) for field in first)
    assert "canary" not in result.out + result.err
    table = cyclr(*name.split(), *ALL[name], "-o", "table")
    assert "canary" not in table.out + table.err


@pytest.mark.parametrize("name", ALL)
def test_every_format_has_the_same_names(simulator: Simulator, cyclr: Run, name: str) -> None:
    header = cyclr(*name.split(), *ALL[name], "-o", "csv").out.splitlines()[0]
    assert header.split(",")[0] in {"id", "account_id", "username", "reason_code"}
    (field, *_) = header.split(",")
    assert cyclr(*name.split(), *ALL[name], "--fields", f"{field},nope").code == 2


@pytest.mark.parametrize("name", WRITES)
def test_a_dry_run_sends_nothing(simulator: Simulator, cyclr: Run, name: str) -> None:
    arguments = [word for word in WRITES[name] if word != "--yes"]  # nothing is done, so nobody is asked
    result = cyclr(*name.split(), *arguments, "--dry-run")
    shown = json.loads(result.out)
    assert (result.code, shown["dry_run"]) == (0, True)
    assert shown["method"] != "GET"
    assert shown["url"].startswith(simulator.v1_url)
    assert shown["headers"] == ({"X-Cyclr-Account": ACCOUNT} if "--account" in arguments and "user" not in name else {})
    assert "canary" not in result.out + result.err
    assert len(simulator.requests) == 0


@pytest.mark.parametrize("name", ALL)
def test_no_credentials_is_4(cyclr: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("canary-secret\n")
    result = cyclr(*name.split(), *ALL[name])
    assert (result.code, result.out) == (4, "")
    assert "CYCLR_CLIENT_ID" in result.err


def test_every_read_has_a_simulation(cyclr: Run) -> None:
    result = cyclr("v1", "accounts", "list", "--simulate", "--simulate-accounts", "3", "--limit", "2")
    assert (result.code, len(result.out.splitlines())) == (0, 2)
    assert "simulated: 3 invented accounts" in result.err


def test_accounts(simulator: Simulator, cyclr: Run) -> None:
    v1 = ("v1", "accounts")
    assert {account["id"] for account in records(cyclr(*v1, "list"))} == {*simulator.api_ids()} - {"c"}
    made = one(
        cyclr(
            *(*v1, "create", "t 1", "--name", "One", "--success-retention", "24", "--webhook"),
            *("--webhook-url", "https://example.com/hook", "--next-bill-date", "2026-12-31T01:00:00+01:00"),
        )
    )
    assert (made["id"], made["step_data_success_retention_hours"]) == ("t 1", 24)
    assert made["transaction_error_webhook_enabled"] is True
    assert made["next_bill_date_utc"] == "2026-12-31T00:00:00Z"
    changed = one(cyclr(*v1, "update", "t 1", "--clear", "step_data_success_retention_hours", "--no-webhook"))
    assert (changed["step_data_success_retention_hours"], changed["transaction_error_webhook_enabled"]) == (None, False)
    assert one(cyclr(*v1, "ensure", "t 1", "--name", "One"))["id"] == "t 1"
    other = cyclr(*v1, "ensure", "t 1", "--name", "Another")
    assert (other.code, other.out) == (1, "")
    assert "It differs in name: change it with update, or choose another id" in other.err
    again = cyclr(*v1, "create", "t 1", "--name", "One")
    assert (again.code, "already" in again.err) == (1, True), again.err
    assert one(cyclr(*v1, "create", "--name", "Child", "--parent", "t 1"))["name"] == "Child"
    assert [account["name"] for account in records(cyclr(*v1, "subaccounts", "t 1"))] == ["Child"]
    assert one(cyclr(*v1, "usage", "t 1"))["tasks_used"] == 0
    assert one(cyclr(*v1, "delete", "t 1", "--yes")) == {"id": "t 1", "deleted": True}
    gone = cyclr(*v1, "get", "t 1")
    assert (gone.code, gone.out) == (1, "")
    assert "there is nothing with that id" in gone.err


@pytest.mark.parametrize(
    "args",
    [
        ("accounts", "update", "a"),
        ("accounts", "update", "a", "--description", "x", "--clear", "description"),
        ("accounts", "update", "a", "--success-retention", "745"),
        ("accounts", "update", "a", "--webhook"),
        ("accounts", "create", "a"),
        ("accounts", "get", ".."),
        ("users", "password", "jo"),
        ("users", "add", "a", "jo", "--password-file", "none"),
        ("launch", "user", "jo"),
        ("launch", "orbit", "a", "--username", "jo"),
        ("launch", "marketplace", "a", "x"),
        ("launch", "account", "a", "--authentications", "broken.json"),
        ("launch", "account", "a", "--authentications", "wrong.json"),
        ("launch", "account", "a", "--authentications", "properties.json"),
        ("connectors", "get", "7", "v1"),
        ("account-connectors", "list"),
        ("account-connectors", "get", "x", *AT),
        ("account-connectors", "install", "A", *AT, "--username", "u"),
        ("account-connectors", "install", "A", *AT, "--property", "canary"),
        ("account-connectors", "install", "A", *AT, "--property", "a=1", "--property", "a=2"),
        ("account-connectors", "install", "A", *AT, "--property", "a=@none"),
        ("account-connectors", "authenticate", "1", *AT),
        ("account-connectors", "update", "1", *AT),
        ("account-connectors", "list", "--account", "ü"),
        ("cycles", "activate", CYCLE, *AT, "--interval", "7"),
        ("cycles", "get", "a/b", *AT),
    ],
    ids=" ".join,
)
def test_what_cannot_be_is_refused_before_anything_is_sent(
    simulator: Simulator, cyclr: Run, args: tuple[str, ...]
) -> None:
    Path("broken.json").write_text("{canary")
    Path("wrong.json").write_text('[{"name": "canary"}]')
    Path("properties.json").write_text('[{"Name": "A", "Properties": {"a": "canary"}}]')
    result = cyclr("v1", *args)
    assert (result.code, result.out) == (2, ""), result.err
    assert result.err.startswith("error: ")
    assert "canary" not in result.err
    assert all(request.operation == "token" for request in simulator.requests)


def test_users_and_sign_in(simulator: Simulator, cyclr: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("pa ss\n"))
    assert one(cyclr("v1", "users", "add", ACCOUNT, "ann", "--password-stdin"))["username"] == "ann"
    assert {user["username"] for user in records(cyclr("v1", "users", "list", ACCOUNT))} == {"jo", "ann"}
    assert one(cyclr("v1", "users", "remove", ACCOUNT, "jo", "--yes"))["removed"] is True
    assert [user["username"] for user in records(cyclr("v1", "users", "list", ACCOUNT))] == ["ann"]
    made = one(cyclr("v1", "sign-in", ACCOUNT, "ann", "--domain", "apps.example.com"))
    assert made["url"].startswith("https://apps.example.com/account/signinwithtoken?token=")
    assert made["expires_at"].endswith("Z")


def test_launch_links(simulator: Simulator, cyclr: Run) -> None:
    given = {"Name": "Mail Chimp", "Version": "v3", "AuthValue": "canary"}
    Path("auth.json").write_text(json.dumps({**given, "Properties": [{"Name": "Region", "Value": "1"}]}))
    made = one(
        cyclr(
            *("v1", "launch", "account", "fresh", "--account-name", "Fresh", "--no-start", "--run-once"),
            *("--tag", "first", "--authentications", "auth.json"),
        )
    )
    assert made["account_id"] == "fresh"
    for option in ("start=false", "once=true"):
        assert option in made["url"]
    assert one(cyclr("v1", "accounts", "get", "fresh"))["name"] == "Fresh"
    shown = cyclr("v1", "launch", "account", "fresh", "--authentications", "auth.json", "--dry-run")
    (authentication,) = json.loads(shown.out)["body"]["ConnectorAuthentications"]
    assert authentication["AuthValue"] == "***"
    assert authentication["Properties"] == [{"Name": "Region", "Value": "***"}]
    with_user = ("--username", "ann", "--password-file", "secret")
    for words in (
        ("user", "ann", "--password-file", "secret", *AT),
        ("orbit", ACCOUNT, *with_user),
        ("marketplace", ACCOUNT, "8", *with_user),
    ):
        assert one(cyclr("v1", "launch", *words))["url"].startswith("http")


def test_the_catalogue(simulator: Simulator, cyclr: Run) -> None:
    assert [one_["id"] for one_ in records(cyclr("v1", "connectors", "list", "--query", "chimp"))] == [7, 8]
    assert [one_["id"] for one_ in records(cyclr("v1", "connectors", "list", "--category", "CRMs", *AT))] == [7]
    assert one(cyclr("v1", "connectors", "get", "7"))["version"] == "v3"
    assert [one_["version"] for one_ in records(cyclr("v1", "connectors", "get", "Mail Chimp", "v2"))] == ["v2"]
    assert records(cyclr("v1", "connectors", "get", "Nothing")) == []
    for words in (("7",), ("Mail Chimp", "v3"), ("7", *AT)):
        found = records(cyclr("v1", "connectors", "methods", *words))
        assert {one_["name"] for one_ in found} == {"Get Store", "List Stores"}
    assert "icon" not in cyclr("v1", "connectors", "get", "7").out


def test_connectors_of_an_account(simulator: Simulator, cyclr: Run, tmp_path: Path) -> None:
    own = ("v1", "account-connectors")
    (tmp_path / "region").write_text("canary-2\n")
    made = one(
        cyclr(
            *(*own, "install", "Mail Chimp", "v3", *AT, "--name", "Second", "--property", "Region=@region"),
            *("--auth-value-file", "secret"),
        )
    )
    assert (made["connector"], made["version"], made["connector_id"], made["authenticated"]) == (
        "Mail Chimp",
        "v3",
        7,
        True,
    )
    assert [(item["name"], item["value"]) for item in made["properties"]] == [("Region", "***")]
    again = cyclr(*own, "install", "7", *AT, "--name", "second")
    assert (again.code, "in use" in again.err or "already" in again.err) == (1, True)
    ensured = one(cyclr(*own, "ensure", "7", *AT, "--name", "Second"))
    assert ensured["id"] == made["id"]
    out = ("deauthenticate", str(made["id"]), *AT, "--yes")
    assert one(cyclr(*own, *out))["deauthenticated"] is True
    assert one(cyclr(*own, "get", str(made["id"]), *AT))["authenticated"] is False
    login = ("authenticate", str(made["id"]), *AT, "--username", "u", "--password-file", "secret")
    assert one(cyclr(*own, *login))["authenticated"] is True
    assert one(cyclr(*own, "update", str(made["id"]), *AT, "--name", "Third"))["name"] == "Third"
    assert one(cyclr(*own, "delete", str(made["id"]), *AT, "--yes"))["deleted"] is True
    assert [found["id"] for found in records(cyclr(*own, "list", *AT))] == [1874]


def test_templates_and_cycles(simulator: Simulator, cyclr: Run) -> None:
    assert [one_["id"] for one_ in records(cyclr("v1", "templates", "list", "--tag", "first"))] == [TEMPLATE]
    made = one(cyclr("v1", "templates", "install", TEMPLATE, *AT, "--name", "From template"))
    assert (made["name"], made["status"]) == ("From template", "Paused")
    cycles = ("v1", "cycles")
    assert [one_["id"] for one_ in records(cyclr(*cycles, "list", *AT, "--tag", "backup"))] == [CYCLE]
    assert records(cyclr(*cycles, "prerequisites", EMPTY, *AT))[0]["reason_code"] == 10
    started = one(cyclr(*cycles, "activate", CYCLE, *AT, "--interval", "60", "--start-time", "2027-01-01"))
    assert started == {"account_id": ACCOUNT, "id": CYCLE, "activated": True}
    assert one(cyclr(*cycles, "get", CYCLE, *AT))["status"] == "Active"
    assert one(cyclr(*cycles, "deactivate", CYCLE, *AT, "--finish-queued"))["deactivated"] is True
    assert one(cyclr(*cycles, "get", CYCLE, *AT))["status"] != "Active"
    assert one(cyclr(*cycles, "delete", CYCLE, *AT, "--yes"))["deleted"] is True
    unknown = cyclr(*cycles, "get", "99999999-9999-4999-8999-999999999999", *AT)
    assert (unknown.code, unknown.out) == (1, "")
    assert "there is nothing with that id in this account" in unknown.err


def test_an_account_that_is_not_there_is_about_the_account(simulator: Simulator, cyclr: Run) -> None:
    result = cyclr("v1", "cycles", "list", "--account", "nobody")
    assert (result.code, result.out) == (4, "")
    assert "X-Cyclr-Account names no account that it opens" in result.err


DELETES: Final = [name for name, arguments in WRITES.items() if "--yes" in arguments]


@pytest.mark.parametrize("name", DELETES)
def test_nobody_is_asked_where_nobody_is(simulator: Simulator, cyclr: Run, name: str) -> None:
    result = cyclr(*name.split(), *(word for word in WRITES[name] if word != "--yes"))
    assert (result.code, result.out) == (2, "")
    assert "add --yes" in result.err
    assert len(simulator.requests) == 0


@pytest.mark.parametrize(("answer", "code"), [(b"n\n", 1), (b"y\n", 0), (None, 130)])
def test_a_terminal_is_asked_before_something_is_deleted(simulator: Simulator, answer: bytes | None, code: int) -> None:
    ours, theirs = pty.openpty()
    command = spawn("v1", "accounts", "delete", ACCOUNT, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen, answered = b"", False
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:
            break
        seen += piece
        if b"[y/N]" in seen and not answered:
            answered = True
            if answer is None:
                command.send_signal(signal.SIGINT)
            else:
                os.write(ours, answer)
        if not piece:
            break
    os.close(ours)
    assert command.wait(30) == code
    assert f"Delete the account '{ACCOUNT}' with everything in it?".encode() in seen
    assert (ACCOUNT in simulator.api_ids()) == (code != 0)
    assert (b"nothing was changed" in seen) == (code == 1)


def test_advice_names_commands(simulator: Simulator, cyclr: Run) -> None:
    assert "--webhook needs --webhook-url" in cyclr("v1", "accounts", "update", ACCOUNT, "--webhook").err
    assert "cyclr v1 --help" in cyclr("accounts", "list", "--api", "v1").err
    cyclr("v1", "cycles", "activate", CYCLE, *AT)
    running = cyclr("api", "PUT", f"cycles/{CYCLE}", *AT, "-F", "Name=New")
    assert (running.code, "stop the cycle first: cyclr v1 cycles deactivate" in running.err) == (1, True), running.err


def test_every_write_has_a_dry_run_and_every_delete_a_yes() -> None:
    found = {" ".join(path): command for path, command in commands() if " ".join(path) in WRITES}
    for name, command in found.items():
        options = {word for param in command.params for word in param.opts}
        assert "--dry-run" in options, name
        assert ("--yes" in options) == (name in DELETES), name


def test_check_says_which_api_answers(
    api: Api, simulator: Simulator, cyclr: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = cyclr("config", "check")
    record = json.loads(both.out)
    assert (both.code, record["ok"], record["partner_api"], record["v1_api"]) == (0, True, True, True)
    assert record["v1_url"] == simulator.v1_url
    assert both.err == "both APIs answer with these credentials\n"
    # The same token opens v1.0 alone: as with accounts that the partner API never knew.
    monkeypatch.setenv("CYCLR_BASE_URL", f"http://127.0.0.1:{api.port}/api/partner")
    api.special["/api/partner/details"] = lambda _: refused()
    only = cyclr("config", "check")
    record = json.loads(only.out)
    assert (only.code, record["ok"], record["partner_api"], record["v1_api"]) == (0, True, False, True)
    assert "403" in record["partner_api_problem"]
    assert "only the v1.0 API answers with these credentials; for commands that know both: CYCLR_API=v1" in only.err
    assert "warning: the partner API does not answer" in only.err
    wanted = cyclr("config", "check", "--api", "partner")
    assert (wanted.code, json.loads(wanted.out)["ok"]) == (1, False)
    assert "error: the partner API does not answer" in wanted.err
    monkeypatch.setenv("CYCLR_API", "v1")
    assert cyclr("config", "check").code == 0


def refused() -> web.Response:
    return web.json_response({"Message": "not for you"}, status=403)


def test_check_says_why_neither_answers(simulator: Simulator, cyclr: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CYCLR_CLIENT_SECRET", SECRET)
    result = cyclr("config", "check")
    record = json.loads(result.out)
    assert (result.code, record["ok"], record["partner_api"], record["v1_api"]) == (4, False, False, False)
    assert "invalid_client" in record["partner_api_problem"]
    assert "invalid_client" in record["v1_api_problem"]
    assert result.err.count("error: the ") == 2
    assert SECRET not in result.out + result.err


def test_check_where_nothing_tells_where_v1_is(
    simulator: Simulator, cyclr: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CYCLR_V1_URL")
    monkeypatch.delenv("CYCLR_TOKEN_URL")
    for name in ("CYCLR_CLIENT_ID", "CYCLR_CLIENT_SECRET"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("CYCLR_ACCESS_TOKEN", "canary")
    result = cyclr("config", "check", "--api", "v1")
    record = json.loads(result.out)
    assert (result.code, record["v1_url"], record["v1_api"]) == (2, None, False)
    assert "v1_url" in record["v1_api_problem"]


def test_check_with_a_token_of_one_account(simulator: Simulator, cyclr: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CYCLR_ACCOUNT_ID", ACCOUNT)
    result = cyclr("config", "check", "--api", "v1")
    assert (result.code, json.loads(result.out)["v1_api"]) == (0, True)
    assert all(request.method in {"GET", "POST"} for request in simulator.requests)
    assert {request.operation for request in simulator.requests if request.method == "POST"} == {"token"}
