from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyclr_async.usage import Chart, PageMonth, PageReport, ReportPage
from cyclr_async.usage.page.charts import distribution_chart, trend_chart
from cyclr_async.usage.page.palette import PALETTE
from cyclr_async.usage.page.svg import round_steps
from cyclr_async.usage.page.tally import Bin, Tally
from cyclr_async.usage.page.words import visible
from tests.usage.page import reports

SVG = "{http://www.w3.org/2000/svg}"


def charts(report: PageReport) -> dict[str, Chart]:
    return {chart.name: chart for chart in ReportPage(report).charts()}


def test_there_is_a_chart_of_everything_that_there_are_figures_for() -> None:
    accounts = list(reports.plausible(200))
    everything = charts(reports.report(accounts))
    assert list(everything) == ["trend", "distribution", "top", "changes", "allowance", "plans"]
    assert charts(reports.report([], months=())) == {}
    tally = Tally.of(reports.report(accounts), 1)
    assert everything["top"].rows[0][2] == f"{tally.largest[0].tasks:,}"
    assert len(everything["plans"].rows) == len(tally.plans)
    assert everything["trend"].rows[2] == ("Dec 2025", "no data", "0", "0")


@pytest.mark.parametrize("hostile", [False, True])
def test_every_chart_is_a_file_of_its_own(hostile: bool) -> None:
    accounts = list(reports.hostile() if hostile else reports.plausible(200))
    found = charts(reports.report(accounts))
    assert found
    for chart in found.values():
        document = chart.document()
        root = ET.fromstring(document)
        assert root.tag == f"{SVG}svg"
        width, height = float(root.get("width", "0")), float(root.get("height", "0"))
        assert root.get("viewBox") == f"0 0 {width:g} {height:g}"
        ids = {element.get("id") for element in root.iter() if element.get("id")}
        assert set((root.get("aria-labelledby") or "").split()) <= ids
        assert {element.tag for element in root.iter()} <= {
            SVG + name
            for name in ("svg", "title", "desc", "style", "g", "rect", "line", "text", "defs", "pattern", "path")
        }
        # Nothing from elsewhere, and no colour that only the page would know.
        assert "var(" not in document
        assert re.findall(r"https?://[^\"']+", document.replace("http://example.com", "")) == [
            "http://www.w3.org/2000/svg"
        ]
        assert {*re.findall(r"url\((.*?)\)", document)} <= {f"#{name}" for name in ids}
        for bar in root.iter(f"{SVG}rect"):
            assert float(bar.get("width", "0")) >= 0
            assert float(bar.get("height", "0")) >= 0
            assert float(bar.get("x") or 0) + float(bar.get("width", "0")) <= width
        assert all(len(row) == len(chart.columns) for row in chart.rows)


def test_a_chart_in_the_page_has_a_title_and_a_description() -> None:
    for chart in charts(reports.report(list(reports.hostile()))).values():
        root = ET.fromstring(chart.inline())
        title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
        assert title is not None
        assert description is not None
        assert (title.text, description.text) == (visible(chart.title), visible(chart.description))
        assert root.get("role") == "img"
        assert root.get("width") is None


def test_files_are_named_after_their_charts(tmp_path: Path) -> None:
    page = ReportPage(reports.report(list(reports.plausible(50))))
    paths = page.write_charts(tmp_path / "new" / "folder")
    assert [path.name for path in paths] == [f"{chart.name}.svg" for chart in page.charts()]
    assert [path.read_text("utf-8") for path in paths] == [chart.document() for chart in page.charts()]


@given(st.integers(0, 10**20), st.integers(2, 8))
def test_an_axis_has_round_marks_that_hold_everything(highest: int, steps: int) -> None:
    marks = round_steps(highest, steps)
    assert marks[0] == 0
    assert marks[-1] >= highest
    assert 2 <= len(marks) <= steps + 1
    step = marks[1]
    assert str(step).strip("0") in {"1", "2", "5"}
    assert marks == [index * step for index in range(len(marks))]
    assert marks[-1] - step < max(highest, 1)


def test_months_that_are_provisional_or_unknown_are_seen_without_colour() -> None:
    chart = trend_chart([PageMonth("Sep 2026", 100), PageMonth("Oct 2026", None), PageMonth("Nov 2026", 50, 9, 3)])
    assert chart.body.count("url(#trend-hatch)") == 2  # the column, and the key below
    assert "no data" in chart.body
    assert "From 100 tasks in Sep 2026 to 50 in Nov 2026, -50.0%" in chart.description
    settled = trend_chart([PageMonth("Sep 2026", 100), PageMonth("Oct 2026", 100)])
    assert "url(#" not in settled.body
    assert trend_chart([PageMonth("Sep 2026", None)]).description == "No month has figures."


def test_a_small_share_is_not_called_nothing() -> None:
    chart = distribution_chart([Bin(0, 1, 1, 0), Bin(1, 2, 999, 999)])
    assert "&lt;1%" in chart.body
    assert chart.rows[0] == ("0", "1", "0.1%", "0", "0.0%")


def luminance(colour: str) -> float:
    parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("side", ["light", "dark"])
def test_colours_can_be_read_and_told_apart_in_grey(side: str) -> None:
    colours = {name: getattr(shade, side) for name, shade in PALETTE.items()}
    for text in ("text", "muted", "link", "over"):
        for ground in ("paper", "raised"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for bar in ("full", "over"):
        assert contrast(colours[bar], colours["paper"]) >= 3
    # Bars that stand beside or upon each other.
    for one, other in (("full", "soft"), ("over", "soft"), ("soft", "paper"), ("over", "line"), ("full", "line")):
        assert contrast(colours[one], colours[other]) >= 1.9, (one, other)
    assert len({colours[name] for name in PALETTE}) >= len(PALETTE) - 1
    assert all(a != b for a, b in combinations((colours["full"], colours["soft"], colours["over"]), 2))
