"""Tokens: grants, rotation, revocation, expiry, restriction to one account."""

from __future__ import annotations

import base64
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from cyclr_async.simulator import Simulator

DENIED = b'{"Message":"Authorization has been denied for this request."}'


async def test_client_credentials(stranger: Any, sim: Simulator) -> None:
    answer = await stranger.credentials()
    body = answer.json
    assert list(body) == ["access_token", "token_type", "expires_in", "clientId", ".refresh", ".issued", ".expires"]
    assert (body["token_type"], body["expires_in"], body[".refresh"]) == ("bearer", 1_209_599, "False")
    assert body["clientId"] == sim.client_id
    assert len(body["access_token"]) == 64
    assert parsedate_to_datetime(body[".issued"]) == sim.clock.now()
    assert answer.headers["Content-Type"] == "application/json;charset=UTF-8"
    assert (answer.headers["Pragma"], answer.headers["Cache-Control"]) == ("no-cache", "no-cache")


async def test_several_tokens_live_side_by_side(stranger: Any) -> None:
    first, second = [(await stranger.credentials()).json["access_token"] for _ in range(2)]
    assert first != second
    for token in (first, second):
        assert (await stranger.get("/details", headers={"Authorization": f"bearer {token}"})).status == 200


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Bearer nonsense", "Basic c2ltdWxhdG9yOng=", "Bearer \u00e4"]
)
async def test_without_a_valid_token(stranger: Any, sim: Simulator, header: str) -> None:
    path = f"/accounts/{sim.account_ids(1)[0]}"
    for method, where in (("GET", "/accounts"), ("GET", "/details"), ("PUT", path), ("POST", "/createaccount")):
        answer = await stranger.send(method, where, headers={"Authorization": header} if header else {})
        assert (answer.status, answer.body, answer.headers["WWW-Authenticate"]) == (401, DENIED, "Bearer")
    assert sim.account_count == 50


@pytest.mark.cyclr(token_lifetime=60)
async def test_a_token_expires(client: Any, sim: Simulator) -> None:
    sim.clock.advance(59)
    assert (await client.get("/details")).status == 200
    sim.clock.advance(1)
    assert (await client.get("/details")).status == 401


async def test_revocation(client: Any, sim: Simulator) -> None:
    assert sim.revoke_tokens() == 1
    assert (await client.get("/details")).status == 401


async def test_password_and_rotation(stranger: Any, sim: Simulator) -> None:
    person = {"client_id": sim.client_id, "username": sim.username, "password": sim.password}
    first = (await stranger.grant(grant_type="password", **person)).json
    assert first["userName"] == sim.username
    refresh = {"grant_type": "refresh_token", "client_id": sim.client_id, "refresh_token": first["refresh_token"]}
    second = (await stranger.grant(**refresh)).json
    assert second["access_token"] != first["access_token"]
    stranger.token = first["access_token"]
    assert (await stranger.get("/details")).status == 401
    stranger.token = second["access_token"]
    assert (await stranger.get("/details")).status == 200
    again = await stranger.grant(**refresh)
    assert (again.status, again.json) == (400, {"error": "invalid_grant"})
    assert (await stranger.get("/details")).status == 200


async def test_one_pair_of_tokens_per_user(stranger: Any, sim: Simulator) -> None:
    person = {"client_id": sim.client_id, "username": sim.username, "password": sim.password}

    async def alive(token: str) -> bool:
        stranger.token = token
        return bool((await stranger.get("/details")).status == 200)

    first, second = [(await stranger.grant(grant_type="password", **person)).json for _ in range(2)]
    assert await alive(first["access_token"])
    assert await alive(second["access_token"])
    changed = (await stranger.post("/_simulator/tokens", {"one_pair": True, "lifetime": 12})).json
    assert (changed["one_pair"], changed["lifetime"]) == (sim.one_token_pair, 12) == (True, 12)
    third = (await stranger.grant(grant_type="password", **person)).json
    assert not await alive(second["access_token"])  # the newest of those before it
    refresh = {"grant_type": "refresh_token", "client_id": sim.client_id, "refresh_token": second["refresh_token"]}
    assert (await stranger.grant(**refresh)).json == {"error": "invalid_grant"}
    assert sim.refresh_tokens_reused == 0
    machine = (await stranger.credentials()).json  # belongs to no user, and ends nothing
    fourth = (await stranger.grant(**(refresh | {"refresh_token": third["refresh_token"]}))).json
    assert not await alive(third["access_token"])
    assert await alive(fourth["access_token"])
    assert await alive(machine["access_token"])
    assert (await stranger.grant(**(refresh | {"refresh_token": third["refresh_token"]}))).status == 400
    assert sim.refresh_tokens_reused == 1
    for wrong in ({"one_pair": 1}, {"lifetime": 0}, {"lifetime": True}, {"pair": True}):
        assert (await stranger.post("/_simulator/tokens", wrong)).status == 400


