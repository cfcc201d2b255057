"""Sessions that share, in one process: what they share, what they say, and what they do when the place is lost."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.shared import RedisServer
from cyclr_async import (
    AccessToken,
    AsyncPartnerSession,
    ClientCredentials,
    Exchange,
    Limits,
    PasswordGrant,
    Secret,
    SharedState,
    SharedStateError,
    SharedStateEvent,
    TokenEvent,
    TokenProvider,
    UnauthorizedError,
)
from cyclr_async.simulator import Simulator
from tests.support.canary import CLIENT_SECRET, MARK, PASSWORD

LIMITS = Limits(requests_per_second=200)
BOTH = pytest.mark.parametrize("place", ["file", "redis"], indirect=True)


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with Simulator(accounts=3, password=PASSWORD, client_secret=CLIENT_SECRET).in_thread() as simulator:
        yield simulator


def by_password(sim: Simulator, **more: Any) -> PasswordGrant:
    return PasswordGrant(sim.client_id, sim.username, sim.password, **more)


@BOTH
async def test_one_sign_in_serves_all(sim: Simulator, place: str) -> None:
    sim.one_token_pair = True
    events: list[object] = []
    async with (
        sim.session(auth=by_password(sim), shared=place) as first,
        sim.session(auth=by_password(sim), shared=place, on_event=events.append) as second,
    ):
        await first.details()
        await asyncio.gather(*(second.details() for _ in range(20)))
        assert (first.stats().token_refreshes, first.stats().tokens_adopted) == (1, 0)
        assert (second.stats().token_refreshes, second.stats().tokens_adopted) == (0, 1)
        assert [event for event in events if isinstance(event, TokenEvent)] == [TokenEvent(action="adopted")]
        assert second.stats().shared == "held"
    assert len(sim.requests.select(operation="token")) == 1


@BOTH
async def test_the_place_alone_shows_no_secret(
    sim: Simulator, place: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    kept: list[AccessToken] = []
    async with sim.session(auth=by_password(sim), shared=place, limits=LIMITS, on_token=kept.append) as session:
        await session.details()
        await session.details()
        (token,) = kept
        assert token.refresh_token is None
        if place.startswith("redis"):
            server: RedisServer = request.getfixturevalue("redis_server")
            keys = server.command("KEYS", "*").split(b"\r\n")[2::2]
            stored = b"".join(
                server.command("HGETALL", key.decode()) + server.command("GET", key.decode()) for key in keys
            ) + b"".join(keys)
            assert b":token" in stored
        else:
            stored = b"".join(path.read_bytes() + path.name.encode() for path in _files(tmp_path))
        assert len(stored) > 200
        for secret in (token.value.reveal(), PASSWORD, CLIENT_SECRET, MARK, sim.client_id, sim.username):
            assert secret.encode() not in stored


def _files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


@BOTH
async def test_other_credentials_have_a_token_of_their_own(sim: Simulator, place: str) -> None:
    account_id = sim.account_ids(1)[0]
    auths: list[TokenProvider] = [
        ClientCredentials(sim.client_id, sim.client_secret),
        ClientCredentials(sim.client_id, sim.client_secret, account_id=account_id),
        by_password(sim),
        by_password(sim, account_id=account_id),
    ]
    for auth in auths:
        async with sim.session(auth=auth, shared=place) as session:
            await session.accounts.usage(account_id)
            assert session.stats().token_refreshes == 1


async def test_a_refresh_token_given_to_all_is_sent_by_one(sim: Simulator, tmp_path: Path) -> None:
    kept: list[AccessToken] = []
    async with sim.session(auth=by_password(sim), on_token=kept.append) as session:
        await session.details()
    taken = kept[0].refresh_token
    assert taken is not None
    given = taken.take()
    for _ in range(3):
        async with sim.session(auth=by_password(sim, refresh_token=given), shared=tmp_path / "x") as session:
            await session.details()
    assert len(sim.requests.select(operation="token")) == 2
    assert sim.refresh_tokens_reused == 0


async def test_refused_tokens_are_replaced_twice_in_ten_seconds_by_all_together(sim: Simulator, tmp_path: Path) -> None:
    async with (
        sim.session(auth=by_password(sim), shared=tmp_path / "x") as first,
        sim.session(auth=by_password(sim), shared=tmp_path / "x") as second,
    ):
        await first.details()
        await second.details()
        sim.faults.add("401")
        for session in (first, second, first, second):
            with pytest.raises(UnauthorizedError):
                await session.details()
        sim.faults.clear()
        assert first.stats().token_refreshes + second.stats().token_refreshes == 3
        await first.details()
        await second.details()


class OwnProvider:
    """A provider of the user's, which may say what tells its credentials from others."""

    def __init__(self) -> None:
        self.fetched = 0

    async def fetch(self, exchange: Exchange, previous: AccessToken | None) -> AccessToken:
        self.fetched += 1
        form = {"grant_type": "client_credentials", "client_id": "simulator", "client_secret": CLIENT_SECRET}
        return await exchange(form, True)


