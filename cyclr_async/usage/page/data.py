"""What the page shows, as plain values: the page knows no store and no price book, and can be tried without either."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Literal, TypeAlias

import attrs

__all__ = ["PageAccount", "PageMonth", "PageReason", "PageReport", "Presence"]

Presence: TypeAlias = Literal["there", "new", "gone"]
"""Whether an account has figures in both periods, has none of the earlier one, or is no longer listed."""


@attrs.frozen
class PageReason:
    """Why accounts have no figure, or why their figure is not compared with an earlier one.

    Attributes:
        title: in a few words, such as ``"Not found"``.
        meaning: what it says about the bill, in a sentence.
        action: what to do about it, in a sentence; empty when there is nothing to do.
        settled: whether the totals are complete without a figure of these accounts.
    """

    title: str
    meaning: str
    action: str = ""
    settled: bool = False


@attrs.frozen
class PageMonth:
    """A month of the trend, over all accounts.

    Attributes:
        label: such as ``"Oct 2026"``.
        tasks: their sum; None when the store has no figure of that month.
        accounts: how many accounts have a figure.
        provisional: how many of these figures may still rise.
    """

    label: str
    tasks: int | None
    accounts: int = 0
    provisional: int = 0


def _unless_blank(name: str | None) -> str | None:
    # A name that draws nothing would leave a row without a handle; the id stands there then.
    return name if name is not None and name.strip() else None


@attrs.frozen
class PageAccount:
    """An account of the report.

    Attributes:
        account_id: its id.
        name: as the service lists it; None where it is not known, or blank.
        plan: the name of its price plan, or None.
        parent: the id of the account that it belongs to, or None.
        tasks: the figure that counts; None without one.
        previous: the figure of the period before, where both may be compared; None otherwise.
        provisional: whether ``tasks`` may still rise.
        reason: a key of :attr:`PageReport.reasons`: why there is no figure, or why it is not compared; None if neither.
        presence: new, gone, or there in both periods.
        included: tasks that its plan includes, or None where that is not known.
        charge: what the account is charged, fees included; None where nothing is, or prices are not known.
        observed_at: when the figure was asked for; aware. None without a figure.
        history: its tasks by month, as long as :attr:`PageReport.months`, None for months without a figure.
    """

    account_id: str
    name: str | None = attrs.field(default=None, converter=_unless_blank)
    plan: str | None = None
    parent: str | None = None
    tasks: int | None = None
    previous: int | None = None
    provisional: bool = False
    reason: str | None = None
    presence: Presence = "there"
    included: int | None = None
    charge: Decimal | None = None
    observed_at: datetime | None = None
    history: Sequence[int | None] = ()

    @property
    def change(self) -> int | None:
        """Tasks more than in the period before, negative for fewer; None where they are not compared."""
        return None if self.tasks is None or self.previous is None else self.tasks - self.previous

    @property
    def over(self) -> int | None:
        """Tasks above the included ones; None where nothing is included, or not as many are used."""
        if self.tasks is None or self.included is None or self.tasks <= self.included:
            return None
        return self.tasks - self.included


@attrs.frozen
class PageReport:
    """A report over a period, made into a page by :func:`write_page`.

    Attributes:
        period: what the report is about, in words, such as ``"October 2026"``.
        span: the same by its dates, such as ``"2026-10-01 to 2026-10-31"``.
        partner: whose accounts these are.
        made_at: when the figures were read from the store; aware.
        accounts: every account once, gone and missing ones too; read once, in one pass.
        months: the trend, oldest first; the last one is the period of the report. Either the months, or a function
            that returns them and is called when the accounts have been read, since who adds up while reading knows
            them only then.
        previous_period: what it is compared with, in words; None when there is nothing to compare with.
        reasons: what the keys of :attr:`PageAccount.reason` mean.
        currency: an ISO 4217 code, or None without prices.
        closed: who closed the period and when, as in ``"closed on 2026-11-03 by the books"``; None while it is open.
        method: how the figures were made, one sentence each.
    """

    period: str
    span: str
    partner: str
    made_at: datetime
    accounts: Iterable[PageAccount]
    months: Sequence[PageMonth] | Callable[[], Sequence[PageMonth]] = ()
    previous_period: str | None = None
    reasons: Mapping[str, PageReason] = attrs.field(factory=dict)
    currency: str | None = None
    closed: str | None = None
    method: Sequence[str] = ()
