"""``cyclr usage``: collect, resume, export, status, rekey."""

from __future__ import annotations

import math
import re
import shlex
from datetime import date, timedelta
from pathlib import Path

import click

from cyclr_async.cli.options import Command, Group, current
from cyclr_async.cli.text_input import read_text

__all__ = ["usage"]

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_LONGEST = 86_400.0 * 36_525
"""A century: beyond that a number of seconds is a mistake, and no date."""
_STORE = click.Path(dir_okay=False, path_type=Path)


class _Day(click.ParamType):  # type: ignore[type-arg]
    name = "date"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> date:
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a day: write it as 2026-10-01", param, ctx)


class _Duration(click.ParamType):  # type: ignore[type-arg]
    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdw]?)", str(value).strip().lower(), re.ASCII)
        seconds = float(found[1]) * _UNITS[found[2]] if found else math.inf
        if seconds > _LONGEST:
            self.fail(f"{value!r} is not a span of time: write it as 90m, 24h, 2d or plain seconds", param, ctx)
        return timedelta(seconds=seconds)


def _ids(path: str | None) -> tuple[str, ...] | None:
    if path is None:
        return None
    # A mark may stand before any line: files that Windows programs wrote may have been put together.
    lines = (line.removeprefix("\ufeff").strip() for line in re.split(r"\r\n|\r|\n", read_text(path, "--accounts")))
    ids = tuple(dict.fromkeys(line for line in lines if line))
    if not ids:
        raise click.UsageError(f"--accounts {path!r} holds no account id; it takes one per line")
    return ids


@click.group(cls=Group)
def usage() -> None:
    """The usage of accounts, for billing."""


@usage.command(
    cls=Command,
    examples=(
        "cyclr usage collect --simulate",
        "cyclr usage collect --from-date 2026-10-01 --out october.csv",
        "cyclr usage collect -o jsonl | jq -c '[.account_id, .task_count]'",
    ),
)
@click.option("--from-date", type=_Day(), metavar="YYYY-MM-DD", help="First day of the period; the last bill date.")
@click.option("--accounts", metavar="FILE", help="Only these account ids, one per line; - reads standard input.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N accounts.")
@click.option("--concurrency", type=click.IntRange(1, 1000), metavar="N", help="Calls at once at most. [32]")
@click.option("--store", type=_STORE, metavar="FILE", help="Keep the results here. [./cyclr-usage.sqlite]")
@click.option("--max-age", type=_Duration(), metavar="TIME", help="Go on with a run only while younger. [24h]")
@click.option("--fresh", is_flag=True, help="Begin a new run, also when an unfinished one could go on.")
@click.pass_context
def collect(
    ctx: click.Context,
    from_date: date | None,
    accounts: str | None,
    limit: int | None,
    concurrency: int | None,
    store: Path | None,
    max_age: timedelta | None,
    fresh: bool,
) -> None:
    """Collect the usage of every account.

    Results are kept in a store: the same command goes on where it was interrupted, and asks only for what is missing,
    while the unfinished run is younger than --max-age (90m, 24h, 2d or plain seconds). Later it begins a new run.
    """
    from cyclr_async.cli.commands.usage_collect import DEFAULT_STORE, SUBSET_STORE, Job  # noqa: PLC0415 - help must start fast
    from cyclr_async.cli.commands.usage_collect import collect as run  # noqa: PLC0415
    from cyclr_async.cli.settings import simulated  # noqa: PLC0415

    options = current(ctx)
    if store is None and not simulated(options):
        store = DEFAULT_STORE if accounts is None and limit is None else SUBSET_STORE
    words = ["cyclr", "usage", "collect"] + (["--simulate"] if simulated(options) else [])
    place = {"--simulate-accounts": options.simulate_accounts, "--profile": options.profile, "--region": options.region}
    place |= {"--base-url": options.base_url, "--token-url": options.token_url, "--v1-url": options.v1_url}
    place |= {"--partner": options.partner, "--client-id": options.client_id}
    given = {**place, "--from-date": from_date, "--accounts": accounts, "--limit": limit, "--store": store}
    given["--max-age"] = None if max_age is None else f"{max_age.total_seconds():.0f}"
    for name, value in given.items():
        words += [] if value is None else [name, str(value)]
    for host in options.http_host:
        words += ["--http-host", host]
    job = Job(
        store=store,
        from_date=from_date,
        accounts=_ids(accounts),
        limit=limit,
        concurrency=concurrency,
        fresh=fresh,
        max_age=max_age,
        again=shlex.join(words),
    )
    ctx.exit(run(options, job))


