"""What the API can do: one class per resource."""

from cyclr_async.resources.accounts import Accounts
from cyclr_async.resources.connectors import Connectors
from cyclr_async.resources.priceplans import PricePlans
from cyclr_async.resources.tokens import Tokens

__all__ = ["Accounts", "Connectors", "PricePlans", "Tokens"]
