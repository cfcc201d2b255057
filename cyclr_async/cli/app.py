"""The ``cyclr`` program itself. Its commands are in the table, and loaded when they are called."""

from __future__ import annotations

import platform
from importlib import metadata

import click

from cyclr_async._version import __version__
from cyclr_async.cli.options import Root

__all__ = ["app"]


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    # From its metadata: aiohttp itself takes longer to import than all of the command.
    try:
        aiohttp = metadata.version("aiohttp")
    except metadata.PackageNotFoundError:
        aiohttp = "missing"
    click.echo(f"cyclr {__version__} (Python {platform.python_version()}, aiohttp {aiohttp}, {platform.platform()})")
    ctx.exit()


@click.group(
    cls=Root,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    examples=("cyclr usage collect --simulate", "cyclr accounts list -o json --region eu"),
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show versions.")
def app() -> None:
    """The Cyclr APIs on the command line: usage for billing, accounts, sign-in links, connectors, cycles.

    What is under v1 uses the v1.0 API, api either of the two, and the other commands the partner API.

    Credentials come from CYCLR_CLIENT_ID and CYCLR_CLIENT_SECRET, or a profile; --simulate needs none.
    """
