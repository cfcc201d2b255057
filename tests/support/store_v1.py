"""A store of release 0.1. Its tables are as that release made them: they must never follow a change of the code."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

VERSION_1 = """
    CREATE TABLE run (
        run_id INTEGER PRIMARY KEY AUTOINCREMENT,
        base_url TEXT NOT NULL,
        partner TEXT NOT NULL,
        from_date TEXT,
        status TEXT NOT NULL CHECK (status IN ('running', 'interrupted', 'partial', 'complete', 'abandoned')),
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        finished_at TEXT,
        listing_complete INTEGER NOT NULL DEFAULT 0,
        asked INTEGER NOT NULL DEFAULT 0,
        ok INTEGER NOT NULL DEFAULT 0,
        missing INTEGER NOT NULL DEFAULT 0,
        forbidden INTEGER NOT NULL DEFAULT 0,
        failed INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE TABLE item (
        run_id INTEGER NOT NULL REFERENCES run,
        account_id TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('pending', 'ok', 'missing', 'forbidden', 'failed')),
        due INTEGER NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        updated_at TEXT,
        period_from TEXT,
        observed_at TEXT,
        error TEXT,
        reason TEXT,
        account_name TEXT,
        account_plan_id INTEGER,
        account_audit_info TEXT,
        account TEXT,
        PRIMARY KEY (run_id, account_id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX item_due ON item (run_id, account_id) WHERE due = 1;
    CREATE TABLE observation (
        account_id TEXT NOT NULL,
        period_from TEXT NOT NULL,
        observed_at TEXT NOT NULL,
        run_id INTEGER NOT NULL REFERENCES run,
        period_to TEXT NOT NULL,
        task_count INTEGER NOT NULL,
        cycle_count INTEGER NOT NULL,
        price_plan_id INTEGER,
        audit_info TEXT,
        payload TEXT NOT NULL,
        PRIMARY KEY (account_id, period_from, observed_at, run_id)
    ) STRICT, WITHOUT ROWID;
    PRAGMA application_id = 0x43595553;
    PRAGMA user_version = 1;
"""
SEEN_AT, BEGAN_AT = "2026-12-01T09:30:00.000000Z", "2026-12-01T09:00:00.000000Z"


def version_1(path: Path, base_url: str, partner: str, ids: list[str], *, listed: bool = True) -> None:
    """Write a store of release 0.1: one account collected, one failed, the others not asked yet."""
    with closing(sqlite3.connect(path)) as store:
        store.executescript(VERSION_1)
        store.execute(
            "INSERT INTO run VALUES (1, ?, ?, NULL, 'interrupted', ?, ?, ?, ?, ?, 1, 0, 0, 1)",
            (base_url, partner, BEGAN_AT, SEEN_AT, SEEN_AT, int(listed), len(ids)),
        )
        store.execute(
            "INSERT INTO item VALUES (1, ?, 'ok', 0, 1, ?, ?, ?, NULL, NULL, 'Old', 2, NULL, NULL)",
            (ids[0], SEEN_AT, "2026-11-15T00:00:00.000000Z", SEEN_AT),
        )
        store.execute(
            "INSERT INTO item VALUES (1, ?, 'failed', 1, 3, ?, NULL, NULL, ?, 'x', NULL, 2, NULL, NULL)",
            (ids[1], SEEN_AT, "ServerError(500)"),
        )
        for one in ids[2:]:
            store.execute("INSERT INTO item (run_id, account_id, state, due) VALUES (1, ?, 'pending', 1)", (one,))
        store.execute(
            "INSERT INTO observation VALUES (?, ?, ?, 1, '2026-12-14T00:00:00.000000Z', 7, 1, 2, NULL, '{}')",
            (ids[0], "2026-11-15T00:00:00.000000Z", SEEN_AT),
        )
        store.commit()
