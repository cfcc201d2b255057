"""The walks of docs/architecture.md name modules that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import cyclr_async

ROOT = Path(__file__).parents[2]
PACKAGE = Path(cyclr_async.__file__).parent
PAGES = [page for page in (ROOT / "docs" / "architecture.md", ROOT / "CONTRIBUTING.md") if page.is_file()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_that_is_named_exists(page: Path) -> None:
    text = re.sub(r"<!-- recipe: .*?\n## ", "\n## ", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    named = set(re.findall(r"`([a-z_0-9]+(?:/[a-z_0-9]+)*(?:\.py|/))`", text))
    assert len(named) > 5
    # Below the package, beside it, or in the checkout.
    places = (PACKAGE, PACKAGE.parent, ROOT)
    missing = [name for name in named if not any((place / name).exists() for place in places)]
    # Folders of a wheel's tests: what is only in a checkout is not missed there.
    assert [name for name in missing if not name.startswith((".ci", "benchmarks"))] == []


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        links = re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text(encoding="utf-8"))
        assert [link for link in links if not (page.parent / link).exists()] == []
