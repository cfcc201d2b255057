"""What a partner can choose from: price plans, and connectors by the way they sign in."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal

import attrs

from cyclr_async.simulator.v1.definitions import ICON, Field, Method, Parameter, Trigger

__all__ = ["CONNECTORS", "PRICE_PLANS", "Catalogue", "Connector"]

SignIn = Literal["ApiKey", "Basic", "ApiKeyOrBasic", "OAuth2", "None"]

PRICE_PLANS: Final = ({"Id": "2", "Name": "Starter"}, {"Id": "3", "Name": "Pro"}, {"Id": "4", "Name": "Enterprise"})
"""The plans of the API document, and one more."""

_FIRST_ID: Final = 1001
"""Above what a test is likely to choose for an id of its own, and above what it chooses for one that does not exist."""


@attrs.frozen(slots=True)
class Connector:
    """A connector that accounts can install.

    Attributes:
        name: as requests give it in ``ConnectorName``; compared without case.
        version: as in ``ConnectorVersion``; None for one without version.
        sign_in: ``"ApiKey"``, ``"Basic"`` (user name and password), ``"ApiKeyOrBasic"``, ``"OAuth2"`` or ``"None"``.
        id: a number above 0; 0 lets the catalogue number it.
        status: ``"Approved"``, or ``"Draft"`` for one that cannot be installed through v1.0.
        description: or None.
        categories: the groups it is listed in.
        auth_type: ``AuthType`` of v1.0; None for what follows from ``sign_in``.
        parameters: its settings; those at account level can be given as properties when it is installed.
        methods: what can be called; None for three methods on invented records.
        triggers: look-ups it offers.
        icon: a data URI, or None.
    """

    name: str
    version: str | None = "v1"
    sign_in: SignIn = "ApiKey"
    id: int = attrs.field(default=0, kw_only=True)
    status: str = attrs.field(default="Approved", kw_only=True)
    description: str | None = attrs.field(default=None, kw_only=True)
    categories: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    auth_type: str | None = attrs.field(default=None, kw_only=True)
    parameters: tuple[Parameter, ...] = attrs.field(default=(), kw_only=True)
    methods: tuple[Method, ...] | None = attrs.field(default=None, kw_only=True)
    triggers: tuple[Trigger, ...] = attrs.field(default=(), kw_only=True)
    icon: str | None = attrs.field(default=ICON, kw_only=True, repr=False)

    @property
    def auth(self) -> str:
        """The ``AuthType`` of v1.0."""
        return self.auth_type or ("ApiKey" if self.sign_in == "ApiKeyOrBasic" else self.sign_in)

    def is_called(self, name: str, version: str | None = None) -> bool:
        """Whether a request means this connector; without a version the name alone counts."""
        same = self.name.casefold() == name.casefold()
        return same and (not version or (self.version or "").casefold() == version.casefold())

    def row(self) -> dict[str, Any]:
        """Return the ``Connector`` of v1.0."""
        oauth = "AuthorisationCode" if self.auth == "OAuth2" else "Unknown"
        way = {"AuthName": self.auth, "AuthDescription": None, "AuthType": self.auth, "OAuth2Type": oauth}
        return {
            "Id": self.id,
            "Name": self.name,
            "Description": self.description,
            "Status": self.status,
            "Version": self.version,
            "Icon": self.icon,
            "AuthDescription": None,
            "AuthType": self.auth,
            "OAuth2Type": oauth,
            "AuthScheme": None,
            "Categories": list(self.categories),
            "Parameters": [item.connector_row(order) for order, item in enumerate(self.parameters, 1)],
            "Authentication": [{"Id": self.authentication_id, **way, "AuthScheme": None}],
            "Triggers": None,
            "IsSystemConnector": False,
        }

    @property
    def authentication_id(self) -> str:
        """The GUID of the only way in which it signs in."""
        return _guid(f"{self.name}/{self.version}")


def _guid(text: str) -> str:
    """Return a GUID that depends on the text only: the same connector has the same in every run."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"cyclr:{text}"))


CONNECTORS: Final = (
    Connector("Connector", "v1", "ApiKeyOrBasic", categories=("Other",)),
    Connector("Mailchimp", "v1", "ApiKey", categories=("Marketing",)),
    Connector("Mailchimp", "v2", "OAuth2", categories=("Marketing",)),
    Connector(
        "SendGrid",
        "v3",
        "ApiKey",
        categories=("Marketing",),
        parameters=(
            Parameter(name="Region", target_name="Region"),
            Parameter(name="Endpoint URL", target_name="EndpointUrl", account_level=False),
        ),
    ),
    Connector("CRM", "v1", "Basic", categories=("CRMs",)),
    Connector("Jira", "v1", "Basic", categories=("Project Management",)),
    Connector("Salesforce", "v1", "OAuth2", categories=("CRMs",), triggers=(Trigger(name="List Objects"),)),
    Connector("Slack", "v1", "OAuth2", categories=("Communication",)),
    Connector("HTTP Request", "v1", "None", categories=("Other",)),
    Connector("Utility", None, "None", categories=("Other",)),
)


