"""Lists that are meant to exhaust memory or patience: refused by name, once, and whoever keeps nothing reads on."""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from cyclr_async import (
    AsyncPartnerSession,
    BulkInterruptedError,
    DeadlineExceededError,
    DecodeError,
    Limits,
    OutcomeUnknownError,
    ReadTimeoutError,
    ResponseTooLargeError,
    Timeouts,
)
from tests.faults.matrix import after, partner
from tests.support.answers import good, http, json_http
from tests.support.server import FaultServer, Link, close, drip, each_request, script, write
from tests.support.virtual import LoopClock, in_virtual_time

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
PATIENT = Timeouts(connect=20, read=20, attempt=30, deadline=60, close=0.0)
SHORT = Timeouts(connect=5, read=0.3, attempt=5, deadline=10, close=0.0)


def row(number: int, **more: object) -> dict[str, object]:
    return {
        "Id": f"{number:032x}",
        "Name": f"Customer {number}",
        "Description": "",
        "PricePlanId": 2,
        "LastBillDate": "2017-02-09T16:23:08",
        "NextBillDate": "2017-03-09T16:23:08",
        "AuditInfo": "Demo",
        **more,
    }


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


async def with_list(session: AsyncPartnerSession) -> object:
    return await session.accounts.list()


async def with_plans(session: AsyncPartnerSession) -> object:
    return await session.priceplans.list()


async def with_reports(session: AsyncPartnerSession) -> object:
    return await session.accounts.list(on_bad_record=lambda _index, _error: None)


async def all_ids(session: AsyncPartnerSession, **options: Any) -> list[str]:
    return [account.id async for account in session.accounts.iter(**options)]


Collecting = Callable[[AsyncPartnerSession], Awaitable[object]]
COLLECTING: list[Collecting] = [with_list, with_plans, with_reports]


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("collect", COLLECTING)
@pytest.mark.parametrize("limit", ["list_items", "list_bytes"])
@in_virtual_time
async def test_a_list_that_is_kept_is_bounded_by_settings_that_the_error_names(
    limit: str, collect: Collecting, packed: bool
) -> None:
    body = json.dumps([row(number) for number in range(500)]).encode()
    answer = http(200, gzip.compress(body), {"Content-Encoding": "gzip"}) if packed else http(200, body)
    few = Limits(list_items=499) if limit == "list_items" else Limits(list_bytes=500 * 800 - 1)
    many = Limits(list_items=500) if limit == "list_items" else Limits(list_bytes=500 * 1000)
    async with FaultServer(after(write(answer), close())) as server:
        async with partner(server.base_url, timeouts=PATIENT, limits=few) as session:
            with pytest.raises(ResponseTooLargeError, match=rf"Limits\.{limit} \(") as caught:
                await collect(session)
            assert (caught.value.attempts, caught.value.sent, caught.value.status) == (1, "yes", 200)
            assert server.request_count == 1
            # What keeps nothing has no such limit.
            assert len(await all_ids(session)) == 500
        async with partner(server.base_url, timeouts=PATIENT, limits=many) as session:
            kept = await collect(session)
            assert isinstance(kept, list)
            assert len(kept) == 500


@in_virtual_time
async def test_elements_that_are_left_out_count_too() -> None:
    async with FaultServer(after(write(http(200, b"[" + b"0," * 5000 + b"0]")), close())) as server:
        async with partner(server.base_url, limits=Limits(list_items=5000)) as session:
            with pytest.raises(ResponseTooLargeError, match="list_items"):
                await with_reports(session)
        async with partner(server.base_url, limits=Limits(list_bytes=5000 * 800)) as session:
            with pytest.raises(ResponseTooLargeError, match="list_bytes"):
                await with_reports(session)


@pytest.mark.parametrize("filling", [b"[],", b"{},", b'"ab",', b"1.5,", b'{"a":{}},'], ids=bytes.decode)
@in_virtual_time
async def test_text_that_takes_much_memory_is_not_measured_by_its_length(filling: bytes) -> None:
    element = json.dumps(row(1, Odd="?")).encode().replace(b'"?"', b"[" + (filling * 2000)[:-1] + b"]")
    body = b"[" + b",".join([element] * 10) + b"]"
    async with (
        FaultServer(after(write(http(200, body)), close())) as server,
        partner(server.base_url, timeouts=PATIENT, limits=Limits(list_bytes=4 * len(body))) as session,
    ):
        with pytest.raises(ResponseTooLargeError, match="list_bytes"):
            await session.accounts.list()
        assert len(await all_ids(session)) == 10


