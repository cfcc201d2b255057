"""Accounts: their lists while they change, their updates, and that each is made and deleted once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from cyclr_async import (
    UNSET,
    AlreadyExistsError,
    AsyncPartnerSession,
    BadRequestError,
    InvalidArgumentError,
    NotFoundError,
    OutcomeUnknownError,
)
from cyclr_async.simulator import Simulator
from cyclr_async.v1 import Account, AccountUsage
from tests.simulator.v1.conftest import ACME, STATE, TENANT
from tests.support.recorder import Heard, Recorder, reply


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator(frozen=True, state=STATE) as simulator:
        yield simulator


@pytest.fixture
async def session(sim: Simulator) -> AsyncIterator[AsyncPartnerSession]:
    async with sim.session() as opened:
        yield opened


async def everything(items: Any) -> list[Any]:
    return [item async for item in items]


async def test_the_life_of_an_account(session: AsyncPartnerSession) -> None:
    accounts = session.v1.accounts
    made = await accounts.create("tenant 7/ü", name="Seven", description="d", transaction_error_webhook_url="x.org/h")
    assert (type(made), made.id, made.name, made.transaction_error_webhook_url) == (
        Account,
        "tenant 7/ü",
        "Seven",
        "https://x.org/h",
    )
    assert await accounts.get("tenant 7/ü") == made
    assert made.to_dict()["Id"] == made.id
    assert Account.from_dict(made.to_dict()) == made
    changed = await accounts.update(made.id, description=None, step_data_success_retention_hours=744)
    assert (changed.name, changed.description, changed.step_data_success_retention_hours) == ("Seven", None, 744)
    cleared = await accounts.update(made.id, step_data_success_retention_hours=None)
    assert cleared.step_data_success_retention_hours is None
    usage = await accounts.usage(made.id)
    assert (type(usage), usage.id) == (AccountUsage, made.id)
    assert usage.tasks_used >= 0
    assert usage.start_time is not None
    assert usage.end_time is not None
    assert usage.start_time <= usage.end_time
    await accounts.delete(made.id)
    for gone in (accounts.get, accounts.usage, accounts.delete, accounts.subaccounts):
        with pytest.raises(NotFoundError, match="there is nothing with that id in this API"):
            await gone(made.id)
    assert (await accounts.create(made.id, name="Again")).name == "Again"  # the id is free at once


async def test_without_an_id_the_service_chooses_one(session: AsyncPartnerSession) -> None:
    made = await session.v1.accounts.create(name="n", next_bill_date_utc=datetime(2031, 1, 2, 3, tzinfo=UTC))
    assert len(made.id) == 36
    assert made.created_date is not None


async def test_sub_accounts(session: AsyncPartnerSession) -> None:
    accounts = session.v1.accounts
    assert [one.id for one in await accounts.subaccounts(TENANT)] == ["child"]
    await accounts.create("second", name="Second", parent_account_id=TENANT)
    assert [one.id for one in await accounts.subaccounts(TENANT)] == ["child", "second"]
    assert "second" not in {one.id for one in await everything(accounts.iter())}
    assert await accounts.subaccounts(ACME) == []


async def test_one_page(session: AsyncPartnerSession) -> None:
    accounts = session.v1.accounts
    every = await everything(accounts.iter())
    assert len(every) == 6  # of seven, one is a sub-account
    assert await accounts.list() == every
    assert await accounts.list(page=2, page_size=3) == every[3:6]
    assert await accounts.list(page=9, page_size=3) == []
    assert await accounts.list(ascending=False) == every[::-1]
    assert await everything(accounts.iter(ascending=False)) == every[::-1]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda a: a.create(name=""),
        lambda a: a.create(name=UNSET),
        lambda a: a.ensure("x", name=UNSET),
        lambda a: a.create("", name="n"),
        lambda a: a.create("x/../y", name="n"),
        lambda a: a.create(" x", name="n"),
        lambda a: a.create("x\n", name="n"),
        lambda a: a.create("x" * 129, name="n"),
        lambda a: a.create(7, name="n"),
        lambda a: a.ensure("..", name="n"),
        lambda a: a.get("\u2025/x"),  # a two-dot leader, which some servers fold to two dots
        lambda a: a.update("x"),
        lambda a: a.update("x", name=None),
        lambda a: a.update("x", name=" "),
        lambda a: a.update("x", step_data_success_retention_hours=-1),
        lambda a: a.update("x", step_data_errored_retention_hours=745),
        lambda a: a.update("x", step_data_errored_retention_hours=True),
        lambda a: a.update("x", step_data_errored_retention_hours="1"),
        lambda a: a.update("x", transaction_error_webhook_enabled=True),
        lambda a: a.update("x", transaction_error_webhook_enabled=True, transaction_error_webhook_url=None),
        lambda a: a.update("x", transaction_error_webhook_enabled=True, transaction_error_webhook_url=" "),
        lambda a: a.update("x", transaction_error_webhook_enabled=None),
        lambda a: a.update("x", transaction_error_webhook_include_warnings=1),
        lambda a: a.update("x", next_bill_date_utc="2027-01-01"),
        lambda a: a.list(page=0),
        lambda a: a.list(page_size=True),
        lambda a: everything(a.iter(recheck=1)),
        lambda a: a.usage(""),
    ],
)
async def test_wrong_arguments_are_not_sent(
    wrong: Callable[[Any], Any], sim: Simulator, session: AsyncPartnerSession
) -> None:
    with pytest.raises(InvalidArgumentError):
        await wrong(session.v1.accounts)
    assert len(list(sim.requests)) == 0


class Pages:
    """A list of accounts that changes while it is read.

    Args:
        ids: the accounts at first.
        changes: what is done to them after the n-th request, from 1.
        size: rows on a page, a cap below the 100 that are asked for.
        total: whether the answers have ``Total-Pages``.
    """

    def __init__(
        self, ids: list[str], changes: dict[int, Callable[[list[str]], object]], *, size: int = 3, total: bool = True
    ) -> None:
        self.ids = ids
        self.asked: list[int] = []
        self._changes = changes
        self._size = size
        self._total = total

    def answer(self, heard: Heard) -> bytes:
        page = int(parse_qs(urlsplit(heard.target).query)["page"][0])
        self.asked.append(page)
        rows = self.ids[(page - 1) * self._size : page * self._size]
        headers = {"Total-Pages": str(-(-len(self.ids) // self._size))} if self._total else {}
        said = reply(json.dumps([{"Id": one, "Name": one} for one in rows]), headers=headers)
        if len(self.asked) in self._changes:
            self._changes[len(self.asked)](self.ids)
        return said


async def read(pages: Pages, **options: Any) -> list[str]:
    async with Recorder(make=pages.answer) as server, AsyncPartnerSession("t", **places(server)) as session:
        return [one.id async for one in session.v1.accounts.iter(**options)]


def places(server: Recorder) -> dict[str, Any]:
    return {"base_url": server.base_url, "token_url": server.token_url, "v1_url": f"{server.origin}/v1.0"}


NINE = "abcdefghi"


@pytest.mark.parametrize("total", [True, False], ids=["counted", "until-empty"])
@pytest.mark.parametrize("after", [1, 2, 3, 4])
@pytest.mark.parametrize(
    "change",
    [
        lambda ids: ids.remove("a"),
        lambda ids: (ids.remove("a"), ids.append("z")),  # the number of pages stays
        lambda ids: (ids.remove("b"), ids.remove("c")),
        lambda ids: ids.append("z"),
        lambda ids: ids.insert(0, "z"),
        lambda ids: ids.clear(),
        lambda ids: ids.extend("wxyz"),
    ],
    ids=["deleted", "deleted-and-created", "two-deleted", "created", "created-first", "all-deleted", "many-created"],
)
async def test_an_account_that_is_there_throughout_comes_once(
    change: Callable[[list[str]], object], after: int, total: bool
) -> None:
    pages = Pages(list(NINE), {after: change}, total=total)
    found = await read(pages)
    assert len(found) == len(set(found))
    assert set(pages.ids) & set(NINE) <= set(found)
    if after < 3:  # before the last page was read
        assert set(pages.ids) <= set(found)


async def test_a_quiet_list_comes_in_order_and_is_read_twice_but_for_its_last_page() -> None:
    pages = Pages(list(NINE), {})
    assert "".join(await read(pages)) == NINE
    assert pages.asked == [1, 2, 3, 2, 1]
    pages = Pages(list(NINE), {})
    assert "".join(await read(pages, recheck=False)) == NINE
    assert pages.asked == [1, 2, 3]
    pages = Pages(["a"], {})
    assert await read(pages) == ["a"]
    assert pages.asked == [1]


async def test_an_id_in_use_says_whether_the_account_is_as_asked_for(session: AsyncPartnerSession) -> None:
    accounts = session.v1.accounts
    with pytest.raises(AlreadyExistsError, match=r"ensure\(\) returns it") as same:
        await accounts.create(ACME, name="ACME")
    assert (same.value.same, same.value.differing, same.value.status) == (True, (), 400)
    assert same.value.server_message == "ID already in use"
    for way in (accounts.create, accounts.ensure):
        with pytest.raises(AlreadyExistsError, match="name, description") as other:
            await way(ACME, name="Other", description="d")
        assert (other.value.same, other.value.differing) == (False, ("name", "description"))


async def test_ensure_returns_what_is_there_and_changes_nothing(sim: Simulator, session: AsyncPartnerSession) -> None:
    accounts = session.v1.accounts
    made = await accounts.ensure("new", name="New", transaction_error_webhook_url="x.org", timezone=None)
    assert await accounts.ensure("new", name="New", transaction_error_webhook_url="x.org", timezone=None) == made
    assert await accounts.ensure("new", name="New", description=None, audit_info="") == made
    assert sim.requests.count(operation="v1.accounts.create") == 1


@pytest.mark.parametrize("fault", ["drop-after", "drop-before", "502"])
@pytest.mark.parametrize("way", ["create", "ensure"])
async def test_an_account_whose_answer_is_lost_is_made_once(
    sim: Simulator, session: AsyncPartnerSession, fault: str, way: str
) -> None:
    sim.faults.add(f"{fault}:op=v1.accounts.create:x1")
    made = await getattr(session.v1.accounts, way)("once", name="Once", timeout=10)
    assert [one.id for one in await everything(session.v1.accounts.iter()) if one.name == "Once"] == [made.id]


async def test_without_an_id_an_account_is_never_sent_twice(sim: Simulator, session: AsyncPartnerSession) -> None:
    sim.faults.add("drop-after:op=v1.accounts.create:x1")
    with pytest.raises(OutcomeUnknownError, match="give it an id"):
        await session.v1.accounts.create(name="Once")
    assert sim.requests.count(operation="v1.accounts.create") == 1


@pytest.mark.parametrize("fault", ["drop-after", "drop-before"])
async def test_a_delete_whose_answer_is_lost_is_settled(
    sim: Simulator, session: AsyncPartnerSession, fault: str
) -> None:
    sim.faults.add(f"{fault}:op=v1.accounts.delete:x1")
    await session.v1.accounts.delete(ACME, timeout=10)
    with pytest.raises(NotFoundError):
        await session.v1.accounts.get(ACME)


async def test_an_account_that_is_made_anew_after_a_lost_delete_stays(sim: Simulator) -> None:
    created = iter(["2026-01-01T00:00:00Z", "2026-02-02T00:00:00Z"])

    def make(heard: Heard) -> bytes:
        if heard.line.startswith("DELETE"):
            return reply("", status=502)
        return reply(json.dumps({"Id": "a", "Name": "a", "CreatedDate": next(created)}))

    async with Recorder(make=make) as server, AsyncPartnerSession("t", **places(server)) as session:
        await session.v1.accounts.delete("a")
    assert [heard.line.split()[0] for heard in server.heard] == ["DELETE", "GET", "DELETE", "GET"]


async def test_a_refusal_for_another_reason_is_what_it_is(sim: Simulator, session: AsyncPartnerSession) -> None:
    with pytest.raises(BadRequestError, match="Timezone") as caught:
        await session.v1.accounts.create("zoned", name="n", timezone="Nowhere/Land")
    assert not isinstance(caught.value, AlreadyExistsError)
    assert sim.requests.count(operation="v1.accounts.get") == 0


async def test_many_tasks_ensure_the_same_accounts_over_a_service_that_loses_answers(
    sim: Simulator, session: AsyncPartnerSession
) -> None:
    for fault in ("drop-after:op=v1.accounts.create:20%", "drop-before:op=v1.accounts.create:10%"):
        sim.faults.add(fault)
    before = len(await everything(session.v1.accounts.iter()))
    ids = [f"t{number}" for number in range(4)]
    made = await asyncio.gather(*(session.v1.accounts.ensure(one, name=one) for one in ids for _ in range(4)))
    assert {one.id for one in made} == set(ids)
    assert len(await everything(session.v1.accounts.iter())) == before + 4
