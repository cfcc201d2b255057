"""Connectors into accounts: what v1.0, the partner API, LAUNCH and templates have in common."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import attrs

from cyclr_async.simulator.domain.lenient_fields import RefusedError
from cyclr_async.simulator.v1.call import GUID, Body, invalid
from cyclr_async.simulator.v1.holdings import AccountConnector, Holdings

if TYPE_CHECKING:
    from cyclr_async.simulator.domain.catalogue import Catalogue, Connector
    from cyclr_async.simulator.domain.partner_state import AccountRecord
    from cyclr_async.simulator.domain.simulator_state import SimulatorState

__all__ = [
    "authenticate_connectors",
    "check_authentication_id",
    "checked_properties",
    "find_or_install",
    "install_connector",
    "refuse_name_in_use",
    "wanted_connectors",
]


def refuse_name_in_use(holdings: Holdings, name: str, but: AccountConnector | None = None) -> None:
    """Refuse a name that another connector of the account has: 400."""
    other = holdings.connector_named(name)
    if other is not None and other is not but:
        raise RefusedError(400, f"Account connector name '{name[:200]}' is in use.")


def checked_properties(connector: Connector, given: Iterable[Body]) -> list[tuple[str, str | None]]:
    """Return names and values of the properties that are given at install.

    Raises:
        RefusedError: 400 for one that the connector does not have, or that is not at account level.
    """
    found = []
    for item in given:
        name = item.text("Name") or ""
        parameter = next((one for one in connector.parameters if one.target_name.lower() == name.lower()), None)
        if parameter is None:
            raise RefusedError(400, f"There is not a connector property that matches name '{name[:200]}'.")
        if not parameter.account_level:
            raise RefusedError(400, f"Connector property name '{name[:200]}' is not an account connector property.")
        found.append((parameter.target_name, item.text("Value") or None))
    return found


def install_connector(
    catalogue: Catalogue,
    holdings: Holdings,
    connector: Connector,
    name: str,
    *,
    number: int = 0,
    auth_value: str | None = None,
    properties: Iterable[tuple[str, str | None]] = (),
) -> AccountConnector:
    """Install a connector in an account.

    Args:
        catalogue: gives the numbers.
        holdings: of the account.
        connector: which one.
        name: in the account, where no other has it.
        number: the id; 0 for a new one.
        auth_value: what it signs in with; with any, and without need of any, it is authenticated.
        properties: names and values.
    """
    own = AccountConnector(
        id=number or catalogue.number(),
        name=name,
        connector=connector,
        auth_value=auth_value,
        authenticated=bool(auth_value) or connector.auth == "None",
    )
    for target_name, value in properties:
        own.properties[catalogue.number()] = {"Name": target_name, "Value": value}
    holdings.connectors[own.id] = own
    return own


def find_or_install(catalogue: Catalogue, holdings: Holdings, connector: Connector) -> AccountConnector:
    """Return the account's connector of that kind, an authenticated one first; install it when there is none."""
    same = [own for own in holdings.connectors.values() if own.connector.id == connector.id]
    if same:
        return next((own for own in same if own.authenticated), same[0])
    name, count = connector.name, 1
    while holdings.connector_named(name) is not None:
        count += 1
        name = f"{connector.name} {count}"
    return install_connector(catalogue, holdings, connector, name)


@attrs.frozen(slots=True)
class _Wanted:
    connector: Connector
    auth_value: str | None
    properties: list[tuple[str, str | None]]


def wanted_connectors(world: SimulatorState, body: Body) -> list[_Wanted]:
    """Return what ``ConnectorAuthentications`` and ``PartnerConnector`` of a LAUNCH ask for.

    Raises:
        RefusedError: 400 when a connector or property does not exist.
    """
    found = []
    for item in (*body.objects("ConnectorAuthentications"), *body.objects("PartnerConnector")):
        check_authentication_id(item)
        connector = world.catalogue.find(item.word("Name"), item.word("Version") or None)
        if connector is None:
            raise RefusedError(400, f"Connector '{item.word('Name')[:100]}' could not be found.")
        properties = checked_properties(connector, item.objects("Properties"))
        found.append(_Wanted(connector, item.text("AuthValue") or None, properties))
    return found


def check_authentication_id(body: Body) -> None:
    """Refuse an ``AuthenticationId`` that is no GUID: 400."""
    given: Any = body.text("AuthenticationId")
    if given and not GUID.fullmatch(given):
        raise invalid()


def authenticate_connectors(world: SimulatorState, record: AccountRecord, wanted: list[_Wanted]) -> None:
    """Install and authenticate in an account what a LAUNCH brings along."""
    for item in wanted:
        own = find_or_install(world.catalogue, record.holdings, item.connector)
        if item.auth_value is not None:
            own.auth_value, own.authenticated = item.auth_value, True
        for name, value in item.properties:
            same = next((number for number, kept in own.properties.items() if kept["Name"] == name), None)
            own.properties[same or world.catalogue.number()] = {"Name": name, "Value": value}
