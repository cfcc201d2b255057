"""The usual answer is read without aiohttp's parser, and whatever deviates from it in one point is not.

Every deviation must end as it ends through :class:`aiohttp.ClientSession`, on a new connection and on one that is kept,
and the reads after it must get their own answers.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from aiohttp.client_proto import ResponseHandler

from cyclr_async import AsyncPartnerSession, CyclrError, Limits, RetryPolicy, Timeouts
from cyclr_async.http.engine.body import PURE_PYTHON
from cyclr_async.http.engine.direct import DirectReads
from tests.faults.matrix import partner
from tests.support.answers import ACCOUNT, account_id, good, task_count
from tests.support.server import FaultServer, Link, Request, answer, close, delay, script

SESSION: dict[str, Any] = {"limits": Limits(direct_reads=False)}
TIMES = Timeouts(connect=20, read=20, attempt=20, deadline=60, close=0.0)
"""Nothing here ends by a time limit, on a busy machine neither."""
HANDLER: dict[str, Any] = {"limits": Limits(reuse_connections=False)}
"""Reads by aiohttp's handler, because nothing is kept that another protocol could read."""

Change = Callable[[bytes], bytes]


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What aiohttp's handlers were given; to be cleared once the pool is open, since the rehearsal needs one too."""
    given: list[bytes] = []
    plain = ResponseHandler.data_received

    def seen(self: ResponseHandler, data: bytes) -> None:
        if data:  # none: aiohttp goes on with what it had put aside
            given.append(data)
        plain(self, data)

    monkeypatch.setattr(ResponseHandler, "data_received", seen)
    return given


def _line(line: bytes) -> Change:
    """One more header, before all others."""
    return lambda whole: whole.replace(b"\r\n", b"\r\n" + line + b"\r\n", 1)


def _last_line(line: bytes) -> Change:
    return lambda whole: whole.replace(b"\r\n\r\n", b"\r\n" + line + b"\r\n\r\n", 1)


def _instead(old: bytes, new: bytes) -> Change:
    def changed(whole: bytes) -> bytes:
        assert old in whole
        return whole.replace(old, new, 1)

    return changed


def _length(text: Callable[[int], bytes]) -> Change:
    def changed(whole: bytes) -> bytes:
        head, _, body = whole.partition(b"\r\n\r\n")
        return head.replace(b"Content-Length: %d" % len(body), b"Content-Length: " + text(len(body))) + (
            b"\r\n\r\n" + body
        )

    return changed


def _chunked(whole: bytes) -> bytes:
    head, _, body = whole.partition(b"\r\n\r\n")
    kept = b"\r\n".join(line for line in head.split(b"\r\n") if not line.startswith(b"Content-Length"))
    return kept + b"\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


USUAL: dict[str, Change] = {
    "plain": lambda whole: whole,
    "lower-case": lambda whole: whole.replace(b"Content-Length", b"content-length"),
    "length-first": _instead(b"Content-Type", b"X-Type"),
    "iis": _line(b"Cache-Control: no-cache\r\nPragma: no-cache\r\nServer: Microsoft-IIS/10.0\r\nX-AspNet-Version: 4.0"),
    "date": _last_line(b"Date: Tue, 03 Nov 2026 10:00:00 GMT"),
    "cookie": _line(b"Set-Cookie: ARRAffinity=1;Path=/;HttpOnly\r\nSet-Cookie: b=c"),
    "ninety-headers": _line(b"\r\n".join(b"X-%d: a" % number for number in range(90))),
    "long-header": _line(b"X-A: " + b"a" * 7000),
    "spaces-in-values": _line(b"X-A:   a   b  "),
    "empty-value": _line(b"X-A: "),
}
"""What is recognised."""

