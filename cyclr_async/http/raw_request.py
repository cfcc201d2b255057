"""Requests that no resource describes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

import attrs
from yarl import URL

from cyclr_async.checks import shown
from cyclr_async.errors import InvalidArgumentError
from cyclr_async.http.request import NO_HEADERS, Request, Response, Safety
from cyclr_async.secret import HiddenBytes
from cyclr_async.wire.segments import segment
from cyclr_async.wire.strict_json import dumps, loads

__all__ = ["Query", "RawResponse", "json_body", "raw_request"]

Query: TypeAlias = Mapping[str, str | float | Sequence[str | float]]
"""Query parameters; a list stands for a parameter that comes several times. An int is a float to a type checker."""

# A method stands in the request line, so anything but letters could begin a request of somebody else's making.
_METHOD: Final = re.compile(r"[A-Z]{3,10}")


@attrs.frozen
class RawResponse:
    """A successful answer as it came.

    Attributes:
        status: the HTTP status.
        headers: the response headers.
        body: the decoded body.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)

    def json(self) -> Any:
        """Return the decoded JSON.

        Raises:
            DecodeError: the body is not JSON.
        """
        return loads(self.body)

    def __getitem__(self, key: str | int) -> Any:
        return self.json()[key]


def json_body(value: object) -> HiddenBytes | str:
    """Return a JSON body, or the reason why there can be none: not raised, so that no traceback shows the value."""
    try:
        return HiddenBytes(dumps(value))
    except (TypeError, ValueError) as error:
        return type(error).__name__


def raw_request(
    root: URL,
    method: str,
    path: str,
    *,
    query: Query | None,
    body: HiddenBytes | None,
    repeatable: bool | None,
    headers: Mapping[str, str] = NO_HEADERS,
    blanks: bool = False,
) -> Request[RawResponse]:
    """Describe a request to an endpoint below the root.

    Args:
        root: of the API.
        method: the HTTP method.
        path: below the root; each segment is checked and quoted.
        query: query parameters.
        body: JSON, or None.
        repeatable: whether it may be repeated; None for what its method says.
        headers: besides the usual ones.
        blanks: whether a segment may hold blanks, as names in paths of v1.0 do; ids never do.

    Raises:
        InvalidArgumentError: the method, the path or the query cannot be valid.
    """
    method = method.upper() if isinstance(method, str) else ""
    if not _METHOD.fullmatch(method):
        raise InvalidArgumentError("method must be an HTTP method such as 'GET'")
    # Joined to the root, such a path would name another host, and the token would go there.
    if not isinstance(path, str) or "://" in path or path.startswith("//"):
        raise InvalidArgumentError("path must be a path below the API root, such as 'details', not a URL")
    quoted = "/".join(segment(part, name="path segment", blanks=blanks) for part in path.removeprefix("/").split("/"))
    url = root.with_path(f"{root.raw_path}/{quoted}", encoded=True)
    if query is not None and (pairs := list(_pairs(query))):
        url = url.with_query(pairs)
    if not isinstance(repeatable, bool | None):
        raise InvalidArgumentError(f"repeatable must be True, False or None; got {shown(repeatable)}")
    if repeatable is None:
        repeatable = method in {"GET", "HEAD"}
    safety = Safety.SAFE if repeatable and method in {"GET", "HEAD"} else Safety.REPEATABLE
    return Request(
        name="request",
        method=method,
        url=url,
        safety=safety if repeatable else Safety.UNSAFE,
        body=body,
        headers=headers,
        json=False,
        interpret=_raw,
    )


def _pairs(query: object) -> Iterator[tuple[str, str]]:
    if not isinstance(query, Mapping):
        raise InvalidArgumentError(f"query must be a mapping of names to values, not {type(query).__name__}")
    for name, value in query.items():
        if not isinstance(name, str):
            raise InvalidArgumentError(f"the names in query must be str; got {shown(name)}")
        # Only these two are several values: a str is a sequence too, and would become one per letter.
        for single in value if isinstance(value, (list, tuple)) else [value]:
            yield _sendable(name, name), _sendable(name, single)


def _sendable(name: str, value: object) -> str:
    """Return a value as a text that a query can hold; the message of a refusal does not show it."""
    problem = f"it is {type(value).__name__}, not str or int: leave it out, or write it as the API expects it"
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        try:
            text = str(value)
            text.encode("utf-8")
        except ValueError:  # which a UnicodeEncodeError is, and what Python raises for an int of too many digits
            problem = "it holds a lone surrogate, or a number of too many digits"
        else:
            return text
    elif isinstance(value, float) and math.isfinite(value):
        return str(value)
    raise InvalidArgumentError(f"the value of {shown(name)} in query cannot be sent: {problem}")


def _raw(answer: Response) -> RawResponse:
    return RawResponse(answer.status, dict(answer.headers), answer.body)
