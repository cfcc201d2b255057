"""The eight operations: each request as the bytes on the wire, each example of the document as a typed object."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from cyclr_async import (
    Account,
    AccountUsage,
    AsyncPartnerSession,
    BadRequestError,
    DecodeError,
    PartnerDetails,
    PricePlan,
    Secret,
    SignInToken,
)
from tests.support.examples import ACCOUNT_ID, ACCOUNTS, DETAILS, ID, PRICE_PLANS, SIGN_IN_TOKEN, USAGE
from tests.support.recorder import Heard, Recorder, reply

Operation = Callable[[AsyncPartnerSession], Awaitable[object]]

BILL_DATE = datetime(2017, 3, 9, 16, 23, 8, tzinfo=UTC)
LONG_ID = "0" * 37


async def heard_of(operation: Operation, answer: bytes) -> tuple[object, Heard]:
    async with Recorder(answer) as server, AsyncPartnerSession("bearer-1", base_url=server.base_url) as session:
        result = await operation(session)
        assert len(server.heard) == 1
        heard = server.heard[0]
        assert heard.headers["host"] == f"127.0.0.1:{server.port}"
        return result, heard


def check(heard: Heard, line: str, body: str | None = None) -> None:
    """The whole request: nothing may be there besides what is named here."""
    headers = heard.headers
    assert heard.line == f"{line} HTTP/1.1"
    assert headers["authorization"] == "Bearer bearer-1"
    assert headers["accept"] == "application/json"
    assert headers["user-agent"].startswith("cyclr-async/")
    assert headers["x-request-id"]
    expected = {"host", "authorization", "accept", "accept-encoding", "user-agent", "x-request-id"}
    if body is None:
        assert heard.body == b""
    else:
        expected |= {"content-type", "content-length"}
        assert headers["content-type"] == "application/json"
        assert heard.body.decode() == body
    # A connection of its own says so in a header; that is all that may come on top.
    assert set(headers) - {"connection"} == expected


async def test_list_accounts() -> None:
    accounts, heard = await heard_of(lambda s: s.accounts.list(), reply(ACCOUNTS))
    check(heard, "GET /api/partner/accounts")
    assert accounts == [
        Account(
            id="00000000000000000000000000000000",
            name="Demo Account",
            description="This account is used for demos.",
            price_plan_id=2,
            last_bill_date=datetime(2017, 2, 9, 16, 23, 8, tzinfo=UTC),
            next_bill_date=BILL_DATE,
            audit_info="Demo",
        )
    ]
    assert isinstance(accounts, list)
    assert [account.to_dict() for account in accounts] == json.loads(ACCOUNTS)
    assert type(accounts[0].price_plan_id) is int


async def test_iterate_accounts_is_the_same_request() -> None:
    async def everything(session: AsyncPartnerSession) -> list[Account]:
        return [account async for account in session.accounts.iter()]

    accounts, heard = await heard_of(everything, reply(ACCOUNTS))
    check(heard, "GET /api/partner/accounts")
    assert isinstance(accounts, list)
    assert [account.to_dict() for account in accounts] == json.loads(ACCOUNTS)


async def test_partner_details() -> None:
    details, heard = await heard_of(lambda s: s.details(), reply(DETAILS))
    check(heard, "GET /api/partner/details")
    assert details == PartnerDetails(
        anonymous_accounts_enabled=True,
        application_display_name="Example Partner",
        application_icon="data:image/png;base64,...",
        app_style=None,
        coming_soon_connectors_enabled=True,
        custom_connectors_enabled=True,
        cycle_noun="Cycle",
        cycle_sharing_enabled=True,
        domain="partner.example.com",
        intercom_api_key=None,
        intercom_app_id=None,
        intercom_secret_key=None,
        header_html=None,
        footer_html=None,
    )
    assert isinstance(details, PartnerDetails)
    assert details.to_dict() == json.loads(DETAILS)


async def test_create_account() -> None:
    account_id, heard = await heard_of(
        lambda s: s.accounts.create(
            name="Demo Account",
            description="This account is used for demos.",
            timezone="Europe/London",
            price_plan_id=2,
            next_bill_date=BILL_DATE,
            audit_info="Demo",
        ),
        reply(ID),
    )
    check(
        heard,
        "POST /api/partner/createaccount",
        '{"Name":"Demo Account","Description":"This account is used for demos.","Timezone":"Europe/London",'
        '"PricePlanId":2,"NextBillDate":"2017-03-09T16:23:08","AuditInfo":"Demo"}',
    )
    assert account_id == ACCOUNT_ID


async def test_update_account() -> None:
    account_id, heard = await heard_of(
        lambda s: s.accounts.update(
            ACCOUNT_ID,
            audit_info="Demo",  # the order of the arguments does not matter, that of the document is kept
            name="New Demo Account",
            description="",
            timezone="Europe/London",
            price_plan_id=3,
            next_bill_date=datetime(2017, 3, 10, 16, 23, 8, tzinfo=UTC),
        ),
        reply(ID),
    )
    check(
        heard,
        f"PUT /api/partner/accounts/{ACCOUNT_ID}",
        '{"Name":"New Demo Account","Description":"","Timezone":"Europe/London","PricePlanId":3,'
        '"NextBillDate":"2017-03-10T16:23:08","AuditInfo":"Demo"}',
    )
    assert account_id == ACCOUNT_ID


async def test_create_sign_in_token() -> None:
    token, heard = await heard_of(lambda s: s.tokens.create(ACCOUNT_ID, "user@example.com"), reply(SIGN_IN_TOKEN))
    check(
        heard,
        "POST /api/partner/createaccountsignintoken",
        f'{{"AccountId":"{ACCOUNT_ID}","Username":"user@example.com"}}',
    )
    assert isinstance(token, SignInToken)
    assert token.token == Secret("0" * 37)
    assert token.expires_at == datetime(2016, 11, 18, 10, 50, 45, 650921, tzinfo=UTC)
    assert token.to_dict() == json.loads(SIGN_IN_TOKEN)


async def test_install_connector_with_an_api_key() -> None:
    result, heard = await heard_of(
        lambda s: s.connectors.install(LONG_ID, "Connector", "v1", installed_name="Demo Connector", api_key="api-key"),
        reply(kind=None),
    )
    check(
        heard,
        "POST /api/partner/installconnector",
        f'{{"AccountId":"{LONG_ID}","ConnectorName":"Connector","ConnectorVersion":"v1",'
        '"InstalledName":"Demo Connector","ApiKey":"api-key"}',
    )
    assert result is None


async def test_install_connector_with_username_and_password() -> None:
    result, heard = await heard_of(
        lambda s: s.connectors.install(
            LONG_ID, "Connector", "v1", installed_name="Demo Connector", username="user", password=Secret("password")
        ),
        reply(kind=None),
    )
    check(
        heard,
        "POST /api/partner/installconnector",
        f'{{"AccountId":"{LONG_ID}","ConnectorName":"Connector","ConnectorVersion":"v1",'
        '"InstalledName":"Demo Connector","Username":"user","Password":"password"}',
    )
    assert result is None


async def test_install_connector_without_credentials_and_without_version() -> None:
    _, heard = await heard_of(
        lambda s: s.connectors.install(ACCOUNT_ID, "Open", None, installed_name="Open"), reply(kind=None)
    )
    check(
        heard,
        "POST /api/partner/installconnector",
        f'{{"AccountId":"{ACCOUNT_ID}","ConnectorName":"Open","InstalledName":"Open"}}',
    )


@pytest.mark.parametrize("body", ["", "null", '""', "{}", '"200 OK"'])
async def test_install_connector_takes_nothing_or_json_for_success(body: str) -> None:
    result, _ = await heard_of(
        lambda s: s.connectors.install(ACCOUNT_ID, "Connector", "v1", installed_name="Demo"),
        reply(body, kind="text/html"),
    )
    assert result is None


async def test_list_price_plans() -> None:
    plans, heard = await heard_of(lambda s: s.priceplans.list(), reply(PRICE_PLANS))
    check(heard, "GET /api/partner/priceplans")
    assert plans == [PricePlan(id="2", name="Starter"), PricePlan(id="3", name="Pro")]
    assert isinstance(plans, list)
    assert [plan.to_dict() for plan in plans] == json.loads(PRICE_PLANS)


async def test_account_usage() -> None:
    usage, heard = await heard_of(lambda s: s.accounts.usage(ACCOUNT_ID, from_date=date(2016, 12, 9)), reply(USAGE))
    check(heard, f"GET /api/partner/accounts/{ACCOUNT_ID}/billing?fromDate=2016-12-09")
    assert usage == AccountUsage(
        task_count=1623,
        cycle_count=10,
        from_date=datetime(2016, 12, 9, 16, 23, 8, tzinfo=UTC),
        to_date=datetime(2017, 1, 8, 16, 23, 8, tzinfo=UTC),
        current_price_plan_id=3,
        audit_info="Demo",
    )
    assert isinstance(usage, AccountUsage)
    assert usage.to_dict() == json.loads(USAGE)


async def test_account_usage_since_the_last_billing_date() -> None:
    _, heard = await heard_of(lambda s: s.accounts.usage(ACCOUNT_ID), reply(USAGE))
    check(heard, f"GET /api/partner/accounts/{ACCOUNT_ID}/billing")


async def test_a_year_before_1000_keeps_four_digits() -> None:
    _, heard = await heard_of(lambda s: s.accounts.usage(ACCOUNT_ID, from_date=date(987, 1, 2)), reply(USAGE))
    assert heard.target.endswith("?fromDate=0987-01-02")


async def test_the_price_plan_of_an_account_is_found_in_the_list_of_plans() -> None:
    answers = {"/api/partner/accounts": ACCOUNTS, "/api/partner/priceplans": PRICE_PLANS}
    async with (
        Recorder(make=lambda heard: reply(answers[heard.target])) as server,
        AsyncPartnerSession("bearer-1", base_url=server.base_url) as session,
    ):
        (account,) = await session.accounts.list()
        plans = await session.priceplans.list()
    assert [plan.name for plan in plans if plan.matches(account.price_plan_id)] == ["Starter"]


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2017, 3, 9, 16, 23, 8, tzinfo=UTC), "2017-03-09T16:23:08"),
        (datetime(2017, 3, 9, 18, 23, 8, tzinfo=timezone(timedelta(hours=2))), "2017-03-09T16:23:08"),
        (datetime(2017, 3, 9, 16, 23, 8), "2017-03-09T16:23:08"),  # noqa: DTZ001 - a time without zone is UTC
        (datetime(2017, 3, 9, 16, 23, 8, 999999, tzinfo=UTC), "2017-03-09T16:23:08"),
        (datetime(2017, 3, 9, tzinfo=UTC), "2017-03-09T00:00:00"),
    ],
)
async def test_dates_go_out_as_the_document_shows_them(moment: datetime, text: str) -> None:
    _, heard = await heard_of(lambda s: s.accounts.update(ACCOUNT_ID, next_bill_date=moment), reply(ID))
    assert heard.body.decode() == f'{{"NextBillDate":"{text}"}}'


async def test_what_is_not_named_is_not_sent() -> None:
    _, heard = await heard_of(lambda s: s.accounts.create(name="ACME"), reply(ID))
    assert heard.body == b'{"Name":"ACME"}'
    _, heard = await heard_of(lambda s: s.accounts.update(ACCOUNT_ID, price_plan_id=3), reply(ID))
    assert heard.body == b'{"PricePlanId":3}'


async def test_none_is_sent_as_null() -> None:
    _, heard = await heard_of(
        lambda s: s.accounts.update(
            ACCOUNT_ID, description=None, timezone=None, price_plan_id=None, next_bill_date=None, audit_info=None
        ),
        reply(ID),
    )
    assert heard.body == (
        b'{"Description":null,"Timezone":null,"PricePlanId":null,"NextBillDate":null,"AuditInfo":null}'
    )


async def test_text_beyond_ascii_is_sent_as_utf8() -> None:
    _, heard = await heard_of(lambda s: s.accounts.create(name='Café "Ω"\n\u2028😀'), reply(ID))
    assert json.loads(heard.body.decode("utf-8")) == {"Name": 'Café "Ω"\n\u2028😀'}
    assert heard.headers["content-length"] == str(len(heard.body))


async def test_an_id_that_needs_quoting_is_quoted_once() -> None:
    _, heard = await heard_of(lambda s: s.accounts.usage("a+b=é:@"), reply(USAGE))
    assert heard.target == "/api/partner/accounts/a%2Bb%3D%C3%A9%3A%40/billing"


async def test_the_id_in_the_documents_own_spelling_is_no_json() -> None:
    with pytest.raises(DecodeError) as caught:
        await heard_of(lambda s: s.accounts.update(ACCOUNT_ID, name="x"), reply('{\n  Id: "0000"\n}'))
    assert caught.value.sent == "yes"


@pytest.mark.parametrize("body", ['{"Id": null}', '{"Id": ""}', '{"Id": 7}', "{}", "[]", '"x"'])
async def test_an_answer_without_an_id_is_an_error(body: str) -> None:
    with pytest.raises(DecodeError) as caught:
        await heard_of(lambda s: s.accounts.update(ACCOUNT_ID, name="x"), reply(body))
    assert caught.value.path == "$.Id"


async def test_a_bad_account_is_named_and_can_be_left_out() -> None:
    body = json.dumps([*json.loads(ACCOUNTS), {"Id": None, "Name": "broken"}, *json.loads(ACCOUNTS)])
    async with Recorder(reply(body)) as server, AsyncPartnerSession("bearer-1", base_url=server.base_url) as session:
        with pytest.raises(DecodeError) as caught:
            await session.accounts.list()
        assert caught.value.path == "$[1].Id"
        left_out: list[tuple[int, str]] = []
        accounts = await session.accounts.list(on_bad_record=lambda index, error: left_out.append((index, error.path)))
        assert len(accounts) == 2
        streamed = [a async for a in session.accounts.iter(on_bad_record=lambda i, e: left_out.append((i, e.path)))]
        assert len(streamed) == 2
        assert left_out == [(1, "$[1].Id")] * 2


async def test_unknown_fields_are_kept() -> None:
    _, usage = None, json.loads(USAGE) | {"Region": "EU"}
    result, _ = await heard_of(lambda s: s.accounts.usage(ACCOUNT_ID), reply(json.dumps(usage)))
    assert isinstance(result, AccountUsage)
    assert dict(result.extra) == {"Region": "EU"}
    assert result.to_dict() == usage


async def test_request_reaches_what_is_not_modelled() -> None:
    response, heard = await heard_of(
        lambda s: s.request("get", "accounts/a b".replace(" ", "+"), query={"q": "ä&b", "n": 3}), reply('{"Name": "x"}')
    )
    check(heard, "GET /api/partner/accounts/a%2Bb?q=%C3%A4%26b&n=3")
    assert response["Name"] == "x"  # type: ignore[index]
    _, heard = await heard_of(lambda s: s.request("PATCH", "/details", json={"b": 1, "a": None}), reply(""))
    check(heard, "PATCH /api/partner/details", '{"b":1,"a":null}')


async def test_request_has_the_errors_of_every_call() -> None:
    with pytest.raises(BadRequestError) as caught:
        await heard_of(lambda s: s.request("DELETE", "accounts/7"), reply('{"Message": "No."}', 400))
    assert caught.value.server_message == "No."
