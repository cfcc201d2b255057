"""The main job: collect usage into a store, show how it goes, and say how it ended."""

from __future__ import annotations

import io
import shlex
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, ExitStack, aclosing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TextIO
from urllib.parse import urlsplit

import attrs
import click

from cyclr_async.cli.connect import connected
from cyclr_async.cli.exit_codes import Exit, InterruptedBySignal
from cyclr_async.cli.options import Options
from cyclr_async.cli.output import Output, chosen_format, stream_broke
from cyclr_async.cli.progress import showing
from cyclr_async.cli.settings import simulated
from cyclr_async.cli.signals import run_async
from cyclr_async.cli.summary import read_summary, summary_lines
from cyclr_async.cli.terminal import echo, forget, print_error, warn
from cyclr_async.cli.worker_processes import fan_out_of
from cyclr_async.errors import BulkInterruptedError, CyclrError, StoreError
from cyclr_async.usage import UsageReader, UsageStore, export_usage
from cyclr_async.usage.export.atomic_file import check_target, replacing
from cyclr_async.usage.export.registry import EXPORTERS
from cyclr_async.usage.store.api_rows import PARTNER_API, V1_API
from cyclr_async.usage.store.rows import COLUMNS, TREE_IDS, row_of_outcome
from cyclr_async.usage.store.runs import MAX_AGE
from cyclr_async.wire.text import duration

if TYPE_CHECKING:
    from cyclr_async.session import AsyncPartnerSession
    from cyclr_async.usage.collect.collection import Collection, V1Collection
    from cyclr_async.usage.collect.fan_out import FanOut
    from cyclr_async.usage.collect.outcome import UsageOutcome, V1UsageOutcome
    from cyclr_async.usage.store.runs import Opening
    from cyclr_async.usage.summary import Summary

__all__ = ["DEFAULT_STORE", "SUBSET_STORE", "Job", "run_collection"]

DEFAULT_STORE: Final = Path("cyclr-usage.sqlite")
SUBSET_STORE: Final = Path("cyclr-usage-subset.sqlite")
"""A few accounts are kept apart: an export takes the newest run of a store, and that should be the whole month.

Runs of different accounts never merge, not even in one store, so all such runs can share this one.
"""


@attrs.frozen(kw_only=True)
class Job:
    """What is collected.

    Attributes:
        store: the file, or None for one that is thrown away.
        again: the command that goes on with this one.
        api: that is asked, ``partner`` or ``v1``; a run that goes on stays with its own.
        subaccounts: those of every account too; of v1.0 only.
        from_date: the day on which the period begins, or None.
        accounts: ids, or None for every account.
        limit: the first so many accounts, or None.
        concurrency: calls at once, or None.
        resume: True to go on with the unfinished run of the store, whatever it collects.
        fresh: True to begin a new run.
        max_age: how old a run may be that is continued; a day when None.
        workers: processes of this machine that ask, or None.
        dask: the address of a scheduler whose workers ask, or None.
    """

    store: Path | None
    again: str
    api: str = PARTNER_API
    subaccounts: bool = False
    from_date: date | None = None
    accounts: tuple[str, ...] | None = None
    limit: int | None = None
    concurrency: int | None = None
    resume: bool = False
    fresh: bool = False
    max_age: timedelta | None = None
    workers: int | None = None
    dask: str | None = None


@attrs.define
class _Progress:
    run_id: int | None = None
    now: datetime | None = None
    plans: dict[str, str] = attrs.field(factory=dict)


def run_collection(options: Options, job: Job) -> Exit:
    """Collect, report, and return the exit code.

    Raises:
        CyclrError: it could not be done; what was collected is in the store.
    """
    form = _form(options)
    if simulated(options):
        echo(options, "to collect real usage: set CYCLR_CLIENT_ID and CYCLR_CLIENT_SECRET, and leave out --simulate")
    with ExitStack() as stack:
        store = job.store
        if store is None:
            store = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cyclr-"))) / "usage.sqlite"
        kept = job.store is not None
        state = _Progress()
        rows = None
        if form != "table" and options.out is None:
            rows = stack.enter_context(_Rows(Output(options, COLUMNS), store if kept else None))
        try:
            with fan_out_of(options, workers=job.workers, dask=job.dask, concurrency=job.concurrency) as fan_out:
                run_async(_collect(options, job, store, state, rows, fan_out))
        except InterruptedBySignal:
            echo(options, _how_far(store, state, job if kept else None))
            return Exit.RESUMABLE if kept else Exit.INTERRUPTED
        except BulkInterruptedError as error:
            error.resumable = error.resumable and kept
            echo(options, _how_far(store, state, job if kept else None))
            raise
        code = _report(options, job, store, state, form, kept=kept)
        return code if rows is None or rows.finished() else Exit.FAILED


