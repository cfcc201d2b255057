"""``cyclr token``."""

from __future__ import annotations

from typing import Final

import click

from cyclr_async.cli.connect import connected
from cyclr_async.cli.dry_run import run_dry
from cyclr_async.cli.options import Command, Options, current
from cyclr_async.cli.output import Output
from cyclr_async.cli.signals import run_async

__all__ = ["create"]

_TOKEN: Final = ("account_id", "username", "expires_at", "url")


@click.command(
    "create",
    cls=Command,
    examples=("cyclr token create ACCOUNT_ID jo@example.com", "cyclr token create ACCOUNT_ID jo@example.com -o json"),
)
@click.argument("account_id")
@click.argument("username")
@click.option("--domain", metavar="HOST", help="The partner's service domain, instead of the console's.")
@click.option("--dry-run", is_flag=True, help="Show the request and send nothing.")
@click.pass_context
def create(ctx: click.Context, account_id: str, username: str, domain: str | None, dry_run: bool) -> None:
    """Create a link that signs a user in to an account. The link is a secret, good for a few minutes."""
    run_async(_create(current(ctx), account_id, username, domain, dry_run))


async def _create(options: Options, account_id: str, username: str, domain: str | None, dry_run: bool) -> None:
    if dry_run:
        await run_dry(options, lambda session: session.tokens.create(account_id, username))
        return
    with Output(options, _TOKEN, many=False) as output:
        async with connected(options) as session:
            made = await session.tokens.create(account_id, username, timeout=options.timeout)
            output.write(
                {
                    "account_id": account_id,
                    "username": username,
                    "expires_at": made.expires_at,
                    "url": made.url(domain).reveal(),
                }
            )
