"""``cyclr v1 account-connectors``: the connectors that an account has installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import click

from cyclr_async.cli.confirm import or_nothing
from cyclr_async.cli.options import Command, Options, current
from cyclr_async.cli.param_types import connector_of
from cyclr_async.cli.records import Session, record_of, write_list, write_one
from cyclr_async.cli.secret_input import read_secret, secret_options, take_secrets
from cyclr_async.secret import Secret

if TYPE_CHECKING:
    from cyclr_async.v1 import AccountConnector, AccountConnectors

__all__ = ["authenticate", "deauthenticate", "delete", "ensure", "get", "install", "list_connectors", "update"]

# Without auth_value, which is a secret; "authenticated" tells what a reader wants to know of it.
_COLUMNS: Final = (
    "id",
    "name",
    "connector",
    "version",
    "authenticated",
    "description",
    "connector_id",
    "is_partner_integration_connector",
    "properties",
)
_TABLE: Final = _COLUMNS[:6]
_ID: Final = click.IntRange(0)


def _account(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--account", required=True, metavar="ID", help="The account.")(function)


def _dry_run(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--dry-run", is_flag=True, help="Show the request and send nothing.")(function)


def _credentials(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        secret_options("password", "the password"),
        click.option("--username", metavar="TEXT", help="With a password, for connectors that sign in with both."),
        secret_options("auth-value", "an API key, or for OAuth the JSON of the tokens,"),
    ):
        function = option(function)
    return function


def _own(session: Session, account: str) -> AccountConnectors:
    return session.v1.account(account).connectors


def _record(found: AccountConnector) -> dict[str, Any]:
    # Flat: the connector of the catalogue is most of the answer, and three of its fields are what is looked for.
    of = found.connector
    named: dict[str, object] = dict.fromkeys(("connector", "version", "connector_id"))
    if of is not None:
        named = {"connector": of.name, "version": of.version, "connector_id": of.id}
    return record_of(found, **named)


@click.command(
    "list",
    cls=Command,
    examples=(
        "cyclr v1 account-connectors list --account tenant-42",
        "cyclr v1 account-connectors list --account tenant-42 -o csv --fields id,name,authenticated",
    ),
)
@_account
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N connectors.")
@click.pass_context
def list_connectors(ctx: click.Context, account: str, limit: int | None) -> None:
    """List the connectors of an account; values of their properties stay hidden."""
    options = current(ctx)
    write_list(
        options,
        lambda session: _own(session, account).iter(timeout=options.timeout),
        _COLUMNS,
        table=_TABLE,
        limit=limit,
        made=_record,
    )


@click.command(
    cls=Command,
    examples=(
        "cyclr v1 account-connectors get 1874 --account tenant-42",
        "cyclr v1 account-connectors get 1874 --account tenant-42 -o json",
    ),
)
@click.argument("connector_id", type=_ID)
@_account
@click.pass_context
def get(ctx: click.Context, connector_id: int, account: str) -> None:
    """Show a connector of an account."""
    write_one(
        current(ctx),
        lambda session, time: _own(session, account).get(connector_id, timeout=time),
        _COLUMNS,
        made=_record,
    )


def _what_to_install(function: Callable[..., Any]) -> Callable[..., Any]:
    # The last one is applied last and comes first in the help: what it is about, then its account.
    for option in (
        _dry_run,
        click.option("--authentication-id", metavar="GUID", help="Which way to sign in, when there are several."),
        _credentials,
        click.option(
            "--property",
            "properties",
            multiple=True,
            metavar="NAME=VALUE",
            help="What the connector needs; NAME=@FILE reads a secret.",
        ),
        click.option("--description", metavar="TEXT", help="Free text."),
        click.option("--name", metavar="TEXT", help="In the account, where it is unique; the connector's otherwise."),
        _account,
        click.argument("version", required=False),
        click.argument("connector"),
    ):
        function = option(function)
    return function


@click.command(
    cls=Command,
    examples=(
        "cyclr v1 account-connectors install Mailchimp v3 --account tenant-42 --name News --auth-value-file key.txt",
        "cyclr v1 account-connectors install 5122 --account tenant-42 --property Url=https://crm.example.com --dry-run",
    ),
)
@_what_to_install
@click.pass_context
def install(ctx: click.Context, /, **given: Any) -> None:
    """Install a connector of the catalogue in an account, once; a name that is in use is an error."""
    _install(current(ctx), "install", given)


@click.command(
    cls=Command,
    examples=(
        "cyclr v1 account-connectors ensure Mailchimp v3 --account tenant-42 --name News --auth-value-file key.txt",
        "cyclr v1 account-connectors ensure Mailchimp --account tenant-42 -o json",
    ),
)
@_what_to_install
@click.pass_context
def ensure(ctx: click.Context, /, **given: Any) -> None:
    """Show the account's connector of that name, installed now if there is none."""
    _install(current(ctx), "ensure", given)


def _install(options: Options, act: str, given: dict[str, Any]) -> None:
    account, dry_run, version = given.pop("account"), given.pop("dry_run"), given.pop("version")
    connector = connector_of(given.pop("connector"), version)
    auth_value = _auth_value(options, given)
    properties = _properties(given.pop("properties"))
    fields = {name: value for name, value in given.items() if value is not None}
    fields |= {"auth_value": auth_value, "properties": properties}
    write_one(
        options,
        lambda session, time: getattr(_own(session, account), act)(connector, version, timeout=time, **fields),
        _COLUMNS,
        made=_record,
        dry_run=dry_run,
        shown=lambda session, time: _own(session, account).install(connector, version, timeout=time, **fields),
    )


