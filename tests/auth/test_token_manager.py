"""One refresh at a time, ahead of time, remembered when it fails, whoever is cancelled."""

from __future__ import annotations

import asyncio
import contextvars
import random

import pytest

from cyclr_async.auth.providers import AccessToken, ClientCredentials, Exchange, PasswordGrant, StaticToken
from cyclr_async.auth.token_manager import OnToken, TokenManager, refresh_margin
from cyclr_async.errors import (
    AuthenticationError,
    ConnectError,
    CyclrError,
    OutcomeUnknownError,
    RateLimitedError,
    SessionClosedError,
    TransportError,
)
from cyclr_async.http.events import Event, TokenEvent
from tests.support.clock import FakeClock, ScriptedEndpoint, settle
from tests.support.sizes import few_of

LIFETIME = 1000.0
MARGIN = 60.0  # 5 % of the lifetime would be less than the least margin


class Keeping:
    """A keeper with its clock, its endpoint and what it told."""

    def __init__(
        self,
        *script: AccessToken | Exception,
        gate: asyncio.Event | None = None,
        on_token: OnToken | None = None,
        password: bool = False,
        dice: float = 0.0,
    ) -> None:
        self.clock = FakeClock(dice=dice)
        self.endpoint = ScriptedEndpoint(*script, gate=gate)
        self.events: list[Event] = []
        provider = PasswordGrant("client", "jo", "pass") if password else ClientCredentials("client", "secret")
        self.keeper = TokenManager(provider, self.endpoint, self.clock, on_token=on_token, on_event=self.events.append)

    @property
    def fetches(self) -> int:
        return len(self.endpoint.forms)

    @property
    def actions(self) -> list[str]:
        return [event.action for event in self.events if isinstance(event, TokenEvent)]

    async def value(self) -> str:
        return (await self.keeper.get()).value.reveal()


@pytest.mark.parametrize(
    ("lifetime", "margin"),
    [
        (2.0, 1.0),
        (100.0, 50.0),
        (120.0, 60.0),
        (1000.0, 60.0),
        (1200.0, 60.0),
        (2000.0, 100.0),
        (24000.0, 1200.0),
        (1_209_600.0, 1200.0),
    ],
)
def test_how_long_before_its_end_a_token_is_replaced(lifetime: float, margin: float) -> None:
    assert refresh_margin(lifetime, 0.0) == margin
    assert refresh_margin(lifetime, 1.0) == pytest.approx(1.1 * margin)
    assert refresh_margin(lifetime, 0.5) == pytest.approx(1.05 * margin)


async def test_the_first_caller_fetches_and_the_others_use_it() -> None:
    keeping = Keeping()
    assert keeping.keeper.current() is None
    assert keeping.keeper.refreshes == 0
    token = await keeping.keeper.get()
    assert token.value.reveal() == "access-1"
    assert await keeping.keeper.get() is token
    assert keeping.keeper.current() is token
    assert keeping.fetches == 1
    assert keeping.keeper.refreshes == 1
    assert keeping.actions == ["refreshed"]


@few_of("seed", range(3), few=1)
async def test_ten_thousand_waiters_of_whom_many_are_cancelled_cause_one_fetch(seed: int) -> None:
    dice = random.Random(seed)
    gate = asyncio.Event()
    keeping = Keeping(gate=gate)
    waiters = [asyncio.create_task(keeping.keeper.get()) for _ in range(10_000)]
    await settle()
    doomed = {0, *dice.sample(range(10_000), 5000)}  # the one that started the fetch among them
    for turn in range(10):
        for number in sorted(doomed)[turn::10]:
            waiters[number].cancel()
        await asyncio.sleep(0)
    gate.set()
    results = await asyncio.gather(*waiters, return_exceptions=True)
    assert keeping.fetches == 1
    assert sum(isinstance(result, asyncio.CancelledError) for result in results) == len(doomed)
    assert {result.value.reveal() for result in results if isinstance(result, AccessToken)} == {"access-1"}
    assert keeping.keeper.current() is not None


async def test_when_every_waiter_is_cancelled_the_token_is_kept_all_the_same() -> None:
    gate = asyncio.Event()
    keeping = Keeping(gate=gate)
    waiters = [asyncio.create_task(keeping.keeper.get()) for _ in range(10)]
    await settle()
    for waiter in waiters:
        waiter.cancel()
    await asyncio.gather(*waiters, return_exceptions=True)
    gate.set()
    await settle()
    token = keeping.keeper.current()
    assert token is not None
    assert token.value.reveal() == "access-1"