@in_virtual_time
async def test_looking_for_an_account_after_a_lost_create_keeps_nothing_of_the_list() -> None:
    made: list[dict[str, object]] = []

    async def serve(link: Link) -> None:
        while (request := await link.read_request()) is not None:
            if request.method == "POST":
                made.append(row(7, AuditInfo=json.loads(request.body)["AuditInfo"]))
                await link.write(json_http({}, 500))
            else:
                await link.write(json_http([*(row(number + 100) for number in range(300)), *made, row(5), 0]))

    async with (
        FaultServer(serve) as server,
        partner(server.base_url, timeouts=PATIENT, limits=Limits(list_items=10)) as session,
    ):
        assert await session.accounts.create(name="ACME", reconcile=True) == f"{7:032x}"
        made.clear()

        async def lost(link: Link) -> None:
            await link.read_request()
            await link.write(json_http([row(1)] if link.request and link.request.method == "GET" else {}, 500))

        server.scripts = (lost,)
        with pytest.raises(OutcomeUnknownError, match=r"accounts\.create") as caught:
            await session.accounts.create(name="ACME", reconcile=True)
        assert caught.value.marker


_CLIENT = """
import asyncio, sys
from pathlib import Path
from cyclr_async import AsyncPartnerSession, CyclrError, ResponseTooLargeError, Timeouts

async def iterate(session):
    async for account in session.accounts.iter():
        pass

WAYS = {
    "list": lambda session: session.accounts.list(),
    "plans": lambda session: session.priceplans.list(),
    "reconcile": lambda session: session.accounts.create(name="ACME", reconcile=True),
    "iter": iterate,
}

def peak():
    # Not ru_maxrss: that begins with what the parent process held when it forked.
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

async def main(base):
    for way in sys.argv[2:]:
        async with AsyncPartnerSession("token", base_url=base) as session:
            await session.accounts.usage("small")  # what the first call loads is not the list's
            before = peak()
            try:
                await WAYS[way](session)
                end = "done"
            except CyclrError as error:
                end = type(error).__name__
        print(way, end, peak() - before)

asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the peak is read in KiB, as Linux reports it")
@pytest.mark.parametrize(
    ("ways", "elements", "mib"),
    [(("iter", "reconcile"), 25, 64), (("list", "plans"), 60, 192)],  # they would take 180 and 430 MiB
    ids=["passed on", "kept"],
)
@in_virtual_time
async def test_gzip_that_unpacks_into_a_crowd_of_objects_costs_little(
    ways: tuple[str, ...], elements: int, mib: int
) -> None:
    """Some kilobytes with the settings as they are."""
    crowd = json.dumps(row(1, Name="n", Odd=[{"a": 1}] * 30_000)).replace(" ", "").encode()
    packed = gzip.compress(b"[" + b",".join([crowd] * elements) + b"]", 9)
    assert len(packed) < 150_000

    async def serve(link: Link) -> None:
        while (request := await link.read_request()) is not None:
            if request.path.endswith(("/accounts", "/priceplans")):
                await link.write(http(200, packed, {"Content-Encoding": "gzip"}))
            elif request.method == "POST":
                await link.write(json_http({}, 500))
            else:
                await link.write(good(request) if "small" not in request.path else json_http(_USAGE))

    async with FaultServer(serve) as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _CLIENT, server.origin, *ways, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
    lines = [line.split() for line in output.decode().splitlines()]
    print(lines)
    assert [line[0] for line in lines] == list(ways)
    ends = {"iter": "done", "reconcile": "OutcomeUnknownError", "plans": "DecodeError"}
    for way, end, grown in lines:
        # A plan is decoded strictly, and this is none: whichever comes first, it is refused.
        assert end in {ends.get(way), "ResponseTooLargeError"}
        assert int(grown) <= mib * 1024


_USAGE = {
    "TaskCount": 1,
    "CycleCount": 10,
    "FromDate": "2016-12-09T16:23:08",
    "ToDate": "2017-01-08T16:23:08",
    "CurrentPricePlanId": 3,
    "AuditInfo": "",
}


async def endless(link: Link, start: bytes, more: bytes) -> None:
    await link.read_request()
    await link.write(HEAD + chunk(start))
    while not link.writer.is_closing():
        await link.write(chunk(more))
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b" ", b" " * 65536),
        (b"[", b" " * 65536),
        (b"[", b"[" * 65536),
        (b'[{"Id":"', b"a" * 65536),
        (b'[{"Id":"a","Name":"b","x":[', b"[]," * 20000),
        (b"[]", b"\n" * 65536),
        (b'[{"Id":"a","Name":"b"}', b" " * 65536),
    ],
    ids=["blanks", "blanks within", "nesting", "text", "element", "after the end", "before a comma"],
)
@pytest.mark.parametrize("way", ["list", "iter"])
@in_virtual_time
async def test_what_never_becomes_an_element_ends_as_an_error(start: bytes, more: bytes, way: str) -> None:
    async with (
        FaultServer(lambda link: endless(link, start, more)) as server,
        partner(server.base_url, timeouts=PATIENT) as session,
    ):
        with pytest.raises(DecodeError):
            await (session.accounts.list() if way == "list" else all_ids(session))
        assert server.request_count <= 2


@pytest.mark.parametrize("depth", [400, 900, 5_000, 400_000])
@pytest.mark.parametrize("text", ["", "\\ud800"], ids=["plain", "surrogate"])
@in_virtual_time
async def test_deep_nesting_is_decoded_or_refused(text: str, depth: int) -> None:
    element = f'{{"Id":"a","Name":"b{text}","x":' + "[" * depth + "]" * depth + "}"
    async with (
        FaultServer(after(write(http(200, f"[{element}]".encode())), close())) as server,
        partner(server.base_url, timeouts=PATIENT) as session,
    ):
        try:
            assert len(await session.accounts.list()) == 1
        except DecodeError as error:
            assert "nested too deeply" in str(error)  # noqa: PT017
            assert depth > 300
        else:
            assert depth < 1000


def dripped(data: bytes, *, every: float = 0.01, start: bytes = b"") -> Callable[[Link], Awaitable[None]]:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n"
    return script(after(write(head + start)), drip(data * 1000, every=every))


DRIPS = {
    "blanks": b" ",
    "elements": json.dumps(row(1)).encode() + b",",
    "text": b"a",
}
STARTS = {"blanks": b"", "elements": b"[", "text": b'[{"Id":"'}


@pytest.mark.parametrize("kind", DRIPS)
@in_virtual_time
async def test_a_list_that_drips_ends_as_an_error_that_names_the_setting(kind: str) -> None:
    async with (
        FaultServer(dripped(DRIPS[kind], start=STARTS[kind])) as server,
        partner(server.base_url, timeouts=SHORT) as session,
    ):
        began = asyncio.get_running_loop().time()
        with pytest.raises(ReadTimeoutError, match=r"Limits\.list_pace \(1024 bytes a second") as caught:
            await all_ids(session)
        assert asyncio.get_running_loop().time() - began < 1.0
        assert (caught.value.sent, caught.value.status) == ("yes", 200)
        assert caught.value.request_id == server.requests[0].request_id


@in_virtual_time
async def test_a_quick_start_earns_no_patience_for_a_drip() -> None:
    start = json.dumps([row(number) for number in range(3000)])[:-1].encode()
    async with (
        FaultServer(dripped(b" ", start=start)) as server,
        partner(server.base_url, timeouts=SHORT) as session,
    ):
        began = asyncio.get_running_loop().time()
        seen: list[str] = []

        async def read() -> None:
            async for account in session.accounts.iter():
                seen.append(account.id)

        with pytest.raises(ReadTimeoutError, match=r"Limits\.list_pace"):
            await read()
        assert len(seen) >= 2900
        assert asyncio.get_running_loop().time() - began < 2.0


@in_virtual_time
async def test_silence_is_told_from_slowness() -> None:
    async with (
        FaultServer(script(after(write(HEAD + chunk(b"[")), lambda link: link.until_closed()))) as server,
        partner(server.base_url, timeouts=SHORT) as session,
    ):
        with pytest.raises(ReadTimeoutError, match=r"Timeouts\.read|Limits\.list_pace"):
            await all_ids(session)


class QuickClock(LoopClock):
    """Its waits take no time."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.01))


