"""How patiently a list that streams is read: a least pace and a total, of which only waiting for the server counts."""

from __future__ import annotations

from cyclr_async.errors import CyclrError, DeadlineExceededError, ReadTimeoutError

__all__ = ["Pace"]


class Pace:
    """The patience with one streamed answer.

    A server that is silent for ``read`` seconds has failed, but one that sends a byte now and then would hold its
    reader for ever. So there is a credit of ``read`` seconds: waiting uses it up, every byte gives some of it back. The
    time that the reader takes for itself is not counted.

    Args:
        operation: the operation, for the message.
        least: bytes a second that the server must send, averaged over ``read`` seconds; 0 for no such limit.
        read: seconds between two pieces.
    """

    __slots__ = ("_credit", "_least", "_left", "_operation", "_read", "_total")

    def __init__(self, operation: str, *, least: float, read: float) -> None:
        self._operation = operation
        self._least = least
        self._read = self._credit = read
        self._total: float | None = None
        self._left = float("inf")

    def limit(self, total: float, left: float) -> None:
        """Bound the whole call to ``total`` seconds, of which ``left`` are left."""
        self._total = total
        self._left = left

    def allowed(self) -> float:
        """Return the seconds for which the next piece may be waited for."""
        return max(min(self._read, self._credit, self._left), 0.0)

    def waited(self, seconds: float, size: int) -> None:
        """Note how long a piece was waited for, and its size in bytes."""
        self._left -= seconds
        # Credit is never saved up beyond ``read``: a server that was fast once may not be silent for longer later.
        if self._least:
            self._credit = min(self._credit - seconds + size / self._least, self._read)

    def exceeded(self, status: int) -> CyclrError:
        """Return the error for a piece that did not come within the time allowed."""
        # The total is named only when it was what ended the waiting: it is the caller's own setting.
        if self._total is not None and self._left <= min(self._read, self._credit):
            return DeadlineExceededError(
                f"{self._operation}: the list did not arrive within {self._total:g} s, not counting the time of its "
                "reader",
                timeout=self._total,
                sent="yes",
            )
        if self._credit < self._read:
            what = (
                f"the list arrived more slowly than Limits.list_pace ({self._least:g} bytes a second over "
                f"{self._read:g} s, Timeouts.read)"
            )
        else:
            what = f"the server was silent for longer than Timeouts.read ({self._read:g} s)"
        return ReadTimeoutError(f"{self._operation}: {what}", sent="yes", status=status)
