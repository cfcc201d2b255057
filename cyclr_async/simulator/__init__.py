"""Both APIs as a local server, with state and faults: test your own code against Cyclr, without Cyclr."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cyclr_async.simulator.domain.billing import FixedUsage, Schedule, Span, Work
    from cyclr_async.simulator.domain.catalogue import Catalogue, Connector
    from cyclr_async.simulator.domain.clock import SessionClock, SimulatedClock
    from cyclr_async.simulator.domain.oauth import SignIn
    from cyclr_async.simulator.domain.partner_state import AccountRecord, Billing, Installed
    from cyclr_async.simulator.domain.simulator_state import RequestLog, RequestRecord
    from cyclr_async.simulator.faults.fault import OPERATIONS, Fault, FaultSelection, TimedFaultSelection
    from cyclr_async.simulator.faults.injector import FaultInjector
    from cyclr_async.simulator.faults.text import parse_seconds
    from cyclr_async.simulator.server import Simulator, SimulatorSettings, serve
    from cyclr_async.simulator.v1.definitions import Choice, Field, Method, Parameter, Trigger
    from cyclr_async.simulator.v1.holdings import (
        AccountConnector,
        CustomConnector,
        Cycle,
        CycleConnector,
        CycleRecord,
        Edge,
        Holdings,
        Step,
        StepMapping,
    )

__all__ = [
    "OPERATIONS",
    "AccountConnector",
    "AccountRecord",
    "Billing",
    "Catalogue",
    "Choice",
    "Connector",
    "CustomConnector",
    "Cycle",
    "CycleConnector",
    "CycleRecord",
    "Edge",
    "Fault",
    "FaultInjector",
    "FaultSelection",
    "Field",
    "FixedUsage",
    "Holdings",
    "Installed",
    "Method",
    "Parameter",
    "RequestLog",
    "RequestRecord",
    "Schedule",
    "SessionClock",
    "SignIn",
    "SimulatedClock",
    "Simulator",
    "SimulatorSettings",
    "Span",
    "Step",
    "StepMapping",
    "TimedFaultSelection",
    "Trigger",
    "Work",
    "parse_seconds",
    "serve",
]

_HOMES: Final = {
    "AccountConnector": "v1.holdings",
    "AccountRecord": "domain.partner_state",
    "Billing": "domain.partner_state",
    "Catalogue": "domain.catalogue",
    "Choice": "v1.definitions",
    "Connector": "domain.catalogue",
    "CustomConnector": "v1.holdings",
    "Cycle": "v1.holdings",
    "CycleConnector": "v1.holdings",
    "CycleRecord": "v1.holdings",
    "Edge": "v1.holdings",
    "Fault": "faults.fault",
    "FaultInjector": "faults.injector",
    "FaultSelection": "faults.fault",
    "Field": "v1.definitions",
    "FixedUsage": "domain.billing",
    "Holdings": "v1.holdings",
    "Installed": "domain.partner_state",
    "Method": "v1.definitions",
    "OPERATIONS": "faults.fault",
    "Parameter": "v1.definitions",
    "RequestLog": "domain.simulator_state",
    "RequestRecord": "domain.simulator_state",
    "Schedule": "domain.billing",
    "SessionClock": "domain.clock",
    "SignIn": "domain.oauth",
    "SimulatedClock": "domain.clock",
    "Simulator": "server",
    "SimulatorSettings": "server",
    "Span": "domain.billing",
    "Step": "v1.holdings",
    "StepMapping": "v1.holdings",
    "TimedFaultSelection": "faults.fault",
    "Trigger": "v1.definitions",
    "Work": "domain.billing",
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
