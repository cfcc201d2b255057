"""``cyclr v1 sign-in``."""

from __future__ import annotations

import click

from cyclr_async.cli.options import Command, current
from cyclr_async.cli.records import LINK_COLUMNS, link_record, write_one

__all__ = ["sign_in"]


@click.command(
    "sign-in",
    cls=Command,
    examples=(
        "cyclr v1 sign-in tenant-42 jo@example.com --domain partner.example.com",
        "cyclr v1 sign-in tenant-42 jo@example.com -o json",
    ),
)
@click.argument("account_id")
@click.argument("username")
@click.option("--domain", metavar="HOST", help="The partner's service domain, instead of the console's.")
@click.option("--dry-run", is_flag=True, help="Show the request and send nothing.")
@click.pass_context
def sign_in(ctx: click.Context, account_id: str, username: str, domain: str | None, dry_run: bool) -> None:
    """Create a link that signs a user in, who is created if need be. The link is a secret, good for five minutes."""
    write_one(
        current(ctx),
        lambda session, time: session.v1.tokens.create(account_id, username, timeout=time),
        LINK_COLUMNS,
        made=lambda token: link_record(account_id, username, token.expires_at, token.url(domain)),
        dry_run=dry_run,
    )
