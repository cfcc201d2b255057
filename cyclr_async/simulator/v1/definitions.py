"""What a connector consists of: parameters, methods with their answers, triggers. Nothing here ever changes."""

from __future__ import annotations

from typing import Any, Final

import attrs

__all__ = ["ICON", "Choice", "Field", "Method", "Parameter", "Trigger"]

ICON: Final = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
"""One grey dot, for whatever has no icon of its own: the smallest PNG that browsers show."""


@attrs.frozen(slots=True)
class Choice:
    """One of the answers to a look-up: ``{"Name": …, "Value": …}``."""

    name: str
    value: str

    def row(self) -> dict[str, Any]:
        """Return it as the API writes it."""
        return {"Name": self.name, "Value": self.value}


@attrs.frozen(slots=True, kw_only=True)
class Trigger:
    """A look-up that a connector or a parameter offers.

    Attributes:
        id: ``TriggerId``; 0 lets the simulator number it.
        name: what it looks up.
        method_id: the method behind it.
        answers: what it finds.
    """

    id: int = 0
    name: str = "Look up"
    method_id: int | None = None
    answers: tuple[Choice, ...] = (Choice("First", "1"), Choice("Second", "2"))

    def row(self, account_connector: int | None = None) -> dict[str, Any]:
        """Return it as the API writes it; the account connector is null outside an account."""
        return {
            "TriggerId": self.id,
            "AccountConnectorId": account_connector,
            "MethodId": self.method_id,
            "Name": self.name,
            "HumanReadableKey": "Name",
            "IdentifierKey": "Value",
            "SubTriggers": [],
            "EntityId": None,
        }


@attrs.frozen(slots=True, kw_only=True)
class Parameter:
    """A parameter of a connector, or of one of its methods.

    Attributes:
        id: 0 lets the simulator number it.
        name: as people see it.
        target_name: as the third party sees it, and the ``Name`` of a property at install.
        target_type: where it goes, such as ``MergeField`` or ``HttpHeader``.
        account_level: True when each account has a value of its own; of parameters of a connector only.
        optional: whether it may be left out.
        sensitive: whether its value is a secret.
        data_type: such as ``Text``.
        description: or None.
        values: the values that are allowed, or None for any.
        triggers: look-ups of values; of parameters of a step only.
    """

    id: int = 0
    name: str
    target_name: str
    target_type: str = "MergeField"
    account_level: bool = True
    optional: bool = True
    sensitive: bool = False
    data_type: str = "Text"
    description: str | None = None
    values: tuple[str, ...] | None = None
    triggers: tuple[Trigger, ...] | None = None

    def row(self, order: int = 1, account_connector: int | None = None) -> dict[str, Any]:
        """Return it as the API writes it."""
        triggers = self.triggers
        return {
            "TargetType": self.target_type,
            "TargetName": self.target_name,
            "IsSensitive": self.sensitive,
            "Id": self.id,
            "Name": self.name,
            "Description": self.description,
            "IsOptional": self.optional,
            "DataType": self.data_type,
            "TriggerName": triggers[0].name if triggers else None,
            "Values": None if self.values is None else list(self.values),
            "DisplayOrder": order,
            "Triggers": None if triggers is None else [trigger.row(account_connector) for trigger in triggers],
        }

    def connector_row(self, order: int = 1) -> dict[str, Any]:
        """Return it as a parameter of a connector."""
        return {"IsAccountConnectorProperty": self.account_level, **self.row(order)}


@attrs.frozen(slots=True, kw_only=True)
class Field:
    """A field of what a method sends or answers.

    Attributes:
        id: 0 lets the simulator number it.
        name: as people see it.
        location: where it is in the data, such as ``[records].Id``.
        optional: whether it may be left out.
        data_type: such as ``Text``.
        description: or None.
    """

    id: int = 0
    name: str
    location: str
    optional: bool = True
    data_type: str = "Text"
    description: str | None = None

    def row(self, order: int = 1) -> dict[str, Any]:
        """Return it as the API writes it."""
        return {
            "Location": self.location,
            "Id": self.id,
            "Name": self.name,
            "Description": self.description,
            "IsOptional": self.optional,
            "DataType": self.data_type,
            "TriggerName": None,
            "Values": None,
            "DisplayOrder": order,
            "Triggers": None,
        }


@attrs.frozen(slots=True, kw_only=True)
class Method:
    """A method of a connector.

    Attributes:
        id: 0 lets the simulator number it.
        unique_id: ``MethodUniqueIdentifier``, a GUID; empty lets the simulator make one.
        name: of the method.
        description: what it does.
        category: the group it is listed in.
        method_type: such as ``Action``.
        end_point: at the third party.
        parameters: of the call.
        request_fields: of the body that is sent.
        response_fields: of the answer.
        answer: what the third party answers whenever it is called; any JSON.
    """

    id: int = 0
    unique_id: str = ""
    name: str
    description: str
    category: str = "General"
    method_type: str = "Action"
    end_point: str = "/records"
    parameters: tuple[Parameter, ...] = ()
    request_fields: tuple[Field, ...] = ()
    response_fields: tuple[Field, ...] = ()
    answer: Any = attrs.field(factory=dict)

    def row(self) -> dict[str, Any]:
        """Return it as the API writes it."""
        return {
            "Id": self.id,
            "Name": self.name,
            "Description": self.description,
            "Category": self.category,
            "MethodType": self.method_type,
            "EndPoint": self.end_point,
            "Parameters": [item.row(order) for order, item in enumerate(self.parameters, 1)],
            "MethodUniqueIdentifier": self.unique_id,
            "Warning": None,
            "CreateWebhookMethod": None,
            "DeleteWebhookMethod": None,
            "RequestFields": [item.row(order) for order, item in enumerate(self.request_fields, 1)],
            "ResponseFields": [item.row(order) for order, item in enumerate(self.response_fields, 1)],
        }
