"""What docs/report-page.md shows works, in its order, with what the blocks before it made."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.usage_months import StoreMaker

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.skipif(not (DOCS / "report-page.md").is_file(), reason="only in a checkout")
def test_the_blocks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    with StoreMaker(tmp_path / "usage.sqlite") as maker:
        for month, end, seen in (("2026-09", "2026-09-30", "2026-10-02"), ("2026-10", "2026-10-31", "2026-11-02")):
            maker.run(f"{seen}T06:00:00")
            for number, account_id in enumerate(("a", "b", "c"), 1):
                maker.list(account_id, name=f"Account {account_id}", plan=number)
                maker.usage(account_id, f"{month}-01", end, 1200 * number)
    text = (DOCS / "report-page.md").read_text("utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 4
    scope: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "docs/report-page.md", "exec"), scope)
    written = Path("report.html").read_bytes()
    assert written == scope["html"]
    assert b"Closed." in written
    printed = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"3 accounts, [\d,]+ bytes", printed[0])
    assert re.fullmatch(r"c +3,600  {11}██", printed[3])
    charts = {path.name for path in Path("charts").iterdir()}
    assert charts == {"trend.svg", "distribution.svg", "top.svg", "allowance.svg", "plans.svg"}
    assert all(f"`{name}`" in text for name in charts | {"changes.svg"})


@pytest.mark.skipif(not (DOCS / "report-page.md").is_file(), reason="only in a checkout")
def test_pictures_are_there_and_small() -> None:
    text = (DOCS / "report-page.md").read_text("utf-8")
    images = re.findall(r"images/[\w-]+\.\w+", text)
    assert len(images) == 5
    for image in images:
        assert 0 < (DOCS / image).stat().st_size < 300_000
