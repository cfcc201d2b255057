"""Price books: what stands in them, and what is said of everything that is wrong, with line and key."""

from __future__ import annotations

import ast
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cyclr_async
from cyclr_async.errors import ConfigurationError
from cyclr_async.usage import Price, PriceBookError, Tier, load_price_book, parse_price_book
from cyclr_async.usage.months.toml_lines import lines_of

BOOK = """\
# What our customers pay.
currency = "EUR"
rounding = "half_even"
customer = "audit_info"

[plans.1]
name = "Basic"
fee = 49
included_tasks = 10_000
unit_price = 0.0025          # read as it is written

[plans.2]
name = "Growth"
fee = "199.00"
included_tasks = 100_000
tiers = [
    { up_to = 100_000, price = "0.002" },
    { price = "0.001" },
]
included_cycles = 5
cycle_price = "1.50"
minimum = "250"

[plans.default]
unit_price = "0.01"

[audit_info."ACME, Inc."]
fee = 0

[accounts."0a1b"]
plan = 1
included_tasks = 20_000
"""


def test_what_a_book_says() -> None:
    book = parse_price_book(BOOK)
    assert (book.currency, book.decimals, book.rounding, book.round_at) == ("EUR", 2, "half_even", "line")
    assert book.customer == "audit_info"
    assert book.price_of("x", 1, None) == Price(
        source="plans.1",
        name="Basic",
        fee=Decimal(49),
        included_tasks=10_000,
        tiers=(Tier(None, Decimal("0.0025")),),
        tier_mode="graduated",
        included_cycles=None,
        cycle_price=Decimal(0),
        minimum=Decimal(0),
    )
    growth = book.price_of("x", 2, None)
    assert growth is not None
    assert growth.tiers == (Tier(100_000, Decimal("0.002")), Tier(None, Decimal("0.001")))
    assert (growth.included_cycles, growth.cycle_price, growth.minimum) == (5, Decimal("1.50"), Decimal(250))
    for plan in (3, None):
        other = book.price_of("x", plan, None)
        assert other is not None
        assert (other.source, other.tiers[0].price) == ("plans.default", Decimal("0.01"))
    customer = book.price_of("x", 2, "ACME, Inc.")
    assert customer is not None
    assert (str(customer.fee), customer.included_tasks) == ("0", 100_000)
    assert customer.source == 'plans.2 with audit_info."ACME, Inc."'
    # The account is nearer than the customer, and takes what it does not say itself from there and from its plan.
    account = book.price_of("0a1b", 2, "ACME, Inc.")
    assert account is not None
    assert (account.name, str(account.fee), account.included_tasks) == ("Basic", "0", 20_000)
    assert account.source == 'plans.1 with audit_info."ACME, Inc." and accounts."0a1b"'
    assert parse_price_book('currency = "EUR"\n[plans.1]\n').price_of("x", 2, None) is None


