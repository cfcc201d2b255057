"""What a partner can choose from: price plans, and connectors by the way they sign in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Literal

import attrs

__all__ = ["CONNECTORS", "PRICE_PLANS", "Catalogue", "Connector"]

SignIn = Literal["ApiKey", "Basic", "ApiKeyOrBasic", "OAuth2", "None"]

PRICE_PLANS: Final = ({"Id": "2", "Name": "Starter"}, {"Id": "3", "Name": "Pro"}, {"Id": "4", "Name": "Enterprise"})
"""The plans of the API document, and one more."""


@attrs.frozen(slots=True)
class Connector:
    """A connector that accounts can install.

    Attributes:
        name: as requests give it in ``ConnectorName``; compared without case.
        version: as in ``ConnectorVersion``; None for one without version.
        sign_in: ``"ApiKey"``, ``"Basic"`` (user name and password), ``"ApiKeyOrBasic"``, ``"OAuth2"`` or ``"None"``.
    """

    name: str
    version: str | None = "v1"
    sign_in: SignIn = "ApiKey"


CONNECTORS: Final = (
    Connector("Connector", "v1", "ApiKeyOrBasic"),
    Connector("Mailchimp", "v1", "ApiKey"),
    Connector("Mailchimp", "v2", "OAuth2"),
    Connector("SendGrid", "v3", "ApiKey"),
    Connector("CRM", "v1", "Basic"),
    Connector("Jira", "v1", "Basic"),
    Connector("Salesforce", "v1", "OAuth2"),
    Connector("Slack", "v1", "OAuth2"),
    Connector("HTTP Request", "v1", "None"),
    Connector("Utility", None, "None"),
)


class Catalogue:
    """The connectors of the partner, found by name and version.

    Args:
        connectors: what it holds first.
    """

    def __init__(self, connectors: Iterable[Connector] = CONNECTORS) -> None:
        self._connectors: dict[tuple[str, str], Connector] = {}
        for connector in connectors:
            self.add(connector)

    def add(self, connector: Connector) -> None:
        """Add a connector; one with the same name and version is replaced."""
        self._connectors[connector.name.casefold(), (connector.version or "").casefold()] = connector

    def find(self, name: str, version: str | None) -> Connector | None:
        """Return the connector, or None. Without a version, the only or first one with that name."""
        if version:
            return self._connectors.get((name.casefold(), version.casefold()))
        return next((found for (key, _), found in self._connectors.items() if key == name.casefold()), None)

    def __iter__(self) -> Iterator[Connector]:
        return iter(self._connectors.values())

    def __len__(self) -> int:
        return len(self._connectors)
