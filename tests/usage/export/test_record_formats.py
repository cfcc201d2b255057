"""Workbooks and Markdown: what is read back is what was written, and no text can act."""

from __future__ import annotations

import gc
import io
import re
from decimal import Decimal
from pathlib import Path
from types import ModuleType

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyclr_async.errors import ConfigurationError
from cyclr_async.usage import RunScope, UsageStore, export_usage
from cyclr_async.usage.export import markdown_format, parquet_format, xlsx_format
from tests.support.usage_make import account, good

HOSTILE = [
    "=1+1",
    "+1",
    "@SUM(1)",
    "http://example.com",
    "mailto:a@example.com",
    "0123",
    "12e42",
    "1-2",
    "12345678901234567890",
    "007",
    " ",
    "x" * 40_000,
    "\ud800",
    "a\tb",
    "<script>",
    "🙂 ١٢٣",
    "#N/A",
    "TRUE",
]


def workbook(records: list[list[object]], columns: list[str], **options: int) -> openpyxl.Workbook:
    stream = io.BytesIO()
    writer = xlsx_format.RecordWriter(stream, columns, **options)
    for row in records:
        writer.write(row)
    writer.end()
    assert not stream.closed
    return openpyxl.load_workbook(stream)


def test_ids_and_texts_stay_texts() -> None:
    (sheet,) = workbook([[text] for text in HOSTILE], ["account_id"]).worksheets
    cells = [row[0] for row in sheet.iter_rows(min_row=2)]
    for cell, text in zip(cells, HOSTILE, strict=True):
        assert (cell.data_type, cell.number_format, cell.hyperlink) == ("s", "@", None)
        shown = text.replace("\ud800", "\ufffd")
        assert cell.value == (shown if len(shown) < 32_768 else f"{'x' * 32_766}…")


def test_figures_are_numbers_as_long_as_excel_can_hold_them() -> None:
    values: list[object] = [
        7,
        -3,
        0,
        Decimal("12.34"),
        10**14,
        123_456_789_012_345_678,
        Decimal("0.12345678901234567"),
        True,
        None,
    ]
    (sheet,) = workbook([values], [f"c{index}" for index in range(len(values))]).worksheets
    (row,) = sheet.iter_rows(min_row=2)
    assert [cell.value for cell in row] == [
        7,
        -3,
        0,
        12.34,
        10**14,
        "123456789012345678",
        "0.12345678901234567",
        True,
        None,
    ]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.decimals(-(10**9), 10**9, places=4, allow_nan=False), min_size=1, max_size=5))
def test_amounts_come_back_as_they_were(amounts: list[Decimal]) -> None:
    (sheet,) = workbook([[amount] for amount in amounts], ["amount"]).worksheets
    found = [row[0] for row in sheet.iter_rows(min_row=2, values_only=True)]
    assert [Decimal(repr(value)) if isinstance(value, float) else Decimal(str(value)) for value in found] == amounts


def test_more_rows_than_a_sheet_has_go_on_in_the_next() -> None:
    book = workbook([[number] for number in range(5)], ["n"], rows=3)
    assert [[row[0] for row in sheet.iter_rows(values_only=True)] for sheet in book.worksheets] == [
        ["n", 0, 1],
        ["n", 2, 3],
        ["n", 4],
    ]
    assert book.sheetnames == ["usage", "usage 2", "usage 3"]


async def test_an_export_is_the_same_every_time(path: Path, scope: RunScope, tmp_path: Path) -> None:
    async with await UsageStore.open(path, scope) as store:
        await store.record(good("0123", 5, listed=account("0123", "=cmd()")))
        await store.finish("complete")
    for name in ("usage.xlsx", "usage.md"):
        first, second = tmp_path / f"1-{name}", tmp_path / f"2-{name}"
        assert export_usage(path, first).rows == 1
        export_usage(path, second)
        assert first.read_bytes() == second.read_bytes()
    sheet = openpyxl.load_workbook(tmp_path / "1-usage.xlsx").active
    assert sheet is not None
    heading, row = sheet.iter_rows(values_only=True)
    found = dict(zip(heading, row, strict=True))
    assert (found["account_id"], found["account_name"], found["task_count"]) == ("0123", "=cmd()", 5)
    assert (found["provisional"], found["price_plan_id"]) == (False, 3)


def markdown(rows: list[list[object]], columns: list[str]) -> list[str]:
    stream = io.BytesIO()
    writer = markdown_format.RecordWriter(stream, columns)
    for row in rows:
        writer.write(row)
    writer.end()
    return stream.getvalue().decode().splitlines()


def test_markdown() -> None:
    assert markdown([["a", 1, Decimal("2.50"), None, True]], ["id", "n", "d", "x", "b"]) == [
        "| id | n | d | x | b |",
        "| --- | ---: | ---: | --- | --- |",
        "| a | 1 | 2.50 |  | yes |",
    ]
    assert markdown([], ["id"]) == ["| id |", "| --- |"]


@given(st.text(max_size=30))
def test_no_text_leaves_its_cell(text: str) -> None:
    *_, line = markdown([[text]], ["name"])
    inner = line.removeprefix("| ").removesuffix(" |")
    # Every sign that could begin a mark-up stands behind a backslash.
    assert re.search(r"(?<!\\)(?:\\\\)*[|`*_<>\[\]&]", inner) is None
    assert "\n" not in line


@pytest.mark.parametrize("module", [parquet_format, xlsx_format, markdown_format])
def test_a_writer_that_is_given_up_leaves_nothing(tmp_path: Path, module: ModuleType) -> None:
    if module is parquet_format:
        pytest.importorskip("duckdb")
    with (tmp_path / "file").open("w+b") as stream:
        writer = module.RecordWriter(stream, ["account_id", "task_count"])
        writer.write(["a", 1])
        writer.discard()
        del writer  # a workbook that was not closed would complain here
        gc.collect()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_without_the_extra_the_message_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "xlsxwriter", None)
    with pytest.raises(ConfigurationError, match=r"cyclr-async\[excel\]"):
        xlsx_format.RecordWriter(io.BytesIO(), ["a"])
