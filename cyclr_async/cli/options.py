"""The options that every command has, before or after its name, and how help is laid out."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field  # attrs would cost help 40 ms
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from click.shell_completion import CompletionItem

from cyclr_async.cli.command_table import COMMANDS, Entry
from cyclr_async.cli.param_types import ParamType
from cyclr_async.settings import APIS

if TYPE_CHECKING:
    from cyclr_async.cli.settings import Settings

__all__ = ["FORMATS", "Command", "Group", "Options", "current", "knows_both_apis"]

F = TypeVar("F", bound=Callable[..., Any])

FORMATS: Final = ("table", "json", "jsonl", "csv", "markdown", "xlsx", "parquet")


@dataclass(slots=True)
class Options:
    """What was given on the command line; None or False where nothing was."""

    profile: str | None = None
    output: str | None = None
    out: str | None = None
    fields: str | None = None
    quiet: bool = False
    verbose: int = 0
    log_json: bool = False
    no_progress: bool = False
    no_color: bool = False
    debug: bool = False
    simulate: bool | None = None
    simulate_accounts: int | None = None
    region: str | None = None
    base_url: str | None = None
    token_url: str | None = None
    v1_url: str | None = None
    client_id: str | None = None
    partner: str | None = None
    api: str | None = None
    client_secret_file: str | None = None
    client_secret_stdin: bool = False
    timeout: float | None = None
    shared: str | None = None
    http_host: tuple[str, ...] = ()
    resolved: Settings | None = field(default=None, repr=False)
    """The settings, found once: a secret on standard input can be read only once."""


class _Seconds(ParamType):
    name = "seconds"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            number = float(str(value))
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and number > 0):
            self.fail(f"{value!r} is not a number of seconds, more than 0", param, ctx)
        return number


def current(ctx: click.Context) -> Options:
    """Return the shared options of this invocation."""
    options: Options = ctx.find_root().ensure_object(Options)
    return options


def _keep(ctx: click.Context, param: click.Parameter, value: object) -> None:
    # An option may stand before the command, after it, or both: the one after it wins.
    assert param.name is not None
    if ctx.get_parameter_source(param.name) is click.core.ParameterSource.COMMANDLINE:
        setattr(current(ctx), param.name, value)


def _shared(*names: str, **settings: Any) -> click.Option:
    return click.Option(list(names), expose_value=False, callback=_keep, **settings)


SHARED: Final = (
    _shared("-o", "--output", type=click.Choice(FORMATS), help="Format; table on a terminal, jsonl in a pipe."),
    _shared("--out", type=click.Path(dir_okay=False), metavar="FILE", help="Write here; the suffix names the format."),
    _shared("--fields", metavar="A,B,C", help="Only these fields, in this order."),
    _shared("--simulate", is_flag=True, help="Run against a simulated API on this machine. [env: CYCLR_SIMULATE=1]"),
    _shared("--simulate-accounts", type=click.IntRange(0, 1_000_000), metavar="N", help="Simulated accounts. [50]"),
    _shared("--profile", metavar="NAME", help="Profile of the configuration file. [env: CYCLR_PROFILE]"),
    _shared("--region", metavar="NAME", help="US, US2, UK, EU or APAC. [env: CYCLR_REGION]"),
    _shared("--base-url", metavar="URL", help="API root of a private instance. [env: CYCLR_BASE_URL]"),
    _shared("--token-url", metavar="URL", help="Token endpoint of a private instance. [env: CYCLR_TOKEN_URL]"),
    _shared("--v1-url", metavar="URL", help="Root of the v1.0 API of a private instance. [env: CYCLR_V1_URL]"),
    _shared(
        "--http-host",
        multiple=True,
        metavar="NAME",
        help="A host for plain http, such as a container with the simulator.",
    ),
    _shared("--client-id", metavar="ID", help="OAuth client id. [env: CYCLR_CLIENT_ID]"),
    _shared("--partner", metavar="NAME", help="Name of the partner, for stores. [env: CYCLR_PARTNER]"),
    _shared("--client-secret-file", type=click.Path(), metavar="FILE", help="Read the client secret from a file."),
    _shared("--client-secret-stdin", is_flag=True, help="Read the client secret from standard input."),
    _shared("--timeout", type=_Seconds(), metavar="SECONDS", help="For each call. [env: CYCLR_TIMEOUT]"),
    _shared(
        "--shared",
        metavar="PLACE",
        help="A path or redis:// URL: one token and rate with other processes. [env: CYCLR_SHARED]",
    ),
    _shared("--no-progress", is_flag=True, help="No progress bar."),
    _shared("--no-color", is_flag=True, help="No colours. [env: NO_COLOR]"),
    _shared("-q", "--quiet", is_flag=True, help="Data and errors only."),
    _shared("-v", "--verbose", count=True, help="Log what happens; -vv logs more."),
    _shared("--log-json", is_flag=True, help="Log as JSON Lines."),
    _shared("--debug", is_flag=True, help="Show a traceback when something fails."),
)


def knows_both_apis(function: F) -> F:
    """Give a command the option ``--api``; :func:`~cyclr_async.cli.settings.chosen_api` says which is meant."""
    return click.option(
        "--api",
        type=click.Choice(APIS, case_sensitive=False),
        expose_value=False,
        callback=_keep,
        help="Which of the two APIs. [env: CYCLR_API]  [partner]",
    )(function)


class _Help(click.Command):
    """Help with examples before the options, and the shared options last."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples: tuple[str, ...] = tuple(examples)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_help_text(ctx, formatter)
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"{'':{formatter.current_indent}}{example}\n")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        shared = {id(option) for option in SHARED}
        own: list[tuple[str, str]] = []
        common: list[tuple[str, str]] = []
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and record[1]:  # an argument stands in the first line already
                (common if id(param) in shared else own).append(record)
        for title, records in (("Options", own), ("Options of every command", common)):
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


