"""Bulk collection of usage: the engine, the store, the exports and the report.

What is named here is public, with every type of its signatures; the modules below are internal, and may move. Names are
loaded when first used, so that a web service that never collects does not pay for SQLite.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

# For type checkers, which cannot follow __getattr__; at run time this block costs nothing.
if TYPE_CHECKING:
    from cyclr_async.usage.collect.collection import Collection, V1Collection
    from cyclr_async.usage.collect.outcome import UsageOutcome, V1UsageOutcome
    from cyclr_async.usage.collect.progress import Progress, ProgressHook
    from cyclr_async.usage.export.csv_format import write_csv
    from cyclr_async.usage.export.export import ExportResult, export_usage
    from cyclr_async.usage.export.jsonl_format import write_jsonl
    from cyclr_async.usage.months.periods import NotComparable
    from cyclr_async.usage.store.findings import Finding, FindingKind
    from cyclr_async.usage.store.reader import Comparable, PeriodTotal, UsageReader
    from cyclr_async.usage.store.repair import RepairedRun, RepairResult, repair_store
    from cyclr_async.usage.store.rows import (
        COLUMNS,
        Counts,
        FinalStatus,
        PendingAccount,
        RunInfo,
        RunScope,
        State,
        UsageRow,
    )
    from cyclr_async.usage.store.run_writer import Registered
    from cyclr_async.usage.store.runs import Opening
    from cyclr_async.usage.store.store import UsageStore
    from cyclr_async.usage.summary import Comparison, FailureGroup, NotCompared, PlanTotal, Summary, summarize
    from cyclr_async.usage.summary_text import bar, render
    from cyclr_async.wire.text import escape_terminal

__all__ = [
    "COLUMNS",
    "Collection",
    "Comparable",
    "Comparison",
    "Counts",
    "ExportResult",
    "FailureGroup",
    "FinalStatus",
    "Finding",
    "FindingKind",
    "NotComparable",
    "NotCompared",
    "Opening",
    "PendingAccount",
    "PeriodTotal",
    "PlanTotal",
    "Progress",
    "ProgressHook",
    "Registered",
    "RepairResult",
    "RepairedRun",
    "RunInfo",
    "RunScope",
    "State",
    "Summary",
    "UsageOutcome",
    "UsageReader",
    "UsageRow",
    "UsageStore",
    "V1Collection",
    "V1UsageOutcome",
    "bar",
    "escape_terminal",
    "export_usage",
    "render",
    "repair_store",
    "summarize",
    "write_csv",
    "write_jsonl",
]

# Written out a third time, because __all__ and the imports above can only be read by tools when they are literal.
_HOME: Final = {
    "COLUMNS": "usage.store.rows",
    "Collection": "usage.collect.collection",
    "Comparable": "usage.store.reader",
    "Comparison": "usage.summary",
    "Counts": "usage.store.rows",
    "ExportResult": "usage.export.export",
    "FailureGroup": "usage.summary",
    "FinalStatus": "usage.store.rows",
    "Finding": "usage.store.findings",
    "FindingKind": "usage.store.findings",
    "NotComparable": "usage.months.periods",
    "NotCompared": "usage.summary",
    "Opening": "usage.store.runs",
    "PendingAccount": "usage.store.rows",
    "PeriodTotal": "usage.store.reader",
    "PlanTotal": "usage.summary",
    "Progress": "usage.collect.progress",
    "ProgressHook": "usage.collect.progress",
    "Registered": "usage.store.run_writer",
    "RepairResult": "usage.store.repair",
    "RepairedRun": "usage.store.repair",
    "RunInfo": "usage.store.rows",
    "RunScope": "usage.store.rows",
    "State": "usage.store.rows",
    "Summary": "usage.summary",
    "UsageOutcome": "usage.collect.outcome",
    "UsageReader": "usage.store.reader",
    "UsageRow": "usage.store.rows",
    "UsageStore": "usage.store.store",
    "V1Collection": "usage.collect.collection",
    "V1UsageOutcome": "usage.collect.outcome",
    "bar": "usage.summary_text",
    "escape_terminal": "wire.text",
    "export_usage": "usage.export.export",
    "render": "usage.summary_text",
    "repair_store": "usage.store.repair",
    "summarize": "usage.summary",
    "write_csv": "usage.export.csv_format",
    "write_jsonl": "usage.export.jsonl_format",
}
"""The module below ``cyclr_async`` that each name is loaded from."""


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"cyclr_async.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