async def test_a_failure_that_nobody_waits_for_any_more_is_no_loose_end() -> None:
    gate = asyncio.Event()
    keeping = Keeping(TransportError("gone"), gate=gate)
    waiter = asyncio.create_task(keeping.keeper.get())
    await settle()
    waiter.cancel()
    await settle()
    gate.set()
    await settle()
    assert keeping.actions == ["failed"]
    with pytest.raises(TransportError, match="gone"):
        await keeping.keeper.get()
    assert keeping.fetches == 1


async def test_the_fetch_does_not_inherit_the_context_of_whoever_started_it() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    seen: list[str] = []

    class Provider:
        async def fetch(self, exchange: Exchange, previous: AccessToken | None) -> AccessToken:
            seen.append(variable.get())
            task = asyncio.current_task()
            assert task is not None
            seen.append(task.get_name())
            return AccessToken("a")

    variable.set("the caller's")
    await TokenManager(Provider(), ScriptedEndpoint(), FakeClock()).get()
    assert seen == ["none", "cyclr-async-token"]


async def test_it_is_refreshed_ahead_of_its_end_while_the_old_one_serves() -> None:
    gate = asyncio.Event()
    gate.set()
    keeping = Keeping(gate=gate)
    first = await keeping.keeper.get()
    keeping.clock.shift(LIFETIME - MARGIN - 0.001)
    assert keeping.keeper.current() is first
    await settle()
    assert keeping.fetches == 1
    gate.clear()
    keeping.clock.shift(0.001)
    assert keeping.keeper.current() is first
    assert await keeping.keeper.get() is first
    await settle()
    assert keeping.fetches == 2
    assert keeping.keeper.current() is first
    await settle()
    assert keeping.fetches == 2
    gate.set()
    await settle()
    second = keeping.keeper.current()
    assert second is not None
    assert second is not first
    assert keeping.keeper.refreshes == 2
    assert keeping.actions == ["refreshed", "refreshed"]


async def test_chance_makes_a_refresh_earlier_never_later() -> None:
    keeping = Keeping(dice=0.5)
    first = await keeping.keeper.get()
    keeping.clock.shift(LIFETIME - 1.05 * MARGIN - 0.001)
    assert keeping.keeper.current() is first
    await settle()
    assert keeping.fetches == 1
    keeping.clock.shift(0.002)
    keeping.keeper.current()
    await settle()
    assert keeping.fetches == 2


async def test_an_expired_token_is_not_used_and_the_caller_waits() -> None:
    keeping = Keeping()
    await keeping.keeper.get()
    keeping.clock.shift(LIFETIME)
    assert keeping.keeper.current() is None
    assert await keeping.value() == "access-2"
    assert keeping.fetches == 2


async def test_up_to_its_last_moment_a_token_serves() -> None:
    keeping = Keeping(AccessToken("a", expires_in=LIFETIME), ConnectError("away"))
    first = await keeping.keeper.get()
    keeping.clock.shift(LIFETIME - 0.001)
    assert keeping.keeper.current() is first
    await settle()


async def test_a_machine_that_slept_notices_by_the_wall_clock_that_the_token_has_expired() -> None:
    keeping = Keeping()
    first = await keeping.keeper.get()
    keeping.clock.wall_time += LIFETIME - 1  # the monotonic clock stood still meanwhile
    assert keeping.keeper.current() is first
    keeping.clock.wall_time += 1
    assert keeping.keeper.current() is None
    assert await keeping.value() == "access-2"


async def test_life_is_counted_from_before_the_request() -> None:
    gate = asyncio.Event()
    keeping = Keeping(gate=gate)
    waiting = asyncio.create_task(keeping.keeper.get())
    await settle()
    keeping.clock.shift(300.0)
    gate.set()
    first = await waiting
    keeping.clock.time += LIFETIME - 300.0 - 0.001
    assert keeping.keeper.current() is first
    await settle()
    second = keeping.keeper.current()
    keeping.clock.time += 0.001
    assert second is not first

    keeping = Keeping(gate=gate)
    gate.clear()
    waiting = asyncio.create_task(keeping.keeper.get())
    await settle()
    keeping.clock.shift(300.0)
    gate.set()
    await waiting
    keeping.clock.time += LIFETIME - 300.0
    assert keeping.keeper.current() is None


