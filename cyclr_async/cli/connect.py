"""A session for a command: to the API, or to a simulated one in this process."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

# Packages and not what is in them: they load a name, and aiohttp with it, on first use, so that help does without.
import cyclr_async
from cyclr_async import simulator
from cyclr_async.cli.options import Options
from cyclr_async.cli.settings import resolve, simulated
from cyclr_async.cli.terminal import echo
from cyclr_async.config import Limits
from cyclr_async.environment import blamed
from cyclr_async.errors import ConfigurationError

__all__ = ["ACCOUNTS", "SEED", "connected"]

ACCOUNTS: Final = 50
"""Simulated accounts: enough for a table to scroll, few enough to be done in a second."""
SEED: Final = 7
"""Always the same, so that examples, and a store made with a simulation, find the same accounts again."""

_LATE: Final = frozenset({"proxy", "ca_file", "shared"})
_log: Final = logging.getLogger("cyclr_async.cli")


@asynccontextmanager
async def connected(
    options: Options, *, port: int = 0, concurrency: int | None = None
) -> AsyncIterator[cyclr_async.AsyncPartnerSession]:
    """Open a session and close it afterwards.

    Args:
        options: the shared options.
        port: of the simulated API, so that a store made with one can be resumed; 0 takes a free one.
        concurrency: calls at once that the pool must allow, or None for its default.
    """
    extra: dict[str, Any] = {}
    if simulated(options):
        accounts = ACCOUNTS if options.simulate_accounts is None else options.simulate_accounts
        if concurrency is not None:
            extra["limits"] = Limits(connections=concurrency)
        if options.partner is not None:  # the flag only: CYCLR_PARTNER and profiles name the real partner
            extra["partner"] = options.partner
        echo(options, f"simulated: {accounts:,} invented accounts on this machine; nothing leaves it")
        async with (
            simulator.Simulator(accounts=accounts, seed=SEED, port=port) as running,
            running.session(**extra) as session,
        ):
            yield session
        return
    settings = resolve(options)
    for name, found in settings.found.items():
        _log.debug("%s comes from %s", name, found.source)
    arguments = settings.arguments()
    if concurrency is not None and "limits" not in arguments:
        arguments["limits"] = Limits(connections=concurrency)
    problem: ConfigurationError
    try:
        async with cyclr_async.AsyncPartnerSession(**arguments) as session:
            _log.info("the API is at %s", session.root)
            try:
                yield session
            finally:
                _log.debug("%s", session.stats())
    except ConfigurationError as error:
        # Only what is looked at no earlier than here; names of other arguments occur in messages about a call.
        problem = blamed(error, {name: label for name, label in settings.labels().items() if name in _LATE})
    else:
        return
    raise problem
