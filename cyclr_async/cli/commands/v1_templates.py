"""``cyclr v1 templates``."""

from __future__ import annotations

from typing import Any, Final

import click

from cyclr_async.cli.commands.v1_cycles import CYCLE_COLUMNS
from cyclr_async.cli.options import Command, current
from cyclr_async.cli.records import Session, write_list, write_one

__all__ = ["get", "install", "list_templates"]

_COLUMNS: Final = ("id", "name", "description", "tags", "connectors")
_TABLE: Final = ("id", "name", "tags")


@click.command(
    "list",
    cls=Command,
    examples=("cyclr v1 templates list --tag crm", "cyclr v1 templates list --connector Mailchimp -o json"),
)
@click.option("--tag", metavar="TEXT", help="Only those with this tag.")
@click.option("--connector", "connector_name", metavar="NAME", help="Only those that use this connector.")
@click.option("--account", metavar="ID", help="As this account sees them.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N templates.")
@click.pass_context
def list_templates(ctx: click.Context, /, account: str | None, limit: int | None, **given: Any) -> None:
    """List the published templates."""
    options = current(ctx)
    write_list(
        options,
        lambda session: _templates(session, account).iter(timeout=options.timeout, **given),
        _COLUMNS,
        table=_TABLE,
        limit=limit,
    )


@click.command(
    cls=Command,
    examples=("cyclr v1 templates get TEMPLATE_ID", "cyclr v1 templates get TEMPLATE_ID -o json"),
)
@click.argument("template_id")
@click.option("--account", metavar="ID", help="As this account sees it.")
@click.pass_context
def get(ctx: click.Context, template_id: str, account: str | None) -> None:
    """Show a template."""
    write_one(current(ctx), lambda session, time: _templates(session, account).get(template_id, timeout=time), _COLUMNS)


@click.command(
    cls=Command,
    examples=(
        "cyclr v1 templates install TEMPLATE_ID --account tenant-42",
        'cyclr v1 templates install TEMPLATE_ID --account tenant-42 --name "Daily import" --dry-run',
    ),
)
@click.argument("template_id")
@click.option("--account", required=True, metavar="ID", help="The account that gets the cycle.")
@click.option("--name", metavar="TEXT", help="Of the cycle; that of the template otherwise.")
@click.option("--dry-run", is_flag=True, help="Show the request and send nothing.")
@click.pass_context
def install(ctx: click.Context, template_id: str, account: str, name: str | None, dry_run: bool) -> None:
    """Make a cycle from a template, paused; connectors that the account has are used, missing ones installed."""
    # Left out rather than None: null is no name, and the service takes that of the template when nothing is said.
    named: dict[str, Any] = {} if name is None else {"name": name}
    write_one(
        current(ctx),
        lambda session, time: session.v1.account(account).templates.install(template_id, timeout=time, **named),
        CYCLE_COLUMNS,
        dry_run=dry_run,
    )


def _templates(session: Session, account: str | None) -> Any:
    return session.v1.templates if account is None else session.v1.account(account).templates
