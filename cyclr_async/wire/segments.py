"""One segment of a URL path, made from an id that must not be able to change the path."""

import re
import unicodedata
from typing import Final
from urllib.parse import quote

from cyclr_async.errors import InvalidArgumentError

__all__ = ["bare_id", "free_segment", "segment"]

# Far beyond any id or connector name that the API is known to give out, far below what servers accept in a path.
_LIMIT: Final = 128
# Enough to find the value again; a secret that was passed by mistake does not end up in a log as a whole.
_EXCERPT: Final = 16
# What needs no encoding and no thought, which is nearly every id, in one match. Bound at once: it is called per
# request.
_PLAIN: Final = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._~-]{1,128}").fullmatch
_SLASHES: Final = re.compile(r"[/\\]")
_FORBIDDEN: Final = re.compile(r"[\x00-\x20\x7f/\\?#%]")
# As one GUID can be written: with hyphens or without, in braces or not.
_GUID: Final = re.compile(r"\{?[0-9a-f]{8}(-?)[0-9a-f]{4}(?:\1[0-9a-f]{4}){2}\1[0-9a-f]{12}\}?")


def segment(value: str, *, name: str = "account_id", blanks: bool = False) -> str:
    r"""Return an id as one percent-encoded path segment.

    Percent-encoding alone is not enough: ``..`` cannot be encoded, and a proxy may decode ``%2F``. What could be read
    as part of the path is therefore refused, before anything is sent.

    Args:
        value: 1 to 128 characters; no white space, no control or unassigned characters, none of ``/ \ ? # %``, not
            ``.`` or ``..``, in Unicode normal form C.
        name: what the value is called in the error message.
        blanks: accept blanks between other characters, as the names of connectors have them.

    Returns:
        The encoded segment, ASCII only.

    Raises:
        InvalidArgumentError: the value cannot be a path segment.
    """
    # The exact type, because a subclass may have methods of its own: the slow way takes the plain text out of it.
    if type(value) is str and _PLAIN(value):
        return value
    # Judged with another character in place of each blank, so that the length and the ends count as they are.
    inner = blanks and isinstance(value, str) and value == value.strip(" ")
    problem = _problem(value.replace(" ", "_") if inner else value)
    if problem:
        raise InvalidArgumentError(
            f"{name} cannot be used in a URL: it {problem}{_excerpt(value)}; pass the id as the API returned it"
        )
    return quote(str.__str__(value), safe="")


def free_segment(value: str, *, name: str = "account_id") -> str:
    """Return an id that may be any text as one percent-encoded path segment.

    Where the other side allows every text as an id, refusing a slash would shut accounts out. What is refused is what
    would lead elsewhere if something on the way decoded it: a dot segment between slashes.

    Args:
        value: 1 to 128 characters; no control or unassigned characters, no white space around it, no part ``.`` or
            ``..`` between slashes or backslashes, in whatever form a server may read these.
        name: what the value is called in the error message.

    Returns:
        The encoded segment, ASCII only.

    Raises:
        InvalidArgumentError: the value cannot be a path segment.
    """
    if type(value) is str and _PLAIN(value):
        return value
    problem = _free_problem(value)
    if problem:
        raise InvalidArgumentError(
            f"{name} cannot be used in a URL: it {problem}{_excerpt(value)}; pass the id as the API returned it"
        )
    return quote(str.__str__(value), safe="")


def _free_problem(value: object) -> str:
    if not isinstance(value, str) or not value or len(value) > _LIMIT:
        return _problem(value)
    if value != value.strip():
        return "has white space around it"
    if any(unicodedata.category(char).startswith(("C", "Zl", "Zp")) for char in value):
        return "holds a control, format, surrogate or unassigned character"
    parts = _SLASHES.split(unicodedata.normalize("NFKC", value))
    return "holds a dot segment, which names another path" if {".", ".."} & set(parts) else ""


def _problem(value: object) -> str:
    if not isinstance(value, str):
        return f"is {type(value).__name__}, not str"
    if not value:
        return "is empty"
    if len(value) > _LIMIT:
        return f"has {len(value)} characters, more than {_LIMIT}"
    if value in {".", ".."}:
        return "is a dot segment, which names another path"
    if _FORBIDDEN.search(value) or any(char.isspace() for char in value):
        return "holds white space, a control character or one of / \\ ? # %"
    return "" if value.isascii() else _problem_beyond_ascii(value)


def _problem_beyond_ascii(value: str) -> str:
    if any(unicodedata.category(char).startswith("C") for char in value):
        return "holds a control, format, surrogate or unassigned character"
    # A server that normalises would look up another id than the one that was checked.
    if not unicodedata.is_normalized("NFC", value):
        return "is not in Unicode normal form C"
    # Servers that fold compatibility characters would read a full-width solidus as a slash.
    folded = unicodedata.normalize("NFKC", value)
    if folded in {".", ".."} or _FORBIDDEN.search(folded):
        return "holds a character that some servers read as one of / \\ ? # % or as dots"
    return ""


def _excerpt(value: object) -> str:
    if not isinstance(value, str) or not value:
        return ""
    # In ASCII, because what is wrong with it may be a character that cannot be seen.
    shown = ascii(str.__str__(value[:_EXCERPT]))
    return f" ({shown}…)" if len(value) > _EXCERPT else f" ({shown})"


def bare_id(account_id: str) -> str:
    """Return an id as the service compares it: without case, and a GUID without its hyphens and braces."""
    plain = account_id.lower()
    return plain.strip("{}").replace("-", "") if _GUID.fullmatch(plain) else plain
