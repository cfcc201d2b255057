"""A list of 100,000 accounts: decoded from memory, and read over HTTP, each way in a process of its own.

``python -m benchmarks.decode --way WAY --accounts N [--url BASE_URL]`` is one such process; it prints JSON.
"""

import argparse
import asyncio
import gc
import importlib
import importlib.util
import json
import sys
import time
import types
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

import attrs

from benchmarks.bodies import TOKEN, account_id, accounts_body
from benchmarks.measure import cpu_seconds, paired_ratio, peak_mib, reset_peak, rss_mib, spread
from benchmarks.pinning import client_core, pin
from benchmarks.processes import ChildError, Server, run_module

__all__ = ["decode_report", "main"]

#: Ways to decode a body in memory: title, and the packages it needs.
MEMORY: Final = {
    "json": ("`json.loads` alone", ()),
    "orjson": ("`orjson.loads` alone", ("orjson",)),
    "cyclr": ("**cyclr_async** `list[Account]`", ()),
    "cyclr_speed": ("**cyclr_async[speed]** `list[Account]`", ("orjson",)),
    "cattrs": ("`json.loads` + cattrs untuned", ()),
    "cattrs_strict": ("`json.loads` + cattrs' compiled hooks, as strict as ours", ()),
    "pydantic": ("pydantic `validate_json`", ("pydantic",)),
    "msgspec": ("msgspec `Struct`", ("msgspec",)),
}
#: Ways to read the list over HTTP.
NETWORK: Final = {
    "read": ("aiohttp read + `json.loads`", ()),
    "list": ("**cyclr_async** `accounts.list()`", ()),
    "iter": ("**cyclr_async** `accounts.iter()`", ()),
    "iter_speed": ("**cyclr_async[speed]** `accounts.iter()`", ("orjson",)),
}


@attrs.frozen
class _Account:
    """The untuned model: the wire's own names, so that a default converter can fill it."""

    Id: str
    Name: str
    Description: str | None
    PricePlanId: int | None
    LastBillDate: datetime | None
    NextBillDate: datetime | None
    AuditInfo: str | None


def _decoder(way: str) -> Callable[[bytes], Any]:
    if way == "json":
        return json.loads
    if way == "orjson":
        loads: Callable[[bytes], Any] = importlib.import_module("orjson").loads
        return loads
    if way == "cattrs":
        import cattrs  # noqa: PLC0415  the other ways must not pay for it

        converter = cattrs.Converter()
        converter.register_structure_hook(datetime, lambda text, _: datetime.fromisoformat(text))
        return lambda body: converter.structure(json.loads(body), list[_Account])
    if way == "cattrs_strict":
        return _strict_cattrs()
    fields: dict[str, Any] = {field.name: field.type for field in attrs.fields(_Account)}
    if way == "pydantic":
        pydantic: Any = importlib.import_module("pydantic")
        model: Any = pydantic.create_model("Account", **{name: (kind, ...) for name, kind in fields.items()})
        adapter = pydantic.TypeAdapter(types.GenericAlias(list, (model,)))
        validate: Callable[[bytes], Any] = adapter.validate_json
        return validate
    if way == "msgspec":
        msgspec: Any = importlib.import_module("msgspec")
        struct: Any = msgspec.defstruct("Account", list(fields.items()), frozen=True)
        decode: Callable[[bytes], Any] = msgspec.json.Decoder(types.GenericAlias(list, (struct,))).decode
        return decode
    return _own_decoder()


