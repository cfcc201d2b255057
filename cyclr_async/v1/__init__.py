"""The v1.0 API: what a session's ``v1`` is made of."""

from __future__ import annotations

from cyclr_async.v1.account import Account, AccountUsage
from cyclr_async.v1.account_connector import AccountConnector, CustomField, Property
from cyclr_async.v1.account_connectors import AccountConnectors, basic_auth
from cyclr_async.v1.accounts import Accounts
from cyclr_async.v1.api import AccountScope, V1Api
from cyclr_async.v1.connector import Authentication, Choice, Connector, Field, Method, Parameter, Trigger
from cyclr_async.v1.connector_settings import CustomConnectors, CustomFields, Properties
from cyclr_async.v1.connectors import Connectors, Methods
from cyclr_async.v1.cycle import Cycle, CycleConnector, Edge, Incident, Prerequisite, Transaction, Variable
from cyclr_async.v1.cycle_parts import CycleSteps, Edges, Variables
from cyclr_async.v1.cycles import Cycles, Incidents, Transactions
from cyclr_async.v1.launch import Launch
from cyclr_async.v1.launch_link import ConnectorAuthentication, LaunchLink, MarketplaceLink, OrbitLink
from cyclr_async.v1.step import FieldMapping, ParameterMapping, Step
from cyclr_async.v1.steps import FieldMappings, Parameters, Steps
from cyclr_async.v1.template import Template, TemplateConnector
from cyclr_async.v1.templates import AccountTemplates, Templates
from cyclr_async.v1.tokens import SignInToken, Tokens
from cyclr_async.v1.users import Users

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
    "ConnectorAuthentication",
    "Connectors",
    "CustomConnectors",
    "CustomField",
    "CustomFields",
    "Cycle",
    "CycleConnector",
    "CycleSteps",
    "Cycles",
    "Edge",
    "Edges",
    "Field",
    "FieldMapping",
    "FieldMappings",
    "Incident",
    "Incidents",
    "Launch",
    "LaunchLink",
    "MarketplaceLink",
    "Method",
    "Methods",
    "OrbitLink",
    "Parameter",
    "ParameterMapping",
    "Parameters",
    "Prerequisite",
    "Properties",
    "Property",
    "SignInToken",
    "Step",
    "Steps",
    "Template",
    "TemplateConnector",
    "Templates",
    "Tokens",
    "Transaction",
    "Transactions",
    "Trigger",
    "Users",
    "V1Api",
    "Variable",
    "Variables",
    "basic_auth",
]
