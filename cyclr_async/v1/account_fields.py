"""What is written of an account, checked, and held against an account that exists."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from cyclr_async.checks import shown
from cyclr_async.errors import AlreadyExistsError, BadRequestError, InvalidArgumentError
from cyclr_async.http.resource import text
from cyclr_async.v1.account import Account
from cyclr_async.v1.once import already
from cyclr_async.v1.resource import flag, query_text
from cyclr_async.wire.unset import UNSET, Unset

__all__ = ["account_body", "account_fields", "differing", "exists", "taken"]

_IN_USE: Final = "id already in use"
_LONGEST_RETENTION: Final = 744
"""Hours, a month of 31 days: the server stores more as that, without a word, so more is refused here."""
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_COMPARED: Final = {
    "Name": "name",
    "Description": "description",
    "Timezone": "timezone",
    "AuditInfo": "audit_info",
    "TaskAuditInfo": "task_audit_info",
    "StepDataSuccessRetentionHours": "step_data_success_retention_hours",
    "StepDataErroredRetentionHours": "step_data_errored_retention_hours",
    "TransactionErrorWebhookEnabled": "transaction_error_webhook_enabled",
    "TransactionErrorWebhookUrl": "transaction_error_webhook_url",
    "TransactionErrorWebhookIncludeWarnings": "transaction_error_webhook_include_warnings",
}
"""The arguments that an existing account is held against. Not its bill date, which moves on by itself, and not its
parent, which the answer does not name."""


def account_fields(
    name: str | Unset,
    description: str | Unset | None,
    timezone: str | Unset | None,
    audit_info: str | Unset | None,
    task_audit_info: str | Unset | None,
    next_bill_date_utc: datetime | Unset,
    success_retention: int | Unset | None,
    errored_retention: int | Unset | None,
    webhook_enabled: bool | Unset,
    webhook_url: str | Unset | None,
    webhook_warnings: bool | Unset,
) -> dict[str, object]:
    """Return the fields of an account as they are sent; the arguments are those of ``accounts.create``.

    Raises:
        InvalidArgumentError: one cannot be valid, or the server would refuse it, or change it without a word.
    """
    url = text(webhook_url, "transaction_error_webhook_url", null=True)
    if webhook_enabled is not UNSET:
        flag(webhook_enabled, "transaction_error_webhook_enabled")
    if webhook_warnings is not UNSET:
        flag(webhook_warnings, "transaction_error_webhook_include_warnings")
    if webhook_enabled is True and not url:
        raise InvalidArgumentError(
            "transaction_error_webhook_enabled=True needs transaction_error_webhook_url in the same call: the server "
            "looks at nothing else, also if it has stored one"
        )
    bill_date: object = next_bill_date_utc
    if bill_date is not UNSET:
        if not isinstance(next_bill_date_utc, datetime):
            raise InvalidArgumentError(
                f"next_bill_date_utc must be a datetime, not {type(next_bill_date_utc).__name__}: it has a time of day"
            )
        bill_date = query_text("next_bill_date_utc", next_bill_date_utc)
    return {
        "Name": text(name, "name"),
        "Description": text(description, "description", empty=True, null=True),
        "Timezone": text(timezone, "timezone", null=True),
        "AuditInfo": text(audit_info, "audit_info", empty=True, null=True),
        "TaskAuditInfo": text(task_audit_info, "task_audit_info", empty=True, null=True),
        "NextBillDateUtc": bill_date,
        "StepDataSuccessRetentionHours": _hours(success_retention, "step_data_success_retention_hours"),
        "StepDataErroredRetentionHours": _hours(errored_retention, "step_data_errored_retention_hours"),
        "TransactionErrorWebhookEnabled": webhook_enabled,
        "TransactionErrorWebhookUrl": url,
        "TransactionErrorWebhookIncludeWarnings": webhook_warnings,
    }


def _hours(value: object, name: str) -> object:
    if value is UNSET or value is None:
        return value
    if type(value) is not int or not 0 <= value <= _LONGEST_RETENTION:
        raise InvalidArgumentError(
            f"{name} must be an int from 0 to {_LONGEST_RETENTION}, or None to inherit; got {shown(value)}"
        )
    return value


def differing(fields: Mapping[str, object], found: Account) -> tuple[str, ...]:
    """Return the names of the arguments that an existing account does not agree with."""
    return tuple(
        name
        for wire, name in _COMPARED.items()
        if (wanted := fields[wire]) is not UNSET and not _agree(name, wanted, getattr(found, name))
    )


def _agree(name: str, wanted: object, found: object) -> bool:
    if name == "timezone" and wanted is None:
        return True  # null asks for the server's own, whichever that is
    if name == "transaction_error_webhook_url" and isinstance(wanted, str) and not _SCHEME.match(wanted):
        wanted = f"https://{wanted}"  # as the server stores it
    if isinstance(wanted, str) and isinstance(found, str):
        return wanted.strip() == found.strip()
    return wanted == found or (_is_nothing(wanted) and _is_nothing(found))


def _is_nothing(value: object) -> bool:
    """Whether a value is how a field that was never set may come: null, an empty text, or false. Not 0 hours."""
    return value is None or value is False or value == ""


def account_body(
    account_id: str | None, fields: Mapping[str, object], parent_account_id: str | None
) -> dict[str, object]:
    """Return the body that creates an account."""
    parent = UNSET if parent_account_id is None else text(parent_account_id, "parent_account_id")
    return {"Id": UNSET if account_id is None else account_id, **fields, "ParentAccountId": parent}


def taken(error: BadRequestError) -> AlreadyExistsError | None:
    """Return the refusal as one about an id in use, or None when it is about something else."""
    return already(error) if _IN_USE in (error.server_message or "").casefold() else None


def exists(found: Account) -> AlreadyExistsError:
    """Return the error for an account that is there already."""
    return AlreadyExistsError(
        f"v1.accounts.create: there is an account {shown(found.id)} already.", status=400, attempts=1
    )
