"""Events tell what happens and cannot break the call they tell of."""

from __future__ import annotations

import asyncio
import logging

import pytest

from cyclr_async.auth.providers import AccessToken, ClientCredentials
from cyclr_async.auth.token_manager import TokenManager
from cyclr_async.errors import ConnectError
from cyclr_async.http.events import AttemptEvent, Event, TokenEvent, notify
from tests.support.clock import FakeClock, ScriptedEndpoint

EVENT = TokenEvent(action="refreshed")


def test_a_hook_is_given_the_event() -> None:
    seen: list[Event] = []
    notify(seen.append, EVENT)
    assert seen == [EVENT]


@pytest.mark.parametrize(
    "error", [ValueError("hush"), KeyError("x"), RecursionError(), ConnectError("x"), TimeoutError()]
)
def test_what_a_hook_raises_is_logged_and_goes_no_further(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    def hook(event: Event) -> None:
        raise error

    with caplog.at_level(logging.ERROR, "cyclr_async.events"):
        notify(hook, EVENT)
    (record,) = caplog.records
    assert record.getMessage() == "on_event raised while handling TokenEvent; the call goes on"
    assert record.exc_info is not None
    assert record.exc_info[1] is error


@pytest.mark.parametrize("error", [asyncio.CancelledError, KeyboardInterrupt, SystemExit])
def test_what_is_no_error_is_not_swallowed(error: type[BaseException]) -> None:
    def hook(event: Event) -> None:
        raise error

    with pytest.raises(error):
        notify(hook, EVENT)


async def test_a_token_is_fetched_and_refused_and_fails_with_a_hook_that_always_raises() -> None:
    def hook(event: Event) -> None:
        raise ValueError(type(event).__name__)

    endpoint = ScriptedEndpoint(AccessToken("a"), ConnectError("away"))
    keeper = TokenManager(ClientCredentials("c", "s"), endpoint, FakeClock(), on_event=hook)
    token = await keeper.get()
    assert keeper.current() is token
    with pytest.raises(ConnectError, match="away"):
        await keeper.renew(token)


def test_an_event_cannot_be_changed() -> None:
    event = AttemptEvent(operation="o", request_id="r", attempt=1, status=None, error=None, seconds=0.1)
    with pytest.raises(AttributeError):
        event.attempt = 2  # type: ignore[misc]
