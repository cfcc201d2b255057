"""The OpenAPI description of v1.0, served at ``/openapi-v1.json``; written from the table of operations."""

from __future__ import annotations

import re
from typing import Any, Final

from cyclr_async.simulator.v1.operations import OPERATIONS, PREFIX, Operation

__all__ = ["document"]

_LOOSE: Final = "The server is lenient: any case of names, numbers and booleans as text."

_ANSWERS: Final = {
    # The members of answers: a name, a type, and a question mark where null is possible.
    "Error": "Message:text",
    "Message": "Message:text",
    "Account": "CreatedDate:date Id:text Name:text Description:text? AuditInfo:text? TaskAuditInfo:text? Timezone:text"
    " NextBillDateUtc:date StepDataSuccessRetentionHours:int? StepDataErroredRetentionHours:int?"
    " TransactionErrorWebhookEnabled:bool TransactionErrorWebhookUrl:text? TransactionErrorWebhookIncludeWarnings:bool",
    "Usage": "Id:text TasksUsed:int StartTime:date EndTime:date",
    "SignInToken": "Token:text ExpiresAtUtc:date",
    "Launched": "AccountId:text ExpiresAtUtc:date LaunchUrl:text Token:text",
    "Orbit": "AccountId:text ExpiresAtUtc:date OrbitUrl:text Token:text",
    "Marketplace": "AccountId:text ExpiresAtUtc:date MarketplaceUrl:text Token:text",
    "Authentication": "Id:guid AuthName:text AuthDescription:text? AuthType:text OAuth2Type:text AuthScheme:text?",
    "Trigger": "TriggerId:int AccountConnectorId:int? MethodId:int? Name:text HumanReadableKey:text IdentifierKey:text"
    " SubTriggers:any[] EntityId:any",
    "Parameter": "TargetType:text TargetName:text IsSensitive:bool Id:int Name:text Description:text? IsOptional:bool"
    " DataType:text TriggerName:text? Values:text[]? DisplayOrder:int Triggers:Trigger[]?",
    "Field": "Location:text Id:int Name:text Description:text? IsOptional:bool DataType:text TriggerName:text?"
    " Values:text[]? DisplayOrder:int Triggers:Trigger[]?",
    "MappableField": "Location:text Id:int Name:text Step:any",
    "Method": "Id:int Name:text Description:text Category:text MethodType:text EndPoint:text Parameters:Parameter[]"
    " MethodUniqueIdentifier:guid Warning:text? CreateWebhookMethod:any DeleteWebhookMethod:any RequestFields:Field[]"
    " ResponseFields:Field[]",
    "Connector": "Id:int Name:text Description:text? Status:text Version:text? Icon:text? AuthDescription:text?"
    " AuthType:text OAuth2Type:text AuthScheme:text? Categories:text[] Parameters:Parameter[]"
    " Authentication:Authentication[] Triggers:Trigger[]? IsSystemConnector:bool",
    "Property": "Name:text Value:text? Id:int AccountConnectorId:int",
    "CustomField": "Id:int ConnectorField:text? SystemField:text? DisplayName:text? Description:text? DataType:text"
    " MethodUniqueIdentifier:guid DataTypeFormat:text? EntityIdentifier:text? ForRequestFormat:bool",
    "AccountConnector": "Id:int Name:text Description:text? AuthValue:text? Authenticated:bool Connector:Connector"
    " IsPartnerIntegrationConnector:bool Properties:Property[] CustomFields:CustomField[]",
    "CustomConnector": "Id:int Name:text",
    "Choice": "Name:text Value:text",
    "UsedConnector": "Id:int Name:text Version:text? StepCount:int Icon:text?",
    "Template": "Name:text Description:text? Id:guid Connectors:UsedConnector[] Tags:text[]",
    "TemplateFile": "Name:text",
    "Cycle": "Id:guid CreatedOnUtc:date TasksUsed:int ErrorCount:int WarningCount:int Connectors:UsedConnector[]"
    " Status:text LastSuccessfulRunDate:date InProgressTransactionCount:int Name:text Description:text? Shareable:bool"
    " ContinueOnStepError:bool StepErrorAction:text LogStepDataRequests:bool CollectionSplitType:text"
    " StepDataSuccessRetentionHours:int? StepDataErroredRetentionHours:int? Tags:text[] TemplateId:guid?",
    "Prerequisite": "ReasonCode:int Reason:text ObjectType:text ObjectId:any",
    "Step": "Id:guid Name:text Description:text? ActionType:text AccountConnector:AccountConnector? Method:Method?"
    " DisplayPositionLeft:int DisplayPositionTop:int",
    "Edge": "Id:guid HeadStepId:guid TailStepId:guid EdgeType:text",
    "Variable": "DisplayName:text SystemName:text Value:text? MappingType:text?",
    "Mapping": "Field:Field MappingType:text? SourceFieldId:int? SourceStepId:guid? TriggerValue:text?"
    " TriggerValueDisplayName:text? Value:text? IsLaunchVisible:bool",
    "ParameterMapping": "Parameter:Parameter IsEntityIdentifier:bool MappingType:text? SourceFieldId:int?"
    " SourceStepId:guid? TriggerValue:text? TriggerValueDisplayName:text? Value:text? IsLaunchVisible:bool",
    "Transaction": "Id:guid CycleId:guid Status:text",
    "Incident": "CycleId:guid CycleName:text IncidentLevel:text ShortMessage:text FullMessage:text StepId:guid"
    " StepName:text TransactionId:guid",
}
_ACCOUNT_WRITE: Final = (
    "Name Description Timezone AuditInfo TaskAuditInfo NextBillDateUtc StepDataSuccessRetentionHours"
    " StepDataErroredRetentionHours TransactionErrorWebhookEnabled TransactionErrorWebhookUrl"
    " TransactionErrorWebhookIncludeWarnings"
)
_BODIES: Final = {
    # The members of bodies: their types are loose, and a star marks those that must be there.
    "Nothing": "",
    "AccountWrite": _ACCOUNT_WRITE,
    "AccountCreate": f"*{_ACCOUNT_WRITE} Id ParentAccountId",
    "User": "*UserName Password",
    "SignIn": "*Username",
    "Launch": "AccountId AccountName AccountDescription Start RunOnce AutoInstall SingleInstall Wizard Username"
    " Password DisplayDescriptions InlineOAuth Tags CompleteParameter ConnectorAuthentications PartnerConnector"
    " MarketplaceId",
    "AccountConnectorWrite": "Name Description AuthValue",
    "PropertyWrite": "*Name Value",
    "CustomField": _ANSWERS["CustomField"],
    "CustomConnector": "*Name *UniqueIdentifier",
    "MethodCall": "Parameters Fields",
    "TemplateFile": "*Name Description Tags Connectors",
    "TemplateInstall": "Name",
    "CycleWrite": "Name Description Shareable StepErrorAction LogStepDataRequests CollectionSplitType Tags",
    "Activate": "StartTime Interval RunOnce",
    "StepWrite": "Name Description ActionType DisplayPositionLeft DisplayPositionTop",
    "EdgeWrite": "*HeadStepId *TailStepId EdgeType",
    "VariableWrite": "DisplayName SystemName Value MappingType",
    "MappingWrite": "MappingType Value IsLaunchVisible SourceStepId SourceFieldId Field",
    "Lookup": "*TriggerId",
}
_TYPES: Final[dict[str, dict[str, Any]]] = {
    "text": {"type": "string"},
    "int": {"type": "integer"},
    "bool": {"type": "boolean"},
    "guid": {"type": "string", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"},
    "date": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?Z?$"},
    "any": {},
}
_KEYS: Final[dict[str, dict[str, Any]]] = {
    "": {"type": "string", "minLength": 1},
    "int": {"type": "integer", "minimum": 0, "maximum": 2147483647},
    "guid": {"type": "string", "format": "uuid"},
    "either": {"type": "string", "minLength": 1},
}
_TEXTS: Final = {
    400: "The request is invalid, or a rule forbids it.",
    401: "No valid bearer token, or no account that it opens.",
    404: "Nothing with that id; no body.",
    409: "The cycle is running.",
    413: "The body is too large.",
    415: "Not JSON.",
    429: "Too many requests.",
}


def _type(text: str) -> dict[str, Any]:
    if text.endswith("?"):
        return {"anyOf": [_type(text[:-1]), {"type": "null"}]}
    if text.endswith("[]"):
        return {"type": "array", "items": _type(text[:-2])}
    return dict(_TYPES[text]) if text in _TYPES else {"$ref": f"#/components/schemas/{text}"}


def _answer(members: str) -> dict[str, Any]:
    pairs = [member.split(":") for member in members.split()]
    properties = {name: _type(kind) for name, kind in pairs}
    return {"type": "object", "properties": properties, "required": list(properties)}


def _body(members: str) -> dict[str, Any]:
    names = [member.partition(":")[0] for member in members.split()]
    return {
        "type": "object",
        "description": _LOOSE,
        "properties": {name.lstrip("*"): {} for name in names},
        "required": [name[1:] for name in names if name.startswith("*")],
    }


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _write(name: str) -> dict[str, Any]:
    many = name.endswith("[]")
    found = {"$ref": f"#/components/schemas/{name.removesuffix('[]')}Body"}
    return {"type": "array", "items": found} if many else found


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": _KEYS[kind]}
        for name, kind in re.findall(r"\{(\w+):?(\w*)\}", operation.path)
    ]
    # Texts, since an empty value means none and the first of several counts.
    found += [{"name": name, "in": "query", "schema": {"type": "string"}} for name in operation.query.split()]
    if operation.level != "P":
        header = {"name": "X-Cyclr-Account", "in": "header", "required": operation.level == "A"}
        found.append({**header, "description": "The id of an account.", "schema": {"type": "string"}})
    return found


