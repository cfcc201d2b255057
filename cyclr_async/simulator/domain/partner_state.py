"""What the simulated partner owns: accounts derived on demand, and what was changed or added since."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import attrs

from cyclr_async.simulator.domain.billing import FixedUsage, Schedule, Span, Work, fixed_period, naive, usage_between
from cyclr_async.simulator.domain.catalogue import PRICE_PLANS, Catalogue
from cyclr_async.simulator.domain.clock import SimulatedClock, add_months
from cyclr_async.simulator.domain.lenient_fields import dump_text
from cyclr_async.simulator.domain.population import Population
from cyclr_async.simulator.roster import Roster
from cyclr_async.simulator.v1.holdings import Holdings

__all__ = ["PLAN_IDS", "AccountRecord", "Billing", "Installed", "PartnerState", "partner_details"]

PLAN_IDS: Final = frozenset(int(plan["Id"]) for plan in PRICE_PLANS)
_EVER: Final = datetime.max.replace(tzinfo=UTC)
_KEPT: Final = 16_384
"""For so many accounts the billing is kept instead of derived again."""
_GUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


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
        period = self._at(now, day)
        tasks, cycles = usage_between(self.work, self.schedule, period.span, now)
        return f'{{"TaskCount":{tasks},"CycleCount":{cycles}{period.tail}'.encode()

    def tasks(self, now: datetime) -> tuple[int, datetime]:
        """Return the tasks since the last bill, and when that was: what v1.0 tells of the usage of an account.

        Raises:
            ValueError: the period would end after the year 9999.
        """
        span = self._at(now, None).span
        return usage_between(self.work, self.schedule, span, now)[0], span.start

    def _at(self, now: datetime, day: datetime | None) -> _Period:
        period = self._period
        if period is None or period.day != day or not period.seen_from <= now < period.seen_until:
            period = self._period = self._find(now, day)
        return period

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
    """One account as it is now.

    Attributes:
        id: in the partner API: 32 hexadecimal digits.
        name: not empty.
        description: or None.
        timezone: an IANA name.
        price_plan_id: or None.
        audit_info: the partner's own reference, or None.
        schedule: when it is billed.
        tasks_per_day: on average.
        cycles: that run at once.
        users: their names.
        fixed_usage: tasks and cycles of every period, set by a test.
        fixed_periods: the same of single periods.
        own_api_id: the id in v1.0 when somebody has chosen it.
        parent: the partner API's id of the account that this is a sub-account of, or None.
        task_audit_info: another reference of the partner, or None; of v1.0, as all that follows.
        success_retention: hours for which data of steps is kept, or None.
        errored_retention: the same of steps that failed.
        webhook_enabled: whether errors are reported to an address.
        webhook_url: that address, or None.
        webhook_warnings: whether warnings are reported too.
        marketplaces: the only marketplaces the account knows; empty for all.
        held: what it holds in v1.0, once it was asked for.
    """

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
    fixed_usage: tuple[int, int] | None = None
    fixed_periods: tuple[FixedUsage, ...] = ()
    own_api_id: str | None = None
    parent: str | None = None
    task_audit_info: str | None = None
    success_retention: int | None = None
    errored_retention: int | None = None
    webhook_enabled: bool = False
    webhook_url: str | None = None
    webhook_warnings: bool = False
    marketplaces: tuple[int, ...] = ()
    held: Holdings | None = attrs.field(default=None, repr=False)

    @property
    def api_id(self) -> str:
        """The id in v1.0: what was chosen, or else the ``id`` as a GUID with hyphens."""
        return self.own_api_id or _hyphenated(self.id)

    @property
    def holdings(self) -> Holdings:
        """What it holds in v1.0."""
        if self.held is None:
            self.held = Holdings()
        return self.held

    @property
    def connectors(self) -> list[Installed]:
        """The connectors installed in it, without what they sign in with."""
        installed = () if self.held is None else self.held.connectors.values()
        return [
            Installed(own.name, own.connector.name, own.connector.version, own.connector.sign_in) for own in installed
        ]

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


def _hyphenated(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


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
        self.population: Population = Population(seed, clock.start)
        self.details: dict[str, Any] = partner_details()
        self.everyone: Roster = Roster(accounts)
        self.parents: Roster = Roster(accounts)
        """Those that are no sub-accounts."""
        self._changed: dict[int, AccountRecord] = {}
        self._chosen: dict[str, int] = {}
        """By an id that somebody chose, in lower case: an API id, or the 32 digits of one that is a GUID."""
        self._children: dict[str, list[int]] = {}
        self._billings: dict[str, Billing] = {}

    def __len__(self) -> int:
        return len(self.everyone)

    def id_of(self, index: int) -> str:
        """Return the id of the account with that number."""
        changed = self._changed.get(index)
        return self.population.id_of(index) if changed is None else changed.id

    def ids(self) -> Iterator[str]:
        """Return the ids of all accounts, in the order of the list."""
        return map(self.id_of, self.everyone)

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
        key = account_id.lower()
        index = self._chosen.get(key)
        if index is not None:
            return index
        index = self.population.index_of(key)
        if index is None or index not in self.everyone:
            return None
        changed = self._changed.get(index)
        # An account that was given a GUID is not known by the one it was derived with.
        return index if changed is None or changed.id == key.replace("-", "") else None

    def partner_id(self, api_id: str) -> str | None:
        """Return the id in the partner API of the account with that id in v1.0, or None."""
        index = self._index(api_id)
        if index is None:
            return None
        changed = self._changed.get(index)
        if changed is None:  # its 32 digits without hyphens are no id of v1.0
            return self.population.id_of(index) if _GUID.fullmatch(api_id.lower()) else None
        return changed.id if changed.api_id.lower() == api_id.lower() else None

    def both_ids(self, api_id: str) -> tuple[str, str] | None:
        """Return the ids in the partner API and in v1.0 of the account with that id in v1.0, or None."""
        key = api_id.lower()
        plain = key.replace("-", "")
        # An account whose billing is kept is as it was derived: what is changed or deleted is taken out there.
        if plain in self._billings and _GUID.fullmatch(key):
            return plain, key
        account_id = self.partner_id(api_id)
        return None if account_id is None else (account_id, self.api_id_of(account_id))

    def api_id_of(self, account_id: str) -> str:
        """Return the id in v1.0 of the account with that id in the partner API."""
        index = self._index(account_id)
        changed = None if index is None else self._changed.get(index)
        return _hyphenated(account_id) if changed is None else changed.api_id

    def find_api(self, api_id: str) -> AccountRecord | None:
        """Return the account with that id in v1.0 for reading, or None."""
        account_id = self.partner_id(api_id)
        return None if account_id is None else self.find(account_id)

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

    def create(self, name: str, *, api_id: str | None = None, parent: AccountRecord | None = None) -> AccountRecord:
        """Create an account with the assumed defaults of the server.

        Args:
            name: not empty.
            api_id: its id in v1.0, which no account has; None for one that follows from the seed.
            parent: the account it is a sub-account of.
        """
        index = self.everyone.total
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
            parent=None if parent is None else parent.id,
        )
        self.everyone.total = self.parents.total = index + 1
        self._put(index, record, api_id)
        return record

    def adopt(self, index: int, api_id: str, name: str) -> AccountRecord:
        """Give an account that nobody has touched yet an id and a name, and return it for changing."""
        record = self.at(index)
        record.name = name
        self._put(index, record, api_id)
        return record

    def _put(self, index: int, record: AccountRecord, api_id: str | None) -> None:
        self._changed[index] = record
        if api_id is not None:
            key = api_id.lower()
            record.own_api_id = key if _GUID.fullmatch(key) else api_id
            self._chosen[key] = index
            if _GUID.fullmatch(key):
                record.id = key.replace("-", "")
                self._chosen[record.id] = index
        if record.parent is not None:
            self._children.setdefault(record.parent, []).append(index)
            self.parents.remove(index)

    def set_parent(self, record: AccountRecord, parent: AccountRecord) -> None:
        """Make an account a sub-account of another."""
        index = self._index(record.id)
        if index is not None and record.parent is None:
            record.parent = parent.id
            self._children.setdefault(parent.id, []).append(index)
            self.parents.remove(index)

    def children(self, parent: AccountRecord) -> list[AccountRecord]:
        """Return the sub-accounts of an account, in the order of the list."""
        return [self._changed[index] for index in self._children.get(parent.id, ())]

    def remove(self, record: AccountRecord) -> None:
        """Delete an account. Its id is free again; its sub-accounts become accounts of their own."""
        index = self._index(record.id)
        if index is None:
            return
        for other in self._children.pop(record.id, ()):
            self._changed[other].parent = None
            self.parents.restore(other)
        if record.parent is not None:
            self._children[record.parent].remove(index)
        for key in (record.id, record.api_id.lower()):
            self._chosen.pop(key, None)
        self._changed.pop(index, None)
        self._billings.pop(record.id, None)
        self.everyone.remove(index)
        self.parents.remove(index)

    def join(self, record: AccountRecord, username: str) -> None:
        """Give a user access to an account that was returned for changing, once, whatever the case of the name."""
        if username.casefold() not in {user.casefold() for user in record.users}:
            record.users.add(username)

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
