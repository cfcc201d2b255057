"""Every route once against the simulator, and what holds for connectors, templates, cycles and steps."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest

from cyclr_async import (
    AlreadyExistsError,
    AsyncPartnerSession,
    ConflictError,
    InvalidArgumentError,
    NotFoundError,
    OutcomeUnknownError,
    UnauthorizedError,
)
from cyclr_async.secret import Secret
from cyclr_async.simulator import Fault, Simulator
from cyclr_async.simulator.v1.operations import OPERATIONS
from cyclr_async.simulator.v1.routing import find_operation
from cyclr_async.v1 import (
    AccountScope,
    Connector,
    CustomField,
    Cycle,
    Edge,
    FieldMapping,
    Method,
    ParameterMapping,
    Property,
    Step,
    Template,
    V1Api,
    Variable,
    basic_auth,
)
from tests.simulator.v1.conftest import (
    ACME,
    CYCLE,
    EDGE,
    FIRST,
    LOOSE,
    METHOD,
    SECOND,
    STATE,
    TEMPLATE,
    TENANT,
    TRANSACTION,
    UNKNOWN,
)

GUID = "0a0b0c0d-0001-4000-8000-0000000000ff"


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator(frozen=True, state=STATE) as simulator:
        yield simulator


@pytest.fixture
async def session(sim: Simulator) -> AsyncIterator[AsyncPartnerSession]:
    async with sim.session() as opened:
        yield opened


@pytest.fixture
def acme(session: AsyncPartnerSession) -> AccountScope:
    return session.v1.account(ACME)


async def everything(items: Any) -> list[Any]:
    return [item async for item in items]


async def catalogue(acme: AccountScope) -> None:
    every = await everything(acme.catalogue.iter(order_by="Name", ascending=True))
    assert [one.id for one in await everything(acme.catalogue.iter(query="mail", category="CRMs"))] == [7]
    one = await acme.catalogue.get(7)
    assert one in every
    assert (type(one), one.name, one.categories, one.auth_type) == (
        Connector,
        "Mail Chimp",
        ("CRMs", "Marketing"),
        "ApiKey",
    )
    assert [parameter.target_name for parameter in one.parameters or ()] == ["Region", "EndpointUrl"]
    assert [found.id for found in await acme.catalogue.get("Mail Chimp")] == [7, 8]
    assert [found.id for found in await acme.catalogue.get("Mail Chimp", "v2")] == [8]
    assert await acme.catalogue.get("No such") == []
    methods = await acme.catalogue.methods(7, query="store")
    assert methods == await acme.catalogue.methods("Mail Chimp", "v3", category="Stores")
    assert len(await acme.catalogue.methods("Mail Chimp")) == 3
    method = await acme.methods.get(70)
    assert (type(method), method.method_unique_identifier) == (Method, METHOD)
    assert method.request_fields is not None
    assert method.request_fields[0].id == 702


async def own_connectors(acme: AccountScope) -> None:
    own = acme.connectors
    assert [one.id for one in await everything(own.iter())] == [1874, 1875]
    made = await own.install("Mail Chimp", "v3", name="Second", auth_value="k-1", properties={"Region": "us1"})
    assert (made.authenticated, made.auth_value) == (True, Secret("k-1"))
    assert [(one.name, one.value) for one in made.properties or ()] == [("Region", Secret("us1"))]
    assert "us1" not in repr(made)
    assert "k-1" not in repr(made)
    assert (await own.install(10, name="By id")).name == "By id"
    assert (await own.install("Hook", name="By name")).authenticated
    assert [one.id for one in await acme.catalogue.methods(7)] == [
        one.id for one in await acme.catalogue.methods("Mail Chimp", "v3")
    ]
    assert await own.get(made.id) == made == await own.ensure("mail chimp", "v3", name="second")
    assert (await own.update(made.id, description="d")).description == "d"
    await own.deauthenticate(made.id)
    assert (await own.authenticate(made.id, basic_auth("u", "p"))).auth_value == Secret("dTpw")
    called = await own.call(1874, METHOD, parameters={701: 1}, fields={702: "x"})
    assert called == {"name": "My Store"} == await own.test(1874, 70)
    assert called == await own.call(1874, 70, verb="GET") == await own.test(1874, METHOD, verb="GET", repeatable=True)
    assert [(one.name, one.value) for one in await own.trigger(1874, 77)] == [("Deal", "1")]
    await own.delete(made.id)
    with pytest.raises(NotFoundError):
        await own.get(made.id)


async def settings(acme: AccountScope) -> None:
    properties, fields, custom = acme.connectors.properties, acme.connectors.fields, acme.connectors.custom
    assert [one.name for one in await properties.list(1874, order_by="Name", ascending=True)] == ["Area", "Zone"]
    made = await properties.create(1874, "Token", "secret-1")
    assert isinstance(made, Property)
    assert made.id is not None
    assert (await properties.update(1874, made.id, value=Secret("secret-2"))).value == Secret("secret-2")
    assert (await properties.get(1874, made.id)).value == Secret("secret-2")
    await properties.delete(1874, made.id)
    assert [one.id for one in await fields.list(1874)] == [55]
    field = await fields.create(1874, CustomField(display_name="VIP", connector_field="[records].Vip"))
    assert field.id is not None
    changed = await fields.update(1874, field.id, CustomField(display_name="V"))
    assert (changed.display_name, changed.connector_field) == ("V", "[records].Vip")
    assert await fields.get(1874, field.id) == changed
    await fields.delete(1874, field.id)
    definition = {"Name": "Mine", "UniqueIdentifier": GUID}
    number = (await custom.create(definition))["Id"]
    assert (await custom.update(number, {**definition, "Name": "M"}))["Name"] == "M"
    assert [await custom.get(number)] == await custom.list()
    await custom.delete(number)


async def templates(acme: AccountScope) -> None:
    found = await everything(acme.templates.iter(tag="first", connector_name="Mail Chimp", connector_version="v3"))
    assert [(type(one), one.id) for one in found] == [(Template, TEMPLATE)]
    assert found[0].connectors[0].icon is None
    with_icons = await acme.templates.get(TEMPLATE, include_icons=True)
    assert with_icons.connectors is not None
    assert (with_icons.connectors[0].icon or "").startswith("data:")
    exported = await acme.templates.export(TEMPLATE)
    again = await acme.templates.import_({**exported, "Name": "Again"})
    assert again is not None
    cycle = await acme.templates.install(again.id, name="Mine")
    assert (cycle.name, cycle.status, cycle.template_id) == ("Mine", "Paused", again.id)


async def cycles(acme: AccountScope) -> None:
    cycles = acme.cycles
    (found,) = await everything(cycles.iter(tag="backup", connector_name="Hook"))
    assert (type(found), found.id) == (Cycle, CYCLE)
    made = await cycles.create(name="New", tags=["a"], step_error_action="Ignore")
    assert (made.last_successful_run_date, made.tags) == (None, ("a",))
    assert made.to_dict()["LastSuccessfulRunDate"].startswith("0001-01-01")
    assert (await cycles.update(made.id, description="d")).description == "d"
    assert [one.reason_code for one in await cycles.prerequisites(made.id)] == [10]
    assert await cycles.upgradeable() == []
    await cycles.delete(made.id)
    with pytest.raises(NotFoundError):
        await cycles.get(made.id)
    await cycles.activate(CYCLE, interval=60, start_time=datetime(2027, 1, 1, tzinfo=UTC))
    assert (await cycles.get(CYCLE)).status == "Active"
    with pytest.raises(ConflictError, match="stop the cycle first"):
        await cycles.update(CYCLE, name="x")
    await cycles.deactivate(CYCLE, finish_queued_transactions=True)


async def parts(acme: AccountScope) -> None:
    steps, edges, variables = acme.cycles.steps, acme.cycles.edges, acme.cycles.variables
    assert [one.id for one in await steps.list(CYCLE, action_type="action")] == [FIRST, SECOND]
    step = await steps.create(CYCLE, name="S", action_type="Delay", left=5)
    assert (type(step), step.display_position_left) == (Step, 5)
    step = await steps.update(CYCLE, step.id, name="T", description=None)
    assert step == await steps.get(CYCLE, step.id)
    assert [one.id for one in await edges.list(CYCLE)] == [EDGE]
    edge = await edges.create(CYCLE, head_step_id=SECOND, tail_step_id=step.id)
    assert (type(edge), await edges.get(CYCLE, edge.id)) == (Edge, edge)
    await edges.delete(CYCLE, edge.id)
    await steps.delete(CYCLE, step.id)
    made = await variables.create(CYCLE, display_name="A", system_name="a b".replace(" ", "_"), value="1")
    assert made == await variables.get(CYCLE, "a_b")
    assert (await variables.update(CYCLE, "a_b", value=None)).value is None
    both = await variables.set(CYCLE, [Variable(system_name="a_b", value="2"), Variable(system_name="c", value="3")])
    assert both == await variables.list(CYCLE)
    await variables.delete(CYCLE, "c")


async def history(acme: AccountScope) -> None:
    runs, incidents = acme.cycles.transactions, acme.cycles.incidents
    assert len(await everything(runs.iter())) == 2
    after = datetime(2024, 3, 15, tzinfo=UTC)
    assert [one.status for one in await everything(runs.iter(CYCLE, after=after, split_type="Split"))] == ["Failed"]
    assert len(await runs.items(CYCLE, TRANSACTION, query="http request")) == 1
    assert [one.incident_level for one in await everything(incidents.iter(level="warning"))] == ["Warning"]
    assert len(await everything(incidents.iter(CYCLE))) == 2
    assert len(await everything(incidents.iter(CYCLE, level="error", before=after))) == 1
    await incidents.delete(CYCLE)
    assert await everything(incidents.iter(CYCLE)) == []


async def values(acme: AccountScope) -> None:
    steps = acme.steps
    assert await steps.prerequisites(FIRST) == []
    assert await steps.fields_for_mapping(SECOND) != []
    assert [type(one) for one in await steps.field_mappings.list(LOOSE)] == [FieldMapping] * 2
    await steps.field_mappings.lookup(LOOSE)
    field = await steps.field_mappings.update(LOOSE, 801, mapping_type="StaticValue", value="x", is_launch_visible=True)
    assert field == await steps.field_mappings.get(LOOSE, 801)
    assert (field.value, field.is_launch_visible) == (Secret("x"), True)
    assert [type(one) for one in await steps.parameters.list(LOOSE)] == [ParameterMapping]
    parameter = await steps.parameters.update(LOOSE, 802, mapping_type="Ignore", value=None)
    assert parameter == await steps.parameters.get(LOOSE, 802)
    assert [one.value for one in await steps.parameters.lookup(LOOSE, 802, 803)] == ["l"]


async def of_the_partner(v1: V1Api) -> None:
    accounts, users, launch = v1.accounts, v1.users, v1.launch
    made = await accounts.create("new/ü", name="New")
    assert made in await everything(accounts.iter())
    assert await accounts.get(made.id) == made
    assert (await accounts.update(made.id, name="Newer")).name == "Newer"
    assert [one.id for one in await accounts.subaccounts(TENANT)] == ["child"]
    assert (await accounts.usage(made.id)).id == made.id
    await users.add(made.id, "max", "pa")
    await users.set_password("max", "pb")
    assert await users.list(made.id) == ["max"]
    assert (await v1.tokens.create(made.id, "max")).token
    assert (await launch.account(made.id)).url
    assert (await launch.user("max", "pb", account_id=made.id)).url
    assert (await launch.orbit(made.id)).url
    assert (await launch.orbit(made.id, username="max", password="pb")).url
    assert (await launch.marketplace(made.id, 8)).url
    assert (await launch.marketplace(made.id, 8, username="max", password="pb")).url
    await users.remove(made.id, "max")
    await accounts.delete(made.id)


WALKS = (catalogue, own_connectors, settings, templates, cycles, parts, history, values)


async def test_every_route(sim: Simulator, session: AsyncPartnerSession, acme: AccountScope) -> None:
    for walk in WALKS:
        await walk(acme)
    await of_the_partner(session.v1)
    answered = [one for one in sim.requests if one.operation != "token" and one.status in {200, 201}]
    found = {find_operation(one.method, one.path).operation for one in answered}
    assert [(one.method, one.path) for one in OPERATIONS if one not in found] == []


async def test_the_catalogue_needs_no_account(session: AsyncPartnerSession) -> None:
    assert (await session.v1.connectors.get(7)).id == 7
    assert (await session.v1.templates.get(TEMPLATE)).id == TEMPLATE
    assert (await session.v1.methods.get(70)).id == 70


@pytest.mark.parametrize("fault", ["drop-after", "drop-before"])
@pytest.mark.parametrize("way", ["install", "ensure"])
async def test_an_install_whose_answer_is_lost_is_made_once(
    sim: Simulator, acme: AccountScope, fault: str, way: str
) -> None:
    sim.faults.add(f"{fault}:op=v1.connectors.install:x1")
    made = await getattr(acme.connectors, way)("Hook", name="Once", timeout=10)
    assert [one.id for one in await everything(acme.connectors.iter()) if one.name == "Once"] == [made.id]


async def test_a_name_in_use_says_whose_it_is(acme: AccountScope) -> None:
    with pytest.raises(AlreadyExistsError, match="ensure") as same:
        await acme.connectors.install("Mail Chimp", "v3", name="NEWS")
    assert (same.value.same, same.value.differing, same.value.status) == (True, (), 400)
    for way in (acme.connectors.install, acme.connectors.ensure):
        with pytest.raises(AlreadyExistsError, match="connector") as other:
            await way("Hook", name="News")
        assert (other.value.same, other.value.differing) == (False, ("connector",))
    with pytest.raises(AlreadyExistsError):
        await acme.connectors.update(1875, name="News")


async def test_an_unknown_account_refreshes_the_token_once_and_is_explained(
    sim: Simulator, session: AsyncPartnerSession
) -> None:
    for _ in range(3):
        with pytest.raises(UnauthorizedError, match="X-Cyclr-Account names no account"):
            await everything(session.v1.account("nobody").cycles.iter())
    with pytest.raises(UnauthorizedError, match="X-Cyclr-Account names no account"):
        await session.v1.account("nobody").request("GET", "cycles")
    assert sim.requests.count(operation="token") == 2  # the first, and one refresh
    assert sim.requests.count(operation="v1.cycles.list") <= 5


async def test_a_template_is_not_installed_twice(sim: Simulator, acme: AccountScope) -> None:
    sim.faults.add(Fault.drop("after_commit", operation="v1.templates.install"))
    with pytest.raises(OutcomeUnknownError, match="Look for a cycle"):
        await acme.templates.install(TEMPLATE)
    assert sim.requests.count(operation="v1.templates.install") == 1


@pytest.mark.parametrize(
    "wrong",
    [
        lambda acme: acme.catalogue.get("123"),
        lambda acme: acme.catalogue.get(" Mail"),
        lambda acme: acme.catalogue.get("a/b"),
        lambda acme: acme.catalogue.get(7, "v1"),
        lambda acme: acme.methods.get(True),
        lambda acme: acme.connectors.get(-1),
        lambda acme: acme.connectors.update(1874),
        lambda acme: acme.connectors.call(1874, 70, parameters={701: object()}),
        lambda acme: acme.connectors.custom.create({"Name": "\ud800"}),
        lambda acme: acme.templates.import_({"Name": {1}}),
        lambda acme: acme.connectors.authenticate(1874, ""),
        lambda acme: acme.connectors.call(1874, 70, verb="GET", parameters={1: 2}),
        lambda acme: acme.connectors.test(1874, 70, verb="PUT"),
        lambda acme: acme.steps.field_mappings.update(LOOSE, 801, for_request_format=1),
        lambda acme: acme.cycles.get("../x"),
        lambda acme: everything(acme.cycles.incidents.iter()),
        lambda acme: acme.cycles.variables.set(CYCLE, []),
    ],
)
async def test_wrong_arguments_are_not_sent(
    wrong: Callable[[AccountScope], Any], sim: Simulator, acme: AccountScope
) -> None:
    with pytest.raises(InvalidArgumentError):
        await wrong(acme)
    assert len(list(sim.requests)) == 0


async def test_models_are_read_back_as_they_came(acme: AccountScope) -> None:
    for one in (
        await acme.connectors.get(1874),
        await acme.cycles.get(CYCLE),
        (await acme.cycles.steps.list(CYCLE))[1],
    ):
        assert type(one).from_dict(one.to_dict()) == one
        assert attrs.has(type(one))
    with pytest.raises(NotFoundError, match=r"v1\.cycles\.get: .*404: there is nothing with that id in this account"):
        await acme.cycles.get(UNKNOWN)


async def test_many_tasks_ensure_the_same_connectors_over_a_service_that_loses_answers(
    sim: Simulator, acme: AccountScope
) -> None:
    sim.faults.add("drop-after:op=v1.connectors.install:20%")
    sim.faults.add("drop-before:op=v1.connectors.install:10%")
    names = [f"C{number}" for number in range(4)]
    made = await asyncio.gather(*(acme.connectors.ensure("Hook", name=name) for name in names for _ in range(4)))
    found = [one.name for one in await everything(acme.connectors.iter())]
    assert sorted(found) == sorted([*names, "News", "Hook"])
    assert {one.name for one in made} == set(names)


@pytest.mark.parametrize(
    ("title", "first"),
    [
        ("Accounts", r"ACME \d+ 4"),
        (
            "Users and links",
            (
                r"https://apps\.example\.com/account/signinwithtoken\?token=\*\*\*&returnUrl=\*\*\*\n"
                r"https://apps\.example\.com/account/signinwithtoken\?token=\*\*\*&returnUrl=\*\*\*.* True"
            ),
        ),
        ("Connectors", r"\['Mailchimp'\]"),
    ],
)
def test_the_examples_of_the_docs(title: str, first: str, capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "v1.md").read_text(encoding="utf-8")
    (source, *_) = re.findall(rf"## {title}\n.*?```python\n(.*?)```", page, re.DOTALL)
    exec(compile(source, "docs/v1.md", "exec"), {"__name__": "example"})
    assert re.match(first, capsys.readouterr().out)
