"""What one account holds in v1.0: connectors, cycles with their steps, and connectors of its own making."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import attrs

from cyclr_async.simulator.domain.catalogue import Connector
from cyclr_async.simulator.v1.dates import moment_text
from cyclr_async.simulator.v1.definitions import Field, Method, Parameter

__all__ = [
    "NO_GUID",
    "AccountConnector",
    "CustomConnector",
    "Cycle",
    "CycleConnector",
    "CycleRecord",
    "Edge",
    "Holdings",
    "Step",
    "StepMapping",
    "step_prerequisites",
]

NO_GUID: Final = "00000000-0000-0000-0000-000000000000"


@attrs.define(slots=True, kw_only=True, eq=False)
class AccountConnector:
    """A connector that was installed in an account.

    Attributes:
        id: a number.
        name: in the account; no two are the same.
        connector: of the catalogue, with the triggers of this account.
        description: or None.
        auth_value: what it signs in with.
        authenticated: whether it can be called.
        partner_integration: ``IsPartnerIntegrationConnector``.
        properties: rows ``Name``, ``Value`` and ``Id`` by their ids.
        fields: custom fields as the API writes them, by their ids.
    """

    id: int
    name: str
    connector: Connector
    description: str | None = None
    auth_value: str | None = attrs.field(default=None, repr=False)
    authenticated: bool = False
    partner_integration: bool = False
    properties: dict[int, dict[str, Any]] = attrs.field(factory=dict, repr=False)
    fields: dict[int, dict[str, Any]] = attrs.field(factory=dict)

    def property_row(self, number: int) -> dict[str, Any]:
        """Return a property as the API writes it."""
        return {**self.properties[number], "Id": number, "AccountConnectorId": self.id}

    def row(self) -> dict[str, Any]:
        """Return the ``AccountConnector``; what it signs in with is in it, as in the real API."""
        triggers = [trigger.row(self.id) for trigger in self.connector.triggers]
        return {
            "Id": self.id,
            "Name": self.name,
            "Description": self.description,
            "AuthValue": self.auth_value,
            "Authenticated": self.authenticated,
            "Connector": {**self.connector.row(), "Triggers": triggers},
            "IsPartnerIntegrationConnector": self.partner_integration,
            "Properties": [self.property_row(number) for number in self.properties],
            "CustomFields": list(self.fields.values()),
        }


@attrs.define(slots=True, eq=False)
class CustomConnector:
    """A connector that an account has made itself.

    Attributes:
        id: a number.
        definition: as it was sent.
        connector: what it is in a catalogue.
    """

    id: int
    definition: dict[str, Any]
    connector: Connector

    def row(self) -> dict[str, Any]:
        """Return it as the API writes it."""
        rest = {name: value for name, value in self.definition.items() if name.lower() not in ("id", "name")}
        return {**rest, "Id": self.id, "Name": self.connector.name}


@attrs.define(slots=True, kw_only=True, eq=False)
class StepMapping:
    """Where the value of a parameter or a field of a step comes from.

    Attributes:
        what: the parameter or field.
        mapping_type: such as ``StaticValue``; None as long as nobody has chosen.
        value: of a static value.
        launch_visible: whether the end user is asked for it.
        source_step: the step whose field is used.
        source_field: the field of that step.
        trigger_value: the choice among what a look-up found, and its name.
    """

    what: Parameter | Field
    mapping_type: str | None = None
    value: str | None = None
    launch_visible: bool = False
    source_step: str | None = None
    source_field: int | None = None
    trigger_value: tuple[str | None, str | None] = (None, None)

    def row(self, order: int, account_connector: int | None) -> dict[str, Any]:
        """Return the ``Mapping``, or the ``ParameterMapping`` of a parameter."""
        of: dict[str, Any]
        if isinstance(self.what, Parameter):
            of = {"Parameter": self.what.row(order, account_connector), "IsEntityIdentifier": False}
        else:
            of = {"Field": self.what.row(order)}
        return {
            **of,
            "MappingType": self.mapping_type,
            "SourceFieldId": self.source_field,
            "SourceStepId": self.source_step,
            "TriggerValue": self.trigger_value[0],
            "TriggerValueDisplayName": self.trigger_value[1],
            "Value": self.value,
            "IsLaunchVisible": self.launch_visible,
        }


@attrs.define(slots=True, kw_only=True, eq=False)
class Step:
    """A step of a cycle.

    Attributes:
        id: a GUID.
        name: of the step.
        action_type: such as ``Action``.
        description: or None.
        account_connector: what it calls, or None for a tool.
        method: of that connector, or None.
        left: of its picture.
        top: of its picture.
        parameters: by the id of the parameter.
        fields: by the id of the field.
        earlier: fields that can be mapped although no step of the cycle has them.
    """

    id: str
    name: str
    action_type: str = "Action"
    description: str | None = None
    account_connector: AccountConnector | None = None
    method: Method | None = None
    left: int = 0
    top: int = 0
    parameters: dict[int, StepMapping] = attrs.field(factory=dict)
    fields: dict[int, StepMapping] = attrs.field(factory=dict)
    earlier: tuple[Field, ...] = ()

    def map_method(self) -> None:
        """Make a mapping for each parameter and field of the method that has none."""
        if self.method is not None:
            for parameter in self.method.parameters:
                self.parameters.setdefault(parameter.id, StepMapping(what=parameter))
            for field in self.method.request_fields:
                self.fields.setdefault(field.id, StepMapping(what=field))

    def row(self) -> dict[str, Any]:
        """Return the ``Step``."""
        return {
            "Id": self.id,
            "Name": self.name,
            "Description": self.description,
            "ActionType": self.action_type,
            "AccountConnector": None if self.account_connector is None else self.account_connector.row(),
            "Method": None if self.method is None else self.method.row(),
            "DisplayPositionLeft": self.left,
            "DisplayPositionTop": self.top,
        }

    def mapping_row(self, mappings: dict[int, StepMapping], number: int) -> dict[str, Any]:
        """Return one of its mappings as the API writes it."""
        owner = None if self.account_connector is None else self.account_connector.id
        return mappings[number].row(list(mappings).index(number) + 1, owner)


@attrs.frozen(slots=True)
class Edge:
    """What leads from one step to the next."""

    id: str
    head: str
    tail: str
    type: str = "Forward"

    def row(self) -> dict[str, Any]:
        """Return the ``Edge``."""
        return {"Id": self.id, "HeadStepId": self.head, "TailStepId": self.tail, "EdgeType": self.type}


@attrs.frozen(slots=True)
class CycleConnector:
    """A connector that a cycle uses, and how many of its steps do."""

    connector: Connector
    steps: int
    account_connector: AccountConnector | None = None

    def row(self, *, icons: bool) -> dict[str, Any]:
        """Return it as in a ``Template``, and within an account as in a ``Cycle``."""
        found = {
            "Id": self.connector.id,
            "Name": self.connector.name,
            "Version": self.connector.version,
            "StepCount": self.steps,
            "Icon": self.connector.icon if icons else None,
        }
        if self.account_connector is None:
            return found
        own = self.account_connector
        return {**found, "AccountConnectorId": own.id, "Authenticated": own.authenticated}


@attrs.frozen(slots=True, kw_only=True)
class CycleRecord:
    """A transaction or an incident of a cycle.

    Attributes:
        id: of a transaction; empty for an incident.
        at: when it began.
        kind: the ``Status`` of a transaction, the ``IncidentLevel`` of an incident.
        split_type: of a transaction.
        items: of a transaction.
        row: as the API writes it.
    """

    id: str = ""
    at: datetime
    kind: str
    split_type: str = ""
    items: tuple[Any, ...] = ()
    row: dict[str, Any]


@attrs.define(slots=True, kw_only=True, eq=False)
class Cycle:
    """A cycle of an account.

    Attributes:
        id: a GUID.
        created: when.
        name: of the cycle.
        description: or None.
        status: such as ``Paused`` or ``Active``.
        shareable: whether it can be shared.
        step_error_action: what an error of a step does.
        log_requests: ``LogStepDataRequests``.
        split: ``CollectionSplitType``.
        tags: of the cycle.
        template_id: what it was installed from, or None.
        declared: connectors that it uses whatever its steps say.
        steps: by their ids.
        edges: by their ids.
        variables: as the API writes them, by their system names in lower case.
        transactions: latest last.
        incidents: latest last.
    """

    id: str
    created: datetime
    name: str
    description: str | None = None
    status: str = "Paused"
    shareable: bool = False
    step_error_action: str = "Stop"
    log_requests: bool = True
    split: str = "None"
    tags: tuple[str, ...] = ()
    template_id: str | None = None
    declared: tuple[AccountConnector, ...] = ()
    steps: dict[str, Step] = attrs.field(factory=dict)
    edges: dict[str, Edge] = attrs.field(factory=dict)
    variables: dict[str, dict[str, Any]] = attrs.field(factory=dict)
    transactions: list[CycleRecord] = attrs.field(factory=list)
    incidents: list[CycleRecord] = attrs.field(factory=list)

    @property
    def running(self) -> bool:
        """Whether it must be stopped before it can be changed."""
        return self.status == "Active"

    def connectors(self) -> list[CycleConnector]:
        """Return what it uses: first what was declared, then what its steps use besides."""
        used = [step.account_connector for step in self.steps.values() if step.account_connector is not None]
        distinct = {own.id: own for own in (*self.declared, *used)}
        return [CycleConnector(own.connector, used.count(own), own) for own in distinct.values()]

    def row(self, *, icons: bool) -> dict[str, Any]:
        """Return the ``Cycle``."""
        last = max((record.at for record in self.transactions), default=None)
        return {
            "Id": self.id,
            "CreatedOnUtc": moment_text(self.created),
            "TasksUsed": 0,
            "ErrorCount": sum(incident.kind == "Error" for incident in self.incidents),
            "WarningCount": sum(incident.kind == "Warning" for incident in self.incidents),
            "Connectors": [item.row(icons=icons) for item in self.connectors()],
            "Status": self.status,
            "LastSuccessfulRunDate": moment_text(last),
            "InProgressTransactionCount": 0,
            "Name": self.name,
            "Description": self.description,
            "Shareable": self.shareable,
            "ContinueOnStepError": self.step_error_action == "Ignore",
            "StepErrorAction": self.step_error_action,
            "LogStepDataRequests": self.log_requests,
            "CollectionSplitType": self.split,
            "StepDataSuccessRetentionHours": None,
            "StepDataErroredRetentionHours": None,
            "Tags": list(self.tags),
            "TemplateId": self.template_id,
        }

    def prerequisites(self) -> list[dict[str, Any]]:
        """Return what must be done before it can run."""
        if not self.steps:
            return [_prerequisite(10, "The cycle has no steps.", "Cycle", self.id)]
        found = {}
        for step in self.steps.values():
            found.update({row["ObjectId"]: row for row in step_prerequisites(step)})
        return list(found.values())


def _prerequisite(code: int, reason: str, kind: str, number: int | str) -> dict[str, Any]:
    return {"ReasonCode": code, "Reason": reason, "ObjectType": kind, "ObjectId": number}


def step_prerequisites(step: Step) -> list[dict[str, Any]]:
    """Return what must be done before the step can run."""
    own = step.account_connector
    if own is None or own.authenticated:
        return []
    return [_prerequisite(20, f"Connector '{own.name}' is not authenticated.", "AccountConnector", own.id)]


@attrs.define(slots=True, eq=False)
class Holdings:
    """Everything of one account in v1.0; empty at first."""

    connectors: dict[int, AccountConnector] = attrs.field(factory=dict)
    customs: dict[int, CustomConnector] = attrs.field(factory=dict)
    cycles: dict[str, Cycle] = attrs.field(factory=dict)

    def steps(self) -> Iterator[tuple[Cycle, Step]]:
        """Yield every step of every cycle."""
        return ((cycle, step) for cycle in self.cycles.values() for step in cycle.steps.values())

    def stop_users_of(self, own: AccountConnector) -> None:
        """Stop the running cycles that use a connector."""
        for cycle in self.cycles.values():
            if cycle.running and any(item.account_connector is own for item in cycle.connectors()):
                cycle.status = "Stopped"

    def connector_named(self, name: str) -> AccountConnector | None:
        """Return the connector with that name in the account, compared without case, or None."""
        wanted = name.casefold()
        return next((own for own in self.connectors.values() if own.name.casefold() == wanted), None)
