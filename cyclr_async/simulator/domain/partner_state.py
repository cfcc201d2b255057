"""What the simulated partner owns: accounts derived on demand, and what was changed or added since."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import attrs

from cyclr_async.simulator.domain.billing import FixedUsage, Schedule, Span, Work, fixed_period, naive, usage_between
from cyclr_async.simulator.domain.catalogue import PRICE_PLANS, Catalogue
from cyclr_async.simulator.domain.clock import SimulatedClock, add_months
from cyclr_async.simulator.domain.lenient_fields import dump_text
from cyclr_async.simulator.domain.population import Population

__all__ = ["PLAN_IDS", "AccountRecord", "Billing", "Installed", "PartnerState", "partner_details"]

PLAN_IDS: Final = frozenset(int(plan["Id"]) for plan in PRICE_PLANS)
_EVER: Final = datetime.max.replace(tzinfo=UTC)
_KEPT: Final = 16_384
"""For so many accounts the billing is kept instead of derived again."""


@attrs.frozen(slots=True)
class Installed:
    """A connector in an account. What it signs in with is not kept.

    Attributes:
        name: the name it was given in the account.
        connector: its name in the catalogue.
        version: its version, or None.
        sign_in: how it signs in.
    """

    name: str
    connector: str
    version: str | None
    sign_in: str


@attrs.frozen(slots=True)
class _Period:
    """What stays the same in the usage of one account while a period lasts."""

    day: datetime | None
    seen_from: datetime
    seen_until: datetime
    span: Span
    tail: str


@attrs.define(slots=True)
class Billing:
    """The part of an account that its usage is worked out from, with the period that was asked for last."""

    schedule: Schedule
    work: Work
    price_plan_id: int | None
    audit_info: str | None
    _period: _Period | None = None

    def usage(self, now: datetime, day: datetime | None) -> bytes:
        """Return *Get Account Usage* for the monthly period that starts on that day, or with the last bill.

        Raises:
            ValueError: the period would end after the year 9999.
        """
        period = self._period
        if period is None or period.day != day or not period.seen_from <= now < period.seen_until:
            period = self._period = self._find(now, day)
        tasks, cycles = usage_between(self.work, self.schedule, period.span, now)
        return f'{{"TaskCount":{tasks},"CycleCount":{cycles}{period.tail}'.encode()

    def _find(self, now: datetime, day: datetime | None) -> _Period:
        last, following = self.schedule.at(now)
        span = Span.find(self.schedule, now, day)
        rest = {
            "FromDate": naive(span.start),
            "ToDate": naive(span.to_date),
            "CurrentPricePlanId": self.price_plan_id,
            "AuditInfo": self.audit_info,
        }
        until = following if following is not None and following > now else _EVER
        return _Period(day, min(last, now), until, span, "," + dump_text(rest)[1:])


@attrs.define(slots=True)
class AccountRecord:
    """One account as it is now."""

    id: str
    name: str
    description: str | None
    timezone: str
    price_plan_id: int | None
    audit_info: str | None
    schedule: Schedule
    tasks_per_day: int
    cycles: int
    users: set[str] = attrs.field(factory=set)
    connectors: list[Installed] = attrs.field(factory=list)
    fixed_usage: tuple[int, int] | None = None
    fixed_periods: tuple[FixedUsage, ...] = ()

    def listed(self, now: datetime) -> dict[str, Any]:
        """Return what *List Accounts* shows; the time zone is not part of it."""
        last, following = self.schedule.at(now)
        return {
            "Id": self.id,
            "Name": self.name,
            "Description": self.description,
            "PricePlanId": self.price_plan_id,
            "LastBillDate": naive(last),
            "NextBillDate": None if following is None else naive(following),
            "AuditInfo": self.audit_info,
        }

    def fix_usage(self, tasks: int, cycles: int, period: object = None) -> None:
        """Set what *Get Account Usage* answers: for one period, or for all of them, whatever was set before.

        Raises:
            TypeError: ``period`` is none.
            ValueError: it ends before it begins.
        """
        if period is None:
            self.fixed_usage, self.fixed_periods = (tasks, cycles), ()
            return
        wanted = fixed_period(period)
        others = (fixed for fixed in self.fixed_periods if fixed.period != wanted)
        self.fixed_periods = (*others, FixedUsage(tasks, cycles, wanted))

    def billing(self) -> Billing:
        """Return what *Get Account Usage* is worked out from."""
        work = Work(self.tasks_per_day, self.cycles, self.fixed_usage, self.fixed_periods)
        return Billing(self.schedule, work, self.price_plan_id, self.audit_info)


class PartnerState:
    """The partner: its accounts, catalogue and details.

    Args:
        accounts: how many accounts exist from the start; they are derived when asked for.
        seed: decides everything about them.
        clock: the simulated time.
        catalogue: the connectors.
    """

    def __init__(self, accounts: int, seed: int, clock: SimulatedClock, catalogue: Catalogue) -> None:
        self.seeded = accounts
        self.clock = clock
        self.catalogue = catalogue
        self.population = Population(seed, clock.start)
        self.details = partner_details()
        self._changed: dict[int, AccountRecord] = {}
        self._billings: dict[str, Billing] = {}
        self._next = accounts

    def __len__(self) -> int:
        return self._next

    def id_of(self, index: int) -> str:
        """Return the id of the account with that number, from 0 up to ``len(self)``."""
        return self.population.id_of(index)

    def ids(self) -> Iterator[str]:
        """Return the ids of all accounts, in the order of the list."""
        return (self.population.id_of(index) for index in range(self._next))

    def at(self, index: int) -> AccountRecord:
        """Return an account by its number. Changes to an untouched one are lost: see :meth:`touch`."""
        changed = self._changed.get(index)
        if changed is not None:
            return changed
        seeded = self.population.seeded(index)
        return AccountRecord(
            id=self.population.id_of(index),
            name=seeded.name,
            description=seeded.description,
            timezone=seeded.timezone,
            price_plan_id=seeded.price_plan_id,
            audit_info=seeded.audit_info,
            schedule=Schedule(seeded.created, seeded.created, add_months(seeded.created, 1)),
            tasks_per_day=seeded.tasks_per_day,
            cycles=seeded.cycles,
        )

    def _index(self, account_id: str) -> int | None:
        index = self.population.index_of(account_id)
        return None if index is None or index >= self._next else index

    def find(self, account_id: str) -> AccountRecord | None:
        """Return an account for reading, or None when there is none with that id."""
        index = self._index(account_id)
        return None if index is None else self.at(index)

    def billing(self, account_id: str) -> Billing | None:
        """Return what the usage of an account is worked out from, or None. Kept for a while: many ask for this."""
        kept = self._billings.get(account_id)
        if kept is not None:
            return kept
        index = self._index(account_id)
        if index is None:
            return None
        changed = self._changed.get(index)
        if changed is not None:
            return changed.billing()
        population = self.population
        bits = population.bits(index)
        created = population.created(bits)
        work = Work(*population.rhythm(bits))
        schedule = Schedule(created, created, add_months(created, 1))
        found = Billing(schedule, work, population.price_plan_id(bits), population.audit_info(bits, index))
        if len(self._billings) >= _KEPT:
            self._billings.clear()
        if account_id == population.id_of(index):
            self._billings[account_id] = found
        return found

    def touch(self, account_id: str) -> AccountRecord | None:
        """Return an account for changing, or None when there is none with that id."""
        index = self._index(account_id)
        if index is None:
            return None
        record = self._changed.setdefault(index, self.at(index))
        self._billings.pop(record.id, None)
        return record

    def create(self, name: str) -> AccountRecord:
        """Create an account with the assumed defaults of the server."""
        index = self._next
        now = self.clock.now().replace(microsecond=0)
        tasks, cycles = self.population.rhythm(self.population.bits(index))
        record = AccountRecord(
            id=self.population.id_of(index),
            name=name,
            description=None,
            timezone="Europe/London",
            price_plan_id=int(PRICE_PLANS[0]["Id"]),
            audit_info=None,
            schedule=Schedule(now, now, add_months(now, 1)),
            tasks_per_day=tasks,
            cycles=cycles,
        )
        self._changed[index] = record
        self._next = index + 1
        return record

    def plan_bill(self, record: AccountRecord, date: datetime | None) -> None:
        """Set the next bill date; the last one stays what it is now."""
        now = self.clock.now()
        last = record.schedule.at(now)[0]
        if date is not None and last > date:
            last = add_months(date, -1) if date.year > 1 else date
        repeats = date is not None and date > now
        if date is not None and date > datetime(9990, 1, 1, tzinfo=date.tzinfo) - timedelta(days=1):
            repeats = False
        record.schedule = record.schedule.moved(last, date, repeats=repeats)


def partner_details() -> dict[str, Any]:
    """Return the fourteen fields of *Partner Details*, as in the API document."""
    return {
        "AnonymousAccountsEnabled": True,
        "ApplicationDisplayName": "Example Partner",
        "ApplicationIcon": "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",  # noqa: E501
        "AppStyle": None,
        "ComingSoonConnectorsEnabled": True,
        "CustomConnectorsEnabled": True,
        "CycleNoun": "Cycle",
        "CycleSharingEnabled": True,
        "Domain": "partner.example.com",
        "IntercomAPIKey": None,
        "IntercomAppId": None,
        "IntercomSecretKey": None,
        "HeaderHtml": None,
        "FooterHtml": None,
    }
