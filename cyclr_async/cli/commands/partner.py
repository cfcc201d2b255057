"""``cyclr partner``."""

from __future__ import annotations

from typing import Final

import click

from cyclr_async.cli.options import Command, current
from cyclr_async.cli.records import write_one

__all__ = ["partner"]

# The last four are pages and pictures: they would fill a terminal, and a table leaves them out.
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


@click.command(cls=Command, examples=("cyclr partner --simulate", "cyclr partner -o json --fields domain"))
@click.pass_context
def partner(ctx: click.Context) -> None:
    """Show the settings of the partner; its Intercom keys stay hidden."""
    write_one(current(ctx), lambda session, time: session.details(timeout=time), _PARTNER, table=_PARTNER[:10])
