"""How rows are filled from what an API answers: the one place of the store that knows what its models are called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import attrs

__all__ = ["API_ROWS", "PARTNER_API", "V1_API", "ApiRows", "Figures", "Listed", "ListedColumns", "rows_of"]

PARTNER_API: Final = "partner"
V1_API: Final = "v1"


class Figures(NamedTuple):
    """What an answer says of a period, whatever the API calls it."""

    period_from: datetime | None
    period_to: datetime | None
    task_count: int
    cycle_count: int | None
    price_plan_id: int | None
    audit_info: str | None


class ListedColumns(NamedTuple):
    """What an account list says of an account, as far as it has a column of its own."""

    name: str | None
    price_plan_id: int | None
    audit_info: str | None
    task_audit_info: str | None


@attrs.define  # treated as frozen; one is made for every account, and a frozen one takes longer to make
class Listed:
    """An account with what its model does not say of it.

    Attributes:
        account: the account.
        parent_account_id: whose sub-account it is; None when it is nobody's, or that is not known.
        document: its JSON as it came, where that is at hand: it need not be made of the model again.
    """

    account: Any
    parent_account_id: str | None = None
    document: Mapping[str, Any] | None = None

    @property
    def id(self) -> str:
        """The id of the account."""
        return str(self.account.id)


@attrs.frozen(kw_only=True)
class ApiRows:
    """How the rows of one API are filled.

    Attributes:
        name: of the API, as runs and rows carry it.
        figures: takes an answer apart.
        listed: takes an account apart.
        account_of: makes an account of the JSON that was kept of it.
        has_api_id: whether its account ids are those by which v1.0 knows the accounts.
    """

    name: str
    figures: Callable[[Any], Figures]
    listed: Callable[[Any], ListedColumns]
    account_of: Callable[[Mapping[str, Any]], Any]
    has_api_id: bool


def _partner_account(data: Mapping[str, Any]) -> Any:
    from cyclr_async.partner import Account  # loaded already by whoever made the account  # noqa: PLC0415

    return Account.from_dict(data)


def _v1_account(data: Mapping[str, Any]) -> Any:
    from cyclr_async.v1 import Account  # as above  # noqa: PLC0415

    return Account.from_dict(data)


API_ROWS: Final = {
    rows.name: rows
    for rows in (
        ApiRows(
            name=PARTNER_API,
            figures=lambda usage: Figures(
                usage.from_date,
                usage.to_date,
                usage.task_count,
                usage.cycle_count,
                usage.current_price_plan_id,
                usage.audit_info,
            ),
            listed=lambda account: ListedColumns(account.name, account.price_plan_id, account.audit_info, None),
            account_of=_partner_account,
            has_api_id=False,
        ),
        # It counts no cycles and names no plan: NULL, because zero would be a figure.
        ApiRows(
            name=V1_API,
            figures=lambda usage: Figures(usage.start_time, usage.end_time, usage.tasks_used, None, None, None),
            listed=lambda account: ListedColumns(account.name, None, account.audit_info, account.task_audit_info),
            account_of=_v1_account,
            has_api_id=True,
        ),
    )
}
"""Every API by the name that a run carries."""


def rows_of(api: str) -> ApiRows:
    """Return how the rows of an API are filled.

    Raises:
        LookupError: there is no such API.
    """
    return API_ROWS[api]
