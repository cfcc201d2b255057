"""The eight operations, as the API document shows them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from cyclr_async.simulator import Connector, Simulator

DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


async def row(client: Any, account_id: str) -> dict[str, Any]:
    (found,) = [item for item in (await client.get("/accounts")).json if item["Id"] == account_id]
    return dict(found)


async def test_accounts_have_the_documented_shape(client: Any) -> None:
    answer = await client.get("/accounts")
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert len(answer.json) == 50
    names = ["Id", "Name", "Description", "PricePlanId", "LastBillDate", "NextBillDate", "AuditInfo"]
    for account in answer.json:
        assert list(account) == names
        assert re.fullmatch(r"[0-9a-f]{32}", account["Id"])
        assert isinstance(account["PricePlanId"], int)
        assert DATE.fullmatch(account["LastBillDate"])
        assert DATE.fullmatch(account["NextBillDate"])
        assert account["LastBillDate"] <= "2026-11-24T09:00:00" < account["NextBillDate"]
    assert answer.json[0]["AuditInfo"] == "crm-000001"
    assert b": " not in re.sub(rb'"[^"]*"', b"", answer.body)


async def test_details_and_plans(client: Any) -> None:
    details = (await client.get("/details")).json
    assert len(details) == 14
    assert details["Domain"] == "partner.example.com"
    assert details["IntercomAPIKey"] is None
    plans = (await client.get("/priceplans")).json
    assert plans[:2] == [{"Id": "2", "Name": "Starter"}, {"Id": "3", "Name": "Pro"}]


async def test_created_account_is_listed(client: Any, sim: Simulator) -> None:
    body = {
        "Name": "Demo Account",
        "Description": "This account is used for demos.",
        "Timezone": "Europe/Berlin",
        "PricePlanId": 3,
        "NextBillDate": "2017-03-09T16:23:08",
        "AuditInfo": "Demo",
    }
    answer = await client.post("/createaccount", body)
    assert answer.status == 200
    assert list(answer.json) == ["Id"]
    found = await row(client, answer.json["Id"])
    body.pop("Timezone")
    assert {name: found[name] for name in body} == body
    assert sim.account(answer.json["Id"]).timezone == "Europe/Berlin"
    assert sim.account_count == 51


async def test_defaults_of_a_new_account(client: Any, sim: Simulator) -> None:
    account_id = (await client.post("/createaccount", {"Name": "x"})).json["Id"]
    assert await row(client, account_id) == {
        "Id": account_id,
        "Name": "x",
        "Description": None,
        "PricePlanId": 2,
        "LastBillDate": "2026-11-24T09:00:00",
        "NextBillDate": "2026-12-24T09:00:00",
        "AuditInfo": None,
    }
    assert sim.account(account_id).timezone == "Europe/London"


async def test_update_changes_what_is_named_and_nothing_else(client: Any) -> None:
    account_id = (await client.post("/createaccount", {"Name": "x", "Description": "d", "AuditInfo": "a"})).json["Id"]
    before = await row(client, account_id)
    answer = await client.put(f"/accounts/{account_id}", {"Description": None})
    assert answer.json == {"Id": account_id}
    assert await row(client, account_id) == {**before, "Description": None}
    await client.put(f"/accounts/{account_id}", {"Description": "", "AuditInfo": "b"})
    assert await row(client, account_id) == {**before, "Description": "", "AuditInfo": "b"}
    await client.put(f"/accounts/{account_id}", {})
    assert await row(client, account_id) == {**before, "Description": "", "AuditInfo": "b"}


async def test_seeded_account_can_be_updated(client: Any, sim: Simulator) -> None:
    first, second = sim.account_ids(2)
    other = await row(client, second)
    await client.get(f"/accounts/{first}/billing")
    assert (await client.put(f"/accounts/{first}", {"Name": "Łódź 🚀", "PricePlanId": 4})).status == 200
    assert (await row(client, first))["Name"] == "Łódź 🚀"
    assert (await client.get(f"/accounts/{first}/billing")).json["CurrentPricePlanId"] == 4
    assert await row(client, second) == other


@pytest.mark.parametrize(
    "body",
    [
        {"name": "n", "description": "7", "priceplanid": "3"},
        {"NAME": "n", "DESCRIPTION": 7, "PRICEPLANID": 3.0, "nextBillDate": "soon", "auditINFO": ["x"]},
    ],
)
async def test_keys_in_any_case_and_values_as_text(client: Any, body: dict[str, Any]) -> None:
    account_id = (await client.post("/createaccount", body)).json["Id"]
    found = await row(client, account_id)
    assert (found["Name"], found["Description"], found["PricePlanId"]) == ("n", "7", 3)
    assert found["AuditInfo"] is None
    assert found["NextBillDate"] == "2026-12-24T09:00:00"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "Name is required"),
        ({"Name": ""}, "Name is required"),
        ({"Name": "  "}, "Name is required"),
        ({"Name": None}, "Name is required"),
        ({"Name": "x", "PricePlanId": 99}, "Price plan with provided ID could not be found."),
        ({"Name": "x", "Timezone": "Mars/Olympus"}, "Timezone 'Mars/Olympus' is not valid."),
        ({"Name": "x", "Timezone": "../../etc/passwd"}, "Timezone '../../etc/passwd' is not valid."),
        ([], "The request is invalid."),
        (None, "The request is invalid."),
    ],
)
async def test_refused_accounts_change_nothing(client: Any, sim: Simulator, body: Any, message: str) -> None:
    answer = await client.send("POST", "/createaccount", json=body)
    if body is None:
        answer = await client.send("POST", "/createaccount", data=b"null", headers={"Content-Type": "application/json"})
    assert (answer.status, answer.message) == (400, message)
    assert sim.account_count == 50


async def test_update_refused_in_one_field_changes_none(client: Any, sim: Simulator) -> None:
    account_id = sim.account_ids(1)[0]
    before = await row(client, account_id)
    assert (await client.put(f"/accounts/{account_id}", {"Name": "new", "PricePlanId": 5})).status == 400
    assert await row(client, account_id) == before


@pytest.mark.parametrize("unknown", ["0" * 32, "x", "f" * 400, "a%2Fb", "%00", "%ff"])
async def test_unknown_account(client: Any, unknown: str) -> None:
    for answer in (
        await client.get(f"/accounts/{unknown}/billing"),
        await client.put(f"/accounts/{unknown}", {"Name": "x"}),
        await client.post("/createaccountsignintoken", {"AccountId": unknown, "Username": "u"}),
        await client.post(
            "/installconnector", {"AccountId": unknown, "ConnectorName": "Connector", "InstalledName": "n"}
        ),
    ):
        assert (answer.status, answer.body) == (404, b"")
        assert "Content-Type" not in answer.headers


async def test_id_in_other_notations(client: Any, sim: Simulator) -> None:
    account_id = sim.account_ids(1)[0]
    hyphens = "-".join((account_id[:8], account_id[8:12], account_id[12:16], account_id[16:20], account_id[20:]))
    plain = (await client.get(f"/accounts/{account_id}/billing")).body
    assert (await client.get(f"/accounts/{account_id.upper()}/billing")).body == plain
    assert (await client.get(f"/accounts/{hyphens}/billing")).body == plain


async def test_sign_in_token_works_once(client: Any, sim: Simulator) -> None:
    account_id = sim.account_ids(1)[0]
    answer = await client.post("/createaccountsignintoken", {"AccountId": account_id, "Username": "<b>jo</b>"})
    token = answer.json["Token"]
    assert len(token) == 44
    assert set("+/=") <= set(token)
    assert answer.json["ExpiresAtUtc"] == "2026-11-24T09:05:00.0000007Z"
    link = f"/account/signinwithtoken?token={quote(token, safe='')}"
    await client.send("HEAD", link)
    page = await client.get(link)
    assert page.status == 200
    assert "Signed in as <b>&lt;b&gt;jo&lt;/b&gt;</b>" in page.body.decode()
    assert page.headers["Cache-Control"] == "no-store"
    assert [(visit.account_id, visit.username) for visit in sim.sign_ins] == [(account_id, "<b>jo</b>")]
    assert (await client.get(link)).status == 401
    assert len(sim.sign_ins) == 1
    assert not [record for record in sim.requests if token in str(record) or quote(token) in str(record)]


async def test_sign_in_token_expires(client: Any, sim: Simulator) -> None:
    asked = {"AccountId": sim.account_ids(1)[0], "Username": "jo"}
    late = (await client.post("/createaccountsignintoken", asked)).json["Token"]
    sim.clock.advance(300)
    assert (await client.get(f"/account/signinwithtoken?token={quote(late, safe='')}")).status == 401
    soon = (await client.post("/createaccountsignintoken", asked)).json["Token"]
    sim.clock.advance(timedelta(seconds=299))
    assert (await client.get(f"/account/signinwithtoken?token={quote(soon, safe='')}")).status == 200


@pytest.mark.cyclr(create_unknown_users=False)
async def test_unknown_users_can_be_refused(client: Any, sim: Simulator) -> None:
    asked = {"AccountId": sim.account_ids(1)[0], "Username": "jo"}
    answer = await client.post("/createaccountsignintoken", asked)
    assert (answer.status, answer.message) == (400, "User with provided Username could not be found.")


@pytest.mark.parametrize(
    ("name", "version", "given", "message"),
    [
        ("Connector", "v1", {"ApiKey": "k"}, None),
        ("connector", "V1", {"Username": "u", "Password": "p"}, None),
        ("Mailchimp", "v1", {"ApiKey": "k"}, None),
        ("Mailchimp", "v1", {"Username": "u", "Password": "p"}, "ApiKey required by connector 'Mailchimp'."),
        ("CRM", "v1", {"Username": "u", "Password": "p"}, None),
        ("CRM", "v1", {"Username": "u"}, "Username and Password required by connector 'CRM'."),
        ("Salesforce", "v1", {}, "Connector 'Salesforce' requires OAuth authentication and cannot be installed."),
        ("HTTP Request", "v1", {}, None),
        ("Utility", None, {}, None),
        ("Nothing", "v1", {"ApiKey": "k"}, "Connector 'Nothing' with version 'v1' could not be found."),
        ("Mailchimp", "v9", {"ApiKey": "k"}, "Connector 'Mailchimp' with version 'v9' could not be found."),
    ],
)
async def test_install(
    client: Any, sim: Simulator, name: str, version: str | None, given: dict[str, str], message: str | None
) -> None:
    account_id = sim.account_ids(1)[0]
    body = {
        "AccountId": account_id,
        "ConnectorName": name,
        "ConnectorVersion": version,
        "InstalledName": "Mine",
        **given,
    }
    answer = await client.post("/installconnector", body)
    if message is None:
        assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", "0")
        assert [item.name for item in sim.connectors(account_id)] == ["Mine"]
        again = await client.post("/installconnector", {**body, "InstalledName": "mine"})
        assert (again.status, again.message) == (400, "Account connector name 'mine' is in use.")
    else:
        assert (answer.status, answer.message) == (400, message)
        assert sim.connectors(account_id) == []


async def test_own_connector_in_the_catalogue(client: Any, sim: Simulator) -> None:
    account_id = sim.account_ids(1)[0]
    sim.catalogue.add(Connector("Acme", "v7", "None"))
    body = {"AccountId": account_id, "ConnectorName": "Acme", "ConnectorVersion": "v7", "InstalledName": "n"}
    assert (await client.post("/installconnector", body)).status == 200


async def test_usage_has_the_documented_shape(client: Any, sim: Simulator) -> None:
    account_id = sim.account_ids(1)[0]
    usage = (await client.get(f"/accounts/{account_id}/billing")).json
    assert list(usage) == ["TaskCount", "CycleCount", "FromDate", "ToDate", "CurrentPricePlanId", "AuditInfo"]
    account = await row(client, account_id)
    assert usage["FromDate"] == account["LastBillDate"]
    assert usage["AuditInfo"] == account["AuditInfo"]
    for query in ("?fromDate=", "?other=1", "?fromdate=%20"):
        assert (await client.get(f"/accounts/{account_id}/billing{query}")).json == usage


async def test_usage_from_a_day(client: Any, sim: Simulator) -> None:
    account_id = (await client.post("/createaccount", {"Name": "x", "NextBillDate": "2016-12-09T16:23:08"})).json["Id"]
    for text in ("2016-12-09", "2016-12-09T01:02:03", "2016-12-09T01:02:03Z"):
        usage = (await client.get(f"/accounts/{account_id}/billing?FROMDATE={text}")).json
        assert (usage["FromDate"], usage["ToDate"]) == ("2016-12-09T16:23:08", "2017-01-08T16:23:08")
        assert (usage["TaskCount"], usage["CycleCount"]) == (0, 0)
    seeded = sim.account_ids(1)[0]
    future = (await client.get(f"/accounts/{seeded}/billing?fromDate=2099-01-01")).json
    assert (future["TaskCount"], future["CycleCount"]) == (0, 0)


@pytest.mark.parametrize("bad", ["yesterday", "2016-13-01", "9999-12-31", "1e3", "%00", "0000-00-00", "9" * 5000])
async def test_bad_from_date(client: Any, sim: Simulator, bad: str) -> None:
    answer = await client.get(f"/accounts/{sim.account_ids(1)[0]}/billing?fromDate={bad}")
    assert (answer.status, answer.message) == (400, "The request is invalid.")


async def test_request_id_is_echoed(client: Any) -> None:
    assert (await client.get("/details", headers={"X-Request-Id": "abc-1"})).headers["X-Request-Id"] == "abc-1"
    assert "X-Request-Id" not in (await client.get("/details", headers={"X-Request-Id": "ä b"})).headers
    assert [record.request_id for record in client.sim.requests] == ["abc-1", None]


async def test_usage_can_be_set(client: Any, sim: Simulator) -> None:
    account_id = sim.account_ids(1)[0]
    await client.get(f"/accounts/{account_id}/billing")
    sim.set_usage(account_id, 1623, 10)
    usage = (await client.get(f"/accounts/{account_id}/billing")).json
    assert (usage["TaskCount"], usage["CycleCount"]) == (1623, 10)
    with pytest.raises(KeyError):
        sim.set_usage("nobody", 1)


async def test_bill_date_far_away(client: Any) -> None:
    for date in (
        "9999-12-31T23:59:59",
        "0001-01-01T00:00:00",
        "0001-01-01T00:00:00+14:00",
        "2026-11-18T10:50:45.6509216Z",
    ):
        account_id = (await client.post("/createaccount", {"Name": "x", "NextBillDate": date})).json["Id"]
        assert (await client.get(f"/accounts/{account_id}/billing")).status in (200, 400)
        assert DATE.fullmatch((await row(client, account_id))["NextBillDate"])


async def test_clock_starts_at_the_given_moment() -> None:
    moment = datetime(2030, 1, 31, tzinfo=UTC)
    async with Simulator(now=moment, frozen=True) as sim:
        assert sim.clock.now() == moment
