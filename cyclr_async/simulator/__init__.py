"""The partner API as a local server, with state and faults: test your own code against Cyclr, without Cyclr."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cyclr_async.simulator.catalogue import Connector
    from cyclr_async.simulator.clock import SessionClock, SimulatedClock
    from cyclr_async.simulator.fault_text import parse_seconds
    from cyclr_async.simulator.faultbook import FaultBook
    from cyclr_async.simulator.faults import OPERATIONS, Fault
    from cyclr_async.simulator.server import Simulator, serve
    from cyclr_async.simulator.state import AccountRecord, Installed
    from cyclr_async.simulator.tokens import SignIn
    from cyclr_async.simulator.world import RequestLog, RequestRecord

__all__ = [
    "OPERATIONS",
    "AccountRecord",
    "Connector",
    "Fault",
    "FaultBook",
    "Installed",
    "RequestLog",
    "RequestRecord",
    "SessionClock",
    "SignIn",
    "SimulatedClock",
    "Simulator",
    "parse_seconds",
    "serve",
]

_HOMES: Final = {
    "OPERATIONS": "faults",
    "AccountRecord": "state",
    "Connector": "catalogue",
    "Fault": "faults",
    "FaultBook": "faultbook",
    "Installed": "state",
    "RequestLog": "world",
    "RequestRecord": "world",
    "SessionClock": "clock",
    "SignIn": "tokens",
    "SimulatedClock": "clock",
    "Simulator": "server",
    "parse_seconds": "fault_text",
    "serve": "server",
}


def __getattr__(name: str) -> object:
    """Import on first use: the pytest plugin lives in this package and is loaded in every run of pytest."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
