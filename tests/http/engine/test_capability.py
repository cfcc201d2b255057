"""An aiohttp that is built otherwise than direct reads expect: they go through ClientSession, and it is said once."""

from __future__ import annotations

import functools
import logging
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

from cyclr_async import Limits, ProtocolError, RetryPolicy, TransportError
from cyclr_async.http.engine.direct import DirectReads
from tests.faults.matrix import POLICY, partner
from tests.support.answers import account_id, good, task_count
from tests.support.server import FaultServer, answer, script

HANDLER = Limits(reuse_connections=False)
"""With these every read is done by aiohttp's handler, and not only the unusual ones."""
PLENTY = script(*[answer(good)] * 50)


@pytest.fixture
async def server() -> AsyncIterator[FaultServer]:
    async with FaultServer(PLENTY) as made:
        yield made


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    # Above DEBUG: in one process with tests/faults, whose watch for secrets sets that level, calls are logged as well.
    found = [one for one in caplog.records if one.name == "cyclr_async.http" and one.levelno >= logging.WARNING]
    return [record.getMessage() for record in found if record.levelno > logging.DEBUG]


def _another_constructor(patch: pytest.MonkeyPatch) -> None:
    """As in aiohttp 4, where what used to have a default must be given."""
    plain = aiohttp.ClientRequest.__init__

    def changed(self: aiohttp.ClientRequest, method: str, url: Any, *, timer: Any, **options: Any) -> None:
        plain(self, method, url, timer=timer, **options)

    patch.setattr(aiohttp.ClientRequest, "__init__", changed)


def _other_parameters(patch: pytest.MonkeyPatch) -> None:
    plain = ResponseHandler.set_response_params

    def changed(self: ResponseHandler, *, timer: Any, **options: Any) -> None:
        plain(self, timer=timer, **options)

    patch.setattr(ResponseHandler, "set_response_params", changed)


def _no_transport(patch: pytest.MonkeyPatch) -> None:
    patch.delattr(Connection, "transport")


def _another_queue(patch: pytest.MonkeyPatch) -> None:
    """What read() returns is not a pair any more; ClientResponse is made for it, of course."""
    plain = ResponseHandler.read
    started = aiohttp.ClientResponse.start

    async def changed(self: ResponseHandler) -> Any:
        return [*await plain(self), None]

    async def start(self: aiohttp.ClientResponse, connection: Any) -> aiohttp.ClientResponse:
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(ResponseHandler, "read", plain)
            return await started(self, connection)

    patch.setattr(ResponseHandler, "read", changed)
    patch.setattr(aiohttp.ClientResponse, "start", start)


def _a_queue_that_waits(patch: pytest.MonkeyPatch) -> None:
    """An answer that is there is not returned at once."""
    plain = ResponseHandler.feed_data

    def changed(self: ResponseHandler, *item: Any) -> None:
        self._loop.call_soon(functools.partial(plain, self, *item))

    patch.setattr(ResponseHandler, "feed_data", changed)


CHANGES = [_another_constructor, _other_parameters, _no_transport, _another_queue, _a_queue_that_waits]


@pytest.mark.parametrize("change", CHANGES)
async def test_another_aiohttp_is_noticed_when_the_pool_is_made(
    server: FaultServer, change: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    change(monkeypatch)
    async with partner(server.base_url, retry=RetryPolicy(attempts=1)) as session:
        for number in range(1, 4):
            usage = await session.accounts.usage(account_id(number))
            assert usage.task_count == task_count(account_id(number))
        assert len(await session.accounts.list()) == 3
        assert not isinstance(session._pool.engine, DirectReads)
    assert server.request_count == 4
    (line,) = lines(caplog)
    assert "is not built as expected" in line
    assert aiohttp.__version__ in line
    assert "\n" not in line


@pytest.mark.parametrize("change", [_other_parameters, _no_transport])
async def test_what_shows_only_when_sending_costs_no_call(
    server: FaultServer, change: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with partner(server.base_url, limits=HANDLER, retry=RetryPolicy(attempts=1)) as session:
        await session.accounts.usage(account_id(9))
        change(monkeypatch)
        for number in range(1, 4):
            usage = await session.accounts.usage(account_id(number))
            assert usage.task_count == task_count(account_id(number))
        assert [account.id async for account in session.accounts.iter()] == [account_id(n) for n in range(3)]
    assert server.request_count == 5  # nothing was sent twice
    assert len(lines(caplog)) == 1


@pytest.mark.parametrize("error", [TypeError, AttributeError])
async def test_a_failure_behind_the_request_is_an_error_of_ours_and_happens_once(
    server: FaultServer, error: type[Exception], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with partner(server.base_url, limits=HANDLER, retry=POLICY) as session:
        await session.accounts.usage(account_id(9))
        plain = ResponseHandler.read

        def changed(self: ResponseHandler) -> Any:
            monkeypatch.setattr(ResponseHandler, "read", plain)
            raise error("no such thing")

        monkeypatch.setattr(ResponseHandler, "read", changed)
        for number in range(1, 4):  # the first is repeated, because a read may be
            usage = await session.accounts.usage(account_id(number))
            assert usage.task_count == task_count(account_id(number))
        assert session.stats().retries == 1
    assert len([line for line in lines(caplog) if "not built as expected" in line]) == 1


async def test_without_a_repetition_it_is_an_error_of_ours_too(
    server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with partner(server.base_url, limits=HANDLER, retry=RetryPolicy(attempts=1)) as session:
        await session.accounts.usage(account_id(9))

        def changed(self: ResponseHandler) -> Any:
            raise TypeError("no such thing")

        monkeypatch.setattr(ResponseHandler, "read", changed)
        with pytest.raises(TransportError) as caught:
            await session.accounts.usage(account_id(1))
        assert caught.value.sent == "maybe"
        assert not isinstance(caught.value, ProtocolError)


async def test_connections_that_cannot_be_watched_are_used_once(
    server: FaultServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plain = aiohttp.TCPConnector._create_connection

    async def changed(self: aiohttp.TCPConnector, *args: Any) -> ResponseHandler:
        self._factory = functools.partial(ResponseHandler, loop=self._loop)
        return await plain(self, *args)

    monkeypatch.setattr(aiohttp.TCPConnector, "_create_connection", changed)
    async with partner(server.base_url) as session:
        for number in range(1, 4):
            usage = await session.accounts.usage(account_id(number))
            assert usage.task_count == task_count(account_id(number))
    assert server.connections == 3
    assert len([line for line in lines(caplog) if "each is used once" in line]) == 1


async def test_the_rehearsal_leaves_nothing_in_the_loop(server: FaultServer) -> None:
    """The folder's fixture counts tasks and sockets; here the answer of the rehearsal must reach nobody."""
    async with partner(server.base_url, limits=Limits()) as session:
        assert (await session.accounts.usage(account_id(1))).task_count == task_count(account_id(1))
        assert isinstance(session._pool.engine, DirectReads)
        stats = session.stats()
        assert (stats.connections_created, stats.connections_dropped) == (1, 0)
