"""The control endpoint, and requests that are not as they should be."""

from __future__ import annotations

import asyncio
import io
import json
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from cyclr_async.simulator import Simulator


async def test_state(client: Any, sim: Simulator) -> None:
    state = (await client.get("/_simulator/state")).json
    assert state["accounts"] == 50
    assert state["now"] == "2026-11-24T09:00:00+00:00"
    assert state["live_tokens"] == 1
    assert (await client.get("/_simulator/accounts?limit=2")).json == sim.account_ids(2)


async def test_faults(client: Any, sim: Simulator) -> None:
    first = (await client.post("/_simulator/faults", "429:50%:retry-after=2")).json
    second = (await client.post("/_simulator/faults", {"kind": "status", "status": 500, "times": 1})).json
    assert (first["kind"], first["status"], first["probability"]) == ("status", 429, 0.5)
    assert (await client.send("DELETE", f"/_simulator/faults/{first['id']}")).status == 200
    assert (await client.send("DELETE", f"/_simulator/faults/{first['id']}")).status == 404
    assert (await client.get("/details")).status == 500
    listed = (await client.get("/_simulator/faults")).json
    assert listed == [{"id": second["id"], "hits": 1, "kind": "status", "times": 1}]
    assert (await client.send("DELETE", "/_simulator/faults")).json == []
    assert len(sim.faults) == 0


async def test_requests_hold_no_secret(client: Any, sim: Simulator) -> None:
    account_id = sim.account_ids(1)[0]
    body = {
        "AccountId": account_id,
        "ConnectorName": "CRM",
        "InstalledName": "n",
        "Username": "u-canary",
        "Password": "canary",
    }
    await client.post("/installconnector", body)
    await client.get("/account/signinwithtoken?token=canary")
    await client.grant(grant_type="password", username="canary", password="canary", client_id=sim.client_id)
    await client.get(f"/accounts/{account_id}/billing", headers={"X-Request-Id": "r-1"})
    answer = await client.get("/_simulator/requests")
    assert b"canary" not in answer.body
    assert client.token.encode() not in answer.body
    last = answer.json[-1]
    assert last["operation"] == "accounts.usage"
    assert (last["account_id"], last["status"], last["request_id"]) == (account_id, 200, "r-1")
    assert [record["operation"] for record in answer.json] == ["connectors.install", None, "token", "accounts.usage"]
    assert len((await client.get("/_simulator/requests?limit=1")).json) == 1
    assert sim.requests.count(operation="accounts.usage", status=200) == 1
    assert "canary" not in str(sim.requests)
    await client.send("DELETE", "/_simulator/requests")
    assert len(sim.requests) == 0


@pytest.mark.cyclr(log_size=3)
async def test_the_log_is_bounded(client: Any, sim: Simulator) -> None:
    for _ in range(5):
        await client.get("/details")
    assert [record.number for record in sim.requests] == [4, 5, 6]
    assert sim.requests.total == 6
    assert [record.number for record in sim.requests[1:]] == [5, 6]


