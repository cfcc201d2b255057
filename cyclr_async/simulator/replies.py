"""Sending answers, whole or broken on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Final

import attrs
from aiohttp import web
from aiohttp.web_request import BaseRequest

from cyclr_async.simulator.domain.lenient_fields import message
from cyclr_async.simulator.faults.fault import Fault

__all__ = ["DENIED", "HTML", "JSON", "Reply", "broken", "page", "retry_after_text", "send"]

JSON: Final = "application/json; charset=utf-8"
HTML: Final = "text/html; charset=utf-8"
DENIED: Final = message("Authorization has been denied for this request.")
_USUAL: Final = {
    401: "Authorization has been denied for this request.",
    404: "",
    429: "Too many requests.",
    503: "The service is unavailable.",
}


@attrs.define(slots=True)
class Reply:
    """An answer that is ready to be sent.

    Attributes:
        status: of HTTP.
        body: the bytes, or an iterable of pieces that is sent chunked.
        content_type: empty for none.
        headers: more headers.
    """

    status: int = 200
    body: bytes | Iterable[bytes] = b""
    content_type: str = JSON
    headers: dict[str, str] | None = None

    def pieces(self) -> Iterator[bytes]:
        """Return the body in pieces."""
        return iter((self.body,)) if isinstance(self.body, bytes) else iter(self.body)


def retry_after_text(wait: float | str) -> str:
    """Return the value of ``Retry-After``; whole numbers without a point."""
    return wait if isinstance(wait, str) else f"{wait:.15g}"


def page(title: str, text: str = "") -> bytes:
    """Return a small HTML page; the caller escapes."""
    return (
        f"<!DOCTYPE html>\n<html><head><title>{title}</title></head><body><h1>{title}</h1>{text}</body></html>".encode()
    )


def broken(fault: Fault) -> Reply | None:
    """Return the answer of a fault that needs no operation, or None for the other kinds."""
    headers = None if fault.retry_after is None else {"Retry-After": retry_after_text(fault.retry_after)}
    if fault.kind == "status":
        if fault.code in (204, 304):
            return Reply(fault.code, b"", "", headers)
        usual = _USUAL.get(fault.code, "An error has occurred.")
        if fault.code == 401:
            headers = {**(headers or {}), "WWW-Authenticate": "Bearer"}
        words = usual if fault.message is None else fault.message
        return Reply(fault.code, message(words) if words else b"", JSON, headers)
    if fault.kind == "html":
        text = page("Bad Gateway") if fault.body is None else fault.body.encode("utf-8", "replace")
        return Reply(fault.code, text, HTML, headers)
    if fault.kind == "maintenance":
        return Reply(fault.code, page("Down for maintenance"), HTML, headers)
    return Reply(fault.code, _huge(fault.size), JSON, headers) if fault.kind == "huge" else None


def _huge(size: int) -> Iterator[bytes]:
    """Yield ``size`` bytes of valid JSON: an array of strings of x."""
    if size < 2:
        yield b"1"[:size]
        return
    yield b"["
    left, first = size - 2, True
    while left:
        room = min(left, 65_536)
        if left - room and left - room < 4:
            room -= 4
        if room >= 4:
            start = b'"' if first else b',"'
            yield start + b"x" * (room - len(start) - 1) + b'"'
            first = False
        else:
            yield b" " * room
        left -= room
    yield b"]"


async def _write(response: web.StreamResponse, reply: Reply, fault: Fault | None) -> None:
    left = fault.size if fault is not None and fault.kind == "truncate" else None
    for piece in reply.pieces():
        if fault is not None and fault.kind == "drip":
            for start in range(0, len(piece), fault.size):
                await response.write(piece[start : start + fault.size])
                await asyncio.sleep(fault.seconds)
            continue
        if left is not None:
            piece = piece[:left]  # noqa: PLW2901 - what is left of it
            left -= len(piece)
        if piece:
            await response.write(piece)
        if left == 0:
            return
        await asyncio.sleep(0)


async def send(request: BaseRequest, reply: Reply, request_id: str | None, fault: Fault | None) -> web.StreamResponse:
    """Send the answer, possibly truncated or drop by drop."""
    headers = {"X-Content-Type-Options": "nosniff"}
    if reply.content_type and reply.body:
        headers["Content-Type"] = reply.content_type
    if request_id is not None:
        headers["X-Request-Id"] = request_id
    if reply.headers is not None:
        headers.update(reply.headers)
    body = reply.body
    slow = fault is not None and fault.kind in ("truncate", "drip")
    if isinstance(body, bytes) and not slow:
        response = web.Response(body=body, status=reply.status, headers=headers)
        if not body and "Content-Type" not in headers:
            response.headers.popall("Content-Type", None)
        return response
    stream = web.StreamResponse(status=reply.status, headers=headers)
    if isinstance(body, bytes):
        stream.content_length = len(body)
    elif request.version >= (1, 1):
        stream.enable_chunked_encoding()
    await stream.prepare(request)
    await _write(stream, reply, fault)
    if fault is not None and fault.kind == "truncate":
        if request.transport is not None:
            request.transport.close()
    else:
        await stream.write_eof()
    return stream
