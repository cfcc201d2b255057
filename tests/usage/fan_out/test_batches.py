"""A collection over an engine, with threads as its workers: what goes out, what comes back, and what is made of it."""

from __future__ import annotations

import asyncio
import pickle
from collections import Counter
from collections.abc import AsyncIterator, Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest

from cyclr_async import AsyncPartnerSession, ClientCredentials
from cyclr_async.errors import BulkInterruptedError, ForbiddenError, InvalidArgumentError, NotFoundError, ServerError
from cyclr_async.usage import FanOut, UsageReader
from cyclr_async.usage.collect.remote import Answers, BatchReply
from tests.support.canary import BEARER, CLIENT_SECRET, MARK
from tests.support.engines import Threads, fast_session, shared_clock
from tests.support.usage_server import PartnerServer, account_ids, all_of, http, states, stored, usage_of
from tests.support.v1_server import V1Server, api_ids, tasks_of

NOT_FOUND = http(404, {"Message": "none"})
FORBIDDEN = http(403, {"Message": "no"})
UNAUTHORIZED = http(401, {"Message": "who"})
FAILED = http(500, {"Message": "failed"})


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[[PartnerServer], None]:
    """Set what a worker finds in its environment."""

    def of(server: PartnerServer, **more: str) -> None:
        monkeypatch.setenv("CYCLR_ACCESS_TOKEN", "token")
        monkeypatch.setenv("CYCLR_BASE_URL", server.base_url)
        monkeypatch.setenv("CYCLR_TOKEN_URL", server.token_url)
        if isinstance(server, V1Server):
            monkeypatch.setenv("CYCLR_V1_URL", server.v1_url)
            monkeypatch.setenv("CYCLR_PARTNER", "partner-1")
        for name, value in more.items():
            monkeypatch.setenv(name, value)

    return of


@pytest.fixture
def threads() -> Threads:
    return Threads()


def spread(engine: Executor, **options: Any) -> FanOut:
    options = {"batch": 20, "in_flight": 3, "session": fast_session, **options}
    return FanOut(executor=engine, **options)


async def test_every_account_comes_once_with_what_the_list_says_of_it(
    environment: Any, threads: Threads, path: Path
) -> None:
    ids = account_ids(230)
    async with PartnerServer(ids) as server, server.session() as session:
        environment(server)
        outcomes = await all_of(session.accounts.collect_usage(store=path, fan_out=spread(threads)))
    assert sorted(one.account_id for one in outcomes) == ids
    assert all(one.usage is not None and one.usage.task_count == usage_of(one.account_id) for one in outcomes)
    assert all(one.account is not None and one.account.audit_info == "listed" for one in outcomes)
    assert set(server.hits.values()) == {1}
    assert stored(path) == set(ids)
    with UsageReader(path) as reader:
        assert reader.run().status == "complete"
    assert len(threads.tasks) >= 230 / 20
    assert server.identified == 3  # the store, the engine, and once for the process with its four threads


async def test_the_v1_api_is_spread_as_well(environment: Any, threads: Threads, path: Path) -> None:
    ids = api_ids(230)
    async with V1Server(ids) as server, server.session() as session:
        environment(server)
        async with session.v1.accounts.collect_usage(store=path, fan_out=spread(threads)) as run:
            outcomes = [outcome async for outcome in run]
    assert sorted(one.account_id for one in outcomes) == ids
    assert all(one.usage is not None and one.usage.tasks_used == tasks_of(one.account_id) for one in outcomes)
    assert set(server.hits.values()) == {1}
    assert stored(path) == set(ids)


