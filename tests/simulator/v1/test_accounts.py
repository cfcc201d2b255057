"""Accounts, users and usage of v1.0, and the same accounts in the partner API."""

from __future__ import annotations

import tracemalloc
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyclr_async.simulator import Simulator
from cyclr_async.simulator.roster import Roster
from tests.simulator.v1.conftest import ACME, TENANT, V1

MEMBERS = [
    "CreatedDate",
    "Id",
    "Name",
    "Description",
    "AuditInfo",
    "TaskAuditInfo",
    "Timezone",
    "NextBillDateUtc",
    "StepDataSuccessRetentionHours",
    "StepDataErroredRetentionHours",
    "TransactionErrorWebhookEnabled",
    "TransactionErrorWebhookUrl",
    "TransactionErrorWebhookIncludeWarnings",
]
HOOK = "TransactionErrorWebhookEnabled"
URL = "TransactionErrorWebhookUrl"
KEPT = "StepDataSuccessRetentionHours"
FAILED = "StepDataErroredRetentionHours"
NO_URL = "Transaction Error Webhook enabled: Transaction Error Webhook URL must be defined"


async def test_create_and_get(v1: V1, sim: Simulator) -> None:
    given_fields = {
        "Id": "shop.example/1",
        "Name": "Shop",
        "Description": "d",
        "Timezone": "Europe/Berlin",
        "AuditInfo": "a",
        "TaskAuditInfo": "t",
        "NextBillDateUtc": "2026-12-19T09:00:23.601Z",
        KEPT: "120",
        FAILED: 60,
        HOOK: "true",
        URL: "hooks.example/1",
        "TransactionErrorWebhookIncludeWarnings": True,
    }
    row = await v1.value("POST", "/accounts", given_fields)
    assert list(row) == MEMBERS
    assert row == {
        **given_fields,
        "CreatedDate": "2026-11-24T09:00:00Z",
        "NextBillDateUtc": "2026-12-19T09:00:23Z",
        KEPT: 120,
        HOOK: True,
        URL: "https://hooks.example/1",
    }
    assert await v1.value("GET", "/accounts/SHOP.example%2F1") == row
    # The partner API shows the same account under the GUID inside.
    partner = sim.account("shop.example/1").id
    listed = next(one for one in (await v1.get("/accounts")).json if one["Id"] == partner)
    assert (len(partner), listed["Name"], listed["AuditInfo"]) == (32, "Shop", "a")
    assert listed["NextBillDate"] == "2026-12-19T09:00:23"
    assert (await v1.put(f"/accounts/{partner}", {"Name": "Shop 2", "PricePlanId": 3})).status == 200
    assert (await v1.value("GET", "/accounts/shop.example%2F1"))["Name"] == "Shop 2"


async def test_created_in_the_partner_api(v1: V1, sim: Simulator) -> None:
    partner = (await v1.post("/createaccount", {"Name": "Old way", "Timezone": "UTC"})).json["Id"]
    api_id = sim.account(partner).api_id
    assert api_id.replace("-", "") == partner
    row = await v1.value("GET", f"/accounts/{api_id}")
    assert (row["Id"], row["Name"], row["Timezone"]) == (api_id, "Old way", "UTC")
    assert (await v1.value("GET", "/accounts"))[-1]["Id"] == api_id


@pytest.mark.parametrize("given_id", [None, "", "  "])
async def test_without_an_id(v1: V1, given_id: str | None) -> None:
    row = await v1.value("POST", "/accounts", {"Name": "n", "Id": given_id})
    partner = [one["Id"] for one in (await v1.get("/accounts")).json]
    assert row["Id"].replace("-", "") == partner[-1]


async def test_an_id_is_taken_whatever_its_case_and_free_after_deletion(v1: V1, sim: Simulator) -> None:
    derived = sim.api_ids()[-1]
    for api_id in ("Mine", ACME, derived):
        if api_id == "Mine":
            await v1.value("POST", "/accounts", {"Name": "n", "Id": api_id})
        again = await v1.ask("POST", "/accounts", {"Name": "n", "Id": api_id.swapcase()})
        assert (again.status, again.body) == (400, b'{"Message":"ID already in use"}')
        before, partner = sim.account_count, sim.account(api_id).id
        path = f"/accounts/{api_id}"
        assert (await v1.ask("DELETE", path, {})).status == 200
        assert sim.account_count == before - 1
        assert partner not in [one["Id"] for one in (await v1.get("/accounts")).json]
        for method, where in (("GET", path), ("DELETE", path), ("GET", f"{path}/usage"), ("PUT", path)):
            assert (await v1.ask(method, where, {} if method != "GET" else None)).status == 404
        assert (await v1.get(f"/accounts/{partner}/billing")).status == 404
        assert (await v1.value("POST", "/accounts", {"Name": "new", "Id": api_id}))["Name"] == "new"
        assert (await v1.value("GET", path))["Name"] == "new"
        assert sim.account_count == before


