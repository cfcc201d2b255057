"""The partner API of the API document: one module per resource, its model beside it."""

from __future__ import annotations

from cyclr_async.partner.account import Account
from cyclr_async.partner.account_usage import AccountUsage
from cyclr_async.partner.accounts import Accounts
from cyclr_async.partner.connectors import Connectors
from cyclr_async.partner.partner_details import PartnerDetails
from cyclr_async.partner.price_plan import PricePlan
from cyclr_async.partner.priceplans import PricePlans
from cyclr_async.partner.sign_in_token import SignInToken
from cyclr_async.partner.tokens import Tokens
from cyclr_async.wire.model import Model

__all__ = [
    "Account",
    "AccountUsage",
    "Accounts",
    "Connectors",
    "Model",
    "PartnerDetails",
    "PricePlan",
    "PricePlans",
    "SignInToken",
    "Tokens",
]
