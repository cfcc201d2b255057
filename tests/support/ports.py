"""Loopback ports on which connecting fails: nobody listens, or nobody accepts."""

from __future__ import annotations

import socket
from typing import Self

__all__ = ["ClosedPort", "FullBacklog"]

_LOOPBACK = "127.0.0.1"


class ClosedPort:
    """A loopback port on which nobody listens, reserved as long as the context lasts."""

    def __enter__(self) -> Self:
        self._socket = socket.socket()
        self._socket.bind((_LOOPBACK, 0))
        self.base_url = f"http://{_LOOPBACK}:{self._socket.getsockname()[1]}/api/partner"
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


class FullBacklog:
    """A listening socket that accepts nothing and whose backlog is full: connecting to it hangs."""

    def __enter__(self) -> Self:
        self._listener = socket.socket()
        self._listener.bind((_LOOPBACK, 0))
        self._listener.listen(0)
        address = self._listener.getsockname()
        self.base_url = f"http://{_LOOPBACK}:{address[1]}/api/partner"
        self._fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(address)
            self._fillers.append(filler)
        return self

    def __exit__(self, *_: object) -> None:
        for filler in self._fillers:
            filler.close()
        self._listener.close()
