"""What schema version 3 has for months: an index by month, checksums for it, and the tables of closed months."""

from __future__ import annotations

import json
import zlib
from typing import Final

__all__ = ["CLOSED_GAP_COLUMNS", "CLOSED_LINE_COLUMNS", "FIGURE_SUMMED", "IS_LONG", "MONTH_TABLES", "closing_sum"]

FIGURE_SUMMED: Final = (
    "account_id",
    "period_from",
    "period_to",
    "task_count",
    "cycle_count",
    "price_plan_id",
    "audit_info",
)
"""The columns of an observation that its ``figure_sum`` is made of, in order: all that is in the index by month."""

IS_LONG: Final = (
    "CAST(substr(period_to, 1, 4) AS INTEGER) * 12 + CAST(substr(period_to, 6, 2) AS INTEGER) > "
    "CAST(substr(period_from, 1, 4) AS INTEGER) * 12 + CAST(substr(period_from, 6, 2) AS INTEGER) + 1"
)
"""SQL: a period passes more than one end of a month, so that it can overlap others than those of the next month."""

CLOSED_LINE_COLUMNS: Final = (
    "account_id",
    "account_name",
    "api_id",
    "parent_account_id",
    "audit_info",
    "task_audit_info",
    "price_plan_id",
    "period_from",
    "period_to",
    "period_end",
    "periods",
    "task_count",
    "cycle_count",
    "observed_at",
    "provisional",
    "run_id",
)
"""What is frozen of a line, in the order of :class:`~cyclr_async.usage.months.statement.StatementLine`."""

CLOSED_GAP_COLUMNS: Final = ("account_id", "account_name", "reason", "detail", "run_id")
"""What is frozen of an account without a figure."""

MONTH_TABLES: Final = (
    # A statement reads one month of many out of an index that holds all it needs. The checksum of an observation covers
    # the answer beside it, which is not in the index: so the figures have a checksum of their own. Rows from before
    # have none, and are looked up when they are read: to rewrite gigabytes would need room for a copy of them.
    "ALTER TABLE observation ADD COLUMN figure_sum INTEGER",
    """
    CREATE INDEX observation_month ON observation (substr(period_from, 1, 7), account_id, period_from, observed_at,
        run_id, period_to, task_count, cycle_count, price_plan_id, audit_info, observed_copy, figure_sum)
    """,
    # As good as always empty: whom to look at twice is known without looking at everybody.
    f"CREATE INDEX observation_long ON observation (account_id) WHERE {IS_LONG}",
    # A month that somebody closed. A row is never deleted: opening a month again is written beside.
    """
    CREATE TABLE closing (
        closing_id INTEGER PRIMARY KEY AUTOINCREMENT,
        period_start TEXT NOT NULL,
        period_end TEXT NOT NULL,
        zone TEXT NOT NULL,
        closed_at TEXT NOT NULL,
        closed_by TEXT NOT NULL,
        accepted TEXT NOT NULL,
        note TEXT,
        accounts INTEGER NOT NULL,
        task_count INTEGER NOT NULL,
        cycle_count INTEGER NOT NULL,
        gaps INTEGER NOT NULL,
        runs TEXT NOT NULL,
        checksum INTEGER NOT NULL,
        reopened_at TEXT,
        reopened_by TEXT,
        reopen_reason TEXT
    ) STRICT
    """,
    # At most one closing of a period is in force, whatever two programs do at the same time.
    "CREATE UNIQUE INDEX closing_in_force ON closing (period_start, period_end, zone) WHERE reopened_at IS NULL",
    # With row ids, by which a repair reads what is left of a table.
    """
    CREATE TABLE closed_line (
        line_id INTEGER PRIMARY KEY,
        closing_id INTEGER NOT NULL REFERENCES closing,
        account_id TEXT NOT NULL,
        account_name TEXT,
        api_id TEXT,
        parent_account_id TEXT,
        audit_info TEXT,
        task_audit_info TEXT,
        price_plan_id INTEGER,
        period_from TEXT NOT NULL,
        period_to TEXT NOT NULL,
        period_end TEXT NOT NULL,
        periods INTEGER NOT NULL,
        task_count INTEGER NOT NULL,
        cycle_count INTEGER,
        observed_at TEXT NOT NULL,
        provisional INTEGER NOT NULL,
        run_id INTEGER NOT NULL,
        checksum INTEGER NOT NULL
    ) STRICT
    """,
    "CREATE UNIQUE INDEX closed_line_of ON closed_line (closing_id, account_id)",
    """
    CREATE TABLE closed_gap (
        gap_id INTEGER PRIMARY KEY,
        closing_id INTEGER NOT NULL REFERENCES closing,
        account_id TEXT NOT NULL,
        account_name TEXT,
        reason TEXT NOT NULL,
        detail TEXT NOT NULL,
        run_id INTEGER
    ) STRICT
    """,
    "CREATE UNIQUE INDEX closed_gap_of ON closed_gap (closing_id, account_id)",
)
"""The statements of schema version 3 that belong to the monthly close."""


def closing_sum(*values: object) -> int:
    """Return the checksum of what was closed: of JSON, in which no two lists of values are the same text."""
    return zlib.crc32(json.dumps(values, separators=(",", ":")).encode())
