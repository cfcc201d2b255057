"""``cyclr usage query``: a question in SQL."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from cyclr_async.cli.months import takes_store
from cyclr_async.cli.options import Command, current
from cyclr_async.cli.output import Output
from cyclr_async.usage import Engine, query_store

if TYPE_CHECKING:
    from typing import Literal

__all__ = ["query"]


@click.command(
    cls=Command,
    examples=(
        "cyclr usage query \"SELECT * FROM figures WHERE month = '2026-10' ORDER BY task_count DESC\"",
        "cyclr usage query \"SELECT * FROM accounts WHERE state = 'failed'\" -o csv",
    ),
)
@click.argument("sql")
@takes_store
@click.option("--engine", type=click.Choice(get_args(Engine)), default="auto", show_default=True, help="What answers.")
@click.pass_context
def query(ctx: click.Context, sql: str, store: Path, engine: Literal["auto", "sqlite", "duckdb"]) -> None:
    """Ask a store in SQL, over the views figures, observations, accounts, runs, findings and closings.

    Nothing can be changed. DuckDB answers where it is installed, else SQLite.
    """
    with (
        query_store(store, sql, engine=engine) as answer,
        Output(current(ctx), _distinct(answer.columns)) as output,
    ):
        for row in answer.rows:
            output.write(dict(zip(_distinct(answer.columns), row, strict=True)))


def _distinct(columns: tuple[str, ...]) -> tuple[str, ...]:
    """Return names of which none comes twice: a record has each of its fields once."""
    found: list[str] = []
    for name in columns:
        number = 2
        unique = name
        while unique in found:
            unique, number = f"{name}_{number}", number + 1
        found.append(unique)
    return tuple(found)
