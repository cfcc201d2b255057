"""The connectors of an account: installed once each, called, and changed."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final, Literal

from yarl import URL

from cyclr_async.checks import check_timeout, shown
from cyclr_async.errors import (
    AlreadyExistsError,
    BadRequestError,
    InvalidArgumentError,
)
from cyclr_async.http.request import NO_HEADERS, Safety
from cyclr_async.http.resource import Sender, body_of, model, text
from cyclr_async.secret import HiddenStr, Secret
from cyclr_async.v1.account_connector import AccountConnector
from cyclr_async.v1.connector import Choice
from cyclr_async.v1.connector_settings import CustomConnectors, CustomFields, Properties, own_path, secret_value
from cyclr_async.v1.connectors import Connectors, connector_path
from cyclr_async.v1.once import Creation, TimeLeft, already
from cyclr_async.v1.resource import (
    NOTHING,
    V1Resource,
    free_body,
    hidden,
    models,
    nothing,
    number,
    raw,
    secret_text,
    some,
)
from cyclr_async.wire.segments import segment
from cyclr_async.wire.unset import UNSET, Unset

__all__ = ["AccountConnectors", "basic_auth"]

_IN_USE: Final = ("account connector name ", " is in use.")
"""How the message about a name that is taken begins and ends; what stands between is not known for certain."""


class AccountConnectors(V1Resource):
    """The connectors of an account.

    Attributes:
        properties: of a connector.
        fields: custom fields of a connector.
        custom: connectors that the account defines itself.
    """

    __slots__ = ("_catalogue", "custom", "fields", "properties")

    def __init__(self, sender: Sender, root: URL, headers: Mapping[str, str] = NO_HEADERS) -> None:
        super().__init__(sender, root, headers)
        # For the name of a connector that is installed by its id, under which a lost install is looked for.
        self._catalogue = Connectors(sender, root, headers)
        self.properties: Properties = Properties(sender, root, headers)
        self.fields: CustomFields = CustomFields(sender, root, headers)
        self.custom: CustomConnectors = CustomConnectors(sender, root, headers)

    async def iter(self, *, timeout: float | None = None) -> AsyncGenerator[AccountConnector, None]:
        """Yield the connectors of the account, page after page. They carry their icons, so each is large.

        Args:
            timeout: wall-clock seconds for each page; ``Timeouts.deadline`` when None.

        Raises:
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        async for one in self._iter(
            "v1.account_connectors.list", "account/connectors", AccountConnector, lambda one: one.id, timeout=timeout
        ):
            yield one

    async def get(self, account_connector_id: int, *, timeout: float | None = None) -> AccountConnector:
        """Return a connector of the account.

        Raises:
            NotFoundError: the account has none with that id.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        path = own_path(account_connector_id)
        return await self._send("v1.account_connectors.get", "GET", path, model(AccountConnector), timeout=timeout)

    async def install(
        self,
        connector: int | str,
        version: str | None = None,
        *,
        name: str | None = None,
        description: str | Unset | None = UNSET,
        auth_value: str | Secret | None = None,
        authentication_id: str | None = None,
        properties: Mapping[str, str | Secret] | None = None,
        is_partner_integration: bool | None = None,
        timeout: float | None = None,
    ) -> AccountConnector:
        """Install a connector of the catalogue in the account, once.

        The name is unique in the account. When an answer is lost, the account is looked at: a connector of that name
        with what was asked for is the one, and when there is none, the request is sent again. Properties and
        ``auth_value`` are not compared.

        Args:
            connector: its id, an int, or its name.
            version: with a name: the version.
            name: in the account; that of the connector by default.
            description: free text.
            auth_value: what it signs in with: an API key, :func:`basic_auth`, or for OAuth a JSON text.
            authentication_id: one of ``connector.authentication``, when there are several.
            properties: values by the ``target_name`` of the connector's parameters.
            is_partner_integration: whether it is the partner's own.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` for each request when None.

        Raises:
            AlreadyExistsError: the account has a connector of that name; ``same`` tells whether it is as asked for.
            BadRequestError: a draft, an unknown property, or one that is not at account level.
            NotFoundError: no such connector.
            OutcomeUnknownError: the service could not be asked whether it was installed.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        # Rebound at once, so that no frame holds the plain text. Empty is no value: the user signs in later.
        auth_value = hidden(auth_value, "auth_value") or None
        properties = _hidden_values(properties)
        wanted = _Install(
            connector, version, name, description, auth_value, authentication_id, properties, is_partner_integration
        )
        return await self._creation(wanted, check_timeout(timeout)).create()

    async def ensure(
        self,
        connector: int | str,
        version: str | None = None,
        *,
        name: str | None = None,
        description: str | Unset | None = UNSET,
        auth_value: str | Secret | None = None,
        authentication_id: str | None = None,
        properties: Mapping[str, str | Secret] | None = None,
        is_partner_integration: bool | None = None,
        timeout: float | None = None,
    ) -> AccountConnector:
        """Return the account's connector of that name, installed now if there was none.

        One that exists is returned as it is: its properties and ``auth_value`` are not changed.

        Args:
            connector: its id, an int, or its name.
            version: with a name: the version.
            name: in the account; that of the connector by default.
            description: free text.
            auth_value: what it signs in with; see :meth:`install`.
            authentication_id: one of ``connector.authentication``, when there are several.
            properties: values by the ``target_name`` of the connector's parameters.
            is_partner_integration: whether it is the partner's own.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` for each request when None.

        Raises:
            AlreadyExistsError: the account has that name for something else; ``differing`` tells what differs.
            OutcomeUnknownError: the service could not be asked whether it was installed.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        auth_value = hidden(auth_value, "auth_value") or None
        properties = _hidden_values(properties)
        wanted = _Install(
            connector, version, name, description, auth_value, authentication_id, properties, is_partner_integration
        )
        return await self._creation(wanted, check_timeout(timeout)).ensure()

    def _creation(self, wanted: _Install, timeout: float | None) -> Creation[AccountConnector]:
        time = TimeLeft(self._sender.clock, timeout)
        return Creation(
            time=time,
            send=lambda: self._install(wanted, time),
            look=lambda: self._named(wanted, time),
            taken=_already,
            differing=wanted.differing,
            exists=_exists,
            # Not `update()`: what has the name may be in use by cycles of the account.
            advice="choose another name",
        )

    async def _install(self, wanted: _Install, time: TimeLeft) -> AccountConnector:
        return await self._send(
            "v1.connectors.install",
            "POST",
            f"{wanted.path}/install",
            model(AccountConnector),
            body=body_of(wanted.fields),
            timeout=time.left(),
            secrets=wanted.secrets,
            advice="look in the account for a connector of that name before installing again",
        )

    async def _named(self, wanted: _Install, time: TimeLeft) -> AccountConnector | None:
        name = wanted.name
        if name is None:
            name = (await self._catalogue.get(int(wanted.connector), timeout=time.left())).name
        # No route finds one by its name, so the list is read, to the one that is looked for.
        async for one in self.iter(timeout=time.left()):
            if one.name is not None and one.name.casefold() == name.casefold():  # as the server compares them
                return one
        return None

    async def update(
        self,
        account_connector_id: int,
        *,
        name: str | Unset = UNSET,
        description: str | Unset | None = UNSET,
        auth_value: str | Secret | Unset | None = UNSET,
        timeout: float | None = None,
    ) -> AccountConnector:
        """Change a connector of the account. What is not named stays untouched; ``None`` is sent as null.

        Args:
            account_connector_id: the connector.
            name: in the account.
            description: free text.
            auth_value: what it signs in with.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Raises:
            NotFoundError: the account has none with that id.
            AlreadyExistsError: another connector of the account has that name.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        auth_value = hidden(auth_value, "auth_value")
        fields = {
            "Name": text(name, "name"),
            "Description": text(description, "description", empty=True, null=True),
            "AuthValue": secret_text(auth_value),
        }
        try:
            return await self._send(
                "v1.account_connectors.update",
                "PUT",
                own_path(account_connector_id),
                model(AccountConnector),
                body=some(fields),
                timeout=timeout,
                secrets=(auth_value,) if isinstance(auth_value, Secret) else (),
            )
        except BadRequestError as error:
            known = _already(error)
            if known is None:
                raise
        # Outside of the except clause, so that the refusal is not told twice.
        raise known

    async def authenticate(
        self, account_connector_id: int, auth_value: str | Secret, *, timeout: float | None = None
    ) -> AccountConnector:
        """Sign a connector of the account in.

        Args:
            account_connector_id: the connector.
            auth_value: an API key, :func:`basic_auth`, or for OAuth a JSON text with ``AccessToken``,
                ``RefreshToken``, ``Expires`` and ``RefreshExpires``.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Raises:
            InvalidArgumentError: the value is empty.
            NotFoundError: the account has none with that id.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        auth_value = hidden(auth_value, "auth_value") or Secret("")
        if not auth_value:
            raise InvalidArgumentError("auth_value must not be empty: deauthenticate() signs out")
        return await self.update(account_connector_id, auth_value=auth_value, timeout=timeout)

    async def deauthenticate(self, account_connector_id: int, *, timeout: float | None = None) -> None:
        """Sign a connector of the account out. Running cycles that use it stop.

        Raises:
            NotFoundError: the account has none with that id.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        path = f"{own_path(account_connector_id)}/deauthenticate"
        await self._send(
            "v1.account_connectors.deauthenticate", "PUT", path, nothing, body=NOTHING, json=False, timeout=timeout
        )

    async def delete(self, account_connector_id: int, *, timeout: float | None = None) -> None:
        """Remove a connector from the account.

        Raises:
            NotFoundError: the account has none with that id.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        path = own_path(account_connector_id)
        await self._delete("v1.account_connectors.delete", path, timeout=timeout)

    async def call(
        self,
        account_connector_id: int,
        method: int | str,
        *,
        parameters: Mapping[int, object] | None = None,
        fields: Mapping[int, object] | None = None,
        verb: Literal["GET", "POST"] = "POST",
        repeatable: bool = False,
        timeout: float | None = None,
    ) -> Any:
        """Call a method of the third party, which costs tasks.

        Args:
            account_connector_id: the connector.
            method: the id of the method, an int, or its ``method_unique_identifier``.
            parameters: values by the ids of parameters.
            fields: values by the ids of request fields.
            verb: ``"GET"`` for the form of the request without a body, which takes neither parameters nor fields.
            repeatable: whether the third party may be called again when it is not known if it was.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Returns:
            The third party's own JSON, as it came; None when there is none.

        Raises:
            BadRequestError: an unknown parameter or field, or the connector has not signed in.
            ForbiddenError: calls are not open to this address.
            NotFoundError: no such connector or method.
            OutcomeUnknownError: the third party may have been called.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        given = _given(parameters, fields)
        return await self._use("call", "methods", account_connector_id, method, given, verb, repeatable, timeout)

    async def test(
        self,
        account_connector_id: int,
        method: int | str,
        *,
        parameters: Mapping[int, object] | None = None,
        fields: Mapping[int, object] | None = None,
        verb: Literal["GET", "POST"] = "POST",
        repeatable: bool = False,
        timeout: float | None = None,
    ) -> Any:
        """Call a method of the third party to see whether the connector works; like :meth:`call`.

        Raises:
            CyclrError: as :meth:`call`.
        """
        given = _given(parameters, fields)
        return await self._use("test", "test", account_connector_id, method, given, verb, repeatable, timeout)

    async def _use(
        self,
        what: str,
        part: str,
        account_connector_id: int,
        method: object,
        given: Mapping[str, object],
        verb: str,
        repeatable: bool,
        timeout: float | None,
    ) -> Any:
        # A GUID is for the newest release of a connector, an int for one release: the caller chooses.
        chosen = segment(method, name="method") if isinstance(method, str) else number(method, "method")
        if verb not in {"GET", "POST"}:
            raise InvalidArgumentError(f"verb must be 'GET' or 'POST'; got {shown(verb)}")
        if verb == "GET" and any(value is not UNSET for value in given.values()):
            raise InvalidArgumentError("parameters and fields are sent in a body, which verb='GET' has not: use 'POST'")
        # What the method does at the third party is not known, so a GET is no read either unless the caller says so.
        again = Safety.SAFE if verb == "GET" else Safety.REPEATABLE
        return await self._send(
            f"v1.account_connectors.{what}",
            verb,
            f"{own_path(account_connector_id)}/{part}/{chosen}",
            raw,
            body=None if verb == "GET" else free_body(given),
            safety=again if repeatable is True else Safety.UNSAFE,
            timeout=timeout,
            advice="look at the third party whether it was called, or pass repeatable=True if the method only reads",
        )

    async def trigger(
        self, account_connector_id: int, trigger_id: int, *, timeout: float | None = None
    ) -> list[Choice]:
        """Return what a look-up of the connector finds at the third party.

        Raises:
            NotFoundError: no such connector or look-up.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        return await self._send(
            "v1.account_connectors.trigger",
            "POST",
            f"{own_path(account_connector_id)}/triggers/{number(trigger_id, 'trigger_id')}",
            models(Choice),
            body=NOTHING,
            safety=Safety.REPEATABLE,  # it reads, at the third party
            timeout=timeout,
        )


class _Install:
    """What an install asks for."""

    __slots__ = ("connector", "fields", "name", "path", "secrets", "version")

    def __init__(
        self,
        connector: int | str,
        version: str | None,
        name: str | None,
        description: str | Unset | None,
        auth_value: Secret | None,
        authentication_id: str | None,
        properties: Mapping[str, Secret] | None,
        is_partner_integration: bool | None,
    ) -> None:
        self.path = connector_path(connector, version)
        self.connector, self.version = connector, version
        # As the server names it when nothing is said.
        self.name = name if name is not None or isinstance(connector, int) else connector
        values = properties or {}
        rows = [{"Name": key, "Value": HiddenStr(value.reveal())} for key, value in values.items()]
        given = {
            "Name": text(name, "name", null=True),
            "AuthenticationId": text(authentication_id, "authentication_id", null=True),
            "AuthValue": secret_text(auth_value),
            "Properties": rows or None,
            "IsPartnerIntegrationConnector": is_partner_integration,
        }
        self.fields: dict[str, object] = {key: value for key, value in given.items() if value is not None}
        self.fields["Description"] = text(description, "description", empty=True, null=True)
        self.secrets = tuple(one for one in (auth_value, *values.values()) if one is not None)

    def differing(self, found: AccountConnector) -> tuple[str, ...]:
        """Return the names of the arguments that an existing connector does not agree with."""
        of, differing = found.connector, []
        # Without it nothing can be said about the connector, and a difference that is not seen is not claimed.
        if of is not None:
            if isinstance(self.connector, int):
                same = of.id == self.connector
            else:
                same = of.name.casefold() == self.connector.casefold()
            if not same:
                differing.append("connector")
            elif self.version is not None and (of.version or "").casefold() != self.version.casefold():
                differing.append("version")
        wanted = self.fields["Description"]
        # An empty text and none count as the same, as for accounts.
        if wanted is not UNSET and (wanted or None) != (found.description or None):
            differing.append("description")
        return tuple(differing)


def basic_auth(username: str, password: str | Secret) -> Secret:
    """Return the ``auth_value`` of a connector that signs in with a user name and a password.

    Raises:
        InvalidArgumentError: not texts, or a user name with a colon, which would begin the password.
    """
    secret = secret_value(password)
    password = secret
    if not isinstance(username, str) or ":" in username:
        raise InvalidArgumentError("username must be a str without a colon")
    return Secret(base64.b64encode(f"{username}:{secret.reveal()}".encode()).decode("ascii"))


def _hidden_values(properties: Mapping[str, str | Secret] | None) -> dict[str, Secret] | None:
    if properties is None:
        return None
    if not isinstance(properties, Mapping) or not all(isinstance(name, str) for name in properties):
        raise InvalidArgumentError("properties must be a mapping of names to values")
    return {name: secret_value(value) for name, value in properties.items()}


def _already(error: BadRequestError) -> AlreadyExistsError | None:
    """Return the refusal as one about a name in use, or None when it is about something else."""
    said = (error.server_message or "").casefold()
    # By text, because every refusal is a 400.
    if not (said.startswith(_IN_USE[0]) and said.endswith(_IN_USE[1])):
        return None
    return already(error)


def _exists(found: AccountConnector) -> AlreadyExistsError:
    return AlreadyExistsError(
        f"v1.connectors.install: the account has a connector {found.id} of that name", status=400, attempts=1
    )


def _given(parameters: Mapping[int, object] | None, fields: Mapping[int, object] | None) -> dict[str, object]:
    return {"Parameters": _by_id(parameters, "parameters"), "Fields": _by_id(fields, "fields")}


def _by_id(values: Mapping[int, object] | None, name: str) -> dict[str, object] | Unset:
    if values is None:
        return UNSET
    if not isinstance(values, Mapping):
        raise InvalidArgumentError(f"{name} must be a mapping of ids to values, not {type(values).__name__}")
    # JSON has no other keys; the server reads the number in them.
    return {str(key): value for key, value in values.items()}
