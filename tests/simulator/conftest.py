"""A simulator in the loop of the test, and a client that knows nothing of the package."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import attrs
import pytest

from cyclr_async.simulator import Simulator


@attrs.frozen
class Response:
    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        return str(self.json["Message"])


class Client:
    """Bare HTTP on a simulator."""

    def __init__(self, sim: Simulator, http: aiohttp.ClientSession) -> None:
        self.sim, self.http, self.token = sim, http, ""

    async def send(self, method: str, path: str, **options: Any) -> Response:
        headers = dict(options.pop("headers", {}))
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        root = "" if path.startswith(("/oauth", "/_", "/account/", "/openapi")) else "/api/partner"
        async with self.http.request(method, f"{self.sim.url}{root}{path}", headers=headers, **options) as answer:
            return Response(answer.status, answer.headers, await answer.read())

    async def get(self, path: str, **options: Any) -> Response:
        return await self.send("GET", path, **options)

    async def post(self, path: str, json: Any, **options: Any) -> Response:
        return await self.send("POST", path, json=json, **options)

    async def put(self, path: str, json: Any, **options: Any) -> Response:
        return await self.send("PUT", path, json=json, **options)

    async def grant(self, **form: str) -> Response:
        return await self.send("POST", "/oauth/token", data=form)

    async def credentials(self, **more: str) -> Response:
        pair = {"client_id": self.sim.client_id, "client_secret": self.sim.client_secret}
        return await self.grant(grant_type="client_credentials", **{**pair, **more})

    async def sign_in(self, **more: str) -> None:
        self.token = (await self.credentials(**more)).json["access_token"]


@pytest.fixture
async def sim(request: pytest.FixtureRequest) -> AsyncIterator[Simulator]:
    marker = request.node.get_closest_marker("cyclr")
    async with Simulator(**{"frozen": True, **(marker.kwargs if marker else {})}) as simulator:
        yield simulator


@pytest.fixture
async def stranger(sim: Simulator) -> AsyncIterator[Client]:
    """Without a token, and without the repetition of lost requests that aiohttp does unasked."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as http:
        yield Client(sim, http)


@pytest.fixture
async def client(stranger: Client) -> Client:
    await stranger.sign_in()
    stranger.sim.requests.clear()
    return stranger
