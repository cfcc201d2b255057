"""A repeated write is not sent later than ``RetryPolicy.write_window`` after its first attempt, whatever held it up."""

from __future__ import annotations

import asyncio

import pytest

from cyclr_async import (
    AccessToken,
    AsyncPartnerSession,
    ConnectError,
    CyclrError,
    Limits,
    RateLimitedError,
    RetryPolicy,
    ServerError,
    Timeouts,
    UnauthorizedError,
)
from cyclr_async.auth.providers import Exchange
from tests.faults.matrix import partner
from tests.support.answers import ACCOUNT, good, http, json_http
from tests.support.canary import BEARER
from tests.support.server import FaultServer, Link
from tests.support.tls import TlsWorld
from tests.support.virtual import LoopClock, in_virtual_time

WINDOW = 0.3
TIMES = Timeouts(connect=5, read=5, attempt=5, deadline=10, close=0.0)
QUICK = RetryPolicy(attempts=4, base=0.0, throttled_base=0.0, write_window=WINDOW)


class Writes:
    """Answers the first update with ``first``, all later ones well, and reads after ``reading`` seconds."""

    def __init__(self, first: bytes, *, reading: float = 0.0, read: bytes | None = None) -> None:
        self.first = first
        self.reading = reading
        self.read = read
        self.at: list[float] = []
        self.arrived = asyncio.Event()

    async def serve(self, link: Link) -> None:
        while (request := await link.read_request()) is not None:
            if request.method == "PUT":
                self.at.append(request.at)
                self.arrived.set()
                await link.write(self.first if len(self.at) == 1 else good(request))
            else:
                await asyncio.sleep(self.reading)
                await link.write(good(request) if self.read is None else self.read)


async def refused(session: AsyncPartnerSession, *, within: float) -> CyclrError:
    began = asyncio.get_running_loop().time()
    with pytest.raises(CyclrError) as caught:
        await session.accounts.update(ACCOUNT, name="New")
    assert asyncio.get_running_loop().time() - began <= within
    assert caught.value.attempts == 1
    assert any("RetryPolicy.write_window" in note for note in caught.value.__notes__)
    return caught.value


@pytest.mark.parametrize("status", [429, 503])
@in_virtual_time
async def test_a_retry_after_that_ends_after_the_window_is_not_waited_for(status: int) -> None:
    writes = Writes(json_http({}, status, {"Retry-After": "1"}))
    async with FaultServer(writes.serve) as server, partner(server.base_url, timeouts=TIMES, retry=QUICK) as session:
        error = await refused(session, within=0.02)
        assert isinstance(error, RateLimitedError if status == 429 else ServerError)
        # It holds for the others all the same.
        assert session.stats().paused_for > 0.5
    assert len(writes.at) == 1


@in_virtual_time
async def test_within_the_window_it_is_sent_again() -> None:
    writes = Writes(json_http({}, 503, {"Retry-After": "0.1"}))
    async with FaultServer(writes.serve) as server, partner(server.base_url, timeouts=TIMES, retry=QUICK) as session:
        await session.accounts.update(ACCOUNT, name="New")
    assert 0.1 <= writes.at[1] - writes.at[0] <= WINDOW


@in_virtual_time
async def test_queueing_for_a_slot_counts() -> None:
    writes = Writes(json_http({}, 500), reading=0.6)
    async with (
        FaultServer(writes.serve) as server,
        partner(server.base_url, timeouts=TIMES, retry=QUICK, limits=Limits(connections=1)) as session,
    ):
        updating = asyncio.create_task(refused(session, within=WINDOW + 0.02))
        await writes.arrived.wait()
        reading = asyncio.create_task(session.accounts.usage(ACCOUNT))
        assert isinstance(await updating, ServerError)
        await reading
    assert len(writes.at) == 1


@in_virtual_time
async def test_a_pause_that_somebody_else_caused_counts() -> None:
    writes = Writes(json_http({}, 500), reading=0.05, read=json_http({}, 429, {"Retry-After": "3"}))
    slow = RetryPolicy(attempts=4, base=0.5, throttled_base=0.0, write_window=2.0)

    class LongestWait(LoopClock):
        random = staticmethod(lambda: 0.99)  # half a second before the repetition, in which the pause begins

    async with (
        FaultServer(writes.serve) as server,
        partner(server.base_url, timeouts=TIMES, retry=slow, clock=LongestWait()) as session,
    ):
        updating = asyncio.create_task(refused(session, within=0.52))
        await writes.arrived.wait()
        with pytest.raises(RateLimitedError):
            await session.accounts.usage(ACCOUNT, timeout=1)
        assert isinstance(await updating, ServerError)
    assert len(writes.at) == 1


@in_virtual_time
async def test_a_turn_of_the_rate_that_comes_after_the_window_is_not_waited_for() -> None:
    writes = Writes(json_http({}, 500))
    async with (
        FaultServer(writes.serve) as server,
        partner(server.base_url, timeouts=TIMES, retry=QUICK, limits=Limits(requests_per_second=1)) as session,
    ):
        assert isinstance(await refused(session, within=0.02), ServerError)
    assert len(writes.at) == 1


@in_virtual_time
async def test_waiting_for_a_token_counts() -> None:
    class Slow:
        async def fetch(self, exchange: Exchange, previous: AccessToken | None) -> AccessToken:
            if previous is not None:
                await asyncio.sleep(0.6)
            return AccessToken(BEARER)

    writes = Writes(json_http({}, 401))
    async with (
        FaultServer(writes.serve) as server,
        AsyncPartnerSession(
            Slow(),
            base_url=server.base_url,
            token_url=server.token_url,
            timeouts=TIMES,
            retry=QUICK,
            clock=LoopClock(),
        ) as session,
    ):
        assert isinstance(await refused(session, within=0.62), UnauthorizedError)
    assert len(writes.at) == 1


@in_virtual_time
async def test_a_slow_handshake_counts(tls_world: TlsWorld) -> None:
    accepted: list[asyncio.StreamWriter] = []
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.append(writer)
        if len(accepted) > 1:
            await asyncio.sleep(2 * WINDOW)
        try:
            await writer.start_tls(tls_world.good)
            requests.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(http(500, b"{}", {"Connection": "close"}))
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with partner(
        f"https://127.0.0.1:{port}/api/partner", timeouts=TIMES, retry=QUICK, ca_file=tls_world.authority_file
    ) as session:
        began = asyncio.get_running_loop().time()
        with pytest.raises(ConnectError, match=r"RetryPolicy\.write_window") as caught:
            await session.accounts.update(ACCOUNT, name="New")
        assert asyncio.get_running_loop().time() - began <= WINDOW + 0.02
        assert (caught.value.sent, caught.value.attempts) == ("never", 2)
        await asyncio.sleep(2 * WINDOW)
    listener.close()
    await listener.wait_closed()
    for writer in accepted:
        writer.close()
    assert len(accepted) == 2
    assert len(requests) == 1
