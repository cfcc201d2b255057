"""Mistakes that a type checker must find: each ignore that is not needed is an error of its own."""

from __future__ import annotations

from datetime import date

from cyclr_async import AccessToken, Account, AsyncPartnerSession, Limits, PricePlan, RetryPolicy, Secret, Timeouts


async def operations(session: AsyncPartnerSession) -> None:
    await session.accounts.create("ACME")  # type: ignore[call-arg]
    await session.accounts.create()  # type: ignore[call-arg]
    await session.accounts.create(name=None)  # type: ignore[arg-type]
    await session.accounts.create(name="x", price_plan_id="2")  # type: ignore[arg-type]
    await session.accounts.create(name="x", next_bill_date="2026-10-01")  # type: ignore[arg-type]
    await session.accounts.update("id", name=None)  # type: ignore[arg-type]
    await session.accounts.update("id", nmae="x")  # type: ignore[call-arg]
    await session.accounts.usage(7)  # type: ignore[arg-type]
    await session.accounts.usage("id", from_date="2026-10-01")  # type: ignore[arg-type]
    await session.accounts.usage("id", date(2026, 10, 1))  # type: ignore[call-arg]
    await session.connectors.install("id", "C", "v1")  # type: ignore[call-arg]
    await session.tokens.create("id")  # type: ignore[call-arg]
    await session.details(timeout="5")  # type: ignore[arg-type]
    await session.accounts.iter()  # type: ignore[misc]
    session.accuonts  # type: ignore[attr-defined]  # noqa: B018
    async for _ in session.accounts.list():  # type: ignore[attr-defined]
        pass


def sync(session: AsyncPartnerSession) -> None:
    with session:  # type: ignore[attr-defined]
        pass


async def models(account: Account, plan: PricePlan, secret: Secret) -> None:
    account.name = "x"  # type: ignore[misc]
    account.Name  # type: ignore[attr-defined]  # noqa: B018
    plan.matches(2.0)  # type: ignore[arg-type]
    account.description.strip()  # type: ignore[union-attr]
    url: str = secret  # type: ignore[assignment]
    print(url)


def settings() -> None:
    Timeouts(5)  # type: ignore[call-arg]
    Timeouts(total=5)  # type: ignore[call-arg]
    Limits(connections="5")  # type: ignore[arg-type]
    RetryPolicy(attempts=None)  # type: ignore[arg-type]
    AsyncPartnerSession(None)  # type: ignore[arg-type]
    AsyncPartnerSession("t", timeout=5)  # type: ignore[call-arg]


class Vault:
    def fetch(self, exchange: object, previous: AccessToken | None) -> AccessToken:
        return previous or AccessToken("t")


def not_async() -> None:
    AsyncPartnerSession(Vault())  # type: ignore[arg-type]