DEVIATIONS: dict[str, Change] = {
    "http-1.0": _instead(b"HTTP/1.1", b"HTTP/1.0"),
    "http-1.2": _instead(b"HTTP/1.1", b"HTTP/1.2"),
    "http-2.0": _instead(b"HTTP/1.1", b"HTTP/2.0"),
    "lower-http": _instead(b"HTTP", b"http"),
    "space-before": lambda whole: b" " + whole,
    "line-before": lambda whole: b"\r\n" + whole,
    "status-201": _instead(b"200 OK", b"201 Created"),
    "status-203": _instead(b"200 OK", b"203 OK"),
    "status-204": _instead(b"200 OK", b"204 OK"),
    "status-206": _instead(b"200 OK", b"206 OK"),
    "status-2000": _instead(b"200 OK", b"2000 OK"),
    "status-404": _instead(b"200 OK", b"404 Not Found"),
    "status-401": _instead(b"200 OK", b"401 Unauthorized"),
    "other-reason": _instead(b"200 OK", b"200 Fine"),
    "no-reason": _instead(b"200 OK", b"200"),
    "empty-reason": _instead(b"200 OK", b"200 "),
    "two-spaces": _instead(b"200 OK", b" 200 OK"),
    "reason-and-space": _instead(b"200 OK", b"200 OK "),
    "no-length": lambda whole: b"".join(whole.partition(b"Content-Length: ")[::2]).replace(b"", b"", 1),
    "length-renamed": _instead(b"Content-Length", b"X-Length"),
    "length-too-short": _length(lambda size: b"%d" % (size - 1)),
    "length-too-long": _length(lambda size: b"%d" % (size + 1)),
    "length-zero": _length(lambda _: b"0"),
    "length-negative": _length(lambda size: b"-%d" % size),
    "length-plus": _length(lambda size: b"+%d" % size),
    "length-with-zeros": _length(lambda size: b"000%d" % size),
    "length-with-space": _length(lambda size: b"%d " % size),
    "length-after-two-spaces": _length(lambda size: b" %d" % size),
    "length-after-tab": _length(lambda size: b"\t%d" % size),
    "length-hex": _length(lambda size: b"0x%x" % size),
    "length-underscored": _length(lambda size: b"%d_0" % (size // 10)),
    "length-list": _length(lambda size: b"%d, %d" % (size, size)),
    "length-huge": _length(lambda _: b"9" * 30),
    "length-empty": _length(lambda _: b""),
    "length-word": _length(lambda _: b"two"),
    "length-twice": lambda whole: _line(b"Content-Length: %d" % len(whole.partition(b"\r\n\r\n")[2]))(whole),
    "length-twice-in-other-case": lambda whole: _line(b"CONTENT-length: %d" % len(whole.partition(b"\r\n\r\n")[2]))(
        whole
    ),
    "another-length-before": _line(b"Content-Length: 3"),
    "another-length-after": _last_line(b"content-length: 3"),
    "chunked": _chunked,
    "chunked-and-length": _line(b"Transfer-Encoding: chunked"),
    "chunked-and-length-in-other-case": _last_line(b"TRANSFER-ENCODING: chunked"),
    "transfer-identity": _line(b"Transfer-Encoding: identity"),
    "transfer-gzip": _line(b"Transfer-Encoding: gzip, chunked"),
    "encoding-gzip": _line(b"Content-Encoding: gzip"),
    "encoding-identity": _line(b"Content-Encoding: identity"),
    "encoding-unknown": _last_line(b"content-encoding: snappy"),
    "content-range": _line(b"Content-Range: bytes 0-1/2"),
    "connection-close": _line(b"Connection: close"),
    "connection-close-in-other-case": _last_line(b"connection: CLOSE"),
    "connection-keep-alive": _line(b"Connection: keep-alive"),
    "connection-upgrade": _line(b"Connection: upgrade\r\nUpgrade: websocket"),
    "proxy-connection": _line(b"Proxy-Connection: close"),
    "keep-alive": _line(b"Keep-Alive: timeout=1, max=1"),
    "upgrade": _line(b"Upgrade: h2c"),
    "trailer": _line(b"Trailer: X-A"),
    "te": _line(b"TE: trailers"),
    "two-types": _line(b"Content-Type: text/html"),
    "two-types-in-other-case": _last_line(b"content-type: text/html"),
    "two-request-ids": _line(b"X-Request-Id: a\r\nx-request-id: b"),
    "no-colon": _line(b"X-A"),
    "space-before-colon": _line(b"X-A : b"),
    "no-space-after-colon": _line(b"X-A:b"),
    "tab-after-colon": _line(b"X-A:\tb"),
    "tab-in-value": _line(b"X-A: b\tc"),
    "folded": _line(b"X-A: b\r\n c"),
    "folded-by-tab": _line(b"X-A: b\r\n\tc"),
    "folded-first": lambda whole: whole.replace(b"\r\n", b"\r\n X-A: b\r\n", 1),
    "nul-in-value": _line(b"X-A: b\x00c"),
    "nul-in-name": _line(b"X\x00A: b"),
    "delete-in-value": _line(b"X-A: b\x7fc"),
    "escape-in-value": _line(b"X-A: b\x1bc"),
    "latin-1-in-value": _line(b"X-A: \xe4"),
    "utf-8-in-value": _line("X-A: ä".encode()),
    "latin-1-in-name": _line(b"X-\xe4: b"),
    "odd-name": _line(b"X_A!: b"),
    "digit-name": _line(b"1A: b"),
    "space-in-name": _line(b"X A: b"),
    "empty-name": _line(b": b"),
    "bracket-in-name": _line(b"X(A): b"),
    "bare-lf": _line(b"X-A: b\nX-B: c"),
    "bare-cr": _line(b"X-A: b\rX-B: c"),
    "lf-after-status": _instead(b"200 OK\r\n", b"200 OK\n"),
    "lf-at-the-end-of-the-head": _instead(b"\r\n\r\n", b"\r\n\n"),
    "two-cr": _line(b"X-A: b\r"),
    "150-headers": _line(b"\r\n".join(b"X-%d: a" % number for number in range(150))),
    "header-of-9000": _line(b"X-A: " + b"a" * 9000),
    "name-of-9000": _line(b"X" * 9000 + b": a"),
    "bytes-after": lambda whole: whole + b"x",
    "line-after": lambda whole: whole + b"\r\n",
    "another-answer-after": lambda whole: whole + whole,
    "half-an-answer-after": lambda whole: whole + whole[:40],
    "continue-before": lambda whole: b"HTTP/1.1 100 Continue\r\n\r\n" + whole,
    "continue-after": lambda whole: whole + b"HTTP/1.1 100 Continue\r\n\r\n",
    "hints-before": lambda whole: b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + whole,
    "no-body": lambda whole: whole.partition(b"\r\n\r\n")[0] + b"\r\n\r\n",
    "cut-in-the-body": lambda whole: whole[:-3],
    "cut-in-the-head": lambda whole: whole[:30],
    "cut-in-the-status-line": lambda whole: whole[:9],
    "one-byte": lambda whole: whole[:1],
    "nothing": lambda _: b"",
    "empty-head": lambda whole: b"HTTP/1.1 200 OK\r\n\r\n" + whole.partition(b"\r\n\r\n")[2],
    "garbage": lambda _: b"\x00\xff garbage\r\n\r\n",
}
"""What is not, and how it ends is aiohttp's to say."""


async def _outcome(session: AsyncPartnerSession, number: int) -> tuple[object, ...]:
    try:
        return ("ok", await session.accounts.usage(account_id(number)))
    except CyclrError as error:
        return type(error), error.sent, getattr(error, "status", None)


async def _story(change: Change, options: dict[str, Any], *, at: int) -> list[Any]:
    """Three reads; the answer to one of them is changed, and the server closes the connection after it."""

    over = asyncio.Event()

    async def serve(link: Link) -> None:
        while (request := await link.read_request()) is not None:
            odd = link.server.request_count == at
            whole = good(request)
            await link.write(change(whole) if odd else whole)
            if odd:
                # Long enough for the client to read it apart from the end of the connection.
                await asyncio.sleep(0.005)
                over.set()
                return

    async with (
        FaultServer(serve) as server,
        partner(server.base_url, retry=RetryPolicy(attempts=1), timeouts=TIMES, **options) as session,
    ):
        ends: list[Any] = []
        for number in (1, 2, 3):
            ends.append(await _outcome(session, number))
            if number == at:
                # The end of the connection is heard before the next read looks for one.
                await asyncio.wait_for(over.wait(), 20)
                await asyncio.sleep(0.03)
        return [*ends, server.request_count]


@pytest.mark.skipif(
    PURE_PYTHON, reason="the parser in Python takes some of these otherwise, as docs/reliability.md says"
)
@pytest.mark.parametrize("at", [1, 2], ids=["new", "kept"])
@pytest.mark.parametrize("name", [*USUAL, *DEVIATIONS])
async def test_an_answer_ends_as_it_ends_through_a_session(name: str, at: int) -> None:
    change = {**USUAL, **DEVIATIONS}[name]
    kept, handled, through = await asyncio.gather(
        _story(change, {}, at=at), _story(change, HANDLER, at=at), _story(change, SESSION, at=at)
    )
    assert kept == handled == through
    assert kept[2][0] == "ok"
    assert kept[2][1].task_count == task_count(account_id(3))


@pytest.mark.parametrize("name", USUAL)
async def test_the_usual_answer_is_not_parsed_by_aiohttp(name: str, parsed: list[bytes]) -> None:
    changed = answer(lambda request: USUAL[name](good(request)))
    async with FaultServer(script(changed, changed)) as server, partner(server.base_url, timeouts=TIMES) as session:
        await session._pool.open()
        parsed.clear()
        for number in (1, 2):
            usage = await session.accounts.usage(account_id(number))
            assert usage.task_count == task_count(account_id(number))
        assert server.connections == 1
    assert parsed == []


@pytest.mark.skipif(PURE_PYTHON, reason="the parser in Python is given again what it had put aside")
@pytest.mark.parametrize("name", DEVIATIONS)
async def test_a_deviation_is_parsed_by_aiohttp(name: str, parsed: list[bytes]) -> None:
    def changed(request: Request) -> bytes:
        return DEVIATIONS[name](good(request))

    async with FaultServer(script(answer(good), answer(changed), delay(0.02), close())) as server:
        async with partner(server.base_url, retry=RetryPolicy(attempts=1), timeouts=TIMES) as session:
            await session._pool.open()
            parsed.clear()
            await session.accounts.usage(account_id(1))
            assert parsed == []
            await _outcome(session, 2)
        sent = changed(server.requests[1])
    # All of it, from the first byte on. What a broken answer ends with may be cut off by the end of the connection.
    assert sent.startswith(b"".join(parsed))
    assert parsed or not sent


@pytest.mark.parametrize("at", [1, 5, 17, 40, -100, -1])
async def test_an_answer_in_two_pieces_is_parsed_by_aiohttp_and_the_connection_kept(
    at: int, parsed: list[bytes]
) -> None:
    async def split(link: Link) -> None:
        while (request := await link.read_request()) is not None:
            whole = good(request)
            if link.server.request_count % 2:
                await link.write(whole[:at])
                await asyncio.sleep(0.005)
                await link.write(whole[at:])
            else:
                await link.write(whole)

    async with FaultServer(split) as server, partner(server.base_url, timeouts=TIMES) as session:
        await session._pool.open()
        parsed.clear()
        for number in range(1, 7):
            usage = await session.accounts.usage(account_id(number))
            assert usage.task_count == task_count(account_id(number))
        assert server.connections == 1
        assert session.stats().connections_reused == 5
    assert len(parsed) == 6  # two pieces of every second answer


async def test_headers_are_as_aiohttp_has_them() -> None:
    def reply(request: Request) -> bytes:
        return _line(b"content-language:  en \r\nset-cookie: a=1\r\nSet-Cookie: b=2\r\nX-Own-name: 3")(good(request))

    def plain(request: Request) -> bytes:
        return _line(b"x-own-name: 3\r\nserver: a/1 \r\nset-cookie: a=1\r\nSet-Cookie: b=2\r\nDATE: now")(good(request))

    for made in (reply, plain):
        seen = []
        for options in ({}, HANDLER, SESSION):
            async with FaultServer(answer(made)) as server, partner(server.base_url, **options) as session:
                whole = await session.request("GET", f"accounts/{ACCOUNT}/billing")
                seen.append((whole.status, list(whole.headers.items()), whole.body))
        assert seen[0] == seen[1] == seen[2]


@pytest.mark.parametrize("limit", [30.0, 0.05], ids=["long", "short"])
async def test_an_idle_connection_is_kept_as_long_as_the_limit_says(limit: float) -> None:
    ended = asyncio.Event()

    async def serve(link: Link) -> None:
        while (request := await link.read_request()) is not None:
            await link.write(good(request))
        ended.set()

    async with (
        FaultServer(serve) as server,
        partner(server.base_url, limits=Limits(keepalive=limit), timeouts=TIMES) as session,
    ):
        await session.accounts.usage(account_id(1))
        if limit < 1:
            # Closed when its time is over, and not only when somebody looks for a connection.
            await asyncio.wait_for(ended.wait(), 20)
        await session.accounts.usage(account_id(2))
        assert server.connections == (2 if limit < 1 else 1)


async def test_what_was_needed_for_a_crowd_is_closed_when_it_has_gone() -> None:
    async with FaultServer(script(*[answer(good)] * 50)) as server:
        async with partner(server.base_url, limits=Limits(keepalive=0.2), timeouts=TIMES) as session:
            await asyncio.gather(*(session.accounts.usage(account_id(number)) for number in range(1, 9)))
            crowd = server.open
            assert crowd > 1
            for number in range(1, 30):
                await session.accounts.usage(account_id(number))
                await asyncio.sleep(0.02)
            # The one that was used last is used next, so that the others grow old.
            assert server.open == 1
        assert session.stats().active == 0


async def test_a_closed_session_leaves_no_connection_and_no_timer() -> None:
    async with FaultServer(script(*[answer(good)] * 5)) as server:
        session = partner(server.base_url)
        async with session:
            await asyncio.gather(*(session.accounts.usage(account_id(number)) for number in range(1, 4)))
            engine = session._pool.engine
            assert isinstance(engine, DirectReads)
        await asyncio.sleep(0.01)
        assert server.open == 0
        loop = asyncio.get_running_loop()
        # What is left in the loop would keep the closed session alive.
        assert [handle for handle in loop._scheduled if not handle.cancelled()] == []  # type: ignore[attr-defined]


async def test_a_list_and_single_reads_share_their_connections() -> None:
    async with FaultServer(script(*[answer(good)] * 9)) as server, partner(server.base_url, timeouts=TIMES) as session:
        for number in (1, 2):
            await session.accounts.usage(account_id(number))
            assert len(await session.accounts.list()) == 3
            assert [account.id async for account in session.accounts.iter()] == [account_id(n) for n in range(3)]
        assert server.connections == 1
        assert session.stats().connections_reused == 5


async def test_bytes_that_follow_the_usual_answer_later_cost_the_connection_and_not_the_answer() -> None:
    """Between the answer and the moment in which its caller runs again."""

    async def serve(link: Link) -> None:
        while (request := await link.read_request()) is not None:
            await link.write(good(request))
            await asyncio.sleep(0)
            await link.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    async with FaultServer(serve) as server, partner(server.base_url, timeouts=TIMES) as session:
        for number in range(1, 30):
            usage = await session.accounts.usage(account_id(number))
            assert usage.task_count == task_count(account_id(number))
        assert server.request_count == 29


# --- mutated answers ---

_LINES = (
    b"Transfer-Encoding: chunked",
    b"Content-Encoding: gzip",
    b"Connection: close",
    b"Content-Length: 5",
    b"X-Request-Id: 1",
    b"Content-Type: text/html",
    b" folded",
    b"X-A:b",
    b"X-A: \xff",
)
_BYTES = b'\r\n\t :;,\x00\x7f\xff09azAZHTP/1.2-+"{}'


def _mutated(whole: bytes, chance: random.Random) -> list[bytes]:
    """Return an answer with a few mistakes, in the pieces in which it is sent."""
    data = bytearray(whole)
    for _ in range(chance.choice([0, 1, 1, 1, 2, 3])):
        head = data.find(b"\r\n\r\n") + 4
        # The head more often than the body, where mistakes are the decoder's and not the parser's.
        at = chance.randrange(head if head > 4 and chance.random() < 0.8 else max(len(data), 1))
        match chance.randrange(8):
            case 0:
                data[at : at + 1] = bytes([chance.choice(_BYTES)])
            case 1:
                data[at:at] = bytes([chance.choice(_BYTES)])
            case 2:
                del data[at : at + chance.choice([1, 1, 2, 10])]
            case 3:
                lines = bytes(data).split(b"\r\n")
                lines.insert(chance.randrange(1, len(lines) + 1), chance.choice(_LINES))
                data = bytearray(b"\r\n".join(lines))
            case 4:
                lines = bytes(data).split(b"\r\n")
                lines.insert(chance.randrange(len(lines)), chance.choice(lines))
                data = bytearray(b"\r\n".join(lines))
            case 5:
                data = data[: max(at, 1)]
            case 6:
                data += chance.choice([b"x", b"\r\n", whole, whole[:20]])
            case _:
                data = bytearray(chance.choice([bytes(data).lower(), bytes(data).swapcase(), bytes(data)]))
    cuts = sorted(chance.randrange(len(data) + 1) for _ in range(chance.choice([0, 0, 0, 1, 2])))
    return [bytes(data[begin:end]) for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


async def _compare(cases: Sequence[int]) -> int:
    """Read mutated answers in both ways; return how many of them were good ones."""

    async def serve(link: Link) -> None:
        while (request := await link.read_request()) is not None:
            number = int(request.path.split("/")[-2], 16)
            if number == 0:  # warms a connection, so that the case comes on one that is kept
                await link.write(good(request))
                continue
            pieces = _mutated(good(request), random.Random(number))
            for piece in pieces:
                await link.write(piece)
                await asyncio.sleep(0.001)
            return

    settings: dict[str, Any] = {"retry": RetryPolicy(attempts=1), "timeouts": TIMES}
    fine = 0
    async with (
        FaultServer(serve) as server,
        partner(server.base_url, **settings) as kept,
        partner(server.base_url, **settings, **SESSION) as slow,
    ):
        for begin in range(0, len(cases), 20):
            some = cases[begin : begin + 20]
            if begin % 40:
                await asyncio.gather(*(kept.accounts.usage(account_id(0)) for _ in some))
            ends = await asyncio.gather(*(_outcome(session, number) for number in some for session in (kept, slow)))
            # The server has closed all of these, and that must have been heard before a connection is looked for.
            await asyncio.sleep(0.02)
            for number, fast, through in zip(some, ends[::2], ends[1::2], strict=True):
                assert fast == through, (number, _mutated(good(server.requests[-1]), random.Random(number)))
                fine += fast[0] == "ok"
    return fine


@pytest.mark.skipif(PURE_PYTHON, reason="as above")
async def test_mutated_answers_end_as_through_a_session() -> None:
    fine = await _compare(range(1, 301))
    assert 50 < fine < 250  # else one of the two would hardly be compared


@pytest.mark.stress
@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(10))
async def test_many_mutated_answers_end_as_through_a_session(part: int) -> None:
    assert await _compare(range(1000 + part * 1200, 1000 + (part + 1) * 1200)) > 200
