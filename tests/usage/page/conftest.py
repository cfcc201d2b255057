"""A real browser for the page: Debian's Chromium, driven by Playwright, without a network."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs
import pytest

from cyclr_async.usage import PageReport, ReportPage

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Dialog, Page

PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome")
NOT_TESTED: Final = "NOT TESTED, the page in a browser"
INSTALL: Final = "pip install --group browser"
OPTIONS: Final = [
    # As root, as in a container, Chromium starts without its sandbox only.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for all tests, with a fresh profile; each page has a context of its own."""
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"{NOT_TESTED}: there is no Chromium here; on Debian, apt-get install chromium")
    driver = pytest.importorskip("playwright.sync_api", reason=f"{NOT_TESTED}: Playwright is missing; {INSTALL}")
    with driver.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=OPTIONS)
        yield browser
        browser.close()


@attrs.define(slots=False)  # Playwright notes on the object that its methods are listeners
class Opened:
    """A page that is open, and what happened meanwhile."""

    page: Page
    path: Path
    requests: list[str] = attrs.field(factory=list)
    messages: list[str] = attrs.field(factory=list)
    dialogs: list[str] = attrs.field(factory=list)

    def dismiss(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def nothing_happened(self) -> None:
        """Nothing but the file was asked for, nothing was complained about, nothing popped up."""
        assert self.requests == [self.path.as_uri()]
        assert self.messages == []
        assert self.dialogs == []

    def cells(self, column: str) -> list[str]:
        """The texts of a column, as far as it is listed."""
        found = self.page.locator(f"#account-list > tbody > tr > .c-{column}").all_text_contents()
        return [text.strip() for text in found]

    def names(self) -> list[str]:
        return [text.strip() for text in self.page.locator("#account-list > tbody > tr .who").all_text_contents()]

    def status(self) -> str:
        return self.page.locator("#status").inner_text()


Opener = Callable[..., Opened]


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Opener]:
    """Write a report as a page, and open it from the disk in a browser without a network."""
    contexts: list[BrowserContext] = []

    def open_report(report: PageReport | Path, **options: Any) -> Opened:
        path = report if isinstance(report, Path) else tmp_path / f"report{len(contexts)}.html"
        if isinstance(report, PageReport):
            ReportPage(report).write(path)
        settings: dict[str, Any] = {"offline": True, "viewport": {"width": 1280, "height": 900}} | options
        context = browser.new_context(**settings)
        contexts.append(context)
        page = context.new_page()
        found = Opened(page, path)
        page.on("request", lambda request: found.requests.append(request.url))
        page.on("console", lambda message: found.messages.append(message.text))
        page.on("pageerror", lambda error: found.messages.append(str(error)))
        page.on("dialog", found.dismiss)
        page.goto(path.as_uri())
        if options.get("java_script_enabled", True):
            page.wait_for_selector("html[data-ready]", state="attached")
        return found

    yield open_report
    for context in contexts:
        context.close()
