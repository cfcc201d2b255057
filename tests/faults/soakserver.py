"""The server of the soak, in a process of its own: ``python -m tests.faults.soakserver 0.05 7``.

It answers usage and account creation out of what it was asked for, so that an answer booked to somebody else shows, and
spoils the given share of its answers in ten ways. It prints its port, and when its input ends one line of JSON: what it
saw, and every account it created.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter
from collections.abc import Callable

from tests.support.answers import document, http, json_http
from tests.support.server import FaultServer, Link, Request, Script, close, rst, script, write

__all__ = ["FAULTS", "created_id", "main"]


def created_id(name: str) -> str:
    """The id of the account of this name."""
    return f"{_number(name) + (1 << 120):032x}"


def _number(name: str) -> int:
    return int(name.rpartition("-")[2])


class _Truth:
    """What happened here."""

    def __init__(self, share: float, seed: int) -> None:
        self.share = share
        self.dice = random.Random(seed)
        self.injected: Counter[str] = Counter()
        self.created: Counter[int] = Counter()

    async def serve(self, link: Link) -> None:
        while (request := await link.read_request()) is not None:
            await self._behaviour(request)(link)
            if link.writer.is_closing():
                return

    def _behaviour(self, request: Request) -> Script:
        fault = ""
        if self.dice.random() < self.share:
            fault = self.dice.choice(tuple(FAULTS))
            self.injected[fault] += 1
        right = document(request)
        if request.body:
            name = json.loads(request.body)["Name"]
            # A faulty write is carried out in half of the cases; one that is asked to come back later never is.
            if fault != "429" and (not fault or self.dice.random() < 0.5):
                self.created[_number(name)] += 1
            right = {"Id": created_id(name)}
        return FAULTS[fault](json.dumps(right).encode()) if fault else write(json_http(right))


def _refusal(status: int, message: str, **headers: str) -> Callable[[bytes], Script]:
    answer = json_http({"Message": message}, status, {name.replace("_", "-"): value for name, value in headers.items()})
    return lambda _body: write(answer)


FAULTS: dict[str, Callable[[bytes], Script]] = {
    "close": lambda _body: close(),
    "reset": lambda _body: rst(),
    "500": _refusal(500, "An error has occurred."),
    "503": _refusal(503, "busy"),
    "429": _refusal(429, "slow down", Retry_After="0"),
    "truncated": lambda body: script(
        write(http(200, body[: len(body) // 2], {"Content-Length": str(len(body))})), close()
    ),
    "bad-json": lambda body: write(http(200, body[: len(body) // 2])),
    "html": lambda _body: write(http(200, b"<p>Moment</p>", {"Content-Type": "text/html"})),
    "empty": lambda _body: write(http(200)),
    "garbage": lambda body: script(write(b"\x16\x03" + body[::-1] + b"\r\n\r\n"), close()),
}


async def main(share: float, seed: int) -> None:
    """Serve until the input ends."""
    truth = _Truth(share, seed)
    async with FaultServer(truth.serve, keep=False) as server:
        print(server.port, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    report = {
        "requests": server.request_count,
        "connections": server.connections,
        "injected": dict(truth.injected),
        "created": list(truth.created),
        "created_twice": [number for number, times in truth.created.items() if times > 1],
    }
    print(json.dumps(report), flush=True)


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]), int(sys.argv[2])))
