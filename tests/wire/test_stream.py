import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyclr_async.errors import DecodeError
from cyclr_async.partner import Account
from cyclr_async.wire.stream import ArraySplitter, ListDecoder
from tests.support.sizes import examples


def split(body: bytes, sizes: list[int]) -> list[Any]:
    splitter = ArraySplitter()
    elements: list[Any] = []
    at, turn = 0, 0
    while at < len(body):
        size = sizes[turn % len(sizes)]
        elements += splitter.feed(body[at : at + size])
        at += size
        turn += 1
    elements += splitter.close()
    assert splitter.index == len(elements)
    assert splitter.close() == []
    return elements


def run(decoder: ArraySplitter | ListDecoder[Any], body: bytes, size: int) -> None:
    for at in range(0, len(body), size):
        decoder.feed(body[at : at + size])
    decoder.close()


HOSTILE_TEXT = st.text(alphabet='},{["]\\: é😀\u2028a', max_size=12) | st.sampled_from(["},{", "}],[{", '"},{"', "\\"])
VALUES = st.recursive(
    st.none() | st.integers(-(2**70), 2**70) | HOSTILE_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(HOSTILE_TEXT, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=examples(80, 400))
@given(
    st.lists(st.dictionaries(HOSTILE_TEXT, VALUES, max_size=4), max_size=12) | st.lists(VALUES, max_size=6),
    st.lists(st.integers(1, 40), min_size=1, max_size=5),
    st.sampled_from([None, 0, 2, "\t"]),
    st.booleans(),
)
def test_equals_the_whole_document(
    rows: list[Any], sizes: list[int], indent: int | str | None, ascii_only: bool
) -> None:
    body = json.dumps(rows, indent=indent, ensure_ascii=ascii_only).encode()
    assert split(body, sizes) == rows


@pytest.mark.parametrize("separators", [(",", ":"), (" , ", " : "), (" \r\n\t, \n ", ":"), (" " * 300 + ",", ":")])
@pytest.mark.parametrize("size", [1, 2, 3, 1000, 65536, 10**9])
def test_many_rows(separators: tuple[str, str], size: int) -> None:
    rows = [{"Id": str(i), "Name": "},{é" * (i % 4), "X": [{"a": 1}, {"b": {}}] * (i % 3)} for i in range(300)]
    body = json.dumps(rows, separators=separators, ensure_ascii=False).encode()
    assert split(b" \n" + body + b"\n ", [size]) == rows


def test_elements_come_before_the_end() -> None:
    splitter = ArraySplitter()
    assert splitter.feed(b'[{"a":1},{"a":2},{"a"') == [{"a": 1}, {"a": 2}]
    assert splitter.feed(b":3}") == []
    assert splitter.feed(b",{") == [{"a": 3}]


def test_nested_arrays_do_not_hold_elements_back() -> None:
    row = json.dumps({"X": [{"a": 1}] * 50}).encode()
    splitter = ArraySplitter()
    out = len(splitter.feed(b"[" + row))
    for _ in range(999):
        out += len(splitter.feed(b"," + row))
        assert splitter.index >= out - 1
    assert out > 980
    assert out + len(splitter.feed(b"]")) + len(splitter.close()) == 1000


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  ",
        b"{}",
        b'{"Message":"canary"}',
        b'"canary"',
        b"null",
        b"\xef\xbb\xbf[]",
        b"[",
        b'[{"a":1}',
        b'[{"a":1},',
        b'[{"a":1},]',
        b"[,]",
        b'[,{"a":1}]',
        b'[{"a":1},,{"a":2}]',
        b'[{"a":1}{"a":2}]',
        b"[1,]",
        b"[]]",
        b"[] []",
        b'[{"a":1}]x',
        b'[{"a":1}],{"b":1}',
        b'[{"a":1}],{"b":1},{"c":1},{"d":1}]',
        b'[{"a":1}}',
        b'[{"a":1}},{"b":1}]',
        b'[{"a":NaN},{"b":1}]',
        b'[{"a":"\xff"},{"b":1},{"c":1}]',
        b"<html>canary</html>",
    ],
)
@pytest.mark.parametrize("size", [1, 3, 10**6])
def test_refused(body: bytes, size: int) -> None:
    with pytest.raises(DecodeError) as caught:
        split(body, [size])
    assert caught.value.__context__ is None
    assert caught.value.path.startswith("$")
    assert "canary" not in str(caught.value)


@settings(max_examples=examples(100, 300))
@given(st.text(alphabet='[]{}",:1a\\ \n', max_size=30), st.lists(st.integers(1, 10), min_size=1, max_size=3))
def test_any_text_gets_the_verdict_of_the_whole(text: str, sizes: list[int]) -> None:
    body = b"[" + text.encode()
    try:
        whole = json.loads(body)
    except ValueError:
        with pytest.raises(DecodeError):
            split(body, sizes)
    else:
        assert split(body, sizes) == whole


@pytest.mark.parametrize("size", [7, 100, 65536, 10**9])
def test_one_element_has_a_limit(size: int) -> None:
    small, large = {"a": "x" * 500}, {"a": "x" * 3000}
    body = json.dumps([small] * 20 + [large] + [small] * 20).encode()
    splitter = ArraySplitter(element_bytes=1000)
    with pytest.raises(DecodeError, match="more than 1000 bytes") as caught:
        run(splitter, body, size)
    assert splitter.index <= 20
    assert caught.value.path == f"$[{splitter.index}]"


def test_one_large_element_within_the_limit() -> None:
    rows = [{"a": 1}, {"a": "},{" * 200_000}, {"a": 2}]
    assert split(json.dumps(rows).encode(), [65536]) == rows


def account(index: int) -> dict[str, Any]:
    return {"Id": str(index), "Name": f"A{index}"}


def bodies(broken: set[int], count: int = 2500) -> bytes:
    return json.dumps([{**account(i), "Name": None} if i in broken else account(i) for i in range(count)]).encode()


@pytest.mark.parametrize("size", [100, 4096, 10**9])
def test_the_error_has_the_index_in_the_whole_list(size: int) -> None:
    decoder, body = ListDecoder(Account), bodies({2345})
    with pytest.raises(DecodeError) as caught:
        run(decoder, body, size)
    assert caught.value.path == "$[2345].Name"
    assert caught.value.expected == "str (required)"
    assert caught.value.__context__ is None


def test_lenient_keeps_the_others() -> None:
    decoder, body = ListDecoder(Account, lenient=True), bodies({0, 7, 2499})
    models: list[Account] = []
    for at in range(0, len(body), 1000):
        models += decoder.feed(body[at : at + 1000])
    models += decoder.close()
    assert [model.id for model in models] == [str(i) for i in range(2500) if i not in {0, 7, 2499}]
    assert [(index, error.path) for index, error in decoder.problems] == [(i, f"$[{i}].Name") for i in (0, 7, 2499)]


def test_elements_that_are_no_objects_are_named() -> None:
    decoder = ListDecoder(Account, lenient=True)
    made = decoder.feed(b'[{"Id":"1","Name":"a"},null,3,{"Id":"2","Name":"b"},[]]') + decoder.close()
    assert [model.id for model in made] == ["1", "2"]
    assert [error.path for _, error in decoder.problems] == ["$[1]", "$[2]", "$[4]"]
