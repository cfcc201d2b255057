"""The id in an answer against answers nobody asked for: none is booked to another account, none is refused for good."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest

from benchmarks.desync import CALLS, CASES, measure
from cyclr_async import AsyncPartnerSession, DesynchronizedError, RetryPolicy
from cyclr_async.v1 import V1Api
from cyclr_async.v1.answer_ids import AnswerIds
from tests.support.answers import account_id, good, json_http, task_count
from tests.support.recorder import Heard, Recorder, reply
from tests.support.server import FaultServer, Link, answer, script


class Connection:
    """Stands for a connection."""


ONE, TWO = Connection(), Connection()


def quick(origin: str, **options: Any) -> AsyncPartnerSession:
    return AsyncPartnerSession(
        "t",
        base_url=f"{origin}/api/partner",
        v1_url=f"{origin}/v1.0",
        **{"retry": RetryPolicy(base=0.0), **options},
    )


@pytest.mark.parametrize("case", [case for case in CASES if case != "the same, 10 ms late"])
async def test_of_twenty_usages_none_is_booked_to_another_account(case: str) -> None:
    assert await measure(case, reuse=True, api="v1") == (0, 0)


async def test_the_same_answers_are_booked_wrongly_where_they_carry_no_id() -> None:
    wrong, _ = await measure("after the next request", reuse=True)
    assert wrong > 0  # the injection works
    assert CALLS == 20


def late(times: int) -> Callable[[Link], Any]:
    """Answer one request well, and put its answer before those to the next requests."""

    async def run(link: Link) -> None:
        await answer(good)(link)
        first = link.request
        assert first is not None
        for _ in range(times):
            request = await link.read_request()
            if request is None:
                return
            await link.write(good(first) + good(request))

    return run


async def test_the_connection_is_dropped_and_the_request_made_again_on_another_one() -> None:
    async with FaultServer(late(1), script(*[answer(good)] * 9)) as server, quick(server.origin) as session:
        for number in (1, 2, 3):
            usage = await session.v1.accounts.usage(account_id(number))
            assert (usage.id, usage.tasks_used) == (account_id(number), task_count(account_id(number)))
            await asyncio.sleep(0.01)
        stats = session.stats()
        assert (server.connections, server.request_count, stats.retries) == (2, 4, 1)


async def test_an_answer_that_stays_another_ones_is_an_error() -> None:
    async with FaultServer(late(1), late(1), late(1)) as server:
        async with quick(server.origin, retry=RetryPolicy(attempts=1)) as session:
            await session.v1.accounts.usage(account_id(1))
            with pytest.raises(DesynchronizedError, match="names another account"):
                await session.v1.accounts.usage(account_id(2))
            assert (await session.v1.accounts.usage(account_id(3))).id == account_id(3)  # on a new connection
        assert server.connections == 2


async def test_the_usage_of_another_account_is_not_taken_for_an_account() -> None:
    async def shifted(link: Link) -> None:
        await answer(good)(link)
        first = link.request
        assert first is not None
        request = await link.read_request()
        assert request is not None
        assert request.path.endswith(account_id(2))
        await link.write(good(first) + json_http({"Id": account_id(2), "Name": "2"}))

    async with FaultServer(shifted, answer(lambda _: json_http({"Id": account_id(2), "Name": "2"}))) as server:
        async with quick(server.origin) as session:
            await session.v1.accounts.usage(account_id(1))
            found = await session.v1.accounts.get(account_id(2))
        assert (found.name, server.connections) == ("2", 2)


def answering(ids: Callable[[str], str]) -> Recorder:
    """A service whose usage answers carry the id that a function makes of the one asked for."""

    def make(heard: Heard) -> bytes:
        asked = heard.target.split("/")[3]
        return reply(json.dumps({"Id": ids(asked), "TasksUsed": int(asked.removeprefix("t"))}))

    return Recorder(make=make)


def inner(asked: str) -> str:
    return str(uuid5(NAMESPACE_URL, asked))


async def usages(v1: V1Api, count: int = 20) -> list[int]:
    return [(await v1.accounts.usage(f"t{number}")).tasks_used for number in range(count)]


@pytest.mark.parametrize("attempts", [1, 4])
async def test_a_service_with_ids_of_its_own_is_never_refused(attempts: int) -> None:
    async with answering(inner) as server, quick(server.origin, retry=RetryPolicy(attempts=attempts)) as session:
        assert await usages(session.v1) == list(range(20))
        assert await usages(session.v1) == list(range(20))
        assert len(server.heard) == 40


@pytest.mark.parametrize("same", [str.upper, str.title, lambda asked: asked])
async def test_an_id_in_another_case_is_the_same(same: Callable[[str], str]) -> None:
    async with answering(same) as server, quick(server.origin, retry=RetryPolicy(attempts=1)) as session:
        assert await usages(session.v1) == list(range(20))


async def test_where_some_ids_are_the_services_own_one_is_asked_for_a_second_time() -> None:
    """As it would be where an account without an API id of the partner's has the inner id for one."""
    async with answering(lambda asked: inner(asked) if asked in {"t5", "t6"} else asked) as server:
        async with quick(server.origin) as session:
            assert await usages(session.v1) == list(range(20))
        targets = [heard.target for heard in server.heard]
    assert (targets.count("/v1.0/accounts/t5/usage"), len(targets)) == (2, 21)
    assert server.connections == 2


async def test_where_every_id_was_the_one_asked_for_a_strange_one_is_refused() -> None:
    strange = iter([True])

    def ids(asked: str) -> str:
        return "somebody" if asked == "t5" and next(strange, False) else asked

    async with answering(ids) as server, quick(server.origin) as session:
        assert await usages(session.v1) == list(range(20))
        assert len(server.heard) == 21


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("a", "A"),
        ("0f8fad5b-d9cd-469f-a165-70867728950e", "0F8FAD5BD9CD469FA16570867728950E"),
        ("{0f8fad5b-d9cd-469f-a165-70867728950e}", "0f8fad5b-d9cd-469f-a165-70867728950e"),
        ("a", None),
    ],
)
def test_one_id_in_two_forms(asked: str, found: str | None) -> None:
    ids = AnswerIds()
    ids.check("x", "b", "b", ONE)
    ids.check("x", asked, found, ONE)


def test_hyphens_count_where_they_are_no_form_of_a_guid() -> None:
    ids = AnswerIds()
    ids.check("x", "tenant-1", "tenant-1", ONE)
    with pytest.raises(DesynchronizedError):
        ids.check("x", "tenant1", "tenant-1", ONE)


def test_only_requests_of_the_same_connection_count() -> None:
    ids = AnswerIds()
    ids.check("x", "a", "inner-a", ONE)
    ids.check("x", "b", "a", TWO)  # nothing is known against it: no id was the one asked for
    with pytest.raises(DesynchronizedError):
        ids.check("x", "c", "a", ONE)


def test_what_is_remembered_is_bounded_and_ends_with_the_connection() -> None:
    ids, connection = AnswerIds(), Connection()
    for number in range(5000):
        ids.check("x", str(number), str(number), connection)
        with pytest.raises(DesynchronizedError):
            ids.check("x", f"n{number}", f"strange{number}", None)
    assert len(ids._recent[connection]) <= 32
    assert len(ids._doubtful) <= 2048
    del connection
    assert len(ids._recent) == 0
