"""Which of a long row of numbers are still there: the n-th of them, without going through those before."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator

__all__ = ["Roster"]


class Roster:
    """The numbers from 0 upwards, without those that were removed. Only the removed ones take memory.

    Args:
        total: how many there are at first.
    """

    __slots__ = ("_removed", "total")

    def __init__(self, total: int) -> None:
        self.total: int = total
        self._removed: list[int] = []

    def __len__(self) -> int:
        return self.total - len(self._removed)

    def __contains__(self, number: int) -> bool:
        if not 0 <= number < self.total:
            return False
        place = bisect_left(self._removed, number)
        return place == len(self._removed) or self._removed[place] != number

    def remove(self, number: int) -> None:
        """Take a number out, if it is there."""
        if number in self:
            insort(self._removed, number)

    def restore(self, number: int) -> None:
        """Put a number back that was taken out."""
        place = bisect_left(self._removed, number)
        if self._removed[place : place + 1] == [number]:
            del self._removed[place]

    def at(self, position: int) -> int:
        """Return the number at a position, from 0 up to ``len(self)``."""
        removed = self._removed
        # removed[i] - i numbers are left before removed[i]; this never falls from one i to the next.
        return position + bisect_right(range(len(removed)), position, key=lambda place: removed[place] - place)

    def __iter__(self) -> Iterator[int]:
        return self.between(0, len(self))

    def between(self, first: int, end: int) -> Iterator[int]:
        """Yield the numbers at the positions from ``first`` up to ``end``, as far as there are any."""
        return (self.at(position) for position in range(first, min(end, len(self))))
