"""``cyclr v1 launch``: links to LAUNCH, ORBIT and the Marketplace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from cyclr_async.cli.options import Command, Options, current
from cyclr_async.cli.records import Session, write_one
from cyclr_async.cli.secret_input import secret_options, take_secrets
from cyclr_async.cli.text_input import read_text
from cyclr_async.errors import DecodeError
from cyclr_async.wire.strict_json import loads

if TYPE_CHECKING:
    from cyclr_async.v1 import ConnectorAuthentication

__all__ = ["account", "marketplace", "orbit", "user"]

_COLUMNS: Final = ("account_id", "expires_at", "url")
_NAMES: Final = {
    "Name": "name",
    "Version": "version",
    "AuthenticationId": "authentication_id",
    "AuthValue": "auth_value",
    "Properties": "properties",
}


def _switch(name: str, text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    # Without either of the two nothing is sent, and the server does as it does by default.
    return click.option(f"--{name}/--no-{name}", default=None, help=text)


def _common(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--dry-run", is_flag=True, help="Show the request and send nothing."),
        click.option(
            "--authentications",
            metavar="FILE",
            help="What connectors sign in with: ConnectorAuthentications as JSON; - reads standard input.",
        ),
        click.option("--complete-parameter", metavar="TEXT", help="Passed on to your page at the end."),
        click.option(
            "--inline-oauth/--no-inline-oauth",
            default=None,
            help="OAuth in the same window, or in one of its own; your setting otherwise.",
        ),
        click.option("--account-description", metavar="TEXT", help="Of a new account."),
        click.option("--account-name", metavar="TEXT", help="Of a new account; its id otherwise."),
    ):
        function = option(function)
    return function


def _launch_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        _common,
        click.option("--tag", "tags", multiple=True, metavar="TEXT", help="Only templates with this tag; repeatable."),
        _switch("display-descriptions", "Show descriptions; not by default."),
        _switch("wizard", "One step after the other; not by default."),
        _switch("single-install", "Install a template a single time; not by default."),
        _switch("auto-install", "Install a template without its being chosen; by default."),
        _switch("run-once", "Run the cycle a single time; not by default."),
        _switch("start", "Start the cycle when it is installed; by default."),
    ):
        function = option(function)
    return function


@click.command(
    cls=Command,
    examples=(
        "cyclr v1 launch account tenant-42 --tag crm",
        'cyclr v1 launch account tenant-42 --account-name "ACME Ltd" --no-start -o json',
    ),
)
@click.argument("account_id")
@_launch_options
@click.pass_context
def account(ctx: click.Context, /, account_id: str, **given: Any) -> None:
    """Create a link to LAUNCH for an account, which is created if need be.

    The link is a secret: it signs somebody in, once, within five minutes.
    """
    options = current(ctx)
    dry_run, fields = _fields(given)
    _link(
        options,
        lambda session, time: session.v1.launch.account(account_id, timeout=time, **_ready(fields)),
        account_id,
        dry_run=dry_run,
    )


@click.command(
    cls=Command,
    examples=(
        "cyclr v1 launch user jo@example.com --password-file password.txt --account tenant-42",
        "pass show jo | cyclr v1 launch user jo@example.com --password-stdin --account tenant-42 --wizard",
    ),
)
@click.argument("username")
@secret_options("password", "the user's password")
@click.option("--account", "account_id", metavar="ID", help="The account.")
@_launch_options
@click.pass_context
def user(ctx: click.Context, /, username: str, account_id: str | None, **given: Any) -> None:
    """Create a link to LAUNCH for a user. User and account are created if need be.

    The link is a secret: it signs somebody in, once, within five minutes.
    """
    options = current(ctx)
    password = take_secrets(options, given, "password")["password"]
    if password is None:
        raise click.UsageError("give the user's password with --password-file or --password-stdin")
    dry_run, fields = _fields(given)
    _link(
        options,
        lambda session, time: session.v1.launch.user(
            username, password, account_id=account_id, timeout=time, **_ready(fields)
        ),
        account_id,
        dry_run=dry_run,
    )


@click.command(
    cls=Command,
    examples=(
        "cyclr v1 launch orbit tenant-42",
        "cyclr v1 launch orbit tenant-42 --username jo@example.com --password-file password.txt",
    ),
)
@click.argument("account_id")
@click.option("--username", metavar="TEXT", help="The user, with a password.")
@secret_options("password", "the user's password")
@click.option("--dry-run", is_flag=True, help="Show the request and send nothing.")
@click.pass_context
def orbit(ctx: click.Context, /, account_id: str, username: str | None, dry_run: bool, **given: Any) -> None:
    """Create a link to ORBIT for an account, or a user of it.

    The link is a secret: it signs somebody in, once, within five minutes.
    """
    options = current(ctx)
    password = take_secrets(options, given, "password")["password"]
    _link(
        options,
        lambda session, time: session.v1.launch.orbit(account_id, username=username, password=password, timeout=time),
        account_id,
        dry_run=dry_run,
    )


@click.command(
    cls=Command,
    examples=(
        "cyclr v1 launch marketplace tenant-42 8",
        "cyclr v1 launch marketplace tenant-42 8 --username jo@example.com --password-file password.txt -o json",
    ),
)
@click.argument("account_id")
@click.argument("marketplace_id", type=click.IntRange(0))
@click.option("--username", metavar="TEXT", help="The user, with a password.")
@secret_options("password", "the user's password")
@_common
@click.pass_context
def marketplace(
    ctx: click.Context, /, account_id: str, marketplace_id: int, username: str | None, **given: Any
) -> None:
    """Create a link to a Marketplace, for an account or a user of it. Both are created if need be.

    The link is a secret: it signs somebody in, once, within five minutes.
    """
    options = current(ctx)
    password = take_secrets(options, given, "password")["password"]
    dry_run, fields = _fields(given)
    _link(
        options,
        lambda session, time: session.v1.launch.marketplace(
            account_id, marketplace_id, username=username, password=password, timeout=time, **_ready(fields)
        ),
        account_id,
        dry_run=dry_run,
    )


def _fields(given: dict[str, Any]) -> tuple[bool, dict[str, Any]]:
    """Return whether it is a dry run, and what was given."""
    dry_run = given.pop("dry_run")
    source = given.pop("authentications")
    # What was not given is not sent: the server's default may be a setting of the partner.
    fields = {name: value for name, value in given.items() if value is not None and value != ()}
    if source is not None:
        fields["connector_authentications"] = _rows(source)
    return dry_run, fields


def _rows(source: str) -> list[dict[str, Any]]:
    """Read what connectors sign in with, as the API takes it."""
    try:
        value = loads(read_text(source, "--authentications"))
    except DecodeError as error:
        problem = str(error).partition(": ")[2]
    else:
        # Cyclr's documentation shows one bare object in places.
        rows = [value] if isinstance(value, dict) else value
        if isinstance(rows, list) and all(isinstance(row, dict) and row.keys() <= _NAMES.keys() for row in rows):
            return rows
        problem = f"it must be a list of objects with {', '.join(_NAMES)}"
    raise click.UsageError(f"--authentications {source!r}: {problem}")


# Made when they are sent: what a model refuses is then told like the refusal of any other argument.
def _ready(fields: Mapping[str, Any]) -> dict[str, Any]:
    rows = fields.get("connector_authentications")
    return dict(fields) if rows is None else {**fields, "connector_authentications": [_authentication(r) for r in rows]}


def _authentication(row: Mapping[str, Any]) -> ConnectorAuthentication:
    from cyclr_async.v1 import ConnectorAuthentication  # noqa: PLC0415 - cattrs, which help does without

    given = {_NAMES[name]: value for name, value in row.items() if value is not None}
    properties = given.get("properties", [])
    if not isinstance(properties, list) or not all(
        isinstance(one, dict) and isinstance(one.get("Name"), str) for one in properties
    ):
        raise click.UsageError("--authentications: Properties must be a list of objects with Name and Value")
    given["properties"] = {one["Name"]: one.get("Value") for one in properties}
    return ConnectorAuthentication(**given)


def _link(
    options: Options,
    call: Callable[[Session, float | None], Any],
    account_id: str | None,
    *,
    dry_run: bool,
) -> None:
    # An answer without an id is about the account that was asked for.
    def made(link: Any) -> dict[str, Any]:
        return {
            "account_id": account_id if link.account_id is None else link.account_id,
            "expires_at": link.expires_at,
            "url": link.url.reveal(),
        }

    write_one(options, call, _COLUMNS, made=made, dry_run=dry_run)