WRONG = [
    # the text; the line and the key; part of what is said
    ('currency = "EUR"\n[plans.1]\nunit_price = -1\n', "3: plans.1.unit_price", "-1 is no amount"),
    ('currency = "EUR"\n[plans.1]\nunit_price = true\n', "3: plans.1.unit_price", "True is no amount"),
    ('currency = "EUR"\n[plans.1]\nunit_price = inf\n', "3: plans.1.unit_price", "is no amount"),
    ('currency = "EUR"\n[plans.1]\nunit_price = nan\n', "3: plans.1.unit_price", "is no amount"),
    ('currency = "EUR"\n[plans.1]\nunit_price = "1,5"\n', "3: plans.1.unit_price", "'1,5' is no amount"),
    ('currency = "EUR"\n[plans.1]\n\n# x\nfee = [1]\n', "5: plans.1.fee", "is no amount"),
    ('currency = "EUR"\n[plans.1]\nincluded_tasks = 1.5\n', "3: plans.1.included_tasks", "is no whole number"),
    ('currency = "EUR"\n[plans.1]\nincluded_tasks = -1\n', "3: plans.1.included_tasks", "is no whole number"),
    ('currency = "EUR"\n[plans.1]\nincluded_task = 1\n', "3: plans.1.included_task", "did you mean included_tasks?"),
    ('currency = "EUR"\n[plans.1]\nname = 1\n', "3: plans.1.name", "a name is a text"),
    ('currency = "EUR"\n[plans.1]\nunit_price = 1\ntiers = [{price = 1}]\n', "3: plans.1.unit_price", "exclude"),
    ('currency = "EUR"\n[plans.1]\ntiers = []\n', "3: plans.1.tiers", "tiers are a list"),
    ('currency = "EUR"\n[plans.1]\ntiers = [{up_to = 5, price = 1}]\n', "3: plans.1.tiers[0].up_to", "for ever"),
    ('currency = "EUR"\n[plans.1]\ntiers = [{price = 1}, {price = 1}]\n', "3: plans.1.tiers[0]", "only the last"),
    ('currency = "EUR"\n[plans.1]\ntiers = [{}]\n', "3: plans.1.tiers[0]", "a tier needs a price"),
    (
        'currency="EUR"\n[plans.1]\n[[plans.1.tiers]]\nup_to=9\nprice=1\n[[plans.1.tiers]]\nup_to=9\nprice=1\n',
        "7: plans.1.tiers[1].up_to",
        "must end after 9",
    ),
    ('currency = "EUR"\n[plans.1]\ncycle_price = 1\n', "3: plans.1.cycle_price", "needs included_cycles"),
    ('currency = "EUR"\n[plans.1]\ntier_mode = "x"\n', "3: plans.1.tier_mode", "none of graduated, volume"),
    ('currency = "EUR"\nplans = 3\n', "2: plans", "holds tables"),
    ('currency = "EUR"\n[plans]\n1 = 3\n', "3: plans.1", "a table of its own: [plans.1]"),
    ('currency = "EUR"\n[plans.basic]\n', "2: plans.basic", "named by its number"),
    ('currency = "euro"\n[plans.1]\n', "1: currency", "three capital letters"),
    ("[plans.1]\n", "prices.toml: currency", "three capital letters"),
    ('currency = "EUR"\n', "prices.toml: it has no plans", "[plans.default]"),
    ('currency = "EUR"\ndecimals = 5\n[plans.1]\n', "2: decimals", "4 at most"),
    ('currency = "EUR"\nrounding = "bankers"\n[plans.1]\n', "2: rounding", "half_even"),
    ('currency = "EUR"\nround_at = "page"\n[plans.1]\n', "2: round_at", "line, invoice"),
    ('currency = "EUR"\ncustomer = "name"\n[plans.1]\n', "2: customer", "account, parent, audit_info"),
    (
        'currency = "EUR"\n[plans.1]\n[accounts.a]\nplan = 9\n',
        "4: accounts.a.plan",
        "there is no plan 9 in this book: 1",
    ),
    ('currency = "EUR"\n[plans.1]\n[accounts."a b"]\nfee = ""\n', '4: accounts."a b".fee', "is no amount"),
    ('currency = "EUR"\n[plans.1]\nfee = 1\nfee = 2\n', "prices.toml:4", "this is no TOML"),
    ('currency = "EUR"\n[plans.1\n', "prices.toml:2", "this is no TOML"),
    ("currency = 'EUR'\n[plans.1]\nunit_price = 1e400\n", "3: plans.1.unit_price", "is no amount"),
    # Numbers that Python makes an error of its own of, or a gigabyte of digits.
    ("currency = 'EUR'\n[plans.1]\nfee = 1e999999999\n", "3: plans.1.fee", "is no amount"),
    ("currency = 'EUR'\n[plans.1]\nfee = 1e99999999999999999999\n", "3: plans.1.fee", "is no amount"),
    ("currency = 'EUR'\n[plans.1]\nfee = " + "9" * 5000 + "\n", "prices.toml", "too many digits"),
    ("currency = 'EUR'\n[plans.1]\nfee = " + "[" * 5000 + "]" * 5000 + "\n", "prices.toml", "nested too deeply"),
    ("currency = 'EUR'\n[plans.007]\n", "2: plans.007", "named by its number"),
    ("currency = 'EUR'\n[plans.7]\nname = 'a\u2028b\u0085c'\nfee = ''\n", "4: plans.7.fee", "is no"),
    (
        "currency = 'EUR'\n[plans.1]\nincluded_cycles = 1\n[plans.2]\n[accounts.a]\ncycle_price = 1\n",
        "6: accounts.a.cycle_price",
        "needs included_cycles",
    ),
    (
        "currency = 'EUR'\n[plans.1]\n[audit_info.a]\nplan = 1\ncycle_price = 1\n",
        "5: audit_info.a.cycle_price",
        "needs",
    ),
]


