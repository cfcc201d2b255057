"""The connectors of an account: their properties, custom fields, calls and look-ups, and connectors of its own."""

from __future__ import annotations

from typing import Any, Final

import attrs

from cyclr_async.simulator.domain.catalogue import Connector
from cyclr_async.simulator.domain.lenient_fields import RefusedError
from cyclr_async.simulator.replies import Reply
from cyclr_async.simulator.v1.call import GUID, Body, Call, Handler, invalid, paged, whole
from cyclr_async.simulator.v1.connectors import ordered
from cyclr_async.simulator.v1.definitions import Method
from cyclr_async.simulator.v1.holdings import NO_GUID, AccountConnector, CustomConnector
from cyclr_async.simulator.v1.install import refuse_name_in_use
from cyclr_async.wire.unset import UNSET

__all__ = ["HANDLERS"]


def _own(call: Call) -> AccountConnector:
    """Return the account connector of the path; 404 when there is none."""
    found = call.holdings.connectors.get(call.keys["own"])
    if found is None:
        raise RefusedError(404)
    return found


def _list(call: Call) -> Reply:
    found = list(call.holdings.connectors.values())
    return paged(call, len(found), lambda place: found[place].row())


def _get(call: Call) -> object:
    return _own(call).row()


def _update(call: Call) -> object:
    own, body = _own(call), call.body
    name = body.word("Name")
    if name:
        refuse_name_in_use(call.holdings, name, own)
        own.name = name
    description, value = body.text("Description"), body.text("AuthValue")
    if description is not UNSET:
        own.description = description
    if value is not UNSET:
        own.auth_value, own.authenticated = value or None, bool(value) or own.connector.auth == "None"
    return own.row()


def _delete(call: Call) -> None:
    own = _own(call)
    call.holdings.stop_users_of(own)
    del call.holdings.connectors[own.id]


def _deauthenticate(call: Call) -> object:
    own = _own(call)
    own.auth_value, own.authenticated = None, False
    call.holdings.stop_users_of(own)
    return {"Message": f"Connector '{own.name}' successfully de-authenticated."}


def _properties(call: Call) -> Reply:
    own = _own(call)
    found = ordered(call, own.properties, id=lambda key: key, name=lambda key: own.properties[key]["Name"].casefold())
    return paged(call, len(found), lambda place: own.property_row(found[place]))


def _create_property(call: Call) -> object:
    own, body = _own(call), call.body
    number = call.world.catalogue.number()
    own.properties[number] = {"Name": body.required("Name"), "Value": body.text("Value") or None}
    return own.property_row(number)


def _property(call: Call) -> tuple[AccountConnector, int]:
    own = _own(call)
    if call.keys["property"] not in own.properties:
        raise RefusedError(404)
    return own, call.keys["property"]


def _get_property(call: Call) -> object:
    own, number = _property(call)
    return own.property_row(number)


def _update_property(call: Call) -> object:
    own, number = _property(call)
    value = call.body.text("Value")
    own.properties[number]["Name"] = call.body.word("Name") or own.properties[number]["Name"]
    if value is not UNSET:
        own.properties[number]["Value"] = value
    return own.property_row(number)


def _delete_property(call: Call) -> None:
    own, number = _property(call)
    del own.properties[number]


def _guid_of(body: Body, name: str, usual: str) -> str:
    given = body.word(name) or usual
    if not GUID.fullmatch(given):
        raise invalid()
    return given.lower()


def _field_row(body: Body, number: int, old: dict[str, Any]) -> dict[str, Any]:
    """Return a custom field with what the body changes of the old one."""
    found: dict[str, Any] = {"Id": number}
    for name in ("ConnectorField", "SystemField", "DisplayName", "Description", "DataType"):
        given = body.text(name)
        found[name] = old.get(name) if given is UNSET else given
    found["DataType"] = found["DataType"] or "Text"
    found["MethodUniqueIdentifier"] = _guid_of(
        body, "MethodUniqueIdentifier", old.get("MethodUniqueIdentifier", NO_GUID)
    )
    for name in ("DataTypeFormat", "EntityIdentifier"):
        given = body.text(name)
        found[name] = old.get(name) if given is UNSET else given
    flag = body.flag("ForRequestFormat")
    found["ForRequestFormat"] = old.get("ForRequestFormat", False) if flag is UNSET else flag
    return found


def _fields(call: Call) -> Reply:
    found = ordered(
        call,
        _own(call).fields.values(),
        id=lambda row: row["Id"],
        name=lambda row: (row["DisplayName"] or "").casefold(),
    )
    return paged(call, len(found), lambda place: found[place])


