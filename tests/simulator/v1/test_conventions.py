"""What holds for every operation of v1.0: who may ask, paths, ids, bodies, pages, headers."""

from __future__ import annotations

import io
import re
from typing import Any
from urllib.parse import quote

import pytest

from cyclr_async.simulator import OPERATIONS, Fault, Simulator
from cyclr_async.simulator.v1.operations import OPERATIONS as TABLE
from cyclr_async.simulator.v1.operations import Operation
from tests.simulator.v1.conftest import ACME, CYCLE, TENANT, UNKNOWN, V1

DENIED = b'{"Message":"Authorization has been denied for this request."}'
KEYS = {"account": ACME, "connector": "Hook", "version": "v1", "variable": "x", "level": "error"}


def path_of(operation: Operation, **given: str) -> str:
    def value(key: re.Match[str]) -> str:
        usual = KEYS.get(key[1], UNKNOWN if key[2] == "guid" else "424242")
        return quote(given.get(key[1], usual), safe="")

    return re.sub(r"\{(\w+):?(\w*)\}", value, operation.path)


async def test_who_may_ask(v1: V1, sim: Simulator) -> None:
    partner = v1.token
    await v1.sign_in(scope=f"account:{ACME}")
    restricted = v1.token
    await v1.sign_in(scope=f"account:{sim.account(ACME).id}")
    for operation in TABLE:
        path = path_of(operation)
        body: object = {} if operation.method != "GET" else None
        answers = {
            "nobody": await v1.ask(operation.method, path, body, headers={"Authorization": "Bearer x"}),
            "missing": await v1.ask(operation.method, path, body, "", headers={"Authorization": f"Bearer {partner}"}),
            "unknown": await v1.ask(operation.method, path, body, "?", headers={"Authorization": f"Bearer {partner}"}),
            "own": await v1.ask(operation.method, path, body, headers={"Authorization": f"Bearer {restricted}"}),
            "other": await v1.ask(operation.method, path, body, "child"),
        }
        refused = {name for name, answer in answers.items() if answer.status == 401}
        # Unless it is refused, it is found wanting for other reasons; none of the ids exists.
        expected = {
            "P": {"nobody", "own", "other"},
            "A": {"nobody", "missing", "unknown", "other"},
            "PA": {"nobody", "other"},
        }[operation.level]
        assert refused == expected, (operation.name, {name: answer.status for name, answer in answers.items()})
        for answer in answers.values():
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            if answer.status == 401:
                assert (answer.body, answer.headers["WWW-Authenticate"]) == (DENIED, "Bearer")


@pytest.mark.cyclr(connectors_need_account=True)
async def test_connectors_may_need_an_account(v1: V1) -> None:
    for path in ("/connectors", "/connectors/7", "/templates", "/methods/70"):
        assert (await v1.ask("GET", path)).status == 200
        assert (await v1.ask("GET", path, account="")).status == 401


@pytest.mark.parametrize("operation", TABLE, ids=lambda row: f"{row.method} {row.path}")
async def test_ids_and_methods(v1: V1, operation: Operation) -> None:
    """404 for an id that does not exist, 400 for one that is none; 405 for another method."""
    body = {"VERSION": 1, "Name": "n", "UserName": "u", "Username": "u", "MarketplaceId": 1, "TriggerId": 1}
    ends = {"HeadStepId": UNKNOWN, "TailStepId": UNKNOWN, "UniqueIdentifier": UNKNOWN, "DisplayName": "d"}
    sent = {**body, **ends} if operation.method not in ("GET", "PATCH") else None
    sent = [{"DisplayName": "d"}] if operation.method == "PATCH" else sent  # type: ignore[assignment]
    for name, kind in re.findall(r"\{(\w+):(\w+)\}", operation.path):
        bad = {"int": ["x", "1.5", "99999999999"], "guid": ["1", f"{UNKNOWN}a"], "either": ["x", f"{UNKNOWN}a"]}[kind]
        for value in bad:
            answer = await v1.ask(operation.method, path_of(operation, **{name: value}), sent)
            assert (answer.status, answer.message) == (400, "The request is invalid.")
    if ":" in operation.path and operation.path != "/accounts":
        answer = await v1.ask(operation.method, path_of(operation), sent)
        assert (answer.status, answer.body) == (404, b"")
    answer = await v1.ask("OPTIONS", path_of(operation))
    assert (answer.status, answer.message) == (405, "The requested resource does not support http method 'OPTIONS'.")
    assert operation.method in answer.headers["Allow"].split(", ")


async def test_no_such_route(v1: V1) -> None:
    for method, path in [
        ("POST", f"/accounts/{ACME}/suspend"),
        ("PUT", f"/accounts/{ACME}/disable"),
        ("GET", "/"),
        ("GET", ""),
        ("GET", f"/cycle/{CYCLE}"),
    ]:
        answer = await v1.ask(method, path)
        expected = f"No HTTP resource was found that matches the request URI '/v1.0{path}'."
        assert (answer.status, answer.message) == (404, expected)
    assert (await v1.send("GET", "/v1.05/accounts")).status == 404


@pytest.mark.parametrize(
    "path",
    [
        "/accounts/",
        f"/ACCOUNTS/{ACME.upper()}",
        f"/accounts/{quote(TENANT, safe='')}/",
        f"/Accounts/{quote(TENANT.upper(), safe='')}/SubAccounts/?page=1",
        "/connectors/mail%20chimp/V3/methods/?query=x",
        f"/cycles/{CYCLE.upper()}/",
        f"/account/CONNECTORS/1874/methods/{'55555555-AAAA-4000-8000-000000000001'}",
        "/connectors?per_page=3&unknown=1",
    ],
)
async def test_case_and_slashes(v1: V1, path: str) -> None:
    await v1.value("GET", path, account=ACME.upper())


