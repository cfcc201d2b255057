"""A simulator with a small state of every kind, and bare HTTP on its v1.0."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from typing import Any, Final

import aiohttp
import pytest

from cyclr_async.simulator import Simulator
from tests.simulator.conftest import Answer, Client

ACME: Final = "0a0b0c0d-0001-4000-8000-00000000000a"
TENANT: Final = "Tenant 42/ü"
CYCLE: Final = "11111111-aaaa-4000-8000-000000000001"
FIRST, SECOND, LOOSE = (f"22222222-aaaa-4000-8000-00000000000{number}" for number in (1, 2, 3))
EDGE: Final = "33333333-aaaa-4000-8000-000000000001"
TEMPLATE: Final = "44444444-aaaa-4000-8000-000000000001"
METHOD: Final = "55555555-aaaa-4000-8000-000000000001"
TRANSACTION: Final = "66666666-aaaa-4000-8000-000000000001"
UNKNOWN: Final = "99999999-9999-4999-8999-999999999999"

STATE: Final[dict[str, Any]] = {
    "accounts": [
        {"id": ACME, "name": "ACME", "users": ["jo", {"name": "Ann", "password": "secret"}], "marketplaces": [8]},
        {"id": TENANT, "name": "Tenant", "subaccounts": [{"id": "child", "name": "Child"}]},
    ],
    "accounts_at_least": 7,
    "connectors": [
        {
            "id": 7,
            "name": "Mail Chimp",
            "version": "v3",
            "categories": ["CRMs", "Marketing"],
            "auth_type": "ApiKey",
            "properties": [
                {"name": "Region", "account_level": True},
                {"name": "EndpointUrl", "account_level": False},
            ],
            "methods": [
                {
                    "id": 70,
                    "unique_identifier": METHOD,
                    "name": "Get Store",
                    "category": "Stores",
                    "parameters": [{"id": 701, "name": "Store Id"}],
                    "request_fields": [{"id": 702, "name": "Store"}],
                    "answer": {"name": "My Store"},
                },
                {"name": "Add Customer", "category": "Customers"},
                {"name": "List Stores", "category": "Stores"},
            ],
        },
        {"id": 8, "name": "Mail Chimp", "version": "v2", "auth_type": "OAuth2"},
        {"id": 9, "name": "Sketch", "status": "Draft", "categories": ["CRMs"]},
        {"id": 10, "name": "Hook", "auth_type": "None"},
    ],
    "connectors_at_least": 12,
    "account_connectors": [
        {
            "account": ACME,
            "id": 1874,
            "connector": {"name": "Mail Chimp", "version": "v3"},
            "name": "News",
            "auth_value": "key",
            "properties": {"Zone": "2", "Area": "1"},
            "fields": [{"id": 55, "display_name": "Own", "connector_field": "[records].Own"}],
            "triggers": [{"id": 77, "answers": [{"name": "Deal", "value": "1"}]}],
        },
        {"account": ACME, "id": 1875, "connector": "Hook"},
    ],
    "templates": [{"id": TEMPLATE, "name": "Welcome", "tags": ["first"], "connectors": ["Mail Chimp/v3", "Utility"]}],
    "templates_at_least": 6,
    "cycles": [
        {
            "account": ACME,
            "id": CYCLE,
            "name": "Daily",
            "connectors": ["Hook", {"name": "Mail Chimp", "version": "v3"}],
            "tags": ["backup"],
            "steps": [{"id": FIRST, "name": "Fetch"}, {"id": SECOND, "name": "Send", "method": "Get Store"}],
            "edges": [{"id": EDGE, "head": FIRST, "tail": SECOND}],
        }
    ],
    "steps": [
        {
            "id": LOOSE,
            "fields": [{"id": 801, "name": "Account Name"}, "Phone"],
            "parameters": [{"id": 802, "name": "Entity", "trigger": 803, "answers": [{"name": "Lead", "value": "l"}]}],
        }
    ],
    "incidents": [{"cycle": CYCLE, "at": "2024-03-01"}, {"cycle": CYCLE, "level": "warning", "at": "2024-04-01"}],
    "transactions": [
        {"cycle": CYCLE, "id": TRANSACTION, "at": "2024-03-01", "items": ["HTTP Request: 1", "other"]},
        {"cycle": CYCLE, "status": "Failed", "split_type": "Split", "at": "2024-04-01"},
    ],
    "users": [{"name": "Max", "password": "pa"}],
    "partner": {"inline_oauth": False, "domain": "apps.example.com"},
}


class V1(Client):
    """Bare HTTP on v1.0, with ``X-Cyclr-Account`` unless ``account`` says otherwise."""

    async def ask(self, method: str, path: str, body: object = None, account: str = ACME, **options: Any) -> Answer:
        headers = {"X-Cyclr-Account": account, **options.pop("headers", {})}
        if isinstance(body, (str, bytes, io.BytesIO)):
            options["data"] = body
            headers.setdefault("Content-Type", "application/json")
        elif body is not None:
            options["json"] = body
        return await self.send(method, f"/v1.0{path}", headers=headers, **options)

    async def value(self, method: str, path: str, body: object = None, account: str = ACME, **options: Any) -> Any:
        """The JSON of a good answer."""
        answer = await self.ask(method, path, body, account, **options)
        assert answer.status == 200, (method, path, answer.status, answer.body)
        return answer.json if answer.body else None


@pytest.fixture
async def sim(request: pytest.FixtureRequest) -> AsyncIterator[Simulator]:
    marker = request.node.get_closest_marker("cyclr")
    async with Simulator(**{"frozen": True, "state": STATE, **(marker.kwargs if marker else {})}) as simulator:
        yield simulator


@pytest.fixture
async def stranger(sim: Simulator) -> AsyncIterator[V1]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as http:
        yield V1(sim, http)


@pytest.fixture
async def v1(stranger: V1) -> V1:
    await stranger.sign_in()
    stranger.sim.requests.clear()
    return stranger
