"""From a path to an operation, by hand: this is on the way of every request."""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote

import attrs

__all__ = ["Route", "find_route"]

_PLAIN: Final = {
    "/api/partner/accounts": ("accounts.list", "GET"),
    "/api/partner/details": ("details", "GET"),
    "/api/partner/priceplans": ("priceplans.list", "GET"),
    "/api/partner/createaccount": ("accounts.create", "POST"),
    "/api/partner/createaccountsignintoken": ("tokens.create", "POST"),
    "/api/partner/installconnector": ("connectors.install", "POST"),
    "/oauth/token": ("token", "POST"),
}
_ACCOUNTS: Final = "/api/partner/accounts/"


@attrs.frozen(slots=True)
class Route:
    """An operation, the method it takes, and the account in its path."""

    operation: str
    method: str
    account_id: str = ""


def find_route(path: str) -> Route | None:
    """Return the operation at a path, compared without case and trailing slash; None when there is none."""
    if path[: len(_ACCOUNTS)].lower() == _ACCOUNTS:
        account_id, _, rest = path[len(_ACCOUNTS) :].partition("/")
        if account_id:
            if "%" in account_id:
                account_id = unquote(account_id)
            rest = rest.rstrip("/").lower()
            if rest == "billing":
                return Route("accounts.usage", "GET", account_id)
            return Route("accounts.update", "PUT", account_id) if not rest else None
    found = _PLAIN.get(path.lower().rstrip("/"))
    return None if found is None else Route(*found)
