"""``cyclr connectors``."""

from __future__ import annotations

from typing import Any, Final

import click

from cyclr_async.cli.options import Command, current
from cyclr_async.cli.records import write_one
from cyclr_async.cli.secret_input import secret_options, take_secrets

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
    # Read before anything is sent, so that a prompt is not in the middle of a call's time.
    secrets = take_secrets(options, secret, "api-key", "password")
    given: dict[str, Any] = {"installed_name": installed_name, "username": username, **secrets}
    made = dict(zip(_INSTALLED, (account_id, name, version, installed_name), strict=True))
    write_one(
        options,
        lambda session, time: session.connectors.install(account_id, name, version, timeout=time, **given),
        _INSTALLED,
        made=lambda _: made,
        dry_run=dry_run,
    )
