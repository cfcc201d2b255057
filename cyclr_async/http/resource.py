"""What every resource needs: URLs below the API root, request bodies, and decoders of answers."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol, TypeVar

from yarl import URL

from cyclr_async.auth.providers import PartnerIdentity
from cyclr_async.config import Limits
from cyclr_async.errors import DecodeError, InvalidArgumentError, ResponseTooLargeError, TruncatedResponseError
from cyclr_async.http.clock import Clock
from cyclr_async.http.request import NO_HEADERS, Request, Response
from cyclr_async.http.retry import RetryStrategy
from cyclr_async.secret import HiddenBytes
from cyclr_async.wire.converter import decode
from cyclr_async.wire.stream import ListDecoder, memory_of
from cyclr_async.wire.strict_json import dumps
from cyclr_async.wire.unset import UNSET

__all__ = [
    "ListReader",
    "PartnerSource",
    "Resource",
    "Sender",
    "StreamLike",
    "body_of",
    "domain_of",
    "id_of",
    "model",
    "required",
    "rest_of",
    "text",
]

T = TypeVar("T")


class StreamLike(Protocol):
    """The body of an answer, piece by piece."""

    def chunks(self) -> Any:
        """Return an async iterator of bytes."""
        ...


class Sender(Protocol):
    """What a resource knows of the session: something that carries calls."""

    @property
    def clock(self) -> Clock:
        """Time and chance."""
        ...

    @property
    def limits(self) -> Limits:
        """How widely the API may be used."""
        ...

    def send(
        self, call: Request[T], timeout: float | None, strategy: RetryStrategy | None = None
    ) -> Coroutine[Any, Any, T]:
        """Carry out a call."""
        ...

    def stream(self, call: Request[object], timeout: float | None) -> AbstractAsyncContextManager[StreamLike]:
        """Open an answer to be read piece by piece."""
        ...


class PartnerSource(Protocol):
    """Tells whose data a session sees."""

    @property
    def partner(self) -> str | None:
        """The partner as the caller named it, or None."""
        ...

    async def identify(self) -> PartnerIdentity:
        """Return whose data this is; may ask the service."""
        ...

    def known_identity(self) -> PartnerIdentity:
        """Return whose data this is as far as is known without asking."""
        ...


class Resource:
    """A part of an API.

    Args:
        sender: carries the calls.
        root: the root of the API, below which it makes its URLs.
        headers: for every request it describes, such as ``X-Cyclr-Account``; printable ASCII.
    """

    __slots__ = ("_headers", "_path", "_root", "_sender")

    def __init__(self, sender: Sender, root: URL, headers: Mapping[str, str] = NO_HEADERS) -> None:
        self._sender = sender
        self._root = root
        # Quoted as it is, and without a slash at its end: two of them would be another path to some servers.
        self._path = root.raw_path.rstrip("/")
        self._headers = headers

    def _url(self, path: str) -> URL:
        """Return the URL of a path below the root; every segment of it is quoted already."""
        return self._root.with_path(f"{self._path}/{path}", encoded=True)


_ELEMENT_MEMORY: Final = 800
"""Bytes that a model takes at least, or the error in its place, however short its text."""


class ListReader:
    """Reads a list of models while it arrives, so that a long one neither blocks the loop nor is held twice.

    Args:
        cls: the class of the models.
        operation: the operation, for the message of an error.
        limits: ``list_items`` and ``list_bytes`` bound what is collected.
        report: told of every element that is left out because it is wrong.
    """

    __slots__ = ("_decoder", "_items", "_limits", "_memory", "_operation", "_report")

    def __init__(
        self,
        cls: type[Any],
        operation: str,
        limits: Limits,
        report: Callable[[int, DecodeError], object] | None = None,
    ) -> None:
        self._decoder: ListDecoder[Any] = ListDecoder(cls, lenient=report is not None)
        self._items: list[Any] = []
        self._memory = 0
        self._operation = operation
        self._limits = limits
        self._report = report

    def feed(self, chunk: bytes) -> None:
        """Take the next piece of the body.

        Raises:
            ResponseTooLargeError: more than ``Limits.list_items`` or ``Limits.list_bytes``.
            DecodeError: it is no list, or an element is wrong.
        """
        # Estimated, because a document can be made to take thirty times its size, and what counts is what it will take.
        self._memory += memory_of(chunk)
        self._check()  # before it is decoded, which is what takes the memory
        self._items += self._decoder.feed(chunk)
        self._check()

    def close(self) -> list[Any]:
        """Take the end of the body and return the models."""
        self._items += rest_of(self._decoder)
        self._check()
        # At the end and not as they come: until then the attempt may fail and be repeated, and each would be told
        # twice.
        if self._report is not None:
            for index, problem in self._decoder.problems:
                self._report(index, problem)
        return self._items

    def _check(self) -> None:
        limits, seen = self._limits, self._decoder.index
        if seen > limits.list_items:
            problem = f"more than Limits.list_items ({limits.list_items}) elements"
        elif max(self._memory, seen * _ELEMENT_MEMORY) > limits.list_bytes:
            problem = f"more than fits into Limits.list_bytes ({limits.list_bytes} bytes of memory)"
        else:
            return
        raise ResponseTooLargeError(
            f"{self._operation}: the list has {problem}: raise it, or read accounts with accounts.iter()",
            sent="yes",
            status=200,
        )


def rest_of(decoder: ListDecoder[T]) -> list[T]:
    """Take the end of a list and return its last models.

    Raises:
        TruncatedResponseError: the list has no end. Without a length in the answer, or behind a proxy that made up a
            good one, nothing else tells that it was cut off.
        DecodeError: it has one and is malformed.
    """
    try:
        return decoder.close()
    except DecodeError as error:
        if not decoder.unfinished:
            raise
        problem = error.message
    raise TruncatedResponseError(f"the list was cut off: {problem}", sent="yes", status=200)


def model(cls: type[T]) -> Callable[[Response], T]:
    """Return a decoder of answers that are one model."""

    def decoded(answer: Response) -> T:
        try:
            return decode(answer.body, cls)
        except DecodeError as error:
            # The frames below hold the plain body, which may hold a secret, and a traceback may show its locals.
            failed = error.with_traceback(None)
        raise failed

    return decoded


def id_of(data: object) -> str:
    """Return the id from the answer of a create or an update."""
    value = data.get("Id") if isinstance(data, dict) else None
    # A create without an id in its answer cannot be undone or looked up, so it must not pass for a success.
    if not isinstance(value, str) or not value:
        raise DecodeError("the answer holds no id: $.Id must be a non-empty str", path="$.Id", expected="non-empty str")
    return value


def domain_of(data: object) -> str | None:
    """Return the partner's domain from its settings, in lower case as domains are compared; None when it has none.

    Nothing else is looked at: whatever the rest of the settings holds, it says nothing about who the partner is.
    """
    if not isinstance(data, dict):
        raise DecodeError("the partner's settings must be an object", path="$", expected="object")
    domain = data.get("Domain")
    if domain is None:
        return None
    if not isinstance(domain, str) or not domain.isprintable():
        raise DecodeError("the partner's domain must be a text", path="$.Domain", expected="str")
    return domain.strip().rstrip(".").lower() or None


def body_of(fields: Mapping[str, object]) -> HiddenBytes:
    """Return the JSON body with the given fields; those that are UNSET are left out, None becomes null."""
    try:
        # UNSET and None are not the same: a partial update leaves alone what is not named, and clears what is null.
        return HiddenBytes(dumps({name: value for name, value in fields.items() if value is not UNSET}))
    except UnicodeEncodeError:
        pass
    raise InvalidArgumentError("a text holds a lone surrogate, which cannot be sent: remove or replace it")


def required(value: object, name: str) -> None:
    """Check that an argument is given: where fields are only changed, UNSET is as good as any text.

    Raises:
        InvalidArgumentError: it is UNSET or None.
    """
    # The type checker sees that too, but a name may come out of somebody's own table of fields.
    if value is UNSET or value is None:
        raise InvalidArgumentError(f"{name} must be given, as a str that is not empty")


def text(value: object, name: str, *, empty: bool = False, null: bool = False) -> str | None:
    """Check a text argument.

    Args:
        value: what was given.
        name: its name, for the message.
        empty: accept "".
        null: accept None.

    Raises:
        InvalidArgumentError: not a text, or empty where that makes no sense.
    """
    if value is UNSET or (value is None and null):
        return value  # type: ignore[return-value]
    if not isinstance(value, str):
        raise InvalidArgumentError(f"{name} must be a str, not {type(value).__name__}")
    if not empty and not value.strip():
        raise InvalidArgumentError(f"{name} must not be empty")
    return value