@click.command(
    cls=Command,
    examples=(
        "cyclr v1 account-connectors update 1874 --account tenant-42 --name Newsletter",
        "cyclr v1 account-connectors update 1874 --account tenant-42 --description '' --dry-run",
    ),
)
@click.argument("connector_id", type=_ID)
@_account
@click.option("--name", metavar="TEXT", help="In the account.")
@click.option("--description", metavar="TEXT", help="Free text.")
@_dry_run
@click.pass_context
def update(ctx: click.Context, /, connector_id: int, account: str, dry_run: bool, **given: Any) -> None:
    """Change the name or the description of a connector; authenticate changes what it signs in with."""
    fields = {name: value for name, value in given.items() if value is not None}
    if not fields:
        raise click.UsageError("nothing to change: give --name or --description")
    write_one(
        current(ctx),
        lambda session, time: _own(session, account).update(connector_id, timeout=time, **fields),
        _COLUMNS,
        made=_record,
        dry_run=dry_run,
    )


@click.command(
    cls=Command,
    examples=(
        "cyclr v1 account-connectors authenticate 1874 --account tenant-42 --auth-value-file key.txt",
        "pass show crm | cyclr v1 account-connectors authenticate 9 --account a --username jo --password-stdin",
    ),
)
@click.argument("connector_id", type=_ID)
@_account
@_credentials
@_dry_run
@click.pass_context
def authenticate(ctx: click.Context, /, connector_id: int, account: str, dry_run: bool, **given: Any) -> None:
    """Sign a connector in with an API key, a password, or the tokens of OAuth."""
    options = current(ctx)
    auth_value = _auth_value(options, given)
    if auth_value is None:
        raise click.UsageError("give --auth-value-file or --auth-value-stdin, or --username with a password")
    write_one(
        options,
        lambda session, time: _own(session, account).authenticate(connector_id, auth_value, timeout=time),
        _COLUMNS,
        made=_record,
        dry_run=dry_run,
    )


@click.command(
    cls=Command,
    examples=(
        "cyclr v1 account-connectors deauthenticate 1874 --account tenant-42",
        "cyclr v1 account-connectors deauthenticate 1874 --account tenant-42 --yes",
    ),
)
@click.argument("connector_id", type=_ID)
@_account
@click.option("--yes", is_flag=True, help="Do not ask.")
@_dry_run
@click.pass_context
def deauthenticate(ctx: click.Context, connector_id: int, account: str, yes: bool, dry_run: bool) -> None:
    """Sign a connector out. Running cycles that use it stop."""
    options = current(ctx)
    # Asked for although it can be undone: customers notice cycles that stop.
    question = f"Sign connector {connector_id} of the account {account!r} out? Running cycles that use it stop."
    or_nothing(ctx, options, question, yes=yes or dry_run)

    async def call(session: Session, time: float | None) -> None:
        await _own(session, account).deauthenticate(connector_id, timeout=time)

    made = {"account_id": account, "id": connector_id, "deauthenticated": True}
    write_one(options, call, tuple(made), made=lambda _: made, dry_run=dry_run)


@click.command(
    cls=Command,
    examples=(
        "cyclr v1 account-connectors delete 1874 --account tenant-42",
        "cyclr v1 account-connectors delete 1874 --account tenant-42 --yes",
    ),
)
@click.argument("connector_id", type=_ID)
@_account
@click.option("--yes", is_flag=True, help="Do not ask.")
@_dry_run
@click.pass_context
def delete(ctx: click.Context, connector_id: int, account: str, yes: bool, dry_run: bool) -> None:
    """Remove a connector from an account."""
    options = current(ctx)
    or_nothing(ctx, options, f"Remove connector {connector_id} from the account {account!r}?", yes=yes or dry_run)

    async def call(session: Session, time: float | None) -> None:
        await _own(session, account).delete(connector_id, timeout=time)

    made = {"account_id": account, "id": connector_id, "deleted": True}
    write_one(options, call, tuple(made), made=lambda _: made, dry_run=dry_run)


def _auth_value(options: Options, given: dict[str, Any]) -> Secret | None:
    """Take the credentials out of what was given, and return what the connector signs in with."""
    username = given.pop("username")
    secrets = take_secrets(options, given, "auth-value", "password")
    if (username is None) != (secrets["password"] is None):
        raise click.UsageError("--username and a password belong together")
    if secrets["password"] is None:
        return secrets["auth_value"]
    if secrets["auth_value"] is not None:
        raise click.UsageError("give either an auth value, or --username with a password")
    from cyclr_async.v1 import basic_auth  # noqa: PLC0415 - cattrs, which help does without

    return basic_auth(username, secrets["password"])


def _properties(given: tuple[str, ...]) -> dict[str, Secret] | None:
    found: dict[str, Secret] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise click.UsageError("--property is written as NAME=VALUE, or NAME=@FILE for a secret")
        if name in found:
            raise click.UsageError(f"--property {name} comes twice")
        secret = read_secret(f"--property {name}", value[1:], False) if value.startswith("@") else Secret(value)
        assert secret is not None
        found[name] = secret
    return found or None
