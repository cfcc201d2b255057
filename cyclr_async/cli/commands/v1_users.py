"""``cyclr v1 users``."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import click

from cyclr_async.cli.confirm import or_nothing
from cyclr_async.cli.options import Command, current
from cyclr_async.cli.records import Session, write_list, write_one
from cyclr_async.cli.secret_input import secret_options, take_secrets

__all__ = ["add", "list_users", "password", "remove"]


@click.command("list", cls=Command, examples=("cyclr v1 users list tenant-42", "cyclr v1 users list tenant-42 -o json"))
@click.argument("account_id")
@click.pass_context
def list_users(ctx: click.Context, account_id: str) -> None:
    """List the users of an account."""
    options = current(ctx)

    async def found(session: Session) -> AsyncGenerator[str, None]:
        for one in await session.v1.users.list(account_id, timeout=options.timeout):
            yield one

    write_list(options, found, ("username",), made=lambda name: {"username": name})


@click.command(
    cls=Command,
    examples=(
        "cyclr v1 users add tenant-42 jo@example.com --password-file password.txt",
        "pass show jo | cyclr v1 users add tenant-42 jo@example.com --password-stdin",
    ),
)
@click.argument("account_id")
@click.argument("username")
@secret_options("password", "the password of a new user")
@click.option("--dry-run", is_flag=True, help="Show the request and send nothing.")
@click.pass_context
def add(ctx: click.Context, /, account_id: str, username: str, dry_run: bool, **secret: Any) -> None:
    """Give a user access to an account; one that does not exist is created, and needs a password."""
    options = current(ctx)
    # None is no mistake: a user that exists has a password, and need not be given another.
    given = take_secrets(options, secret, "password")["password"]

    async def call(session: Session, time: float | None) -> None:
        await session.v1.users.add(account_id, username, given, timeout=time)

    made = {"account_id": account_id, "username": username}
    write_one(options, call, ("account_id", "username"), made=lambda _: made, dry_run=dry_run)


@click.command(
    cls=Command,
    examples=(
        "cyclr v1 users password jo@example.com --password-file password.txt",
        "cyclr v1 users password jo@example.com --password-stdin",
    ),
)
@click.argument("username")
@secret_options("password", "the new password")
@click.option("--dry-run", is_flag=True, help="Show the request and send nothing.")
@click.pass_context
def password(ctx: click.Context, /, username: str, dry_run: bool, **secret: Any) -> None:
    """Give a user a new password."""
    options = current(ctx)
    given = take_secrets(options, secret, "password")["password"]
    if given is None:
        raise click.UsageError("give the new password with --password-file or --password-stdin")

    async def call(session: Session, time: float | None) -> None:
        await session.v1.users.set_password(username, given, timeout=time)

    write_one(options, call, ("username",), made=lambda _: {"username": username}, dry_run=dry_run)


@click.command(
    cls=Command,
    examples=(
        "cyclr v1 users remove tenant-42 jo@example.com",
        "cyclr v1 users remove tenant-42 jo@example.com --yes",
    ),
)
@click.argument("account_id")
@click.argument("username")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Show the request and send nothing.")
@click.pass_context
def remove(ctx: click.Context, account_id: str, username: str, yes: bool, dry_run: bool) -> None:
    """Take a user's access to an account away."""
    options = current(ctx)
    # The user may be somebody's only way into the account.
    or_nothing(ctx, options, f"Remove {username!r} from the account {account_id!r}?", yes=yes or dry_run)

    async def call(session: Session, time: float | None) -> None:
        await session.v1.users.remove(account_id, username, timeout=time)

    made = {"account_id": account_id, "username": username, "removed": True}
    write_one(options, call, tuple(made), made=lambda _: made, dry_run=dry_run)
