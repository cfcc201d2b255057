"""Stores of several months, written row by row, so that a test says exactly what was observed and when."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

from cyclr_async.usage.store.integrity import add_checksum
from cyclr_async.usage.store.rows import Counts, ItemRow, State
from cyclr_async.usage.store.run_writer import RunWriter
from cyclr_async.usage.store.schema import connect

__all__ = ["BASE_URL", "PARTNER", "StoreMaker", "stored"]

BASE_URL = "https://api.example.com/api/partner"
PARTNER = "partner.example.com"


def stored(text: str) -> str:
    """A day or a time as the store has it."""
    day, _, time = text.partition("T")
    return f"{day}T{time or '00:00:00'}.000000Z"


class StoreMaker:
    """Writes a store the way the writer thread does, at times of the test's own; as a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connection = connect(path)
        add_checksum(self.connection)
        self.run_id = 0
        self._writer: RunWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with closing(self.connection):
            if self._writer is not None:
                self._writer.end()

    def run(
        self,
        at: str,
        *,
        from_date: str | None = None,
        ids: str = "all",
        complete: bool = True,
        status: str = "complete",
        api: str = "partner",
    ) -> int:
        """Begin a run; what follows belongs to it."""
        if self._writer is not None:
            self._writer.end()
        cursor = self.connection.execute(
            "INSERT INTO run (base_url, partner, from_date, ids, status, created_at, updated_at, listing_complete, "
            "api) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (BASE_URL, PARTNER, from_date, ids, status, stored(at), stored(at), int(complete), api),
        )
        assert cursor.lastrowid is not None
        self.run_id = cursor.lastrowid
        self._writer = RunWriter(self.connection, self.run_id, Counts())
        self._at = stored(at)
        return self.run_id

    def list(
        self,
        account_id: str,
        *,
        name: str | None = None,
        plan: int | None = 1,
        audit: str | None = None,
        parent: str | None = None,
        task_audit: str | None = None,
    ) -> Self:
        """Let the account list name an account."""
        assert self._writer is not None
        document = json.dumps({"Id": account_id, "Name": name, "PricePlanId": plan, "AuditInfo": audit})
        self._writer.add([(account_id, name, plan, audit, document, parent, task_audit)])
        return self

    def usage(
        self,
        account_id: str,
        start: str,
        end: str,
        tasks: int,
        *,
        cycles: int | None = 1,
        seen: str | None = None,
        plan: int | None = None,
        audit: str | None = None,
    ) -> Self:
        """Let the API answer with a usage."""
        assert self._writer is not None
        at = self._at if seen is None else stored(seen)
        observation = (account_id, stored(start), at, self.run_id, stored(end), tasks, cycles, plan, audit, "{}")
        self._writer.put([ItemRow(account_id, "ok", 1, at, None, None, observation, None)])
        return self

    def refused(self, account_id: str, state: State, error: str = "ServerError(500)", reason: str = "failed") -> Self:
        """Let the API refuse."""
        assert self._writer is not None
        self._writer.put([ItemRow(account_id, state, 1, self._at, error, reason, None, None)])
        return self
