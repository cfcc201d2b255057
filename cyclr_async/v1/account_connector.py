"""A connector that is installed in an account."""

from collections.abc import Mapping
from typing import Any

import attrs

from cyclr_async.secret import Secret
from cyclr_async.v1.connector import Connector
from cyclr_async.wire.extra import EMPTY, as_extra
from cyclr_async.wire.model import Model

__all__ = ["AccountConnector", "CustomField", "Property"]


@attrs.frozen(kw_only=True, slots=True, weakref_slot=False)
class Property(Model):
    """A property of an account connector.

    Attributes:
        id: its id.
        name: the ``target_name`` of the connector's parameter.
        value: a secret: which properties are sensitive, only the connector tells.
        account_connector_id: whose it is.
        extra: fields of the answer that are not known here.
    """

    # The only one that every other call needs; all else may be missing, and the connector is of use all the same.
    id: int | None = None
    name: str | None = None
    # A secret always: whether it is sensitive is said by the connector's parameter, which is not at hand here, and one
    # that is shown by mistake cannot be taken back.
    value: Secret | None = None
    account_connector_id: int | None = None
    extra: Mapping[str, Any] = attrs.field(default=EMPTY, converter=as_extra, repr=False, hash=False)


@attrs.frozen(kw_only=True, slots=True, weakref_slot=False)
class CustomField(Model):
    """A field that an account adds to what a connector knows.

    Attributes:
        id: its id.
        connector_field: where it is in the data of the connector.
        system_field: the name in the partner's own application.
        display_name: as people see it.
        description: free text.
        data_type: such as ``"Text"``.
        method_unique_identifier: the method it belongs to; the GUID of zeros means all.
        data_type_format: such as the format of a date.
        entity_identifier: the entity it belongs to.
        for_request_format: whether it is sent rather than received.
        extra: fields of the answer that are not known here.
    """

    id: int | None = None
    connector_field: str | None = None
    # Which of these always come was never documented: a field that is required here without need would make a whole
    # list unreadable.
    system_field: str | None = None
    display_name: str | None = None
    description: str | None = None
    data_type: str | None = None
    method_unique_identifier: str | None = None
    data_type_format: str | None = None
    entity_identifier: str | None = None
    for_request_format: bool | None = None
    extra: Mapping[str, Any] = attrs.field(default=EMPTY, converter=as_extra, repr=False, hash=False)


@attrs.frozen(kw_only=True, slots=True, weakref_slot=False)
class AccountConnector(Model):
    """A connector that is installed in an account.

    Attributes:
        id: its id.
        name: in the account; no two are the same.
        description: free text.
        auth_value: what it signs in with.
        authenticated: whether it has signed in.
        connector: of the catalogue.
        is_partner_integration_connector: whether it is the partner's own.
        properties: values for the parameters of the connector.
        custom_fields: fields of the account's own.
        extra: fields of the answer that are not known here.
    """

    id: int
    name: str | None = None
    description: str | None = None
    # The service answers with it in clear, so it is wrapped before anybody can print it.
    auth_value: Secret | None = None
    authenticated: bool | None = None
    # Whole, as it comes: what the account signs in with and needs is said there, and a second request would cost more.
    connector: Connector | None = None
    is_partner_integration_connector: bool | None = None
    properties: tuple[Property, ...] | None = None
    custom_fields: tuple[CustomField, ...] | None = None
    extra: Mapping[str, Any] = attrs.field(default=EMPTY, converter=as_extra, repr=False, hash=False)
