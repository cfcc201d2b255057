"""The fields of an answer that the API document does not describe."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, final

__all__ = ["EMPTY", "Extra", "as_extra"]


@final
class Extra(Mapping[str, Any]):
    """An immutable mapping from the wire names of unknown fields to their JSON values.

    ``repr`` shows the names only, because nothing is known about the values: one may be a secret.
    """

    __slots__ = ("_absent", "_items", "_never")

    def __init__(
        self,
        items: Mapping[str, Any] | None = None,
        *,
        absent: frozenset[str] = frozenset(),
        never: Mapping[str, str] | None = None,
    ) -> None:
        # A copy: the dict of the answer may still be in other hands, and a model is immutable.
        self._items = dict(items or {})
        self._absent = absent
        self._never = dict(never or {})

    @property
    def absent(self) -> frozenset[str]:
        """Wire names of the documented optional fields that the answer left out, which is not the same as null."""
        return self._absent

    @property
    def never(self) -> Mapping[str, str]:
        """The texts, by their wire names, of dates that are None here because they stand for never."""
        return self._never

    def __getitem__(self, name: str) -> Any:
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"Extra({', '.join(self._items)})"

    def __copy__(self) -> "Extra":
        return self

    def __deepcopy__(self, memo: object) -> "Extra":
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        # Through a function, so that nothing extra comes out of a pickle as the one EMPTY again.
        return _rebuild, (self._items, self._absent, self._never)


EMPTY: Final = Extra()
"""Nothing extra: the one instance that usual answers share."""


def _rebuild(items: dict[str, Any], absent: frozenset[str], never: dict[str, str] | None = None) -> Extra:
    return Extra(items, absent=absent, never=never) if items or absent or never else EMPTY


def as_extra(items: Mapping[str, Any]) -> Extra:
    """Return any mapping as an :class:`Extra`, the shared :data:`EMPTY` when there is nothing in it."""
    # Immutable, so it can be shared.
    if isinstance(items, Extra):
        return items
    return Extra(items) if items else EMPTY
