"""The server of the soak, in a process of its own: ``python -m tests.faults.soakserver 0.05 7``.

It answers usage and account creation out of what it was asked for, so that an answer booked to somebody else shows, and
spoils the given share of its answers in ten ways. It prints its port, and when its input ends one line of JSON: what it
saw, and every account it created.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import struct
import sys
from collections import Counter
from collections.abc import Callable

__all__ = ["FAULTS", "created_id", "main", "usage_of"]

_MARGIN = 1_000_003


def usage_of(account: str) -> int:
    """What the server says this account used."""
    return int(account, 16) * 7 % _MARGIN


def created_id(name: str) -> str:
    """The id of the account of this name."""
    return f"{int(name.rpartition('-')[2]) + (1 << 120):032x}"


def _head(status: int, length: int, extra: str = "") -> bytes:
    return (
        f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{extra}\r\n"
    ).encode()


def _json(value: object, status: int = 200, extra: str = "") -> bytes:
    body = json.dumps(value).encode()
    return _head(status, len(body), extra) + body


class _Truth:
    """What happened here."""

    def __init__(self, share: float, seed: int) -> None:
        self.share = share
        self.dice = random.Random(seed)
        self.requests = self.connections = 0
        self.injected: Counter[str] = Counter()
        self.created: Counter[int] = Counter()


class _Link(asyncio.Protocol):
    def __init__(self, truth: _Truth) -> None:
        self.truth = truth
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.truth.connections += 1

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0 and not self.transport.is_closing():
            head = self.buffer[:end].decode("latin-1")
            length = 0
            if head.startswith("POST"):
                length = int(head.lower().partition("content-length:")[2].split("\r\n", 1)[0])
            whole = end + 4 + length
            if len(self.buffer) < whole:
                return
            body, self.buffer = self.buffer[end + 4 : whole], self.buffer[whole:]
            self._serve(head.split(" ", 2)[1], body)

    def _serve(self, target: str, body: bytes) -> None:
        truth = self.truth
        truth.requests += 1
        fault = ""
        if truth.dice.random() < truth.share:
            fault = truth.dice.choice(tuple(FAULTS))
            truth.injected[fault] += 1
        if body:
            name = json.loads(body)["Name"]
            # A faulty write is carried out in half of the cases; one that is asked to come back later never is.
            if fault != "429" and (not fault or truth.dice.random() < 0.5):
                truth.created[int(name.rpartition("-")[2])] += 1
            document: dict[str, object] = {"Id": created_id(name)}
        else:
            account = target.split("/")[4]
            document = {
                "TaskCount": usage_of(account),
                "CycleCount": 1,
                "FromDate": "2016-12-09T16:23:08",
                "ToDate": "2017-01-08T16:23:08",
                "CurrentPricePlanId": 3,
                "AuditInfo": account,
            }
        if fault:
            FAULTS[fault](self.transport, json.dumps(document).encode())
        else:
            self.transport.write(_json(document))


def _reset(transport: asyncio.Transport) -> None:
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _write(make: Callable[[bytes], bytes], *, then_close: bool = False) -> Callable[[asyncio.Transport, bytes], None]:
    def act(transport: asyncio.Transport, body: bytes) -> None:
        transport.write(make(body))
        if then_close:
            transport.close()

    return act


FAULTS: dict[str, Callable[[asyncio.Transport, bytes], None]] = {
    "close": lambda transport, _body: transport.close(),
    "reset": lambda transport, _body: _reset(transport),
    "500": _write(lambda _body: _json({"Message": "An error has occurred."}, 500)),
    "503": _write(lambda _body: _json({"Message": "busy"}, 503)),
    "429": _write(lambda _body: _json({"Message": "slow down"}, 429, "Retry-After: 0\r\n")),
    "truncated": _write(lambda body: _head(200, len(body)) + body[: len(body) // 2], then_close=True),
    "bad-json": _write(lambda body: _head(200, len(body) // 2) + body[: len(body) // 2]),
    "html": _write(lambda _body: _head(200, 13).replace(b"application/json", b"text/html") + b"<p>Moment</p>"),
    "empty": _write(lambda _body: _head(200, 0)),
    "garbage": _write(lambda body: b"\x16\x03" + body[::-1] + b"\r\n\r\n", then_close=True),
}


async def main(share: float, seed: int) -> None:
    """Serve until the input ends."""
    truth = _Truth(share, seed)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Link(truth), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()
    report = {
        "requests": truth.requests,
        "connections": truth.connections,
        "injected": dict(truth.injected),
        "created": list(truth.created),
        "created_twice": [number for number, times in truth.created.items() if times > 1],
    }
    print(json.dumps(report), flush=True)


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]), int(sys.argv[2])))
