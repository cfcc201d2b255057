"""``--workers`` and ``--dask``: who asks for the accounts of a collection besides this process."""

from __future__ import annotations

import importlib
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import attrs
import click

import cyclr_async
from cyclr_async.cli.options import Options
from cyclr_async.cli.settings import resolve, simulated
from cyclr_async.cli.terminal import echo
from cyclr_async.config import Limits
from cyclr_async.errors import ConfigurationError

if TYPE_CHECKING:
    from cyclr_async.session import AsyncPartnerSession
    from cyclr_async.usage.collect.fan_out import FanOut

__all__ = ["WorkerSession", "check_workers", "fan_out_of", "worker_options"]

_log: Final = logging.getLogger("cyclr_async.cli")

_POOL_BATCH: Final = 250
"""Accounts of a batch for a process of this machine: a pipe is cheap, and less is asked again when the command ends."""
_DASK_BATCH: Final = 1000
"""The same for Dask, whose scheduler takes some milliseconds for each batch."""
_WAITING: Final = 2
"""Batches for each worker: one that it works on, and one that waits beside it."""
_CONNECT: Final = 10.0
"""Seconds for the scheduler to answer: it is there, or its address is wrong."""
_FIRST_WORKER: Final = 60.0
"""Seconds for the first worker to be there: a container may still be starting."""

_FAREWELL: Final = 2.0
"""Seconds for the scheduler to take note that this process leaves."""

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


def worker_options(command: CommandT) -> CommandT:
    """Add the options to a command that collects."""
    dask = click.option(
        "--dask", metavar="ADDRESS", help="Have the workers of this Dask scheduler ask; tcp://host:8786."
    )
    workers = click.option(
        "--workers", type=click.IntRange(1, 256), metavar="N", help="Have N processes of this machine ask."
    )
    return workers(dask(command))


def check_workers(options: Options, workers: int | None, dask: str | None) -> None:
    """Refuse what cannot work, before anything is opened.

    Raises:
        UsageError: both are given, or the workers could not make a session of their own.
    """
    if workers is None and dask is None:
        return
    name = "--workers" if dask is None else "--dask"
    if workers is not None and dask is not None:
        raise click.UsageError("give --workers, for processes of this machine, or --dask, for those of a cluster")
    if simulated(options):
        raise click.UsageError(f"{name} is for the real API, or for a simulator that runs by itself (cyclr simulate)")
    if options.client_secret_stdin:
        raise click.UsageError(
            f"{name}: each worker makes a session of its own, and standard input can be read only once. Use "
            "--client-secret-file, CYCLR_CLIENT_SECRET or a profile"
        )


@attrs.frozen(kw_only=True)
class WorkerSession:
    """Makes the session of a worker process of this machine, from the same flags, environment and profile.

    Nothing secret is in it: a worker reads that where this process has read it.

    Attributes:
        flags: of :class:`~cyclr_async.cli.options.Options`, by name.
        workers: how many share the rate.
        concurrency: calls at once that the pool of connections must allow, or None.
    """

    flags: dict[str, Any]
    workers: int
    concurrency: int | None

    def __call__(self) -> AsyncPartnerSession:
        """Return the session.

        Raises:
            ConfigurationError: a setting cannot be used.
        """
        arguments = resolve(Options(**self.flags)).arguments()
        limits: Limits = arguments.get("limits", Limits())
        if self.concurrency is not None and "limits" not in arguments:
            limits = Limits(connections=self.concurrency)
        if limits.requests_per_second is not None and "shared" not in arguments:
            limits = attrs.evolve(limits, requests_per_second=limits.requests_per_second / self.workers)
        return cyclr_async.AsyncPartnerSession(**{**arguments, "limits": limits})


_FLAGS: Final = (
    "profile",
    "region",
    "base_url",
    "token_url",
    "v1_url",
    "client_id",
    "partner",
    "api",
    "client_secret_file",
    "timeout",
    "http_host",
)
"""What says where the API is and who asks; a secret is in none of them."""


