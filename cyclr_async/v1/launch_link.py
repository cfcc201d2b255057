"""Links to LAUNCH, ORBIT and the Marketplace, and what connectors sign in with there."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from cyclr_async.errors import InvalidArgumentError
from cyclr_async.secret import HiddenStr, Secret, SecretUrl
from cyclr_async.wire.extra import EMPTY, as_extra
from cyclr_async.wire.model import Model

__all__ = ["ConnectorAuthentication", "LaunchLink", "MarketplaceLink", "OrbitLink"]


@attrs.frozen(kw_only=True, slots=True, weakref_slot=False)
class LaunchLink(Model):
    """A link to LAUNCH: a secret, good for one sign-in within five minutes.

    Attributes:
        account_id: the API id of the account.
        expires_at: UTC.
        launch_url: where to send the browser: ``launch_url.reveal()``.
        token: the sign-in token in the link.
        extra: fields of the answer that are not known here.
    """

    account_id: str | None = None
    expires_at: datetime = attrs.field(metadata={"wire": "ExpiresAtUtc"})
    launch_url: SecretUrl
    token: Secret | None = None
    extra: Mapping[str, Any] = attrs.field(default=EMPTY, converter=as_extra, repr=False, hash=False)

    @property
    def url(self) -> SecretUrl:
        """The link."""
        return self.launch_url


@attrs.frozen(kw_only=True, slots=True, weakref_slot=False)
class OrbitLink(Model):
    """A link to ORBIT: a secret, good for one sign-in within five minutes.

    Attributes:
        account_id: the API id of the account.
        expires_at: UTC.
        orbit_url: where to send the browser: ``orbit_url.reveal()``.
        token: the sign-in token in the link.
        extra: fields of the answer that are not known here.
    """

    account_id: str | None = None
    expires_at: datetime = attrs.field(metadata={"wire": "ExpiresAtUtc"})
    orbit_url: SecretUrl
    token: Secret | None = None
    extra: Mapping[str, Any] = attrs.field(default=EMPTY, converter=as_extra, repr=False, hash=False)

    @property
    def url(self) -> SecretUrl:
        """The link."""
        return self.orbit_url


@attrs.frozen(kw_only=True, slots=True, weakref_slot=False)
class MarketplaceLink(Model):
    """A link to a Marketplace: a secret, good for one sign-in within five minutes.

    Attributes:
        account_id: the API id of the account.
        expires_at: UTC.
        marketplace_url: where to send the browser: ``marketplace_url.reveal()``.
        token: the sign-in token in the link.
        extra: fields of the answer that are not known here.
    """

    account_id: str | None = None
    expires_at: datetime = attrs.field(metadata={"wire": "ExpiresAtUtc"})
    marketplace_url: SecretUrl
    token: Secret | None = None
    extra: Mapping[str, Any] = attrs.field(default=EMPTY, converter=as_extra, repr=False, hash=False)

    @property
    def url(self) -> SecretUrl:
        """The link."""
        return self.marketplace_url


def _secret(value: str | Secret | None) -> Secret | None:
    if value is None:
        return None
    if not isinstance(value, (str, Secret)):
        raise InvalidArgumentError(f"auth_value must be a str or a Secret, not {type(value).__name__}")
    return Secret(value)


def _secrets(values: Mapping[str, str | Secret] | None) -> Mapping[str, Secret]:
    if values is None:
        return {}
    if not isinstance(values, Mapping) or not all(
        isinstance(name, str) and isinstance(value, (str, Secret)) for name, value in values.items()
    ):
        # Numbers are not turned into texts here: whether 1 is "1" or "1.0" is the caller's to say.
        raise InvalidArgumentError("properties must be a mapping of names to texts; write numbers as texts")
    return {name: Secret(value) for name, value in values.items()}


@attrs.frozen(kw_only=True)
class ConnectorAuthentication:
    """What a connector of the account signs in with, so that the user is not asked for it.

    Attributes:
        name: of the connector in the catalogue.
        version: of the connector; None for any.
        authentication_id: one of ``connector.authentication``, when there are several.
        auth_value: an API key, :func:`~cyclr_async.v1.basic_auth`, or for OAuth a JSON text.
        properties: values by the ``target_name`` of the connector's parameters, all as texts.
    """

    name: str = attrs.field()
    version: str | None = None
    authentication_id: str | None = None
    auth_value: Secret | None = attrs.field(default=None, converter=_secret)
    properties: Mapping[str, Secret] = attrs.field(factory=dict, converter=_secrets)

    @name.validator
    def _check_name(self, _: object, value: object) -> None:
        if not isinstance(value, str) or not value.strip():
            raise InvalidArgumentError("name must be that of a connector, a str that is not empty")

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """What no error may show."""
        return tuple(one for one in (self.auth_value, *self.properties.values()) if one is not None)

    def to_wire(self) -> dict[str, object]:
        """Return it as it is sent."""
        given: dict[str, object] = {
            "Name": self.name,
            "Version": self.version,
            "AuthenticationId": self.authentication_id,
            "AuthValue": None if self.auth_value is None else HiddenStr(self.auth_value.reveal()),
            "Properties": [{"Name": name, "Value": HiddenStr(one.reveal())} for name, one in self.properties.items()]
            or None,
        }
        return {name: value for name, value in given.items() if value is not None}
