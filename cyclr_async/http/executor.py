"""The only loop around a request: deadline, limiter, token, one attempt, decide, sleep."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final, TypedDict, TypeVar, Unpack

from yarl import URL

from cyclr_async.auth.providers import AccessToken
from cyclr_async.auth.token_manager import TokenManager
from cyclr_async.checks import check_timeout
from cyclr_async.config import Limits, Timeouts
from cyclr_async.errors import (
    ConfigurationError,
    CyclrError,
    DeadlineExceededError,
    ResponseError,
    SessionClosedError,
    UnauthorizedError,
    WrongEventLoopError,
)
from cyclr_async.http import reports
from cyclr_async.http.clock import Clock
from cyclr_async.http.counters import Counters
from cyclr_async.http.deadline_errors import (
    attempt_deadline_exceeded,
    attempt_timed_out,
    deadline_exceeded,
    no_turn,
    out_of_window,
    outcome_unknown,
    unconnected,
)
from cyclr_async.http.events import EventHook
from cyclr_async.http.exchange import Exchange
from cyclr_async.http.limiter import AnswerTimes, Limiter
from cyclr_async.http.request import Request, Safety
from cyclr_async.http.retry import RetryStrategy, Verdict, decide, failure_of, is_unsettled
from cyclr_async.http.stream import Stream
from cyclr_async.http.timeouts import Attempt, TimerWheel
from cyclr_async.secret import HiddenStr

__all__ = ["AuthorizedExecutor", "CallState", "Executor", "Options", "request_ids"]

T = TypeVar("T")
R = TypeVar("R")

_logger: Final = logging.getLogger("cyclr_async.http")


def request_ids(prefix: str) -> Iterator[str]:
    """Yield the values of ``X-Request-Id``; the prefix tells those of one session from all others."""
    for number in itertools.count(1):
        yield f"{prefix}{number:06x}"


class CallState:
    """Where one call stands.

    Attributes:
        send_by: when the next attempt may be sent at the latest: the deadline, or earlier for a write that is repeated.
        first: when the first attempt began.
    """

    __slots__ = (
        "attempts",
        "deadline",
        "failure",
        "first",
        "refreshed",
        "request_id",
        "send_by",
        "spent",
        "started",
        "timeout",
        "token",
        "unsettled",
    )

    def __init__(self, request_id: str, started: float, timeout: float) -> None:
        self.request_id: str = request_id
        self.started: float = started
        self.timeout: float = timeout
        self.deadline: float = started + timeout
        self.send_by: float = self.deadline
        self.first: float = started
        self.attempts: int = 0
        self.spent: int = 0
        self.refreshed: int = 0
        self.unsettled: bool = False
        """True once an attempt was sent of which it is not known whether it was carried out."""
        self.token: AccessToken | None = None
        self.failure: CyclrError | None = None

    @property
    def header(self) -> HiddenStr | None:
        """The value of the Authorization header."""
        return None if self.token is None else self.token.header


class Options(TypedDict):
    """What both executors of a session are given alike."""

    timeouts: Timeouts
    strategy: RetryStrategy
    ids: Iterator[str]
    counters: Counters
    on_event: EventHook | None


_NO_LOOP: Final = "no event loop of asyncio runs here: use asyncio.run(), or anyio with its asyncio backend, not trio"
_MakeAttempt = Callable[[Request[T], HiddenStr | None, str, Attempt], Awaitable[R]]


class Executor:
    """Carries calls: deadline, attempts, retries. It adds no access token and needs no slot, as token requests do.

    Args:
        exchange: makes one attempt.
        clock: time and chance.
        watch: the time limits.
        timeouts: for attempts and calls.
        strategy: how hard a call is tried unless told otherwise.
        ids: makes request ids.
        counters: what has happened so far.
        on_event: told what happens.
    """

    def __init__(
        self,
        exchange: Exchange,
        clock: Clock,
        watch: TimerWheel,
        *,
        timeouts: Timeouts,
        strategy: RetryStrategy,
        ids: Iterator[str],
        counters: Counters,
        on_event: EventHook | None,
    ) -> None:
        self._exchange = exchange
        self._watch = watch
        self._timeouts = timeouts
        self._silence = max(timeouts.connect, timeouts.read)
        self._next_id = ids.__next__
        self._on_event = on_event
        self._timed = False
        """Whether the times of answers are kept: only a limit of the rate asks for them."""
        self.clock = clock
        self.strategy = strategy
        self.counters = counters

    def run(
        self, call: Request[T], *, timeout: float | None = None, strategy: RetryStrategy | None = None
    ) -> Coroutine[Any, Any, T]:
        """Carry out a call.

        Args:
            call: what to send.
            timeout: wall-clock seconds for everything, or None for ``Timeouts.deadline``.
            strategy: how hard to try, or None for the session's way.

        Raises:
            CyclrError: what went wrong. Besides cancellation nothing else comes from here, except what a token provider
                or an ``on_token`` of the user raises.
        """
        return self._loop(call, self._exchange.value, timeout, strategy or self.strategy)

    async def _loop(
        self,
        call: Request[T],
        attempt: _MakeAttempt[T, R],
        timeout: float | None,
        strategy: RetryStrategy,
    ) -> R:
        progress = CallState(self._next_id(), self.clock.now(), self._timeouts.deadline if timeout is None else timeout)
        counters = self.counters
        counters.calls += 1
        counters.active += 1
        failed: CyclrError | None = None
        try:
            while True:
                outcome = await self._attempt(call, attempt, progress)
                if not isinstance(outcome, CyclrError):
                    budget = strategy.budget
                    # A full budget takes nothing back, and it is full as long as nothing fails.
                    if budget is not None and budget.tokens != budget.capacity:
                        budget.succeeded(progress.spent)
                    return outcome
                # Counted from the first attempt, not from this one: what the write was based on is as old as that.
                if call.safety is Safety.REPEATABLE:
                    progress.send_by = min(progress.deadline, progress.first + strategy.policy.write_window)
                if not await self._refresh_after_401(outcome, progress):
                    await self.clock.sleep(self._backoff_or_raise(call, outcome, progress, strategy))
        except CyclrError as error:
            failed = error
        except asyncio.CancelledError:
            if progress.unsettled and call.safety is not Safety.SAFE:
                _logger.warning(
                    "%s was cancelled after it was sent: its outcome is unknown (request %s)",
                    call.name,
                    progress.request_id,
                )
            raise
        finally:
            counters.active -= 1
            if counters.idle is not None and not counters.active:
                counters.idle.set()
            if self._on_event is not None:
                reports.outcome(self._on_event, call, progress, failed, self.clock.now() - progress.started)
        # Outside of the handlers, so that the error has no context besides its own cause.
        counters.failures += 1
        failed.request_id = progress.request_id
        failed.attempts = progress.attempts
        raise failed from failed.__cause__

    async def _attempt(
        self,
        call: Request[T],
        attempt: _MakeAttempt[T, R],
        progress: CallState,
    ) -> R | CyclrError:
        """Make one attempt inside a slot, and return its value or its error."""
        # Two steps, since a coroutine for what is at hand as a rule would cost every call its frame.
        if not self._try_admit(call, progress):
            await self._admit(call, progress)
        begun = self.clock.now()
        state = self._begin(call, progress, begun)
        outcome: R | CyclrError
        try:
            with state:
                outcome = await attempt(call, progress.header, progress.request_id, state)
        except CyclrError as error:
            outcome = error
        except TimeoutError:
            if not state.expired:
                raise
            outcome = self._timed_out(call, progress, state)
        except asyncio.CancelledError:
            # The bytes may be on their way, so whoever cancels a write must learn that its outcome is unknown.
            progress.unsettled |= state.connected
            raise
        finally:
            self._release()
        if isinstance(outcome, CyclrError):
            progress.failure = outcome
            if call.safety is not Safety.SAFE:  # whether a read was carried out is nobody's concern
                progress.unsettled |= is_unsettled(outcome)
        if _logger.isEnabledFor(logging.DEBUG):
            reports.attempt_line(call, progress, state, outcome, self.clock.now() - begun)
        if self._on_event is not None or self._timed:
            self._note(call, progress, begun, outcome)
        return outcome

    def _begin(self, call: Request[T], progress: CallState, now: float) -> Attempt:
        """Begin an attempt that has been admitted."""
        deadline, send_by = progress.deadline, progress.send_by
        if now > send_by:
            self._release()
            raise self._too_late(call, progress)
        if not progress.attempts:
            progress.first = now
        progress.attempts += 1
        # After the check above: what was too late to be sent is no attempt, in the figures and for the retry policy.
        self.counters.attempts += 1
        ends = min(deadline, now + self._timeouts.attempt)
        return Attempt(
            self._watch,
            # One timer per attempt. Connecting and the first bytes have the longer of their two limits; from the first
            # sign of life on, the attempt moves its limit by itself.
            max(min(ends - now, self._silence), 0.0),
            read=self._timeouts.read,
            ends=ends,
            now=self.clock.now,
            connect_by=send_by if send_by < deadline else None,
        )

    def _try_admit(self, call: Request[T], progress: CallState) -> bool:  # noqa: ARG002 - for those that need a slot
        """Take what an attempt needs if it is at hand; False when it has to be waited for."""
        return True

    async def _admit(self, call: Request[T], progress: CallState) -> None:
        """Wait for what an attempt needs."""

    def _release(self) -> None:
        """Give back what an attempt took."""

    def _pause(self, call: Request[T], progress: CallState, seconds: float) -> None:
        """Let nothing leave for a while, because the server asked for it."""
        # What the token endpoint asks for is no reason to stop the API.

    async def _refresh_after_401(self, error: CyclrError, progress: CallState) -> bool:  # noqa: ARG002
        """Do what makes a refused request worth repeating at once; False when there is nothing to do."""
        return False

    def _keep_time(self, call: Request[T], seconds: float) -> None:
        """Keep how long an answer took."""

    def _too_late(self, call: Request[T], progress: CallState) -> CyclrError:
        """Return the error for a call that may not be sent any more."""
        if progress.failure is not None and progress.send_by < progress.deadline:
            return out_of_window(progress.failure)
        return deadline_exceeded(call, progress)

    async def _in_time(self, waiting: Awaitable[R], call: Request[T], progress: CallState) -> R:
        """Wait for something other than the server, until the request may no longer be sent."""
        scope = self._watch.limit(max(progress.send_by - self.clock.now(), 0.0))
        try:
            with scope:
                return await waiting
        except CyclrError:
            raise
        except TimeoutError:
            if not scope.expired:
                raise
        raise self._too_late(call, progress)

    def _backoff_or_raise(
        self, call: Request[T], error: CyclrError, progress: CallState, strategy: RetryStrategy
    ) -> float:
        """Return how long to wait before the next attempt, or raise what the call ends with."""
        if isinstance(error, DeadlineExceededError):
            raise error
        now = self.clock.now()
        decision = decide(
            # Reduced first: the decision has to be the same for everything that went wrong in the same way.
            failure_of(error),
            call.safety,
            strategy.policy,
            attempt=progress.attempts,
            elapsed=now - progress.first,
            remaining=progress.deadline - now,
            random=self.clock.random(),
        )
        if decision.pause:
            self._pause(call, progress, decision.pause)
        if decision.verdict is Verdict.UNKNOWN:
            raise outcome_unknown(call, error) from error
        overdue = progress.send_by < progress.deadline and now + decision.delay > progress.send_by
        if decision.verdict is Verdict.EXHAUSTED and overdue:
            raise out_of_window(error)
        if decision.verdict is not Verdict.RETRY or (call.once and error.sent != "never"):
            raise error
        if strategy.budget is not None:
            # Last of all, because what is not repeated for another reason must not cost the others anything.
            if not strategy.budget.withdraw(decision.cost):
                error.add_note("not repeated: the retry budget of the session is used up, the server keeps failing")
                raise error
            progress.spent += decision.cost
        self.counters.retries += 1
        reports.retry(self._on_event, call, progress, error, decision.delay)
        return decision.delay

    def _timed_out(self, call: Request[T], progress: CallState, state: Attempt) -> CyclrError:
        now = self.clock.now()
        # A write that may still be repeated is cut off while it connects, not while it is carried out.
        if not state.connected and progress.send_by < progress.deadline and now >= progress.send_by:
            return unconnected(call)
        if now < progress.deadline:
            return attempt_timed_out(call, state, self._timeouts)
        return attempt_deadline_exceeded(call, progress, state)

    def _note(self, call: Request[T], progress: CallState, begun: float, outcome: object) -> None:
        """Take note of an attempt that has ended."""
        error = outcome if isinstance(outcome, CyclrError) else None
        if self._timed and (error is None or isinstance(error, ResponseError)):
            self._keep_time(call, self.clock.now() - begun)
        if self._on_event is not None:
            reports.attempt(self._on_event, call, progress, error, self.clock.now() - begun)


class AuthorizedExecutor(Executor):
    """Carries the calls of the APIs: each attempt has a slot of the limiter and the current access token.

    Args:
        exchange: makes one attempt.
        clock: time and chance.
        watch: the time limits.
        limiter: slots, rate, pause.
        tokens: the access token.
        origins: the URLs of the APIs; the token goes to their schemes, hosts and ports and nowhere else.
        open_pool: makes what connections need, before the first call.
        limits: how widely the APIs may be used.
        options: of :class:`Executor`.
    """

    def __init__(
        self,
        exchange: Exchange,
        clock: Clock,
        watch: TimerWheel,
        *,
        limiter: Limiter,
        tokens: TokenManager,
        origins: Iterable[URL],
        open_pool: Callable[[], Awaitable[None]],
        limits: Limits,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(exchange, clock, watch, **options)
        self._tokens = tokens
        # Compared by what decides where bytes go. Host names alone would let a token out to another port, or over plain
        # http.
        self._origins = frozenset((url.scheme, url.raw_authority) for url in origins)
        self._answer_times = AnswerTimes()
        self._timed = limiter.rate is not None
        self._open_pool = open_pool
        self._opened = False
        # After fork() both processes would write on the same sockets, and each would read what is meant for the other.
        self._pid = os.getpid()
        self.limiter = limiter
        self.limits = limits
        self.closed = False
        self.loop: asyncio.AbstractEventLoop | None = None
        """The event loop of the first call, to which the connections belong."""

    def send(
        self, call: Request[T], timeout: float | None, strategy: RetryStrategy | None = None
    ) -> Coroutine[Any, Any, T]:
        """Carry out a call of a resource; see :meth:`run`.

        Raises:
            InvalidArgumentError: the timeout cannot be one.
            SessionClosedError: the session is closed.
            WrongEventLoopError: this is not the event loop, or not the process, of the session.
        """
        if timeout is not None:
            timeout = check_timeout(timeout)
        if not self._opened:
            return self._send_first(call, timeout, strategy)
        self.check()
        return self._loop(call, self._exchange.value, timeout, strategy or self.strategy)

    async def _send_first(self, call: Request[T], timeout: float | None, strategy: RetryStrategy | None) -> T:
        await self._open(timeout)
        return await self.run(call, timeout=timeout, strategy=strategy)

    @asynccontextmanager
    async def stream(self, call: Request[object], timeout: float | None) -> AsyncIterator[Stream]:
        """Open an answer to be read piece by piece.

        ``timeout`` covers the way to its headers and the waiting for its pieces; ``Timeouts.deadline``, which stands in
        for it, the way to the headers only.
        """
        timeout = check_timeout(timeout)
        await self._open(timeout)
        began = self.clock.now()
        stream = await self._loop(call, self._exchange.stream, timeout, self.strategy)
        if timeout is not None:
            stream.pace.limit(timeout, timeout - (self.clock.now() - began))
        try:
            yield stream
        except CyclrError as error:
            error.request_id = error.request_id or stream.request_id
            raise
        finally:
            stream.close()

    def check(self) -> None:
        """Refuse a call that cannot work here.

        Raises:
            SessionClosedError: the session is closed.
            WrongEventLoopError: this is not the event loop, or not the process, of the session.
        """
        if self.closed:
            raise SessionClosedError("the session is closed: make a new AsyncPartnerSession")
        if os.getpid() != self._pid:
            raise WrongEventLoopError(
                "the session belongs to the process before fork(): make an AsyncPartnerSession in each process"
            )
        if self.loop is None:
            return
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is not self.loop:
            if running is None:
                raise WrongEventLoopError(_NO_LOOP)
            raise WrongEventLoopError(
                "the session belongs to another event loop: make one AsyncPartnerSession per asyncio.run()"
            )

    async def _open(self, timeout: float | None) -> None:
        """Make what connections need, once; a file of certificates may take its time."""
        self.check()
        if self.loop is None:
            try:
                self.loop = asyncio.get_running_loop()
            except RuntimeError:
                raise WrongEventLoopError(_NO_LOOP) from None
        # Reading certificates counts: whoever gave a time limit does not care what the time was spent on.
        budget = self._timeouts.deadline if timeout is None else timeout
        scope = self._watch.limit(budget)
        try:
            with scope:
                await self._open_pool()
        except TimeoutError:
            if not scope.expired:
                raise
        else:
            self._opened = True
            return
        raise DeadlineExceededError(
            f"the certificates could not be read within {budget:g} s: is a file of them on a device that hangs?",
            timeout=budget,
        )

    def _try_admit(self, call: Request[T], progress: CallState) -> bool:
        """Take a slot and a token if both are at hand, which is the usual case."""
        if (call.url.scheme, call.url.raw_authority) not in self._origins:
            raise ConfigurationError(f"{call.name}: refused to send the access token to another host than the APIs'")
        if not self.limiter.try_acquire():
            return False
        progress.token = self._tokens.current()
        if progress.token is None:
            self.limiter.release()
        return progress.token is not None

    async def _admit(self, call: Request[T], progress: CallState) -> None:
        """Wait for a token and a slot; the slot is held on return."""
        if _logger.isEnabledFor(logging.DEBUG):
            reports.waiting_line(call, progress, self.limiter)
        while True:
            if self._tokens.current() is None:
                # First, so that neither a slot nor a turn of the rate is spent on waiting for the token endpoint.
                self._expect_turn(call, progress)
                await self._in_time(_token_request(self._tokens.get()), call, progress)
            if not self.limiter.try_acquire():
                self._expect_turn(call, progress)
                await self._in_time(self.limiter.acquire(), call, progress)
            progress.token = self._tokens.current()
            if progress.token is not None:
                return
            self.limiter.release()

    def _expect_turn(self, call: Request[T], progress: CallState) -> None:
        """Refuse a call that could not leave in time: in line it would only be in the way of others."""
        # Asked before lining up: a turn that comes too late would be used by nobody and be missing to those behind.
        wait = self.limiter.turn_in()
        if wait <= 0:
            return
        now = self.clock.now()
        left = progress.deadline - now
        if self.limiter.pause_left() >= left:
            raise deadline_exceeded(call, progress)
        rate = self.limiter.rate
        if rate is not None and wait + self._answer_times.usual(call.name) >= left:
            raise no_turn(call, progress, rate, wait)
        if now + wait > progress.send_by:
            raise self._too_late(call, progress)

    async def _refresh_after_401(self, error: CyclrError, progress: CallState) -> bool:
        """After a 401, get a newer token, once per call: a refused request was not carried out, so it may go again."""
        token = progress.token
        if not isinstance(error, UnauthorizedError) or token is None or progress.refreshed >= token.renewals:
            return False
        # Before the token is asked for, so that a second 401 is the answer whatever comes of it.
        progress.refreshed += 1
        scope = self._watch.limit(max(progress.deadline - self.clock.now(), 0.0))
        try:
            with scope:
                return await _token_request(self._tokens.renew(token)) is not None
        except CyclrError:
            raise
        except TimeoutError:
            if not scope.expired:
                raise
        return False

    def _release(self) -> None:
        """Give the slot back."""
        self.limiter.release()

    def _pause(self, call: Request[T], progress: CallState, seconds: float) -> None:
        """Let no call of the session leave for a while."""
        self.limiter.pause(seconds)
        if self._timed and not self.limiter.shared:
            self.counters.throttled_below_rate(progress.failure)
        reports.pause(self._on_event, call, progress, seconds)

    def _keep_time(self, call: Request[T], seconds: float) -> None:
        """Keep how long an answer took, to tell whether a turn of the rate comes in time for one."""
        self._answer_times.add(call.name, seconds)


async def _token_request(waiting: Awaitable[R]) -> R:
    """Mark what fails as a failure of the token request, whatever a provider raises: it is never about an account."""
    try:
        return await waiting
    except CyclrError as error:
        error.token_request = True
        raise
