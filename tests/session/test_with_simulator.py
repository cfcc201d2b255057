"""The eight operations in a row against the simulator, whose state shows that each did what it says."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime

import pytest

from cyclr_async import (
    AsyncPartnerSession,
    AuthenticationError,
    BadRequestError,
    ClientCredentials,
    NotFoundError,
    UnauthorizedError,
)
from cyclr_async.simulator import Simulator


async def test_what_is_created_is_listed_and_what_is_updated_is_changed() -> None:
    async with Simulator(accounts=5, seed=7) as simulator, simulator.session() as session:
        assert len(await session.accounts.list()) == 5
        plans = await session.priceplans.list()
        account_id = await session.accounts.create(
            name="ACME",
            description="first",
            timezone="Europe/London",
            price_plan_id=int(plans[0].id),
            next_bill_date=datetime(2027, 3, 9, 16, 23, 8, tzinfo=UTC),
            audit_info="a-1",
        )
        accounts = {account.id: account for account in await session.accounts.list()}
        assert len(accounts) == 6
        created = accounts[account_id]
        assert (created.name, created.description, created.audit_info) == ("ACME", "first", "a-1")
        assert plans[0].matches(created.price_plan_id)
        assert created.next_bill_date == datetime(2027, 3, 9, 16, 23, 8, tzinfo=UTC)

        assert await session.accounts.update(account_id, description=None, audit_info="") == account_id
        changed = {account.id: account for account in await session.accounts.list()}[account_id]
        assert (changed.name, changed.description, changed.audit_info) == ("ACME", None, "")

        usage = await session.accounts.usage(account_id, from_date=date(2026, 10, 1))
        assert usage.task_count >= 0
        assert usage.audit_info == ""
        assert (await session.details()).domain

        token = await session.tokens.create(account_id, "jo@example.com")
        assert token.url().reveal().startswith("http://127.0.0.1:")
        await session.connectors.install(account_id, "Mailchimp", "v1", installed_name="News", api_key="k")
        with pytest.raises(BadRequestError, match="News"):
            await session.connectors.install(account_id, "Mailchimp", "v1", installed_name="News", api_key="k")
        with pytest.raises(NotFoundError):
            await session.accounts.usage("f" * 32)


async def test_only_valid_credentials_open_it() -> None:
    async with Simulator(accounts=1, seed=7) as simulator:
        async with AsyncPartnerSession("wrong", base_url=simulator.base_url) as session:
            with pytest.raises(UnauthorizedError):
                await session.details()
        wrong = ClientCredentials(simulator.client_id, "wrong")
        async with AsyncPartnerSession(wrong, base_url=simulator.base_url, token_url=simulator.token_url) as session:
            with pytest.raises(AuthenticationError) as caught:
                await session.details()
            assert caught.value.error == "invalid_client"


async def test_all_accounts_at_once() -> None:
    async with Simulator(accounts=50, seed=7) as simulator, simulator.session() as session:
        ids = [account.id async for account in session.accounts.iter()]
        usages = await asyncio.gather(*(session.accounts.usage(account_id) for account_id in ids))
        assert len(usages) == 50
        assert session.stats().token_refreshes == 1
