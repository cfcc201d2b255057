"""A server that is never the bottleneck: raw bytes over ``asyncio.Protocol``, in its own process, on its own core.

``python -m benchmarks.loadserver --port 8080 --delay 0.02`` serves until its standard input closes. Each line on
standard input is a JSON object, and each gets one JSON line back: ``{"delay": s, "accounts": n}`` changes what is
served, ``{}`` asks for the figures since the previous line (requests, wall seconds, CPU seconds of the server).
"""

import argparse
import asyncio
import contextlib
import json
import os
import sys
import time
from typing import Final

from typing_extensions import override

from benchmarks.bodies import BILLING, accounts_body
from benchmarks.pinning import pin, server_core

__all__ = ["LoadServer", "main", "response"]

_END: Final = b"\r\n\r\n"
_HEADERS: Final = (
    b"Cache-Control: no-cache\r\nPragma: no-cache\r\nContent-Type: application/json; charset=utf-8\r\nExpires: -1\r\n"
    b"Server: Microsoft-IIS/10.0\r\nX-AspNet-Version: 4.0.30319\r\nX-Powered-By: ASP.NET\r\n"
    b"Date: Tue, 03 Nov 2026 10:00:00 GMT\r\n"
)


def response(body: bytes, status: bytes = b"200 OK") -> bytes:
    """One whole HTTP answer, with the headers an IIS server sends."""
    return b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n%b" % (status, _HEADERS, len(body), body)


class LoadServer:
    """What is served, and how much of it was asked for.

    Args:
        delay: seconds between a request and its answer.
        accounts: how many accounts "List Accounts" answers.
    """

    __slots__ = ("billing", "delay", "listing", "missing", "requests")

    def __init__(self, delay: float = 0.0, accounts: int = 100) -> None:
        self.delay = delay
        self.requests = 0
        self.billing = response(BILLING)
        self.missing = response(b'{"Message":"not found"}', b"404 Not Found")
        self.listing = response(accounts_body(accounts))

    def answer(self, request: bytes) -> bytes:
        """The answer to one request line and its headers."""
        path = request[4 : request.find(b" ", 4)]
        if b"/billing" in path:
            return self.billing
        return self.listing if path.endswith(b"/accounts") else self.missing


class _Connection(asyncio.Protocol):
    __slots__ = ("buffer", "loop", "server", "transport")

    def __init__(self, server: LoadServer, loop: asyncio.AbstractEventLoop) -> None:
        self.server = server
        self.loop = loop
        self.buffer = b""
        self.transport: asyncio.Transport | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    @override
    def data_received(self, data: bytes) -> None:
        # Only GET is served, so a request ends where its headers end.
        data = self.buffer + data
        *requests, self.buffer = data.split(_END)
        for request in requests:
            self.server.requests += 1
            answer = self.server.answer(request)
            if self.server.delay:
                self.loop.call_later(self.server.delay, self.send, answer)
            else:
                self.send(answer)

    def send(self, answer: bytes) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(answer)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None


async def _serve(server: LoadServer, port: int) -> None:
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(lambda: _Connection(server, loop), "127.0.0.1", port, backlog=2048)
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    print(json.dumps({"port": listener.sockets[0].getsockname()[1], "pid": os.getpid()}), flush=True)
    requests, wall, cpu = server.requests, time.perf_counter(), time.process_time()
    async with listener:
        while line := await commands.readline():
            command = json.loads(line)
            server.delay = command.get("delay", server.delay)
            if "accounts" in command:
                server.listing = response(accounts_body(command["accounts"]))
            now = (server.requests, time.perf_counter(), time.process_time())
            figures = {"requests": now[0] - requests, "wall_s": now[1] - wall, "cpu_s": now[2] - cpu}
            requests, wall, cpu = server.requests, time.perf_counter(), time.process_time()
            print(json.dumps(figures), flush=True)
        listener.close()


def main() -> None:
    """Serve until standard input closes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port and prints it")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds between a request and its answer")
    parser.add_argument("--accounts", type=int, default=100, help="how many accounts the list holds")
    arguments = parser.parse_args()
    pin(server_core())
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(LoadServer(arguments.delay, arguments.accounts), arguments.port))


if __name__ == "__main__":
    main()
