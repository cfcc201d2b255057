"""An account of the v1.0 API, and what it has used."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from cyclr_async.wire.extra import EMPTY, as_extra
from cyclr_async.wire.fields import NEVER
from cyclr_async.wire.model import Model

__all__ = ["Account", "AccountUsage"]


@attrs.frozen(kw_only=True, slots=True, weakref_slot=False)
class Account(Model):
    """An account.

    Whether it is a sub-account, and of whom, is not part of the answer.

    Attributes:
        created_date: UTC.
        id: the API id: a text that the partner chose, or the GUID of the account where none was chosen.
        name: the display name. Not to be relied on: before 2022 the server did not ask for one.
        description: free text.
        audit_info: free text for the partner's own reference.
        task_audit_info: free text for the partner's own reference.
        timezone: an IANA name, in which the account sees dates and times.
        next_bill_date_utc: UTC.
        step_data_success_retention_hours: hours for which the data of steps that succeeded is kept, 0 to 744; None
            inherits the partner's setting.
        step_data_errored_retention_hours: likewise for steps that failed.
        transaction_error_webhook_enabled: whether errors of transactions are reported to the URL.
        transaction_error_webhook_url: where they are reported to.
        transaction_error_webhook_include_warnings: whether warnings are reported too.
        extra: fields of the answer that are not known here.
    """

    # In the order of the answer, so that a model is written back as it came.
    created_date: datetime | None = attrs.field(default=None, metadata=NEVER)
    id: str
    name: str | None = None
    description: str | None = None
    audit_info: str | None = None
    task_audit_info: str | None = None
    timezone: str | None = None
    next_bill_date_utc: datetime | None = attrs.field(default=None, metadata=NEVER)
    step_data_success_retention_hours: int | None = None
    step_data_errored_retention_hours: int | None = None
    transaction_error_webhook_enabled: bool | None = None
    transaction_error_webhook_url: str | None = None
    transaction_error_webhook_include_warnings: bool | None = None
    extra: Mapping[str, Any] = attrs.field(default=EMPTY, converter=as_extra, repr=False, hash=False)


@attrs.frozen(kw_only=True, slots=True, weakref_slot=False)
class AccountUsage(Model):
    """What an account has used. The tasks of its sub-accounts are not in it.

    Attributes:
        id: of the account: the id that was asked for, as far as is known.
        tasks_used: the number of tasks in the period.
        start_time: the start of the period, UTC.
        end_time: the end of the period, UTC; assumed to be the moment of the answer.
        extra: fields of the answer that are not known here.
    """

    # None rather than an error: that an Id comes at all was seen, and nothing but the check of answers needs it.
    id: str | None = None
    tasks_used: int
    start_time: datetime | None = attrs.field(default=None, metadata=NEVER)
    end_time: datetime | None = attrs.field(default=None, metadata=NEVER)
    extra: Mapping[str, Any] = attrs.field(default=EMPTY, converter=as_extra, repr=False, hash=False)
