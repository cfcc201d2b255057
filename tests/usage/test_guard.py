"""A run that is denied everywhere is stopped; accounts that are denied are not."""

from __future__ import annotations

import random

import pytest

from cyclr_async.errors import (
    AuthenticationError,
    BulkInterruptedError,
    ConfigurationError,
    CyclrError,
    ForbiddenError,
    InvalidArgumentError,
    NotFoundError,
    ServerError,
    SessionClosedError,
    StoreError,
    UnauthorizedError,
    WrongEventLoopError,
)
from cyclr_async.usage.guard import SystemicGuard, ends_the_run

MISSING = NotFoundError("no such account", status=404)
FORBIDDEN = ForbiddenError("not allowed", status=403)
UNAUTHORIZED = UnauthorizedError("who", status=401)


def denials(guard: SystemicGuard, errors: list[CyclrError]) -> int:
    """How many denials it takes before the guard stops the run."""
    for number, error in enumerate(errors, 1):
        try:
            guard.denied(error)
        except BulkInterruptedError:
            return number
    return 0


@pytest.mark.parametrize("error", [MISSING, FORBIDDEN])
def test_fifty_in_a_row(error: CyclrError) -> None:
    guard = SystemicGuard()
    assert denials(guard, [error] * 49) == 0
    with pytest.raises(BulkInterruptedError, match="50 accounts in a row") as caught:
        guard.denied(error)
    assert caught.value.reason == "systemic"
    assert error.message in caught.value.message


def test_one_good_answer_begins_the_row_again() -> None:
    guard = SystemicGuard()
    for _ in range(3):
        assert denials(guard, [MISSING, FORBIDDEN] * 24) == 0
        guard.ok()


def test_three_times_unauthorized() -> None:
    guard = SystemicGuard()
    assert denials(guard, [UNAUTHORIZED, UNAUTHORIZED]) == 0
    guard.ok()
    assert denials(guard, [UNAUTHORIZED, UNAUTHORIZED]) == 0
    with pytest.raises(BulkInterruptedError) as caught:
        guard.denied(UNAUTHORIZED)
    assert caught.value.reason == "authentication"


def test_other_errors_are_not_its_business() -> None:
    guard = SystemicGuard()
    assert denials(guard, [ServerError("x", status=500)] * 500) == 0
    guard.at_end(0)


@pytest.mark.parametrize(("share", "stops"), [(0.1, False), (0.15, False), (0.3, True), (0.5, True)])
@pytest.mark.parametrize("seed", range(5))
def test_the_share_of_denials_among_the_last_thousand(share: float, stops: bool, seed: int) -> None:
    dice = random.Random(seed)
    guard = SystemicGuard()
    stopped = None
    for number in range(6000):
        if dice.random() >= share:
            guard.ok()
        elif denials(guard, [MISSING]):
            stopped = number
            break
    assert (stopped is not None) is stops
    if stopped is not None:
        assert 990 <= stopped <= 1100


def test_a_good_past_does_not_hide_a_bad_present() -> None:
    guard = SystemicGuard()
    for _ in range(100_000):
        guard.ok()
    denied = 0
    for _ in range(2000):
        guard.ok()
        denied += 1
        if denials(guard, [FORBIDDEN]):
            break
    assert denied <= 350


def test_nobody_answered_at_all() -> None:
    guard = SystemicGuard()
    assert denials(guard, [MISSING]) == 0
    guard.at_end(0)  # one account that does not exist is an answer
    assert denials(guard, [MISSING]) == 0
    with pytest.raises(BulkInterruptedError, match="all of 2 accounts"):
        guard.at_end(0)
    guard.at_end(1)


@pytest.mark.parametrize(
    ("error", "ends"),
    [
        (AuthenticationError("refused"), True),
        (UNAUTHORIZED, False),
        (ConfigurationError("token_url is missing"), True),
        (InvalidArgumentError("a bad id"), False),
        (SessionClosedError("closed"), True),
        (WrongEventLoopError("loop"), True),
        (StoreError("full"), True),
        (BulkInterruptedError("outage"), True),
        (MISSING, False),
        (ServerError("x", status=500), False),
    ],
)
def test_what_concerns_the_whole_run(error: CyclrError, ends: bool) -> None:
    assert ends_the_run(error) is ends
