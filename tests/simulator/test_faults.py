"""Faults on demand: what each does, and which requests it strikes."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from cyclr_async.simulator import Fault, Simulator, parse_seconds


async def statuses(client: Any, count: int, path: str = "/details") -> list[int]:
    return [(await client.get(path)).status for _ in range(count)]


async def test_status_with_retry_after_a_number_of_times(client: Any, sim: Simulator) -> None:
    number = sim.faults.add(Fault.status(429, retry_after=2, times=3))
    answer = await client.get("/details")
    assert (answer.status, answer.headers["Retry-After"], answer.message) == (429, "2", "Too many requests.")
    assert await statuses(client, 4) == [429, 429, 200, 200]
    assert sim.faults.hits(number) == 3
    assert [record.fault for record in sim.requests] == ["status"] * 3 + [None] * 2


@pytest.mark.parametrize("code", [204, 400, 401, 403, 404, 409, 422, 500, 502, 503])
async def test_any_status(client: Any, sim: Simulator, code: int) -> None:
    sim.faults.add(Fault.status(code, retry_after="Tue, 24 Nov 2026 10:00:00 GMT"))
    answer = await client.get("/details")
    assert answer.status == code
    assert answer.headers["Retry-After"] == "Tue, 24 Nov 2026 10:00:00 GMT"
    assert (answer.headers.get("WWW-Authenticate") == "Bearer") == (code == 401)


async def test_only_this_operation_and_this_account(client: Any, sim: Simulator) -> None:
    first, second = sim.account_ids(2)
    sim.faults.add(Fault.status(500, operation="accounts.usage", account_id=first))
    assert (await client.get(f"/accounts/{first}/billing")).status == 500
    assert (await client.get(f"/accounts/{first.upper()}/billing")).status == 500
    assert (await client.get(f"/accounts/{second}/billing")).status == 200
    assert (await client.put(f"/accounts/{first}", {})).status == 200
    sim.faults.clear()
    sim.faults.add(Fault.status(500, account_id=second))
    asked = {"Username": "jo"}
    assert (await client.post("/createaccountsignintoken", {**asked, "AccountId": first})).status == 200
    assert (await client.post("/createaccountsignintoken", {**asked, "accountid": second})).status == 500


async def test_the_token_endpoint_is_struck_only_when_named(client: Any, sim: Simulator) -> None:
    number = sim.faults.add(Fault.status(500))
    assert (await client.credentials()).status == 200
    assert sim.faults.remove(number)
    assert not sim.faults.remove(number)
    sim.faults.add(Fault.status(503, operation="token"))
    assert (await client.credentials()).status == 503
    assert (await client.get("/details")).status == 200


async def test_probability_comes_from_the_seed(client: Any, sim: Simulator) -> None:
    runs = []
    for _ in range(2):
        sim.reset()
        await client.sign_in()
        sim.faults.add(Fault.status(500, probability=0.3))
        runs.append(await statuses(client, 200))
    struck = runs[0].count(500)
    assert 35 <= struck <= 85
    async with Simulator(seed=7) as other:
        other.faults.add("500:30%")
        drawn = [other.faults.select("details", None)[0] for _ in range(200)]
    assert [500 if fault else 200 for fault in drawn] == runs[0]


async def test_schedule(client: Any, sim: Simulator) -> None:
    sim.faults.add(Fault.status(500, after=2, times=1))
    assert await statuses(client, 4) == [200, 200, 500, 200]
    sim.faults.add(Fault.status(502, between=(10, 20)))
    start = sim.clock.now() + timedelta(seconds=30)
    sim.faults.add(Fault.maintenance((start, start + timedelta(seconds=10))))
    seen = []
    for _ in range(9):
        seen += await statuses(client, 1)
        sim.clock.advance(5)
    assert seen == [200, 200, 502, 502, 200, 200, 503, 503, 200]


async def test_maintenance_is_a_page_and_covers_tokens(client: Any, sim: Simulator) -> None:
    sim.faults.add(Fault.maintenance((0, 60), retry_after=60))
    for answer in (await client.get("/details"), await client.credentials()):
        assert (answer.status, answer.headers["Retry-After"]) == (503, "60")
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert b"maintenance" in answer.body


async def test_latency_is_real_and_random_from_the_seed(client: Any, sim: Simulator) -> None:
    sim.faults.add(Fault.latency(0.05))
    begin = time.perf_counter()
    assert (await client.get("/details")).status == 200
    assert time.perf_counter() - begin >= 0.05
    for distribution in ("normal", "lognormal", "exponential"):
        sim.faults.clear()
        sim.faults.add(Fault.latency(0.02, stdev=0.01, distribution=distribution))
        waits = [sim.faults.select("details", None)[1] for _ in range(2000)]
        assert min(waits) >= 0
        assert len(set(waits)) > 1900 or distribution == "normal"
        assert 0.018 <= sum(waits) / 2000 <= 0.022


async def test_latency_and_another_fault_together(client: Any, sim: Simulator) -> None:
    sim.faults.add(Fault.status(500))
    sim.faults.add(Fault.latency(0.03))
    begin = time.perf_counter()
    assert (await client.get("/details")).status == 500
    assert time.perf_counter() - begin >= 0.03


@pytest.mark.parametrize(("when", "created"), [("before_commit", 50), ("after_commit", 51)])
async def test_drop(client: Any, sim: Simulator, when: Any, created: int) -> None:
    sim.faults.add(Fault.drop(when, times=1))
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.post("/createaccount", {"Name": "x"})
    assert sim.account_count == created
    assert (sim.requests[-1].status, sim.requests[-1].fault) == (None, f"drop-{when.split('_')[0]}")


async def test_truncate_commits_and_cuts(client: Any, sim: Simulator) -> None:
    sim.faults.add(Fault.truncate(5))
    with pytest.raises(aiohttp.ClientPayloadError):
        await client.post("/createaccount", {"Name": "x"})
    assert sim.account_count == 51
    async with client.http.get(
        f"{sim.base_url}/details", headers={"Authorization": f"Bearer {client.token}"}
    ) as answer:
        assert int(answer.headers["Content-Length"]) > 100
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


@pytest.mark.cyclr(accounts=3000)
async def test_a_streamed_list_can_be_cut_too(client: Any, sim: Simulator) -> None:
    sim.faults.add(Fault.truncate(100_000))
    with pytest.raises(aiohttp.ClientPayloadError):
        await client.get("/accounts")


async def test_drip(client: Any, sim: Simulator) -> None:
    whole = (await client.get("/priceplans")).body
    sim.faults.add(Fault.drip(0.002, size=5))
    begin = time.perf_counter()
    assert (await client.get("/priceplans")).body == whole
    assert time.perf_counter() - begin >= 0.002 * (len(whole) // 5)


async def test_wrong_bodies(client: Any, sim: Simulator) -> None:
    sim.faults.add(Fault.wrong_json(times=1))
    sim.faults.add(Fault.wrong_json("[{", times=1))
    sim.faults.add(Fault.html(times=1))
    sim.faults.add(Fault.html(502, "<p>no</p>", times=1))
    first, second, third, fourth = [await client.get("/details") for _ in range(4)]
    assert (first.status, first.json) == (200, {"unexpected": [1, 2, 3]})
    assert (second.status, second.body) == (200, b"[{")
    assert (third.status, third.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert (fourth.status, fourth.body) == (502, b"<p>no</p>")


@pytest.mark.parametrize("size", [0, 1, 2, 3, 5, 9, 65_538, 65_541, 200_001])
async def test_huge_is_json_of_that_size(client: Any, sim: Simulator, size: int) -> None:
    sim.faults.add(Fault.huge(size))
    answer = await client.get("/details")
    assert len(answer.body) == size
    assert size == 0 or answer.json is not None


async def test_revoked_token(client: Any, sim: Simulator) -> None:
    sim.faults.add(Fault.revoke_token(operation="details"))
    assert await statuses(client, 2) == [401, 401]
    await client.sign_in()
    assert await statuses(client, 2) == [200, 200]


async def test_rate_limit_follows_the_clock(client: Any, sim: Simulator) -> None:
    sim.rate_limit = 5
    assert await statuses(client, 7) == [200] * 5 + [429] * 2
    answer = await client.get("/details")
    assert (answer.headers["Retry-After"], answer.message) == ("1", "Too many requests.")
    assert (await client.credentials()).status == 200
    sim.clock.advance(0.4)
    assert await statuses(client, 3) == [200, 200, 429]
    sim.rate_limit = None
    assert await statuses(client, 20) == [200] * 20
    sim.rate_limit = 0.1
    assert await statuses(client, 2) == [200, 429]
    assert (await client.get("/details")).headers["Retry-After"] == "10"
    with pytest.raises(ValueError, match="rate limit"):
        sim.rate_limit = 0


async def test_stopping_does_not_wait_for_slow_answers() -> None:
    async with aiohttp.ClientSession() as http:
        sim = Simulator(latency=60)
        await sim.start()
        waiting = asyncio.create_task(http.get(f"{sim.base_url}/details"))
        async with asyncio.timeout(5):
            while not sim.faults.hits(1):  # noqa: ASYNC110 - the fault book has no event to wait for
                await asyncio.sleep(0.01)
        begin = time.perf_counter()
        await sim.stop()
        assert time.perf_counter() - begin < 30  # half of what the answer would have taken
        with pytest.raises(aiohttp.ClientConnectionError):
            await waiting


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("429:2%", Fault.status(429, probability=0.02)),
        ("500:x3", Fault.status(500, times=3)),
        ("429:retry-after=1:op=accounts.usage", Fault.status(429, retry_after=1.0, operation="accounts.usage")),
        ("503:account=abc:after=2:message=no", Fault.status(503, account_id="abc", after=2, message="no")),
        ("latency:20ms", Fault.latency(0.02)),
        ("latency:1.5s:stdev=500ms", Fault.latency(1.5, stdev=0.5)),
        ("drop-before:1%", Fault.drop("before_commit", probability=0.01)),
        ("drop-after:1%:op=accounts.create", Fault.drop("after_commit", probability=0.01, operation="accounts.create")),
        ("truncate:size=3", Fault.truncate(3)),
        ("drip:10ms", Fault.drip(0.01)),
        ("wrong-json", Fault.wrong_json()),
        ("html:5%", Fault.html(probability=0.05)),
        ("huge:size=1000", Fault.huge(1000)),
        ("revoke-token", Fault.revoke_token()),
        ("maintenance:from=1m:until=2m", Fault.maintenance((60.0, 120.0))),
    ],
)
def test_text_form(text: str, fault: Fault) -> None:
    assert Fault.parse(text) == fault
    assert Fault.from_dict(fault.to_dict()) == fault


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "199",
        "600",
        "429:",
        "429:200%",
        "429:x",
        "429:-1%",
        "latency:20",
        "latency:20ms:what=1",
        "500:op=everything",
        "latency:٣s",
        "500:after=1.5",
        "maintenance:from=2m:until=1m",
        "500:x1_0",
        "latency:9h:stdev=9h",
    ],
)
def test_text_form_refused(text: str) -> None:
    if text == "latency:20":
        assert Fault.parse(text) == Fault.latency(20)
        return
    with pytest.raises(ValueError, match=r"\w"):
        Fault.parse(text)


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "status", "code": 99},
        {"kind": "status", "probability": 2},
        {"kind": "status", "times": -1},
        {"kind": "status", "times": 1.5},
        {"kind": "latency", "seconds": -1},
        {"kind": "latency", "distribution": "x"},
        {"kind": "x"},
        {"kind": "status", "retry_after": "a\r\nb"},
        {"kind": "status", "retry_after": -1},
        {"kind": "status", "between": (5, 1)},
        {"kind": "html", "body": 1},
        {"kind": "status", "between": (datetime.fromisoformat("2026-01-01"), datetime.fromisoformat("2027-01-01"))},
        {"kind": "status", "between": (1, datetime(2026, 1, 1, tzinfo=UTC))},
    ],
)
def test_refused_settings(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Fault(**settings)
    with pytest.raises(ValueError, match="before_commit"):
        Fault.drop("sometimes")  # type: ignore[arg-type]


def test_seconds() -> None:
    assert [parse_seconds(text) for text in ("20ms", "1.5s", "2m", "1h", "3")] == [0.02, 1.5, 120, 3600, 3]
