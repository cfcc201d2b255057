"""``cyclr usage rekey``: a new name for the partner of a store."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from cyclr_async.auth.providers import partner_name
from cyclr_async.cli.collecting import DEFAULT_STORE
from cyclr_async.cli.confirm import confirmed
from cyclr_async.cli.connect import connected
from cyclr_async.cli.exit_codes import Exit
from cyclr_async.cli.options import Command, Options, current
from cyclr_async.cli.output import Output
from cyclr_async.cli.param_types import STORE
from cyclr_async.cli.signals import run_async
from cyclr_async.cli.terminal import echo
from cyclr_async.usage import UsageReader
from cyclr_async.usage.store.store import rekey_store

__all__ = ["rekey"]

_COLUMNS: Final = ("store", "old", "new", "runs", "changed")


@click.command(
    cls=Command,
    examples=(
        "cyclr usage rekey --store usage.sqlite --partner partner.example.com",
        "cyclr usage rekey --store usage.sqlite --from-credentials --yes",
    ),
)
@click.option("--store", type=STORE, metavar="FILE", help="The store. [./cyclr-usage.sqlite]")
@click.option("--from-credentials", is_flag=True, help="The name that the credentials show, instead of --partner.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def rekey(ctx: click.Context, store: Path | None, from_credentials: bool, yes: bool) -> None:
    """Give a store the name of its partner anew, when that has changed: nothing else in it changes."""
    options = current(ctx)
    if from_credentials == (options.partner is not None):
        raise click.UsageError("give the new name with --partner NAME, or take it --from-credentials; one of the two")
    ctx.exit(_rekeyed(options, store or DEFAULT_STORE, yes=yes))


def _rekeyed(options: Options, store: Path, *, yes: bool) -> Exit:
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
        names = ", ".join(repr(name) for name in old) or "no partner"
        if not confirmed(f"{store} belongs to {names}. Let it belong to {new!r}?", yes=yes):
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