class SharingProvider(OwnProvider):
    def sharing(self) -> tuple[tuple[str, ...], Secret]:
        return ("vault", "billing"), Secret(CLIENT_SECRET)


@pytest.mark.parametrize(("provider", "fetched"), [(OwnProvider, 2), (SharingProvider, 1)])
async def test_a_provider_of_ones_own(
    sim: Simulator, tmp_path: Path, provider: type[OwnProvider], fetched: int
) -> None:
    providers = [provider(), provider()]
    for auth in providers:
        async with sim.session(auth=auth, shared=tmp_path / "x") as session:
            await session.details()
    assert sum(auth.fetched for auth in providers) == fetched


async def test_a_record_that_somebody_changed_is_not_used(
    sim: Simulator, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with sim.session(shared=redis_server.url) as session:
        await session.details()
    (key,) = [
        key.decode() for key in redis_server.command("KEYS", "*:token").split(b"\r\n")[2::2] if key.endswith(b"token")
    ]
    redis_server.command("HSET", key, "value", "c1AAAA")
    async with sim.session(shared=redis_server.url) as session:
        await session.details()
        assert session.stats().token_refreshes == 1
    assert "was changed by somebody" in caplog.text


async def test_a_file_that_is_removed_is_lost_and_found(
    sim: Simulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[object] = []
    path = tmp_path / "x"
    async with sim.session(shared=path, limits=LIMITS, on_event=events.append) as session:
        await session.details()
        for file in _files(tmp_path):
            file.unlink()
        await asyncio.sleep(1.1)  # the place is looked at once a second
        await session.details()
        assert session.stats().shared_losses == 1
        until = time.monotonic() + 10
        while session.stats().shared != "held":
            assert time.monotonic() < until
            await asyncio.sleep(0.1)
            await session.details()
    told = [event for event in events if isinstance(event, SharedStateEvent)]
    assert [event.action for event in told] == ["lost", "restored"]
    assert told[0].error is not None
    assert "removed or replaced" in told[0].error
    assert "goes on with a share of 1 in 1" in caplog.text
    assert "is back" in caplog.text


async def several(session: AsyncPartnerSession, calls: int) -> None:
    for _ in range(calls):
        await session.details()


async def test_calls_fail_where_that_is_wanted(sim: Simulator, redis_server: RedisServer) -> None:
    shared = SharedState.redis(redis_server.url, on_loss="fail")
    async with sim.session(shared=shared, limits=LIMITS) as session:
        await session.details()
        redis_server.stop()
        asked = sim.requests.total
        with pytest.raises(SharedStateError, match=r"was lost.*nothing was sent") as caught:
            await several(session, 50)  # a few turns are in hand
        assert caught.value.sent == "never"
        assert sim.requests.total - asked < 50
        redis_server.start()
        until = time.monotonic() + 10
        while True:
            try:
                await session.details()
                break
            except SharedStateError:
                assert time.monotonic() < until
                await asyncio.sleep(0.1)


async def test_a_frozen_redis_holds_nobody_up_for_long(sim: Simulator, redis_server: RedisServer) -> None:
    async with sim.session(shared=redis_server.url, limits=LIMITS) as session:
        await session.details()
        redis_server.signal(signal.SIGSTOP)
        try:
            began = time.monotonic()
            for _ in range(30):
                await session.details(timeout=5)
            assert time.monotonic() - began < 4
            assert session.stats().shared == "lost"
            with pytest.raises(SharedStateError, match="did not answer"):
                async with sim.session(shared=redis_server.url) as late:
                    await late.details()
        finally:
            redis_server.signal(signal.SIGCONT)


async def test_redis_far_away_makes_calls_wait_and_nothing_fail(sim: Simulator, redis_server: RedisServer) -> None:
    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65536):
            await asyncio.sleep(0.1)  # there and back: 200 ms
            writer.write(piece)
        writer.close()

    async def link(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", redis_server.port)
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer), return_exceptions=True)

    server = await asyncio.start_server(link, "127.0.0.1", 0)
    url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    async with sim.session(shared=url, limits=LIMITS) as session:
        await asyncio.gather(*(session.details(timeout=20) for _ in range(60)))
        stats = session.stats()
        assert (stats.failures, stats.shared_losses) == (0, 0)
    server.close()


