"""One corpus, two decoders, one verdict."""

import json
import math
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyclr_async.errors import DecodeError, InvalidArgumentError
from cyclr_async.secret import HiddenStr
from cyclr_async.wire import strict_json

BACKENDS = pytest.mark.parametrize("loads", [strict_json.loads, strict_json.loads_stdlib], ids=["orjson", "stdlib"])

REFUSED: list[bytes] = [
    b"",
    b"  \n",
    b"NaN",
    b"[NaN]",
    b"[Infinity]",
    b'{"a":-Infinity}',
    b"[1e999]",
    b"[-1e999]",
    b"1e999",
    b"[" + b"1" * 4301 + b"]",
    b"1" * 4301,
    b"[" * 100_000 + b"]" * 100_000,
    b'{"a":' * 100_000,
    b"\xef\xbb\xbf[]",
    b"\xff\xfe[\x00]\x00",
    "[]".encode("utf-16"),
    "[]".encode("utf-32-be"),
    b'["\xff"]',
    b'["\xc3"]',
    b'["\xed\xa0\x80"]',
    b'["\xc0\xaf"]',
    b"[1,]",
    b"{,}",
    b'{"a":1,}',
    b"{'a':1}",
    b'{ Id: "0" }',
    b"[01]",
    b"[+1]",
    b"[1.]",
    b"[.5]",
    b"[0x1]",
    b"[1_000]",
    b"[] []",
    b"[]x",
    b'["a\nb"]',
    b'["\\x41"]',
    b'["\\ud8"]',
    b'["a',
    b"tru",
    b"True",
    b"undefined",
    b"<html><body>secret-canary</body></html>",
    b"// c\n[]",
    b"\x00",
    b"[]\x00",
    b"-",
]

ACCEPTED: list[tuple[bytes, Any]] = [
    (b"null", None),
    (b" \t\r\n[ ] ", []),
    (b'"\\u0041\\u00e9\\ud83d\\ude00"', "Aé😀"),
    (b'"\\ud800"', "\ufffd"),
    (b'["a\\udc00b","\\ud83d\\ud83d\\ude00"]', ["a\ufffdb", "\ufffd😀"]),
    (b'{"\\uDBFF":{"\\udc00":["\\udfff"]}}', {"\ufffd": {"\ufffd": ["\ufffd"]}}),
    (b'"\\\\ud800"', "\\ud800"),
    (b'"\\u0000"', "\x00"),
    (b"[9223372036854775807,-9223372036854775808]", [2**63 - 1, -(2**63)]),
    (b"[9223372036854775808,-9223372036854775809]", [2**63, -(2**63) - 1]),
    (b"[18446744073709551615,18446744073709551616]", [2**64 - 1, 2**64]),
    (b"18446744073709551616", 2**64),
    (b' \n"x"', "x"),
    (b'{"a":\n123456789012345678901234567890}', {"a": 123456789012345678901234567890}),
    (b"[-123456789012345678901234567890,1]", [-123456789012345678901234567890, 1]),
    (b"[1" + b"0" * 4299 + b"]", [10**4299]),
    (b"[0.1,1e-999,-0.0,1E2,1.7976931348623157e308]", [0.1, 0.0, -0.0, 100.0, 1.7976931348623157e308]),
    (b"[12345678901234567890.5]", [12345678901234567890.5]),
    (b'{"a":1,"a":2}', {"a": 2}),
    (b'{"":0}', {"": 0}),
    (b'["00000000000000000000000000000000"]', ["0" * 32]),
    (b"[" * 200 + b"]" * 200, json.loads("[" * 200 + "]" * 200)),
    (b'["\xe2\x80\xa8\x7f\xf4\x8f\xbf\xbf"]', ["\u2028\x7f\U0010ffff"]),
]


def test_orjson_is_what_the_first_backend_means() -> None:
    assert strict_json._fast is not None


@BACKENDS
@pytest.mark.parametrize("body", REFUSED, ids=lambda body: repr(body[:24]))
def test_refused(loads: Callable[[bytes | bytearray], Any], body: bytes) -> None:
    for given_body in (bytes, bytearray):
        with pytest.raises(DecodeError) as caught:
            loads(given_body(body))
        error = caught.value
        assert (error.path, error.expected) == ("$", "JSON")
        assert error.__context__ is None
        assert error.__cause__ is None
        assert "canary" not in "".join(traceback.format_exception(error))
        assert str(pickle.loads(pickle.dumps(error))) == str(error)


@BACKENDS
@pytest.mark.parametrize(("body", "value"), ACCEPTED, ids=lambda value: repr(value)[:24])
def test_accepted(loads: Callable[[bytes | str], Any], body: bytes, value: Any) -> None:
    for made in (loads(body), loads(bytearray(body)), loads(body.decode())):  # type: ignore[arg-type]
        assert repr(made) == repr(value)
        json.dumps(made, ensure_ascii=False).encode("utf-8")


def test_refusals_read_the_same_with_both() -> None:
    def message(loads: Callable[[bytes], Any], body: bytes) -> str:
        with pytest.raises(DecodeError) as caught:
            loads(body)
        return str(caught.value)

    assert [message(strict_json.loads, body) for body in REFUSED] == [
        message(strict_json.loads_stdlib, b) for b in REFUSED
    ]


def test_html_is_named() -> None:
    with pytest.raises(DecodeError, match="HTML"):
        strict_json.loads(b"  <!DOCTYPE html>")


def test_text_with_a_lone_surrogate_is_not_utf8() -> None:
    with pytest.raises(DecodeError, match="UTF-8"):
        strict_json.loads('["\ud800"]')


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


@given(JSON_VALUES)
def test_round_trip(value: Any) -> None:
    body = strict_json.dumps(value)
    assert repr(strict_json.loads(body)) == repr(strict_json.loads_stdlib(body)) == repr(value)


@given(st.binary(max_size=60) | st.text(alphabet='[]{}":,\\u0d8e1-. nullN\n', max_size=60).map(str.encode))
def test_any_bytes_get_the_same_verdict(body: bytes) -> None:
    outcomes: list[str] = []
    for loads in (strict_json.loads, strict_json.loads_stdlib):
        try:
            outcomes.append(repr(loads(body)))
        except DecodeError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]


def test_dumps_is_compact_utf8() -> None:
    assert strict_json.dumps({"Name": "é", "PricePlanId": None}) == '{"Name":"é","PricePlanId":null}'.encode()
    assert strict_json.dumps({"ApiKey": HiddenStr("key")}) == b'{"ApiKey":"key"}'


@pytest.mark.parametrize("value", [math.nan, math.inf, "\ud800", {"a": object()}, {1, 2}, {(1,): 2}])
def test_dumps_refuses_what_json_cannot_say(value: object) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        strict_json.dumps(value)
    assert caught.value.__context__ is None


def test_dumps_refuses_cycles() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    with pytest.raises(InvalidArgumentError):
        strict_json.dumps(cycle)
