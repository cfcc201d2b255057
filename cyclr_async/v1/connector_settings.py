"""What belongs to a connector of an account: properties and custom fields; and connectors of an account's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cyclr_async.errors import DecodeError, InvalidArgumentError
from cyclr_async.http.request import Response
from cyclr_async.http.resource import body_of, model, text
from cyclr_async.secret import Secret
from cyclr_async.v1.account_connector import CustomField, Property
from cyclr_async.v1.resource import V1Resource, free_body, models, number, raw, secret_text, some
from cyclr_async.wire.unset import UNSET, Unset

__all__ = ["CustomConnectors", "CustomFields", "Properties", "own_path", "secret_value"]


class Properties(V1Resource):
    """The properties of a connector of an account. Their values are secrets."""

    __slots__ = ()

    async def list(
        self,
        account_connector_id: int,
        *,
        order_by: str | None = None,
        ascending: bool | None = None,
        timeout: float | None = None,
    ) -> list[Property]:
        """Return the properties; ``order_by`` is ``"Id"`` or ``"Name"``.

        Raises:
            NotFoundError: the account has no such connector.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        asked = {"orderBy": order_by, "sortOrderAsc": ascending}
        path = f"{own_path(account_connector_id)}/properties"
        return await self._whole("v1.properties.list", path, models(Property), query=asked, timeout=timeout)

    async def create(
        self, account_connector_id: int, name: str, value: str | Secret, *, timeout: float | None = None
    ) -> Property:
        """Add a property. Never repeated when it is not known whether it was carried out.

        Raises:
            NotFoundError: the account has no such connector.
            OutcomeUnknownError: the property may have been added.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        # Rebound at once: a traceback with locals shows this frame.
        value = secret_value(value)
        fields = {"Name": text(name, "name"), "Value": secret_text(value)}
        return await self._send(
            "v1.properties.create",
            "POST",
            f"{own_path(account_connector_id)}/properties",
            model(Property),
            body=body_of(fields),
            timeout=timeout,
            secrets=(value,),
        )

    async def get(self, account_connector_id: int, property_id: int, *, timeout: float | None = None) -> Property:
        """Return a property.

        Raises:
            NotFoundError: no such connector or property.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        path = f"{own_path(account_connector_id)}/properties/{number(property_id, 'property_id')}"
        return await self._send("v1.properties.get", "GET", path, model(Property), timeout=timeout)

    async def update(
        self,
        account_connector_id: int,
        property_id: int,
        *,
        value: str | Secret,
        name: str | Unset = UNSET,
        timeout: float | None = None,
    ) -> Property:
        """Change a property.

        Raises:
            NotFoundError: no such connector or property.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        value = secret_value(value)
        fields = {"Name": text(name, "name"), "Value": secret_text(value)}
        path = f"{own_path(account_connector_id)}/properties/{number(property_id, 'property_id')}"
        return await self._send(
            "v1.properties.update",
            "PUT",
            path,
            model(Property),
            body=body_of(fields),
            timeout=timeout,
            secrets=(value,),
        )

    async def delete(self, account_connector_id: int, property_id: int, *, timeout: float | None = None) -> None:
        """Delete a property.

        Raises:
            NotFoundError: no such connector or property.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        path = f"{own_path(account_connector_id)}/properties/{number(property_id, 'property_id')}"
        await self._delete("v1.properties.delete", path, timeout=timeout)


