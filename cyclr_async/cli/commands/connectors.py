"""``cyclr connectors``."""

from __future__ import annotations

from typing import Any, Final

import click

from cyclr_async.cli.connect import connected
from cyclr_async.cli.dry_run import run_dry
from cyclr_async.cli.options import Command, Options, current
from cyclr_async.cli.output import Output
from cyclr_async.cli.secret_input import secret_options, take_secrets
from cyclr_async.cli.signals import run_async

__all__ = ["install"]

_INSTALLED: Final = ("account_id", "connector", "version", "installed_name")


@click.command(
    cls=Command,
    examples=(
        "cyclr connectors install ACCOUNT_ID Mailchimp v1 --installed-name News --api-key-file key.txt",
        "pass show crm | cyclr connectors install ACCOUNT_ID CRM v1 --installed-name CRM --username u --password-stdin",
    ),
)
@click.argument("account_id")
@click.argument("name")
@click.argument("version", required=False)
@click.option("--installed-name", required=True, metavar="TEXT", help="What it is called in the account.")
@secret_options("api-key", "the API key")
@click.option("--username", metavar="TEXT", help="With a password.")
@secret_options("password", "the password")
@click.option("--dry-run", is_flag=True, help="Show the request and send nothing.")
@click.pass_context
def install(
    ctx: click.Context,
    /,
    account_id: str,
    name: str,
    version: str | None,
    installed_name: str,
    username: str | None,
    dry_run: bool,
    **secret: Any,
) -> None:
    """Install a connector in an account; not possible for connectors that sign in with OAuth."""
    options = current(ctx)
    secrets = take_secrets(options, secret, "api-key", "password")
    given = {"installed_name": installed_name, "username": username, **secrets}
    run_async(_install(options, (account_id, name, version), given, dry_run))


async def _install(options: Options, what: tuple[str, str, str | None], given: dict[str, Any], dry_run: bool) -> None:
    if dry_run:
        await run_dry(options, lambda session: session.connectors.install(*what, **given))
        return
    with Output(options, _INSTALLED, many=False) as output:
        async with connected(options) as session:
            await session.connectors.install(*what, **given, timeout=options.timeout)
            output.write(dict(zip(_INSTALLED, (*what, given["installed_name"]), strict=True)))
