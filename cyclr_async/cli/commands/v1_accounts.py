"""``cyclr v1 accounts``."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, Final

import click

from cyclr_async.cli.confirm import or_nothing
from cyclr_async.cli.options import Command, current
from cyclr_async.cli.param_types import MOMENT
from cyclr_async.cli.records import Session, record_of, write_list, write_one

__all__ = ["create", "delete", "ensure", "get", "list_accounts", "subaccounts", "update", "usage"]

_COLUMNS: Final = (
    "id",
    "name",
    "description",
    "timezone",
    "audit_info",
    "task_audit_info",
    "created_date",
    "next_bill_date_utc",
    "step_data_success_retention_hours",
    "step_data_errored_retention_hours",
    "transaction_error_webhook_enabled",
    "transaction_error_webhook_url",
    "transaction_error_webhook_include_warnings",
)
# What tells accounts apart, and what bills go by: the settings of a webhook would push the names out of the line.
_TABLE: Final = ("id", "name", "timezone", "audit_info", "next_bill_date_utc")
_USAGE: Final = ("account_id", "tasks_used", "start_time", "end_time")
# Null inherits the partner's setting or empties the text; flags, the name and the next bill date have no null.
_CLEARABLE: Final = (
    "description",
    "timezone",
    "audit_info",
    "task_audit_info",
    "step_data_success_retention_hours",
    "step_data_errored_retention_hours",
    "transaction_error_webhook_url",
)
_HOURS: Final = click.IntRange(0, 744)
"""What is more is cut off by the server, which says nothing."""


def _fields(function: Callable[..., Any]) -> Callable[..., Any]:
    # In the order of the help: a decorator that is applied last comes first.
    for option in reversed(
        (
            click.option("--description", metavar="TEXT", help="Free text."),
            click.option("--timezone", metavar="ZONE", help="An IANA name, such as Europe/London."),
            click.option("--audit-info", metavar="TEXT", help="Your own reference."),
            click.option("--task-audit-info", metavar="TEXT", help="Your own reference, for tasks."),
            click.option(
                "--next-bill-date",
                "next_bill_date_utc",
                type=MOMENT,
                metavar="TIME",
                help="UTC unless it has an offset.",
            ),
            click.option(
                "--success-retention",
                "step_data_success_retention_hours",
                type=_HOURS,
                metavar="HOURS",
                help="How long the data of steps that succeeded is kept, to 744.",
            ),
            click.option(
                "--errored-retention",
                "step_data_errored_retention_hours",
                type=_HOURS,
                metavar="HOURS",
                help="How long that of steps that failed is kept.",
            ),
            click.option(
                "--webhook/--no-webhook",
                "transaction_error_webhook_enabled",
                default=None,
                help="Report errors of transactions to a URL.",
            ),
            click.option("--webhook-url", "transaction_error_webhook_url", metavar="URL", help="Where to."),
            click.option(
                "--webhook-warnings/--no-webhook-warnings",
                "transaction_error_webhook_include_warnings",
                default=None,
                help="Warnings too.",
            ),
            click.option("--dry-run", is_flag=True, help="Show the request and send nothing."),
        )
    ):
        function = option(function)
    return function


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    fields = {name: value for name, value in options.items() if value is not None}
    if fields.get("transaction_error_webhook_enabled") and "transaction_error_webhook_url" not in fields:
        raise click.UsageError("--webhook needs --webhook-url in the same command: the server looks at nothing else")
    return fields


@click.command(
    "list",
    cls=Command,
    examples=("cyclr v1 accounts list --simulate", "cyclr v1 accounts list -o csv --fields id,name --limit 10"),
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N accounts.")
@click.pass_context
def list_accounts(ctx: click.Context, limit: int | None) -> None:
    """List every account, page after page. Sub-accounts are with their account."""
    options = current(ctx)
    write_list(
        options,
        lambda session: session.v1.accounts.iter(timeout=options.timeout),
        _COLUMNS,
        table=_TABLE,
        limit=limit,
    )


@click.command(cls=Command, examples=("cyclr v1 accounts get tenant-42", "cyclr v1 accounts get tenant-42 -o json"))
@click.argument("account_id")
@click.pass_context
def get(ctx: click.Context, account_id: str) -> None:
    """Show an account."""
    write_one(current(ctx), lambda session, time: session.v1.accounts.get(account_id, timeout=time), _COLUMNS)


@click.command(
    cls=Command,
    examples=(
        'cyclr v1 accounts create tenant-42 --name "ACME Ltd" --timezone Europe/London',
        'cyclr v1 accounts create --name "ACME Ltd" --parent tenant-1 --dry-run',
    ),
)
@click.argument("account_id", required=False)
@click.option("--name", required=True, metavar="TEXT", help="The display name.")
@click.option("--parent", "parent_account_id", metavar="ID", help="Make it a sub-account of this one.")
@_fields
@click.pass_context
def create(ctx: click.Context, /, account_id: str | None, dry_run: bool, **given: Any) -> None:
    """Create an account, once if you choose its id. Without one the service makes a GUID."""
    fields = _given(given)
    write_one(
        current(ctx),
        lambda session, time: session.v1.accounts.create(account_id, timeout=time, **fields),
        _COLUMNS,
        dry_run=dry_run,
    )


@click.command(
    cls=Command,
    examples=(
        'cyclr v1 accounts ensure tenant-42 --name "ACME Ltd"',
        'cyclr v1 accounts ensure tenant-42 --name "ACME Ltd" --audit-info crm-42 -o json',
    ),
)
@click.argument("account_id")
@click.option("--name", required=True, metavar="TEXT", help="The display name.")
@click.option("--parent", "parent_account_id", metavar="ID", help="Make a new one a sub-account of this one.")
@_fields
@click.pass_context
def ensure(ctx: click.Context, /, account_id: str, dry_run: bool, **given: Any) -> None:
    """Show the account with this id, created now if there is none. One that differs is an error, and left as it is."""
    fields = _given(given)
    write_one(
        current(ctx),
        lambda session, time: session.v1.accounts.ensure(account_id, timeout=time, **fields),
        _COLUMNS,
        dry_run=dry_run,
        # What would be sent is the creation: that the account is looked for first changes nothing.
        shown=lambda session, time: session.v1.accounts.create(account_id, timeout=time, **fields),
    )


@click.command(
    cls=Command,
    examples=(
        "cyclr v1 accounts update tenant-42 --success-retention 24",
        "cyclr v1 accounts update tenant-42 --clear description --dry-run",
    ),
)
@click.argument("account_id")
@click.option("--name", metavar="TEXT", help="The display name.")
@_fields
@click.option("--clear", multiple=True, type=click.Choice(_CLEARABLE), metavar="FIELD", help="Set to null.")
@click.pass_context
def update(ctx: click.Context, /, account_id: str, dry_run: bool, clear: tuple[str, ...], **given: Any) -> None:
    """Change an account; what is not named stays as it is."""
    fields = _given(given)
    both = sorted(fields.keys() & set(clear))
    if both:
        raise click.UsageError(f"{', '.join(both)}: give either a value or --clear")
    fields |= dict.fromkeys(clear)
    if not fields:
        raise click.UsageError("nothing to change: give at least one of --name, --description, …, --clear")
    write_one(
        current(ctx),
        lambda session, time: session.v1.accounts.update(account_id, timeout=time, **fields),
        _COLUMNS,
        dry_run=dry_run,
    )


@click.command(
    cls=Command,
    examples=("cyclr v1 accounts delete tenant-42", "cyclr v1 accounts delete tenant-42 --yes -q"),
)
@click.argument("account_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Show the request and send nothing.")
@click.pass_context
def delete(ctx: click.Context, account_id: str, yes: bool, dry_run: bool) -> None:
    """Delete an account with everything in it."""
    options = current(ctx)
    # A dry run changes nothing, so there is nothing to ask.
    or_nothing(ctx, options, f"Delete the account {account_id!r} with everything in it?", yes=yes or dry_run)

    async def call(session: Session, time: float | None) -> None:
        await session.v1.accounts.delete(account_id, timeout=time)

    write_one(options, call, ("id", "deleted"), made=lambda _: {"id": account_id, "deleted": True}, dry_run=dry_run)


@click.command(
    cls=Command,
    examples=("cyclr v1 accounts subaccounts tenant-42", "cyclr v1 accounts subaccounts tenant-42 -o csv"),
)
@click.argument("account_id")
@click.pass_context
def subaccounts(ctx: click.Context, account_id: str) -> None:
    """List the sub-accounts of an account."""
    options = current(ctx)

    async def found(session: Session) -> AsyncGenerator[Any, None]:
        for one in await session.v1.accounts.subaccounts(account_id, timeout=options.timeout):
            yield one

    write_list(options, found, _COLUMNS, table=_TABLE)


@click.command(cls=Command, examples=("cyclr v1 accounts usage tenant-42", "cyclr v1 accounts usage tenant-42 -o json"))
@click.argument("account_id")
@click.pass_context
def usage(ctx: click.Context, account_id: str) -> None:
    """Show how many tasks an account has used in its current period, its sub-accounts left out."""
    write_one(
        current(ctx),
        lambda session, time: session.v1.accounts.usage(account_id, timeout=time),
        _USAGE,
        made=lambda found: record_of(found, account_id=account_id),
    )
