"""Templates, cycles, their parts, and what their steps are mapped to."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.v1.conftest import CYCLE, EDGE, FIRST, LOOSE, SECOND, TEMPLATE, TRANSACTION, UNKNOWN, V1

PATH = f"/cycles/{CYCLE}"


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("tag=FIRST", ["Welcome"]),
        ("tag=none", []),
        ("connectorName=mail+chimp&connectorVersion=v3", ["Welcome"]),
        ("connectorName=Mail+Chimp&connectorVersion=v2", []),
        ("pageSize=2&page=3", ["Example template 4", "Example template 5"]),
        ("pageSize=100&page=10", []),
        ("lookupCustomFields=true&includePrerequisites=true&includeOptional=TRUE&pageSize=1", ["Welcome"]),
        ("orderBy=Name&sortOrderAsc=false&pageSize=1", ["Welcome"]),
    ],
)
async def test_templates(v1: V1, query: str, names: list[str]) -> None:
    assert [row["Name"] for row in await v1.value("GET", f"/templates?{query}")] == names


async def test_a_template(v1: V1) -> None:
    row = await v1.value("GET", f"/templates/{TEMPLATE}/", account="")
    assert [(item["Name"], item["Version"], item["Icon"]) for item in row["Connectors"]] == [
        ("Mail Chimp", "v3", None),
        ("Utility", None, None),
    ]
    (listed,) = await v1.value("GET", "/templates?tag=first&includeIcons=true")
    assert listed["Connectors"][0]["Icon"].startswith("data:image/png;base64,")
    assert (await v1.value("GET", f"/templates/{TEMPLATE}/export"))["Name"] == "Welcome"


@pytest.mark.parametrize(
    ("query", "body", "message"),
    [
        ("", "", "Failed to import template."),
        ("", {}, "Failed to import template."),
        ("", "[]", "Failed to import template."),
        ("", {"Name": "x", "Connectors": [{"Name": "None such"}]}, "Failed to import template."),
        (f"?folderid={UNKNOWN}", {}, "Folder with provided ID could not be found."),
        ("?folderid=00ffaab0-d8ef-4b2c-b4a8-f109b6ab454Z", {}, "Folder ID is invalid."),
    ],
)
async def test_import_is_refused(v1: V1, query: str, body: Any, message: str) -> None:
    answer = await v1.ask("POST", f"/templates/import{query}", body)
    assert (answer.status, answer.json) == (400, {"Message": message})


async def test_export_import_install(v1: V1) -> None:
    exported = await v1.value("GET", f"/templates/{TEMPLATE}/export")
    imported = await v1.value("POST", "/templates/import", {**exported, "Name": "Copy"})
    assert imported == {**exported, "Name": "Copy", "Id": imported["Id"]}
    assert imported["Id"] != exported["Id"]
    cycle = await v1.value("POST", f"/templates/{imported['Id']}/install?includeIcons=true", {"Name": "Mine"})
    assert (cycle["Status"], cycle["Name"], cycle["TemplateId"], cycle["Tags"]) == (
        "Paused",
        "Mine",
        imported["Id"],
        ["first"],
    )
    used = [(item["Name"], item["AccountConnectorId"], item["Authenticated"]) for item in cycle["Connectors"]]
    assert used[0] == ("Mail Chimp", 1874, True)  # the one the account has; Utility was missing
    assert used[1][0::2] == ("Utility", False)
    assert cycle["Connectors"][0]["Icon"].startswith("data:")
    second = await v1.value("POST", f"/templates/{TEMPLATE}/install")
    assert second["Id"] != cycle["Id"]
    assert [item["AccountConnectorId"] for item in second["Connectors"]] == [item[1] for item in used]
    (missing,) = await v1.value("GET", f"/cycles/{cycle['Id']}/prerequisites")
    assert (missing["ReasonCode"], missing["ObjectId"]) == (20, used[1][1])
    refused = await v1.ask("PUT", f"/cycles/{cycle['Id']}/activate", {})
    assert (refused.status, refused.message) == (400, missing["Reason"])
    await v1.value("PUT", f"/account/connectors/{used[1][1]}", {"AuthValue": "k"})
    assert await v1.value("GET", f"/cycles/{cycle['Id']}/prerequisites") == []
    await v1.value("PUT", f"/cycles/{cycle['Id']}/activate", {"RunOnce": True, "Interval": 0})
    assert [len(await v1.value("GET", f"/cycles/{cycle['Id']}/{part}")) for part in ("steps", "edges")] == [2, 1]
    assert (await v1.ask("POST", f"/templates/{UNKNOWN}/install", {})).status == 404


async def test_a_cycle(v1: V1) -> None:
    body = {
        "Name": "Nightly",
        "Description": "d",
        "Shareable": "true",
        "StepErrorAction": "ignore",
        "LogStepDataRequests": False,
        "CollectionSplitType": 1,
        "Tags": ["a"],
    }
    answer = await v1.ask("POST", "/cycles", body)
    row = answer.json
    assert answer.status == 201
    expected = {**body, "Shareable": True, "StepErrorAction": "Ignore", "CollectionSplitType": "All"}
    assert {name: row[name] for name in body} == expected
    assert (row["Status"], row["LastSuccessfulRunDate"]) == ("Paused", "0001-01-01T00:00:00")
    path = f"/cycles/{row['Id']}"
    changed = await v1.value("PUT", path, {"Description": None, "StepErrorAction": "Retry"})
    assert changed == {**row, "Description": None, "StepErrorAction": "Retry", "ContinueOnStepError": False}
    assert await v1.value("GET", path) == changed
    for wrong in ({"StepErrorAction": "Explode"}, {"CollectionSplitType": 9}, {"Name": ""}):
        assert (await v1.ask("PUT", path, wrong)).status == 400
    assert (await v1.ask("POST", "/cycles", {"Description": "d"})).message == "Name is required"
    (missing,) = await v1.value("GET", f"{path}/prerequisites")
    assert (missing["ReasonCode"], missing["ObjectId"]) == (10, row["Id"])
    assert (await v1.ask("PUT", f"{path}/activate", {})).status == 400
    await v1.value("DELETE", path, {})
    assert (await v1.ask("GET", path)).status == 404


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 1),
        ("tag=backup", 1),
        ("tag=other", 0),
        ("connectorName=Mail+Chimp&connectorVersion=v3", 1),
        ("connectorName=Mail+Chimp&connectorVersion=v2", 0),
        ("page=2", 0),
    ],
)
async def test_list(v1: V1, query: str, count: int) -> None:
    rows = await v1.value("GET", f"/cycles?{query}")
    assert len(rows) == count
    for row in rows:
        connectors = [(item["Name"], item["AccountConnectorId"], item["StepCount"]) for item in row["Connectors"]]
        assert connectors == [("Hook", 1875, 1), ("Mail Chimp", 1874, 1)]
        assert (row["ErrorCount"], row["WarningCount"]) == (1, 1)
    assert await v1.value("GET", "/cycles/upgradeable") == []


async def test_a_running_cycle_must_be_stopped_first(v1: V1) -> None:
    variable = {"DisplayName": "A", "Value": "1"}
    await v1.value("POST", f"{PATH}/variables", variable)
    await v1.value("PUT", f"{PATH}/activate", {"Interval": 15})
    writes: list[tuple[str, str, Any]] = [
        ("PUT", PATH, {"Description": "d"}),
        ("PUT", f"{PATH}/steps/{FIRST}", {"Description": "d", "ActionType": "Action"}),
        ("DELETE", f"{PATH}/steps/{FIRST}", {}),
        ("POST", f"{PATH}/variables", variable),
        ("PATCH", f"{PATH}/variables", [variable]),
        ("PUT", f"{PATH}/variables/A", variable),
        ("DELETE", f"{PATH}/variables/A", {}),
    ]
    before = await v1.value("GET", PATH)
    for method, path, body in writes:
        answer = await v1.ask(method, path, body)
        assert (answer.status, answer.message) == (409, "The cycle is running. Stop it before it is changed.")
    assert await v1.value("GET", PATH) == before
    for _ in range(2):
        await v1.value("PUT", f"{PATH}/deactivate?finishQueuedTransactions=true", {})
    for method, path, body in writes:
        await v1.value(method, path, body)
    assert (await v1.ask("PUT", f"{PATH}/activate", {"Interval": 7})).status == 400


async def test_steps(v1: V1) -> None:
    path = f"{PATH}/steps"
    assert [row["AccountConnector"]["Name"] for row in await v1.value("GET", f"{path}?filter=action")] == [
        "Hook",
        "News",
    ]
    assert await v1.value("GET", f"{path}?filter=Decision") == []
    assert (await v1.ask("GET", f"{path}?filter=xyz")).status == 400
    body = {"Name": "New", "Description": "d", "ActionType": 4, "DisplayPositionLeft": "5", "DisplayPositionTop": 0}
    row = await v1.value("POST", path, body)
    assert (row["Name"], row["DisplayPositionLeft"], row["Method"]) == ("New", 5, None)
    assert row["ActionType"] != "Action"
    changed = await v1.value("PUT", f"{path}/{row['Id']}", {"ActionType": "decision"})
    assert changed == {**row, "ActionType": "Decision"}
    for wrong in ("XYZ-123", 99, [1]):
        assert (await v1.ask("PUT", f"{path}/{UNKNOWN}", {"ActionType": wrong})).status == 400
    await v1.value("DELETE", f"{path}/{FIRST}", {})
    assert await v1.value("GET", f"{PATH}/edges") == []  # an edge without an end goes with it


async def test_edges(v1: V1) -> None:
    path = f"{PATH}/edges"
    edge = {"Id": EDGE, "HeadStepId": FIRST, "TailStepId": SECOND, "EdgeType": "Forward"}
    assert await v1.value("GET", path) == [edge]
    assert await v1.value("GET", f"{path}/{EDGE}") == edge
    back = await v1.value("POST", path, {"HeadStepId": SECOND.upper(), "TailStepId": FIRST, "EdgeType": "forward"})
    assert back == {"Id": back["Id"], "HeadStepId": SECOND, "TailStepId": FIRST, "EdgeType": "Forward"}
    for body, status in [
        ({"HeadStepId": FIRST, "TailStepId": UNKNOWN}, 404),
        ({"HeadStepId": FIRST, "TailStepId": "x"}, 400),
        ({"HeadStepId": FIRST, "TailStepId": SECOND, "EdgeType": "Sideways"}, 400),
        ({}, 400),
    ]:
        assert (await v1.ask("POST", path, body)).status == status
    await v1.value("DELETE", f"{path}/{EDGE}")
    assert (await v1.ask("GET", f"{path}/{EDGE}")).status == 404


async def test_variables(v1: V1) -> None:
    path = f"{PATH}/variables"
    body = {"DisplayName": "JO Var-1", "Value": "x", "MappingType": "staticvalue"}
    row = await v1.value("POST", path, body)
    assert row == {**body, "SystemName": "JOVar1", "MappingType": "StaticValue"}
    rows = await v1.value("PATCH", path, [{"DisplayName": "JO Var-1", "Value": "y"}, {"DisplayName": "Two"}])
    assert rows == [
        {**row, "Value": "y"},
        {"DisplayName": "Two", "SystemName": "Two", "Value": None, "MappingType": None},
    ]
    assert await v1.value("GET", path) == rows
    assert (await v1.value("PUT", f"{path}/jovar1", {"Value": None}))["Value"] is None
    for method, where, wrong in [
        ("POST", path, {"Value": "x"}),
        ("POST", path, {**body, "MappingType": "x"}),
        ("PATCH", path, {"DisplayName": "x"}),
        ("PATCH", path, [1]),
        ("PATCH", path, [{"DisplayName": "Three"}, {}]),
    ]:
        assert (await v1.ask(method, where, wrong)).status == 400
    await v1.value("DELETE", f"{path}/JOVar1")
    assert [one["SystemName"] for one in await v1.value("GET", path)] == ["Two"]
    assert (await v1.ask("GET", f"{path}/JOVar1")).status == 404


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 2),
        ("status=completed", 1),
        ("status=Completed&splitType=unsplit", 1),
        ("splitType=Split", 1),
        ("after=2024-03-15", 1),
        ("before=3/15/2024", 1),
        ("after=1/1/2022&before=11/25/2027", 2),
        ("after=2024-03-01T00:00:00Z&before=2024-04-01T02:00:00", 2),
        ("before=1/2/2021", 0),
        ("pageSize=1&page=2", 1),
        ("after=15/15/2024", None),
        ("before=soon", None),
    ],
)
async def test_transactions(v1: V1, query: str, count: int | None) -> None:
    for path in ("/cycles/transactions", f"{PATH}/transactions"):
        answer = await v1.ask("GET", f"{path}?{query}")
        assert answer.status == (400 if count is None else 200)
        if count is not None:
            assert len(answer.json) == count
            assert all(row["CycleId"] == CYCLE and row["Id"] for row in answer.json)


async def test_items(v1: V1) -> None:
    path = f"{PATH}/transactions/{TRANSACTION}"
    assert await v1.value("GET", path) == ["HTTP Request: 1", "other"]
    assert await v1.value("GET", f"{path}?query=HTTP%20Request:") == ["HTTP Request: 1"]


async def test_incidents(v1: V1) -> None:
    for path, levels in [
        ("/cycles/incidents/error", ["Error"]),
        ("/cycles/incidents/WARNING?after=2020-01-01", ["Warning"]),
        ("/cycles/incidents/error?before=2024-01-01", []),
        (f"{PATH}/incidents?sortOrderAsc=true", ["Error", "Warning"]),
        (f"{PATH}/incidents/warning", ["Warning"]),
    ]:
        rows = await v1.value("GET", path)
        assert [row["IncidentLevel"] for row in rows] == levels
        assert all(len(row) == 8 and all(row.values()) for row in rows)
    assert (await v1.ask("GET", "/cycles/incidents/fatal")).status == 400
    await v1.value("DELETE", f"{PATH}/incidents", {})
    assert await v1.value("GET", f"{PATH}/incidents") == []


async def test_mappings(v1: V1) -> None:
    assert await v1.value("GET", f"/steps/{SECOND}/prerequisites") == []
    fields = await v1.value("GET", f"/steps/{SECOND}/fieldsformapping")
    assert {field["Step"]["Id"] for field in fields} == {FIRST}
    assert await v1.value("GET", f"/steps/{FIRST}/fieldsformapping") == []
    (parameter,) = await v1.value("GET", f"/steps/{SECOND}/parameters")
    assert (parameter["Parameter"]["Id"], parameter["MappingType"]) == (701, None)
    path = f"/steps/{SECOND}/fieldmappings/702"
    body = {
        "MappingType": "StaticValue",
        "Value": "v",
        "IsLaunchVisible": "true",
        "SourceStepId": FIRST.upper(),
        "SourceFieldId": "5",
        "TriggerValue": "t",
        "TriggerValueDisplayName": "T",
    }
    row = await v1.value("PUT", path, body)
    assert row == {**row, **body, "IsLaunchVisible": True, "SourceStepId": FIRST, "SourceFieldId": 5}
    assert await v1.value("PUT", path, {"MappingType": None}) == {**row, "MappingType": None}
    assert await v1.value("GET", path) == {**row, "MappingType": None}
    assert await v1.value("GET", f"/steps/{SECOND}/fieldmappings") == [{**row, "MappingType": None}]
    for wrong in ({"MappingType": "x"}, {"SourceStepId": "x"}):
        assert (await v1.ask("PUT", path, wrong)).status == 400
    for other in (f"/steps/{SECOND}/fieldmappings/701", f"/steps/{SECOND}/parameters/702"):
        assert (await v1.ask("GET", other)).status == 404  # an id of the other kind
    assert (await v1.ask("POST", f"/steps/{SECOND}/fieldmappings/lookup", {})).status == 200


async def test_a_step_of_the_file(v1: V1) -> None:
    names = [row["Field"]["Name"] for row in await v1.value("GET", f"/steps/{LOOSE}/fieldmappings")]
    assert names == ["Account Name", "Phone"]
    assert [row["Name"] for row in await v1.value("GET", f"/steps/{LOOSE}/fieldsformapping")] == names
    (row,) = await v1.value("GET", f"/steps/{LOOSE}/parameters")
    assert (row["Parameter"]["Id"], row["Parameter"]["Triggers"][0]["TriggerId"]) == (802, 803)
    path = f"/steps/{LOOSE}/parameters/802"
    assert (await v1.value("PUT", path, {"MappingType": 1}))["MappingType"] == "StaticValue"
    for given in (803, "803"):
        assert await v1.value("POST", f"{path}/lookup", {"TriggerId": given}) == [{"Name": "Lead", "Value": "l"}]
    for where, body, status in [
        (path, {"TriggerId": 5}, 404),
        (path, {"TriggerId": "x"}, 400),
        (path, {}, 400),
        (f"/steps/{LOOSE}/parameters/5", {"TriggerId": 803}, 404),
        (f"/steps/{SECOND}/parameters/701", {"TriggerId": 803}, 404),
    ]:
        assert (await v1.ask("POST", f"{where}/lookup", body)).status == status