async def test_refusals_of_accounts_are_kept_as_theirs(environment: Any, threads: Threads, path: Path) -> None:
    ids = account_ids(300)
    refused = {one: NOT_FOUND if number % 2 else FORBIDDEN for number, one in enumerate(ids[5::7])}
    async with PartnerServer(ids, lambda account, _: refused.get(account)) as server, server.session() as session:
        environment(server)
        outcomes = await all_of(session.accounts.collect_usage(store=path, fan_out=spread(threads)))
    assert sorted(one.account_id for one in outcomes) == ids
    kinds = Counter(type(one.error) for one in outcomes)
    half = len(refused) // 2
    assert kinds == {type(None): 300 - len(refused), ForbiddenError: len(refused) - half, NotFoundError: half}
    asked = Counter(count for account, count in server.hits.items() if account in refused)
    assert asked == {1: len(refused)}  # none of them again: only those that answered are asked as witnesses


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(NOT_FOUND, "systemic"), (FORBIDDEN, "systemic"), (UNAUTHORIZED, "authentication"), (http(404), "systemic")],
    ids=["404", "403", "401", "a page"],
)
async def test_when_everybody_is_refused_no_account_is_marked(
    environment: Any, threads: Threads, path: Path, answer: bytes, reason: str
) -> None:
    ids = account_ids(3000)
    async with PartnerServer((), lambda *_: answer) as server, server.session(clock=shared_clock) as session:
        environment(server)
        run = session.accounts.collect_usage(ids, store=path, fan_out=spread(threads, batch=200))
        with pytest.raises(BulkInterruptedError) as caught:
            await all_of(run)
    assert (caught.value.reason, caught.value.resumable) == (reason, True)
    assert states(path).keys() <= {"pending"}
    # Of 600 that were given out, no worker asks on after it has seen enough; one looks ahead as without workers.
    assert server.requests < 3000


async def test_credentials_that_end_in_the_middle_lose_nothing(environment: Any, threads: Threads, path: Path) -> None:
    ids = account_ids(600)
    dead = False

    def reply(_account: str, _nth: int) -> bytes | None:
        nonlocal dead
        dead = dead or server.requests > 300
        return UNAUTHORIZED if dead else None

    async with PartnerServer((), reply) as server, server.session(clock=shared_clock) as session:
        environment(server)
        with pytest.raises(BulkInterruptedError) as caught:
            await all_of(session.accounts.collect_usage(ids, store=path, fan_out=spread(threads)))
        assert caught.value.reason == "authentication"
        kept = stored(path)
        assert 200 <= len(kept) <= 300
        assert states(path).keys() == {"ok", "pending"}
        assert server.requests < 420
        server.reply = lambda *_: None
        rest = await all_of(session.accounts.collect_usage(ids, store=path, fan_out=spread(threads)))
    assert {one.account_id for one in rest} == set(ids) - kept
    assert stored(path) == set(ids)


async def test_failures_that_pass_are_asked_again_by_the_coordinator(
    environment: Any, threads: Threads, path: Path
) -> None:
    ids = account_ids(200)
    ill = set(ids[3::40])

    def reply(account: str, nth: int) -> bytes | None:
        return FAILED if account in ill and nth <= 7 else None

    async with PartnerServer((), reply) as server, server.session(clock=shared_clock) as session:
        environment(server)
        outcomes = await all_of(session.accounts.collect_usage(ids, store=path, fan_out=spread(threads)))
    assert sorted(one.account_id for one in outcomes) == ids
    assert all(one.ok for one in outcomes)
    # Five by the worker, which hands it back, and the rest in a later pass: all of them are the account's attempts.
    assert {one.attempts for one in outcomes if one.account_id in ill} == {8}


async def test_without_later_passes_a_worker_settles_what_fails(environment: Any, threads: Threads) -> None:
    ids = account_ids(60)
    ill = set(ids[3::20])
    async with (
        PartnerServer((), lambda account, _: FAILED if account in ill else None) as server,
        server.session(clock=shared_clock) as session,
    ):
        environment(server)
        outcomes = await all_of(session.accounts.collect_usage(ids, passes=0, fan_out=spread(threads)))
    assert {one.account_id for one in outcomes if isinstance(one.error, ServerError)} == ill
    assert len(outcomes) == 60


async def test_an_outage_is_waited_for_by_the_coordinator(environment: Any, threads: Threads, path: Path) -> None:
    ids = account_ids(400)
    ends: list[float] = []

    def reply(_account: str, _nth: int) -> bytes | None:
        if server.requests > 150 and not ends:
            ends.append(shared_clock.now() + 900.0)
        return FAILED if ends and shared_clock.now() < ends[0] else None

    async with PartnerServer((), reply) as server, server.session(clock=shared_clock) as session:
        environment(server)
        run = session.accounts.collect_usage(ids, store=path, fan_out=spread(threads))
        outcomes = await all_of(run)
    assert sorted(one.account_id for one in outcomes) == ids
    assert all(one.ok for one in outcomes)
    assert run.progress.elapsed >= 900
    assert stored(path) == set(ids)


