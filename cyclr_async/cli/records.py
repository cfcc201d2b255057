"""What most commands do: one call, whose answer becomes records."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs

import cyclr_async
from cyclr_async.cli.connect import connected
from cyclr_async.cli.dry_run import run_dry
from cyclr_async.cli.options import Options
from cyclr_async.cli.output import Output
from cyclr_async.cli.signals import run_async

if TYPE_CHECKING:
    from datetime import datetime

    from cyclr_async.secret import SecretUrl

__all__ = ["LINK_COLUMNS", "Session", "link_record", "record_of", "write_list", "write_one"]

Session: TypeAlias = "cyclr_async.AsyncPartnerSession"

LINK_COLUMNS: Final = ("account_id", "username", "expires_at", "url")
_LEFT_OUT: Final = frozenset({"extra", "icon"})
"""Fields that the API does not document have no stable names; an icon is most of an answer, and nothing to read."""


def record_of(model: object, **more: object) -> dict[str, Any]:
    """Return a model as a record, models within it too, and what else belongs to it."""
    return {**_plain(model), **more}


def link_record(account_id: str, username: str, expires_at: datetime, url: SecretUrl) -> dict[str, Any]:
    """Return a sign-in link as a record. It is a secret, and the result that was asked for."""
    return dict(zip(LINK_COLUMNS, (account_id, username, expires_at, url.reveal()), strict=True))


def _plain(value: Any) -> Any:
    if attrs.has(type(value)):
        fields = (field.name for field in attrs.fields(type(value)))
        return {name: _plain(getattr(value, name)) for name in fields if name not in _LEFT_OUT}
    # Tuples in models are arrays in the answer; whatever else is there, output knows how to write.
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def write_list(
    options: Options,
    find: Callable[[Session], AsyncGenerator[Any, None]],
    columns: Sequence[str],
    *,
    table: Sequence[str] | None = None,
    limit: int | None = None,
    made: Callable[[Any], Mapping[str, Any]] = record_of,
) -> None:
    """Write what a list yields, as it arrives.

    Args:
        options: the shared options.
        find: begins the list.
        columns: the fields.
        table: those of a table, when it shows fewer.
        limit: no more than so many.
        made: makes a record of an element.
    """

    async def run() -> None:
        left = limit
        with Output(options, columns, table=table) as output:
            # Closed here: an iterator that --limit leaves behind would keep its connection until it is collected.
            async with connected(options) as session, aclosing(find(session)) as found:
                async for one in found:
                    output.write(made(one))
                    left = None if left is None else left - 1
                    if left == 0:
                        break

    run_async(run())


def write_one(
    options: Options,
    call: Callable[[Session, float | None], Awaitable[Any]],
    columns: Sequence[str],
    *,
    table: Sequence[str] | None = None,
    made: Callable[[Any], Mapping[str, Any]] = record_of,
    dry_run: bool = False,
    shown: Callable[[Session, float | None], Awaitable[Any]] | None = None,
) -> None:
    """Make one call and write one record, or show the request instead.

    Args:
        options: the shared options.
        call: the call, with its time in seconds.
        columns: the fields.
        table: those of a table, when it shows fewer.
        made: makes the record of what the call returns.
        dry_run: show the request and send nothing.
        shown: the call whose request is shown, where the first one of ``call`` only looks.
    """

    async def run() -> None:
        if dry_run:
            # No time: nothing is waited for, and a time that is no good is found out all the same.
            await run_dry(options, lambda session: (shown or call)(session, None))
            return
        with Output(options, columns, many=False, table=table) as output:
            async with connected(options) as session:
                output.write(made(await call(session, options.timeout)))

    run_async(run())