@contextmanager
def fan_out_of(
    options: Options, *, workers: int | None, dask: str | None, concurrency: int | None
) -> Iterator[FanOut | None]:
    """Start or find the workers of a collection, and let them go afterwards; None without any.

    Args:
        options: the shared options.
        workers: processes of this machine, or None.
        dask: the address of a scheduler, or None.
        concurrency: calls at once of each worker, or None.

    Raises:
        ConfigurationError: Dask is not installed, or its scheduler or workers are not there.
    """
    if workers is not None:
        with _pool(options, workers, concurrency) as fan_out:
            yield fan_out
    elif dask is not None:
        with _cluster(options, dask) as fan_out:
            yield fan_out
    else:
        yield None


@contextmanager
def _pool(options: Options, workers: int, concurrency: int | None) -> Iterator[FanOut]:
    from cyclr_async.usage import FanOut  # noqa: PLC0415 - sqlite, which help does without

    found = resolve(options).found
    if "requests_per_second" in found and "shared" not in found:
        share = float(found["requests_per_second"].value.reveal()) / workers
        echo(options, f"{found['requests_per_second'].label} is split: {share:g} requests per second for each worker")
    place = getattr(options, "shared", None)
    if place is not None:
        # In the environment, which the workers inherit: the URL may hold a password, and what is sent to them must not.
        os.environ["CYCLR_SHARED"] = place
    session = WorkerSession(
        flags={name: getattr(options, name) for name in _FLAGS}, workers=workers, concurrency=concurrency
    )
    before = set(multiprocessing.active_children())
    # Started anew and not forked: this process has threads by now, whose locks a fork could find taken for ever.
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_begin_worker)
    finished = False
    try:
        yield FanOut(executor=pool, session=session, batch=_POOL_BATCH, in_flight=_WAITING * workers)
        finished = True
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        if not finished:
            # They would go on with their batches, for minutes where the rate is low, and nobody would take the answers.
            for child in set(multiprocessing.active_children()) - before:
                child.terminate()


def _begin_worker() -> None:
    """Make a worker process end with the command, however that ends."""
    # Ctrl-C reaches every process of a terminal; the command itself ends its workers, and says what was kept.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), name="cyclr-async-parent", daemon=True).start()


def _end_with(parent: Any) -> None:
    parent.join()
    # A pool has no other way to learn that its owner was killed: its workers would wait for work for ever.
    os._exit(1)


@contextmanager
def _cluster(options: Options, address: str) -> Iterator[FanOut]:
    from cyclr_async.usage import FanOut  # noqa: PLC0415 - as above

    problem = ""
    try:
        distributed = importlib.import_module("distributed")
    except ImportError:
        problem = "--dask needs Dask: pip install 'cyclr-async[dask]'"
    if problem:
        raise ConfigurationError(problem)
    try:
        client: Any = distributed.Client(address, timeout=_CONNECT, name="cyclr-usage-collect")
    except (OSError, ValueError, TypeError) as error:
        problem = f"--dask {address}: no scheduler answers there ({type(error).__name__})"
    if problem:
        raise ConfigurationError(problem)
    try:
        try:
            client.wait_for_workers(1, timeout=_FIRST_WORKER)
        except TimeoutError:
            problem = f"--dask {address}: no worker has come within {_FIRST_WORKER:.0f} s"
        if problem:
            raise ConfigurationError(problem)
        found = client.nthreads()
        threads = sum(found.values())
        echo(options, f"{len(found)} workers with {threads} threads ask; each with CYCLR_* variables of its own")
        # Not pure: every batch is run, also one that looks like another. The engine repeats what a worker died of.
        engine = client.get_executor(pure=False, retries=3)
        yield FanOut(executor=engine, batch=_DASK_BATCH, in_flight=max(4, _WAITING * threads))
    finally:
        # A scheduler that is gone does not answer to a farewell either.
        client.close(timeout=_FAREWELL)
