"""A cycle, and what belongs to it. Whatever is an enumeration at the server is text here."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from cyclr_async.wire.extra import EMPTY, as_extra
from cyclr_async.wire.fields import NEVER
from cyclr_async.wire.model import Model

__all__ = ["Cycle", "CycleConnector", "Edge", "Incident", "Prerequisite", "Transaction", "Variable"]


@attrs.frozen(kw_only=True, slots=True, weakref_slot=False)
class CycleConnector(Model):
    """A connector that a cycle uses.

    Attributes:
        id: of the connector in the catalogue.
        name: of the connector.
        version: of the connector.
        step_count: the steps that use it.
        icon: a ``data:`` URI as it came; None unless icons were asked for.
        account_connector_id: the account's connector.
        authenticated: whether that has signed in.
        extra: fields of the answer that are not known here.
    """

    id: int | None = None
    name: str | None = None
    version: str | None = None
    step_count: int | None = None
    # A data: URI of many kilobytes where it comes at all.
    icon: str | None = attrs.field(default=None, repr=False)
    account_connector_id: int | None = None
    authenticated: bool | None = None
    extra: Mapping[str, Any] = attrs.field(default=EMPTY, converter=as_extra, repr=False, hash=False)


@attrs.frozen(kw_only=True, slots=True, weakref_slot=False)
class Cycle(Model):
    """A cycle of an account.

    Attributes:
        id: a GUID.
        created_on_utc: UTC.
        tasks_used: as the service counts them.
        error_count: incidents that are errors.
        warning_count: incidents that are warnings.
        connectors: what it uses.
        status: ``"Paused"``, ``"Active"``, ``"Stopped"``, ``"DeleteScheduled"``, …
        last_successful_run_date: UTC; None when there was none.
        in_progress_transaction_count: transactions that run now.
        name: as people see it.
        description: free text.
        shareable: whether it can be shared.
        continue_on_step_error: older than ``step_error_action``.
        step_error_action: ``"Ignore"``, ``"Stop"``, ``"Retry"``, …
        log_step_data_requests: whether requests and answers are kept.
        collection_split_type: ``"None"``, ``"All"``, …
        step_data_success_retention_hours: hours; None for those of the account.
        step_data_errored_retention_hours: hours; None for those of the account.
        tags: of the cycle.
        template_id: what it was made from.
        extra: fields of the answer that are not known here.
    """

    id: str
    # Year 1 is how .NET writes that something has never happened.
    created_on_utc: datetime | None = attrs.field(default=None, metadata=NEVER)
    tasks_used: int | None = None
    error_count: int | None = None
    warning_count: int | None = None
    connectors: tuple[CycleConnector, ...] | None = None
    # No list of values is documented, and a cycle that came with an unknown one must not be lost for it.
    status: str | None = None
    last_successful_run_date: datetime | None = attrs.field(default=None, metadata=NEVER)
    in_progress_transaction_count: int | None = None
    name: str | None = None
    description: str | None = None
    shareable: bool | None = None
    # Documents name this one, answers of the service the next: whichever comes is kept.
    continue_on_step_error: bool | None = None
    step_error_action: str | None = None
    log_step_data_requests: bool | None = None
    collection_split_type: str | None = None
    step_data_success_retention_hours: int | None = None
    step_data_errored_retention_hours: int | None = None
    tags: tuple[str, ...] | None = None
    template_id: str | None = None
    extra: Mapping[str, Any] = attrs.field(default=EMPTY, converter=as_extra, repr=False, hash=False)


@attrs.frozen(kw_only=True, slots=True, weakref_slot=False)
class Edge(Model):
    """What leads from one step to the next.

    Attributes:
        id: a GUID.
        head_step_id: the step before.
        tail_step_id: the step after.
        edge_type: ``"Forward"``, …
        extra: fields of the answer that are not known here.
    """

    id: str
    head_step_id: str | None = None
    tail_step_id: str | None = None
    # Only one value is known, but the server has an enumeration there.
    edge_type: str | None = None
    extra: Mapping[str, Any] = attrs.field(default=EMPTY, converter=as_extra, repr=False, hash=False)


@attrs.frozen(kw_only=True, slots=True, weakref_slot=False)
class Variable(Model):
    """A variable of a cycle.

    Attributes:
        display_name: as people see it.
        system_name: what it is found by.
        value: what it holds.
        mapping_type: ``"StaticValue"``, …
        extra: fields of the answer that are not known here.
    """

    display_name: str | None = None
    system_name: str | None = None
    # A caller may keep a key in a variable; it is no Secret, since most are plain settings that cycles branch on.
    value: str | None = attrs.field(default=None, repr=False)
    mapping_type: str | None = None
    extra: Mapping[str, Any] = attrs.field(default=EMPTY, converter=as_extra, repr=False, hash=False)


@attrs.frozen(kw_only=True, slots=True, weakref_slot=False)
class Prerequisite(Model):
    """What must be done before a cycle or step can run.

    Attributes:
        reason_code: 10 for a cycle without steps.
        reason: in words.
        object_type: such as ``"Cycle"``.
        object_id: an int or a GUID, by the type of the object.
        extra: fields of the answer that are not known here.
    """

    reason_code: int | None = None
    reason: str | None = None
    object_type: str | None = None
    # An int for connectors, parameters and fields, a GUID for steps.
    object_id: Any = None
    extra: Mapping[str, Any] = attrs.field(default=EMPTY, converter=as_extra, repr=False, hash=False)


@attrs.frozen(kw_only=True, slots=True, weakref_slot=False)
class Transaction(Model):
    """One run of a cycle.

    Attributes:
        id: a GUID.
        cycle_id: the cycle.
        status: such as ``"Completed"``.
        extra: fields of the answer that are not known here.
    """

    id: str
    cycle_id: str | None = None
    status: str | None = None
    extra: Mapping[str, Any] = attrs.field(default=EMPTY, converter=as_extra, repr=False, hash=False)


@attrs.frozen(kw_only=True, slots=True, weakref_slot=False)
class Incident(Model):
    """An error or a warning of a cycle.

    Attributes:
        cycle_id: the cycle.
        cycle_name: its name.
        incident_level: ``"Error"``, ``"Warning"``, …
        short_message: in brief.
        full_message: in full; it may repeat data.
        step_id: the step.
        step_name: its name.
        transaction_id: the run.
        extra: fields of the answer that are not known here.
    """

    cycle_id: str | None = None
    cycle_name: str | None = None
    incident_level: str | None = None
    short_message: str | None = None
    # The third party's answer and the request to it, line by line: long, and with other people's data in it.
    full_message: str | None = attrs.field(default=None, repr=False)
    step_id: str | None = None
    step_name: str | None = None
    transaction_id: str | None = None
    extra: Mapping[str, Any] = attrs.field(default=EMPTY, converter=as_extra, repr=False, hash=False)
