"""Questions before something is done that cannot be undone."""

from __future__ import annotations

import sys

import click

from cyclr_async.cli.options import Options
from cyclr_async.cli.terminal import echo
from cyclr_async.wire.text import escape_terminal

__all__ = ["confirmed", "or_nothing"]


def confirmed(question: str, *, yes: bool) -> bool:
    """Ask, unless the answer was given with ``--yes``.

    Raises:
        click.UsageError: nobody is there to ask.
    """
    if yes:
        return True
    question = escape_terminal(question)
    # A job without a terminal would wait for ever, or take the end of its input for an answer.
    if sys.stdin is None or not sys.stdin.isatty():
        raise click.UsageError(f"{question} Nobody is here to ask: add --yes")
    # On standard error, because standard output carries data only.
    return click.confirm(question, err=True)


def or_nothing(ctx: click.Context, options: Options, question: str, *, yes: bool) -> None:
    """Go on when the answer is yes, and end the command with 1 when it is no."""
    if not confirmed(question, yes=yes):
        echo(options, "nothing was changed")
        ctx.exit(1)
