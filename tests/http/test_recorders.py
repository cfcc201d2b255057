"""Recorders, mocks and tracers: what stands in for aiohttp's request function hears every request, and stops it."""

from __future__ import annotations

import copy
import logging
import pickle
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import aiohttp
import pytest
import vcr  # type: ignore[import-untyped]
from aioresponses import aioresponses
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from cyclr_async import AsyncPartnerSession, ConnectError, CyclrError, Limits, OutcomeUnknownError
from cyclr_async.http.engine.direct import DirectReads
from cyclr_async.secret import HiddenBytes, HiddenStr, Secret
from tests.faults.matrix import partner
from tests.support.answers import ACCOUNT, account_id, document, good, task_count
from tests.support.canary import BEARER, MARK, sightings
from tests.support.server import FaultServer, answer, script

PLENTY = script(*[answer(good)] * 50)
KEY = f"{MARK}connector-key"


@pytest.fixture
async def server() -> AsyncIterator[FaultServer]:
    async with FaultServer(PLENTY) as made:
        yield made


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was said about direct reads."""
    return [record.getMessage() for record in caplog.records if "ClientSession" in record.getMessage()]


Standing = Callable[[list[str]], AbstractContextManager[object]]


@contextmanager
def _request(heard: list[str]) -> Iterator[None]:
    """As vcrpy does it: a function in the place of the method."""
    plain = aiohttp.ClientSession._request

    async def stand_in(self: aiohttp.ClientSession, method: str, url: Any, **options: Any) -> aiohttp.ClientResponse:
        heard.append(method)
        return await plain(self, method, url, **options)

    with mock.patch.object(aiohttp.ClientSession, "_request", stand_in):
        yield


@contextmanager
def _public_request(heard: list[str]) -> Iterator[None]:
    plain = aiohttp.ClientSession.request

    def stand_in(self: aiohttp.ClientSession, method: str, url: Any, **options: Any) -> Any:
        heard.append(method)
        return plain(self, method, url, **options)

    with mock.patch.object(aiohttp.ClientSession, "request", stand_in):
        yield


@contextmanager
def _connect(heard: list[str]) -> Iterator[None]:
    plain = aiohttp.TCPConnector.connect

    async def stand_in(self: aiohttp.TCPConnector, req: aiohttp.ClientRequest, traces: Any, timeout: Any) -> Any:
        heard.append(req.method)
        assert "Authorization" in req.headers  # the request itself, as ClientSession makes it
        return await plain(self, req, traces, timeout)

    with mock.patch.object(aiohttp.TCPConnector, "connect", stand_in):
        yield


@contextmanager
def _send(heard: list[str]) -> Iterator[None]:
    plain = aiohttp.ClientRequest.send

    async def stand_in(self: aiohttp.ClientRequest, conn: Any) -> aiohttp.ClientResponse:
        heard.append(self.method)
        return await plain(self, conn)

    with mock.patch.object(aiohttp.ClientRequest, "send", stand_in):
        yield


@contextmanager
def _imitator(heard: list[str]) -> Iterator[None]:
    """As tracers do it: an object that looks like the function in every respect, ``__globals__`` included."""
    plain = aiohttp.ClientSession._request

    class Imitator:
        def __get__(self, instance: Any, owner: type) -> Any:
            if instance is None:
                return self

            async def call(*args: Any, **options: Any) -> Any:
                heard.append(args[0])
                return await plain(instance, *args, **options)

            return call

        def __getattr__(self, name: str) -> Any:
            return getattr(plain, name)

    with mock.patch.object(aiohttp.ClientSession, "_request", Imitator()):
        yield


STANDING: list[Any] = [
    pytest.param(_request, id="_request"),
    pytest.param(_public_request, id="request"),
    pytest.param(_connect, id="connect"),
    pytest.param(_send, id="send"),
    pytest.param(_imitator, id="imitator"),
]


@pytest.mark.parametrize("early", [True, False], ids=["before-the-pool", "after-the-pool"])
@pytest.mark.parametrize("standing", STANDING)
async def test_what_stands_in_for_aiohttp_hears_every_call(
    server: FaultServer, standing: Standing, early: bool, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []
    async with partner(server.base_url) as session:
        if not early:
            await session.accounts.usage(ACCOUNT)
        with standing(heard):
            for number in range(1, 4):
                usage = await session.accounts.usage(account_id(number))
                assert usage.task_count == task_count(account_id(number))
            assert len(await session.accounts.list()) == 3
            await session.accounts.create(name="ACME")
        assert heard == ["GET"] * 4 + ["POST"]
        await session.accounts.usage(ACCOUNT)  # and afterwards reads are direct again
        assert len(heard) == 5
    assert len(lines(caplog)) == 1  # said once
    assert "not aiohttp's own" in lines(caplog)[0]


async def test_without_a_stand_in_nothing_is_said(server: FaultServer, caplog: pytest.LogCaptureFixture) -> None:
    async with partner(server.base_url) as session:
        await session.accounts.usage(ACCOUNT)
    assert lines(caplog) == []


async def test_direct_reads_can_be_switched_off(server: FaultServer, caplog: pytest.LogCaptureFixture) -> None:
    async with partner(server.base_url, limits=Limits(direct_reads=False)) as session:
        assert (await session.accounts.usage(ACCOUNT)).task_count == task_count(ACCOUNT)
        assert not isinstance(session._pool.engine, DirectReads)
    assert lines(caplog) == []


@pytest.mark.parametrize("value", [None, 0, 1, "no"])
def test_direct_reads_is_true_or_false(value: Any) -> None:
    with pytest.raises((CyclrError, TypeError)):
        Limits(direct_reads=value)


# vcrpy


async def _everything(session: AsyncPartnerSession) -> list[object]:
    await session.connectors.install(ACCOUNT, "Mailchimp", "v1", installed_name="News", api_key=Secret(KEY))
    return [
        (await session.accounts.usage(ACCOUNT)).task_count,
        [account.id for account in await session.accounts.list()],
        [account.id async for account in session.accounts.iter()],
        [plan.name for plan in await session.priceplans.list()],
        await session.accounts.update(ACCOUNT, name="New"),
        await session.accounts.create(name="ACME"),
    ]


@pytest.mark.parametrize("options", [{}, {"filter_headers": ["Authorization"]}, {"serializer": "json"}])
async def test_vcrpy_records_and_plays(server: FaultServer, tmp_path: Path, options: dict[str, Any]) -> None:
    cassette = str(tmp_path / "cassette")
    matching = {"match_on": ["method", "uri", "raw_body"], **options}
    with vcr.use_cassette(cassette, record_mode="once", **matching):
        async with partner(server.base_url) as session:
            first = await _everything(session)
    sent = server.request_count
    assert sent == 7
    with vcr.use_cassette(cassette, record_mode="none", **matching) as tape:
        async with partner(server.base_url) as session:
            assert await _everything(session) == first
        assert tape.play_count == 7
    assert server.request_count == sent
    text = Path(cassette).read_text()  # noqa: ASYNC240 - nothing else runs
    assert "!!python" not in text  # what a cassette cannot be loaded with
    assert (BEARER in text) is ("filter_headers" not in options)  # the recorder sees what is sent


async def test_vcrpy_without_a_recording_lets_nothing_through(server: FaultServer, tmp_path: Path) -> None:
    with vcr.use_cassette(str(tmp_path / "none.yaml"), record_mode="none"):
        async with partner(server.base_url) as session:
            for call in (session.accounts.usage(ACCOUNT), session.accounts.create(name="ACME"), session.details()):
                with pytest.raises(vcr.errors.CannotOverwriteExistingCassetteException) as caught:
                    await call
                assert sightings_in_frames(caught.value) == []
    assert server.connections == 0


async def test_vcrpy_in_the_middle_of_a_session(server: FaultServer, tmp_path: Path) -> None:
    async with partner(server.base_url) as session:
        await session.accounts.usage(ACCOUNT)
        with (
            vcr.use_cassette(str(tmp_path / "none.yaml"), record_mode="none"),
            pytest.raises(vcr.errors.CannotOverwriteExistingCassetteException),
        ):
            await session.accounts.usage(account_id(1))
    assert server.request_count == 1


async def test_vcrpy_with_a_session_of_the_caller(server: FaultServer, tmp_path: Path) -> None:
    cassette = str(tmp_path / "own.yaml")
    for mode in ("once", "none"):
        with vcr.use_cassette(cassette, record_mode=mode):
            async with aiohttp.ClientSession() as mine, partner(server.base_url, client_session=mine) as session:
                assert (await session.accounts.usage(ACCOUNT)).task_count == task_count(ACCOUNT)
                assert await session.accounts.update(ACCOUNT, name="x") == ACCOUNT
    assert server.request_count == 2


def sightings_in_frames(error: BaseException) -> list[str]:
    """Where a traceback with locals shows a secret, frames of the recorder included."""
    found = []
    frame = error.__traceback__
    while frame is not None:
        if "/tests/" not in frame.tb_frame.f_code.co_filename:
            found += [name for name, value in frame.tb_frame.f_locals.items() if MARK in repr(value)]
        frame = frame.tb_next
    return found


# aioresponses

USAGE = f"https://cyclr.example/api/partner/accounts/{ACCOUNT}/billing"
PRIVATE = "https://cyclr.example/api/partner"


# pytest-recording


@pytest.fixture(scope="module")
def vcr_cassette_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("cassettes"))


@pytest.mark.vcr
async def test_pytest_recording_lets_nothing_through(server: FaultServer) -> None:
    async with partner(server.base_url) as session:
        with pytest.raises(vcr.errors.CannotOverwriteExistingCassetteException):
            await session.accounts.usage(ACCOUNT)
    assert server.connections == 0


@pytest.mark.block_network
async def test_pytest_recording_blocks_the_network() -> None:
    async with partner("http://127.0.0.1:9/api/partner") as session:
        with pytest.raises(ConnectError):
            await session.accounts.usage(ACCOUNT)


def usage_document() -> Any:
    class OperationRequest:
        method = "GET"
        path = f"/api/partner/accounts/{ACCOUNT}/billing"

    return document(OperationRequest())  # type: ignore[arg-type]


class Response(aiohttp.ClientResponse):
    """What docs/testing.md gives to aioresponses, which does not know an argument that aiohttp 3.14 demands."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"stream_writer": mock.Mock(output_size=0), **options})


