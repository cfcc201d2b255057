"""Connectors installed in accounts."""

from __future__ import annotations

from typing import Final

from cyclr_async.errors import DecodeError, InvalidArgumentError
from cyclr_async.http.request import Request, Response, Safety
from cyclr_async.http.resource import Resource, body_of, text
from cyclr_async.secret import HiddenStr, Secret
from cyclr_async.wire.segments import segment
from cyclr_async.wire.strict_json import loads
from cyclr_async.wire.unset import UNSET

__all__ = ["Connectors"]

_SAY_ERROR: Final = frozenset({"error", "errors", "exceptionmessage", "exceptiontype", "stacktrace", "modelstate"})
"""Fields that ASP.NET and OAuth put into an error, in lower case; an answer that has one with a value is no success."""
_SAY_NOTHING: Final = frozenset({"message", "messagedetail", "error_description", "error_uri"})
"""Fields that stand in errors too, and make one when there is nothing else."""


class Connectors(Resource):
    """Connectors of the catalogue, installed in an account."""

    __slots__ = ()

    async def install(
        self,
        account_id: str,
        name: str,
        version: str | None,
        *,
        installed_name: str,
        api_key: str | Secret | None = None,
        username: str | None = None,
        password: str | Secret | None = None,
        timeout: float | None = None,
    ) -> None:
        """Install a connector in an account.

        Connectors that authenticate with OAuth cannot be installed by this method: the API has no way to carry the
        user's consent. Install those in the Cyclr interface, to which ``tokens.create`` leads a user.

        The call is never repeated when it is not known whether it was carried out.

        Args:
            account_id: the account.
            name: the connector's name in the catalogue.
            version: its version, such as ``"v1"``; None for a connector that has none.
            installed_name: what the installed connector is called in the account; unique there.
            api_key: for connectors that authenticate with an API key.
            username: together with ``password``, for connectors that authenticate with these.
            password: together with ``username``.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Raises:
            InvalidArgumentError: both an API key and a username or password, half a pair, or an empty one;
                nothing was sent.
            BadRequestError: the server refused: unknown connector, OAuth connector, name in use, …
            OutcomeUnknownError: the connector may have been installed and the answer was lost, or is none: a page, or
                an error with a status that says success.
            CyclrError: see :mod:`cyclr_async.errors`.

        Source: *Install Connector*, ``POST installconnector``.
        """
        # Rebound at once, so that no frame of this package holds the plain text.
        api_key = _hidden(api_key, "api_key")
        password = _hidden(password, "password")
        if api_key is not None and (username is not None or password is not None):
            raise InvalidArgumentError("give either api_key, or username and password, not both")
        if (username is None) != (password is None):
            raise InvalidArgumentError("username and password belong together: one of them is missing")
        # It stands in the body here, but what could not be an id in a path is none in a body either.
        segment(account_id)
        fields: dict[str, object] = {
            "AccountId": account_id,
            "ConnectorName": text(name, "name"),
            "ConnectorVersion": UNSET if version is None else text(version, "version"),
            "InstalledName": text(installed_name, "installed_name"),
        }
        if api_key is not None:
            fields["ApiKey"] = HiddenStr(api_key.reveal())
        if username is not None and password is not None:
            fields["Username"] = text(username, "username")
            fields["Password"] = HiddenStr(password.reveal())
        call: Request[None] = Request(
            name="connectors.install",
            method="POST",
            url=self._url("installconnector"),
            safety=Safety.UNSAFE,
            body=body_of(fields),
            interpret=_installed,
            json=False,
            secrets=tuple(secret for secret in (api_key, password) if secret is not None),
            advice="look in the account for a connector of that name before installing again",
        )
        await self._sender.send(call, timeout)


def _installed(answer: Response) -> None:
    """Take an empty answer, null, or JSON that is no error for success: the document shows a status and no body."""
    if not answer.body.strip():
        return
    said = loads(answer.body)
    if isinstance(said, dict):
        given = {name.lower(): value for name, value in said.items()}
        wrong = (
            any(given.get(name) for name in _SAY_ERROR)
            or given.get("success") is False
            # A `Message` alone is what an error looks like; beside other fields it is just a message.
            or (bool(given) and given.keys() <= _SAY_ERROR | _SAY_NOTHING)
        )
    else:
        # A bare false is no success, whatever the status says.
        wrong = said is False
    if wrong:
        raise DecodeError("the answer has a status of success and says that there was an error", expected="no error")


def _hidden(value: str | Secret | None, name: str) -> Secret | None:
    if value is None:
        return None
    if not isinstance(value, (str, Secret)):
        raise InvalidArgumentError(f"{name} must be a str or a Secret, not {type(value).__name__}")
    secret = Secret(value)
    value = secret
    if not secret.reveal().strip():
        raise InvalidArgumentError(f"{name} must not be empty")
    return secret
