"""``cyclr v1 connectors``: the catalogue."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, Final

import click

from cyclr_async.cli.options import Command, current
from cyclr_async.cli.param_types import connector_of
from cyclr_async.cli.records import Session, write_list, write_one

__all__ = ["get", "list_connectors", "methods"]

_LISTED: Final = (
    "id",
    "name",
    "version",
    "status",
    "auth_type",
    "categories",
    "description",
    "is_system_connector",
)
_COLUMNS: Final = (*_LISTED, "auth_description", "oauth2_type", "auth_scheme", "authentication", "parameters")
# No description: those of Cyclr's catalogue are paragraphs.
_TABLE: Final = ("id", "name", "version", "status", "auth_type")
# Parameters and fields of a method come by the hundred: cyclr api shows them.
_METHODS: Final = (
    "id",
    "name",
    "category",
    "method_type",
    "method_unique_identifier",
    "description",
    "end_point",
    "warning",
)
_METHOD_TABLE: Final = ("id", "category", "name", "method_type")


@click.command(
    "list",
    cls=Command,
    examples=("cyclr v1 connectors list --query mail", "cyclr v1 connectors list --category CRMs -o csv"),
)
@click.option("--query", metavar="TEXT", help="A part of the name.")
@click.option("--category", metavar="NAME", help="Only this category.")
@click.option("--custom", "include_custom", is_flag=True, default=None, help="Also those that accounts have made.")
@click.option("--account", metavar="ID", help="As this account sees them.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N connectors.")
@click.pass_context
def list_connectors(ctx: click.Context, /, account: str | None, limit: int | None, **given: Any) -> None:
    """List the connectors of the catalogue, page after page."""
    options = current(ctx)
    write_list(
        options,
        lambda session: _catalogue(session, account).iter(timeout=options.timeout, **given),
        _LISTED,
        table=_TABLE,
        limit=limit,
    )


@click.command(
    cls=Command,
    examples=("cyclr v1 connectors get 5122 -o json", "cyclr v1 connectors get Mailchimp v3"),
)
@click.argument("connector")
@click.argument("version", required=False)
@click.option("--account", metavar="ID", help="As this account sees it.")
@click.pass_context
def get(ctx: click.Context, connector: str, version: str | None, account: str | None) -> None:
    """Show a connector by its id, or all of a name: what it signs in with, and what it needs.

    A name gives a list, because a connector has several versions.
    """
    options = current(ctx)
    which = connector_of(connector, version)
    if isinstance(which, int):
        # One record and not a list of one, as the service answers an id.
        write_one(options, lambda session, time: _catalogue(session, account).get(which, timeout=time), _COLUMNS)
        return

    async def found(session: Session) -> AsyncGenerator[Any, None]:
        for one in await _catalogue(session, account).get(which, version, timeout=options.timeout):
            yield one

    write_list(options, found, _COLUMNS, table=_TABLE)


@click.command(
    cls=Command,
    examples=("cyclr v1 connectors methods 5122", "cyclr v1 connectors methods Mailchimp v3 --query list"),
)
@click.argument("connector")
@click.argument("version", required=False)
@click.option("--query", metavar="TEXT", help="A part of the name of the method.")
@click.option("--category", metavar="NAME", help="Only this category.")
@click.option("--account", metavar="ID", help="As this account sees it.")
@click.pass_context
def methods(ctx: click.Context, /, connector: str, version: str | None, account: str | None, **given: Any) -> None:
    """List the methods of a connector."""
    options = current(ctx)
    which = connector_of(connector, version)

    async def found(session: Session) -> AsyncGenerator[Any, None]:
        for one in await _catalogue(session, account).methods(which, version, timeout=options.timeout, **given):
            yield one

    write_list(options, found, _METHODS, table=_METHOD_TABLE)


# Whether the catalogue needs an account is not known for sure, so one can be given and none has to.
def _catalogue(session: Session, account: str | None) -> Any:
    return session.v1.connectors if account is None else session.v1.account(account).catalogue