RULES: list[tuple[dict[str, Any], str | dict[str, Any]]] = [
    # What is sent in a PUT, and the message of the refusal or what the answer then holds.
    ({"Name": ""}, "Name is required"),
    ({"Name": None}, "Name is required"),
    ({"Name": "  "}, "Name is required"),
    ({KEPT: -10}, f"{KEPT} (-10): must be non negative"),
    ({FAILED: "-1"}, f"{FAILED} (-1): must be non negative"),
    ({KEPT: 744, FAILED: 745}, {KEPT: 744, FAILED: 744}),
    ({KEPT: "abc", FAILED: [1]}, {KEPT: 5, FAILED: None}),
    ({KEPT: None}, {KEPT: None}),
    ({KEPT: 0}, {KEPT: 0}),
    ({HOOK: True}, NO_URL),
    ({HOOK: "TRUE", URL: None}, NO_URL),
    ({HOOK: 1, URL: ""}, NO_URL),
    ({HOOK: True, URL: " "}, "https://  is not a valid URL"),
    ({URL: "    "}, "https://     is not a valid URL"),
    ({HOOK: True, URL: "h.example/x"}, {HOOK: True, URL: "https://h.example/x"}),
    ({URL: "http://h.example"}, {URL: "http://h.example", HOOK: False}),
    ({URL: None}, {URL: None}),
    ({HOOK: "maybe"}, {HOOK: False}),
    ({"Description": None, "AuditInfo": 5}, {"Description": None, "AuditInfo": "5"}),
    ({"timezone": "UTC"}, {"Timezone": "UTC"}),
    ({"Timezone": "Mars/Base"}, "Timezone 'Mars/Base' is not valid."),
    ({"Id": ACME}, {"Id": ACME}),
    ({"Id": "other"}, {"Id": ACME}),
    ({"NextBillDateUtc": "soon"}, {"Name": "ACME"}),
    ({}, {"Name": "ACME", KEPT: 5, URL: "https://kept.example"}),
]


@pytest.mark.parametrize(("sent", "expected"), RULES, ids=lambda value: str(value)[:50])
async def test_rules(v1: V1, sent: dict[str, Any], expected: str | dict[str, Any]) -> None:
    path = f"/accounts/{ACME}"
    before = await v1.value("PUT", path, {KEPT: 5, URL: "kept.example"})
    answer = await v1.ask("PUT", path, {"Description": "changed", **sent})
    after = await v1.value("GET", path)
    if isinstance(expected, str):
        assert (answer.status, answer.json) == (400, {"Message": expected})
        assert after == before  # nothing of a refused body is stored
        created = await v1.ask("POST", "/accounts", {"Name": "n", "Id": "new", **sent})
        assert (created.status, created.message) == (400, expected)
        assert (await v1.ask("GET", "/accounts/new")).status == 404
    else:
        assert answer.json == after
        assert after == {**before, "Description": "changed", **expected}


async def test_a_name_is_required(v1: V1) -> None:
    assert (await v1.ask("POST", "/accounts", {"description": "d"})).message == "Name is required"


async def test_subaccounts(v1: V1, sim: Simulator) -> None:
    tenant = f"/accounts/{quote(TENANT, safe='')}"
    assert [row["Id"] for row in await v1.value("GET", f"{tenant}/subaccounts")] == ["child"]
    await v1.value("POST", "/accounts", {"Name": "Second", "Id": "second", "ParentAccountId": TENANT.upper()})
    children = await v1.ask("GET", f"{tenant}/subaccounts?pageSize=1&page=2")
    assert (children.json[0]["Id"], children.headers["Total-Pages"]) == ("second", "2")
    assert await v1.value("GET", f"/accounts/{ACME}/subaccounts") == []
    assert (await v1.ask("GET", "/accounts/nobody/subaccounts")).status == 404
    assert (await v1.ask("POST", "/accounts", {"Name": "x", "ParentAccountId": "nobody"})).status == 400
    listed = [row["Id"] for row in await v1.value("GET", "/accounts")]
    assert not {"child", "second"} & set(listed)
    assert sim.account("child").id in sim.account_ids()  # the partner API knows no sub-accounts: it lists all
    await v1.value("DELETE", f"/accounts/{quote('second')}")
    await v1.value("DELETE", tenant)
    assert "child" in [row["Id"] for row in await v1.value("GET", "/accounts")]


