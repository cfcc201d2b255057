"""Numbers and foreign texts as the page and its charts write them.

The script of the page writes numbers too, after sorting and filtering. Both sides round in the same way, and a test
compares what they write.
"""

from __future__ import annotations

import html
import unicodedata
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

__all__ = [
    "NOTHING",
    "change",
    "count",
    "escape",
    "moment",
    "money",
    "percent",
    "short_count",
    "shorten",
    "signed",
    "text_width",
    "visible",
]

NOTHING: Final = "\u2013"
"""What stands where there is no number: a dash."""
_JOINERS: Final = frozenset("\u200c\u200d")
"""Marks that draw nothing and still belong to names: emoji are joined by them, and Persian and Indic words shaped."""
_SCALES: Final = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k"))


def visible(text: str) -> str:
    """Write out what a browser would obey or hide: controls, marks of direction, line separators, lone surrogates.

    An account may be named so that its row reads backwards, or like another one. Nothing of that can work when such
    characters are seen. Texts that really run from right to left need none of them.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(char) for char in text)


def _shown(char: str) -> str:
    # Zl and Zp are the two separators that break a line wherever they stand.
    hidden = unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and char not in _JOINERS
    # The last two are no characters: XML, and so an SVG file, must not hold them.
    return f"[U+{ord(char):04X}]" if hidden or char in "\ufffe\uffff" else char


def escape(text: str) -> str:
    """Make a text of any origin a part of HTML or XML, between tags or in a quoted attribute."""
    return html.escape(visible(text))


def _width(char: str) -> int:
    """Return how wide a character is, in hundredths of its size, in the widest of the usual fonts (DejaVu Sans)."""
    if unicodedata.combining(char) or char in _JOINERS:
        return 0
    if char in "ijl.,:;|!'` ()[]":
        return 40
    if char in "mwMW@%" or unicodedata.east_asian_width(char) in "WF":
        return 100
    return 78 if char.isupper() else 65


def text_width(text: str, size: int) -> int:
    """Return how many pixels a text takes at most.

    Args:
        text: already :func:`visible`.
        size: of the font, in pixels.
    """
    return -(-sum(map(_width, text)) * size // 100)


def shorten(text: str, room: int, size: int) -> str:
    """Cut a text so that it fits, by the widths of its characters; a cut one ends in an ellipsis.

    Args:
        text: already :func:`visible`.
        room: in pixels; room for the ellipsis at least.
        size: of the font, in pixels.
    """
    if text_width(text, size) <= room:
        return text
    left = room * 100 - 100 * size  # an ellipsis is as wide as the font is high
    fits = 0
    for char in text:
        left -= _width(char) * size
        if left < 0:
            break
        fits += 1
    return text[:fits].rstrip() + "\u2026"


def count(value: int) -> str:
    """Return a whole number with separators: ``1,234,567``."""
    return f"{value:,}"


def counted(value: int, thing: str) -> str:
    """Return how many there are of something whose plural is regular: ``1 account``, ``2,000 accounts``."""
    return f"{count(value)} {thing}{'' if value == 1 else 's'}"


def signed(value: int) -> str:
    """Return a difference with its sign: ``+1,234``, ``-5``, ``0``."""
    return f"{value:+,}" if value else "0"


def percent(part: int, whole: int) -> str:
    """Return a share in percent, to a tenth, halves away from zero; a dash of nothing.

    In whole numbers, so that the script of the page gets the same digits.
    """
    if whole <= 0:
        return NOTHING
    tenths = (2000 * abs(part) + whole) // (2 * whole)
    return f"{'-' if part < 0 and tenths else ''}{tenths // 10:,}.{tenths % 10}%"


def change(now: int, before: int) -> str:
    """Return how much more or less it is than before, in percent and with a sign; a dash where there was nothing."""
    text = percent(now - before, before)
    return f"+{text}" if now > before > 0 else text


def money(amount: Decimal, currency: str | None) -> str:
    """Return an amount with separators and as many decimals as it has: ``EUR 1,234.50``."""
    return f"{currency} {amount:,f}" if currency else f"{amount:,f}"


def short_count(value: int) -> str:
    """Return a number for the axis or the top of a bar, where little room is: ``950``, ``1.2k``, ``12M``."""
    for scale, unit in _SCALES:
        # From 999,500 on it rounds to a thousand of the smaller unit.
        if value >= scale or value * 2 >= scale * 2 - scale // 1000:
            tenths = (value * 20 + scale) // (2 * scale)
            whole, rest = divmod(tenths, 10)
            return f"{whole}.{rest}{unit}" if whole < 100 and rest else f"{(value * 2 + scale) // (2 * scale)}{unit}"
    return str(value)


def moment(value: datetime) -> str:
    """Return a time to the minute, in UTC: ``2026-11-01 06:30 UTC``."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