@in_virtual_time
async def test_a_drip_does_not_hold_a_bulk_run() -> None:
    times = Timeouts(connect=5, read=0.2, attempt=5, deadline=10, close=0.0)
    async with (
        FaultServer(dripped(b" ")) as server,
        partner(server.base_url, timeouts=times, clock=QuickClock()) as session,
    ):
        began = asyncio.get_running_loop().time()

        async def collect() -> None:
            async with session.accounts.collect_usage(max_outage=0.5) as run:
                async for _ in run:
                    pass

        with pytest.raises(BulkInterruptedError, match=r"Limits\.list_pace"):
            await collect()
        assert asyncio.get_running_loop().time() - began < 4.0


@pytest.mark.parametrize("options", [{}, {"timeout": 0.4}], ids=["pace", "timeout"])
@in_virtual_time
async def test_a_slow_reader_is_not_blamed_on_the_server(options: dict[str, Any]) -> None:
    body = json.dumps([row(number) for number in range(4000)]).encode()  # more than fits into any buffer at once
    async with (
        FaultServer(after(write(http(200, body)), close())) as server,
        partner(server.base_url, timeouts=SHORT) as session,
    ):
        seen = 0
        async with aclosing(session.accounts.iter(**options)) as accounts:
            async for _ in accounts:
                seen += 1
                if seen % 500 == 0:
                    await asyncio.sleep(0.1)
        assert seen == 4000


