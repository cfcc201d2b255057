"""One pass over the accounts: everything that the page says about all of them, and the rows that it lists.

The memory it takes does not grow with the accounts: sums, a heap of fixed length for each ranking, and as many rows as
the page lists.
"""

from __future__ import annotations

import heapq
import json
from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Generic, TypeVar

import attrs

from cyclr_async.usage.page.data import PageAccount, PageReport
from cyclr_async.usage.page.sparkline import levels
from cyclr_async.usage.page.words import count, short_count, visible

__all__ = ["HISTORIES", "Bin", "Freshness", "GapGroup", "PlanShare", "Ranked", "Tally"]

T = TypeVar("T")

HISTORIES: Final = 20_000
"""Accounts up to which the page holds every account's tasks by month. Beyond, it holds their proportions only: the
figures of a year take more room than everything else about an account."""
_RANKED: Final = 10
_EXAMPLES: Final = 5
_PLANS: Final = 1000
"""Plans that are told apart; what is named only after that many others is added up as one."""
_EXACT: Final = 2**53 - 1
"""The largest whole number that a script holds exactly; larger ones are handed over as texts."""
_AGES: Final = (
    (timedelta(days=1), "less than a day"),
    (timedelta(days=7), "1 to 7 days"),
    (timedelta(days=31), "7 to 31 days"),
)
_OLDEST: Final = "more than 31 days"
_BINS: Final = 10
"""Columns of the distribution, so that the share above each can be read."""
_PRESENCE: Final = {"there": "", "new": "w", "gone": "g"}
_UNKNOWN_PLAN: Final = "no plan known"
_OTHER_PLANS: Final = "other plans"


def _edges() -> Iterator[int]:
    for power in range(19):
        yield from (factor * 10**power for factor in (1, 2, 5))


_EDGES: Final = tuple(_edges())


@attrs.frozen
class Ranked:
    """An account in a ranking."""

    account_id: str
    name: str | None
    tasks: int
    previous: int | None
    included: int | None
    charge: Decimal | None

    @property
    def change(self) -> int:
        """Tasks more than before; as many as there are when there were none before."""
        return self.tasks - (self.previous or 0)

    @property
    def over(self) -> int:
        """Tasks above the included ones."""
        return max(0, self.tasks - (self.included or 0))


@attrs.frozen
class Bin:
    """Accounts of a size: of ``low`` tasks or more, and of fewer than ``high`` (None: of no more than ``low``)."""

    low: int
    high: int | None
    accounts: int
    tasks: int

    @property
    def label(self) -> str:
        """The size in words."""
        if self.high is None or self.high == self.low + 1:
            return count(self.low)
        return f"{count(self.low)} to {count(self.high - 1)}"

    @property
    def short_label(self) -> str:
        """The size for below a column: where it begins."""
        return short_count(self.low) if self.high is None else f"{short_count(self.low)}+"


@attrs.define
class PlanShare:
    """What the accounts of a plan come to.

    Attributes:
        plan: its name.
        accounts: how many have a figure.
        tasks: their tasks.
        included: what is included for them together; None when it is not known of any.
        accounts_over: how many are over what is included for them.
        tasks_over: by how many tasks, together.
        charge: what they are charged together; None when nothing is charged.
    """

    plan: str
    accounts: int = 0
    tasks: int = 0
    included: int | None = None
    accounts_over: int = 0
    tasks_over: int = 0
    charge: Decimal | None = None


@attrs.define
class GapGroup:
    """Accounts that something is missing of for the same reason, with some of their ids."""

    reason: str
    accounts: int = 0
    previous_tasks: int = 0
    examples: list[str] = attrs.field(factory=list)


