"""Bulk runs over the v1.0 API: the same engine, the same promises."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cyclr_async import ClientCredentials
from cyclr_async.errors import BulkInterruptedError, ConfigurationError, DecodeError, InvalidArgumentError, StoreError
from cyclr_async.usage import UsageReader, UsageStore, V1Collection, V1UsageOutcome
from cyclr_async.usage.store.rows import row_of_outcome
from cyclr_async.v1 import Account
from tests.support.clock import VirtualClock
from tests.support.usage_server import DROP, PartnerServer, consistent, http, stored
from tests.support.v1_server import V1Server, api_ids, tasks_of


async def all_of(run: V1Collection) -> list[V1UsageOutcome]:
    outcomes = []
    async with run:
        async for outcome in run:
            outcomes.append(outcome)
            assert consistent(run.progress)
    assert consistent(run.progress)
    return outcomes


async def test_every_account_once_with_what_the_api_says(path: Path) -> None:
    ids = api_ids(250)
    async with V1Server(ids) as server, server.session() as session:
        run = session.v1.accounts.collect_usage(store=path)
        outcomes = await all_of(run)
        assert server.pages == [1, 2, 3, 2, 1]
    assert sorted(one.account_id for one in outcomes) == ids
    assert all(one.usage and one.usage.tasks_used == tasks_of(one.account_id) for one in outcomes)
    assert {type(one.account) for one in outcomes} == {Account}
    assert (run.progress.ok, run.progress.listing_complete, run.progress.findings) == (250, True, 0)
    with UsageReader(path) as reader:
        info = reader.run()
        assert (info.status, info.scope.api, info.scope.ids, info.scope.partner) == (
            "complete",
            "v1",
            "all",
            "partner-1",
        )
        rows = list(reader.rows())
    assert [row.account_id for row in rows] == ids
    for row in rows:
        assert row.task_count == tasks_of(row.account_id)
        assert (row.cycle_count, row.price_plan_id, row.api, row.api_id) == (None, None, "v1", row.account_id)
        assert (row.period_from, row.audit_info, row.provisional) == ("2026-10-09T16:23:08Z", "listed", False)


async def test_a_row_that_is_streamed_is_the_row_of_the_store(path: Path) -> None:
    ids = api_ids(3)
    async with V1Server(ids[:2], children={ids[0]: ids[2:]}) as server, server.session() as session:
        server.rows[ids[1]] = {"Id": ids[1], "Name": "B", "TaskAuditInfo": "bill 7"}
        outcomes = await all_of(session.v1.accounts.collect_usage(store=path, subaccounts=True))
    streamed = {one.account_id: row_of_outcome(one, 1) for one in outcomes}
    with UsageReader(path) as reader:
        assert {row.account_id: row for row in reader.rows()} == streamed
    assert [streamed[one].parent_account_id for one in ids] == [None, None, ids[0]]
    assert [streamed[one].task_audit_info for one in ids] == [None, "bill 7", None]


async def test_without_a_store_and_with_given_ids() -> None:
    ids = api_ids(120)
    async with V1Server(ids) as server, server.session() as session:
        assert sorted(one.account_id for one in await all_of(session.v1.accounts.collect_usage())) == ids
        listed = [one async for one in session.v1.accounts.iter()]
        given: list[Any] = [ids[0], listed[1], "", 7]
        outcomes = await all_of(session.v1.accounts.collect_usage(given))
        assert [one.ok for one in sorted(outcomes, key=lambda one: one.account_id)] == [False, True, True, False]
        with pytest.raises(InvalidArgumentError, match="account_ids"):
            session.v1.accounts.collect_usage(ids, subaccounts=True)
        with pytest.raises(InvalidArgumentError, match="subaccounts"):
            session.v1.accounts.collect_usage(subaccounts="yes")  # type: ignore[arg-type]


async def test_an_account_of_the_other_api_is_not_asked_for() -> None:
    async with PartnerServer(["0" * 32]) as server, server.session() as session:
        other = await session.accounts.list()
    async with V1Server() as server, server.session() as session:
        (outcome,) = await all_of(session.v1.accounts.collect_usage(other))  # type: ignore[arg-type]
        assert isinstance(outcome.error, InvalidArgumentError)
        assert "another API" in str(outcome.error)
        assert server.requests == 0


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("largest", [100, 30])
async def test_the_list_ends_where_it_ends(path: Path, counted: bool, largest: int) -> None:
    ids = api_ids(90)
    async with V1Server(ids, counted=counted, largest=largest) as server, server.session() as session:
        await all_of(session.v1.accounts.collect_usage(store=path))
    assert stored(path) == set(ids)


async def test_nobody_is_in_the_list(path: Path) -> None:
    async with V1Server() as server, server.session() as session:
        assert await all_of(session.v1.accounts.collect_usage(store=path)) == []
        server.order = api_ids(2)
        await all_of(session.v1.accounts.collect_usage(store=path))
        server.order = []
        run = session.v1.accounts.collect_usage(store=path)
        assert await all_of(run) == []
        assert [finding.kind for finding in run.findings] == ["empty_list"]


class Moves:
    """Accounts are deleted and created while the list is read; ``there`` are those that it never touches."""

    def __init__(self, server: V1Server, seed: int, *, anywhere: bool, each: int = 3) -> None:
        self.server = server
        self.chance = random.Random(seed)
        self.anywhere = anywhere
        self.each = each
        self.spare = iter(api_ids(100_000, 1_000_000))
        every = list(server.order)
        self.there = set(every[::2])
        self.mortal = set(every) - self.there
        server.moves = self

    def __call__(self, _page: int) -> None:
        order = self.server.order
        for _ in range(self.chance.randint(0, self.each)):
            doomed = [one for one in order if one in self.mortal]
            if doomed:
                order.remove(self.chance.choice(doomed))
            place = self.chance.randint(0, len(order)) if self.anywhere else len(order)
            order.insert(place, next(self.spare))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("anywhere", [False, True])
async def test_accounts_come_and_go_between_the_pages(path: Path, seed: int, kept: bool, anywhere: bool) -> None:
    async with V1Server(api_ids(400), largest=10) as server, server.session() as session:
        moves = Moves(server, seed, anywhere=anywhere)
        run = session.v1.accounts.collect_usage(store=path if kept else None)
        outcomes = await all_of(run)
    asked = [one.account_id for one in outcomes]
    assert len(asked) == len(set(asked))
    assert moves.there <= set(asked)
    assert max(server.hits.values()) == 1
    if kept:
        assert moves.there <= stored(path)


@pytest.mark.stress
@pytest.mark.parametrize("anywhere", [False, True])
async def test_accounts_come_and_go_between_many_pages(path: Path, anywhere: bool) -> None:
    async with V1Server(api_ids(20_000)) as server, server.session() as session:
        moves = Moves(server, 7, anywhere=anywhere, each=5)
        outcomes = await all_of(session.v1.accounts.collect_usage(store=path))
    asked = [one.account_id for one in outcomes]
    assert len(asked) == len(set(asked))
    assert moves.there - set(asked) == set()
    assert max(server.hits.values()) == 1


async def test_a_deletion_between_two_pages_hides_nobody(path: Path) -> None:
    """The first account of the next page becomes the last of a page that was read."""
    ids = api_ids(30)
    async with V1Server(ids, largest=10) as server, server.session() as session:
        server.moves = lambda page: server.order.remove(ids[page - 1]) if ids[page - 1] in server.order else None
        await all_of(session.v1.accounts.collect_usage(store=path))
        assert set(ids[3:]) <= stored(path)
        assert server.pages[:5] == [1, 2, 3, 2, 1]


async def test_a_server_that_takes_no_notice_of_page_numbers_is_found_out(path: Path) -> None:
    ids = api_ids(10)
    async with V1Server(ids) as server, VirtualClock() as clock, server.session(clock=clock) as session:
        clock.busy = lambda: session.stats().in_flight > 0
        server._page = lambda order, query: http(200, [{"Id": one, "Name": "x"} for one in ids])  # type: ignore[method-assign]
        with pytest.raises(BulkInterruptedError, match="no end"):
            await all_of(session.v1.accounts.collect_usage(store=path, max_outage=60))
    assert stored(path) == set(ids)


async def test_an_outage_within_the_list_is_waited_out_at_its_page(path: Path) -> None:
    ids = api_ids(300)
    async with V1Server(ids) as server, VirtualClock() as clock, server.session(clock=clock) as session:
        clock.busy = lambda: session.stats().in_flight > 0

        def fails(page: int) -> None:
            if page == 2 and len(server.pages) == 2:
                server.failing = [http(503)] * 40

        server.moves = fails
        run = session.v1.accounts.collect_usage(store=path)
        await all_of(run)
        assert run.progress.ok == 300
        assert server.pages[:2] == [1, 2]
        assert server.pages[2:43] == [3] * 41
        assert server.pages[43:] == [2, 1]


@pytest.mark.parametrize("first", [1, 3])
async def test_an_outage_of_the_list_ends_the_run_when_it_lasts_too_long(path: Path, first: int) -> None:
    """Once, and not anew for each way of asking again."""
    async with V1Server(api_ids(300)) as server, VirtualClock() as clock, server.session(clock=clock) as session:
        clock.busy = lambda: session.stats().in_flight > 0

        def fails(page: int) -> None:
            if page == first - 1:
                server.failing = [http(503)] * 1_000

        server.moves = fails
        fails(0)
        begun = clock.now()
        with pytest.raises(BulkInterruptedError, match="the account list"):
            await all_of(session.v1.accounts.collect_usage(store=path, max_outage=600))
        assert 600 <= clock.now() - begun < 700
        server.failing = []
        server.moves = lambda _page: None
        await all_of(session.v1.accounts.collect_usage(store=path))
    assert len(stored(path)) == 300


async def test_one_account_that_cannot_be_read_does_not_lose_the_others(path: Path) -> None:
    ids = api_ids(30)
    async with V1Server(ids, largest=10) as server, server.session() as session:
        server.rows[ids[4]] = {"Id": ids[4], "Name": 7}
        with pytest.raises(BulkInterruptedError, match="1 accounts of the list could not be read") as caught:
            await all_of(session.v1.accounts.collect_usage(store=path))
        assert isinstance(caught.value.__cause__, DecodeError)
    assert stored(path) == {*ids} - {ids[4]}


async def test_subaccounts_are_collected_with_whose_they_are(path: Path) -> None:
    ids = api_ids(250)
    top, sub, below = ids[:120], ids[120:245], ids[245:]
    # One has more than a page of them, and of these one has some of its own.
    children = {top[3]: sub[:115], top[119]: sub[115:], sub[7]: below}
    async with V1Server(top, children=children) as server, server.session() as session:
        await all_of(session.v1.accounts.collect_usage(store=path, subaccounts=True))
        assert max(server.hits.values()) == 1
        assert set(server.asked_for_children) == set(ids)
    with UsageReader(path) as reader:
        assert reader.run().scope.ids == "tree"
        parents = {row.account_id: row.parent_account_id for row in reader.rows()}
    assert set(parents) == set(ids)
    expected = {one: parent for parent, members in children.items() for one in members}
    assert parents == {one: expected.get(one) for one in ids}


async def test_an_account_deleted_before_its_subaccounts_were_asked_for(path: Path) -> None:
    ids = api_ids(5)
    async with V1Server(ids) as server, server.session() as session:
        page = server._page
        gone = http(404, {"Message": "not found"})
        server._page = lambda order, query: page(order, query) if order else gone  # type: ignore[method-assign]
        run = session.v1.accounts.collect_usage(store=path, subaccounts=True)
        await all_of(run)
        assert run.progress.ok == 5


async def test_a_run_that_was_left_goes_on_with_whose_accounts_they_are(path: Path) -> None:
    ids = api_ids(60)
    children = {ids[0]: ids[30:]}
    async with V1Server(ids[:30], children=children) as server, server.session() as session:
        async with session.v1.accounts.collect_usage(store=path, subaccounts=True, concurrency=2) as run:
            async for _ in run:
                if run.progress.ok >= 10:
                    break
        rest = await all_of(session.v1.accounts.collect_usage(store=path, subaccounts=True))
        assert 0 < len(rest) < 60
        assert stored(path) == set(ids)
        assert {one.parent_account_id for one in rest if one.account_id in ids[30:]} == {ids[0]}
    with UsageReader(path) as reader:
        assert {row.parent_account_id for row in reader.rows() if row.account_id in ids[30:]} == {ids[0]}
        assert len(reader.runs()) == 1


async def test_a_store_is_of_one_api(path: Path) -> None:
    async with V1Server(api_ids(3)) as server, server.session() as session:
        await all_of(session.v1.accounts.collect_usage(store=path))
        with pytest.raises(StoreError, match="holds usage of the v1 API"):
            await session.accounts.collect_usage(store=path).__aenter__()
        async with await _opened(path) as store:
            with pytest.raises(StoreError, match="asks the v1 API"):
                await session.accounts.collect_usage(store=store).__aenter__()


async def _opened(path: Path) -> UsageStore:
    with UsageReader(path) as reader:
        scope = reader.run().scope
    return await UsageStore.open(path, scope, resume=False)


async def test_the_partner_is_the_client_id_unless_it_is_named(path: Path) -> None:
    auth = ClientCredentials("client-1", "secret")
    async with V1Server(api_ids(2)) as server:
        async with server.session(auth, partner=None) as session:
            await all_of(session.v1.accounts.collect_usage(store=path))
            assert server.identified == 0  # the v1.0 API names nobody, and the other need not be there
        with UsageReader(path) as reader:
            assert reader.run().scope.partner == "client-1"
        async with server.session(auth, partner="acme.example.com") as session:
            await all_of(session.v1.accounts.collect_usage(store=path))  # which knows the partner by its client id
        with UsageReader(path) as reader:
            assert {run.scope.partner for run in reader.runs()} == {"acme.example.com"}
        async with server.session("token", partner=None) as session:
            with pytest.raises(ConfigurationError, match="partner="):
                await session.v1.accounts.collect_usage(store=path).__aenter__()


async def test_failures_refusals_and_dropped_connections(path: Path) -> None:
    ids = api_ids(40)

    def reply(account: str, nth: int) -> bytes | None:
        place = ids.index(account)
        if place == 3:
            return http(404, {"Message": "no such account"})
        if place % 7 == 0 and nth == 1:
            return DROP
        return http(500) if place % 5 == 0 and nth < 3 else None

    async with V1Server(ids, reply=reply) as server, VirtualClock() as clock, server.session(clock=clock) as session:
        clock.busy = lambda: session.stats().in_flight > 0
        run = session.v1.accounts.collect_usage(store=path)
        await all_of(run)
        assert (run.progress.ok, run.progress.missing, run.progress.failed) == (39, 1, 0)


async def test_an_answer_that_names_no_period_is_no_figure(path: Path) -> None:
    ids = api_ids(2)
    answer = http(200, {"Id": ids[0], "TasksUsed": 3, "StartTime": "0001-01-01T00:00:00", "EndTime": None})
    reply = {ids[0]: answer}
    async with V1Server(ids, reply=lambda account, _: reply.get(account)) as server, server.session() as session:
        await all_of(session.v1.accounts.collect_usage(store=path))
    with UsageReader(path) as reader:
        (row, other) = reader.rows()
        assert (row.state, row.error, other.state) == ("failed", "NoPeriod", "ok")


async def test_negative_and_fallen_counts_are_findings(path: Path) -> None:
    ids = api_ids(2)
    said = {"StartTime": "2026-10-09T16:23:08Z", "EndTime": "2026-11-02T08:00:00Z"}
    reply = {ids[0]: http(200, {"Id": ids[0], "TasksUsed": -2, **said})}
    async with V1Server(ids, reply=lambda account, _: reply.get(account)) as server, server.session() as session:
        run = session.v1.accounts.collect_usage(store=path)
        await all_of(run)
        assert [finding.kind for finding in run.findings] == ["negative_count"]
        reply[ids[1]] = http(200, {"Id": ids[1], "TasksUsed": 0, **said})
        run = session.v1.accounts.collect_usage(store=path, resume=False)
        await all_of(run)
        fell = next(finding for finding in run.findings if finding.kind == "count_fell")
        assert fell.message.endswith("fell to 0 tasks, from 4 tasks")
        assert fell.detail["cycle_count"] is None


@pytest.mark.parametrize("ahead", [-60, 0, 60])
async def test_figures_up_to_now_are_not_asked_for_again_because_now_has_passed(path: Path, ahead: int) -> None:
    """The end of a period is the moment of the answer, by the clock of the server."""
    ids = api_ids(20)
    async with V1Server(ids) as server, VirtualClock() as clock, server.session(clock=clock) as session:
        clock.busy = lambda: session.stats().in_flight > 0
        begin = datetime.fromtimestamp(clock.wall(), UTC) - timedelta(days=20)

        def reply(account: str, _nth: int) -> bytes:
            end = datetime.fromtimestamp(clock.wall() + ahead, UTC)
            said = {"StartTime": begin.isoformat(), "EndTime": end.isoformat()}
            return http(500) if account == ids[7] else http(200, {"Id": account, "TasksUsed": 1, **said})

        server.reply = reply
        run = session.v1.accounts.collect_usage(store=path)
        await all_of(run)
        assert (run.progress.ok, run.progress.failed) == (19, 1)
        before = server.hits.total() - server.hits[ids[7]]
        await clock.sleep(3600)
        await all_of(session.v1.accounts.collect_usage(store=path, resume=True))
        assert server.hits.total() - server.hits[ids[7]] == before
        with UsageReader(path) as reader:
            assert {row.provisional for row in reader.rows() if row.state == "ok"} == {True}
        # A month after it began the period is over, and a run does not mix what was open with what is closed.
        await clock.sleep(11 * 86_400)
        await all_of(session.v1.accounts.collect_usage(store=path, resume=True, max_age=timedelta(days=30)))
        assert server.hits.total() - server.hits[ids[7]] == 2 * before
