"""What is created is made once and what is deleted is gone, over a server that loses answers in every way."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from cyclr_async import (
    AlreadyExistsError,
    AsyncPartnerSession,
    NotFoundError,
    OutcomeUnknownError,
    RetryPolicy,
    Timeouts,
)
from cyclr_async.http.clock import SystemClock
from cyclr_async.simulator import Simulator
from cyclr_async.v1 import AccountScope, CustomField
from tests.simulator.v1.conftest import ACME, CYCLE, EDGE, SECOND, STATE
from tests.support.answers import json_http
from tests.support.recorder import Heard, Recorder, reply
from tests.support.server import FaultServer, Link, Request
from tests.support.sizes import sized
from tests.support.virtual import LoopClock, in_virtual_time
from tests.v1.test_accounts import places

TIMES = Timeouts(connect=5.0, read=0.15, attempt=0.3, deadline=20.0, close=0.0)


class Hasty(SystemClock):
    """Time as it is, and pauses that are over at once: what is tried here is what is sent between them."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.001))


class Accounts:
    """A service with accounts that drops, stalls, and answers too late or not at all after it has done its work.

    Args:
        seed: of the faults.
    """

    def __init__(self, seed: int) -> None:
        self.made: dict[str, str] = {}
        self.created: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._late: set[asyncio.Task[None]] = set()

    async def serve(self, link: Link) -> None:
        while (request := await link.read_request()) is not None:
            fault = self._random.choices(
                ("", "drop", "drop-after", "stall", "stall-after", "502-after", "late", "503"),
                (62, 6, 8, 3, 3, 8, 4, 6),
            )[0]
            self.faults[f"{request.method} {fault}"] += 1
            if fault == "drop":
                return link.rst()
            if fault == "503":
                await link.write(json_http({"Message": "busy"}, 503))
                continue
            if fault == "stall":
                return await link.until_closed()
            if fault == "late":  # it goes on when the client has long given up
                task = asyncio.get_running_loop().create_task(self._later(request))
                self._late.add(task)
                task.add_done_callback(self._late.discard)
                return await link.until_closed()
            answer = self._answer(request)
            if fault == "drop-after":
                return link.rst()
            if fault == "stall-after":
                return await link.until_closed()
            await link.write(json_http({"Message": "An error has occurred."}, 502) if fault else answer)
        return None

    async def _later(self, request: Request) -> None:
        await asyncio.sleep(0.2)
        self._answer(request)

    def _answer(self, request: Request) -> bytes:
        if request.method == "GET":
            name = request.path.removeprefix("/v1.0/accounts/")
            return json_http({"Id": name, "Name": self.made[name]}) if name in self.made else json_http(None, 404)
        body = json.loads(request.body)
        if body["Id"] in self.made:
            return json_http({"Message": "ID already in use"}, 400)
        self.made[body["Id"]] = body["Name"]
        self.created[body["Id"]] += 1
        return json_http(body)

    async def settle(self) -> None:
        """Wait for what is still under way."""
        await asyncio.gather(*self._late)