class CustomFields(V1Resource):
    """The custom fields of a connector of an account."""

    __slots__ = ()

    async def list(self, account_connector_id: int, *, timeout: float | None = None) -> list[CustomField]:
        """Return the custom fields.

        Raises:
            NotFoundError: the account has no such connector.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        path = f"{own_path(account_connector_id)}/fields"
        return await self._whole("v1.fields.list", path, models(CustomField), timeout=timeout)

    async def create(
        self, account_connector_id: int, field: CustomField, *, timeout: float | None = None
    ) -> CustomField:
        """Add a custom field. Never repeated when it is not known whether it was carried out.

        Args:
            account_connector_id: the connector.
            field: what is None in it is not sent, nor is its id.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Raises:
            NotFoundError: the account has no such connector.
            OutcomeUnknownError: the field may have been added.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        # Nothing says that names are unique among custom fields, so a lost answer cannot be settled by looking.
        path, body = f"{own_path(account_connector_id)}/fields", body_of(_field_row(field))
        return await self._send("v1.fields.create", "POST", path, model(CustomField), body=body, timeout=timeout)

    async def get(self, account_connector_id: int, field_id: int, *, timeout: float | None = None) -> CustomField:
        """Return a custom field.

        Raises:
            NotFoundError: no such connector or field.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        path = f"{own_path(account_connector_id)}/fields/{number(field_id, 'field_id')}"
        return await self._send("v1.fields.get", "GET", path, model(CustomField), timeout=timeout)

    async def update(
        self, account_connector_id: int, field_id: int, field: CustomField, *, timeout: float | None = None
    ) -> CustomField:
        """Change a custom field; what is None in ``field`` stays as it is.

        Raises:
            NotFoundError: no such connector or field.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        path = f"{own_path(account_connector_id)}/fields/{number(field_id, 'field_id')}"
        body = some(_field_row(field))
        return await self._send("v1.fields.update", "PUT", path, model(CustomField), body=body, timeout=timeout)

    async def delete(self, account_connector_id: int, field_id: int, *, timeout: float | None = None) -> None:
        """Delete a custom field.

        Raises:
            NotFoundError: no such connector or field.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        path = f"{own_path(account_connector_id)}/fields/{number(field_id, 'field_id')}"
        await self._delete("v1.fields.delete", path, timeout=timeout)


class CustomConnectors(V1Resource):
    """Connectors that an account defines itself: JSON as it came, since their definitions are not documented."""

    __slots__ = ()

    async def list(self, *, timeout: float | None = None) -> list[Any]:
        """Return the custom connectors as JSON.

        Raises:
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        return await self._whole("v1.custom.list", _custom(), _rows, timeout=timeout)

    async def create(self, definition: Mapping[str, Any], *, timeout: float | None = None) -> Any:
        """Define a connector. Never repeated when it is not known whether it was carried out.

        Args:
            definition: with at least ``Name`` and ``UniqueIdentifier``, a GUID.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Raises:
            BadRequestError: it is no definition.
            OutcomeUnknownError: the connector may have been defined.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        body = free_body(_definition(definition))
        return await self._send("v1.custom.create", "POST", _custom(), raw, body=body, timeout=timeout)

    async def get(self, custom_id: int, *, timeout: float | None = None) -> Any:
        """Return the definition of a connector as JSON.

        Raises:
            NotFoundError: no such connector.
            DecodeError: the definition is no JSON; ``request()`` gives the bytes.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        # No model: an answer of this route was seen that was not even JSON.
        return await self._send("v1.custom.get", "GET", _custom(custom_id), raw, timeout=timeout)

    async def update(self, custom_id: int, definition: Mapping[str, Any], *, timeout: float | None = None) -> Any:
        """Replace the definition of a connector.

        Raises:
            BadRequestError: it is no definition.
            NotFoundError: no such connector.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        body = free_body(_definition(definition))
        return await self._send("v1.custom.update", "PUT", _custom(custom_id), raw, body=body, timeout=timeout)

    async def delete(self, custom_id: int, *, timeout: float | None = None) -> None:
        """Delete a connector of the account's own.

        Raises:
            NotFoundError: no such connector.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        await self._delete("v1.custom.delete", _custom(custom_id), timeout=timeout)


def secret_value(value: str | Secret) -> Secret:
    """Return a value that must be given as a secret.

    Raises:
        InvalidArgumentError: it is no text.
    """
    if not isinstance(value, (str, Secret)):
        raise InvalidArgumentError(f"value must be a str or a Secret, not {type(value).__name__}")
    # Empty is allowed: a property may be cleared.
    return Secret(value)


def own_path(account_connector_id: object) -> str:
    """Return the path of a connector of the account."""
    return f"account/connectors/{number(account_connector_id, 'account_connector_id')}"


def _rows(answer: Response) -> list[Any]:
    # An array is all that is known of them.
    rows = raw(answer)
    if not isinstance(rows, list):
        raise DecodeError("the custom connectors should be an array", path="$", expected="array")
    return rows


def _custom(custom_id: object = None) -> str:
    path = "account/connectors/custom"
    return path if custom_id is None else f"{path}/{number(custom_id, 'custom_id')}"


def _field_row(field: CustomField) -> dict[str, Any]:
    if not isinstance(field, CustomField):
        raise InvalidArgumentError(f"field must be a CustomField, not {type(field).__name__}")
    # The id stands in the path, and another one in the body would be ignored without a word.
    return {name: UNSET if value is None or name == "Id" else value for name, value in field.to_dict().items()}


def _definition(definition: Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(definition, Mapping):
        raise InvalidArgumentError(f"definition must be a JSON object, not {type(definition).__name__}")
    return definition
