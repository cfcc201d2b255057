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
    from cyclr_async.usage.collect.fan_out import FanOut
    from cyclr_async.usage.collect.outcome import UsageOutcome, V1UsageOutcome
    from cyclr_async.usage.collect.progress import Progress, ProgressHook
    from cyclr_async.usage.export.csv_format import write_csv
    from cyclr_async.usage.export.export import ExportResult, export_usage
    from cyclr_async.usage.export.jsonl_format import write_jsonl
    from cyclr_async.usage.months.account_history import AccountHistory, AccountPeriod, PeriodObservation, read_history
    from cyclr_async.usage.months.closing import NotClosableError, close_period, reopen_period
    from cyclr_async.usage.months.closings import (
        Accepted,
        ClosedGap,
        Closing,
        closed_gaps,
        closed_lines,
        find_closing,
        read_closings,
    )
    from cyclr_async.usage.months.differences import Difference, DifferenceKind, read_differences
    from cyclr_async.usage.months.invoice import Charge, Invoice, InvoiceKind, InvoiceLine, charge_of, invoices
    from cyclr_async.usage.months.periods import NotComparable
    from cyclr_async.usage.months.price_book import CustomerKey, Price, PriceBook, RoundAt, RoundingRule, Tier, TierMode
    from cyclr_async.usage.months.price_file import PriceBookError, load_price_book, parse_price_book
    from cyclr_async.usage.months.read import Statement, read_statement
    from cyclr_async.usage.months.statement import (
        Gap,
        GapReason,
        GroupTotal,
        MonthTotal,
        StatementLine,
        StatementTotals,
    )
    from cyclr_async.usage.months.statement_period import StatementPeriod
    from cyclr_async.usage.page.data import PageAccount, PageMonth, PageReason, PageReport, Presence
    from cyclr_async.usage.page.page import PageResult, ReportPage
    from cyclr_async.usage.page.sparkline import sparkline
    from cyclr_async.usage.page.statement_page import PageAllowance, page_report, write_page
    from cyclr_async.usage.page.svg import Chart
    from cyclr_async.usage.store.api_rows import Listed
    from cyclr_async.usage.store.findings import Finding, FindingKind
    from cyclr_async.usage.store.merge import MergeResult, merge_stores
    from cyclr_async.usage.store.prune import PruneResult, prune_store
    from cyclr_async.usage.store.query import Engine, QueryResult, query_store
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
    from cyclr_async.usage.store.trees import TreeTotal
    from cyclr_async.usage.summary import Comparison, FailureGroup, NotCompared, PlanTotal, Summary, summarize
    from cyclr_async.usage.summary_text import bar, render
    from cyclr_async.wire.text import escape_terminal

__all__ = [
    "COLUMNS",
    "Accepted",
    "AccountHistory",
    "AccountPeriod",
    "Charge",
    "Chart",
    "ClosedGap",
    "Closing",
    "Collection",
    "Comparable",
    "Comparison",
    "Counts",
    "CustomerKey",
    "Difference",
    "DifferenceKind",
    "Engine",
    "ExportResult",
    "FailureGroup",
    "FanOut",
    "FinalStatus",
    "Finding",
    "FindingKind",
    "Gap",
    "GapReason",
    "GroupTotal",
    "Invoice",
    "InvoiceKind",
    "InvoiceLine",
    "Listed",
    "MergeResult",
    "MonthTotal",
    "NotClosableError",
    "NotComparable",
    "NotCompared",
    "Opening",
    "PageAccount",
    "PageAllowance",
    "PageMonth",
    "PageReason",
    "PageReport",
    "PageResult",
    "PendingAccount",
    "PeriodObservation",
    "PeriodTotal",
    "PlanTotal",
    "Presence",
    "Price",
    "PriceBook",
    "PriceBookError",
    "Progress",
    "ProgressHook",
    "PruneResult",
    "QueryResult",
    "Registered",
    "RepairResult",
    "RepairedRun",
    "ReportPage",
    "RoundAt",
    "RoundingRule",
    "RunInfo",
    "RunScope",
    "State",
    "Statement",
    "StatementLine",
    "StatementPeriod",
    "StatementTotals",
    "Summary",
    "Tier",
    "TierMode",
    "TreeTotal",
    "UsageOutcome",
    "UsageReader",
    "UsageRow",
    "UsageStore",
    "V1Collection",
    "V1UsageOutcome",
    "bar",
    "charge_of",
    "close_period",
    "closed_gaps",
    "closed_lines",
    "escape_terminal",
    "export_usage",
    "find_closing",
    "invoices",
    "load_price_book",
    "merge_stores",
    "page_report",
    "parse_price_book",
    "prune_store",
    "query_store",
    "read_closings",
    "read_differences",
    "read_history",
    "read_statement",
    "render",
    "reopen_period",
    "repair_store",
    "sparkline",
    "summarize",
    "write_csv",
    "write_jsonl",
    "write_page",
]