@in_virtual_time
async def test_a_slow_and_honest_server_is_waited_for() -> None:
    """Two kilobytes a second, in pieces, for longer than Timeouts.read."""
    rows = [json.dumps(row(number)).encode() for number in range(16)]

    async def serve(link: Link) -> None:
        await link.read_request()
        await link.write(HEAD + chunk(b"["))
        for number, text in enumerate(rows):
            await asyncio.sleep(0.05)
            await link.write(chunk((b"," if number else b"") + text))
        await link.write(chunk(b"]") + b"0\r\n\r\n")
        link.fin()

    async with FaultServer(serve) as server, partner(server.base_url, timeouts=SHORT) as session:
        assert len(await all_ids(session)) == 16


@in_virtual_time
async def test_the_timeout_of_iter_is_for_the_whole_list() -> None:
    async with (
        FaultServer(dripped(DRIPS["elements"], start=b"[")) as server,
        partner(server.base_url, timeouts=PATIENT, limits=Limits(list_pace=0)) as session,
    ):
        began = asyncio.get_running_loop().time()
        with pytest.raises(DeadlineExceededError, match=r"within 0\.4 s") as caught:
            await all_ids(session, timeout=0.4)
        assert 0.3 <= asyncio.get_running_loop().time() - began < 0.8
        assert (caught.value.timeout, caught.value.sent) == (0.4, "yes")


@in_virtual_time
async def test_without_a_timeout_a_long_list_may_outlast_the_deadline() -> None:
    async def serve(link: Link) -> None:
        await link.read_request()
        await link.write(HEAD + chunk(b"["))
        for number in range(8):
            await link.write(chunk((b"," if number else b"") + json.dumps(row(number)).encode()))
            await asyncio.sleep(0.05)
        await link.write(chunk(b"]") + b"0\r\n\r\n")
        link.fin()

    times = Timeouts(connect=5, read=5, attempt=0.3, deadline=0.3, close=0.0)
    async with FaultServer(serve) as server, partner(server.base_url, timeouts=times) as session:
        assert len(await all_ids(session)) == 8


@in_virtual_time
async def test_time_on_the_way_to_the_list_counts() -> None:
    async with (
        FaultServer(each_request(script(lambda _: asyncio.sleep(0.2), dripped_now))) as server,
        partner(server.base_url, timeouts=PATIENT, limits=Limits(list_pace=0)) as session,
    ):
        began = asyncio.get_running_loop().time()
        with pytest.raises(DeadlineExceededError):
            await all_ids(session, timeout=0.4)
        assert asyncio.get_running_loop().time() - began < 0.75


async def dripped_now(link: Link) -> None:
    await link.write(HEAD)
    while not link.writer.is_closing():
        await link.write(chunk(b" "))
        await asyncio.sleep(0.01)
