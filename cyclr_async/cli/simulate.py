"""``cyclr simulate``: the partner API as a server on this machine."""

from __future__ import annotations

import click

from cyclr_async.cli.options import Command, Options, current
from cyclr_async.cli.terminal import say

__all__ = ["simulate"]


@click.command(
    cls=Command,
    examples=(
        "cyclr simulate --port 8080 --accounts 500",
        "cyclr simulate --port 8080 --rate 50 --fault 429:2% --latency 20ms",
    ),
)
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes a free one.")
@click.option("--accounts", type=click.IntRange(0, 1_000_000), default=50, show_default=True, help="How many.")
@click.option("--seed", type=int, default=7, show_default=True, help="The same seed gives the same accounts.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), metavar="N", help="Requests per second allowed.")
@click.option("--fault", "faults", multiple=True, metavar="FAULT", help="Such as 429:2%, 500:1%, drop-after:1%.")
@click.option("--latency", metavar="TIME", help="Of each answer, such as 20ms.")
@click.pass_context
def simulate(
    ctx: click.Context,
    port: int,
    accounts: int,
    seed: int,
    rate: float | None,
    faults: tuple[str, ...],
    latency: str | None,
) -> None:
    """Serve the partner API with invented accounts on this machine, for programs in any language."""
    from cyclr_async.cli.exits import InterruptedBySignal  # noqa: PLC0415 - help must start fast
    from cyclr_async.cli.running import run_async  # noqa: PLC0415

    faults = (*faults, f"latency:{latency}") if latency is not None else faults
    try:
        run_async(_serve(current(ctx), port, accounts, seed, rate, faults))
    except InterruptedBySignal:
        say(current(ctx), "stopped")


async def _serve(
    options: Options, port: int, accounts: int, seed: int, rate: float | None, faults: tuple[str, ...]
) -> None:
    from cyclr_async.cli.output import Output  # noqa: PLC0415 - help must start without aiohttp
    from cyclr_async.simulator import Simulator, serve  # noqa: PLC0415

    def announce(running: Simulator) -> None:
        with Output(options, columns, many=False) as output:
            # The credentials are invented and fixed; they open nothing but this simulator.
            found = {name: getattr(running, name) for name in columns[:4]}
            output.write({**found, "accounts": accounts, "seed": seed})
        say(options, "serving until Ctrl-C")

    columns = ("base_url", "token_url", "client_id", "client_secret", "accounts", "seed")
    try:
        simulator = Simulator(accounts=accounts, seed=seed, port=port, rate_limit=rate, faults=faults)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    await serve(simulator, announce)
