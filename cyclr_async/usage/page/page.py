"""Makes the page: one file of HTML that runs nothing but its own script, and the charts as files of their own."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs

from cyclr_async.errors import InvalidArgumentError, StoreError
from cyclr_async.usage.export.atomic_file import replacing
from cyclr_async.usage.page.account_table import data_block
from cyclr_async.usage.page.data import PageReport
from cyclr_async.usage.page.palette import asset, palette_style
from cyclr_async.usage.page.sections import Sections
from cyclr_async.usage.page.svg import Chart
from cyclr_async.usage.page.tally import Tally
from cyclr_async.usage.page.words import escape

__all__ = ["LISTED_ACCOUNTS", "PageResult", "ReportPage"]

LISTED_ACCOUNTS: Final = 100_000
"""Accounts that a page lists unless told otherwise: it then weighs less than what mail servers take, and opens within
two seconds. Totals and charts are about all accounts, however many there are."""


@attrs.frozen
class PageResult:
    """A page that was written.

    Attributes:
        path: of the file.
        accounts: how many accounts its totals and charts are about.
        listed: how many of them it lists.
        size: of the file, in bytes.
    """

    path: Path
    accounts: int
    listed: int
    size: int


class ReportPage:
    """A report, read and added up, to be written as a page and as charts.

    Args:
        report: its accounts are read here, once, in an amount of memory that depends on ``accounts`` only.
        accounts: how many accounts the page lists at most, 1 to 1,000,000: those with most tasks. 100,000 accounts
            weigh about 6 MB.

    Raises:
        InvalidArgumentError: ``accounts`` is out of range.
    """

    def __init__(self, report: PageReport, *, accounts: int = LISTED_ACCOUNTS) -> None:
        if not 1 <= accounts <= 1_000_000:
            raise InvalidArgumentError(f"a page lists 1 to 1,000,000 accounts; got {accounts!r}")
        self._report = report
        self._tally = Tally.of(report, accounts)
        months = report.months
        self._months = tuple(months() if callable(months) else months)

    def charts(self) -> list[Chart]:
        """Return the charts that there are figures for: of one month without allowances there is no trend, for example.

        Returns:
            those of ``trend``, ``distribution``, ``top``, ``changes``, ``allowance`` and ``plans`` that there are.
        """
        return self._sections.charts()

    def write(self, target: str | os.PathLike[str]) -> PageResult:
        """Write the page, whole or not at all: what was there before stays when it fails.

        The page needs nothing else, and asks for nothing: its content security policy forbids every request, and every
        script but its own. Names of accounts are shown and cannot act.

        Args:
            target: the file, such as ``"report.html"``.

        Returns:
            what was written.

        Raises:
            InvalidArgumentError: ``target`` is a folder.
            StoreError: the file cannot be written.
        """
        path = Path(target).absolute()
        size = _write(path, self.parts())
        return PageResult(path, self._tally.seen, self._tally.listed, size)

    def write_charts(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write every chart as an SVG file of its own, named after it: ``trend.svg`` and so on.

        The files are coloured for light and for dark ground, and need nothing from elsewhere.

        Args:
            folder: made when it is not there.

        Returns:
            the files.

        Raises:
            StoreError: a file cannot be written.
        """
        place = Path(folder).absolute()
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot make the folder {place}: {error.strerror or type(error).__name__}") from error
        paths = []
        for chart in self.charts():
            path = place / f"{chart.name}.svg"
            _write(path, iter([chart.document().encode()]))
            paths.append(path)
        return paths

    def parts(self) -> Iterator[bytes]:
        """Yield the page in pieces, as UTF-8, for a response or a file object."""
        style = palette_style() + asset("page.css") + asset("chart.css")
        script = asset("page.js")
        title = escape(f"Usage, {self._report.period} · {self._report.partner}")
        # The policy stands before everything that it is about.
        yield (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{_policy(style, script)}">\n'
            '<meta name="referrer" content="no-referrer">\n'
            # A report of a partner is nothing to be found, should anybody put it on a server.
            '<meta name="robots" content="noindex">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{title}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        ).encode()
        yield self._sections.html().encode()
        yield from data_block(self._report, self._months, self._tally)
        yield f"<script>{script}</script>\n</body>\n</html>\n".encode()

    @property
    def _sections(self) -> Sections:
        return Sections(self._report, self._months, self._tally)


def _policy(style: str, script: str) -> str:
    def source(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    # Nothing is loaded, nothing is sent, no other script or style is applied; and the script of the page itself cannot
    # turn a text into markup, since no policy for trusted types is allowed.
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {source(script)}",
            f"style-src {source(style)}",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def _write(path: Path, parts: Iterator[bytes]) -> int:
    if path.is_dir():
        raise InvalidArgumentError(f"{path} is a folder: name a file in it")
    size = 0
    try:
        with replacing(path) as stream:
            for part in parts:
                stream.write(part)
                size += len(part)
    except OSError as error:
        reason = error.strerror or type(error).__name__
    else:
        return size
    # Raised out here: what the system says of a temporary file would only confuse as the cause.
    raise StoreError(f"cannot write {path}: {reason}; what was there before is untouched")
