"""Lists of the v1.0 API, which come in pages."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import Final, Generic, TypeVar

import attrs

from cyclr_async.errors import DesynchronizedError

__all__ = ["PAGE_SIZE", "Page", "page_query", "pages", "total_pages"]

T = TypeVar("T")

PAGE_SIZE: Final = 100
"""Elements asked for at a time: the largest size that was seen to be honoured everywhere."""
_TOTAL: Final = "Total-Pages"
_LONGEST: Final = 9
"""Digits of a number of pages that is believed; more is not a count."""


@attrs.frozen
class Page(Generic[T]):
    """One page of a list.

    Attributes:
        items: its elements, in the server's order.
        total: how many pages there are, or None when the server does not say.
    """

    items: Sequence[T]
    total: int | None


def page_query(number: int) -> str:
    """Return the query that asks for a page, counted from 1."""
    return f"page={number}&pageSize={PAGE_SIZE}"


def total_pages(headers: Mapping[str, str]) -> int | None:
    """Return how many pages a list has, or None when its answer does not say, or says no number."""
    text = headers.get(_TOTAL, "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _LONGEST else None


async def pages(
    fetch: Callable[[int], Awaitable[Page[T]]],
    id_of: Callable[[T], object] | None,
    *,
    operation: str,
    recheck: bool = False,
) -> AsyncGenerator[list[T], None]:
    """Yield the pages of a list, each with those elements that no earlier page had.

    The list ends with the page that ``Total-Pages`` names, or with the first empty page. It does not end with a page
    that is short: a server that caps the page size would then look as if it had no more. Rows move between pages when
    something is added or removed meanwhile, and there is no cursor, so an id that comes again is left out.

    Args:
        fetch: gets the page with this number, counted from 1.
        id_of: the id of an element; None for elements without ids, of which equal ones on one page are two, and on
            different pages the same that has moved.
        operation: the operation, for the message of an error.
        recheck: read the pages again, backwards, for what the first reading has missed. A row that is deleted moves all
            behind it forward, and one of them from a page that is still to be read to one that was read; neither the
            number of pages nor an id that repeats tells of it. On the way back such rows come twice instead. What is
            added moves rows the other way, which the first reading does not miss.

    Raises:
        DesynchronizedError: without ``Total-Pages``, a page is the one before it, or two hold only what earlier pages
            held: the server takes no notice of page numbers, and the list would never end.
    """
    seen: set[object] = set()
    before: list[object] = []
    number = known = 0
    while True:
        number += 1
        page = await fetch(number)
        if not page.items:
            break
        fresh = _fresh(page, id_of, seen)
        ids = [item if id_of is None else id_of(item) for item in page.items]
        known = 0 if fresh else known + 1
        if fresh:
            yield fresh
        elif page.total is None and (ids == before or known > 1):
            # One page of known rows may follow when something is added before them; the same page again, or a second
            # one, is the list from its beginning.
            raise DesynchronizedError(
                f"{operation}: page {number} repeats earlier ones, so the list has no end", sent="yes", status=200
            )
        before = ids
        if page.total is not None and number >= page.total:
            break
    if not recheck:
        return
    # Not the last page itself: behind it there was nothing that could have moved to it.
    for earlier in range(number - 1, 0, -1):
        if fresh := _fresh(await fetch(earlier), id_of, seen):
            yield fresh


def _fresh(page: Page[T], id_of: Callable[[T], object] | None, seen: set[object]) -> list[T]:
    """Return the elements of a page that were not seen, and note that they are."""
    if id_of is None:
        fresh = [item for item in page.items if item not in seen]
        seen.update(fresh)
        return fresh
    fresh = []
    for item in page.items:
        key = id_of(item)
        if key not in seen:
            seen.add(key)
            fresh.append(item)
    return fresh
