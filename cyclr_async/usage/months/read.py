"""Reading statements from a store, in one pass at flat memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from cyclr_async.usage.months.statement import Gap, StatementLine, StatementTotals
from cyclr_async.usage.months.statement_period import StatementPeriod

__all__ = ["Statement", "read_statement"]


class Statement:
    """The statement of a period, open for reading, as a context manager; made by :func:`read_statement`.

    Every iteration reads the store anew, in the order of account ids; the store may be written meanwhile. The methods
    block: from a coroutine, call them in a thread.

    Attributes:
        path: of the store.
        period: what it is about.
        partner: whose store it is.
    """

    path: Path
    period: StatementPeriod
    partner: str

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the store; harmless when it is closed."""
        raise NotImplementedError

    def entries(self) -> Iterator[StatementLine | Gap]:
        """Yield every account of the period, with a figure or without, ordered by account id (by code point)."""
        raise NotImplementedError

    def lines(self) -> Iterator[StatementLine]:
        """Yield the accounts that have a figure, ordered by account id."""
        raise NotImplementedError

    def gaps(self) -> Iterator[Gap]:
        """Yield the accounts that have none, ordered by account id."""
        raise NotImplementedError

    def totals(self) -> StatementTotals:
        """Return the totals: of the last complete iteration, or of one that is made now."""
        raise NotImplementedError


def read_statement(store: str | os.PathLike[str], period: StatementPeriod | str, *, trend: int = 0) -> Statement:
    """Open the statement of a period.

    Args:
        store: the path of the store.
        period: what it is about; a text such as ``"2026-10"`` is a calendar month in UTC.
        trend: how many calendar months each line shows in its ``trend``, the last one of the period included; 0 to 60.

    Returns:
        the statement; close it, or use it as a context manager.

    Raises:
        InvalidArgumentError: the period is none, or ``trend`` is out of range.
        StoreError: there is no store, it is damaged, or a newer release made it.
    """
    raise NotImplementedError
