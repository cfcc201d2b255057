"""Whether something has arrived on a connection that its protocol has not been given yet.

It may be with the kernel, which is asked at the price of about a microsecond. Over TLS it may also be with the event
loop: as records that it has not decrypted, because reading is paused, or as a part of a record, which nobody can
decrypt before the rest is there. The kernel knows nothing of either any more, and above TLS nothing has arrived.
"""

from __future__ import annotations

import asyncio
import select
import weakref
from collections.abc import Callable
from typing import Any, Final

__all__ = ["RecordBoundary", "pending_of"]

_HAS_POLL: Final = hasattr(select, "poll")
_HEADER: Final = 5
"""Bytes before the content of a TLS record: its type, the version, the length of the content."""
_TYPES: Final = range(20, 25)
"""Types of TLS records: change of cipher, alert, handshake, application data, heartbeat."""
_LONGEST: Final = (1 << 14) + 2048
"""The longest content of a TLS record (RFC 5246, 6.2.3)."""


class RecordBoundary:
    """Follows the stream of TLS records, to know whether it stands between two of them.

    It begins wherever the stream stands. Should that be within a record, what it takes for the next header is none, as
    a rule; then the place is lost, and the stream never counts as between two records again.
    """

    __slots__ = ("_header", "_left", "_lost")

    def __init__(self) -> None:
        self._header = b""
        self._left = 0
        self._lost = False

    @property
    def midway(self) -> bool:
        """Whether a part of a record has arrived, or the place in the stream is lost."""
        return self._left > 0 or self._header != b"" or self._lost

    def follow(self, data: memoryview) -> None:
        """Take what arrived."""
        while data:
            if self._left:
                step = min(self._left, len(data))
                self._left -= step
            else:
                step = min(_HEADER - len(self._header), len(data))
                self._header += bytes(data[:step])
                if len(self._header) == _HEADER:
                    self._left = int.from_bytes(self._header[3:])
                    self._lost = self._lost or self._header[0] not in _TYPES or self._left > _LONGEST
                    self._header = b""
            data = data[step:]


def pending_of(transport: asyncio.BaseTransport | None) -> Callable[[float], object]:
    """Return a function like ``poll()`` that tells whether something has arrived.

    What is with the event loop can be seen only in asyncio's own TLS, by names that are private to it. Another event
    loop, or another asyncio, leaves the question to the kernel alone.
    """
    sock = None if transport is None else transport.get_extra_info("socket")
    # select() would do, but not for descriptors above 1023, and a bulk run has those.
    if sock is None or not _HAS_POLL:
        return _silent
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    asked = poll.poll
    layers: list[tuple[Any, RecordBoundary]] = []
    while (
        tls := getattr(transport, "_ssl_protocol", None)
    ) is not None:  # two where TLS is spoken to the proxy as well
        if hasattr(tls, "buffer_updated") and isinstance(getattr(tls, "_ssl_buffer_view", None), memoryview):
            layers.append((tls._incoming, _boundary_of(tls)))  # noqa: SLF001 - see above
        transport = getattr(tls, "_transport", None)
    # The plain function without a frame of ours: it is called for every request.
    if not layers:
        return asked
    return lambda timeout: asked(timeout) or any(buffer.pending or place.midway for buffer, place in layers)


def _boundary_of(tls: Any) -> RecordBoundary:
    """Let a boundary follow what arrives below TLS."""
    boundary = RecordBoundary()
    taken = type(tls).buffer_updated
    # Weak, so that a closed connection and its large buffer need no garbage collector.
    seen = weakref.ref(tls)

    def buffer_updated(count: int) -> None:
        owner = seen()
        # Followed before it is decrypted: afterwards the bytes are gone from where they can be seen.
        if owner is not None:
            boundary.follow(owner._ssl_buffer_view[:count])  # noqa: SLF001 - see above
            taken(owner, count)

    tls.buffer_updated = buffer_updated
    return boundary


def _silent(_: float) -> bool:
    """Stand in for poll() where the platform has none."""
    return False