class _Rows:
    """Rows on standard output. When that breaks, the collection goes on, because the store keeps them."""

    def __init__(self, output: Output, store: Path | None) -> None:
        self._output = output
        self._store = store
        self._problem: str | None = None

    def __enter__(self) -> Self:
        self._guarded(self._output.__enter__)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._problem is None:
            self._output.__exit__(kind, error, traceback)

    def write(self, row: Mapping[str, Any]) -> None:
        """Write a row, unless standard output is broken.

        Raises:
            BrokenPipeError: nobody wants more rows, which ends a command.
            OSError: it is broken, and no store keeps the rows.
        """
        if self._problem is None:
            self._guarded(lambda: self._output.write(row))

    def _guarded(self, act: Callable[[], object]) -> None:
        try:
            act()
        except BrokenPipeError:
            raise
        except OSError as error:
            if self._store is None:
                raise
            self._problem = error.strerror or type(error).__name__
            forget(sys.stdout)
            warn(f"standard output: {self._problem}; the collection goes on and keeps its rows in {self._store}")

    def finished(self) -> bool:
        """Tell whether every row could be written, and complain if not."""
        if self._problem is not None:
            print_error(f"standard output: {self._problem}; every row is in {self._store}: cyclr usage export")
        return self._problem is None


def _form(options: Options) -> str:
    if options.out is not None:
        try:
            check_target(options.out)  # now, and not after an hour
        except OSError as error:
            raise click.UsageError(f"--out {options.out!r} cannot be written: {error.strerror}") from None
    return chosen_format(options)


async def _collect(
    options: Options, job: Job, store: Path, state: _Progress, rows: _Rows | None, fan_out: FanOut | None
) -> None:
    async with AsyncExitStack() as stack:
        port = _port_of(store) if simulated(options) else 0
        session = await stack.enter_async_context(connected(options, port=port, concurrency=job.concurrency))
        async with await _collection(session, job, store, stack, fan_out) as run:
            assert run.store is not None
            state.run_id = run.store.run_id
            for line in opening_lines(run.store.opening):
                echo(options, line)
            try:
                torn = rows is not None and sys.stdout.isatty()
                async with showing(run, options, rows_on_terminal=torn):
                    async for outcome in run:
                        if rows is not None:
                            rows.write(row_of(outcome, run.store.run_id))
            finally:
                if rows is not None and not stream_broke(sys.exception()):
                    for outcome in run.drain():
                        rows.write(row_of(outcome, run.store.run_id))
        state.now = datetime.fromtimestamp(session.clock.wall(), UTC)
        # Asked for only where a name is shown; v1.0 knows no plans.
        if rows is None and chosen_format_is_table(options) and run.store.scope.api == PARTNER_API:
            state.plans = await _plan_names(session)


async def _collection(
    session: AsyncPartnerSession, job: Job, store: Path, stack: AsyncExitStack, fan_out: FanOut | None
) -> Collection | V1Collection:
    """Return the collection of a job; nothing has been sent by it yet.

    Raises:
        UsageError: the day lies in the future.
    """
    max_age = MAX_AGE if job.max_age is None else job.max_age
    if job.resume:
        opening = UsageStore.open(store, None, resume=True, max_age=max_age, clock=session.clock)
        opened = await stack.enter_async_context(await opening)
        # The run's own, whatever the settings say now: rows of two APIs have different ids.
        if opened.scope.api == V1_API:
            return session.v1.accounts.collect_usage(
                subaccounts=opened.scope.ids == TREE_IDS, concurrency=job.concurrency, store=opened, fan_out=fan_out
            )
        return session.accounts.collect_usage(
            from_date=opened.scope.from_date, concurrency=job.concurrency, store=opened, fan_out=fan_out
        )
    today = datetime.fromtimestamp(session.clock.wall(), UTC).date()
    if job.from_date is not None and job.from_date > today:
        raise click.UsageError(f"--from-date {job.from_date} is in the future: today is {today} (UTC)")
    source, resume = await _source(session, job), False if job.fresh else None
    if job.api == V1_API:
        return session.v1.accounts.collect_usage(
            source,
            subaccounts=job.subaccounts,
            concurrency=job.concurrency,
            store=store,
            resume=resume,
            max_age=max_age,
            fan_out=fan_out,
        )
    return session.accounts.collect_usage(
        source,
        from_date=job.from_date,
        concurrency=job.concurrency,
        store=store,
        resume=resume,
        max_age=max_age,
        fan_out=fan_out,
    )


