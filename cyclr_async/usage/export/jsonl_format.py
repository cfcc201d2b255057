"""JSON Lines: one object per line, with the names of the columns."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from typing import IO, BinaryIO

from cyclr_async.usage.store.rows import COLUMNS, UsageRow

__all__ = ["write", "write_jsonl"]


def write(rows: Iterable[UsageRow], stream: BinaryIO) -> int:
    """Write rows to a file; what the registry calls. See :func:`write_jsonl`."""
    lines = io.TextIOWrapper(stream, encoding="utf-8", newline="\n")
    written = write_jsonl(rows, lines)
    lines.flush()
    lines.detach()  # the stream is closed by whoever opened it
    return written


def write_jsonl(rows: Iterable[UsageRow], stream: IO[str]) -> int:
    r"""Write rows as JSON Lines: one object per line, its members in the order of :data:`COLUMNS`; UTF-8, LF.

    Args:
        rows: what :meth:`UsageReader.rows` yields.
        stream: a text stream opened with ``newline="\n"``.

    Returns:
        how many rows were written.
    """
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    written = 0
    for row in rows:
        stream.write(encode({name: getattr(row, name) for name in COLUMNS}) + "\n")
        written += 1
    return written
