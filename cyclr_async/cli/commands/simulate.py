"""``cyclr simulate``: both APIs as a server on this machine."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any
from urllib.parse import urlsplit

import click

from cyclr_async.cli.exit_codes import InterruptedBySignal
from cyclr_async.cli.options import Command, Options, current
from cyclr_async.cli.output import Output
from cyclr_async.cli.signals import run_async
from cyclr_async.cli.terminal import echo, warn
from cyclr_async.hosts import canonical_host, is_loopback

__all__ = ["simulate"]


@click.command(
    cls=Command,
    examples=(
        "cyclr simulate --port 8080 --accounts 500",
        "cyclr simulate --port 8080 --rate 50 --fault 429:2% --latency 20ms",
        "cyclr simulate --state state.json",
    ),
)
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="0.0.0.0 in a container.")
@click.option("--allow-host", "allowed", multiple=True, metavar="NAME", help="With --host: names it may be asked by.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes a free one.")
@click.option("--accounts", type=click.IntRange(0, 1_000_000), help="How many; 50, or what the state file says.")
@click.option("--seed", type=int, default=7, show_default=True, help="The same seed gives the same accounts.")
@click.option(
    "--rate", "rate_limit", type=click.FloatRange(0, min_open=True), metavar="N", help="Requests per second allowed."
)
@click.option("--fault", "faults", multiple=True, metavar="FAULT", help="Such as 429:2%, 500:1%, drop-after:1%.")
@click.option("--latency", metavar="TIME", help="Of each answer, such as 20ms.")
@click.option("--state", type=click.Path(dir_okay=False), metavar="FILE", help="What it begins with, as JSON.")
@click.option("--real-time/--fixed-time", default=None, help="Begin now; usual with a state file.")
@click.option("--page-size", type=click.IntRange(1), default=50, show_default=True, help="Of v1.0, unless asked for.")
@click.option("--one-token-pair", is_flag=True, help="A sign-in with a password ends the tokens of the one before.")
@click.option("--connectors-need-account", is_flag=True, help="Refuse connectors of v1.0 without X-Cyclr-Account.")
@click.pass_context
def simulate(
    ctx: click.Context,
    /,
    host: str,
    allowed: tuple[str, ...],
    port: int,
    faults: tuple[str, ...],
    latency: str | None,
    **settings: Any,
) -> None:
    """Serve both APIs with invented accounts, or those of a file, for programs in any language.

    Only this machine can reach it, without --host.
    """
    faults = (*faults, f"latency:{latency}") if latency is not None else faults
    try:
        run_async(_serve(current(ctx), (host, allowed, port), {**settings, "faults": faults}))
    except InterruptedBySignal:
        echo(current(ctx), "stopped")


async def _serve(options: Options, place: tuple[str, tuple[str, ...], int], settings: dict[str, Any]) -> None:
    from cyclr_async.simulator.server import EXPOSED, Simulator  # noqa: PLC0415 - aiohttp, which help does without

    def announce(running: Simulator) -> None:
        with Output(options, columns, many=False) as output:
            # The credentials are invented and fixed; they open nothing but this simulator.
            found = {name: getattr(running, name) for name in columns[:5]}
            output.write({**found, "accounts": running.account_count, "seed": settings["seed"]})
        if far:
            echo(
                options,
                f"elsewhere: CYCLR_BASE_URL=http://NAME:{urlsplit(running.url).port}/api/partner and so on, with "
                "CYCLR_HTTP_HOSTS=NAME, where NAME is this machine's",
            )
        echo(options, "serving until Ctrl-C")

    columns = ("base_url", "v1_url", "token_url", "client_id", "client_secret", "accounts", "seed")
    host, allowed, port = place
    if not canonical_host(host):
        raise click.UsageError(f"--host {host!r} is no address: give one such as 127.0.0.1 or 0.0.0.0")
    far = not is_loopback(host)
    try:
        simulator = Simulator(
            host=host,
            port=port,
            unsafe_listen=far,  # the flag says that it is wanted
            allowed_hosts=allowed,
            **settings,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if far:
        warn(EXPOSED.format(host=host))
    try:
        await simulator.start()
    except OSError as error:
        reason = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        raise click.ClickException(f"cannot listen on {host}:{port}: {reason}") from None
    try:
        announce(simulator)
        await asyncio.Event().wait()
    finally:
        await simulator.stop()