def opening_lines(opening: Opening) -> list[str]:
    """Say which run goes on, and which unfinished ones were closed because a new one begins."""
    run, now = opening.run, opening.now
    lines = [
        f"run {old.run_id} was unfinished and {duration(old.age(now))} old ({old.counts.ok:,} of {old.counts.asked:,} "
        "accounts): it is closed as abandoned, and a new run begins"
        for old in opening.abandoned
    ]
    if opening.continued:
        lines.append(
            f"going on with run {run.run_id}, begun {duration(now - run.created_at)} ago: {run.counts.ok:,} of "
            f"{run.counts.asked:,} accounts are there"
        )
    return lines


def chosen_format_is_table(options: Options) -> bool:
    """Tell whether people read the result."""
    return _form(options) == "table"


async def _source(session: AsyncPartnerSession, job: Job) -> Any:
    """Return the ids of the job, None for all. The first accounts are read before the run, which is about just them."""
    if job.accounts is not None:
        return job.accounts[: job.limit]
    return None if job.limit is None else [account async for account in _first(session, job)]


async def _first(session: AsyncPartnerSession, job: Job) -> AsyncIterator[Any]:
    async with aclosing(session.v1.accounts.iter() if job.api == V1_API else session.accounts.iter()) as accounts:
        left = job.limit or 0
        async for account in accounts:
            if left <= 0:
                return
            yield account
            left -= 1


async def _plan_names(session: AsyncPartnerSession) -> dict[str, str]:
    try:
        return {plan.id: plan.name for plan in await session.priceplans.list(timeout=10)}
    except CyclrError:
        return {}  # the numbers have to do: the report must not fail for the names


def _port_of(store: Path) -> int:
    """Return the port of the simulated API that a store was made with, 0 when there is none."""
    if not store.exists():
        return 0
    with UsageReader(store) as reader:
        runs = reader.runs()
    place = urlsplit(runs[0].scope.base_url) if runs else None
    if place is None or place.hostname != "127.0.0.1":
        return 0
    return place.port or 0


def row_of(outcome: UsageOutcome | V1UsageOutcome, run_id: int) -> dict[str, Any]:
    """Return an outcome as a row of the export."""
    return attrs.asdict(row_of_outcome(outcome, run_id), recurse=False)


def _report(options: Options, job: Job, store: Path, state: _Progress, form: str, *, kept: bool) -> Exit:
    summary = read_summary(store, state.run_id, now=state.now)

    def draw(stream: TextIO | None = None) -> None:
        from cyclr_async.cli.summary_table import print_summary  # noqa: PLC0415 - rich, which help and pipes do without

        print_summary(summary, options, stream=stream, plans=state.plans)

    if options.out is not None:
        write_file(options, store, state.run_id, form, draw)
    if form == "table" and options.out is None:
        draw()
        sys.stdout.flush()
    else:
        for line in summary_lines(summary):
            echo(options, line)
    code = verdict(summary)
    if kept:
        echo(options, f"kept in {store}; export: cyclr usage export --store {shlex.quote(str(store))} --out usage.csv")
    if summary.counts.failed and kept:
        echo(options, f"to try the failed accounts again: {job.again}")
    return code


def verdict(summary: Summary) -> Exit:
    """Return the exit code for how a finished run turned out.

    A finding is no success: a job that bills on exit code 0 must not bill a negative count, or nobody at all because
    the account list came back empty.
    """
    counts = summary.counts
    if counts.ok == counts.asked:
        return Exit.PARTIAL if summary.finding_count else Exit.DONE
    return Exit.PARTIAL if counts.ok else Exit.FAILED


def write_file(
    options: Options, store: Path, run_id: int | None, form: str, draw: Callable[[Any], None] | None = None
) -> None:
    """Write the run to ``--out``, from the store: everything it holds of the run, not only what was new."""
    assert options.out is not None
    target = Path(options.out)
    if form in EXPORTERS and options.fields is None:
        with UsageReader(store) as reader:
            written = export_usage(reader, target, format=form, run_id=run_id)
        echo(options, f"{written.rows:,} rows in {target}")
        return
    if form == "table" and draw is not None:
        try:
            with replacing(target) as stream:
                text = io.TextIOWrapper(stream, encoding="utf-8")
                draw(text)
                text.flush()
        except OSError as error:
            raise click.FileError(str(target), error.strerror or "cannot be written") from None
        return
    with UsageReader(store) as reader, Output(options, COLUMNS) as output:
        for row in reader.rows(run_id):
            output.write(attrs.asdict(row))


def _how_far(store: Path, state: _Progress, job: Job | None) -> str:
    """Say how far an interrupted run came, and how to go on with it."""
    if job is None:
        return "interrupted; nothing was kept. With --store FILE the next run would go on from here"
    counts = None
    if state.run_id is not None:
        try:
            with UsageReader(store) as reader:
                counts = reader.run(state.run_id).counts
        except StoreError:
            counts = None
    far = "" if counts is None else f" with {counts.ok:,} of {counts.asked:,} accounts in {store}"
    return f"interrupted{far}; to go on: {job.again}"
