"""Invoice lines: what the accounts of each customer owe for a month, and why."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import attrs

from cyclr_async.errors import InvalidArgumentError
from cyclr_async.usage.months.grouping import parents_of, top_parent
from cyclr_async.usage.months.price_book import EXACT
from cyclr_async.usage.months.statement import Gap, StatementLine

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cyclr_async.usage.months.price_book import Price, PriceBook
    from cyclr_async.usage.months.read import Statement

__all__ = ["Charge", "Invoice", "InvoiceKind", "InvoiceLine", "charge_of", "invoices"]

InvoiceKind: TypeAlias = Literal["fee", "included", "tasks", "cycles", "minimum", "unpriced", "missing", "gone"]
"""What a line is for:

* ``fee``: the fee of the plan.
* ``included``: the tasks that cost nothing more.
* ``tasks``: tasks above, one line for each tier that they reach.
* ``cycles``: cycles above the included ones.
* ``minimum``: what is added to reach the minimum.
* ``unpriced``: the book has no price for the account; it must not be sent like that.
* ``missing``: the account has no figure; it must not be sent like that.
* ``gone``: the account has no figure, because it is no longer there.
"""

_NOTHING: Final = Decimal(0)


@attrs.frozen
class InvoiceLine:
    """One line of an invoice.

    Attributes:
        customer: whose invoice it is on.
        account_id: the account.
        account_name: when it was listed.
        kind: what it is for; see :data:`InvoiceKind`.
        quantity: of tasks or cycles that it is about; 1 for a fee or a minimum.
        unit_price: for one of them; None where nothing is counted.
        tier: the number of the tier, from 1; None where there is none.
        exact: quantity times price, before anything is rounded.
        amount: what stands on the invoice.
        why: the same in words: what was used, what is included, which tier.
        source: where in the price book it stands; None without a price.
        price_plan_id: the plan of the account.
        period_from: when the account's period began, ISO-8601 in UTC; None without a figure.
        period_to: its end as the API says it.
        provisional: whether the figure may still rise.
    """

    customer: str
    account_id: str
    account_name: str | None
    kind: InvoiceKind
    quantity: int
    unit_price: Decimal | None
    tier: int | None
    exact: Decimal
    amount: Decimal
    why: str
    source: str | None
    price_plan_id: int | None
    period_from: str | None
    period_to: str | None
    provisional: bool


@attrs.frozen
class Charge:
    """What one account owes, in short.

    Attributes:
        included_tasks: tasks that cost nothing more.
        over_tasks: tasks above.
        amount: everything together, rounded as on an invoice of its own.
    """

    included_tasks: int
    over_tasks: int
    amount: Decimal


@attrs.frozen
class Invoice:
    """What one customer owes. The amounts of the lines add up to the total, whatever the rule of rounding.

    Attributes:
        customer: the id of the account or of the parent, or the audit info.
        currency: of all amounts.
        total: what is owed.
        lines: in the order of accounts.
        provisional: whether a figure may still rise.
        incomplete: whether an account has no figure or no price.
    """

    customer: str
    currency: str
    total: Decimal
    lines: tuple[InvoiceLine, ...]
    provisional: bool
    incomplete: bool


def invoices(statement: Statement, book: PriceBook) -> Iterator[Invoice]:
    """Yield the invoice of every customer of a month, ordered by customer.

    Args:
        statement: of one calendar month: fees, included tasks and minima are those of a month.
        book: what is agreed.

    Yields:
        one invoice per customer. Accounts without a figure or a price have a line that says so; one whose first
        figure came after the closing has none, and is among the differences.

    Raises:
        InvalidArgumentError: the period of the statement is no calendar month.
        StoreError: the store is damaged.
    """
    if statement.period.months != 1:
        raise InvalidArgumentError(f"invoices are made of one calendar month, and {statement.period} is none")
    parents = parents_of(statement) if book.customer == "parent" else {}
    # A temporary database of its own sorts by customer: a million accounts would not fit into memory.
    with closing(sqlite3.connect("", isolation_level=None)) as spool:
        spool.execute("CREATE TABLE line (customer TEXT, number INTEGER, data TEXT)")
        spool.execute("BEGIN")
        rows = (
            (_customer(entry, book, parents), number, json.dumps(attrs.astuple(line)))
            for number, (entry, line) in enumerate(_priced(statement.entries(), book))
        )
        spool.executemany("INSERT INTO line VALUES (?, ?, ?)", ((c, n, d) for c, n, d in rows))
        found = spool.execute("SELECT customer, data FROM line ORDER BY customer, number")
        for customer, group in groupby(found, key=lambda row: str(row[0])):
            yield _invoice(customer, [_line_of(customer, data) for _, data in group], book)


def charge_of(line: StatementLine, book: PriceBook) -> Charge | None:
    """Return what an account owes for its line; None when the book has no price for it.

    Args:
        line: of a calendar month.
        book: what is agreed.
    """
    price = book.price_of(line.account_id, line.price_plan_id, line.audit_info)
    if price is None:
        return None
    amount = _NOTHING
    for rounded in _rounded([Decimal(draft.exact) for draft in _lines_of(line, book)], book):
        amount = EXACT.add(amount, rounded)
    return Charge(price.included_tasks, max(0, line.task_count - price.included_tasks), amount)


@attrs.frozen
class _Draft:
    """A line before it is known whose invoice it is on; all its values can stand in JSON."""

    account_id: str
    account_name: str | None
    kind: InvoiceKind
    quantity: int
    unit_price: str | None
    tier: int | None
    exact: str
    why: str
    source: str | None
    price_plan_id: int | None
    period_from: str | None
    period_to: str | None
    provisional: bool


def _line_of(customer: str, data: str) -> InvoiceLine:
    draft = _Draft(*json.loads(data))
    price = None if draft.unit_price is None else Decimal(draft.unit_price)
    return InvoiceLine(
        customer=customer,
        account_id=draft.account_id,
        account_name=draft.account_name,
        kind=draft.kind,
        quantity=draft.quantity,
        unit_price=price,
        tier=draft.tier,
        exact=Decimal(draft.exact),
        amount=_NOTHING,
        why=draft.why,
        source=draft.source,
        price_plan_id=draft.price_plan_id,
        period_from=draft.period_from,
        period_to=draft.period_to,
        provisional=draft.provisional,
    )


def _customer(entry: StatementLine | Gap, book: PriceBook, parents: dict[str, str]) -> str:
    if book.customer == "audit_info":
        return entry.audit_info or entry.account_id
    return top_parent(entry.account_id, parents)


def _priced(entries: Iterable[StatementLine | Gap], book: PriceBook) -> Iterator[tuple[StatementLine | Gap, _Draft]]:
    for entry in entries:
        for draft in _lines_of(entry, book):
            yield entry, draft


def _lines_of(entry: StatementLine | Gap, book: PriceBook) -> list[_Draft]:
    """Return the lines of one account, not rounded yet."""
    make = _Maker(entry)
    if isinstance(entry, Gap):
        if entry.reason == "after_closing":
            return []  # no part of the month that was closed: it is a difference, and billed with a later month
        kind: InvoiceKind = "gone" if entry.reason == "gone" else "missing"
        return [make.line(kind, 0, None, f"no figure: {entry.detail}")]
    price = book.price_of(entry.account_id, entry.price_plan_id, entry.audit_info)
    if price is None:
        plan = "no plan" if entry.price_plan_id is None else f"plan {entry.price_plan_id}"
        return [make.line("unpriced", entry.task_count, None, f"the price book has neither {plan} nor a default")]
    make.source = price.source
    lines: list[_Draft] = []
    if price.fee:
        lines.append(make.line("fee", 1, price.fee, f"fee of {_plan_name(price, entry)}"))
    lines += _task_lines(entry, price, make)
    lines += _cycle_lines(entry, price, make)
    # Where lines are rounded, what is owed is what stands on them: a minimum that was filled up from the exact amounts
    # would come out a coin beside itself.
    by_line = book.round_at == "line"
    owed = _NOTHING
    for line in lines:
        owed = EXACT.add(owed, book.rounded(Decimal(line.exact)) if by_line else Decimal(line.exact))
    minimum = book.rounded(price.minimum) if by_line else price.minimum
    if owed < minimum:
        missing = EXACT.subtract(minimum, owed)
        lines.append(make.line("minimum", 1, missing, f"up to the minimum of {minimum:f}, from {owed:f}"))
    return lines


def _plan_name(price: Price, entry: StatementLine) -> str:
    number = "no plan" if entry.price_plan_id is None else f"plan {entry.price_plan_id}"
    return number if price.name is None else f"{price.name} ({number})"


class _Maker:
    def __init__(self, entry: StatementLine | Gap) -> None:
        self._entry = entry
        self.source: str | None = None

    def line(
        self, kind: InvoiceKind, quantity: int, unit_price: Decimal | None, why: str, tier: int | None = None
    ) -> _Draft:
        entry = self._entry
        exact = _NOTHING if unit_price is None else EXACT.multiply(Decimal(quantity), unit_price)
        line = entry if isinstance(entry, StatementLine) else None
        return _Draft(
            account_id=entry.account_id,
            account_name=entry.account_name,
            kind=kind,
            quantity=quantity,
            unit_price=None if unit_price is None else format(unit_price, "f"),
            tier=tier,
            exact=format(exact, "f"),
            why=why,
            source=self.source,
            price_plan_id=entry.price_plan_id,
            period_from=None if line is None else line.period_from,
            period_to=None if line is None else line.period_to,
            provisional=line is not None and line.provisional,
        )


def _task_lines(entry: StatementLine, price: Price, make: _Maker) -> list[_Draft]:
    used = max(0, entry.task_count)
    within = min(used, price.included_tasks)
    over = used - within
    said = f"{entry.task_count:,} tasks used, {price.included_tasks:,} included, {over:,} over"
    if entry.task_count < 0:
        said += "; a count below zero is not credited"
    if entry.periods > 1:
        said += f"; {entry.periods} periods begin in the month"
    lines = [make.line("included", within, _NOTHING, said)] if within or not over else []
    for number, (tier, quantity) in enumerate(_in_tiers(over, price), start=1):
        if quantity:
            limit = "all above" if tier.up_to is None else f"up to {tier.up_to:,}"
            how = f"tier {number} ({limit}) of {len(price.tiers)}" if len(price.tiers) > 1 else "unit price"
            lines.append(make.line("tasks", quantity, tier.price, f"{said}: {quantity:,} at the {how}", number))
    return lines


def _in_tiers(over: int, price: Price) -> Iterator[tuple[Any, int]]:
    """Yield every tier with the tasks that are paid at its price."""
    reached = next(index for index, tier in enumerate(price.tiers) if tier.up_to is None or over <= tier.up_to)
    begun = 0
    for index, tier in enumerate(price.tiers):
        if price.tier_mode == "volume":
            yield tier, over if index == reached else 0
            continue
        end = over if tier.up_to is None else min(over, tier.up_to)
        yield tier, max(0, end - begun)
        begun = max(begun, end)


def _cycle_lines(entry: StatementLine, price: Price, make: _Maker) -> list[_Draft]:
    if price.included_cycles is None or entry.cycle_count is None or not price.cycle_price:
        return []  # cycles are free, or the API counts none
    over = max(0, entry.cycle_count - price.included_cycles)
    if not over:
        return []
    why = f"{entry.cycle_count:,} cycles at most, {price.included_cycles:,} included, {over:,} over"
    return [make.line("cycles", over, price.cycle_price, why)]


def _invoice(customer: str, lines: Sequence[InvoiceLine], book: PriceBook) -> Invoice:
    rounded = _rounded([line.exact for line in lines], book)
    total = _NOTHING
    for amount in rounded:
        total = EXACT.add(total, amount)
    done = tuple(attrs.evolve(line, amount=amount) for line, amount in zip(lines, rounded, strict=True))
    return Invoice(
        customer=customer,
        currency=book.currency,
        total=total,
        lines=done,
        provisional=any(line.provisional for line in lines),
        incomplete=any(line.kind in {"unpriced", "missing"} for line in lines),
    )


def _rounded(exact: Sequence[Decimal], book: PriceBook) -> list[Decimal]:
    """Round the amounts of an invoice so that they add up to its total."""
    if book.round_at == "line":
        return [book.rounded(amount) for amount in exact]
    total = _NOTHING
    for amount in exact:
        total = EXACT.add(total, amount)
    # The total is rounded. Every line is rounded down, and what is left over goes, one coin each, to the lines that
    # lost most: so no line is further from its exact amount than a coin.
    amounts = [book.rounded(amount, "floor") for amount in exact]
    left = book.rounded(total)
    for amount in amounts:
        left = EXACT.subtract(left, amount)
    coins = int(EXACT.divide(left, book.unit))
    order = sorted(range(len(exact)), key=lambda index: (EXACT.subtract(amounts[index], exact[index]), index))
    for index in order[:coins]:
        amounts[index] = EXACT.add(amounts[index], book.unit)
    return amounts
