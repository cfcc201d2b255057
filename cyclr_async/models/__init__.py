"""What the API answers: one immutable class per answer."""

from cyclr_async.models.accounts import Account
from cyclr_async.models.base import Model
from cyclr_async.models.partner import PartnerDetails
from cyclr_async.models.priceplans import PricePlan
from cyclr_async.models.tokens import SignInToken
from cyclr_async.models.usage import AccountUsage

__all__ = ["Account", "AccountUsage", "Model", "PartnerDetails", "PricePlan", "SignInToken"]