@attrs.define
class Freshness:
    """How old the figures are: the first and the last observation, and accounts by age."""

    oldest: datetime | None = None
    newest: datetime | None = None
    ages: dict[str, int] = attrs.field(factory=dict)
    undated: int = 0

    def add(self, observed_at: datetime | None, now: datetime) -> None:
        """Count a figure."""
        if observed_at is None:
            self.undated += 1
            return
        if self.oldest is None or observed_at < self.oldest:
            self.oldest = observed_at
        if self.newest is None or observed_at > self.newest:
            self.newest = observed_at
        age = now - observed_at
        name = next((name for limit, name in _AGES if age < limit), _OLDEST)
        self.ages[name] = self.ages.get(name, 0) + 1

    def by_age(self) -> list[tuple[str, int]]:
        """Return the ages that occur, youngest first, with how many figures are of each."""
        return [(name, self.ages[name]) for name in (*(name for _, name in _AGES), _OLDEST) if name in self.ages]


class _Best(Generic[T]):
    """The entries of the highest rank; of equal ones those that came first."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._heap: list[tuple[int, int, T]] = []
        self._seen = 0

    def add(self, rank: int, entry: T) -> None:
        self._seen += 1
        item = (rank, -self._seen, entry)  # no two are equal before the entry, which need not be comparable
        if len(self._heap) < self._size:
            heapq.heappush(self._heap, item)
        elif item[:2] > self._heap[0][:2]:
            heapq.heapreplace(self._heap, item)

    def admits(self, rank: int) -> bool:
        """Whether an entry of this rank would be kept, so that others need not be made."""
        return len(self._heap) < self._size or rank > self._heap[0][0]

    def sorted(self) -> list[T]:
        return [entry for _, _, entry in sorted(self._heap, key=lambda item: item[:2], reverse=True)]


@attrs.frozen(slots=True, weakref_slot=False)
class _ListRow:
    """A row of the list as JSON: 100,000 of them are kept until they are written, so nothing else is."""

    tasks: int | None
    json: bytes
    left_out: int
    history: bytes | None

    def text(self, *, histories: bool) -> bytes:
        if not histories or self.history is None:
            return self.json
        # The history is the thirteenth value: what was left out before it is put back.
        return b"%b,%b%b]" % (self.json[:-1], b"null," * self.left_out, self.history)


@attrs.define
class Tally:
    """What the accounts of a report come to. Filled by :meth:`of`.

    Attributes:
        listed: how many accounts the page lists.
        seen: how many there are.
        with_figure: how many have a figure.
        tasks: the sum of the figures.
        provisional: how many figures may still rise.
        compared: how many accounts have a figure of the period before that may be compared.
        compared_tasks: their tasks.
        previous_tasks: their tasks in the period before.
        new: how many accounts are new.
        gone: how many are no longer listed.
        over: how many are over what is included for them.
        tasks_over: by how many tasks, together.
        charge: what all accounts are charged together; None when nothing is charged.
        over_charge: what those that are over are charged together.
        allowances: how many accounts have an allowance at all.
        has_trend: whether any account has figures of several months.
        plans: by name.
        gaps: accounts without a figure, by reason.
        not_compared: accounts with a figure that is not compared, by reason.
        freshness: of the figures.
    """

    listed: int = 0
    seen: int = 0
    with_figure: int = 0
    tasks: int = 0
    provisional: int = 0
    compared: int = 0
    compared_tasks: int = 0
    previous_tasks: int = 0
    new: int = 0
    gone: int = 0
    over: int = 0
    tasks_over: int = 0
    charge: Decimal | None = None
    over_charge: Decimal | None = None
    allowances: int = 0
    has_trend: bool = False
    plans: dict[str, PlanShare] = attrs.field(factory=dict)
    gaps: dict[str, GapGroup] = attrs.field(factory=dict)
    not_compared: dict[str, GapGroup] = attrs.field(factory=dict)
    freshness: Freshness = attrs.field(factory=Freshness)
    _sizes: dict[int, list[int]] = attrs.field(factory=dict)
    _top: _Best[Ranked] = attrs.field(factory=lambda: _Best(_RANKED))
    _risers: _Best[Ranked] = attrs.field(factory=lambda: _Best(_RANKED // 2))
    _fallers: _Best[Ranked] = attrs.field(factory=lambda: _Best(_RANKED // 2))
    _most_over: _Best[Ranked] = attrs.field(factory=lambda: _Best(_RANKED))
    _plan_numbers: dict[str, int] = attrs.field(factory=dict)
    _reason_numbers: dict[str, int] = attrs.field(factory=dict)
    _limit: int = 0
    _rows: _Best[_ListRow] = attrs.field(factory=lambda: _Best(0))
    _ordered: list[_ListRow] | None = None

    @classmethod
    def of(cls, report: PageReport, limit: int) -> Tally:
        """Go through the accounts of a report.

        Args:
            report: its accounts are read once.
            limit: how many accounts the page lists at most, 1 or more; those with most tasks.
        """
        tally = cls(limit=limit, rows=_Best(limit))
        now = report.made_at.astimezone(UTC)
        for account in report.accounts:
            tally._add(account, now)
        tally.listed = min(tally.seen, limit)
        return tally

    def _add(self, account: PageAccount, now: datetime) -> None:
        self.seen += 1
        if account.presence == "new":
            self.new += 1
        elif account.presence == "gone":
            self.gone += 1
        if account.tasks is None:
            self._add_gap(self.gaps, account)
        else:
            self._add_figure(account, account.tasks, now)
        # A large account without a figure is listed before small ones with one.
        rank = account.tasks if account.tasks is not None else account.previous or 0
        self.has_trend = self.has_trend or len(account.history) > 1
        if self._rows.admits(rank):
            self._rows.add(rank, self._row(account))

    def _add_figure(self, account: PageAccount, tasks: int, now: datetime) -> None:
        self.with_figure += 1
        self.tasks += tasks
        self.provisional += account.provisional
        size = self._sizes.setdefault(bisect_right(_EDGES, tasks), [0, 0])
        size[0] += 1
        size[1] += tasks
        self.freshness.add(account.observed_at, now)
        plan = self._plan(account.plan)
        plan.accounts += 1
        plan.tasks += tasks
        self._rank(self._top, tasks, account)
        if account.previous is not None:
            self.compared += 1
            self.compared_tasks += tasks
            self.previous_tasks += account.previous
            change = tasks - account.previous
            if change:
                self._rank(self._risers if change > 0 else self._fallers, abs(change), account)
        elif account.reason is not None:
            self._add_gap(self.not_compared, account)
        if account.included is not None:
            self.allowances += 1
            plan.included = (plan.included or 0) + account.included
        over = account.over
        if over is not None:
            self.over += 1
            self.tasks_over += over
            plan.accounts_over += 1
            plan.tasks_over += over
            self._rank(self._most_over, over, account)
            if account.charge is not None:
                self.over_charge = (self.over_charge or Decimal()) + account.charge
        if account.charge is not None:
            self.charge = (self.charge or Decimal()) + account.charge
            plan.charge = (plan.charge or Decimal()) + account.charge

    @staticmethod
    def _rank(best: _Best[Ranked], rank: int, account: PageAccount) -> None:
        if best.admits(rank):
            assert account.tasks is not None
            entry = Ranked(
                account.account_id, account.name, account.tasks, account.previous, account.included, account.charge
            )
            best.add(rank, entry)

    @staticmethod
    def _add_gap(groups: dict[str, GapGroup], account: PageAccount) -> None:
        reason = account.reason or ""
        group = groups.setdefault(reason, GapGroup(reason))
        group.accounts += 1
        group.previous_tasks += account.previous or 0
        if len(group.examples) < _EXAMPLES:
            group.examples.append(account.name or account.account_id)

    def _plan(self, name: str | None) -> PlanShare:
        name = self._plan_name(name or _UNKNOWN_PLAN)
        return self.plans.setdefault(name, PlanShare(name))

    def _plan_name(self, name: str) -> str:
        if name not in self._plan_numbers:
            if len(self._plan_numbers) >= _PLANS:
                name = _OTHER_PLANS
            self._plan_numbers.setdefault(name, len(self._plan_numbers))
        return name

    def _row(self, account: PageAccount) -> _ListRow:
        """Write an account as the script of the page reads it: see the names of its columns there."""
        observed = account.observed_at
        plan = None if account.plan is None else self._plan_numbers[self._plan_name(account.plan)]
        reason = account.reason
        if reason is not None:
            number: int | None = self._reason_numbers.setdefault(reason, len(self._reason_numbers))
        else:
            number = None
        state = "n" if account.tasks is None else "p" if account.provisional else "f"
        values: list[Any] = [
            visible(account.account_id),
            None if account.name is None else visible(account.name),
            plan,
            state + _PRESENCE[account.presence],
            _exact(account.tasks),
            _exact(account.previous),
            _exact(account.included),
            None if account.charge is None else f"{account.charge:f}",
            None if observed is None else int(observed.timestamp() // 60),
            levels(account.history) if account.history else None,
            number,
            None if account.parent is None else visible(account.parent),
        ]
        left_out = 0
        while values[-1] is None:
            values.pop()
            left_out += 1
        history = None
        if account.history and (self._limit <= HISTORIES or self.seen <= HISTORIES):
            history = _json([_exact(value) for value in account.history])
        return _ListRow(account.tasks, _json(values), left_out, history)

    @property
    def plan_names(self) -> list[str]:
        """The plans by the numbers that rows name them by."""
        return list(self._plan_numbers)

    @property
    def reason_keys(self) -> list[str]:
        """The reasons by the numbers that rows name them by."""
        return list(self._reason_numbers)

    @property
    def named_plans(self) -> dict[str, int]:
        """The plans that accounts have, with the numbers that rows name them by; not the one that is not known."""
        return {name: number for name, number in self._plan_numbers.items() if name != _UNKNOWN_PLAN}

    @property
    def has_histories(self) -> bool:
        """Whether rows hold the tasks of every month, and not only their proportions."""
        return self.listed <= HISTORIES

    def rows(self) -> Iterator[bytes]:
        """Yield the listed accounts as JSON, those with most tasks first and those without a figure last."""
        if self._ordered is None:
            # The order of the ranking is that of tasks already; this sort is stable.
            self._ordered = sorted(self._rows.sorted(), key=lambda row: row.tasks is None)
        for row in self._ordered:
            yield row.text(histories=self.has_histories)

    @property
    def largest(self) -> list[Ranked]:
        """The accounts with most tasks."""
        return self._top.sorted()

    @property
    def risers(self) -> list[Ranked]:
        """The accounts that rose most."""
        return self._risers.sorted()

    @property
    def fallers(self) -> list[Ranked]:
        """The accounts that fell most."""
        return self._fallers.sorted()

    @property
    def most_over(self) -> list[Ranked]:
        """The accounts that are most over what is included for them."""
        return self._most_over.sorted()

    @property
    def by_plan(self) -> list[PlanShare]:
        """The plans, most tasks first."""
        return sorted(self.plans.values(), key=lambda plan: (-plan.tasks, plan.plan))

    @property
    def bins(self) -> list[Bin]:
        """Accounts by size, smallest first: at 1, 2, 5, 10, … tasks, or by powers of ten where that makes too many."""
        if not self._sizes:
            return []
        # Sizes between the smallest and the largest are there even when no account is of them.
        numbers = range(min(self._sizes), max(self._sizes) + 1)
        if len(numbers) <= _BINS:
            return [self._bin(number, number) for number in numbers]
        decades: dict[int, list[int]] = {}
        for number in numbers:
            decades.setdefault((number + 2) // 3, []).append(number)
        return [self._bin(members[0], members[-1]) for members in decades.values()]

    def _bin(self, first: int, last: int) -> Bin:
        sums = [self._sizes.get(number, (0, 0)) for number in range(first, last + 1)]
        low = _EDGES[first - 1] if first else 0
        high = _EDGES[last] if last < len(_EDGES) else None
        return Bin(low, high, sum(found[0] for found in sums), sum(found[1] for found in sums))


# json.dumps() would make an encoder for every account.
_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _json(value: object) -> bytes:
    return _encode(value).encode()


def _exact(value: int | None) -> int | str | None:
    return str(value) if value is not None and abs(value) > _EXACT else value
