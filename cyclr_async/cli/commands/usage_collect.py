"""``cyclr usage collect``."""

from __future__ import annotations

import re
import shlex
from datetime import date, timedelta
from pathlib import Path

import click

from cyclr_async.cli.collecting import DEFAULT_STORE, SUBSET_STORE, Job, run_collection
from cyclr_async.cli.options import Command, Options, current, knows_both_apis
from cyclr_async.cli.param_types import CONCURRENCY, DAY, DURATION, STORE
from cyclr_async.cli.settings import chosen_api, simulated
from cyclr_async.cli.text_input import read_text
from cyclr_async.cli.worker_processes import check_workers, worker_options

__all__ = ["collect"]


@click.command(
    cls=Command,
    examples=(
        "cyclr usage collect --simulate",
        "cyclr usage collect --from-date 2026-10-01 --out october.csv",
        "cyclr usage collect --api v1 --subaccounts",
        "cyclr usage collect -o jsonl | jq -c '[.account_id, .task_count]'",
    ),
)
@knows_both_apis
@click.option("--from-date", type=DAY, metavar="YYYY-MM-DD", help="First day of the period; the last bill date.")
@click.option("--accounts", metavar="FILE", help="Only these account ids, one per line; - reads standard input.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N accounts.")
@click.option("--subaccounts", is_flag=True, help="With --api v1: those of every account too, noted as theirs.")
@click.option("--concurrency", type=CONCURRENCY, metavar="N", help="Calls at once at most. [32]")
@click.option("--store", type=STORE, metavar="FILE", help="Keep the results here. [./cyclr-usage.sqlite]")
@click.option("--max-age", type=DURATION, metavar="TIME", help="Go on with a run only while younger. [24h]")
@worker_options
@click.option("--fresh", is_flag=True, help="Begin a new run, also when an unfinished one could go on.")
@click.pass_context
def collect(
    ctx: click.Context,
    from_date: date | None,
    accounts: str | None,
    limit: int | None,
    subaccounts: bool,
    concurrency: int | None,
    store: Path | None,
    max_age: timedelta | None,
    workers: int | None,
    dask: str | None,
    fresh: bool,
) -> None:
    """Collect the usage of every account.

    Results are kept in a store: the same command goes on where it was interrupted, and asks only for what is missing,
    while the unfinished run is younger than --max-age (90m, 24h, 2d or plain seconds). Later it begins a new run.
    """
    options = current(ctx)
    check_workers(options, workers, dask)
    api = chosen_api(options).value.reveal()
    _check_api(options, api, from_date, subaccounts=subaccounts, few=accounts is not None or limit is not None)
    if store is None and not simulated(options):
        store = DEFAULT_STORE if accounts is None and limit is None else SUBSET_STORE
    # Everything that decides which run goes on; secrets are in none of it.
    words = ["cyclr", "usage", "collect"] + (["--simulate"] if simulated(options) else [])
    place = {"--simulate-accounts": options.simulate_accounts, "--profile": options.profile, "--region": options.region}
    place |= {"--base-url": options.base_url, "--token-url": options.token_url, "--v1-url": options.v1_url}
    place |= {"--partner": options.partner, "--client-id": options.client_id}
    given = {**place, "--from-date": from_date, "--accounts": accounts, "--limit": limit, "--store": store}
    given |= {"--workers": workers, "--dask": dask}
    given["--max-age"] = None if max_age is None else f"{max_age.total_seconds():.0f}"
    for name, value in given.items():
        words += [] if value is None else [name, str(value)]
    # Said even if a variable or a profile says it: where the line is run, they may say otherwise.
    words += ["--api", api] if api != "partner" else []
    words += ["--subaccounts"] if subaccounts else []
    for host in options.http_host:
        words += ["--http-host", host]
    job = Job(
        store=store,
        api=api,
        subaccounts=subaccounts,
        from_date=from_date,
        accounts=_ids(accounts),
        limit=limit,
        concurrency=concurrency,
        fresh=fresh,
        max_age=max_age,
        workers=workers,
        dask=dask,
        again=shlex.join(words),
    )
    ctx.exit(run_collection(options, job))


def _check_api(options: Options, api: str, from_date: date | None, *, subaccounts: bool, few: bool) -> None:
    if api == "v1" and from_date is not None:
        who = "--api v1" if options.api else f"{chosen_api(options).label} says v1"
        raise click.UsageError(f"--from-date is for the partner API ({who}): v1.0 tells the current period only")
    if subaccounts and api != "v1":
        raise click.UsageError("--subaccounts is for the v1.0 API: add --api v1")
    if subaccounts and few:
        raise click.UsageError("--subaccounts is for every account: leave --accounts and --limit out")


def _ids(path: str | None) -> tuple[str, ...] | None:
    if path is None:
        return None
    # A mark may stand before any line: files that Windows programs wrote may have been put together.
    lines = (line.removeprefix("\ufeff").strip() for line in re.split(r"\r\n|\r|\n", read_text(path, "--accounts")))
    ids = tuple(dict.fromkeys(line for line in lines if line))
    if not ids:
        raise click.UsageError(f"--accounts {path!r} holds no account id; it takes one per line")
    return ids
