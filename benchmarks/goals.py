"""The goals of the project, and what a run says about them."""

from collections.abc import Callable
from typing import Any, Final

import attrs

__all__ = ["GOALS", "Goal", "goal_rows"]

_NONE: Final = "\N{EN DASH}"


@attrs.frozen
class Goal:
    """A figure with a gate and a moonshot; ``read`` finds it in the results, or raises LookupError or TypeError."""

    title: str
    unit: str
    gate: float
    moonshot: float
    read: Callable[[dict[str, Any]], float]
    at_least: bool = False

    def reached(self, value: float, bound: float) -> bool:
        """Whether ``value`` is on the good side of ``bound``."""
        return value >= bound if self.at_least else value <= bound


def _find(rows: list[dict[str, Any]], **wanted: Any) -> dict[str, Any]:
    for row in rows:
        if all(row.get(name) == value for name, value in wanted.items()):
            return row
    raise LookupError(wanted)


def _cpu(results: dict[str, Any], name: str) -> float:
    value: float = _find(results["ladder"], name=name, concurrency=50)["cpu_ms"]["median"]
    return value


def _ratio(results: dict[str, Any], name: str) -> float:
    value: float = _find(results["ladder"], name=name, concurrency=50)["ratio"]["median"]
    return value


def _instructions(results: dict[str, Any], name: str) -> float:
    counts: dict[str, int] = results["instructions"]["instructions"]
    return counts[name] / counts["bare"]


def _bound_share(results: dict[str, Any]) -> float:
    row = _find(results["latency"], name="cyclr", concurrency=100, delay=0.03)
    share: float = row["rate"]["median"] / (row["concurrency"] / row["delay"]) * 100
    return share


def _bulk_growth(results: dict[str, Any]) -> float:
    large = _find(results["scale"], name="cyclr_bulk", accounts=1_000_000)
    small = _find(results["scale"], name="cyclr_bulk", accounts=10_000)
    grown: float = large["grown_mib"] - small["grown_mib"]
    return max(grown, 0.0)


def _network(results: dict[str, Any], way: str, figure: str) -> float:
    value: Any = _find(results["decode"]["network"], way=way)[figure]
    return float(value["median"] if isinstance(value, dict) else value)


def _imports(results: dict[str, Any]) -> float:
    imports = results["startup"]["imports"]
    extra: float = (
        imports["from cyclr_async import AsyncPartnerSession"]["median"] - imports["import aiohttp"]["median"]
    )
    return extra


def _added_p50(results: dict[str, Any]) -> float:
    own = _find(results["ladder"], name="cyclr", concurrency=1)["p50_s"]
    bare = _find(results["ladder"], name="bare", concurrency=1)["p50_s"]
    added: float = (own - bare) * 1e6
    return added


GOALS: Final = (
    Goal("`accounts.usage`, CPU against bare aiohttp, c=50", "x", 0.60, 0.45, lambda r: _ratio(r, "cyclr")),
    Goal("`collect_usage` per account, same base", "x", 0.55, 0.40, lambda r: _ratio(r, "cyclr_bulk")),
    Goal("`accounts.usage` on uvloop, same base", "x", 0.45, 0.33, lambda r: _ratio(r, "cyclr_uvloop")),
    Goal("`collect_usage` on uvloop, same base", "x", 0.42, 0.30, lambda r: _ratio(r, "cyclr_bulk_uvloop")),
    # A quarter, and two fifths, less than the 0.726 and 0.837 of version 0.1.
    Goal("`accounts.usage`, instructions against bare", "x", 0.545, 0.436, lambda r: _instructions(r, "cyclr")),
    Goal("`collect_usage`, instructions against bare", "x", 0.63, 0.502, lambda r: _instructions(r, "cyclr_bulk")),
    Goal(
        "less CPU than httpx2 + pydantic, c=50",
        "x",
        5,
        6,
        at_least=True,
        read=lambda r: _cpu(r, "httpx2_pydantic") / _cpu(r, "cyclr"),
    ),
    Goal(
        "less CPU than the Stainless core, c=50",
        "x",
        8,
        9,
        at_least=True,
        read=lambda r: _cpu(r, "stainless") / _cpu(r, "cyclr"),
    ),
    Goal("share of the latency bound, 30 ms, c=100", "%", 90, 94, at_least=True, read=_bound_share),
    Goal("bulk: memory added from 10,000 to 1,000,000 accounts", " MiB", 8, 3, _bulk_growth),
    Goal(
        "list iterated as it arrives, CPU against read + `json.loads`",
        "x",
        2.2,
        1.2,
        lambda r: _network(r, "iter", "ratio"),
    ),
    Goal("… first account", " ms", 10, 2, lambda r: _network(r, "iter", "first_s") * 1000),
    Goal("… peak memory", " MiB", 8, 2, lambda r: _network(r, "iter", "peak_mib")),
    Goal("list collected, CPU against read + `json.loads`", "x", 3, 1.5, lambda r: _network(r, "list", "ratio")),
    Goal("… bytes per account", " B", 950, 600, lambda r: _network(r, "list", "live_bytes")),
    Goal("latency added to bare aiohttp at p50, one caller", " µs", 60, 30, _added_p50),
    Goal("event loop blocked by a list, at most", " ms", 50, 10, lambda r: _network(r, "list", "blocked_s") * 1000),
    Goal("import beyond `import aiohttp`", " ms", 100, 40, _imports),
)


def goal_rows(results: dict[str, Any]) -> list[tuple[str, str, str, str, str]]:
    """Title, measured, gate, moonshot and verdict of every goal that this run can judge."""
    rows = []
    for goal in GOALS:
        sign = "≥" if goal.at_least else "≤"
        bounds = (f"{sign} {goal.gate:g}{goal.unit}", f"{sign} {goal.moonshot:g}{goal.unit}")
        try:
            value = goal.read(results)
        except (LookupError, TypeError):
            rows.append((goal.title, "not measured", *bounds, _NONE))
            continue
        verdict = "missed"
        if goal.reached(value, goal.moonshot):
            verdict = "moonshot"
        elif goal.reached(value, goal.gate):
            verdict = "met"
        rows.append((goal.title, f"{value:.3g}{goal.unit}", *bounds, verdict))
    return rows
