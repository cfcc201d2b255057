"""``cyclr partner``."""

from __future__ import annotations

from typing import Final

import click

from cyclr_async.cli.connect import connected
from cyclr_async.cli.options import Command, Options, current
from cyclr_async.cli.output import Output
from cyclr_async.cli.signals import run_async

__all__ = ["partner"]

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
    run_async(_partner(current(ctx)))


async def _partner(options: Options) -> None:
    with Output(options, _PARTNER, many=False, table=_PARTNER[:10]) as output:
        async with connected(options) as session:
            details = await session.details(timeout=options.timeout)
            output.write({name: getattr(details, name) for name in _PARTNER})
