"""The raw server of the tests, with answers from a list, and every request byte for byte."""

from __future__ import annotations

import ssl as ssl_module
from collections.abc import Callable
from dataclasses import dataclass

from tests.support.server import FaultServer, Link

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


class Recorder(FaultServer):
    """Answers the n-th request with the n-th answer, and all later ones with the last; or with what a function makes.

    Attributes:
        heard: every request that arrived.
    """

    def __init__(
        self, *answers: bytes, make: Callable[[Heard], bytes] | None = None, ssl: ssl_module.SSLContext | None = None
    ) -> None:
        super().__init__(self._serve, ssl=ssl)
        self.heard: list[Heard] = []
        self._answers = answers
        self._make = make

    def to(self, path: str) -> list[Heard]:
        """The requests to one target."""
        return [heard for heard in self.heard if heard.target == path]

    async def _serve(self, link: Link) -> None:
        while (request := await link.read_request()) is not None:
            heard = Heard(request.head, request.body, request.connection)
            self.heard.append(heard)
            if self._make is not None:
                await link.write(self._make(heard))
            else:
                await link.write(self._answers[min(len(self.heard), len(self._answers)) - 1])
