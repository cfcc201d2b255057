"""A body is taken when it is whole and nothing follows it, on every way through and with both of aiohttp's parsers."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import subprocess
import sys
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from cyclr_async import (
    AsyncPartnerSession,
    CyclrError,
    OutcomeUnknownError,
    ProtocolError,
    RetryPolicy,
    TruncatedResponseError,
)
from tests.faults.matrix import partner
from tests.support.answers import ACCOUNT, document, http
from tests.support.server import FaultServer, Link
from tests.support.virtual import in_virtual_time

ONCE = RetryPolicy(attempts=1)


async def _iterated(session: AsyncPartnerSession) -> list[Any]:
    return [account async for account in session.accounts.iter()]


async def _requested(session: AsyncPartnerSession) -> Any:
    return (await session.request("GET", f"accounts/{ACCOUNT}/billing")).json()


READS: dict[str, Callable[[AsyncPartnerSession], Awaitable[Any]]] = {
    "usage": lambda session: session.accounts.usage(ACCOUNT),
    "request": _requested,
    "list": lambda session: session.accounts.list(),
    "iter": _iterated,
    "plans": lambda session: session.priceplans.list(),
}
WAYS = ["direct", "session", "borrowed"]


@asynccontextmanager
async def opened(way: str, base_url: str) -> AsyncIterator[AsyncPartnerSession]:
    """A session that makes one attempt, on one of the three ways through aiohttp."""
    if way == "borrowed":
        async with aiohttp.ClientSession() as own, partner(base_url, retry=ONCE, client_session=own) as session:
            yield session
    else:
        options: dict[str, Any] = {} if way == "direct" else {"trace_configs": [aiohttp.TraceConfig()]}
        async with partner(base_url, retry=ONCE, **options) as session:
            yield session


Answer = Callable[[bytes], bytes]


def packed(pack: Callable[[bytes], bytes], coding: str = "gzip") -> Answer:
    return lambda plain: http(200, pack(plain), {"Content-Encoding": coding})


def chunked(pack: Callable[[bytes], bytes], coding: str = "gzip") -> Answer:
    def make(plain: bytes) -> bytes:
        data = pack(plain)
        halves = data[: len(data) // 2], data[len(data) // 2 :]
        body = b"".join(b"%x\r\n%b\r\n" % (len(half), half) for half in halves) + b"0\r\n\r\n"
        return http(200, body, {"Content-Encoding": coding, "Transfer-Encoding": "chunked"}, length=False)

    return make


def raw_deflate(plain: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(plain) + packer.flush()


def two_members(plain: bytes) -> bytes:
    return gzip.compress(plain[:20]) + gzip.compress(plain[20:])


WHOLE: dict[str, Answer] = {
    "plain": lambda plain: http(200, plain),
    "identity": lambda plain: http(200, plain, {"Content-Encoding": "identity"}),
    "gzip": packed(gzip.compress),
    "upper case": packed(gzip.compress, "GZip"),
    "x-gzip": packed(gzip.compress, "x-gzip"),
    "gzip, chunked": chunked(gzip.compress),
    "two members": packed(two_members),
    "two members, chunked": chunked(two_members),
    "an empty member": packed(lambda plain: gzip.compress(b"") + gzip.compress(plain) + gzip.compress(b"")),
    "deflate": packed(zlib.compress, "deflate"),
    "raw deflate": packed(raw_deflate, "deflate"),
}
CUT: dict[str, Answer] = {
    "half a gzip": packed(lambda plain: gzip.compress(plain)[:40]),
    "half a gzip, chunked": chunked(lambda plain: gzip.compress(plain)[:40]),
    "all but its last byte": packed(lambda plain: gzip.compress(plain)[:-1]),
    "no checksum": packed(lambda plain: gzip.compress(plain)[:-8]),
    "one byte": packed(lambda plain: gzip.compress(plain)[:1]),
    "half a second member": packed(lambda plain: gzip.compress(plain) + gzip.compress(plain)[:12]),
    "half a deflate": packed(lambda plain: zlib.compress(plain)[:40], "deflate"),
    "deflate without checksum": packed(lambda plain: zlib.compress(plain)[:-4], "deflate"),
    "half a raw deflate": packed(lambda plain: raw_deflate(plain)[:40], "deflate"),
}
WRONG: dict[str, Answer] = {
    "plain text": packed(lambda plain: plain),
    "garbage after a gzip": packed(lambda plain: gzip.compress(plain) + b"and more"),
    "zeros after a gzip": packed(lambda plain: gzip.compress(plain) + bytes(512)),
    "garbage after a deflate": packed(lambda plain: zlib.compress(plain) + b"and more", "deflate"),
    "a second deflate": packed(lambda plain: zlib.compress(plain) * 2, "deflate"),
    "a wrong checksum": packed(lambda plain: gzip.compress(plain)[:-8] + b"\x00" * 8),
    "more members than make sense": packed(lambda plain: gzip.compress(b"") * 10_000 + gzip.compress(plain)),
    "brotli": packed(lambda plain: plain, "br"),
    "two codings": packed(lambda plain: gzip.compress(gzip.compress(plain)), "gzip, gzip"),
    "more than its length": lambda plain: http(200, plain) + b"and more",
    "more than its chunks": lambda plain: chunked(gzip.compress)(plain) + b"and more",
    "more, and a line end": lambda plain: http(200, plain) + b"and more\r\n",
    "more, before the end": lambda plain: http(200, plain, {"Connection": "close"}) + b"and more",
}


def serve(make: Answer, *, pieces: bool) -> Callable[[Link], Awaitable[None]]:
    """Answer every request, in one piece or with the head ahead of the body."""

    async def run(link: Link) -> None:
        while (request := await link.read_request()) is not None:
            answer = make(json.dumps(document(request)).encode())
            head, _, body = answer.partition(b"\r\n\r\n")
            if pieces:
                await link.write(head + b"\r\n\r\n")
                await asyncio.sleep(0.003)
                await link.write(body)
            else:
                await link.write(answer)

    return run


@pytest.mark.parametrize("pieces", [False, True], ids=["at once", "head first"])
@pytest.mark.parametrize("way", WAYS)
@in_virtual_time
async def test_what_is_whole_is_taken(way: str, pieces: bool) -> None:
    for name, make in WHOLE.items():
        async with FaultServer(serve(make, pieces=pieces)) as server, opened(way, server.base_url) as session:
            for read in READS.values():
                assert await read(session), name


@pytest.mark.parametrize("pieces", [False, True], ids=["at once", "head first"])
@pytest.mark.parametrize("way", WAYS)
@in_virtual_time
async def test_what_ends_too_early_is_not(way: str, pieces: bool) -> None:
    await _refused(CUT, TruncatedResponseError, way, pieces)


@pytest.mark.parametrize("pieces", [False, True], ids=["at once", "head first"])
@pytest.mark.parametrize("way", WAYS)
@in_virtual_time
async def test_what_is_something_else_is_not(way: str, pieces: bool) -> None:
    await _refused(WRONG, ProtocolError, way, pieces)


async def _refused(answers: dict[str, Answer], kind: type[CyclrError], way: str, pieces: bool) -> None:
    for name, make in answers.items():
        async with FaultServer(serve(make, pieces=pieces)) as server, opened(way, server.base_url) as session:
            for what, read in READS.items():
                outcome: object = (await asyncio.gather(read(session), return_exceptions=True))[0]
                assert isinstance(outcome, CyclrError), f"{what} took {name} for whole: {outcome!r:.80}"
                assert (type(outcome), outcome.sent) == (kind, "yes"), f"{what}, {name}: {outcome!r}"
            if name.startswith("more than"):  # and what follows is not taken for the beginning of another answer
                assert server.connections == len(READS), name


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["half a gzip", "garbage after a gzip", "more than its length"])
@in_virtual_time
async def test_a_write_with_such_an_answer_is_unknown(name: str, way: str) -> None:
    make = (CUT | WRONG)[name]
    async with FaultServer(serve(make, pieces=False)) as server, opened(way, server.base_url) as session:
        with pytest.raises(OutcomeUnknownError):
            await session.accounts.create(name="ACME")
        with pytest.raises(OutcomeUnknownError):
            await session.request("POST", "createaccount", json={})
        assert server.request_count == 2


@pytest.mark.parametrize("way", WAYS)
@in_virtual_time
async def test_an_empty_answer_has_nothing_to_unpack(way: str) -> None:
    """Servers name the coding of a body that is not there: of a HEAD, of a 204, or of nothing at all."""
    packing = {"Content-Encoding": "gzip", "Content-Length": "0"}

    async def run(link: Link) -> None:
        while (request := await link.read_request()) is not None:
            head = request.method == "HEAD"
            await link.write(http(200, b"", {**packing, "Content-Length": "900"} if head else packing))

    async with FaultServer(run) as server, opened(way, server.base_url) as session:
        for method in ("GET", "HEAD", "POST"):
            assert (await session.request(method, "details")).body == b""
        assert server.request_count == 3


@pytest.mark.skipif(bool(os.environ.get("AIOHTTP_NO_EXTENSIONS")), reason="this is that run")
def test_all_of_this_with_the_parser_in_python() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "-k", "not session", __file__],
        env={**os.environ, "AIOHTTP_NO_EXTENSIONS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert "20 passed, 1 skipped" in done.stdout
