"""The operations of v1.0: one row for each route, from which requests are routed and the description is written."""

from __future__ import annotations

from typing import Final, Literal

import attrs

__all__ = ["OPERATIONS", "PREFIX", "V1_NAMES", "Operation"]

PREFIX: Final = "/v1.0"

Level = Literal["P", "A", "PA"]


@attrs.frozen(slots=True)
class Operation:
    """One route.

    Attributes:
        name: of the operation, for faults and the log.
        method: of HTTP.
        path: below ``/v1.0``. A part in braces is a key; what follows its colon is its kind: ``int``, ``guid``,
            ``either`` of the two, or text.
        level: ``"P"`` needs no account, ``"A"`` needs ``X-Cyclr-Account``, ``"PA"`` takes it.
        answer: the name of the schema of the answer, ``[]`` behind it for an array; empty for no body.
        body: the name of the schema of the body; empty for none.
        query: names of parameters of the query.
        status: of success.
        conflict: whether a running cycle refuses it.
    """

    name: str
    method: str
    path: str
    level: Level
    answer: str = ""
    body: str = ""
    query: str = ""
    status: int = 200
    conflict: bool = False


_PAGES: Final = "page pageSize sortOrderAsc"
_SORTED: Final = f"{_PAGES} orderBy"
_CYCLES: Final = f"{_SORTED} connectorName connectorVersion tag includeIcons"
_TIMES: Final = f"{_PAGES} after before"


def _whole(
    name: str, path: str, key: str, row: str, body: str = "", *, conflict: bool = False
) -> tuple[Operation, ...]:
    """Return the rows of a collection of an account that is listed, added to, read, changed and deleted from."""
    item = f"{path}/{{{key}}}"
    body = body or row
    return (
        Operation(f"{name}.list", "GET", path, "A", f"{row}[]", query=_SORTED),
        Operation(f"{name}.create", "POST", path, "A", row, body, conflict=conflict),
        Operation(f"{name}.get", "GET", item, "A", row),
        Operation(f"{name}.update", "PUT", item, "A", row, body, conflict=conflict),
        Operation(f"{name}.delete", "DELETE", item, "A", conflict=conflict),
    )


def _connector(path: str) -> tuple[Operation, ...]:
    """Return the rows of connectors of the catalogue: by id or name, and by name and version."""
    return (
        Operation("v1.connectors.get", "GET", path, "PA", "ConnectorOrList"),
        Operation("v1.connectors.methods", "GET", f"{path}/methods", "PA", "Method[]", query="query category"),
        # The text null makes the real server fail. A body in the description would have every fuzzer find that.
        Operation("v1.connectors.install", "POST", f"{path}/install", "A", "AccountConnector"),
    )


_ACCOUNT: Final = "/accounts/{account}"
_OWN: Final = "/account/connectors/{own:int}"
_CYCLE: Final = "/cycles/{cycle:guid}"
_STEP: Final = "/steps/{step:guid}"
_TEMPLATE: Final = "/templates/{template:guid}"

OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation("v1.accounts.list", "GET", "/accounts", "P", "Account[]", query=_PAGES),
    Operation("v1.accounts.create", "POST", "/accounts", "P", "Account", "AccountCreate"),
    Operation("v1.accounts.get", "GET", _ACCOUNT, "P", "Account"),
    Operation("v1.accounts.update", "PUT", _ACCOUNT, "P", "Account", "AccountWrite"),
    Operation("v1.accounts.delete", "DELETE", _ACCOUNT, "P"),
    Operation("v1.accounts.subaccounts", "GET", f"{_ACCOUNT}/subaccounts", "P", "Account[]", query=_PAGES),
    Operation("v1.accounts.usage", "GET", f"{_ACCOUNT}/usage", "P", "Usage"),
    Operation("v1.users.list", "GET", f"{_ACCOUNT}/users", "P", "text[]"),
    Operation("v1.users.add", "PUT", f"{_ACCOUNT}/users", "P", body="User"),
    Operation("v1.users.remove", "DELETE", f"{_ACCOUNT}/users", "P", body="User"),
    Operation("v1.users.password", "PUT", "/users", "P", body="User"),
    Operation("v1.tokens.create", "POST", f"{_ACCOUNT}/signintoken", "P", "SignInToken", "SignIn"),
    Operation("v1.launch.account", "POST", f"{_ACCOUNT}/launch", "P", "Launched", "Launch"),
    Operation("v1.launch.user", "POST", "/users/launch", "P", "Launched", "Launch"),
    Operation("v1.orbit.account", "POST", f"{_ACCOUNT}/orbit", "P", "Orbit", "Launch"),
    Operation("v1.orbit.user", "POST", "/users/orbit", "P", "Orbit", "Launch"),
    Operation("v1.marketplace.account", "POST", f"{_ACCOUNT}/marketplace", "P", "Marketplace", "Launch"),
    Operation("v1.marketplace.user", "POST", "/users/marketplace", "P", "Marketplace", "Launch"),
    Operation(
        "v1.connectors.list",
        "GET",
        "/connectors",
        "PA",
        "Connector[]",
        query=f"{_SORTED} query category includeCustomConnectors",
    ),
    *_connector("/connectors/{connector}"),
    *_connector("/connectors/{connector}/{version}"),
    Operation("v1.methods.get", "GET", "/methods/{method:int}", "PA", "Method"),
    *_whole("v1.custom", "/account/connectors/custom", "custom:int", "CustomConnector"),
    Operation("v1.account_connectors.list", "GET", "/account/connectors", "A", "AccountConnector[]", query=_PAGES),
    Operation("v1.account_connectors.get", "GET", _OWN, "A", "AccountConnector"),
    Operation("v1.account_connectors.update", "PUT", _OWN, "A", "AccountConnector", "AccountConnectorWrite"),
    Operation("v1.account_connectors.delete", "DELETE", _OWN, "A"),
    Operation("v1.account_connectors.deauthenticate", "PUT", f"{_OWN}/deauthenticate", "A", "Message", "Nothing"),
    *_whole("v1.properties", f"{_OWN}/properties", "property:int", "Property", "PropertyWrite"),
    *_whole("v1.fields", f"{_OWN}/fields", "field:int", "CustomField"),
    Operation("v1.account_connectors.call", "GET", f"{_OWN}/methods/{{method:either}}", "A", "any"),
    Operation("v1.account_connectors.call", "POST", f"{_OWN}/methods/{{method:either}}", "A", "any", "MethodCall"),
    Operation("v1.account_connectors.test", "GET", f"{_OWN}/test/{{method:either}}", "A", "any"),
    Operation("v1.account_connectors.test", "POST", f"{_OWN}/test/{{method:either}}", "A", "any", "MethodCall"),
    Operation("v1.account_connectors.trigger", "POST", f"{_OWN}/triggers/{{trigger:int}}", "A", "Choice[]", "Nothing"),
    Operation(
        "v1.templates.list",
        "GET",
        "/templates",
        "PA",
        "Template[]",
        query=f"{_CYCLES} lookupCustomFields includePrerequisites includeOptional",
    ),
    Operation("v1.templates.get", "GET", _TEMPLATE, "PA", "Template", query="includeIcons"),
    Operation("v1.templates.export", "GET", f"{_TEMPLATE}/export", "PA", "TemplateFile"),
    Operation("v1.templates.import", "POST", "/templates/import", "PA", "Template", "TemplateFile", query="folderid"),
    Operation(
        "v1.templates.install", "POST", f"{_TEMPLATE}/install", "A", "Cycle", "TemplateInstall", query="includeIcons"
    ),
    Operation("v1.cycles.list", "GET", "/cycles", "A", "Cycle[]", query=_CYCLES),
    Operation("v1.cycles.create", "POST", "/cycles", "A", "Cycle", "CycleWrite", status=201),
    Operation("v1.cycles.upgradeable", "GET", "/cycles/upgradeable", "A", "Cycle[]"),
    Operation("v1.cycles.get", "GET", _CYCLE, "A", "Cycle", query="includeIcons"),
    Operation("v1.cycles.update", "PUT", _CYCLE, "A", "Cycle", "CycleWrite", conflict=True),
    Operation("v1.cycles.delete", "DELETE", _CYCLE, "A"),
    Operation("v1.cycles.activate", "PUT", f"{_CYCLE}/activate", "A", body="Activate"),
    Operation(
        "v1.cycles.deactivate", "PUT", f"{_CYCLE}/deactivate", "A", body="Nothing", query="finishQueuedTransactions"
    ),
    Operation("v1.cycles.prerequisites", "GET", f"{_CYCLE}/prerequisites", "A", "Prerequisite[]"),
    Operation("v1.steps.list", "GET", f"{_CYCLE}/steps", "A", "Step[]", query="filter"),
    Operation("v1.steps.create", "POST", f"{_CYCLE}/steps", "A", "Step", "StepWrite"),
    Operation("v1.steps.get", "GET", f"{_CYCLE}/steps/{{step:guid}}", "A", "Step"),
    Operation("v1.steps.update", "PUT", f"{_CYCLE}/steps/{{step:guid}}", "A", "Step", "StepWrite", conflict=True),
    Operation("v1.steps.delete", "DELETE", f"{_CYCLE}/steps/{{step:guid}}", "A", conflict=True),
    Operation("v1.edges.list", "GET", f"{_CYCLE}/edges", "A", "Edge[]"),
    Operation("v1.edges.create", "POST", f"{_CYCLE}/edges", "A", "Edge", "EdgeWrite"),
    Operation("v1.edges.get", "GET", f"{_CYCLE}/edges/{{edge:guid}}", "A", "Edge"),
    Operation("v1.edges.delete", "DELETE", f"{_CYCLE}/edges/{{edge:guid}}", "A"),
    *_whole("v1.variables", f"{_CYCLE}/variables", "variable", "Variable", "VariableWrite", conflict=True),
    Operation("v1.variables.set", "PATCH", f"{_CYCLE}/variables", "A", "Variable[]", "VariableWrite[]", conflict=True),
    Operation(
        "v1.transactions.all", "GET", "/cycles/transactions", "A", "Transaction[]", query=f"{_TIMES} status splitType"
    ),
    Operation(
        "v1.transactions.list",
        "GET",
        f"{_CYCLE}/transactions",
        "A",
        "Transaction[]",
        query=f"{_TIMES} status splitType",
    ),
    Operation(
        "v1.transactions.items", "GET", f"{_CYCLE}/transactions/{{transaction:guid}}", "A", "any[]", query="query"
    ),
    Operation("v1.incidents.all", "GET", "/cycles/incidents/{level}", "A", "Incident[]", query=_TIMES),
    Operation("v1.incidents.list", "GET", f"{_CYCLE}/incidents", "A", "Incident[]", query=_TIMES),
    Operation("v1.incidents.list", "GET", f"{_CYCLE}/incidents/{{level}}", "A", "Incident[]", query=_TIMES),
    Operation("v1.incidents.delete", "DELETE", f"{_CYCLE}/incidents", "A"),
    Operation("v1.steps.prerequisites", "GET", f"{_STEP}/prerequisites", "A", "Prerequisite[]"),
    Operation("v1.steps.fields_for_mapping", "GET", f"{_STEP}/fieldsformapping", "A", "MappableField[]"),
    Operation("v1.field_mappings.list", "GET", f"{_STEP}/fieldmappings", "A", "Mapping[]"),
    Operation("v1.field_mappings.lookup", "POST", f"{_STEP}/fieldmappings/lookup", "A", body="Nothing"),
    Operation("v1.field_mappings.get", "GET", f"{_STEP}/fieldmappings/{{field:int}}", "A", "Mapping"),
    Operation(
        "v1.field_mappings.update", "PUT", f"{_STEP}/fieldmappings/{{field:int}}", "A", "Mapping", "MappingWrite"
    ),
    Operation("v1.parameters.list", "GET", f"{_STEP}/parameters", "A", "ParameterMapping[]"),
    Operation("v1.parameters.get", "GET", f"{_STEP}/parameters/{{parameter:int}}", "A", "ParameterMapping"),
    Operation(
        "v1.parameters.update", "PUT", f"{_STEP}/parameters/{{parameter:int}}", "A", "ParameterMapping", "MappingWrite"
    ),
    Operation(
        "v1.parameters.lookup", "POST", f"{_STEP}/parameters/{{parameter:int}}/lookup", "A", "Choice[]", "Lookup"
    ),
)

V1_NAMES: Final = tuple(dict.fromkeys(operation.name for operation in OPERATIONS))
"""The names of all operations, each once."""
