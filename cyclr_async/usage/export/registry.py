"""The formats of an export: one row each, and one module each that writes it.

A module of a format has ``write(rows, stream, **options) -> int``: it writes :class:`UsageRow` objects to a binary
stream, leaves that open, and returns how many there were. It is imported when the format is first used, so that what
it needs costs nobody else.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple, Protocol, TypeAlias

from cyclr_async.errors import InvalidArgumentError

if TYPE_CHECKING:
    from cyclr_async.usage.store.rows import UsageRow

    # Formats take different options, so their writers have no signature in common but the first two arguments.
    Writer: TypeAlias = Callable[..., int]

__all__ = ["EXPORTERS", "Exporter", "Records", "exporter_for", "format_of_suffix"]


class Records(Protocol):
    """Writes records one by one."""

    def write(self, values: Iterable[object]) -> None:
        """Write one record, its values in the order of the columns."""

    def end(self) -> None:
        """Complete what was written."""

    def discard(self) -> None:
        """Leave nothing behind, after an error."""


class Exporter(NamedTuple):
    """A format, as the registry knows it.

    Attributes:
        name: what users call it.
        suffixes: of its files, in lower case; the first is the usual one.
        module: in this package, where ``write`` is.
        options: the keywords that ``write`` takes, all of them bool and False unless given.
        needs_utf8_name: whether it can only be written to a file whose name is UTF-8.
        records: whether the module has a ``RecordWriter`` too, which takes records of any columns one by one.
    """

    name: str
    suffixes: tuple[str, ...]
    module: str
    options: tuple[str, ...] = ()
    needs_utf8_name: bool = False
    records: bool = False

    def write(self, rows: Iterable[UsageRow], stream: BinaryIO, options: Iterable[str] = ()) -> int:
        """Write rows to a binary stream and return how many there were.

        Args:
            rows: what :meth:`UsageReader.rows` yields.
            stream: where to; it is left open.
            options: the names of those that are on.
        """
        # When it is used, because the module of Parquet imports DuckDB, which not everybody has.
        write: Writer = importlib.import_module(f"{__package__}.{self.module}").write
        return write(rows, stream, **dict.fromkeys(options, True))

    def record_writer(self, stream: BinaryIO, columns: Sequence[str]) -> Records:
        """Return what writes records of any columns to a binary stream, which is left open.

        Args:
            stream: where to.
            columns: their names.

        Raises:
            ConfigurationError: an extra is not installed.
        """
        made: Records = importlib.import_module(f"{__package__}.{self.module}").RecordWriter(stream, columns)
        return made

    def refuse_options(self, given: Iterable[str]) -> None:
        """Refuse options of another format.

        Raises:
            InvalidArgumentError: one is not an option of this format.
        """
        foreign = [option for option in given if option not in self.options]
        if foreign:
            owner = next((e for e in EXPORTERS.values() if foreign[0] in e.options), None)
            if owner is None:
                raise InvalidArgumentError(f"no format has the option {foreign[0]!r}")
            *others, last = owner.options
            names = f"{', '.join(others)} and {last} are options" if others else f"{last} is an option"
            raise InvalidArgumentError(f"{names} of {owner.name.upper()}")


EXPORTERS: Final = {
    exporter.name: exporter
    for exporter in (
        Exporter("csv", (".csv",), "csv_format", ("raw", "excel", "text")),
        Exporter("jsonl", (".jsonl", ".ndjson"), "jsonl_format"),
        # DuckDB takes the name of the file as a text of SQL.
        Exporter("parquet", (".parquet",), "parquet_format", needs_utf8_name=True, records=True),
        Exporter("xlsx", (".xlsx",), "xlsx_format", records=True),
        Exporter("markdown", (".md",), "markdown_format", records=True),
    )
}
"""Every format by its name, in the order in which messages name them."""


def format_of_suffix(path: PurePath) -> str | None:
    """Return the name of the format that the suffix of a file stands for, None when it stands for none."""
    suffix = path.suffix.lower()
    return next((exporter.name for exporter in EXPORTERS.values() if suffix in exporter.suffixes), None)


def exporter_for(path: PurePath, asked: str | None) -> Exporter:
    """Return the format that was asked for, or else that of the file.

    Raises:
        InvalidArgumentError: there is no such format, or the suffix names none.
    """
    # What was asked for wins over the suffix, which may be what another program wants to see.
    found = EXPORTERS.get(format_of_suffix(path) or "") if asked is None else EXPORTERS.get(asked)
    if found is not None:
        return found
    if asked is not None:
        raise InvalidArgumentError(f"unknown format {asked!r}: {_listed(list(EXPORTERS))}")
    usual = _listed([exporter.suffixes[0] for exporter in EXPORTERS.values()])
    raise InvalidArgumentError(f"the suffix of {path.name!r} names no format: {usual}")


def _listed(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
