import copy
import pickle
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyclr_async.wire.dates import WireDatetime, format_date, format_datetime, parse_datetime, wire_text

MOMENT = datetime(2016, 11, 18, 10, 50, 45, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2016-11-18T10:50:45", MOMENT),
        ("2016-11-18T10:50:45Z", MOMENT),
        ("2016-11-18T10:50:45+00:00", MOMENT),
        ("2016-11-18T12:50:45+02:00", MOMENT),
        ("2016-11-18T05:20:45-05:30", MOMENT),
        ("2016-11-18T10:50:45.5", MOMENT.replace(microsecond=500_000)),
        ("2016-11-18T10:50:45.500", MOMENT.replace(microsecond=500_000)),
        ("2016-11-18T10:50:45.6509216Z", MOMENT.replace(microsecond=650_921)),
        ("2016-11-18T10:50:45.0000001", MOMENT),
        ("0001-01-01T00:00:00", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59.9999999", datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
    ],
)
def test_forms(text: str, moment: datetime) -> None:
    made = parse_datetime(text)
    assert made == moment
    assert hash(made) == hash(moment)
    assert made.tzinfo is UTC
    assert wire_text(made) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2016-11-18",
        "2016-11-18 10:50:45",
        "20161118T105045",
        "2016-W47-5T10:50:45",
        "2016-11-18T10:50",
        "2016-11-18T24:00:00",
        "2016-11-18T24:00:00Z",
        "2016-11-18T10:60:45",
        "2016-11-18T10:50:60",
        "2016-02-30T10:50:45",
        "0000-01-01T00:00:00",
        "2016-11-18T10:50:45.",
        "2016-11-18T10:50:45.12345678",
        "2016-11-18T10:50:45,5",
        "2016-11-18T10:50:45z",
        "2016-11-18T10:50:Z",
        "2016-11-18T10:50:4Z",
        "2016-11-18T10:50:45.Z",
        "2016-11-18T10:50:45,5Z",
        "2016-11-18T10:50:45.45+0100Z",
        "2016-11-18T10:50:45.12345678Z",
        "2016-11-18T10:50:45.\u0665Z",
        "2016-11-18t10:50:45",
        "2016-11-18T10:50:45+0200",
        "2016-11-18T10:50:45+02",
        "2016-11-18T10:50:45+24:00",
        " 2016-11-18T10:50:45",
        "2016-11-18T10:50:45\n",
        "2016-11-18T10:50:4\u0665",
        "\u0662016-11-18T10:50:45",
        "0001-01-01T00:00:00+05:00",
        "9999-12-31T23:59:59-05:00",
        "/Date(1479466245000)/",
        "secret-canary",
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(ValueError, match="YYYY-MM-DD") as caught:
        parse_datetime(text)
    assert not text.strip() or text not in str(caught.value)
    assert caught.value.__context__ is None


@given(st.datetimes(timezones=st.just(UTC)))
def test_text_and_back(moment: datetime) -> None:
    assert parse_datetime(wire_text(moment)) == moment


@given(
    st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)),  # noqa: DTZ001 - as strategies need them
    st.text(alphabet="0123456789", max_size=7),
    st.sampled_from(["", "Z", "+00:00", "-00:00", "+05:30", "-11:45"]),
)
def test_every_wire_text_is_kept(moment: datetime, digits: str, zone: str) -> None:
    text = moment.isoformat(timespec="seconds") + (f".{digits}" if digits else "") + zone
    made = parse_datetime(text)
    assert wire_text(made) == text
    again = pickle.loads(pickle.dumps(made))
    assert (again, wire_text(again)) == (made, text)


def test_a_wire_datetime_is_the_datetime_it_stands_for() -> None:
    made = parse_datetime("2016-11-18T10:50:45Z")
    assert isinstance(made, WireDatetime)
    assert made.wire == "2016-11-18T10:50:45Z"
    assert copy.copy(made) is made
    assert copy.deepcopy(made) is made
    plain = [
        made + timedelta(0),
        made - timedelta(0),
        made.replace(),
        made.replace(second=45),
        made.astimezone(timezone(timedelta(hours=1))),
    ]
    assert [type(moment) for moment in plain] == [datetime] * 5
    assert plain == [MOMENT] * 5
    assert MOMENT - made == timedelta(0)
    assert type(WireDatetime(2016, 11, 18)) is datetime


def test_formats() -> None:
    assert format_datetime(datetime(2017, 3, 9, 16, 23, 8, 999_999)) == "2017-03-09T16:23:08"  # noqa: DTZ001
    assert (
        format_datetime(datetime(2017, 3, 9, 18, 23, 8, tzinfo=timezone(timedelta(hours=2)))) == "2017-03-09T16:23:08"
    )
    assert format_datetime(datetime(1, 1, 1)) == "0001-01-01T00:00:00"  # noqa: DTZ001
    assert format_date(date(2016, 12, 9)) == "2016-12-09"
    with pytest.raises(TypeError, match="datetime"):
        format_date(MOMENT)
    with pytest.raises(TypeError, match="str"):
        format_date("2016-12-09")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="date"):
        format_datetime(date(2016, 12, 9))  # type: ignore[arg-type]


@given(
    text=st.from_regex(
        r"\A(20[0-9]{2}|0001|9999)-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-6][0-9]:[0-6][0-9]([.,][0-9]{0,9})?\Z"
    ),
    at=st.integers(0, 30),
    other=st.sampled_from(["", "0", "٣", " ", "-"]),
)
def test_the_form_with_a_z_is_read_as_strictly_as_the_same_with_an_offset(text: str, at: int, other: str) -> None:
    """It has a way of its own, which must take and refuse the same."""

    def read(text: str) -> datetime | None:
        try:
            return parse_datetime(text)
        except ValueError:
            return None

    for one in (text, text[:at] + other + text[at + 1 :]):
        moment = read(f"{one}Z")
        assert moment == read(f"{one}+00:00")
        assert moment is None or wire_text(moment) == f"{one}Z"
