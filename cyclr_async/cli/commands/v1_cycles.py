"""``cyclr v1 cycles``."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from datetime import datetime
from typing import Any, Final

import click

from cyclr_async.cli.confirm import or_nothing
from cyclr_async.cli.options import Command, current
from cyclr_async.cli.param_types import MOMENT
from cyclr_async.cli.records import Session, write_list, write_one

__all__ = ["CYCLE_COLUMNS", "activate", "deactivate", "delete", "get", "list_cycles", "prerequisites"]

# Also those of a template that was installed, which answers the cycle.
CYCLE_COLUMNS: Final = (
    "id",
    "name",
    "status",
    "tags",
    "template_id",
    "tasks_used",
    "error_count",
    "warning_count",
    "in_progress_transaction_count",
    "last_successful_run_date",
    "created_on_utc",
    "description",
    "connectors",
)
_TABLE: Final = ("id", "name", "status", "tasks_used", "error_count", "last_successful_run_date")
# The service knows these and no others, and its refusal does not name them.
_INTERVALS: Final = (1, 5, 15, 30, 60, 120, 180, 240, 360, 480, 720, 1440, 10080)


# An option, and required: nothing tells an account id from a cycle id where both are positions.
def _account(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--account", required=True, metavar="ID", help="The account whose cycles these are.")(function)


@click.command(
    "list",
    cls=Command,
    examples=(
        "cyclr v1 cycles list --account tenant-42",
        "cyclr v1 cycles list --account tenant-42 --tag crm -o csv --fields id,name,status",
    ),
)
@_account
@click.option("--tag", metavar="TEXT", help="Only those with this tag.")
@click.option("--connector", "connector_name", metavar="NAME", help="Only those that use this connector.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N cycles.")
@click.pass_context
def list_cycles(ctx: click.Context, /, account: str, limit: int | None, **given: Any) -> None:
    """List the cycles of an account."""
    options = current(ctx)
    write_list(
        options,
        lambda session: session.v1.account(account).cycles.iter(timeout=options.timeout, **given),
        CYCLE_COLUMNS,
        table=_TABLE,
        limit=limit,
    )


@click.command(
    cls=Command,
    examples=(
        "cyclr v1 cycles get CYCLE_ID --account tenant-42",
        "cyclr v1 cycles get CYCLE_ID --account tenant-42 -o json",
    ),
)
@click.argument("cycle_id")
@_account
@click.pass_context
def get(ctx: click.Context, cycle_id: str, account: str) -> None:
    """Show a cycle."""
    write_one(
        current(ctx),
        lambda session, time: session.v1.account(account).cycles.get(cycle_id, timeout=time),
        CYCLE_COLUMNS,
    )


@click.command(
    cls=Command,
    examples=(
        "cyclr v1 cycles prerequisites CYCLE_ID --account tenant-42",
        "cyclr v1 cycles prerequisites CYCLE_ID --account tenant-42 -o json",
    ),
)
@click.argument("cycle_id")
@_account
@click.pass_context
def prerequisites(ctx: click.Context, cycle_id: str, account: str) -> None:
    """List what must be done before a cycle can run."""
    options = current(ctx)

    async def found(session: Session) -> AsyncGenerator[Any, None]:
        for one in await session.v1.account(account).cycles.prerequisites(cycle_id, timeout=options.timeout):
            yield one

    write_list(options, found, ("reason_code", "reason", "object_type", "object_id"))


@click.command(
    cls=Command,
    examples=(
        "cyclr v1 cycles activate CYCLE_ID --account tenant-42 --interval 60",
        "cyclr v1 cycles activate CYCLE_ID --account tenant-42 --run-once --dry-run",
    ),
)
@click.argument("cycle_id")
@_account
@click.option("--start-time", type=MOMENT, metavar="TIME", help="Of the first run; UTC unless it has an offset.")
@click.option(
    "--interval",
    type=click.Choice(_INTERVALS),
    metavar="MINUTES",
    help=f"Between two runs: {', '.join(map(str, _INTERVALS))}.",
)
# None where it is not given: False would be sent, and would be the caller's word.
@click.option("--run-once", is_flag=True, default=None, help="Run a single time.")
@click.option("--dry-run", is_flag=True, help="Show the request and send nothing.")
@click.pass_context
def activate(
    ctx: click.Context,
    /,
    cycle_id: str,
    account: str,
    start_time: datetime | None,
    interval: int | None,
    run_once: bool | None,
    dry_run: bool,
) -> None:
    """Start a cycle."""

    async def call(session: Session, time: float | None) -> None:
        await session.v1.account(account).cycles.activate(
            cycle_id, start_time=start_time, interval=interval, run_once=run_once, timeout=time
        )

    made = {"account_id": account, "id": cycle_id, "activated": True}
    write_one(current(ctx), call, tuple(made), made=lambda _: made, dry_run=dry_run)


@click.command(
    cls=Command,
    examples=(
        "cyclr v1 cycles deactivate CYCLE_ID --account tenant-42",
        "cyclr v1 cycles deactivate CYCLE_ID --account tenant-42 --finish-queued",
    ),
)
@click.argument("cycle_id")
@_account
@click.option(
    "--finish-queued/--drop-queued",
    "finish",
    default=None,
    help="Whether transactions that wait are carried out first.",
)
@click.option("--dry-run", is_flag=True, help="Show the request and send nothing.")
@click.pass_context
def deactivate(ctx: click.Context, /, cycle_id: str, account: str, finish: bool | None, dry_run: bool) -> None:
    """Stop a cycle; one that does not run stays as it is."""

    async def call(session: Session, time: float | None) -> None:
        cycles = session.v1.account(account).cycles
        await cycles.deactivate(cycle_id, finish_queued_transactions=finish, timeout=time)

    made = {"account_id": account, "id": cycle_id, "deactivated": True}
    write_one(current(ctx), call, tuple(made), made=lambda _: made, dry_run=dry_run)


@click.command(
    cls=Command,
    examples=(
        "cyclr v1 cycles delete CYCLE_ID --account tenant-42",
        "cyclr v1 cycles delete CYCLE_ID --account tenant-42 --yes",
    ),
)
@click.argument("cycle_id")
@_account
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Show the request and send nothing.")
@click.pass_context
def delete(ctx: click.Context, cycle_id: str, account: str, yes: bool, dry_run: bool) -> None:
    """Delete a cycle. The service keeps it for 90 days."""
    options = current(ctx)
    or_nothing(ctx, options, f"Delete the cycle {cycle_id!r} of the account {account!r}?", yes=yes or dry_run)

    async def call(session: Session, time: float | None) -> None:
        await session.v1.account(account).cycles.delete(cycle_id, timeout=time)

    made = {"account_id": account, "id": cycle_id, "deleted": True}
    write_one(options, call, tuple(made), made=lambda _: made, dry_run=dry_run)
