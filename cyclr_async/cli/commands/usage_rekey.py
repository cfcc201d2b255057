"""A new name for the partner of a store."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import click

from cyclr_async.auth.providers import partner_name
from cyclr_async.cli.connect import connected
from cyclr_async.cli.exit_codes import Exit
from cyclr_async.cli.options import Options
from cyclr_async.cli.output import Output
from cyclr_async.cli.signals import run_async
from cyclr_async.cli.terminal import echo
from cyclr_async.usage import UsageReader
from cyclr_async.usage.store.store import rekey_store
from cyclr_async.wire.text import escape_terminal

__all__ = ["rekey"]

_COLUMNS: Final = ("store", "old", "new", "runs", "changed")


def rekey(options: Options, store: Path, *, yes: bool) -> Exit:
    """Show the old and the new name, ask, and write the new one.

    Args:
        options: the shared options; without ``partner`` the name is the one that the credentials show.
        store: the file.
        yes: do not ask.

    Returns:
        the exit code.

    Raises:
        StoreError: there is no store, or it is in use.
        CyclrError: the credentials do not show a name.
    """
    new = None if options.partner is None else partner_name(options.partner, name="--partner")
    with UsageReader(store) as reader:
        runs = reader.runs()
    if new is None:
        new = run_async(_shown_by_credentials(options))
    old = tuple(dict.fromkeys(run.scope.partner for run in runs))
    record = {"store": str(store), "old": ", ".join(old) or None, "new": new, "runs": len(runs), "changed": False}
    if set(old) != {new}:
        if not yes and not _confirmed(store, old, new):
            echo(options, "nothing was changed")
            return Exit.FAILED
        record["changed"] = rekey_store(store, new) > 0
    with Output(options, _COLUMNS, many=False) as output:
        output.write(record)
    if not record["changed"]:
        echo(options, "the store has this name already: nothing was changed")
    return Exit.DONE


async def _shown_by_credentials(options: Options) -> str:
    async with connected(options) as session:
        return (await session.identify(timeout=options.timeout)).name


def _confirmed(store: Path, old: tuple[str, ...], new: str) -> bool:
    names = ", ".join(repr(name) for name in old) or "no partner"
    question = escape_terminal(f"{store} belongs to {names}. Let it belong to {new!r}?")
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} Nobody is here to ask: add --yes")
    return click.confirm(question, err=True)
