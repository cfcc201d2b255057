"""Which refusals are held back, what releases them, and what a run ends with when nothing does."""

from __future__ import annotations

import pytest

from cyclr_async.errors import CyclrError, ForbiddenError, NotFoundError, ResponseError, ServerError, UnauthorizedError
from cyclr_async.usage.collect.failure_guard import FailureRateGuard
from cyclr_async.usage.collect.outcome import UsageOutcome
from cyclr_async.usage.collect.work_items import WorkItem

MISSING = NotFoundError("no such account", status=404, server_message="none")
VAGUE = NotFoundError("no such account", status=404)
FORBIDDEN = ForbiddenError("not allowed", status=403, server_message="no")
UNAUTHORIZED = UnauthorizedError("who", status=401, server_message="who")
PAGE = NotFoundError("a page", status=404, body="<html>")


def guard_of(*errors: CyclrError) -> FailureRateGuard:
    guard = FailureRateGuard()
    for number, error in enumerate(errors):
        guard.hold(WorkItem(str(number)), UsageOutcome(account_id=str(number), error=error))
    return guard


@pytest.mark.parametrize(
    ("error", "held"),
    [
        (MISSING, True),
        (VAGUE, True),
        (FORBIDDEN, True),
        (UNAUTHORIZED, True),
        (PAGE, True),
        (ResponseError("gone", status=410), True),
        (ResponseError("moved", status=405), True),
        (ResponseError("bad", status=400), False),
        (ServerError("x", status=500), False),
    ],
)
def test_what_is_held_back(error: CyclrError, held: bool) -> None:
    assert FailureRateGuard.concerns(error) is held


@pytest.mark.parametrize(
    ("errors", "suspicious"),
    [
        ([MISSING] * 49, False),
        ([MISSING, FORBIDDEN] * 25, True),
        ([UNAUTHORIZED] * 2 + [MISSING] * 47, False),
        ([UNAUTHORIZED, MISSING] * 3, True),
    ],
)
def test_when_a_witness_is_called_for(errors: list[CyclrError], suspicious: bool) -> None:
    assert guard_of(*errors).suspicious is suspicious


def test_an_answer_vouches_for_what_was_refused_before_it_was_asked_for() -> None:
    guard = guard_of(MISSING, MISSING)
    begun = guard.refusals
    guard.hold(WorkItem("late"), UsageOutcome(account_id="late", error=MISSING))
    assert [item.account_id for item, _ in guard.released(begun)] == ["0", "1"]
    assert len(guard.held) == 1
    assert guard.released(begun) == []
    assert [item.account_id for item, _ in guard.released(guard.refusals)] == ["late"]


def test_a_witness_shows_that_a_401_can_be_about_an_account() -> None:
    guard = guard_of(*[UNAUTHORIZED] * 3)
    assert guard.suspicious
    assert len(guard.vouched(guard.refusals)) == 3
    for number in range(49):
        guard.hold(WorkItem(str(number)), UsageOutcome(account_id=str(number), error=UNAUTHORIZED))
    assert not guard.suspicious


@pytest.mark.parametrize(
    ("errors", "reason", "words"),
    [
        ([MISSING] * 50, "systemic", "50 accounts in a row were refused"),
        ([UNAUTHORIZED] * 3, "authentication", "the access token is refused again and again"),
    ],
)
def test_what_the_run_ends_with(errors: list[CyclrError], reason: str, words: str) -> None:
    found = guard_of(*errors).interruption(at_end=False, witness=False)
    assert found.reason == reason
    assert words in found.message
    assert errors[-1].args[0] in found.message


@pytest.mark.parametrize(
    ("errors", "believed"),
    [([MISSING], True), ([VAGUE], True), ([UNAUTHORIZED], False), ([PAGE], False), ([MISSING] * 2, False)],
)
def test_one_account_that_does_not_exist_is_an_answer(errors: list[CyclrError], believed: bool) -> None:
    assert guard_of(*errors).is_an_answer() is believed


@pytest.mark.parametrize(
    ("error", "needed"), [(MISSING, False), (FORBIDDEN, False), (VAGUE, True), (UNAUTHORIZED, True), (PAGE, True)]
)
def test_which_of_the_last_refusals_need_a_witness(error: CyclrError, needed: bool) -> None:
    assert guard_of(error).needs_witness() is needed
