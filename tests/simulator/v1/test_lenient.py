"""JSON that Json.NET reads, and what it does not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyclr_async.simulator.v1.lenient import read_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{'Parameters': {296076 : 1}}", {"Parameters": {"296076": 1}}),
        ("{a: 'it\\'s', \"b\": [1, 2,],}", {"a": "it's", "b": [1, 2]}),
        ("/* a */ {x: true, // b\n y: null}", {"x": True, "y": None}),
        ("{a: '\\u00fc\\n', b: -1.5e3, c: undefined}", {"a": "ü\n", "b": -1500.0, "c": None}),
        ("'alone'", "alone"),
        ("[]", []),
        ("{ }", {}),
        ("{x: []}", {"x": []}),
        ('"\\ud83d\\ude80"', "🚀"),
        ("'\\ud83d'", "\ufffd"),
        ('["\\ud83d"]', ["\ufffd"]),
    ],
)
def test_read(text: str, value: object) -> None:
    assert read_json(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "{a}",
        "{a:}",
        "{a:1 b:2}",
        "[1 2]",
        "['a",
        "{'a':1}x",
        "NaN",
        "{a:Infinity}",
        "1e999",
        "'\\q'",
        "[,]",
        "x",
        "[" * 5000,
        "{a:" * 5000,
        "{'a':1e999}",
        "[1]]",
        "{:1}",
        "'''",
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_json(text)


@given(JSON)
def test_what_is_json_is_read_as_json(value: Any) -> None:
    text = json.dumps(value)
    assert read_json(text) == value
    # The lenient reader alone, reached by a comma too many, understands it as well.
    assert read_json(f"[{text},]") == [value]


@given(st.text(alphabet="{}[]:,'\"\\/* \n1aeu0-.", max_size=30))
def test_nothing_but_a_value_or_a_refusal(text: str) -> None:
    try:
        json.dumps(read_json(text), allow_nan=False)
    except ValueError:
        return