async def test_a_client_of_ones_own_stays_open(sim: Simulator, redis_server: RedisServer) -> None:
    redis = pytest.importorskip("redis.asyncio")
    for decode in (False, True):
        client = redis.Redis.from_url(redis_server.url, decode_responses=decode)
        for _ in range(2):
            async with sim.session(shared=SharedState.redis(client, prefix="mine"), limits=LIMITS) as session:
                await session.details()
        assert await client.ping()
        assert [key async for key in client.scan_iter("mine:{*")]
        await client.aclose()
    assert len(sim.requests.select(operation="token")) == 1


@BOTH
async def test_a_pause_without_a_rate_is_shared_too(sim: Simulator, place: str) -> None:
    async with sim.session(shared=place) as first, sim.session(shared=place) as second:
        await first.details()
        await second.details()
        await asyncio.sleep(0.3)  # until it listens
        sim.faults.add("429:times=1:retry-after=1")
        asked = asyncio.create_task(first.details())
        until = time.monotonic() + 5
        while not second.stats().paused_for:
            assert time.monotonic() < until
            await asyncio.sleep(0.01)
        began, left = time.monotonic(), second.stats().paused_for
        await second.details()
        assert time.monotonic() - began >= left - 0.02
        await asked


async def test_a_lone_session_says_once_that_it_is_not_alone(sim: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "cyclr_async")
    async with sim.session(limits=Limits(requests_per_second=100)) as throttled:
        await throttled.details()
        sim.faults.add("429:times=5:retry-after=0.1")
        await asyncio.gather(*(throttled.details() for _ in range(5)))
    (line,) = [record.getMessage() for record in caplog.records if "shared=" in record.getMessage()]
    assert "429 although this process keeps to its rate" in line
    assert "docs/workers.md" in line


async def test_tokens_that_die_early_are_said_to_be_shared(sim: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    async with sim.session(clock=sim.session_clock) as session:
        for _ in range(4):
            await session.details()
            sim.revoke_tokens()
            sim.clock.advance(30)  # past the rule against a second renewal
        await session.details()
    lines = [record.getMessage() for record in caplog.records if "shared=" in record.getMessage()]
    assert len(lines) == 1
    assert "refused long before they end" in lines[0]


async def test_a_cancelled_caller_loses_no_turn_and_no_token(sim: Simulator, tmp_path: Path) -> None:
    limits = Limits(requests_per_second=50)
    async with sim.session(shared=tmp_path / "x", limits=limits) as session:
        calls = [asyncio.create_task(session.details()) for _ in range(40)]
        for call in calls[::2]:
            await asyncio.sleep(0.002)
            call.cancel()
        done = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(not isinstance(one, BaseException) for one in done) == 20
        assert session.stats().queued == session.stats().in_flight == 0
        assert isinstance(session, AsyncPartnerSession)


async def test_the_rights_that_the_page_names_are_enough(sim: Simulator, redis_server: RedisServer) -> None:
    page = Path(__file__).parents[2] / "docs" / "workers.md"
    text = await asyncio.to_thread(page.read_text, encoding="utf-8")
    rights = text[text.index("`~cyclr:*") + 1 :].partition("`")[0].split()
    assert redis_server.command("ACL", "SETUSER", "app", "on", ">pw", "-@all", *rights).startswith(b"+OK")
    url = redis_server.url.replace("redis://", "redis://app:pw@")
    async with sim.session(shared=url, limits=LIMITS) as first, sim.session(shared=url) as second:
        await first.details()
        await second.details()
        assert (second.stats().tokens_adopted, first.stats().shared_losses) == (1, 0)
        await asyncio.sleep(0.3)  # until it listens
        sim.faults.add("429:times=1:retry-after=1")
        asked = asyncio.create_task(first.details())
        until = time.monotonic() + 5
        while not second.stats().paused_for:
            assert time.monotonic() < until
            await asyncio.sleep(0.01)
        await asked
        assert second.stats().shared_losses == 0
    refused = redis_server.url.replace("redis://", "redis://app:wrong@")
    with pytest.raises(SharedStateError, match="AuthenticationError"):
        async with sim.session(shared=refused) as session:
            await session.details()