async def test_aioresponses_answers_in_the_place_of_the_network() -> None:
    with aioresponses() as mocked:
        made = {"response_class": Response}
        mocked.get(USAGE, payload=usage_document(), repeat=True, **made)
        mocked.post(f"{PRIVATE}/createaccount", payload={"Id": ACCOUNT}, **made)
        mocked.get(f"{PRIVATE}/priceplans", payload=[{"Id": "2", "Name": "Starter"}], **made)
        mocked.put(f"{PRIVATE}/accounts/{ACCOUNT}", status=404, payload={"Message": "no such account"}, **made)
        async with partner(PRIVATE) as session:
            for _ in range(3):
                assert (await session.accounts.usage(ACCOUNT)).task_count == task_count(ACCOUNT)
            assert await session.accounts.create(name="ACME") == ACCOUNT
            assert [plan.name for plan in await session.priceplans.list()] == ["Starter"]
            with pytest.raises(CyclrError, match="no such account"):
                await session.accounts.update(ACCOUNT, name="x")
            with pytest.raises(CyclrError) as caught:
                await session.details()  # nothing was registered for it
            assert sightings(caught.value) == []
        mocked.assert_called_with(f"{PRIVATE}/details", "GET", **_call_of(mocked, f"{PRIVATE}/details"))


