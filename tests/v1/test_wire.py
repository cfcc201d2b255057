"""Every route that is documented or was observed, byte for byte: the request as it goes out, the answer as it comes in.

The answers have the shape of the specification, nulls and unusual values included; what the client makes of one is
written back as JSON and must be what came.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from cyclr_async import AsyncPartnerSession
from cyclr_async.simulator.v1.operations import OPERATIONS
from cyclr_async.simulator.v1.routing import find_operation
from cyclr_async.v1 import AccountScope, CustomField, V1Api, Variable
from cyclr_async.wire.model import Model
from tests.support.recorder import Recorder, reply
from tests.v1.test_accounts import places
from tests.v1.test_users_and_links import ROWS as LINKS

GUID = "bc974c60-9f32-410f-aa83-2b2817ad9a19"
OTHER = "08da7c4e-1775-4112-8d06-42dc6982d801"
MOMENT = datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC)

ACCOUNT = {
    "CreatedDate": "2023-04-11T07:37:47.455544Z",
    "Id": "JO-Test-1234567890",
    "Name": "JO",
    "Description": None,
    "AuditInfo": None,
    "TaskAuditInfo": "t",
    "Timezone": "Europe/London",
    "NextBillDateUtc": "0001-01-01T00:00:00",
    "StepDataSuccessRetentionHours": None,
    "StepDataErroredRetentionHours": 744,
    "TransactionErrorWebhookEnabled": True,
    "TransactionErrorWebhookUrl": "https://x.org",
    "TransactionErrorWebhookIncludeWarnings": False,
}
USAGE = {"Id": "a b", "TasksUsed": 17, "StartTime": "2026-12-01T00:00:00Z", "EndTime": "2026-12-01T10:11:12.1234567Z"}
TRIGGER = {
    "TriggerId": 7,
    "AccountConnectorId": 1,
    "MethodId": 2,
    "Name": "List",
    "HumanReadableKey": "name",
    "IdentifierKey": "id",
    "SubTriggers": [],
    "EntityId": None,
}
PARAMETER = {
    "Id": 3,
    "Name": "Region",
    "Description": None,
    "TargetType": "HttpHeader",
    "TargetName": "Region",
    "IsSensitive": True,
    "IsOptional": False,
    "IsAccountConnectorProperty": True,
    "DataType": "SomethingNew",
    "TriggerName": None,
    "Values": ["us1"],
    "DisplayOrder": 1,
    "Triggers": [TRIGGER],
}
FIELD = {
    "Location": "[records].Id",
    "Id": 4,
    "Name": "Id",
    "Description": None,
    "IsOptional": True,
    "DataType": "Text",
    "TriggerName": None,
    "Values": None,
    "DisplayOrder": 0,
    "Triggers": None,
}
METHOD = {
    "Id": 70,
    "Name": "Get Store",
    "Description": "d",
    "Category": "Stores",
    "MethodType": "Action",
    "EndPoint": "https://{{mergefield.Region}}.x.org",
    "Parameters": [PARAMETER],
    "MethodUniqueIdentifier": GUID,
    "Warning": None,
    "CreateWebhookMethod": None,
    "DeleteWebhookMethod": None,
    "RequestFields": [FIELD],
    "ResponseFields": [],
}
CONNECTOR = {
    "Id": 5,
    "Name": "Access CRM",
    "Description": None,
    "Status": "Approved",
    "Version": None,
    "Icon": "data:image/png;base64,AA==",
    "AuthDescription": None,
    "AuthType": "OAuth2",
    "OAuth2Type": "AuthorisationCode",
    "AuthScheme": None,
    "Categories": ["CRMs"],
    "Parameters": [PARAMETER],
    "Authentication": [
        {
            "Id": GUID,
            "AuthName": "Key",
            "AuthDescription": None,
            "AuthType": "ApiKey",
            "OAuth2Type": "Unknown",
            "AuthScheme": "Bearer",
        }
    ],
    "Triggers": None,
    "IsSystemConnector": False,
}
PROPERTY = {"Id": 9, "Name": "Region", "Value": "us1", "AccountConnectorId": 1}
CUSTOM_FIELD = {
    "Id": 55,
    "ConnectorField": "[records].Own",
    "SystemField": None,
    "DisplayName": "Own",
    "Description": "",
    "DataType": "Text",
    "MethodUniqueIdentifier": "00000000-0000-0000-0000-000000000000",
    "DataTypeFormat": None,
    "EntityIdentifier": None,
    "ForRequestFormat": False,
}
OWN = {
    "Id": 1,
    "Name": "News",
    "Description": None,
    "AuthValue": "the-key",
    "Authenticated": True,
    "Connector": CONNECTOR,
    "IsPartnerIntegrationConnector": False,
    "Properties": [PROPERTY],
    "CustomFields": [CUSTOM_FIELD],
}
DEFINITION = {"Name": "Mine", "UniqueIdentifier": GUID}
TEMPLATE = {
    "Id": GUID,
    "Name": "Welcome",
    "Description": None,
    "Connectors": [{"Id": 5, "Name": "Access CRM", "Version": None, "StepCount": 2, "Icon": None}],
    "Tags": ["first"],
}
CYCLE = {
    "Id": GUID,
    "CreatedOnUtc": "2026-01-02T03:04:05.878Z",
    "TasksUsed": 3,
    "ErrorCount": 0,
    "WarningCount": 1,
    "Connectors": [
        {
            "Id": 5,
            "Name": "Access CRM",
            "Version": None,
            "StepCount": 2,
            "Icon": None,
            "AccountConnectorId": 1,
            "Authenticated": True,
        }
    ],
    "Status": "Paused",
    "LastSuccessfulRunDate": "0001-01-01T00:00:00",
    "InProgressTransactionCount": 0,
    "Name": "Daily",
    "Description": None,
    "Shareable": True,
    "StepErrorAction": "Ignore",
    "LogStepDataRequests": False,
    "CollectionSplitType": "None",
    "StepDataSuccessRetentionHours": None,
    "StepDataErroredRetentionHours": 12,
    "Tags": [],
    "TemplateId": None,
}
PREREQUISITES = [
    {"ReasonCode": 10, "Reason": "r", "ObjectType": "Cycle", "ObjectId": GUID},
    {"ReasonCode": 20, "Reason": "r", "ObjectType": "Field", "ObjectId": 4},
]
STEP = {
    "Id": OTHER,
    "Name": "Fetch",
    "Description": None,
    "ActionType": "Action",
    "AccountConnector": OWN,
    "Method": METHOD,
    "DisplayPositionLeft": 5,
    "DisplayPositionTop": 6,
}
EDGE = {"Id": GUID, "HeadStepId": OTHER, "TailStepId": GUID, "EdgeType": "Forward"}
VARIABLE = {"DisplayName": "A", "SystemName": "a", "Value": "1", "MappingType": "StaticValue"}
MAPPING = {
    "Field": FIELD,
    "MappingType": None,
    "SourceFieldId": None,
    "SourceStepId": None,
    "TriggerValue": None,
    "TriggerValueDisplayName": None,
    "Value": "v",
    "IsLaunchVisible": True,
}
PARAMETER_MAPPING = {
    "Parameter": PARAMETER,
    "IsEntityIdentifier": False,
    "MappingType": "ValueList",
    "SourceFieldId": 4,
    "SourceStepId": OTHER,
    "TriggerValue": "l",
    "TriggerValueDisplayName": "Lead",
    "Value": None,
    "IsLaunchVisible": False,
}
CHOICES = [{"Name": "Lead", "Value": "l"}]
INCIDENT = {
    "CycleId": GUID,
    "CycleName": "Daily",
    "IncidentLevel": "Error",
    "ShortMessage": "s",
    "FullMessage": "HTTP/1.1 500\r\n\r\nHTTP Request:",
    "StepId": OTHER,
    "StepName": "Fetch",
    "TransactionId": GUID,
}
TRANSACTION = {"Id": GUID, "CycleId": OTHER}
THIRD_PARTY = {"Message": "of the third party"}


async def listed(items: Any) -> list[Any]:
    return [item async for item in items]


Row = tuple[str, Callable[[Any], Any], str, object]

PARTNER: list[Row] = [
    # What is called, the request line without its version, and its body behind two blanks; the answer.
    (
        "accounts",
        lambda v: listed(v.accounts.iter(ascending=True)),
        "GET /accounts?page=1&pageSize=100&sortOrderAsc=true",
        [ACCOUNT],
    ),
    (
        "a page of accounts",
        lambda v: v.accounts.list(page=2, page_size=5),
        "GET /accounts?page=2&pageSize=5",
        [ACCOUNT],
    ),
    ("account", lambda v: v.accounts.get("a b/ü"), "GET /accounts/a%20b%2F%C3%BC", ACCOUNT),
    (
        "create an account",
        lambda v: v.accounts.create(
            "JO",
            name="N",
            description=None,
            timezone="Europe/London",
            audit_info="a",
            task_audit_info="",
            next_bill_date_utc=MOMENT,
            step_data_success_retention_hours=0,
            step_data_errored_retention_hours=744,
            transaction_error_webhook_enabled=True,
            transaction_error_webhook_url="x.org",
            transaction_error_webhook_include_warnings=False,
            parent_account_id="P",
        ),
        (
            'POST /accounts  {"Id":"JO","Name":"N","Description":null,"Timezone":"Europe/London","AuditInfo":"a",'
            '"TaskAuditInfo":"","NextBillDateUtc":"2027-01-02T03:04:05Z","StepDataSuccessRetentionHours":0,'
            '"StepDataErroredRetentionHours":744,"TransactionErrorWebhookEnabled":true,"TransactionErrorWebhookUrl":"x.org",'
            '"TransactionErrorWebhookIncludeWarnings":false,"ParentAccountId":"P"}'
        ),
        ACCOUNT,
    ),
    ("create without an id", lambda v: v.accounts.create(name="N"), 'POST /accounts  {"Name":"N"}', ACCOUNT),
    (
        "null clears",
        lambda v: v.accounts.update("a", step_data_success_retention_hours=None),
        'PUT /accounts/a  {"StepDataSuccessRetentionHours":null}',
        ACCOUNT,
    ),
    (
        "webhook off",
        lambda v: v.accounts.update("a", transaction_error_webhook_enabled=False),
        'PUT /accounts/a  {"TransactionErrorWebhookEnabled":false}',
        ACCOUNT,
    ),
    ("delete an account", lambda v: v.accounts.delete("a"), "DELETE /accounts/a", None),
    (
        "sub-accounts",
        lambda v: v.accounts.subaccounts("a"),
        "GET /accounts/a/subaccounts?page=1&pageSize=100",
        [ACCOUNT],
    ),
    ("usage", lambda v: v.accounts.usage("a b"), "GET /accounts/a%20b/usage", USAGE),
    ("users", lambda v: v.users.list("a"), "GET /accounts/a/users", ["jo"]),
    (
        "add a user",
        lambda v: v.users.add("a", "jo", "p"),
        'PUT /accounts/a/users  {"UserName":"jo","Password":"p"}',
        None,
    ),
    ("remove a user", lambda v: v.users.remove("a", "jo"), 'DELETE /accounts/a/users  {"UserName":"jo"}', None),
    ("password", lambda v: v.users.set_password("jo", "p"), 'PUT /users  {"UserName":"jo","Password":"p"}', None),
    (
        "sign-in token",
        lambda v: v.tokens.create("a", "jo"),
        'POST /accounts/a/signintoken  {"Username":"jo"}',
        {"ExpiresAtUtc": "2016-11-18T10:50:45.6509216Z", "Token": "t"},
    ),
]
ACCOUNT_LEVEL: list[Row] = [
    (
        "connectors",
        lambda a: listed(
            a.catalogue.iter(query="a b", category="CRMs", include_custom=False, order_by="Name", ascending=False)
        ),
        (
            "GET /connectors?page=1&pageSize=100&query=a+b&category=CRMs&includeCustomConnectors=false&orderBy=Name"
            "&sortOrderAsc=false"
        ),
        [CONNECTOR],
    ),
    ("connector", lambda a: a.catalogue.get(5), "GET /connectors/5", CONNECTOR),
    ("connectors of a name", lambda a: a.catalogue.get("Access CRM"), "GET /connectors/Access%20CRM", [CONNECTOR]),
    ("of a version", lambda a: a.catalogue.get("Mail", "v3"), "GET /connectors/Mail/v3", [CONNECTOR]),
    ("methods", lambda a: a.catalogue.methods(5, category="c"), "GET /connectors/5/methods?category=c", [METHOD]),
    (
        "methods of a name",
        lambda a: a.catalogue.methods("Mail", query="q"),
        "GET /connectors/Mail/methods?query=q",
        [METHOD],
    ),
    ("methods of a version", lambda a: a.catalogue.methods("Mail", "v3"), "GET /connectors/Mail/v3/methods", [METHOD]),
    ("method", lambda a: a.methods.get(70), "GET /methods/70", METHOD),
    (
        "install",
        lambda a: a.connectors.install(5, name="N", description=None, auth_value="k", authentication_id=GUID),
        f'POST /connectors/5/install  {{"Name":"N","AuthenticationId":"{GUID}","AuthValue":"k","Description":null}}',
        OWN,
    ),
    ("install by name", lambda a: a.connectors.install("Mail"), "POST /connectors/Mail/install  {}", OWN),
    (
        "install a version",
        lambda a: a.connectors.install("Mail", "v3", properties={"Region": "us1"}, is_partner_integration=True),
        (
            'POST /connectors/Mail/v3/install  {"Properties":[{"Name":"Region","Value":"us1"}],'
            '"IsPartnerIntegrationConnector":true}'
        ),
        OWN,
    ),
    (
        "own connectors",
        lambda a: listed(a.connectors.iter()),
        "GET /account/connectors?page=1&pageSize=100",
        [OWN],
    ),
    ("own connector", lambda a: a.connectors.get(1), "GET /account/connectors/1", OWN),
    (
        "update a connector",
        lambda a: a.connectors.update(1, name="N", description=None, auth_value="k"),
        'PUT /account/connectors/1  {"Name":"N","Description":null,"AuthValue":"k"}',
        OWN,
    ),
    ("delete a connector", lambda a: a.connectors.delete(1), "DELETE /account/connectors/1", None),
    ("sign out", lambda a: a.connectors.deauthenticate(1), "PUT /account/connectors/1/deauthenticate  {}", THIRD_PARTY),
    (
        "properties",
        lambda a: a.connectors.properties.list(1, order_by="Name", ascending=True),
        "GET /account/connectors/1/properties?page=1&pageSize=100&orderBy=Name&sortOrderAsc=true",
        [PROPERTY],
    ),
    (
        "add a property",
        lambda a: a.connectors.properties.create(1, "Region", "us1"),
        'POST /account/connectors/1/properties  {"Name":"Region","Value":"us1"}',
        PROPERTY,
    ),
    ("property", lambda a: a.connectors.properties.get(1, 9), "GET /account/connectors/1/properties/9", PROPERTY),
    (
        "update a property",
        lambda a: a.connectors.properties.update(1, 9, name="R", value="v"),
        'PUT /account/connectors/1/properties/9  {"Name":"R","Value":"v"}',
        PROPERTY,
    ),
    (
        "delete a property",
        lambda a: a.connectors.properties.delete(1, 9),
        "DELETE /account/connectors/1/properties/9",
        None,
    ),
    (
        "fields",
        lambda a: a.connectors.fields.list(1),
        "GET /account/connectors/1/fields?page=1&pageSize=100",
        [CUSTOM_FIELD],
    ),
    (
        "add a field",
        lambda a: a.connectors.fields.create(1, CustomField(display_name="V", for_request_format=True)),
        'POST /account/connectors/1/fields  {"DisplayName":"V","ForRequestFormat":true}',
        CUSTOM_FIELD,
    ),
    ("field", lambda a: a.connectors.fields.get(1, 55), "GET /account/connectors/1/fields/55", CUSTOM_FIELD),
    (
        "update a field",
        lambda a: a.connectors.fields.update(1, 55, CustomField(display_name="W")),
        'PUT /account/connectors/1/fields/55  {"DisplayName":"W"}',
        CUSTOM_FIELD,
    ),
    ("delete a field", lambda a: a.connectors.fields.delete(1, 55), "DELETE /account/connectors/1/fields/55", None),
    (
        "call",
        lambda a: a.connectors.call(1, 70, parameters={296076: 1}, fields={7: None}),
        'POST /account/connectors/1/methods/70  {"Parameters":{"296076":1},"Fields":{"7":null}}',
        THIRD_PARTY,
    ),
    (
        "call with GET",
        lambda a: a.connectors.call(1, GUID, verb="GET"),
        f"GET /account/connectors/1/methods/{GUID}",
        THIRD_PARTY,
    ),
    ("test", lambda a: a.connectors.test(1, 70), "POST /account/connectors/1/test/70  {}", THIRD_PARTY),
    (
        "test with GET",
        lambda a: a.connectors.test(1, 70, verb="GET", repeatable=True),
        "GET /account/connectors/1/test/70",
        THIRD_PARTY,
    ),
    ("trigger", lambda a: a.connectors.trigger(1, 7), "POST /account/connectors/1/triggers/7  {}", CHOICES),
    (
        "custom connectors",
        lambda a: a.connectors.custom.list(),
        "GET /account/connectors/custom?page=1&pageSize=100",
        [DEFINITION],
    ),
    (
        "define a connector",
        lambda a: a.connectors.custom.create(DEFINITION),
        f'POST /account/connectors/custom  {{"Name":"Mine","UniqueIdentifier":"{GUID}"}}',
        DEFINITION,
    ),
    ("custom connector", lambda a: a.connectors.custom.get(3), "GET /account/connectors/custom/3", DEFINITION),
    (
        "redefine a connector",
        lambda a: a.connectors.custom.update(3, {"Name": "M"}),
        'PUT /account/connectors/custom/3  {"Name":"M"}',
        DEFINITION,
    ),
    (
        "delete a definition",
        lambda a: a.connectors.custom.delete(3),
        "DELETE /account/connectors/custom/3",
        None,
    ),
    (
        "templates",
        lambda a: listed(
            a.templates.iter(
                tag="t",
                connector_name="Mail",
                connector_version="v3",
                include_icons=True,
                lookup_custom_fields=False,
                include_prerequisites=True,
                include_optional=False,
                order_by="Id",
                ascending=True,
            )
        ),
        (
            "GET /templates?page=1&pageSize=100&tag=t&connectorName=Mail&connectorVersion=v3&includeIcons=true"
            "&lookupCustomFields=false&includePrerequisites=true&includeOptional=false&orderBy=Id&sortOrderAsc=true"
        ),
        [TEMPLATE],
    ),
    ("template", lambda a: a.templates.get(GUID), f"GET /templates/{GUID}?includeIcons=false", TEMPLATE),
    ("export", lambda a: a.templates.export(GUID), f"GET /templates/{GUID}/export", {"Name": "Welcome", "Any": [1]}),
    (
        "import",
        lambda a: a.templates.import_({"Name": "W"}, folder_id=GUID),
        f'POST /templates/import?folderid={GUID}  {{"Name":"W"}}',
        TEMPLATE,
    ),
    (
        "install a template",
        lambda a: a.templates.install(GUID, name="Mine"),
        f'POST /templates/{GUID}/install?includeIcons=false  {{"Name":"Mine"}}',
        CYCLE,
    ),
    (
        "cycles",
        lambda a: listed(a.cycles.iter(connector_name="Mail", connector_version="v3", tag="t")),
        "GET /cycles?page=1&pageSize=100&connectorName=Mail&connectorVersion=v3&tag=t&includeIcons=false",
        [CYCLE],
    ),
    (
        "create a cycle",
        lambda a: a.cycles.create(name="N", description="", shareable=False, step_error_action="Ignore", tags=["a"]),
        'POST /cycles  {"Name":"N","Description":"","Shareable":false,"StepErrorAction":"Ignore","Tags":["a"]}',
        CYCLE,
    ),
    ("cycle", lambda a: a.cycles.get(GUID), f"GET /cycles/{GUID}?includeIcons=false", CYCLE),
    (
        "update a cycle",
        lambda a: a.cycles.update(GUID, log_step_data_requests=True, collection_split_type="All"),
        f'PUT /cycles/{GUID}  {{"LogStepDataRequests":true,"CollectionSplitType":"All"}}',
        CYCLE,
    ),
    ("delete a cycle", lambda a: a.cycles.delete(GUID), f"DELETE /cycles/{GUID}", None),
    ("upgradeable", lambda a: a.cycles.upgradeable(), "GET /cycles/upgradeable?page=1&pageSize=100", [CYCLE]),
    (
        "activate",
        lambda a: a.cycles.activate(GUID, start_time=MOMENT, interval=60, run_once=False),
        f'PUT /cycles/{GUID}/activate  {{"StartTime":"2027-01-02T03:04:05Z","Interval":60,"RunOnce":false}}',
        None,
    ),
    (
        "deactivate",
        lambda a: a.cycles.deactivate(GUID, finish_queued_transactions=True),
        f"PUT /cycles/{GUID}/deactivate?finishQueuedTransactions=true  {{}}",
        None,
    ),
    ("prerequisites", lambda a: a.cycles.prerequisites(GUID), f"GET /cycles/{GUID}/prerequisites", PREREQUISITES),
    ("of a step", lambda a: a.steps.prerequisites(OTHER), f"GET /steps/{OTHER}/prerequisites", PREREQUISITES),
    (
        "steps",
        lambda a: a.cycles.steps.list(GUID, action_type="action"),
        f"GET /cycles/{GUID}/steps?filter=action",
        [STEP],
    ),
    (
        "add a step",
        lambda a: a.cycles.steps.create(GUID, name="S", action_type="Delay", left=5, top=6),
        (
            f'POST /cycles/{GUID}/steps  {{"Name":"S","ActionType":"Delay","DisplayPositionLeft":5,'
            '"DisplayPositionTop":6}'
        ),
        STEP,
    ),
    ("step", lambda a: a.cycles.steps.get(GUID, OTHER), f"GET /cycles/{GUID}/steps/{OTHER}", STEP),
    (
        "update a step",
        lambda a: a.cycles.steps.update(GUID, OTHER, description=None),
        f'PUT /cycles/{GUID}/steps/{OTHER}  {{"Description":null}}',
        STEP,
    ),
    ("delete a step", lambda a: a.cycles.steps.delete(GUID, OTHER), f"DELETE /cycles/{GUID}/steps/{OTHER}", None),
    ("edges", lambda a: a.cycles.edges.list(GUID), f"GET /cycles/{GUID}/edges", [EDGE]),
    (
        "add an edge",
        lambda a: a.cycles.edges.create(GUID, head_step_id=OTHER, tail_step_id=GUID),
        f'POST /cycles/{GUID}/edges  {{"HeadStepId":"{OTHER}","TailStepId":"{GUID}","EdgeType":"Forward"}}',
        EDGE,
    ),
    ("edge", lambda a: a.cycles.edges.get(GUID, OTHER), f"GET /cycles/{GUID}/edges/{OTHER}", EDGE),
    ("delete an edge", lambda a: a.cycles.edges.delete(GUID, OTHER), f"DELETE /cycles/{GUID}/edges/{OTHER}", None),
    (
        "variables",
        lambda a: a.cycles.variables.list(GUID),
        f"GET /cycles/{GUID}/variables?page=1&pageSize=100",
        [VARIABLE],
    ),
    (
        "add a variable",
        lambda a: a.cycles.variables.create(GUID, display_name="A", system_name="a", value="1"),
        f'POST /cycles/{GUID}/variables  {{"DisplayName":"A","SystemName":"a","Value":"1"}}',
        VARIABLE,
    ),
    (
        "set variables",
        lambda a: a.cycles.variables.set(GUID, [Variable(system_name="a", value="2")]),
        f'PATCH /cycles/{GUID}/variables  [{{"SystemName":"a","Value":"2"}}]',
        [VARIABLE],
    ),
    ("variable", lambda a: a.cycles.variables.get(GUID, "a"), f"GET /cycles/{GUID}/variables/a", VARIABLE),
    (
        "update a variable",
        lambda a: a.cycles.variables.update(GUID, "a", value=None),
        f'PUT /cycles/{GUID}/variables/a  {{"Value":null}}',
        VARIABLE,
    ),
    ("delete a variable", lambda a: a.cycles.variables.delete(GUID, "a"), f"DELETE /cycles/{GUID}/variables/a", None),
    (
        "fields for mapping",
        lambda a: a.steps.fields_for_mapping(OTHER),
        f"GET /steps/{OTHER}/fieldsformapping",
        [{**FIELD, "Step": {"Id": GUID}}],
    ),
    ("mappings", lambda a: a.steps.field_mappings.list(OTHER), f"GET /steps/{OTHER}/fieldmappings", [MAPPING]),
    ("mapping", lambda a: a.steps.field_mappings.get(OTHER, 4), f"GET /steps/{OTHER}/fieldmappings/4", MAPPING),
    (
        "update a mapping",
        lambda a: a.steps.field_mappings.update(
            OTHER, 4, mapping_type="StepData", source_step_id=GUID, source_field_id=7, for_request_format=True
        ),
        (
            f'PUT /steps/{OTHER}/fieldmappings/4  {{"MappingType":"StepData","SourceStepId":"{GUID}","SourceFieldId":7,'
            '"Field":{"Id":4,"ForRequestFormat":true}}'
        ),
        MAPPING,
    ),
    (
        "look fields up",
        lambda a: a.steps.field_mappings.lookup(OTHER),
        f"POST /steps/{OTHER}/fieldmappings/lookup  {{}}",
        None,
    ),
    (
        "parameters",
        lambda a: a.steps.parameters.list(OTHER),
        f"GET /steps/{OTHER}/parameters",
        [PARAMETER_MAPPING],
    ),
    (
        "parameter",
        lambda a: a.steps.parameters.get(OTHER, 3),
        f"GET /steps/{OTHER}/parameters/3",
        PARAMETER_MAPPING,
    ),
    (
        "update a parameter",
        lambda a: a.steps.parameters.update(OTHER, 3, mapping_type="Ignore", value=None, is_launch_visible=True),
        f'PUT /steps/{OTHER}/parameters/3  {{"MappingType":"Ignore","Value":null,"IsLaunchVisible":true}}',
        PARAMETER_MAPPING,
    ),
    (
        "look values up",
        lambda a: a.steps.parameters.lookup(OTHER, 3, 7),
        f'POST /steps/{OTHER}/parameters/3/lookup  {{"TriggerId":7}}',
        CHOICES,
    ),
    (
        "all transactions",
        lambda a: listed(a.cycles.transactions.iter(after=MOMENT, status="Completed")),
        "GET /cycles/transactions?page=1&pageSize=100&after=2027-01-02T03:04:05Z&status=Completed",
        [TRANSACTION],
    ),
    (
        "transactions",
        lambda a: listed(a.cycles.transactions.iter(GUID, before=MOMENT, split_type="Split")),
        f"GET /cycles/{GUID}/transactions?page=1&pageSize=100&before=2027-01-02T03:04:05Z&splitType=Split",
        [TRANSACTION],
    ),
    (
        "items",
        lambda a: a.cycles.transactions.items(GUID, OTHER, query="x"),
        f"GET /cycles/{GUID}/transactions/{OTHER}?query=x",
        ["any", {"a": 1}],
    ),
    (
        "all incidents",
        lambda a: listed(a.cycles.incidents.iter(level="error", after=MOMENT)),
        "GET /cycles/incidents/error?page=1&pageSize=100&after=2027-01-02T03:04:05Z",
        [INCIDENT, INCIDENT],
    ),
    (
        "incidents",
        lambda a: listed(a.cycles.incidents.iter(GUID)),
        f"GET /cycles/{GUID}/incidents?page=1&pageSize=100",
        [INCIDENT],
    ),
    (
        "incidents of a level",
        lambda a: listed(a.cycles.incidents.iter(GUID, level="warning")),
        f"GET /cycles/{GUID}/incidents/warning?page=1&pageSize=100",
        [INCIDENT],
    ),
    ("delete incidents", lambda a: a.cycles.incidents.delete(GUID), f"DELETE /cycles/{GUID}/incidents", None),
]


def written(found: Any) -> Any:
    """What the client has made of an answer, as JSON again."""
    if isinstance(found, list):
        return [written(one) for one in found]
    return found.to_dict() if isinstance(found, Model) else found


async def exchange(row: Row, account: str | None) -> None:
    _, send, request, answer = row
    line, _, body = request.partition("  ")
    method, target = line.split(" ")
    status = 201 if line == "POST /cycles" else 200
    said = reply("" if answer is None else json.dumps(answer), status=status, headers={"Total-Pages": "1"})
    async with Recorder(said) as server, AsyncPartnerSession("t", **places(server)) as session:
        v1: V1Api = session.v1
        asked: V1Api | AccountScope = v1 if account is None else v1.account(account)
        found = await send(asked)
    (heard,) = server.heard
    assert (heard.line, heard.body.decode()) == (f"{method} /v1.0{target} HTTP/1.1", body)
    assert heard.headers.get("x-cyclr-account") == account
    assert heard.headers["authorization"] == "Bearer t"
    assert heard.headers.get("content-type") == ("application/json" if body else None)
    if found is not None:
        assert written(found) == answer
    else:
        assert answer is None or answer is THIRD_PARTY  # a Message is nothing, and no error


@pytest.mark.parametrize("row", PARTNER, ids=[row[0] for row in PARTNER])
async def test_of_the_partner(row: Row) -> None:
    await exchange(row, None)


@pytest.mark.parametrize("row", ACCOUNT_LEVEL, ids=[row[0] for row in ACCOUNT_LEVEL])
async def test_of_an_account(row: Row) -> None:
    await exchange(row, "tenant 42")


def test_no_route_is_left_out() -> None:
    lines = [row[2].partition("  ")[0].split(" ") for row in (*PARTNER, *ACCOUNT_LEVEL)]
    lines += [["POST", f"/{path}"] for _, _, path, _, _ in LINKS]
    found = {find_operation(method, f"/v1.0{target.partition('?')[0]}").operation for method, target in lines}
    assert {(one.method, one.path) for one in OPERATIONS} - {(one.method, one.path) for one in found} == set()