@usage.command(cls=Command, examples=("cyclr usage resume", "cyclr usage resume --store october.sqlite"))
@click.option("--store", type=_STORE, metavar="FILE", help="The store. [./cyclr-usage.sqlite]")
@click.option("--concurrency", type=click.IntRange(1, 1000), metavar="N", help="Calls at once at most. [32]")
@click.option("--max-age", type=_Duration(), metavar="TIME", help="Go on with a run only while younger. [24h]")
@click.pass_context
def resume(ctx: click.Context, store: Path | None, concurrency: int | None, max_age: timedelta | None) -> None:
    """Go on with the unfinished run of a store; only what is missing is asked for."""
    from cyclr_async.cli.commands.usage_collect import DEFAULT_STORE, Job  # noqa: PLC0415 - help must start fast
    from cyclr_async.cli.commands.usage_collect import collect as run  # noqa: PLC0415
    from cyclr_async.cli.terminal import echo  # noqa: PLC0415
    from cyclr_async.usage import UsageReader  # noqa: PLC0415

    options = current(ctx)
    store = store or DEFAULT_STORE
    with UsageReader(store) as reader:
        unfinished = next((found for found in reader.runs() if found.resumable), None)
    if unfinished is None:
        echo(options, f"nothing to resume in {store}: its last run is complete")
        return
    words = ["cyclr", "usage", "resume", "--store", str(store)]
    words += [] if max_age is None else ["--max-age", f"{max_age.total_seconds():.0f}"]
    job = Job(store=store, resume=True, concurrency=concurrency, max_age=max_age, again=shlex.join(words))
    ctx.exit(run(options, job))


@usage.command(
    cls=Command,
    examples=("cyclr usage export --out october.csv", "cyclr usage export --out usage.parquet --all-observations"),
)
@click.option("--store", type=_STORE, metavar="FILE", help="The store. [./cyclr-usage.sqlite]")
@click.option("--run", "run_id", type=click.IntRange(1), metavar="N", help="The run; the newest one by default.")
@click.option("--all-observations", is_flag=True, help="Every observation, not only the last of each account.")
@click.option("--raw", is_flag=True, help="CSV: do not guard texts against being run as formulas.")
@click.option("--excel", is_flag=True, help="CSV: begin with a byte order mark, for Excel.")
@click.option("--text", is_flag=True, help="CSV: ' before ids, names and audit texts with a digit: no number, no date.")
@click.pass_context
def export(
    ctx: click.Context,
    store: Path | None,
    run_id: int | None,
    all_observations: bool,
    raw: bool,
    excel: bool,
    text: bool,
) -> None:
    """Write what a store holds as CSV, JSON Lines, JSON or Parquet."""
    from cyclr_async.cli.commands.usage_collect import DEFAULT_STORE  # noqa: PLC0415 - help must start fast
    from cyclr_async.cli.commands.usage_export import export_store  # noqa: PLC0415

    options = {"all_observations": all_observations, "raw": raw, "excel": excel, "text": text}
    export_store(current(ctx), store or DEFAULT_STORE, run_id, **options)


@usage.command(cls=Command, examples=("cyclr usage repair", "cyclr usage repair --store october.sqlite"))
@click.option("--store", type=_STORE, metavar="FILE", help="The store. [./cyclr-usage.sqlite]")
@click.pass_context
def repair(ctx: click.Context, store: Path | None) -> None:
    """Save what is sound of a damaged store; the old file is kept beside it.

    What was lost is asked for by the next collection, if it continues the run.
    """
    from cyclr_async.cli.commands.usage_collect import DEFAULT_STORE  # noqa: PLC0415 - help must start fast
    from cyclr_async.cli.commands.usage_export import repair_damaged  # noqa: PLC0415

    ctx.exit(repair_damaged(current(ctx), store or DEFAULT_STORE))


@usage.command(cls=Command, examples=("cyclr usage status", "cyclr usage status --store october.sqlite -o json"))
@click.option("--store", type=_STORE, metavar="FILE", help="The store. [./cyclr-usage.sqlite]")
@click.pass_context
def status(ctx: click.Context, store: Path | None) -> None:
    """Show the runs of a store and how far each is."""
    from cyclr_async.cli.commands.usage_collect import DEFAULT_STORE  # noqa: PLC0415 - help must start fast
    from cyclr_async.cli.commands.usage_export import list_runs  # noqa: PLC0415

    list_runs(current(ctx), store or DEFAULT_STORE)


@usage.command(
    cls=Command,
    examples=(
        "cyclr usage rekey --store usage.sqlite --partner partner.example.com",
        "cyclr usage rekey --store usage.sqlite --from-credentials --yes",
    ),
)
@click.option("--store", type=_STORE, metavar="FILE", help="The store. [./cyclr-usage.sqlite]")
@click.option("--from-credentials", is_flag=True, help="The name that the credentials show, instead of --partner.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def rekey(ctx: click.Context, store: Path | None, from_credentials: bool, yes: bool) -> None:
    """Give a store the name of its partner anew, when that has changed: nothing else in it changes."""
    from cyclr_async.cli.commands.usage_collect import DEFAULT_STORE  # noqa: PLC0415 - help must start fast
    from cyclr_async.cli.commands.usage_rekey import rekey as run  # noqa: PLC0415

    options = current(ctx)
    if from_credentials == (options.partner is not None):
        raise click.UsageError("give the new name with --partner NAME, or take it --from-credentials; one of the two")
    ctx.exit(run(options, store or DEFAULT_STORE, yes=yes))