async def test_a_token_that_lives_shorter_than_its_request_takes_is_used_for_a_second_all_the_same() -> None:
    gate = asyncio.Event()
    keeping = Keeping(AccessToken("brief", expires_in=0.5), gate=gate)
    waiting = asyncio.create_task(keeping.keeper.get())
    await settle()
    keeping.clock.shift(2.0)
    gate.set()
    token = await waiting
    assert keeping.keeper.current() is token
    keeping.clock.time += 0.5
    assert keeping.keeper.current() is token
    await settle()
    assert keeping.fetches == 1
    keeping.clock.wall_time += 0.5
    assert keeping.keeper.current() is token
    keeping.clock.wall_time += 0.5
    assert keeping.keeper.current() is None
    keeping.clock.wall_time -= 0.5
    keeping.clock.time += 0.5
    assert keeping.keeper.current() is None


async def test_on_the_wall_clock_it_is_counted_from_before_the_request_too() -> None:
    gate = asyncio.Event()
    keeping = Keeping(gate=gate)
    waiting = asyncio.create_task(keeping.keeper.get())
    await settle()
    keeping.clock.shift(300.0)
    gate.set()
    first = await waiting
    keeping.clock.wall_time += LIFETIME - 300.0 - 0.5
    assert keeping.keeper.current() is first
    keeping.clock.wall_time += 0.5
    assert keeping.keeper.current() is None


async def test_a_token_without_a_lifetime_is_used_until_it_is_refused() -> None:
    keeping = Keeping(AccessToken("for-ever"))
    token = await keeping.keeper.get()
    keeping.clock.shift(1e9)
    assert keeping.keeper.current() is token
    await settle()
    assert keeping.fetches == 1


async def test_a_failed_refresh_ahead_is_tried_again_after_five_seconds_while_the_old_token_serves() -> None:
    keeping = Keeping(AccessToken("old", expires_in=LIFETIME), ConnectError("away"), ConnectError("away"))
    old = await keeping.keeper.get()
    keeping.clock.shift(LIFETIME - MARGIN)
    for expected, step in [(2, 0.0), (2, 4.875), (3, 0.125), (3, 4.875), (4, 0.125)]:
        keeping.clock.shift(step)
        assert keeping.keeper.current() is old
        await settle()
        assert keeping.fetches == expected
    assert await keeping.value() == "access-4"
    assert keeping.actions == ["refreshed", "failed", "failed", "refreshed"]


@pytest.mark.parametrize(
    ("error", "seconds"),
    [(ConnectError("away"), 5.0), (AuthenticationError("no", error="invalid_client"), 30.0)],
)
async def test_a_failure_is_remembered_and_not_for_ever(error: CyclrError, seconds: float) -> None:
    keeping = Keeping(error)
    with pytest.raises(type(error)):
        await keeping.keeper.get()
    for step in (0.0, seconds - 0.001):
        keeping.clock.shift(step)
        with pytest.raises(type(error), match=error.message):
            await keeping.keeper.get()
    assert keeping.fetches == 1
    keeping.clock.shift(0.002)
    assert await keeping.value() == "access-2"
    assert keeping.actions == ["failed", "refreshed"]


async def test_a_success_wipes_out_the_failure_before_it() -> None:
    keeping = Keeping(ConnectError("away"), AccessToken("short", expires_in=2.0), ConnectError("again"))
    with pytest.raises(ConnectError, match="away"):
        await keeping.keeper.get()
    keeping.clock.shift(5.0)
    assert await keeping.value() == "short"
    keeping.clock.shift(1.5)
    assert keeping.keeper.current() is not None
    await settle()
    assert keeping.fetches == 3
    keeping.clock.shift(1.0)
    with pytest.raises(ConnectError, match="again"):
        await keeping.keeper.get()


async def test_every_waiter_gets_an_error_of_its_own() -> None:
    gate = asyncio.Event()
    keeping = Keeping(AuthenticationError("no", error="invalid_client", attempts=3), gate=gate)
    waiters = [asyncio.create_task(keeping.keeper.get()) for _ in range(20)]
    await settle()
    gate.set()
    results = await asyncio.gather(*waiters, return_exceptions=True)
    results.append((await asyncio.gather(keeping.keeper.get(), return_exceptions=True))[0])
    errors = [result for result in results if isinstance(result, AuthenticationError)]
    assert len({id(error) for error in errors}) == 21
    assert {(error.message, error.error, error.attempts) for error in errors} == {("no", "invalid_client", 3)}
    errors[0].request_id = "mine"
    assert [error.request_id for error in errors[1:]] == [None] * 20


