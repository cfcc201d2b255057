"""The v1.0 API: what a session's ``v1`` is made of."""

from __future__ import annotations

from cyclr_async.v1.account import Account, AccountUsage
from cyclr_async.v1.account_connector import AccountConnector, CustomField, Property
from cyclr_async.v1.account_connectors import AccountConnectors, basic_auth
from cyclr_async.v1.accounts import Accounts
from cyclr_async.v1.api import AccountScope, V1Api
from cyclr_async.v1.connector import Authentication, Choice, Connector, Field, Method, Parameter, Trigger
from cyclr_async.v1.connectors import Connectors, Methods
from cyclr_async.v1.cycle import Cycle, CycleConnector, Edge, Incident, Prerequisite, Transaction, Variable
from cyclr_async.v1.cycles import Cycles
from cyclr_async.v1.step import FieldMapping, ParameterMapping, Step
from cyclr_async.v1.steps import Steps
from cyclr_async.v1.template import Template, TemplateConnector
from cyclr_async.v1.templates import AccountTemplates, Templates

__all__ = [
    "Account",
    "AccountConnector",
    "AccountConnectors",
    "AccountScope",
    "AccountTemplates",
    "AccountUsage",
    "Accounts",
    "Authentication",
    "Choice",
    "Connector",
    "Connectors",
    "CustomField",
    "Cycle",
    "CycleConnector",
    "Cycles",
    "Edge",
    "Field",
    "FieldMapping",
    "Incident",
    "Method",
    "Methods",
    "Parameter",
    "ParameterMapping",
    "Prerequisite",
    "Property",
    "Step",
    "Steps",
    "Template",
    "TemplateConnector",
    "Templates",
    "Transaction",
    "Trigger",
    "V1Api",
    "Variable",
    "basic_auth",
]
