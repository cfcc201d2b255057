"""The catalogue, installing from it, and what an account does with its connectors."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from cyclr_async.simulator import Connector, Simulator
from tests.simulator.v1.conftest import ACME, CYCLE, METHOD, UNKNOWN, V1

OWN = "/account/connectors/1874"
IN_USE = "Account connector name 'News' is in use."


@pytest.mark.parametrize(
    ("path", "ids"),
    [
        ("/connectors/7", 7),
        ("/connectors/Mail%20Chimp", [7, 8]),
        ("/connectors/mail%20CHIMP/V2", [8]),
        ("/connectors/Hook", [10]),
        ("/connectors?query=CHIMP", [7, 8]),
        ("/connectors?category=crms&pageSize=2", [7, 9]),
        ("/connectors?category=CRMs&query=sk&includeCustomConnectors=false", [9]),
        ("/connectors?query=none+such", []),
        ("/connectors/4242", None),
        ("/connectors/None", None),
        ("/connectors/Mail%20Chimp/v9", None),
        ("/connectors/None/methods", None),
    ],
)
async def test_catalogue(v1: V1, path: str, ids: Any) -> None:
    answer = await v1.ask("GET", path)
    if ids is None:
        assert (answer.status, answer.body) == (404, b"")
    elif isinstance(ids, int):
        assert answer.json["Id"] == ids
    else:
        assert [row["Id"] for row in answer.json] == ids


async def test_a_connector(v1: V1) -> None:
    row = await v1.value("GET", "/connectors/7")
    assert (row["AuthType"], row["Status"], row["Version"], row["Triggers"]) == ("ApiKey", "Approved", "v3", None)
    assert row["Icon"].startswith("data:image/png;base64,")
    levels = [(item["TargetName"], item["IsAccountConnectorProperty"]) for item in row["Parameters"]]
    assert levels == [("Region", True), ("EndpointUrl", False)]
    categories = {name for one in await v1.value("GET", "/connectors") for name in one["Categories"]}
    assert categories == {"CRMs", "Marketing"}


@pytest.mark.parametrize("path", ["/connectors/7/methods", "/connectors/Mail%20Chimp/v3/methods"])
async def test_methods(v1: V1, path: str) -> None:
    names = [row["Name"] for row in await v1.value("GET", path)]
    assert names == ["Add Customer", "Get Store", "List Stores"]
    assert [row["Name"] for row in await v1.value("GET", f"{path}?category=stores&query=get")] == ["Get Store"]
    row = (await v1.value("GET", f"{path}?query=store"))[0]
    assert (row["Id"], row["MethodUniqueIdentifier"], row["Parameters"][0]["Id"]) == (70, METHOD, 701)
    assert await v1.value("GET", "/methods/70") == row
    assert (await v1.ask("GET", "/methods/71")).status == 404


@pytest.mark.parametrize("path", ["7", "Mail%20Chimp", "mail%20chimp/v3"])
async def test_install(v1: V1, sim: Simulator, path: str) -> None:
    body = {"AuthValue": "k", "Properties": [{"Name": "region", "Value": "us1", "Id": 0}]}
    row = await v1.value("POST", f"/connectors/{path}/install", {**body, "Description": "d"})
    assert (row["Name"], row["AuthValue"], row["Authenticated"]) == ("Mail Chimp", "k", True)
    assert row["Connector"]["Id"] == 7
    assert [(item["Name"], item["Value"]) for item in row["Properties"]] == [("Region", "us1")]
    assert row["Properties"][0]["AccountConnectorId"] == row["Id"]
    assert await v1.value("GET", f"/account/connectors/{row['Id']}") == row
    assert sim.connectors(ACME)[-1].name == "Mail Chimp"


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("7", {"Name": "news"}, 400, "Account connector name 'news' is in use."),
        ("9", {}, 400, "Connector 9 is a draft and cannot be installed."),
        ("Sketch", {}, 400, "Connector 9 is a draft and cannot be installed."),
        ("7", {"Properties": [{"Name": "X"}]}, 400, "There is not a connector property that matches name 'X'."),
        (
            "7",
            {"Properties": [{"Name": "EndpointUrl"}]},
            400,
            "Connector property name 'EndpointUrl' is not an account connector property.",
        ),
        ("7", {"AuthenticationId": "x"}, 400, "The request is invalid."),
        ("7", "null", 500, "An error has occurred."),
        ("7", "[1]", 400, "The request is invalid."),
        ("4242", {}, 404, None),
        ("None", {}, 404, None),
        ("7", "", 200, None),
        ("7", {}, 200, None),
        ("Mail%20Chimp/v2", {}, 200, None),
    ],
)
async def test_install_rules(v1: V1, path: str, body: Any, status: int, message: str | None) -> None:
    answer = await v1.ask("POST", f"/connectors/{path}/install", body)
    assert answer.status == status
    if message is not None:
        assert answer.json == {"Message": message}
    assert len(await v1.value("GET", "/account/connectors")) == (3 if status == 200 else 2)


async def test_authentication(v1: V1) -> None:
    none = await v1.value("POST", "/connectors/10/install", {"Name": "Second hook"})
    assert none["Authenticated"]  # there is nothing to sign in with
    own = await v1.value("POST", "/connectors/8/install", {"IsPartnerIntegrationConnector": "true"})
    assert (own["Authenticated"], own["IsPartnerIntegrationConnector"]) == (False, True)
    path = f"/account/connectors/{own['Id']}"
    row = await v1.value("PUT", path, {"AuthValue": "{}"})
    assert (row["Authenticated"], row["AuthValue"], row["Name"]) == (True, "{}", "Mail Chimp")
    assert (await v1.value("PUT", path, {"Description": "d"}))["AuthValue"] == "{}"
    assert (await v1.ask("PUT", path, {"Name": "NEWS"})).message == "Account connector name 'NEWS' is in use."
    assert (await v1.value("PUT", path, {"Name": "Mail chimp"}))["Name"] == "Mail chimp"
    for _ in range(2):
        said = await v1.value("PUT", f"{path}/deauthenticate", "")
        assert said == {"Message": "Connector 'Mail chimp' successfully de-authenticated."}
    assert not (await v1.value("GET", path))["Authenticated"]
    await v1.value("DELETE", path, {})
    assert (await v1.ask("GET", path)).status == 404


async def test_both_apis_install_into_one_account(v1: V1, sim: Simulator) -> None:
    body = {"AccountId": sim.account(ACME).id, "ConnectorName": "Mail Chimp", "ConnectorVersion": "v3"}
    assert (await v1.post("/installconnector", {**body, "InstalledName": "news", "ApiKey": "k"})).status == 400
    assert (await v1.post("/installconnector", {**body, "InstalledName": "Old", "ApiKey": "k"})).status == 200
    sim.catalogue.add(Connector("Pair", "v1", "Basic"))
    pair = {**body, "ConnectorName": "Pair", "ConnectorVersion": "v1", "Username": "u", "Password": "p"}
    assert (await v1.post("/installconnector", {**pair, "InstalledName": "Two"})).status == 200
    rows = (await v1.value("GET", "/account/connectors"))[2:]
    values = [(row["Name"], row["AuthValue"], row["Authenticated"]) for row in rows]
    assert values == [("Old", "k", True), ("Two", base64.b64encode(b"u:p").decode(), True)]
    assert (await v1.ask("POST", "/connectors/7/install", {"Name": "OLD"})).status == 400


async def test_properties(v1: V1) -> None:
    path = f"{OWN}/properties"
    assert [row["Name"] for row in await v1.value("GET", f"{path}?orderBy=Name")] == ["Area", "Zone"]
    row = await v1.value("POST", path, {"Name": "New", "Value": "v", "Id": 0})
    assert (row["Name"], row["Value"], row["AccountConnectorId"]) == ("New", "v", 1874)
    own = f"{path}/{row['Id']}"
    assert await v1.value("PUT", own, {"Name": "New", "Value": "w", "Id": 0}) == {**row, "Value": "w"}
    assert await v1.value("PUT", own, {"Name": "Newer"}) == {**row, "Value": "w", "Name": "Newer"}
    assert await v1.value("GET", own) == {**row, "Value": "w", "Name": "Newer"}
    assert (await v1.ask("POST", path, {"Value": "v"})).message == "Name is required"
    await v1.value("DELETE", own, {})
    for method in ("GET", "PUT", "DELETE"):
        assert (await v1.ask(method, own, {} if method == "PUT" else None)).status == 404
    assert (await v1.ask("GET", "/account/connectors/1875/properties/1")).status == 404


async def test_custom_fields(v1: V1) -> None:
    path = f"{OWN}/fields"
    assert [row["Id"] for row in await v1.value("GET", path)] == [55]
    body = {"ConnectorField": "[a].B", "DisplayName": "B", "ForRequestFormat": "true", "MethodUniqueIdentifier": METHOD}
    row = await v1.value("POST", path, body)
    usual = {"DataType": "Text", "SystemField": None, "Description": None}
    usual |= {"DataTypeFormat": None, "EntityIdentifier": None}
    assert row == {**body, **usual, "Id": row["Id"], "ForRequestFormat": True}
    assert await v1.value("PUT", f"{path}/{row['Id']}", {"Description": "d"}) == {**row, "Description": "d"}
    assert (await v1.ask("PUT", f"{path}/{row['Id']}", {"MethodUniqueIdentifier": "x"})).status == 400
    assert (await v1.value("GET", OWN))["CustomFields"][1]["Description"] == "d"
    await v1.value("DELETE", f"{path}/{row['Id']}")
    assert (await v1.ask("GET", f"{path}/{row['Id']}")).status == 404


@pytest.mark.parametrize("kind", ["methods", "test"])
async def test_calls(v1: V1, kind: str) -> None:
    for method in ("70", METHOD.upper()):
        path = f"{OWN}/{kind}/{method}"
        for body in ("{'Parameters': {701 : 1}}", {"Fields": {"702": "x"}}, {"parameters": None}, "", "null"):
            assert await v1.value("POST", path, body) == {"name": "My Store"}
        assert await v1.value("GET", path) == {"name": "My Store"}
        for wrong in ({"Parameters": {"702": 1}}, {"Fields": {"x": 1}}, {"Fields": [1]}):
            assert (await v1.ask("POST", path, wrong)).status == 400
    for missing in ("71", "999999999", UNKNOWN):
        assert (await v1.ask("POST", f"{OWN}/{kind}/{missing}", {})).status == 404
    await v1.value("PUT", f"{OWN}/deauthenticate")
    assert (await v1.ask("GET", f"{OWN}/{kind}/70")).message == "Connector 'News' is not authenticated."


async def test_triggers(v1: V1) -> None:
    (trigger,) = (await v1.value("GET", OWN))["Connector"]["Triggers"]
    assert (trigger["TriggerId"], trigger["AccountConnectorId"]) == (77, 1874)
    assert await v1.value("POST", f"{OWN}/triggers/77", {}) == [{"Name": "Deal", "Value": "1"}]
    for path in (f"{OWN}/triggers/78", "/account/connectors/1875/triggers/77"):
        assert (await v1.ask("POST", path, {})).status == 404


async def test_connectors_of_its_own(v1: V1) -> None:
    path = "/account/connectors/custom"
    body = {"Name": "Mine", "UniqueIdentifier": UNKNOWN, "Methods": [], "id": 5, "name": "Mine"}
    for wrong, message in [
        ("", "Invalid connector: (UniqueIdentifier must be a GUID)"),
        ({}, "Invalid connector: (UniqueIdentifier must be a GUID)"),
        ({**body, "UniqueIdentifier": "123"}, "Invalid connector: (UniqueIdentifier must be a GUID)"),
        ({"UniqueIdentifier": UNKNOWN}, "Invalid connector: (Column 'Name' cannot be null)"),
    ]:
        assert (await v1.ask("POST", f"{path}/", wrong)).json == {"Message": message}
    row = await v1.value("POST", f"{path}/", body)
    assert (row["Name"], row["Methods"]) == ("Mine", [])
    assert "id" not in row
    assert await v1.value("GET", path) == [row]
    assert await v1.value("GET", path, account="child") == []
    named = await v1.value("PUT", f"{path}/{row['Id']}", {**body, "Name": "Ours", "name": "Ours"})
    assert (await v1.value("GET", f"{path}/{row['Id']}"))["Name"] == named["Name"] == "Ours"
    # It is in the catalogue of this account only, and can be installed from there.
    assert [one["Name"] for one in await v1.value("GET", "/connectors?query=ours")] == ["Ours"]
    for account, query in (("child", "query=ours"), (ACME, "query=ours&includeCustomConnectors=false")):
        assert await v1.value("GET", f"/connectors?{query}", account=account) == []
    assert (await v1.value("POST", "/connectors/Ours/install", {}))["Authenticated"]
    await v1.value("DELETE", f"{path}/{row['Id']}", {})
    assert (await v1.ask("DELETE", f"{path}/{row['Id']}", {})).status == 404


async def test_stopping_what_runs_on_a_connector(v1: V1) -> None:
    for method, path in (("PUT", f"{OWN}/deauthenticate"), ("DELETE", OWN)):
        await v1.value("PUT", OWN, {"AuthValue": "k"})
        await v1.value("PUT", f"/cycles/{CYCLE}/activate", {})
        assert (await v1.value("GET", f"/cycles/{CYCLE}"))["Status"] == "Active"
        await v1.value(method, path, {})
        assert (await v1.value("GET", f"/cycles/{CYCLE}"))["Status"] == "Stopped"


async def test_accounts_hold_their_own(v1: V1, sim: Simulator) -> None:
    other = sim.api_ids()[-1]
    for account in (other, "child"):
        assert await v1.value("GET", "/account/connectors", account=account) == []
        assert (await v1.ask("GET", OWN, account=account)).status == 404
    await v1.value("POST", "/connectors/7/install", {"Name": "News"}, account=other)
    assert [row["Name"] for row in await v1.value("GET", "/account/connectors", account=other)] == ["News"]
