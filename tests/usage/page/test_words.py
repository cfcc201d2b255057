from __future__ import annotations

import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyclr_async.usage.page import words
from cyclr_async.usage.page.sparkline import levels, sparkline


@given(st.text(st.characters()))
def test_every_text_can_stand_in_xml_and_on_one_line(text: str) -> None:
    safe = words.escape(text)
    parsed = ET.fromstring(f"<a b='{safe}'>{safe}</a>")
    assert parsed.text == parsed.get("b") == words.visible(text) or not text
    assert len(words.visible(text).splitlines()) <= 1
    safe.encode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Acme Ltd", "Acme Ltd"),
        ("שלום", "שלום"),
        ("\U0001f468\u200d\U0001f469", "\U0001f468\u200d\U0001f469"),
        ("ک\u200cک", "ک\u200cک"),
        ("a\u202eb", "a[U+202E]b"),
        ("a\x00b\nc", "a[U+0000]b[U+000A]c"),
        ("zero\u200bwidth", "zero[U+200B]width"),
        ("\ud800", "[U+D800]"),
        ("\uffff", "[U+FFFF]"),
        ("a\u2028b", "a[U+2028]b"),
    ],
)
def test_what_would_hide_or_turn_around_is_written_out(text: str, shown: str) -> None:
    assert words.visible(text) == shown


@given(st.text(max_size=80), st.integers(26, 500))
def test_a_shortened_text_fits(text: str, room: int) -> None:
    found = words.shorten(text, room, 13)
    assert words.text_width(found, 13) <= room
    assert found == text or found.endswith("…")


def test_no_more_is_cut_than_must_be() -> None:
    width = words.text_width("exactly ten", 13)
    assert words.shorten("exactly ten", width, 13) == "exactly ten"
    assert words.shorten("exactly ten", width - 1, 13) == "exactly t…"
    assert words.text_width("株式会社", 13) == 52
    assert words.shorten("株式会社", 51, 13) == "株式…"
    assert words.text_width("e\u0301\u200d", 13) == words.text_width("e", 13)


@given(st.integers(-(10**25), 10**25), st.integers(1, 10**25))
def test_percentages_are_rounded_to_the_nearest_tenth(part: int, whole: int) -> None:
    shown = Fraction(words.percent(part, whole).rstrip("%").replace(",", ""))
    assert abs(shown - Fraction(100 * part, whole)) <= Fraction(1, 20)


@pytest.mark.parametrize(
    ("now", "before", "shown"),
    [
        (110, 100, "+10.0%"),
        (90, 100, "-10.0%"),
        (100, 100, "0.0%"),
        (5, 0, "\u2013"),
        (0, 7, "-100.0%"),
        (1999, 2000, "-0.1%"),
    ],
)
def test_a_change_has_a_sign(now: int, before: int, shown: str) -> None:
    assert words.change(now, before) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1k"),
        (1049, "1k"),
        (1050, "1.1k"),
        (99_949, "99.9k"),
        (99_950, "100k"),
        (999_499, "999k"),
        (999_500, "1M"),
        (12_345_678, "12.3M"),
        (10**12, "1T"),
        (10**15, "1000T"),
    ],
)
def test_short_numbers(value: int, shown: str) -> None:
    assert words.short_count(value) == shown


def test_amounts_and_moments() -> None:
    assert words.money(Decimal("1234567.50"), "EUR") == "EUR 1,234,567.50"
    assert words.money(Decimal("1E+3"), None) == "1,000"
    assert words.moment(datetime(2026, 11, 1, 6, 30, tzinfo=UTC)) == "2026-11-01 06:30 UTC"
    assert [words.counted(n, "task") for n in (0, 1, 1000)] == ["0 tasks", "1 task", "1,000 tasks"]
    assert [words.signed(n) for n in (-1000, 0, 5)] == ["-1,000", "0", "+5"]


def test_a_sparkline_is_on_a_scale_from_nothing() -> None:
    assert sparkline([0, 1, 4, 8, None, 2]) == "▁▁▄█ ▂"
    assert sparkline([0, 1, 4, 8, None, 2], ascii=True) == "..=@ :"
    assert sparkline([]) == ""
    assert sparkline([None, None]) == "  "
    assert sparkline([0, 0]) == "▁▁"
    assert levels([0, 1, 100, None, 50]) == "018-4"


@given(st.lists(st.one_of(st.none(), st.integers(0, 10**20)), max_size=30))
def test_a_sparkline_has_a_character_for_each_value(values: list[int | None]) -> None:
    drawn = sparkline(values)
    assert len(drawn) == len(sparkline(values, ascii=True)) == len(levels(values)) == len(values)
    known = [(value, char) for value, char in zip(values, drawn, strict=True) if value is not None]
    assert [char for _, char in sorted(known)] == sorted(char for _, char in known)
    assert all((char == " ") == (value is None) for value, char in zip(values, drawn, strict=True))
