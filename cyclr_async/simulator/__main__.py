"""``python -m cyclr_async.simulator``: the simulator for programs in any language, without the command line extra."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING

from cyclr_async.simulator.faults.text import parse_seconds

if TYPE_CHECKING:
    from cyclr_async.simulator.server import Simulator

__all__ = ["describe", "main"]


def describe(simulator: Simulator) -> str:
    """Return what a user needs to know of a running simulator, as shell assignments."""
    return "\n".join(
        (
            f"# {simulator.account_count} accounts; described in {simulator.url}/openapi.json and /openapi-v1.json",
            f"# v1.0 at {simulator.v1_url}",
            f"export CYCLR_BASE_URL={simulator.base_url}",
            f"export CYCLR_TOKEN_URL={simulator.token_url}",
            f"export CYCLR_CLIENT_ID={simulator.client_id}",
            f"export CYCLR_CLIENT_SECRET={simulator.client_secret}",
            "# Ctrl+C stops it",
        )
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m cyclr_async.simulator", description=__doc__)
    parser.add_argument("--port", type=int, default=8080, help="0 lets the system choose (default: %(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 in a container (default: %(default)s)")
    parser.add_argument("--allow-host", action="append", default=[], help="with --host: a name it may be asked by")
    parser.add_argument("--accounts", type=int, help="how many exist (default: 50, or what the state file says)")
    parser.add_argument("--state", metavar="FILE", help="what it begins with, as JSON")
    parser.add_argument("--seed", type=int, default=7, help="decides all of them (default: %(default)s)")
    parser.add_argument("--rate", type=float, help="requests per second, then 429 with Retry-After")
    parser.add_argument("--fault", action="append", default=[], help="such as 429:2%% or drop-after:1%%; repeatable")
    parser.add_argument("--latency", type=parse_seconds, help="of every answer, such as 20ms")
    parser.add_argument(
        "--real-time",
        action=argparse.BooleanOptionalAction,
        help="begin now, instead of at a fixed moment (default: with a state file)",
    )
    parser.add_argument("--page-size", type=int, default=50, help="of v1.0, unless asked for (default: %(default)s)")
    parser.add_argument(
        "--connectors-need-account", action="store_true", help="refuse connectors of v1.0 without X-Cyclr-Account"
    )
    parser.add_argument(
        "--one-token-pair", action="store_true", help="a sign-in with a password ends the tokens of the one before"
    )
    # Once needed beside --host, which says it well enough; old scripts still give it.
    parser.add_argument("--unsafe-listen", action="store_true", help=argparse.SUPPRESS)
    return parser


def _say(simulator: Simulator) -> None:
    sys.stdout.write(describe(simulator) + "\n")
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> int:
    """Run the simulator until it is interrupted; return the exit code."""
    from cyclr_async.hosts import is_loopback  # noqa: PLC0415
    from cyclr_async.simulator.server import EXPOSED, Simulator, serve  # noqa: PLC0415 - --help without aiohttp

    parser = _parser()
    given = parser.parse_args(arguments)
    far = not is_loopback(given.host)
    try:
        simulator = Simulator(
            given.accounts,
            given.seed,
            host=given.host,
            port=given.port,
            unsafe_listen=far or given.unsafe_listen,
            allowed_hosts=given.allow_host,
            latency=given.latency,
            rate_limit=given.rate,
            faults=given.fault,
            state=given.state,
            real_time=given.real_time,
            page_size=given.page_size,
            connectors_need_account=given.connectors_need_account,
            one_token_pair=given.one_token_pair,
        )
        if far:
            sys.stderr.write(f"warning: {EXPOSED.format(host=given.host)}\n")
        asyncio.run(serve(simulator, _say))
    except ValueError as error:
        parser.error(str(error))
    except OSError as error:
        sys.stderr.write(f"cannot listen on {given.host}:{given.port}: {error.strerror or error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
