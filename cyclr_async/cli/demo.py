"""Half a year of invented usage in a store, so that every command about months can be tried in a minute."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

import attrs

from cyclr_async import simulator
from cyclr_async.usage.months.periods import add_months
from cyclr_async.wire.unset import UNSET

__all__ = ["CHURNED", "NEWCOMER", "PRICES", "RUNAWAY", "Demo", "fill"]

_TOWNS: Final = ("Aarhus", "Bergen", "Cork", "Dresden", "Evora", "Faro", "Ghent", "Hobart", "Izmir", "Jena")
_TRADES: Final = ("Books", "Bakery", "Cycles", "Freight", "Gardens", "Optics", "Tools", "Travel")
_SEASON: Final = (100, 98, 104, 100, 92, 88, 84, 90, 106, 112, 118, 109)
"""Percent of an ordinary month, January first: quiet summers, and a busy time before the end of the year."""
_LARGE: Final = 9
"""One account of so many is ten times as large as the others."""
RUNAWAY: Final = 3
"""The account, by its number, that repeats a failing step without end in the last month."""
CHURNED: Final = 7
"""The account that is deleted two months before the end."""
NEWCOMER: Final = 11
"""The account that comes in the middle of the time."""
PRICES: Final = """\
# Prices of an invented partner, for `cyclr usage invoice` and `cyclr usage report --prices`.
currency = "EUR"
customer = "audit_info"        # several accounts of one customer are on one invoice

[plans.2]
name = "Starter"
fee = 29
included_tasks = 9_000
unit_price = "0.012"

[plans.3]
name = "Pro"
fee = 149
included_tasks = 20_000
tiers = [
    { up_to = 20_000, price = "0.008" },
    { price = "0.005" },
]

[plans.4]
name = "Enterprise"
fee = 900
included_tasks = 60_000
unit_price = "0.004"
minimum = 1_000

[audit_info.customer-2]        # what was agreed with one customer
fee = 99
"""


@attrs.frozen
class Demo:
    """What was made.

    Attributes:
        months: the months, oldest first, such as ``"2026-10"``; the last one is open still.
        accounts: how many accounts there are at the end.
    """

    months: tuple[str, ...]
    accounts: int


def _name(number: int) -> str:
    return f"{_TOWNS[number % len(_TOWNS)]} {_TRADES[number // len(_TOWNS) % len(_TRADES)]}"


def _tasks(number: int, index: int, month: int, *, runs_away: bool) -> int:
    """Return the tasks of an account in a month: its size, some growth, the season, and what is peculiar to it."""
    size = 300 + number * 7919 % 9000 + (40_000 if number % _LARGE == 4 else 0)
    growth = 100 + index * (number * 31 % 9)  # percent: some stand still, some grow by 8 points a month
    noise = 95 + (number * 17 + index * 29) % 11
    tasks = size * growth * _SEASON[month - 1] * noise // 1_000_000
    return tasks * 9 if runs_away else tasks


async def fill(store: Path, *, months: int, accounts: int, now: datetime) -> Demo:
    """Collect some months of invented usage, each once when it is over, and then the one under way.

    Args:
        store: the file; it must not exist.
        months: whole months, 3 or more.
        accounts: how many at the beginning, 12 or more.
        now: until when.
    """
    this_month = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    begins = [add_months(this_month, index - months) for index in range(months + 1)]
    async with simulator.Simulator(accounts=0, now=begins[0], frozen=True) as running:
        ids = {number: await _join(running, number) for number in range(accounts) if number != NEWCOMER}
        for number, account_id in ids.items():
            _set_usage(running, number, account_id, begins)
        for index, begin in enumerate(begins[1:], start=1):
            # As a job of cron would: on the 2nd of each month, the month that is over. On the 1st the last one is
            # collected now, so that no figure was observed tomorrow.
            running.clock.set(min(begin + timedelta(days=1, hours=3), now))
            await _collect(running, store, begins[index - 1].date())
            if index == months // 2:
                ids[NEWCOMER] = await _join(running, NEWCOMER, next_bill=begins[index + 1])
                _set_usage(running, NEWCOMER, ids[NEWCOMER], begins[index:])
            if index == months - 2:
                async with running.session() as session:
                    await session.v1.accounts.delete(running.account(ids.pop(CHURNED)).api_id)
        running.clock.set(now)
        await _collect(running, store, None)
    return Demo(tuple(f"{begin:%Y-%m}" for begin in begins), len(ids))


def _plan(number: int) -> int:
    # Of the plans that the simulator has: Starter, Pro, and Enterprise for the few that are large.
    return 4 if number % _LARGE == 4 else 3 if number % 3 == 1 else 2


async def _join(running: simulator.Simulator, number: int, next_bill: datetime | None = None) -> str:
    async with running.session() as session:
        return await session.accounts.create(
            name=_name(number),
            price_plan_id=_plan(number),
            audit_info=f"customer-{number // 2 + 1}",
            next_bill_date=UNSET if next_bill is None else next_bill,
        )


def _set_usage(running: simulator.Simulator, number: int, account_id: str, begins: Sequence[datetime]) -> None:
    for index, begin in enumerate(begins):
        left = len(begins) - 2 - index  # whole months that follow
        tasks = _tasks(number, index, begin.month, runs_away=number == RUNAWAY and left == 0)
        # A day of the period that is meant, whenever in the month the account is billed.
        running.set_usage(account_id, tasks, 1 + number % 4, period=begin.date() + timedelta(days=5))


async def _collect(running: simulator.Simulator, store: Path, from_date: date | None) -> None:
    # A session of its own, as a job that runs once a month has: it lives in the time of the simulator.
    async with running.session() as session, session.accounts.collect_usage(from_date=from_date, store=store) as run:
        async for _ in run:
            pass
