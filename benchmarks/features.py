"""What each feature that is on by default costs: one process, one feature switched off at a time, ABBA blocks.

``python -m benchmarks.features --url BASE_URL --pairs N`` is that process; it prints JSON. The switches are internal
seams, not options: nobody should want to run without these guards, but everybody should know what they cost.
"""

import argparse
import ast
import asyncio
import inspect
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final

import aiohttp
import attrs

from benchmarks.bodies import TOKEN, account_id
from benchmarks.contenders.bare import Bare
from benchmarks.measure import cpu_seconds, paired_ratio
from benchmarks.pinning import client_core, pin
from benchmarks.processes import Server, run_module
from cyclr_async.http.engine.protocols import Lease, Leases
from cyclr_async.http.timeouts import Timeout, TimerWheel

__all__ = ["features_report", "main"]

_WORKERS: Final = 50
_BLOCK: Final = 250

TITLES: Final = {
    "bare": "bare aiohttp `get` + `read`, for comparison",
    "limiter": "without the limiter (slots, rate, pause)",
    "request_id": "without a new request id per call",
    "stats": "without counting for `stats()`",
    "deadline": "without deadline, attempt and read limits",
    "guard": "without the resend guard and the look at idle connections",
    "strict": "without models: the JSON as it was parsed",
    "session": "through `aiohttp.ClientSession` (what borrowed sessions, proxies and tracing need)",
    "events": "with a listener to events (off by default)",
    "tracing": "with an aiohttp `TraceConfig` (off by default)",
}


class _NoLimiter:
    rate = None

    def try_acquire(self) -> bool:
        return True

    def release(self) -> None:
        """Nothing is held."""

    def pause_left(self) -> float:
        return 0.0


class _NoWatch(TimerWheel):
    def add(self, scope: Timeout, seconds: float) -> int:
        """Nothing is limited."""
        return 0

    def discard(self, scope: Timeout, bucket: int) -> None:
        """Nothing was limited."""


class _Unguarded(Leases):
    def take(self, attempt: Any) -> Lease | None:
        """Take what is there, whatever may have arrived on it."""
        if not self._idle:
            return None
        lease = self._idle.pop()
        lease.idle = False
        attempt.sending()
        return lease


class _WithoutCounting(ast.NodeTransformer):
    """Takes out of a module what adds to its counters."""

    def __init__(self) -> None:
        self.taken = 0

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        if "counters" not in ast.unparse(node.target):
            return node
        self.taken += 1
        return ast.copy_location(ast.Pass(), node)


def _uncounted() -> type[Any]:
    from cyclr_async.http import executor  # noqa: PLC0415  after orjson is hidden

    transformer = _WithoutCounting()
    tree = transformer.visit(ast.parse(inspect.getsource(executor)))
    if transformer.taken < 4:
        raise SystemExit("the executor counts in another way than this benchmark knows")
    scope: dict[str, Any] = {"__name__": "uncounted"}
    exec(compile(ast.fix_missing_locations(tree), "<executor without counting>", "exec"), scope)
    made: type[Any] = scope["AuthorizedExecutor"]
    return made


@attrs.frozen
class _Case:
    call: Callable[[str], Awaitable[object]]
    close: Callable[[], Awaitable[None]]


async def _case(name: str, url: str) -> _Case:
    from cyclr_async import AsyncPartnerSession, Limits, StaticToken  # noqa: PLC0415  after orjson is hidden

    if name == "bare":
        bare = Bare()
        await bare.open(url, _WORKERS)
        return _Case(bare.call, bare.close)
    options: dict[str, Any] = {}
    if name == "events":
        options["on_event"] = lambda _: None
    elif name == "tracing":
        options["trace_configs"] = [_traces()]
    session = AsyncPartnerSession(StaticToken(TOKEN), base_url=url, limits=Limits(connections=_WORKERS), **options)
    await session.accounts.usage(account_id(0))
    inner: Any = session
    executor, pool = inner._executor, inner._pool
    if name == "limiter":
        executor.limiter = _NoLimiter()
    elif name == "request_id":
        executor._next_id = lambda: "0123456789abcdef-000001"
    elif name == "stats":
        executor.__class__ = _uncounted()
    elif name == "deadline":
        executor._watch = _NoWatch()
    elif name == "guard":
        for _, _, leases in pool.engine._targets.values():
            leases.__class__ = _Unguarded
    elif name == "session":
        pool.engine = pool.engine.otherwise
    elif name == "strict":
        inner.accounts._decode_usage = lambda data: data  # the JSON as it was parsed
    return _Case(session.accounts.usage, session.close)


def _traces() -> aiohttp.TraceConfig:
    async def ignore(*_: object) -> None:
        """A hook that does nothing."""

    traces = aiohttp.TraceConfig()
    traces.on_request_start.append(ignore)
    traces.on_request_end.append(ignore)
    traces.on_request_exception.append(ignore)
    return traces


async def _block(case: _Case) -> float:
    pending = iter(range(_BLOCK))

    async def work() -> None:
        for index in pending:
            await case.call(account_id(index))

    started = cpu_seconds()
    await asyncio.gather(*(work() for _ in range(_WORKERS)))
    return cpu_seconds() - started


async def _measure(url: str, pairs: int) -> dict[str, Any]:
    default = await _case("default", url)
    results = {}
    try:
        for name in TITLES:
            case = await _case(name, url)
            try:
                await _block(case)
                with_it, without = [], []
                for _ in range(pairs):
                    first, second = await _block(default), await _block(case)
                    third, fourth = await _block(case), await _block(default)
                    with_it.append(first + fourth)
                    without.append(second + third)
                results[name] = {
                    "ratio": attrs.asdict(paired_ratio(without, with_it)),
                    "default_us": sorted(with_it)[pairs // 2] / (2 * _BLOCK) * 1e6,
                }
            finally:
                await case.close()
    finally:
        await default.close()
    return results


def features_report(say: Callable[[str], None], *, pairs: int = 40) -> dict[str, Any]:
    """The ratio of a call without each feature to a call with all of them."""
    with Server() as server:
        results = run_module("benchmarks.features", "--url", server.base_url, "--pairs", str(pairs))
    for name, figures in results.items():
        ratio = figures["ratio"]
        say(f"{TITLES[name]:<70} x{ratio['median']:.3f} [{ratio['low']:.3f}, {ratio['high']:.3f}]")
    return {"pairs": pairs, "rows": results}


def main() -> None:
    """Measure all features in this process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--pairs", type=int, default=40)
    arguments = parser.parse_args()
    pin(client_core())
    sys.modules.setdefault("orjson", None)  # type: ignore[arg-type]  # measures the default installation
    print(json.dumps(asyncio.run(_measure(arguments.url, arguments.pairs))))


if __name__ == "__main__":
    main()