@sized("calls", 200, 1000)
async def test_many_ensure_the_same_accounts_over_a_server_that_loses_answers(calls: int) -> None:
    service, ids = Accounts(seed=7), [f"tenant-{number}" for number in range(calls // 10)]
    async with FaultServer(service.serve, keep=False) as server:
        session = AsyncPartnerSession(
            "t",
            base_url=server.base_url,
            v1_url=f"{server.origin}/v1.0",
            timeouts=TIMES,
            retry=RetryPolicy(base=0.001, budget=0),
            clock=Hasty(),
        )
        async with session:
            left = iter([one for one in ids for _ in range(10)])

            async def work() -> list[str | None]:
                return [(await session.v1.accounts.ensure(one, name=f"Name of {one}")).name for one in left]

            names = [name for part in await asyncio.gather(*(work() for _ in range(20))) for name in part]
        await service.settle()
    assert Counter(names) == {f"Name of {one}": 10 for one in ids}
    assert service.created == dict.fromkeys(ids, 1)
    for fault in ("drop", "drop-after", "stall", "stall-after", "502-after", "late", "503"):
        assert service.faults[f"GET {fault}"], fault
    assert sum(count for name, count in service.faults.items() if name.startswith("POST ")) > len(ids)


async def test_a_service_that_cannot_be_asked_leaves_the_outcome_unknown_and_says_why() -> None:
    def make(heard: Heard) -> bytes:
        return reply("", status=502)

    session = AsyncPartnerSession  # one that gives up soon
    async with (
        Recorder(make=make) as server,
        session("t", **places(server), clock=Hasty(), retry=RetryPolicy(attempts=2)) as opened,
    ):
        with pytest.raises(OutcomeUnknownError, match="create") as caught:
            await opened.v1.accounts.create("a", name="A")
        assert sum(heard.line.startswith("POST") for heard in server.heard) == 1  # never sent blindly
        with pytest.raises(OutcomeUnknownError, match="delete"):
            await opened.v1.accounts.delete("a")
        assert sum(heard.line.startswith("DELETE") for heard in server.heard) == 1
    assert any("looking for it failed" in note for note in caught.value.__notes__)


@in_virtual_time
async def test_the_time_for_everything_is_kept_to() -> None:
    def make(heard: Heard) -> bytes:
        return reply("", status=502 if heard.line.startswith("POST") else 404)

    async with Recorder(make=make) as server, AsyncPartnerSession("t", **places(server), clock=LoopClock()) as session:
        now = asyncio.get_running_loop().time
        began = now()
        with pytest.raises(OutcomeUnknownError):
            await session.v1.accounts.create("a", name="A", timeout=0.4)
        assert now() - began <= 0.4
    assert len(server.heard) >= 4  # POST, look, POST, look


async def test_what_is_certainly_not_there_is_sent_again_until_it_is() -> None:
    posts = iter([502, 502, 502, 200])

    def make(heard: Heard) -> bytes:
        if heard.line.startswith("GET"):
            return reply("", status=404)
        status = next(posts)
        return reply('{"Id":"a","Name":"A"}' if status == 200 else "", status=status)

    async with Recorder(make=make) as server, AsyncPartnerSession("t", **places(server), clock=Hasty()) as session:
        assert (await session.v1.accounts.create("a", name="A")).id == "a"
    assert [heard.line.split()[0] for heard in server.heard] == ["POST", "GET"] * 3 + ["POST"]


async def test_a_lost_answer_is_not_taken_for_ours_where_the_account_is_another() -> None:
    def make(heard: Heard) -> bytes:
        if heard.line.startswith("GET"):
            return reply('{"Id":"a","Name":"somebody\'s"}')
        return reply("", status=502)

    async with Recorder(make=make) as server, AsyncPartnerSession("t", **places(server)) as session:
        with pytest.raises(AlreadyExistsError, match="differs in name") as caught:
            await session.v1.accounts.create("a", name="A")
    assert (caught.value.same, caught.value.differing) == (False, ("name",))


@pytest.mark.parametrize("words", ["ID already in use", "ID already in use."])
async def test_what_is_there_is_told_in_a_sentence_of_its_own(words: str) -> None:
    def make(heard: Heard) -> bytes:
        if heard.line.startswith("GET"):
            return reply('{"Id":"a","Name":"A"}')
        return reply(json.dumps({"Message": words}), status=400)

    async with Recorder(make=make) as server, AsyncPartnerSession("t", **places(server)) as session:
        with pytest.raises(
            AlreadyExistsError, match=r"400: ID already in use\. It is as asked for; ensure\(\)"
        ) as caught:
            await session.v1.accounts.create("a", name="A")
    assert (caught.value.same, caught.value.server_message) == (True, words)


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator(frozen=True, state=STATE) as simulator:
        yield simulator


async def _property(acme: AccountScope) -> Any:
    return (await acme.connectors.properties.create(1874, "Token", "x")).id


async def _field(acme: AccountScope) -> Any:
    return (await acme.connectors.fields.create(1874, CustomField(display_name="V", connector_field="f"))).id


async def _custom(acme: AccountScope) -> Any:
    made = await acme.connectors.custom.create(
        {"Name": "Mine", "UniqueIdentifier": "0a0b0c0d-0001-4000-8000-0000000000ff"}
    )
    return made["Id"]


async def _variable(acme: AccountScope) -> Any:
    return (await acme.cycles.variables.create(CYCLE, display_name="A", system_name="a", value="1")).system_name


async def _given(_: AccountScope) -> None:
    """The state has it."""


DELETES: list[tuple[str, Callable[[AccountScope], Any], Callable[[AccountScope, Any], Any]]] = [
    ("account_connectors", _given, lambda acme, _: acme.connectors.delete(1875)),
    ("properties", _property, lambda acme, made: acme.connectors.properties.delete(1874, made)),
    ("fields", _field, lambda acme, made: acme.connectors.fields.delete(1874, made)),
    ("custom", _custom, lambda acme, made: acme.connectors.custom.delete(made)),
    ("cycles", _given, lambda acme, _: acme.cycles.delete(CYCLE)),
    ("steps", _given, lambda acme, _: acme.cycles.steps.delete(CYCLE, SECOND)),
    ("edges", _given, lambda acme, _: acme.cycles.edges.delete(CYCLE, EDGE)),
    ("variables", _variable, lambda acme, made: acme.cycles.variables.delete(CYCLE, made)),
]


@pytest.mark.parametrize(("name", "make", "delete"), DELETES, ids=[row[0] for row in DELETES])
@pytest.mark.parametrize("fault", ["drop-after", "drop-before", "502"])
async def test_every_delete_whose_answer_is_lost_is_settled(
    sim: Simulator,
    name: str,
    make: Callable[[AccountScope], Any],
    delete: Callable[[AccountScope, Any], Any],
    fault: str,
) -> None:
    async with sim.session(clock=Hasty()) as session:
        acme = session.v1.account(ACME)
        made = await make(acme)
        sim.faults.add(f"{fault}:op=v1.{name}.delete:x1")
        await delete(acme, made)
        assert 1 <= sim.requests.count(operation=f"v1.{name}.delete") <= 2
        with pytest.raises(NotFoundError):
            await delete(acme, made)


async def test_a_cycle_that_is_kept_for_a_while_is_deleted() -> None:
    def make(heard: Heard) -> bytes:
        if heard.line.startswith("DELETE"):
            return reply("", status=502)
        return reply(json.dumps({"Id": CYCLE, "Status": "DeleteScheduled"}))

    async with Recorder(make=make) as server, AsyncPartnerSession("t", **places(server)) as session:
        await session.v1.account("a").cycles.delete(CYCLE)
    assert [heard.line.split()[0] for heard in server.heard] == ["DELETE", "GET"]
