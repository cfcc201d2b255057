"""Reports to try the page with: plausible ones of any size, and one in which every name is hostile."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from cyclr_async.usage.page.data import PageAccount, PageMonth, PageReason, PageReport

MADE_AT: Final = datetime(2026, 11, 3, 7, 30, tzinfo=UTC)
MONTHS: Final = tuple(f"{name} 2025" for name in ("Oct", "Nov", "Dec")) + tuple(
    f"{name} 2026" for name in ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct")
)
REASONS: Final = {
    "missing": PageReason("Not found", "The service answered that there is no such account.", "Ask it again by id."),
    "failed": PageReason("Failed", "The service could not be asked.", "Collect it again before you bill."),
    "gone": PageReason("Gone", "The account is no longer listed.", "Bill what it used before it went.", settled=True),
    "no_earlier": PageReason("No earlier figure", "There is nothing to compare it with."),
}
WORDS: Final = (
    "Acme",
    "Borealis",
    "Cobalt",
    "Delta",
    "Ember",
    "Fjord",
    "Granite",
    "Harbour",
    "Indigo",
    "Juniper",
    "Kestrel",
    "Lumen",
    "Meridian",
    "Nimbus",
    "Orchard",
    "Pioneer",
    "Quartz",
    "Ridge",
    "Summit",
    "Tandem",
    "Umber",
    "Vertex",
)
PLANS: Final = (("Starter", 1_000), ("Growth", 10_000), ("Scale", 100_000))
HOSTILE: Final = (
    "<script>document.title='owned'</script>",
    "</script><script>document.title='owned'</script>",
    "<!--<script>",
    "<img src=x onerror=\"document.title='owned'\">",
    '"><svg onload=document.title=1>',
    "javascript:alert(1)",
    "&lt;b&gt;&amp;amp;",
    "{{7*7}} ${7*7} `x`",
    "\u202etxt.exe\u202c reversed",
    "\u2066isolated\u2069\u200b\u200e",
    "شركة الاختبار العربية",
    "חברת בדיקה בע״מ",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 Family \U0001f680 Ltd",
    "株式会社テスト",
    "e\u0301\u0323\u0323\u0323\u0323 combining",
    "line\nbreak\ttab\rreturn\u2028separator\u2029end",
    "nul\x00bell\x07escape\x1b[31m",
    "lone \ud800 surrogate and \uffff",
    '=HYPERLINK("http://example.com")',
    "N" * 500,
    "many words " * 46,
    " ",
    "__proto__",
    "constructor",
    "0",
)


def report(
    accounts: Sequence[PageAccount] | Iterator[PageAccount], months: Sequence[PageMonth] | None = None, **values: object
) -> PageReport:
    """A report about October 2026."""
    given = {
        "period": "October 2026",
        "span": "2026-10-01 to 2026-10-31",
        "partner": "partner.example.com",
        "made_at": MADE_AT,
        "previous_period": "September 2026",
        "reasons": REASONS,
        "currency": "EUR",
        "method": (
            "A task is counted by the service; this page adds up and compares, and measures nothing itself.",
            "An account belongs to the month in which its billing period begins.",
        ),
        "months": month_totals(accounts) if months is None and isinstance(accounts, list) else months or (),
    } | values
    return PageReport(accounts=accounts, **given)  # type: ignore[arg-type]


def month_totals(accounts: Sequence[PageAccount]) -> list[PageMonth]:
    """The trend of some accounts, with one month that nobody collected."""
    months = []
    for index, label in enumerate(MONTHS):
        known = [value for account in accounts if account.history and (value := account.history[index]) is not None]
        provisional = sum(account.provisional for account in accounts) if index == len(MONTHS) - 1 else 0
        months.append(PageMonth(label, sum(known), len(known), provisional))
    months[2] = PageMonth(MONTHS[2], None)
    return months


def plausible(number: int, *, seed: int = 1) -> Iterator[PageAccount]:
    """Accounts as a partner has them: few large and many small, with plans, growth, gaps and newcomers."""
    chance = random.Random(seed)
    for index in range(number):
        account_id = f"{chance.getrandbits(128):032x}"
        name = f"{chance.choice(WORDS)} {chance.choice(WORDS)} {index:05}"
        size = chance.lognormvariate(6.5, 1.8)
        plan, included = PLANS[0] if size < 1_500 else PLANS[1] if size < 12_000 else PLANS[2]
        growth = chance.gauss(1.03, 0.03)
        history: list[int | None] = [
            int(size * growth ** (month - 12) * chance.uniform(0.8, 1.2)) for month in range(len(MONTHS))
        ]
        parent = account_id[::-1] if index % 17 == 0 else None
        seen = MADE_AT - timedelta(minutes=chance.randrange(30, 60 * 24 * 12))
        fate = chance.random()
        if fate < 0.02:
            reason = "failed" if fate < 0.01 else "missing"
            yield PageAccount(
                account_id, name, plan, parent, previous=history[-2], reason=reason, history=(*history[:-1], None)
            )
            continue
        if fate < 0.03:
            yield PageAccount(account_id, name, plan, parent, previous=history[-2], reason="gone", presence="gone")
            continue
        tasks = history[-1] or 0
        new = fate < 0.06
        if new:
            history = [None] * (len(MONTHS) - 1) + [tasks]
        over = max(0, tasks - included)
        yield PageAccount(
            account_id,
            name,
            plan,
            parent,
            tasks,
            previous=None if new else history[-2],
            provisional=0.06 < fate < 0.09,
            reason="no_earlier" if new else None,
            presence="new" if new else "there",
            included=included,
            charge=(Decimal(over) * Decimal("0.002")).quantize(Decimal("0.01")) if over else None,
            observed_at=seen,
            history=history,
        )


def hostile() -> Iterator[PageAccount]:
    """Every hostile text as name, id, plan, parent and reason at once."""
    for index, text in enumerate(HOSTILE):
        yield PageAccount(
            f"{text}{index}",
            text,
            f"plan {text}",
            text,
            1000 + index * 997,
            900 + (index * 7919) % 1500,
            included=500,
            charge=Decimal("1.50"),
            observed_at=MADE_AT - timedelta(hours=index),
            history=(*range(10), None, 5, index),
        )
        yield PageAccount(f"gap {text}", text, reason=f"reason {text}")
    # As much as a store can hold.
    yield PageAccount("large", "Large", "large", None, 2**63 - 1, 1, included=5, charge=Decimal(2**62) / 100)
