"""How the fields of a model class correspond to the fields of a JSON object."""

from datetime import datetime
from types import NoneType, UnionType
from typing import Any, Final, get_args, get_origin

import attrs

from cyclr_async.secret import Secret, SecretUrl

__all__ = ["NEVER", "ModelFields", "WireField", "fields_of", "is_model"]

NEVER: Final = {"never": True}
"""Metadata of a field whose date in the year 1, the zero of .NET, is read as None: it never happened."""
_KINDS: Final = (str, int, bool, datetime, Secret, SecretUrl)


@attrs.frozen
class WireField:
    """One documented field.

    Attributes:
        name: here.
        wire: in the JSON.
        kind: the type of its values: one of the plain types, a model class, or object for any JSON, kept as it came.
        optional: whether it may be null or absent.
        many: whether it is an array of these, here a tuple.
        never: whether a date in the year 1 stands for None.
    """

    name: str
    wire: str
    kind: type[Any]
    optional: bool
    many: bool = False
    never: bool = False


@attrs.frozen
class ModelFields:
    """The documented fields of a model class in document order, and the values of its fields that have no wire name."""

    fields: tuple[WireField, ...]
    wire_names: frozenset[str]
    presets: dict[str, Any]


def is_model(cls: Any) -> bool:
    """Return whether ``cls`` is an attrs class that keeps unknown fields in ``extra``."""
    return isinstance(cls, type) and attrs.has(cls) and hasattr(cls, "extra")


def fields_of(cls: type[Any]) -> ModelFields:
    """Return the plan of a model class.

    A field's wire name is its name in PascalCase, or ``metadata["wire"]``; None there marks a field that is ours alone.

    Raises:
        TypeError: a field has a type for which there is no strict rule.
    """
    plan = _plans.get(cls)
    if plan is None:
        plan = _plans[cls] = _make_plan(cls)
    return plan


_plans: dict[type[Any], ModelFields] = {}


def _make_plan(cls: type[Any]) -> ModelFields:
    fields: list[WireField] = []
    presets: dict[str, Any] = {}
    for field in attrs.fields(cls):
        # It holds what is in no field, so it corresponds to none.
        if field.name == "extra":
            continue
        wire = field.metadata.get("wire", "".join(word.capitalize() for word in field.name.split("_")))
        if wire is None:
            presets[field.name] = field.default
            continue
        options = get_args(field.type) if isinstance(field.type, UnionType) else (field.type,)
        # A union of two types would need a guess about which is meant.
        kinds = [kind for kind in options if kind is not NoneType]
        kind, many = _element(kinds[0]) if len(kinds) == 1 else (None, False)
        if kind is None:
            raise TypeError(f"{cls.__name__}.{field.name}: no strict rule for {field.type}")
        # JSON of any kind includes null.
        optional, never = kind is object or NoneType in options, bool(field.metadata.get("never"))
        # Found when the first answer of the class is decoded, in the tests of whoever wrote the model.
        if never and (kind is not datetime or many or not optional):
            raise TypeError(f"{cls.__name__}.{field.name}: only a date that may be None can stand for never")
        fields.append(WireField(field.name, wire, kind, optional, many, never))
    return ModelFields(tuple(fields), frozenset(field.wire for field in fields), presets)


def _element(kind: Any) -> tuple[type[Any] | None, bool]:
    """Return the type of the values, None when there is no rule for it, and whether they come in an array."""
    args = get_args(kind)
    many = get_origin(kind) is tuple and len(args) == 2 and args[1] is ...
    if many:
        kind = args[0]
    # A list of anything would have no elements that could be checked, so it has no rule; a single value is kept as it
    # is.
    if kind is Any:
        return (None if many else object), many
    return (kind if kind in _KINDS or is_model(kind) else None), many
