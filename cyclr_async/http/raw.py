"""Requests that no resource describes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import attrs
from yarl import URL

from cyclr_async.errors import InvalidArgumentError
from cyclr_async.http.call import Answer, Call, Safety
from cyclr_async.secret import HiddenBytes
from cyclr_async.wire.jsonic import dumps, loads
from cyclr_async.wire.segments import segment

__all__ = ["RawResponse", "raw_body", "raw_call"]

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


def raw_body(value: object) -> HiddenBytes | str:
    """Return a JSON body, or the reason why there can be none: not raised, so that no traceback shows the value."""
    try:
        return HiddenBytes(dumps(value))
    except (TypeError, ValueError) as error:
        return type(error).__name__


def raw_call(
    root: URL,
    method: str,
    path: str,
    *,
    query: Mapping[str, str | int] | None,
    body: HiddenBytes | None,
    repeatable: bool | None,
) -> Call[RawResponse]:
    """Describe a request to an endpoint below the root.

    Raises:
        InvalidArgumentError: the method or the path cannot be valid.
    """
    method = method.upper() if isinstance(method, str) else ""
    if not _METHOD.fullmatch(method):
        raise InvalidArgumentError("method must be an HTTP method such as 'GET'")
    if not isinstance(path, str) or "://" in path or path.startswith("//"):
        raise InvalidArgumentError("path must be a path below the API root, such as 'details', not a URL")
    quoted = "/".join(segment(part, name="path segment") for part in path.removeprefix("/").split("/"))
    url = root.with_path(f"{root.raw_path}/{quoted}", encoded=True)
    if query:
        url = url.with_query(query)
    if repeatable is None:
        repeatable = method in {"GET", "HEAD"}
    safety = Safety.SAFE if repeatable and method in {"GET", "HEAD"} else Safety.REPEATABLE
    return Call(
        name="request",
        method=method,
        url=url,
        safety=safety if repeatable else Safety.UNSAFE,
        body=body,
        json=False,
        decode=_raw,
    )


def _raw(answer: Answer) -> RawResponse:
    return RawResponse(answer.status, dict(answer.headers), answer.body)
