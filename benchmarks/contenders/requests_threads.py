"""requests in a thread pool: one session whose pool is as large as the number of threads."""

import importlib
import json
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from typing_extensions import override

from benchmarks.bodies import TOKEN
from benchmarks.contenders.base import Contender

__all__ = ["make"]


class _Requests(Contender):
    def __init__(self) -> None:
        self.requests: Any = importlib.import_module("requests")

    @override
    async def open(self, base_url: str, concurrency: int) -> None:
        self.base_url = base_url
        self.pool = ThreadPoolExecutor(concurrency)
        self.session = self.requests.Session()
        self.session.trust_env = False
        self.session.headers.update({"Authorization": f"Bearer {TOKEN}", "Accept": "application/json"})
        adapter = self.requests.adapters.HTTPAdapter(pool_connections=1, pool_maxsize=concurrency)
        self.session.mount("http://", adapter)

    @override
    async def run(self, ids: Iterable[str], latencies: list[float] | None) -> int:
        taken = [] if latencies is None else latencies

        def one(account_id: str) -> None:
            started = time.perf_counter()
            response = self.session.get(f"{self.base_url}/accounts/{account_id}/billing", timeout=30)
            response.raise_for_status()
            data = json.loads(response.content)
            for name in ("FromDate", "ToDate"):
                data[name] = datetime.fromisoformat(data[name]).replace(tzinfo=UTC)
            taken.append(time.perf_counter() - started)

        # The event loop has nothing else to do: this contender is its threads.
        return sum(1 for _ in self.pool.map(one, ids))

    @override
    async def close(self) -> None:
        self.session.close()
        self.pool.shutdown()


def make() -> Contender:
    """The contender of this module."""
    return _Requests()
