"""The partner API as a local server, with state and faults: test your own code against Cyclr, without Cyclr."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cyclr_async.simulator.domain.catalogue import Connector
    from cyclr_async.simulator.domain.clock import SessionClock, SimulatedClock
    from cyclr_async.simulator.domain.oauth import SignIn
    from cyclr_async.simulator.domain.partner_state import AccountRecord, Installed
    from cyclr_async.simulator.domain.simulator_state import RequestLog, RequestRecord
    from cyclr_async.simulator.faults.fault import OPERATIONS, Fault
    from cyclr_async.simulator.faults.injector import FaultInjector
    from cyclr_async.simulator.faults.text import parse_seconds
    from cyclr_async.simulator.server import Simulator, serve

__all__ = [
    "OPERATIONS",
    "AccountRecord",
    "Connector",
    "Fault",
    "FaultInjector",
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
    "OPERATIONS": "faults.fault",
    "AccountRecord": "domain.partner_state",
    "Connector": "domain.catalogue",
    "Fault": "faults.fault",
    "FaultInjector": "faults.injector",
    "Installed": "domain.partner_state",
    "RequestLog": "domain.simulator_state",
    "RequestRecord": "domain.simulator_state",
    "SessionClock": "domain.clock",
    "SignIn": "domain.oauth",
    "SimulatedClock": "domain.clock",
    "Simulator": "server",
    "parse_seconds": "faults.text",
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
