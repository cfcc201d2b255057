"""Cycles with their steps, edges, variables, transactions and incidents."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, Final

from cyclr_async.simulator.domain.lenient_fields import RefusedError
from cyclr_async.simulator.replies import Reply
from cyclr_async.simulator.v1.call import GUID, Body, Call, Handler, invalid, paged
from cyclr_async.simulator.v1.connectors import ordered
from cyclr_async.simulator.v1.holdings import Cycle, CycleRecord, Edge, Step
from cyclr_async.simulator.v1.templates import tagged_and_using
from cyclr_async.wire.unset import UNSET

__all__ = ["ACTION_TYPES", "HANDLERS", "INCIDENT_LEVELS", "MAPPING_TYPES"]

# Names of which some were seen; the numbers beside them and the other names are assumed.
ACTION_TYPES: Final = ("Unknown", "Action", "Decision", "Delay", "WaitUntil", "Collection", "Webhook", "Script")
INCIDENT_LEVELS: Final = ("Error", "Warning")
MAPPING_TYPES: Final = ("Ignore", "StaticValue", "ValueList", "StepData", "Variable")
_ERROR_ACTIONS: Final = ("Ignore", "Stop", "Retry")
_SPLITS: Final = ("None", "All")
_EDGE_TYPES: Final = ("Forward",)
_INTERVALS: Final = frozenset((0, 1, 5, 15, 30, 60, 120, 180, 240, 360, 480, 720, 1440, 10080))
"""Minutes; 0 is documented together with ``RunOnce`` only."""


def _cycle(call: Call, *, stopped: bool = False) -> Cycle:
    """Return the cycle of the path; 404 when there is none, 409 when it must be stopped first."""
    found = call.holdings.cycles.get(call.keys["cycle"])
    if found is None:
        raise RefusedError(404)
    if stopped and found.running:
        raise RefusedError(409, "The cycle is running. Stop it before it is changed.")
    return found


def _row(call: Call, cycle: Cycle) -> object:
    return cycle.row(icons=call.query.flag("includeIcons", usual=False))


def _list(call: Call) -> Reply:
    icons = call.query.flag("includeIcons", usual=False)
    found = [cycle for cycle in call.holdings.cycles.values() if tagged_and_using(call, cycle.tags, cycle.connectors())]
    found = ordered(call, found, id=lambda one: one.id, name=lambda one: one.name.casefold())
    return paged(call, len(found), lambda place: found[place].row(icons=icons))


def _checked(body: Body) -> dict[str, Any]:
    """Return the given fields of a cycle by attribute."""
    found: dict[str, Any] = {
        "name": body.text("Name"),
        "description": body.text("Description"),
        "shareable": body.flag("Shareable"),
        "step_error_action": body.member("StepErrorAction", _ERROR_ACTIONS) or UNSET,
        "log_requests": body.flag("LogStepDataRequests"),
        "split": body.member("CollectionSplitType", _SPLITS) or UNSET,
        "tags": body.texts("Tags"),
    }
    if found["name"] is not UNSET and not (found["name"] or "").strip():
        raise RefusedError(400, "Name is required")
    return {name: value for name, value in found.items() if value is not UNSET}


def _create(call: Call) -> object:
    call.body.required("Name")
    changes = _checked(call.body)
    cycle = Cycle(id=call.world.library.guid(), created=call.world.clock.now(), **changes)
    call.holdings.cycles[cycle.id] = cycle
    return cycle.row(icons=False)


def _get(call: Call) -> object:
    return _row(call, _cycle(call))


def _update(call: Call) -> object:
    changes = _checked(call.body)
    cycle = _cycle(call, stopped=True)
    for name, value in changes.items():
        setattr(cycle, name, value)
    return cycle.row(icons=False)


def _delete(call: Call) -> None:
    del call.holdings.cycles[_cycle(call).id]


def _upgradeable(call: Call) -> object:
    """No template of the simulator ever gets a new release."""
    return paged(call, 0, lambda _: {})


def _activate(call: Call) -> None:
    interval = call.body.number("Interval")
    if isinstance(interval, int) and interval not in _INTERVALS:
        raise RefusedError(400, f"Interval {interval} is not valid.")
    cycle = _cycle(call)
    missing = cycle.prerequisites()
    if missing:
        raise RefusedError(400, str(missing[0]["Reason"]))
    cycle.status = "Active"


def _deactivate(call: Call) -> None:
    call.query.flag("finishQueuedTransactions", usual=False)
    cycle = _cycle(call)
    if cycle.running:
        cycle.status = "Stopped"


def _prerequisites(call: Call) -> object:
    return _cycle(call).prerequisites()


def _steps(call: Call) -> object:
    wanted = call.query.text("filter")
    known = next((name for name in ACTION_TYPES if name.lower() == wanted.lower()), None)
    if wanted and known is None:
        raise invalid()
    return [step.row() for step in _cycle(call).steps.values() if known in (None, step.action_type)]


def _checked_step(body: Body) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": body.text("Name") or UNSET,
        "description": body.text("Description"),
        "action_type": body.member("ActionType", ACTION_TYPES) or UNSET,
        "left": body.number("DisplayPositionLeft"),
        "top": body.number("DisplayPositionTop"),
    }
    return {name: value for name, value in found.items() if value is not UNSET and value is not None}


def _create_step(call: Call) -> object:
    changes = _checked_step(call.body)
    cycle = _cycle(call)
    step = Step(id=call.world.library.guid(), **{"name": changes.get("action_type", "Action"), **changes})
    cycle.steps[step.id] = step
    return step.row()


def _step(call: Call, *, stopped: bool = False) -> tuple[Cycle, Step]:
    cycle = _cycle(call, stopped=stopped)
    found = cycle.steps.get(call.keys["step"])
    if found is None:
        raise RefusedError(404)
    return cycle, found


def _get_step(call: Call) -> object:
    return _step(call)[1].row()


def _update_step(call: Call) -> object:
    changes = _checked_step(call.body)
    step = _step(call, stopped=True)[1]
    for name, value in changes.items():
        setattr(step, name, value)
    return step.row()


def _delete_step(call: Call) -> None:
    cycle, step = _step(call, stopped=True)
    del cycle.steps[step.id]
    cycle.edges = {edge.id: edge for edge in cycle.edges.values() if step.id not in (edge.head, edge.tail)}


def _edges(call: Call) -> object:
    return [edge.row() for edge in _cycle(call).edges.values()]


def _create_edge(call: Call) -> object:
    body = call.body
    kind = body.member("EdgeType", _EDGE_TYPES) or "Forward"
    ends = [body.word(name) for name in ("HeadStepId", "TailStepId")]
    if not all(GUID.fullmatch(end) for end in ends):
        raise invalid()
    cycle = _cycle(call)
    head, tail = (end.lower() for end in ends)
    if head not in cycle.steps or tail not in cycle.steps:
        raise RefusedError(404)
    edge = Edge(call.world.library.guid(), head, tail, kind)
    cycle.edges[edge.id] = edge
    return edge.row()


def _edge(call: Call) -> tuple[Cycle, Edge]:
    cycle = _cycle(call)
    found = cycle.edges.get(call.keys["edge"])
    if found is None:
        raise RefusedError(404)
    return cycle, found


def _get_edge(call: Call) -> object:
    return _edge(call)[1].row()


def _delete_edge(call: Call) -> None:
    cycle, edge = _edge(call)
    del cycle.edges[edge.id]


def _checked_variable(body: Body) -> dict[str, Any]:
    found: dict[str, Any] = {
        "DisplayName": body.text("DisplayName") or UNSET,
        "Value": body.text("Value"),
        "MappingType": body.member("MappingType", MAPPING_TYPES),
    }
    return {name: value for name, value in found.items() if value is not UNSET}


def _set_variable(cycle: Cycle, changes: dict[str, Any], system_name: str) -> dict[str, Any]:
    """Create or change a variable of that system name, and return it."""
    usual = {"DisplayName": system_name, "SystemName": system_name, "Value": None, "MappingType": None}
    row = {**cycle.variables.get(system_name.lower(), usual), **changes}
    cycle.variables[system_name.lower()] = row
    return row


def _system_name(body: Body) -> str:
    """Return the system name of a variable; without one, what is left of the display name without signs."""
    found = body.word("SystemName") or re.sub(r"\W", "", body.word("DisplayName"))
    if not found:
        raise RefusedError(400, "DisplayName is required")
    return found


def _variables(call: Call) -> Reply:
    found = ordered(call, _cycle(call).variables.values(), name=lambda row: row["SystemName"].casefold())
    return paged(call, len(found), lambda place: found[place])


def _create_variable(call: Call) -> object:
    changes, name = _checked_variable(call.body), _system_name(call.body)
    return _set_variable(_cycle(call, stopped=True), changes, name)


def _set_variables(call: Call) -> object:
    if not isinstance(call.sent, list) or not all(isinstance(item, dict) for item in call.sent):
        raise invalid()
    checked = [(_checked_variable(body), _system_name(body)) for body in map(Body, call.sent)]
    cycle = _cycle(call, stopped=True)
    return [_set_variable(cycle, changes, name) for changes, name in checked]


def _variable(call: Call, *, stopped: bool = False) -> tuple[Cycle, dict[str, Any]]:
    cycle = _cycle(call, stopped=stopped)
    found = cycle.variables.get(call.keys["variable"].lower())
    if found is None:
        raise RefusedError(404)
    return cycle, found


def _get_variable(call: Call) -> object:
    return _variable(call)[1]


def _update_variable(call: Call) -> object:
    changes = _checked_variable(call.body)
    cycle, row = _variable(call, stopped=True)
    return _set_variable(cycle, changes, row["SystemName"])


def _delete_variable(call: Call) -> None:
    cycle, row = _variable(call, stopped=True)
    del cycle.variables[row["SystemName"].lower()]


def _selected(call: Call, records: Iterable[CycleRecord], kind: str = "", split_type: str = "") -> Reply:
    """Return the page of records that the query asks for, oldest first."""
    after, before = call.query.moment("after"), call.query.moment("before")
    found = [
        record
        for record in records
        if kind.casefold() in ("", record.kind.casefold())
        and split_type.casefold() in ("", record.split_type.casefold())
        and (after is None or record.at >= after)
        and (before is None or record.at < before)
    ]
    found.sort(key=lambda record: record.at)
    return paged(call, len(found), lambda place: found[place].row)


def _transactions(call: Call, cycles: Iterable[Cycle]) -> Reply:
    records = (record for cycle in cycles for record in cycle.transactions)
    return _selected(call, records, call.query.text("status"), call.query.text("splitType"))


def _all_transactions(call: Call) -> Reply:
    return _transactions(call, call.holdings.cycles.values())


def _cycle_transactions(call: Call) -> Reply:
    return _transactions(call, [_cycle(call)])


def _items(call: Call) -> object:
    records = _cycle(call).transactions
    found = next((record for record in records if record.id == call.keys["transaction"]), None)
    if found is None:
        raise RefusedError(404)
    query = call.query.text("query").casefold()
    return [item for item in found.items if query in json.dumps(item, ensure_ascii=False).casefold()]


def _incidents(call: Call, cycles: Iterable[Cycle]) -> Reply:
    wanted = call.keys.get("level", "")
    if wanted and wanted.lower() not in (level.lower() for level in INCIDENT_LEVELS):
        raise invalid()
    return _selected(call, (record for cycle in cycles for record in cycle.incidents), wanted)


def _all_incidents(call: Call) -> Reply:
    return _incidents(call, call.holdings.cycles.values())


def _cycle_incidents(call: Call) -> Reply:
    return _incidents(call, [_cycle(call)])


def _delete_incidents(call: Call) -> None:
    _cycle(call).incidents.clear()


HANDLERS: Final[dict[str, Handler]] = {
    "v1.cycles.list": _list,
    "v1.cycles.create": _create,
    "v1.cycles.get": _get,
    "v1.cycles.update": _update,
    "v1.cycles.delete": _delete,
    "v1.cycles.upgradeable": _upgradeable,
    "v1.cycles.activate": _activate,
    "v1.cycles.deactivate": _deactivate,
    "v1.cycles.prerequisites": _prerequisites,
    "v1.steps.list": _steps,
    "v1.steps.create": _create_step,
    "v1.steps.get": _get_step,
    "v1.steps.update": _update_step,
    "v1.steps.delete": _delete_step,
    "v1.edges.list": _edges,
    "v1.edges.create": _create_edge,
    "v1.edges.get": _get_edge,
    "v1.edges.delete": _delete_edge,
    "v1.variables.list": _variables,
    "v1.variables.create": _create_variable,
    "v1.variables.set": _set_variables,
    "v1.variables.get": _get_variable,
    "v1.variables.update": _update_variable,
    "v1.variables.delete": _delete_variable,
    "v1.transactions.all": _all_transactions,
    "v1.transactions.list": _cycle_transactions,
    "v1.transactions.items": _items,
    "v1.incidents.all": _all_incidents,
    "v1.incidents.list": _cycle_incidents,
    "v1.incidents.delete": _delete_incidents,
}