async def test_an_error_that_is_not_ours_reaches_the_caller_and_is_not_hammered_in_the_background() -> None:
    keeping = Keeping(AccessToken("old", expires_in=LIFETIME), KeyError("a"), KeyError("b"))
    old = await keeping.keeper.get()
    keeping.clock.shift(LIFETIME - MARGIN)
    for expected, step in [(2, 0.0), (2, 1.0), (2, 3.999), (3, 0.002)]:
        keeping.clock.shift(step)
        assert keeping.keeper.current() is old
        await settle()
        assert keeping.fetches == expected
    keeping = Keeping(KeyError("a"))
    with pytest.raises(KeyError):
        await keeping.keeper.get()
    assert keeping.actions == ["failed"]
    assert keeping.events == [TokenEvent(action="failed", error="KeyError")]
    assert await keeping.value() == "access-2"


async def test_a_refused_token_is_replaced_once_however_many_were_refused() -> None:
    gate = asyncio.Event()
    gate.set()
    keeping = Keeping(gate=gate)
    refused = await keeping.keeper.get()
    gate.clear()
    waiters = [asyncio.create_task(keeping.keeper.renew(refused)) for _ in range(100)]
    await settle()
    waiters[0].cancel()
    await settle()
    gate.set()
    results = await asyncio.gather(*waiters, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert {result.value.reveal() for result in results[1:] if isinstance(result, AccessToken)} == {"access-2"}
    assert keeping.fetches == 2
    assert keeping.actions == ["refreshed", "rejected", "refreshed"]


async def test_somebody_with_an_older_token_gets_the_current_one_without_a_fetch() -> None:
    keeping = Keeping()
    old = await keeping.keeper.get()
    new = await keeping.keeper.renew(old)
    assert new is not None
    assert new is not old
    assert await keeping.keeper.renew(old) is new
    assert keeping.fetches == 2


async def test_a_replacement_that_is_refused_too_is_not_replaced_for_ten_seconds() -> None:
    keeping = Keeping()
    first = await keeping.keeper.get()
    keeping.clock.shift(3.0)
    second = await keeping.keeper.renew(first)
    assert second is not None
    assert await keeping.keeper.renew(second) is None
    keeping.clock.shift(9.875)
    assert await keeping.keeper.renew(second) is None
    assert keeping.fetches == 2
    assert keeping.actions == ["refreshed", "rejected", "refreshed"]
    keeping.clock.shift(0.125)
    third = await keeping.keeper.renew(second)
    assert third is not None
    assert third.value.reveal() == "access-3"


async def test_a_token_that_is_refreshed_at_this_moment_is_waited_for_also_within_the_ten_seconds() -> None:
    gate = asyncio.Event()
    gate.set()
    keeping = Keeping(AccessToken("a"), AccessToken("b", expires_in=2.0), gate=gate)
    first = await keeping.keeper.get()
    second = await keeping.keeper.renew(first)
    assert second is not None
    gate.clear()
    keeping.clock.shift(1.5)
    keeping.keeper.current()  # begins the refresh ahead
    waiting = asyncio.create_task(keeping.keeper.renew(second))
    await settle()
    gate.set()
    third = await waiting
    assert third is not None
    assert third.value.reveal() == "access-3"
    assert keeping.fetches == 3
    assert keeping.actions == ["refreshed", "rejected", "refreshed", "refreshed"]


async def test_a_refresh_ahead_does_not_count_as_the_replacement_of_a_refused_token() -> None:
    keeping = Keeping(AccessToken("a", expires_in=2.0))
    await keeping.keeper.get()
    keeping.clock.shift(1.5)
    keeping.keeper.current()
    await settle()
    second = keeping.keeper.current()
    assert second is not None
    third = await keeping.keeper.renew(second)
    assert third is not None
    assert third.value.reveal() == "access-3"


async def test_a_token_that_was_refreshed_ahead_is_replaced_also_within_ten_seconds_of_a_replacement() -> None:
    keeping = Keeping(AccessToken("a"), AccessToken("b", expires_in=2.0), AccessToken("c"))
    first = await keeping.keeper.get()
    second = await keeping.keeper.renew(first)
    assert second is not None
    keeping.clock.shift(1.5)
    keeping.keeper.current()  # begins the refresh ahead
    await settle()
    third = keeping.keeper.current()
    assert third is not None
    assert third.value.reveal() == "c"
    # It is no replacement of a refused one: whoever revoked it may well accept the next.
    fourth = await keeping.keeper.renew(third)
    assert fourth is not None
    assert fourth.value.reveal() == "access-4"
    assert await keeping.keeper.renew(fourth) is None


@pytest.mark.parametrize(("asked", "seconds"), [(None, 5.0), (1.0, 5.0), (20.0, 20.0), (3600.0, 60.0)])
async def test_an_endpoint_that_says_how_long_to_wait_is_not_asked_earlier(asked: float | None, seconds: float) -> None:
    slow = RateLimitedError("slow down", status=429)
    slow.retry_after = asked
    keeping = Keeping(AccessToken("old", expires_in=LIFETIME), slow)
    old = await keeping.keeper.get()
    keeping.clock.shift(LIFETIME - MARGIN)
    assert keeping.keeper.current() is old
    await settle()
    assert keeping.fetches == 2
    keeping.clock.shift(min(seconds, MARGIN) - 0.125)
    assert keeping.keeper.current() is old
    await settle()
    assert keeping.fetches == 2
    keeping.clock.shift(0.125)
    assert await keeping.value() == ("access-3" if seconds == MARGIN else "old")
    await settle()
    assert keeping.fetches == 3


async def test_a_fixed_token_that_is_refused_stays_refused() -> None:
    clock = FakeClock()
    keeper = TokenManager(StaticToken("fixed"), ScriptedEndpoint(), clock)
    token = await keeper.get()
    assert await keeper.renew(token) is None
    assert await keeper.renew(token) is None


async def test_before_the_first_token_a_refusal_fetches_one() -> None:
    keeping = Keeping()
    token = await keeping.keeper.renew(AccessToken("from-elsewhere"))
    assert token is not None
    assert token.value.reveal() == "access-1"


async def test_a_renewal_that_fails_says_why_and_is_remembered() -> None:
    keeping = Keeping(AccessToken("a"), AuthenticationError("no"))
    token = await keeping.keeper.get()
    for _ in range(3):
        with pytest.raises(AuthenticationError, match="no"):
            await keeping.keeper.renew(token)
    assert keeping.fetches == 2
    assert keeping.keeper.current() is token


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_token_is_persisted_before_it_is_used(asynchronous: bool) -> None:
    stored: list[tuple[str, AccessToken | None]] = []
    keeping: Keeping

    def store(token: AccessToken) -> None:
        stored.append((token.value.reveal(), keeping.keeper.current()))

    async def store_later(token: AccessToken) -> None:
        await asyncio.sleep(0)
        store(token)

    keeping = Keeping(on_token=store_later if asynchronous else store)
    first = await keeping.keeper.get()
    second = await keeping.keeper.renew(first)
    assert second is not None
    assert stored == [("access-1", None), ("access-2", first)]


async def test_storing_is_repeated_with_the_same_token_until_it_succeeds() -> None:
    failures: list[Exception] = [OSError("disk full"), OSError("disk full")]
    stored: list[str] = []

    async def store(token: AccessToken) -> None:
        if failures:
            raise failures.pop()
        stored.append(token.value.reveal())

    keeping = Keeping(on_token=store)
    for _ in range(2):
        with pytest.raises(OSError, match="disk full"):
            await keeping.keeper.get()
        assert keeping.keeper.current() is None
        keeping.clock.shift(100.0)
    token = await keeping.keeper.get()
    assert stored == ["access-1"]
    assert keeping.fetches == 1
    assert keeping.actions == ["failed", "failed", "refreshed"]
    # Storing took 200 of its 1000 seconds.
    keeping.clock.shift(800.0 - MARGIN - 0.001)
    assert keeping.keeper.current() is token
    await settle()
    assert keeping.fetches == 1
    keeping.clock.time += MARGIN + 0.001
    assert keeping.keeper.current() is None
    assert await keeping.value() == "access-2"
    assert stored == ["access-1", "access-2"]


async def test_a_used_refresh_token_is_never_sent_again() -> None:
    keeping = Keeping(
        AccessToken("a1", expires_in=LIFETIME, refresh_token="r1"),
        OutcomeUnknownError("lost", sent="maybe"),
        AccessToken("a2", expires_in=LIFETIME, refresh_token="r2"),
        ConnectError("away", sent="never"),
        password=True,
    )
    await keeping.keeper.get()
    keeping.clock.shift(LIFETIME)
    assert await keeping.value() == "a2"
    keeping.clock.shift(LIFETIME)
    with pytest.raises(ConnectError):
        await keeping.keeper.get()
    keeping.clock.shift(5.0)
    assert await keeping.value() == "access-5"
    assert keeping.endpoint.grants == ["password", "refresh_token", "password", "refresh_token", "refresh_token"]
    sent = [form["refresh_token"] for form, _ in keeping.endpoint.forms if "refresh_token" in form]
    assert sent == ["r1", "r2", "r2"]  # the first r2 certainly never left


async def test_closing_waits_for_a_refresh_so_that_a_rotated_token_is_not_lost() -> None:
    gate = asyncio.Event()
    stored: list[str] = []
    keeping = Keeping(gate=gate, on_token=lambda token: stored.append(token.value.reveal()))
    waiting = asyncio.create_task(keeping.keeper.get())
    await settle()
    closing = asyncio.create_task(keeping.keeper.close(5.0))
    await settle()
    assert not closing.done()
    gate.set()
    await closing
    assert stored == ["access-1"]
    assert (await waiting).value.reveal() == "access-1"


async def test_closing_waits_no_longer_than_it_may_and_tells_those_who_waited() -> None:
    keeping = Keeping(gate=asyncio.Event())
    waiters = [asyncio.create_task(keeping.keeper.get()) for _ in range(3)]
    await settle()
    await asyncio.wait_for(keeping.keeper.close(0.01), 2)
    results = await asyncio.gather(*waiters, return_exceptions=True)
    assert [type(result) for result in results] == [SessionClosedError] * 3
    assert [str(result) for result in results] == ["the session was closed while a token was being fetched"] * 3
    assert keeping.actions == []


async def test_a_waiter_that_is_cancelled_while_the_session_closes_ends_cancelled() -> None:
    keeping = Keeping(gate=asyncio.Event())
    waiter = asyncio.create_task(keeping.keeper.get())
    await settle()
    closing = asyncio.create_task(keeping.keeper.close(0.0))
    while not waiter.done():
        fetches = [task for task in asyncio.all_tasks() if task.get_name() == "cyclr-async-token"]
        if not fetches or fetches[0].cancelling():
            waiter.cancel()
        await asyncio.sleep(0)
    await closing
    assert waiter.cancelled()


async def test_after_closing_nothing_is_fetched_any_more() -> None:
    keeping = Keeping()
    token = await keeping.keeper.get()
    await keeping.keeper.close(1.0)
    keeping.clock.shift(LIFETIME - MARGIN)
    assert keeping.keeper.current() is token
    keeping.clock.shift(MARGIN)
    with pytest.raises(SessionClosedError, match=r"^the session is closed: make a new AsyncPartnerSession$"):
        await keeping.keeper.get()
    assert keeping.fetches == 1


async def test_a_fetch_that_is_cancelled_from_within_leaves_the_way_free_for_the_next() -> None:
    class Provider:
        calls = 0

        async def fetch(self, exchange: Exchange, previous: AccessToken | None) -> AccessToken:
            self.calls += 1
            if self.calls == 1:
                raise asyncio.CancelledError
            return AccessToken("a")

    keeper = TokenManager(Provider(), ScriptedEndpoint(), FakeClock())
    with pytest.raises(asyncio.CancelledError):
        await keeper.get()
    assert (await keeper.get()).value.reveal() == "a"


async def test_without_listeners_nothing_is_told_and_nothing_breaks() -> None:
    clock = FakeClock()
    endpoint = ScriptedEndpoint(AccessToken("a"), ConnectError("away"))
    keeper = TokenManager(ClientCredentials("client", "secret"), endpoint, clock)
    token = await keeper.get()
    with pytest.raises(ConnectError):
        await keeper.renew(token)
    clock.shift(5.0)
    assert await keeper.renew(token) is not None
    assert endpoint.grants == ["client_credentials"] * 3


async def test_the_previous_token_is_handed_to_the_provider() -> None:
    seen: list[AccessToken | None] = []

    class Provider:
        async def fetch(self, exchange: Exchange, previous: AccessToken | None) -> AccessToken:
            seen.append(previous)
            return await exchange({}, False)

    endpoint = ScriptedEndpoint()
    keeper = TokenManager(Provider(), endpoint, FakeClock())
    first = await keeper.get()
    await keeper.renew(first)
    assert seen == [None, first]
    assert endpoint.forms == [({}, False)] * 2
