"""Bulk collection of usage: the engine, the store, the exports and the report.

Names are loaded when first used, so that a web service that never collects does not pay for SQLite.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cyclr_async.usage.collect.outcome import UsageOutcome
    from cyclr_async.usage.export.csv_format import write_csv
    from cyclr_async.usage.export.export import ExportResult, export_usage
    from cyclr_async.usage.export.jsonl_format import write_jsonl
    from cyclr_async.usage.store.findings import Finding
    from cyclr_async.usage.store.reader import UsageReader
    from cyclr_async.usage.store.repair import RepairedRun, RepairResult, repair_store
    from cyclr_async.usage.store.rows import COLUMNS, Counts, PendingAccount, RunInfo, RunScope, UsageRow
    from cyclr_async.usage.store.store import UsageStore
    from cyclr_async.usage.summary import Summary, bar, render, summarize
    from cyclr_async.wire.text import escape_terminal

__all__ = [
    "COLUMNS",
    "Counts",
    "ExportResult",
    "Finding",
    "PendingAccount",
    "RepairResult",
    "RepairedRun",
    "RunInfo",
    "RunScope",
    "Summary",
    "UsageOutcome",
    "UsageReader",
    "UsageRow",
    "UsageStore",
    "bar",
    "escape_terminal",
    "export_usage",
    "render",
    "repair_store",
    "summarize",
    "write_csv",
    "write_jsonl",
]

_HOME = {
    "COLUMNS": "store.rows",
    "Counts": "store.rows",
    "ExportResult": "export.export",
    "Finding": "store.findings",
    "PendingAccount": "store.rows",
    "RepairResult": "store.repair",
    "RepairedRun": "store.repair",
    "RunInfo": "store.rows",
    "RunScope": "store.rows",
    "Summary": "summary",
    "UsageOutcome": "collect.outcome",
    "UsageReader": "store.reader",
    "UsageRow": "store.rows",
    "UsageStore": "store.store",
    "bar": "summary",
    "export_usage": "export.export",
    "render": "summary",
    "repair_store": "store.repair",
    "summarize": "summary",
    "escape_terminal": ".wire.text",
    "write_csv": "export.csv_format",
    "write_jsonl": "export.jsonl_format",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
