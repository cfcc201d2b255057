"""The rows of the fault matrix that come after the request: what is injected, and what an operation then ends with."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass

from cyclr_async import (
    CyclrError,
    DecodeError,
    ProtocolError,
    ReadTimeoutError,
    ResponseError,
    ServerError,
    TransportError,
    TruncatedResponseError,
)
from cyclr_async.errors import Sent
from cyclr_async.http.engine.body import PURE_PYTHON
from tests.faults.matrix import after
from tests.support.answers import document, good, http, json_http
from tests.support.server import Request, Script, close, delay, drip, rst, stall, write

__all__ = ["HARMLESS", "LASTING", "Row"]


@dataclass(frozen=True)
class Row:
    """One fault after the request was read.

    Attributes:
        name: for the test id.
        fault: what the server does.
        error: the exact class that a repeated operation ends with when the fault lasts.
        sent: what the error says of the request.
        status: the status that was seen, or None.
    """

    name: str
    fault: Script
    error: type[CyclrError]
    sent: Sent
    status: int | None = None


def _silent(name: str, fault: Script, error: type[CyclrError] = TransportError) -> Row:
    """No answer began: whether the request arrived is not known."""
    return Row(name, fault, error, "maybe")


def _cut(name: str, fault: Script, error: type[CyclrError]) -> Row:
    """A good answer began and did not end well."""
    return Row(name, fault, error, "yes", 200)


def _broken(name: str, data: bytes | None = None, fault: Script | None = None, status: int | None = None) -> Row:
    """Something came back, so the request arrived, but it is not HTTP that can be used."""
    return Row(name, fault or after(write(data or b""), close()), ProtocolError, "yes", status)


def _seen(status: int) -> int | None:
    """aiohttp's parser in Python hands out an answer that something follows; the one in C refuses both together."""
    return status if PURE_PYTHON else None


def _unreadable(name: str, body: bytes, headers: dict[str, str] | None = None) -> Row:
    """A whole answer whose content is not JSON."""
    return _cut(name, after(write(http(200, body, headers)), close()), DecodeError)


def _half_a_gzip(request: Request) -> bytes:
    body = gzip.compress(json.dumps(document(request)).encode())
    return http(200, body[: len(body) // 2], {"Content-Encoding": "gzip"})


def _two_lengths(request: Request) -> bytes:
    return good(request).replace(b"\r\nContent-Length", b"\r\nContent-Length: 3\r\nContent-Length", 1)


def _unchunked(request: Request) -> bytes:
    return good(request, {"Transfer-Encoding": "chunked"})


def _cut_without_length(request: Request) -> bytes:
    return http(200, json.dumps(document(request)).encode()[:-9], length=False)


_SHORT = http(200, b"{", {"Content-Length": "90"})
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

LASTING = [
    _silent("fin", after(close())),
    _silent("rst", after(rst())),
    _silent("stall", after(stall()), ReadTimeoutError),
    _silent("slow-drip", after(drip(good, every=0.05)), ReadTimeoutError),
    _silent("continue-for-ever", after(drip(_CONTINUE * 99, every=0.01)), ReadTimeoutError),
    _cut("headers-stall", after(write(_SHORT), stall()), ReadTimeoutError),
    _cut("short-fin", after(write(_SHORT), close()), TruncatedResponseError),
    _cut("short-rst", after(write(_SHORT), delay(0.03), rst()), TruncatedResponseError),
    _broken("broken-chunk", http(200, b"zz\r\n{}\r\n", {"Transfer-Encoding": "chunked"}, length=False)),
    _broken("chunked-and-length", fault=after(write(_unchunked), close())),
    _broken("not-gzip", http(200, b"{}", {"Content-Encoding": "gzip"}), status=200),
    _broken("bad-length", http(200, b"{}", {"Content-Length": "two"})),
    _broken("negative-length", http(200, b"{}", {"Content-Length": "-2"})),
    _broken("two-lengths", fault=after(write(_two_lengths), close()), status=_seen(200)),
    _broken(
        "longer-than-length",
        fault=after(write(lambda request: good(request) + b"and more"), close()),
        status=_seen(200),
    ),
    _broken("garbage", b"\x00\xff garbage\r\n\r\n"),
    _broken("bad-status-line", b"HTTP/1.1 abc OK\r\n\r\n"),
    _broken("huge-header", http(200, b"{}", {"X-A": "a" * 20_000})),
    _broken("many-headers", http(200, b"{}", {f"X-{number}": "a" for number in range(500)})),
    _broken("status-101", json_http({}, 101), status=101),
    _broken("status-600", json_http({}, 600), status=600),
    _broken("status-999", json_http({}, 999), status=999),
    _broken("204-with-body", json_http({}, 204), status=_seen(204)),
    _cut("half-a-gzip", after(write(_half_a_gzip), close()), TruncatedResponseError),
    _cut("no-length-cut", after(write(_cut_without_length), close()), DecodeError),
    _broken("unknown-encoding", http(200, b"\xff\x06\x00\x00sNaPpY", {"Content-Encoding": "snappy"}), status=200),
    _unreadable("text-plain", b"{}", {"Content-Type": "text/plain"}),
    _unreadable("html", b"<p>", {"Content-Type": "text/html"}),
    _unreadable("empty", b""),
    _unreadable("nan", b'{"Id": NaN}'),
    _unreadable("nested", b"[" * 200_000),
    _unreadable("long-number", b'{"Id": ' + b"1" * 5000 + b"}"),
    _unreadable("bom", b"\xef\xbb\xbf{}"),
    _unreadable("invalid-utf8", b'{"Id": "\xff"}'),
    *(
        Row(f"status-{status}", after(write(json_http({"Message": "x"}, status)), close()), kind, "yes", status)
        for status, kind in (
            (408, ResponseError),
            (500, ServerError),
            (502, ServerError),
            (503, ServerError),
            (504, ServerError),
        )
    ),
]
"""Faults that last: what may be repeated is, until no attempt is left; a write is not."""

HARMLESS = {
    "continue": after(write(_CONTINUE * 3), write(good)),
    "a-thousand-continues": after(write(_CONTINUE * 1000), write(good)),
    "early-hints": after(write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"), write(good)),
    "no-content-type": after(write(lambda request: good(request, {"Content-Type": ""}))),
    "odd-charset": after(write(lambda request: good(request, {"Content-Type": "application/json; charset=odd"}))),
    "problem-json": after(write(lambda request: good(request, {"Content-Type": "application/vnd.x+json"}))),
    "http-1.0": after(write(lambda request: good(request).replace(b"HTTP/1.1", b"HTTP/1.0")), close()),
    "no-length": after(write(lambda request: http(200, json.dumps(document(request)).encode(), length=False)), close()),
    "drip": after(drip(good, every=0.0)),
}
"""Odd but right answers: they must do no harm."""
