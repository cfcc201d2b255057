"""CSV, as a spreadsheet may read it: no text becomes a formula, and on request none becomes a number or a date."""

from __future__ import annotations

import csv
import io
import itertools
import re
import unicodedata
from collections.abc import Iterable
from typing import IO, BinaryIO, Final

from cyclr_async.errors import InvalidArgumentError
from cyclr_async.usage.store.rows import COLUMNS, UsageRow

__all__ = ["formula_safe", "text_safe", "write", "write_csv"]

_FORMULA_START: Final = frozenset("=+-@|%\t\r\0")
# After each of these a cell may begin: the list separators of the world's spreadsheets, and every end of a line.
_SEPARATORS: Final = frozenset(",;\t|\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029")
# Most texts: a letter or a digit first, and nothing after which a cell could begin.
_HARMLESS: Final = re.compile(f"(?:[A-Za-z0-9][^{''.join(sorted(_SEPARATORS))}]*)?")
_PARTNER_TEXTS: Final = frozenset({"account_id", "account_name", "audit_info"})


def write(
    rows: Iterable[UsageRow], stream: BinaryIO, *, raw: bool = False, excel: bool = False, text: bool = False
) -> int:
    """Write rows to a file; what the registry calls. See :func:`write_csv`."""
    lines = io.TextIOWrapper(stream, encoding="utf-8", newline="")
    written = write_csv(rows, lines, raw=raw, excel=excel, text=text)
    lines.flush()
    lines.detach()  # the stream is closed by whoever opened it
    return written


def formula_safe(text: str) -> str:
    """Put ``'`` before whatever a spreadsheet could take for a formula in a text.

    That is the text itself, and what follows a comma, a semicolon, a tab, a bar or the end of a line in it: a
    spreadsheet whose list separator is another than the file's begins a cell there. Looked at is the first character
    that shows, after NFKC folding, so that neither blanks, nor quotation marks, nor byte order marks, nor zero-width
    characters, nor full-width signs can carry a formula past the check.
    """
    if _HARMLESS.fullmatch(text):
        return text
    starts = [0, *(index + 1 for index, char in enumerate(text) if char in _SEPARATORS), len(text)]
    pieces = itertools.pairwise(starts)
    return "".join(f"'{text[a:b]}" if _starts_formula(text, a) else text[a:b] for a, b in pieces)


def _starts_formula(text: str, start: int) -> bool:
    for char in itertools.islice(text, start, None):
        if any(folded in _FORMULA_START for folded in unicodedata.normalize("NFKC", char)):
            return True
        if not _is_blank(char):
            return False
    return False


def _is_blank(char: str) -> bool:
    # A quotation mark counts: where it encloses the cell, it is not part of it.
    return (
        char == '"' or char.isspace() or unicodedata.category(char) in {"Cc", "Cf", "Cn", "Mn", "Me", "Zs", "Zl", "Zp"}
    )


def text_safe(text: str) -> str:
    """Put ``'`` before a text that holds a digit: whatever the language, no spreadsheet makes a number or a date of it.

    Excel and LibreOffice read ``0123`` as 123, ``12e42`` as 1.2E+43 and ``1-2`` as a day, quoted or not. Both show the
    ``'``: there is no sign in a CSV file that says "text" and is not seen.
    """
    return f"'{text}" if any(char.isnumeric() for char in unicodedata.normalize("NFKC", text)) else text


def write_csv(
    rows: Iterable[UsageRow], stream: IO[str], *, raw: bool = False, excel: bool = False, text: bool = False
) -> int:
    r"""Write rows as CSV: a header, minimal quoting, lines ended by CR LF.

    Args:
        rows: what :meth:`UsageReader.rows` yields.
        stream: a text stream opened with ``newline=""``; UTF-8.
        raw: leave texts as they are. For machines only: a spreadsheet runs what an account name tells it to.
        excel: begin with a byte order mark, by which Excel knows UTF-8.
        text: put ``'`` before every account id, account name and audit info that holds a digit, so that a spreadsheet
            makes neither a number nor a date of ``0123``, ``12e42`` or ``1-2``.

    Returns:
        how many rows were written, the header not counted.

    Raises:
        InvalidArgumentError: both ``raw`` and ``text``.
    """
    if raw and text:
        raise InvalidArgumentError("raw leaves texts as they are, and text does not: choose one")
    if excel:
        stream.write("\ufeff")
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    written = 0
    for row in rows:
        writer.writerow([_cell(name, getattr(row, name), raw=raw, text=text) for name in COLUMNS])
        written += 1
    return written


def _cell(name: str, value: object, *, raw: bool, text: bool) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str) or raw:
        return value
    safe = formula_safe(value)
    return text_safe(safe) if text and name in _PARTNER_TEXTS and safe[:1] != "'" else safe