def _strict_cattrs() -> Callable[[bytes], Any]:
    """What cattrs compiles for our model, with our rules: no coercion, wire names, unknown fields kept."""
    import cattrs  # noqa: PLC0415  the other ways must not pay for it
    from cattrs.gen import make_dict_structure_fn, override  # noqa: PLC0415

    from cyclr_async.partner import Account  # noqa: PLC0415
    from cyclr_async.wire.dates import parse_datetime  # noqa: PLC0415
    from cyclr_async.wire.extra import Extra  # noqa: PLC0415
    from cyclr_async.wire.fields import fields_of  # noqa: PLC0415

    def exactly(kind: type) -> Callable[[Any, Any], Any]:
        def check(value: Any, _: Any) -> Any:
            if type(value) is not kind:
                raise TypeError(f"not a {kind.__name__}")
            return value

        return check

    converter = cattrs.Converter(detailed_validation=False)
    for kind in (str, int):
        converter.register_structure_hook(kind, exactly(kind))
    converter.register_structure_hook(datetime, lambda text, _: parse_datetime(text))
    plan = fields_of(Account)
    names: dict[str, Any] = {field.name: override(rename=field.wire) for field in plan.fields}
    made = make_dict_structure_fn(
        Account, converter, _cattrs_detailed_validation=False, extra=override(omit=True), **names
    )

    def structure(data: dict[str, Any]) -> Account:
        account = made(data, Account)
        if len(data) != len(plan.fields):
            surplus = {name: value for name, value in data.items() if name not in plan.wire_names}
            object.__setattr__(account, "extra", Extra(surplus))
        return account

    return lambda body: [structure(row) for row in json.loads(body)]


def _own_decoder() -> Callable[[bytes], Any]:
    from cyclr_async.partner import Account  # noqa: PLC0415  after orjson is hidden
    from cyclr_async.wire.converter import structure_list  # noqa: PLC0415
    from cyclr_async.wire.strict_json import loads  # noqa: PLC0415

    return lambda body: structure_list(loads(body), Account)


def _in_memory(way: str, accounts: int) -> dict[str, Any]:
    decode = _decoder(way)
    decode(accounts_body(10))
    body = accounts_body(accounts)
    gc.collect()
    before = rss_mib()
    reset_peak()
    cpu, wall = cpu_seconds(), time.perf_counter()
    made = decode(body)
    cpu, wall = cpu_seconds() - cpu, time.perf_counter() - wall
    if len(made) != accounts:
        raise SystemExit(f"{way} made {len(made)} of {accounts}")
    peak = peak_mib() - before
    gc.collect()
    return {"cpu_s": cpu, "wall_s": wall, "peak_mib": peak, "live_bytes": (rss_mib() - before) * 2**20 / accounts}


class _Blocked:
    """The longest time the event loop had no turn for anybody else, in CPU seconds of this process.

    CPU, not wall-clock: on a busy machine the longest wall-clock gap is when another process had the core. The last
    stretch before ``stop`` counts too.
    """

    def __init__(self) -> None:
        self.longest = 0.0
        self._task = asyncio.create_task(self._tick())

    async def _tick(self) -> None:
        last = time.process_time()
        while True:
            await asyncio.sleep(0.001)
            now = time.process_time()
            self.longest = max(self.longest, now - last)
            last = now

    async def stop(self) -> float:
        await asyncio.sleep(0.01)
        self._task.cancel()
        await asyncio.wait([self._task])
        return self.longest


async def _over_http(way: str, url: str, watch: bool) -> dict[str, Any]:
    opened, warm, run = _reader(way, url)
    async with opened as session:
        # The connection is there already, as in any session that has been used.
        await warm(session)
        blocked = _Blocked() if watch else None
        await asyncio.sleep(0.01)
        gc.collect()
        before = rss_mib()
        reset_peak()
        cpu, wall = cpu_seconds(), time.perf_counter()
        first, count, kept = await run(session, wall)
        cpu, wall = cpu_seconds() - cpu, time.perf_counter() - wall
        peak = peak_mib() - before
        longest = await blocked.stop() if blocked else None
        gc.collect()
        return {
            "accounts": count,
            "cpu_s": cpu,
            "wall_s": wall,
            "first_s": first,
            "peak_mib": peak,
            "live_bytes": (rss_mib() - before) * 2**20 / max(count, 1) if kept else 0.0,
            "blocked_s": longest,
        }


