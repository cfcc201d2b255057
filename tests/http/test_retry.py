"""The retry decision, row by row, with the edges of every number in it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyclr_async.config import RetryPolicy
from cyclr_async.errors import Sent
from cyclr_async.http.request import Safety
from cyclr_async.http.retry import (
    Decision,
    Failure,
    FailureKind,
    RetryBudget,
    Verdict,
    backoff,
    decide,
    parse_retry_after,
)

POLICY = RetryPolicy()
SAFETIES = (Safety.SAFE, Safety.REPEATABLE, Safety.UNSAFE)
R, F, U, X = Verdict.RETRY, Verdict.FINAL, Verdict.UNKNOWN, Verdict.EXHAUSTED
NOT_EXECUTED = (425, 429)
TRANSIENT = (408, 500, 502, 503, 504)
FINAL = (300, 301, 302, 304, 307, 308, 400, 401, 402, 403, 404, 405, 406, 409, 410, 411, 412, 413, 415, 418, 422, 423)
FINAL_TOO = (424, 426, 428, 431, 451, 499, 501, 505, 511)
UNKNOWN_TO_WRITES = (506, 507, 508, 510, 520, 524, 529, 599)

TABLE: list[tuple[FailureKind, Sent, int | None, tuple[Verdict, Verdict, Verdict]]] = [
    ("connect", "never", None, (R, R, R)),
    ("transport", "never", None, (R, R, R)),
    ("transport", "maybe", None, (R, R, U)),
    ("transport", "yes", 200, (R, R, U)),
    ("transport", "yes", 404, (R, R, U)),
    ("transport", "yes", 429, (R, R, U)),
    ("decode", "yes", 200, (R, R, U)),
    ("decode", "yes", 201, (R, R, U)),
    *(("status", "yes", status, (R, R, R)) for status in NOT_EXECUTED),
    *(("status", "yes", status, (R, R, U)) for status in TRANSIENT),
    *(("status", "yes", status, (F, F, F)) for status in FINAL + FINAL_TOO),
    *(("status", "yes", status, (F, F, U)) for status in UNKNOWN_TO_WRITES),
]


def verdict_of(
    failure: Failure,
    safety: Safety = Safety.SAFE,
    policy: RetryPolicy = POLICY,
    *,
    attempt: int = 1,
    elapsed: float = 1.0,
    remaining: float = 1000.0,
    random: float = 0.5,
) -> Decision:
    return decide(failure, safety, policy, attempt=attempt, elapsed=elapsed, remaining=remaining, random=random)


@pytest.mark.parametrize(("kind", "sent", "status", "verdicts"), TABLE)
def test_every_row_for_every_kind_of_operation(
    kind: FailureKind, sent: Sent, status: int | None, verdicts: tuple[Verdict, Verdict, Verdict]
) -> None:
    failure = Failure(kind=kind, sent=sent, status=status)
    assert tuple(verdict_of(failure, safety).verdict for safety in SAFETIES) == verdicts


@pytest.mark.parametrize(("kind", "sent", "status", "verdicts"), TABLE)
def test_after_the_last_attempt_what_could_be_repeated_is_exhausted_and_nothing_else_changes(
    kind: FailureKind, sent: Sent, status: int | None, verdicts: tuple[Verdict, Verdict, Verdict]
) -> None:
    failure = Failure(kind=kind, sent=sent, status=status)
    last = tuple(verdict_of(failure, safety, attempt=POLICY.attempts).verdict for safety in SAFETIES)
    assert last == tuple(X if verdict is R else verdict for verdict in verdicts)


@pytest.mark.parametrize(("attempt", "expected"), [(1, R), (2, R), (3, R), (4, X), (5, X)])
def test_attempts_are_counted_with_the_first(attempt: int, expected: Verdict) -> None:
    assert verdict_of(Failure(kind="connect", sent="never"), attempt=attempt).verdict is expected


def test_one_attempt_means_no_retry() -> None:
    failure = Failure(kind="connect", sent="never")
    assert verdict_of(failure, policy=RetryPolicy(attempts=1)).verdict is X


@pytest.mark.parametrize(("attempt", "expected"), [(1, R), (2, F), (3, F)])
@pytest.mark.parametrize("safety", SAFETIES)
def test_some_failures_make_sense_only_so_often(safety: Safety, attempt: int, expected: Verdict) -> None:
    failure = Failure(kind="connect", sent="never", at_most=2)
    assert verdict_of(failure, safety, attempt=attempt).verdict is expected


@pytest.mark.parametrize("kind", ["transport", "decode"])
@pytest.mark.parametrize("sent", ["maybe", "yes"])
def test_a_write_that_was_sent_is_never_final_because_repeating_makes_no_sense(kind: FailureKind, sent: Sent) -> None:
    failure = Failure(kind=kind, sent=sent, status=200, at_most=1)
    assert verdict_of(failure, Safety.SAFE).verdict is F
    assert verdict_of(failure, Safety.REPEATABLE).verdict is F
    assert verdict_of(failure, Safety.UNSAFE).verdict is U


@pytest.mark.parametrize(
    ("elapsed", "asked", "expected"),
    [
        (0.0, None, R),
        (29.5, None, R),  # the backoff is half a second
        (29.501, None, X),
        (1e9, None, X),
        (0.0, 24.0, R),
        (0.0, 30.0, X),
        (10.0, 16.0, R),
        (10.0, 20.5, X),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_an_update_is_sent_again_only_within_its_window(
    status: int, elapsed: float, asked: float | None, expected: Verdict
) -> None:
    """Whatever the failure, also one after which nothing was carried out: what counts is a newer change meanwhile."""
    policy = RetryPolicy(base=1.0)
    failure = Failure(kind="status", sent="yes", status=status, retry_after=asked)
    failures = [failure]
    if asked is None:
        failures += [Failure(kind="transport", sent="maybe"), Failure(kind="connect", sent="never")]
    for failure in failures:
        assert verdict_of(failure, Safety.REPEATABLE, policy, elapsed=elapsed).verdict is expected
        assert verdict_of(failure, Safety.SAFE, policy, elapsed=elapsed).verdict is R


def test_a_wait_that_reaches_the_deadline_is_not_begun() -> None:
    failure = Failure(kind="status", sent="yes", status=429, retry_after=8.0)
    assert verdict_of(failure, remaining=8.0, random=0.0).verdict is X
    assert verdict_of(failure, remaining=math.nextafter(8.0, 9.0), random=0.0).verdict is R
    assert verdict_of(failure, remaining=9.0, random=0.5).verdict is X  # 8 + 0.5 * 2


def test_a_longer_retry_after_than_the_cap_is_not_waited_for() -> None:
    def at(seconds: float) -> Verdict:
        return verdict_of(Failure(kind="status", sent="yes", status=503, retry_after=seconds), random=0.0).verdict

    assert at(60.0) is R
    assert at(60.001) is X


def test_never_earlier_than_asked_and_spread_by_a_quarter_or_five_seconds_at_most() -> None:
    def delay(asked: float, random: float) -> float:
        return verdict_of(Failure(kind="status", sent="yes", status=429, retry_after=asked), random=random).delay

    assert delay(10.0, 0.0) == 10.0
    assert delay(10.0, 0.5) == 10.0 + 0.5 * 2.5
    assert delay(40.0, 0.5) == 40.0 + 0.5 * 5.0
    assert delay(20.0, 1.0) == 25.0
    assert delay(0.0, 0.5) == 0.5  # the backoff is longer: half of one second
    assert delay(0.1, 0.5) == pytest.approx(0.5 + 0.5 * 0.025)


@pytest.mark.parametrize(
    ("kind", "status", "base"),
    [
        ("status", 429, 1.0),
        ("status", 503, 1.0),
        ("status", 500, 0.5),
        ("status", 408, 0.5),
        ("status", 425, 0.5),
        ("connect", None, 0.5),
        ("transport", 503, 0.5),
        ("transport", 429, 0.5),
        ("decode", 200, 0.5),
    ],
)
def test_backoff_begins_higher_where_the_server_asked_for_less(
    kind: FailureKind, status: int | None, base: float
) -> None:
    failure = Failure(kind=kind, sent="yes", status=status)
    assert [verdict_of(failure, attempt=attempt, random=0.5).delay for attempt in (1, 2, 3)] == [
        0.5 * base,
        base,
        2 * base,
    ]


def test_the_backoff_of_a_decision_is_capped_by_the_policy() -> None:
    policy = RetryPolicy(base=3.0, cap=4.0, attempts=9)
    failure = Failure(kind="connect", sent="never")
    assert [verdict_of(failure, policy=policy, attempt=n, random=1.0).delay for n in (1, 2, 3)] == [3.0, 4.0, 4.0]


def test_a_429_and_a_503_with_retry_after_pause_the_session() -> None:
    def pause(status: int, asked: float | None) -> float:
        failure = Failure(kind="status", sent="yes", status=status, retry_after=asked)
        return verdict_of(failure, Safety.UNSAFE, random=0.5).pause

    assert pause(429, 7.0) == 7.0
    assert pause(429, 0.0) == 0.0
    assert pause(429, None) == 0.5
    assert pause(429, 3600.0) == 60.0
    assert pause(503, 7.0) == 7.0
    assert pause(503, 3600.0) == 60.0
    assert pause(503, None) == 0.0
    assert pause(500, 7.0) == 0.0
    assert pause(500, None) == 0.0


@pytest.mark.parametrize(("status", "cost"), [(429, 5), (503, 14), (500, 14), (425, 14), (None, 14)])
def test_what_a_retry_costs(status: int | None, cost: int) -> None:
    assert verdict_of(Failure(kind="status" if status else "connect", sent="yes", status=status)).cost == cost


def test_a_decision_without_more_is_free_and_immediate() -> None:
    assert Decision(R) == Decision(R, delay=0.0, cost=0, pause=0.0)


@given(
    kind=st.sampled_from(["connect", "transport", "decode", "status"]),
    sent=st.sampled_from(["never", "maybe", "yes"]),
    status=st.none() | st.integers(200, 599),
    safety=st.sampled_from(SAFETIES),
    retry_after=st.none() | st.floats(0, 1e10),
    at_most=st.none() | st.integers(1, 3),
    attempt=st.integers(1, 6),
    elapsed=st.floats(0, 1e6),
    remaining=st.floats(-10, 1e6),
    random=st.floats(0, 1, exclude_max=True),
)
def test_a_decision_keeps_every_promise(
    kind: FailureKind,
    sent: Sent,
    status: int | None,
    safety: Safety,
    retry_after: float | None,
    at_most: int | None,
    attempt: int,
    elapsed: float,
    remaining: float,
    random: float,
) -> None:
    failure = Failure(kind=kind, sent=sent, status=status, retry_after=retry_after, at_most=at_most)
    decision = decide(failure, safety, POLICY, attempt=attempt, elapsed=elapsed, remaining=remaining, random=random)
    assert decision.delay >= (retry_after or 0.0)
    assert 0.0 <= decision.pause <= POLICY.retry_after_cap
    if decision.verdict is R:
        assert attempt < POLICY.attempts
        assert decision.delay < remaining
        assert retry_after is None or retry_after <= POLICY.retry_after_cap
        if safety is Safety.UNSAFE:
            assert sent == "never" or status in NOT_EXECUTED
    if decision.verdict is U:
        assert safety is Safety.UNSAFE


WALL = 1_445_412_480.0  # Wed, 21 Oct 2015 07:28:00 GMT
RETRY_AFTER: list[tuple[str | None, float | None]] = [
    (None, None),
    ("", None),
    ("0", 0.0),
    ("1", 1.0),
    ("120", 120.0),
    ("00120", 120.0),
    (" 7 ", 7.0),
    ("\t7\t", 7.0),
    ("1.5", 1.5),
    ("0.000000001", 1e-9),
    ("9999999999", 9999999999.0),
    ("12345678901", None),
    ("1.0000000001", None),
    ("1.", None),
    (".5", None),
    ("-1", None),
    ("-0", None),
    ("+5", None),
    ("1_000", None),
    ("1,000", None),
    ("1e3", None),
    ("1E3", None),
    ("inf", None),
    ("Infinity", None),
    ("nan", None),
    ("0x10", None),
    ("٣", None),
    ("\uff13", None),
    ("²", None),
    ("5s", None),
    ("5 5", None),
    ("5\n", None),
    ("\x0b5", None),
    ("\u00a05", None),
    ("1;2", None),
    ("true", None),
    ("soon", None),
    ("Wed, 21 Oct 2015 07:28:30 GMT", 30.0),
    (" Wed, 21 Oct 2015 07:28:30 GMT\t", 30.0),
    ("Wednesday, 21-Oct-15 07:29:00 GMT", 60.0),
    ("Wed Oct 21 07:28:05 2015", 5.0),
    ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
    ("Wed, 21 Oct 2015 07:27:00 GMT", 0.0),
    ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
    ("Wed, 32 Oct 2015 07:28:30 GMT", None),
    ("Wed, 21 Xyz 2015 07:28:30 GMT", None),
    ("Wed, 21 Oct 2015 25:28:30 GMT", None),
    ("Wed, 21 Oct 99999999999999 07:28:30 GMT", None),
    ("2015-10-21T07:28:30Z", None),
    ("Wed, 21 Oct 2015 07:28:30 GMT; soon and a lot more", None),
]


@pytest.mark.parametrize(("value", "seconds"), RETRY_AFTER)
def test_retry_after_is_read_strictly(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, wall=WALL) == seconds


@pytest.mark.parametrize("date", ["Wed, 21 Oct 2015 06:28:00 GMT", " Wed, 21 Oct 2015 06:28:00 GMT\t"])
def test_a_date_is_measured_against_the_clock_of_the_server(date: str) -> None:
    assert parse_retry_after("Wed, 21 Oct 2015 06:28:45 GMT", wall=WALL, date=date) == 45.0
    assert parse_retry_after("Wed, 21 Oct 2015 06:27:00 GMT", wall=WALL, date=date) == 0.0


@pytest.fixture
def far_from_greenwich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if not hasattr(time, "tzset"):
        pytest.skip("the time zone of the process cannot be set here")
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("far_from_greenwich")
@pytest.mark.parametrize(
    "text",
    [
        "Wed, 21 Oct 2015 07:28:45 GMT",
        "Wednesday, 21-Oct-15 07:28:45 GMT",
        "Wed Oct 21 07:28:45 2015",
        "Wed, 21 Oct 2015 07:28:45 -0000",
        "Wed, 21 Oct 2015 05:28:45 -0200",
    ],
)
def test_a_date_means_the_same_in_every_time_zone(text: str) -> None:
    assert parse_retry_after(text, wall=WALL) == 45.0


def test_without_a_usable_date_the_own_clock_serves() -> None:
    assert parse_retry_after("Wed, 21 Oct 2015 07:28:45 GMT", wall=WALL, date="yesterday") == 45.0
    assert parse_retry_after("12", wall=WALL, date="Wed, 21 Oct 2015 06:28:00 GMT") == 12.0


@given(st.text())
def test_retry_after_is_seconds_or_nothing_whatever_arrives(text: str) -> None:
    seconds = parse_retry_after(text, wall=WALL, date=text)
    assert seconds is None or (0.0 <= seconds < math.inf)


@given(st.integers(0, 4_000_000_000))
def test_a_date_that_was_formatted_is_read_back(moment: int) -> None:
    text = format_datetime(datetime.fromtimestamp(moment, UTC), usegmt=True)
    assert parse_retry_after(text, wall=0.0) == moment


def test_backoff_doubles_from_its_base_to_its_cap() -> None:
    assert [backoff(n, base=0.5, cap=20.0, random=1.0) for n in range(1, 9)] == [0.5, 1, 2, 4, 8, 16, 20, 20]
    assert backoff(3, base=0.5, cap=20.0, random=0.25) == 0.5
    assert backoff(1, base=0.5, cap=20.0, random=0.0) == 0.0


def test_backoff_stops_doubling_before_it_overflows() -> None:
    assert backoff(31, base=1.0, cap=1e300, random=1.0) == 2.0**30
    assert backoff(32, base=1.0, cap=1e300, random=1.0) == 2.0**30
    assert backoff(100_000, base=1.0, cap=1e300, random=1.0) == 2.0**30


def test_the_budget_pays_until_it_cannot() -> None:
    budget = RetryBudget(30)
    assert budget.tokens == 30
    assert budget.withdraw(14)
    assert budget.withdraw(14)
    assert budget.tokens == 2
    assert not budget.withdraw(14)
    assert budget.tokens == 2
    assert budget.withdraw(2)
    assert budget.tokens == 0


def test_success_returns_what_it_spent_or_one_up_to_the_capacity() -> None:
    budget = RetryBudget(30)
    budget.succeeded(0)
    assert budget.tokens == 30
    assert budget.withdraw(28)
    budget.succeeded(0)
    assert budget.tokens == 3
    budget.succeeded(14)
    assert budget.tokens == 17
    budget.succeeded(14)
    assert budget.tokens == 30


def test_no_capacity_means_no_budget() -> None:
    budget = RetryBudget(0)
    assert all(budget.withdraw(14) for _ in range(1000))
    budget.succeeded(14)
    assert budget.tokens == 0


def test_a_budget_of_one_retry_is_a_budget() -> None:
    budget = RetryBudget(1)
    assert not budget.withdraw(14)
    assert budget.withdraw(1)
    assert not budget.withdraw(1)