def _invented_methods() -> tuple[Method, ...]:
    record = {"Id": "1", "Name": "First record"}
    fields = (Field(name="Id", location="Id"), Field(name="Name", location="Name"))
    record_id = Parameter(name="Record Id", target_name="id", optional=False)
    return (
        Method(
            name="Create Record",
            description="Create a record.",
            category="Records",
            request_fields=(Field(name="Name", location="Name", optional=False),),
            response_fields=fields,
            answer=record,
        ),
        Method(
            name="Get Record",
            description="Get a record by its id.",
            category="Records",
            end_point="/records/{{id}}",
            parameters=(record_id,),
            response_fields=fields,
            answer=record,
        ),
        Method(
            name="List Records",
            description="List all records.",
            category="Records",
            response_fields=(Field(name="Id", location="[records].Id"), Field(name="Name", location="[records].Name")),
            answer={"records": [record]},
        ),
    )


class Catalogue:
    """The connectors of the partner, found by name and version, or by id.

    Args:
        connectors: what it holds first.
    """

    def __init__(self, connectors: Iterable[Connector] = CONNECTORS) -> None:
        self._first = tuple(connectors)
        self._connectors: dict[tuple[str, str], Connector] = {}
        self._by_id: dict[int, Connector] = {}
        self._methods: dict[int, tuple[Connector, Method]] = {}
        self._taken: set[int] = set()
        self.reset()

    def reset(self) -> None:
        """Hold what it held first, and begin to number again."""
        for kept in (self._connectors, self._by_id, self._methods, self._taken):
            kept.clear()
        self._numbers = itertools.count(_FIRST_ID)
        for connector in self._first:
            self.add(connector)

    def add(self, connector: Connector) -> Connector:
        """Add a connector; one with the same name and version is replaced.

        Returns:
            The connector with the ids it was given.

        Raises:
            ValueError: another connector, or another connector's method, has the same id.
        """
        key = connector.name.casefold(), (connector.version or "").casefold()
        self._remove(key)
        self.reserve((connector.id, *(method.id for method in connector.methods or ())))
        connector = self._numbered(connector)
        for method in connector.methods or ():
            if method.id in self._methods:
                raise ValueError(f"two methods have the id {method.id}")
            self._methods[method.id] = connector, method
        if connector.id in self._by_id:
            raise ValueError(f"two connectors have the id {connector.id}")
        self._connectors[key] = self._by_id[connector.id] = connector
        return connector

    def _remove(self, key: tuple[str, str]) -> None:
        old = self._connectors.get(key)
        if old is not None:
            del self._by_id[old.id]
            for method in old.methods or ():
                del self._methods[method.id]

    def reserve(self, numbers: Iterable[int]) -> None:
        """Keep these numbers from being given to anything: somebody has chosen them."""
        self._taken.update(numbers)

    def number(self) -> int:
        """Return a new number. Whatever has a whole number for an id in v1.0 gets it here, so that none comes twice."""
        return next(number for number in self._numbers if number not in self._taken)

    def _numbered(self, connector: Connector) -> Connector:
        def numbered(items: tuple[Any, ...]) -> tuple[Any, ...]:
            return tuple(item if item.id else attrs.evolve(item, id=self.number()) for item in items)

        number = connector.id or self.number()
        methods = []
        for method in _invented_methods() if connector.methods is None else connector.methods:
            unique = method.unique_id or _guid(f"{connector.name}/{connector.version}/{method.name}/{method.id}")
            methods.append(
                attrs.evolve(
                    method,
                    id=method.id or self.number(),
                    unique_id=unique.lower(),
                    parameters=numbered(method.parameters),
                    request_fields=numbered(method.request_fields),
                    response_fields=numbered(method.response_fields),
                )
            )
        return attrs.evolve(
            connector,
            id=number,
            parameters=numbered(connector.parameters),
            triggers=numbered(connector.triggers),
            methods=tuple(methods),
        )

    def find(self, name: str, version: str | None) -> Connector | None:
        """Return the connector, or None. Without a version, the only or first one with that name."""
        if version:
            return self._connectors.get((name.casefold(), version.casefold()))
        return next((found for (key, _), found in self._connectors.items() if key == name.casefold()), None)

    def by_id(self, number: int) -> Connector | None:
        """Return the connector with that id, or None."""
        return self._by_id.get(number)

    def method(self, number: int) -> Method | None:
        """Return the method with that id, or None."""
        found = self._methods.get(number)
        return None if found is None else found[1]

    def __iter__(self) -> Iterator[Connector]:
        return iter(self._connectors.values())

    def __len__(self) -> int:
        return len(self._connectors)
