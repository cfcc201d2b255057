"""``cyclr completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from cyclr_async.cli.options import Command

__all__ = ["completion"]


@click.command(
    cls=Command,
    examples=('eval "$(cyclr completion bash)"', "cyclr completion fish > ~/.config/fish/completions/cyclr.fish"),
)
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell."""
    made = get_completion_class(shell)
    assert made is not None
    complete = made(ctx.find_root().command, {}, "cyclr", "_CYCLR_COMPLETE")
    click.echo(complete.source_template % complete.source_vars())