def _call_of(mocked: Any, url: str) -> dict[str, Any]:
    for (_, asked), calls in mocked.requests.items():
        if str(asked) == url:
            kwargs: dict[str, Any] = calls[0].kwargs
            return kwargs
    raise LookupError(url)


async def test_aioresponses_in_the_middle_of_a_session(server: FaultServer) -> None:
    url = f"{server.base_url}/accounts/{ACCOUNT}/billing"
    async with partner(server.base_url) as session:
        await session.accounts.usage(ACCOUNT)
        with aioresponses() as mocked:
            mocked.get(url, payload={**usage_document(), "TaskCount": 12}, response_class=Response)
            assert (await session.accounts.usage(ACCOUNT)).task_count == 12
        assert (await session.accounts.usage(ACCOUNT)).task_count == task_count(ACCOUNT)
    assert server.request_count == 2


async def test_a_mocked_failure_of_a_write_leaves_its_outcome_unknown() -> None:
    """Whether a mock stands for a request that arrived is not known, so nothing is sent again."""
    with aioresponses() as mocked:
        mocked.post(f"{PRIVATE}/createaccount", exception=aiohttp.ServerDisconnectedError(), repeat=True)
        async with partner(PRIVATE) as session:
            with pytest.raises(OutcomeUnknownError) as caught:
                await session.accounts.create(name="ACME")
            assert caught.value.attempts == 1


