"""``cyclr accounts``: list, create, update."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import click

from cyclr_async.cli.options import Command, Options, current
from cyclr_async.cli.param_types import MOMENT
from cyclr_async.cli.records import Session, write_list, write_one

__all__ = ["create", "list_accounts", "update"]

_COLUMNS: Final = (
    "id",
    "name",
    "description",
    "price_plan_id",
    "last_bill_date",
    "next_bill_date",
    "audit_info",
)
_TABLE: Final = ("id", "name", "price_plan_id", "next_bill_date", "audit_info")
# What the document allows to be null; a name is required.
_CLEARABLE: Final = ("description", "timezone", "price_plan_id", "next_bill_date", "audit_info")


def _fields(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(
        (
            click.option("--description", metavar="TEXT", help="Free text."),
            click.option("--timezone", metavar="ZONE", help="An IANA name, such as Europe/London."),
            click.option("--price-plan-id", type=int, metavar="N", help="See cyclr plans."),
            click.option("--next-bill-date", type=MOMENT, metavar="TIME", help="UTC unless it has an offset."),
            click.option("--audit-info", metavar="TEXT", help="Your own reference; the usage repeats it."),
            click.option("--dry-run", is_flag=True, help="Show the request and send nothing."),
        )
    ):
        function = option(function)
    return function


@click.command(
    "list", cls=Command, examples=("cyclr accounts list --simulate", "cyclr accounts list -o csv --fields id,name")
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N accounts.")
@click.pass_context
def list_accounts(ctx: click.Context, limit: int | None) -> None:
    """List every account, as the answer arrives."""
    options = current(ctx)
    write_list(
        options,
        lambda session: session.accounts.iter(timeout=options.timeout),
        _COLUMNS,
        table=_TABLE,
        limit=limit,
    )


@click.command(
    cls=Command,
    examples=(
        'cyclr accounts create --name "ACME Ltd" --timezone Europe/London --price-plan-id 2',
        'cyclr accounts create --name "ACME Ltd" --dry-run',
    ),
)
@click.option("--name", required=True, metavar="TEXT", help="The display name.")
@_fields
@click.option("--reconcile", is_flag=True, help="Mark the account, and look for it when the answer is lost.")
@click.pass_context
def create(ctx: click.Context, /, dry_run: bool, reconcile: bool, **given: Any) -> None:
    """Create an account and print its id."""
    fields = {name: value for name, value in given.items() if value is not None}
    _write(
        current(ctx),
        dry_run,
        lambda session, time: session.accounts.create(reconcile=reconcile, timeout=time, **fields),
    )


@click.command(
    cls=Command,
    examples=(
        "cyclr accounts update ACCOUNT_ID --price-plan-id 3",
        "cyclr accounts update ACCOUNT_ID --clear description --dry-run",
    ),
)
@click.argument("account_id")
@click.option("--name", metavar="TEXT", help="The display name.")
@_fields
@click.option("--clear", multiple=True, type=click.Choice(_CLEARABLE), metavar="FIELD", help="Set to null.")
@click.pass_context
def update(ctx: click.Context, /, account_id: str, dry_run: bool, clear: tuple[str, ...], **given: Any) -> None:
    """Change an account; what is not named stays as it is."""
    fields = {name: value for name, value in given.items() if value is not None}
    both = sorted(fields.keys() & set(clear))
    if both:
        raise click.UsageError(f"{', '.join(both)}: give either a value or --clear")
    # None is sent as null, and what is not named not at all: the two differ to the server.
    fields |= dict.fromkeys(clear)
    if not fields:
        raise click.UsageError("nothing to change: give at least one of --name, --description, …, --clear")
    _write(current(ctx), dry_run, lambda session, time: session.accounts.update(account_id, timeout=time, **fields))


def _write(options: Options, dry_run: bool, act: Callable[[Session, float | None], Awaitable[str]]) -> None:
    write_one(options, act, ("id",), made=lambda account_id: {"id": account_id}, dry_run=dry_run)
