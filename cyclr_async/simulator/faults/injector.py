"""The faults in force, counted, drawn and timed; and the rate limit."""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Iterator
from datetime import datetime

import attrs

from cyclr_async.simulator.domain.clock import SimulatedClock
from cyclr_async.simulator.faults.fault import Fault

__all__ = ["FaultInjector", "RateLimit"]


@attrs.define(slots=True)
class _Entry:
    number: int
    fault: Fault
    added: datetime
    selected: int = 0
    hits: int = 0


class FaultInjector:
    """The faults of a simulator; they may be changed at any time, from any thread.

    Args:
        clock: for windows of time.
        seed: for probabilities and random latency.
    """

    def __init__(self, clock: SimulatedClock, seed: int) -> None:
        self._clock = clock
        self._random = random.Random(f"faults {seed}")  # noqa: S311 - reproducible on purpose
        self._entries: list[_Entry] = []
        self._next = 1
        self._lock = threading.Lock()

    def add(self, fault: Fault | str) -> int:
        """Add a fault, or its text form; return the number by which it can be removed."""
        if isinstance(fault, str):
            fault = Fault.parse(fault)
        with self._lock:
            number, self._next = self._next, self._next + 1
            self._entries = [*self._entries, _Entry(number, fault, self._clock.now())]
        return number

    def remove(self, number: int) -> bool:
        """Remove a fault; return whether there was one."""
        with self._lock:
            kept = [entry for entry in self._entries if entry.number != number]
            found = len(kept) != len(self._entries)
            self._entries = kept
        return found

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._entries = []

    def hits(self, number: int) -> int:
        """Return how often the fault has struck; 0 for one that is gone."""
        return next((entry.hits for entry in self._entries if entry.number == number), 0)

    def items(self) -> list[tuple[int, Fault, int]]:
        """Return number, fault and hits of each, in the order in which they are tried."""
        return [(entry.number, entry.fault, entry.hits) for entry in self._entries]

    def __iter__(self) -> Iterator[Fault]:
        return iter([entry.fault for entry in self._entries])

    def __len__(self) -> int:
        return len(self._entries)

    def select(self, operation: str, account_id: str | None) -> tuple[Fault | None, float]:
        """Decide about one request: the first fault that strikes, and the latency in seconds of all that do."""
        wait, struck = 0.0, None
        with self._lock:
            for entry in self._entries:
                if struck is not None and entry.fault.kind != "latency":
                    continue
                if not self._strikes(entry, operation, account_id):
                    continue
                if entry.fault.kind == "latency":
                    wait += self._latency(entry.fault)
                else:
                    struck = entry.fault
        return struck, wait

    def _strikes(self, entry: _Entry, operation: str, account_id: str | None) -> bool:
        fault = entry.fault
        everywhere = fault.operation is None and operation != "token"
        selected = everywhere or fault.operation in ("*", operation)
        if not selected or (fault.account_id is not None and fault.account_id != account_id):
            return False
        if fault.between is not None and not self._in_window(entry):
            return False
        entry.selected += 1
        if entry.selected <= fault.after or (fault.times is not None and entry.hits >= fault.times):
            return False
        if fault.probability < 1 and self._random.random() >= fault.probability:
            return False
        entry.hits += 1
        return True

    def _in_window(self, entry: _Entry) -> bool:
        now, window = self._clock.now(), entry.fault.between
        if window is None:
            return True
        start, end = window
        if isinstance(start, datetime) and isinstance(end, datetime):
            return start <= now < end
        since = (now - entry.added).total_seconds()
        return not isinstance(start, datetime) and not isinstance(end, datetime) and start <= since < end

    def _latency(self, fault: Fault) -> float:
        if fault.distribution == "exponential":
            return min(3600.0, self._random.expovariate(1 / fault.seconds)) if fault.seconds else 0.0
        if not fault.stdev:
            return fault.seconds
        if fault.distribution == "lognormal" and fault.seconds:
            spread = math.log1p((fault.stdev / fault.seconds) ** 2)
            return min(3600.0, self._random.lognormvariate(math.log(fault.seconds) - spread / 2, math.sqrt(spread)))
        return max(0.0, self._random.normalvariate(fault.seconds, fault.stdev))


class RateLimit:
    """So many requests per second of simulated time, with one second's worth of them at once.

    Args:
        clock: refills follow it.
        per_second: None for no limit.
    """

    def __init__(self, clock: SimulatedClock, per_second: float | None = None) -> None:
        self._clock = clock
        self._per_second: float | None = None
        self._left = 0.0
        self._seen = 0.0
        self.per_second = per_second

    @property
    def per_second(self) -> float | None:
        """Requests per second, or None."""
        return self._per_second

    @per_second.setter
    def per_second(self, value: float | None) -> None:
        if value is not None and (isinstance(value, bool) or not 0 < value <= 1e6):
            raise ValueError(f"a rate limit is above 0 and at most 1000000 requests per second, not {value!r}")
        self._per_second = value
        self._left = max(1.0, value or 0.0)
        self._seen = self._clock.elapsed()

    def take(self) -> float | None:
        """Let a request pass and return None, or return the seconds until one may."""
        rate = self._per_second
        if rate is None:
            return None
        now = self._clock.elapsed()
        self._left = min(max(1.0, rate), self._left + max(0.0, now - self._seen) * rate)
        self._seen = now
        if self._left < 1.0:
            return (1.0 - self._left) / rate
        self._left -= 1.0
        return None