async def test_an_outage_that_lasts_ends_the_run(environment: Any, threads: Threads, path: Path) -> None:
    ids = account_ids(400)
    async with (
        PartnerServer((), lambda *_: FAILED if server.requests > 100 else None) as server,
        server.session(clock=shared_clock) as session,
    ):
        environment(server)
        run = session.accounts.collect_usage(ids, store=path, fan_out=spread(threads), max_outage=600)
        with pytest.raises(BulkInterruptedError, match="out for") as caught:
            await all_of(run)
    assert (caught.value.reason, caught.value.resumable) == ("outage", True)
    assert run.progress.failed == 0


async def test_workers_that_reach_nothing_while_the_coordinator_does_end_the_run(environment: Any, path: Path) -> None:
    ids = account_ids(2000)
    came_back = 0

    def change(_number: int, reply: BatchReply) -> BatchReply:
        nonlocal came_back
        came_back += 1
        nothing = Answers(stopped=ServerError("failed", status=500))
        return attrs.evolve(reply, answers=pickle.dumps(nothing))

    engine = Threads(change)
    async with PartnerServer(()) as server, server.session(clock=shared_clock) as session:
        environment(server)
        with pytest.raises(BulkInterruptedError, match="the workers get no answer") as caught:
            await all_of(session.accounts.collect_usage(ids, store=path, fan_out=spread(engine)))
    assert (caught.value.reason, caught.value.resumable) == ("workers", True)
    assert 9 <= came_back <= 13


async def test_a_slow_source_has_its_accounts_asked_at_once(environment: Any, threads: Threads) -> None:
    ids = account_ids(6)
    asked: list[int] = []

    async def slowly() -> AsyncIterator[str]:
        for one in ids:
            yield one
            until = asyncio.get_running_loop().time() + 20
            while not server.hits[one]:
                assert asyncio.get_running_loop().time() < until, "an account waits for a batch to be full"
                await asyncio.sleep(0.002)
            asked.append(len(threads.tasks))

    async with PartnerServer(()) as server, server.session() as session:
        environment(server)
        outcomes = await all_of(session.accounts.collect_usage(slowly(), fan_out=spread(threads)))
    assert [one.account_id for one in outcomes] == ids
    assert asked == [1, 2, 3, 4, 5, 6]


async def test_a_fast_source_makes_full_batches(environment: Any, threads: Threads) -> None:
    async with PartnerServer(()) as server, server.session() as session:
        environment(server)
        await all_of(session.accounts.collect_usage(account_ids(205), fan_out=spread(threads)))
    sizes = [len(task.ids) for task in threads.tasks]
    assert sum(sizes) == 205
    assert sizes.count(20) >= 9


async def test_what_cannot_be_an_account_is_settled_here(environment: Any, threads: Threads, path: Path) -> None:
    ids: list[Any] = [*account_ids(30), "", 7, "a/b", *account_ids(30, 30)]
    async with PartnerServer(()) as server, server.session() as session:
        environment(server)
        outcomes = await all_of(session.accounts.collect_usage(ids, store=path, fan_out=spread(threads)))
    wrong = sorted(one.account_id for one in outcomes if isinstance(one.error, InvalidArgumentError))
    assert wrong == ["", "7", "a/b"]
    assert sum(one.ok for one in outcomes) == 60
    assert not {"", "7"} & {one for task in threads.tasks for one in task.ids}


async def test_leaving_the_block_keeps_what_was_yielded(environment: Any, threads: Threads, path: Path) -> None:
    ids = account_ids(500)
    seen = set()
    async with PartnerServer((), delay=0.001) as server, server.session() as session:
        environment(server)
        async with session.accounts.collect_usage(ids, store=path, fan_out=spread(threads)) as run:
            async for outcome in run:
                seen.add(outcome.account_id)
                if len(seen) == 100:
                    break
        assert seen <= stored(path)
        rest = await all_of(session.accounts.collect_usage(ids, store=path, fan_out=spread(threads)))
        # What the workers had begun when the block was left is theirs to finish; the server goes when they are done.
        threads.shutdown()
    assert stored(path) == set(ids)
    assert not seen & {one.account_id for one in rest}


