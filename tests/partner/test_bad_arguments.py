"""Arguments that cannot be valid are refused with a reason, and the server hears nothing of them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from cyclr_async import UNSET, AsyncPartnerSession, ConfigurationError, InvalidArgumentError
from cyclr_async.partner import Connectors
from tests.support.examples import ACCOUNT_ID
from tests.support.recorder import Recorder, reply

BAD_IDS: list[Any] = [
    "",
    ".",
    "..",
    "a/b",
    "a\\b",
    "a?b",
    "a#b",
    "a%2fb",
    "%2e%2e",
    "a b",
    "a\r\nb",
    "a\nb",
    "a\x00b",
    "a\x7f",
    "\ud800",
    "x" * 10_000,
    "x" * 129,
    "\u2028",
    "a\u202eb",
    "\uff0e\uff0e",
    "a\uff0fb",
    "e\u0301",
    None,
    7,
    b"id",
    ["id"],
]


class Listener:
    """A session and how many requests the server behind it has seen."""

    def __init__(self, session: AsyncPartnerSession, server: Recorder) -> None:
        self.session = session
        self.server = server

    async def refused(self, operation: Callable[[AsyncPartnerSession], Awaitable[object]], *words: str) -> None:
        with pytest.raises(InvalidArgumentError) as caught:
            await operation(self.session)
        assert isinstance(caught.value, ValueError)
        assert caught.value.sent == "never"
        assert caught.value.attempts == 0
        for word in words:
            assert word in str(caught.value)
        assert len(str(caught.value)) < 300
        str(caught.value).encode("utf-8")
        await asyncio.sleep(0)
        assert (self.server.heard, self.server.connections) == ([], 0)


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    async with Recorder(reply("{}")) as server, AsyncPartnerSession("bearer", base_url=server.base_url) as session:
        yield Listener(session, server)


def _name(value: object) -> str:
    return ascii(value)[:20]


@pytest.mark.parametrize("bad", BAD_IDS, ids=_name)
async def test_bad_account_ids(listener: Listener, bad: Any) -> None:
    await listener.refused(lambda s: s.accounts.usage(bad), "account_id")
    await listener.refused(lambda s: s.accounts.update(bad, name="x"), "account_id")
    await listener.refused(lambda s: s.tokens.create(bad, "jo"), "account_id")
    await listener.refused(
        lambda s: s.connectors.install(bad, "C", "v1", installed_name="C", api_key="k"), "account_id"
    )


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        ".",
        "..",
        "accounts/..",
        "accounts/../x",
        "a?b",
        "a#b",
        "a%2fb",
        "a\r\nHost: x",
        "\ud800",
        "a//b",
        "https://example.com/x",
        "//example.com/x",
        "x" * 10_000,
        None,
        7,
    ],
    ids=_name,
)
async def test_bad_paths(listener: Listener, path: Any) -> None:
    await listener.refused(lambda s: s.request("GET", path), "path")


@pytest.mark.parametrize("method", ["", "GET\r\nX: y", "G T", "GÉT", "X", None, 7])
async def test_bad_methods(listener: Listener, method: Any) -> None:
    await listener.refused(lambda s: s.request(method, "details"), "method")


@pytest.mark.parametrize("body", [object(), {1, 2}, {"a": math.nan}, {"a": math.inf}, "\ud800", {"a": b"x"}], ids=_name)
async def test_bodies_that_are_no_json(listener: Listener, body: Any) -> None:
    await listener.refused(lambda s: s.request("POST", "details", json=body))


@pytest.mark.parametrize("timeout", [0, -1, -0.0, math.nan, math.inf, -math.inf, True, "3", [3]], ids=_name)
async def test_bad_timeouts(listener: Listener, timeout: Any) -> None:
    await listener.refused(lambda s: s.details(timeout=timeout), "timeout")
    await listener.refused(lambda s: s.accounts.list(timeout=timeout), "timeout")
    await listener.refused(lambda s: s.accounts.usage(ACCOUNT_ID, timeout=timeout), "timeout")
    await listener.refused(lambda s: s.request("GET", "details", timeout=timeout), "timeout")
    await listener.refused(lambda s: anext(s.accounts.iter(timeout=timeout)), "timeout")


async def test_from_date_is_a_day_and_nothing_else(listener: Listener) -> None:
    moment: Any
    for moment in (datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 10, 1)):  # noqa: DTZ001
        await listener.refused(lambda s, m=moment: s.accounts.usage(ACCOUNT_ID, from_date=m), "datetime", "date()")  # type: ignore[misc]
    for other in ("2026-10-01", 20261001, "", 0):
        await listener.refused(lambda s, m=other: s.accounts.usage(ACCOUNT_ID, from_date=m), "date")  # type: ignore[misc]


@pytest.mark.parametrize("bad", [datetime(2026, 10, 1, tzinfo=UTC), "2026-10-01", 7], ids=_name)
async def test_the_same_for_a_bulk_run(listener: Listener, bad: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="date"):
        listener.session.accounts.collect_usage(from_date=bad)


@pytest.mark.parametrize("bad", [date(2026, 10, 1), "2026-10-01T00:00:00", 7, []], ids=_name)
async def test_next_bill_date_is_a_moment(listener: Listener, bad: Any) -> None:
    await listener.refused(lambda s: s.accounts.update(ACCOUNT_ID, next_bill_date=bad), "next_bill_date")
    await listener.refused(lambda s: s.accounts.create(name="x", next_bill_date=bad), "next_bill_date")


async def test_next_bill_date_beyond_the_calendar(listener: Listener) -> None:
    late = datetime.max.replace(tzinfo=timezone(timedelta(hours=-5)))
    early = datetime.min.replace(tzinfo=timezone(timedelta(hours=5)))
    for moment in (late, early):
        await listener.refused(lambda s, m=moment: s.accounts.update(ACCOUNT_ID, next_bill_date=m), "next_bill_date")  # type: ignore[misc]


@pytest.mark.parametrize("bad", ["2", 2.0, True, [], {}, b"2"], ids=_name)
async def test_price_plan_id_is_an_int(listener: Listener, bad: Any) -> None:
    await listener.refused(lambda s: s.accounts.create(name="x", price_plan_id=bad), "price_plan_id")
    await listener.refused(lambda s: s.accounts.update(ACCOUNT_ID, price_plan_id=bad), "price_plan_id")


@pytest.mark.parametrize("field", ["name", "description", "timezone", "audit_info"])
@pytest.mark.parametrize("bad", [7, b"x", ["x"], True, "\ud800"], ids=_name)
async def test_texts_are_texts(listener: Listener, field: str, bad: Any) -> None:
    await listener.refused(lambda s: s.accounts.update(ACCOUNT_ID, **{field: bad}))
    await listener.refused(lambda s: s.accounts.create(**({"name": "x"} | {field: bad})))


@pytest.mark.parametrize("bad", ["", "  ", None])
async def test_an_account_needs_a_name(listener: Listener, bad: Any) -> None:
    await listener.refused(lambda s: s.accounts.create(name=bad), "name")
    await listener.refused(lambda s: s.accounts.update(ACCOUNT_ID, name=bad), "name")


async def test_unset_is_no_name_of_a_new_account(listener: Listener) -> None:
    unset: Any = UNSET
    await listener.refused(lambda s: s.accounts.create(name=unset), "name must be given")


async def test_an_update_of_nothing(listener: Listener) -> None:
    await listener.refused(lambda s: s.accounts.update(ACCOUNT_ID), "nothing to update")


@pytest.mark.parametrize("bad", ["", " ", None, 7, "\ud800"])
async def test_a_sign_in_token_needs_a_user(listener: Listener, bad: Any) -> None:
    await listener.refused(lambda s: s.tokens.create(ACCOUNT_ID, bad))


@pytest.mark.parametrize(
    ("credentials", "word"),
    [
        ({"api_key": "k", "username": "u", "password": "p"}, "not both"),
        ({"api_key": "k", "username": "u"}, "not both"),
        ({"api_key": "k", "password": "p"}, "not both"),
        ({"username": "u"}, "together"),
        ({"password": "p"}, "together"),
        ({"api_key": ""}, "api_key"),
        ({"api_key": "  "}, "api_key"),
        ({"username": "", "password": "p"}, "username"),
        ({"username": "u", "password": ""}, "password"),
        ({"username": "", "password": ""}, "must not be empty"),
        ({"api_key": "", "username": "u", "password": "p"}, "api_key"),
        ({"api_key": 7}, "api_key"),
        ({"username": 7, "password": "p"}, "username"),
        ({"username": "u", "password": b"p"}, "password"),
        ({"api_key": "\ud800"}, "surrogate"),
    ],
    ids=_name,
)
async def test_connector_credentials(listener: Listener, credentials: dict[str, Any], word: str) -> None:
    await listener.refused(
        lambda s: s.connectors.install(ACCOUNT_ID, "Connector", "v1", installed_name="Demo", **credentials), word
    )


@pytest.mark.parametrize("bad", ["", " ", 7, b"x"])
async def test_connector_names(listener: Listener, bad: Any) -> None:
    await listener.refused(lambda s: s.connectors.install(ACCOUNT_ID, bad, "v1", installed_name="D"), "name")
    await listener.refused(lambda s: s.connectors.install(ACCOUNT_ID, "C", bad, installed_name="D"), "version")
    await listener.refused(lambda s: s.connectors.install(ACCOUNT_ID, "C", "v1", installed_name=bad), "installed_name")


def test_oauth_connectors_are_mentioned_where_one_looks() -> None:
    assert "OAuth" in (Connectors.install.__doc__ or "")
    assert issubclass(InvalidArgumentError, ConfigurationError)
