"""Text from elsewhere, made harmless for where it goes: the store, and the terminal."""

from __future__ import annotations

import json
import re
import unicodedata
from datetime import timedelta
from typing import Final

__all__ = ["duration", "escape_terminal", "json_term", "scrub"]

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
# Nearly every text is plain; one match spares it the look at each character.
_PLAIN: Final = re.compile(r"[ -~]*")
# Separators that break a line, and blanks and marks that draw nothing: each can hide or move what follows.
_HIDDEN: Final = frozenset("\u2028\u2029\u115f\u1160\u3164\uffa0\u034f\u17b4\u17b5")


def scrub(text: str) -> str:
    """Replace lone surrogates by U+FFFD: they have no UTF-8 form, so no file could hold them."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def escape_terminal(text: str) -> str:
    r"""Make a text safe to print: one line, no control sequences, no invisible or direction-changing characters.

    Every character of a Unicode category ``C*`` (controls, bidirectional and zero-width marks, surrogates, private
    and unassigned code points) and every line separator is shown as ``\xNN`` or ``\u{NNNN}``.

    Args:
        text: any text, such as the name of an account.

    Returns:
        the text with the dangerous characters written out.
    """
    if _PLAIN.fullmatch(text):
        return text
    return "".join(_shown(char) for char in text)


def json_term(text: str) -> str:
    r"""Make JSON safe to print, and leave its meaning as it is: what would be written out becomes ``\uNNNN``.

    Args:
        text: JSON in one line; in JSON such characters stand inside of texts only.
    """
    if _PLAIN.fullmatch(text):
        return text
    return "".join(char if _harmless(char) else json.dumps(char)[1:-1] if char > "\x7f" else "\\u007f" for char in text)


def _harmless(char: str) -> bool:
    return unicodedata.category(char)[0] != "C" and char not in _HIDDEN


def _shown(char: str) -> str:
    if _harmless(char):
        return char
    code = ord(char)
    # Written out and not left out: a name that hides something should look as if it did.
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{{{code:04x}}}"


def duration(value: timedelta | float) -> str:
    """Return a span of time in words, rounded down to the unit that a reader would choose: ``"31 days"``, ``"5 h"``.

    Args:
        value: a timedelta, or seconds; the sign is left out.
    """
    seconds = abs(value.total_seconds() if isinstance(value, timedelta) else value)
    for unit, size, least in (("days", 86_400, 2 * 86_400), ("h", 3600, 3600), ("min", 60, 60)):
        if seconds >= least:
            return f"{int(seconds // size):,} {unit}"
    return f"{int(seconds)} s"
