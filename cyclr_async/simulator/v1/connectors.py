"""The catalogue, and installing from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from cyclr_async.simulator.domain.lenient_fields import RefusedError
from cyclr_async.simulator.replies import Reply
from cyclr_async.simulator.v1.call import Call, Handler, paged
from cyclr_async.simulator.v1.install import (
    check_authentication_id,
    checked_properties,
    install_connector,
    refuse_name_in_use,
)

if TYPE_CHECKING:
    from cyclr_async.simulator.domain.catalogue import Connector

__all__ = ["HANDLERS", "ordered"]

T = TypeVar("T")


def ordered(call: Call, items: Iterable[T], **keys: Callable[[T], Any]) -> list[T]:
    """Return the items by the key that ``orderBy`` names; as they are when it names none that is known."""
    key = keys.get(call.query.text("orderBy").lower())
    return list(items) if key is None else sorted(items, key=key)


def _all(call: Call) -> list[Connector]:
    customs = call.account.holdings.customs.values() if call.account is not None else ()
    return [*call.world.catalogue, *(custom.connector for custom in customs)]


def _is_id(part: str) -> bool:
    return part.isascii() and part.isdecimal()


def _named(call: Call) -> list[Connector]:
    """Return the connectors that the path means; 404 when there is none. A part of digits only is an id."""
    name = call.keys["connector"]
    if _is_id(name):
        found = [connector for connector in _all(call) if connector.id == int(name[:18])]
    else:
        found = [connector for connector in _all(call) if connector.is_called(name, call.keys.get("version"))]
    if not found:
        raise RefusedError(404)
    return found


def _list(call: Call) -> Reply:
    query, category = call.query.text("query").casefold(), call.query.text("category").casefold()
    customs = call.query.flag("includeCustomConnectors", usual=True)
    found = [
        connector
        for connector in (_all(call) if customs else call.world.catalogue)
        if query in connector.name.casefold()
        and (not category or category in (own.casefold() for own in connector.categories))
    ]
    found = ordered(call, found, id=lambda one: one.id, name=lambda one: (one.name.casefold(), one.id))
    return paged(call, len(found), lambda place: found[place].row())


def _get(call: Call) -> object:
    rows = [connector.row() for connector in _named(call)]
    return rows[0] if _is_id(call.keys["connector"]) else rows


def _methods(call: Call) -> object:
    query, category = call.query.text("query").casefold(), call.query.text("category").casefold()
    methods = [
        method
        for method in _named(call)[0].methods or ()
        if query in method.name.casefold() and category in ("", method.category.casefold())
    ]
    methods.sort(key=lambda method: (method.category.casefold(), method.name.casefold()))
    return [method.row() for method in methods]


def _method(call: Call) -> object:
    method = call.world.catalogue.method(call.keys["method"])
    if method is None:
        raise RefusedError(404)
    return method.row()


def _install(call: Call) -> object:
    connector = _named(call)[0]
    if call.sent is None:  # the text null, which the real server stumbles over
        raise RefusedError(500, "An error has occurred.")
    body, holdings = call.body, call.holdings
    if connector.status == "Draft":
        raise RefusedError(400, f"Connector {connector.id} is a draft and cannot be installed.")
    check_authentication_id(body)
    properties = checked_properties(connector, body.objects("Properties"))
    name = body.word("Name") or connector.name
    refuse_name_in_use(holdings, name)
    own = install_connector(
        call.world.catalogue,
        holdings,
        connector,
        name,
        auth_value=body.text("AuthValue") or None,
        properties=properties,
    )
    own.description = body.text("Description") or None
    own.partner_integration = body.flag("IsPartnerIntegrationConnector") is True
    return own.row()


HANDLERS: Final[dict[str, Handler]] = {
    "v1.connectors.list": _list,
    "v1.connectors.get": _get,
    "v1.connectors.methods": _methods,
    "v1.connectors.install": _install,
    "v1.methods.get": _method,
}