async def test_clock_rate_tokens_usage_reset(client: Any, sim: Simulator) -> None:
    assert (await client.post("/_simulator/clock", {"advance": 60})).json == {"now": "2026-11-24T09:01:00+00:00"}
    assert (
        (await client.post("/_simulator/clock", {"set": "2027-01-01T00:00:00Z"})).json["now"].startswith("2027-01-01")
    )
    assert (await client.post("/_simulator/rate", {"requests_per_second": 3})).json == {"requests_per_second": 3}
    assert sim.rate_limit == 3
    account_id = sim.account_ids(1)[0]
    assert (await client.put(f"/_simulator/accounts/{account_id}", {"tasks": 5, "cycles": 2})).status == 200
    shown = (await client.get(f"/_simulator/accounts/{account_id}")).json
    assert (shown["Id"], shown["connectors"], shown["users"]) == (account_id, [], [])
    assert (await client.post("/_simulator/tokens/revoke", None)).json == {"revoked": 1}
    await client.sign_in()
    assert (await client.get(f"/accounts/{account_id}/billing")).json["TaskCount"] == 5
    state = (await client.post("/_simulator/reset", None)).json
    assert (state["now"], state["requests_per_second"]) == ("2026-11-24T09:00:00+00:00", None)
    assert (await client.get("/details")).status == 401


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/_simulator/nothing", b"", 404),
        ("GET", "/_simulator/", b"", 404),
        ("PUT", "/_simulator/state", b"{}", 405),
        ("POST", "/_simulator/faults", b"", 400),
        ("POST", "/_simulator/faults", b"{}", 400),
        ("POST", "/_simulator/faults", b"[" * 100_000, 400),
        ("POST", "/_simulator/faults", b'{"kind":"status","status":"x"}', 400),
        ("POST", "/_simulator/faults", b'{"kind":"status","color":1}', 400),
        ("POST", "/_simulator/faults", b'{"kind":["status"]}', 400),
        ("POST", "/_simulator/faults", b'{"kind":"status","between":["x","y"]}', 400),
        ("POST", "/_simulator/faults", b'{"kind":"status","operation":{}}', 400),
        ("DELETE", "/_simulator/faults/x", b"", 404),
        ("POST", "/_simulator/clock", b'{"advance":"x"}', 400),
        ("POST", "/_simulator/clock", b'{"advance":1e400}', 400),
        ("POST", "/_simulator/clock", b'{"set":"9999-12-31"}', 400),
        ("POST", "/_simulator/clock", b'{"set":"0001-01-01T00:00:00+14:00"}', 400),
        ("POST", "/_simulator/clock", b"{}", 400),
        ("POST", "/_simulator/rate", b'{"requests_per_second":-1}', 400),
        ("POST", "/_simulator/rate", b'{"requests_per_second":"x"}', 400),
        ("GET", "/_simulator/requests?limit=x", b"", 400),
        ("GET", "/_simulator/accounts?limit=99999999999999999999", b"", 400),
        ("GET", "/_simulator/accounts/x", b"", 404),
        ("PUT", "/_simulator/accounts/x", b"{}", 404),
    ],
)
async def test_refused_controls(client: Any, method: str, path: str, body: bytes, status: int) -> None:
    answer = await client.send(method, path, data=body)
    assert answer.status == status
    assert answer.message


async def test_pages_of_other_origins_control_nothing(client: Any, sim: Simulator) -> None:
    assert (await client.post("/_simulator/reset", None, headers={"Origin": "https://evil.example"})).status == 403
    assert (await client.post("/_simulator/reset", None, headers={"Origin": "null"})).status == 403
    assert (await client.post("/_simulator/reset", None, headers={"Origin": sim.url})).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1:1", "127.0.0.1", "", "127.0.0.1.nip.io:{port}"]
)
async def test_other_host_names_get_nothing(client: Any, sim: Simulator, host: str) -> None:
    port = urlsplit(sim.url).port
    for path in ("/details", "/_simulator/state", "/oauth/token", "/openapi.json"):
        answer = await client.get(path, headers={"Host": host.format(port=port)})
        assert answer.status in (400, 421)
        assert b"accounts" not in answer.body
    assert (await client.get("/details", headers={"Host": f"LocalHost:{port}"})).status == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.1", "::", "example.com", ""])
def test_other_addresses_are_refused(host: str) -> None:
    with pytest.raises(ValueError, match="unsafe_listen"):
        Simulator(host=host)


async def test_unsafe_listen_takes_any_host_name() -> None:
    async with Simulator(host="0.0.0.0", unsafe_listen=True) as sim, aiohttp.ClientSession() as http:
        port = urlsplit(sim.url).port
        async with http.get(f"http://127.0.0.1:{port}/openapi.json", headers={"Host": "sim.internal"}) as answer:
            assert answer.status == 200