async def test_a_mocked_refusal_of_a_connection_proves_that_nothing_was_sent() -> None:
    refused = aiohttp.ClientConnectorError(mock.Mock(), OSError(111, "Connection refused"))
    with aioresponses() as mocked:
        mocked.post(f"{PRIVATE}/createaccount", exception=refused, repeat=True)
        async with partner(PRIVATE) as session:
            with pytest.raises(ConnectError) as caught:
                await session.accounts.create(name="ACME")
            assert (caught.value.sent, caught.value.attempts) == ("never", 2)


# OpenTelemetry


async def test_opentelemetry_sees_a_span_for_every_request(server: FaultServer) -> None:
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    AioHttpClientInstrumentor().instrument(tracer_provider=provider)
    try:
        async with partner(server.base_url) as session:
            await session.accounts.usage(ACCOUNT)
            await session.accounts.create(name="ACME")
    finally:
        AioHttpClientInstrumentor().uninstrument()
        provider.shutdown()
    spans = kept.get_finished_spans()
    assert [span.attributes["http.method"] for span in spans if span.attributes] == ["GET", "POST"]
    assert MARK not in repr([(span.name, dict(span.attributes or {})) for span in spans])
    assert "traceparent" in server.requests[0].headers


# Bodies and headers


@pytest.mark.parametrize("secret", [HiddenStr("canary-x"), HiddenBytes(b"canary-x")])
def test_what_is_hidden_can_be_copied_and_stays_hidden(secret: Any) -> None:
    for made in (copy.copy(secret), copy.deepcopy({"body": [secret]})["body"][0]):
        assert made == secret
        assert MARK not in repr(made)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(secret)


async def test_a_cache_that_pickles_requests_is_given_plain_ones(server: FaultServer) -> None:
    """As caches in the form of a derived session do it."""
    kept: list[bytes] = []
    with pytest.warns(DeprecationWarning, match="Inheritance"):

        class Caching(aiohttp.ClientSession):
            async def _request(self, *args: Any, **options: Any) -> aiohttp.ClientResponse:
                kept.append(pickle.dumps((args, options["headers"], options["data"])))
                return await super()._request(*args, **options)

    async with Caching() as mine, partner(server.base_url, client_session=mine) as session:
        await session.accounts.update(ACCOUNT, name="New")
    assert b'{"Name":"New"}' in kept[0]


async def test_the_log_shows_no_secret(server: FaultServer, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with vcr.use_cassette(str(tmp_path / "log.yaml")):
        async with partner(server.base_url) as session:
            await _everything(session)
    assert not [record for record in caplog.records if MARK in record.getMessage()]
