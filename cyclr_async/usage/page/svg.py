"""What all charts are made of: elements of SVG, an axis with round numbers, the frame with title and description."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from cyclr_async.usage.page.palette import chart_style
from cyclr_async.usage.page.words import escape

__all__ = ["Chart", "element", "hatching", "label", "number", "rect", "round_steps"]

_NUMBER: Final = 2
"""Decimals of a coordinate: a hundredth of a pixel is more than anybody sees."""


def number(value: float) -> str:
    """Return a coordinate without needless digits."""
    text = f"{value:.{_NUMBER}f}".rstrip("0").rstrip(".")
    return "0" if text in {"", "-0"} else text


def element(name: str, content: str = "", **attributes: float | str) -> str:
    """Return an element; ``class_`` and the like lose their underscore, others get a hyphen for it.

    Args:
        name: of the element.
        content: what is inside, already markup.
        attributes: texts are escaped, numbers written as coordinates.
    """
    pairs = "".join(
        f' {key.removesuffix("_").replace("_", "-")}="{escape(value) if isinstance(value, str) else number(value)}"'
        for key, value in attributes.items()
    )
    return f"<{name}{pairs}>{content}</{name}>" if content else f"<{name}{pairs}/>"


def rect(x: float, y: float, width: float, height: float, kind: str) -> str:
    """Return a bar; ``kind`` is its class, or the address of a pattern to fill it with."""
    paint = {"fill": kind} if kind.startswith("url(") else {"class_": kind}
    return element("rect", x=x, y=y, width=max(width, 0), height=max(height, 0), **paint)


def label(x: float, y: float, text: str, kind: str = "") -> str:
    """Return a line of text of any origin."""
    attributes = {"class_": kind} if kind else {}
    return element("text", escape(text), x=x, y=y, **attributes)


def hatching(name: str) -> str:
    """Return the pattern for what is provisional or less than before; ``name`` is its id, unique in the page."""
    ground = element("rect", width=7, height=7, class_="hatch-ground")
    # Three strokes: one across, and two that continue it in the corners, where the tiles meet.
    lines = element("path", d="M-2 2L2 -2M0 7L7 0M5 9L9 5", class_="hatch-line")
    pattern = element("pattern", ground + lines, id=name, width=7, height=7, patternUnits="userSpaceOnUse")
    return f"<defs>{pattern}</defs>"


def round_steps(highest: int, steps: int) -> list[int]:
    """Return the marks of an axis, from 0 to ``highest`` or a little above, at steps of 1, 2 or 5 times a power of ten.

    Args:
        highest: 0 or more; in whole numbers, which no size makes inexact.
        steps: how many marks there should be at most, besides 0.
    """
    size = 1
    while True:
        for factor in (1, 2, 5):
            step = size * factor
            if step * steps >= highest:
                return list(range(0, max(highest, 1) + step, step))[: -(-max(highest, 1) // step) + 1]
        size *= 10


@attrs.frozen
class Chart:
    """A chart, as a part of the page or as a file of its own, with its figures as a table.

    Attributes:
        name: of its file, without a suffix; unique in the page.
        title: what it shows.
        description: what is to be seen in it, for those who do not see it.
        width: in pixels, when it is not scaled.
        height: in pixels.
        body: the drawing, as SVG.
        columns: the headings of its table.
        rows: the figures, as texts.
    """

    name: str
    title: str
    description: str
    width: int
    height: int
    body: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def inline(self) -> str:
        """Return it as a part of the page, whose style sheet colours it."""
        return self._frame(self.width, self.height, self.body, "")

    def document(self) -> str:
        """Return it as a file of its own: XML, with its style inside and nothing from elsewhere."""
        # Room above for the title, which the page has as a heading, and around, which the page has as a margin.
        width, height = self.width + 32, self.height + 54
        style = f"<style>{chart_style()}</style>"
        paper = element("rect", width=width, height=height, class_="paper")
        heading = label(0, 18, self.title, "strong")
        moved = element("g", self.body, transform="translate(0 30)")
        drawing = element("g", heading + moved, transform="translate(16 12)")
        svg = self._frame(width, height, style + paper + drawing, f' width="{width}" height="{height}"')
        return f'<?xml version="1.0" encoding="UTF-8"?>\n{svg}\n'

    def _frame(self, width: int, height: int, body: str, size: str) -> str:
        title, description = f"{self.name}-title", f"{self.name}-desc"
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 {width} {height}"{size} '
            f'role="img" aria-labelledby="{title} {description}">'
            f'<title id="{title}">{escape(self.title)}</title>'
            f'<desc id="{description}">{escape(self.description)}</desc>{body}</svg>'
        )
