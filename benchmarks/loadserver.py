"""A server that is never the bottleneck: raw bytes over plain sockets, in its own process, on its own core.

``python -m benchmarks.loadserver --port 8080 --delay 0.02`` serves until its standard input closes. Each line on
standard input is a JSON object, and each gets one JSON line back: ``{"delay": s, "accounts": n}`` changes what is
served, ``{}`` asks for the figures since the previous line (requests, wall seconds, CPU seconds of the server).

Without asyncio, which would spend more on a request than the kernel and all the rest of this server.
"""

import argparse
import contextlib
import heapq
import itertools
import json
import os
import selectors
import socket
import sys
import time
from typing import Any, Final

from benchmarks.bodies import BILLING, V1_USAGE, accounts_body, v1_page
from benchmarks.pinning import pin, server_core

__all__ = ["LoadServer", "main", "response"]

_END: Final = b"\r\n\r\n"
_EARLY: Final = 0.0005
"""Seconds: epoll waits in whole milliseconds, rounded up, so answers would be half a millisecond late on average."""
_HEADERS: Final = (
    b"Cache-Control: no-cache\r\nPragma: no-cache\r\nContent-Type: application/json; charset=utf-8\r\nExpires: -1\r\n"
    b"Server: Microsoft-IIS/10.0\r\nX-AspNet-Version: 4.0.30319\r\nX-Powered-By: ASP.NET\r\n"
    b"Date: Tue, 03 Nov 2026 10:00:00 GMT\r\n"
)


def response(body: bytes, status: bytes = b"200 OK", more: bytes = b"") -> bytes:
    """One whole HTTP answer, with the headers an IIS server sends, and ``more`` of them."""
    return b"HTTP/1.1 %b\r\n%b%bContent-Length: %d\r\n\r\n%b" % (status, _HEADERS, more, len(body), body)


class _Connection:
    __slots__ = ("buffer", "sock", "unsent")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.buffer = b""
        self.unsent: memoryview | None = None


class LoadServer:
    """Serves the billing body of every account, and the account list; and the same of the v1.0 API.

    Args:
        port: where to listen; 0 takes a free port.
        delay: seconds between a request and its answer.
        accounts: how many accounts "List Accounts" answers.
    """

    def __init__(self, port: int = 0, delay: float = 0.0, accounts: int = 100) -> None:
        self.delay = delay
        self.requests = 0
        self.billing = response(BILLING)
        self.missing = response(b'{"Message":"not found"}', b"404 Not Found")
        self.listing = response(accounts_body(accounts))
        self.accounts = accounts
        self._pages: dict[bytes, bytes] = {}
        self._selector = selectors.DefaultSelector()
        self._due: list[tuple[float, int, _Connection, bytes]] = []
        self._numbers = itertools.count()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=2048)
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self.port: int = self._listener.getsockname()[1]
        self._counted = (0, time.perf_counter(), time.process_time())

    def serve(self, commands: int) -> None:
        """Serve until the file descriptor with the commands closes."""
        self._selector.register(commands, selectors.EVENT_READ)
        select, due = self._selector.select, self._due
        words = b""
        while True:
            wait = max(due[0][0] - _EARLY - time.perf_counter(), 0.0) if due else None
            for key, mask in select(wait):
                connection: _Connection | None = key.data
                if connection is not None:
                    if mask & selectors.EVENT_READ:
                        self._receive(connection)
                    else:
                        self._send(connection, b"")
                elif key.fileobj is self._listener:
                    self._accept()
                else:
                    words += os.read(commands, 65536)
                    if not words.endswith(b"\n"):
                        return
                    for line in words.splitlines():
                        print(json.dumps(self._command(json.loads(line))), flush=True)
                    words = b""
            while due and due[0][0] <= time.perf_counter() + _EARLY:
                _, _, late, answer = heapq.heappop(due)
                self._send(late, answer)

    def answer(self, request: bytes) -> bytes:
        """The answer to one request line and its headers."""
        path = request[4 : request.find(b" ", 4)]
        if b"/billing" in path:
            return self.billing
        if path.startswith(b"/v1.0/accounts/"):
            name, _, what = path[len(b"/v1.0/accounts/") :].partition(b"/")
            return response(V1_USAGE % name) if what == b"usage" else response(b"[]", more=b"Total-Pages: 0\r\n")
        if path.startswith(b"/v1.0/accounts?"):
            return self._page(path)
        return self.listing if path.endswith(b"/accounts") else self.missing

    def _page(self, path: bytes) -> bytes:
        """A page of the list, which is read twice; making it anew would cost more than the client's work with it."""
        found = self._pages.get(path)
        if found is None:
            query = dict(part.split(b"=") for part in path.partition(b"?")[2].split(b"&"))
            number, size = int(query[b"page"]), int(query[b"pageSize"])
            total = b"Total-Pages: %d\r\n" % -(-self.accounts // size)
            found = self._pages[path] = response(v1_page(number, size, self.accounts), more=total)
        return found

    def _command(self, command: dict[str, Any]) -> dict[str, float]:
        self.delay = command.get("delay", self.delay)
        if "accounts" in command:
            self.listing = response(accounts_body(command["accounts"]))
            self.accounts = command["accounts"]
            self._pages.clear()
        before = self._counted
        self._counted = now = (self.requests, time.perf_counter(), time.process_time())
        return {"requests": now[0] - before[0], "wall_s": now[1] - before[1], "cpu_s": now[2] - before[2]}

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                sock, _ = self._listener.accept()
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._selector.register(sock, selectors.EVENT_READ, _Connection(sock))

    def _receive(self, connection: _Connection) -> None:
        try:
            data = connection.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close(connection)
            return
        # Only GET is served, so a request ends where its headers end.
        *requests, connection.buffer = (connection.buffer + data).split(_END)
        for request in requests:
            self.requests += 1
            answer = self.answer(request)
            if self.delay:
                heapq.heappush(self._due, (time.perf_counter() + self.delay, next(self._numbers), connection, answer))
            else:
                self._send(connection, answer)

    def _send(self, connection: _Connection, answer: bytes) -> None:
        if connection.sock.fileno() < 0:
            return
        left = memoryview(answer)
        if connection.unsent is not None:
            left = memoryview(bytes(connection.unsent) + answer) if answer else connection.unsent
        try:
            sent = connection.sock.send(left)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._close(connection)
            return
        before, connection.unsent = connection.unsent, left[sent:] if sent < len(left) else None
        if (before is None) is not (connection.unsent is None):
            # While an answer is being sent no further request is read: clients here send one at a time.
            event = selectors.EVENT_READ if connection.unsent is None else selectors.EVENT_WRITE
            self._selector.modify(connection.sock, event, connection)

    def _close(self, connection: _Connection) -> None:
        self._selector.unregister(connection.sock)
        connection.sock.close()


def main() -> None:
    """Serve until standard input closes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port and prints it")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds between a request and its answer")
    parser.add_argument("--accounts", type=int, default=100, help="how many accounts the list holds")
    arguments = parser.parse_args()
    pin(server_core())
    server = LoadServer(arguments.port, arguments.delay, arguments.accounts)
    print(json.dumps({"port": server.port, "pid": os.getpid()}), flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve(sys.stdin.fileno())


if __name__ == "__main__":
    main()