@pytest.mark.parametrize(("text", "where", "what"), WRONG)
def test_what_is_wrong_is_said_with_line_and_key(text: str, where: str, what: str) -> None:
    with pytest.raises(PriceBookError) as caught:
        parse_price_book(text)
    assert where in str(caught.value)
    assert what in str(caught.value)
    assert isinstance(caught.value, ConfigurationError)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(PriceBookError) as caught:
        parse_price_book('currency = "eur"\nx = 1\n[plans.1]\nfee = "x"\nminimum = "y"\n')
    assert len(caught.value.problems) == 4
    with pytest.raises(PriceBookError, match="and 5 more"):
        parse_price_book('currency = "EUR"\n[plans.1]\n' + "".join(f"x{number} = 1\n" for number in range(25)))


def test_a_price_of_cycles_may_be_laid_over_plans_that_count_them() -> None:
    text = 'currency = "EUR"\n[plans.1]\nincluded_cycles = 4\n[plans.2]\n[accounts.a]\nplan = 1\ncycle_price = 3\n'
    price = parse_price_book(text).price_of("a", 2, None)
    assert price is not None
    assert (price.included_cycles, price.cycle_price) == (4, Decimal(3))


@pytest.mark.parametrize(
    ("said", "decimals"), [("JPY", 0), ("EUR", 2), ("KWD", 3), ("CLF", 4), ("ZZZ", 2), ('JPY"\ndecimals=2\n#"', 2)]
)
def test_amounts_have_the_digits_of_their_currency_unless_told_otherwise(said: str, decimals: int) -> None:
    assert parse_price_book(f'currency = "{said}"\n[plans.1]\n').decimals == decimals


def test_files(tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    with pytest.raises(PriceBookError, match="cannot be read: No such file"):
        load_price_book(file)
    file.write_bytes(b'\xef\xbb\xbfcurrency = "EUR"\r\n[plans.1]\r\nfee = 3\r\n')  # as an editor on Windows saves it
    found = load_price_book(file).price_of("x", 1, None)
    assert found is not None
    assert found.fee == 3
    file.write_bytes(b'currency = "EUR"\n[plans.1]\nname = "\xe9"\n')
    with pytest.raises(PriceBookError, match=r"prices\.toml:3: this is not UTF-8"):
        load_price_book(file)


def test_lines_of_keys_in_every_form() -> None:
    text = BOOK + '\n[a."b.c"]\n"d e" = 1\nf.g = 2\n[[h]]\ni = """\nx = 1\n"""\n[[h]]\n[h.j]\nk = 1\n'
    found = lines_of(text)
    lines = text.splitlines()
    for place, expected in {
        ("currency",): "currency =",
        ("plans", "2"): "[plans.2]",
        ("plans", "2", "tiers"): "tiers = [",
        ("plans", "2", "tiers", 1, "price"): "tiers = [",
        ("plans", "2", "minimum"): "minimum =",
        ("accounts", "0a1b", "plan"): "plan = 1",
        ("a", "b.c", "d e"): '"d e" =',
        ("a", "b.c", "f", "g"): "f.g =",
        ("h", 0, "i"): "i =",
        ("h", 1, "j", "k"): "k =",
    }.items():
        assert lines[found[place] - 1].startswith(expected)
    assert ("x",) not in found
    assert ("h", 0, "x") not in found


@given(st.text(alphabet="[]=\"'.ab1 #\n{},", max_size=60))
def test_lines_are_found_for_whatever_the_parser_takes(text: str) -> None:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    found = lines_of(text)
    count = max(1, len(text.splitlines()))
    assert all(1 <= line <= count for line in found.values())
    assert {place[0] for place in found} == set(document)


@given(st.from_regex(r"[0-9]{1,20}(\.[0-9]{1,20})?", fullmatch=True))
def test_an_amount_is_what_is_written(text: str) -> None:
    book = parse_price_book(f'currency = "EUR"\n[plans.1]\nfee = "{text}"\n')
    price = book.price_of("x", 1, None)
    assert price is not None
    assert str(price.fee) == str(Decimal(text))


def test_no_float_in_anything_that_has_to_do_with_money() -> None:
    folder = Path(cyclr_async.__file__).parent / "usage" / "months"
    for module in ("price_book", "price_file", "invoice", "statement", "tally", "closing", "differences"):
        tree = ast.parse((folder / f"{module}.py").read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            assert not (isinstance(node, ast.Constant) and isinstance(node.value, float)), (module, node.lineno)
            assert not (isinstance(node, ast.Name) and node.id == "float"), (module, node.lineno)
            # Of two whole numbers it would make a float, and of two Decimals a figure of 28 digits.
            assert not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)), (module, node.lineno)