async def test_usage_is_that_of_the_partner_api(v1: V1, sim: Simulator) -> None:
    sim.set_usage(ACME, 1234, 5)
    for api_id in (*sim.api_ids(), ACME):
        usage = await v1.value("GET", f"/accounts/{quote(api_id.upper(), safe='')}/usage")
        billing = (await v1.get(f"/accounts/{sim.account(api_id).id}/billing")).json
        assert list(usage) == ["Id", "TasksUsed", "StartTime", "EndTime"]
        assert (usage["Id"], usage["TasksUsed"]) == (api_id, billing["TaskCount"])
        assert usage["StartTime"] == f"{billing['FromDate']}Z"
        assert usage["EndTime"] == "2026-11-24T09:00:00Z"
    assert usage["TasksUsed"] == 1234
    sim.clock.advance(timedelta(days=40, microseconds=100))
    await v1.sign_in()
    usage = await v1.value("GET", f"/accounts/{ACME}/usage")
    assert usage["EndTime"] == "2027-01-03T09:00:00.0001Z"
    assert (await v1.ask("GET", "/accounts/nobody/usage")).body == b""


async def test_users(v1: V1, sim: Simulator) -> None:
    users = f"/accounts/{ACME}/users"
    assert await v1.value("GET", users) == ["Ann", "jo"]
    assert (await v1.ask("PUT", users, {"UserName": "Kim", "Password": "p"})).body == b""
    await v1.value("PUT", users, {"username": "KIM", "Password": "p"})
    assert await v1.value("GET", users) == ["Ann", "jo", "Kim"]
    assert (await v1.ask("PUT", users, {})).message == "UserName is required"
    await v1.value("PUT", "/users", {"UserName": "kim", "Password": "q"})
    assert (await v1.ask("PUT", "/users", {"UserName": "nobody", "Password": "q"})).status == 404
    await v1.value("DELETE", users, {"UserName": "kim"})
    for body in ({"UserName": "kim"}, {"UserName": "Max"}):
        assert (await v1.ask("DELETE", users, body)).status == 404
    await v1.value("PUT", "/users", {"UserName": "kim", "Password": "r"})  # the user outlives the access
    for method in ("GET", "PUT", "DELETE"):
        sent = None if method == "GET" else {"UserName": "x"}
        assert (await v1.ask(method, "/accounts/nobody/users", sent)).status == 404
    # A user whom a sign-in token of the partner API creates is a user here.
    await v1.post("/createaccountsignintoken", {"AccountId": sim.account(ACME).id, "Username": "New"})
    assert "New" in await v1.value("GET", users)


async def test_lists_while_accounts_come_and_go(v1: V1, sim: Simulator) -> None:
    ids = [row["Id"] for row in await v1.value("GET", "/accounts")]
    first = [row["Id"] for row in await v1.value("GET", "/accounts?pageSize=2&page=1")]
    await v1.value("DELETE", f"/accounts/{ids[0]}")
    await v1.value("POST", "/accounts", {"Name": "late", "Id": "late"})
    rest = [row["Id"] for page in (2, 3) for row in await v1.value("GET", f"/accounts?pageSize=2&page={page}")]
    assert [*first, ids[2], *rest] == [*ids, "late"]  # rows move up by one, as they would in a database
    sim.reset()
    await v1.sign_in()
    assert [row["Id"] for row in await v1.value("GET", "/accounts")] == ids


@pytest.mark.cyclr(accounts=1_000_000, state=None)
async def test_a_million_accounts_are_not_held(v1: V1, sim: Simulator) -> None:
    tracemalloc.start()
    try:
        for page in (1, 5000, 10_000):
            answer = await v1.ask("GET", f"/accounts?pageSize=100&page={page}", account="")
            assert (len(answer.json), answer.headers["Total-Pages"]) == (100, "10000")
            usage = await v1.ask("GET", f"/accounts/{answer.json[0]['Id']}/usage", account="")
            assert usage.json["Id"] == answer.json[0]["Id"]
        large = await v1.ask("GET", "/accounts?pageSize=5000&page=2", account="")
        assert [row["Id"] for row in large.json[:2]] == [
            sim._world.state.api_id_of(sim._world.state.id_of(n)) for n in (5000, 5001)
        ]
        assert len(large.json) == 5000
        del large
        assert tracemalloc.get_traced_memory()[0] < 8_000_000
    finally:
        tracemalloc.stop()


@given(st.integers(0, 12), st.lists(st.integers(-1, 13), max_size=20), st.lists(st.integers(0, 12), max_size=5))
def test_roster(total: int, removed: list[int], restored: list[int]) -> None:
    roster, model = Roster(total), list(range(total))
    for number in removed:
        roster.remove(number)
        model = [one for one in model if one != number]
    for number in restored:
        roster.restore(number)
        if number < total and number not in model:
            model = sorted([*model, number])
    assert (list(roster), len(roster)) == (model, len(model))
    assert [number in roster for number in range(-1, 14)] == [number in model for number in range(-1, 14)]
    assert list(roster.between(1, 4)) == model[1:4]
