"""Tables at every width: figures and ids stay in one piece."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.cli.cli_api import Api, Run

WIDTHS = [*range(20, 100, 5), 120, 150, 200]
LONG = "Gesellschaft für Straßenbau und Entwässerung mit beschränkter Haftung"


@pytest.fixture
def rich_api(api: Api) -> Api:
    api.names = [LONG, "株式会社日本", "x" * 70, "Zoë", "\x1b[2J", ""]
    api.tasks = 1_234_567_890
    api.missing = {4}
    return api


def at(cyclr: Run, monkeypatch: pytest.MonkeyPatch, width: int, *args: str) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
    result = cyclr(*args, "-o", "table", "-q")
    assert result.code in {0, 3}, result.err
    return result.out


def spare(text: str) -> str:
    """The text without blanks, so that a folded name is found."""
    return re.sub(r"\s", "", text)


def fits(text: str, width: int) -> bool:
    """Whether every line fits, but for those that hold one word or one long text under its name."""
    return all(cell_len(line) <= width or not line.startswith(" ") for line in text.splitlines())


@pytest.mark.parametrize("width", WIDTHS)
def test_lists(rich_api: Api, cyclr: Run, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    seen = at(cyclr, monkeypatch, width, "accounts", "list")
    for number in range(6):
        assert f"{number:032x}" in seen
        assert f"=HYPERLINK({number})" in seen
    assert seen.count("2026-12-01T00:00:00Z") == 6
    assert fits(seen, width)
    assert "…" not in seen
    assert (seen.count("next_") == 1) == (width > 80)  # a table, or a block of lines for each
    if width <= 80 or width >= 150:
        assert all(spare(name) in spare(seen) for name in rich_api.names[:4])
    assert "Pro" in at(cyclr, monkeypatch, width, "plans")


@pytest.mark.parametrize("width", WIDTHS)
def test_the_summary_and_the_runs_of_a_store(
    rich_api: Api, cyclr: Run, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    seen = at(cyclr, monkeypatch, width, "usage", "collect")
    figures = [f"{1_234_567_890 // (number + 1):,}" for number in range(6) if number != 4]
    for figure in (*figures, f"{4:032x}", "2026-11-01T00:00:00Z", "2026-11-30T00:00:00Z"):
        assert figure in seen, (figure, seen)
    # The account without a name stands there by its id.
    assert f"{5:032x}" in seen
    status = at(cyclr, monkeypatch, width, "usage", "status")
    words = status.split()
    assert {"complete", "6", "5", "1"} <= set(words)
    exported = at(cyclr, monkeypatch, width, "usage", "export")
    for number in range(6):
        assert f"{number:032x}" in exported
    assert all(figure.replace(",", "") in exported for figure in figures)
    assert ("█" in seen) == (width > 45)


@pytest.mark.parametrize("width", WIDTHS[::3])
def test_single_records_and_settings(rich_api: Api, cyclr: Run, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    Path("config.toml").write_text(f'[profiles.live]\nclient_id = "{"c" * 30}7"\n')
    Path("config.toml").chmod(0o600)
    monkeypatch.delenv("CYCLR_CLIENT_ID")
    assert f"{'c' * 30}7" in at(cyclr, monkeypatch, width, "config", "show")
    monkeypatch.setenv("CYCLR_CLIENT_ID", "me")
    assert "partner.example.com" in at(cyclr, monkeypatch, width, "partner")
    token = at(cyclr, monkeypatch, width, "token", "create", f"{3:032x}", "jo@example.com")
    assert f"{3:032x}" in token
    assert "/account/signinwithtoken?token=a%2B%2Fb%3D%3D" in token


def test_decoration_goes_first(rich_api: Api, cyclr: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    rich_api.names = ["A", "B"]
    rich_api.missing = set()
    wide, narrow, tiny = (at(cyclr, monkeypatch, width, "usage", "collect") for width in (100, 40, 20))
    assert ("─" in wide, "█" in wide) == (True, True)
    assert "█" not in narrow.partition("Price plans")[0]
    assert re.search(r"^A +Free\\x1b\[2J +1,234,567,890", narrow, re.MULTILINE)
    assert re.search(r"^tasks\n? +1,234,567,890$", tiny, re.MULTILINE)
