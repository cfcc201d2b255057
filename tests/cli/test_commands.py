"""Every operation from the command line."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.cli.cli_api import Api, Run

ID = f"{3:032x}"


def test_accounts_list(api: Api, cyclr: Run) -> None:
    result = cyclr("accounts", "list")
    rows = [json.loads(line) for line in result.out.splitlines()]
    assert result.code == 0
    assert [row["name"] for row in rows] == api.names
    assert rows[3] == {
        "id": ID,
        "name": "Account 3",
        "description": "",
        "price_plan_id": 2,
        "last_bill_date": "2026-11-01T00:00:00Z",
        "next_bill_date": "2026-12-01T00:00:00Z",
        "audit_info": "=HYPERLINK(3)",
    }


def test_limit_and_fields(api: Api, cyclr: Run) -> None:
    result = cyclr("accounts", "list", "--limit", "2", "-o", "csv", "--fields", "name,id")
    assert list(csv.reader(io.StringIO(result.out))) == [
        ["name", "id"],
        ["Account 0", f"{0:032x}"],
        ["Account 1", f"{1:032x}"],
    ]


def test_unknown_field_names_those_there_are(api: Api, cyclr: Run) -> None:
    result = cyclr("plans", "--fields", "nope")
    assert result.code == 2
    assert "nope" in result.err
    assert "id, name" in result.err
    assert api.requests == []


def test_create(api: Api, cyclr: Run) -> None:
    result = cyclr(
        "accounts",
        "create",
        "--name",
        "ACME",
        "--timezone",
        "Europe/London",
        "--price-plan-id",
        "2",
        "--next-bill-date",
        "2026-12-01T01:00:00+01:00",
    )
    assert (result.code, json.loads(result.out)) == (0, {"id": f"{77:032x}"})
    assert api.bodies == [
        {"Name": "ACME", "Timezone": "Europe/London", "PricePlanId": 2, "NextBillDate": "2026-12-01T00:00:00"}
    ]


def test_update_sends_null_for_what_is_cleared(api: Api, cyclr: Run) -> None:
    result = cyclr("accounts", "update", ID, "--name", "New", "--clear", "description", "--clear", "price_plan_id")
    assert (result.code, json.loads(result.out)) == (0, {"id": ID})
    assert api.bodies == [{"Name": "New", "Description": None, "PricePlanId": None}]


@pytest.mark.parametrize("args", [(), ("--description", "x", "--clear", "description")])
def test_update_needs_one_meaning(api: Api, cyclr: Run, args: tuple[str, ...]) -> None:
    assert cyclr("accounts", "update", ID, *args).code == 2
    assert api.requests == []


def test_partner_keeps_its_keys(api: Api, cyclr: Run) -> None:
    for form in ("json", "jsonl", "csv", "table"):
        result = cyclr("partner", "-o", form)
        assert result.code == 0
        assert "partner.example.com" in result.out
        assert "***" in result.out
        assert "canary" not in result.out + result.err


def test_plans(api: Api, cyclr: Run) -> None:
    result = cyclr("plans", "-o", "json")
    assert json.loads(result.out) == [{"id": "1", "name": "Free\x1b[2J"}, {"id": "2", "name": "Pro"}]


def test_token_create(api: Api, cyclr: Run) -> None:
    result = cyclr("token", "create", ID, "jo@example.com", "--domain", "partner.example.com")
    assert json.loads(result.out) == {
        "account_id": ID,
        "username": "jo@example.com",
        "expires_at": "2026-11-24T10:50:45.650921Z",
        "url": "https://partner.example.com/account/signinwithtoken?token=a%2B%2Fb%3D%3D",
    }
    assert api.bodies == [{"AccountId": ID, "Username": "jo@example.com"}]


def test_install_with_a_key_from_a_file(api: Api, cyclr: Run, tmp_path: Path) -> None:
    (tmp_path / "key.txt").write_text("canary-key\n")
    result = cyclr(
        "connectors", "install", ID, "Mailchimp", "v1", "--installed-name", "News", "--api-key-file", "key.txt"
    )
    assert (result.code, json.loads(result.out)) == (
        0,
        {"account_id": ID, "connector": "Mailchimp", "version": "v1", "installed_name": "News"},
    )
    assert api.bodies[0]["ApiKey"] == "canary-key"
    assert "canary" not in result.out + result.err


def test_install_with_a_password_from_standard_input(api: Api, cyclr: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("p w\n"))
    args = ("connectors", "install", ID, "CRM", "--installed-name", "CRM", "--username", "u", "--password-stdin")
    assert cyclr(*args).code == 0
    assert api.bodies == [
        {"AccountId": ID, "ConnectorName": "CRM", "InstalledName": "CRM", "Username": "u", "Password": "p w"}
    ]


@pytest.mark.parametrize(
    ("args", "operation", "body"),
    [
        (("accounts", "create", "--name", "A"), "accounts.create", {"Name": "A"}),
        (("accounts", "update", ID, "--clear", "description"), "accounts.update", {"Description": None}),
        (("token", "create", ID, "jo"), "tokens.create", {"AccountId": ID, "Username": "jo"}),
        (
            ("connectors", "install", ID, "C", "v1", "--installed-name", "I", "--api-key-file", "key"),
            "connectors.install",
            {"AccountId": ID, "ConnectorName": "C", "ConnectorVersion": "v1", "InstalledName": "I", "ApiKey": "***"},
        ),
    ],
)
def test_dry_run_shows_the_request_and_sends_nothing(
    api: Api, cyclr: Run, tmp_path: Path, args: tuple[str, ...], operation: str, body: dict[str, object]
) -> None:
    (tmp_path / "key").write_text("canary-key")
    result = cyclr(*args, "--dry-run")
    shown = json.loads(result.out)
    assert (result.code, shown["dry_run"], shown["operation"], shown["body"]) == (0, True, operation, body)
    assert shown["url"].startswith(f"http://127.0.0.1:{api.port}/api/partner/")
    assert api.requests == []
    assert "canary" not in result.out + result.err


def test_dry_run_refuses_what_the_call_would_refuse(api: Api, cyclr: Run) -> None:
    result = cyclr("accounts", "update", "..", "--name", "A", "--dry-run")
    assert result.code == 2
    assert result.err.startswith("error: ")
    assert result.out == ""


def test_config_check(api: Api, cyclr: Run) -> None:
    result = cyclr("config", "check")
    assert (result.code, json.loads(result.out)["domain"]) == (0, "partner.example.com")
    api.token_status = 400
    assert cyclr("config", "check").code == 4
