"""A server that keeps every request as the bytes that came, and answers from a list."""

from __future__ import annotations

import asyncio
import ssl as ssl_module
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

__all__ = ["Heard", "Recorder", "reply"]


@dataclass(frozen=True)
class Heard:
    """One request, byte for byte."""

    head: bytes
    body: bytes
    connection: int

    @property
    def line(self) -> str:
        return self.head.split(b"\r\n", 1)[0].decode("ascii")

    @property
    def target(self) -> str:
        return self.line.split(" ")[1]

    @property
    def headers(self) -> dict[str, str]:
        """The headers by their names in lower case; a name that comes twice is an error."""
        pairs = [line.split(": ", 1) for line in self.head.decode("latin-1").split("\r\n")[1:] if line]
        names = [name.lower() for name, _ in pairs]
        assert len(names) == len(set(names)), names
        return dict(zip(names, (value for _, value in pairs), strict=True))


def reply(
    body: bytes | str = b"",
    status: int = 200,
    *,
    kind: str | None = "application/json; charset=utf-8",
    headers: dict[str, str] | None = None,
) -> bytes:
    """One HTTP answer."""
    content = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} Status", f"Content-Length: {len(content)}"]
    lines += [f"Content-Type: {kind}"] if kind else []
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + content


class Recorder:
    """Answers the n-th request with the n-th answer, and all later ones with the last; or with what a function makes.

    Attributes:
        heard: every request that arrived.
        connections: connections accepted.
    """

    def __init__(
        self, *answers: bytes, make: Callable[[Heard], bytes] | None = None, ssl: ssl_module.SSLContext | None = None
    ) -> None:
        self.heard: list[Heard] = []
        self.connections = 0
        self.port = 0
        self._answers: Sequence[bytes] = answers
        self._make = make
        self._ssl = ssl
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def origin(self) -> str:
        return f"{'https' if self._ssl else 'http'}://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        return f"{self.origin}/api/partner"

    @property
    def token_url(self) -> str:
        return f"{self.origin}/oauth/token"

    def to(self, path: str) -> list[Heard]:
        """The requests to one target."""
        return [heard for heard in self.heard if heard.target == path]

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._ssl, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        number = self.connections
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
                )
                heard = Heard(head, await reader.readexactly(length), number)
                self.heard.append(heard)
                if self._make is not None:
                    answer = self._make(heard)
                else:
                    answer = self._answers[min(len(self.heard), len(self._answers)) - 1]
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client is done
        except asyncio.CancelledError:
            pass  # the server is done
        finally:
            self._tasks.discard(task)
            writer.transport.abort()
