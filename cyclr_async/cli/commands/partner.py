"""``cyclr partner``, ``plans``, ``connectors install`` and ``token create``."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final

import click

from cyclr_async.cli.options import Command, Group, Options, current
from cyclr_async.cli.secret_input import read_secret

__all__ = ["connectors", "partner", "plans", "token"]

_PARTNER: Final = (
    "application_display_name",
    "domain",
    "cycle_noun",
    "anonymous_accounts_enabled",
    "coming_soon_connectors_enabled",
    "custom_connectors_enabled",
    "cycle_sharing_enabled",
    "intercom_app_id",
    "intercom_api_key",
    "intercom_secret_key",
    "application_icon",
    "app_style",
    "header_html",
    "footer_html",
)
_TOKEN: Final = ("account_id", "username", "expires_at", "url")
_INSTALLED: Final = ("account_id", "connector", "version", "installed_name")


@click.command(cls=Command, examples=("cyclr partner --simulate", "cyclr partner -o json --fields domain"))
@click.pass_context
def partner(ctx: click.Context) -> None:
    """Show the settings of the partner; its Intercom keys stay hidden."""
    _run(_partner, current(ctx))


async def _partner(options: Options) -> None:
    from cyclr_async.cli.connect import connected  # noqa: PLC0415 - help must start fast
    from cyclr_async.cli.output import Output  # noqa: PLC0415

    with Output(options, _PARTNER, many=False, table=_PARTNER[:10]) as output:
        async with connected(options) as session:
            details = await session.details(timeout=options.timeout)
            output.write({name: getattr(details, name) for name in _PARTNER})


@click.command(cls=Command, examples=("cyclr plans --simulate", "cyclr plans -o csv"))
@click.pass_context
def plans(ctx: click.Context) -> None:
    """List the price plans."""
    _run(_plans, current(ctx))


async def _plans(options: Options) -> None:
    from cyclr_async.cli.connect import connected  # noqa: PLC0415 - help must start fast
    from cyclr_async.cli.output import Output  # noqa: PLC0415

    with Output(options, ("id", "name")) as output:
        async with connected(options) as session:
            for plan in await session.priceplans.list(timeout=options.timeout):
                output.write({"id": plan.id, "name": plan.name})


@click.group(cls=Group)
def token() -> None:
    """Sign-in tokens for users of the partner's application."""


@token.command(
    "create",
    cls=Command,
    examples=("cyclr token create ACCOUNT_ID jo@example.com", "cyclr token create ACCOUNT_ID jo@example.com -o json"),
)
@click.argument("account_id")
@click.argument("username")
@click.option("--domain", metavar="HOST", help="The partner's service domain, instead of the console's.")
@click.option("--dry-run", is_flag=True, help="Show the request and send nothing.")
@click.pass_context
def create_token(ctx: click.Context, account_id: str, username: str, domain: str | None, dry_run: bool) -> None:
    """Create a link that signs a user in to an account. The link is a secret, good for a few minutes."""
    _run(_create_token, current(ctx), account_id, username, domain, dry_run)


async def _create_token(options: Options, account_id: str, username: str, domain: str | None, dry_run: bool) -> None:
    from cyclr_async.cli.connect import connected  # noqa: PLC0415 - help must start fast
    from cyclr_async.cli.dry_run import run_dry  # noqa: PLC0415
    from cyclr_async.cli.output import Output  # noqa: PLC0415

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


@click.group(cls=Group)
def connectors() -> None:
    """Connectors installed in accounts."""


@connectors.command(
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
@click.option("--api-key-file", type=click.Path(), metavar="FILE", help="Read the API key from a file.")
@click.option("--api-key-stdin", is_flag=True, help="Read the API key from standard input.")
@click.option("--username", metavar="TEXT", help="With a password.")
@click.option("--password-file", type=click.Path(), metavar="FILE", help="Read the password from a file.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
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
    if sum((secret["api_key_stdin"], secret["password_stdin"], options.client_secret_stdin)) > 1:
        raise click.UsageError("only one secret can come from standard input")
    given = {
        "installed_name": installed_name,
        "username": username,
        "api_key": read_secret("--api-key", secret["api_key_file"], secret["api_key_stdin"]),
        "password": read_secret("--password", secret["password_file"], secret["password_stdin"]),
    }
    _run(_install, options, (account_id, name, version), given, dry_run)


async def _install(options: Options, what: tuple[str, str, str | None], given: dict[str, Any], dry_run: bool) -> None:
    from cyclr_async.cli.connect import connected  # noqa: PLC0415 - help must start fast
    from cyclr_async.cli.dry_run import run_dry  # noqa: PLC0415
    from cyclr_async.cli.output import Output  # noqa: PLC0415

    if dry_run:
        await run_dry(options, lambda session: session.connectors.install(*what, **given))
        return
    with Output(options, _INSTALLED, many=False) as output:
        async with connected(options) as session:
            await session.connectors.install(*what, **given, timeout=options.timeout)
            output.write(dict(zip(_INSTALLED, (*what, given["installed_name"]), strict=True)))


def _run(work: Callable[..., Coroutine[Any, Any, None]], *arguments: Any) -> None:
    from cyclr_async.cli.signals import run_async  # noqa: PLC0415 - help must start fast

    run_async(work(*arguments))  # made only now: a Ctrl-C during the import would leave it never awaited
