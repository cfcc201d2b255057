"""Exports, derived from a store, whole or not at all, with the same bytes for the same store every time."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import attrs

from cyclr_async.errors import InvalidArgumentError, StoreError
from cyclr_async.usage.export.atomic_file import replacing
from cyclr_async.usage.export.registry import exporter_for
from cyclr_async.usage.store.paths import shown
from cyclr_async.usage.store.reader import UsageReader
from cyclr_async.wire.text import scrub

__all__ = ["ExportResult", "export_usage"]


@attrs.frozen
class ExportResult:
    """What :func:`export_usage` wrote.

    Attributes:
        path: the file.
        format: ``"csv"``, ``"jsonl"`` or ``"parquet"``.
        rows: how many rows it holds.
    """

    path: Path
    format: str
    rows: int


def export_usage(
    source: UsageReader | str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    format: str | None = None,  # the word that users know  # noqa: A002
    run_id: int | None = None,
    all_observations: bool = False,
    raw: bool = False,
    excel: bool = False,
    text: bool = False,
) -> ExportResult:
    """Write a store's usage to a file, whole or not at all.

    The rows go to a temporary file beside the target, which replaces it only when it is complete and on the disk: a
    failure or a kill leaves the old file as it was. A new file gets mode 0600, an existing one keeps its mode and, as
    far as the system allows, its owner; a symbolic link stays and what it leads to is replaced; other names of the same
    file (hard links) keep the old content. Devices, FIFOs and open descriptors (``/dev/stdout``) are written to as they
    are.

    Args:
        source: the store, or a reader of it.
        target: the file to write.
        format: ``"csv"``, ``"jsonl"`` or ``"parquet"``, or None to take it from the suffix of ``target``.
        run_id: the run, or None for the newest (for every run with ``all_observations``).
        all_observations: one row per observation instead of one per account.
        raw: CSV only: do not guard against formulas.
        excel: CSV only: begin with a byte order mark.
        text: CSV only: put ``'`` before partner texts that a spreadsheet could turn into numbers or dates; see
            :func:`write_csv`.

    Returns:
        what was written.

    Raises:
        InvalidArgumentError: the format is unknown, or an option does not fit it.
        ConfigurationError: Parquet was asked for and the extra is not installed.
        StoreError: the store cannot be read, or the file cannot be written; the old file is untouched.
    """
    path = Path(target).absolute()  # not resolved: a link stays a link
    exporter = exporter_for(path, format)
    options = [name for name, given in (("raw", raw), ("excel", excel), ("text", text)) if given]
    exporter.refuse_options(options)
    if exporter.needs_utf8_name and scrub(str(path)) != str(path):
        raise InvalidArgumentError(f"{shown(path)} is not UTF-8, and {exporter.name} files have no other names")
    if path.is_dir():
        raise InvalidArgumentError(f"{path} is a folder: name a file in it")
    with contextlib.ExitStack() as stack:
        reader = source if isinstance(source, UsageReader) else stack.enter_context(UsageReader(source))
        rows = reader.rows(run_id, all_observations=all_observations)
        try:
            with replacing(path) as stream:
                written = exporter.write(rows, stream, options)
        except OSError as error:
            reason = error.strerror or type(error).__name__
        else:
            return ExportResult(path, exporter.name, written)
    # Raised out here: what the system says of a temporary file would only confuse as the cause.
    raise StoreError(f"cannot write {path}: {reason}; what was there before is untouched")