def _responses(operation: Operation) -> dict[str, Any]:
    good: dict[str, Any] = {"description": "Done."}
    if operation.answer:
        good["content"] = _json(_type(operation.answer))
    found: dict[str, Any] = {str(operation.status): good}
    for status, text in _TEXTS.items():
        writes = operation.method != "GET"
        if (status == 409 and not operation.conflict) or (status in (413, 415) and not writes):
            continue
        found[str(status)] = {"description": text}
        if status != 404:
            found[str(status)]["content"] = _json(_type("Error"))
    return found


def _paths() -> dict[str, Any]:
    found: dict[str, dict[str, Any]] = {}
    seen: dict[str, int] = {}
    for operation in OPERATIONS:
        seen[operation.name] = seen.get(operation.name, 0) + 1
        number = "" if seen[operation.name] == 1 else f".{seen[operation.name]}"
        entry: dict[str, Any] = {
            "operationId": operation.name + number,
            "tags": [operation.name.split(".")[1]],
            "responses": _responses(operation),
        }
        parameters = _parameters(operation)
        if parameters:
            entry["parameters"] = parameters
        if operation.body:
            # A body with nothing that must be there may be missing altogether.
            needed = "*" in _BODIES[operation.body.removesuffix("[]")] or operation.body.endswith("[]")
            entry["requestBody"] = {"required": needed, "content": _json(_write(operation.body))}
        path = PREFIX + re.sub(r":\w+\}", "}", operation.path)
        found.setdefault(path, {})[operation.method.lower()] = entry
    return found


def document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 description of v1.0."""
    connector = _type("Connector")
    schemas: dict[str, Any] = {name: _answer(members) for name, members in _ANSWERS.items()}
    schemas["ConnectorOrList"] = {"anyOf": [connector, {"type": "array", "items": connector}]}
    schemas |= {f"{name}Body": _body(members) for name, members in _BODIES.items()}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Cyclr API v1.0 (simulated)", "version": "1.0"},
        "security": [{"bearer": []}],
        "paths": _paths(),
        "components": {
            "schemas": schemas,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }
