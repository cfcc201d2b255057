"""Plots as hand-written SVG: no chart library, readable on a light and on a dark page."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

__all__ = ["bars", "lines"]

_COLOURS: Final = (
    "#0b6e99",
    "#d1495b",
    "#3a7d44",
    "#8f5ea2",
    "#c98a1b",
    "#4a4a4a",
    "#1b998b",
    "#a44a3f",
    "#5c7cfa",
    "#7f7f7f",
    "#e377c2",
)
_FONT: Final = 'font-family="system-ui, sans-serif" font-size="12" fill="#222"'
_WIDTH: Final = 760


def bars(title: str, rows: Sequence[tuple[str, float]], *, unit: str, mark: float | None = None) -> str:
    """Horizontal bars on a logarithmic scale, shortest first; ``mark`` draws a line across, such as a base at 1.

    Args:
        title: above the plot.
        rows: label and value (more than 0) of each bar.
        unit: written behind each value.
        mark: the value of the line, or None.
    """
    rows = sorted(rows, key=lambda row: row[1])
    left, top, step = 300, 50, 26
    height = top + step * len(rows) + 20
    low = min([value for _, value in rows] + ([mark] if mark else [])) / 1.5
    high = max(value for _, value in rows) * 1.2
    room = _WIDTH - left - 90

    def x(value: float) -> float:
        return left + room * math.log(value / low) / math.log(high / low)

    parts = [_open(height, title)]
    for index, (label, value) in enumerate(rows):
        y = top + index * step
        own = "cyclr_async" in label
        parts.append(f'<text x="{left - 8}" y="{y + 13}" text-anchor="end" {_FONT}>{escape(label)}</text>')
        parts.append(
            f'<rect x="{left}" y="{y}" width="{x(value) - left:.1f}" height="18" fill="{_COLOURS[1 if own else 0]}"/>'
        )
        parts.append(f'<text x="{x(value) + 6:.1f}" y="{y + 13}" {_FONT}>{_short(value)}{escape(unit)}</text>')
    if mark:
        parts.append(
            f'<line x1="{x(mark):.1f}" x2="{x(mark):.1f}" y1="{top - 6}" y2="{height - 14}" '
            'stroke="#222" stroke-dasharray="4 3"/>'
        )
    return "\n".join([*parts, "</svg>", ""])


def lines(title: str, series: Mapping[str, Sequence[tuple[float, float]]], *, x_label: str, y_label: str) -> str:
    """Curves over two logarithmic axes.

    Args:
        title: above the plot.
        series: name and points (both coordinates more than 0) of each curve.
        x_label: below the horizontal axis.
        y_label: above the vertical axis.
    """
    points = [point for curve in series.values() for point in curve]
    left, top, right, bottom = 70, 60, _WIDTH - 230, 360
    x_low, x_high = min(x for x, _ in points), max(x for x, _ in points)
    y_low, y_high = min(y for _, y in points) / 1.2, max(y for _, y in points) * 1.2

    def x(value: float) -> float:
        return left + (right - left) * math.log(value / x_low) / (math.log(x_high / x_low) or 1)

    def y(value: float) -> float:
        return bottom - (bottom - top) * math.log(value / y_low) / (math.log(y_high / y_low) or 1)

    parts = [_open(bottom + 50, title)]
    for value in sorted({x for x, _ in points}):
        parts.append(f'<line x1="{x(value):.1f}" x2="{x(value):.1f}" y1="{top}" y2="{bottom}" stroke="#e3e3e3"/>')
        parts.append(f'<text x="{x(value):.1f}" y="{bottom + 16}" text-anchor="middle" {_FONT}>{_short(value)}</text>')
    for value in _ticks(y_low, y_high):
        parts.append(f'<line x1="{left}" x2="{right}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#e3e3e3"/>')
        parts.append(f'<text x="{left - 6}" y="{y(value) + 4:.1f}" text-anchor="end" {_FONT}>{_short(value)}</text>')
    parts.append(
        f'<text x="{(left + right) / 2}" y="{bottom + 38}" text-anchor="middle" {_FONT}>{escape(x_label)}</text>'
    )
    parts.append(f'<text x="{left - 50}" y="{top - 12}" {_FONT}>{escape(y_label)}</text>')
    for index, (name, curve) in enumerate(series.items()):
        colour = _COLOURS[index % len(_COLOURS)]
        path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in curve)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x(a):.1f}" cy="{y(b):.1f}" r="3" fill="{colour}"/>' for a, b in curve]
        parts.append(f'<rect x="{right + 20}" y="{top + index * 22}" width="14" height="4" fill="{colour}"/>')
        parts.append(f'<text x="{right + 40}" y="{top + index * 22 + 7}" {_FONT}>{escape(name)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _open(height: float, title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="{escape(title)}">\n<rect width="100%" height="100%" fill="#fff"/>\n'
        f'<text x="16" y="26" font-family="system-ui, sans-serif" font-size="16" fill="#111">{escape(title)}</text>'
    )


def _ticks(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [step * 10.0**power for power in powers for step in (1, 2, 5) if low <= step * 10.0**power <= high]


def _short(value: float) -> str:
    if value >= 1e6:
        return f"{value / 1e6:g} M"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
