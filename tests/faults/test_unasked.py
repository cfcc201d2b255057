"""Answers nobody asked for are booked to nobody: what the default mode catches, and that the safe mode has none."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cyclr_async import CyclrError, Limits, RetryPolicy
from cyclr_async.errors import DesynchronizedError
from tests.faults.matrix import OPERATIONS, failure, partner
from tests.support.answers import account_id, good, http, json_http, task_count
from tests.support.server import FaultServer, Link, Request, Script, answer, close, delay, rst, script, stall, write
from tests.support.tls import TlsWorld
from tests.support.tls_records import RecordLink
from tests.support.virtual import in_virtual_time


async def _attribute(unasked: Script, *, reuse: bool) -> int:
    """How many of twenty sequential usage answers belong to another account."""
    wrong = 0
    async with FaultServer(script(answer(good), unasked, *[answer(good)] * 30)) as server:  # noqa: SIM117
        async with partner(server.base_url, limits=Limits(reuse_connections=reuse)) as session:
            for number in range(1, 21):
                account = account_id(number)
                usage = await session.accounts.usage(account)
                wrong += usage.task_count != task_count(account)
                await asyncio.sleep(0.01)
    return wrong


@pytest.mark.parametrize("reuse", [True, False], ids=["default", "safe"])
@pytest.mark.parametrize(
    "unasked",
    [delay(0.0), delay(0.004)],
    ids=["same-segment", "while-idle"],
)
@in_virtual_time
async def test_an_answer_nobody_asked_for_is_booked_to_nobody(unasked: Script, reuse: bool) -> None:
    assert await _attribute(script(unasked, write(good)), reuse=reuse) == 0


@in_virtual_time
async def test_in_the_safe_mode_even_a_late_answer_is_booked_to_nobody() -> None:
    """The extra answer leaves only after the next request came in: no look at the idle connection can see it."""

    async def late(link: Link) -> None:
        await answer(good)(link)
        first = link.request
        request = await link.read_request()
        if first is not None and request is not None:
            await link.write(good(first) + good(request))

    wrong = {}
    for reuse in (True, False):
        async with (
            FaultServer(late) as server,
            partner(server.base_url, limits=Limits(reuse_connections=reuse)) as session,
        ):
            usages = [await session.accounts.usage(account_id(number)) for number in range(1, 5)]
            wrong[reuse] = sum(usage.task_count != number for number, usage in enumerate(usages, 1))
    assert wrong[False] == 0
    assert wrong[True] > 0  # the injection works, and the price of the default is what the documentation says


_IDLE = {
    "408": write(http(408, b"", {"Connection": "close"})),
    "408-and-fin": script(write(http(408, b"", {"Connection": "close"})), close()),
    "garbage": write(b"\x00\xff"),
    "much-garbage": write(b"x" * 70_000),
    "another-200": write(http(200, b"{}")),
    "fin": close(),
    "rst": rst(),
}


@pytest.mark.parametrize("unasked", _IDLE)
@in_virtual_time
async def test_what_arrives_while_idle_costs_the_connection_and_nothing_else(unasked: str) -> None:
    idle = script(answer(good), delay(0.003), _IDLE[unasked], stall())
    async with FaultServer(idle, answer(good)) as server, partner(server.base_url) as session:
        for number in (1, 2):
            usage = await session.accounts.usage(account_id(number))
            assert usage.task_count == task_count(account_id(number))
            await asyncio.sleep(0.03)
        stats = session.stats()
        assert (server.connections, server.request_count, stats.retries) == (2, 2, 0)


@pytest.mark.parametrize("unasked", ["408", "408-and-fin", "garbage", "fin", "rst"])
@in_virtual_time
async def test_a_write_never_meets_an_idle_connection(unasked: str) -> None:
    """It has a connection of its own, whatever is going on in the pool."""
    idle = script(answer(good), delay(0.003), _IDLE[unasked], stall())
    async with FaultServer(idle, answer(good)) as server, partner(server.base_url) as session:
        await OPERATIONS["GET"](session)
        await OPERATIONS["POST"](session)
        assert (server.connections, server.executed, session.stats().retries) == (2, 2, 0)


ON_TLS = [pytest.param(False, id="plain"), pytest.param(True, id="tls")]


@pytest.mark.parametrize("tls", ON_TLS)
@pytest.mark.parametrize(
    "stray", [b"\r\n", b"\r\n\r\n", b"\n", b"\r", b" ", b"H", b"HTTP/1.1 2", b"0\r\n\r\n"], ids=repr
)
@in_virtual_time
async def test_stray_bytes_while_idle_cost_the_connection(tls_world: TlsWorld, stray: bytes, tls: bool) -> None:
    """Also bytes that a parser would skip, or wait for more of."""
    idle = script(answer(good), delay(0.003), write(stray), stall())
    async with (
        FaultServer(idle, answer(good), ssl=tls_world.good if tls else None) as server,
        partner(server.base_url, ca_file=tls_world.authority_file) as session,
    ):
        for number in (1, 2):
            usage = await session.accounts.usage(account_id(number))
            assert usage.task_count == task_count(account_id(number))
            await asyncio.sleep(0.03)
        stats = session.stats()
        assert (server.connections, server.request_count, stats.retries) == (2, 2, 0)
        assert stats.connections_dropped == 1


@pytest.mark.parametrize("tls", ON_TLS)
@in_virtual_time
async def test_an_idle_connection_is_given_up_in_the_moment_something_arrives(tls_world: TlsWorld, tls: bool) -> None:
    idle = script(answer(good), delay(0.003), write(b"x" * 100_000), stall())
    async with (
        FaultServer(idle, ssl=tls_world.good if tls else None) as server,
        partner(server.base_url, ca_file=tls_world.authority_file) as session,
    ):
        await session.accounts.usage(account_id(1))
        await asyncio.sleep(0.05)
        assert server.open == 0  # and not only when the next request looks for a connection
        assert session.stats().connections_dropped == 1


def _spoken(number: int) -> bytes:
    """The answer to a usage request that nobody made."""
    return good(Request("GET", f"/api/partner/accounts/{account_id(number)}/billing", {}, b"", 0))


@pytest.mark.parametrize("tls", ON_TLS)
@pytest.mark.parametrize("reuse", [True, False], ids=["default", "safe"])
@pytest.mark.parametrize(
    "spoken",
    [_spoken(99), http(408, b"", {"Connection": "close"}), b"\r\n", b"220 mail.example.com ESMTP\r\n"],
    ids=["answer", "408", "crlf", "smtp"],
)
@in_virtual_time
async def test_what_arrives_before_the_first_request_is_no_answer(
    tls_world: TlsWorld, spoken: bytes, reuse: bool, tls: bool
) -> None:
    """On a new connection: the request is made on another one, and no call returns what was said before."""
    eager = script(write(spoken), stall())
    scripts = [*[eager] * 2, script(*[answer(good)] * 30)]
    options = {"limits": Limits(reuse_connections=reuse), "retry": RetryPolicy(attempts=3, base=0.0)}
    async with (
        FaultServer(*scripts, ssl=tls_world.good if tls else None) as server,
        partner(server.base_url, ca_file=tls_world.authority_file, **options) as session,
    ):
        for number in range(1, 5):
            usage = await session.accounts.usage(account_id(number))
            assert usage.task_count == task_count(account_id(number))
        assert session.stats().retries == 2


@pytest.mark.parametrize("operation", OPERATIONS)
@in_virtual_time
async def test_a_server_that_always_speaks_first_is_told_from_one_that_answers(operation: str) -> None:
    async with FaultServer(script(write(_spoken(99)), stall())) as server:
        error = await failure(operation, server.base_url, retry=RetryPolicy(attempts=2, base=0.0))
    assert isinstance(error, DesynchronizedError)
    assert (error.sent, error.attempts, server.request_count) == ("never", 2, 0)


@in_virtual_time
async def test_a_connection_that_ends_before_its_first_request_carried_nothing() -> None:
    """So a write goes out again, on another connection."""
    async with FaultServer(close(), close(), answer(good)) as server:
        async with partner(server.base_url, retry=RetryPolicy(attempts=3, base=0.0)) as session:
            await OPERATIONS["POST"](session)
        assert server.executed == 1


@in_virtual_time
async def test_a_part_of_a_record_in_the_buffer_of_the_event_loop_is_noticed(tls_world: TlsWorld) -> None:
    """The kernel has nothing left to tell of it, and above TLS nothing has arrived yet."""
    halfway, go_on = asyncio.Event(), asyncio.Event()

    async def split(link: Link) -> None:
        tls = RecordLink(link, tls_world.good)
        await tls.handshake()
        request = await tls.read_request()
        await tls.write(good(request))
        extra = tls.sealed(good(request))
        await asyncio.sleep(0.003)
        await link.write(extra[: len(extra) // 2])
        halfway.set()
        await go_on.wait()
        await link.write(extra[len(extra) // 2 :])
        await link.until_closed()

    async def whole(link: Link) -> None:
        tls = RecordLink(link, tls_world.good)
        await tls.handshake()
        while True:
            await tls.write(good(await tls.read_request()))

    async with FaultServer(split, whole) as server:
        base_url = server.base_url.replace("http:", "https:")
        async with partner(base_url, ca_file=tls_world.authority_file) as session:
            await session.accounts.usage(account_id(1))
            await halfway.wait()
            await asyncio.sleep(0.01)  # the loop takes it from the kernel
            call = asyncio.create_task(session.accounts.usage(account_id(2)))
            await asyncio.sleep(0.01)
            go_on.set()  # now the rest: with a request on its way, it would be its answer
            assert (await call).task_count == task_count(account_id(2))
            assert session.stats().connections_dropped == 1
        assert server.connections == 2


@in_virtual_time
async def test_a_part_of_a_record_on_a_new_connection_is_noticed(tls_world: TlsWorld) -> None:
    async def split(link: Link) -> None:
        tls = RecordLink(link, tls_world.good)
        await tls.handshake()
        extra = tls.sealed(_spoken(99))
        await link.write(extra[: len(extra) // 2])
        await tls.read_request()
        await link.write(extra[len(extra) // 2 :])

    async def whole(link: Link) -> None:
        tls = RecordLink(link, tls_world.good)
        await tls.handshake()
        while True:
            await tls.write(good(await tls.read_request()))

    async with FaultServer(split, whole) as server:
        base_url = server.base_url.replace("http:", "https:")
        async with partner(base_url, ca_file=tls_world.authority_file, retry=RetryPolicy(base=0.0)) as session:
            assert (await session.accounts.usage(account_id(2))).task_count == task_count(account_id(2))
            assert session.stats().retries == 1


@pytest.mark.parametrize("tls", ON_TLS)
@in_virtual_time
async def test_an_update_is_done_only_when_the_answer_names_its_account(tls_world: TlsWorld, tls: bool) -> None:
    def other(_request: Request) -> bytes:
        return json_http({"Id": account_id(99)})

    async with FaultServer(answer(other), answer(good), ssl=tls_world.good if tls else None) as server:
        async with partner(server.base_url, ca_file=tls_world.authority_file) as session:
            assert await session.accounts.update(account_id(1), name="New") == account_id(1)
        assert (server.connections, server.request_count) == (2, 2)
    async with FaultServer(answer(other)) as server:
        error = await failure("PUT", server.base_url)
        assert isinstance(error, DesynchronizedError)
        assert (error.sent, error.attempts) == ("maybe", 2)
        assert account_id(99) not in str(error)


@pytest.mark.parametrize("asked", ["0123456789abcdef0123456789ABCDEF", "01234567-89AB-CDEF-0123-456789abcdef"])
@pytest.mark.parametrize("named", ["0123456789abcdef0123456789abcdef", "{01234567-89ab-cdef-0123-456789ABCDEF}"])
@in_virtual_time
async def test_an_id_written_in_another_way_is_the_same_id(asked: str, named: str) -> None:
    async with FaultServer(answer(lambda _: json_http({"Id": named}))) as server, partner(server.base_url) as session:
        assert await session.accounts.update(asked, name="New") == named


@pytest.mark.parametrize("repeatable", [True, False])
@in_virtual_time
async def test_every_write_has_a_connection_of_its_own(repeatable: bool) -> None:
    async with FaultServer(script(*[answer(good)] * 9)) as server, partner(server.base_url) as session:
        await OPERATIONS["GET"](session)
        await OPERATIONS["PUT"](session)
        await OPERATIONS["POST"](session)
        await session.request("POST", "createaccount", json={"Name": "x"}, repeatable=repeatable)
        await OPERATIONS["GET"](session)
        assert [request.connection for request in server.requests] == [0, 1, 2, 3, 0]


def _other_shape(_request: Request) -> bytes:
    return json_http([1, 2, 3])


def _anothers_echo(request: Request) -> bytes:
    prefix = request.request_id.partition("-")[0]
    return good(request, {"X-Request-Id": f"{prefix}-ffffff"})


@pytest.mark.parametrize("doubtful", [_other_shape, _anothers_echo])
@pytest.mark.parametrize("options", [{}, {"limits": Limits(direct_reads=False)}], ids=["fast", "session"])
@in_virtual_time
async def test_a_connection_with_a_doubtful_answer_is_not_used_again(doubtful: Any, options: dict[str, Any]) -> None:
    """The answer may have been another request's; then the right one is still to come, and would be the next one's."""
    scripts = [script(answer(doubtful), *[answer(good)] * 3)] * 2
    async with (
        FaultServer(*scripts) as server,
        partner(server.base_url, retry=RetryPolicy(attempts=1), **options) as session,
    ):
        for _ in range(2):
            with pytest.raises(CyclrError):
                await session.accounts.usage(account_id(1))
        assert (server.connections, server.request_count) == (2, 2)