@pytest.fixture
def wire(sim: Simulator) -> Any:
    place = urlsplit(sim.url)

    async def exchange(raw: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        raw = raw.replace(b"HOST", place.netloc.encode())
        writer.write(raw.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        try:
            return await asyncio.wait_for(reader.read(), 5)
        finally:
            writer.close()
            await writer.wait_closed()

    return exchange


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET /api/partner/details HTTP/1.1\r\n\r\n", b"400"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /api/partner/details HTTP/9.9\r\nHost: HOST\r\n\r\n", b"400"),
        (b"GET http://HOST/api/partner/details HTTP/1.1\r\nHost: HOST\r\n\r\n", b"401"),
        (b"GET http://other/x HTTP/1.1\r\nHost: HOST\r\n\r\n", b"404"),
        (b"OPTIONS * HTTP/1.1\r\nHost: HOST\r\n\r\n", b"404"),
        (b"DELETE /api/partner/details HTTP/1.1\r\nHost: HOST\r\n\r\n", b"405"),
        (b"GET /../../etc/passwd HTTP/1.1\r\nHost: HOST\r\n\r\n", b"404"),
        (b"GET /API/Partner/DETAILS/ HTTP/1.1\r\nHost: HOST\r\n\r\n", b"401"),
        (b"GET /api/partner/accounts/%zz/billing HTTP/1.1\r\nHost: HOST\r\n\r\n", b"401"),
        (b"POST /api/partner/createaccount HTTP/1.1\r\nHost: HOST\r\nContent-Length: x\r\n\r\n", b"400"),
    ],
)
async def test_requests_on_the_wire(wire: Any, raw: bytes, status: bytes) -> None:
    answer = await wire(raw)
    assert answer.split(b" ")[1] == status
    assert b"Traceback" not in answer


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Content-Type": "text/plain"}, b'{"Name":"x"}', 415),
        ({"Content-Type": "application/json"}, b"", 400),
        ({"Content-Type": "application/json"}, b"{", 400),
        ({"Content-Type": "application/json"}, b"\xff\xfe", 400),
        ({"Content-Type": "application/json"}, b'{"Name":NaN}', 400),
        ({"Content-Type": "application/json"}, b'{"Name":"x","a":' + b"9" * 5000 + b"}", 400),
        ({"Content-Type": "application/json"}, b"[" * 200_000, 400),
        ({"Content-Type": "application/json"}, b'{"Name":"x","Description":"' + b"x" * (1 << 20) + b'"}', 413),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, b"not gzip", 400),
        ({"Content-Type": "application/json", "Content-Encoding": "deflate"}, b"not deflate", 400),
        ({"Content-Type": "application/json; charset=utf-16"}, '{"Name":"x"}'.encode("utf-16"), 400),
        ({"Content-Type": "application/json"}, b'\xef\xbb\xbf{"Name":"\\ud800"}', 200),
        ({"Content-Type": "application/json"}, b'{"Name":1e999,"PricePlanId":1e999}', 200),
    ],
    ids=range(13),
)
async def test_bodies(client: Any, headers: dict[str, str], body: bytes, status: int) -> None:
    answer = await client.send("POST", "/createaccount", data=io.BytesIO(body), headers=headers)
    assert answer.status == status
    assert b"Traceback" not in answer.body
    if status != 200:
        assert answer.message
    assert (await client.get("/accounts")).status == 200


async def test_paths_that_do_not_exist(client: Any) -> None:
    for path in ("/nothing", "/accounts/x/y", "/accounts/x/billing/z", "/accountsx"):
        answer = await client.get(path)
        assert answer.status == 404
        assert answer.message.startswith("No HTTP resource was found")
    answer = await client.send("PATCH", "/accounts")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET")


async def test_openapi_is_served_and_complete(client: Any) -> None:
    described = (await client.get("/openapi.json")).json
    assert described["openapi"].startswith("3.")
    names = [operation["operationId"] for path in described["paths"].values() for operation in path.values()]
    assert len(names) == 9
    json.dumps(described)


async def test_lifecycle() -> None:
    sim = Simulator()
    with pytest.raises(RuntimeError, match="not running"):
        _ = sim.url
    with pytest.raises(TypeError, match="in_thread"), sim:
        pass
    await sim.start()
    with pytest.raises(RuntimeError, match="running already"):
        await sim.start()
    port = urlsplit(sim.url).port
    with pytest.raises(OSError, match=r"\d"):
        await Simulator(port=port or 0).start()
    await sim.stop()
    await sim.stop()
    await sim.start()
    assert sim.base_url.endswith("/api/partner")
    await sim.stop()