def _other(field: str, value: object) -> Callable[[int, Any], Any]:
    return lambda number, reply: attrs.evolve(reply, **{field: value}) if number >= 3 else reply


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_other("version", "9.9"), "has cyclr-async 9.9"),
        (_other("base_url", "https://other.example.com/api/partner"), "asks https://other"),
        (_other("same_partner", False), "sees the data of"),
        (_other("number", 1), r"pure=False"),
        (_other("run", "another"), r"pure=False"),
        (lambda _number, _reply: None, "returned NoneType"),
    ],
    ids=["version", "host", "partner", "number", "run", "kind"],
)
async def test_a_reply_that_is_not_of_this_run_stops_it(
    environment: Any, path: Path, change: Callable[[int, Any], Any], words: str
) -> None:
    engine = Threads(change)
    async with PartnerServer(()) as server, server.session() as session:
        environment(server)
        run = session.accounts.collect_usage(account_ids(300), store=path, fan_out=spread(engine))
        with pytest.raises(BulkInterruptedError, match=words) as caught:
            await all_of(run)
    assert (caught.value.reason, caught.value.resumable) == ("workers", True)
    with UsageReader(path) as reader:
        assert reader.run().status == "interrupted"


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("CYCLR_PARTNER", "somebody-else", "sees the data of 'somebody-else'"),
        ("CYCLR_BASE_URL", "http://127.0.0.1:9/api/partner", "asks http://127.0.0.1:9"),
        ("CYCLR_CONNECTIONS", "none", "a worker cannot make its session.*CYCLR_CONNECTIONS"),
    ],
)
async def test_a_worker_of_other_settings_asks_for_nobody(
    environment: Any, threads: Threads, path: Path, variable: str, value: str, words: str
) -> None:
    async with PartnerServer(()) as server, server.session(partner="mine") as session:
        environment(server, **{"CYCLR_PARTNER": "mine", variable: value})
        with pytest.raises(BulkInterruptedError, match=words) as caught:
            await all_of(session.accounts.collect_usage(account_ids(60), store=path, fan_out=spread(threads)))
    assert (caught.value.reason, caught.value.resumable) == ("workers", True)
    assert server.requests == 0


@pytest.mark.parametrize("said", [True, False])
async def test_a_partner_that_only_one_side_was_told_is_known_by_the_client_id(
    environment: Any, threads: Threads, monkeypatch: pytest.MonkeyPatch, said: bool
) -> None:
    async with PartnerServer(()) as server:
        environment(server)
        monkeypatch.delenv("CYCLR_ACCESS_TOKEN")
        monkeypatch.setenv("CYCLR_CLIENT_ID", "client")
        monkeypatch.setenv("CYCLR_CLIENT_SECRET", "secret")
        if not said:
            monkeypatch.setenv("CYCLR_PARTNER", "mine")
        async with server.session(ClientCredentials("client", "secret"), partner="mine" if said else None) as session:
            outcomes = await all_of(session.accounts.collect_usage(account_ids(30), fan_out=spread(threads)))
    assert len(outcomes) == 30


class Scripted(Executor):
    """An engine whose batches come to what a script says: an exception, or a cancellation; others are done."""

    def __init__(self, *script: BaseException | str | None) -> None:
        self.script = list(script)
        self.inner = Threads()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        step = self.script.pop(0) if self.script else None
        if step is None:
            return self.inner.submit(fn, *args, **kwargs)
        future: Future[Any] = Future()
        if step == "cancelled":
            future.cancel()
            future.set_running_or_notify_cancel()
        elif step == "shut down":
            raise RuntimeError("cannot schedule new futures after shutdown")
        else:
            assert isinstance(step, BaseException)
            future.set_exception(step)
        return future


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("cancelled", "has cancelled a batch"),
        ("shut down", "takes no more work"),
        (BrokenProcessPool("gone"), "has lost a worker"),
        (BrokenExecutor("gone"), "has lost a worker"),
        (asyncio.CancelledError(), "could not settle batch"),
        (KeyboardInterrupt(), "could not settle batch"),
    ],
    ids=["cancelled", "shut down", "pool", "broken", "cancelled inside", "interrupt"],
)
async def test_an_engine_that_is_gone_is_an_error_and_never_a_partial_run(
    environment: Any, path: Path, step: Any, words: str
) -> None:
    ids = account_ids(200)
    async with PartnerServer(()) as server, server.session() as session:
        environment(server)
        run = session.accounts.collect_usage(ids, store=path, fan_out=spread(Scripted(None, None, None, step)))
        with pytest.raises(BulkInterruptedError, match=words) as caught:
            await all_of(run)
        assert (caught.value.reason, caught.value.resumable) == ("workers", True)
        with UsageReader(path) as reader:
            assert reader.run().status == "interrupted"
        rest = await all_of(session.accounts.collect_usage(ids, store=path, fan_out=spread(Scripted())))
    assert {one.account_id for one in rest} <= set(ids)
    assert stored(path) == set(ids)


