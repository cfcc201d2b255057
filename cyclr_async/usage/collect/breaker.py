"""The circuit breaker of a bulk run: pauses through an outage, asks now and then, and goes on when all is well.

Faults in a row are a suspicion at first: the next request is a check, made at once. Only when that fails too is it an
outage. Otherwise it was the accounts that failed, and not the service. What counts as a fault is
:attr:`Concern.SERVICE <cyclr_async.http.classify.Concern>`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cyclr_async.errors import BulkInterruptedError, CyclrError
from cyclr_async.http.classify import asked_to_wait
from cyclr_async.http.clock import Clock
from cyclr_async.http.wait_queue import WaitQueue

__all__ = ["Breaker"]

# Many accounts can fail for themselves, and a false alarm costs one question only; but in an outage each counts as a
# try of its account, of which it has five.
_FAULTS: Final = 20
"""Faults of the service in a row that look like an outage."""
# More than one, because a service that comes up behind a balancer answers now well, now not.
_PROBES: Final = 3
"""Good answers in a row that end an outage."""
_WAITS: Final = (0.0, 5.0, 10.0, 20.0, 40.0, 60.0)
"""Seconds before each probe, the first of which is the check; the last one repeats. Spread by a fifth either way."""
# A service that asks for days would otherwise stop the run without a word.
_LONGEST_HOLD: Final = 900.0
"""Seconds that a ``Retry-After`` can hold the probes back: as long as a call of a bulk run waits for one."""


class Breaker:
    """Counts faults of the service and holds everybody back while it is out.

    While it is open, one caller at a time is let through as a probe.

    Args:
        clock: time and chance.
        max_outage: seconds after which an outage ends the run, counted from its first fault. The service is asked once
            more at that moment, and the run ends only when that fails too.
        changed: called when it opens and when it closes.
    """

    __slots__ = (
        "_changed",
        "_clock",
        "_expired",
        "_faults",
        "_good",
        "_held_until",
        "_last",
        "_last_fault",
        "_max_outage",
        "_probing",
        "_since",
        "_throttled_since",
        "_wait",
        "_waiting",
        "opened_at",
        "outage",
    )

    def __init__(self, clock: Clock, max_outage: float, changed: Callable[[bool], object]) -> None:
        self._clock = clock
        self._max_outage = max_outage
        self._changed = changed
        self._faults = self._good = self._wait = 0
        self._probing = self._last = self._expired = False
        self._since = 0.0
        self._throttled_since: float | None = None
        """When the first of the 429s came that nothing else has come between since."""
        self._held_until = float("-inf")
        self._last_fault: CyclrError | None = None
        self._waiting = WaitQueue()
        self.opened_at: float | None = None
        self.outage: bool = False
        """True when a check has confirmed that the service is out."""

    @property
    def is_open(self) -> bool:
        """True while requests are held back: during an outage and while one is suspected."""
        return self.opened_at is not None

    async def enter(self) -> bool:
        """Wait until a request may be sent; returns True when it is a probe.

        Raises:
            BulkInterruptedError: the outage has lasted too long.
        """
        while self.opened_at is not None:
            # One at a time: all workers together would hit a service that is just getting up, and a 10-minute outage
            # would cost tens of thousands of requests.
            if not self._probing:
                self._probing = True
                try:
                    await self._before_probe()
                except BaseException:
                    self._leave_probe()
                    raise
                return True
            await self._waiting.wait()
        return False

    async def _before_probe(self) -> None:
        if self._expired:
            raise self._given_up()
        # A fifth either way, so that several runs of one partner do not ask in the same second.
        wait = _WAITS[min(self._wait, len(_WAITS) - 1)] * (0.8 + 0.4 * self._clock.random())
        # The service has just answered: the checks that are left only confirm it.
        if self._good:
            wait = 0.0
        now, limit = self._clock.now(), self._since + self._max_outage
        # Not earlier than the service asked for, also where that lies beyond the limit.
        held = self._held_until - now
        # Asked exactly at the limit once more, so that an outage is not called longer than it was.
        self._last = now + wait >= limit
        if self._last:
            wait = limit - now
        self._wait += 1
        wait = max(wait, held)
        if wait > 0:
            await self._clock.sleep(wait)

    def throttled(self) -> None:
        """Count a 429. It is no fault of the service; but nothing else for as long as an outage may last is one.

        Raises:
            BulkInterruptedError: it has lasted too long.
        """
        now = self._clock.now()
        if self._throttled_since is None:
            self._throttled_since = now
        elif now - self._throttled_since > self._max_outage:
            raise BulkInterruptedError(
                f"the service has answered nothing but 429 for {now - self._throttled_since:.0f} s: the run was "
                "stopped, and the accounts that are left stay pending",
                reason="outage",
                sent="yes",
            )

    def _given_up(self) -> BulkInterruptedError:
        last = "" if self._last_fault is None else f". The last fault: {self._last_fault.message}"
        return BulkInterruptedError(
            f"the service has been out for {self._clock.now() - self._since:.0f} s: the run was stopped, and the "
            f"accounts that are left stay pending{last}",
            reason="outage",
        )

    def ok(self, *, probe: bool) -> None:
        """Count a good answer."""
        self._throttled_since = None
        self._faults = 0
        if probe:
            self._good += 1
            # A suspicion that was never confirmed ends with the first good answer.
            if self._good >= _PROBES or not self.outage:
                self._close()
            self._leave_probe()

    def _close(self) -> None:
        was_out, self.outage = self.outage, False
        self.opened_at = self._last_fault = None
        self._wait = self._good = 0
        self._last = self._expired = False
        self._held_until = float("-inf")
        if was_out:
            self._changed(False)

    def fault(self, error: CyclrError | None = None, *, probe: bool) -> None:
        """Count a fault of the service.

        Args:
            error: what it was; a ``Retry-After`` in it holds the probes back.
            probe: whether the request was a probe.
        """
        now = self._clock.now()
        # The first of the row: by the time it looks like an outage, the service may have been away for long.
        if self.opened_at is None and not self._faults:
            self._since = now
        self._faults += 1
        if error is not None:
            self._last_fault = error
            self._held_until = max(self._held_until, now + min(asked_to_wait(error) or 0.0, _LONGEST_HOLD))
        if probe:
            self._good = 0
            # Only after the last probe has failed too; what ends the run is raised where the next one would be sent.
            self._expired = self._last
            if not self.outage:
                self.outage = True
                self._changed(True)
            self._leave_probe()
        elif self.opened_at is None:
            # Without a token nobody can be asked: there is no account that this could be about.
            certain = error is not None and error.token_request
            if certain or self._faults >= _FAULTS:
                self.opened_at = now

    def abandon(self, *, probe: bool) -> None:
        """Tell that a request ended without saying anything about the service."""
        if probe:
            self._leave_probe()

    def _leave_probe(self) -> None:
        self._probing = False
        self._waiting.wake_all()  # all: when it has closed, everybody may go on