async def test_refresh_after_expiry(stranger: Any, sim: Simulator) -> None:
    person = {"client_id": sim.client_id, "username": sim.username, "password": sim.password}
    first = (await stranger.grant(grant_type="password", **person)).json
    sim.clock.advance(30 * 86_400)
    refresh = {"grant_type": "refresh_token", "client_id": sim.client_id, "refresh_token": first["refresh_token"]}
    assert (await stranger.grant(**refresh)).status == 200


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "client_credentials"}, "invalid_client"),
        ({"grant_type": "client_credentials", "client_id": "simulator", "client_secret": "x"}, "invalid_client"),
        ({"grant_type": "client_credentials", "client_id": "x", "client_secret": "simulator-secret"}, "invalid_client"),
        ({"client_id": "simulator", "client_secret": "simulator-secret"}, "unsupported_grant_type"),
        ({"grant_type": "magic", "client_id": "simulator"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token", "client_id": "simulator", "refresh_token": "x"}, "invalid_grant"),
        ({"grant_type": "refresh_token", "client_id": "simulator"}, "invalid_grant"),
        ({"grant_type": "password", "client_id": "simulator", "username": "x", "password": "\u00e4"}, "invalid_grant"),
        ({"grant_type": "password", "client_id": "simulator", "client_secret": "nobody"}, "invalid_client"),
        ({}, "invalid_request"),
    ],
)
async def test_refused(stranger: Any, form: dict[str, str], error: str) -> None:
    answer = await stranger.send("POST", "/oauth/token", data=form or b"x=1&x=2", headers=FORM)
    assert (answer.status, answer.json["error"]) == (400, error)


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def test_only_a_form_in_the_body(stranger: Any, sim: Simulator) -> None:
    pair = {"client_id": sim.client_id, "client_secret": sim.client_secret, "grant_type": "client_credentials"}
    assert (await stranger.post("/oauth/token", pair)).json["error"] == "invalid_request"
    assert (await stranger.send("POST", "/oauth/token", params=pair, headers=FORM)).json["error"] == "invalid_request"
    assert (await stranger.get("/oauth/token", params=pair)).json["error"] == "invalid_request"
    assert (await stranger.send("PUT", "/oauth/token", data=pair)).status == 405
    for body in (b"\xff\xfe", b"&" * 1000, b"a=1&" * 1000):
        answer = await stranger.send("POST", "/oauth/token", data=body, headers=FORM)
        assert (answer.status, answer.json["error"]) == (400, "invalid_request")


async def test_a_form_in_a_get(stranger: Any, sim: Simulator) -> None:
    pair = {"client_id": sim.client_id, "client_secret": sim.client_secret, "grant_type": "client_credentials"}
    answer = await stranger.send("GET", "/oauth/token", data=pair)
    stranger.token = answer.json["access_token"]
    assert (await stranger.get("/details")).status == 200


@pytest.mark.parametrize(
    ("pair", "more", "error"),
    [
        ("simulator:simulator-secret", {}, None),
        ("simulator:simulator-secret", {"scope": "account:nobody"}, "invalid_scope"),
        ("simulator:wrong", {}, "invalid_client"),
        ("simulator", {}, "invalid_client"),
        ("simulator:simulator-secret", {"client_id": "other", "client_secret": "x"}, "invalid_client"),
    ],
)
async def test_http_basic(stranger: Any, pair: str, more: dict[str, str], error: str | None) -> None:
    basic = {"Authorization": f"basic {base64.b64encode(pair.encode()).decode()}"}
    form = {"grant_type": "client_credentials", **more}
    answer = await stranger.send("POST", "/oauth/token", data=form, headers=basic)
    assert (answer.status, answer.json.get("error")) == (200 if error is None else 400, error)
    broken = await stranger.send("POST", "/oauth/token", data=form, headers={"Authorization": "Basic \u00e4"})
    assert broken.json["error"] == "invalid_client"


async def test_restricted_to_one_account(stranger: Any, sim: Simulator) -> None:
    own, other = sim.account_ids(2)
    await stranger.sign_in(scope=f"account:{own}")
    assert (await stranger.get(f"/accounts/{own}/billing")).status == 200
    asked = {"AccountId": own, "Username": "jo"}
    assert (await stranger.post("/createaccountsignintoken", asked)).status == 200
    assert (await stranger.post("/createaccountsignintoken", {**asked, "AccountId": other})).status == 401
    for path in ("/accounts", "/details", "/priceplans", f"/accounts/{other}/billing"):
        assert (await stranger.get(path)).status == 401
    assert (await stranger.put(f"/accounts/{other}", {"Name": "mine now"})).status == 401
    assert sim.account(other).name != "mine now"
    for scope in ("account:nobody", "everything", "account:"):
        assert (await stranger.credentials(scope=scope)).json == {"error": "invalid_scope"}


async def test_password_restricted_by_account_id(stranger: Any, sim: Simulator) -> None:
    own, other = sim.account_ids(2)
    person = {"client_id": sim.client_id, "username": sim.username, "password": sim.password, "client_secret": own}
    given = (await stranger.grant(grant_type="password", **person)).json
    refresh = {"grant_type": "refresh_token", "client_id": sim.client_id, "refresh_token": given["refresh_token"]}
    stranger.token = (await stranger.grant(**refresh)).json["access_token"]
    assert (await stranger.get(f"/accounts/{own}/billing")).status == 200
    assert (await stranger.get(f"/accounts/{other}/billing")).status == 401
