"""Everyday use, as a type checker sees it: nothing here may need an ignore."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import assert_type

from cyclr_async import (
    UNSET,
    AccessToken,
    Account,
    AccountUsage,
    AsyncPartnerSession,
    ClientCredentials,
    CyclrError,
    Event,
    Limits,
    OutcomeUnknownError,
    PartnerDetails,
    PasswordGrant,
    PricePlan,
    RateLimitedError,
    RawResponse,
    Region,
    ResponseError,
    RetryPolicy,
    Secret,
    SecretUrl,
    SignInToken,
    StaticToken,
    Stats,
    Timeouts,
    Unset,
    UsageOutcome,
)
from cyclr_async.v1 import Account as V1Account
from cyclr_async.v1 import ConnectorAuthentication, LaunchLink


async def operations(session: AsyncPartnerSession) -> None:
    assert_type(await session.accounts.list(), list[Account])
    async for account in session.accounts.iter():
        assert_type(account, Account)
        assert_type(account.id, str)
        assert_type(account.price_plan_id, int | None)
        assert_type(account.next_bill_date, datetime | None)
    assert_type(await session.accounts.create(name="ACME", timezone="Europe/London", price_plan_id=2), str)
    assert_type(await session.accounts.update("id", description=None, next_bill_date=datetime.now(UTC)), str)
    assert_type(await session.accounts.update("id", audit_info=UNSET, name="x"), str)
    usage = await session.accounts.usage("id", from_date=date(2026, 10, 1), timeout=5)
    assert_type(usage, AccountUsage)
    assert_type(usage.task_count, int)
    assert_type(usage.from_date, datetime)
    assert_type(await session.details(), PartnerDetails)
    plans = await session.priceplans.list()
    assert_type(plans, list[PricePlan])
    assert_type(plans[0].matches(usage.current_price_plan_id), bool)
    token = await session.tokens.create("id", "jo@example.com")
    assert_type(token, SignInToken)
    assert_type(token.token, Secret)
    assert_type(token.url(), SecretUrl)
    assert_type(token.url().reveal(), str)
    await session.connectors.install("id", "Mailchimp", "v1", installed_name="News", api_key="k")
    await session.connectors.install("id", "CRM", "v1", installed_name="CRM", username="u", password=Secret("p"))
    raw = await session.request("GET", "details", query={"a": 1, "b": "x"})
    assert_type(raw, RawResponse)
    assert_type(raw.status, int)
    assert_type(session.stats(), Stats)


async def v1(session: AsyncPartnerSession) -> None:
    accounts = session.v1.accounts
    async for account in accounts.iter():
        assert_type(account, V1Account)
        assert_type(account.name, str | None)
        assert_type(account.next_bill_date_utc, datetime | None)
    assert_type(await accounts.list(page=2), list[V1Account])
    assert_type(await accounts.create("id", name="ACME", description=None), V1Account)
    assert_type(await accounts.ensure("id", name="ACME", step_data_success_retention_hours=UNSET), V1Account)
    assert_type((await accounts.usage("id")).tasks_used, int)
    assert_type(await session.v1.users.list("id"), list[str])
    assert_type((await session.v1.tokens.create("id", "jo")).url(return_url="/launch"), SecretUrl)
    key = ConnectorAuthentication(name="Mailchimp", auth_value="k", properties={"Region": Secret("us1")})
    link = await session.v1.launch.account("id", tags=["crm"], connector_authentications=[key])
    assert_type(link, LaunchLink)
    assert_type(link.url, SecretUrl)
    own = await session.v1.account("id").connectors.install("Mailchimp", "v3", auth_value=Secret("k"))
    assert_type(own.auth_value, Secret | None)


async def bulk(session: AsyncPartnerSession, ids: list[str]) -> None:
    async with session.accounts.collect_usage(ids, from_date=date(2026, 10, 1)) as run:
        async for outcome in run:
            assert_type(outcome, UsageOutcome)
            assert_type(outcome.account_id, str)
            assert_type(outcome.error, CyclrError | None)


def optional(value: str | Unset | None) -> str:
    if value is UNSET:
        return "not given"
    assert_type(value, str | None)
    return value or "null"


async def sessions() -> None:
    def hear(event: Event) -> None:
        print(event.operation if hasattr(event, "operation") else event)

    async def keep(token: AccessToken) -> None:
        print(token.expires_in)

    async with AsyncPartnerSession(
        ClientCredentials("id", "secret", account_id="a"),
        region=Region.EU,
        timeouts=Timeouts(connect=1, read=2, attempt=3, deadline=4.5),
        retry=RetryPolicy(attempts=2),
        limits=Limits(connections=10, requests_per_second=5),
        on_event=hear,
        on_token=keep,
    ) as session:
        assert_type(session, AsyncPartnerSession)
    AsyncPartnerSession("token", region="eu")
    AsyncPartnerSession(StaticToken("token"), base_url="https://x.example/api/partner")
    AsyncPartnerSession(PasswordGrant("id", "jo", Secret("pw"), refresh_token="r"))
    assert_type(AsyncPartnerSession.from_env(), AsyncPartnerSession)


async def failures(session: AsyncPartnerSession) -> None:
    try:
        await session.accounts.create(name="x")
    except RateLimitedError as error:
        assert_type(error.retry_after, float | None)
    except ResponseError as error:
        assert_type(error.status, int)
        assert_type(error.server_message, str | None)
    except OutcomeUnknownError as error:
        assert_type(error.operation, str)
    except CyclrError as error:
        assert_type(error.request_id, str | None)
        assert_type(error.attempts, int)


class Vault:
    """A token provider needs no base class."""

    async def fetch(self, exchange: object, previous: AccessToken | None) -> AccessToken:
        return previous or AccessToken("t")


def of_ones_own(variables: Mapping[str, str]) -> None:
    AsyncPartnerSession(Vault())
    AsyncPartnerSession.from_env(variables, region=Region.UK)
