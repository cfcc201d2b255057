"""What a step needs: values for its parameters and fields, and where they come from."""

from __future__ import annotations

from typing import Any, Final

from cyclr_async.simulator.domain.lenient_fields import RefusedError
from cyclr_async.simulator.v1.call import GUID, Body, Call, Handler, invalid
from cyclr_async.simulator.v1.cycles import MAPPING_TYPES
from cyclr_async.simulator.v1.definitions import Parameter
from cyclr_async.simulator.v1.holdings import Cycle, Step, StepMapping, step_prerequisites
from cyclr_async.wire.unset import UNSET

__all__ = ["HANDLERS"]


def _step(call: Call) -> tuple[Cycle | None, Step]:
    """Return the step of the path with its cycle; 404 when the account has none."""
    wanted = call.keys["step"]
    for cycle, step in call.holdings.steps():
        if step.id == wanted:
            return cycle, step
    loose = call.world.library.loose_steps.get(wanted)
    if loose is None:
        raise RefusedError(404)
    return None, loose


def _prerequisites(call: Call) -> object:
    return step_prerequisites(_step(call)[1])


def _fields_for_mapping(call: Call) -> object:
    """The fields of the answers of all steps before this one."""
    cycle, step = _step(call)
    rows: list[dict[str, Any]] = []
    for earlier in cycle.steps.values() if cycle is not None else ():
        if earlier is step:
            break
        if earlier.method is not None:
            rows += [{**field.row(), "Step": _short(earlier)} for field in earlier.method.response_fields]
    return rows or [{**field.row(), "Step": _short(step)} for field in step.earlier]


def _short(step: Step) -> dict[str, Any]:
    return {"Id": step.id, "Name": step.name}


def _list(mappings: dict[int, StepMapping], step: Step) -> object:
    return [step.mapping_row(mappings, number) for number in mappings]


def _found(mappings: dict[int, StepMapping], number: int) -> StepMapping:
    found = mappings.get(number)
    if found is None:
        raise RefusedError(404)
    return found


def _checked(body: Body) -> dict[str, Any]:
    """Return the given parts of a mapping by attribute."""
    source = body.text("SourceStepId")
    if source and not GUID.fullmatch(source):
        raise invalid()
    found: dict[str, Any] = {
        "mapping_type": body.member("MappingType", MAPPING_TYPES),
        "value": body.text("Value"),
        "launch_visible": body.flag("IsLaunchVisible"),
        "source_step": source.lower() if source else source,
        "source_field": body.number("SourceFieldId"),
    }
    chosen, shown = body.text("TriggerValue"), body.text("TriggerValueDisplayName")
    if chosen is not UNSET:
        found["trigger_value"] = chosen, shown or None
    return {name: value for name, value in found.items() if value is not UNSET}


def _update(call: Call, mappings: dict[int, StepMapping], step: Step, number: int) -> object:
    changes = _checked(call.body)
    mapping = _found(mappings, number)
    for name, value in changes.items():
        setattr(mapping, name, value)
    return step.mapping_row(mappings, number)


def _fields(call: Call) -> object:
    step = _step(call)[1]
    return _list(step.fields, step)


def _field(call: Call) -> object:
    step = _step(call)[1]
    _found(step.fields, call.keys["field"])
    return step.mapping_row(step.fields, call.keys["field"])


def _update_field(call: Call) -> object:
    step = _step(call)[1]
    return _update(call, step.fields, step, call.keys["field"])


def _look_up_fields(call: Call) -> None:
    """Start a look-up; nobody is told how it ends."""
    _step(call)


def _parameters(call: Call) -> object:
    step = _step(call)[1]
    return _list(step.parameters, step)


def _parameter(call: Call) -> object:
    step = _step(call)[1]
    _found(step.parameters, call.keys["parameter"])
    return step.mapping_row(step.parameters, call.keys["parameter"])


def _update_parameter(call: Call) -> object:
    step = _step(call)[1]
    return _update(call, step.parameters, step, call.keys["parameter"])


def _look_up_parameter(call: Call) -> object:
    step = _step(call)[1]
    parameter = _found(step.parameters, call.keys["parameter"]).what
    wanted = call.body.number("TriggerId")
    if not isinstance(wanted, int):
        raise invalid()
    triggers = (parameter.triggers or ()) if isinstance(parameter, Parameter) else ()
    found = next((trigger for trigger in triggers if trigger.id == wanted), None)
    if found is None:
        raise RefusedError(404)
    return [choice.row() for choice in found.answers]


HANDLERS: Final[dict[str, Handler]] = {
    "v1.steps.prerequisites": _prerequisites,
    "v1.steps.fields_for_mapping": _fields_for_mapping,
    "v1.field_mappings.list": _fields,
    "v1.field_mappings.lookup": _look_up_fields,
    "v1.field_mappings.get": _field,
    "v1.field_mappings.update": _update_field,
    "v1.parameters.list": _parameters,
    "v1.parameters.get": _parameter,
    "v1.parameters.update": _update_parameter,
    "v1.parameters.lookup": _look_up_parameter,
}
