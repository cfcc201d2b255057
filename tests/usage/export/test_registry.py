"""The registry of exporters: every row of it works, and a new format is one module and one row."""

from __future__ import annotations

import inspect
import io
import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path, PurePath
from types import ModuleType
from typing import BinaryIO

import pytest

from cyclr_async.errors import InvalidArgumentError
from cyclr_async.usage import RunScope, UsageRow, UsageStore, export_usage
from cyclr_async.usage.export import registry
from cyclr_async.usage.export.registry import EXPORTERS, Exporter, exporter_for, format_of_suffix
from tests.support.usage_make import good


@pytest.mark.parametrize("exporter", EXPORTERS.values(), ids=EXPORTERS)
def test_a_row_says_what_its_module_takes(exporter: Exporter) -> None:
    write = import_module(f"{registry.__package__}.{exporter.module}").write
    keywords = [p for p in inspect.signature(write).parameters.values() if p.kind is p.KEYWORD_ONLY]
    assert tuple(p.name for p in keywords) == exporter.options
    assert {p.default for p in keywords} <= {False}
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in exporter.suffixes)


def test_no_two_formats_share_a_suffix() -> None:
    suffixes = [suffix for exporter in EXPORTERS.values() for suffix in exporter.suffixes]
    assert len(suffixes) == len(set(suffixes))


@pytest.mark.parametrize("exporter", EXPORTERS.values(), ids=EXPORTERS)
def test_a_writer_leaves_its_stream_open(exporter: Exporter, tmp_path: Path) -> None:
    if exporter.name == "parquet":
        pytest.importorskip("duckdb")
    if exporter.name == "xlsx":
        pytest.importorskip("xlsxwriter")
    with (tmp_path / "rows").open("w+b") as stream:
        assert exporter.write([], stream) == 0
        assert not stream.closed


@pytest.mark.parametrize(
    ("name", "found"),
    [("a.csv", "csv"), ("a.CSV", "csv"), ("a.ndjson", "jsonl"), ("a.b.Parquet", "parquet"), ("csv", None), ("a", None)],
)
def test_a_suffix_stands_for_a_format(name: str, found: str | None) -> None:
    assert format_of_suffix(PurePath(name)) == found


def test_the_messages_name_every_format() -> None:
    with pytest.raises(InvalidArgumentError, match=r"unknown format 'xls': csv, jsonl, parquet, xlsx or markdown"):
        exporter_for(PurePath("a.csv"), "xls")
    with pytest.raises(InvalidArgumentError, match=r"'a.xls' names no format: .csv, .jsonl, .parquet, .xlsx or .md"):
        exporter_for(PurePath("a.xls"), None)
    with pytest.raises(InvalidArgumentError, match="raw, excel and text are options of CSV"):
        EXPORTERS["jsonl"].refuse_options(["text"])
    with pytest.raises(InvalidArgumentError, match="no format has the option 'loud'"):
        EXPORTERS["csv"].refuse_options(["loud"])


async def test_a_new_format_is_a_module_and_a_row(path: Path, scope: RunScope, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(rows: Iterable[UsageRow], stream: BinaryIO) -> int:
        lines = [f"{row.account_id}\t{row.task_count}\n" for row in rows]
        stream.write("".join(lines).encode())
        return len(lines)

    module = ModuleType("tsv_format")
    monkeypatch.setattr(module, "write", write, raising=False)
    monkeypatch.setitem(sys.modules, f"{registry.__package__}.tsv_format", module)
    monkeypatch.setitem(EXPORTERS, "tsv", Exporter("tsv", (".tsv",), "tsv_format"))
    async with await UsageStore.open(path, scope) as store:
        await store.record(good("a", 5))
        await store.finish("complete")
    for target, asked in ((path.with_name("usage.tsv"), None), (path.with_name("usage.dat"), "tsv")):
        done = export_usage(path, target, format=asked)
        assert (done.format, done.rows, target.read_text()) == ("tsv", 1, "a\t5\n")
    with pytest.raises(InvalidArgumentError, match="options of CSV"):
        export_usage(path, path.with_name("usage.tsv"), raw=True)


def test_options_that_are_off_are_not_handed_on() -> None:
    stream = io.BytesIO()
    EXPORTERS["csv"].write([], stream, ["excel"])
    assert stream.getvalue().startswith(b"\xef\xbb\xbf")
