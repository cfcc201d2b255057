"""A partner API over a raw ``asyncio.Protocol`` whose every answer a test can choose, and which counts what it saw."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cyclr_async import AsyncPartnerSession
from cyclr_async.usage.collect.collection import Collection
from cyclr_async.usage.collect.outcome import UsageOutcome
from cyclr_async.usage.collect.progress import Progress
from tests.support.clock import VirtualClock

__all__ = ["DROP", "PartnerServer", "ThenClosed", "account_ids", "all_of", "consistent", "http", "stored", "usage_of"]

DROP = b""
"""The answer that closes the connection instead."""
_USAGE = {
    "CycleCount": 10,
    "FromDate": "2016-12-09T16:23:08",
    "ToDate": "2017-01-08T16:23:08",
    "CurrentPricePlanId": 3,
    "AuditInfo": "Demo",
}


class ThenClosed(bytes):
    """An answer after which the connection is closed."""


def account_ids(count: int, start: int = 0) -> list[str]:
    return [f"{number:032x}" for number in range(start, start + count)]


def usage_of(account_id: str) -> int:
    """The task count of an account: from it an answer can be told from every other."""
    return int(account_id, 16) * 3 + 1


def http(status: int, body: object = None, *headers: str) -> bytes:
    content = b"<html>" if body is None else json.dumps(body).encode()
    kind = "text/html" if body is None else "application/json"
    lines = [f"HTTP/1.1 {status} S", f"Content-Type: {kind}", f"Content-Length: {len(content)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + content


def consistent(progress: Progress) -> bool:
    """Whether nothing is dropped and nothing counted twice."""
    parts = progress.ok + progress.missing + progress.forbidden + progress.failed + progress.pending
    return parts == progress.asked and progress.pending >= 0 and progress.in_flight >= 0


async def all_of(run: Collection, outcomes: list[UsageOutcome] | None = None) -> list[UsageOutcome]:
    """Run it to its end, and check what always holds on the way; ``outcomes`` keeps what came before an error."""
    outcomes = [] if outcomes is None else outcomes
    async with run:
        async for outcome in run:
            outcomes.append(outcome)
            assert consistent(run.progress)
    assert consistent(run.progress)
    return outcomes


def stored(path: Path) -> set[str]:
    """The accounts whose usage the store has, empty for no store; fails when one was observed twice."""
    if not path.exists() or not path.stat().st_size:
        return set()
    with closing(sqlite3.connect(path)) as store:
        rows = store.execute("SELECT account_id, count(*) FROM observation GROUP BY account_id").fetchall()
    assert all(count == 1 for _, count in rows)
    return {account for account, _ in rows}


def _listed(account_id: str) -> dict[str, Any]:
    return {
        "Id": account_id,
        "Name": f"Account {account_id[-6:]}",
        "Description": "",
        "PricePlanId": 2,
        "LastBillDate": "2017-02-09T16:23:08",
        "NextBillDate": "2017-03-09T16:23:08",
        "AuditInfo": "listed",
    }


class PartnerServer:
    """Answers the account list and the usage of any account.

    Args:
        listed: what the account list holds: ids, or records to be sent as they are.
        reply: called with an account and how often it was asked for, from 1; returns the answer, ``DROP``, or None
            for the usage.
        delay: seconds before each answer.
    """

    def __init__(
        self,
        listed: Iterable[str | dict[str, Any]] = (),
        reply: Callable[[str, int], bytes | None] = lambda _account, _nth: None,
        *,
        delay: float = 0.0,
    ) -> None:
        self.listed = [_listed(one) if isinstance(one, str) else one for one in listed]
        self.reply = reply
        self.delay = delay
        self.hits: Counter[str] = Counter()
        self.targets: list[str] = []
        self.always: bytes | None = None
        """The answer to everything, whatever it is."""
        self.token: Callable[[], bytes] = lambda: http(200, {"access_token": "t", "expires_in": 3600})
        """The answer of the token endpoint."""
        self.token_requests = 0
        self.lists = self.identified = 0
        self.details: dict[str, Any] = {"Domain": "partner.example.com"}
        self.cuts: list[int] = []
        """After how many accounts each of the next lists breaks off."""
        self.unframed = False
        """Send the list without a length and without chunks: it ends with the connection."""
        self.active = self.most_active = 0
        self._server: asyncio.Server
        self._open: set[asyncio.Transport] = set()

    @property
    def requests(self) -> int:
        return self.hits.total()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/api/partner"

    @property
    def token_url(self) -> str:
        return self.base_url.replace("/api/partner", "/oauth/token")

    def session(self, auth: Any = "token", **options: Any) -> AsyncPartnerSession:
        return AsyncPartnerSession(auth, base_url=self.base_url, token_url=self.token_url, **options)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()
        for transport in list(self._open):
            transport.abort()
        await self._server.wait_closed()

    def answer(self, path: str) -> bytes:
        if self.always is not None:
            return self.always
        if path == "/oauth/token":
            self.token_requests += 1
            return self.token()
        if path.endswith("/accounts"):
            return self._list()
        if path.endswith("/details"):
            self.identified += 1
            return http(200, self.details)
        account = path.split("/")[-2]
        self.hits[account] += 1
        chosen = self.reply(account, self.hits[account])
        return http(200, {"TaskCount": usage_of(account), **_USAGE}) if chosen is None else chosen

    def _list(self) -> bytes:
        self.lists += 1
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        cut = self.cuts.pop(0) if self.cuts else None
        rows = [json.dumps(row).encode() for row in self.listed[:cut]]
        body = b"[" + b",".join(rows) + (b"]" if cut is None else b",")
        if self.unframed:
            return ThenClosed(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + body.rstrip(b","))
        chunks = [body[at : at + 16_000] for at in range(0, len(body), 16_000)]
        framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
        return head + framed + (b"0\r\n\r\n" if cut is None else b"")


class _Connection(asyncio.Protocol):
    def __init__(self, server: PartnerServer) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server._open.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server._open.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        *requests, self._buffer = (self._buffer + data).split(b"\r\n\r\n")
        for request in requests:
            server = self._server
            server.active += 1
            server.most_active = max(server.most_active, server.active)
            target = request.split(b" ", 2)[1].decode()
            server.targets.append(target)
            answer = server.answer(target.partition("?")[0])
            self._loop.call_later(server.delay, self._send, answer)

    def _send(self, answer: bytes) -> None:
        self._server.active -= 1
        if self._transport.is_closing():
            return
        self._transport.write(answer)
        cut = b"chunked" in answer[:100] and not answer.endswith(b"0\r\n\r\n")
        if answer == DROP or cut or isinstance(answer, ThenClosed):
            self._transport.close()


def raw(status: int, body: str, kind: str = "text/html", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} S", f"Content-Length: {len(body)}", *headers, "", ""]
    if kind:
        lines.insert(1, f"Content-Type: {kind}")
    return "\r\n".join(lines).encode() + body.encode()


def states(path: Path) -> Counter[str]:
    with closing(sqlite3.connect(path)) as store:
        return Counter(dict(store.execute("SELECT state, count(*) FROM item GROUP BY state").fetchall()))


@asynccontextmanager
async def virtual(
    reply: Callable[[str, int], bytes | None] = lambda _account, _nth: None,
    listed: list[str] | None = None,
    partner: str | None = None,
    **options: Any,
) -> AsyncIterator[tuple[PartnerServer, AsyncPartnerSession, VirtualClock]]:
    async with (
        VirtualClock() as clock,
        PartnerServer(listed or [], reply, **options) as server,
        server.session(clock=clock, partner=partner) as session,
    ):
        clock.busy = lambda: session.stats().in_flight > 0
        yield server, session, clock
