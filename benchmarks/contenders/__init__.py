"""The clients that do the same work: read the usage of one account after the other, ``concurrency`` at a time."""

from typing import Final

import attrs

__all__ = ["BASE", "CONTENDERS", "Entry"]


@attrs.frozen
class Entry:
    """One contender: where it is, what it needs, and what a call of it costs, roughly.

    ``requires`` are the packages it imports beyond the SDK's own; ``cost`` is microseconds of CPU per call at a
    concurrency of 50, and ``crowded`` the same at 300: they size the rounds so that each takes about the same time.
    """

    name: str
    title: str
    cost: int
    crowded: int
    requires: tuple[str, ...] = ()

    def count(self, concurrency: int, seconds: float) -> int:
        """How many requests make a round of about ``seconds``."""
        cost = self.crowded if concurrency > 50 else self.cost
        return max(int(seconds * 1e6 / cost), 2 * concurrency, 20)


#: What every ratio refers to.
BASE: Final = "bare"

CONTENDERS: Final = {
    entry.name: entry
    for entry in (
        Entry("raw", "raw `asyncio.Protocol` (floor)", 30, 30),
        Entry("bare", "bare aiohttp: `get` + `read`", 130, 150),
        Entry("handwritten", "aiohttp + `json.loads` + hand-written structuring", 150, 170),
        Entry("cyclr", "**cyclr_async**: `accounts.usage`", 150, 170),
        Entry("cyclr_speed", "**cyclr_async[speed]**: `accounts.usage`", 150, 170, ("orjson",)),
        Entry("cyclr_bulk", "**cyclr_async**: `collect_usage`", 150, 170),
        Entry("cyclr_uvloop", "**cyclr_async**: `accounts.usage` on uvloop", 100, 120, ("uvloop",)),
        Entry("cyclr_bulk_uvloop", "**cyclr_async**: `collect_usage` on uvloop", 100, 120, ("uvloop",)),
        Entry("bare_uvloop", "bare aiohttp on uvloop", 120, 150, ("uvloop",)),
        Entry("wreq", "wreq (Rust), bytes only", 60, 60, ("wreq",)),
        Entry("pyreqwest", "pyreqwest (Rust), bytes only", 120, 120, ("pyreqwest",)),
        Entry("pyqwest", "pyqwest (Rust), bytes only", 200, 200, ("pyqwest",)),
        Entry("primp", "primp (Rust), bytes only", 250, 250, ("primp",)),
        Entry("aiosonic", "aiosonic, bytes only", 300, 350, ("aiosonic",)),
        Entry("niquests", "niquests, bytes only", 1000, 1300, ("niquests",)),
        Entry("naive", "aiohttp as first written: `gather` over everything", 250, 300),
        Entry("httpx2_pydantic", "httpx2 + pydantic", 700, 1500, ("httpx2", "pydantic")),
        Entry("stainless", "openai-python request core (Stainless)", 1100, 2000, ("openai",)),
        Entry("requests_threads", "requests in a thread pool", 1200, 6000, ("requests",)),
        Entry("httpx_pydantic", "httpx + pydantic", 4500, 12000, ("httpx", "pydantic")),
    )
}