async def test_a_batch_that_came_to_nothing_is_given_out_again(environment: Any, path: Path) -> None:
    ids = account_ids(200)
    lost = OSError("the worker died")
    async with PartnerServer(()) as server, server.session() as session:
        environment(server)
        engine = Scripted(lost, None, lost, lost, None, lost)
        await all_of(session.accounts.collect_usage(ids, store=path, fan_out=spread(engine)))
    assert stored(path) == set(ids)
    assert set(server.hits.values()) == {1}


async def test_a_batch_that_no_worker_can_settle_does_not_go_round_for_ever(environment: Any, path: Path) -> None:
    async with PartnerServer(()) as server, server.session() as session:
        environment(server)
        engine = Scripted(*[ModuleNotFoundError("No module named 'cyclr_async'")] * 50)
        with pytest.raises(BulkInterruptedError, match=r"given out 4 times \(ModuleNotFoundError: No module"):
            await all_of(session.accounts.collect_usage(account_ids(30), store=path, fan_out=spread(engine)))
    assert len(engine.script) >= 40


async def test_no_secret_is_in_what_an_engine_sends(
    environment: Any, threads: Threads, monkeypatch: pytest.MonkeyPatch, path: Path
) -> None:
    refused = http(404, {"Message": "none"})
    async with PartnerServer((), lambda account, _: refused if account.endswith("7") else None) as server:
        server.token = lambda: http(200, {"access_token": BEARER, "expires_in": 3600})
        environment(server)
        monkeypatch.delenv("CYCLR_ACCESS_TOKEN")
        monkeypatch.setenv("CYCLR_CLIENT_ID", "client")
        monkeypatch.setenv("CYCLR_CLIENT_SECRET", CLIENT_SECRET)
        async with server.session(ClientCredentials("client", CLIENT_SECRET)) as session:
            await all_of(session.accounts.collect_usage(account_ids(100), store=path, fan_out=spread(threads)))
    assert server.token_requests == 2  # the worker has fetched one of its own
    assert len(threads.pickles) >= 10
    assert not [sent for sent in threads.pickles if MARK.encode() in sent or b"client-secret" in sent]


async def test_a_fan_out_that_cannot_work_is_refused(threads: Threads) -> None:
    with pytest.raises(InvalidArgumentError, match=r"executor must be a concurrent\.futures\.Executor, not str"):
        FanOut(executor="pool")  # type: ignore[arg-type]
    for wrong in (0, -1, 2.5, True):
        with pytest.raises(InvalidArgumentError, match=r"FanOut\.batch must be a whole number"):
            FanOut(executor=threads, batch=wrong)  # type: ignore[arg-type]
        with pytest.raises(InvalidArgumentError, match=r"FanOut\.in_flight must be a whole number"):
            FanOut(executor=threads, in_flight=wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="must be a function that makes the session"):
        FanOut(executor=threads, session="session")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="cannot be sent"):
        FanOut(executor=threads, session=lambda: AsyncPartnerSession("token"))
    # A secret refuses to be pickled, so a factory cannot carry one by accident.
    with pytest.raises(InvalidArgumentError, match="carry no credentials"):
        FanOut(executor=threads, session=partial(AsyncPartnerSession, ClientCredentials("client", CLIENT_SECRET)))
    async with AsyncPartnerSession("token") as session:
        with pytest.raises(InvalidArgumentError, match="fan_out must be a FanOut"):
            session.accounts.collect_usage([], fan_out=threads)  # type: ignore[arg-type]


def fails() -> AsyncPartnerSession:
    raise KeyError(BEARER)


async def test_a_factory_that_raises_shows_no_more_than_the_name_of_its_error(
    environment: Any, threads: Threads, path: Path
) -> None:
    async with PartnerServer(()) as server, server.session() as session:
        environment(server)
        run = session.accounts.collect_usage(account_ids(9), store=path, fan_out=spread(threads, session=fails))
        with pytest.raises(BulkInterruptedError, match="factory of FanOut raised KeyError") as caught:
            await all_of(run)
    assert MARK not in str(caught.value)