def _create_field(call: Call) -> object:
    own, number = _own(call), call.world.catalogue.number()
    own.fields[number] = _field_row(call.body, number, {})
    return own.fields[number]


def _field(call: Call) -> tuple[AccountConnector, int]:
    own = _own(call)
    if call.keys["field"] not in own.fields:
        raise RefusedError(404)
    return own, call.keys["field"]


def _get_field(call: Call) -> object:
    own, number = _field(call)
    return own.fields[number]


def _update_field(call: Call) -> object:
    own, number = _field(call)
    own.fields[number] = _field_row(call.body, number, own.fields[number])
    return own.fields[number]


def _delete_field(call: Call) -> None:
    own, number = _field(call)
    del own.fields[number]


def _method(call: Call, own: AccountConnector) -> Method:
    wanted = call.keys["method"]
    for method in own.connector.methods or ():
        if wanted in (method.id, method.unique_id):
            return method
    raise RefusedError(404)


def _call(call: Call) -> object:
    own = _own(call)
    method = _method(call, own)
    body = Body({}) if call.sent is None else call.body
    known = {
        "Parameters": {item.id for item in method.parameters},
        "Fields": {item.id for item in method.request_fields},
    }
    for name, ids in known.items():
        given = body.value(name)
        if given is UNSET or given is None:
            continue
        if not isinstance(given, dict):
            raise invalid()
        for key in given:
            if whole(key) not in ids:
                raise RefusedError(400, f"{name[:-1]} with ID '{key[:100]}' could not be found.")
    if not own.authenticated:
        raise RefusedError(400, f"Connector '{own.name}' is not authenticated.")
    return method.answer if method.answer is not None else Reply(200, b"null")


def _trigger(call: Call) -> object:
    for trigger in _own(call).connector.triggers:
        if trigger.id == call.keys["trigger"]:
            return [choice.row() for choice in trigger.answers]
    raise RefusedError(404)


def _customs(call: Call) -> Reply:
    found = ordered(
        call,
        call.holdings.customs.values(),
        id=lambda custom: custom.id,
        name=lambda custom: custom.connector.name.casefold(),
    )
    return paged(call, len(found), lambda place: found[place].row())


def _checked_definition(call: Call) -> str:
    """Return the name of a connector that is defined by the body; 400 when it is no definition."""
    body = call.body
    if not GUID.fullmatch(body.word("UniqueIdentifier")):
        raise RefusedError(400, "Invalid connector: (UniqueIdentifier must be a GUID)")
    name = body.word("Name")
    if not name:
        raise RefusedError(400, "Invalid connector: (Column 'Name' cannot be null)")
    return name


def _create_custom(call: Call) -> object:
    name = _checked_definition(call)
    number = call.world.catalogue.number()
    connector = Connector(name, None, "None", id=number, categories=("Custom",), methods=())
    custom = CustomConnector(number, dict(call.body.raw), connector)
    call.holdings.customs[number] = custom
    return custom.row()


def _custom(call: Call) -> CustomConnector:
    found = call.holdings.customs.get(call.keys["custom"])
    if found is None:
        raise RefusedError(404)
    return found


def _get_custom(call: Call) -> object:
    return _custom(call).row()


def _update_custom(call: Call) -> object:
    custom = _custom(call)
    name = _checked_definition(call)
    custom.definition, custom.connector = dict(call.body.raw), attrs.evolve(custom.connector, name=name)
    return custom.row()


def _delete_custom(call: Call) -> None:
    del call.holdings.customs[_custom(call).id]


HANDLERS: Final[dict[str, Handler]] = {
    "v1.account_connectors.list": _list,
    "v1.account_connectors.get": _get,
    "v1.account_connectors.update": _update,
    "v1.account_connectors.delete": _delete,
    "v1.account_connectors.deauthenticate": _deauthenticate,
    "v1.account_connectors.call": _call,
    "v1.account_connectors.test": _call,
    "v1.account_connectors.trigger": _trigger,
    "v1.properties.list": _properties,
    "v1.properties.create": _create_property,
    "v1.properties.get": _get_property,
    "v1.properties.update": _update_property,
    "v1.properties.delete": _delete_property,
    "v1.fields.list": _fields,
    "v1.fields.create": _create_field,
    "v1.fields.get": _get_field,
    "v1.fields.update": _update_field,
    "v1.fields.delete": _delete_field,
    "v1.custom.list": _customs,
    "v1.custom.create": _create_custom,
    "v1.custom.get": _get_custom,
    "v1.custom.update": _update_custom,
    "v1.custom.delete": _delete_custom,
}