_HOME: Final = {
    "COLUMNS": "usage.store.rows",
    "Accepted": "usage.months.closings",
    "AccountHistory": "usage.months.account_history",
    "AccountPeriod": "usage.months.account_history",
    "Charge": "usage.months.invoice",
    "Chart": "usage.page.svg",
    "ClosedGap": "usage.months.closings",
    "Closing": "usage.months.closings",
    "Collection": "usage.collect.collection",
    "Comparable": "usage.store.reader",
    "Comparison": "usage.summary",
    "Counts": "usage.store.rows",
    "CustomerKey": "usage.months.price_book",
    "Difference": "usage.months.differences",
    "DifferenceKind": "usage.months.differences",
    "Engine": "usage.store.query",
    "ExportResult": "usage.export.export",
    "FailureGroup": "usage.summary",
    "FanOut": "usage.collect.fan_out",
    "FinalStatus": "usage.store.rows",
    "Finding": "usage.store.findings",
    "FindingKind": "usage.store.findings",
    "Gap": "usage.months.statement",
    "GapReason": "usage.months.statement",
    "GroupTotal": "usage.months.statement",
    "Invoice": "usage.months.invoice",
    "InvoiceKind": "usage.months.invoice",
    "InvoiceLine": "usage.months.invoice",
    "Listed": "usage.store.api_rows",
    "MergeResult": "usage.store.merge",
    "MonthTotal": "usage.months.statement",
    "NotClosableError": "usage.months.closing",
    "NotComparable": "usage.months.periods",
    "NotCompared": "usage.summary",
    "Opening": "usage.store.runs",
    "PageAccount": "usage.page.data",
    "PageAllowance": "usage.page.statement_page",
    "PageMonth": "usage.page.data",
    "PageReason": "usage.page.data",
    "PageReport": "usage.page.data",
    "PageResult": "usage.page.page",
    "PendingAccount": "usage.store.rows",
    "PeriodObservation": "usage.months.account_history",
    "PeriodTotal": "usage.store.reader",
    "PlanTotal": "usage.summary",
    "Presence": "usage.page.data",
    "Price": "usage.months.price_book",
    "PriceBook": "usage.months.price_book",
    "PriceBookError": "usage.months.price_file",
    "Progress": "usage.collect.progress",
    "ProgressHook": "usage.collect.progress",
    "PruneResult": "usage.store.prune",
    "QueryResult": "usage.store.query",
    "Registered": "usage.store.run_writer",
    "RepairResult": "usage.store.repair",
    "RepairedRun": "usage.store.repair",
    "ReportPage": "usage.page.page",
    "RoundAt": "usage.months.price_book",
    "RoundingRule": "usage.months.price_book",
    "RunInfo": "usage.store.rows",
    "RunScope": "usage.store.rows",
    "State": "usage.store.rows",
    "Statement": "usage.months.read",
    "StatementLine": "usage.months.statement",
    "StatementPeriod": "usage.months.statement_period",
    "StatementTotals": "usage.months.statement",
    "Summary": "usage.summary",
    "Tier": "usage.months.price_book",
    "TierMode": "usage.months.price_book",
    "TreeTotal": "usage.store.trees",
    "UsageOutcome": "usage.collect.outcome",
    "UsageReader": "usage.store.reader",
    "UsageRow": "usage.store.rows",
    "UsageStore": "usage.store.store",
    "V1Collection": "usage.collect.collection",
    "V1UsageOutcome": "usage.collect.outcome",
    "bar": "usage.summary_text",
    "charge_of": "usage.months.invoice",
    "close_period": "usage.months.closing",
    "closed_gaps": "usage.months.closings",
    "closed_lines": "usage.months.closings",
    "escape_terminal": "wire.text",
    "export_usage": "usage.export.export",
    "find_closing": "usage.months.closings",
    "invoices": "usage.months.invoice",
    "load_price_book": "usage.months.price_file",
    "merge_stores": "usage.store.merge",
    "page_report": "usage.page.statement_page",
    "parse_price_book": "usage.months.price_file",
    "prune_store": "usage.store.prune",
    "query_store": "usage.store.query",
    "read_closings": "usage.months.closings",
    "read_differences": "usage.months.differences",
    "read_history": "usage.months.account_history",
    "read_statement": "usage.months.read",
    "render": "usage.summary_text",
    "reopen_period": "usage.months.closing",
    "repair_store": "usage.store.repair",
    "sparkline": "usage.page.sparkline",
    "summarize": "usage.summary",
    "write_csv": "usage.export.csv_format",
    "write_jsonl": "usage.export.jsonl_format",
    "write_page": "usage.page.statement_page",
}
"""The module below ``cyclr_async`` that each name is loaded from."""


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"cyclr_async.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
