"""What usage costs: prices per plan, and what is agreed with single accounts or customers."""

from __future__ import annotations

import decimal
from collections.abc import Mapping
from decimal import Decimal
from typing import Final, Literal, TypeAlias

import attrs

__all__ = ["EXACT", "CustomerKey", "Price", "PriceBook", "RoundAt", "RoundingRule", "Tier", "TierMode"]

RoundingRule: TypeAlias = Literal["half_up", "half_even", "half_down", "up", "down", "ceiling", "floor"]
"""How an amount between two of the smallest coins is rounded; the names of the ``decimal`` module, in lower case."""

RoundAt: TypeAlias = Literal["line", "invoice"]
"""What is rounded: every line, and the total is their sum; or the total, and the lines are made to add up to it."""

CustomerKey: TypeAlias = Literal["account", "parent", "audit_info"]
"""Who is one customer: each account; an account with its sub-accounts; or the accounts with the same audit info."""

TierMode: TypeAlias = Literal["graduated", "volume"]
"""Whether each tier is paid at its own price, or all tasks at the price of the tier that their number reaches."""

EXACT: Final = decimal.Context(
    prec=120,
    Emin=decimal.MIN_EMIN,
    Emax=decimal.MAX_EMAX,
    # A product or a sum that had to be rounded would be a figure that nobody agreed to: it is an error instead. 120
    # digits hold a count of 19 digits at a price of 40, for more accounts than there are.
    traps=[decimal.Inexact, decimal.InvalidOperation, decimal.Overflow, decimal.DivisionByZero],
)


@attrs.frozen
class Tier:
    """A price for a stretch of tasks above the included ones.

    Attributes:
        up_to: the last task of it, counted from the first that is not included; None for all that follow.
        price: for one task.
    """

    up_to: int | None
    price: Decimal


@attrs.frozen
class Price:
    """What is agreed for an account.

    Attributes:
        source: where in the book it stands, such as ``plans.2 with accounts."abc"``.
        name: of the plan, where the book names it.
        fee: for the month, whatever is used.
        included_tasks: that cost nothing more.
        tiers: prices of the tasks above; never empty.
        tier_mode: how the tiers are applied.
        included_cycles: that cost nothing more; None when cycles cost nothing at all.
        cycle_price: for one cycle above.
        minimum: what an account costs at least, fee included.
    """

    source: str
    name: str | None
    fee: Decimal
    included_tasks: int
    tiers: tuple[Tier, ...]
    tier_mode: TierMode
    included_cycles: int | None
    cycle_price: Decimal
    minimum: Decimal


@attrs.frozen
class PriceBook:
    """A book of prices; read with :func:`load_price_book`.

    Attributes:
        currency: ISO 4217, such as ``"EUR"``.
        decimals: digits after the point of an amount on an invoice, 0 to 4.
        rounding: the rule.
        round_at: what is rounded.
        customer: who is one customer.
        plans: by the number of the plan; ``"default"`` for accounts of any other, or of none.
        accounts: what is agreed with single accounts, by account id, laid over the plan.
        audit_infos: what is agreed with the accounts of an audit info.
    """

    currency: str
    decimals: int
    rounding: RoundingRule
    round_at: RoundAt
    customer: CustomerKey
    plans: Mapping[str, Price]
    accounts: Mapping[str, Mapping[str, object]]
    audit_infos: Mapping[str, Mapping[str, object]]

    def price_of(self, account_id: str, price_plan_id: int | None, audit_info: str | None) -> Price | None:
        """Return what is agreed for an account; None when the book says nothing of it.

        Args:
            account_id: the account.
            price_plan_id: the plan that it had in the month.
            audit_info: the partner's own reference.
        """
        agreed: dict[str, object] = {}
        sources: list[str] = []
        # What is said of the account itself is nearer than what is said of a customer's accounts.
        for name, overrides, key in (
            ("audit_info", self.audit_infos, audit_info),
            ("accounts", self.accounts, account_id),
        ):
            if key is not None and key in overrides:
                agreed.update(overrides[key])
                sources.append(f'{name}."{key}"')
        plan = agreed.pop("plan", None)
        found = self.plans.get(str(price_plan_id) if plan is None else str(plan), self.plans.get("default"))
        if found is None or not agreed:
            return found if not sources or found is None else attrs.evolve(found, source=_joined(found.source, sources))
        return attrs.evolve(found, source=_joined(found.source, sources), **agreed)  # type: ignore[arg-type]

    def rounded(self, amount: Decimal, rule: RoundingRule | None = None) -> Decimal:
        """Round an amount to the digits of an invoice.

        Args:
            amount: exact.
            rule: another than that of the book.
        """
        context = EXACT.copy()
        context.traps[decimal.Inexact] = False  # here, and nowhere else, something is rounded
        rounding = f"ROUND_{(rule or self.rounding).upper()}"
        return amount.quantize(self.unit, rounding=rounding, context=context)

    @property
    def unit(self) -> Decimal:
        """The smallest amount, such as 0.01."""
        return Decimal(1).scaleb(-self.decimals)


def _joined(plan: str, sources: list[str]) -> str:
    return f"{plan} with {' and '.join(sources)}"
