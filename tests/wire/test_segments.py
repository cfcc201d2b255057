import re
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from cyclr_async.errors import InvalidArgumentError
from cyclr_async.wire.segments import free_segment, segment

BASE = URL("https://my.cyclr.com/api/partner/accounts")

HOSTILE: list[object] = [
    "",
    ".",
    "..",
    "../admin",
    "..\\admin",
    "a/b",
    "/etc",
    "//evil.example",
    "a/",
    "%2e%2e",
    "%2E%2E%2Fadmin",
    "..%2fadmin",
    "a%00b",
    "%",
    "a?b=1",
    "?",
    "a#f",
    "a\r\nX: y",
    "a\n",
    "a\tb",
    " a",
    "a b",
    "a\u00a0b",
    "a\u2028b",
    "a\x00b",
    "a\x7f",
    "a\x85b",
    "\ud800",
    "a\u202eb",
    "a\u200bb",
    "\uff0e\uff0e",
    "a\uff0fb",
    "e\u0301",
    "a" * 129,
]


def test_the_corpus_is_whole() -> None:
    assert len(HOSTILE) == 34


@pytest.mark.parametrize("value", [*HOSTILE, None, 7, b"abc", True, ["a"]], ids=ascii)
def test_refused(value: object) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        segment(value)  # type: ignore[arg-type]
    message = str(caught.value)
    assert message.isprintable()
    assert message.startswith("account_id cannot be used in a URL")
    assert len(message) < 250


def test_a_long_value_is_not_echoed() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        segment("p" * 20 + "canary/", name="username")
    assert "canary" not in str(caught.value)
    assert "username" in str(caught.value)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        ("00000000000000000000000000000000", "00000000000000000000000000000000"),
        ("3f2504e0-4f89-11d3-9a0c-0305e82c3301", "3f2504e0-4f89-11d3-9a0c-0305e82c3301"),
        ("...", "..."),
        (".a", ".a"),
        ("a:b@c;d,e=f&g+h$i!j*k'l(m)", "a%3Ab%40c%3Bd%2Ce%3Df%26g%2Bh%24i%21j%2Ak%27l%28m%29"),
        ("é", "%C3%A9"),
        ("😀", "%F0%9F%98%80"),
        ("x" * 128, "x" * 128),
    ],
)
def test_accepted(value: str, encoded: str) -> None:
    assert segment(value) == encoded


@given(st.text(max_size=140))
def test_an_id_never_changes_the_path(value: str) -> None:
    try:
        encoded = segment(value)
    except InvalidArgumentError:
        return
    assert re.fullmatch(r"[A-Za-z0-9._~%-]+", encoded)
    assert unquote(encoded, errors="strict") == value
    url = BASE.joinpath(encoded, "billing", encoded=True)
    assert url.raw_parts == (*BASE.raw_parts, encoded, "billing")
    assert (url.scheme, url.host, url.port, url.query_string, url.fragment) == ("https", "my.cyclr.com", 443, "", "")


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        ("tenant-42", "tenant-42"),
        ("a b/c?d#e%f\\g", "a%20b%2Fc%3Fd%23e%25f%5Cg"),
        ("é", "%C3%A9"),
        ("e\u0301", "e%CC%81"),  # as it is: an id is compared with what was stored
        ("...", "..."),
        ("a/..b", "a%2F..b"),
        ("x" * 128, "x" * 128),
    ],
)
def test_an_id_that_may_be_any_text(value: str, encoded: str) -> None:
    assert free_segment(value) == encoded


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        " a",
        "a ",
        "a\t",
        ".",
        "..",
        "a/..",
        "../a",
        "a/./b",
        "a\\..\\b",
        f"a{chr(0xFF0F)}..",  # a full-width solidus
        chr(0x2025),  # a two-dot leader
        "a\nb",
        "a\x00",
        chr(0xD800),
        "\u200bx",
        "x" * 129,
        7,
        None,
        b"a",
    ],
)
def test_a_text_that_would_lead_elsewhere_is_refused(value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="account_id cannot be used in a URL"):
        free_segment(value)
