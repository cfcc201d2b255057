"""What it costs to import the package and to hold a session.

``python -m benchmarks.startup --sessions N --url BASE_URL`` measures the sessions in this process; it prints JSON.
"""

import argparse
import asyncio
import gc
import importlib.util
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any, Final

import attrs

from benchmarks.bodies import TOKEN, account_id
from benchmarks.measure import spread
from benchmarks.pinning import client_core, pin
from benchmarks.processes import ROOT, Server, environment, run_module

__all__ = ["main", "startup_report"]

_IMPORTS: Final = {
    "import aiohttp": "import aiohttp",
    "import cyclr_async": "import cyclr_async",
    "from cyclr_async import AsyncPartnerSession": "from cyclr_async import AsyncPartnerSession",
    "import requests": "import requests",
    "import httpx": "import httpx",
    "import httpx2": "import httpx2",
    "import pydantic": "from pydantic import BaseModel",
    "import openai": "import openai",
}


def _import_ms(statement: str) -> float:
    code = f"import time; t = time.perf_counter(); {statement}; print((time.perf_counter() - t) * 1000)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True, timeout=60, env=environment()
    )
    return float(done.stdout)


async def _per_session(url: str, sessions: int) -> dict[str, float]:
    import aiohttp  # noqa: PLC0415  imported before memory is traced

    from cyclr_async import AsyncPartnerSession, StaticToken  # noqa: PLC0415

    def make() -> AsyncPartnerSession:
        return AsyncPartnerSession(StaticToken(TOKEN), base_url=url)

    async def used(session: AsyncPartnerSession) -> AsyncPartnerSession:
        await session.accounts.usage(account_id(1))
        return session

    async def bare(session: aiohttp.ClientSession) -> aiohttp.ClientSession:
        async with session.get(f"{url}/accounts/{account_id(1)}/billing") as response:
            await response.read()
        return session

    await (await used(make())).close()
    await (await bare(aiohttp.ClientSession())).close()
    tracemalloc.start()
    figures = {}
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    made = [make() for _ in range(sessions)]
    gc.collect()
    figures["cyclr_made_bytes"] = (tracemalloc.get_traced_memory()[0] - before) / sessions
    for session in made:
        await used(session)
    gc.collect()
    figures["cyclr_used_bytes"] = (tracemalloc.get_traced_memory()[0] - before) / sessions
    for session in made:
        await session.close()
    made.clear()
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    others = [await bare(aiohttp.ClientSession()) for _ in range(sessions)]
    gc.collect()
    figures["aiohttp_used_bytes"] = (tracemalloc.get_traced_memory()[0] - before) / sessions
    for other in others:
        await other.close()
    return figures


def startup_report(say: Callable[[str], None], *, rounds: int = 15, sessions: int = 100) -> dict[str, Any]:
    """Import times, interleaved, in processes of their own; and the memory of a session, made and used."""
    taken: dict[str, list[float]] = {}
    for turn in range(rounds + 1):
        for title, statement in _IMPORTS.items():
            if importlib.util.find_spec(statement.split()[1]) is None:
                continue
            elapsed = _import_ms(statement)
            if turn:  # the first turn fills the page cache and compiles
                taken.setdefault(title, []).append(elapsed)
    imports = {title: attrs.asdict(spread(values)) for title, values in taken.items()}
    for title, figures in imports.items():
        say(f"{title:<46}{figures['median']:7.1f} ms")
    with Server() as server:
        memory = run_module("benchmarks.startup", "--url", server.base_url, "--sessions", str(sessions))
    say(f"memory of a session: {memory}")
    return {"imports": imports, "memory": memory, "rounds": rounds}


def main() -> None:
    """Measure the memory of sessions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--sessions", type=int, default=100)
    arguments = parser.parse_args()
    pin(client_core())
    print(json.dumps(asyncio.run(_per_session(arguments.url, arguments.sessions))))


if __name__ == "__main__":
    main()
