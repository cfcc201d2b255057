"""Asking for one account until it is settled: repeats, outages, and what concerns the whole run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cyclr_async.errors import CyclrError, InvalidArgumentError, RateLimitedError
from cyclr_async.http.clock import Clock
from cyclr_async.http.limiter import AdaptiveLimit
from cyclr_async.http.retry import backoff
from cyclr_async.usage.breaker import Breaker, is_service_fault
from cyclr_async.usage.guard import SystemicGuard, ends_the_run
from cyclr_async.usage.items import Item
from cyclr_async.usage.outcome import UsageOutcome
from cyclr_async.usage.reader import UsageReader
from cyclr_async.usage.rows import moment
from cyclr_async.usage.store import UsageStore

if TYPE_CHECKING:
    from cyclr_async.models import AccountUsage

__all__ = ["Asker"]

_TRIES: Final = 5
"""Attempts for one account in one pass."""


class Asker:
    """Asks for accounts on behalf of the workers of a run.

    Args:
        fetch: makes one attempt.
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
        fetch: Callable[[str], Awaitable[AccountUsage]],
        clock: Clock,
        adaptive: AdaptiveLimit,
        breaker: Breaker,
        may_do_more: Callable[[], object],
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._may_do_more = may_do_more
        self._known_good: str | None = None
        self.adaptive = adaptive
        self.breaker = breaker
        self.guard = SystemicGuard()
        self.store: UsageStore | None = None
        self.in_flight = 0

    async def settle(self, item: Item, *, may_defer: bool) -> UsageOutcome | None:
        """Ask for one account until it is settled; None when it is put off to a later pass.

        Raises:
            CyclrError: what concerns the whole run.
        """
        if item.refused is not None:
            return UsageOutcome(account_id=item.account_id, error=item.refused, collected_at=self._now())
        while True:
            probe = await self._probe() if self.breaker.is_open else False
            answer = await self._call(item.account_id, probe=probe)
            if not isinstance(answer, InvalidArgumentError):  # otherwise nothing was sent
                item.attempts += 1
            if not isinstance(answer, CyclrError):
                self._collected(item)
                return UsageOutcome(
                    account_id=item.account_id,
                    usage=answer,
                    account=item.account,
                    attempts=item.attempts,
                    collected_at=self._now(),
                )
            counted = self._counted(answer)
            item.tries += counted
            if counted and item.tries < _TRIES:
                wait = backoff(max(1, int(item.tries)), base=0.5, cap=20.0, random=self._clock.random())
                await self._clock.sleep(wait)
            elif counted and may_defer:
                item.tries = 0
                return None
            elif not self.breaker.is_open or isinstance(answer, InvalidArgumentError):
                return UsageOutcome(
                    account_id=item.account_id,
                    error=answer,
                    account=item.account,
                    attempts=item.attempts,
                    collected_at=self._now(),
                )

    def _now(self) -> datetime:
        return moment(self._clock.wall())

    async def _probe(self) -> bool:
        """Wait out an outage; True when the next request is to show whether it is over."""
        probe = await self.breaker.enter()
        while probe and (witness := await self._witness()) is not None:
            answer = await self._call(witness, probe=True)
            if isinstance(answer, CyclrError) and ends_the_run(answer):
                raise answer
            probe = await self.breaker.enter()
        return probe

    def _collected(self, item: Item) -> None:
        self._known_good = item.account_id
        self.guard.ok()
        if self.adaptive.succeeded():
            self._may_do_more()

    def _counted(self, error: CyclrError) -> float:
        """Return how much a failure counts against the account. 0 is final, unless an outage has begun.

        Raises:
            CyclrError: it concerns the whole run.
        """
        if ends_the_run(error):
            raise error
        if isinstance(error, RateLimitedError):
            # The session pauses by itself. Being told to slow down is hardly the fault of the account.
            return 0.25
        if is_service_fault(error):
            return 0 if self.breaker.is_open else 1
        self.guard.denied(error)
        return 0

    async def _call(self, account_id: str, *, probe: bool) -> AccountUsage | CyclrError:
        """Ask once, and tell the breaker and the adaptive limit how it went."""
        self.in_flight += 1
        answer: AccountUsage | CyclrError
        try:
            answer = await self._fetch(account_id)
        except CyclrError as caught:
            answer = caught
        except BaseException:
            self.breaker.abandon(probe=probe)
            raise
        finally:
            self.in_flight -= 1
        if not isinstance(answer, CyclrError):
            self.breaker.ok(probe=probe)
        else:
            self._failed(answer, probe=probe)
        return answer

    def _failed(self, error: CyclrError, *, probe: bool) -> None:
        if is_service_fault(error):
            self.breaker.fault(probe=probe)
            if isinstance(error, TimeoutError) or getattr(error, "status", None) == 503:
                self.adaptive.overloaded(self._clock.now())
        elif isinstance(error, RateLimitedError):
            self.breaker.abandon(probe=probe)
            self.adaptive.overloaded(self._clock.now())
        elif isinstance(error, InvalidArgumentError) or ends_the_run(error):
            self.breaker.abandon(probe=probe)
        else:
            self.breaker.ok(probe=probe)

    async def _witness(self) -> str | None:
        """Return an account that answered before: if it fails now, then it is the service and not the account."""
        if self._known_good is None and self.store is not None:
            self._known_good = await asyncio.to_thread(_first_collected, self.store.path, self.store.run_id)
        return self._known_good


def _first_collected(path: Path, run_id: int) -> str | None:
    with UsageReader(path) as reader:
        return next((row.account_id for row in reader.rows(run_id) if row.state == "ok"), None)
