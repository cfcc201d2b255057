"""What an account costs when there are a thousand of them, and when there are a million; each size in a new process."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from benchmarks.contenders import CONTENDERS
from benchmarks.processes import Child, ChildError, Server

__all__ = ["scale_report"]

_CONCURRENCY: Final = 50
#: Contender, and the largest size that is sensible for it: everything at once takes gigabytes for a million.
_CURVES: Final = {"cyclr_bulk": 1_000_000, "cyclr": 1_000_000, "naive": 100_000}


def scale_report(
    say: Callable[[str], None], *, sizes: Sequence[int] = (1_000, 10_000, 100_000, 1_000_000)
) -> list[dict[str, Any]]:
    """CPU microseconds per account and memory added, for every size."""
    rows = []
    with Server() as server:
        for size in sizes:
            for name, most in _CURVES.items():
                if size > most:
                    continue
                try:
                    with Child("benchmarks.worker", name, server.base_url, str(_CONCURRENCY), timeout=1800) as worker:
                        server.figures()
                        result = worker.ask(requests=size, latencies=False)
                except ChildError as error:
                    say(f"skipped {name} at {size}: {error}")
                    continue
                figures = server.figures()
                row = {
                    "name": name,
                    "title": CONTENDERS[name].title,
                    "accounts": size,
                    "rate": size / result["wall_s"],
                    "cpu_us": result["cpu_s"] / size * 1e6,
                    "grown_mib": result["grown_mib"],
                    "server_share": figures["cpu_share"],
                }
                rows.append(row)
                say(f"{name:<12}{size:>9,} accounts: {row['cpu_us']:.0f} us each, {row['grown_mib']:.1f} MiB added")
    return rows
