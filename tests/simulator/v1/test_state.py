"""The state file: what it may hold, what is wrong with one, and what is invented besides."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cyclr_async.simulator import Simulator
from cyclr_async.simulator.seed_state import read_state
from tests.simulator.v1.conftest import ACME, CYCLE, STATE, TEMPLATE, UNKNOWN, V1

DOCS = Path(__file__).parents[3] / "docs" / "simulator.md"
WHERE = {"account": ACME, "connector": "Hook"}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"accouts": []}, "unknown key 'accouts'; known are accounts, accounts_at_least, connectors"),
        ({"accounts": [{"id": "a", "nmae": "x"}]}, "accounts[0]: unknown key 'nmae'; known are id, name"),
        (
            {"connectors": [{"name": "a", "methods": [{"name": "m", "parameter": []}]}]},
            "connectors[0].methods[0]: unknown key 'parameter'",
        ),
        ({"accounts": [{"name": "x"}]}, "accounts[0]: id must be given"),
        ({"accounts": {"id": "a"}}, "accounts must be an array"),
        ({"accounts_at_least": "many"}, "accounts_at_least must be a whole number"),
        ({"accounts_at_least": -1}, "accounts_at_least must be a whole number"),
        ({"accounts": [{"id": " "}]}, "accounts[0].id must be a text that is not empty"),
        ({"cycles": [{"account": "a", "id": "x"}]}, "cycles[0].id must be a GUID"),
        ({"cycles": [{"account": "a", "connectors": [{}]}]}, "cycles[0].connectors[0]: name or id must be given"),
        ({"cycles": [{"account": "a", "connectors": [99]}]}, "cycles[0]: there is no connector with the id 99"),
        (
            {"cycles": [{"account": "a", "steps": [{"account_connector": 5}]}]},
            "cycles[0]: the account has no connector 5",
        ),
        (
            {"cycles": [{"account": "a", "steps": [{"connector": "Hook", "method": "x"}]}]},
            "cycles[0]: the connector has no method 'x'",
        ),
        (
            {"cycles": [{"account": "a", "steps": [{"action_type": "Dance"}]}]},
            "cycles[0]: action_type 'Dance' is unknown; there are Unknown, Action",
        ),
        ({"incidents": [{}]}, "incidents[0]: there is no cycle"),
        ({"transactions": [{"cycle": UNKNOWN}]}, f"transactions[0]: there is no cycle {UNKNOWN}"),
        ({"transactions": [{"at": "soon"}]}, "transactions[0].at must be a date such as"),
        ({"incidents": [{"account": "a"}]}, "incidents[0]: there is no cycle"),
        ({"account_connectors": [WHERE | {"authenticated": 1}]}, "account_connectors[0].authenticated must be true"),
        (
            {"account_connectors": [WHERE | {"id": 4}, WHERE | {"id": 4}]},
            "account_connectors[1]: another account connector has the id 4",
        ),
        ({"connectors": [{"id": 4, "name": "a"}, {"id": 4, "name": "b"}]}, "two connectors have the id 4"),
        ({"partner": "x"}, "partner must be an object with inline_oauth, domain"),
        ({"users": [{"password": "p"}]}, "users[0]: name must be given"),
        ({"accounts": [[]]}, "accounts[0] must be an object with id, name"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_wrong(tmp_path: Path, state: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Simulator(state=state)
    path = tmp_path / "state.json"
    path.write_text(json.dumps(state))
    with pytest.raises(ValueError, match=re.escape(message)):
        Simulator(state=path)


def test_no_file_and_no_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cannot read the state file .*none\.json"):
        read_state(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{'accounts': []}")
    with pytest.raises(ValueError, match=r"the state file .*bad\.json is not JSON"):
        read_state(str(tmp_path / "bad.json"))


@pytest.mark.cyclr(
    state={
        "accounts": ["a"],
        "accounts_at_least": 4,
        "connectors": [{"name": "Own", "categories": ["X"]}],
        "connectors_at_least": 5,
        "account_connectors": [{"account": "A", "connector": "Own"}, {"account": "b", "connector": "New/v9"}],
        "account_connectors_at_least": 4,
        "templates_at_least": 3,
        "cycles_at_least": 3,
    }
)
async def test_inventions_up_to_a_number(v1: V1, sim: Simulator) -> None:
    assert [await v1.value("GET", f"/accounts/{one}") != {} for one in ("a", "b")] == [True, True]
    assert len(await v1.value("GET", "/accounts")) == sim.account_count == 4
    connectors = await v1.value("GET", "/connectors")
    assert [row["Name"] for row in connectors[:1]] == ["Own"]
    assert len(connectors) == 6  # and one that is only mentioned
    assert all(row["Categories"] == ["X"] for row in connectors[:5])
    for account, first in (("a", "Own"), ("b", "New")):
        own = await v1.value("GET", "/account/connectors", account=account)
        assert (len(own), own[0]["Name"], {row["Authenticated"] for row in own}) == (4, first, {True})
        cycles = await v1.value("GET", "/cycles?includeIcons=true", account=account)
        assert len(cycles) == 3
        assert all(item["Icon"] for row in cycles for item in row["Connectors"])
    assert await v1.value("GET", "/account/connectors", account=sim.api_ids()[-1]) == []
    assert len(await v1.value("GET", "/templates")) == 3
    ids = [row["Id"] for row in connectors] + [row["Id"] for row in own]
    assert len(set(ids)) == len(ids)


@pytest.mark.cyclr(
    state={
        "Accounts": [{"Id": "a", "SubAccounts": ["b", "c"]}, {"id": "b", "name": "B"}],
        "connectors": [{"Name": "Own", "Version": "v3", "AuthType": "Basic", "Properties": ["Region"], "icon": None}],
        "account_connectors": [
            {"account": "a", "connector": "Own v3", "name": "Mine"},
            {"account": "a", "connector": "Own v3"},
        ],
        "cycles": [
            {"account": "a", "id": CYCLE, "connectors": ["Mine", "Own"], "steps": [{}, {"accountConnector": "Own"}]}
        ],
        "steps": [{"id": UNKNOWN, "cycle": CYCLE, "connector": "Mine", "parameters": [{"triggers": [{"id": 3}]}]}],
    }
)
async def test_many_ways_to_say_it(v1: V1) -> None:
    assert [row["Name"] for row in await v1.value("GET", "/accounts/a/subaccounts")] == ["B", "c"]
    (row,) = await v1.value("GET", "/connectors")
    assert (row["AuthType"], row["Icon"], row["Parameters"][0]["IsAccountConnectorProperty"]) == ("Basic", None, True)
    own = await v1.value("GET", "/account/connectors", account="a")
    assert [one["Name"] for one in own] == ["Mine", "Own"]
    steps = await v1.value("GET", f"/cycles/{CYCLE}/steps", account="a")
    assert [step["AccountConnector"]["Name"] for step in steps] == ["Mine", "Own", "Mine"]
    (parameter,) = await v1.value("GET", f"/steps/{UNKNOWN}/parameters", account="a")
    assert parameter["Parameter"]["Triggers"][0]["TriggerId"] == 3


@pytest.mark.parametrize(
    ("settings", "accounts"),
    [
        ({}, 50),
        ({"accounts": 3}, 3),
        ({"state": {}}, 50),
        ({"state": {"templates": []}, "accounts": 7}, 7),
        ({"state": {"accounts": []}}, 0),
        ({"state": {"accounts": ["a", "b"]}}, 2),
        ({"state": {"accounts": ["a", "b"]}, "accounts": 1}, 2),
        ({"state": {"accounts": ["a", "b"], "accounts_at_least": 100_000}}, 100_000),
        ({"state": {"accounts_at_least": 9}, "accounts": 12}, 12),
    ],
)
def test_how_many_accounts(settings: dict[str, Any], accounts: int) -> None:
    assert Simulator(**settings).account_count == accounts


@pytest.mark.parametrize(
    ("settings", "real"),
    [
        ({}, False),
        ({"state": {}}, True),
        ({"state": {}, "frozen": True}, False),
        ({"state": {}, "now": datetime(2020, 1, 1, tzinfo=UTC)}, False),
        ({"state": {}, "real_time": False}, False),
        ({"real_time": True}, True),
    ],
)
def test_when_it_begins(settings: dict[str, Any], real: bool) -> None:
    sim = Simulator(**settings)
    sim.reset()
    assert (abs((sim.clock.now() - datetime.now(UTC)).total_seconds()) < 60) == real


async def test_reset_goes_back_to_the_file(v1: V1, sim: Simulator) -> None:
    before = await v1.value("GET", "/account/connectors")
    await v1.value("DELETE", "/account/connectors/1874")
    await v1.value("DELETE", f"/cycles/{CYCLE}")
    await v1.value("DELETE", "/accounts/child")
    await v1.value("POST", "/templates/import", {"Name": "x"})
    sim.reset()
    await v1.sign_in()
    assert await v1.value("GET", "/account/connectors") == before
    assert (await v1.value("GET", f"/cycles/{CYCLE}"))["Name"] == "Daily"
    assert (await v1.value("GET", "/accounts/child"))["Name"] == "Child"
    assert len(await v1.value("GET", "/templates")) == 6
    assert (await v1.value("GET", f"/templates/{TEMPLATE}"))["Name"] == "Welcome"


def test_the_example_of_the_docs_is_understood() -> None:
    example = re.search(r"```json\n(\{.*?\n\})\n```", DOCS.read_text("utf-8"), re.DOTALL)
    assert example is not None
    state = json.loads(example[1])
    assert set(state) == set(STATE) | {"account_connectors_at_least", "cycles_at_least"}  # every key is shown
    assert Simulator(state=state).account_count == state["accounts_at_least"]


@pytest.mark.parametrize("command", [["cyclr_async.simulator"], ["cyclr_async.cli", "simulate"]])
def test_on_the_command_line(tmp_path: Path, command: list[str]) -> None:
    path = tmp_path / "state.json"
    path.write_text('{"accouts": []}')
    line = [sys.executable, "-m", *command, "--port", "0", "--state", str(path)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "unknown key 'accouts'" in done.stderr
