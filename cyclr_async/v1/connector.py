"""A connector of the catalogue, and what it consists of. Whatever is an enumeration at the server is text here."""

from collections.abc import Mapping
from typing import Any

import attrs

from cyclr_async.wire.extra import EMPTY, as_extra
from cyclr_async.wire.model import Model

__all__ = ["Authentication", "Choice", "Connector", "Field", "Method", "Parameter", "Trigger"]


@attrs.frozen(kw_only=True, slots=True, weakref_slot=False)
class Choice(Model):
    """One of the values that a look-up finds.

    Attributes:
        name: as people see it.
        value: what to send.
        extra: fields of the answer that are not known here.
    """

    name: str | None = None
    # Sent back as it came, for a parameter or field whose type only the third party knows.
    value: str | None = None
    extra: Mapping[str, Any] = attrs.field(default=EMPTY, converter=as_extra, repr=False, hash=False)


@attrs.frozen(kw_only=True, slots=True, weakref_slot=False)
class Trigger(Model):
    """A look-up of values.

    Attributes:
        trigger_id: its id.
        account_connector_id: the connector it asks; None in the catalogue.
        method_id: the method behind it.
        name: what it looks up.
        human_readable_key: the field of the answer that is shown.
        identifier_key: the field of the answer that is the value.
        sub_triggers: JSON as it came.
        entity_id: JSON as it came.
        extra: fields of the answer that are not known here.
    """

    # Not `id`, as everywhere else: the service calls it TriggerId.
    trigger_id: int
    account_connector_id: int | None = None
    method_id: int | None = None
    name: str | None = None
    human_readable_key: str | None = None
    identifier_key: str | None = None
    # What these two hold is not documented and not guessed. Out of the hash: a list has none.
    sub_triggers: Any = attrs.field(default=None, hash=False)
    entity_id: Any = attrs.field(default=None, hash=False)
    extra: Mapping[str, Any] = attrs.field(default=EMPTY, converter=as_extra, repr=False, hash=False)


@attrs.frozen(kw_only=True, slots=True, weakref_slot=False)
class Parameter(Model):
    """A parameter of a connector, or of one of its methods.

    Attributes:
        id: its id.
        name: as people see it.
        description: free text.
        target_type: where it goes, such as ``"HttpHeader"`` or ``"MergeField"``.
        target_name: as the third party sees it; the name of a property at install.
        is_sensitive: whether its value is a secret.
        is_optional: whether it may be left out.
        is_account_connector_property: of a connector's: whether each account has a value of its own.
        data_type: such as ``"Text"``.
        trigger_name: the look-up of its values.
        values: the values that are allowed; None for any.
        display_order: its place among the others.
        triggers: look-ups of its values.
        extra: fields of the answer that are not known here.
    """

    id: int | None = None
    name: str | None = None
    description: str | None = None
    target_type: str | None = None
    target_name: str | None = None
    is_sensitive: bool | None = None
    is_optional: bool | None = None
    # Absent from the parameters of methods, which are otherwise the same; hence one class for both.
    is_account_connector_property: bool | None = None
    data_type: str | None = None
    trigger_name: str | None = None
    values: tuple[str, ...] | None = None
    display_order: int | None = None
    # null in the catalogue, an array in steps and connectors of an account: None and () are told apart.
    triggers: tuple[Trigger, ...] | None = None
    extra: Mapping[str, Any] = attrs.field(default=EMPTY, converter=as_extra, repr=False, hash=False)


@attrs.frozen(kw_only=True, slots=True, weakref_slot=False)
class Field(Model):
    """A field of what a method sends or answers.

    Attributes:
        id: its id.
        location: where it is in the data, such as ``"[records].Id"``.
        name: as people see it.
        description: free text.
        is_optional: whether it may be left out.
        data_type: such as ``"Text"``.
        trigger_name: the look-up of its values.
        values: the values that are allowed; None for any.
        display_order: its place among the others.
        triggers: look-ups of its values.
        step: the step it comes from, JSON as it came; in ``fields_for_mapping`` only.
        extra: fields of the answer that are not known here.
    """

    id: int | None = None
    # Text with a notation of the service's own: taking it apart is left to who knows the method.
    location: str | None = None
    name: str | None = None
    description: str | None = None
    is_optional: bool | None = None
    data_type: str | None = None
    trigger_name: str | None = None
    values: tuple[str, ...] | None = None
    display_order: int | None = None
    triggers: tuple[Trigger, ...] | None = None
    # An earlier step, abridged in a way that no document shows: as it came.
    step: Any = attrs.field(default=None, hash=False)
    extra: Mapping[str, Any] = attrs.field(default=EMPTY, converter=as_extra, repr=False, hash=False)


