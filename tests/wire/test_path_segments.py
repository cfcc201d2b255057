"""An id becomes one path segment or is refused: nothing can change the path."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from cyclr_async.errors import InvalidArgumentError
from cyclr_async.wire.segments import segment

BASE = URL("https://host.example/api/partner/accounts")
HINT = "; pass the id as the API returned it"


@pytest.mark.parametrize(
    "value",
    [
        "a",
        "0",
        "A-Z_a.z~9",
        "-",
        "_",
        "~",
        "...",
        ".a",
        "a.",
        "..a",
        "a..",
        "....",
        "x" * 128,
        "00000000-0000-0000-0000-000000000000",
    ],
)
def test_plain_ids_stay_as_they_are(value: str) -> None:
    assert segment(value) == value


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        ("a&b", "a%26b"),
        ("a+b", "a%2Bb"),
        ("a=b;c,d", "a%3Db%3Bc%2Cd"),
        ("a:b@c", "a%3Ab%40c"),
        ("!$'()*", "%21%24%27%28%29%2A"),
        ('"<>[]^`{|}', "%22%3C%3E%5B%5D%5E%60%7B%7C%7D"),
        ("é", "%C3%A9"),
        ("日本", "%E6%97%A5%E6%9C%AC"),
        ("😀", "%F0%9F%98%80"),
        ("é" * 128, "%C3%A9" * 128),
        ("ﬁ", "%EF%AC%81"),
    ],
)
def test_everything_else_is_percent_encoded(value: str, encoded: str) -> None:
    assert segment(value) == encoded


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "is empty"),
        (None, "is NoneType, not str"),
        (5, "is int, not str"),
        (b"a", "is bytes, not str"),
        (URL("a"), "is URL, not str"),
        ("x" * 129, f"has 129 characters, more than 128 ('{'x' * 16}'…)"),
        ("/" * 129, f"has 129 characters, more than 128 ('{'/' * 16}'…)"),
        (".", "is a dot segment, which names another path ('.')"),
        ("..", "is a dot segment, which names another path ('..')"),
        *(
            (text, f"holds white space, a control character or one of / \\ ? # % ({text!a})")
            for text in (
                "a/b",
                "a\\b",
                "a?b",
                "a#b",
                "a%b",
                "%2e%2e",
                "a b",
                " a",
                "a\n",
                "\t",
                "a\x00",
                "a\x1fb",
                "a\x7f",
                "a\u00a0b",
                "a\u2003b",
                "a\u3000",
                "\u2028",
                "a\x85",
                "../a",
                "é/",
                "é é",
            )
        ),
        *(
            (text, f"holds a control, format, surrogate or unassigned character ({text!a})")
            for text in (
                "a\x80",
                "a\u200b",
                "a\u202e",
                "\ufeffa",
                "\ud800",
                "a\udfff",
                "a\ue000",
                "\U000e0001",
                "\u0378",
            )
        ),
        *((text, f"is not in Unicode normal form C ({text!a})") for text in ("e\u0301", "\u212b", "\u2126")),
        *(
            (text, f"holds a character that some servers read as one of / \\ ? # % or as dots ({text!a})")
            for text in (
                "a\uff0fb",
                "a\uff3cb",
                "a\uff1fb",
                "\uff03",
                "\uff05",
                "\uff0e",
                "\uff0e.",
                "\u2025",
                "\u2024",
                "\u2100",
                "\u2048",
                "\u00b4",
            )
        ),
        ("abcdefghijklmno/", "holds white space, a control character or one of / \\ ? # % ('abcdefghijklmno/')"),
        ("abcdefghijklmno/p", "holds white space, a control character or one of / \\ ? # % ('abcdefghijklmno/'…)"),
    ],
)
def test_what_could_be_read_as_part_of_the_path_is_refused(value: str, problem: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        segment(value)
    assert caught.value.message == f"account_id cannot be used in a URL: it {problem}{HINT}"
    with pytest.raises(InvalidArgumentError) as caught:
        segment(value, name="connector")
    assert caught.value.message == f"connector cannot be used in a URL: it {problem}{HINT}"


class Shifty(str):
    """A text that claims to be another."""

    __slots__ = ()

    def __str__(self) -> str:
        return "../admin"


def test_a_text_that_claims_to_be_another_is_taken_for_what_it_is() -> None:
    assert segment(Shifty("a&b")) == "a%26b"
    assert segment(Shifty("plain")) == "plain"
    assert type(segment(Shifty("plain"))) is str
    with pytest.raises(InvalidArgumentError, match=r"\('a/b'\)"):
        segment(Shifty("a/b"))


@given(st.text(max_size=140) | st.text("./\\%?#~-_aé \u2024\uff0e\u0301", max_size=10))
def test_one_segment_that_decodes_to_the_same_id_or_an_error(value: str) -> None:
    try:
        encoded = segment(value)
    except InvalidArgumentError:
        return
    assert encoded.isascii()
    assert unquote(encoded, errors="strict") == value
    url = BASE.joinpath(encoded, encoded=True)
    assert url.raw_parts == (*BASE.raw_parts, encoded)
    assert url.origin() == BASE.origin()
    assert not url.query_string
    assert not url.fragment
