"""Templates, and the cycles that are made from them."""

from __future__ import annotations

from typing import Any, Final

from cyclr_async.simulator.domain.lenient_fields import RefusedError
from cyclr_async.simulator.replies import Reply
from cyclr_async.simulator.v1.call import GUID, Body, Call, Handler, paged
from cyclr_async.simulator.v1.connectors import ordered
from cyclr_async.simulator.v1.holdings import Cycle, CycleConnector, Step
from cyclr_async.simulator.v1.install import find_or_install
from cyclr_async.simulator.v1.library import Template

__all__ = ["HANDLERS", "tagged_and_using"]


def tagged_and_using(call: Call, tags: tuple[str, ...], connectors: list[CycleConnector]) -> bool:
    """Whether something has the tag, and uses the connector, that the query names."""
    query = call.query
    tag, name, version = query.text("tag"), query.text("connectorName"), query.text("connectorVersion")
    if tag and tag.casefold() not in (own.casefold() for own in tags):
        return False
    return not name or any(item.connector.is_called(name, version) for item in connectors)


def _template(call: Call) -> Template:
    """Return the template of the path; 404 when there is none."""
    found = call.world.library.templates.get(call.keys["template"])
    if found is None:
        raise RefusedError(404)
    return found


def _list(call: Call) -> Reply:
    icons = call.query.flag("includeIcons", usual=False)
    for name in ("lookupCustomFields", "includePrerequisites", "includeOptional"):
        call.query.flag(name, usual=False)
    found = [
        template
        for template in call.world.library.templates.values()
        if tagged_and_using(call, template.tags, list(template.connectors))
    ]
    found = ordered(call, found, id=lambda one: one.id, name=lambda one: one.name.casefold())
    return paged(call, len(found), lambda place: found[place].row(icons=icons))


def _get(call: Call) -> object:
    template = _template(call)
    more: dict[str, Any] = {"Prerequisites": [], "Steps": []}
    return {**template.row(icons=call.query.flag("includeIcons", usual=False)), **more}


def _export(call: Call) -> object:
    return _template(call).row(icons=False)


def _import(call: Call) -> object:
    folder = call.query.text("folderid")
    if folder and not GUID.fullmatch(folder):
        raise RefusedError(400, "Folder ID is invalid.")
    if folder:  # folders exist in the console only, and the simulator has none
        raise RefusedError(400, "Folder with provided ID could not be found.")
    body = Body(call.sent) if isinstance(call.sent, dict) else Body({})
    if not body.word("Name"):
        raise RefusedError(400, "Failed to import template.")
    used = []
    for item in body.objects("Connectors"):
        connector = call.world.catalogue.find(item.word("Name"), item.word("Version") or None)
        if connector is None:
            raise RefusedError(400, "Failed to import template.")
        steps = item.number("StepCount")
        used.append(CycleConnector(connector, max(1, min(steps, 100)) if isinstance(steps, int) else 1))
    library = call.world.library
    template = Template(
        id=library.guid(),
        name=body.word("Name"),
        description=body.text("Description") or None,
        tags=body.texts("Tags") or (),
        connectors=tuple(used[:100]),
    )
    library.add_template(template)
    return template.row(icons=False)


def _install(call: Call) -> object:
    template, world = _template(call), call.world
    steps: list[Step] = []
    for item in template.connectors:
        own = find_or_install(world.catalogue, call.holdings, item.connector)
        methods = item.connector.methods or ()
        for _ in range(item.steps):
            method = methods[len(steps) % len(methods)] if methods else None
            name = method.name if method else item.connector.name
            step = Step(id=world.library.guid(), name=name, account_connector=own, method=method, left=120 * len(steps))
            step.map_method()
            steps.append(step)
    cycle = Cycle(
        id=world.library.guid(),
        created=world.clock.now(),
        name=call.body.word("Name") or template.name,
        description=template.description,
        tags=template.tags,
        template_id=template.id,
        steps={step.id: step for step in steps},
        edges=world.library.edges(steps),
    )
    call.holdings.cycles[cycle.id] = cycle
    return cycle.row(icons=call.query.flag("includeIcons", usual=False))


HANDLERS: Final[dict[str, Handler]] = {
    "v1.templates.list": _list,
    "v1.templates.get": _get,
    "v1.templates.export": _export,
    "v1.templates.import": _import,
    "v1.templates.install": _install,
}
