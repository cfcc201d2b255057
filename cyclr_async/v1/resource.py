"""What the resources of the v1.0 API have in common: how they describe a request, read lists, and explain errors."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias, TypeVar

from cyclr_async.checks import check_timeout, shown
from cyclr_async.errors import (
    ConflictError,
    CyclrError,
    DecodeError,
    InvalidArgumentError,
    NotFoundError,
    UnauthorizedError,
)
from cyclr_async.http.classify import is_foreign
from cyclr_async.http.raw_request import json_body
from cyclr_async.http.request import Request, Response, Safety
from cyclr_async.http.resource import Resource, body_of
from cyclr_async.secret import HiddenBytes, HiddenStr, Secret
from cyclr_async.v1.once import TimeLeft, delete_once
from cyclr_async.v1.paging import PAGE_SIZE, Page, pages, total_pages
from cyclr_async.wire.converter import structure_list
from cyclr_async.wire.strict_json import loads
from cyclr_async.wire.unset import UNSET, Unset

__all__ = [
    "NOTHING",
    "QueryValue",
    "V1Resource",
    "explained",
    "flag",
    "free_body",
    "hidden",
    "models",
    "nothing",
    "number",
    "query_text",
    "raw",
    "secret_text",
    "some",
    "texts",
]

T = TypeVar("T")
QueryValue: TypeAlias = str | int | bool | datetime | None

NOTHING: Final = HiddenBytes(b"{}")
"""The body of a request that says nothing: without any, some routes answer 500."""
_SAFETY: Final = {
    "GET": Safety.SAFE,
    "PUT": Safety.REPEATABLE,
    "PATCH": Safety.REPEATABLE,
    "DELETE": Safety.REPEATABLE,
    "POST": Safety.UNSAFE,
}
_LARGEST: Final = (1 << 31) - 1
"""Ids that are numbers are Int32 at the server."""
_STOP_FIRST: Final = "stop the cycle first: cycles.deactivate(cycle_id)"
_HEADER: Final = (
    "the access token was refused, or X-Cyclr-Account names no account that it opens: check the account id, and "
    "whether the token is restricted to another account"
)
_NO_HEADER: Final = (
    "the access token was refused, or it is restricted to an account and opens nothing at the level of the partner, or "
    "the call is about one account and names none: session.v1.account(account_id), --account"
)
"""The server says the same in all three cases. That the header is missing can be so for ``request()``, and for the
catalogue, of which it is not known for certain that it can be read without one."""


def _there(_: Response) -> object:
    """Take any good answer for a sign that something is there, the same as before."""
    return True


class V1Resource(Resource):
    """A resource of the v1.0 API."""

    __slots__ = ()

    async def _send(
        self,
        name: str,
        method: str,
        path: str,
        decode: Callable[[Response], T],
        *,
        timeout: float | None,
        query: Mapping[str, QueryValue] | None = None,
        body: HiddenBytes | None = None,
        safety: Safety | None = None,
        json: bool = True,
        secrets: tuple[Secret, ...] = (),
        advice: str = "",
    ) -> T:
        """Send a request and return what is made of its answer."""
        url = self._url(path)
        if query and (given := {key: text for key, value in query.items() if (text := query_text(key, value))}):
            url = url.with_query(given)
        call = Request(
            name=name,
            method=method,
            url=url,
            safety=_SAFETY[method] if safety is None else safety,
            interpret=decode,
            body=body,
            headers=self._headers,
            json=json,
            secrets=secrets,
            advice=advice,
        )
        try:
            return await self._sender.send(call, timeout)
        except (ConflictError, NotFoundError, UnauthorizedError) as error:
            explained(error, scoped=bool(self._headers))
            raise

    async def _delete(
        self,
        name: str,
        path: str,
        *,
        timeout: float | None,
        body: HiddenBytes | None = None,
        look: Callable[[TimeLeft], Awaitable[object]] | None = None,
        seen: Callable[[Response], object] = _there,
    ) -> None:
        """Delete something once: an answer that is lost is settled by looking.

        Args:
            name: the operation.
            path: what is deleted.
            timeout: seconds for everything; None for each request as for a call of its own.
            body: of the request.
            look: returns what is there, or None when it is gone; by default, what is deleted is read.
            seen: makes of that answer what is equal as long as it is the same thing, or None when it is gone.
        """
        time = TimeLeft(self._sender.clock, check_timeout(timeout))

        async def send() -> None:
            await self._send(
                name,
                "DELETE",
                path,
                nothing,
                body=body,
                json=False,
                safety=Safety.UNSAFE,  # repeated only after a look: see delete_once()
                timeout=time.left(),
                advice="look whether it is there before deleting it again",
            )

        async def read(left: TimeLeft) -> object:
            reading = f"{name.rpartition('.')[0]}.get"
            return await self._send(reading, "GET", path, seen, json=False, timeout=left.left())

        async def found() -> object:
            try:
                return await (read if look is None else look)(time)
            except NotFoundError as error:
                if is_foreign(error):
                    raise
                return None

        await delete_once(time, send, found)

    async def _iter(
        self,
        name: str,
        path: str,
        cls: type[T],
        id_of: Callable[[T], Hashable] | None,
        *,
        timeout: float | None,
        query: Mapping[str, QueryValue] | None = None,
        recheck: bool = False,
    ) -> AsyncGenerator[T, None]:
        """Yield the elements of a list that comes in pages; ``timeout`` is that of each page."""

        async def fetch(page: int) -> Page[T]:
            asked = {"page": page, "pageSize": PAGE_SIZE, **(query or {})}
            return await self._send(name, "GET", path, _page_of(models(cls)), query=asked, timeout=timeout)

        async for page in pages(fetch, id_of, operation=name, recheck=recheck):
            for item in page:
                yield item

    async def _whole(
        self,
        name: str,
        path: str,
        decode: Callable[[Response], list[T]],
        *,
        timeout: float | None,
        query: Mapping[str, QueryValue] | None = None,
    ) -> list[T]:
        """Return a list of which it is not known whether it comes in pages: it does when the answer counts them."""
        found: list[T] = []
        number, total = 0, 1
        while number < total:
            number += 1
            asked = {"page": number, "pageSize": PAGE_SIZE, **(query or {})}
            page = await self._send(name, "GET", path, _page_of(decode), query=asked, timeout=timeout)
            found += page.items
            total = page.total if page.total is not None and page.items else 1
        return found


def explained(error: CyclrError, *, scoped: bool) -> None:
    """Say what an error status means in this API, where that is not what it usually means.

    Args:
        error: is changed.
        scoped: whether the request named an account.
    """
    if isinstance(error, NotFoundError) and error.server_message is None and not is_foreign(error):
        # The usual words for a 404 without a body speak of accounts of the partner API.
        where = "in this account" if scoped else "in this API"
        error.args = (f"{error.message.partition(' 404')[0]} 404: there is nothing with that id {where}",)
        return
    if isinstance(error, ConflictError) and scoped and not is_foreign(error):
        advice = _STOP_FIRST  # only what belongs to a cycle conflicts, and every cycle belongs to an account
    elif isinstance(error, UnauthorizedError) and not error.token_request:
        advice = _HEADER if scoped else _NO_HEADER
    else:
        return
    error.args = (f"{error.message}; {advice}",)


def models(cls: type[T]) -> Callable[[Response], list[T]]:
    """Return a decoder of answers that are an array of models."""

    def decoded(answer: Response) -> list[T]:
        try:
            return structure_list(loads(answer.body), cls)
        except DecodeError as error:
            # As in http.resource.model: the frames below hold the plain body, which may hold a secret.
            failed = error.with_traceback(None)
        raise failed

    return decoded


def _page_of(decode: Callable[[Response], list[T]]) -> Callable[[Response], Page[T]]:
    return lambda answer: Page(decode(answer), total_pages(answer.headers))


def nothing(_: Response) -> None:
    """Take any answer with a status of success: what it holds is not defined."""


def raw(answer: Response) -> Any:
    """Return the JSON of an answer as it came; None when it is empty."""
    return loads(answer.body) if answer.body.strip() else None


def number(value: object, name: str) -> str:
    """Return an id that is a number as a segment of a path.

    Raises:
        InvalidArgumentError: it is none.
    """
    if type(value) is not int or not 0 <= value <= _LARGEST:
        raise InvalidArgumentError(f"{name} must be an int from 0 to {_LARGEST}; got {shown(value)}")
    return str(value)


def hidden(value: str | Secret | Unset | None, name: str) -> Secret | Unset | None:
    """Return a text that may be a secret as one; rebind the argument to it at once.

    Raises:
        InvalidArgumentError: it is no text.
    """
    if value is None or value is UNSET:
        return value
    if not isinstance(value, (str, Secret)):
        raise InvalidArgumentError(f"{name} must be a str or a Secret, not {type(value).__name__}")
    return Secret(value)


def secret_text(value: Secret | Unset | None) -> HiddenStr | Unset | None:
    """Return a secret as it stands in a body."""
    return HiddenStr(value.reveal()) if isinstance(value, Secret) else value


def some(fields: Mapping[str, object]) -> HiddenBytes:
    """Return the body of a partial update.

    Raises:
        InvalidArgumentError: nothing would be changed.
    """
    if all(value is UNSET for value in fields.values()):
        raise InvalidArgumentError("nothing to update: name at least one field")
    return body_of(fields)


def free_body(value: object) -> HiddenBytes:
    """Return the body with JSON of the caller's own.

    Raises:
        InvalidArgumentError: it cannot be sent as JSON.
    """
    if isinstance(value, Mapping):
        value = {name: item for name, item in value.items() if item is not UNSET}
    body = json_body(value)
    if isinstance(body, str):
        raise InvalidArgumentError(f"a value cannot be sent as JSON ({body})")
    return body


def flag(value: object, name: str) -> bool:
    """Check an argument that is True or False."""
    if not isinstance(value, bool):
        raise InvalidArgumentError(f"{name} must be True or False; got {shown(value)}")
    return value


def texts(values: Sequence[str], name: str) -> list[str]:
    """Check an argument that is several texts."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Sequence):
        raise InvalidArgumentError(f"{name} must be a list of str, not {type(values).__name__}")
    if not all(isinstance(value, str) for value in values):
        raise InvalidArgumentError(f"{name} must hold str only")
    return list(values)


def query_text(name: str, value: QueryValue) -> str | None:
    """Return a value as it stands in a query; None leaves it out."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        moment = value.astimezone(UTC) if value.tzinfo else value
        return f"{moment.replace(tzinfo=None).isoformat(timespec='seconds')}Z"
    if isinstance(value, (str, int)):
        try:
            (text := str(value)).encode()
        except UnicodeEncodeError:
            pass
        else:
            return text
    raise InvalidArgumentError(f"{name} cannot be sent in a query; got {shown(value)}")
