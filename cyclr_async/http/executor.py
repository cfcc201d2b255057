"""The only loop around a request: deadline, limiter, token, one attempt, decide, sleep."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

from yarl import URL

from cyclr_async.auth.token_manager import TokenManager
from cyclr_async.config import Timeouts
from cyclr_async.errors import (
    ConfigurationError,
    CyclrError,
    DeadlineExceededError,
    ResponseError,
    UnauthorizedError,
)
from cyclr_async.http.call_state import (
    CallState,
    attempt_deadline_exceeded,
    attempt_timed_out,
    deadline_exceeded,
    no_turn,
    out_of_window,
    outcome_unknown,
    unconnected,
)
from cyclr_async.http.clock import Clock
from cyclr_async.http.engine.connector import Attempt
from cyclr_async.http.events import AttemptEvent, EventHook, OutcomeEvent, RetryEvent, ThrottleEvent, notify
from cyclr_async.http.limiter import AnswerTimes, Limiter
from cyclr_async.http.request import Request, Safety
from cyclr_async.http.response_errors import failure_of, is_unsettled
from cyclr_async.http.retry import RetryStrategy, Verdict, decide
from cyclr_async.http.timeouts import TimerWheel
from cyclr_async.http.transport import Stream, Transport
from cyclr_async.secret import HiddenStr

__all__ = ["Counters", "Executor"]

T = TypeVar("T")
R = TypeVar("R")

_logger: Final = logging.getLogger("cyclr_async.http")


class Counters:
    """What has happened so far, for :meth:`AsyncPartnerSession.stats`."""

    __slots__ = ("active", "attempts", "calls", "failures", "retries")

    def __init__(self) -> None:
        self.active = self.attempts = self.calls = self.failures = self.retries = 0


_Exchange = Callable[[Request[T], HiddenStr | None, str, Attempt], Awaitable[R]]


class Executor:
    """Carries every call of a session.

    Args:
        transport: makes one attempt.
        limiter: slots, rate, pause.
        clock: time and chance.
        watch: the time limits.
        timeouts: for attempts and calls.
        effort: how hard a call is tried unless told otherwise.
        origins: the URLs of the APIs; the token goes to their schemes, hosts and ports and nowhere else.
        next_id: makes request ids.
        on_event: told what happens.
    """

    def __init__(
        self,
        transport: Transport,
        limiter: Limiter,
        clock: Clock,
        watch: TimerWheel,
        *,
        timeouts: Timeouts,
        strategy: RetryStrategy,
        origins: Iterable[URL],
        next_id: Callable[[], str],
        on_event: EventHook | None,
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._watch = watch
        self._timeouts = timeouts
        self._silence = max(timeouts.connect, timeouts.read)
        self._next_id = next_id
        self._on_event = on_event
        self._origins = frozenset((url.scheme, url.raw_authority) for url in origins)
        self._answer_times = AnswerTimes()
        self.strategy = strategy
        self.limiter = limiter
        self.tokens: TokenManager
        self.counters = Counters()
        self._idle: asyncio.Event | None = None

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
        return self._loop(call, self._transport.exchange, timeout, strategy or self.strategy)

    @asynccontextmanager
    async def stream(self, call: Request[object], *, timeout: float | None = None) -> AsyncIterator[Stream]:
        """Open an answer to be read piece by piece.

        ``timeout`` covers the way to its headers and the waiting for its pieces; ``Timeouts.deadline``, which stands in
        for it, the way to the headers only.
        """
        began = self._clock.now()
        stream = await self._loop(call, self._transport.open_stream, timeout, self.strategy)
        if timeout is not None:
            stream.pace.limit(timeout, timeout - (self._clock.now() - began))
        try:
            yield stream
        except CyclrError as error:
            error.request_id = error.request_id or stream.request_id
            raise
        finally:
            stream.close()

    async def drain(self, grace: float) -> None:
        """Wait for the calls under way, this many seconds at most. No new ones may be started meanwhile."""
        if self.counters.active and grace > 0:
            self._idle = asyncio.Event()
            try:
                async with asyncio.timeout(grace):
                    await self._idle.wait()
            except TimeoutError:
                _logger.warning("closing with %d calls still under way", self.counters.active)

    async def _loop(
        self,
        call: Request[T],
        attempt: _Exchange[T, R],
        timeout: float | None,
        strategy: RetryStrategy,
    ) -> R:
        progress = CallState(
            self._next_id(), self._clock.now(), self._timeouts.deadline if timeout is None else timeout
        )
        counters = self.counters
        counters.calls += 1
        counters.active += 1
        failed: CyclrError | None = None
        try:
            while True:
                outcome = await self._attempt(call, attempt, progress)
                if not isinstance(outcome, CyclrError):
                    if strategy.budget is not None:
                        strategy.budget.succeeded(progress.spent)
                    return outcome
                if call.safety is Safety.REPEATABLE:
                    progress.send_by = min(progress.deadline, progress.first + strategy.policy.write_window)
                if not await self._refresh_after_401(outcome, progress):
                    await self._clock.sleep(self._backoff_or_raise(call, outcome, progress, strategy))
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
            if self._idle is not None and not counters.active:
                self._idle.set()
            if self._on_event is not None:
                name = None if failed is None else type(failed).__name__
                seconds = self._clock.now() - progress.started
                notify(
                    self._on_event,
                    OutcomeEvent(
                        operation=call.name,
                        request_id=progress.request_id,
                        attempts=progress.attempts,
                        error=name,
                        seconds=seconds,
                    ),
                )
        counters.failures += 1
        failed.request_id = progress.request_id
        failed.attempts = progress.attempts
        raise failed from failed.__cause__

    async def _attempt(
        self,
        call: Request[T],
        attempt: _Exchange[T, R],
        progress: CallState,
    ) -> R | CyclrError:
        """Make one attempt inside a slot, and return its value or its error."""
        if not self._try_admit(call, progress):
            await self._admit(call, progress)
        begun = self._clock.now()
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
            progress.unsettled |= state.connected
            raise
        finally:
            if call.authorized:
                self.limiter.release()
        if isinstance(outcome, CyclrError):
            progress.failure = outcome
            progress.unsettled |= is_unsettled(outcome)
        if _logger.isEnabledFor(logging.DEBUG):
            self._tell(call, progress, begun, outcome, state)
        if self._on_event is not None or self.limiter.rate is not None:
            self._note(call, progress, begun, outcome)
        return outcome

    def _begin(self, call: Request[T], progress: CallState, now: float) -> Attempt:
        """Begin an attempt, with a slot or without: the token endpoint needs none."""
        deadline, send_by = progress.deadline, progress.send_by
        if now > send_by:
            if call.authorized:
                self.limiter.release()
            raise self._too_late(call, progress)
        if not progress.attempts:
            progress.first = now
        progress.attempts += 1
        self.counters.attempts += 1
        ends = min(deadline, now + self._timeouts.attempt)
        return Attempt(
            self._watch,
            max(min(ends - now, self._silence), 0.0),
            read=self._timeouts.read,
            ends=ends,
            now=self._clock.now,
            connect_by=send_by if send_by < deadline else None,
        )

    def _try_admit(self, call: Request[T], progress: CallState) -> bool:
        """Take a slot and a token if both are at hand, which is the usual case."""
        if not call.authorized:
            return True
        if (call.url.scheme, call.url.raw_authority) not in self._origins:
            raise ConfigurationError(f"{call.name}: refused to send the access token to another host than the APIs'")
        if not self.limiter.try_acquire():
            return False
        progress.token = self.tokens.current()
        if progress.token is None:
            self.limiter.release()
        return progress.token is not None

    async def _admit(self, call: Request[T], progress: CallState) -> None:
        """Wait for a token and a slot; the slot is held on return."""
        if _logger.isEnabledFor(logging.DEBUG):
            _logger.debug(
                "%s waits for a slot or a token: %d of %d slots taken, %d in line, pause %.3f s (request %s)",
                call.name,
                self.limiter.in_flight,
                self.limiter.limit,
                self.limiter.queued,
                self.limiter.pause_left(),
                progress.request_id,
            )
        while True:
            if self.tokens.current() is None:
                # First, so that neither a slot nor a turn of the rate is spent on waiting for the token endpoint.
                self._expect_turn(call, progress)
                await self._in_time(_token_request(self.tokens.get()), call, progress)
            if not self.limiter.try_acquire():
                self._expect_turn(call, progress)
                await self._in_time(self.limiter.acquire(), call, progress)
            progress.token = self.tokens.current()
            if progress.token is not None:
                return
            self.limiter.release()

    def _expect_turn(self, call: Request[T], progress: CallState) -> None:
        """Refuse a call that could not leave in time: in line it would only be in the way of others."""
        wait = self.limiter.turn_in()
        if wait <= 0:
            return
        now = self._clock.now()
        left = progress.deadline - now
        if self.limiter.pause_left() >= left:
            raise deadline_exceeded(call, progress)
        rate = self.limiter.rate
        if rate is not None and wait + self._answer_times.usual(call.name) >= left:
            raise no_turn(call, progress, rate, wait)
        if now + wait > progress.send_by:
            raise self._too_late(call, progress)

    def _too_late(self, call: Request[T], progress: CallState) -> CyclrError:
        """Return the error for a call that may not be sent any more."""
        if progress.failure is not None and progress.send_by < progress.deadline:
            return out_of_window(progress.failure)
        return deadline_exceeded(call, progress)

    async def _in_time(self, waiting: Awaitable[R], call: Request[T], progress: CallState) -> R:
        """Wait for something other than the server, until the request may no longer be sent."""
        scope = self._watch.limit(max(progress.send_by - self._clock.now(), 0.0))
        try:
            with scope:
                return await waiting
        except CyclrError:
            raise
        except TimeoutError:
            if not scope.expired:
                raise
        raise self._too_late(call, progress)

    async def _refresh_after_401(self, error: CyclrError, progress: CallState) -> bool:
        """After a 401, get a newer token, once per call: a refused request was not carried out, so it may go again."""
        if not isinstance(error, UnauthorizedError) or progress.refreshed or progress.token is None:
            return False
        progress.refreshed = True
        scope = self._watch.limit(max(progress.deadline - self._clock.now(), 0.0))
        try:
            with scope:
                return await _token_request(self.tokens.renew(progress.token)) is not None
        except CyclrError:
            raise
        except TimeoutError:
            if not scope.expired:
                raise
        return False

    def _backoff_or_raise(
        self, call: Request[T], error: CyclrError, progress: CallState, strategy: RetryStrategy
    ) -> float:
        """Return how long to wait before the next attempt, or raise what the call ends with."""
        if isinstance(error, DeadlineExceededError):
            raise error
        now = self._clock.now()
        decision = decide(
            failure_of(error),
            call.safety,
            strategy.policy,
            attempt=progress.attempts,
            elapsed=now - progress.first,
            remaining=progress.deadline - now,
            random=self._clock.random(),
        )
        # The token endpoint takes no slots of the limiter, and what it asks for is no reason to stop the API.
        if decision.pause and call.authorized:
            self.limiter.pause(decision.pause)
            _logger.debug(
                "%s: the server asks for less, nothing leaves for %.3f s (request %s)",
                call.name,
                decision.pause,
                progress.request_id,
            )
            if self._on_event is not None:
                notify(
                    self._on_event,
                    ThrottleEvent(operation=call.name, request_id=progress.request_id, seconds=decision.pause),
                )
        if decision.verdict is Verdict.UNKNOWN:
            raise outcome_unknown(call, error) from error
        overdue = progress.send_by < progress.deadline and now + decision.delay > progress.send_by
        if decision.verdict is Verdict.EXHAUSTED and overdue:
            raise out_of_window(error)
        if decision.verdict is not Verdict.RETRY or (call.once and error.sent != "never"):
            raise error
        if strategy.budget is not None:
            if not strategy.budget.withdraw(decision.cost):
                error.add_note("not repeated: the retry budget of the session is used up, the server keeps failing")
                raise error
            progress.spent += decision.cost
        self.counters.retries += 1
        name = type(error).__name__
        _logger.info(
            "%s failed with %s, attempt %d; next in %.3f s (request %s)",
            call.name,
            name,
            progress.attempts,
            decision.delay,
            progress.request_id,
        )
        if self._on_event is not None:
            notify(
                self._on_event,
                RetryEvent(
                    operation=call.name,
                    request_id=progress.request_id,
                    attempt=progress.attempts,
                    error=name,
                    delay=decision.delay,
                ),
            )
        return decision.delay

    def _timed_out(self, call: Request[T], progress: CallState, state: Attempt) -> CyclrError:
        now = self._clock.now()
        if not state.connected and progress.send_by < progress.deadline and now >= progress.send_by:
            return unconnected(call)
        if now < progress.deadline:
            return attempt_timed_out(call, state, self._timeouts)
        return attempt_deadline_exceeded(call, progress, state)

    def _tell(self, call: Request[T], progress: CallState, begun: float, outcome: object, state: Attempt) -> None:
        # The path is percent-encoded, so it is one line; a query may hold anything and is left out.
        _logger.debug(
            "%s attempt %d: %s %s, status %s, %s after %.3f s (request %s)",
            call.name,
            progress.attempts,
            call.method,
            call.url.raw_path,
            state.status,
            type(outcome).__name__ if isinstance(outcome, CyclrError) else "done",
            self._clock.now() - begun,
            progress.request_id,
        )

    def _note(self, call: Request[T], progress: CallState, begun: float, outcome: object) -> None:
        """Take note of an attempt that has ended."""
        error = outcome if isinstance(outcome, CyclrError) else None
        if self.limiter.rate is not None and (error is None or isinstance(error, ResponseError)):
            self._answer_times.add(call.name, self._clock.now() - begun)
        if self._on_event is None:
            return
        status = 200 if error is None else getattr(error, "status", None)
        event = AttemptEvent(
            operation=call.name,
            request_id=progress.request_id,
            attempt=progress.attempts,
            status=status,
            error=None if error is None else type(error).__name__,
            seconds=self._clock.now() - begun,
        )
        notify(self._on_event, event)


async def _token_request(waiting: Awaitable[R]) -> R:
    """Mark what fails as a failure of the token request, whatever a provider raises: it is never about an account."""
    try:
        return await waiting
    except CyclrError as error:
        error.token_request = True
        raise
