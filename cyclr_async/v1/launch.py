"""Links that open LAUNCH, ORBIT and the Marketplace for the user of an account."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

from cyclr_async.errors import InvalidArgumentError
from cyclr_async.http.resource import body_of, model, text
from cyclr_async.secret import HiddenStr, Secret
from cyclr_async.v1.accounts import account_path
from cyclr_async.v1.launch_link import ConnectorAuthentication, LaunchLink, MarketplaceLink, OrbitLink
from cyclr_async.v1.resource import V1Resource, flag, number, texts
from cyclr_async.wire.segments import free_segment

__all__ = ["Launch"]

T = TypeVar("T")

_ADVICE: Final = "call again: a link that got lost expires by itself, and an account that exists is not created again"


class Launch(V1Resource):
    """Links to LAUNCH, ORBIT and the Marketplace.

    A link signs somebody in, once and within five minutes, so it is a secret: ``link.url.reveal()`` shows it. Nothing
    here is repeated when it is not known whether it was carried out. The access token must not be restricted to an
    account.
    """

    __slots__ = ()

    async def account(
        self,
        account_id: str,
        *,
        account_name: str | None = None,
        account_description: str | None = None,
        start: bool | None = None,
        run_once: bool | None = None,
        auto_install: bool | None = None,
        single_install: bool | None = None,
        wizard: bool | None = None,
        display_descriptions: bool | None = None,
        inline_oauth: bool | None = None,
        tags: Sequence[str] | None = None,
        complete_parameter: str | None = None,
        connector_authentications: Sequence[ConnectorAuthentication] | None = None,
        timeout: float | None = None,
    ) -> LaunchLink:
        """Return a link to LAUNCH for an account. An account that does not exist is created.

        What is None is not sent, and is as the server has it by default.

        Args:
            account_id: the API id of the account.
            account_name: of a new account; its id by default.
            account_description: of a new account.
            start: whether the cycle starts when it is installed; it does by default.
            run_once: whether it runs a single time; it does not by default.
            auto_install: whether a template is installed without being chosen; it is by default.
            single_install: whether a template is installed a single time; it is not by default.
            wizard: whether the steps come one by one; they do not by default.
            display_descriptions: whether descriptions are shown; they are not by default.
            inline_oauth: whether OAuth takes place in the same window; the partner's setting by default.
            tags: only templates with these.
            complete_parameter: passed on to the partner's page at the end.
            connector_authentications: what connectors sign in with.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Raises:
            InvalidArgumentError: an argument cannot be valid; nothing was sent.
            BadRequestError: an unknown connector or property.
            OutcomeUnknownError: the answer was lost; the account may have been created.
            CyclrError: see :mod:`cyclr_async.errors`.

        Source: ``POST /accounts/{id}/launch``.
        """
        options = _options(
            account_name,
            account_description,
            start,
            run_once,
            auto_install,
            single_install,
            wizard,
            display_descriptions,
            inline_oauth,
            tags,
            complete_parameter,
        )
        path = f"{account_path(account_id)}/launch"
        return await self._link("v1.launch.account", path, LaunchLink, options, connector_authentications, timeout)

    async def user(
        self,
        username: str,
        password: str | Secret,
        *,
        account_id: str | None = None,
        account_name: str | None = None,
        account_description: str | None = None,
        start: bool | None = None,
        run_once: bool | None = None,
        auto_install: bool | None = None,
        single_install: bool | None = None,
        wizard: bool | None = None,
        display_descriptions: bool | None = None,
        inline_oauth: bool | None = None,
        tags: Sequence[str] | None = None,
        complete_parameter: str | None = None,
        connector_authentications: Sequence[ConnectorAuthentication] | None = None,
        timeout: float | None = None,
    ) -> LaunchLink:
        """Return a link to LAUNCH for a user. A user or an account that does not exist is created.

        Args:
            username: the user.
            password: of the user.
            account_id: the API id of the account; that it may be left out is said by older documents only.
            account_name: as for :meth:`account`, and so all that follow.
            account_description: of a new account.
            start: whether the cycle starts when it is installed.
            run_once: whether it runs a single time.
            auto_install: whether a template is installed without being chosen.
            single_install: whether a template is installed a single time.
            wizard: whether the steps come one by one.
            display_descriptions: whether descriptions are shown.
            inline_oauth: whether OAuth takes place in the same window.
            tags: only templates with these.
            complete_parameter: passed on to the partner's page at the end.
            connector_authentications: what connectors sign in with.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Raises:
            InvalidArgumentError: an argument cannot be valid; nothing was sent.
            UnauthorizedError: the password is not the user's, as is assumed, or the access token was refused.
            OutcomeUnknownError: the answer was lost; user and account may have been created.
            CyclrError: see :mod:`cyclr_async.errors`.

        Source: ``POST /users/launch``.
        """
        password = _password(password)
        options = _options(
            account_name,
            account_description,
            start,
            run_once,
            auto_install,
            single_install,
            wizard,
            display_descriptions,
            inline_oauth,
            tags,
            complete_parameter,
        )
        options = {**_user(account_id, username, password), **options}
        return await self._link(
            "v1.launch.user", "users/launch", LaunchLink, options, connector_authentications, timeout, password
        )

    async def orbit(
        self,
        account_id: str,
        *,
        username: str | None = None,
        password: str | Secret | None = None,
        timeout: float | None = None,
    ) -> OrbitLink:
        """Return a link to ORBIT for an account, or for a user of it.

        Args:
            account_id: the API id of the account.
            username: the user, with a password; one that does not exist is assumed to be created.
            password: of the user.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Raises:
            InvalidArgumentError: an argument cannot be valid; nothing was sent.
            NotFoundError: no such account.
            UnauthorizedError: the password is not the user's, as is assumed, or the access token was refused.
            OutcomeUnknownError: the answer was lost.
            CyclrError: see :mod:`cyclr_async.errors`.

        Source: ``POST /accounts/{id}/orbit``, and ``POST /users/orbit`` for a user.
        """
        password = _of_user(username, password)
        if username is None or password is None:
            path = f"{account_path(account_id)}/orbit"
            return await self._link("v1.orbit.account", path, OrbitLink, {}, None, timeout)
        options = _user(account_id, username, password)
        return await self._link("v1.orbit.user", "users/orbit", OrbitLink, options, None, timeout, password)

    async def marketplace(
        self,
        account_id: str,
        marketplace_id: int,
        *,
        username: str | None = None,
        password: str | Secret | None = None,
        account_name: str | None = None,
        account_description: str | None = None,
        inline_oauth: bool | None = None,
        complete_parameter: str | None = None,
        connector_authentications: Sequence[ConnectorAuthentication] | None = None,
        timeout: float | None = None,
    ) -> MarketplaceLink:
        """Return a link to a Marketplace, for an account or a user of it.

        An account or a user that does not exist is created.

        Args:
            account_id: the API id of the account.
            marketplace_id: the Marketplace.
            username: the user, with a password.
            password: of the user.
            account_name: of a new account; its id by default.
            account_description: of a new account.
            inline_oauth: whether OAuth takes place in the same window; the partner's setting by default.
            complete_parameter: passed on to the partner's page at the end.
            connector_authentications: what connectors sign in with.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Raises:
            InvalidArgumentError: an argument cannot be valid; nothing was sent.
            NotFoundError: no such Marketplace.
            UnauthorizedError: the password is not the user's, as is assumed, or the access token was refused.
            OutcomeUnknownError: the answer was lost; the account may have been created.
            CyclrError: see :mod:`cyclr_async.errors`.

        Source: ``POST /accounts/{id}/marketplace``, and ``POST /users/marketplace`` for a user.
        """
        password = _of_user(username, password)
        number(marketplace_id, "marketplace_id")
        options: dict[str, object] = {
            "MarketplaceId": marketplace_id,
            "AccountName": text(account_name, "account_name", null=True),
            "AccountDescription": text(account_description, "account_description", empty=True, null=True),
            "InlineOAuth": _flag(inline_oauth, "inline_oauth"),
            "CompleteParameter": text(complete_parameter, "complete_parameter", empty=True, null=True),
        }
        if username is None or password is None:
            return await self._link(
                "v1.marketplace.account",
                f"{account_path(account_id)}/marketplace",
                MarketplaceLink,
                options,
                connector_authentications,
                timeout,
            )
        return await self._link(
            "v1.marketplace.user",
            "users/marketplace",
            MarketplaceLink,
            {**_user(account_id, username, password), **options},
            connector_authentications,
            timeout,
            password,
        )

    async def _link(
        self,
        name: str,
        path: str,
        cls: type[T],
        options: dict[str, object],
        connectors: Sequence[ConnectorAuthentication] | None,
        timeout: float | None,
        password: Secret | None = None,
    ) -> T:
        given = _authentications(connectors)
        rows = [one.to_wire() for one in given]
        fields = {**options, "ConnectorAuthentications": rows or None}
        secrets = [secret for one in given for secret in one.secrets]
        return await self._send(
            name,
            "POST",
            path,
            model(cls),
            body=body_of({name: value for name, value in fields.items() if value is not None}),
            timeout=timeout,
            secrets=tuple(secrets) if password is None else (password, *secrets),
            advice=_ADVICE,
        )


def _options(
    account_name: str | None,
    account_description: str | None,
    start: bool | None,
    run_once: bool | None,
    auto_install: bool | None,
    single_install: bool | None,
    wizard: bool | None,
    display_descriptions: bool | None,
    inline_oauth: bool | None,
    tags: Sequence[str] | None,
    complete_parameter: str | None,
) -> dict[str, object]:
    return {
        "AccountName": text(account_name, "account_name", null=True),
        "AccountDescription": text(account_description, "account_description", empty=True, null=True),
        "Start": _flag(start, "start"),
        "RunOnce": _flag(run_once, "run_once"),
        "AutoInstall": _flag(auto_install, "auto_install"),
        "SingleInstall": _flag(single_install, "single_install"),
        "Wizard": _flag(wizard, "wizard"),
        "DisplayDescriptions": _flag(display_descriptions, "display_descriptions"),
        "InlineOAuth": _flag(inline_oauth, "inline_oauth"),
        "Tags": None if tags is None else texts(tags, "tags"),
        "CompleteParameter": text(complete_parameter, "complete_parameter", empty=True, null=True),
    }


def _flag(value: bool | None, name: str) -> bool | None:
    return None if value is None else flag(value, name)


def _user(account_id: str | None, username: str, password: Secret) -> dict[str, object]:
    if account_id is not None:
        free_segment(account_id)  # it stands in no path here, and is the same id
    return {
        "AccountId": account_id,
        "Username": text(username, "username"),
        "Password": HiddenStr(password.reveal()),
    }


def _of_user(username: str | None, password: str | Secret | None) -> Secret | None:
    """Return the password of a user who may be left out; rebind the argument to it at once."""
    if (username is None) != (password is None):
        raise InvalidArgumentError("username and password belong together: one of them is missing")
    return None if password is None else _password(password)


def _password(password: str | Secret) -> Secret:
    if not isinstance(password, (str, Secret)):
        raise InvalidArgumentError(f"password must be a str or a Secret, not {type(password).__name__}")
    secret = Secret(password)
    password = secret
    if not secret:
        raise InvalidArgumentError("password must not be empty")
    return secret


def _authentications(given: Sequence[ConnectorAuthentication] | None) -> Sequence[ConnectorAuthentication]:
    if given is None:
        return ()
    if not isinstance(given, Sequence) or not all(isinstance(one, ConnectorAuthentication) for one in given):
        raise InvalidArgumentError("connector_authentications must be a list of ConnectorAuthentication")
    return given
