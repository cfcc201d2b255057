"""Asking for one account until it is settled: repeats, outages, and what concerns the whole run."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from cyclr_async.errors import (
    BulkInterruptedError,
    CyclrError,
    InvalidArgumentError,
    RateLimitedError,
    UnauthorizedError,
)
from cyclr_async.http.classify import Concern, asked_to_wait, classify, is_wrong_address
from cyclr_async.http.clock import Clock
from cyclr_async.http.limiter import AdaptiveLimit
from cyclr_async.http.retry import backoff
from cyclr_async.usage.collect.api import UsageApi
from cyclr_async.usage.collect.breaker import Breaker
from cyclr_async.usage.collect.failure_guard import FailureRateGuard
from cyclr_async.usage.collect.outcome import Outcome
from cyclr_async.usage.collect.work_items import WorkItem
from cyclr_async.usage.store.reader import UsageReader
from cyclr_async.usage.store.rows import moment
from cyclr_async.usage.store.store import UsageStore

__all__ = ["AccountFetcher"]

_TRIES: Final = 5
"""Attempts for one account in one pass: what lasts longer is better asked again in a later pass."""
_WITNESSES: Final = 3
"""Accounts that answered last and are asked again on suspicion: more than one, because any could have been deleted in
the meantime."""
_WITNESS_FAULTS: Final = 20
"""Faults of the service that may come in the way of a witness; as many in a row are an outage, which is waited out."""


OutcomeT = TypeVar("OutcomeT", bound=Outcome[Any, Any])


class AccountFetcher(Generic[OutcomeT]):
    """Asks for accounts on behalf of the workers of a run.

    Args:
        api: that is asked, one attempt at a time.
        clock: time and chance.
        adaptive: how many calls should be under way.
        breaker: holds everybody back during an outage.
        may_do_more: called when more calls may be under way than before.

    Attributes:
        store: a store that holds usages of a former run, or None.
        in_flight: requests under way.
    """

    def __init__(
        self,
        api: UsageApi[OutcomeT],
        clock: Clock,
        adaptive: AdaptiveLimit,
        breaker: Breaker,
        may_do_more: Callable[[], object],
    ) -> None:
        self._fetch = api.usage
        self._explain = api.explain
        self._outcome = api.outcome
        self._clock = clock
        self._may_do_more = may_do_more
        self._known_good: deque[str] = deque(maxlen=_WITNESSES)
        self.adaptive = adaptive
        self.breaker = breaker
        self.guard: FailureRateGuard = FailureRateGuard()
        self.store: UsageStore | None = None
        self.in_flight: int = 0

    async def fetch(self, item: WorkItem, *, may_defer: bool) -> OutcomeT | None:
        """Ask for one account until it is settled; None when it is put off to a later pass.

        Raises:
            CyclrError: what concerns the whole run.
        """
        if item.refused is not None:
            return self._outcome(account_id=item.account_id, error=item.refused, collected_at=self._now())
        while True:
            probe = await self._probe() if self.breaker.is_open else False
            # Before each request and not before the first: only what came before this one can be vouched for by its
            # answer.
            item.begun = self.guard.refusals
            # As _call() has it, without its coroutine: this is the way of every account.
            self.in_flight += 1
            answer: Any
            try:
                answer = await self._fetch(item.account_id)
            except CyclrError as caught:
                answer = caught
            except BaseException:
                self.breaker.abandon(probe=probe)
                raise
            finally:
                self.in_flight -= 1
            self._note(answer, probe=probe)
            if not isinstance(answer, CyclrError):
                item.attempts += 1
                self._collected(item)
                return self._outcome(
                    account_id=item.account_id,
                    usage=answer,
                    account=item.account,
                    parent_account_id=item.parent_account_id,
                    attempts=item.attempts,
                    collected_at=self._now(),
                )
            if not isinstance(answer, InvalidArgumentError) and not answer.token_request:  # otherwise nothing was sent
                item.attempts += 1
            weight = await self._weight(answer)
            if weight is None:
                continue
            item.tries += weight
            if weight and item.tries < _TRIES:
                wait = backoff(max(1, int(item.tries)), base=0.5, cap=20.0, random=self._clock.random())
                await self._clock.sleep(wait)
            # Minutes later, at the end of the pass, a server that could not answer for this account may have
            # recovered.
            elif weight and may_defer:
                item.tries = 0
                return None
            else:
                return self._outcome(
                    account_id=item.account_id,
                    error=answer,
                    account=item.account,
                    parent_account_id=item.parent_account_id,
                    attempts=item.attempts,
                    collected_at=self._now(),
                )

    def _now(self) -> datetime:
        return moment(self._clock.wall())

    async def witness(self) -> int | None:
        """Ask accounts that answered before whether they still do.

        Returns:
            how many refusals there had been when the one that answered was asked; None when none is known, or all are
            refused as well.

        Raises:
            CyclrError: what concerns the whole run.
        """
        candidates = deque(await self.known_good())
        faults = 0
        while candidates:
            probe = await self.breaker.enter() if self.breaker.is_open else False
            begun = self.guard.refusals
            answer = await self._call(candidates[0], probe=probe)
            if not isinstance(answer, CyclrError):
                return begun
            _raise_for_everybody(answer)
            # No verdict on anybody: it is asked again, after the others.
            passes = classify(answer) is Concern.SERVICE
            faults += passes and not self.breaker.is_open
            if passes and faults < _WITNESS_FAULTS:
                candidates.rotate(-1)
                if not self.breaker.is_open:
                    await self._clock.sleep(backoff(faults, base=0.5, cap=20.0, random=self._clock.random()))
            else:
                candidates.popleft()
        return None

    async def known_good(self) -> list[str]:
        """Return accounts that have answered: those of this run, newest first, else some of the store."""
        if not self._known_good and self.store is not None:
            # In a thread, since the file may be large and on a slow disk. Needed only when a run is continued and
            # finds nobody.
            found = await asyncio.to_thread(_first_collected, self.store.path, self.store.run_id)
            self._known_good.extend(found)
        # The newest is the least likely to have been deleted meanwhile.
        return list(reversed(self._known_good))

    async def _probe(self) -> bool:
        """Wait out an outage; True when the next request is to show whether it is over."""
        probe = await self.breaker.enter()
        while probe and (known := await self.known_good()):
            # If one that answered before fails now, then it is the service and not the account.
            answer = await self._call(known[0], probe=True)
            if isinstance(answer, CyclrError):
                _raise_for_everybody(answer)
            probe = await self.breaker.enter()
        return probe

    def remember(self, item: WorkItem) -> None:
        """Note that an account has answered: it can be asked again as a witness."""
        # The same account three times would be one witness and not three.
        if not self._known_good or self._known_good[-1] != item.account_id:
            self._known_good.append(item.account_id)

    def _collected(self, item: WorkItem) -> None:
        self.remember(item)
        if self.adaptive.succeeded():
            self._may_do_more()

    async def _weight(self, error: CyclrError) -> float | None:
        """Return how much a failure counts against the account: 0 is final, None is nothing, so that it is asked again.

        Raises:
            CyclrError: it concerns the whole run.
        """
        _raise_for_everybody(error)
        if classify(error) is not Concern.SERVICE:
            return None if self.breaker.is_open and not isinstance(error, InvalidArgumentError) else 0
        if self.breaker.outage and is_wrong_address(error) and not await self.known_good():
            raise _wrong_address(error)
        if error.token_request or self.breaker.outage:
            return None
        if isinstance(error, RateLimitedError):
            # The session pauses by itself. Being told to slow down is hardly the fault of the account.
            return 0.25
        if self.breaker.is_open:
            return None
        return 1 if asked_to_wait(error) is None else 0.25

    async def _call(self, account_id: str, *, probe: bool) -> Any:
        """Ask once, and tell the breaker and the adaptive limit how it went."""
        self.in_flight += 1
        answer: Any
        try:
            answer = await self._fetch(account_id)
        except CyclrError as caught:
            self._explain(caught)
            answer = caught
        except BaseException:
            self.breaker.abandon(probe=probe)
            raise
        finally:
            self.in_flight -= 1
        self._note(answer, probe=probe)
        return answer

    def _note(self, answer: Any, *, probe: bool) -> None:
        if not isinstance(answer, CyclrError):
            self.breaker.ok(probe=probe)
        else:
            self._failed(answer, probe=probe)

    def _failed(self, error: CyclrError, *, probe: bool) -> None:
        concern = classify(error)
        if isinstance(error, RateLimitedError) and not error.token_request:
            self.adaptive.overloaded(self._clock.now())
            # To a probe within an outage a 429 is no sign of health: it counts on, or 429s and faults by turns would
            # never end.
            if not (probe and self.breaker.outage):
                self.breaker.abandon(probe=probe)
                self.breaker.throttled()
                return
        if concern is Concern.SERVICE:
            self.breaker.fault(error, probe=probe)
            # These may mean too many at once; a 500 or a page means a fault, which asking more slowly does not mend.
            if isinstance(error, TimeoutError) or getattr(error, "status", None) == 503:
                self.adaptive.overloaded(self._clock.now())
        elif isinstance(error, InvalidArgumentError) or _is_for_everybody(error):
            self.breaker.abandon(probe=probe)
        else:
            self.breaker.ok(probe=probe)


def _is_for_everybody(error: CyclrError) -> bool:
    concern = classify(error)
    if concern is Concern.CREDENTIALS:
        # A 401 can be about one account; the guard finds out. Refused credentials cannot.
        return error.token_request or not isinstance(error, UnauthorizedError)
    return concern is Concern.RUN


def _raise_for_everybody(error: CyclrError) -> None:
    if _is_for_everybody(error):
        raise error


def _wrong_address(error: CyclrError) -> BulkInterruptedError:
    return BulkInterruptedError(
        f"something other than the API answers, and nothing else has: the run was stopped, and its accounts stay "
        f"pending. Check the base URL and token_url. The last answer: {error.message}",
        reason="systemic",
        sent="yes",
    )


def _first_collected(path: Path, run_id: int) -> list[str]:
    with UsageReader(path) as reader:
        return list(islice((row.account_id for row in reader.rows(run_id) if row.state == "ok"), _WITNESSES))
