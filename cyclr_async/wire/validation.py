"""The careful way from JSON to a model: field by field, with the path of whatever is wrong."""

from datetime import datetime
from typing import Any, Final

import attrs

from cyclr_async.errors import DecodeError
from cyclr_async.secret import Secret, SecretUrl
from cyclr_async.wire.dates import is_never, parse_datetime
from cyclr_async.wire.extra import EMPTY, Extra
from cyclr_async.wire.fields import WireField, fields_of, is_model

__all__ = ["Issue", "check_value", "error_for", "kind_of", "validate"]

# As much as an INTEGER of SQLite and of most other databases holds: what is beyond could not be kept anywhere.
_INT64: Final = 1 << 63
_EXPECTED: Final[dict[type, str]] = {
    str: "str",
    int: "int",
    bool: "bool",
    datetime: "datetime",
    Secret: "str",
    SecretUrl: "str",
}


@attrs.frozen
class Issue:
    """What is wrong and where; ``found`` names a kind of JSON value, never the value."""

    path: str
    expected: str
    found: str


def error_for(finding: Issue) -> DecodeError:
    """Return the error for a finding; raise it outside of any except block, so that it chains no values."""
    return DecodeError(
        f"the answer does not match the API document: {finding.path} should be {finding.expected}, "
        f"found {finding.found}",
        path=finding.path,
        expected=finding.expected,
    )


def kind_of(value: object) -> str:
    """Return what a parsed JSON value is, in the terms of JSON."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, list):
        return "an array"
    return "an object" if isinstance(value, dict) else f"a Python {type(value).__name__}"


def check_value(value: Any, kind: type[Any], path: str = "$") -> Any:
    """Return the value as ``kind``, or a :class:`Issue`; nothing is coerced."""
    expected, found = _EXPECTED[kind], kind_of(value)
    if kind is bool or kind is int:
        # The exact type, since True is an int to isinstance.
        if type(value) is not kind:
            if isinstance(value, float):
                found = "a number that is no integer"
        elif kind is bool or -_INT64 <= value < _INT64:
            return value
        else:
            found = "an integer beyond 64 bits"
    elif isinstance(value, str):
        if kind is str:
            # A subclass of str, from a decoder of the caller's, becomes a plain text: a model holds nothing that can
            # change.
            return str.__str__(value)
        if kind is Secret or kind is SecretUrl:
            return kind(str.__str__(value))
        try:
            return parse_datetime(value)
        except ValueError:
            found = "a string of another form"
    return Issue(path, expected, found)


def _check_one(value: Any, kind: type[Any], path: str) -> Any:
    if kind is object:
        return value
    return validate(value, kind, path) if is_model(kind) else check_value(value, kind, path)


def _check_field(value: Any, field: WireField, path: str) -> Any:
    if not field.many:
        return _check_one(value, field.kind, path)
    if not isinstance(value, list):
        return Issue(path, "array", kind_of(value))
    # All elements before the first problem is looked for: these lists are short, and the answer is wrong only rarely.
    made = [_check_one(item, field.kind, f"{path}[{index}]") for index, item in enumerate(value)]
    return next((one for one in made if isinstance(one, Issue)), tuple(made))


def _expected(field: WireField) -> str:
    return "array" if field.many else _EXPECTED.get(field.kind, "object")


def validate(data: object, cls: type[Any], path: str = "$") -> Any:
    """Make a model from a JSON object that is unusual or wrong.

    Args:
        data: the parsed JSON value.
        cls: the model class.
        path: the JSON path of ``data``.

    Returns:
        The model, or a :class:`Issue` for the first field in document order that is wrong.
    """
    if not isinstance(data, dict):
        return Issue(path, "object", kind_of(data))
    plan = fields_of(cls)
    values: dict[str, Any] = {}
    absent: set[str] = set()
    never: dict[str, str] = {}
    for field in plan.fields:
        where = f"{path}.{field.wire}"
        value = data.get(field.wire)
        if value is None:
            if not field.optional:
                found = "null" if field.wire in data else "nothing"
                return Issue(where, f"{_expected(field)} (required)", found)
            # Not the same as null: to_dict() gives back what came.
            if field.wire not in data:
                absent.add(field.wire)
        elif field.never and isinstance(value, str) and is_never(value):
            never[field.wire] = str.__str__(value)
            value = None
        else:
            value = _check_field(value, field, where)
            if isinstance(value, Issue):
                # Only for the field itself: within a nested model null has been judged already.
                null = field.optional and value.path == where
                return attrs.evolve(value, expected=f"{value.expected} or null") if null else value
        values[field.name] = value
    unknown = {name: value for name, value in data.items() if name not in plan.wire_names}
    extra = Extra(unknown, absent=frozenset(absent), never=never) if unknown or absent or never else EMPTY
    return cls(**values, extra=extra)
