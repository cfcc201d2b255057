"""The users of accounts."""

from __future__ import annotations

import builtins

from cyclr_async.errors import DecodeError, InvalidArgumentError
from cyclr_async.http.request import Response
from cyclr_async.http.resource import body_of, text
from cyclr_async.secret import Secret
from cyclr_async.v1.accounts import account_path
from cyclr_async.v1.once import TimeLeft
from cyclr_async.v1.resource import V1Resource, hidden, nothing, secret_text
from cyclr_async.wire.strict_json import loads
from cyclr_async.wire.unset import UNSET

__all__ = ["Users"]


class Users(V1Resource):
    """The users of accounts. A user has one password and may have access to several accounts."""

    __slots__ = ()

    async def list(self, account_id: str, *, timeout: float | None = None) -> builtins.list[str]:
        """Return the names of the users of an account.

        Args:
            account_id: the API id of the account.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Raises:
            NotFoundError: no such account.
            CyclrError: see :mod:`cyclr_async.errors`.

        Source: ``GET /accounts/{id}/users``. Whether the rows are texts or objects with a name is not known, so both
        are taken.
        """
        return await self._send("v1.users.list", "GET", _users(account_id), _names, timeout=timeout)

    async def add(
        self, account_id: str, username: str, password: str | Secret | None = None, *, timeout: float | None = None
    ) -> None:
        """Give a user access to an account; one that does not exist is created.

        It sets a state, so it is repeated after a failure, for ``RetryPolicy.write_window`` seconds at most.

        Args:
            account_id: the API id of the account.
            username: the user.
            password: of a new user. That it may be left out for one that exists is assumed.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Raises:
            NotFoundError: no such account.
            BadRequestError: the server does not take the name or the password.
            CyclrError: see :mod:`cyclr_async.errors`.

        Source: ``PUT /accounts/{id}/users``.
        """
        password = hidden(password, "password")  # type: ignore[assignment]  # rebound: see hidden()
        await self._put("v1.users.add", _users(account_id), username, password, timeout)

    async def set_password(self, username: str, password: str | Secret, *, timeout: float | None = None) -> None:
        """Give a user a new password.

        Args:
            username: the user.
            password: the new one, not empty.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Raises:
            NotFoundError: no such user.
            BadRequestError: the server does not take the password.
            CyclrError: see :mod:`cyclr_async.errors`.

        Source: ``PUT /users``.
        """
        password = hidden(password, "password")  # type: ignore[assignment]  # rebound: see hidden()
        if password is None:
            raise InvalidArgumentError("password must be a str or a Secret, not NoneType")
        await self._put("v1.users.password", "users", username, password, timeout)

    async def remove(self, account_id: str, username: str, *, timeout: float | None = None) -> None:
        """Take a user's access to an account away. An answer that is lost is settled by looking at the users.

        Args:
            account_id: the API id of the account.
            username: the user.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` for each request when None.

        Raises:
            NotFoundError: no such account, or it has no such user.
            OutcomeUnknownError: the service could not be asked whether the user was removed.
            CyclrError: see :mod:`cyclr_async.errors`.

        Source: ``DELETE /accounts/{id}/users``, with a body.
        """
        path = _users(account_id)
        wanted = str(text(username, "username")).strip().casefold()

        async def look(time: TimeLeft) -> object:
            names = await self.list(account_id, timeout=time.left())
            return True if wanted in {name.strip().casefold() for name in names} else None

        await self._delete("v1.users.remove", path, body=body_of({"UserName": username}), look=look, timeout=timeout)

    async def _put(
        self, name: str, path: str, username: str, password: str | Secret | None, timeout: float | None
    ) -> None:
        assert password is None or isinstance(password, Secret)  # hidden() made it one
        if password is not None and not password:
            raise InvalidArgumentError("password must not be empty")
        given = UNSET if password is None else secret_text(password)
        await self._send(
            name,
            "PUT",
            path,
            nothing,
            body=body_of({"UserName": text(username, "username"), "Password": given}),
            json=False,
            timeout=timeout,
            secrets=() if password is None else (password,),
        )


def _users(account_id: str) -> str:
    return f"{account_path(account_id)}/users"


def _names(answer: Response) -> list[str]:
    rows = loads(answer.body)
    if not isinstance(rows, list):
        raise DecodeError("the users of an account should be an array", path="$", expected="array")
    return [_name(row, index) for index, row in enumerate(rows)]


def _name(row: object, index: int) -> str:
    if isinstance(row, dict):
        row = next((value for name, value in row.items() if name.lower() == "username"), None)
    if isinstance(row, str):
        return row
    raise DecodeError(
        f"$[{index}] should be the name of a user, or an object with one", path=f"$[{index}]", expected="str"
    )
