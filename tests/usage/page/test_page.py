"""The page as a file: what it holds, without a browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import attrs
import pytest

from cyclr_async.errors import InvalidArgumentError, StoreError
from cyclr_async.usage import PageAccount, ReportPage
from cyclr_async.usage.page.account_table import data_block
from cyclr_async.usage.page.tally import Tally
from cyclr_async.usage.page.words import visible
from tests.usage.page import reports

VOID = {"meta", "input", "br", "col"}


@attrs.define(eq=False)
class Reader(HTMLParser):
    """A page taken apart: every element with its attributes and its text; it must be well-formed."""

    open: list[tuple[str, list[str]]] = attrs.field(factory=list)
    found: list[tuple[str, dict[str, str | None], list[str]]] = attrs.field(factory=list)

    def __attrs_pre_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attributes]
        assert len(names) == len(set(names)), (tag, names)
        self.found.append((tag, dict(attributes), []))
        if tag not in VOID:
            self.open.append((tag, self.found[-1][2]))

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes), []))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.open[-1][1].append(data)

    def all(self, tag: str) -> list[tuple[dict[str, str | None], str]]:
        return [(attributes, "".join(texts)) for name, attributes, texts in self.found if name == tag]


def read(page: ReportPage) -> Reader:
    reader = Reader()
    reader.feed(b"".join(page.parts()).decode("utf-8"))
    reader.close()
    assert reader.open == []
    return reader


def data_of(reader: Reader) -> dict[str, Any]:
    attributes, text = next(found for found in reader.all("script") if found[0].get("id") == "data")
    if attributes.get("data-encoding") == "deflate":
        text = zlib.decompress(base64.b64decode(text)).decode()
    data: dict[str, Any] = json.loads(text)
    return data


@pytest.fixture(scope="module", params=["plausible", "hostile", "nothing"])
def reader(request: pytest.FixtureRequest) -> Reader:
    accounts = {"plausible": list(reports.plausible(150)), "hostile": list(reports.hostile()), "nothing": []}
    return read(ReportPage(reports.report(accounts[request.param])))


def test_it_allows_its_own_script_and_style_and_nothing_else(reader: Reader) -> None:
    metas = [attributes for attributes, _ in reader.all("meta")]
    assert metas[0] == {"charset": "utf-8"}
    assert metas[1]["http-equiv"] == "Content-Security-Policy"
    policy = dict(part.split(" ", 1) for part in (metas[1]["content"] or "").split("; "))

    def source(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    (_, style), (_, script) = reader.all("style")[0], reader.all("script")[-1]
    assert policy == {
        "default-src": "'none'",
        "script-src": source(script),
        "style-src": source(style),
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    assert [attributes for attributes, _ in reader.all("script")][1:] == [{}]
    assert len(reader.all("style")) == 1
    # What would need another permission, or none of ours could forbid.
    assert {tag for tag, _, _ in reader.found} & {"link", "img", "iframe", "object", "embed", "base", "a:href"} == set()
    for tag, attributes, _ in reader.found:
        assert not any(name.startswith("on") or name in {"style", "src", "srcset", "action"} for name in attributes), (
            tag
        )
        assert (attributes.get("href") or "#").startswith("#")


def test_ids_are_unique_and_labels_lead_to_them(reader: Reader) -> None:
    ids = [attributes["id"] for _, attributes, _ in reader.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes, _ in reader.found:
        for name in ("aria-labelledby", "for", "href"):
            for target in (attributes.get(name) or "").split():
                assert target.lstrip("#") in ids


def test_the_script_makes_no_markup_of_texts() -> None:
    script = files("cyclr_async.usage.page").joinpath("page.js").read_text("utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval|Function\(|setTimeout", script)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", script)
    assert re.search(r"fetch|XMLHttp|import\(|localStorage|cookie", script) is None


def test_hostile_texts_are_texts() -> None:
    accounts = list(reports.hostile())
    found = read(
        ReportPage(reports.report(accounts, period="<i>October</i>", partner="</title><script>", closed="<b>me</b>"))
    )
    texts = {"".join(parts) for tag, _, parts in found.found if tag == "bdi"}
    for text in reports.HOSTILE:
        assert visible(text) in texts or not text.strip()
    assert {tag for tag, _, _ in found.found} & {"i", "b", "img"} == set()
    assert found.all("title")[0][1] == "Usage, <i>October</i> · </title><script>"
    data = data_of(found)
    largest = sorted((account for account in accounts if account.tasks), key=lambda account: -(account.tasks or 0))
    shown = [visible(account.name) if account.name else None for account in largest]
    assert [row[1] for row in data["rows"]][: len(shown)] == shown
    assert set(data["plans"]) >= {visible(f"plan {text}") for text in reports.HOSTILE}


def test_data_is_plain_until_there_is_much_of_it() -> None:
    report = reports.report(list(reports.plausible(200)))
    tally = Tally.of(report, 1000)
    plain = b"".join(data_block(report, (), tally))
    packed = b"".join(data_block(report, (), tally, plain_bytes=0))
    assert b"deflate" not in plain
    assert b'data-encoding="deflate"' in packed
    assert len(packed) < len(plain)
    (one, other) = Reader(), Reader()
    one.feed(plain.decode())
    other.feed(packed.decode())
    assert data_of(one) == data_of(other)
    # One account a line, so that a reader of the file finds one.
    assert plain.count(b"\n") == 200 + 2


def test_a_page_says_what_it_leaves_out() -> None:
    page = read(ReportPage(reports.report(list(reports.plausible(300))), accounts=120))
    text = " ".join(text for _, text in page.all("p"))
    assert "Of 300 accounts the 120 with most tasks are listed" in text
    assert len(data_of(page)["rows"]) == 120


def test_what_is_not_known_is_not_shown() -> None:
    accounts = [PageAccount("a", tasks=3), PageAccount("b", tasks=None, reason="failed")]
    page = read(ReportPage(reports.report(accounts, previous_period=None, currency=None, method=(), months=[])))
    columns = [attributes["data-column"] for attributes, _ in page.all("th") if "data-column" in attributes]
    assert columns == ["name", "tasks", "state"]
    sections = [attributes["id"] for attributes, _ in page.all("section")]
    assert sections == ["summary", "sizes", "largest", "gaps", "freshness", "accounts"]
    options = [attributes["value"] for attributes, _ in page.all("option") if "value" in attributes]
    assert options == ["all", "new", "gone", "none", "provisional"]


@pytest.mark.parametrize(
    ("account", "closed", "says"),
    [
        (PageAccount("a", tasks=3), None, "Final."),
        (PageAccount("a", tasks=3, provisional=True), None, "Not final."),
        (PageAccount("a", reason="failed"), None, "Not final."),
        (PageAccount("a", reason="gone", presence="gone"), None, "Final."),
        (PageAccount("a", reason="failed"), "2026-11-03 by the books", "Closed."),
    ],
)
def test_it_says_whether_its_figures_are_final(account: PageAccount, closed: str | None, says: str) -> None:
    page = read(ReportPage(reports.report([account], closed=closed)))
    assert page.all("strong")[0][1] == says


def test_the_same_report_makes_the_same_page() -> None:
    report = reports.report(list(reports.plausible(100)))
    assert list(ReportPage(report).parts()) == list(ReportPage(report).parts())


def test_it_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    page = ReportPage(reports.report(list(reports.plausible(20))))
    target = tmp_path / "report.html"
    written = page.write(target)
    assert (written.path, written.size, written.accounts, written.listed) == (target, target.stat().st_size, 20, 20)
    assert target.read_bytes() == b"".join(page.parts())
    with pytest.raises(InvalidArgumentError, match="is a folder"):
        page.write(tmp_path)
    with pytest.raises(StoreError, match="cannot write"):
        page.write(tmp_path / "none" / "report.html")
    taken = tmp_path / "taken"
    taken.write_text("a file")
    with pytest.raises(StoreError, match="cannot make the folder"):
        page.write_charts(taken / "charts")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "taken"]


@pytest.mark.parametrize("accounts", [0, -1, 1_000_001])
def test_a_list_has_a_sensible_length(accounts: int) -> None:
    with pytest.raises(InvalidArgumentError, match="1 to 1,000,000"):
        ReportPage(reports.report([]), accounts=accounts)
