"""The page in a real browser: what it does, what it does not do, and how it prints."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from cyclr_async.usage import PageAccount, PageMonth, ReportPage
from cyclr_async.usage.page.palette import PALETTE
from cyclr_async.usage.page.words import visible
from tests.usage.page import reports
from tests.usage.page.conftest import INSTALL, Opened, Opener

if TYPE_CHECKING:
    from playwright.sync_api import Locator

pytestmark = pytest.mark.browser

ACCOUNTS: Final = list(reports.plausible(300))
A4_PIXELS: Final = 794 - 2 * 45
"""The width of a sheet without its margins of 12 mm, at 96 pixels an inch."""


def tasks_first(accounts: list[PageAccount]) -> list[PageAccount]:
    """The order of the page: most tasks first, then those without a figure, the largest of them first."""
    return sorted(accounts, key=lambda a: (a.tasks is None, -(a.tasks if a.tasks is not None else a.previous or 0)))


def names(accounts: list[PageAccount], number: int = 100) -> list[str]:
    return [visible(account.name or account.account_id).strip() for account in accounts[:number]]


def test_it_opens_from_a_disk_and_asks_for_nothing(opened: Opener) -> None:
    page = opened(reports.report(ACCOUNTS))
    assert page.page.title() == "Usage, October 2026 · partner.example.com"
    assert page.names() == names(tasks_first(ACCOUNTS))
    assert page.status().startswith("1 to 100 of 300 accounts")
    page.nothing_happened()


def test_its_policy_forbids_what_it_does_not_do(opened: Opener) -> None:
    page = opened(reports.report(ACCOUNTS)).page
    violated = page.evaluate(
        """async () => {
            const seen = [];
            document.addEventListener("securitypolicyviolation", (event) => seen.push(event.effectiveDirective));
            await fetch("https://example.com/").catch(() => {});
            const script = document.createElement("script");
            try { script.textContent = "document.title = 'owned'"; document.body.append(script); } catch {}
            try { document.body.innerHTML = "<b>owned</b>"; } catch {}
            const image = new Image();
            image.src = "https://example.com/a.png";
            document.body.append(image);
            const style = document.createElement("style");
            style.textContent = "body { display: none }";
            document.body.append(style);
            await new Promise((resolve) => setTimeout(resolve, 50));
            return seen;
        }"""
    )
    assert {"connect-src", "img-src", "style-src-elem", "require-trusted-types-for"} <= set(violated)
    assert page.title().startswith("Usage, October")
    assert page.locator("h1").is_visible()


def by_number(value: Callable[[PageAccount], Any]) -> Callable[[PageAccount], tuple[bool, Any]]:
    def key(account: PageAccount) -> tuple[bool, Any]:
        found = value(account)
        return found is None, 0 if found is None else found

    return key


NUMBERS: Final[dict[str, Callable[[PageAccount], Any]]] = {
    "tasks": lambda a: a.tasks,
    "change": lambda a: a.change,
    "included": lambda a: a.included,
    "charge": lambda a: a.charge,
}


@pytest.mark.parametrize("column", NUMBERS)
def test_it_sorts_by_figures_both_ways(opened: Opener, column: str) -> None:
    page = opened(reports.report(ACCOUNTS))
    value = NUMBERS[column]
    there = [account for account in tasks_first(ACCOUNTS) if value(account) is not None]
    missing = [account for account in tasks_first(ACCOUNTS) if value(account) is None]
    heading = page.page.locator(f"th[data-column={column}]")
    if column != "tasks":  # by which it is sorted from the beginning
        heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert page.names() == names([*sorted(there, key=value, reverse=True), *missing])
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert page.names() == names([*sorted(there, key=value), *missing])
    assert page.page.locator("th[aria-sort]").count() == 1


def test_it_sorts_by_name_as_people_do(opened: Opener) -> None:
    accounts = [PageAccount(str(index), name, tasks=1) for index, name in enumerate(("b10", "B9", "a", "É", "e2", "F"))]
    page = opened(reports.report(accounts))
    page.page.locator("th[data-column=name] button").click()
    assert page.names() == ["a", "B9", "b10", "É", "e2", "F"]
    page.page.locator("th[data-column=name] button").click()
    assert page.names() == ["F", "e2", "É", "b10", "B9", "a"]


FILTERS: Final[dict[str, Callable[[PageAccount], bool]]] = {
    "Over allowance": lambda a: a.over is not None,
    "At 80% of allowance or more": lambda a: (
        a.over is None and a.tasks is not None and a.included is not None and a.tasks * 10 >= a.included * 8
    ),
    "Rose": lambda a: (a.change or 0) > 0,
    "Fell": lambda a: (a.change or 0) < 0,
    "New": lambda a: a.presence == "new",
    "Gone": lambda a: a.presence == "gone",
    "Without a figure": lambda a: a.tasks is None,
    "Provisional": lambda a: a.provisional,
    "Not compared": lambda a: a.tasks is not None and a.reason is not None,
}


def test_it_filters(opened: Opener) -> None:
    page = opened(reports.report(ACCOUNTS))
    page.page.select_option("#page-size", "500")
    for name, wanted in FILTERS.items():
        page.page.select_option("#only", label=name)
        expected = [account for account in tasks_first(ACCOUNTS) if wanted(account)]
        assert page.names() == names(expected, 500), name
        total = sum(account.tasks or 0 for account in expected)
        assert f"{total:,} task" in page.status()
    page.page.select_option("#only", label="All accounts")
    page.page.select_option("#plan", label="Growth")
    growth = [account for account in tasks_first(ACCOUNTS) if account.plan == "Growth"]
    assert page.names() == names(growth, 500)
    page.page.select_option("#only", label="Fell")
    assert page.names() == names([account for account in growth if (account.change or 0) < 0], 500)
    page.nothing_happened()


def test_it_finds_an_account(opened: Opener) -> None:
    parent = next(account for account in ACCOUNTS if account.parent)
    special = [
        PageAccount("Über-1", "Crème Brûlée GmbH", tasks=5),
        PageAccount("x9", "Straße der Nationen", tasks=4),
        PageAccount("r1", "شركة الاختبار", tasks=3),
    ]
    page = opened(reports.report([*ACCOUNTS, *special]))

    def found(text: str) -> list[str]:
        page.page.fill("#find", text)
        return page.names()

    some = ACCOUNTS[7]
    assert some.name
    assert found(some.account_id) == [some.name]
    assert found(some.name.upper()) == [some.name]
    assert found(" ".join(reversed(some.name.split()))) == [some.name]
    assert found(some.account_id[3:15]) == [some.name]
    assert parent.name in found(parent.parent or "")
    assert found("creme brulee") == ["Crème Brûlée GmbH"]
    assert found("uber-1") == ["Crème Brûlée GmbH"]
    assert found("nationen straße") == ["Straße der Nationen"]
    assert found("الاختبار") == ["شركة الاختبار"]
    assert found("nobody is called this") == []
    assert "No account matches" in page.page.locator("#account-list tbody").inner_text()
    assert page.status() == "0 accounts, 0 tasks"
    assert len(found("")) == 100


def test_it_leafs_through(opened: Opener) -> None:
    page = opened(reports.report(ACCOUNTS))
    expected = names(tasks_first(ACCOUNTS), 300)

    def button(name: str) -> Locator:
        return page.page.get_by_role("button", name=name, exact=True)

    assert button("Back").get_attribute("aria-disabled") == "true"
    button("Next").click()
    assert page.names() == expected[100:200]
    button("Last").click()
    assert page.names() == expected[200:]
    button("Next").click(force=True)  # it says that it is disabled, and so nothing happens
    assert page.names() == expected[200:]
    button("First").click()
    button("Back").click(force=True)
    assert page.names() == expected[:100]
    page.page.select_option("#page-size", "50")
    assert page.names() == expected[:50]
    page.page.select_option("#page-size", "2000")
    assert page.names() == expected


def test_an_account_has_details(opened: Opener) -> None:
    page = opened(reports.report(ACCOUNTS))
    account = next(found for found in tasks_first(ACCOUNTS) if found.previous and found.charge)
    page.page.fill("#find", account.account_id)
    row = page.page.locator("#account-list .more")
    assert row.get_attribute("aria-expanded") == "false"
    width = page.page.locator("#account-list").evaluate("(found) => found.offsetWidth")
    row.click()
    assert row.get_attribute("aria-expanded") == "true"
    assert page.page.locator("#account-list").evaluate("(found) => found.offsetWidth") == width
    detail = page.page.locator("#account-list .detail").inner_text()
    for text in (account.account_id, f"{account.previous:,}", f"{account.charge:,}", f"{account.over:,}", "UTC"):
        assert text in detail
    table = page.page.locator("#account-list .detail table")
    assert table.locator("th").all_text_contents() == list(reports.MONTHS)
    shown = [f"{value:,}" if value is not None else "\u2013" for value in account.history]
    assert table.locator("td").all_text_contents() == shown
    row.click()
    assert page.page.locator("#account-list .detail").count() == 0
    gap = next(found for found in ACCOUNTS if found.reason == "failed")
    page.page.fill("#find", gap.account_id)
    page.page.locator("#account-list .more").click()
    assert reports.REASONS["failed"].meaning.rstrip(".") in page.page.locator("#account-list .detail").inner_text()


def focus(page: Opened) -> str:
    return str(page.page.evaluate("document.activeElement.id || document.activeElement.textContent"))


def test_a_keyboard_is_enough(opened: Opener) -> None:
    page = opened(reports.report(ACCOUNTS))
    keyboard = page.page.keyboard
    keyboard.press("Tab")
    assert focus(page) == "Skip to the accounts"
    keyboard.press("Enter")
    keyboard.press("Tab")
    assert focus(page) == "find"
    some = ACCOUNTS[11]
    keyboard.type(some.account_id)
    keyboard.press("Enter")
    assert page.names() == [some.name]
    for _ in some.account_id:
        keyboard.press("Backspace")
    visited = []
    while "Tasks" not in visited:
        keyboard.press("Tab")
        visited.append(focus(page))
        outline = page.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", visited
        assert len(visited) < 20, visited
    assert visited[:7] == ["only", "plan", "page-size", "first", "back", "next", "last"]
    keyboard.press("Enter")
    assert page.page.locator("th[data-column=tasks]").get_attribute("aria-sort") == "ascending"
    assert focus(page) == "Tasks"
    while page.page.evaluate("document.activeElement.className") != "more":
        keyboard.press("Tab")
    keyboard.press("Space")
    assert page.page.locator("#account-list .detail").count() == 1
    keyboard.press("Enter")
    assert page.page.locator("#account-list .detail").count() == 0
    assert page.messages == []


def ground(page: Opened) -> str:
    numbers = re.findall(r"\d+", page.page.evaluate("getComputedStyle(document.body).backgroundColor"))
    return "#" + "".join(f"{int(number):02x}" for number in numbers[:3])


def test_it_is_light_or_dark_as_the_system_or_the_reader_wants(opened: Opener) -> None:
    page = opened(reports.report(ACCOUNTS), color_scheme="light")
    paper = PALETTE["paper"]
    assert ground(page) == paper.light
    page.page.emulate_media(color_scheme="dark")
    assert ground(page) == paper.dark
    page.page.check("#appearance-light")
    assert ground(page) == paper.light
    page.page.check("#appearance-dark")
    page.page.emulate_media(color_scheme="light")
    assert ground(page) == paper.dark
    page.page.emulate_media(media="print")
    assert ground(page) == paper.light


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("hostile", [False, True])
def test_axe_finds_nothing(opened: Opener, scheme: Any, width: int, hostile: bool) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason=INSTALL)
    accounts = list(reports.hostile()) if hostile else ACCOUNTS
    page = opened(reports.report(accounts), color_scheme=scheme, viewport={"width": width, "height": 900})
    page.page.locator("#account-list .more").first.click()
    for details in page.page.locator("details").all():
        details.locator("summary").click()
    results = axe.Axe().run(page.page)
    assert len(results.response["passes"]) > 20
    assert [(found["id"], found["nodes"][0]["html"]) for found in results.response["violations"]] == []


def test_hostile_names_are_inert(opened: Opener) -> None:
    accounts = list(reports.hostile())
    page = opened(reports.report(accounts))
    assert page.page.title() == "Usage, October 2026 · partner.example.com"
    assert page.names() == names(tasks_first(accounts))
    assert page.page.evaluate("[...document.querySelectorAll('script')].map((found) => found.id)") == ["data", ""]
    assert page.page.locator("img, iframe, object, embed, link, b, svg svg, [onerror], [onload]").count() == 0
    for button in page.page.locator("#account-list .more").all():
        button.click()
    bodies = page.page.locator("#account-list .detail").all_text_contents()
    assert len(bodies) == len(accounts)
    for text in reports.HOSTILE:
        page.page.fill("#find", visible(text))
        assert visible(text).strip() in page.names() or not text.strip()
    page.nothing_happened()


def test_a_name_cannot_turn_the_row_around(opened: Opener) -> None:
    """Texts from right to left stay in their cell, and marks that would reverse what follows are seen."""
    page = opened(reports.report(list(reports.hostile())))
    row = page.page.locator("#account-list > tbody > tr", has_text="[U+202E]txt.exe").first
    boxes = [cell.bounding_box() for cell in row.locator("> *").all()]
    lefts = [box["x"] for box in boxes if box]
    assert lefts == sorted(lefts)
    assert len(lefts) == len(boxes) == 9


@pytest.mark.parametrize("hostile", [False, True])
@pytest.mark.parametrize("width", [320, 768, 1280])
def test_no_width_makes_the_page_scroll_sideways(opened: Opener, width: int, hostile: bool) -> None:
    accounts = list(reports.hostile()) if hostile else ACCOUNTS
    page = opened(reports.report(accounts), viewport={"width": width, "height": 900})
    assert page.page.evaluate("document.documentElement.scrollWidth") <= width


def pdf_of(page: Opened, folder: Path) -> Any:
    pypdf = pytest.importorskip("pypdf", reason=INSTALL)
    path = folder / "report.pdf"
    page.page.pdf(path=str(path), prefer_css_page_size=True)
    return pypdf.PdfReader(path)


def test_it_prints_on_a4_and_cuts_no_table(opened: Opener, tmp_path: Path) -> None:
    page = opened(reports.report(ACCOUNTS), color_scheme="dark")
    printed = pdf_of(page, tmp_path)
    sheets = []
    for sheet in printed.pages:
        assert (round(sheet.mediabox.width), round(sheet.mediabox.height)) in {(595, 842), (594, 842), (595, 841)}
        sheets.append(re.sub(r"\s+", "", sheet.extract_text()))
    listed = tasks_first(ACCOUNTS)[:100]
    for account in listed:
        # Name and figures of a row are on the same sheet: no row is torn apart.
        name = re.sub(r"\s+", "", account.name or "")
        on = [sheet for sheet in sheets if name in sheet]
        assert on, account.name
        assert any(f"{account.tasks:,}" in sheet[sheet.index(name) :] for sheet in on)
    first = next(index for index, sheet in enumerate(sheets) if "1to100of300accounts" in sheet)
    assert len(sheets) > first + 2
    # The headings of the list are repeated on every sheet that it goes on to.
    for sheet in sheets[first + 1 : -1]:
        assert "AccountPlanTasks" in sheet.replace("\u2193", "")
    assert not any("Nextbutton" in sheet or "Findanaccount" in sheet for sheet in sheets)


@pytest.mark.parametrize("hostile", [False, True])
def test_nothing_is_wider_than_the_sheet(opened: Opener, hostile: bool) -> None:
    accounts = list(reports.hostile()) if hostile else ACCOUNTS
    page = opened(reports.report(accounts), viewport={"width": A4_PIXELS, "height": 1000})
    page.page.locator("#account-list .more").first.click()
    page.page.emulate_media(media="print")
    beyond = page.page.evaluate(
        """(width) => [...document.querySelectorAll("main *")]
            .filter((found) => found.getClientRects().length && found.getBoundingClientRect().right > width + 0.5)
            .map((found) => found.outerHTML.slice(0, 200))""",
        A4_PIXELS,
    )
    assert beyond == []


def test_without_a_script_the_largest_accounts_are_there(opened: Opener) -> None:
    """Readers of mail run no script: what stands in the file is what the script would show first."""
    report = reports.report(ACCOUNTS)
    bare, scripted = opened(report, java_script_enabled=False), opened(report)
    assert bare.page.locator(".controls").is_hidden()
    assert "The first 100 of 300 accounts" in bare.page.locator("#static-note").inner_text()
    assert scripted.page.locator("#static-note").is_hidden()
    bare.page.check("#appearance-dark")
    assert ground(bare) == PALETTE["paper"].dark
    columns = ("name", "plan", "tasks", "change", "included", "used", "charge", "trend", "state")
    for column in columns:
        assert bare.cells(column) == scripted.cells(column), column
    for kind in (".spark", ".gauge"):
        drawn = [
            [path.get_attribute("d") for path in page.page.locator(f"{kind} path").all()[:60]]
            for page in (bare, scripted)
        ]
        assert drawn[0] == drawn[1]
        assert len(drawn[0]) > 20


def test_numbers_beyond_those_of_a_script_stay_exact(opened: Opener) -> None:
    large = 2**53 + 1
    accounts = [
        PageAccount("a", "Large", tasks=large, previous=large - 3, included=large - 1, history=(None, large)),
        PageAccount("b", "Larger", tasks=large + 2, previous=0),
    ]
    page = opened(reports.report(accounts, months=[PageMonth("Sep", None), PageMonth("Oct", 2 * large + 2, 2)]))
    assert page.cells("tasks") == [f"{large + 2:,}", f"{large:,}"]
    assert page.cells("change")[1].startswith("+3")
    assert page.status().endswith(f"{2 * large + 2:,} tasks")
    page.page.locator(".more").last.click()
    assert f"{large:,}" in page.page.locator(".detail td td").last.inner_text()


def test_a_hundred_thousand_accounts(opened: Opener, tmp_path: Path) -> None:
    """How long it takes to open is measured by ``python -m benchmarks.report_page``."""
    accounts = list(reports.plausible(100_000))
    written = ReportPage(reports.report(accounts)).write(tmp_path / "large.html")
    assert written.size < 10_000_000
    assert (written.accounts, written.listed) == (100_000, 100_000)
    page = opened(written.path)
    assert page.status() == f"1 to 100 of 100,000 accounts, {sum(a.tasks or 0 for a in accounts):,} tasks"
    some = accounts[77_777]
    page.page.fill("#find", some.account_id)
    assert page.names() == [some.name]
    page.page.fill("#find", "")
    page.page.locator("th[data-column=name] button").click()
    assert page.names()[0] == min(account.name or "" for account in accounts)
    # So many histories would be too heavy: the trend is drawn, and its figures are left out.
    assert page.page.locator(".spark").count() > 90
    page.page.locator(".more").first.click()
    assert page.page.locator(".detail table").count() == 0
    page.nothing_happened()


def test_a_report_about_nothing_can_be_read(opened: Opener) -> None:
    page = opened(reports.report([], previous_period=None, currency=None, method=()))
    assert "0 accounts" in page.status()
    assert page.page.locator("#summary").inner_text().count("0") >= 2
    page.nothing_happened()
