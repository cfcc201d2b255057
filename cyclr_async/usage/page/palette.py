"""The colours, once for the page and once for charts in files of their own."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

__all__ = ["PALETTE", "Shade", "asset", "chart_style", "palette_style"]


class Shade(NamedTuple):
    """A colour on light and on dark ground."""

    light: str
    dark: str


PALETTE: Final = {
    # Texts have a contrast of 4.5 or more to both grounds, bars of 3 or more to theirs, as WCAG 2 asks for. Full, soft
    # and over are as far apart in lightness as that allows, for print without colour.
    "paper": Shade("#ffffff", "#11161c"),
    "raised": Shade("#f4f6f8", "#1a2129"),
    "text": Shade("#1b2025", "#e7ecf1"),
    "muted": Shade("#556069", "#a3afba"),
    "line": Shade("#d3d9df", "#36414c"),
    "full": Shade("#0b4f93", "#6fb4f5"),
    "soft": Shade("#8fb5d9", "#34597d"),
    "over": Shade("#a23b00", "#ff9d5c"),
    "link": Shade("#0b4f93", "#8cc4f8"),
    "focus": Shade("#b45309", "#fbbf24"),
}
"""The colours by what they are for."""


@cache
def asset(name: str) -> str:
    """Return a file of this package: a style sheet or the script."""
    return files(__package__).joinpath(name).read_text("utf-8")


def palette_style() -> str:
    """Return the colours as custom properties of the page; ``color-scheme`` chooses between the two."""
    shades = "".join(f"--{name}:light-dark({shade.light},{shade.dark});" for name, shade in PALETTE.items())
    return f":root{{{shades}}}\n"


@cache
def chart_style() -> str:
    """Return the style of a chart that stands alone, without custom properties: few programs for SVG know them."""
    rules = re.sub(r"/\*.*?\*/", "", asset("chart.css"), flags=re.DOTALL).strip().replace(".chart ", "")
    coloured = [line for line in rules.splitlines() if "var(" in line]
    light = re.sub(r"var\(--(\w+)\)", lambda found: PALETTE[found[1]].light, rules)
    dark = re.sub(r"var\(--(\w+)\)", lambda found: PALETTE[found[1]].dark, "\n".join(coloured))
    ground = f".paper {{ fill: {PALETTE['paper'].light}; }}"
    dark_ground = f".paper {{ fill: {PALETTE['paper'].dark}; }}"
    return f"\n{ground}\n{light}\n@media (prefers-color-scheme: dark) {{\n{dark_ground}\n{dark}\n}}\n"
