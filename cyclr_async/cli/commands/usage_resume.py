"""``cyclr usage resume``."""

from __future__ import annotations

import shlex
from datetime import timedelta
from pathlib import Path

import click

from cyclr_async.cli.collecting import DEFAULT_STORE, Job, run_collection
from cyclr_async.cli.options import Command, current
from cyclr_async.cli.param_types import CONCURRENCY, DURATION, STORE
from cyclr_async.cli.terminal import echo
from cyclr_async.cli.worker_processes import check_workers, worker_options
from cyclr_async.usage import UsageReader

__all__ = ["resume"]


@click.command(cls=Command, examples=("cyclr usage resume", "cyclr usage resume --store october.sqlite"))
@click.option("--store", type=STORE, metavar="FILE", help="The store. [./cyclr-usage.sqlite]")
@click.option("--concurrency", type=CONCURRENCY, metavar="N", help="Calls at once at most. [32]")
@click.option("--max-age", type=DURATION, metavar="TIME", help="Go on with a run only while younger. [24h]")
@worker_options
@click.pass_context
def resume(
    ctx: click.Context,
    store: Path | None,
    concurrency: int | None,
    max_age: timedelta | None,
    workers: int | None,
    dask: str | None,
) -> None:
    """Go on with the unfinished run of a store; only what is missing is asked for."""
    options = current(ctx)
    check_workers(options, workers, dask)
    store = store or DEFAULT_STORE
    with UsageReader(store) as reader:
        unfinished = next((found for found in reader.runs() if found.resumable), None)
    if unfinished is None:
        echo(options, f"nothing to resume in {store}: its last run is complete")
        return
    # The store says what is collected and over which API; only its place and age have to be said again.
    words = ["cyclr", "usage", "resume", "--store", str(store)]
    words += [] if max_age is None else ["--max-age", f"{max_age.total_seconds():.0f}"]
    words += [] if workers is None else ["--workers", str(workers)]
    words += [] if dask is None else ["--dask", dask]
    job = Job(
        store=store,
        resume=True,
        concurrency=concurrency,
        max_age=max_age,
        workers=workers,
        dask=dask,
        again=shlex.join(words),
    )
    ctx.exit(run_collection(options, job))