class Command(_Help):
    """A command that also takes the shared options."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the parameters of the command and the shared options."""
        return [*super().get_params(ctx), *SHARED]

    def invoke(self, ctx: click.Context) -> Any:
        """Run it, with the log that was asked for before or after its name: only now are all options known."""
        options = current(ctx)
        if not options.verbose and not options.log_json:
            return super().invoke(ctx)
        from cyclr_async.cli.logs import logging_to_stderr  # noqa: PLC0415 - nobody pays for what is not asked for

        with logging_to_stderr(options, ctx.command_path):
            return super().invoke(ctx)


class Group(_Help, click.Group):
    """A group whose commands stand in the command table; a command is imported when it is called, and no earlier.

    Args:
        path: its name in the table; empty for the program itself.
    """

    command_class: type[click.Command] | None = Command

    def __init__(self, *args: Any, path: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        depth = len(path.split())
        # Also where click looks for a name that resembles a mistyped one.
        self._entries = {
            full.rpartition(" ")[2]: (full, entry)
            for full, entry in COMMANDS.items()
            if full.rpartition(" ")[0] == path and len(full.split()) == depth + 1
        }

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of the table."""
        return list(self._entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        """Import a command; a group is made from the table."""
        found = self.commands.get(cmd_name)
        if found is None and cmd_name in self._entries:
            found = self.commands[cmd_name] = _loaded(*self._entries[cmd_name])
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the first word names."""
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand as error:
            # click compares a mistyped name with commands that were loaded, which here is none.
            raise click.exceptions.NoSuchCommand(error.command_name, possibilities=self._entries, ctx=ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands with their lines in the table: click would load each to ask it."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, (_, entry) in self._entries.items()])

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands, then the options."""
        self.format_commands(ctx, formatter)
        super().format_options(ctx, formatter)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the name of a command from the table, or an option."""
        names = [
            CompletionItem(name, help=entry.help)
            for name, (_, entry) in self._entries.items()
            if name.startswith(incomplete)
        ]
        # Not that of click's groups, which loads every command.
        return names + click.Command.shell_complete(self, ctx, incomplete)


def _loaded(path: str, entry: Entry) -> click.Command:
    if not entry.target:
        return Group(path.rpartition(" ")[2], path=path, help=entry.help, examples=(entry.example,))
    module, _, attribute = entry.target.partition(":")
    command: click.Command = getattr(importlib.import_module(f"cyclr_async.cli.commands.{module}"), attribute)
    return command


class Root(Group):
    """The program itself: it takes the shared options too, before the command."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the parameters of the command and the shared options."""
        return [*super().get_params(ctx), *SHARED]
