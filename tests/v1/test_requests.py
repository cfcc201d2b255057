"""Pages, errors and lost answers over the wire; every request byte for byte is in test_wire.py."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cyclr_async import (
    AlreadyExistsError,
    AsyncPartnerSession,
    DecodeError,
    OutcomeUnknownError,
    UnauthorizedError,
)
from tests.support.recorder import Heard, Recorder, reply

NUMBERED = '{"Id":1,"Name":"n"}'


def places(server: Recorder) -> dict[str, Any]:
    return {"base_url": server.base_url, "token_url": server.token_url, "v1_url": f"{server.origin}/v1.0"}


async def test_the_catalogue_sends_no_account() -> None:
    async with Recorder(reply(NUMBERED)) as server, AsyncPartnerSession("t", **places(server)) as session:
        await session.v1.connectors.get(1)
    assert "x-cyclr-account" not in server.heard[0].headers


async def test_pages_are_followed_to_the_number_that_is_told() -> None:
    def make(heard: Heard) -> bytes:
        page = int(heard.target.partition("page=")[2].partition("&")[0])
        return reply(f'[{{"Id":"{page}"}}]', headers={"Total-Pages": "3"})

    async with Recorder(make=make) as server, AsyncPartnerSession("t", **places(server)) as session:
        found = [one.id async for one in session.v1.account("a").cycles.iter()]
    assert found == ["1", "2", "3"]
    assert server.heard[0].target == "/v1.0/cycles?page=1&pageSize=100&includeIcons=false"


async def test_a_list_that_takes_no_notice_of_pages_is_read_once() -> None:
    answer = reply('[{"Id":1,"Name":"a","Value":"b","AccountConnectorId":3}]')
    async with Recorder(answer) as server, AsyncPartnerSession("t", **places(server)) as session:
        assert [one.id for one in await session.v1.account("a").connectors.properties.list(3)] == [1]
    assert len(server.heard) == 1


async def test_a_wrong_value_deep_inside_is_named_and_no_secret_is_shown() -> None:
    row = {"Id": 1, "AuthValue": "the-secret", "Connector": {"Id": 2, "Name": "n", "Parameters": [{}, {"Id": "3"}]}}
    async with Recorder(reply(json.dumps(row))) as server, AsyncPartnerSession("t", **places(server)) as session:
        with pytest.raises(DecodeError, match=r"\$\.Connector\.Parameters\[1\]\.Id") as caught:
            await session.v1.account("a").connectors.get(1)
    assert "the-secret" not in repr(caught.value)


async def test_a_call_about_an_account_that_names_none_is_told_to_name_one() -> None:
    denied = '{"Message":"Authorization has been denied for this request."}'
    async with (
        Recorder(make=lambda heard: reply(denied, status=401)) as server,
        AsyncPartnerSession("t", **places(server)) as session,
    ):
        with pytest.raises(UnauthorizedError, match=r"names none: session\.v1\.account\(account_id\)"):
            await session.v1.request("GET", "account/connectors")
        with pytest.raises(UnauthorizedError, match="X-Cyclr-Account names no account"):
            await session.v1.account("a").request("GET", "account/connectors")
    assert len(server.heard) <= 4  # at most one refresh each


async def test_a_name_in_use_hides_what_was_sent() -> None:
    def make(heard: Heard) -> bytes:
        if heard.line.startswith("GET"):
            return reply('[{"Id":1,"Name":"N","Description":"other"}]', headers={"Total-Pages": "1"})
        return reply('{"Message":"Account connector name the-key is in use."}', status=400)

    async with Recorder(make=make) as server, AsyncPartnerSession("t", **places(server)) as session:
        with pytest.raises(AlreadyExistsError) as caught:
            await session.v1.account("a").connectors.ensure(1, name="n", description="mine", auth_value="the-key")
    assert caught.value.differing == ("description",)
    assert "the-key" not in str(caught.value)


async def test_an_install_that_stays_unknown_says_so_although_it_fails_otherwise_later() -> None:
    def make(heard: Heard) -> bytes:
        if heard.line.startswith("GET"):
            return reply("[]", headers={"Total-Pages": "1"})
        return reply("", status=502) if heard is server.heard[0] else reply("", status=403)

    async with Recorder(make=make) as server, AsyncPartnerSession("t", **places(server)) as session:
        with pytest.raises(OutcomeUnknownError) as caught:
            await session.v1.account("a").connectors.install(1, name="n")
    assert "403" in caught.value.__notes__[-1]
    assert [heard.line.split()[0] for heard in server.heard] == ["POST", "GET", "POST"]


async def test_the_look_at_the_account_fails() -> None:
    def make(heard: Heard) -> bytes:
        return reply("", status=404 if heard.line.startswith("GET") else 502)

    async with Recorder(make=make) as server, AsyncPartnerSession("t", **places(server)) as session:
        with pytest.raises(OutcomeUnknownError) as caught:
            await session.v1.account("a").connectors.ensure("n")
    assert "looking for it failed" in caught.value.__notes__[-1]
