"""The marker for an argument that was not given, which is not the same as None."""

from __future__ import annotations

from enum import Enum
from typing import Final, Literal, TypeAlias

__all__ = ["UNSET", "Unset"]


# An enum with one member: the only kind of sentinel that type checkers narrow with "is".
class _Unset(Enum):
    UNSET = "UNSET"

    def __repr__(self) -> str:
        return "UNSET"

    def __bool__(self) -> Literal[False]:
        # So that `name or default` treats it as nothing, as it does None.
        return False


UNSET: Final = _Unset.UNSET
"""Not given: the field is left out of the request. ``None`` sends JSON null."""

Unset: TypeAlias = Literal[_Unset.UNSET]
"""The type of :data:`UNSET`, for annotations such as ``str | None | Unset``."""
