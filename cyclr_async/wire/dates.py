"""Dates and times as the API writes them.

The document shows two forms: ``2017-03-09T16:23:08`` without a zone, taken as UTC, and
``2016-11-18T10:50:45.6509216Z`` with seven fractional digits. Both become aware datetimes in UTC.
"""

import re
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Any, Final, Self, SupportsIndex

__all__ = [
    "NEVER_FORM",
    "USUAL_FORM",
    "WireDatetime",
    "format_date",
    "format_datetime",
    "is_never",
    "parse_datetime",
    "wire_text",
]

# fromisoformat alone accepts much that the API never writes (weeks, blanks, commas), and whatever is read without
# having been meant becomes a wrong period. Digits by name, because \d knows those of other scripts.
_ISO: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9])"
    r"(\.[0-9]{1,7})?"
    r"(Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])?"
)
_from_iso: Final = datetime.fromisoformat


USUAL_FORM: Final = (
    'from_iso({v} + "+00:00") if len({v}) == 19 and {v}[4::3] == "--T::" and {v}[11:13] < "24" else parse_datetime({v})'
)
"""The source of :func:`parse_datetime` of a variable, for decoders that are compiled: the usual form without a call,
which takes longer than the rest. For 19 characters with these separators, fromisoformat is as strict as the pattern.
The message of what it raises holds the text, so nobody may let it out."""


NEVER_FORM: Final = '{v} is not None and {v}[:19] == "0001-01-01T00:00:00"'
"""The source of :func:`is_never` of a variable that may be None, for the same decoders."""


class WireDatetime(datetime):
    """A datetime that remembers how the API wrote it, where that says more than the datetime itself.

    It compares and hashes as the datetime it is; arithmetic and :meth:`replace` give plain datetimes.
    """

    # The text is kept because the API writes seven digits and a datetime holds six: to_dict() has to give back what
    # came.
    __slots__ = ("_wire",)
    _wire: str

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Make a plain datetime: only :func:`parse_datetime` knows a wire text."""
        # datetime makes instances of the subclass in its own methods, now() for example; those have no wire text.
        return datetime(*args, **kwargs)  # type: ignore[return-value]  # noqa: DTZ001

    @classmethod
    def _of(cls, moment: datetime, wire: str) -> Self:
        self = datetime.__new__(
            cls,
            moment.year,
            moment.month,
            moment.day,
            moment.hour,
            moment.minute,
            moment.second,
            moment.microsecond,
            moment.tzinfo,
        )
        self._wire = wire
        return self

    @property
    def wire(self) -> str:
        """The text of the API, such as ``2016-11-18T10:50:45.6509216Z``."""
        return self._wire

    def replace(self, *args: Any, **kwargs: Any) -> Any:
        """Return a plain datetime with some parts changed: the wire text no longer describes it."""
        # By way of a plain datetime: that of the parent class would make this class again, without its text.
        return datetime.combine(self.date(), self.timetz()).replace(*args, **kwargs)

    __replace__ = replace

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        return parse_datetime, (self._wire,)


class _Parsed(datetime):
    """What becomes a :class:`WireDatetime`: of the same layout, but made by C alone, which takes half the time."""

    __slots__ = ("_wire",)
    _wire: str


_parsed_from_iso: Final = _Parsed.fromisoformat


def parse_datetime(text: str) -> datetime:
    """Read a date and time of the API.

    Args:
        text: ``YYYY-MM-DDTHH:MM:SS``, with up to seven fractional digits and with ``Z``, an offset or neither
            (neither means UTC).

    Returns:
        An aware datetime in UTC, exact to the microsecond (a seventh digit is cut off). It is a
        :class:`WireDatetime` when the text says more than the datetime can.

    Raises:
        ValueError: the text has another form, or no such moment exists. The text is not part of the message.
    """
    length = len(text)
    if length == 19 and text[4::3] == "--T::" and text[11:13] < "24":  # the usual form first; see USUAL_FORM
        try:
            return _from_iso(text + "+00:00")
        except ValueError:
            pass  # its message would hold the text
    # Then the one of the v1.0 API, which writes every date with a Z and most with a fraction: in a fifth of the time.
    # It can be checked the same way, because of a fraction only digits are let through.
    if (
        text[4:19:3] == "--T::"
        and text[-1] == "Z"
        and text[11:13] < "24"
        and (
            length == 20
            or (21 < length < 29 and text[19] == "." and (digits := text[20:-1]).isascii() and digits.isdigit())
        )
    ):
        try:
            # As it stands: fromisoformat knows the Z since 3.11, and cuts a seventh digit off, as is wanted here.
            made = _parsed_from_iso(text)
        except ValueError:
            pass
        else:
            made._wire = text  # noqa: SLF001 - it is one of ours
            made.__class__ = WireDatetime  # type: ignore[assignment]
            return made
    match = _ISO.fullmatch(text)
    moment = None
    if match:
        seconds, fraction, zone = match.groups(default="")
        # No zone means UTC: the v1.0 API gives the same column the name NextBillDateUtc, and Timezone is for display
        # only.
        zone = "+00:00" if zone in {"", "Z"} else zone
        with suppress(ValueError, OverflowError):  # no such day, or an offset that leads out of the years 1 to 9999
            moment = _from_iso(seconds + fraction[:7] + zone).astimezone(UTC)
    if moment is None:
        raise ValueError("not a date and time of the form YYYY-MM-DDTHH:MM:SS, or no such moment")
    return moment if wire_text(moment) == text else WireDatetime._of(moment, text)  # noqa: SLF001


def is_never(text: str) -> bool:
    """Return whether a date text of the API is the zero of .NET, which stands for never."""
    # By the beginning, because it comes with and without a Z, and may have a fraction.
    return text.startswith("0001-01-01T00:00:00")


def wire_text(moment: datetime) -> str:
    """Return the text that :func:`parse_datetime` reads back as ``moment``, the API's own text where it is known."""
    if isinstance(moment, WireDatetime):
        return moment.wire
    text = _utc(moment).isoformat()
    # As the server writes fractions: without zeros at the end.
    return text.rstrip("0") if "." in text else text


def format_datetime(moment: datetime) -> str:
    """Write a date and time for a request: ``2017-03-09T16:23:08``.

    Args:
        moment: aware datetimes are converted to UTC, naive ones are taken as UTC; fractions are cut off.

    Returns:
        UTC without a zone, in whole seconds, as in the document's examples.

    Raises:
        TypeError: ``moment`` is no datetime.
    """
    if not isinstance(moment, datetime):
        raise TypeError(f"a datetime is needed, not {type(moment).__name__}")
    # As in the examples. An offset or a fraction would be the only one that this API ever sees.
    return _utc(moment).isoformat(timespec="seconds")


def format_date(day: date) -> str:
    """Write a date for a request: ``2016-12-09``.

    Args:
        day: a date; a datetime is refused, because the day it means depends on a time zone.

    Raises:
        TypeError: ``day`` is a datetime or no date at all.
    """
    if isinstance(day, datetime):
        raise TypeError("a date is needed, not a datetime: call .date() in the time zone you mean")
    if not isinstance(day, date):
        raise TypeError(f"a date is needed, not {type(day).__name__}")
    return day.isoformat()


def _utc(moment: datetime) -> datetime:
    return (moment if moment.tzinfo is None else moment.astimezone(UTC)).replace(tzinfo=None)
