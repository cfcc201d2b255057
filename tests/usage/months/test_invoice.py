"""Invoices: every line by hand, and by property: whatever the rule, the lines add up to the total."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyclr_async.errors import InvalidArgumentError
from cyclr_async.usage import Invoice, StatementPeriod, charge_of, invoices, parse_price_book, read_statement
from cyclr_async.usage.months.invoice import _in_tiers, _rounded
from cyclr_async.usage.months.price_book import EXACT, Price, PriceBook, Tier, TierMode
from tests.support.usage_months import StoreMaker

NOW = datetime(2027, 3, 1, tzinfo=UTC)
BOOK = """
currency = "EUR"
customer = "{customer}"
[plans.1]
name = "Basic"
fee = 49
included_tasks = 1_000
unit_price = "0.0125"
[plans.2]
included_tasks = 100
tiers = [{{ up_to = 50, price = "0.10" }}, {{ up_to = 150, price = "0.08" }}, {{ price = "0.05" }}]
included_cycles = 2
cycle_price = "1.50"
minimum = 30
[plans.3]
fee = 5
[audit_info.acme]
fee = 0
[accounts.gift]
included_tasks = 1_000_000
"""


def store_of_a_month(path: Path) -> None:
    with StoreMaker(path) as store:
        store.run("2026-12-02", api="partner")
        for account, plan, tasks, cycles, audit, parent in (
            ("basic", 1, 1_333, 9, "acme", None),
            ("small", 2, 40, 1, "acme", None),
            ("large", 2, 400, 4, "other", "basic"),
            ("fee", 3, 7, 1, None, "large"),
            ("gift", 1, 500_000, 1, None, None),
            ("wild", 9, 5, 1, None, None),
        ):
            store.list(account, name=account.title(), plan=plan, audit=audit, parent=parent)
            store.usage(account, "2026-11-01", "2026-11-30", tasks, cycles=cycles, plan=plan, audit=audit)
        store.list("silent", name="Silent", audit="other").refused("silent", "failed")


def made(path: Path, customer: str) -> dict[str, Invoice]:
    book = parse_price_book(BOOK.format(customer=customer))
    return {one.customer: one for one in invoices(read_statement(path, "2026-11", now=NOW), book)}


def test_the_lines_of_every_account(path: Path) -> None:
    store_of_a_month(path)
    found = made(path, "account")
    assert list(found) == ["basic", "fee", "gift", "large", "silent", "small", "wild"]
    lines = {
        customer: [(line.kind, line.quantity, line.unit_price, line.tier, line.amount) for line in one.lines]
        for customer, one in found.items()
    }
    assert lines["basic"] == [
        ("included", 1_000, Decimal(0), None, Decimal("0.00")),
        ("tasks", 333, Decimal("0.0125"), 1, Decimal("4.16")),  # 4.1625
    ]
    assert lines["large"] == [
        ("included", 100, Decimal(0), None, Decimal("0.00")),
        ("tasks", 50, Decimal("0.10"), 1, Decimal("5.00")),
        ("tasks", 100, Decimal("0.08"), 2, Decimal("8.00")),
        ("tasks", 150, Decimal("0.05"), 3, Decimal("7.50")),
        ("cycles", 2, Decimal("1.50"), None, Decimal("3.00")),
        ("minimum", 1, Decimal("6.50"), None, Decimal("6.50")),
    ]
    assert lines["small"] == [
        ("included", 40, Decimal(0), None, Decimal("0.00")),
        ("minimum", 1, Decimal(30), None, Decimal("30.00")),
    ]
    assert lines["fee"] == [
        ("fee", 1, Decimal(5), None, Decimal("5.00")),
        ("tasks", 7, Decimal(0), 1, Decimal("0.00")),
    ]
    assert lines["gift"][1] == ("included", 500_000, Decimal(0), None, Decimal("0.00"))
    assert lines["wild"] == [("unpriced", 5, None, None, Decimal("0.00"))]
    assert lines["silent"] == [("missing", 0, None, None, Decimal("0.00"))]
    assert {customer for customer, one in found.items() if one.incomplete} == {"silent", "wild"}
    assert (found["large"].total, found["large"].currency) == (Decimal("30.00"), "EUR")
    why = found["large"].lines[2]
    assert why.why == "400 tasks used, 100 included, 300 over: 100 at the tier 2 (up to 150) of 3"
    assert (why.source, why.price_plan_id, why.period_from) == ("plans.2", 2, "2026-11-01T00:00:00Z")
    assert found["basic"].lines[0].source == 'plans.1 with audit_info."acme"'
    assert found["silent"].lines[0].why == "no figure: the call failed: ServerError(500): failed"


def test_several_accounts_of_one_customer(path: Path) -> None:
    store_of_a_month(path)
    by_audit = made(path, "audit_info")
    assert list(by_audit) == ["acme", "fee", "gift", "other", "wild"]
    assert [line.account_id for line in by_audit["acme"].lines] == ["basic", "basic", "small", "small"]
    assert by_audit["acme"].total == Decimal("34.16")
    assert (by_audit["other"].total, by_audit["other"].incomplete) == (Decimal("30.00"), True)
    # A sub-account of a sub-account belongs to the account at the top; usage of a child is no part of its parent's.
    by_parent = made(path, "parent")
    assert {line.account_id for line in by_parent["basic"].lines} == {"basic", "fee", "large"}
    assert by_parent["basic"].total == Decimal("39.16")
    totals = [sum(one.total for one in found.values()) for found in (by_audit, by_parent, made(path, "account"))]
    assert len(set(totals)) == 1


def test_parents_that_go_round_in_a_circle(path: Path) -> None:
    with StoreMaker(path) as store:
        store.run("2026-12-02")
        for account, parent in (("a", "b"), ("b", "a")):
            store.list(account, plan=3, parent=parent)
            store.usage(account, "2026-11-01", "2026-11-30", 1)
    found = made(path, "parent")
    assert sum(one.total for one in found.values()) == 10
    assert set(found) == {"a", "b"}


def test_only_a_calendar_month_is_invoiced(path: Path) -> None:
    store_of_a_month(path)
    book = parse_price_book(BOOK.format(customer="account"))
    for period in (
        StatementPeriod(date(2026, 10, 1), date(2026, 12, 1)),
        StatementPeriod(date(2026, 11, 1), date(2026, 11, 30)),
    ):
        with pytest.raises(InvalidArgumentError, match="invoices are made of one calendar month"):
            next(invoices(read_statement(path, period), book))


def test_a_count_below_zero_is_no_credit(path: Path) -> None:
    with StoreMaker(path) as store:
        store.run("2026-12-02")
        store.list("a", plan=1).usage("a", "2026-11-01", "2026-11-30", -5, plan=1)
    (one,) = made(path, "account").values()
    assert one.total == Decimal("49.00")
    assert "a count below zero is not credited" in one.lines[1].why


@pytest.mark.parametrize("rule", ["half_up", "half_even", "half_down", "up", "down", "ceiling", "floor"])
@pytest.mark.parametrize("at", ["line", "invoice"])
@pytest.mark.parametrize(("mode", "fee"), [("graduated", "1.005"), ("volume", "0.014"), ("graduated", "1.016")])
def test_a_minimum_comes_out_as_it_was_agreed(path: Path, rule: str, at: str, mode: str, fee: str) -> None:
    with StoreMaker(path) as store:
        store.run("2026-12-02")
        for number, tasks in enumerate((0, 100, 101, 150, 151, 250, 251)):
            store.list(f"a{number}", plan=1).usage(f"a{number}", "2026-11-01", "2026-11-30", tasks, cycles=3, plan=1)
    book = parse_price_book(
        f'currency = "EUR"\nrounding = "{rule}"\nround_at = "{at}"\n[plans.1]\nfee = "{fee}"\nincluded_tasks = 100\n'
        f'tiers = [{{ up_to = 50, price = "0.00333" }}, {{ up_to = 150, price = "0.0777" }}, {{ price = "0.033" }}]\n'
        f'tier_mode = "{mode}"\nincluded_cycles = 1\ncycle_price = "1.004"\nminimum = 30\n'
    )
    statement = read_statement(path, "2026-11", now=NOW)
    charges = {line.account_id: charge_of(line, book) for line in statement.lines()}
    for one in invoices(statement, book):
        charge = charges[one.customer]
        assert charge is not None
        assert one.total == charge.amount == _sum([line.amount for line in one.lines]) == Decimal(30)


AMOUNTS = st.decimals(0, 10**20, allow_nan=False, allow_infinity=False, places=20).map(lambda d: d.copy_abs())
RULES = st.sampled_from(["half_up", "half_even", "half_down", "up", "down", "ceiling", "floor"])


@given(st.lists(AMOUNTS, max_size=8), RULES, st.sampled_from(["line", "invoice"]), st.integers(0, 4))
def test_lines_add_up_to_the_total_under_every_rule(exact: list[Decimal], rule: str, at: str, decimals: int) -> None:
    book = parse_price_book(
        f'currency = "EUR"\nrounding = "{rule}"\nround_at = "{at}"\ndecimals = {decimals}\n[plans.1]\n'
    )
    amounts = _rounded(exact, book)
    total = sum(exact, Decimal(0)) if not exact else _sum(exact)
    assert all(amount == amount.quantize(book.unit, context=EXACT) for amount in amounts)
    assert all(abs(EXACT.subtract(amount, true)) < book.unit for amount, true in zip(amounts, exact, strict=True))
    if at == "invoice":
        assert _sum(amounts) == book.rounded(total)
        # What is exact already, such as a line that costs nothing, stays as it is.
        assert all(a == e for a, e in zip(amounts, exact, strict=True) if e == book.rounded(e))
    else:
        assert amounts == [book.rounded(amount) for amount in exact]


def _sum(amounts: list[Decimal]) -> Decimal:
    total = Decimal(0)
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total


@st.composite
def prices(draw: st.DrawFn) -> Price:
    ends = sorted(draw(st.sets(st.integers(1, 10**6), max_size=4)))
    money = st.decimals(0, 10**6, allow_nan=False, places=6)
    tiers = [Tier(end, draw(money)) for end in [*ends, None]]
    modes: list[TierMode] = ["graduated", "volume"]
    mode = draw(st.sampled_from(modes))
    return Price("x", None, Decimal(0), 0, tuple(tiers), mode, None, Decimal(0), Decimal(0))


@given(prices(), st.integers(0, 2 * 10**6))
def test_every_task_is_in_exactly_one_tier(price: Price, over: int) -> None:
    found = list(_in_tiers(over, price))
    assert sum(quantity for _, quantity in found) == over
    assert all(quantity >= 0 for _, quantity in found)
    # One by one, as a person would count.
    if over <= 2000 and price.tier_mode == "graduated":
        for tier, quantity in found:
            begun = max(
                (t.up_to for t in price.tiers if t.up_to is not None and t.up_to < (tier.up_to or 10**9)), default=0
            )
            assert quantity == sum(begun < number <= (tier.up_to or 10**9) for number in range(1, over + 1))
    if price.tier_mode == "volume":
        assert sum(quantity > 0 for _, quantity in found) <= 1


def test_no_float_in_a_book() -> None:
    book: PriceBook = parse_price_book('currency = "EUR"\n[plans.1]\nfee = 0.1\nunit_price = 1e-3\n')
    price = book.price_of("x", 1, None)
    assert price is not None
    assert (price.fee, price.tiers[0].price) == (Decimal("0.1"), Decimal("0.001"))
