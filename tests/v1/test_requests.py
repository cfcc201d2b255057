"""What goes over the wire, byte for byte: request lines, headers and bodies of what is documented or was observed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from cyclr_async import AlreadyExistsError, AsyncPartnerSession, DecodeError, OutcomeUnknownError
from cyclr_async.v1 import AccountScope, Variable
from tests.support.recorder import Heard, Recorder, reply

CYCLE = "bc974c60-9f32-410f-aa83-2b2817ad9a19"
STEP = "08da7c4e-1775-4112-8d06-42dc6982d801"
OBJECT = '{"Id":"x","Name":"n"}'
NUMBERED = '{"Id":1,"Name":"n"}'

ROWS: list[tuple[str, Callable[[AccountScope], Any], str, str, str]] = [
    # The request line without its version, the body, the answer.
    ("by id", lambda a: a.catalogue.get(5), "GET /v1.0/connectors/5", "", NUMBERED),
    ("by name", lambda a: a.catalogue.get("Access CRM"), "GET /v1.0/connectors/Access%20CRM", "", "[]"),
    (
        "of a name and version",
        lambda a: a.catalogue.methods("Mailchimp", "v3", query="a b"),
        "GET /v1.0/connectors/Mailchimp/v3/methods?query=a+b",
        "",
        "[]",
    ),
    (
        "install",
        lambda a: a.connectors.install(5, name="N", auth_value="k", properties={"Region": "us1"}),
        "POST /v1.0/connectors/5/install",
        '{"Name":"N","AuthValue":"k","Properties":[{"Name":"Region","Value":"us1"}]}',
        NUMBERED,
    ),
    ("install with nothing", lambda a: a.connectors.install(5), "POST /v1.0/connectors/5/install", "{}", NUMBERED),
    (
        "null is not absent",
        lambda a: a.connectors.update(1, description=None),
        "PUT /v1.0/account/connectors/1",
        '{"Description":null}',
        NUMBERED,
    ),
    (
        "deauthenticate: a Message is no error",
        lambda a: a.connectors.deauthenticate(1),
        "PUT /v1.0/account/connectors/1/deauthenticate",
        "{}",
        '{"Message":"Connector \'X\' successfully de-authenticated."}',
    ),
    ("delete", lambda a: a.connectors.delete(1), "DELETE /v1.0/account/connectors/1", "", ""),
    (
        "call",
        lambda a: a.connectors.call(1, 2, parameters={296076: 1}),
        "POST /v1.0/account/connectors/1/methods/2",
        '{"Parameters":{"296076":1}}',
        '{"Message":"of the third party"}',
    ),
    (
        "call with nothing",
        lambda a: a.connectors.test(1, STEP),
        f"POST /v1.0/account/connectors/1/test/{STEP}",
        "{}",
        "",
    ),
    ("trigger", lambda a: a.connectors.trigger(1, 2), "POST /v1.0/account/connectors/1/triggers/2", "{}", "[]"),
    (
        "property",
        lambda a: a.connectors.properties.create(1, "Region", "us1"),
        "POST /v1.0/account/connectors/1/properties",
        '{"Name":"Region","Value":"us1"}',
        '{"Id":2,"Name":"Region","Value":"us1","AccountConnectorId":1}',
    ),
    (
        "icons are not asked for",
        lambda a: a.templates.install(STEP, name="N"),
        f"POST /v1.0/templates/{STEP}/install?includeIcons=false",
        '{"Name":"N"}',
        OBJECT,
    ),
    ("template", lambda a: a.templates.get(STEP), f"GET /v1.0/templates/{STEP}?includeIcons=false", "", OBJECT),
    (
        "cycle",
        lambda a: a.cycles.create(name="N", tags=["a"]),
        "POST /v1.0/cycles",
        '{"Name":"N","Tags":["a"]}',
        OBJECT,
    ),
    (
        "activate",
        lambda a: a.cycles.activate(CYCLE, interval=0, run_once=True),
        f"PUT /v1.0/cycles/{CYCLE}/activate",
        '{"Interval":0,"RunOnce":true}',
        "",
    ),
    (
        "deactivate",
        lambda a: a.cycles.deactivate(CYCLE, finish_queued_transactions=False),
        f"PUT /v1.0/cycles/{CYCLE}/deactivate?finishQueuedTransactions=false",
        "{}",
        "",
    ),
    (
        "edge",
        lambda a: a.cycles.edges.create(CYCLE, head_step_id=STEP, tail_step_id=CYCLE),
        f"POST /v1.0/cycles/{CYCLE}/edges",
        f'{{"HeadStepId":"{STEP}","TailStepId":"{CYCLE}","EdgeType":"Forward"}}',
        OBJECT,
    ),
    (
        "variables",
        lambda a: a.cycles.variables.set(CYCLE, [Variable(system_name="s", value="1")]),
        f"PATCH /v1.0/cycles/{CYCLE}/variables",
        '[{"SystemName":"s","Value":"1"}]',
        "[]",
    ),
    (
        "mapping",
        lambda a: a.steps.parameters.update(STEP, 9, mapping_type="StaticValue", value="v", is_launch_visible=False),
        f"PUT /v1.0/steps/{STEP}/parameters/9",
        '{"MappingType":"StaticValue","Value":"v","IsLaunchVisible":false}',
        "{}",
    ),
    (
        "look-up",
        lambda a: a.steps.parameters.lookup(STEP, 9, 3),
        f"POST /v1.0/steps/{STEP}/parameters/9/lookup",
        '{"TriggerId":3}',
        "[]",
    ),
]


@pytest.mark.parametrize(("send", "line", "body", "answer"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
async def test_a_request(send: Callable[[AccountScope], Any], line: str, body: str, answer: str) -> None:
    async with Recorder(reply(answer)) as server, AsyncPartnerSession("t", **places(server)) as session:
        found = await send(session.v1.account("tenant 42"))
    (heard,) = server.heard
    assert (heard.line, heard.body.decode()) == (f"{line} HTTP/1.1", body)
    assert heard.headers["x-cyclr-account"] == "tenant 42"
    assert heard.headers["authorization"] == "Bearer t"
    assert heard.headers.get("content-type") == ("application/json" if body else None)
    if "third party" in answer:
        assert found == json.loads(answer)


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
