"""What each feature that is on by default costs: one process, one feature switched off at a time, ABBA blocks.

``python -m benchmarks.features --url BASE_URL --pairs N`` is that process; it prints JSON. The switches are internal
seams, not options: nobody should want to run without these guards, but everybody should know what they cost.
"""

import argparse
import asyncio
import contextlib
import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from types import SimpleNamespace
from typing import Any, Final, Self

import aiohttp
import attrs

from benchmarks.bodies import TOKEN, account_id
from benchmarks.contenders.bare import Bare
from benchmarks.measure import cpu_seconds, paired_ratio
from benchmarks.pinning import client_core, pin
from benchmarks.processes import Server, run_module

__all__ = ["features_report", "main"]

_WORKERS: Final = 50
_BLOCK: Final = 250

TITLES: Final = {
    "bare": "bare aiohttp `get` + `read`, for comparison",
    "limiter": "without the limiter (slots, rate, pause)",
    "request_id": "without a new request id per call",
    "deadline": "without the deadline timer",
    "read_timeout": "without the read timeout timer",
    "guard": "without the hidden-resend guard and the check of idle connections",
    "strict": "without strict decoding: `json.loads` only",
    "events": "with a listener to events (off by default)",
    "tracing": "with an aiohttp `TraceConfig` (off by default)",
}


class _NoLimiter:
    def try_acquire(self) -> bool:
        return True

    def release(self) -> None:
        """Nothing is held."""

    def pause_left(self) -> float:
        return 0.0


class _NoScope:
    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """No timer was set."""

    def expired(self) -> bool:
        return False


@contextlib.contextmanager
def _without_timers() -> Iterator[None]:
    from cyclr_async.http import pipeline  # noqa: PLC0415

    names = {name: getattr(asyncio, name) for name in asyncio.__all__}
    setattr(pipeline, "asyncio", SimpleNamespace(**{**names, "timeout": lambda _: _NoScope()}))  # noqa: B010
    try:
        yield
    finally:
        setattr(pipeline, "asyncio", asyncio)  # noqa: B010


@contextlib.contextmanager
def _without_strictness() -> Iterator[None]:
    from cyclr_async.resources import accounts  # noqa: PLC0415

    name = "_USAGE"
    strict = getattr(accounts, name)
    setattr(accounts, name, lambda answer: json.loads(answer.body))
    try:
        yield
    finally:
        setattr(accounts, name, strict)


@attrs.frozen
class _Case:
    call: Callable[[str], Awaitable[object]]
    close: Callable[[], Awaitable[None]]
    around: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext


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
    if name == "limiter":
        inner._pipeline.limiter = _NoLimiter()
    elif name == "request_id":
        inner._pipeline._next_id = lambda: "0123456789abcdef-000001"
    elif name in {"guard", "read_timeout"}:
        old = inner._pool.reads
        connector = aiohttp.TCPConnector(limit=0) if name == "guard" else type(old.connector)(limit=0)
        timeout = old.timeout if name == "guard" else aiohttp.ClientTimeout(total=None)
        inner._pool.reads = aiohttp.ClientSession(
            connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), headers=old.headers
        )
        await old.close()
    around = {"deadline": _without_timers, "strict": _without_strictness}.get(name, contextlib.nullcontext)
    return _Case(session.accounts.usage, session.close, around)


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

    with case.around():
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
