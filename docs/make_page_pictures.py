"""Take the pictures of docs/report-page.md from a report about made-up accounts: python docs/make_page_pictures.py.

Needs Debian's Chromium, pdftoppm (poppler-utils), and the group `browser`.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from cyclr_async.usage import ReportPage  # noqa: E402
from tests.usage.page import reports  # noqa: E402

IMAGES = ROOT / "docs" / "images"
# More bytes than this make a clone slow for little.
LARGEST = 300_000


def main() -> None:
    """Take them."""
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        page = ReportPage(reports.report(list(reports.plausible(500))))
        path = page.write(folder / "report.html").path
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        for picture, scheme, width, height, anchor in (
            ("report-light", "light", 1120, 1000, "summary"),
            ("report-dark", "dark", 1120, 900, "accounts"),
            ("report-phone", "light", 390, 800, "summary"),
        ):
            context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
            tab = context.new_page()
            tab.goto(path.as_uri())
            tab.wait_for_selector("html[data-ready]", state="attached")
            if anchor == "accounts":
                tab.select_option("#only", "over")
                tab.locator("#account-list .more").nth(1).click()
                tab.locator("#accounts").evaluate("(found) => scrollTo(0, found.offsetTop - 60)")
            tab.screenshot(path=IMAGES / f"{picture}.png")
            if picture == "report-light":
                tab.pdf(path=folder / "report.pdf", prefer_css_page_size=True)
            context.close()
        browser.close()
        command = ["pdftoppm", "-r", "75", "-f", "1", "-l", "1", "-singlefile", "-png"]
        subprocess.run([*command, folder / "report.pdf", IMAGES / "report-print"], check=True)
        for chart in page.charts():
            if chart.name == "trend":
                (IMAGES / "report-trend.svg").write_text(chart.document(), encoding="utf-8")
    for image in sorted(IMAGES.glob("report-*")):
        size = image.stat().st_size
        if size > LARGEST:
            sys.exit(f"{image.name} has {size:,} bytes; {LARGEST:,} are the most")
        print(f"{image.name}: {size:,} bytes")


if __name__ == "__main__":
    main()
