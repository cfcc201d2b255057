"""How much of a bare aiohttp handler's speed the simulator keeps: ``python -m benchmarks.simulator_speed``.

Both serve the usage of one account, byte for byte the same, from a process of their own. One client on raw sockets asks
them in turns, so that whatever else the machine does hits both. The figure is the ratio of requests per second.
"""

import argparse
import asyncio
import json
import multiprocessing
import statistics
import sys
import time
import urllib.parse
import urllib.request
from multiprocessing.connection import Connection
from typing import Any

from aiohttp import web

from cyclr_async.simulator import Simulator

__all__ = ["main", "measure"]


async def _serve_simulator(pipe: Connection, accounts: int) -> None:
    async with Simulator(accounts=accounts, frozen=True) as simulator:
        pipe.send((simulator.url, simulator.account_ids(1)[0]))
        await asyncio.get_running_loop().run_in_executor(None, pipe.recv)


async def _serve_bare(pipe: Connection, body: bytes) -> None:
    async def usage(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json", charset="utf-8")

    app = web.Application()
    app.router.add_get("/api/partner/accounts/{account_id}/billing", usage)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    pipe.send(f"http://127.0.0.1:{runner.addresses[0][1]}")
    await asyncio.get_running_loop().run_in_executor(None, pipe.recv)
    await runner.cleanup()


def _run(pipe: Connection, kind: str, argument: Any) -> None:
    asyncio.run(_serve_bare(pipe, argument) if kind == "bare" else _serve_simulator(pipe, argument))


def _start(kind: str, argument: Any) -> tuple[multiprocessing.process.BaseProcess, Connection, Any]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(theirs, kind, argument), daemon=True)
    process.start()
    return process, ours, ours.recv()


async def _worker(host: str, port: int, request: bytes, size: int, until: float) -> int:
    reader, writer = await asyncio.open_connection(host, port)
    done = 0
    try:
        while time.perf_counter() < until:
            writer.write(request)
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(size)
            done += 1
    finally:
        writer.close()
        await writer.wait_closed()
    return done


async def _rate(url: str, path: str, token: str, size: int, seconds: float, workers: int) -> float:
    place = urllib.parse.urlsplit(url)
    request = (
        f"GET {path} HTTP/1.1\r\nHost: {place.netloc}\r\nAuthorization: Bearer {token}\r\nX-Request-Id: b-1\r\n\r\n"
    )
    start = time.perf_counter()
    jobs = [
        _worker(str(place.hostname), int(place.port or 0), request.encode(), size, start + seconds)
        for _ in range(workers)
    ]
    return sum(await asyncio.gather(*jobs)) / (time.perf_counter() - start)


def _usage_body(url: str, path: str) -> tuple[str, bytes]:
    form = {"grant_type": "client_credentials", "client_id": "simulator", "client_secret": "simulator-secret"}
    with urllib.request.urlopen(f"{url}/oauth/token", urllib.parse.urlencode(form).encode(), timeout=10) as answer:
        token = json.load(answer)["access_token"]
    request = urllib.request.Request(url + path, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return token, answer.read()


def measure(rounds: int = 5, seconds: float = 1.0, workers: int = 8, accounts: int = 1_000_000) -> dict[str, float]:
    """Return requests per second of both, the median of rounds in turns, and their ratio."""
    ours, ours_pipe, (url, account_id) = _start("simulator", accounts)
    try:
        path = f"/api/partner/accounts/{account_id}/billing"
        token, body = _usage_body(url, path)
        bare, bare_pipe, bare_url = _start("bare", body)
        try:
            figures: dict[str, list[float]] = {"simulator": [], "bare": []}
            for _ in range(rounds):
                for name, place in (("bare", bare_url), ("simulator", url)):
                    figures[name].append(asyncio.run(_rate(place, path, token, len(body), seconds, workers)))
        finally:
            bare_pipe.send("stop")
            bare.join(10)
    finally:
        ours_pipe.send("stop")
        ours.join(10)
    ratios = [mine / other for mine, other in zip(figures["simulator"], figures["bare"], strict=True)]
    return {**{name: statistics.median(rates) for name, rates in figures.items()}, "share": statistics.median(ratios)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    given = parser.parse_args()
    found = measure(given.rounds, given.seconds)
    print(f"bare aiohttp.web handler  {found['bare']:9,.0f} requests/s")
    print(f"simulator, 1,000,000 accounts {found['simulator']:5,.0f} requests/s")
    print(f"share                     {found['share']:9.0%}  (at least 60 % wanted)")
    return 0 if found["share"] >= 0.6 else 1


if __name__ == "__main__":
    sys.exit(main())
