"""Four months by cron into one store: an account that always fails, one that joins, leaves, or moves its bill day."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from cyclr_async import AsyncPartnerSession
from cyclr_async.simulator import Fault, Simulator
from cyclr_async.usage import UsageReader, summarize
from cyclr_async.usage.collect.collection import Collection
from tests.usage.usage_server import all_of

Row = tuple[str, int | None, str | None, str | None, bool | None]
"""State, tasks, the period's first and last day as the API says it, and whether it was still open."""

FAILED: Row = ("failed", None, None, None, None)
MISSING: Row = ("missing", None, None, None, None)


def closed(tasks: int, start: str, end: str) -> Row:
    return "ok", tasks, start, end, False


def still_open(tasks: int, start: str, end: str) -> Row:
    return "ok", tasks, start, end, True


class Cron:
    """A partner whose accounts are billed on the 9th at 16:23:08, and a collection whenever cron says so."""

    def __init__(self, sim: Simulator, path: Path) -> None:
        self.sim = sim
        self.path = path
        self.ids: dict[str, str] = {}

    async def join(self, session: AsyncPartnerSession, name: str, *figures: tuple[date, int]) -> None:
        """Create an account, with the tasks of the periods that hold these days."""
        account_id = self.ids[name] = await session.accounts.create(name=name)
        for day, tasks in figures:
            self.sim.set_usage(account_id, tasks, 1, period=day)

    def fails(self, name: str, status: int) -> None:
        self.sim.faults.add(Fault.status(status, operation="accounts.usage", account_id=self.ids[name]))

    async def night(self, when: datetime, from_date: date | None = None) -> Collection:
        """Collect at that moment, in a session and a run of its own as cron does."""
        self.sim.clock.set(when)
        async with self.sim.session() as session:
            run = session.accounts.collect_usage(from_date=from_date, store=self.path)
            await all_of(run)
        seen = run.progress
        assert seen.ok + seen.missing + seen.forbidden + seen.failed + seen.pending == seen.asked
        assert seen.oldest_at is None or seen.oldest_at >= when
        return run

    def rows(self) -> dict[str, Row]:
        names = {account_id: name for name, account_id in self.ids.items()}
        with UsageReader(self.path) as reader:
            return {
                names[row.account_id]: (
                    row.state,
                    row.task_count,
                    row.period_from and row.period_from[:10],
                    row.period_to and row.period_to[:10],
                    row.provisional,
                )
                for row in reader.rows()
            }

    def comparison(self) -> tuple[int, int, int] | None:
        """How many accounts are compared, their tasks, and those of the period before."""
        with UsageReader(self.path) as reader:
            found = summarize(reader, now=self.sim.clock.now()).comparison
        return None if found is None else (found.accounts, found.task_count, found.previous_task_count)

    def totals(self) -> dict[str, tuple[int, int, int]]:
        """Accounts, tasks and accounts that are still provisional of every month the store knows."""
        with UsageReader(self.path) as reader:
            return {total.month: (total.accounts, total.task_count, total.provisional) for total in reader.periods()}


def at(month: int, day: int, hour: int = 3) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


@pytest.fixture
async def cron(path: Path) -> AsyncIterator[Cron]:
    began = datetime(2026, 7, 9, 16, 23, 8, tzinfo=UTC)
    async with Simulator(accounts=0, now=began, frozen=True) as sim, sim.session() as session:
        cron = Cron(sim, path)
        days = [date(2026, month, 20) for month in (7, 8, 9, 10)]
        await cron.join(session, "steady", *zip(days, (100, 110, 120, 130), strict=True))
        await cron.join(session, "broken", *zip(days, (1, 1, 1, 1), strict=True))
        await cron.join(session, "leaves", *zip(days, (40, 41, 42, 43), strict=True))
        cron.fails("broken", 400)
        yield cron


