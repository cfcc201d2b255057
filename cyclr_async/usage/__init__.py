"""Bulk collection of usage: the engine, the store, the exports and the report.

Names are loaded when first used, so that a web service that never collects does not pay for SQLite.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .export import COLUMNS, ExportResult, export_usage, write_csv, write_jsonl
    from .findings import Finding
    from .outcome import UsageOutcome
    from .reader import UsageReader
    from .repair import RepairedRun, RepairResult, repair_store
    from .report import Summary, bar, render, summarize
    from .rows import Counts, PendingAccount, RunInfo, RunScope, UsageRow
    from .store import UsageStore
    from .text import term

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
    "export_usage",
    "render",
    "repair_store",
    "summarize",
    "term",
    "write_csv",
    "write_jsonl",
]

_HOME = {
    "COLUMNS": "rows",
    "Counts": "rows",
    "ExportResult": "export",
    "Finding": "findings",
    "PendingAccount": "rows",
    "RepairResult": "repair",
    "RepairedRun": "repair",
    "RunInfo": "rows",
    "RunScope": "rows",
    "Summary": "report",
    "UsageOutcome": "outcome",
    "UsageReader": "reader",
    "UsageRow": "rows",
    "UsageStore": "store",
    "bar": "report",
    "export_usage": "export",
    "render": "report",
    "repair_store": "repair",
    "summarize": "report",
    "term": "text",
    "write_csv": "export",
    "write_jsonl": "export",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