@attrs.frozen(kw_only=True, slots=True, weakref_slot=False)
class Method(Model):
    """A method of a connector.

    Attributes:
        id: its id.
        name: as people see it.
        description: what it does.
        category: the group it is listed in.
        method_type: ``"Action"``, ``"Webhook"``, ``"Script"``, …
        end_point: at the third party.
        parameters: of the call.
        method_unique_identifier: the id that stays the same in all versions, a GUID.
        warning: what to mind.
        create_webhook_method: JSON as it came.
        delete_webhook_method: JSON as it came.
        request_fields: of what is sent.
        response_fields: of the answer.
        extra: fields of the answer that are not known here.
    """

    id: int
    name: str | None = None
    description: str | None = None
    category: str | None = None
    method_type: str | None = None
    end_point: str | None = None
    parameters: tuple[Parameter, ...] | None = None
    # The id above belongs to one release of the connector, this one always means the newest.
    method_unique_identifier: str | None = None
    warning: str | None = None
    # null in every answer that was seen, so nothing is known of their form.
    create_webhook_method: Any = attrs.field(default=None, hash=False)
    delete_webhook_method: Any = attrs.field(default=None, hash=False)
    request_fields: tuple[Field, ...] | None = None
    response_fields: tuple[Field, ...] | None = None
    extra: Mapping[str, Any] = attrs.field(default=EMPTY, converter=as_extra, repr=False, hash=False)


@attrs.frozen(kw_only=True, slots=True, weakref_slot=False)
class Authentication(Model):
    """One of several ways to sign in to a connector.

    Attributes:
        id: a GUID; ``authentication_id`` of an install.
        auth_name: as people see it.
        auth_description: free text.
        auth_type: such as ``"ApiKey"``.
        oauth2_type: such as ``"AuthorisationCode"``.
        auth_scheme: such as ``"Bearer"``.
        extra: fields of the answer that are not known here.
    """

    id: str | None = None
    auth_name: str | None = None
    auth_description: str | None = None
    auth_type: str | None = None
    # By name, because "oauth2" does not follow from the rule for names: it would be Oauth2Type.
    oauth2_type: str | None = attrs.field(default=None, metadata={"wire": "OAuth2Type"})
    auth_scheme: str | None = None
    extra: Mapping[str, Any] = attrs.field(default=EMPTY, converter=as_extra, repr=False, hash=False)


@attrs.frozen(kw_only=True, slots=True, weakref_slot=False)
class Connector(Model):
    """A connector of the catalogue.

    Attributes:
        id: its id.
        name: as in paths.
        description: free text.
        status: ``"Approved"``, ``"Draft"``, …; a draft cannot be installed.
        version: None when it has none.
        icon: a ``data:`` URI as it came.
        auth_description: free text.
        auth_type: ``"ApiKey"``, ``"Basic"``, ``"OAuth1"``, ``"OAuth2"``, ``"AuthFields"``, ``"None"``, …
        oauth2_type: such as ``"AuthorisationCode"``.
        auth_scheme: such as ``"Bearer"``.
        categories: the groups it is listed in.
        parameters: those of an account are its properties.
        authentication: the ways to sign in, when there are several.
        triggers: look-ups.
        is_system_connector: whether it is a tool of the service itself.
        extra: fields of the answer that are not known here.
    """

    id: int
    name: str
    description: str | None = None
    status: str | None = None
    version: str | None = None
    # Tens of kilobytes of base64, which nobody wants in a log line. It is not decoded before somebody asks for it.
    icon: str | None = attrs.field(default=None, repr=False)
    auth_description: str | None = None
    auth_type: str | None = None
    oauth2_type: str | None = attrs.field(default=None, metadata={"wire": "OAuth2Type"})
    auth_scheme: str | None = None
    categories: tuple[str, ...] | None = None
    parameters: tuple[Parameter, ...] | None = None
    authentication: tuple[Authentication, ...] | None = None
    triggers: tuple[Trigger, ...] | None = None
    is_system_connector: bool | None = None
    extra: Mapping[str, Any] = attrs.field(default=EMPTY, converter=as_extra, repr=False, hash=False)