async def test_the_night_after_each_bill(cron: Cron) -> None:
    """The month that has closed, asked for by its first day: every figure is final."""
    run = await cron.night(at(8, 10), date(2026, 7, 9))
    assert cron.rows() == {
        "steady": closed(100, "2026-07-09", "2026-08-08"),
        "broken": FAILED,
        "leaves": closed(40, "2026-07-09", "2026-08-08"),
    }
    assert (cron.comparison(), run.progress.failed) == (None, 1)

    # Joins a day after the first bill; July is none of its months.
    cron.sim.clock.set(at(8, 10, 16))
    async with cron.sim.session() as session:
        await cron.join(session, "joins")
        cron.sim.set_usage(cron.ids["joins"], 6, 1, period=(date(2026, 8, 9), date(2026, 9, 9)))
        cron.sim.set_usage(cron.ids["joins"], 7, 1, period=(date(2026, 9, 9), date(2026, 10, 9)))
        cron.sim.set_usage(cron.ids["joins"], 8, 1, period=(date(2026, 10, 9), date(2026, 11, 9)))
    await cron.night(at(9, 10), date(2026, 8, 9))
    assert cron.rows() == {
        "steady": closed(110, "2026-08-09", "2026-09-08"),
        "broken": FAILED,
        "leaves": closed(41, "2026-08-09", "2026-09-08"),
        "joins": closed(6, "2026-08-09", "2026-09-08"),
    }
    assert cron.comparison() == (2, 151, 140)

    # Deleted, while the account list still names it.
    cron.fails("leaves", 404)
    run = await cron.night(at(10, 10), date(2026, 9, 9))
    assert cron.rows() == {
        "steady": closed(120, "2026-09-09", "2026-10-08"),
        "broken": FAILED,
        "leaves": MISSING,
        "joins": closed(7, "2026-09-09", "2026-10-08"),
    }
    assert cron.comparison() == (2, 127, 116)
    assert (run.progress.ok, run.progress.missing, run.progress.failed) == (2, 1, 1)

    # Now the list has forgotten it as well.
    async with cron.sim.session() as session:
        left = [one.to_dict() for one in await session.accounts.list() if one.id != cron.ids["leaves"]]
    cron.sim.faults.add(Fault.wrong_json(json.dumps(left), operation="accounts.list"))
    run = await cron.night(at(11, 10), date(2026, 10, 9))
    assert cron.rows() == {
        "steady": closed(130, "2026-10-09", "2026-11-08"),
        "broken": FAILED,
        "joins": closed(8, "2026-10-09", "2026-11-08"),
    }
    assert cron.comparison() == (2, 138, 127)
    assert (run.progress.asked, list(run.findings)) == (3, [])
    # By hand: 100+40; 110+41+6; 120+7; 130+8. The account that never answered is in none of them.
    assert cron.totals() == {
        "2026-07": (2, 140, 0),
        "2026-08": (3, 157, 0),
        "2026-09": (2, 127, 0),
        "2026-10": (2, 138, 0),
    }


async def test_an_account_whose_bill_day_moves(cron: Cron) -> None:
    """Twice a month, since the last bill: the account is billed on the 9th, then from 20 September on the 20th."""
    async with cron.sim.session() as session:
        await cron.join(session, "moves")
    moving = cron.ids["moves"]
    for start, end, tasks in (
        (date(2026, 7, 9), date(2026, 8, 9), 70),
        (date(2026, 8, 9), date(2026, 9, 20), 98),
        (date(2026, 9, 20), date(2026, 10, 20), 72),
        (date(2026, 10, 20), date(2026, 11, 20), 73),
    ):
        cron.sim.set_usage(moving, tasks, 1, period=(start, end))

    await cron.night(at(8, 8))
    assert cron.rows()["moves"] == still_open(70, "2026-07-09", "2026-08-08")
    await cron.night(at(8, 19))
    cron.sim.clock.set(at(8, 25))
    async with cron.sim.session() as session:
        await session.accounts.update(moving, next_bill_date=datetime(2026, 9, 20, 16, 23, 8, tzinfo=UTC))
    seen = []
    for when in (at(9, 8), at(9, 19), at(10, 8), at(10, 19), at(11, 8)):
        await cron.night(when)
        seen.append(cron.rows()["moves"])
    assert seen == [
        still_open(98, "2026-08-09", "2026-09-19"),
        still_open(98, "2026-08-09", "2026-09-19"),
        still_open(72, "2026-09-20", "2026-10-19"),
        still_open(72, "2026-09-20", "2026-10-19"),
        still_open(73, "2026-10-20", "2026-11-19"),
    ]
    # The long period of the change is compared with no month; the two whole months after it are.
    with UsageReader(cron.path) as reader:
        last = {row.account_id: row for row in reader.comparable()}[moving]
        assert (last.task_count, last.previous_task_count, last.not_compared) == (73, 72, None)
        per_run = [{row.account_id: row.not_compared for row in reader.comparable(n)}[moving] for n in (3, 5)]
        assert per_run == ["other_length", "other_length"]

    # A night after its bill by the bill's day: the figure is final, and no longer said to be provisional.
    await cron.night(at(11, 21), date(2026, 10, 20))
    assert cron.rows()["moves"] == closed(73, "2026-10-20", "2026-11-19")
    with UsageReader(cron.path) as reader:
        history = {row.period_from: row.task_count for row in reader.history(moving) if row.period_from}
    assert list(history.values()) == [70, 98, 72, 73]
