"""A step of a cycle, and where its values come from. Whatever is an enumeration at the server is text here."""

from collections.abc import Mapping
from typing import Any

import attrs

from cyclr_async.secret import Secret
from cyclr_async.v1.account_connector import AccountConnector
from cyclr_async.v1.connector import Field, Method, Parameter
from cyclr_async.wire.extra import EMPTY, as_extra
from cyclr_async.wire.model import Model

__all__ = ["FieldMapping", "ParameterMapping", "Step"]


@attrs.frozen(kw_only=True, slots=True, weakref_slot=False)
class Step(Model):
    """A step of a cycle.

    Attributes:
        id: a GUID.
        name: as people see it.
        description: free text.
        action_type: ``"Action"``, ``"Decision"``, …
        account_connector: what it calls; None for a tool.
        method: of that connector; None for a tool.
        display_position_left: on the canvas.
        display_position_top: on the canvas.
        extra: fields of the answer that are not known here.
    """

    id: str
    name: str | None = None
    description: str | None = None
    action_type: str | None = None
    # Likewise; and with its properties, so that it holds secrets.
    account_connector: AccountConnector | None = None
    # null for the tools of the service itself, such as a decision or a delay.
    method: Method | None = None
    display_position_left: int | None = None
    display_position_top: int | None = None
    extra: Mapping[str, Any] = attrs.field(default=EMPTY, converter=as_extra, repr=False, hash=False)


@attrs.frozen(kw_only=True, slots=True, weakref_slot=False)
class FieldMapping(Model):
    """Where the value of a field of a step comes from.

    Attributes:
        field: the field.
        mapping_type: ``"Ignore"``, ``"StaticValue"``, ``"ValueList"``, …; None when nothing is chosen.
        source_field_id: the field of an earlier step.
        source_step_id: that step.
        trigger_value: the choice among what a look-up found.
        trigger_value_display_name: its name.
        value: of a static value; a secret, since it may be a key.
        is_launch_visible: whether the end user is asked for it.
        extra: fields of the answer that are not known here.
    """

    field: Field | None = None
    mapping_type: str | None = None
    # These two go together: a field has an id that is unique within its step only.
    source_field_id: int | None = None
    source_step_id: str | None = None
    trigger_value: str | None = None
    trigger_value_display_name: str | None = None
    # A static value may be a key, and the mapping does not tell.
    value: Secret | None = None
    is_launch_visible: bool | None = None
    extra: Mapping[str, Any] = attrs.field(default=EMPTY, converter=as_extra, repr=False, hash=False)


@attrs.frozen(kw_only=True, slots=True, weakref_slot=False)
class ParameterMapping(Model):
    """Where the value of a parameter of a step comes from.

    Attributes:
        parameter: the parameter.
        is_entity_identifier: whether it names the entity.
        mapping_type: ``"Ignore"``, ``"StaticValue"``, ``"ValueList"``, …; None when nothing is chosen.
        source_field_id: the field of an earlier step.
        source_step_id: that step.
        trigger_value: the choice among what a look-up found.
        trigger_value_display_name: its name.
        value: of a static value; a secret, since it may be a key.
        is_launch_visible: whether the end user is asked for it.
        extra: fields of the answer that are not known here.
    """

    parameter: Parameter | None = None
    # Of parameters only, which is why there are two classes that are so much alike.
    is_entity_identifier: bool | None = None
    mapping_type: str | None = None
    source_field_id: int | None = None
    source_step_id: str | None = None
    trigger_value: str | None = None
    trigger_value_display_name: str | None = None
    value: Secret | None = None
    is_launch_visible: bool | None = None
    extra: Mapping[str, Any] = attrs.field(default=EMPTY, converter=as_extra, repr=False, hash=False)
