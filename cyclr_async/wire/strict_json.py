r"""Strict JSON: the same verdict on every body, with the standard library or with orjson.

Refused with a :class:`~cyclr_async.errors.DecodeError` that shows nothing of the body: ``NaN``, ``Infinity``, numbers
beyond the range of a float, integers of more than 4,300 digits, nesting deeper than the interpreter can follow, a byte
order mark, invalid UTF-8 and an empty body. Lone surrogates (legal as ``\ud800`` in JSON, impossible in UTF-8) become
U+FFFD, so that no text read from the API can fail when it is written to a file or a database.
"""

import json
import math
import re
from collections.abc import Callable
from typing import Any, Final, NoReturn

from cyclr_async.errors import DecodeError, InvalidArgumentError

try:
    import orjson
except ImportError:
    _fast: Callable[[bytes | bytearray], Any] | None = None
else:
    _fast = orjson.loads

__all__ = ["dumps", "loads", "loads_stdlib"]

_ESCAPED_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")

# Digits become 0, what can stand before a number becomes ':', the rest 'x': one translation and one search then find a
# number of 19 digits or more, which orjson may turn into a float where the standard library keeps the integer.
_SHAPES: Final = (
    bytes(ord("0") if chr(i).isdigit() else ord(":") if chr(i) in " \t\r\n:,[-" else ord("x") for i in range(128))
    + b"x" * 128
)
_LONG_NUMBER: Final = b":" + b"0" * 19
_NUMBER_START: Final = frozenset(b"-0123456789")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("out of range")
    return value


def _no_constant(_: str) -> NoReturn:
    raise ValueError("not a JSON constant")


_decoder: Final = json.JSONDecoder(parse_float=_finite, parse_constant=_no_constant)


def _decode_text(text: str) -> Any:
    # raw_decode does not look for white space around the document, which costs two searches and is hardly ever there.
    try:
        value, end = _decoder.raw_decode(text)
    except json.JSONDecodeError:
        end = -1
    if end < 0 or (end < len(text) and text[end:].strip(" \t\n\r")):
        return _decoder.decode(text)
    return value


def loads(body: bytes | bytearray | str) -> Any:
    """Read one JSON document.

    Args:
        body: the whole document, UTF-8 without byte order mark.

    Returns:
        Plain Python values; every string can be encoded as UTF-8.

    Raises:
        DecodeError: the body is not strict JSON; the error holds no part of it.
    """
    if _fast is None:
        return loads_stdlib(body)
    if isinstance(body, str):
        body = body.encode("utf-8", "surrogatepass")
    if not body or body[0] in _NUMBER_START or _LONG_NUMBER in body.translate(_SHAPES):
        return loads_stdlib(body)
    try:
        return _fast(body)
    except ValueError:
        pass
    # What orjson refuses, a lone surrogate for one, is judged by the standard library alone.
    return loads_stdlib(body)


def loads_stdlib(body: bytes | bytearray | str) -> Any:
    """:func:`loads` with the standard library only; the reference for what is accepted."""
    value: Any = None
    problem = ""
    if isinstance(body, str):
        body = body.encode("utf-8", "surrogatepass")
    try:
        value = _decode_text(body.decode("utf-8"))
        if b"\\u" in body and _ESCAPED_SURROGATE.search(body):
            value = _scrub(value)  # not as deep as the decoder can go, hence here
    except UnicodeDecodeError as error:
        problem = f"invalid UTF-8 at byte {error.start}"
    except json.JSONDecodeError as error:
        problem = f"malformed at character {error.pos}"
    except RecursionError:
        problem = "nested too deeply"
    except ValueError:
        problem = "a number is out of range or not finite"
    if problem:  # raised here, not above: the caught exception holds the whole body
        raise _refusal(body, problem)
    return value


def _refusal(body: bytes | bytearray, problem: str) -> DecodeError:
    start = bytes(body[:64]).lstrip()
    if not start:
        problem = "empty"
    elif start.startswith(b"\xef\xbb\xbf"):
        problem = "it starts with a byte order mark"
    elif start.startswith(b"<"):
        problem = "it looks like HTML or XML: check the base URL, or a proxy in between"
    return DecodeError(f"the answer is not JSON ({len(body)} bytes): {problem}", path="$", expected="JSON")


def _scrub(value: Any) -> Any:
    """Replace lone surrogates in every string; pairs have become one character before."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_scrub(item) for item in value]
    if isinstance(value, dict):
        return {_scrub(name): _scrub(item) for name, item in value.items()}
    return value


def dumps(value: object) -> bytes:
    """Write a value as compact UTF-8 JSON.

    Args:
        value: dicts with text keys, lists, texts, numbers, booleans and None.

    Returns:
        The document, without white space between its parts.

    Raises:
        InvalidArgumentError: the value holds what JSON or UTF-8 cannot express; the error does not show it.
    """
    problem = ""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")
    except TypeError:
        problem = "it holds a type that JSON does not have"
    except UnicodeEncodeError:
        problem = "a text holds a lone surrogate, which UTF-8 cannot express"
    except RecursionError:
        problem = "it is nested too deeply"
    except ValueError:
        problem = "it holds NaN, an infinity, or itself"
    raise InvalidArgumentError(f"the request cannot be written as JSON: {problem}")
