"""The description of one request, and of how its answer becomes a value: the one thing that travels the house."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any, Final, Generic, Protocol, TypeVar

import attrs
from yarl import URL

from cyclr_async.secret import HiddenBytes, Secret

__all__ = ["NO_HEADERS", "Reader", "Request", "Response", "Safety"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
"""Shared by all requests without headers of their own, so that none can add to it."""


class Safety(Enum):
    """Whether an operation may be repeated when it is not known if it was carried out."""

    SAFE = "safe"
    """Reads, and whatever changes nothing that matters: repeated freely."""
    REPEATABLE = "repeatable"
    """Sets a state: repeating it soon gives the same state."""
    UNSAFE = "unsafe"
    """Creates something: never repeated unless the first attempt certainly was not carried out."""


@attrs.define(eq=False)  # not frozen: one is made per call, and a frozen one takes three times as long to make
class Response:
    """A complete successful answer.

    Attributes:
        status: the HTTP status, 200 to 299.
        headers: the response headers.
        body: the decoded body.
        connection: something that stands for the connection it came on, and nothing else; None when that is not known.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = attrs.field(repr=False)
    connection: object = attrs.field(default=None, repr=False)


class Reader(Protocol[T_co]):
    """Consumes the body of an answer piece by piece."""

    def feed(self, chunk: bytes) -> object:
        """Take the next piece."""
        ...

    def close(self) -> T_co:
        """Take the end of the body and return the value."""
        ...


@attrs.define(kw_only=True, eq=False)  # treated as frozen; see Response for why it is not
class Request(Generic[T]):
    """One request.

    Attributes:
        name: the operation, for logs, events and errors: ``"accounts.usage"``.
        method: the HTTP method.
        url: where it goes.
        safety: whether it may be repeated.
        decode: makes the value from the JSON of the answer, parsed.
        interpret: makes it from the whole answer instead: from its status, its headers, and a body that need not be
            JSON.
        reader: makes a consumer for bodies that are read piece by piece instead; one per attempt.
        body: the request body.
        content_type: of the body.
        headers: sent besides those that every request has, such as ``X-Cyclr-Account``; printable ASCII.
        json: False when the answer may be of any type.
        once: True when the request uses something up, as a refresh token: nothing that was sent is sent again, not even
            after an answer that says it was not carried out.
        quotable: False when no error may quote the answer: that of a token endpoint may hold a token.
        advice: what to do when the outcome of a write is unknown.
        secrets: what the request carries and no error may show, also when the server repeats it.
    """

    name: str
    method: str
    url: URL = attrs.field(repr=False)
    safety: Safety
    decode: Callable[[Any], T] | None = attrs.field(default=None, repr=False)
    interpret: Callable[[Response], T] | None = attrs.field(default=None, repr=False)
    reader: Callable[[], Reader[T]] | None = attrs.field(default=None, repr=False)
    # Hidden, because it may hold a password, and a request is shown in tracebacks with locals.
    body: HiddenBytes | None = attrs.field(default=None, repr=False)
    content_type: str = "application/json"
    headers: Mapping[str, str] = attrs.field(default=NO_HEADERS, repr=False)
    json: bool = True
    once: bool = False
    quotable: bool = True
    advice: str = ""
    secrets: tuple[Secret, ...] = attrs.field(default=(), repr=False)
