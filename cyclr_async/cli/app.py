"""The ``cyclr`` program: its commands, and nothing that needs more than click."""

from __future__ import annotations

import click

from cyclr_async._version import __version__
from cyclr_async.cli.commands.accounts import accounts
from cyclr_async.cli.commands.config import config
from cyclr_async.cli.commands.partner import connectors, partner, plans, token
from cyclr_async.cli.commands.simulate import simulate
from cyclr_async.cli.commands.usage import usage
from cyclr_async.cli.options import Command, Group, Root

__all__ = ["app"]


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    import platform  # noqa: PLC0415 - help must start fast
    from importlib import metadata  # noqa: PLC0415

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
    """The Cyclr partner API on the command line: accounts, usage for billing, sign-in links, connectors.

    Credentials come from CYCLR_CLIENT_ID and CYCLR_CLIENT_SECRET, or a profile; --simulate needs none.
    """


@click.command(
    cls=Command,
    examples=('eval "$(cyclr completion bash)"', "cyclr completion fish > ~/.config/fish/completions/cyclr.fish"),
)
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
def completion(shell: str) -> None:
    """Print the completion script of a shell."""
    from click.shell_completion import get_completion_class  # noqa: PLC0415 - only a shell asks

    made = get_completion_class(shell)
    assert made is not None
    complete = made(app, {}, "cyclr", "_CYCLR_COMPLETE")
    click.echo(complete.source_template % complete.source_vars())


for command in (accounts, partner, plans, connectors, token, usage, simulate, config, completion):
    app.add_command(command)
assert isinstance(app, Group)
