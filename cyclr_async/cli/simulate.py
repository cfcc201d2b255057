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
    import asyncio  # noqa: PLC0415

    from cyclr_async.cli.output import Output  # noqa: PLC0415
    from cyclr_async.simulator import Fault, Simulator  # noqa: PLC0415

    columns = ("base_url", "token_url", "client_id", "client_secret", "accounts", "seed")
    parsed = []
    for text in faults:
        try:
            parsed.append(Fault.parse(text))
        except ValueError as error:
            raise click.UsageError(f"--fault {text!r}: {error}") from None
    async with Simulator(accounts=accounts, seed=seed, port=port) as simulator:
        simulator.rate_limit = rate
        for fault in parsed:
            simulator.faults.add(fault)
        with Output(options, columns, many=False) as output:
            # The credentials are invented and fixed; they open nothing but this simulator.
            output.write(
                {name: str(getattr(simulator, name)) for name in columns[:4]} | {"accounts": accounts, "seed": seed}
            )
        say(options, "serving until Ctrl-C; try: cyclr accounts list with CYCLR_BASE_URL, CYCLR_TOKEN_URL, …")
        await asyncio.Event().wait()
