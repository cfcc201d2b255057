"""All contenders at all concurrencies: own processes, interleaved rounds, medians, ratios to bare aiohttp."""

import importlib.util
import random
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.contenders import BASE, CONTENDERS, Entry
from benchmarks.measure import paired_ratio, percentile, spread
from benchmarks.processes import Child, ChildError, Server

__all__ = ["CONCURRENCIES", "available", "ladder"]

CONCURRENCIES = (1, 10, 50, 100, 300)


def available(say: Callable[[str], None]) -> list[Entry]:
    """The contenders whose packages are installed; the others are named, with what they lack."""
    ready = []
    for entry in CONTENDERS.values():
        missing = [name for name in entry.requires if importlib.util.find_spec(name) is None]
        if missing:
            say(f"skipped {entry.name}: not installed: {', '.join(missing)} (dependency group `bench`)")
        else:
            ready.append(entry)
    return ready


def ladder(
    say: Callable[[str], None],
    *,
    concurrencies: Sequence[int] = CONCURRENCIES,
    rounds: int = 9,
    seconds: float = 0.3,
    delay: float = 0.0,
    names: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """Measure every contender; ``seconds`` is the aimed-for length of one round, ``delay`` the server's latency."""
    entries = [entry for entry in available(say) if names is None or entry.name in names]
    rows: list[dict[str, Any]] = []
    with Server(delay=delay) as server:
        for concurrency in concurrencies:
            rows += _cell(say, server, entries, concurrency, rounds, seconds, delay)
    return rows


def _cell(
    say: Callable[[str], None],
    server: Server,
    entries: Sequence[Entry],
    concurrency: int,
    rounds: int,
    seconds: float,
    delay: float,
) -> list[dict[str, Any]]:
    workers: dict[str, Child] = {}
    results: dict[str, list[dict[str, Any]]] = {}
    order = list(entries)
    shuffle = random.Random(concurrency)
    try:
        for entry in entries:
            try:
                workers[entry.name] = Child("benchmarks.worker", entry.name, server.base_url, str(concurrency))
            except ChildError as error:
                say(f"skipped {entry.name} at {concurrency}: {error}")
        for _ in range(rounds):
            # A new order each time: whoever runs after the slowest must not always be the same.
            shuffle.shuffle(order)
            for entry in order:
                if entry.name not in workers:
                    continue
                count = entry.count(concurrency, seconds)
                if delay:
                    # Whole turns of all callers: in a last turn of a few the others would have nothing to do.
                    turns = max(min(count / concurrency, seconds / delay), 2)
                    count = int(turns) * concurrency
                server.figures()
                try:
                    result = workers[entry.name].ask(requests=count)
                except ChildError as error:
                    say(f"stopped {entry.name} at {concurrency}: {error}")
                    workers.pop(entry.name).close()
                    results.pop(entry.name, None)
                    continue
                result["server"] = server.figures()
                results.setdefault(entry.name, []).append(result)
    finally:
        for worker in workers.values():
            worker.close()
    rows = [_row(name, concurrency, delay, taken, results) for name, taken in results.items()]
    for row in rows:
        say(
            f"c={concurrency:<4}{row['name']:<18}{row['rate']['median']:>8.0f} req/s "
            f"{row['cpu_ms']['median']:.4f} CPU s/1000  x{row['ratio']['median']:.2f}  "
            f"server {row['server_rate']:.0f}/s at {row['server_share']:.0%}"
        )
    return rows


def _row(
    name: str, concurrency: int, delay: float, taken: list[dict[str, Any]], results: dict[str, list[dict[str, Any]]]
) -> dict[str, Any]:
    def cpu(rounds: list[dict[str, Any]]) -> list[float]:
        return [each["cpu_s"] / each["requests"] * 1000 for each in rounds]

    def as_dict(values: Any) -> dict[str, float]:
        return {"median": values.median, "low": values.low, "high": values.high}

    row: dict[str, Any] = {
        "name": name,
        "concurrency": concurrency,
        "delay": delay,
        "rounds": len(taken),
        "rate": as_dict(spread([each["requests"] / each["wall_s"] for each in taken])),
        "cpu_ms": as_dict(spread(cpu(taken))),
        "ratio": as_dict(paired_ratio(cpu(taken), cpu(results.get(BASE, taken)))),
        "peak_mib": percentile([each["peak_mib"] for each in taken], 1.0),
        "server_rate": spread([each["server"]["rate"] for each in taken]).median,
        "server_share": max(each["server"]["cpu_share"] for each in taken),
    }
    floor = results.get("raw")
    for point in ("p50_s", "p99_s"):
        own = [each[point] for each in taken if each[point] is not None]
        row[point] = spread(own).median if own else None
        # The floor has the same network and the same server: what is left is the client's own.
        pairs = [each[point] - other[point] for each, other in zip(taken, floor or [], strict=False) if own]
        row["added_" + point] = spread(pairs).median if pairs else None
    return row