async def test_digits_without_hyphens_are_no_id_of_this_api(v1: V1, sim: Simulator) -> None:
    assert (await v1.ask("GET", f"/accounts/{ACME.replace('-', '')}")).status == 404
    assert (await v1.ask("GET", f"/accounts/{sim.account_ids()[-1]}")).status == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("{'name': 'x', timezone: 'UTC',}", 200),
        ('{"NAME":"x","name":"y"}', 200),
        ("", 400),
        ("{}", 400),
        ("null", 400),
        ("[]", 400),
        ("5", 400),
        ("{", 400),
        (b"\xff", 400),
    ],
)
async def test_bodies(v1: V1, body: Any, status: int) -> None:
    assert (await v1.ask("POST", "/accounts", body)).status == status


async def test_media_types_and_size(v1: V1) -> None:
    answer = await v1.ask("POST", "/accounts", "a=b", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status == 415
    assert (await v1.ask("POST", "/accounts", io.BytesIO(b"x" * ((1 << 20) + 1)))).status == 413


async def test_pages(v1: V1, sim: Simulator) -> None:
    ids = [row["Id"] for row in await v1.value("GET", "/accounts")]
    assert ids == [account_id for account_id in sim.api_ids() if account_id != "child"]
    for size in (1, 4, 6, 100, 28_000):
        found: list[str] = []
        pages = -(-len(ids) // size)
        for page in range(1, pages + 1):
            answer = await v1.ask("GET", f"/accounts?pageSize={size}&page={page}")
            assert answer.headers["Total-Pages"] == str(pages)
            found += [row["Id"] for row in answer.json]
        assert found == ids
        beyond = await v1.ask("GET", f"/accounts?pageSize={size}&page={pages + 1}")
        assert (beyond.status, beyond.body, beyond.headers["Total-Pages"]) == (200, b"[]", str(pages))
    assert [row["Id"] for row in await v1.value("GET", "/accounts?sortOrderAsc=False&PAGESIZE=2&Page=2")] == ids[
        -3:-5:-1
    ]
    for query in ("page=x", "pageSize=1.5", "sortOrderAsc=maybe"):
        assert (await v1.ask("GET", f"/accounts?{query}")).status == 400
    for query in ("page=0", "page=-1", "pageSize=0", "page="):
        assert len(await v1.value("GET", f"/accounts?{query}")) == len(ids)


@pytest.mark.cyclr(page_size=3)
async def test_the_usual_page_size(v1: V1) -> None:
    assert [len(await v1.value("GET", f"/connectors?page={page}")) for page in (1, 4, 5)] == [3, 3, 1]
    assert len(await v1.value("GET", "/connectors/7/methods")) == 3


async def test_order(v1: V1) -> None:
    names = [row["Name"] for row in await v1.value("GET", "/connectors?orderBy=Name")]
    assert names == sorted(names, key=str.casefold)
    falling = await v1.value("GET", "/connectors?orderBy=name&sortOrderAsc=false")
    assert [row["Name"] for row in falling] == names[::-1]
    ids = [row["Id"] for row in await v1.value("GET", "/connectors?orderBy=Id")]
    assert ids == sorted(ids)
    assert [row["Id"] for row in await v1.value("GET", "/connectors?orderBy=Nothing")][:4] == [7, 8, 9, 10]


async def test_faults_and_log_on_every_operation(v1: V1, sim: Simulator) -> None:
    assert {operation.name for operation in TABLE} <= set(OPERATIONS)
    for operation in TABLE:
        number = sim.faults.add(Fault.status(503, operation=operation.name))
        assert (await v1.ask(operation.method, path_of(operation))).status == 503
        assert sim.faults.hits(number) == 1
        sim.faults.clear()
        last = sim.requests[-1]
        assert (last.operation, last.fault, last.status) == (operation.name, "status", 503)
        of_account = operation.level != "P" or operation.path.startswith("/accounts/{")
        assert last.account_id == (ACME if of_account else None)


async def test_a_fault_for_one_account_by_either_id(v1: V1, sim: Simulator) -> None:
    for wanted in (ACME, ACME.replace("-", ""), ACME.upper()):
        sim.faults.add(Fault.status(500, account_id=wanted))
        assert (await v1.ask("GET", f"/accounts/{ACME}")).status == 500
        assert (await v1.send("GET", f"/accounts/{ACME.replace('-', '')}/billing")).status == 500
        assert (await v1.ask("GET", f"/accounts/{quote(TENANT, safe='')}")).status == 200
        sim.faults.clear()
    sim.faults.add(Fault.status(500, account_id=TENANT.lower()))
    launched = await v1.ask("POST", "/users/launch", {"AccountId": TENANT, "Username": "u", "Password": "p"})
    assert launched.status == 500


async def test_drops_and_limits(v1: V1, sim: Simulator) -> None:
    sim.faults.add("drop-after:op=v1.accounts.create:x1")
    with pytest.raises(Exception, match="disconnected"):
        await v1.ask("POST", "/accounts", {"Id": "once", "Name": "n"})
    assert (await v1.ask("POST", "/accounts", {"Id": "once", "Name": "n"})).message == "ID already in use"
    sim.rate_limit = 1
    answers = [await v1.ask("GET", "/accounts/once") for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 429]
    assert answers[1].headers["Retry-After"] == "1"