def _reader(way: str, url: str) -> tuple[Any, Callable[[Any], Any], Callable[[Any, float], Any]]:
    """The client of one way, its first call, and how to read with it: seconds to the first, count, what is kept."""
    if way == "read":
        import aiohttp  # noqa: PLC0415  the other ways open it themselves

        async def warm(session: Any) -> None:
            async with session.get(f"{url}/accounts/{account_id(0)}/billing") as response:
                await response.read()

        async def read(session: Any, started: float) -> tuple[float, int, Any]:
            async with session.get(f"{url}/accounts") as response:
                rows = json.loads(await response.read())
            return time.perf_counter() - started, len(rows), rows

        return aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}), warm, read

    from cyclr_async import AsyncPartnerSession, Limits, StaticToken  # noqa: PLC0415  after orjson is hidden

    async def call(session: Any) -> None:
        await session.accounts.usage(account_id(0))

    async def collected(session: Any, started: float) -> tuple[float, int, Any]:
        rows = await session.accounts.list()
        return time.perf_counter() - started, len(rows), rows

    async def iterated(session: Any, started: float) -> tuple[float, int, Any]:
        first, count = 0.0, 0
        async for _ in session.accounts.iter():
            count += 1
            if count == 1:
                first = time.perf_counter() - started
        return first, count, None

    opened = AsyncPartnerSession(StaticToken(TOKEN), base_url=url, limits=Limits(response_bytes=2**30))
    return opened, call, collected if way == "list" else iterated


def decode_report(say: Callable[[str], None], *, accounts: int = 100_000, rounds: int = 5) -> dict[str, Any]:
    """Run every way ``rounds`` times, interleaved; medians, and ratios of CPU to the first way of each table."""
    memory = _table(say, MEMORY, rounds, lambda way: ["--way", way, "--accounts", str(accounts)])
    with Server(accounts=accounts) as server:
        network = _table(say, NETWORK, rounds, lambda way: ["--way", way, "--url", server.base_url])
        for row in network:
            # Watching the loop costs CPU of its own, so it is a run of its own.
            row["blocked_s"] = run_module(
                "benchmarks.decode", "--way", row["way"], "--url", server.base_url, "--watch"
            )["blocked_s"]
    return {"accounts": accounts, "memory": memory, "network": network}


def _table(
    say: Callable[[str], None],
    ways: dict[str, tuple[str, tuple[str, ...]]],
    rounds: int,
    arguments: Callable[[str], Sequence[str]],
) -> list[dict[str, Any]]:
    taken: dict[str, list[dict[str, Any]]] = {}
    for _ in range(rounds):
        for way, (_title, requires) in ways.items():
            if any(importlib.util.find_spec(name) is None for name in requires):
                continue
            try:
                taken.setdefault(way, []).append(run_module("benchmarks.decode", *arguments(way)))
            except ChildError as error:
                say(f"skipped {way}: {error}")
    rows = []
    base = [each["cpu_s"] for each in next(iter(taken.values()))]
    for way, results in taken.items():
        if len(results) != len(base):
            continue
        row: dict[str, Any] = {"way": way, "title": ways[way][0], "rounds": rounds}
        for name in results[0]:
            if results[0][name] is not None:
                row[name] = spread([each[name] for each in results]).median
        row["ratio"] = attrs.asdict(paired_ratio([each["cpu_s"] for each in results], base))
        rows.append(row)
        say(f"decode {way:<12}{row['cpu_s']:.3f} CPU s  x{row['ratio']['median']:.2f}  peak {row['peak_mib']:.1f} MiB")
    return rows


def main() -> None:
    """One way, once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--way", required=True, choices=[*MEMORY, *NETWORK])
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--url", help="read over HTTP from here, instead of from memory")
    parser.add_argument("--watch", action="store_true", help="measure how long the event loop was blocked")
    arguments = parser.parse_args()
    pin(client_core())
    if arguments.way in {"cyclr", "list", "iter"}:
        sys.modules.setdefault("orjson", None)  # type: ignore[arg-type]  # measures the default installation
    if arguments.url:
        result = asyncio.run(_over_http(arguments.way, arguments.url, arguments.watch))
    else:
        result = _in_memory(arguments.way, arguments.accounts)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
